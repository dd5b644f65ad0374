"""`signals.artifacts`: label, detect and replace artefacts in LFP, EEG or EMG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from neuroloom.core.dataset import Dataset
from neuroloom.core.recipe import setting
from neuroloom.learn.scoring.written import add_scores
from neuroloom.learn.study import Prepared, Study
from neuroloom.signals.examples.cut import Cut

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.training.crossfit import Fitted


class Artifacts(Study):
    """Find stretches that are not signal, and put in what the signal around them makes likely.

    Every channel is looked at by itself, window by window. What an artefact is comes from known
    ones put into the recording (`labels=inject`: nothing needs to be marked), from a threshold on
    the window's power, or from annotations. Beside the detector stands the power threshold.

    Examples
    --------
    >>> Artifacts(labels="threshold", threshold=4.0).model
    'artifact-cnn'
    """

    name: ClassVar[str] = "signals.artifacts"
    summary: ClassVar[str] = "find artefacts in LFP, EEG or EMG and replace them"
    data_kind: ClassVar[str] = "LFP, EEG, EMG"

    model: str = setting("artifact-cnn", "what is trained", basic=True, kind="model")
    labels: Literal["inject", "threshold", "events"] = setting(
        "inject", "learn from known artefacts put in, a power threshold, or annotations", basic=True
    )
    threshold: float | None = setting(
        None, "of a window's power, in robust deviations above its median; default: 4", gt=0
    )
    events: list[str] = setting([], "annotations (names, globs) that mark artefacts", basic=True)
    window: float = setting(0.2, "what is judged at once", unit="s", gt=0, basic=True)
    replace: Literal["forecast", "none"] = setting(
        "forecast", "fill bad stretches by a forecaster that sees both sides, or leave them",
        basic=True,
    )  # fmt: skip
    picks: list[str] = setting([], "channels: names, types, globs; '!name' leaves out")
    per_minute: float = setting(60.0, "artefacts put in, each minute", gt=0)
    copies: int = setting(5, "how often artefacts are put into each recording", ge=1)
    context: float = setting(1.0, "seen on each side of a gap", unit="s", gt=0)
    rate: float | None = setting(None, "resample to; default: as recorded", unit="Hz", gt=0)
    band: tuple[float, float] | None = setting(None, "pass-band; default: as recorded", unit="Hz")
    notch: list[float] = setting([], "line frequencies to remove", unit="Hz")
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    pattern: str | None = setting(None, 'keys in file names: "{subject}R{run}.edf"')

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated EEG, the fields of a short run, and what it is."""
        from neuroloom.signals.story import nights

        fields = {"budget": "15s", "copies": 1, "picks": ["C3", "Cz", "C4"]}
        return nights.motor(folder, fields)

    @model_validator(mode="after")
    def _fields_agree(self) -> Artifacts:
        if self.labels == "events" and not self.events:
            raise ValueError("labels=events needs `events`: which annotations mark artefacts")
        if self.labels != "events" and self.events:
            raise ValueError(f"events mean nothing to labels={self.labels}: leave them out")
        if self.labels != "threshold" and self.threshold is not None:
            raise ValueError(f"threshold means nothing to labels={self.labels}: leave it out")
        return self

    def read(self, data: Path) -> Dataset:
        """Read the recordings and cut every channel into windows."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.mending.windows import read_windows

        return read_windows(self, find(data, self.include, self.pattern))

    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Cut new recordings the way the run's were."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.mending.windows import read_windows

        return read_windows(self, find(data, include, self.pattern), facts)

    def cut(self, rate: float) -> Cut:
        """Return what is picked and how it is filtered."""
        return Cut(
            picks=tuple(self.picks), window=self.window, band=self.band, notch=tuple(self.notch),
            rate=self.rate or rate,
        )  # fmt: skip

    def gap_of(self, dataset: Dataset) -> float:
        """Return the filter chain and the context of a gap, s."""
        return float(dataset.facts["span"]) + self.context

    def baseline(self, task: str) -> str | None:
        """Return the threshold on a window's power."""
        return None if self.model == "power-threshold" else "power-threshold"

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return the predictions, each with the channel and the artefact that was put in."""
        table = super().tabulate(prepared, fits)
        known = prepared.dataset.table.set_index("example")
        for name in ("channel", "copy", "kind", "level"):
            table[name] = known[name].reindex(table["example"]).to_numpy()
        return table

    def _judge(self, prepared: Prepared, run: Run, results: dict[str, Any]) -> pd.DataFrame:
        """Score the detector by level too, and the forecaster on gaps made for it."""
        from neuroloom.signals.mending.cleaning import judge_gaps, metrics_by_level

        table = super()._judge(prepared, run, results)
        if len(table) == 0:
            return table
        more = metrics_by_level(table, prepared.dataset.classes, self.seed)
        if self.replace == "forecast":
            more |= judge_gaps(prepared, self.context, self.seed, run)
        add_scores(run.folder, more)
        return table

    def _keep(self, prepared: Prepared, run: Run, results: dict[str, Any]) -> None:
        """Store the detector, and a forecaster learnt from all clean stretches."""
        from neuroloom.signals.mending.cleaning import keep_filler

        super()._keep(prepared, run, results)
        if self.replace == "forecast":
            keep_filler(prepared, self.context, self.seed, run)

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw artefacts, what was found of them, and gaps that were filled."""
        from neuroloom.signals.story.artifacts import illustrate

        illustrate(self, run, prepared, fits)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Find the artefacts of new recordings, and replace them.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where `predictions.parquet` / `.csv` and, for every recording, a cleaned and annotated
            copy (`<name>_cleaned_raw.fif`) are written; None writes nothing.

        Returns
        -------
        DataFrame
            path, channel, onset, stop (s), p_artifact, decoded; a row each window, four over
            each moment.
        """
        from neuroloom.signals.mending.cleaning import clean

        return clean(self, run, inputs, out)
