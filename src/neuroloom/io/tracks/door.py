"""The door of tracks: which format a file is, and which one to write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.core.recording import check
from neuroloom.core.registry import load, table
from neuroloom.io.labels.door import at_gate

if TYPE_CHECKING:
    import xarray as xr

_ENDING_OF = {"lightning-pose": ".csv", "slp": ".slp", "nwb": ".nwb"}
ENDINGS = (".h5", ".csv", ".slp", ".nc", ".nwb")
FILTERED = "_filtered"  # ends the names of tracks that DeepLabCut smoothed
_BY_NAME = (
    (".analysis.h5", "analysis"),
    (".slp", "slp"),
    (".nwb", "nwb"),
    (".nc", "movement"),
    (".h5", "dlc"),
    (".csv", "dlc"),
)


def read_tracks(path: str | Path, rate: float | None = None) -> xr.DataArray:
    r"""Read tracks from the file of any program that is known.

    Parameters
    ----------
    path
        .h5 or .csv of DeepLabCut or Lightning Pose; .slp or .analysis.h5 of SLEAP; .nc of
        movement; .nwb with ndx-pose.
    rate
        Frames a second, Hz, where the file does not say; 1 if neither does, and then `time`
        counts frames.

    Raises
    ------
    DataError
        If it is none of them or damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = "scorer,n,n,n", "bodyparts,nose,nose,nose", "coords,x,y,likelihood", "0,4,5,0.9"
    ...     file = Path(folder) / "a.csv"
    ...     _ = file.write_text("\n".join(rows))
    ...     float(read_tracks(file).sel(space="y", keypoints="nose").squeeze())
    5.0
    """
    path = Path(path)
    return check(at_gate("track", _known_format(path), "read", path, rate), "tracks")


def read_each_video(path: str | Path, rate: float | None = None) -> dict[str, xr.DataArray]:
    """Read the tracks of each video of a file, by the video's name; of one alone it is "".

    Parameters
    ----------
    path, rate
        As of `read_tracks`. Tracks of several videos are held by SLEAP's .slp, and by tables whose
        rows are pictures of several folders.

    Raises
    ------
    DataError
        If the file is of no format that is known, or damaged.
    """
    path = Path(path)
    name = _known_format(path)
    if not hasattr(load("track", name), "read_each"):
        return {"": read_tracks(path, rate)}
    found = at_gate("track", name, "read_each", path, rate)
    return {name if len(found) > 1 else "": check(one, "tracks") for name, one in found.items()}


def _known_format(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    name = format_of(path)
    if name is None:
        raise DataError(
            f"{path}: holds no tracks that are known; expected {', '.join(table('track'))}."
        )
    return name


def is_tracks(path: Path) -> bool:
    """Say whether a file is of a format that holds tracks.

    Examples
    --------
    >>> is_tracks(Path("clip.slp")), is_tracks(Path("clip.txt"))
    (True, False)
    """
    return format_of(path) is not None


def format_of(path: Path) -> str | None:
    """Return the format of a file of tracks, as `write_tracks` takes it; None if it is of none.

    Examples
    --------
    >>> format_of(Path("clip.slp"))
    'slp'
    """
    return next((name for name in table("track") if at_gate("track", name, "claims", path)), None)


def write_tracks(recording: xr.DataArray, path: str | Path, format: str | None = None) -> Path:
    """Write tracks for another program.

    Parameters
    ----------
    recording
        A `tracks` recording.
    path
        The file.
    format
        "dlc", "lightning-pose", "slp", "analysis", "movement" or "nwb"; told by the file's
        ending if not given.

    Raises
    ------
    DataError
        If the format cannot hold them, or the ending tells none.
    """
    path = Path(path)
    named = next((name for end, name in _BY_NAME if path.name.lower().endswith(end)), None)
    name = format or named
    if name is None:
        raise DataError(
            f"{path.name}: expected the ending {', '.join(end for end, _ in _BY_NAME)}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    written: Path = load("track", name).write(check(recording, "tracks"), path)
    return written


def ending_of(source: str) -> str:
    """Return the ending of tracks in the program that a project of labels came from.

    A format that has none of its own for tracks gets DeepLabCut's .h5, which most programs read;
    `write_own` writes its results in its own words beside.

    Examples
    --------
    >>> ending_of("slp"), ending_of("deepposekit")
    ('.slp', '.h5')
    """
    return _ENDING_OF.get(source, ".h5")
