"""`volumes.radiomics`: measure regions of volumes, and learn an outcome from the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from neuroloom.core.audit import Finding, refuse_shared
from neuroloom.core.dataset import Dataset, require_classes
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recipe import setting
from neuroloom.core.split import Fold
from neuroloom.learn.study import Prepared, Study
from neuroloom.volumes.radiomics.extract import ALL_FAMILIES, Chain
from neuroloom.volumes.radiomics.features.texture import MODES
from neuroloom.volumes.radiomics.table import Table, Wish, has_images
from neuroloom.volumes.whole.columns import odd_words
from neuroloom.volumes.whole.targets import of_the_run, without_target

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.training.crossfit import Fitted

BASELINE = "volume"


class Radiomics(Study):
    """Measure outlined regions as the IBSI defines it; with a target, learn it from the numbers.

    Without `target` and `time` it leaves a table of features. With `target`, a class or a number is
    predicted; with `time` and `event`, survival. All choices are made inside the training folds,
    beside a model that knows only how large the region is.

    Examples
    --------
    >>> Radiomics(target="grade", bins=64).model
    'linear'
    """

    name: ClassVar[str] = "volumes.radiomics"
    summary: ClassVar[str] = "IBSI features of regions; outcome and survival from them"
    data_kind: ClassVar[str] = "CT, MR, PET with masks"
    family: ClassVar[str] = "table"

    model: str = setting("linear", "what is trained", basic=True, kind="model")
    target: str | None = setting(None, "column to learn; none: features only", basic=True)
    time: str | None = setting(None, "column with the follow-up, for survival", basic=True)
    event: str | None = setting(
        None, "column that is 1 where the follow-up ended in the event", basic=True
    )
    rois: list[str] = setting(
        [], "classes of the mask, each by itself; default: all as one", basic=True
    )
    columns: list[str] = setting([], "columns of the table that are features too, such as age")
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    images: list[str] = setting([], "globs that pick the images, where no layout is recognised")
    labels: list[str] = setting([], "globs that pick their masks")
    pattern: str | None = setting(None, 'keys in file names: "{subject}_{session}"')
    channel: int = setting(0, "which channel of the image is measured", ge=0)
    resample: tuple[float, float, float] | None = setting(
        None, "voxel size (z, y, x) to interpolate to; default: the image's own", unit="mm"
    )
    interpolation: Literal["linear", "cubic"] = setting("linear", "how images are interpolated")
    whole: bool = setting(False, "round interpolated intensities to whole numbers, as a CT's")
    range: tuple[float, float] | None = setting(None, "intensities that stay in the region")
    outliers: float | None = setting(
        None, "standard deviations from the mean that stay in the region", gt=0
    )
    discretise: Literal["number", "width", "none"] = setting(
        "number", "grey levels: so many bins, bins so wide, or intensities as they are"
    )
    bins: int = setting(32, "number of grey levels with discretise=number", ge=2)
    width: float = setting(25.0, "width of a grey level with discretise=width", gt=0)
    ivh: Literal["continuous", "definite", "width"] = setting(
        "continuous",
        "intensity-volume curve: of 1000 bins (no unit), in steps of 1 (CT), or of ivh_width (PET)",
    )
    ivh_width: float = setting(2.5, "width of a bin with ivh=width, such as 0.1 SUV", gt=0)
    families: list[str] = setting([], "features: morph, loc, stat, ih, ivh, cm, rlm, …; all")
    modes: list[str] = setting(
        [], "aggregation of texture; default: 3D_comb to learn from, all six in a table"
    )
    filters: list[str] = setting([], "filtered images to measure too: mean:5, log:3, laws:L5E5E5")

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted textures, the fields of a short run, and what they are."""
        from neuroloom.volumes.story import demo

        return demo.textures(
            folder, {"target": "grade", "families": ["morph", "stat", "cm"], "folds": 3}
        )

    @model_validator(mode="after")
    def _fields_agree(self) -> Radiomics:
        if self.time and self.target:
            raise ValueError("target and time exclude each other: name one of them")
        for name, given, known in (("families", self.families, ALL_FAMILIES),
                                   ("modes", self.modes, MODES)):  # fmt: skip
            wrong = [one for one in given if one not in known]
            if wrong:
                raise ValueError(f"{name}: '{wrong[0]}' is none of {', '.join(known)}")
        if self.range and not self.range[0] < self.range[1]:
            raise ValueError(f"range must be two intensities, low < high, got {self.range}")
        return self

    @property
    def learns(self) -> bool:
        """Whether there is something to learn."""
        return bool(self.target or self.time)

    def wish(self) -> Wish:
        """Return which numbers are taken of each case."""
        from neuroloom.volumes.radiomics.features.filters import parse

        for name in self.filters:
            parse(name)
        modes = tuple(self.modes) or (("3D_comb",) if self.learns else MODES)
        chain = Chain(
            spacing=self.resample,
            order=3 if self.interpolation == "cubic" else 1,
            whole=self.whole,
            inside=self.range,
            outliers=self.outliers,
            method=self.discretise,
            bins=self.bins,
            width=self.width,
            ivh=self.ivh,
            ivh_width=self.ivh_width,
            families=tuple(self.families) or ALL_FAMILIES,
            modes=modes,
        )
        return Wish(chain, tuple(self.rois), self.channel, tuple(self.filters), tuple(self.columns))

    def measure(
        self,
        data: Path,
        include: list[str] | None = None,
        *,
        labelled: bool = True,
        columns: Sequence[str] = (),
        channel: str = "",
        upright: bool = True,
        unit: str | None = "mm",
    ) -> Table:
        """Return the features of all cases.

        Parameters
        ----------
        include
            Globs that narrow the images; None: those of the settings.
        columns
            Of a table of features; empty: those of the settings, or all that can be.
        labelled
            Whether they are learnt from or judged; without, they are only predicted.
        channel
            Name of the one that is measured, where the run's data had names.
        upright
            Whether volumes are turned one way first.
        unit
            Of lengths; None: the one that most cases have, as in runs that do not say theirs.
        """
        from neuroloom.io.cases import find_cases
        from neuroloom.volumes.radiomics.table import find_channel, measure_cases, read_table

        wish = self.wish()
        if data.is_file() and data.suffix.lower() in (".csv", ".tsv") and not has_images(data):
            taken = [name for name in (self.target, self.time, self.event) if name]
            return read_table(data, columns or wish.columns, taken, labelled=labelled)
        wanted = self.include if include is None else include
        found = find_cases(data, wanted, self.images, self.labels, self.pattern)
        found = found.in_unit(unit or found.usual_unit)
        wish = replace(wish, channel=find_channel(found.channels, channel, self.channel))
        return measure_cases(found, wish, learnt=labelled and self.learns, upright=upright)

    def prepare(self, data: Path) -> Any:
        """Measure everything; where there is a target, check, audit and split."""
        if (self.time is None) != (self.event is None):
            raise ConfigError("Survival needs both: time, a column with the follow-up, and event.")
        return super().prepare(data) if self.learns else self.measure(data)

    def work(self, prepared: Prepared | Table, run: Run) -> None:
        """Write the features, or fit, judge and report."""
        if isinstance(prepared, Prepared):
            super().work(prepared, run)
            return
        from neuroloom.volumes.radiomics.story import write_features

        write_features(self, prepared, run)

    def read(self, data: Path) -> Dataset:
        """Measure all cases of `data` and look up their outcome."""
        return self._dataset(self.measure(data))

    def read_like(
        self, facts: dict[str, Any], data: Path, include: list[str], *, labelled: bool = True
    ) -> Dataset:
        """Measure new cases the way the run's were; `labelled` where they are to be judged."""
        known = facts["axes"]
        names = known["features"]
        as_then = {"channel": known.get("channel", ""), "upright": known.get("upright", False)}
        as_then |= {"unit": known.get("unit")}
        table = self.measure(data, include, labelled=labelled, columns=names, **as_then)
        missing = [name for name in names if name not in table.features]
        if missing:
            raise DataError(
                f"The model reads {len(names)} features; {missing[0]} is not among those of {data}."
            )
        table = replace(table, features=table.features[names])
        return self._dataset(table, facts, labelled=labelled)

    def read_new(self, facts: dict[str, Any], data: Path) -> Dataset:
        """Measure new cases that are only predicted."""
        return self.read_like(facts, data, [], labelled=False)

    def _dataset(
        self, table: Table, facts: dict[str, Any] | None = None, *, labelled: bool = True
    ) -> Dataset:
        from neuroloom.volumes.radiomics.outcome.targets import outcome_of

        task = facts["task"] if facts else None
        labels, truth, task = outcome_of(
            table.rows, self.target, self.time, self.event, task, labelled=labelled
        )
        keys = ["name", "path", "subject", "session", "run"]
        rows = table.rows[[*keys, *(["split"] if "split" in table.rows else [])]].assign(
            onset=0.0, stop=1.0, label=labels
        )
        classes: list[str] = list(facts["classes"]) if facts else []
        if task == "classification":
            classes = classes or require_classes(rows, "The table")
            rows = of_the_run(rows, classes, labelled=labelled)
        doubts = [] if facts else self._doubts(rows["label"], classes)
        return Dataset(
            rows,
            table.features.to_numpy(float),
            task,
            classes,
            facts={
                "features": [str(name) for name in table.features],
                "target": self.target or self.time,
                "layout": table.layout,
                "channel": table.channel,
                "upright": True,
                "unit": "mm",
            },
            findings=[*table.findings, *doubts],
            extra={"hashes": table.hashes, "features": table.features},
            truth=truth,
        )

    def _doubts(self, labels: pd.Series, classes: list[str]) -> list[Finding]:
        """Say how many cases have no outcome, and which classes may be one."""
        target = self.target or f"{self.time} and {self.event}"
        return [*without_target(labels, target), *odd_words(classes, "classes")]

    def baseline(self, task: str) -> str | None:
        """Name the model of the region's volume alone."""
        return None if self.model == BASELINE else BASELINE

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        """Deal subjects to folds so that each has its share of every outcome; tear none apart."""
        from neuroloom.volumes.radiomics.outcome.targets import stratified_folds

        if stated := self.stated(dataset):
            return stated
        if by == "time":
            raise ConfigError(
                "There is one subject only: two or more are needed to learn from some and judge on "
                "others."
            )
        plain = self.test or self.folds in (0, 1) or self.per or by == "random"
        if plain or dataset.table["subject"].nunique() < 20:
            folds = super()._split(dataset, by)
            if by == "subject" and not self.per:
                refuse_shared(dataset, folds)
            return folds
        return stratified_folds(dataset, by, self.folds or 10, self.seed)

    def audit(self, dataset: Dataset) -> list[Finding]:
        """Look for features that are the outcome, that are the volume, and that are too many."""
        from neuroloom.volumes.radiomics.checks import audit_features

        return audit_features(dataset)

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return predictions; of survival the time, whether it ended in the event, and the risk."""
        dataset = prepared.dataset
        if dataset.task != "survival":
            return super().tabulate(prepared, fits)
        plain = replace(prepared, dataset=replace(dataset, task="regression"))
        table = super().tabulate(plain, fits)
        models = self.roles("survival")
        table["model"] = table["role"].map(models)
        return _with_event(table, dataset)

    def tabulate_new(
        self, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
    ) -> pd.DataFrame:
        """Return prediction rows of new labelled data."""
        if dataset.task != "survival":
            return super().tabulate_new(ensemble, dataset, head)
        plain = replace(dataset, task="regression")
        return _with_event(super().tabulate_new(ensemble, plain, head), dataset)

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw the result and which features it rests on, and say it in `facts.json`."""
        from neuroloom.volumes.radiomics.story import illustrate

        illustrate(self, run, prepared, fits)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Measure new cases and predict their outcome.

        Parameters
        ----------
        run
            A finished run that learnt an outcome.
        inputs
            Folders, manifests or tables.
        out
            Where `predictions.parquet` and `.csv` are written; None writes nothing.

        Returns
        -------
        DataFrame
            name, path, subject, label (if known), predicted (of survival: the log-hazard beside
            the median of those that were learnt from), p_<class>.
        """
        from neuroloom.learn.apply import predict_examples

        if not self.learns:
            raise ConfigError("This run measured features and learnt nothing: it cannot predict.")
        return predict_examples(self, run, inputs, out, "a folder, a manifest or a table")


def _with_event(table: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    assert dataset.truth is not None
    return table.assign(event=dataset.truth[table["example"].to_numpy(int), 1].astype(int))
