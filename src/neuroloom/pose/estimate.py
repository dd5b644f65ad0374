"""`pose.estimate`: from labelled frames to a net that finds keypoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import UNITS, Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recipe import setting
from neuroloom.core.split import Fold
from neuroloom.learn.study import Prepared, Study
from neuroloom.learn.training.budget import Plan

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.training.crossfit import Fitted

BASELINE = "mean-pose"


class Estimate(Study):
    """Find the keypoints of animals in frames and videos, learnt from a few labelled frames.

    Reads projects of DeepLabCut, SLEAP, Lightning Pose, DeepPoseKit, COCO, DANNCE and NWB as they
    are. A small coarse net finds the animal and which way it points; a fine net sees a crop in
    which every animal lies alike. Both learn from scratch, in minutes, on a laptop.

    Examples
    --------
    >>> Estimate(budget="10min").model
    'unet'
    """

    name: ClassVar[str] = "pose.estimate"
    summary: ClassVar[str] = "find keypoints of animals in videos, from some labelled frames"
    data_kind: ClassVar[str] = "video, labelled frames, pose"
    beside: ClassVar[tuple[str, ...]] = ("unlabelled",)
    family: ClassVar[str] = "pose"
    net_settings: ClassVar[tuple[str, ...]] = ("light",)

    model: str = setting("unet", "what is trained", basic=True, kind="model")
    budget: str = setting(
        "10min", "wall time of the whole command ('90s', '10min') or '1000 steps' a fit", basic=True
    )
    include: list[str] = setting([], "globs on names of frames or videos")
    unlabelled: list[str] = setting(
        [], "videos to learn from without labels: paths, or globs below DATA", basic=True
    )
    plan: dict[str, str] = setting(
        {},
        "keys of the plan by hand: size: '240' (px of the crop), nets, batch, crop, turn, mirror",
    )
    light: float | None = setting(
        None, "how strongly light, noise and blur vary in training; default 1", ge=0, le=3
    )
    pattern: str | None = setting(
        None, 'keys in names of videos or pictures: "{subject}_{session}"; also run; * is anything'
    )
    identity: bool | None = setting(
        None, "names say who an animal is, told by its looks; default: as DeepLabCut's project says"
    )
    precision: Literal["auto", "32", "bf16"] = setting(
        "auto", "numbers that the net computes with; auto: 32 bits"
    )

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return a painted project, the fields of a short run, and what it is."""
        from neuroloom.pose.story import demo

        return demo.project(
            folder, {"budget": "60 steps", "folds": 2, "plan": {"batch": "4", "widths": "8,8,8,8"}}
        )

    def read(self, data: Path) -> Dataset:
        """Read the project; pictures are read when they are learnt from."""
        from neuroloom.pose.data import read_frames

        dataset = read_frames(
            data, self.include, clips=self.unlabelled, identity=self.identity, pattern=self.pattern
        )
        several = len(dataset.facts["individuals"]) > 1  # one is told in the whole frame as well
        if several and dataset.facts["kinds"] and not self.crops():
            told = f"{' and '.join(dataset.facts['kinds'])} are told in crops, which are left out."
            dataset.findings.append(Finding("warning", "Classes", told))
            dataset.facts["kinds"] = []
        return dataset

    def crops(self) -> bool:
        """Return whether every animal may be seen in a crop of its own, as the plan has it."""
        from neuroloom.pose.nets.plan import said_yes

        return said_yes(self.options()["keys"].get("crop", True))

    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Read another project, which must have the run's keypoints."""
        from neuroloom.pose.data import read_frames

        return read_frames(data, include, facts["axes"])

    def baseline(self, task: str) -> str | None:
        """Return the mean pose."""
        return None if self.model == BASELINE else BASELINE

    def judged_as(self, dataset: Dataset) -> tuple[str, list[str]]:
        """Return "pose" and the names of the keypoints."""
        return "pose", list(dataset.facts["keypoints"])

    def audit(self, dataset: Dataset) -> list[Finding]:
        """Say what the figures can mean."""
        from neuroloom.pose.data import audit_frames

        return audit_frames(dataset)

    def options(self) -> dict[str, Any]:
        """Return what is wished of a net beside what the labels say."""
        from neuroloom.learn.dense.data.read import keys_of

        wishes: dict[str, Any] = {"keys": keys_of(self.plan)}
        return wishes | ({} if self.light is None else {"light": self.light})

    def prepare(self, data: Path) -> Prepared:
        """Read, check, audit and split; nothing is written."""
        if self.shuffle:
            raise ConfigError(
                "shuffle means nothing here: points cannot change places between frames of unlike "
                "pictures. Leave it out."
            )
        if self.per:
            raise ConfigError(
                "per=subject would fit one net an animal. Leave it out; `include` narrows a run."
            )
        prepared = super().prepare(data)
        if prepared.dataset.facts["identity"] and not self.crops():
            raise ConfigError(
                "plan.crop=no puts animals together from whole frames, identity is told by the "
                "looks of a crop: leave one of them out (`--no-identity`)."
            )
        return prepared

    def outline(self, prepared: Prepared) -> list[tuple[str, str, str]]:
        """Return the frames and folds, and what the nets would see: what, value, why."""
        from neuroloom.pose.story.estimate import method_of

        rows, model = super().outline(prepared), self.find(self.model)
        if not model.is_net:
            return rows
        plan = self._maker(model, prepared.dataset)().make_plan(
            prepared.dataset.x[prepared.largest]
        )
        return [*rows, ("plan", plan.net, method_of(plan))]

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        """Hold out whole videos or animals where there are several, else the last frames."""
        if len(dataset) < 2 and self.folds != 0:
            raise DataError(
                f"There is {len(dataset)} labelled frame only: nothing can be held out. Label more "
                "(50 to 200 are usual); `--folds 0` fits on everything and judges nothing."
            )
        from neuroloom.pose.held_out import units_in_blocks
        from neuroloom.pose.units import whole_moments

        folds = whole_moments(super()._split(dataset, by), dataset.table)
        several = by in UNITS and len({unit for fold in folds for unit in fold.units}) > 1
        return folds if several else units_in_blocks(folds, dataset.table)

    def _new_plan(self, prepared: Prepared, run: Run) -> Plan:
        """Settle the steps of a fit by measured speed, leaving time to predict and to report."""
        from neuroloom.learn.dense.training.timing import plan_fits

        return plan_fits(self, prepared, run)

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return a row for each keypoint of each animal of a held-out frame, seed and role."""
        from neuroloom.pose.held_out import tabulate

        return tabulate(self, prepared, fits)

    def tabulate_new(
        self, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
    ) -> pd.DataFrame:
        """Return the same rows of new labelled frames."""
        from neuroloom.pose.held_out import rows_of_new

        return rows_of_new(ensemble, dataset, head)

    def own_scores(
        self, table: pd.DataFrame, dataset: Dataset
    ) -> dict[str, dict[str, float | None]]:
        """Return how true expected errors are, and how often names and classes are right."""
        from neuroloom.pose.held_out import score_of_class, score_of_expectation, score_of_identity

        facts = dataset.facts
        found = score_of_expectation(table, self.seed)
        if facts.get("identity"):
            found |= score_of_identity(table, len(facts["individuals"]), self.seed)
        return found | (score_of_class(table, self.seed) if facts.get("kinds") else {})

    def _final(self, role: str, name: str, prepared: Prepared, fits: list[Fitted]) -> Ensemble:
        """Store beside the model what its expectations meant on held-out frames."""
        from neuroloom.pose.held_out import calibration_of

        ensemble = super()._final(role, name, prepared, fits)
        ensemble.facts |= calibration_of(prepared, [fit for fit in fits if fit.job.fold >= 0])
        return ensemble

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw the best, the median and the worst frames, and say it in `facts.json`."""
        from neuroloom.pose.story.estimate import illustrate

        illustrate(self, run, prepared, fits)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Find keypoints in videos, folders of pictures, or pictures.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where tracks in the project's own format, a table, and a labelled video are written;
            None writes nothing.

        Returns
        -------
        DataFrame
            A row a frame, individual and keypoint: x, y (px), confidence, expected_px, and `class`
            where animals of several were learnt. With `out` these rows are in
            `predictions.parquet` only, as they may be too many for the memory; then a row a video:
            frames, rows, and points found.
        """
        from neuroloom.pose.predict import predict

        return predict(self, run, inputs, out)
