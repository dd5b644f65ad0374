"""Videos by frames, with tracks drawn over them; tracks alone as paths."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.apps.studio.views import View, Window
from neuroloom.apps.studio.views.asked import beside, changed, choice, number, picture, whole
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import to_json

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.apps.studio.service import Studio
    from neuroloom.io.video import Video

OPEN = 4  # videos that stay open
MOST_FRAMES = 2000  # of points in a window
_turn = threading.Lock()


class VideoView(View):
    """Frames of a video, and the points that were found in them."""

    kind = "video"

    def header(self, path: Path) -> dict[str, Any]:
        """Return frames, rate (Hz), width and height (px); of tracks, their names as well."""
        from neuroloom.io.video import is_video

        if is_video(path):
            video, _ = _opened(path, *changed(path))
            height, width, _ = video.shape
            return {
                "frames": len(video), "rate": float(video.rate), "width": width, "height": height,
                "notes": list(video.notes), "keypoints": [], "individuals": [],
            }  # fmt: skip
        tracks = _tracks(path, *changed(path))
        points = tracks.values
        top = np.nanmax(points[:, :2], axis=(0, 2, 3)) if np.isfinite(points).any() else (1, 1)
        numbers = tracks.coords["frame"].values
        return {
            "frames": int(numbers.max()) + 1 if len(numbers) else 0,
            "rate": float(tracks.attrs["rate"]),
            "width": int(np.ceil(top[0])) + 10,
            "height": int(np.ceil(top[1])) + 10,
            "notes": [],
            "keypoints": [str(name) for name in tracks.coords["keypoints"].values],
            "individuals": [str(name) for name in tracks.coords["individuals"].values],
        }

    def window(self, path: Path, asked: dict[str, str]) -> Window:
        """Return a `frame` as JPEG at most `width` px wide, or with `what=points` points as JSON.

        Points: `start` and `count` (frames), of `tracks`, a file, or of `path` itself; each a list
        frame -> individual -> keypoint -> [x, y, confidence], null where there is none.
        """
        if choice(asked, "what", ("frame", "points")) == "points":
            return _points(Path(asked.get("tracks", "") or path), asked)
        video, lock = _opened(path, *changed(path))
        index = whole(asked, "frame", 0, 0, len(video) - 1)
        with lock:
            frame = video.read([index])[0]
        return picture(_narrowed(frame, whole(asked, "width", 960, 16, 4096)), "jpeg")

    def show(self, studio: Studio, data: str, over: str = "") -> None:
        """Build the viewer; tracks and videos that lie beside the file are offered."""
        from neuroloom.apps.studio.views.element import place
        from neuroloom.io.video import is_video

        self.header(studio.file(data))
        name = data.rpartition("/")[2]
        video, tracks = data, _tracks_beside(studio, data)
        if not is_video(studio.file(data)):
            video, tracks = _video_beside(studio, data), [[name, data]]
        if over:
            tracks = [[over.rpartition("/")[2], over], *(one for one in tracks if one[1] != over)]
        place("video", video or data, f"Frames of {name}", tracks=tracks, bare=not video)


def _tracks_beside(studio: Studio, data: str) -> list[list[str]]:
    """Return (name, path) of tracks in the video's folder whose names begin with its own."""
    from neuroloom.core.registry import load as registered
    from neuroloom.core.registry import names

    stem, found = Path(data).stem, []
    for name, path in beside(studio, data):
        if path == data or not name.startswith(stem):
            continue
        file = studio.file(path)
        if any(_claims(registered("track", kind), file) for kind in names("track")):
            found.append([name, path])
    return found


def _claims(module: Any, file: Path) -> bool:
    try:
        return bool(module.claims(file))
    except Exception:  # a file that cannot be looked at is no tracks
        return False


def _video_beside(studio: Studio, data: str) -> str:
    """Return the video whose name begins the tracks' own, the longest such; "" if there is none."""
    from neuroloom.io.video import SUFFIXES

    name = data.rpartition("/")[2]
    stems = [
        (len(Path(other).stem), path)
        for other, path in beside(studio, data)
        if Path(other).suffix.lower() in SUFFIXES and name.startswith(Path(other).stem)
    ]
    return max(stems)[1] if stems else ""


@lru_cache(maxsize=OPEN)
def _opened(path: Path, when: int, size: int) -> tuple[Video, threading.Lock]:
    """Return a video that stays open, and the lock of who reads it."""
    from neuroloom.io.video import Video

    with _turn:
        return Video(path), threading.Lock()


@lru_cache(maxsize=OPEN)
def _tracks(path: Path, when: int, size: int) -> xr.DataArray:
    from neuroloom.io.tracks import read_tracks

    found = read_tracks(path)
    if found.sizes["space"] != 2:
        raise DataError(f"{path.name} has tracks in space; only tracks in the plane are drawn.")
    return found.transpose("time", "space", "keypoints", "individuals")


def _points(path: Path, asked: dict[str, str]) -> Window:
    tracks = _tracks(path, *changed(path))
    numbers = tracks.coords["frame"].values
    start = int(number(asked, "start", 0))
    count = whole(asked, "count", 1, 1, MOST_FRAMES)
    if start < 0:
        raise ConfigError(f"start must be a frame from 0, got {start}.")
    rows = np.flatnonzero((numbers >= start) & (numbers < start + count))
    sure = tracks.coords["confidence"].transpose("time", "keypoints", "individuals").values
    both = np.concatenate([tracks.values[rows], sure[rows][:, None]], 1).transpose(0, 3, 2, 1)
    frames: list[Any] = [None] * count
    for row, own in zip(rows, both, strict=True):
        frames[int(numbers[row]) - start] = [[_point(point) for point in one] for one in own]
    return Window(to_json({"start": start, "frames": frames}).encode())


def _point(point: np.ndarray) -> list[float] | None:
    if not np.isfinite(point[:2]).all():
        return None
    sure = float(point[2]) if np.isfinite(point[2]) else 1.0
    return [round(float(point[0]), 2), round(float(point[1]), 2), round(sure, 3)]


def _narrowed(frame: np.ndarray, width: int) -> np.ndarray:
    grey = frame.shape[-1] == 1
    pixels = frame[..., 0] if grey else frame
    if pixels.shape[1] <= width:
        return pixels
    from PIL import Image

    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    return np.asarray(Image.fromarray(pixels).resize((width, height)))
