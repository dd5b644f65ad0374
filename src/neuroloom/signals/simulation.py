"""`signals.simulate`: recordings with known sources, effect sizes and artefacts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.signals.simulate import Simulation

EXPERIMENTS = {"motor": 0.55, "oddball": 5.0}
RESAMPLES = 1000


class Simulate(Recipe):
    """Make EEG whose truth is known: what any decoder finds in it can be checked.

    Sources lie in a head model of four shells under the electrodes of the template montage, in
    background activity with a 1/f spectrum, alpha, blinks, mains hum and sensor noise. The effect
    is measured in the recordings as they were written, beside what was planted.

    Examples
    --------
    >>> Simulate(experiment="oddball", effect=3.0).trials
    24
    """

    name: ClassVar[str] = "signals.simulate"
    summary: ClassVar[str] = "make EEG with known sources, effect sizes and artefacts"
    data_kind: ClassVar[str] = "EEG"
    needs_data: ClassVar[bool] = False
    instead: ClassVar[str] = "What is simulated is named by `experiment`."

    experiment: Literal["motor", "oddball"] = setting(
        "motor", "hand movements (mu and beta fall), or rare targets (P300)", basic=True
    )
    effect: float | None = setting(
        None, "motor: share of amplitude lost, 0 to 1 (0.55); oddball: extra P300, uV (5)", ge=0,
        basic=True,
    )  # fmt: skip
    subjects: int = setting(1, "how many people", ge=1, basic=True)
    sessions: int = setting(3, "recordings of each", ge=1, basic=True)
    trials: int = setting(24, "events in each recording", ge=2, basic=True)
    channels: list[str] = setting([], "electrodes of the 10-10 system; default: 32", basic=True)
    rate: float = setting(160.0, "sampling rate", unit="Hz", ge=110, basic=True)
    background: float = setting(9.0, "background activity, root mean square", unit="uV", ge=0)
    blinks: float = setting(120.0, "height of a blink at the forehead", unit="uV", ge=0)
    line: float = setting(2.0, "mains hum, root mean square", unit="uV", ge=0)
    noise: float = setting(1.0, "noise of the sensors, root mean square", unit="uV", ge=0)
    seeds: int = setting(1, "how many data sets, each from a seed of its own", ge=1)
    seed: int = setting(1, "of the first data set", ge=0)

    @property
    def planted(self) -> float:
        """The effect that is planted."""
        return EXPERIMENTS[self.experiment] if self.effect is None else self.effect

    def simulation(self, subject: int, seed: int) -> Simulation:
        """Return the recordings of one subject."""
        from neuroloom.signals import simulate

        make = {"motor": simulate.simulate_motor, "oddball": simulate.simulate_evoked}
        levels = simulate.Levels(
            background=self.background,
            blink_peak=self.blinks,
            line=self.line,
            sensor=self.noise,
        )
        return make[self.experiment](
            1000 * seed + subject,
            self.sessions,
            trials=self.trials,
            channels=self.channels or None,
            rate=self.rate,
            effect=self.planted,
            levels=levels,
        )

    def prepare(self, data: Path) -> dict[tuple[int, int], Simulation]:
        """Make everything, which also checks the settings; nothing is written."""
        return {
            (seed, subject): self.simulation(subject, seed)
            for seed in range(self.seed, self.seed + self.seeds)
            for subject in range(1, self.subjects + 1)
        }

    def work(self, prepared: dict[tuple[int, int], Simulation], run: Run) -> None:
        """Write recordings, truth, the effect as measured, and the report."""
        note = Finding("note", "Simulated", "Nothing here is a recording of a person.")
        write_json(run.folder / "audit.json", [note.as_dict()])
        run.log("audit", **note.as_dict())
        write_json(run.folder / "plan.json", {"reason": "made at once"})
        measured = {}
        for (seed, subject), made in prepared.items():
            folder = run.folder / "recordings"
            folder = folder / f"seed-{seed}" if self.seeds > 1 else folder
            write_recordings(made, folder, subject)
            measured[seed, subject] = effect_of(made, self.experiment)
            place = {"role": "simulation", "fit": len(measured), "fits": len(prepared)}
            run.log("fitted", seed=seed, subject=subject, **place)
        run.log("plan", reason="made at once")
        self.illustrate(run, prepared, measured)

    def illustrate(
        self,
        run: Run,
        prepared: dict[tuple[int, int], Simulation],
        measured: dict[tuple[int, int], pd.DataFrame],
    ) -> None:
        """Write the metrics, the figures and the report."""
        from neuroloom.signals.story.simulation import report_simulation

        report_simulation(self, run, prepared, measured)


def write_recordings(made: Simulation, folder: Path, subject: int) -> list[Path]:
    """Write the recordings as EDF+ named by BIDS, and `sub-<n>_truth.json` beside them."""
    from neuroloom.signals.simulate import write_edf

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for recording in made.recordings:
        name = recording.attrs["source"].replace("sub-01", f"sub-{subject:02d}")
        paths.append(write_atomic(folder / name, partial(write_edf, recording)))
    truth = folder / f"sub-{subject:02d}_truth.json"
    write_atomic(truth, lambda path: path.write_text(json.dumps(made.truth, indent=1)))
    return paths


def effect_of(made: Simulation, experiment: str) -> pd.DataFrame:
    """Measure the effect trial by trial, as a reader of the recordings would.

    Returns
    -------
    Columns label and value. Motor: log amplitude in 8-14 Hz at the electrode opposite the moved
    hand, less that at the same side; zero without effect, negative with it. Oddball: mean
    amplitude 0.3-0.4 s after the event at Pz (or the nearest electrode), uV, from a baseline of
    0.1 s before it.
    """
    import pandas as pd

    measure = _lateralised if experiment == "motor" else _late_response
    parts = [measure(recording) for recording in made.recordings]
    return pd.concat(parts, ignore_index=True)


def _lateralised(recording: Any) -> pd.DataFrame:
    import pandas as pd

    from neuroloom.signals.simulate import HANDS
    from neuroloom.signals.steps import BandPass

    rows: list[tuple[str, float]] = []
    if not set(HANDS.values()) <= set(recording.coords["channel"].values.astype(str)):
        return pd.DataFrame(rows, columns=["label", "value"])
    filtered = BandPass(8, 14).apply(recording)
    rate = recording.attrs["rate"]
    power = {hand: filtered.sel(channel=name).values for hand, name in HANDS.items()}
    table = recording.attrs["annotations"]
    for row in table[table["label"] != "rest"].itertuples():
        own = slice(round((row.onset + 1) * rate), round((row.onset + row.duration) * rate))
        other = next(hand for hand in HANDS if hand != row.label)
        value = np.log(power[row.label][own].std() / power[other][own].std())
        rows.append((row.label, float(value)))
    return pd.DataFrame(rows, columns=["label", "value"])


def _late_response(recording: Any) -> pd.DataFrame:
    import pandas as pd

    names = recording.coords["channel"].values.astype(str).tolist()
    name = next((n for n in ("Pz", "CPz", "POz", "P1", "P2", "Cz") if n in names), names[0])
    rate, trace = recording.attrs["rate"], recording.sel(channel=name).values * 1e6
    rows = []
    for row in recording.attrs["annotations"].itertuples():
        at = round(row.onset * rate)
        before = trace[at - round(0.1 * rate) : at].mean()
        after = trace[at + round(0.3 * rate) : at + round(0.4 * rate)].mean()
        rows.append((row.label, float(after - before)))
    return pd.DataFrame(rows, columns=["label", "value"])


def summarise_effect(table: pd.DataFrame, experiment: str, seed: int) -> dict[str, float | None]:
    """Return the mean effect with a 95 % bootstrap interval over trials; chance is none."""
    rng = np.random.default_rng(seed)
    if len(table) == 0:
        return dict.fromkeys(("value", "low", "high", "baseline", "chance"))
    values, labels = table["value"].to_numpy(), table["label"].to_numpy()
    if experiment == "motor":
        groups = [(1.0, values)]
    else:
        groups = [(1.0, values[labels == "target"]), (-1.0, values[labels != "target"])]
    value = sum(sign * own.mean() for sign, own in groups)
    draws = sum(
        sign * own[rng.integers(len(own), size=(RESAMPLES, len(own)))].mean(1)
        for sign, own in groups
    )
    low, high = np.quantile(draws, [0.025, 0.975])
    known = {"value": value, "low": min(low, value), "high": max(high, value), "chance": 0.0}
    return {k: float(known[k]) if k in known else None
            for k in ("value", "low", "high", "baseline", "chance")}  # fmt: skip
