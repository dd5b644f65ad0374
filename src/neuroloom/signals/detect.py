"""`signals.detect`: find events, such as sleep spindles or spikes, with onset and duration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import setting
from neuroloom.learn.study import Prepared, Study
from neuroloom.signals.examples.cut import Cut
from neuroloom.signals.examples.events import Rule

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.training.crossfit import Fitted

FEW_EVENTS = 30


class Detect(Study):
    """Find events in continuous recordings: which samples belong to one, then onset and duration.

    A net gives every sample a probability; where it is above the threshold there is an event.
    Recordings that are held out are predicted whole. Found and true events are matched one to one
    by their overlap, beside a threshold on the amplitude in the event's band.

    Examples
    --------
    >>> Detect(events={"spindle/expert *": "spindle"}, split="subject").model
    'unet'
    """

    name: ClassVar[str] = "signals.detect"
    summary: ClassVar[str] = "find events (spindles, spikes) with onset and duration"
    data_kind: ClassVar[str] = "EEG, MEG, LFP"
    net_settings: ClassVar[tuple[str, ...]] = ("augment",)

    model: str = setting("unet", "what is trained", basic=True, kind="model")
    events: dict[str, str] = setting(
        {}, "annotation or glob -> event, such as spindle/*: spindle; overlapping marks unite",
        basic=True,
    )  # fmt: skip
    picks: list[str] = setting([], "channels: names, types, globs; '!name' leaves out", basic=True)
    window: float = setting(20.0, "stretch that a net sees at once", unit="s", basic=True, gt=0)
    threshold: float | None = setting(
        0.5, "probability that makes an event; none: chosen inside the training fold", ge=0, le=1,
        basic=True,
    )  # fmt: skip
    iou: float = setting(0.2, "least overlap (intersection over union) of a hit", gt=0, le=1)
    shortest: float | None = setting(
        None, "shortest event that is kept; default: half of the training events' shortest",
        unit="s", ge=0,
    )  # fmt: skip
    longest: float | None = setting(
        None, "longest event that is kept; default: twice the training events' longest",
        unit="s", gt=0,
    )  # fmt: skip
    merge: float | None = setting(
        None, "join pieces no further apart than this; default: half of `shortest`", unit="s", ge=0
    )
    band: tuple[float, float] = setting((0.5, 30.0), "pass-band", unit="Hz")
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
        """Return simulated sleep with spindles, the fields of a short run, and what it is."""
        from neuroloom.signals.story import nights

        return nights.spindles(
            folder,
            {
                "events": {"spindle": "spindle"},
                "rate": nights.RATE,
                "band": (0.5, 25.0),
                "window": 4.0,
                "split": "subject",
                "folds": 2,
                "budget": "60 steps",
            },
        )

    @model_validator(mode="after")
    def _fields_agree(self) -> Detect:
        if not 0 < self.band[0] < self.band[1]:
            raise ValueError(f"band must be two frequencies 0 < low < high, got {self.band}")
        if self.shortest and self.longest and self.shortest > self.longest:
            raise ValueError(
                f"shortest ({self.shortest:g} s) must not exceed longest ({self.longest:g} s)"
            )
        if "background" in self.events.values():
            raise ValueError("events: 'background' is what no event is called; name it otherwise")
        return self

    def read(self, data: Path) -> Dataset:
        """Find and read the recordings of `data`, in overlapping stretches."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.events import read_events
        from neuroloom.signals.examples.traces import check_rate

        check_rate(self.rate, self.band)
        if not self.events:
            raise ConfigError(
                "events: say which annotations mark an event, such as "
                "--events.'spindle/*' spindle." + _those_there(data, self)
            )
        found = find(data, self.include, self.pattern)
        return read_events(found, self.cut(), self.events, self.stored_window, scale=self.scale)

    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Read new recordings the way the run's were: same channels, rate, filter and stretch."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.events import read_events

        found = find(data, include, self.pattern)
        return read_events(
            found, self.cut(), self.events, self.stored_window, trained=facts, scale=self.scale
        )

    @property
    def stored_window(self) -> float:
        """Seconds of a stored stretch: half more than a net sees, to cut at random places."""
        return 1.5 * self.window

    def cut(self) -> Cut:
        """Return what is picked and how it is filtered."""
        return Cut(
            picks=tuple(self.picks),
            window=self.stored_window,
            band=self.band,
            notch=tuple(self.notch),
            rate=self.rate,
            reference=tuple(self.reference),
        )

    def gap_of(self, dataset: Dataset) -> float:
        """Return the length of the filter chain, s."""
        return float(dataset.facts["span"])

    def options(self) -> dict[str, Any]:
        """Return what differs from the net's own training: random pieces of the stretches."""
        options: dict[str, Any] = {"crop": 2 / 3}
        if self.augment is not None:
            options["augment"] = tuple(name for name in self.augment if name != "none")
        return options

    def baseline(self, task: str) -> str | None:
        """Return the threshold on the amplitude, unless it is the model itself."""
        return None if self.model == "rms-threshold" else "rms-threshold"

    def judged_as(self, dataset: Dataset) -> tuple[str, list[str]]:
        """Return "detection": recordings with counts of events."""
        return "detection", []

    def audit(self, dataset: Dataset) -> list[Finding]:
        """Notice few events, and recordings without any."""
        events = dataset.extra["events"]
        counts = events["event"].value_counts()
        return [
            Finding("warning", "Few events", f"There are {n} events of the kind '{name}' in all.")
            for name, n in counts.items()
            if n < FEW_EVENTS
        ]

    def rule(self, dataset: Dataset, rows: np.ndarray, learner: Any) -> Rule:
        """Return how probabilities become events, as far as open settled on training rows."""
        from neuroloom.signals.examples.events import (
            choose_threshold,
            probabilities,
            training_events,
        )

        threshold = 0.5 if self.threshold is None else self.threshold
        rule = Rule(threshold, self.shortest, self.longest, self.merge)
        rule = rule.fitted_to(training_events(dataset, rows))
        if self.threshold is not None:
            return rule
        parts = list(probabilities(dataset, rows, learner.predict_scores(dataset.x[rows])))
        return replace(rule, threshold=choose_threshold(dataset, parts, rule, self.iou))

    def judged(
        self, prepared: Prepared, fits: list[Fitted]
    ) -> Iterator[tuple[Fitted, Rule, str, np.ndarray]]:
        """Yield each fit with its rule and, of each recording held out, the probabilities."""
        from neuroloom.signals.examples.events import probabilities

        for fit in fits:
            fold = prepared.folds[fit.job.fold]
            rule = self.rule(prepared.dataset, fold.train, fit.learner)
            for path, p in probabilities(prepared.dataset, fold.test, fit.scores):
                yield fit, rule, path, p

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return a row for each held-out recording, seed and role, with counts of events."""
        from neuroloom.signals.examples.events import judge

        models = self.roles(prepared.dataset.task)
        rows = []
        for fit, rule, path, p in self.judged(prepared, fits):
            unit = unit_of(prepared, fit, path)
            head = {"fold": fit.job.fold, "unit": unit, "seed": fit.job.seed}
            head |= {"model": models[fit.job.role], "role": fit.job.role}
            rows.append(self._row(prepared.dataset, path, head, judge(
                prepared.dataset, path, p, rule, self.iou)[0]))  # fmt: skip
        return _as_table(rows)

    def _row(
        self, dataset: Dataset, path: str, head: dict[str, Any], counts: dict[str, Any]
    ) -> dict[str, Any]:
        from neuroloom.signals.examples.events import entity_columns

        number = list(dataset.extra["samples"]).index(path)
        return {"example": number} | entity_columns(dataset, path) | head | counts

    def tabulate_new(
        self, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
    ) -> pd.DataFrame:
        """Return the counts of new recordings that are labelled."""
        from neuroloom.signals.examples.events import judge

        units = dict(zip(dataset.table["path"], head.pop("unit"), strict=True))
        rows = []
        for path, p in self.probabilities(ensemble, dataset):
            counts, _ = judge(dataset, path, p, rule_of(ensemble), self.iou)
            rows.append(self._row(dataset, path, {"unit": units[path]} | head, counts))
        return _as_table(rows)

    def probabilities(
        self, ensemble: Ensemble, dataset: Dataset
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each recording with the probabilities of a stored model."""
        from neuroloom.signals.examples.events import probabilities

        for path in dict.fromkeys(dataset.table["path"]):
            rows = np.flatnonzero((dataset.table["path"] == path).to_numpy())
            part = dataset.take(rows)
            yield from probabilities(part, np.arange(len(part)), self.outcome(ensemble, part))

    def _final(self, role: str, name: str, prepared: Prepared, fits: list[Fitted]) -> Ensemble:
        """Store the rule beside the model: that of all data, else the median of the folds."""
        ensemble = super()._final(role, name, prepared, fits)
        dataset = prepared.dataset
        found = []
        for fit in [fit for fit in fits if fit.job.fold < 0] or fits:
            everything = np.arange(len(dataset))
            rows = prepared.folds[fit.job.fold].train if fit.job.fold >= 0 else everything
            found.append(self.rule(dataset, rows, fit.learner))
        parts = [
            float(np.median([getattr(rule, name) for rule in found]))
            for name in ("threshold", "shortest", "longest", "gap")
        ]
        ensemble.facts["rule"] = parts
        return ensemble

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw events found and true, densities, errors, and say it in `facts.json`."""
        from neuroloom.signals.story.detect import illustrate

        illustrate(self, run, prepared, fits)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Find events in new recordings.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where `predictions.parquet` / `.csv` and, for every recording, a copy annotated with
            the events (`<name>_detected_raw.fif`) are written; None writes nothing.

        Returns
        -------
        DataFrame
            path, event, onset (s), stop (s), duration (s), peak (probability).
        """
        from neuroloom.signals.annotate import predict_events

        return predict_events(self, run, inputs, out)


def rule_of(ensemble: Ensemble) -> Rule:
    """Return the rule that is stored with a model."""
    return Rule(*ensemble.facts["rule"])


def unit_of(prepared: Prepared, fit: Fitted, path: str) -> str:
    """Return the split's unit that a held-out recording belongs to."""
    fold = prepared.folds[fit.job.fold]
    paths = prepared.dataset.table["path"].to_numpy()[fold.test]
    return fold.units[int(np.flatnonzero(paths == path)[0])]


def _as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    from neuroloom.learn.scoring.metrics import COUNTS

    if rows:
        return pd.DataFrame(rows)
    head = ("example", "path", "fold", "unit", "seed", "model", "role")
    return pd.DataFrame(columns=[*head, *COUNTS])


def _those_there(data: Path, detect: Detect) -> str:
    """Return a sentence that lists the annotations of the data."""
    from neuroloom.io.recordings.find import find
    from neuroloom.signals.examples.data import peek_all
    from neuroloom.signals.examples.traces import labels_there

    headers = peek_all(find(data, detect.include, detect.pattern))
    return f" There are {', '.join(labels_there(headers)[:20])}."
