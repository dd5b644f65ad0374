"""Tracks over the same frames, none of them left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.recording import DIMS, check

if TYPE_CHECKING:
    import xarray as xr


def every_frame(recording: xr.DataArray, first: int, last: int) -> xr.DataArray:
    """Return tracks with a row for every frame from the first to the last, NaN where none was.

    Files leave out frames in which nothing was found: rows that are neighbours are none in time.

    Parameters
    ----------
    recording
        A `tracks` recording.
    first, last
        Numbers of frames; those beyond are left out.

    Examples
    --------
    >>> from neuroloom.core.recording import tracks
    >>> seen = tracks(np.ones((2, 2, 1, 1)), ["nose"], rate=10.0, frames=np.array([3, 6]))
    >>> whole = every_frame(seen, 3, 6)
    >>> whole.frame.values.tolist(), np.isnan(whole.values[:, 0, 0, 0]).tolist()
    ([3, 4, 5, 6], [False, True, True, False])
    """
    return at_frames(recording, np.arange(first, last + 1))


def at_frames(recording: xr.DataArray, number: np.ndarray) -> xr.DataArray:
    """Return tracks with a row for each of some frames, by rising number; NaN where none was."""
    known = recording.coords["frame"].values.astype(int)
    if np.array_equal(number, known):
        return recording
    rate, time = float(recording.attrs["rate"]), recording.coords["time"].values
    when = np.interp(number, known, time)
    when += (np.minimum(number - known[0], 0) + np.maximum(number - known[-1], 0)) / rate
    out = recording.assign_coords(row=("time", known)).swap_dims(time="row").drop_vars("time")
    out = out.reindex(row=number).assign_coords(time=("row", when), frame=("row", number))
    out = out.swap_dims(row="time").drop_vars("row")
    return check(out.transpose(*DIMS["tracks"]), "tracks")


def labelled_frames(recording: xr.DataArray) -> np.ndarray:
    """Return the frames of which a truth says who was there, by rising number.

    These are all from its first to its last. Where it shows animals in less than half of them, it
    is of frames that somebody labelled here and there, and of the others it says nothing. Where
    the format lists the frames of which something is known, those in which it lists nobody count
    with these.

    Parameters
    ----------
    recording
        A `tracks` recording. The attribute `listed` says whether the format lists frames.

    Examples
    --------
    >>> from neuroloom.core.recording import tracks
    >>> places = np.ones((2, 2, 1, 1))
    >>> for frames in ([3, 5], [3, 90]):
    ...     labelled_frames(tracks(places, ["nose"], frames=np.array(frames))).tolist()
    [3, 4, 5]
    [3, 90]
    """
    known = recording.coords["frame"].values.astype(int)
    seen = recording.notnull().all("space").any(("keypoints", "individuals")).values
    span = known[-1] - known[0] + 1
    told = len(known) if recording.attrs.get("listed") else seen.sum()
    return known[seen] if 2 * told < span else np.arange(known[0], known[0] + span)


def over_one_span(recordings: Sequence[xr.DataArray]) -> list[xr.DataArray]:
    """Return tracks of one video with a row for every frame that any of them, or none, has.

    Examples
    --------
    >>> from neuroloom.core.recording import tracks
    >>> places = np.ones((2, 2, 1, 1))
    >>> seen = [tracks(places, ["nose"], frames=np.array(own)) for own in ([3, 4], [1, 3])]
    >>> [one.sizes["time"] for one in over_one_span(seen)]
    [4, 4]
    """
    ends = np.array([one.coords["frame"].values[[0, -1]] for one in recordings]).astype(int)
    return [every_frame(one, int(ends[:, 0].min()), int(ends[:, 1].max())) for one in recordings]
