"""What the report of a pretraining run shows: how it learnt, and hidden places put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json, write_text
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.figures import MODEL, SOFT, canvas, learning_curves, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.signals.pretrain import Gathered, Pretrain
    from neuroloom.signals.pretraining.places import Pieces

SHOWN = 4
METRIC = "explained_variance"


def illustrate(
    recipe: Pretrain, run: Run, prepared: Gathered, module: Any, history: list[dict[str, Any]]
) -> None:
    """Draw the curve, examples and the recordings, and say them in `facts.json`."""
    shelf = Shelf(run.folder / "artifacts")
    shelf.add_figure(
        "learning", learning_curves([history]), title="Loss of the pretraining",
        caption="Share of the hidden signal that is missed, plus the separation of the sources "
        "(zero or below) where that was asked for.", section="training",
    )  # fmt: skip
    shelf.add_figure(
        "reconstructed", draw_examples(module, prepared.held_out, recipe),
        title="Hidden places of recordings that were not learnt from",
        caption="Grey: what was recorded. Blue: what the encoder's sources say of it, from the "
        "other places. Dashed: spherical splines from the same places.", section="result",
    )  # fmt: skip
    shelf.add_table(
        "recordings", by_recording(run), title="Held-out recordings",
        caption="Share of the hidden signal's variance that is explained.", section="result",
    )  # fmt: skip
    shelf.add_figure(
        "bands", draw_bands(module), title="The spectral filters",
        caption="Each curve weighs the frequencies of one band (sum 1).", section="where",
    )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, run, prepared)))


def by_recording(run: Run) -> Any:
    """Return the explained variance of each held-out recording, by role."""
    sums = run.predictions.groupby(["path", "role"])[["missed", "there"]].sum()
    return (1 - sums["missed"] / sums["there"]).unstack("role").round(3).reset_index()


@styled
def draw_examples(module: Any, pieces: Pieces, recipe: Pretrain) -> Figure:
    """Draw a hidden place of each of a few windows with its two reconstructions."""
    from neuroloom.signals.pretraining.reconstruction import hidden_groups, interpolate, reconstruct
    from neuroloom.signals.steps.montage import TEN_TEN

    several = pieces.table["path"].map(lambda path: len(pieces.places[path]) > 1)
    rows = np.flatnonzero(several)
    rows = rows[np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).astype(int)]
    figure, axes = canvas(1.4 * len(rows), rows=len(rows), sharex=True, squeeze=False)
    time = np.arange(pieces.x.shape[2]) / recipe.rate
    for panel, row in zip(axes.flat, rows, strict=True):
        x = pieces.x[[row]]
        own = np.flatnonzero(np.abs(x).max((0, 2)) > 0)
        hidden = hidden_groups(own, recipe.seed)[0]
        seen = np.setdiff1d(own, hidden)
        place = int(hidden[len(hidden) // 2])
        panel.plot(time, x[0, place], color=SOFT, lw=1.4)
        panel.plot(time, reconstruct(module, x, seen)[0, place], color=MODEL, lw=1.2)
        splines = interpolate(x, seen, np.array([place]))[0, 0]
        panel.plot(time, splines, color="#555555", lw=0.9, ls=(0, (3, 2)))
        panel.set_title(f"{TEN_TEN[place]}, {len(own)} places in all", fontsize=9, loc="left")
    axes[-1, 0].set_xlabel("Time (s)")
    return figure


@styled
def draw_bands(module: Any) -> Figure:
    """Draw the weights of the spectral filters over frequency."""
    import torch

    encoder = module.encoder
    weights = torch.softmax(encoder.spectral + encoder.inside, 1).detach().numpy()
    figure, axes = canvas(2.6)
    bins = np.arange(weights.shape[1]) * encoder.rate / encoder.length
    for curve in weights:
        axes.plot(bins, curve, lw=1.6)
    axes.set(xlabel="Frequency (Hz)", ylabel="Weight")
    return figure


def _facts(recipe: Pretrain, run: Run, prepared: Gathered) -> dict[str, Any]:
    learnt, held_out = prepared.learnt, prepared.held_out
    plan = read_json(run.folder / "plan.json")
    counts = [len(places) for places in learnt.places.values()]
    rates = sorted(set(learnt.rates.values()))
    length = f"{plan['steps']} steps" if plan.get("steps") else f"{plan.get('epochs')} epochs"
    data = {
        "Learnt from": f"{len(learnt.places)} recordings, {len(learnt.table)} windows",
        "Held out": f"{len(held_out.places)} recordings, {len(held_out.table)} windows",
        "Places": f"{min(counts)} to {max(counts)} of 64",
        "Recorded at": ", ".join(f"{rate:g}" for rate in rates) + " Hz",
        "Brought to": f"{recipe.rate:g} Hz, {recipe.band[0]:g} to {recipe.band[1]:g} Hz",
        "Windows": f"{recipe.window:g} s",
        "Excluded": ", ".join(recipe.exclude) or "nothing",
    }
    return {
        "title": "An encoder pretrained without labels",
        "question": "Can the signal of hidden electrodes be told from that of the others?",
        "primary": METRIC,
        "example": "window",
        "unit": "recording",
        "model": "masked-places",
        "baseline": "spherical-splines",
        "data": [{"label": label, "value": value} for label, value in data.items()],
        "split": ["Whole recordings are held out: " + ", ".join(list(held_out.places)[:6]) + "."],
        "training": [
            {"label": "Plan", "value": f"{length}: {plan['reason']}"},
            {"label": "Encoder", "value": f"{recipe.sources} sources x {recipe.bands} bands"},
        ],
        "method": [
            f"Recordings were filtered, resampled to {recipe.rate:g} Hz, scaled to unit amplitude "
            "without labels, and brought by the names of their electrodes to 64 places of the "
            f"10-10 system; missing places stayed empty. A share of {recipe.hide:g} of the places "
            "was hidden in every window, and reconstructed linearly from sources of the others"
            + (", whose power was made to vary over time and band." if recipe.separate else ".")
        ],
        "notes": [
            "A good reconstruction does not make a good decoder: compare a probe of this run with "
            "one of random weights (`--init random`) on data that are not in it."
        ],
        "meanings": {
            METRIC: "Share of the variance of hidden places that is reconstructed, over all places "
            "of held-out recordings, each hidden once. Baseline: spherical splines from the same "
            "places. Chance: zero signal."
        },
    }  # fmt: skip


def write_card(recipe: Pretrain, run: Run, prepared: Gathered) -> None:
    """Write `card.md`: what the encoder is, what it learnt from, how well, and its limits."""
    entry = read_json(run.folder / "metrics.json")[METRIC]
    learnt = prepared.learnt
    lines = [
        f"# Pretrained encoder ({recipe.name})",
        "",
        f"{recipe.sources} spatial and {recipe.bands} spectral filters of 64 places at "
        f"{recipe.rate:g} Hz. Learnt without labels from {len(learnt.table)} windows of "
        f"{len(learnt.places)} recordings.",
        "",
        "## How well, on recordings it had not seen",
        "",
        f"It explains {entry['value']:.3f} of the variance of hidden places (95 % interval "
        f"{entry['low']:.3f} to {entry['high']:.3f}); spherical splines explain "
        f"{entry['baseline']:.3f}.",
        "",
        "## Limits",
        "",
        "- Recordings that it learnt from must not score a decoder; `signals.decode` refuses them.",
        "- For research. Not a medical device; it has not been tested on other sites or devices.",
        "",
    ]
    write_text(run.folder / "card.md", "\n".join(lines))
