"""`microscopy.measure`: per-axon tables, densities and calibres from axon and myelin masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import (
    PREDICTION,
    check_there,
    digest,
    paths_inside,
    told_results,
    write_json,
)
from neuroloom.core.recipe import Recipe, setting
from neuroloom.io.cases.layouts import few, included

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run

ROLES = ("axon", "myelin", "nerve")
READS = (PREDICTION,)  # results of ours that hold masks
REMEDIES = {
    "myelin": "set `myelin` to none (in YAML null) if the axons have none",
    "nerve": "measure the images that have fascicles and those that have none apart (`include`)",
}


@dataclass(frozen=True)
class Section:
    """The masks of one image and the size of its pixels."""

    name: str
    axon: Path
    myelin: Path | None
    nerve: Path | None
    pixel_um: float


@dataclass(frozen=True)
class Prepared:
    """The images to measure, and what the audit noticed."""

    sections: list[Section]
    findings: list[Finding] = field(default_factory=list)


class Measure(Recipe):
    """Measure every axon and its myelin: diameter, g-ratio, thickness, shape, densities.

    Tables have the headings of AxonDeepSeg, so that they can be put beside its own.

    Examples
    --------
    >>> Measure(pixel_size=0.07).shape
    'circle'
    """

    name: ClassVar[str] = "microscopy.measure"
    summary: ClassVar[str] = "measure axons and myelin from their masks"
    data_kind: ClassVar[str] = "microscopy, images"

    pixel_size: float | None = setting(
        None, "width of a pixel; default: as the files say", unit="um", gt=0, basic=True
    )
    axon: str = setting("*_seg-axon.*", "glob of the axon masks", basic=True)
    myelin: str | None = setting(
        "*_seg-myelin.*", "glob of the myelin masks; none: axons have no myelin", basic=True
    )
    nerve: str | None = setting(None, "glob of masks of the fascicles", basic=True)
    shape: Literal["circle", "ellipse"] = setting(
        "circle", "a diameter is of the circle of equal area, or the ellipse's minor axis",
        basic=True,
    )  # fmt: skip
    tables: Literal["xlsx", "csv"] = setting("xlsx", "format of the tables of axons", basic=True)
    border: bool = setting(True, "axons at the border, which are cut, are in the tables")
    include: list[str] = setting([], "only axon masks whose names match one of these globs")
    seed: int = setting(1, "of the bootstrap", ge=0)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted masks, the fields that fit them, and what they are."""
        from neuroloom.microscopy.story import demo

        return demo.fibres(folder, {"pixel_size": demo.PIXEL})

    def prepare(self, data: Path) -> Prepared:
        """Pair the masks by name, read them and compare their grids; nothing is written."""
        check_there(data)
        found = {role: _by_stem(data, getattr(self, role)) for role in ROLES}
        axons = {k: file for k, file in found["axon"].items() if data.is_dir() or file == data}
        if not axons:
            passed = told_results(data, READS) if data.is_dir() else ""
            raise DataError(f"{data}: no file matches axon '{self.axon}'.{passed}")
        axons = {k: file for k, file in axons.items() if included(file.name, self.include)}
        if not axons:
            raise DataError(f"{data}: no axon mask matches include {', '.join(self.include)}.")
        for role, remedy in REMEDIES.items():
            glob, lacking = getattr(self, role), sorted(set(axons) - set(found[role]))
            if glob is not None and lacking:
                raise DataError(
                    f"{data}: {lacking[0]} has an axon mask, but no {role} mask ('{glob}'). Add "
                    f"it, or {remedy}."
                )
        sections = [
            Section(key.replace("/", "_"), file, found["myelin"].get(key),
                    found["nerve"].get(key), self.pixel_size or _pixel_of(file, key))
            for key, file in axons.items()
        ]  # fmt: skip
        bare = [one.name for one in sections if not read_masks(one)["axon"].any()]
        return Prepared(sections, [*_plausible(sections), *_empty(bare)])

    def work(self, prepared: Prepared, run: Run) -> None:
        """Measure image after image, and write tables, metrics and the report."""
        files = {
            f"{one.name}/{file.name}": digest(file)
            for one in prepared.sections
            for file in (one.axon, one.myelin, one.nerve)
            if file is not None
        }
        run.write_dataset({"files": files})
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained")
        parts = []
        for number, section in enumerate(prepared.sections, start=1):
            parts.append(self.measure(section, run.folder / "artifacts"))
            place = {"role": "measure", "fit": number, "fits": len(prepared.sections)}
            run.log("fitted", case=section.name, **place)
        self.illustrate(run, prepared, parts)

    def illustrate(
        self, run: Run, prepared: Prepared, parts: list[dict[str, pd.DataFrame]]
    ) -> None:
        """Write the metrics, the figures and the report."""
        from neuroloom.microscopy.story.axons import report_axons

        report_axons(self, run, prepared, parts)

    def measure(self, section: Section, folder: Path) -> dict[str, pd.DataFrame]:
        """Measure one image and write its table; return "axons" and "densities"."""
        from neuroloom.microscopy.measures import density_table, nerve_morphometry
        from neuroloom.microscopy.morphometry import morphometry, write_tables

        masks, pixel = read_masks(section), section.pixel_um
        axon, myelin, nerve = masks["axon"], masks.get("myelin"), masks.get("nerve")
        table = morphometry(axon, myelin, pixel, self.shape)
        if nerve is not None:
            found, table = nerve_morphometry(table, nerve, pixel)
            write_json(folder / f"{section.name}_nerve_morphometrics.json", found)
        densities = density_table(table, axon, myelin, pixel, nerve)
        kept = table if self.border else table[~table["image_border_touching"]]
        kept = kept.reset_index(drop=True)
        write_tables(kept, folder / f"{section.name}_axon_morphometrics.{self.tables}")
        return {"axons": kept, "densities": densities}


def read_mask(path: Path) -> np.ndarray:
    """Read a mask of one channel, shape (y, x); several that are equal (RGB) count as one.

    Raises
    ------
    DataError
        If it is no plane, or its channels differ, so that the mask is drawn in a colour.
    """
    from neuroloom.io.images import read_image, to_array

    array = to_array(read_image(path))
    if array.ndim != 3:
        raise DataError(f"{path.name}: a mask of axons is 2-D, this has shape {array.shape}.")
    if (array != array[0]).any():
        raise DataError(
            f"{path.name}: a mask has one channel, this one has {len(array)} that differ; write it "
            "in black and white."
        )
    return array[0]


def read_masks(section: Section) -> dict[str, np.ndarray]:
    """Read the masks that an image has, by their role: axon, myelin, nerve.

    Raises
    ------
    DataError
        If one is not as `read_mask` wants it, they differ in shape, or no fascicle is drawn.
    """
    files = {role: getattr(section, role) for role in ROLES}
    masks = {role: read_mask(file) for role, file in files.items() if file is not None}
    for role, mask in masks.items():
        if mask.shape != masks["axon"].shape:
            raise DataError(
                f"{files[role].name} has {mask.shape} pixels, {section.axon.name} "
                f"{masks['axon'].shape}: masks of one image lie on one grid."
            )
    if "nerve" in masks and not masks["nerve"].any():
        raise DataError(f"{files['nerve'].name}: the mask is empty; draw the fascicles.")
    return masks


def _by_stem(data: Path, pattern: str | None) -> dict[str, Path]:
    """Return folder and what the first star of a glob stands for, FOLDER/STAR -> the file."""
    import fnmatch
    import re

    if pattern is None:
        return {}
    if "*" not in pattern:
        raise ConfigError(f"'{pattern}' needs a star for the part of the name that is the image's.")
    folder = data if data.is_dir() else data.parent
    before, after = pattern.split("*", 1)
    rule = re.compile(re.escape(before) + "(.+?)" + fnmatch.translate(after))
    files = (file for file in paths_inside(folder, READS) if file.is_file())
    matches = {file: rule.match(file.name) for file in files}
    found: dict[str, Path] = {}
    for file, match in matches.items():
        if match is None:
            continue
        key = "/".join([*file.parent.relative_to(folder).parts, match[1]])
        found[key] = file
    return found


def _pixel_of(file: Path, key: str) -> float:
    """Return the width of a pixel, um, as a text file beside the mask says, or the mask itself."""
    from neuroloom.io.cases.layouts import pixel_beside
    from neuroloom.io.images import peek_image
    from neuroloom.microscopy.data import SQUARE

    if told := pixel_beside(file.parent, file.name, key):
        return told[0][0]
    header = peek_image(file)
    if header.unit not in ("um", "mm"):
        raise ConfigError(f"pixel_size: {file.name} does not say how wide a pixel is; give it, um.")
    if max(header.spacing) > SQUARE * min(header.spacing):
        sides = " x ".join(f"{size:g}" for size in header.spacing)
        raise ConfigError(
            f"pixel_size: the pixels of {file.name} are {sides} {header.unit}, and axons are "
            "measured in square ones. Resample the masks, or give the size if the file is wrong."
        )
    return float(header.spacing[-1]) * (1000 if header.unit == "mm" else 1)


def _empty(bare: Sequence[str]) -> list[Finding]:
    told = f"{few(bare)}: nothing is drawn in the axon mask, so that no axon was measured."
    return [Finding("warning", "No axons", told)] if bare else []


def _plausible(sections: Sequence[Section]) -> list[Finding]:
    """Return a finding for each size of a pixel, and the images that have it."""
    names: dict[float, list[str]] = {}
    for section in sections:
        names.setdefault(section.pixel_um, []).append(section.name)
    found = []
    for pixel, own in names.items():
        text = f"{few(own)}: {pixel:g} um a pixel."
        if 0.001 <= pixel <= 1:
            found.append(Finding("note", "Pixel size", text))
            continue
        text += " Axons of 0.2 to 10 um can hardly be measured so; look whether the unit is um."
        found.append(Finding("warning", "Pixel size", text))
    return found
