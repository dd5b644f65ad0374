"""`microscopy.curate`: sort results by eye, merge two versions, and keep what a net learns from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import at_home, digest, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.io.cases.layouts import few, unlike_channels
from neuroloom.io.cases.tones import is_flat_between, white_near
from neuroloom.io.cases.truth import is_inside, is_lossy
from neuroloom.io.names import named_channels
from neuroloom.microscopy.curation import (
    IGNORE,
    Labels,
    Log,
    declare,
    exclude,
    merge,
    require_declared,
    sort_cases,
    write_case,
)
from neuroloom.microscopy.marks import Marks, read_marks

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.core.run import Run
    from neuroloom.io.cases import Case

ROLES = ("labels", "second", "regions", "exclude")
TRAINING = "training"


@dataclass(frozen=True)
class Prepared:
    """The images that have a result, their files by role, what was called good, its channels."""

    cases: list[Case]
    files: dict[str, dict[str, Path]]
    marks: Marks
    channels: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Curate(Recipe):
    """Turn results of a first segmentation into a training set: sort, merge, leave regions out.

    Without `marks` every result is drawn as an outline on its image, beside a table in which to
    mark it good or bad. With `marks` those called good are written as a data set for
    `microscopy.segment`: of two versions the second inside the masks of `regions`, and what lies
    in the masks of `exclude` neither learnt from nor scored. Files belong to the image whose name
    they have.

    Examples
    --------
    >>> Curate(second="other", regions="merge", marks="marks.csv").labels
    'labels'
    """

    name: ClassVar[str] = "microscopy.curate"
    summary: ClassVar[str] = "sort and merge segmentations by eye into a training set"
    data_kind: ClassVar[str] = "microscopy, images"
    beside: ClassVar[tuple[str, ...]] = (*ROLES, "marks")

    labels: str = setting("labels", "folder of the results to be sorted", basic=True)
    second: str | None = setting(None, "folder of a second version of them", basic=True)
    regions: str | None = setting(
        None, "folder of masks, in which the second version is taken", basic=True
    )
    exclude: str | None = setting(
        None, "folder of masks of what is neither learnt from nor scored", basic=True
    )
    marks: str | None = setting(
        None, "CSV with columns name and mark (good, bad), or a folder with good/ and bad/",
        basic=True,
    )  # fmt: skip
    classes: list[str] = setting(
        [], "names of the numbers 1, 2, … in results; default: all above 0 is one class", basic=True
    )
    images: list[str] = setting([], "globs of the images; default: as the layout says", basic=True)
    include: list[str] = setting([], "only images whose names match one of these globs")
    seed: int = setting(1, "of the bootstrap", ge=0)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted nuclei with two versions of masks and marks, and what they are."""
        from neuroloom.microscopy.story import demo

        own = {"labels": "first", "second": "second", "regions": "regions", "marks": "marks.csv"}
        return demo.candidates(folder, own)

    def prepare(self, data: Path) -> Prepared:
        """Find images, results, masks and marks, and compare their grids; nothing is written."""
        from neuroloom.io.cases import find_cases

        if self.regions and not self.second:
            raise ConfigError("regions: there is no second version to take there; name `second`.")
        if self.marks and self.second and not self.regions:
            raise ConfigError("second: name in `regions` where it is taken, or leave it out.")
        found = find_cases(data, self.include, self.images, ())
        files = {role: _by_name(data, role, getattr(self, role)) for role in ROLES}
        cases = [case for case in found.cases if case.name in files["labels"]]
        names = [case.name for case in cases]
        if not cases:
            raise DataError(
                f"{self.labels}: no file is called as an image is. The images are "
                f"{few(case.name for case in found.cases)}; name the folder of results in `labels`."
            )
        _require_alike(cases, files)
        for case in cases:
            for role in ROLES:
                self._check(case, files, role)
        marks = read_marks(_placed(data, self.marks), names) if self.marks else Marks()
        if self.marks and not marks.good:
            raise DataError(f"{self.marks}: no image is called good, so nothing is left to learn.")
        good = [case for case in cases if case.name in marks.good]
        channels = _channels(good, found.channels) if good else []
        bare = [case.name for case in found.cases if case.name not in names]
        findings = [Finding("note", "Files", text) for text in (found.layout, *found.notes)]
        findings += self._told(names, marks, bare)
        return Prepared(cases, files, marks, channels, findings)

    def _told(self, names: list[str], marks: Marks, bare: list[str]) -> list[Finding]:
        found = []
        if bare:
            found.append(Finding("warning", "Images without a result", f"{few(bare)}."))
        rest = [name for name in names if name not in (*marks.good, *marks.bad)]
        if self.marks and rest:
            told = f"{few(rest)}: neither good nor bad was said, so they are left out."
            found.append(Finding("warning", "Not yet judged", told))
        return found

    def work(self, prepared: Prepared, run: Run) -> None:
        """Curate case after case, and write the training set, the log and the report."""
        run.write_dataset({"files": _hashes(prepared)})
        write_json(run.folder / "audit.json", [one.as_dict() for one in prepared.findings])
        for one in prepared.findings:
            run.log("audit", **one.as_dict())
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained")
        log, rows = Log(), []
        marks, names = prepared.marks, [case.name for case in prepared.cases]
        kept = sort_cases(names, marks.good, log, marks.bad)
        for number, case in enumerate(prepared.cases, start=1):
            rows.append(self.curate(case, prepared, run.folder / "artifacts", log))
            place = {"role": "curate", "fit": number, "fits": len(names)}
            run.log("fitted", case=case.name, **place)
        if kept:
            folder = run.folder / "artifacts" / TRAINING
            suffix, channels = _suffix(prepared.cases), prepared.channels
            declare(folder, len(kept), self.names_of_classes, self.ignore, suffix, channels)
            log.save(folder)
        self.illustrate(run, prepared, rows)

    @property
    def names_of_classes(self) -> list[str]:
        """Names of the classes 1 … n of the training set."""
        return self.classes or ["object"]

    @property
    def ignore(self) -> int | None:
        """The label of what is excluded; None where nothing can be."""
        return IGNORE if self.exclude else None

    def curate(self, case: Case, prepared: Prepared, folder: Path, log: Log) -> dict[str, Any]:
        """Merge and leave out, draw the outcome, and write it if it was called good."""
        from neuroloom.microscopy.story.curate import write_sheet

        first = self.read(case, prepared.files, "labels")
        assert first is not None
        second, region = (self.read(case, prepared.files, role) for role in ("second", "regions"))
        labels = first
        if second is not None and region is not None:
            labels = merge(first, second, region, case=case.name, log=log)
        dirt = self.read(case, prepared.files, "exclude")
        if dirt is not None:
            labels = exclude(labels, dirt, case=case.name, log=log)
        mark = prepared.marks.of(case.name)
        write_sheet(folder, case, labels, second)
        if mark == "good":
            count, suffix = len(self.names_of_classes), _suffix(prepared.cases)
            kept = (case.name, whole_recording(case), labels, count, self.ignore, suffix)
            write_case(folder / TRAINING, *kept)
        return {
            "name": case.name, "mark": mark, "changed": float((labels != first).mean()),
            "share": float(((labels > 0) & (labels != IGNORE)).mean()),
        }  # fmt: skip

    def read(self, case: Case, files: dict[str, dict[str, Path]], role: str) -> Labels | None:
        """Read a case's file of a role as classes, shape (y, x) or (z, y, x); None without one."""
        file = files[role].get(case.name)
        if file is None:
            return None
        labels = read_plane(file)
        numbered = role in ("labels", "second") and self.classes
        return labels if numbered else inside_of(labels, file).astype(np.uint8)

    def _check(self, case: Case, files: dict[str, dict[str, Path]], role: str) -> None:
        """Refuse a file that cannot be read so, and a number that no class was declared for."""
        labels = self.read(case, files, role)
        if labels is not None and role in ("labels", "second") and self.classes:
            require_declared(labels, files[role][case.name].name, len(self.classes))

    def illustrate(self, run: Run, prepared: Prepared, rows: list[dict[str, Any]]) -> None:
        """Write the table to mark, the metrics, the contact sheets and the report."""
        from neuroloom.microscopy.story.curate import report_curation

        report_curation(self, run, prepared, rows)


def whole_recording(case: Case) -> xr.DataArray:
    """Read all channels of a case, of one file or of several, on the grid of the first."""
    from neuroloom.io.images import peek_image
    from neuroloom.io.images.door import on_grid

    kinds = [peek_image(file).dtype for file in case.images]
    return on_grid(case.image().astype(np.result_type(*kinds)), case.recording())


def read_plane(file: Path) -> Labels:
    """Read a mask or labels of one channel, in array order.

    Raises
    ------
    DataError
        If its channels differ, so that it is a picture.
    """
    from neuroloom.io.images import read_image, to_array

    array = to_array(read_image(file))
    if (array != array[0]).any():
        raise DataError(f"{file}: has {len(array)} channels that differ; a mask has one.")
    return array[0]


def inside_of(labels: Labels, file: Path) -> NDArray[np.bool_]:
    """Return what is marked: of numbers all above 0, of a mask with grey edges as `is_inside` does.

    Raises
    ------
    DataError
        If it holds fractions that are no soft mask.

    Examples
    --------
    >>> inside_of(np.array([0, 3, 255], np.uint8), Path("a.jpg")).tolist()
    [False, False, True]
    >>> inside_of(np.array([0, 90, 90, 90, 255], np.uint8), Path("a.png")).tolist()
    [False, True, True, True, True]
    """
    white = white_near(int(labels.max())) if labels.dtype.kind == "u" else 0
    if white and not is_lossy(file) and is_flat_between(labels, white):
        return labels > 0
    return is_inside(labels, str(file))


def _placed(data: Path, name: str) -> Path:
    """Return a path as it is said: relative to the data, else to where we are."""
    folder = data if data.is_dir() else data.parent
    return folder / name if (folder / name).exists() else at_home(name)


def _by_name(data: Path, role: str, name: str | None) -> dict[str, Path]:
    """Return name of an image -> its file in the folder of a role."""
    from neuroloom.io.cases.layouts import listed
    from neuroloom.io.images import image_stem

    if name is None:
        return {}
    folder = _placed(data, name)
    if not folder.is_dir():
        raise ConfigError(f"{role}: there is no folder {name}, in {data} or here.")
    files = [folder / file for file in listed(folder)]
    found = {image_stem(file): file for file in files}
    if len(found) < len(files):
        raise DataError(f"{folder}: two files are called as one image is; keep one of them.")
    return found


def _require_alike(cases: list[Case], files: dict[str, dict[str, Path]]) -> None:
    """Refuse files on another grid than their image, and a region without a second version."""
    from neuroloom.io.images import peek_image

    for case in cases:
        if case.name in files["regions"] and case.name not in files["second"]:
            raise DataError(f"{case.name}: has a region, but no second version to take there.")
        for role in ROLES:
            file = files[role].get(case.name)
            if file is not None and (shape := peek_image(file).shape) != case.shape:
                raise DataError(f"{file}: its grid is {shape}, that of the image {case.shape}.")


def _channels(cases: list[Case], names: list[str]) -> list[str]:
    """Return what the channels of the kept images are called; refuse other channels than theirs."""
    counts = [case.channel_count for case in cases]
    for case, count in zip(cases, counts, strict=True):
        if count != counts[0]:
            raise DataError(
                f"{case.name}: has {unlike_channels(count, counts[0])} as in {cases[0].name}; one "
                "net learns from images with the same channels: keep those of one kind."
            )
    return named_channels(counts[0], names or cases[0].header.channels)


def _suffix(cases: list[Case]) -> str:
    return ".nii.gz" if any(len(case.shape) == 3 for case in cases) else ".tif"


def _hashes(prepared: Prepared) -> dict[str, str]:
    cases = prepared.cases
    files = {
        f"image/{case.name}/{number}/{file.name}": file
        for case in cases
        for number, file in enumerate(case.images)
    }
    for role, own in prepared.files.items():
        kept = {case.name for case in cases} & set(own)
        files |= {f"{role}/{name}": own[name] for name in sorted(kept)}
    marks = hashlib.sha256(repr(prepared.marks).encode()).hexdigest()
    hashes = {name: digest(file) for name, file in files.items() if file.is_file()}
    return hashes | ({"marks": marks} if prepared.marks.good else {})
