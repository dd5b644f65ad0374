"""From a folder of images to what a net is given, and the image that it should make of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding, refuse_duplicates
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.io.cases.layouts import few, unlike_channels
from neuroloom.learn.dense.data.match import ordered_by
from neuroloom.volumes.whole.data import (
    KEPT,
    Wish,
    audited,
    findings_of,
    frame_of,
    in_order,
    measured_alike,
    names_of,
    read_images,
)
from neuroloom.volumes.whole.frames import Frame, places_of
from neuroloom.volumes.whole.targets import labels_of, with_folders

if TYPE_CHECKING:
    from neuroloom.io.cases import Case, FoundCases
    from neuroloom.io.cases.check import Use

FACTOR = 2
UNLIKE = 1.1


def read_pairs(
    found: FoundCases,
    kind: str,
    *,
    channels: Sequence[str] = (),
    make: Sequence[str] = (),
    target: str | None = None,
    size: int | None = None,
    facts: dict[str, Any] | None = None,
    labelled: bool = True,
) -> Dataset:
    """Read all cases onto one grid, and part what is given from what is to be made.

    Parameters
    ----------
    kind
        "autoencoder": the image itself; "super-resolution": made of its means over blocks of two
        places along each axis; "contrast": the channels `make` of the others; "gan": images alone,
        with the class of each as what goes with it.
    channels
        Their names, in the order that is wanted; empty: as the data call them.
    make
        Channels to be made, by name or number (from 1).
    target
        Column with the classes of a "gan"; None: one class.
    size
        Places along the longest axis.
    facts
        Of an earlier dataset whose grid is kept.
    labelled
        Whether the cases are learnt from or judged; without, each is worked on by itself.

    Raises
    ------
    ConfigError
        If channels are named that are not there, or none is left to make them of.
    DataError
        One that lists every case that cannot serve.
    """
    use: Use = "model" if labelled else "image"
    findings = audited(found, labels=False, use=use, whole=facts is not None)
    found = measured_alike(found, (facts or {}).get("unit"))
    frame = Frame.of(facts) if facts else even(frame_of(found, Wish(size=size)))
    hashes = found.hashes()
    if labelled:
        paths = [path for images in found.table["image"] for path in images]
        refuse_duplicates({path: hashes[path] for path in paths})
    wish = Wish(size=size, apart=kind == "contrast")
    found = in_order(found, _trained(facts)) if facts else ordered_by(found, channels)
    images, _, _, count = read_images(found, frame, [], wish, None)
    known = facts["all_channels"] if facts else channels
    names = list(known or found.channels or names_of(count))
    if len(names) != count:
        unlike = unlike_channels(count, len(names), names)
        raise DataError(f"The images have {unlike}, as is declared.")
    x, y, given, made = _parted(images, names, kind, make)
    _require_given(found, names, given)
    groups = ["all"]
    if kind == "gan":
        y, groups = _classes(found, target, facts)
    rows = with_folders(found.table)
    rows = rows[[name for name in KEPT if name in rows]].assign(onset=0.0, stop=1.0)
    # What lacks the image to be made can be predicted, not judged.
    rows["label"] = [np.nan if case.lacking else 1.0 for case in found.cases]
    extents = [_extent(case.shape, case.spacing, frame) for case in found.cases]
    rows["extent"] = ["x".join(map(str, extent)) for extent in extents]
    return Dataset(
        rows,
        x,
        "synthesis",
        facts={
            "kind": "image" if len(frame.shape) == 2 else "volume",
            "shape": list(frame.shape),
            "given_shape": list(x.shape[2:]),
            "spacing": list(frame.spacing),
            "unit": frame.unit,
            "channels": given,
            "made": made,
            "all_channels": names,
            "called": (facts or {}).get("called", list(found.channels)),
            "groups": groups,
            "n_table": 0,
            "layout": found.layout,
        },
        findings=[*findings_of(found, rows if labelled else None), *findings],
        extra={"hashes": hashes, "cases": found.cases},
        truth=y,
    )


def read_coarse(found: FoundCases, facts: dict[str, Any]) -> Dataset:
    """Find new images that are to be made finer, each on the grid that it has.

    Returns
    -------
    Dataset
        Without arrays: images differ in size and are read one by one, with `image_of`.

    Raises
    ------
    DataError
        One that lists every image that cannot serve.
    """
    findings = audited(found, labels=False, use="image", whole=True)
    found = in_order(measured_alike(found, facts["unit"]), _trained(facts))
    rows = with_folders(found.table)
    rows = rows[[name for name in KEPT if name in rows]].assign(onset=0.0, stop=1.0)
    return Dataset(
        rows,
        np.zeros((len(rows), 0), np.float32),
        "synthesis",
        facts=facts,
        findings=[*findings_of(found, None), *findings, *_of_another_size(found, facts)],
        extra={"hashes": found.hashes(), "cases": found.cases},
    )


def image_of(case: Case, facts: dict[str, Any]) -> np.ndarray:
    """Read a case as (channel, *axes), refusing one with other channels or axes than the run's."""
    image = case.image()
    if image.shape[0] != len(facts["channels"]) or image.ndim - 1 != len(facts["shape"]):
        raise DataError(
            f"{case.name}: has {len(image)} channels and {image.ndim - 1} axes; the run learnt "
            f"from {len(facts['channels'])} and {len(facts['shape'])}."
        )
    return image


def _of_another_size(found: FoundCases, facts: dict[str, Any]) -> list[Finding]:
    """Name images whose places are larger or smaller than those that the net was given."""
    given = FACTOR * np.asarray(facts["spacing"], float)
    odd = [
        case.name
        for case in found.cases
        if case.unit != facts["unit"]
        or len(case.spacing) != len(given)
        or (np.abs(np.log(np.asarray(case.spacing) / given)) > np.log(UNLIKE)).any()
    ]
    if not odd:
        return []
    sizes = " x ".join(f"{size:.3g}" for size in given)
    told = (
        f"{few(odd)}: the net learnt from places of {sizes} {facts['unit']}, those of these images "
        "are larger or smaller, or of unknown size. Each is made twice as fine as it is; how well "
        "that goes at another size was not judged."
    )
    return [Finding("warning", "Places of another size", told)]


def _trained(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what `in_order` must know of a run: all its channels, given and made."""
    return {"channels": facts["all_channels"], "called": facts.get("called", [])}


def _require_given(found: FoundCases, names: Sequence[str], given: Sequence[str]) -> None:
    """Refuse cases that lack a channel which is not to be made."""
    for case in found.cases:
        if short := [names[k] for k in case.lacking if names[k] in given]:
            raise DataError(
                f"{case.name}: lacks {', '.join(short)}, of which images are made; add the file or "
                "leave the case out."
            )


def _classes(
    found: FoundCases, target: str | None, facts: dict[str, Any] | None
) -> tuple[np.ndarray, list[str]]:
    """Return the class index of each image, and the classes."""
    if target is None or facts:
        return np.zeros(len(found.table), np.int64), list((facts or {}).get("groups", ["all"]))
    labels, _ = labels_of(found, target, numbers=False)
    if labels.isna().any():
        row = int(np.flatnonzero(labels.isna())[0])
        raise DataError(f"{found.table['path'].iloc[row]}: its '{target}' is unknown.")
    groups = sorted(set(labels))
    return np.array([groups.index(label) for label in labels], np.int64), groups


def even(frame: Frame) -> Frame:
    """Return the frame with an even number of places along each axis.

    Examples
    --------
    >>> even(Frame((5, 8), (1.0, 1.0))).shape
    (6, 8)
    """
    return Frame(tuple(size + size % FACTOR for size in frame.shape), frame.spacing, frame.unit)


def coarser(images: np.ndarray) -> np.ndarray:
    """Return (n, channel, *axes) as means over blocks of two places along each axis.

    Examples
    --------
    >>> coarser(np.array([[[[0.0, 2.0], [4.0, 6.0]]]])).tolist()
    [[[[3.0]]]]
    """
    for axis in range(2, images.ndim):
        halves = np.moveaxis(images, axis, -1)
        halves = halves.reshape(*halves.shape[:-1], -1, FACTOR).mean(-1)
        images = np.moveaxis(halves, -1, axis)
    return np.ascontiguousarray(images, np.float32)


def _parted(
    images: np.ndarray, channels: list[str], kind: str, make: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    if kind in ("autoencoder", "gan"):
        return images, images, channels, channels
    if kind == "super-resolution":
        return coarser(images), images, channels, channels
    made = [_channel(name, channels) for name in make]
    given = [k for k in range(len(channels)) if k not in made]
    if not made or not given:
        raise ConfigError(
            "kind=contrast needs `make`, the channels to be made, and others to make them of; "
            f"there are {', '.join(channels)}."
        )
    names = [channels[k] for k in given], [channels[k] for k in made]
    return images[:, given], images[:, made], *names


def _channel(name: str, channels: list[str]) -> int:
    if name in channels:
        return channels.index(name)
    if name.isdigit() and 1 <= int(name) <= len(channels):
        return int(name) - 1
    raise ConfigError(
        f"make: there is no channel '{name}'.{nearest(name, channels)} "
        f"There are {', '.join(channels)}."
    )


def _extent(shape: Sequence[int], spacing: Sequence[float], frame: Frame) -> tuple[int, ...]:
    """Return how many places of the frame, around its centre, the image itself fills."""
    sizes = zip(shape, spacing, frame.spacing, frame.shape, strict=True)
    return tuple(min(places_of(n, old, new), most) for n, old, new, most in sizes)


def inside(image: np.ndarray, extent: str) -> np.ndarray:
    """Return the part of (channel, *axes) that the image itself fills, without the padding.

    Examples
    --------
    >>> inside(np.arange(5.0)[None], "3").tolist()
    [[1.0, 2.0, 3.0]]
    """
    cut = [slice(None)]
    for size, kept in zip(image.shape[1:], map(int, extent.split("x")), strict=True):
        cut.append(slice((size - kept) // 2, (size - kept) // 2 + kept))
    return image[tuple(cut)]
