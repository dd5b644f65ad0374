"""Classes of images: a key a class, and a table that `volumes.classify` reads."""

from __future__ import annotations

import csv
import io
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.apps.studio.labels.grid import number_of
from neuroloom.apps.studio.labels.work import Work, names_of, plain_text, whole
from neuroloom.apps.studio.views import Window
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.files import write_json, write_text

MOST_IMAGES = 50_000
MOST_CLASSES = 35
SIDE = 1024  # px of a picture on the screen


class Classes(Work):
    """One class an image; kept as `project/classes.csv`, written with every key."""

    kind, recipe, learnt_from = "classes", "volumes.classify", "classes.csv"

    @staticmethod
    def begin(folder: Path, source: Path, options: dict[str, Any]) -> dict[str, Any]:
        """Begin with a folder of images; `options`: `classes`, names."""
        from neuroloom.io.images import is_image

        if not source.is_dir() or is_image(source):
            raise DataError(f"{source}: expected a folder of images, got one.")
        inside = (p.relative_to(source) for p in source.rglob("*") if is_image(p))
        found = sorted(
            p.as_posix() for p in inside if not any(part.startswith(".") for part in p.parts)
        )
        if not found or len(found) > MOST_IMAGES:
            raise DataError(f"{source}: expected 1 to {MOST_IMAGES} images, has {len(found)}.")
        classes = _names(options.get("classes"))
        if len(classes) < 2:
            raise ConfigError("classes: name at least two, for example healthy, lesion.")
        write_json(folder / "classes.json", {"labels": [None] * len(found)})
        return {"images": found, "classes": classes}

    def open(self) -> None:
        """Read what is kept."""
        from neuroloom.core.files import read_json

        self.images: list[str] = self.facts["images"]
        self.root = Path(self.facts["path"])
        self.labels: list[str | None] = read_json(self.folder / "classes.json")["labels"]
        self.flush()

    def progress(self) -> tuple[int, int, str]:
        """Return images with a class, and images."""
        return sum(label is not None for label in self.labels), len(self.images), "images"

    def header(self) -> dict[str, Any]:
        """Return the classes, images, and the class of each."""
        counts = {name: self.labels.count(name) for name in self.facts["classes"]}
        return {
            "classes": self.facts["classes"], "images": self.images, "labels": self.labels,
            "counts": counts, "runs": self.facts.get("runs", []), "pattern": self._pattern,
        }  # fmt: skip

    @property
    def _pattern(self) -> str:
        """What names of images, with their folders, say whose they are by; "" for BIDS alone."""
        return str(self.facts.get("pattern", ""))

    def fields(self) -> dict[str, Any]:
        """Return settings of the recipe that fit: which column is learnt."""
        return {"target": "class"}

    def part(self, what: str, asked: dict[str, str]) -> Window:
        """Return an `image` as PNG: of a volume the middle slice of an axis (`axis`, `share`)."""
        if what != "image":
            return super().part(what, asked)
        image = number_of(asked, "image", len(self.images))
        axis, share = number_of(asked, "axis", 3), number_of(asked, "share", 101)
        return Window(_picture(self.root / self.images[image], axis, share), "image/png")

    def apply(self, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Set classes: `image` (its number), `to` (a class, or null); or add a `class`.

        Or set the `pattern` of the names, "{subject}/*": it reads them as they are shown.
        """
        labels, classes = list(self.labels), list(self.facts["classes"])
        lines: list[dict[str, Any]] = []
        pattern = self._pattern
        for edit in edits:
            if "pattern" in edit:
                pattern = _checked(plain_text(edit["pattern"]))
                lines.append({"pattern": pattern, "from": self._pattern, "to": pattern})
                continue
            if "class" in edit:
                classes = _names([*classes, plain_text(edit["class"])])
                lines.append({"class": classes[-1], "from": None, "to": classes[-1]})
                continue
            image, to = whole(edit, "image", len(self.images)), edit.get("to")
            if to is not None and to not in classes:
                raise ConfigError(f"to: there is no class '{to}'.{nearest(str(to), classes)}")
            lines.append({"image": self.images[image], "from": labels[image], "to": to})
            labels[image] = to
        write_json(self.folder / "classes.json", {"labels": labels})
        self.labels = labels
        if (classes, pattern) != (self.facts["classes"], self._pattern):
            self.keep(classes=classes, pattern=pattern)
        self.flush()
        return lines

    def flush(self) -> None:
        """Write the table of what has a class: image (path), name, class, and whose it is.

        `subject`, `session` and `run` stand there only where names say so: an image is no subject.
        """
        held = io.StringIO()
        table = csv.writer(held, lineterminator="\n")
        columns, whose = _whose(self.images, self._pattern)
        table.writerow(["image", "name", "class", *columns])
        for name, label, who in zip(self.images, self.labels, whose, strict=True):
            if label is not None:
                table.writerow([(self.root / name).as_posix(), _case(name), label, *who])
        write_text(self.project / "classes.csv", held.getvalue())

    def teach(self) -> Path:
        """Write what a recipe learns from; refuse names that do not say whose an image is."""
        from neuroloom.io.cases.whose import keys_in

        for name, label in zip(self.images, self.labels, strict=True):
            if label is not None and self._pattern and not keys_in(name, self._pattern):
                raise ConfigError(
                    f"pattern '{self._pattern}' does not fit '{name}'. Write it like the names, "
                    "with their folders, {subject} where they say whose an image is and * for the "
                    "rest between two slashes."
                )
        return super().teach()

    def export(self, format: str) -> Path:
        """Return the table."""
        return self.project / "classes.csv"


def _names(given: Any) -> list[str]:
    names = names_of(given, "classes", MOST_CLASSES)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"classes: '{twice[0]}' stands twice.")
    return names


def _checked(pattern: str) -> str:
    """Return a pattern that says whose an image is; "" is none."""
    from neuroloom.io.recordings.find import compile_pattern

    if pattern and "subject" not in compile_pattern(pattern).groupindex:
        raise ConfigError(f"pattern '{pattern}': write {{subject}} where a name says whose it is.")
    return pattern


def _whose(images: list[str], pattern: str) -> tuple[list[str], list[list[str]]]:
    """Return columns that say whose images are, and their cells.

    Names are read by a pattern; without one as those of BIDS, if all of them have a `sub-`.
    """
    from neuroloom.io.cases.whose import keys_in

    keys = [keys_in(name, pattern) if pattern else _entities(name) for name in images]
    if not pattern and not all("subject" in one for one in keys):
        return [], [[] for _ in images]
    known = ("subject", "session", "run") if pattern else ("subject", "session")
    columns = [key for key in known if any(key in one for one in keys)]
    return columns, [[one.get(key, "") for key in columns] for one in keys]


def _entities(name: str) -> dict[str, str]:
    from neuroloom.io.bids import entities

    return {key: value for part in Path(name).parts for key, value in entities(part).items()}


def _case(name: str) -> str:
    """Return the name of an image with the folders that it lies in.

    Examples
    --------
    >>> _case("P01/anat/T1w.nii.gz")
    'P01_anat_T1w'
    """
    from neuroloom.io.images import image_stem

    return "_".join([*Path(name).parts[:-1], image_stem(Path(name))])


def _picture(file: Path, axis: int, share: int) -> bytes:
    """Return an image, or a slice of a volume, as PNG of its 1st to 99th percentile."""
    from PIL import Image

    from neuroloom.io.images import read_image, to_array

    values = to_array(read_image(file))
    if values.ndim == 4:
        index = round((values.shape[axis + 1] - 1) * (share or 50) / 100)
        values = np.flip(np.take(values, index, axis + 1), 1)
    plane = np.moveaxis(values[:3] if len(values) >= 3 else values[:1], 0, -1)
    if plane.dtype != np.uint8:
        low, high = np.nanpercentile(plane.astype(float), (1, 99))
        plane = np.clip((plane - low) / max(high - low, 1e-9) * 255, 0, 255)
    shown = Image.fromarray(np.nan_to_num(plane).astype(np.uint8).squeeze())
    shown.thumbnail((SIDE, SIDE))
    held = BytesIO()
    shown.save(held, "PNG", compress_level=1)
    return held.getvalue()
