"""What tracks call their animals and keypoints: matched by name, and kept through linking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError, nearest
from neuroloom.pose.animals import NOBODY

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.pose.link.track import Linked


def animals_of(recording: xr.DataArray) -> xr.DataArray:
    """Return tracks without DeepLabCut's "single" and the unique points that only it has.

    It is no animal that could change its name with another, unless it shows a point of theirs.

    Examples
    --------
    >>> from neuroloom.core.recording import tracks
    >>> points = np.zeros((5, 2, 2, 2))
    >>> points[:, :, 0, 1] = points[:, :, 1, 0] = np.nan
    >>> both = tracks(points, ["nose", "corner"], ["mouse", "single"])
    >>> animals_of(both).individuals.values.tolist(), animals_of(both).keypoints.values.tolist()
    (['mouse'], ['nose'])
    """
    nobody = recording.coords["individuals"].values.astype(str) == NOBODY
    if not nobody.any() or nobody.all():
        return recording
    seen = np.isfinite(recording.transpose("individuals", "keypoints", ...).values).all(-1).any(-1)
    unique, shown = seen[nobody].any(0), seen[~nobody].any(0)
    if (unique & shown).any():
        return recording
    return recording.isel(individuals=np.flatnonzero(~nobody), keypoints=np.flatnonzero(~unique))


def with_unique(animals: xr.DataArray, came: xr.DataArray) -> xr.DataArray:
    """Return the tracks of animals with the "single" of the recording they were taken out of."""
    import xarray as xr

    from neuroloom.core.recording import DIMS, check

    if animals_of(came) is came:
        return animals
    whole = animals.reindex(keypoints=came.coords["keypoints"].values)
    parts = [whole, came.sel(individuals=[NOBODY])]
    both = xr.concat(parts, "individuals", combine_attrs="override").transpose(*DIMS["tracks"])
    return check(both, "tracks")


def in_the_order_of(first: xr.DataArray, other: xr.DataArray, whose: str) -> xr.DataArray:
    """Return other tracks with the keypoints in the order of the first.

    Parameters
    ----------
    whose
        The file of the other ones, for the error.

    Raises
    ------
    DataError
        If one has a keypoint that the other has not.
    """
    wanted = [str(name) for name in first.coords["keypoints"].values]
    held = [str(name) for name in other.coords["keypoints"].values]
    lacking = [name for name in wanted if name not in held]
    more = [name for name in held if name not in wanted]
    if lacking or more:
        odd, what = (lacking[0], "no keypoint") if lacking else (more[0], "one of the keypoints")
        raise DataError(
            f"{whose}: has {what} '{odd}'{', which' if lacking else ' that'} the tracks beside it "
            f"{'have' if lacking else 'lack'}.{nearest(odd, held if lacking else wanted)} "
            f"Expected {', '.join(wanted)}."
        )
    return other.sel(keypoints=wanted)


def keep_names(
    linked: Linked, names: Sequence[str], slots: np.ndarray
) -> tuple[Linked, tuple[str, ...]]:
    """Return animals in the order of their names, each called as most of its detections were.

    Parameters
    ----------
    linked
        Who is who.
    names
        Of what came in; animals beyond them get new names.
    slots
        Shape (time, slot): place of each detection's name among them.

    Returns
    -------
    The same with the animals numbered anew, and a name for each.

    Examples
    --------
    >>> import pandas as pd
    >>> from neuroloom.pose.link.track import Linked
    >>> none = pd.DataFrame({"one": [0], "other": [1]})
    >>> late = Linked(np.array([[-1, 0], [1, 0], [1, 0]]), 2, none)
    >>> kept, called = keep_names(late, ["A", "B"], np.array([[0, 1]] * 3))
    >>> called, kept.identity.tolist()
    (('A', 'B'), [[-1, 1], [0, 1], [0, 1]])
    """
    from scipy.optimize import linear_sum_assignment

    shared = np.stack([
        np.bincount(slots[linked.identity == animal], minlength=len(names))
        for animal in range(linked.animals)
    ])  # fmt: skip
    animals, own = linear_sum_assignment(-shared)
    place = np.full(linked.animals, len(names))
    place[animals] = own
    order = np.argsort(place, kind="stable")  # animals, as they are numbered now
    number = np.argsort(order)
    identity = np.where(linked.identity >= 0, number[linked.identity], -1)
    ends = np.sort(number[linked.swaps[["one", "other"]].to_numpy(int)], axis=1)
    swaps = linked.swaps.assign(one=ends[:, 0], other=ends[:, 1])
    free = (name for k in range(len(names) + linked.animals)
            if (name := f"individual_{k}") not in names)  # fmt: skip
    called = tuple(names[at] if at < len(names) else next(free) for at in place[order])
    return replace(linked, identity=identity, swaps=swaps), called
