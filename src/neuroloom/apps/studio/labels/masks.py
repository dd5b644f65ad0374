"""Masks on slices of images and volumes: equal to the voxel, on the image's own grid.

`project/` is a data set of nnU-Net's layout (`imagesTr`, `labelsTr`, `dataset.json`), which
`volumes.segment` learns from. A stroke comes as runs of voxels and goes to `strokes.jsonl` before
anybody is answered; the mask itself, a compressed file, follows some seconds later.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.apps.studio.labels.found import (
    DIFFERS,
    in_numbers_here,
    numbers_here,
    read_found,
    read_unsure,
    weigh_slices,
)
from neuroloom.apps.studio.labels.given import read_given
from neuroloom.apps.studio.labels.grid import number_of, planes
from neuroloom.apps.studio.labels.lesson import UNDO, known_voxels, planes_touched, write_lesson
from neuroloom.apps.studio.labels.work import Work, names_of, plain_text, whole
from neuroloom.apps.studio.views import Window
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import write_json
from neuroloom.io.names import named_channels

MOST_IMAGES = 200
MOST_LABELS = 255
MOST_SLICES = 300
KEPT = 3  # masks in memory beside those that wait to be written
MOST_LINES = 100_000  # of the log, when it is asked which planes somebody has looked at
TOOLS = ("brush", "eraser", "polygon", "fill", "propagate", "model", UNDO)


class Masks(Work):
    """Labels of voxels, one number a structure."""

    rest = 3.0

    kind, looked_at = "masks", "project"

    @property
    def recipe(self) -> str:
        """The recipe that learns from these."""
        return "volumes.segment" if len(self.sizes[0]) == 3 else "microscopy.segment"

    @staticmethod
    def begin(folder: Path, source: Path, options: dict[str, Any]) -> dict[str, Any]:
        """Copy an image, or all images of a folder.

        `options`: `labels`, names of structures in the order of their numbers (1, 2, …); `mask`, a
        file to begin with where there is one image.
        """
        from neuroloom.io.images import image_stem, read_image, to_array

        names, images = _names(options.get("labels")), _images(source)
        stems: list[str] = []
        sizes: list[list[int]] = []
        for file in images:
            recording = read_image(file)
            stem = _free(image_stem(file), stems)
            _copy(file, recording, folder / "project" / "imagesTr", stem)
            sizes.append(list(to_array(recording).shape[1:]))
            stems.append(stem)
        facts = {"labels": names, "stems": stems, "sizes": sizes}
        facts["channels"] = named_channels(len(recording), map(str, recording.channel.values))
        if options.get("mask_path") and len(images) == 1:
            given = read_given(Path(options["mask_path"]), images[0], names)
            _write(_mask_file(folder, stems[0], sizes[0]), given, images[0])
            facts["given"] = stems
        _declare(folder / "project", facts)
        return facts

    def open(self) -> None:
        """Read the masks, and the strokes that came after them."""
        self.stems: list[str] = self.facts["stems"]
        self.sizes: list[tuple[int, ...]] = [tuple(size) for size in self.facts["sizes"]]
        copies = _by_stem(self.project / "imagesTr")
        self.files = [copies[stem] for stem in self.stems]
        self.masks: dict[int, np.ndarray] = {}
        there = [_mask_file(self.folder, *pair).is_file() for pair in self._pairs()]
        over = [stem in self._over for stem in self.stems]
        self.full = [a or b for a, b in zip(there, over, strict=True)]
        self._stale = {k for k, full in enumerate(self.full) if full and not there[k]}
        self._found: Path | None = None
        self._numbers: dict[int, int] | int = {}
        file = self.folder / "strokes.jsonl"
        for line in file.read_text("utf-8").splitlines() if file.is_file() else []:
            with contextlib.suppress(ValueError):  # half a last line: it was never answered
                self._draw(json.loads(line))

    @property
    def _over(self) -> set[str]:
        """Images whose mask says all: what is not painted of them is background."""
        return {*self.facts.get("finished", []), *self.facts.get("given", [])}

    def _pairs(self) -> list[tuple[str, tuple[int, ...]]]:
        return list(zip(self.stems, self.sizes, strict=True))

    def mask(self, image: int) -> np.ndarray:
        """Return the mask of an image, (z, y, x) or (y, x) uint8; asked for under the lock.

        Few stay in memory: the last ones, and those that wait to be written.
        """
        if image not in self.masks:
            self._let_go()
            from neuroloom.io.images import read_image, to_array

            file = _mask_file(self.folder, self.stems[image], self.sizes[image])
            if file.is_file():
                self.masks[image] = to_array(read_image(file))[0].astype(np.uint8)
            else:
                self.masks[image] = np.zeros(self.sizes[image], np.uint8)
        return self.masks[image]

    def _let_go(self) -> None:
        """Leave room for one more mask in memory."""
        written = [k for k in self.masks if k not in self._stale]
        for k in written[: max(len(written) - KEPT + 1, 0)]:
            del self.masks[k]

    def progress(self) -> tuple[int, int, str]:
        """Return images with a mask, which is empty where one is finished, and images."""
        return sum(self.full), len(self.stems), "images"

    def header(self) -> dict[str, Any]:
        """Return structures, and of each image its size, planes and the range of its values."""
        finished = self._over
        return {
            "labels": self.facts["labels"],
            "images": [
                {"name": stem, "shape": list(size), "full": full, "finished": stem in finished}
                for (stem, size), full in zip(self._pairs(), self.full, strict=True)
            ],
            "runs": self.facts.get("runs", []),
            "recipe": self.recipe,
        }

    def part(self, what: str, asked: dict[str, str]) -> Window:
        """Return `grid` of an image (JSON), or `slice`, `mask` or `found` of a plane as numbers.

        Asked: `image`, and for planes `axis` (of z, y, x) and `index`. A slice is float32, with the
        channels last; a mask, or what a model found, is uint8, one number a voxel, rows first.
        """
        image = number_of(asked, "image", len(self.stems))
        if what == "grid":
            return Window(json.dumps(self._grid(image)).encode())
        size = self.sizes[image]
        axis = number_of(asked, "axis", 3) if len(size) == 3 else 0
        index = number_of(asked, "index", size[axis]) if len(size) == 3 else 0
        where = (slice(None),) * axis + (index,) if len(size) == 3 else ()
        if what == "mask":
            with self.lock:
                return Window(self.mask(image)[where].tobytes(), "application/octet-stream")
        if what == "found":
            found = read_found(self._found, self.stems[image], size)[where]
            known = in_numbers_here(found, self._numbers)
            return Window(known.tobytes(), "application/octet-stream")
        if what != "slice":
            return super().part(what, asked)
        values = _values(self.files[image])
        plane = np.moveaxis(values[(slice(None), *where)], 0, -1)
        content = np.ascontiguousarray(plane, "<f4").tobytes()
        return Window(content, "application/octet-stream")

    def _grid(self, image: int) -> dict[str, Any]:
        from neuroloom.io.images import peek_image

        header = peek_image(self.files[image][0])
        values = _values(self.files[image])
        some = np.asarray(values[:3]).ravel()[:: max(1, values[:3].size // 200_000)]
        low, high = np.nanpercentile(some.astype(float), (1, 99.5))
        with self.lock:  # part by part: what is counted is made eight times as large
            parts = [np.bincount(part.ravel(), minlength=256) for part in self.mask(image)]
        counts = np.sum(parts, axis=0)
        return {
            "planes": planes(header.shape, header.spacing, header.affine),
            "channels": min(len(values), 3) if len(values) == 3 else 1,
            "low": float(low), "high": float(max(high, low + 1e-6)),
            "counts": {k: int(counts[k]) for k in np.flatnonzero(counts).tolist() if k},
        }  # fmt: skip

    def apply(self, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Paint runs of voxels: image, axis, index, `runs` [[start, length, number], …], tool.

        `start` counts the voxels of the plane, rows first. An edit {"label": name} adds a
        structure, {"label": name, "number": k} renames one, and {"image": k, "finished": true} says
        that what is not painted of an image is background, not unknown.
        """
        checked = [self._checked(edit) for edit in edits]
        lines, drawn = [], []
        for edit in checked:
            if "label" in edit:
                lines.append(self._name(edit))
                continue
            if "finished" in edit:
                lines.append(self._finish(edit))
                continue
            drawn.append(edit)
            lines.append({k: edit[k] for k in ("tool",)} | self._draw(edit))
        if drawn:
            with (self.folder / "strokes.jsonl").open("a", encoding="utf-8") as handle:
                handle.write("".join(json.dumps(edit) + "\n" for edit in drawn))
                handle.flush()
                os.fsync(handle.fileno())
            self.flush_soon()
        return lines

    def _checked(self, edit: dict[str, Any]) -> dict[str, Any]:
        if "label" in edit or "finished" in edit:
            return edit
        image = whole(edit, "image", len(self.stems))
        size = self.sizes[image]
        axis = whole(edit, "axis", 3) if len(size) == 3 else 0
        index = whole(edit, "index", size[axis]) if len(size) == 3 else 0
        voxels = int(np.prod([n for k, n in enumerate(size) if len(size) == 2 or k != axis]))
        runs, most = edit.get("runs"), len(self.facts["labels"])
        if not isinstance(runs, list):
            raise ConfigError("runs: expected [[start, length, number], …].")
        for run in runs:
            good = isinstance(run, list) and len(run) == 3
            good = good and all(type(v) is int for v in run)
            if not good or not (run[0] >= 0 and 0 < run[1] <= voxels - run[0]):
                raise ConfigError(
                    f"runs: expected [start, length, number] in {voxels} voxels, got {run}."
                )
            if not 0 <= run[2] <= most:
                raise ConfigError(f"runs: structures have the numbers 0 to {most}, got {run[2]}.")
        tool = edit.get("tool", "brush")
        return {
            "image": image, "axis": axis, "index": index, "runs": runs,
            "tool": tool if tool in TOOLS else "brush",
        }  # fmt: skip

    def _draw(self, edit: dict[str, Any]) -> dict[str, Any]:
        """Paint, and return what was there before and after, in voxels by number."""
        image, mask = edit["image"], self.mask(edit["image"])
        where = (slice(None),) * edit["axis"] + (edit["index"],) if mask.ndim == 3 else ()
        plane = np.array(mask[where]).ravel()
        before: dict[str, int] = {}
        after: dict[str, int] = {}
        for start, length, number in edit["runs"]:
            for k, n in enumerate(np.bincount(plane[start : start + length])):
                if n and k != number:
                    before[str(k)] = before.get(str(k), 0) + int(n)
                    after[str(number)] = after.get(str(number), 0) + int(n)
            plane[start : start + length] = number
        mask[where] = plane.reshape(mask[where].shape)
        self._changed(image, painted=bool(plane.any()))
        place = {"image": self.stems[image], "axis": edit["axis"], "index": edit["index"]}
        return place | {"from": before, "to": after}

    def _changed(self, image: int, *, painted: bool = False) -> None:
        """Take note that a mask is not written yet, and whether it tells something."""
        over = self.stems[image] in self._over
        self.full[image] = over or painted or bool(self.mask(image).any())
        self._stale.add(image)

    def _name(self, edit: dict[str, Any]) -> dict[str, Any]:
        names, number = list(self.facts["labels"]), edit.get("number")
        name = plain_text(edit["label"])
        if name in names:
            raise ConfigError(f"label: '{name}' is there already.")
        if not name:
            raise ConfigError("label: a structure needs a name.")
        if number is None:
            names.append(name)
            before: str | None = None
        else:
            at = whole(edit, "number", len(names) + 1) - 1
            before = names[at]
            names[at] = name
        self.keep(labels=_names(names))
        _declare(self.project, self.facts)
        return {"label": name, "from": before, "to": name}

    def _finish(self, edit: dict[str, Any]) -> dict[str, Any]:
        """Say whether all that is not painted of an image is background."""
        image = whole(edit, "image", len(self.stems))
        stem = self.stems[image]
        finished = [name for name in self.facts.get("finished", []) if name != stem]
        self.keep(finished=[*finished, stem] if edit["finished"] else finished)
        self._changed(image)
        self.flush_soon()
        return {"image": stem, "finished": bool(edit["finished"])}

    def _partly(self) -> dict[str, Any]:
        """Return the images that are painted here and there: planes somebody has looked at."""
        if len(self.sizes[0]) == 2:
            return {}
        full = {stem for stem, painted in zip(self.stems, self.full, strict=True) if painted}
        touched = planes_touched(self.log(MOST_LINES))
        return {stem: touched.get(stem, set()) for stem in full - self._over}

    def fill_lesson(self, folder: Path, before: Path | None) -> None:
        """Write what a net learns from, where planes that nobody has looked at are left open."""
        partly = self._partly()
        if not partly:
            super().fill_lesson(folder, before)
            return
        masks = {}
        for image, stem in enumerate(self.stems):
            if self.full[image]:
                mask = self.mask(image)
                known = known_voxels(mask.shape, partly[stem]) if stem in partly else mask >= 0
                masks[stem] = (mask, known)
        write_lesson(folder, self.project, masks, self.facts["labels"])

    def fields(self) -> dict[str, Any]:
        """Return the settings that fit: nothing can be held out where one image is painted."""
        return {"folds": 0} if sum(self.full) == 1 and self.recipe == "volumes.segment" else {}

    def flush(self) -> None:
        """Write the masks that were painted on; then their strokes are no longer needed."""
        for image in sorted(self._stale):
            file = _mask_file(self.folder, self.stems[image], self.sizes[image])
            if self.full[image]:
                _write(file, self.mask(image), self.files[image][0])
            else:  # nobody has said that there is nothing
                file.unlink(missing_ok=True)
        self._stale.clear()
        self._let_go()
        (self.folder / "strokes.jsonl").unlink(missing_ok=True)
        _declare(self.project, self.facts)

    def pictures(self) -> None:
        """Bring the data set up to date, for a model to look at."""
        self.flush()

    def doubts(self, prediction: Path, run: Path) -> dict[str, Any]:
        """Return the slices that a model and the mask see differently, or it is unsure of."""
        own = run.name in self.facts.get("runs", [])
        self._numbers = numbers_here(run, self.facts["labels"], own=own)
        self._found = prediction
        slices: list[dict[str, Any]] = []
        for image, (stem, size) in enumerate(self._pairs()):
            found = in_numbers_here(read_found(prediction, stem, size), self._numbers)
            unsure = read_unsure(prediction, stem, size)
            for index, value, why in weigh_slices(found, self.mask(image), unsure):
                slices.append({"image": image, "index": index, "doubt": value, "why": why})
        slices.sort(key=lambda one: (-one["doubt"], one["why"] != DIFFERS))
        return {"slices": slices[:MOST_SLICES]}

    def export(self, format: str) -> Path:
        """Return the mask of an image (`format`: its name, or nothing where there is one)."""
        stem = format or self.stems[0]
        if stem not in self.stems:
            raise ConfigError(f"format: there is no image '{format}'.")
        with self.lock:
            self.flush()
        file = _mask_file(self.folder, stem, self.sizes[self.stems.index(stem)])
        if not file.is_file():
            raise ConfigError(f"Nothing is painted on {stem} yet.")
        return file


@lru_cache(maxsize=2)
def _values(files: tuple[Path, ...]) -> np.ndarray:
    """Return the voxels of an image, (channel, z, y, x) or (channel, y, x); nobody changes them."""
    from neuroloom.io.images import read_image, to_array

    return np.concatenate([to_array(read_image(file)) for file in files])


def _by_stem(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return the files of each image in the order of its channels, from a folder of nnU-Net's."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        found.setdefault(file.name.rpartition("_")[0], []).append(file)
    return {stem: tuple(files) for stem, files in found.items()}


def _names(given: Any) -> list[str]:
    names = names_of(given, "labels", MOST_LABELS) or ["structure"]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"labels: '{twice[0]}' stands twice.")
    if "background" in names or "ignore" in names:
        raise ConfigError("labels: 'background' and 'ignore' mean something else; name structures.")
    return names


def _images(source: Path) -> list[Path]:
    from neuroloom.io.images import is_image

    if is_image(source):
        return [source]
    found = sorted(p for p in source.iterdir() if is_image(p)) if source.is_dir() else []
    if not found or len(found) > MOST_IMAGES:
        raise DataError(
            f"{source}: expected an image, or a folder of up to {MOST_IMAGES}; has {len(found)}."
        )
    return found


def _free(stem: str, taken: list[str]) -> str:
    return stem if stem not in taken else next(
        f"{stem}-{k}" for k in range(2, 10_000) if f"{stem}-{k}" not in taken
    )  # fmt: skip


def _copy(file: Path, recording: Any, folder: Path, stem: str) -> None:
    """Bring an image into the data set, a file a channel; as it is where that is possible."""
    from neuroloom.io.images import image_suffix, to_array, write_image

    folder.mkdir(parents=True, exist_ok=True)
    values = to_array(recording)
    flat, suffix = values.ndim == 3, image_suffix(file)
    if (flat and suffix in (".png", ".tif")) or (suffix == ".nii.gz" and len(values) == 1):
        shutil.copyfile(file, folder / f"{stem}_0000{suffix}")
        return
    for channel, part in enumerate(values):
        ending = ".png" if flat and part.dtype.kind == "u" else ".tif" if flat else ".nii.gz"
        write_image(folder / f"{stem}_{channel:04d}{ending}", part, like=recording)


def _mask_file(folder: Path, stem: str, size: Any) -> Path:
    ending = ".nii.gz" if len(size) == 3 else ".png"
    return folder / "project" / "labelsTr" / f"{stem}{ending}"


def _write(file: Path, mask: np.ndarray, image: Path) -> None:
    from neuroloom.io.images import read_image, write_image

    write_image(file, mask, like=read_image(image))


def _declare(project: Path, known: dict[str, Any]) -> None:
    """Write nnU-Net's description of the data set."""
    sizes = known["sizes"]
    masked = [s for s, size in zip(known["stems"], sizes, strict=True)
              if _mask_file(project.parent, s, size).is_file()]  # fmt: skip
    facts = {
        "channel_names": {str(k): name for k, name in enumerate(known.get("channels", ["image"]))},
        "labels": {"background": 0} | {n: k for k, n in enumerate(known["labels"], start=1)},
        "numTraining": len(masked),
        "file_ending": ".nii.gz" if len(sizes[0]) == 3 else ".png",
    }
    write_json(project / "dataset.json", facts)
