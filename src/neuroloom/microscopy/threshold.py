"""`microscopy.threshold`: segment by a named pipeline of classic steps; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import whole_if_there, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.io.cases.layouts import few
from neuroloom.microscopy.objects import Objects, without_open
from neuroloom.microscopy.pipelines.engine import check_steps, read_pipeline, run_pipeline
from neuroloom.microscopy.pipelines.named import steps_of

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.io.cases import Case, FoundCases

Labels = NDArray[Any]
YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Prepared:
    """The cases, the steps, what they end in, and what the audit noticed."""

    found: FoundCases
    steps: Sequence[Mapping[str, Any]]
    kind: str
    findings: list[Finding]


class Threshold(Recipe):
    """Segment images by a named pipeline, or by steps of your own in a YAML file.

    Where labels exist, objects (or pixels, where the pipeline ends in a mask) are scored against
    them, beside Otsu's threshold.

    Examples
    --------
    >>> Threshold(pipeline="nuclei").channel
    0
    """

    name: ClassVar[str] = "microscopy.threshold"
    summary: ClassVar[str] = "segment by a named pipeline of classic steps, without training"
    data_kind: ClassVar[str] = "microscopy, images"

    pipeline: str = setting(
        "nuclei", "name of a pipeline, or a YAML file with steps", basic=True
    )  # fmt: skip
    images: list[str] = setting([], "globs of the images; default: as the layout says", basic=True)
    labels: list[str] = setting([], "globs of the labels that go with them", basic=True)
    channel: int = setting(0, "which channel to segment", ge=0, basic=True)
    write: Literal["labels", "mask"] = setting(
        "labels", "write numbered objects where the pipeline ends in them, or a mask", basic=True
    )
    include: list[str] = setting([], "only images whose names match one of these globs")
    iou: float = setting(0.5, "least overlap of a found with a true object", gt=0, le=1)
    seed: int = setting(1, "of the bootstrap", ge=0)

    @field_validator("pipeline")
    @classmethod
    def _own_file_holds_anywhere(cls, pipeline: str) -> str:
        return whole_if_there(pipeline) if pipeline.endswith(YAML) else pipeline

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted nuclei, the fields that fit them, and what they are."""
        from neuroloom.microscopy.story import demo

        return demo.nuclei(folder, {})

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """The steps of the pipeline."""
        if self.pipeline.endswith(YAML):
            return read_pipeline(self.pipeline)
        return steps_of(self.pipeline)

    def prepare(self, data: Path) -> Prepared:
        """Find and check the images and the pipeline; nothing is written."""
        from neuroloom.io.cases import find_cases
        from neuroloom.io.cases.check import check_cases, findings_of_problems, require_sound

        steps = self.steps
        kind = check_steps(steps, self.pipeline)
        found = find_cases(data, self.include, self.images, self.labels)
        problems = require_sound(check_cases(found.cases, found.classes, found.ignore, "image"))
        _require_channel(found.cases, self.channel)
        found = found.in_unit(found.usual_unit)
        findings = [Finding("note", "Files", text) for text in (found.layout, *found.notes)]
        findings += findings_of_problems(problems)
        if kind == "labels":
            findings += _said_of_objects(found.cases, found.ignore)
        return Prepared(found, steps, kind, findings)

    def work(self, prepared: Prepared, run: Run) -> None:
        """Segment case after case, write the results, score and report."""
        run.write_dataset({"files": prepared.found.hashes()})
        write_json(run.folder / "audit.json", [one.as_dict() for one in prepared.findings])
        for one in prepared.findings:
            run.log("audit", **one.as_dict())
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained")
        rows, shown, flat = [], None, []
        for number, case in enumerate(prepared.found.cases, start=1):
            image = self.pick(case)
            labels = run_pipeline(prepared.steps, image, case.spacing)
            self.keep(case, labels, run.folder / "artifacts" / "masks")
            judged = self.judge(case, image, labels, prepared.found.ignore)
            rows.append({"case": case.name} | judged)
            shown = shown or (case.name, image, labels)
            flat += [case.name] if np.ptp(image) == 0 else []
            place = {"role": "threshold", "fit": number, "fits": len(prepared.found.cases)}
            run.log("fitted", case=case.name, **place)
        findings = [*prepared.findings, *_said_of_flat(flat, self.channel)]
        write_json(run.folder / "audit.json", [one.as_dict() for one in findings])
        self.illustrate(run, prepared, rows, shown)

    def illustrate(
        self, run: Run, prepared: Prepared, rows: list[dict[str, Any]], shown: Any
    ) -> None:
        """Write the metrics, the figures and the report."""
        from neuroloom.microscopy.story.threshold import report_threshold

        report_threshold(self, run, prepared, rows, shown)

    def pick(self, case: Case) -> NDArray[np.float32]:
        """Return the chosen channel of a case."""
        return case.image()[self.channel]

    def keep(self, case: Case, labels: Labels, folder: Path) -> Path:
        """Write the result on the grid of its image."""
        from neuroloom.io.images import write_image

        content = labels.astype(np.uint8) if labels.dtype == bool else labels
        if self.write == "mask":
            content = (labels > 0).astype(np.uint8)
        suffix = ".tif" if len(case.shape) == 2 else ".nii.gz"
        folder.mkdir(parents=True, exist_ok=True)
        return write_image(folder / f"{case.name}{suffix}", content, like=case.recording())

    def judge(
        self, case: Case, image: NDArray[Any], labels: Labels, ignore: int | None = None
    ) -> dict[str, float]:
        """Return the counts of a case: of objects, or of pixels, and those of Otsu's threshold.

        Parameters
        ----------
        case
            With a label, or without.
        image, labels
            What was segmented and what was found, (*axes).
        ignore
            The value of the label where it is left open; nothing there counts.
        """
        out: dict[str, float] = {
            "objects": float(labels.max()),
            "share": float((labels > 0).mean()),
        }
        whole = labels.dtype != bool
        truth = Objects(case, ignore=ignore).numbers() if whole else case.truth()
        if truth is None:
            return out
        plain = run_pipeline("nuclei-otsu", image, case.spacing)
        for role, found in (("", labels), ("baseline_", plain)):
            counts = _objects(truth, found, self.iou) if whole else _pixels(truth, found, ignore)
            out |= {role + name: value for name, value in counts.items()}
        return out


def _require_channel(cases: Sequence[Case], channel: int) -> None:
    lacking = [case.name for case in cases if case.channel_count <= channel]
    if lacking:
        raise ConfigError(
            f"channel: channels are numbered from 0, and {few(lacking)} "
            f"{'has' if len(lacking) == 1 else 'have'} no channel {channel}."
        )


def _said_of_flat(names: Sequence[str], channel: int) -> list[Finding]:
    text = f"{few(names)}: channel {channel} has one value everywhere; nothing was found there."
    return [Finding("warning", "Flat images", text)] if names else []


def _said_of_objects(cases: Sequence[Case], ignore: int | None) -> list[Finding]:
    """Say in which labels the objects are numbers, and in which connected pieces of a mask."""
    labelled = [case for case in cases if case.label is not None]
    masks = [case.name for case in labelled if Objects(case, ignore=ignore).are_pieces]
    told = []
    if masks:
        told.append(
            f"The labels of {few(masks)} are masks: each connected piece counts as one object, so "
            "objects that touch in a mask are one."
        )
    if len(masks) < len(labelled):
        more = "the others" if masks else "all images"
        told.append(f"In the labels of {more} each number is one object.")
    return [Finding("note", "True objects", " ".join(told))] if told else []


def _objects(truth: Labels, found: Labels, iou: float) -> dict[str, float]:
    from neuroloom.learn.dense.measures.instances import match_instances

    matched = match_instances(*without_open(truth, found), iou)
    return {"tp": matched.tp, "fp": matched.fp, "fn": matched.fn}


def _pixels(truth: Labels, found: Labels, ignore: int | None) -> dict[str, float]:
    from neuroloom.learn.dense.measures.overlap import without_ignored

    a, b = (labels > 0 for labels in without_ignored(truth, found, ignore))
    return {"tp": int((a & b).sum()), "fp": int((b & ~a).sum()), "fn": int((a & ~b).sum())}
