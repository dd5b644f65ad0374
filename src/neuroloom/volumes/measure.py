"""`volumes.measures`: how well predicted labels, or images, agree with true ones, by case."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import digest, write_atomic, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.io.cases.layouts import few
from neuroloom.learn.dense.measures.overlap import Classes, without_ignored
from neuroloom.volumes import measures
from neuroloom.volumes.agreement.pairs import (
    FOUND_WORDS,
    TRUE_WORDS,
    LabelPair,
    check_grids,
    find_pairs,
)

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.io.images import ImageHeader

WHOLE = "foreground"
OPEN = 2
OF_MASKS = ("classes", "tolerance", "lesions", "instances", "ignore", "beta", "overlap")


@dataclass(frozen=True)
class Prepared:
    """The pairs below a folder, their classes (none of images), and what the audit noticed."""

    root: Path
    pairs: list[LabelPair]
    classes: dict[str, tuple[int, ...]]
    findings: list[Finding] = field(default_factory=list)
    unit: str = "px"


class Measure(Recipe):
    """Measure predicted segmentations, or images, against the truth, whoever made them.

    Every case and class by the measures of pymia (and two more), lesion by lesion and instance by
    instance where that is asked for; then summed up over cases. Measures of grey values (R2, MAE,
    MSE, RMSE, NRMSE, PSNR, SSIM) compare images, channel by channel. Nothing is trained.

    Examples
    --------
    >>> Measure(metrics=["DICE", "HDRFDST95"], tolerance=2).tolerance
    2.0
    """

    name: ClassVar[str] = "volumes.measures"
    summary: ClassVar[str] = "measure predicted segmentations or images against the truth"
    data_kind: ClassVar[str] = "MR, CT, microscopy with masks"

    truth: str | None = setting(
        None, "folder or glob of the true labels or images; default: truth/, labels/ …", basic=True
    )
    prediction: str | None = setting(
        None, "folder or glob of the predicted ones; default: prediction/, pred/ …", basic=True
    )
    metrics: list[str] = setting(
        [], "measures by name; default: the usual ten of masks", basic=True
    )
    classes: dict[str, str] = setting(
        {}, "name of a class -> its label, or labels of a region: '1,2'", basic=True
    )
    tolerance: float | None = setting(
        None, "within which surfaces agree; default: 1 mm, or one pixel", gt=0, basic=True
    )
    lesions: bool = setting(False, "also count connected components one by one", basic=True)
    instances: bool = setting(False, "labels number instances (cells), 0 is none", basic=True)
    by: list[str] | None = setting(
        None, "columns to sum up by: class (channel of images), or keys of pattern or table"
    )
    pattern: str | None = setting(None, "keys in the names of the truths: '{subject}_{visit}'")
    include: list[str] = setting([], "only truths whose names match one of these globs")
    missing: Literal["refuse", "empty", "skip"] = setting(
        "refuse", "what to do with a truth that has no prediction"
    )
    ignore: int | None = setting(None, "label of the truth whose voxels count nowhere", ge=0)
    beta: float = setting(1.0, "weight of recall in FMEASR", gt=0)
    overlap: float = setting(0.0, "a lesion is found if more than this share of it is", ge=0, lt=1)
    seed: int = setting(1, "of the bootstrap", ge=0)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted masks and predictions, the fields that fit them, and what they are."""
        from neuroloom.volumes.story import demo

        return demo.predictions(folder, {"lesions": True, "pattern": "{subject}_{visit}"})

    @property
    def kind(self) -> Literal["mask", "image"]:
        """What the measures are of."""
        return measures.kind_of(self.metrics)

    @property
    def chosen(self) -> list[str]:
        """Names of the measures."""
        return list(measures.find_measures(self.metrics or measures.USUAL, self.kind))

    @property
    def groups(self) -> list[str]:
        """Columns to sum up by."""
        own = "class" if self.kind == "mask" else "channel"
        return [own] if self.by is None else self.by

    def prepare(self, data: Path) -> Prepared:
        """Pair the files, and compare grids and contents; nothing is written."""
        from neuroloom.volumes.agreement.imagepairs import MADE_WORDS, REAL_WORDS, check_images

        _ = self.chosen
        self._refuse_idle_settings()
        words = (TRUE_WORDS, FOUND_WORDS) if self.kind == "mask" else (REAL_WORDS, MADE_WORDS)
        pairs, notes = find_pairs(
            data, self.truth, self.prediction, self.include, self.pattern, words
        )
        pairs, lacking = self._present(pairs)
        check_grids(pairs)
        classes: dict[str, tuple[int, ...]] = {}
        alone: list[Finding] = []
        if self.kind == "image":
            check_images(pairs)
        else:
            classes, alone = self._classes(pairs)
        findings = [Finding("note", "Files", note) for note in notes] + lacking + alone
        parts = "class" if self.kind == "mask" else "channel"
        columns = {parts, "case", *(key for pair in pairs for key in pair.keys)}
        if odd := [name for name in self.groups if name not in columns]:
            held = ", ".join(sorted(columns))
            raise ConfigError(f"by: there is no '{odd[0]}' to sum up by; there are {held}.")
        root = data if data.is_dir() else data.parent
        return Prepared(root, pairs, classes, findings, pairs[0].header.unit)

    def _refuse_idle_settings(self) -> None:
        """Refuse settings that exclude each other, or mean nothing to images."""
        if self.instances and self.classes:
            raise ConfigError(
                "instances: the labels number instances, so that they cannot be classes too; "
                "leave out one of `classes` and `instances`."
            )
        given = self.settings()
        idle = [name for name in OF_MASKS if name in given]
        idle += ["missing=empty"] if self.missing == "empty" else []
        if self.kind == "image" and idle:
            raise ConfigError(
                f"{self.chosen[0]} compares images, to which {', '.join(idle)} means nothing: "
                "leave it out."
            )

    def _present(self, pairs: list[LabelPair]) -> tuple[list[LabelPair], list[Finding]]:
        lacking = [pair.name for pair in pairs if pair.predicted is None]
        if not lacking:
            return pairs, []
        told = f"{len(lacking)} of {len(pairs)} truths have no prediction: {', '.join(lacking[:9])}"
        if self.missing == "refuse":
            raise DataError(f"{told}. Add them, or say `missing: empty` or `missing: skip`.")
        if self.missing == "empty":
            return pairs, [Finding("warning", "Missing", f"{told}; they count as empty.")]
        left = [pair for pair in pairs if pair.predicted is not None]
        return left, [Finding("objection", "Missing", f"{told}; they were left out.")]

    def _classes(self, pairs: list[LabelPair]) -> tuple[dict[str, tuple[int, ...]], list[Finding]]:
        """Return the classes as given, or one for each label that any truth or prediction has."""
        if self.instances:
            return {WHOLE: (1,)}, []
        given = {name: _labels(name, text) for name, text in self.classes.items()}
        true, found = self._held(pairs)
        if given:
            _refuse_absent(given, true | set(found))
            return given, []
        known = sorted((true | set(found)) - {0})
        if not known:
            raise DataError("All labels are empty, so that there is nothing to measure.")
        alone = {label: found[label] for label in known if label not in true}
        return {str(label): (label,) for label in known}, _alone(alone)

    def _held(self, pairs: list[LabelPair]) -> tuple[set[int], dict[int, list[str]]]:
        """Return the labels that truths hold, and of each predicted one the cases."""
        true: set[int] = set()
        found: dict[int, list[str]] = {}
        for pair in pairs:
            truth, predicted = without_ignored(*pair.arrays(self.ignore), self.ignore)
            true |= set(np.unique(truth).tolist())
            for label in np.unique(predicted).tolist():
                found.setdefault(label, []).append(pair.name)
        return true, found

    def work(self, prepared: Prepared, run: Run) -> None:
        """Measure case after case, sum up, and write tables, metrics and the report."""
        run.write_dataset(_dataset(prepared))
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings or [Finding("note", "Files", "Every truth has its pair.")]:
            run.log("audit", **found.as_dict())
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained")
        parts = []
        for number, pair in enumerate(prepared.pairs):
            parts.append(self.measure(pair, number, prepared.classes))
            place = {"role": "measures", "fit": number + 1, "fits": len(prepared.pairs)}
            run.log("fitted", case=pair.name, **place)
        self.illustrate(run, prepared, parts)

    def measure(self, pair: LabelPair, number: int, classes: Classes) -> dict[str, list[Any]]:
        """Return the rows of one case: "predictions", "measures", and "lesions" where asked."""
        from neuroloom.learn.dense.measures.judge import rows_of_case

        if self.kind == "image":
            return self._measure_images(pair, number)
        truth, found = pair.arrays(self.ignore)
        header, ignore = pair.header, self.ignore
        head, rated = self._heads(pair, number)
        tolerance = self.tolerance_of(header.unit, header.spacing)
        a, b = truth, found
        if self.instances:
            a, b, ignore = _foreground(truth, found, ignore)
        known = without_ignored(a, b, ignore)
        judged = rows_of_case(a, b, header.spacing, classes, tolerance, ignore, header.voxel)
        options = {"tolerance": tolerance, "beta": self.beta, "voxel_volume": header.voxel}
        rows = measures.measure_case(a, b, header.spacing, self.chosen, classes, ignore, **options)
        lesions: list[dict[str, Any]] = []
        for row, other in zip(rows, judged, strict=True):
            row |= {"undefined": other["undefined"]}
            if self.lesions:
                more, each = self._lesions(*known, header, classes[row["class"]])
                row |= more
                lesions += [head | {"class": row["class"]} | one for one in each]
            if self.instances:
                row |= _instances(truth, found, self.ignore)
        return {
            "predictions": [head | rated | row for row in judged],
            "measures": [head | row for row in rows],
            "lesions": lesions,
        }

    def _heads(self, pair: LabelPair, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what every row says of a case, and what rows of predictions say besides."""
        subject = pair.keys.get("subject")
        unit = pair.unit if subject is None or subject != subject else str(subject)
        rated = {"unit": unit, "fold": 0, "seed": self.seed}
        rated |= {"model": "prediction", "role": "model"}
        return {"example": number, "case": pair.name} | pair.keys, rated

    def _measure_images(self, pair: LabelPair, number: int) -> dict[str, list[Any]]:
        from neuroloom.volumes.agreement.imagepairs import rows_of_images

        whole, rows = rows_of_images(pair, self.chosen)
        head, rated = self._heads(pair, number)
        measured = [head | row for row in rows]
        return {"predictions": [head | rated | whole], "measures": measured, "lesions": []}

    def tolerance_of(self, unit: str, spacing: tuple[float, ...]) -> float:
        """Return the tolerance for surfaces: as given, 1 mm, or one voxel."""
        if self.tolerance is not None:
            return self.tolerance
        return 1.0 if unit == "mm" else float(max(spacing))

    def _lesions(
        self, truth: np.ndarray, found: np.ndarray, header: ImageHeader, of: Any
    ) -> tuple[dict[str, float], list[dict[str, Any]]]:
        from neuroloom.learn.dense.measures import lesions
        from neuroloom.learn.dense.measures.overlap import mask_of

        masks = mask_of(truth, of), mask_of(found, of)
        matched = lesions.match_lesions(*masks, header.spacing, self.overlap, voxel=header.voxel)
        scores = matched.scores() | {
            f"lesion_{name}": value for name, value in lesions.panoptic(*masks).items()
        }
        scores["lesion_dice"] = lesions.lesionwise_dice(*masks)
        each = [{"side": "truth"} | row for row in matched.true.to_dict("records")]
        each += [{"side": "prediction"} | row for row in matched.predicted.to_dict("records")]
        return scores, [{str(k): v for k, v in row.items()} for row in each]

    def illustrate(self, run: Run, prepared: Prepared, parts: list[dict[str, list[Any]]]) -> None:
        """Write tables, metrics, figures and the report."""
        import pandas as pd

        from neuroloom.learn.scoring.written import write_scores
        from neuroloom.volumes.story.measures import report_images, report_measures

        tables = {
            name: pd.DataFrame([row for part in parts for row in part[name]])
            for name in ("predictions", "measures", "lesions")
        }
        names = list(prepared.classes)
        task = "segmentation" if self.kind == "mask" else "synthesis"
        write_scores(run.folder, tables["predictions"], task, names, self.seed)
        run.log("scored", examples=len(prepared.pairs))
        write_tables(run.folder / "artifacts", tables["measures"])
        report = report_measures if self.kind == "mask" else report_images
        report(self, run, prepared, tables)


def _alone(found: dict[int, list[str]]) -> list[Finding]:
    """Say which labels only predictions hold, and in which cases."""
    told = [f"{label} (in {few(names)})" for label, names in found.items()]
    text = (
        f"No truth holds {few(told)}: all of it counts as false. Name the classes in "
        "`classes` if they are not meant."
    )
    return [Finding("warning", "Labels that only predictions hold", text)] if told else []


def _refuse_absent(classes: dict[str, tuple[int, ...]], held: set[int]) -> None:
    """Refuse classes that are in no file: empty on both sides, they would score perfectly."""
    for name, labels in classes.items():
        if not held.intersection(labels):
            raise ConfigError(
                f"classes: '{name}' is {' or '.join(map(str, labels)) or 'no label'}, which no "
                f"truth and no prediction holds; they hold {few(map(str, sorted(held)))}. "
                "Correct it, or leave it out."
            )


def _labels(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ConfigError(
            f"classes: '{name}' is '{text}'; expected a label or several: 2 or '1,2'."
        ) from None


def _foreground(
    truth: np.ndarray, found: np.ndarray, ignore: int | None
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Return where instances are (1), with a label of its own for what the truth leaves open."""
    a, b = (truth > 0).astype(np.uint8), (found > 0).astype(np.uint8)
    if ignore is None:
        return a, b, None
    a[truth == ignore] = OPEN
    return a, b, OPEN


def _instances(truth: np.ndarray, found: np.ndarray, ignore: int | None) -> dict[str, float]:
    from neuroloom.learn.dense.measures import instances

    if ignore is not None:  # where a voxel lies is nothing to these scores
        truth, found = truth[truth != ignore], found[truth != ignore]
    scores = instances.average_precision(truth, found, (0.5, 0.7, 0.9))
    out = {
        f"{name}@{level:g}": told[name] for level, told in scores.items() for name in ("f1", "ap")
    }
    split, merge = instances.variation_of_information(truth, found)
    error = instances.adapted_rand(truth, found)["error"]
    return out | {"pq": scores[0.5]["pq"], "rand_error": error, "split": split, "merge": merge}


def _dataset(prepared: Prepared) -> dict[str, Any]:
    paths = [file for pair in prepared.pairs for file in (pair.truth, pair.predicted) if file]
    places = {Path(os.path.relpath(file, prepared.root)).as_posix(): file for file in paths}
    files = {place: digest(file) for place, file in places.items()}
    classes = {name: list(labels) for name, labels in prepared.classes.items()}
    return {"files": files, "cases": [pair.name for pair in prepared.pairs], "classes": classes}


def write_tables(folder: Path, table: pd.DataFrame) -> None:
    """Write the row of every case and class as measures.csv and measures.parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "measures.csv", partial(table.to_csv, index=False))
    write_atomic(folder / "measures.parquet", partial(table.to_parquet, index=False))
