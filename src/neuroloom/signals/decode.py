"""`signals.decode`: tell from EEG, MEG or EMG what a person saw, did or imagined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator, model_validator

from neuroloom.core.audit import Finding, tell_tale
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import whole_path
from neuroloom.core.recipe import setting
from neuroloom.core.split import Fold
from neuroloom.learn.model import Model, find_model
from neuroloom.learn.study import Prepared, Study
from neuroloom.signals.examples.cut import Cut
from neuroloom.signals.models.build import FEATURES_LIKE
from neuroloom.signals.pretraining.pretrained import fewer_labels, refuse_seen

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.io.recordings.reader import Header
    from neuroloom.learn.training.crossfit import Fitted


EVOKED_BELOW, SHORT = 4.0, 1.25
# Whether numbers are learnt -> kind of signal -> baseline, and the one that stands beside itself.
BASELINES: dict[bool, dict[str, tuple[str, str | None]]] = {
    False: {
        "rhythm": ("csp-lda", "riemann"),
        "evoked": ("shrinkage-lda", "xdawn"),
        "muscle": ("log-rms", "emg"),
    },
    True: {
        "rhythm": ("riemann", None),
        "evoked": ("shrinkage-lda", None),
        "muscle": ("log-rms", None),
    },
}


class Decode(Study):
    """Decode trials (or pieces) of continuous recordings into classes or numbers.

    Recordings are filtered, cut around events and split so that no run (session, subject) stands
    on both sides; a net or a classical decoder is trained and judged beside a baseline.

    Examples
    --------
    >>> Decode(events={"T1": "fists", "T2": "feet"}, start=1, stop=4, split="run").model
    'eegnet'
    """

    name: ClassVar[str] = "signals.decode"
    summary: ClassVar[str] = "decode EEG, MEG or EMG trials into classes or numbers"
    data_kind: ClassVar[str] = "EEG, MEG, EMG"
    net_settings: ClassVar[tuple[str, ...]] = ("mode", "augment")
    model_settings: ClassVar[tuple[str, ...]] = ("features",)

    events: dict[str, str] = setting(
        {}, "annotation -> class, such as T1: fists; default: every annotation", basic=True
    )
    target: str | None = setting(
        None, "a column or pattern key to learn instead of events; a numeric one is a regression"
    )
    start: float = setting(0.0, "begin of a trial after its event", unit="s", basic=True)
    stop: float | None = setting(
        None, "end of a trial after its event; default: the events' own duration", unit="s",
        basic=True,
    )  # fmt: skip
    picks: list[str] = setting([], "channels: names, types, globs; '!name' leaves out", basic=True)
    window: float | None = setting(None, "cut events or recordings into pieces", unit="s", gt=0)
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    pattern: str | None = setting(None, 'keys in file names: "{subject}R{run}.edf"')
    band: tuple[float, float] | None = setting(
        None, "pass-band; default: the model's own (see `neuroloom models`)", unit="Hz"
    )
    notch: list[float] = setting([], "line frequencies to remove", unit="Hz")
    rate: float | None = setting(None, "resample to; default: what the band needs", unit="Hz", gt=0)
    reference: list[str] = setting([], "'average', or the channels to subtract")
    reject: float | None = setting(
        None, "drop trials whose peak-to-peak amplitude exceeds this", unit="uV", gt=0
    )
    mode: Literal["trialwise", "cropped"] | None = setting(
        None, "show a net whole trials or shorter crops that vote; default: the net's own"
    )
    augment: list[str] | None = setting(
        None, "augmentations: names or name=strength, or 'none'; default: the net's own"
    )
    features: (
        Literal["time", "bandpower", "variance", "rms", "muscle", "covariance", "wavelet", "stft"]
        | None
    ) = setting(None, "what a plain classifier (lda, svm, …) sees; default: the model's own")
    align: Literal["none", "euclidean"] = setting(
        "none", "whiten each recording by its own mean covariance (label-blind)"
    )

    eyes: Literal["none", "regression", "emcp", "ica"] = setting(
        "none", "take out eye movements: regression on EOG, apart for blinks (emcp), or ICA"
    )
    eog: list[str] = setting([], "channels that watch the eyes; default: those of the type eog")
    montage: Literal["as recorded", "10-10"] = setting(
        "as recorded", "map any cap onto the 64 places of the 10-10 system; files may differ then"
    )
    standardise: Literal["none", "moving"] = setting(
        "none", "scale each channel by its moving mean and deviation, looking back only"
    )
    init: str | None = setting(
        None, "a run of signals.pretrain that probe and finetune start from, or 'random'"
    )
    labels: int | None = setting(
        None, "learn from so many labelled trials of each fold only, drawn by the seed", ge=2
    )

    @field_validator("init")
    @classmethod
    def _init_holds_anywhere(cls, init: str | None) -> str | None:
        return init if init == "random" else whole_path(init)

    @model_validator(mode="after")
    def _fields_agree(self) -> Decode:
        if self.events and self.target:
            raise ValueError("events and target exclude each other: name one of them")
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop ({self.stop:g} s) must come after start ({self.start:g} s)")
        if self.band and not 0 < self.band[0] < self.band[1]:
            raise ValueError(f"band must be two frequencies 0 < low < high, got {self.band}")
        return self

    def read(self, data: Path) -> Dataset:
        """Find, read and cut the recordings of `data`."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.data import peek_all, read_examples

        found = find(data, self.include, self.pattern)
        headers = peek_all(found)
        return read_examples(found, self.cut(headers), headers=headers)

    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Cut new recordings the way the run's were: same channels, rate, filter and window."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.data import align_to

        return align_to(facts, find(data, include, self.pattern))

    def cut(self, headers: dict[str, Header]) -> Cut:
        """Return how examples are cut, with the model's own band and rate filled in.

        Files that hold trials were cut, and as a rule filtered, before: they stay as they are
        unless `band` or `rate` is given.
        """
        cut_before = any(header.trial is not None for header in headers.values())
        band = self.band or (None if cut_before else self._likes().get("band"))
        return Cut(
            picks=tuple(self.picks),
            events=self.events,
            target=self.target,
            start=self.start,
            stop=self.stop,
            window=self.window,
            band=band,
            notch=tuple(self.notch),
            rate=self.rate or (None if cut_before else self._own_rate(band, headers)),
            reference=tuple(self.reference),
            reject=self.reject,
            align=self.align,
            eyes=self.eyes,
            eog=tuple(self.eog),
            montage=self.montage,
            standardise=self.standardise,
        )

    def _likes(self) -> dict[str, Any]:
        """Return the preprocessing that the features, or else the model, were made for."""
        from neuroloom.signals.pretraining.pretrained import likes_of

        likes = FEATURES_LIKE[self.features] if self.features else find_model(self.model).likes
        return likes | likes_of(self.init)

    def _own_rate(
        self, band: tuple[float, float] | None, headers: dict[str, Header]
    ) -> float | None:
        """Return the lowest rate that still holds the band well, if the model asks for one."""
        if "rate" in self._likes():
            return self._likes()["rate"]
        over = self._likes().get("oversampling")
        if band is None or over is None:
            return None
        rates = [header.rate for header in headers.values()]
        wanted = float(np.ceil(over * band[1] / 10) * 10)
        return wanted if wanted < min(rates) else None

    def gap_of(self, dataset: Dataset) -> float:
        """Return the length of the filter chain, s."""
        return float(dataset.facts["span"])

    def options(self) -> dict[str, Any]:
        """Return what differs from the net's own training."""
        options: dict[str, Any] = {}
        if self.mode == "trialwise":
            options |= {"crop": 1.0, "crops": 1}
        if self.mode == "cropped":
            options |= {"crop": 0.75, "crops": 5}
        if self.augment is not None:
            options["augment"] = tuple(name for name in self.augment if name != "none")
        if self.features is not None:
            options["features"] = self.features
        if "init" in find_model(self.model).obeys:
            options |= {"init": self.init or "random", "init_seed": self.seed}
        return options

    def _refuse_idle_settings(self, model: Model) -> None:
        """Refuse settings that mean nothing to the model, or to each other."""
        super()._refuse_idle_settings(model)
        if self.init is not None and "init" not in model.obeys:
            raise ConfigError(
                f"init means nothing to model={self.model}: choose probe or finetune, or leave it "
                "out."
            )
        if self.labels is not None and (self.folds == 0 or self.final == "refit"):
            raise ConfigError(
                "labels leaves trials out, folds=0 and final=refit learn from all: choose one."
            )

    def refits(self, model: Model) -> bool:
        """Tell as other studies do; with few labels, no model learns from the others."""
        return self.labels is None and super().refits(model)

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        """Split; refuse test files that the encoder has seen; keep as many labels as asked for."""
        folds = super()._split(dataset, by)
        if self.init not in (None, "random"):
            paths = {p for fold in folds for p in dataset.table["path"].iloc[fold.test]}
            hashes = dataset.extra["hashes"]
            refuse_seen(str(self.init), {path: hashes[path] for path in sorted(paths)})
        return (
            folds if self.labels is None else fewer_labels(folds, dataset, self.labels, self.seed)
        )

    def baseline(self, task: str) -> str | None:
        """Name the plain decoder of the same kind of signal: rhythms, evoked responses or muscles.

        A model says which kind it is made for. A net made for none is taken to look for evoked
        responses where the pass-band reaches below 4 Hz, which rhythms of interest do not.
        """
        first, second = BASELINES[task == "regression"][self._signal()]
        return second if self.model == first else first

    def _signal(self) -> str:
        """Return "rhythm", "evoked" or "muscle"."""
        known = self._likes().get("signal")
        low = self.band[0] if self.band else self._likes().get("band", (EVOKED_BELOW,))[0]
        return known or ("evoked" if low < EVOKED_BELOW else "rhythm")

    def audit(self, dataset: Dataset) -> list[Finding]:
        """Look for channels that give the answer away, and for a model that fits the data more."""
        return [*self._suggestions(dataset), *self._tell_tales(dataset)]

    def _suggestions(self, dataset: Dataset) -> list[Finding]:
        """Name the model made for muscles, or for short trials, where this one is for rhythms."""
        cut, muscle = Cut.of(dataset.facts["cut"]), set(dataset.facts["types"]) == {"emg"}
        if muscle and self._signal() != "muscle":
            why, model = "All channels are muscles (EMG), whose amplitude tells gestures", "emg"
        elif not muscle and self._signal() == "rhythm" and not cut.window and cut.length <= SHORT:
            why, model = f"If these trials of {cut.length:g} s are responses to stimuli", "erp"
        else:
            return []
        what = f"{why}: `--model {model}` is made for that; {self.model} looks for rhythms."
        return [Finding("note", "Another model may fit better", what)]

    def _tell_tales(self, dataset: Dataset) -> list[Finding]:
        if dataset.task != "classification":
            return []
        rows = dataset.table["example"].to_numpy()
        features = {
            "mean": dataset.extra["offset"][rows],
            "amplitude": dataset.extra["spread"][rows],
            "amplitude in the band": np.log(dataset.x.std(2) + 1e-12),
        }
        hits: dict[str, str] = {}
        for what, values in features.items():
            for name, auc in tell_tale(values, dataset.y, dataset.facts["channels"]):
                hits.setdefault(name, f"{name} by its {what} (AUC {auc:.3f})")
        return [_tell_tale_finding(name, how) for name, how in hits.items()]

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw what a reviewer looks for first, and say it in `facts.json`."""
        from neuroloom.signals.story.decode import illustrate

        illustrate(self, run, prepared, fits)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return recordings to try this on, the fields that decode them, and what they are.

        Gets one person's recording from PhysioNet; without a network, or if not to `fetch`, it
        simulates one.
        """
        from neuroloom.signals.story.demo import demo

        return demo(folder, fetch)

    def explain(self, run: Run) -> pd.DataFrame:
        """Measure which sensors and bands the run's final model draws on; returns the sensors.

        The tables and maps go to the run's artifacts, and the report is written anew.
        """
        from neuroloom.signals.story.explanation import explain_again

        return explain_again(self, run)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Decode new recordings, at their events or in neighbouring windows.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where `predictions.parquet` / `.csv` and, for every recording, a copy annotated with
            the decoded classes (`<name>_decoded_raw.fif`) are written; None writes nothing.

        Returns
        -------
        DataFrame
            path, onset (s), stop (s), label (if known), decoded, p_<class> (calibrated).
        """
        from neuroloom.signals.predict import predict

        return predict(self, run, inputs, out)


def _tell_tale_finding(name: str, how: str) -> Finding:
    return Finding(
        "warning",
        f"Channel {name} gives the answer away",
        f"One channel alone tells the classes apart almost perfectly: {how}. Is it a trigger, a "
        f"response or a label channel? If so, leave it out with --picks '!{name}'.",
    )
