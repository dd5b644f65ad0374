"""Files of tracks that are lifted together: of one film, at one rate, with the same points."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError, nearest

if TYPE_CHECKING:
    import xarray as xr

Files = Mapping[str, Sequence[Path]]
Recordings = Mapping[str, Sequence["xr.DataArray"]]

APART = 0.01  # share by which the rates of cameras that run together may differ
GROSS_PX = 10.0  # median distance of two networks from which they may be of two films
GROSS_SHARE = 0.5  # of their distance at different times, which is the same as at one if they are
FAR_PX = 100.0  # the same median distance where the animal rests: other times tell nothing then
# How people number what was filmed one after the other.
TRIALS = re.compile(
    r"trial|ses|run|day|rec|take|block|exp|part|clip|video|sub|mouse|rat|fly|animal"
)
_MONTH, _DAY = r"(0[1-9]|1[0-2])", r"(0[1-9]|[12]\d|3[01])"
# A year; a date with or without its century, with a time behind it or none.
DATES = re.compile(
    rf"20\d\d|((19|20)?\d\d{_MONTH}{_DAY}|({_MONTH}{_DAY}|{_DAY}{_MONTH})(20)?\d\d)(\d{{4,6}})?"
)
# What DeepLabCut puts behind a film's name: which training, and after how many steps of it.
TRAINING = re.compile(r"shuffle\d+(_snapshot)?([-_]best)?[-_]\d+")


def one_rate(read: Recordings, files: Files) -> float:
    """Return the frames a second of all tracks, Hz; 1 where no file says.

    Raises
    ------
    DataError
        If they differ by more than a hundredth.
    """
    rates = [
        (float(recording.attrs["rate"]), file.name)
        for name, own in read.items()
        for recording, file in zip(own, files[name], strict=True)
        if recording.attrs["rate"] != 1
    ]
    if not rates:
        return 1.0
    require_one_rate(rates)
    return rates[0][0]


def require_one_rate(rates: Sequence[tuple[float, str]]) -> None:
    """Refuse files of cameras that run together if their rates differ by more than a hundredth.

    Parameters
    ----------
    rates
        Frames a second, Hz, and the name of the file, of one or more.

    Raises
    ------
    DataError
        If they do; it names the slowest and the fastest.
    """
    (slow, one), (fast, other) = min(rates), max(rates)
    if fast > slow * (1 + APART):
        raise DataError(
            f"{one} has {slow:g} frames a second, {other} has {fast:g}: cameras that run together "
            "have one rate. Cut or convert the films or the tracks so that frame i of each was "
            "taken at one time."
        )


def shared_points(
    read: Recordings, files: Files, findings: list[Finding]
) -> tuple[list[str], list[str]]:
    """Return the keypoints and individuals of the first camera; what others have more is told.

    Raises
    ------
    DataError
        If another lacks one of them.
    """
    first = next(iter(read.values()))[0]
    wanted = {dim: [str(name) for name in first.coords[dim].values]
              for dim in ("keypoints", "individuals")}  # fmt: skip
    more: dict[str, None] = {}
    for name, own in read.items():
        for recording, file in zip(own, files[name], strict=True):
            for dim, names in wanted.items():
                more |= dict.fromkeys(_beyond(recording, dim, names, file))
    if more:
        detail = f"The first camera lacks {', '.join(more)}; nothing of them is lifted."
        findings.append(Finding("warning", "Points left out", detail))
    return wanted["keypoints"], wanted["individuals"]


def _beyond(recording: xr.DataArray, dim: str, wanted: list[str], file: Path) -> list[str]:
    """Return the names that a file has beyond those wanted."""
    held = [str(name) for name in recording.coords[dim].values]
    lacking = [name for name in wanted if name not in held]
    if lacking:
        raise DataError(
            f"{file.name}: has no {dim[:-1]} '{lacking[0]}', which the first camera has."
            f"{nearest(lacking[0], held)} It has {', '.join(held)}."
        )
    return [name for name in held if name not in wanted]


def one_film(
    pixels: Mapping[str, NDArray[np.float64]], files: Files, findings: list[Finding]
) -> None:
    """Tell which files are joined as networks of a camera; refuse those of several films.

    Parameters
    ----------
    pixels
        Camera -> (network, time, point, 2).

    Raises
    ------
    DataError
        If the networks of a camera see different things, and their names tell trials apart.
    """
    if all(len(own) == 1 for own in files.values()):
        return
    base = os.path.commonpath([file.parent for own in files.values() for file in own])
    names = {
        camera: [file.relative_to(base).as_posix() for file in own] for camera, own in files.items()
    }
    told = "; ".join(f"{camera}: {', '.join(own)}" for camera, own in names.items())
    findings.append(Finding("note", "Networks", f"Joined by their median: {told}."))
    apart = [camera for camera, own in pixels.items() if _unlike(own)]
    if not apart:
        return
    camera = apart[0]
    why = f"{', '.join(names[camera])}: what they see by camera '{camera}' is not alike"
    if _tell_trials(names[camera], camera):
        raise DataError(
            f"{why}, and their names tell trials apart: they are no networks of one film. Take "
            f"one trial at a time, with --include '{_glob(names[camera][0], camera)}' for example."
        )
    findings.append(Finding("warning", "Networks", f"{why}; are they of one film?"))


def _glob(name: str, camera: str) -> str:
    """Return the glob of files that are called as one is, but for the camera."""
    glob = re.sub(re.escape(camera), "*", name, flags=re.IGNORECASE)
    return f"*{glob}" if "/" in glob else glob


def _unlike(pixels: NDArray[np.float64]) -> bool:
    """Say whether networks (network, time, point, 2) are as far apart as at different times.

    Where the animal rests, whether they are far apart.
    """
    import warnings

    later = np.roll(pixels, pixels.shape[1] // 2, axis=1)
    pairs = list(combinations(range(len(pixels)), 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        now, then = (
            np.nanmedian([np.linalg.norm(pixels[a] - other[b], axis=-1) for a, b in pairs])
            for other in (pixels, later)
        )
        moved = np.nanmedian(np.linalg.norm(pixels - later, axis=-1))
    return bool(now > (max(GROSS_PX, GROSS_SHARE * then) if moved > GROSS_PX else FAR_PX))


def _tell_trials(names: Sequence[str], camera: str) -> bool:
    """Say whether names of files differ in a trial, a session, a date or the like.

    Examples
    --------
    >>> _tell_trials(["trial1_top.csv", "trial2_top.csv"], "top")
    True
    >>> _tell_trials(["fly4_top_rng=0.csv", "fly4_top_rng=1.csv"], "top")
    False
    >>> _tell_trials(["topDLC_Jan1shuffle1_100000.h5", "topDLC_Jan1shuffle1_200000.h5"], "top")
    False
    """
    bare = [TRAINING.sub("", name.lower().replace(camera.lower(), "")) for name in names]
    words = [{a + b for a, b in re.findall(r"([a-z]*)[-_ =]*(\d*)", name)} for name in bare]
    differing = set[str].union(*words) - set[str].intersection(*words)
    return any(TRIALS.match(word) or DATES.fullmatch(word) for word in differing)
