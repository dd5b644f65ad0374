"""What the report of a decoding run shows, in the order a reviewer asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.narrate import add_study_figures
from neuroloom.signals.story.explanation import explain_fits
from neuroloom.signals.story.words import decode_facts, kind_of

if TYPE_CHECKING:
    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.signals.decode import Decode
    from neuroloom.signals.figures.trials import Trials


def illustrate(decode: Decode, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw data, split, results and relevance, and write `facts.json`."""
    from neuroloom.signals.figures.data import add_data_figures

    dataset = prepared.dataset
    shelf = Shelf(run.folder / "artifacts")
    trials = shown_trials(dataset)
    if trials is not None:
        cut = dataset.facts["cut"]
        band, events = cut["band"] and tuple(cut["band"]), not (cut["window"] or cut["target"])
        add_data_figures(shelf, trials, band, what=kind_of(dataset), events=events)
    add_study_figures(run, prepared, fits, target=decode.target or "")
    where = explain_fits(run, prepared, fits)
    write_facts(run.folder, Facts(**decode_facts(decode, run, prepared, fits), where=where))


def shown_trials(dataset: Dataset) -> Trials | None:
    """Return unfiltered trials for the pictures, or None if there are none."""
    from neuroloom.signals.figures.trials import Trials

    place = {int(example): row for row, example in enumerate(dataset.table["example"])}
    chosen = [(k, place[r]) for k, r in enumerate(dataset.extra["shown_rows"]) if int(r) in place]
    if not chosen:
        return None
    taken, rows = map(list, zip(*chosen, strict=True))
    kept = np.isin(dataset.facts["picked"], dataset.facts["channels"])
    facts = dataset.facts
    return Trials(
        dataset.extra["shown"][taken][:, kept],
        dataset.table["label"].to_numpy()[rows].tolist(),
        facts["channels"],
        np.asarray(facts["positions"], float),
        facts["raw_rate"],
        (facts["cut"]["start"] or 0.0) - facts["lead"],
        classes=dataset.classes,
    )
