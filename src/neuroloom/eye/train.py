"""`eye.train`: the net that finds pupils, from rendered eyes alone or from one's own masks, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import digest, whole_path, write_atomic, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.eye.labelled import Drawing

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.eye.nets import EyeNet

STEPS = 9000  # of the shipped net; training.LEGS says of what kind
TUNING_RATE = 5e-4


@dataclass(frozen=True)
class Labelled:
    """Labelled pictures, those learnt from and those held out, and what the audit noticed."""

    train: list[tuple[Path, Path]] = field(default_factory=list)
    test: list[tuple[Path, Path]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    drawing: Drawing = field(default_factory=Drawing)


class Train(Recipe):
    """Train the net of `eye.pupil` and `eye.gaze`, on rendered eyes and on one's own labels.

    `Train()` is how the shipped net was made: thousands of rendered eyes, no picture of a real one.
    With `labelled`, a folder with images/ and masks/ (1 pupil, 2 iris, 3 the rest of the eye), half
    of every batch is one's own pictures; the last fifth of them by name is held out and scored. The
    result is judged on rendered eyes that it has not seen.

    Examples
    --------
    >>> Train(steps=500, tune=True).seed
    0
    """

    name: ClassVar[str] = "eye.train"
    summary: ClassVar[str] = "train the net that finds pupils, on rendered eyes and own masks"
    data_kind: ClassVar[str] = "video of eyes"
    needs_data: ClassVar[bool] = False
    instead: ClassVar[str] = "Pictures with masks of your own are named by `labelled`."

    steps: int = setting(STEPS, "of 16 pictures each", ge=2, basic=True)
    labelled: str | None = setting(None, "folder with images/ and masks/", basic=True)
    tune: bool = setting(False, "start from the shipped net, not from scratch", basic=True)
    judged: int = setting(256, "rendered eyes that the net is judged on", ge=2)
    include: list[str] = setting([], "only labelled pictures whose names match one of these globs")
    seed: int = setting(0, "of weights, pictures and their changes", ge=0)

    _paths_hold_anywhere = field_validator("labelled")(whole_path)

    def prepare(self, data: Path) -> Labelled:
        """Find the labelled pictures and open each; nothing is written."""
        from fnmatch import fnmatch

        from neuroloom.eye.labelled import find_labelled, how_drawn

        if self.labelled is None:
            if self.include:
                raise ConfigError("include: picks among pictures of `labelled`; name their folder.")
            note = Finding("note", "Data", "Rendered eyes alone: no picture of a real eye.")
            return Labelled(findings=[note])
        pairs = find_labelled(Path(self.labelled))
        globs = self.include or ["*"]
        pairs = [pair for pair in pairs if any(fnmatch(pair[0].name, glob) for glob in globs)]
        if not pairs:
            raise DataError(f"{self.labelled}: no picture in images/ matches include.")
        drawing = how_drawn(pairs)
        cut = len(pairs) - len(pairs) // 5
        told = (
            f"{cut} labelled pictures to learn from, the last {len(pairs) - cut} by name held out."
        )
        findings = [Finding("note", "Data", told), Finding("note", "Masks", meant(drawing))]
        return Labelled(pairs[:cut], pairs[cut:], findings, drawing)

    def work(self, prepared: Labelled, run: Run) -> None:
        """Train, keep the weights, judge, report."""
        files = {
            f"{file.parent.name}/{file.name}": digest(file)
            for pair in prepared.train + prepared.test
            for file in pair
        }
        run.write_dataset({"files": files})
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        start = "the shipped net" if self.tune else "scratch"
        reason = f"{self.steps:,} steps of 16 pictures, from {start}"
        plan = {"steps": self.steps, "batch": 16, "from": start, "reason": reason}
        write_json(run.folder / "plan.json", plan)
        run.log("plan", **plan)
        net = self.fit(prepared, run)
        write_atomic(run.folder / "model.safetensors", lambda path: save_net(net, path))
        run.log("fitted", role="net", fit=1, fits=1)
        self.illustrate(run, prepared)

    def fit(self, prepared: Labelled, run: Run) -> EyeNet:
        """Return the trained net."""
        from copy import deepcopy

        from neuroloom.eye.find.pupils import load_net
        from neuroloom.eye.labelled import read_labelled
        from neuroloom.eye.training import SIDE, train_legs, train_net

        train, drawing = prepared.train, prepared.drawing
        own = read_labelled(train, SIDE, drawing) if train else None

        def tell(step: int, loss: float) -> None:
            run.tell({"event": "progress", "done": step + 1, "total": self.steps, "loss": loss})

        if not self.tune:
            return train_legs(self.steps, self.seed, own, tell)
        start = deepcopy(load_net())
        return train_net(
            start, self.steps, self.seed, own=own, rate=TUNING_RATE, strength=0.4, muon=True,
            tell=tell,
        )  # fmt: skip

    def illustrate(self, run: Run, prepared: Labelled) -> None:
        """Judge the net and write metrics, figures and the report."""
        from neuroloom.eye.story.train import report_training

        report_training(self, run, prepared)


def meant(drawing: Drawing) -> str:
    """Say what masks were taken to mean, and of how many bits pictures are."""
    masks = "the pupil alone" if drawing.alone else "1 pupil, 2 iris, 3 the rest of the eye"
    bits = f" Pictures of 16 bits are taken as of {drawing.depth}." if drawing.depth else ""
    return f"Masks show {masks}.{bits}"


def save_net(net: EyeNet, path: Path) -> None:
    """Write the weights of a net as safetensors."""
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
