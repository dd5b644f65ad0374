"""Videos of eyes: which there are, where the eye is in them, and the pupil of every frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import check_there, names_apart, paths_inside
from neuroloom.eye.find.pupils import SHIPPED, Box, digest_of, find_eye, find_pupils, load_net

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.eye.nets import EyeNet
    from neuroloom.io.video import Video

LOOKS = 24  # frames from which the eye's place is learnt
BLOCK, KEEP = 32, 2048
FINE = 4_000_000  # pixels; cameras of eyes have fewer, microscopes have more
Invert = Literal["auto", "yes", "no"]
Size = tuple[int, int]


@dataclass(frozen=True)
class View:
    """How to look at one video: the part of the picture, and whether as a negative."""

    roi: Box | None = None
    invert: bool = False


@dataclass(frozen=True)
class Videos:
    """The videos that can be read, what the audit noticed, and (width, height) of each, px."""

    files: dict[str, Path]
    findings: list[Finding] = field(default_factory=list)
    sizes: dict[Path, Size] = field(default_factory=dict)

    def name_of(self, file: Path) -> str:
        """Return what a video is called."""
        return next(name for name, own in self.files.items() if own == file)


def find_videos(data: Path, include: list[str]) -> Videos:
    """Return the videos of a file or folder by name; those that cannot be read are findings.

    Hidden files, and what earlier runs left in the folder, are no videos.

    Raises
    ------
    DataError
        If there is none to read.
    """
    from neuroloom.io.video import Video, is_video, pictures_beside
    from neuroloom.io.videos import videos_inside

    check_there(data)
    alone = not data.is_dir() or is_video(data)
    listed = [data] if alone else videos_inside(data)
    wanted = [f for f in listed if not include or any(fnmatch(f.name, glob) for glob in include)]
    if not wanted:
        raise DataError(f"{data}: no video {'matches include.' if listed else _but_what(data)}")
    sizes: dict[Path, Size] = {}
    findings, lengths = pictures_beside(data, wanted), []
    for file in wanted:
        try:
            with Video(file, grey=True, patch=True) as video:
                lengths.append(len(video))
                sizes[file] = video.shape[1], video.shape[0]
                if file.is_dir() and sizes[file][0] * sizes[file][1] > FINE:
                    findings.append(_fine_pictures(file, sizes[file]))
                findings += [Finding("warning", "Video", note) for note in video.notes]
        except DataError as error:
            if len(wanted) == 1:
                raise
            findings.append(Finding("objection", "Video", left_out(error, file)))
    files = list(sizes)
    if not files:
        raise DataError(f"{data}: none of {len(wanted)} videos can be read. {findings[0].detail}")
    told = f"{len(files)} videos of {sum(lengths)} frames."
    named = dict(zip(names_apart(files), files, strict=True))
    return Videos(named, [Finding("note", "Videos", told), *findings], sizes)


def _but_what(folder: Path) -> str:
    """Say which files there are in a folder without a video."""
    from neuroloom.io.images import image_suffix

    files = [path for path in paths_inside(folder) if path.is_file()]
    counts = Counter((image_suffix(file) or file.suffix).lower() for file in files)
    kinds = ", ".join(f"{n} {end or 'without an ending'}" for end, n in counts.most_common(3))
    there = f"{len(files)} files ({kinds})" if files else "files, of which there are none"
    return (
        f"among its {there}. Give a film (.mp4, .avi, .mov …) or a folder of its frames; "
        "`neuroloom recipes` lists what reads other data."
    )


def _fine_pictures(folder: Path, size: Size) -> Finding:
    told = f"{folder.name}: is a folder of pictures of {size[0]} x {size[1]} px. They are measured "
    return Finding("warning", "Video", told + "as frames of an eye; give the videos alone if not.")


def left_out(error: DataError, file: Path) -> str:
    """Say what is wrong with a video that is left out, without its folder."""
    return f"{str(error).replace(str(file), file.name)} It was left out."


def net_of(weights: str | None) -> EyeNet:
    """Return the net of a file of weights or of a run of `eye.train`; None is the shipped one."""
    return load_net(weights_of(weights).get("weights", SHIPPED))


def weights_of(weights: str | None) -> dict[str, Path]:
    """Return the file of weights that a setting names, by the name "weights"; none by default."""
    if weights is None:
        return {}
    path = Path(weights)
    return {"weights": path / "model.safetensors" if path.is_dir() else path}


def check_roi(roi: list[int] | None) -> Box | None:
    """Return a region as left, top, width and height.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if roi is None:
        return None
    if len(roi) != 4 or min(roi) < 0 or min(roi[2:]) < 8:
        raise ConfigError(
            f"roi: expected left, top, width and height in px (8 or more wide and high), got {roi}."
        )
    left, top, width, height = roi
    return left, top, width, height


def check_inside(roi: Box | None, size: Size, name: str) -> None:
    """Refuse a region that reaches beyond frames of a size (width, height), px.

    Raises
    ------
    DataError
        Naming the video.
    """
    if roi is not None and (roi[0] + roi[2] > size[0] or roi[1] + roi[3] > size[1]):
        raise DataError(
            f"roi: {list(roi)} reaches beyond {name}, which is {size[0]} x {size[1]} px."
        )


def look_at(video: Video, net: EyeNet, roi: Box | None, invert: Invert) -> View:
    """Decide from frames all over a video where to look and whether at the negative.

    The net knows dark pupils and bright ones; the negative is taken where it is surer of it by a
    tenth.

    Raises
    ------
    DataError
        If the region lies outside the picture.
    """
    numbers = np.unique(np.linspace(0, len(video) - 1, LOOKS).astype(int))
    frames = video.read(numbers)[..., 0]
    check_inside(roi, (frames.shape[2], frames.shape[1]), video.path.name)
    if invert != "auto":
        negative = invert == "yes"
        return View(roi or find_eye(255 - frames if negative else frames, net), negative)
    views = [View(roi or find_eye(grey, net), negative)
             for negative, grey in ((False, frames), (True, 255 - frames))]  # fmt: skip
    sure = [
        float(np.mean(find_pupils(frames, net, roi=view.roi, invert=view.invert).confidence))
        for view in views
    ]
    return views[sure[1] > sure[0] + 0.1]


def scan_pupils(
    video: Video,
    view: View,
    net: EyeNet,
    folder: Path,
    *,
    side: int = 128,
    told: Callable[[int, int], object] | None = None,
) -> Path:
    """Find the pupil in every frame of a video, in constant memory; goes on where it stopped.

    Returns
    -------
    Path
        A folder of parts, for `pupil_parts`.
    """
    from neuroloom.learn.scan import scan

    def function(frames: np.ndarray) -> dict[str, np.ndarray]:
        found = find_pupils(frames[..., 0], net, roi=view.roi, invert=view.invert, side=side)
        return {
            "ellipse": found.ellipse, "confidence": found.confidence, "eye": found.eye,
            "blink": found.blink, "seen": found.seen,
        }  # fmt: skip

    key = f"roi {view.roi}, negative {view.invert}, side {side}, net {digest_of(net)}"
    return scan(video, function, folder, BLOCK, KEEP, key, told)


def pupil_table(video: Video, folder: Path, scale: float | None = None) -> pd.DataFrame:
    """Return a row a frame of a finished scan.

    Parameters
    ----------
    video
        What was scanned.
    folder
        From `scan_pupils`.
    scale
        mm a pixel; None: no columns in mm.

    Returns
    -------
    DataFrame
        frame, time_s, x_px, y_px (centre of the top-left pixel: 0, 0), major_px, minor_px (whole
        axes), angle_deg (of the long axis, from +x to +y), diameter_px (the long axis: what a round
        pupil seen aslant keeps), area_px2, with a scale diameter_mm and area_mm2 (of the pupil's
        disc), confidence, eye, blink (probabilities), rim (share of the rim seen). Frames that
        cannot be decoded have no pupil; `attrs["damaged"]` counts them.
    """
    import pandas as pd

    from neuroloom.learn.scan import read_scan

    held = read_scan(folder)
    unseen = held.get("damaged", np.zeros(len(held["eye"]), bool))
    held["ellipse"][unseen] = np.nan
    for name in ("confidence", "eye", "blink", "seen"):
        held[name][unseen] = 0.0
    x, y, a, b, angle = held["ellipse"].T
    columns = {
        "frame": np.arange(len(x)), "time_s": np.asarray(video.times), "x_px": x, "y_px": y,
        "major_px": 2 * a, "minor_px": 2 * b, "angle_deg": np.rad2deg(angle), "diameter_px": 2 * a,
        "area_px2": np.pi * a * b,
    }  # fmt: skip
    if scale is not None:
        columns |= {"diameter_mm": 2 * a * scale, "area_mm2": np.pi * (a * scale) ** 2}
    more = {"confidence": "confidence", "eye": "eye", "blink": "blink", "rim": "seen"}
    table = pd.DataFrame(columns | {name: held[own] for name, own in more.items()})
    table.attrs["damaged"] = int(unseen.sum())
    return table


def meye_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of pupils under the column names of MEYE's files.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict(frame=0, time_s=0.0, area_px2=9.0, x_px=1.0, y_px=2.0, eye=1.0, blink=0.0)
    >>> meye_table(pd.DataFrame([row])).columns.tolist()
    ['frame', 'timecode', 'pupil-area', 'pupil-x', 'pupil-y', 'eye', 'blink']
    """
    names = {
        "frame": "frame", "time_s": "timecode", "area_px2": "pupil-area", "x_px": "pupil-x",
        "y_px": "pupil-y", "eye": "eye", "blink": "blink",
    }  # fmt: skip
    return table[list(names)].rename(columns=names)


def drawn(video: Video, table: pd.DataFrame, sure: float) -> Iterator[np.ndarray]:
    """Yield the frames of a video with the pupils of confidence `sure` or more drawn on them."""
    from neuroloom.learn.overlay import draw_ellipses

    ellipses = ellipses_of(table)
    ellipses[table["confidence"].to_numpy() < sure] = np.nan
    for first, frames in video.blocks(BLOCK):
        for number, frame in enumerate(frames, start=first):
            yield draw_ellipses(frame, ellipses[number : number + 1])


def ellipses_of(table: pd.DataFrame) -> np.ndarray:
    """Return the ellipses (n, 5) of a table of pupils: x, y, half axes, angle (radians)."""
    columns = ["x_px", "y_px", "major_px", "minor_px", "angle_deg"]
    return table[columns].to_numpy(float) * [1, 1, 0.5, 0.5, np.pi / 180]
