"""The report of a simulation: what was planted, and what can be seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.signals.figures import data as figures
from neuroloom.signals.figures.trials import Trials
from neuroloom.signals.simulation import summarise_effect

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.signals.simulate import Simulation
    from neuroloom.signals.simulation import Simulate

SHOWN = {"motor": (1.0, 4.0, ("left", "right")), "oddball": (-0.1, 0.8, ("standard", "target"))}
METRIC = {"motor": "lateralisation", "oddball": "late_response"}


def report_simulation(
    recipe: Simulate,
    run: Run,
    made: dict[tuple[int, int], Simulation],
    measured: dict[tuple[int, int], pd.DataFrame],
) -> None:
    """Write the tables, the metrics, the figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    tables = [own.assign(seed=seed, subject=who) for (seed, who), own in measured.items()]
    trials = pd.concat(tables, ignore_index=True)
    write_atomic(run.folder / "predictions.parquet", lambda p: trials.to_parquet(p, index=False))
    entry = summarise_effect(trials, recipe.experiment, recipe.seed)
    values = {METRIC[recipe.experiment]: entry}
    write_json(run.folder / "metrics.json", values)
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": k, **v} for k, v in values.items()]
    )
    write_atomic(run.folder / "metrics.parquet", lambda p: tidy.to_parquet(p, index=False))
    truth = [
        {"seed": seed, "subject": who, **_flat(simulation.truth)}
        for (seed, who), simulation in made.items()
    ]
    write_json(run.folder / "dataset.json", {"files": {}, "truth": truth})
    run.log("scored", examples=len(trials))
    shelf.add_table(
        "truth", pd.DataFrame(truth), title="What was planted",
        caption="Places in head coordinates (m).", section="data",
    )  # fmt: skip
    shown = trials_of(recipe, next(iter(made.values())))
    band = (8.0, 14.0) if recipe.experiment == "motor" else None
    figures.add_data_figures(shelf, shown, band, what="EEG")
    write_facts(run.folder, Facts(**_facts(recipe, run, trials)))
    run.log("reported", report=write_report(run.folder).name)


def _flat(truth: dict[str, Any]) -> dict[str, Any]:
    flat = {k: v for k, v in truth.items() if not isinstance(v, dict | list)}
    for name, place in truth["sources"].items():
        flat[f"source_{name}"] = " ".join(f"{v:.4f}" for v in place)
        flat[f"nearest_{name}"] = truth["nearest"][name]
    return flat


def trials_of(recipe: Simulate, made: Simulation) -> Trials:
    """Cut the trials of the first subject for the pictures."""
    start, stop, classes = SHOWN[recipe.experiment]
    x, labels = [], []
    for recording in made.recordings:
        rate, data = recording.attrs["rate"], recording.values
        for row in recording.attrs["annotations"].itertuples():
            first = round((row.onset + start) * rate)
            own = data[:, first : first + round((stop - start) * rate)]
            if row.label in classes and own.shape[1] == round((stop - start) * rate):
                x.append(own)
                labels.append(row.label)
    first_one = made.recordings[0]
    positions = np.stack([first_one.coords[axis].values for axis in "xyz"], axis=1)
    names = first_one.coords["channel"].values.astype(str).tolist()
    return Trials(np.stack(x), labels, names, positions, rate, start, classes=list(classes))


def _facts(recipe: Simulate, run: Run, trials: pd.DataFrame) -> dict[str, Any]:
    what = {
        "motor": f"mu and beta of the hand area opposite the moved hand fall by "
        f"{100 * recipe.planted:g} % on average",
        "oddball": f"the response to targets is {recipe.planted:g} uV larger at its peak",
    }[recipe.experiment]
    rows = {
        "Recordings": f"{recipe.subjects * recipe.sessions * recipe.seeds} EDF files in "
        f"{run.folder.name}/recordings",
        "Subjects, sessions": f"{recipe.subjects}, {recipe.sessions}",
        "Trials": f"{recipe.trials} a recording",
        "Planted": what,
        "Background, blinks, hum, noise": f"{recipe.background:g}, {recipe.blinks:g}, "
        f"{recipe.line:g}, {recipe.noise:g} uV",
    }
    meaning = {
        "lateralisation": "Log ratio of the 8-14 Hz amplitude over the hand area opposite the "
        "moved hand to that on its side: 0 without effect.",
        "late_response": "Targets less standards, 0.3 to 0.4 s after the event, at Pz or the "
        "nearest electrode there is (uV): 0 without effect.",
    }
    return {
        "title": f"Simulated EEG: {recipe.experiment}",
        "question": f"Recordings whose truth is known: {what}.",
        "primary": METRIC[recipe.experiment],
        "example": "trial",
        "how_sure": "The interval is a bootstrap over trials.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "trials": [
            {"class": str(k), "kept": int(n)} for k, n in trials["label"].value_counts().items()
        ],
        "notes": ["Simulated: nothing here is a recording of a person."],
        "method": [
            "Dipoles in a sphere of four shells fitted to the template montage (MNE); background "
            "of 200 dipoles with a 1/f spectrum, occipital alpha, blinks, hum and sensor noise."
        ],
        "citations": [
            "Gramfort et al. (2013), Front. Neurosci. 7, 267",
            "Pfurtscheller & Lopes da Silva (1999), Clin. Neurophysiol. 110, 1842-1857"
            if recipe.experiment == "motor"
            else "Polich (2007), Clin. Neurophysiol. 118, 2128-2148",
        ],
        "meanings": meaning,
    }
