"""A study that labels voxels or pixels: what volumes and microscopy share of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from neuroloom.core.audit import Finding, refuse_shared
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recipe import setting
from neuroloom.core.recording import voxel_share
from neuroloom.core.split import Fold, Split, default_unit, make_folds, unit_keys
from neuroloom.learn.study import Prepared, Study
from neuroloom.learn.training.budget import Plan, parse_budget

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.io.cases import Case
    from neuroloom.learn.dense.planning.denseplan import DensePlan
    from neuroloom.learn.dense.training.timing import Judge
    from neuroloom.learn.model import Model
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.training.crossfit import Fitted

USUAL_FOLDS = 5
BASELINE = "voxel-logistic"
BEARING = ("dynunet", "resenc-m", "resenc-l", "resenc-xl")


class DenseStudy(Study):
    """Base of the studies that give every voxel a class.

    A plan is made of the training cases of each fold: spacing, normalisation, patch, net. The net
    learns from patches and predicts whole images; every held-out case is scored on its own grid.
    """

    family: ClassVar[str] = "dense"
    net_settings: ClassVar[tuple[str, ...]] = ("augment", "loss", "mirror")
    tolerance_unit: ClassVar[str] = "mm"
    guesses_sizes: ClassVar[bool] = False  # of pixels in images that do not say it
    volumes_are_usual: ClassVar[bool] = True  # those of new images should be like those learnt

    model: str = setting("dynunet", "what is trained", basic=True, kind="model")
    budget: str = setting(
        "10min", "wall time of the whole command ('90s', '10min') or '3000 steps' a fit", basic=True
    )
    images: dict[str, str] = setting(
        {}, "channel -> glob of its files, where no layout is recognised: image: 'raw_*.tif'",
        basic=True,
    )  # fmt: skip
    labels: dict[str, str] = setting(
        {}, "class -> glob of its masks, or label: glob of files with class numbers", basic=True
    )
    configuration: Literal["auto", "2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"] = setting(
        "auto", "slices, whole volumes, or coarse first; auto: by the data and the time", basic=True
    )
    configurations: list[Literal["auto", "2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"]] = (
        setting([], "train several, keep the best or the best pair by held-out cases; auto: all")
    )
    folds: int | None = setting(
        None,
        "number of folds; 1 = one split, 0 = fit on everything; default: one a unit, at most five",
        ge=0,
    )
    classes: list[str] = setting([], "names of the classes 1, 2, …; default: as the data say")
    values: dict[str, float] = setting({}, "class -> grey value of its pixels in the masks")
    regions: dict[str, str] = setting(
        {}, "overlapping unions to learn instead of classes: whole: '1,2'"
    )
    ignore: int | None = setting(
        None, "label that is not learnt from and not scored, as outside of scribbles"
    )
    channels: list[str] = setting(
        [], "names of the channels, of BIDS contrasts to join (T1w, T2w); CT is normalised as CT"
    )
    plan: dict[str, str] = setting(
        {}, "keys of the plan set by hand: patch: '32,48,32', features: '16', lr: '0.001'"
    )
    views: Literal["one", "three", "twelve", "sixteen"] = setting(
        "one", "sides from which a 2-D net sees a stack, in training and in prediction"
    )
    augment: list[str] | None = setting(
        None, "augmentations: names or name=strength, or 'none'; default: the usual ones"
    )
    mirror: list[int] | None = setting(
        None, "axes (in array order) that may be mirrored; default: what the domain allows"
    )
    loss: (
        Literal[
            "dice-ce",
            "dice",
            "ce",
            "focal",
            "focal-dice",
            "tversky",
            "generalised-dice",
            "top-k",
            "lovasz",
            "cl-dice",
        ]
        | None
    ) = setting(None, "the loss; default: Dice and cross entropy")
    largest: Literal["auto", "yes", "no"] = setting(
        "auto", "keep only the largest piece of a class; auto: where it helped held-out cases"
    )
    tolerance: float = setting(
        1.0, "distance within which surfaces agree (nsd), in the unit of the pixels", gt=0
    )
    precision: Literal["auto", "32", "bf16"] = setting(
        "auto", "numbers that the net computes with; auto: bf16 where it was measured faster"
    )
    missing: Literal["none", "hemis", "film"] = setting(
        "none", "how a net bears channels that a case lacks; none: such cases are refused"
    )
    contrasts: Literal["as-they-are", "any"] = setting(
        "as-they-are", "any: contrasts are changed at random, so that unseen ones are borne"
    )
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    pattern: str | None = setting(None, 'keys in file names: "{subject}_{session}"')

    def read(self, data: Path) -> Dataset:
        """Find and check the cases of `data`; voxels are read again when they are learnt from."""
        from neuroloom.learn.dense.data.read import read_cases

        return read_cases(self, data, self.include)

    def read_like(
        self, facts: dict[str, Any], data: Path, include: list[str], *, labelled: bool = True
    ) -> Dataset:
        """Read new cases, which must have the run's channels and, where `labelled`, classes."""
        from neuroloom.learn.dense.data.read import read_cases

        return read_cases(self, data, include, facts["axes"], labelled=labelled)

    def baseline(self, task: str) -> str | None:
        """Return the linear model of each voxel's neighbourhood and place."""
        return None if self.model == BASELINE else BASELINE

    def judged_as(self, dataset: Dataset) -> tuple[str, list[str]]:
        """Return "segmentation" and the names of what is scored: classes or regions."""
        return "segmentation", list(dataset.facts["parts"])

    def audit(self, dataset: Dataset) -> list[Finding]:
        """Say how few cases or subjects there are."""
        from neuroloom.learn.dense.data.audit import audit_cases

        return audit_cases(dataset)

    def options(self) -> dict[str, Any]:
        """Return what is wished of a net beside what the data say."""
        from neuroloom.learn.dense.data.read import keys_of

        wishes: dict[str, Any] = {
            "configuration": self.configuration,
            "keys": keys_of(self.plan),
            "loss": self.loss or "dice-ce",
            "missing": self.missing,
            "contrasts": self.contrasts,
            "views": self.views,
        }
        if flat := self.flat_settings():
            if self.configuration not in ("auto", "2d"):
                raise ConfigError(
                    f"{' and '.join(flat)} is of 2-D nets: leave configuration out, or set it to "
                    "2d."
                )
            wishes["configuration"] = "2d"
        if self.mirror is not None:
            wishes["mirror"] = tuple(self.mirror)
        if self.augment is not None:
            wishes["augment"] = tuple(self.augment)
        return wishes

    def options_of(self, model: Model, dataset: Dataset) -> dict[str, Any]:
        """Tell a net, and the baseline, the time of a fit: what they look at is what it bears."""
        own = {"budget_s": self._seconds_of_fit(model, dataset)}
        known = model.name in (self.model, BASELINE)
        return super().options_of(model, dataset) | (own if known else {})

    def _seconds_of_fit(self, model: Model, dataset: Dataset) -> float | None:
        """Return the wall time of a fit, on a fold or on all cases, s; None: budget is no time."""
        seconds = parse_budget(self.budget).seconds
        if seconds is None:
            return None
        fits = self._count_folds(dataset) + self.refits(model)
        return seconds / max(1, fits) / (self.seeds if model.is_net else 1)

    def _count_folds(self, dataset: Dataset) -> int:
        """Return how many folds `_split` makes of these cases, to be judged."""
        if self.test or self.stated(dataset):
            return 1
        if self.folds is not None:
            return self.folds
        by = self.split or default_unit(dataset.table)
        if by in ("time", "random"):
            return USUAL_FOLDS
        return min(USUAL_FOLDS, len(set(unit_keys(dataset.table, by))))

    def flat_settings(self) -> list[str]:
        """Return the names of settings that only a 2-D net obeys, where they are set."""
        return [] if self.views == "one" else ["views"]

    def mirrored(self, case: Case, names: list[str]) -> list[int] | None:
        """Return the axes (array order) along which such images may be mirrored; None: all.

        Parameters
        ----------
        case, names
            The first case, and the names of all classes.
        """
        return None

    def prepare(self, data: Path) -> Prepared:
        """Read, check, audit and split; nothing is written."""
        if self.shuffle:
            raise ConfigError(
                "shuffle means nothing here: masks cannot change places between images of unlike "
                "shape. Leave it out."
            )
        if self.per:
            raise ConfigError(
                "per=subject would fit one net a subject, mostly on a single image, and a new one "
                "would find none of them. Leave it out; `include` narrows a run to one subject."
            )
        if self.missing != "none" and self.model not in BEARING:
            raise ConfigError(
                f"missing={self.missing} needs a planned net ({', '.join(BEARING)}), not "
                f"model={self.model}."
            )
        from neuroloom.learn.dense.data.audit import refuse_shades

        prepared = super().prepare(data)
        refuse_shades(prepared.dataset)
        self._require_plan(prepared)
        return prepared

    def _require_plan(self, prepared: Prepared) -> None:
        """Refuse what these data do not admit, a configuration or a key, before a run begins."""
        model = self.find(self.model)
        if self.views != "one":
            from neuroloom.learn.dense.data.audit import refuse_views

            refuse_views(self, prepared)
        if self.configurations:
            from neuroloom.learn.dense.configurations import wanted

            wanted(self, prepared)
        elif (self.plan or self.configuration != "auto") and model.is_net:
            self.plan_of_largest(prepared)

    def outline(self, prepared: Prepared) -> list[tuple[str, str, str]]:
        """Return the cases and folds, and the plan for the largest fold: what, value, why.

        The length of training is not among them: it follows from speeds measured when a run begins.
        """
        from neuroloom.learn.dense.configurations import alone, wanted
        from neuroloom.learn.dense.story import plan_table

        rows, model = super().outline(prepared), self.find(self.model)
        if not model.is_net:
            return rows
        names = wanted(self, prepared) if self.configurations else [self.configuration]
        for name in names:
            plan = alone(self, name, 1 / len(names)).plan_of_largest(prepared)
            head = f"{name} " if len(names) > 1 else ""
            rows += [(f"{head}{key}", str(value), why) for key, value, why in
                     plan_table(plan).itertuples(index=False)]  # fmt: skip
        return rows

    def plan_of_largest(self, prepared: Prepared) -> DensePlan:
        """Return the plan for the fold that learns from most cases.

        Raises
        ------
        ConfigError
            If the data do not admit the configuration or a key of the plan.
        """
        learner = self._maker(self.find(self.model), prepared.dataset)()
        plan: DensePlan = learner.make_plan(prepared.dataset.x[prepared.largest])
        if plan.options:
            learner.net_of(plan)
        return plan

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        """Split by whose the cases are; five folds where nothing else is asked for."""
        from neuroloom.learn.dense.data.audit import refuse_copies

        if stated := self.stated(dataset):
            folds = stated
        elif self.folds == 0 or self.test:
            folds = super()._split(dataset, by)
            if by == "subject":
                refuse_shared(dataset, folds)
        else:
            units = set(unit_keys(dataset.table, by)) if by not in ("time", "random") else set()
            if by == "time" or (units and len(units) < 2):
                raise DataError(
                    f"There is {len(dataset)} case{'s' * (len(dataset) > 1)} of one {by} only: "
                    "nothing can be held out. `--folds 0` fits on everything and judges nothing."
                )
            number = self.folds
            if number is None and len(units) > USUAL_FOLDS:
                number = USUAL_FOLDS
            rule = Split(by, number, (), self.per, 0.0, self.seed)
            folds = make_folds(dataset.table, rule)
        refuse_copies(dataset, folds)
        return folds

    def _refuse_idle_settings(self, model: Model) -> None:
        super()._refuse_idle_settings(model)
        idle = ["plan"] * bool(self.plan) + self.flat_settings()
        if idle and not model.is_net:
            raise ConfigError(
                f"{' and '.join(idle)} is of nets and means nothing to model={self.model}: leave "
                "it out."
            )
        self._refuse_odd_words()
        if self.configurations:
            from neuroloom.learn.dense.configurations import refuse_senseless

            refuse_senseless(self, is_net=model.is_net)
        if self.final == "refit" and self.folds == 0:
            raise ConfigError("folds=0 fits on all cases already: leave final out.")

    def _refuse_odd_words(self) -> None:
        """Refuse keys of the plan and augmentations that fit no data."""
        from neuroloom.learn.dense.data.read import keys_of
        from neuroloom.learn.dense.nets.build import idle_keys
        from neuroloom.learn.dense.planning.denseplan import check_keys

        keys = check_keys(keys_of(self.plan))
        net = self.find(keys.get("net", self.model)).name
        if idle := idle_keys(net, keys):
            raise ConfigError(
                f"plan: {' and '.join(idle)} means nothing to {net}, which has its own: leave it "
                "out. What else a net can be told is in plan.options."
            )
        if self.augment is not None:
            from neuroloom.learn.dense.training.usual import refuse_unfit

            refuse_unfit(self.augment)

    def _fit_everything(self, prepared: Prepared, run: Run) -> dict[str, list[Fitted]]:
        """Fit the baseline and the model, or the configurations of it among which is chosen."""
        self._require_room(prepared, run)
        if not self.configurations:
            return super()._fit_everything(prepared, run)
        from neuroloom.learn.dense.configurations import fit_configurations

        roles = self.roles(prepared.dataset.task)
        results = {
            role: self._fit_role(role, name, prepared, Plan(), run)
            for role, name in roles.items()
            if role != "model"
        }
        return results | {"model": fit_configurations(self, prepared, run)}

    def _require_room(self, prepared: Prepared, run: Run) -> None:
        """Refuse to begin where the probabilities of held-out cases would fill the disk.

        Raises
        ------
        RunError
            With how much is needed, and how much there is.
        """
        from neuroloom.learn.dense.configurations import wanted
        from neuroloom.learn.dense.held_out import bytes_of_held_out
        from neuroloom.learn.store import require_room

        nets = self.seeds if self.find(self.model).is_net else 1
        nets *= len(wanted(self, prepared)) if self.configurations else 1
        nets += self.baseline(prepared.dataset.task) is not None
        require_room(
            run.work_folder, bytes_of_held_out(prepared, nets),
            "what the nets and the baseline say of held-out cases",
            "begin anew with an --out elsewhere, or hold out fewer cases (`folds` 1, or `test` "
            "with some names)",
        )  # fmt: skip

    def _new_plan(
        self,
        prepared: Prepared,
        run: Run,
        left: float | None = None,
        judge: Judge | None = None,
    ) -> Plan:
        """Settle the steps of a fit by measured speed, leaving time to predict and to report.

        Parameters
        ----------
        left
            Seconds that are left of the budget; None: it less what the run has taken.
        judge
            Data, row and number of outputs -> seconds; None: `seconds_to_judge`.
        """
        from neuroloom.learn.dense.training.timing import plan_fits

        return plan_fits(self, prepared, run, left, judge)

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return a row for each held-out case, class, seed and role, with counts and distances."""
        from neuroloom.learn.dense.held_out import tabulate

        return tabulate(self, prepared, fits)

    def seconds_to_judge(self, dataset: Dataset, row: int, outputs: int) -> float:
        """Measure how long it takes to judge a case while it is held out, s.

        Parameters
        ----------
        row, outputs
            The case, and how many classes or regions a net gives probabilities of.

        Returns
        -------
        float
            For all seeds and the baseline.
        """
        from neuroloom.learn.dense.held_out import seconds_to_judge

        nets = self.seeds + (self.baseline(dataset.task) is not None)
        return nets * seconds_to_judge(self, dataset, row, outputs)

    def own_scores(
        self, table: pd.DataFrame, dataset: Dataset
    ) -> dict[str, dict[str, float | None]]:
        """Return how well the entropy tells wrong voxels, and the flag poor cases."""
        from neuroloom.learn.dense.measures.doubt import score_of_doubt
        from neuroloom.learn.dense.measures.flags import score_of_flag

        return score_of_doubt(table, self.seed) | score_of_flag(table, self.seed)

    def tabulate_new(
        self, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
    ) -> pd.DataFrame:
        """Return the same rows of new labelled cases."""
        from neuroloom.learn.dense.held_out import rows_of_new

        return rows_of_new(self, ensemble, dataset, head)

    def _final(self, role: str, name: str, prepared: Prepared, fits: list[Fitted]) -> Ensemble:
        """Store beside the model which classes keep their largest piece, and what is usual."""
        from neuroloom.learn.dense.configurations import as_kept, voters
        from neuroloom.learn.dense.held_out import usual

        ensemble = super()._final(role, name, prepared, fits)
        ensemble.members = {group: voters(own) for group, own in ensemble.members.items()}
        on_folds = [fit for fit in fits if fit.job.fold >= 0]
        ensemble.facts |= usual(self, prepared, as_kept(on_folds))
        return ensemble

    def scores_of(self, ensemble: Ensemble, dataset: Dataset) -> Iterator[tuple[np.ndarray, float]]:
        """Yield of each case the mean probabilities of the ensemble's members, and their doubt.

        The probabilities are (class, *axes); the doubt is the mean over the members, each by
        itself.
        """
        from neuroloom.learn.dense.apply.large import add_share, room
        from neuroloom.learn.dense.held_out import doubt_of_nets

        known = (ensemble.facts["largest"], dataset.facts)
        members = [learner for group in ensemble.members.values() for learner in group]
        for row in range(len(dataset)):
            part = dataset.x[np.array([row])]
            if len(members) == 1:
                found = next(iter(members[0].predict_scores(part)))
                yield found, doubt_of_nets([found], *known)
                continue
            mean, doubts = None, []
            for learner in members:
                found = next(iter(learner.predict_scores(part)))
                mean = room(found.shape) if mean is None else mean
                add_share(mean, found, len(members))
                doubts.append(doubt_of_nets([found], *known))
            assert mean is not None
            yield mean, float(np.mean(doubts))

    def judge_more(
        self, dataset: Dataset, row: int, p: np.ndarray, label: np.ndarray
    ) -> dict[str, Any]:
        """Return further columns for the rows of one judged case; a domain overrides this."""
        return {}

    def deliver(
        self, dataset: Dataset, row: int, p: np.ndarray, label: np.ndarray, folder: Path | None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return what is written of a new case, and further columns; a domain may write more."""
        return label, {}

    def measured_in(self, dataset: Dataset, row: int) -> tuple[tuple[float, ...], str]:
        """Return the sizes of a new case's voxels and their unit; a domain may know them better."""
        case = dataset.x[row]
        return tuple(case.spacing), case.unit

    def voxel_in(self, dataset: Dataset, row: int) -> float:
        """Return the volume (2-D: area) of a voxel in the cubed unit of `measured_in`."""
        sizes, _ = self.measured_in(dataset, row)
        return float(np.prod(sizes)) * voxel_share(dataset.x[row].header.affine)

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw the best, the median and the worst case, and say it in `facts.json`."""
        from neuroloom.learn.dense.story import illustrate

        illustrate(self, run, prepared, fits)

    def explain(self, run: Run) -> pd.DataFrame:
        """Follow what the final model says of structures back to the image.

        Maps and a table go to the run's artifacts, and the report is written anew.

        Returns
        -------
        DataFrame
            class, distance from the structure, share of the slope, that of a net with random
            weights, share of voxels.
        """
        from neuroloom.learn.dense.explain import explain_again

        return explain_again(self, run)

    def predict(
        self,
        run: Run,
        inputs: list[Path],
        out: Path | str | None = None,
        include: list[str] | None = None,
    ) -> pd.DataFrame:
        """Label new images.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where a label image a case, on the grid and in the format of its input, a map of the
            uncertainty, `predictions.parquet` / `.csv` and `audit.json` are written; None writes
            nothing.
        include
            Globs that narrow the files.

        Returns
        -------
        DataFrame
            name, class, volume (in the cubed unit of the run), doubt, oddness (odd above 1),
            flag (null where nothing says what is usual) and why; what the audit noticed is in
            `attrs["findings"]`.
        """
        from neuroloom.learn.dense.apply.predict import predict

        return predict(self, run, inputs, out, include)
