"""Keypoints on frames: a project in its own format, a click at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.apps.studio.labels.work import Work, whole
from neuroloom.apps.studio.views import Window
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import write_atomic

if TYPE_CHECKING:
    from neuroloom.io.labels import Labels

SUFFIX = {"label3d": "labels.mat", "coco": "labels.json", "nwb": "labels.nwb"}
ORIGINS = ("hand", "copy", "model", "undo", "swap")


class Keypoints(Work):
    """Points of animals in frames.

    The state is `points.npy`, written with every edit; the project itself follows within a second,
    and whenever somebody wants to read it.
    """

    rest = 0.7

    kind, recipe, looked_at = "keypoints", "pose.estimate", "pictures"

    @staticmethod
    def begin(folder: Path, source: Path, options: dict[str, Any]) -> dict[str, Any]:
        """Copy a project, or make one of a video in DeepLabCut's format.

        `options` for a video: `keypoints` (names), `bones` (pairs of names), `individuals`, and
        which frames: `how` ("even", "suggest" or "hand"), `count`, `numbers`.
        """
        from neuroloom.apps.studio.labels.frames import of_video
        from neuroloom.io.labels import read_labels, write_labels
        from neuroloom.io.video import is_video

        if is_video(source):
            labels = of_video(source, options)
            write_labels(labels, folder / "project", "dlc")
            return {"format": "dlc", "videos": [str(source)]}
        labels = read_labels(source, usable=False)
        place = folder / "project" / SUFFIX.get(labels.source, "")
        place.parent.mkdir(parents=True, exist_ok=True)
        write_labels(labels, place)
        _readable(place, labels)
        return {"format": labels.source, "videos": []}

    def open(self) -> None:
        """Read the project; points that were changed after it was written count."""
        from neuroloom.io.labels import read_labels

        self.place = self.project / SUFFIX.get(self.facts["format"], "")
        self.labels: Labels = read_labels(self.place, usable=False)
        self.points = self.labels.points.copy()
        file = self.folder / "points.npy"
        if file.is_file():
            kept = np.load(file, allow_pickle=False)
            self.points = kept if kept.shape == self.points.shape else self.points
        self._stale = not np.array_equal(self.points, self.labels.points, equal_nan=True)

    def progress(self) -> tuple[int, int, str]:
        """Return frames with a point, and frames."""
        return int(np.isfinite(self.points).all(-1).any((1, 2)).sum()), len(self.labels), "frames"

    def header(self) -> dict[str, Any]:
        """Return names, bones, pairs of left and right, frames, and all points."""
        skeleton, table = self.labels.skeleton, self.labels.frames
        return {
            "format": self.facts["format"],
            "keypoints": list(skeleton.keypoints),
            "edges": [list(map(int, edge)) for edge in skeleton.edges],
            "swaps": [list(map(int, pair)) for pair in skeleton.swaps],
            "individuals": list(self.labels.individuals),
            "frames": [
                {"video": str(video), "frame": int(frame), "image": Path(str(image)).name}
                for video, frame, image in table[["video", "frame", "image"]].values
            ],
            "points": plain(self.points),
            "can_add": self.facts["format"] == "dlc",
            "videos": [Path(video).name for video in self.facts.get("videos", [])],
            "notes": list(self.labels.notes)[:10],
            "runs": self.facts.get("runs", []),
            "model": self.facts.get("model", ""),
        }

    def part(self, what: str, asked: dict[str, str]) -> Window:
        """Return the picture of a frame as it is (`frame`: its row)."""
        from PIL import Image

        if what != "frame":
            return super().part(what, asked)
        row = int(asked["row"]) if asked.get("row", "").isdecimal() else -1
        if not 0 <= row < len(self.labels):
            raise ConfigError(f"row: expected 0 to {len(self.labels) - 1}.")
        pixels = self.labels.image(row)
        held = BytesIO()
        shown = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        shown.save(held, "JPEG", quality=92)
        return Window(held.getvalue(), "image/jpeg")

    def apply(self, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Set or take away points: frame, individual, point, `to` ([x, y] px, or null)."""
        points, lines = self.points.copy(), []
        for edit in edits:
            row, who, point = (
                whole(edit, name, size)
                for name, size in zip(
                    ("frame", "individual", "point"), points.shape[:3], strict=True
                )
            )
            before, after = points[row, who, point].copy(), _place(edit.get("to"))
            points[row, who, point] = after
            frame = self.labels.frames.iloc[row]
            origin = edit.get("origin", "hand")
            lines.append(
                {
                    "video": str(frame["video"]), "frame": int(frame["frame"]),
                    "individual": self.labels.individuals[who],
                    "point": self.labels.skeleton.keypoints[point],
                    "from": plain(before), "to": plain(np.asarray(after)),
                    "origin": origin if origin in ORIGINS else "hand",
                }
            )  # fmt: skip
        write_atomic(self.folder / "points.npy", lambda p: _save(p, points))
        self.points, self._stale = points, True
        self.flush_soon()
        return lines

    def flush(self) -> None:
        """Write the project in its own format."""
        from neuroloom.io.labels import write_labels

        if self._stale:
            labels = replace(self.labels, points=self.points)
            write_labels(labels, self.place, images=False)
            self.labels, self._stale = labels, False

    def export(self, format: str) -> Path:
        """Write the project, in its own or another format, as one ZIP."""
        import shutil

        from neuroloom.io.labels import write_labels
        from neuroloom.io.labels.door import known

        wanted = format or self.facts["format"]
        if wanted not in known():
            raise ConfigError(f"format: expected one of {', '.join(known())}, got '{wanted}'.")
        with self.lock:
            self.flush()
            folder = self.folder / "exports" / wanted
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_labels(self.labels, folder / SUFFIX.get(wanted, ""), wanted)
        return Path(shutil.make_archive(str(folder), "zip", folder))

    def add(self, source: Path, wanted: dict[str, Any]) -> int:
        """Add frames of a video to a project in DeepLabCut's format; return how many are new."""
        from neuroloom.apps.studio.labels.frames import joined, more_frames
        from neuroloom.io.labels import read_labels, write_labels

        if self.facts["format"] != "dlc":
            raise ConfigError("Frames can be added to projects in DeepLabCut's format; export it.")
        with self.lock:
            self.flush()
            new = more_frames(self.labels, source, wanted | {"labels": self._known()})
            if new is None:
                return 0
            write_labels(joined(self.labels, new), self.place)
            (self.folder / "points.npy").unlink(missing_ok=True)
            self.labels = read_labels(self.place, usable=False)
            self.points, self._stale = self.labels.points.copy(), False
            self.version += 1
            videos = dict.fromkeys([*self.facts.get("videos", []), str(source)])
            self.keep(videos=list(videos), prediction="")
            return len(new)

    def _known(self) -> str | None:
        """Return the project, for frames that are unlike its own; None while it teaches nothing."""
        return str(self.place) if np.isfinite(self.points).any() else None

    def pictures(self) -> None:
        """Write every frame as a picture, in a folder a size, for a model to look at."""
        import shutil

        from PIL import Image

        root = self.folder / "pictures"
        shutil.rmtree(root, ignore_errors=True)
        for row in range(len(self.labels)):
            pixels = self.labels.image(row)
            place = root / f"{pixels.shape[1]}x{pixels.shape[0]}x{pixels.shape[2]}"
            place.mkdir(parents=True, exist_ok=True)
            shown = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
            shown.save(place / f"{row:06d}.png", compress_level=1)

    def doubts(self, prediction: Path, run: Path) -> dict[str, Any]:
        """Return what a model found in these frames, and how doubtful each is."""
        from neuroloom.apps.studio.labels.doubts import read_found, weigh

        found = read_found(prediction, self.folder / "pictures", self.labels)
        skeleton = self.labels.skeleton
        doubt, why = weigh(found, self.points, skeleton.keypoints, skeleton.swaps)
        return {
            "points": plain(found),
            "doubt": [round(float(value), 4) for value in doubt],
            "why": why,
            "order": np.argsort(-doubt, kind="stable").tolist(),
        }


def plain(points: np.ndarray) -> Any:
    """Return coordinates as nested lists, None where there is no point; 0.01 px are kept.

    Examples
    --------
    >>> plain(np.array([[1.25, 2.0], [np.nan, np.nan]]))
    [[1.25, 2.0], None]
    """
    if points.ndim > 1:
        return [plain(part) for part in points]
    return [round(float(v), 3) for v in points] if np.isfinite(points[:2]).all() else None


def _place(to: Any) -> Sequence[float]:
    """Return x and y of an edit, NaN to take a point away."""
    if to is None:
        return (np.nan, np.nan)
    good = isinstance(to, list) and len(to) == 2
    good = good and all(isinstance(v, int | float) and abs(v) < 1e6 for v in to)
    if not good:
        raise ConfigError(f"to: expected [x, y] in px, or null, got {to!r}.")
    return (float(to[0]), float(to[1]))


def _save(path: Path, points: np.ndarray) -> None:
    with path.open("wb") as handle:
        np.save(handle, points)


def _readable(place: Path, labels: Labels) -> None:
    """Refuse a copy whose pictures cannot be read: it could not be labelled."""
    from neuroloom.io.labels import read_labels

    copy = read_labels(place, usable=False)
    if len(copy) != len(labels):
        raise DataError(f"{labels.root}: {len(labels)} frames, {len(copy)} could be copied.")
    copy.image(0)
