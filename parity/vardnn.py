"""VARDNN toolbox: directed graphs of simulated and real networks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from neuroloom.connectivity.causal import Causal
from neuroloom.connectivity.choose import choose_family
from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.linear import granger
from neuroloom.connectivity.measures import edge_auc
from neuroloom.connectivity.methods import draw_graphs
from neuroloom.connectivity.networks import Network, work_out
from neuroloom.connectivity.simulate import neural_masses, random_graph
from neuroloom.connectivity.story import score
from parity.harness import Check
from parity.studies import scratch

TOOL = "VARDNN toolbox"
WW = "vardnn/ww32: 3 recordings of 32 nodes, with their inputs"
FEEDBACK = "causal_feedbacks: 13 networks x 10 simulated BOLD recordings"


@cache
def worked(data: Path, where: str, **fields: object) -> tuple[Causal, tuple[Network, ...]]:
    """Return the recipe and what it found in a folder of the test data."""
    given = {
        name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()
    }
    recipe = Causal(**given)
    prepared = recipe.prepare(data / "connectivity" / where)
    return recipe, tuple(work_out(recipe, one) for one in prepared.networks)


def measured(data: Path, where: str, metric: str, **fields: object) -> float:
    """Return a metric of the recipe on a folder of the test data."""
    recipe, done = worked(data, where, **fields)
    return float(score(recipe, done)[metric]["value"] or 0.0)


def vardnn_di(data: Path) -> float:
    """Return the mean AUC of VARDNN-DI over five seeds."""
    fields = {"model": "vardnn-di", "include": ("ww32-*.mat",), "surrogates": 0}
    return float(np.mean([measured(data, "vardnn", "auc", seed=s, **fields) for s in range(1, 6)]))


def default_ww(data: Path) -> float:
    """Return the AUC of the default method."""
    return measured(data, "vardnn", "auc", include=("ww32-*.mat",), surrogates=0)


def seconds_ww(data: Path) -> float:
    """Return the seconds of the whole default analysis with surrogates and intervals."""
    began = time.perf_counter()
    worked(data, "vardnn", include=("ww32-*.mat",))
    return time.perf_counter() - began


def feedback(metric: str) -> Callable[[Path], float]:
    """Return a measure of the default method on the networks with feedback."""

    def measure(data: Path) -> float:
        return measured(data, "causal_feedbacks", metric, surrogates=0)

    return measure


def surrogate_directions(data: Path) -> float:
    """Return how many of five networks support a direction after a change to Gaussian signals."""
    rng = np.random.default_rng(0)
    _, done = worked(data, "causal_feedbacks", surrogates=0)
    changed = [
        [
            replace(one, values=_gaussian(one.values, rng)).standardised()
            for one in network.recordings
        ]
        for network in done[::3]
    ]
    return float(sum(choose_family(network).direction for network in changed))


def _gaussian(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn all nodes' phases by the same random amounts: spectra and cross-spectra stay."""
    turned = np.fft.rfft(x, axis=1)
    turned *= np.exp(2j * np.pi * rng.uniform(size=turned.shape[1]))
    return np.fft.irfft(turned, x.shape[1], axis=1)


def input_sources(data: Path) -> float:
    """Return of how many regions the task's input is a source in the mean graph."""
    _, done = worked(data, "fmri_9var", surrogates=0)
    group, names = done[0].group, done[0].recordings[0].names
    me = names.index("I")
    return float(sum(group[k, me] > group[me, k] for k in range(len(names)) if k != me))


def input_targets(data: Path) -> float:
    """Return how often the input is a target among the 18 strongest edges."""
    _, done = worked(data, "fmri_9var", surrogates=0)
    group, names = done[0].group, done[0].recordings[0].names
    strongest = np.argsort(-group.ravel())[:18] // len(names)
    return float((strongest == names.index("I")).sum())


def granger_apart(data: Path) -> float:
    """Return the largest difference from statsmodels, F (relative) and p."""
    from statsmodels.tsa.stattools import grangercausalitytests

    x = np.loadtxt(data / "connectivity" / "fmri_9var" / "sub001.cent-table.9.continuous.txt",
                   skiprows=1).T[:8]  # fmt: skip
    ours = granger(Signals(x, tuple("abcdefgh")), 2, pairwise=True)
    worst = 0.0
    for target in range(8):
        for source in set(range(8)) - {target}:
            f, p = grangercausalitytests(x[[target, source]].T, [2])[2][0]["ssr_ftest"][:2]
            worst = max(worst, abs(ours.f[target, source] / f - 1), abs(ours.p[target, source] - p))
    return float(worst)


def noise_edges(data: Path) -> float:
    """Return the largest share of edges that any of six methods finds in independent noise.

    In the tool's `signal8.csv` three of the eight nodes are copies of one another, two of them a
    frame apart, so that methods with lags rightly find edges; turned in time by unlike numbers of
    frames, the nodes have nothing left in common.
    """
    models = ("ridge-var", "mvgc", "pwgc", "partial", "cyclic-lingam", "vardnn-di")
    file = data / "connectivity" / "vardnn" / "signal8.csv"
    values = np.loadtxt(file, delimiter=",", encoding="utf-8-sig")
    turned = np.array([np.roll(row, 31 * k) for k, row in enumerate(values)])
    folder = scratch() / "connectivity"
    folder.mkdir(exist_ok=True)
    np.savetxt(folder / "noise.csv", turned, delimiter=",")
    return max(measured(scratch(), "noise.csv", "edges", model=model) for model in models)


def batch_over_loop(data: Path) -> float:
    """Return how many times a loop of one net a node takes what the batch takes."""
    from tests.connectivity.test_nets import Schedule, both

    both(4, Schedule(epochs=1))
    worst, batch, loop = both(32, Schedule(epochs=8))
    return loop / batch if worst < 1e-3 else 0.0


def beyond_ridge(data: Path) -> float:
    """Return mean AUC of the default minus that of ridge-VAR, five networks of neural masses."""
    gains = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        one = neural_masses(random_graph(32, 150, rng), rng).standardised()
        choice = choose_family([one])
        graphs = [
            draw_graphs([one], replace(choice, model=model)).strength[0]
            for model in (choice.model, "ridge-var")
        ]
        assert one.truth is not None
        gains.append(edge_auc(one.truth, graphs[0]) - edge_auc(one.truth, graphs[1]))
    return float(np.mean(gains))


CHECKS = [
    Check(TOOL, "VARDNN-DI, mean AUC over 5 seeds", ">= 0.73", vardnn_di, WW),
    Check(TOOL, "the default method, mean AUC", ">= 0.755", default_ww, WW),
    Check(TOOL, "the default analysis of all three recordings, s", "<= 40", seconds_ww, WW),
    Check(TOOL, "the default method, mean AUC of networks with feedback", ">= 0.94",
          feedback("auc"), FEEDBACK),
    Check(TOOL, "the default method, AUC of mean graphs", ">= 0.98", feedback("auc_group"),
          FEEDBACK),
    Check(TOOL, "the default method, share of one-way edges the right way", ">= 0.94",
          feedback("orientation"), FEEDBACK),
    Check(TOOL, "networks of Gaussian surrogates said to support a direction", "== 0",
          surrogate_directions, "5 of the networks, phases turned"),
    Check(TOOL, "regions that the task's input drives", "== 8", input_sources,
          "fmri_9var: 9 subjects"),
    Check(TOOL, "edges into the task's input among the 18 strongest", "== 0", input_targets,
          "fmri_9var: 9 subjects"),
    Check(TOOL, "Granger's F (relative) and p, largest difference from statsmodels", "<= 1e-6",
          granger_apart, "fmri_9var: 56 pairs"),
    Check(TOOL, "largest share of edges found in independent noise", "<= 0.05", noise_edges,
          "vardnn/signal8.csv, each node turned in time (three are copies of one); six methods"),
    Check(TOOL, "a loop of one net a node over the batch, times", ">= 20", batch_over_loop,
          "32 nets, made up"),
    Check(TOOL, "default minus ridge-VAR on five unseen networks of neural masses, AUC", ">= 0",
          beyond_ridge, "simulated"),
]  # fmt: skip
