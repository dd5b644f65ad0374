"""`volumes.augment`: changed copies of images and labels, written, replayable, undone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.io.cases.layouts_table import CASES

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.io.cases import Case, FoundCases
    from neuroloom.io.cases.check import Problem
    from neuroloom.learn.dense.augment import Transform
    from neuroloom.volumes.copies import Copy, Source

DEFAULT = ["affine", "flip", "bias-field", "gamma", "noise"]
RESAMPLES = 1000
COLUMNS = ("name", "subject", "copy", "class", "dice", "unrestored")
WHOSE = ("subject", "session", "run", "split")


@dataclass(frozen=True)
class Found:
    """The cases, what the audit says of them, and the names of what is to be done."""

    cases: FoundCases
    problems: list[Problem]
    names: list[str]
    findings: tuple[Finding, ...] = ()

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """What is to be done."""
        from neuroloom.learn.dense.augment import parse_augment

        return parse_augment(self.names)


class Augment(Recipe):
    """Make changed copies of images and their labels, as training or a test of robustness needs.

    Every parameter that was drawn is kept in `transforms.json`, so a replay gives the same files.
    What moved is undone for the labels, which tells how well a prediction on a changed image can
    be brought back.

    Examples
    --------
    >>> Augment(transforms=["motion", "ghosting=0.4"], copies=2).copies
    2
    """

    name: ClassVar[str] = "volumes.augment"
    summary: ClassVar[str] = "changed copies of images and labels: replayable, invertible"
    data_kind: ClassVar[str] = "MRI"

    transforms: list[str] = setting(
        DEFAULT, "augmentations in their order: names, or name=strength", basic=True
    )
    copies: int = setting(1, "changed copies of each case", ge=1, basic=True)
    canonical: bool = setting(False, "first turn volumes to run right, front and up", basic=True)
    invert: bool = setting(True, "also undo what moved, and write the labels that come back",
                           basic=True)  # fmt: skip
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    images: list[str] = setting([], "globs that pick the images, where no layout is recognised")
    labels: list[str] = setting([], "globs that pick their labels")
    pattern: str | None = setting(None, 'keys in file names: "{subject}_{session}"')
    seed: int = setting(0, "of everything that is drawn", ge=0)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted volumes with masks, the fields of a short run, and what they are."""
        from neuroloom.volumes.story import demo

        return demo.balls(
            folder, {"transforms": ["flip", "rotate=8", "noise"], "copies": 1}, cases=3
        )

    def prepare(self, data: Path) -> Found:
        """Find and check the cases and the names of the transforms; nothing is written."""
        from neuroloom.io.cases import find_cases
        from neuroloom.io.cases.check import check_cases, require_sound
        from neuroloom.learn.dense.augment import parse_augment
        from neuroloom.volumes.copies import refuse_unfit

        transforms = parse_augment(self.transforms)
        if not transforms and not self.canonical:
            raise ConfigError("transforms: there is nothing to do; name at least one.")
        refuse_unfit(transforms)
        found = find_cases(data, self.include, self.images, self.labels, self.pattern)
        problems = require_sound(check_cases(found.cases, found.classes, found.ignore))
        return self._without_false_sides(Found(found, problems, self.transforms))

    def _without_false_sides(self, prepared: Found) -> Found:
        """Leave out the flip of the default where classes have a side; one asked for is refused."""
        if not any(own.name == "flip" for own in prepared.transforms):
            return prepared
        if not have_sides(prepared.cases):
            return prepared
        if self.transforms != DEFAULT:
            raise ConfigError(
                "transforms: the labels have classes on the left and on the right, and a mirrored "
                "copy would hold the left one on the right. Leave 'flip' out."
            )
        said = (
            "The labels have classes on the left and on the right; in a mirror image the left one "
            "would lie on the right. So 'flip' was left out of the default transforms."
        )
        names = [name for name in prepared.names if name != "flip"]
        told = Finding("note", "Copies are not mirrored", said)
        return replace(prepared, names=names, findings=(told,))

    def work(self, prepared: Found, run: Run) -> None:
        """Write the copies, what was drawn, how well labels came back, and the report."""
        run.write_dataset({"files": prepared.cases.hashes()})
        findings = _findings(prepared)
        write_json(run.folder / "audit.json", [own.as_dict() for own in findings])
        for finding in findings:
            run.log("audit", **finding.as_dict())
        plan = {
            "reason": "made at once",
            "transforms": [own.name for own in prepared.transforms],
            "copies": self.copies,
        }
        write_json(run.folder / "plan.json", plan)
        run.log("plan", **plan)
        transforms = fit_landmarks(prepared.transforms, prepared.cases)
        rows: list[dict[str, Any]] = []
        drawn: list[dict[str, Any]] = []
        files: list[dict[str, str]] = []
        began = time.perf_counter()
        for number, case in enumerate(prepared.cases.cases):
            for scores, what, where in self.copies_of(case, transforms, run.folder / "artifacts"):
                rows += scores
                drawn.append(what)
                files.append(where)
            place = {"role": "copies", "fit": number + 1, "fits": len(prepared.cases.cases)}
            run.log("fitted", name=case.name, **place)
        seconds = time.perf_counter() - began
        write_json(run.folder / "transforms.json", drawn)
        write_list(run.folder / "artifacts", files, prepared.cases.table, self.copies)
        write_names(run.folder / "artifacts", prepared.cases)
        table = _table(rows)
        write_atomic(run.folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
        run.log("scored", copies=len(drawn), copies_per_second=round(len(drawn) / seconds, 2))
        self.illustrate(run, prepared, table)

    def copies_of(
        self, case: Case, transforms: tuple[Transform, ...], folder: Path
    ) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any], dict[str, str]]]:
        """Write each copy of a case; yield how its labels came back, what was drawn, its files."""
        from neuroloom.volumes.copies import draw_copy, make_copy, seed_of

        source = self.source(case)
        for copy in range(1, self.copies + 1):
            drawn = draw_copy(source, transforms, seed_of(self.seed, case.name, copy))
            made = make_copy(source, transforms, drawn, self.invert)
            files = write_copy(made, source, folder, f"{case.name}_copy-{copy}")
            who = {"name": case.name, "subject": case.subject, "copy": copy}
            yield (
                _scores(made, source, who),
                {"name": case.name, "copy": copy} | {"drawn": drawn.to_plain()},
                files,
            )

    def source(self, case: Case) -> Source:
        """Read a case, turned to canonical axes if asked for."""
        from neuroloom.volumes.copies import Source, canonical

        source = Source(case.name, case.image(), case.truth(), case.recording())
        return canonical(source) if self.canonical else source

    def illustrate(self, run: Run, prepared: Found, table: pd.DataFrame) -> None:
        """Write the metrics, the figures and the report."""
        from neuroloom.volumes.story.augment import report_copies

        report_copies(self, run, prepared, table)


def _findings(prepared: Found) -> list[Finding]:
    told = list(prepared.findings)
    told += [
        Finding("warning" if own.severity == "warning" else "note", own.file, own.text)
        for own in prepared.problems
    ]
    told += [
        Finding("note", "Found", note) for note in (prepared.cases.layout, *prepared.cases.notes)
    ]
    return told


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(COLUMNS))


def have_sides(found: FoundCases) -> bool:
    """Tell whether classes are left and right ones, by their names or by where they lie."""
    from neuroloom.io.cases.sides import lie_on_sides
    from neuroloom.volumes.segment import has_sides

    names, more = found.classes or dict(found.names), [*found.regions, found.kind]
    sided = has_sides([*names.values(), *more])
    if sided and found.classes is None:  # an atlas names more than the labels hold
        sided = has_sides([*_drawn(found).values(), *more])
    return sided or lie_on_sides(found.cases, names, found.ignore)


def _drawn(found: FoundCases) -> dict[int, str]:
    """Return the numbers in the labels, each with its name, else itself as one."""
    truths = (case.truth() for case in found.cases)
    drawn = {int(value) for truth in truths if truth is not None for value in np.unique(truth)}
    return {
        value: found.names.get(value, str(value)) for value in sorted(drawn - {0, found.ignore})
    }


def fit_landmarks(transforms: tuple[Transform, ...], found: FoundCases) -> tuple[Transform, ...]:
    """Give "histogram" the mean landmarks of all cases; other transforms stay as they are."""
    from neuroloom.learn.dense.augment.histogram import Histogram, Landmarks

    if not any(isinstance(own, Histogram) for own in transforms):
        return transforms
    marks: Landmarks | None = None
    for case in found.cases:
        image = case.image()
        marks = marks or Landmarks(len(image))
        marks.update(image)
    assert marks is not None
    rows = tuple(tuple(row) for row in marks.finalize().tolist())
    return tuple(Histogram(rows) if isinstance(own, Histogram) else own for own in transforms)


def write_copy(made: Copy, source: Source, folder: Path, name: str) -> dict[str, str]:
    """Write image, label and the label brought back: images/, labels/ and restored/ of `folder`.

    The places of image and label in `folder` are returned.
    """
    from neuroloom.io.images import write_image

    suffix = ".nii.gz" if made.grid.attrs["kind"] == "volume" else ".tif"
    files = {"image": f"images/{name}{suffix}"}
    write_image(folder / files["image"], made.grid)
    if made.y is not None:
        files["label"] = f"labels/{name}{suffix}"
        write_image(folder / files["label"], made.y, like=made.grid)
    if made.restored is not None:
        write_image(folder / "restored" / f"{name}{suffix}", made.restored, like=source.grid)
    return files


def write_list(folder: Path, files: list[dict[str, str]], cases: pd.DataFrame, copies: int) -> Path:
    """Write `cases.csv`: the files of each copy and whose scan it is of, which folds go by.

    Parameters
    ----------
    files
        As `write_copy` returns them, all copies of the first case first.
    cases
        One row a case, as `FoundCases.table`.
    copies
        Of each case.
    """
    import pandas as pd

    known = [name for name in WHOSE if name in cases]
    whose = cases[known].loc[cases.index.repeat(copies)].reset_index(drop=True)
    table = pd.concat([pd.DataFrame(files), whose], axis=1)
    return write_atomic(folder / CASES, lambda p: table.to_csv(p, index=False))


def write_names(folder: Path, found: FoundCases) -> None:
    """Write `dataset.json`: what classes, regions, channels and the open part of labels are called.

    It is read beside `cases.csv`. Nothing is written where the data say none of it.
    """
    classes = found.classes or (_drawn(found) if found.names else {})
    regions = {name: list(numbers) for name, numbers in found.regions.items()}
    labels: dict[str, Any] = regions or {name: number for number, name in classes.items()}
    if found.ignore is not None:
        labels = (labels or {name: number for number, name in _drawn(found).items()}) | {
            "ignore": found.ignore
        }
    facts: dict[str, Any] = {"labels": {"background": 0} | labels} if labels else {}
    if found.channels:
        facts["channel_names"] = {str(k): name for k, name in enumerate(found.channels)}
    if found.painted:
        facts["regions_class_order"] = list(found.painted)
    if facts:
        write_json(folder / "dataset.json", facts)


def _scores(made: Copy, source: Source, who: dict[str, Any]) -> list[dict[str, Any]]:
    from neuroloom.volumes.copies import dice_by_class

    if made.restored is None or source.y is None:
        return []
    scores = dice_by_class(made.restored, source.y)
    left = {}
    if made.y is not None and made.y.shape == source.y.shape:
        left = dice_by_class(made.y, source.y)
    return [
        who | {"class": str(kind), "dice": dice, "unrestored": left.get(kind)}
        for kind, dice in scores.items()
    ]


def summarise_dice(table: pd.DataFrame, seed: int) -> dict[str, dict[str, float | None]]:
    """Return `label_dice`: how well labels came back, mean over copies, then over cases.

    Its interval is a bootstrap over cases; its baseline is the label of the changed copy, left
    where it is. Empty without labels.
    """
    if table.empty:
        return {}
    by_case = table.groupby("name", sort=True)[["dice", "unrestored"]].mean().to_numpy(float)
    rng = np.random.default_rng(seed)
    draws = by_case[rng.integers(len(by_case), size=(RESAMPLES, len(by_case))), 0].mean(1)
    value = by_case[:, 0].mean()
    low, high = np.quantile(draws, [0.025, 0.975])
    left = by_case[:, 1].mean()
    return {
        "label_dice": {
            "value": float(value), "low": float(min(low, value)), "high": float(max(high, value)),
            "baseline": None if np.isnan(left) else float(left), "chance": None,
        }
    }  # fmt: skip
