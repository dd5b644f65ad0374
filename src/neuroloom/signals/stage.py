"""`signals.stage`: score sleep, epoch by epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator, model_validator

from neuroloom.core.dataset import Dataset
from neuroloom.core.recipe import setting
from neuroloom.core.split import Fold
from neuroloom.learn.model import find_model
from neuroloom.learn.study import Prepared, Study
from neuroloom.signals.examples.cut import Cut
from neuroloom.signals.examples.sleep import Staging

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.training.crossfit import Fitted

MODELS_OWN_BASELINE = "stage-lda"


class Stage(Study):
    """Score sleep: a stage for every epoch of 20 or 30 s, from one channel or many.

    Every stage counts alike in training, however rare. Signals stay in volts, as the rules of the
    AASM have amplitudes (slow waves of 75 µV), unless each recording is to be scaled by its own.
    The score stands beside linear discriminant analysis of band powers with equal priors.

    Examples
    --------
    >>> Stage(split="subject", classes=["W", "N1", "N2", "N3"]).model
    'stage-cnn'
    """

    name: ClassVar[str] = "signals.stage"
    summary: ClassVar[str] = "score sleep stages, epoch by epoch"
    data_kind: ClassVar[str] = "EEG, PSG"
    net_settings: ClassVar[tuple[str, ...]] = ("augment",)

    model: str = setting("stage-cnn", "what is trained", basic=True, kind="model")
    epoch: float | None = setting(
        None, "length of an epoch; default: that of the annotations (20 or 30)", unit="s",
        basic=True, gt=0,
    )  # fmt: skip
    classes: list[str] = setting(
        [], "what is told apart: 'N2', or merged 'NREM=N1+N2+N3'; default: all with enough epochs",
        basic=True,
    )  # fmt: skip
    picks: list[str] = setting([], "channels: names, types, globs; '!name' leaves out", basic=True)
    context: int | None = setting(
        None, "epochs on either side that are seen, too; default: the model's own", ge=0, le=50,
        basic=True,
    )  # fmt: skip
    stages: dict[str, str] = setting(
        {}, "annotation -> W, N1, N2, N3 or R, where names are not the usual ones"
    )
    band: tuple[float, float] = setting((0.3, 30.0), "pass-band", unit="Hz")
    notch: list[float] = setting([], "line frequencies to remove", unit="Hz")
    rate: float = setting(100.0, "resample to", unit="Hz", gt=0)
    reference: list[str] = setting([], "'average', or the channels to subtract")
    scale: Literal["none", "recording"] = setting(
        "none", "none: volts; recording: each channel by its own robust deviation (label-blind)"
    )
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    pattern: str | None = setting(None, 'keys in file names: "{subject}R{run}.edf"')
    augment: list[str] | None = setting(
        None, "augmentations by name, or 'none'; default: the net's own"
    )

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated sleep, the fields of a short run, and what it is."""
        from neuroloom.signals.story import nights

        return nights.stages(
            folder,
            {
                "rate": nights.RATE,
                "band": (0.5, 25.0),
                "epoch": nights.PAGE,
                "split": "subject",
                "folds": 2,
                "budget": "4 epochs",
            },
        )

    @field_validator("classes", mode="after")
    @classmethod
    def _split_at_commas(cls, value: list[str]) -> list[str]:
        return [part.strip() for item in value for part in item.split(",") if part.strip()]

    @model_validator(mode="after")
    def _fields_agree(self) -> Stage:
        if not 0 < self.band[0] < self.band[1]:
            raise ValueError(f"band must be two frequencies 0 < low < high, got {self.band}")
        if len(set(self.classes)) == 1:
            raise ValueError("classes: name two or more, there is nothing to tell apart in one")
        return self

    def read(self, data: Path) -> Dataset:
        """Find and read the recordings of `data`, cut into epochs."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.sleep import read_epochs
        from neuroloom.signals.examples.traces import check_rate

        check_rate(self.rate, self.band)
        found = find(data, self.include, self.pattern)
        return read_epochs(found, self.cut(), self.staging(), scale=self.scale)

    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Read new recordings the way the run's were: same channels, rate, filter and epoch."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.sleep import read_epochs

        staging = replace(self.staging(), epoch=facts["axes"]["epoch"])
        found = find(data, include, self.pattern)
        return read_epochs(found, self.cut(), staging, trained=facts, scale=self.scale)

    def cut(self) -> Cut:
        """Return what is picked and how it is filtered."""
        return Cut(
            picks=tuple(self.picks),
            band=self.band,
            notch=tuple(self.notch),
            rate=self.rate,
            reference=tuple(self.reference),
        )

    def staging(self) -> Staging:
        """Return what is told apart, and in what pieces: a sequence model labels stretches."""
        likes = find_model(self.model).likes
        context = likes.get("context", 0) if self.context is None else self.context
        sequence = bool(likes.get("sequence")) and context > 0
        return Staging(self.epoch, context, sequence, dict(self.stages), tuple(self.classes))

    def gap_of(self, dataset: Dataset) -> float:
        """Return the length of the filter chain and of what is seen beside an epoch, s."""
        around = dataset.facts["context"] * dataset.facts["epoch"]
        return float(dataset.facts["span"]) + around

    def options(self) -> dict[str, Any]:
        """Return what differs from the net's own training: every stage counts alike."""
        options: dict[str, Any] = {"balance": True} if find_model(self.model).is_net else {}
        if self.augment is not None:
            options["augment"] = tuple(name for name in self.augment if name != "none")
        return options

    def baseline(self, task: str) -> str | None:
        """Return LDA of band powers with equal priors, unless it is the model itself."""
        return None if self.model == MODELS_OWN_BASELINE else MODELS_OWN_BASELINE

    def judged_as(self, dataset: Dataset) -> tuple[str, list[str]]:
        """Return "classification": every epoch is judged by itself, also those of a sequence."""
        return "classification", dataset.classes

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return a row for each held-out epoch, seed and role."""
        from neuroloom.learn.scoring.judge import predictions_table

        models = self.roles(prepared.dataset.task)
        if prepared.dataset.task == "classification":
            return predictions_table(prepared.dataset, prepared.folds, fits, models)
        dataset, folds, fits = as_epochs(prepared, fits)
        return predictions_table(dataset, folds, fits, models)

    def tabulate_new(
        self, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
    ) -> pd.DataFrame:
        """Return the rows of new epochs that are labelled."""
        from neuroloom.learn.scoring.judge import rows_of

        units = dict(zip(dataset.table["path"], head.pop("unit"), strict=True))
        rows, p = epoch_probabilities(self.outcome(ensemble, dataset), dataset)
        epochs = epoch_dataset(dataset)
        known = epochs.table["label"].notna().to_numpy()[rows]
        paths = epochs.table["path"].to_numpy()[rows[known]]
        unit = [units[path] for path in paths]
        return rows_of(epochs, rows[known], p[known], {"unit": unit} | head)

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw hypnograms, confusion and sleep statistics, and say it in `facts.json`."""
        from neuroloom.signals.story.stage import illustrate

        illustrate(self, run, prepared, fits)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Score new recordings.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where `predictions.parquet` / `.csv` and, for every recording, a copy annotated with
            the stages (`<name>_staged_raw.fif`) are written; None writes nothing.

        Returns
        -------
        DataFrame
            path, onset (s), stop (s), label (if known), stage, p_<stage>.
        """
        from neuroloom.signals.annotate import predict_stages

        return predict_stages(self, run, inputs, out)


def epoch_dataset(dataset: Dataset) -> Dataset:
    """Return the epochs of a dataset as a classification, without their samples."""
    epochs = dataset.extra["epochs"]
    table = epochs.assign(name=epochs["path"] + "@" + epochs["onset"].map("{:.3f}".format))
    none = np.zeros((len(table), 0), np.float32)
    return replace(dataset, table=table, x=none, task="classification", truth=None)


def epoch_probabilities(outcome: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return which epochs (row of `extra["epochs"]`) have an outcome, and their probabilities.

    Parameters
    ----------
    outcome
        Probabilities (example, class); of a sequence log-probabilities (example, class, place).
        Epochs that several stretches hold get the mean of their log-probabilities.
    """
    places = dataset.extra["places"][dataset.table["example"].to_numpy()]
    if outcome.ndim == 2:
        return places[:, dataset.facts["context"]], outcome
    rows, mean = mean_scores(outcome, places)
    return rows, np.exp(mean)


def mean_scores(scores: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average log-probabilities over the stretches that hold an epoch, and normalise.

    Parameters
    ----------
    scores
        Shape (stretch, class, place).
    places
        Number of the epoch at each place (stretch, place), -1 beyond the recording.

    Examples
    --------
    >>> scores = np.log(np.array([[[0.9, 0.5], [0.1, 0.5]], [[0.5, 0.2], [0.5, 0.8]]]))
    >>> rows, mean = mean_scores(scores, np.array([[0, 1], [1, 2]]))
    >>> rows.tolist(), np.exp(mean).round(2).tolist()
    ([0, 1, 2], [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    """
    from scipy.special import log_softmax

    flat, which = scores.swapaxes(1, 2).reshape(-1, scores.shape[1]), places.ravel()
    rows, at = np.unique(which[which >= 0], return_inverse=True)
    total = np.zeros((len(rows), scores.shape[1]))
    np.add.at(total, at, flat[which >= 0])
    return rows, log_softmax(total / np.bincount(at)[:, None], axis=1)


def as_epochs(prepared: Prepared, fits: list[Fitted]) -> tuple[Dataset, list[Fold], list[Fitted]]:
    """Return the judged epochs of a sequence model: dataset, folds and fits by epoch."""
    dataset = prepared.dataset
    epochs = epoch_dataset(dataset)
    known = epochs.table["label"].notna().to_numpy()
    places = dataset.extra["places"][dataset.table["example"].to_numpy()]
    folds, judged = [], {}
    for number, fold in enumerate(prepared.folds):
        owner = dict(zip(dataset.table["path"].to_numpy()[fold.test], fold.units, strict=True))
        rows = np.unique(places[fold.test])
        rows = rows[rows >= 0]
        judged[number] = rows[known[rows]]
        paths = epochs.table["path"].to_numpy()[judged[number]]
        units = [owner[path] for path in paths]
        folds.append(replace(fold, train=fold.train[:0], test=judged[number], units=units))
    told = []
    for fit in fits:
        rows, mean = mean_scores(fit.scores, places[prepared.folds[fit.job.fold].test])
        told.append(replace(fit, scores=mean[known[rows]]))
    return epochs, folds, told
