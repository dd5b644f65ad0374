"""What the report says of a model: where, when and in which band it looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json
from neuroloom.core.report import Facts, write_facts

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.crossfit import Fitted
    from neuroloom.learn.study import Prepared
    from neuroloom.signals.decode import Decode
    from neuroloom.signals.relevance import Relevance

EXPLAINED_TRIALS = 200
ATTRIBUTED_TRIALS = 24


def explain_fits(run: Run, prepared: Prepared, fits: list[Fitted]) -> list[str]:
    """Measure on held-out trials which sensors and bands count, and check the attribution."""
    on_folds = [fit for fit in fits if fit.job.fold >= 0 and fit.job.seed == fits[0].job.seed]
    if not on_folds:
        return []
    rows = np.concatenate([prepared.folds[fit.job.fold].test for fit in on_folds])
    owner = np.concatenate(
        [np.full(len(prepared.folds[fit.job.fold].test), k) for k, fit in enumerate(on_folds)]
    )
    kept = np.linspace(0, len(rows) - 1, min(len(rows), EXPLAINED_TRIALS)).astype(int)
    rows, owner = rows[kept].astype(int), owner[kept]

    def score(x: np.ndarray) -> np.ndarray:
        """Score each trial by the model that did not learn from it."""
        parts = [fit.learner.predict_scores(x[owner == k]) for k, fit in enumerate(on_folds)]
        out = np.zeros((len(x), *parts[0].shape[1:]))
        for k, part in enumerate(parts):
            out[owner == k] = part
        return out

    found = _relevance(prepared.dataset, score, rows)
    said = _show_relevance(run, prepared.dataset, found, "trials that the models had not seen")
    first = on_folds[0]
    held_out = prepared.folds[first.job.fold].test[:ATTRIBUTED_TRIALS]
    return said + _attribute(run, prepared.dataset, first.learner, held_out)


def explain_again(decode: Decode, run: Run) -> pd.DataFrame:
    """Measure relevance for the final model on the run's own data."""
    from neuroloom.core.report import write_report

    ensemble = decode.load_model(run)
    recipe, data = run.study
    dataset = recipe.read(data).labelled()  # type: ignore[attr-defined]
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), EXPLAINED_TRIALS)).astype(int)
    found = _relevance(dataset, ensemble.scores, rows)
    where = _show_relevance(run, dataset, found, "the final model, on the trials of the run")
    first = next(iter(ensemble.members.values()))[0]
    where += _attribute(run, dataset, first, rows[:ATTRIBUTED_TRIALS])
    facts = read_json(run.folder / "facts.json")
    write_facts(run.folder, Facts(**(facts | {"where": where})))
    write_report(run.folder)
    return found.channels


def _relevance(dataset: Dataset, score: Any, rows: np.ndarray) -> Relevance:
    from neuroloom.signals.relevance import explain

    facts = dataset.facts
    band = facts["cut"]["band"]
    return explain(
        score,
        dataset.x[rows],
        dataset.y[rows],
        facts["rate"],
        facts["channels"],
        classes=dataset.classes,
        band=band and tuple(band),
    )


def _show_relevance(run: Run, dataset: Dataset, found: Relevance, on: str) -> list[str]:
    """Put maps and tables on the shelf and say what they show."""
    from neuroloom.signals.figures.relevance import add_relevance

    shelf, facts = Shelf(run.folder / "artifacts"), dataset.facts
    by_name = found.channels.set_index("channel")["relevance"]
    scores = by_name.reindex(facts["channels"]).to_numpy(float)
    bands = {f"{r.low:g}-{r.high:g}": r.relevance for r in found.bands.itertuples()}
    add_relevance(
        shelf, scores, facts["channels"], np.asarray(facts["positions"], float), bands,
        caption=f"Measured on {on}. Sensors: how closely the power of a sensor follows the "
        "model's belief (Haufe et al. 2014). Bands: how much worse the truth is told when a band "
        "is swapped between trials.",
    )  # fmt: skip
    words = {"section": "where"}
    shelf.add_table("relevance-by-channel", found.channels, title="Relevance by sensor", **words)
    shelf.add_table("relevance-by-band", found.bands, title="Relevance by band", **words)
    top = found.channels["channel"].head(10).tolist()
    best = found.bands.loc[found.bands["relevance"].idxmax()]
    return [
        f"The ten sensors that count most: {', '.join(top)}.",
        f"The band that counts most: {best.low:g} to {best.high:g} Hz.",
    ]


def _attribute(run: Run, dataset: Dataset, learner: Any, rows: np.ndarray) -> list[str]:
    """Attribute a net's scores to sensors by gradients, and check against random weights."""
    if not hasattr(learner, "as_module"):
        return []
    import pandas as pd

    from neuroloom.learn.explain import attribute, in_units_of, sanity_check

    x = np.array(dataset.x[rows])
    scale = x.std((0, 2))[:, None]
    module = in_units_of(learner.as_module(), scale)
    target = dataset.y[rows].copy() if dataset.task == "classification" else None
    share = np.abs(attribute(module, x / scale, target, method="saliency")).sum(2)
    share /= share.sum(1, keepdims=True)
    names = dataset.facts["channels"]
    table = pd.DataFrame({"channel": names, "attribution": share.mean(0)})
    table = table.sort_values("attribution", ascending=False, ignore_index=True)
    sanity = sanity_check(module, x / scale, target, method="saliency")
    Shelf(run.folder / "artifacts").add_table(
        "attribution_channels",
        table,
        title="Gradients, by sensor",
        caption="Share of the absolute gradient of the true class by each sensor, in units of the "
        f"sensor's own variation (captum). {sanity.verdict}",
        section="where",
    )
    return [sanity.verdict]
