"""Corrections of tracks: each returns new tracks, so that keeping the old ones is undo.

Frames are named by their numbers in the video.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    import xarray as xr


def swap_from(
    tracks: xr.DataArray, frame: int, a: str, b: str, until: int | None = None
) -> xr.DataArray:
    """Return the tracks with two animals' names exchanged from a frame on.

    Doing it twice undoes it.

    Parameters
    ----------
    tracks
        A `tracks` recording.
    frame
        Number of the first frame that changes.
    a, b
        Names of individuals.
    until
        Number of the first frame that does not change any more; the end if not given.

    Raises
    ------
    ConfigError
        If there is no such animal or frame.
    """
    order = _positions(tracks, a, b)
    part = slice(_row(tracks, frame), None if until is None else _row(tracks, until))
    out = tracks.copy(deep=True)
    out.values[part, ..., order] = tracks.values[part, ..., order[::-1]]
    for name in _along_individuals(tracks):
        values = tracks.coords[name].values.copy()
        values[part, ..., order] = tracks.coords[name].values[part, ..., order[::-1]]
        out.coords[name] = (tracks.coords[name].dims, values)
    return out


def merge(tracks: xr.DataArray, into: str, other: str) -> xr.DataArray:
    """Return the tracks with one animal's track put into another's gaps, and itself gone.

    Raises
    ------
    ConfigError
        If there is no such animal, or both are seen in the same frames.
    """
    keep, gone = _positions(tracks, into, other)
    seen = np.isfinite(tracks.values).all(1).any(1)
    both = np.flatnonzero(seen[:, keep] & seen[:, gone])
    if len(both):
        first = int(tracks.coords["frame"].values[both[0]])
        raise ConfigError(
            f"'{into}' and '{other}' are both seen in {len(both)} frames, the first is "
            f"{first}: they are two animals there. Swap them first, or cut one of them."
        )
    out = tracks.copy(deep=True)
    from_other = np.flatnonzero(seen[:, gone])
    out.values[from_other, ..., keep] = tracks.values[from_other, ..., gone]
    for name in _along_individuals(tracks):
        values = tracks.coords[name].values.copy()
        values[from_other, ..., keep] = values[from_other, ..., gone]
        out.coords[name] = (tracks.coords[name].dims, values)
    left = [i for i in range(tracks.sizes["individuals"]) if i != gone]
    return out.isel(individuals=left)


def cut(tracks: xr.DataArray, name: str, start: int, stop: int) -> xr.DataArray:
    """Return the tracks with an animal taken out of the frames from `start` up to `stop`."""
    (at,) = _positions(tracks, name)
    out = tracks.copy(deep=True)
    out.values[_row(tracks, start) : _row(tracks, stop), ..., at] = np.nan
    return out


def rename(tracks: xr.DataArray, name: str, new: str) -> xr.DataArray:
    """Return the tracks with an animal called otherwise."""
    (at,) = _positions(tracks, name)
    names = [str(own) for own in tracks.coords["individuals"].values]
    if new in names:
        raise ConfigError(f"There is already a '{new}' among {', '.join(names)}; merge them.")
    names[at] = new
    return tracks.assign_coords(individuals=names)


def _along_individuals(tracks: xr.DataArray) -> list[str]:
    """Return the coordinates that have a value a frame and individual, such as confidence."""
    return [
        str(name)
        for name, own in tracks.coords.items()
        if own.dims[:1] == ("time",) and own.dims[-1:] == ("individuals",)
    ]


def _positions(tracks: xr.DataArray, *names: str) -> list[int]:
    known = [str(own) for own in tracks.coords["individuals"].values]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"No animal is called '{name}'.{nearest(name, known)} There are {', '.join(known)}."
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"Two different animals are needed, got '{names[0]}' twice.")
    return [known.index(name) for name in names]


def _row(tracks: xr.DataArray, frame: int) -> int:
    """Return the row of a frame, or of the next one that the tracks have."""
    known = tracks.coords["frame"].values
    if not known[0] <= frame <= known[-1] + 1:
        raise ConfigError(
            f"There is no frame {frame}: the tracks have those from {known[0]} to {known[-1]}."
        )
    return int(np.searchsorted(known, frame))
