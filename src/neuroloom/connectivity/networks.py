"""What `connectivity.causal` does with one network: choose, draw, test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.connectivity import choose, evidence
from neuroloom.connectivity.choose import Choice
from neuroloom.connectivity.data import (
    Signals,
    check,
    drop_nodes,
    group_networks,
    need_frames,
    set_sources,
    shared_nodes,
    sigmoid,
)
from neuroloom.connectivity.methods import (
    LAGGED,
    NETS,
    Drawn,
    Options,
    check_model,
    draw_graphs,
)
from neuroloom.connectivity.reading import Beside, read_all
from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from neuroloom.connectivity.causal import Causal

Floats = NDArray[np.float64]
BLOCKS = {True: 5, False: 8}  # left out in turn for one recording's intervals: nets, others


@dataclass(frozen=True, eq=False)
class Network:
    """The graphs of one network and how sure they are.

    Attributes
    ----------
    recordings
        As they were analysed.
    choice, drawn
        The method and its graphs, (recording, target, source).
    p
        Of the group graph's edges, (target, source); NaN without surrogates.
    edges
        Which of them stand at the false discovery rate.
    low, high
        Ends of the 95 % intervals of the group graph's strengths; NaN where nothing says.
    difference
        Difference of two groups, its p-values and their names, or None.
    """

    recordings: list[Signals]
    choice: Choice
    drawn: Drawn
    p: Floats
    edges: NDArray[np.bool_]
    low: Floats
    high: Floats
    difference: tuple[Floats, Floats, tuple[str, str]] | None = None

    @property
    def group(self) -> Floats:
        """The mean graph, (target, source)."""
        mean: Floats = self.drawn.strength.mean(0)
        return mean

    @property
    def title(self) -> str:
        """The folder of the recordings, or the only file's name."""
        first = self.recordings[0]
        return first.family[0].replace(".", "") or (
            Path(first.name).name if len(self.recordings) == 1 else "all"
        )

    @property
    def plan(self) -> str:
        """What was done, in a few words."""
        c = self.choice
        return f"{c.model}, {c.lags} lags, penalty {c.penalty:g}, L1 {c.sparse:g}"


def prepare_networks(
    recipe: Causal, data: Path
) -> tuple[list[list[Signals]], list[Path], list[Finding]]:
    """Read, check and group the recordings of a recipe's data.

    Raises
    ------
    DataError, ConfigError
        Naming the file and what is wrong with it.
    """
    if recipe.model != "auto":
        check_model(recipe.model)
    _epochs(recipe)
    beside = Beside(
        recipe.atlas, recipe.inputs, recipe.control, recipe.input_control, recipe.truth,
        recipe.places, recipe.confounds,
    )  # fmt: skip
    read = read_all(data, recipe.include, beside, recipe.pattern)
    findings = list(read.findings)
    ready = []
    for one in read.recordings:
        checked = check(drop_nodes(one, recipe.drop), recipe.missing)
        need_frames(checked, recipe.lags or max(choose.LAGS))
        ready.append(sigmoid(checked) if recipe.transform == "sigmoid" else checked)
    networks = []
    for network in group_networks(ready):
        marked, told = _mark_sources(network, recipe.sources)
        networks.append([one.standardised() for one in marked])
        findings += told
    _check_groups(recipe, networks)
    return networks, read.files, findings


def _mark_sources(
    network: list[Signals], given: Sequence[str]
) -> tuple[list[Signals], list[Finding]]:
    for name in given:
        if name not in network[0].names:
            close = nearest(name, network[0].names)
            raise DataError(f"sources: {network[0].name} has no node '{name}'.{close}")
    same = [name for name in shared_nodes(network) if name not in given]
    told = []
    if same:
        told = [Finding("note", "Sources", f"{', '.join(same)}: the same in every recording, so "
                        "that no brain made it. It may drive, nothing may drive it.")]  # fmt: skip
    return [set_sources(one, [*given, *same]) for one in network], told


def _check_groups(recipe: Causal, networks: list[list[Signals]]) -> None:
    if recipe.groups is None:
        return
    for network in networks:
        keys = {key for one in network for key in one.keys}
        if any(recipe.groups not in one.keys for one in network):
            told = f"there are {', '.join(sorted(keys)) or 'none'}"
            close = nearest(recipe.groups, keys)
            raise ConfigError(f"groups: a recording has no key '{recipe.groups}'; {told}.{close}")
        labels = sorted({one.keys[recipe.groups] for one in network})
        if len(labels) != 2:
            raise ConfigError(
                f"groups: '{recipe.groups}' has the values {', '.join(labels)}; two are compared."
            )


def _epochs(recipe: Causal) -> int:
    from neuroloom.learn.training.budget import parse_budget

    epochs = parse_budget(recipe.budget).epochs
    assert epochs is not None, "the recipe takes epochs only"
    return epochs


def work_out(recipe: Causal, network: list[Signals]) -> Network:
    """Choose a method, draw the graphs of a network's recordings, and test their edges."""
    choice = choose_method(recipe, network)
    options = Options(
        hidden=recipe.hidden, epochs=_epochs(recipe), seeds=recipe.seeds, seed=recipe.seed
    )
    if choice.model in NETS:
        from neuroloom.connectivity.nets.draw import choose_size

        choice, options = choose_size(network, choice, options)
    drawn = draw_graphs(network, choice, options)
    may = network[0].allowed()
    rng = np.random.default_rng(recipe.seed)
    usual = 8 if choice.model in NETS else 20
    many = usual if recipe.surrogates is None else recipe.surrogates
    p = test_edges(network, choice, options, drawn, rng, many)
    edges = evidence.discover(np.nan_to_num(p, nan=1.0), may, recipe.alpha)
    low, high = _intervals(network, choice, options, drawn, rng)
    difference = None
    if recipe.groups is not None:
        labels = [one.keys[recipe.groups] for one in network]
        difference = evidence.compare_groups(drawn.strength, labels, rng)
    return Network(network, choice, drawn, p, edges, low, high, difference)


def choose_method(recipe: Causal, network: list[Signals]) -> Choice:
    """Return the method, lag and penalties: those given, the rest by unseen frames."""
    lags = choose.LAGS if recipe.lags is None else (recipe.lags,)
    model = recipe.model
    if model == "auto":
        choice = choose.choose_family(network, lags)
    elif model in LAGGED:
        found = choose.choose_forecast(network, lags)
        time, _ = choose.time_evidence(network, found, max(lags))
        told = choose.explain_time(model, time)
        choice = Choice(model, found.lags, found.penalty, time=time, table=found.table,
                        reasons=tuple(told))  # fmt: skip
    else:
        mixing = choose.choose_mixing(network)
        shape = choose.shape_evidence(mixing)
        told = choose.explain_shape(model, shape)
        choice = Choice(model, 0, 0.0, mixing.penalty, shape=shape, table=mixing.table,
                        reasons=tuple(told))  # fmt: skip
    given: dict[str, Any] = {"penalty": recipe.penalty, "sparse": recipe.sparse}
    return replace(choice, **{key: value for key, value in given.items() if value is not None})


def test_edges(
    network: Sequence[Signals],
    choice: Choice,
    options: Options,
    drawn: Drawn,
    rng: np.random.Generator,
    surrogates: int,
) -> Floats:
    """Return the p-value of every edge of the group graph, (target, source).

    Analytic p-values of independent recordings are combined; else every recording is drawn anew
    with its nodes shifted in time, and the mean graph compared with the means of those.
    """
    may = network[0].allowed()
    if drawn.p is not None:
        return evidence.combine_p(drawn.p)
    if surrogates < 3:
        return np.full(may.shape, np.nan)
    shifted = [evidence.shift_nodes(one, rng) for _ in range(surrogates) for one in network]
    null = draw_graphs(shifted, choice, options).tested
    null = null.reshape(surrogates, len(network), *may.shape).mean(1)
    return evidence.pooled_p(drawn.tested.mean(0), null, may)


def _intervals(
    network: list[Signals], choice: Choice, options: Options, drawn: Drawn, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    if len(network) > 1:
        return evidence.bootstrap_edges(drawn.strength, rng)
    count = BLOCKS[choice.model in NETS]
    parts = [_without_block(network[0], block, count) for block in range(count)]
    least = min(part.values.shape[1] for part in parts)
    parts = [_cut(part, least) for part in parts]
    return evidence.jackknife_edges(drawn.strength[0], draw_graphs(parts, choice, options).strength)


def _without_block(one: Signals, block: int, count: int) -> Signals:
    kept = np.arange(one.values.shape[1]) * count // one.values.shape[1] != block
    inputs = None if one.inputs is None else one.inputs[:, kept]
    return replace(one, values=one.values[:, kept], inputs=inputs)


def _cut(one: Signals, time: int) -> Signals:
    inputs = None if one.inputs is None else one.inputs[:, :time]
    return replace(one, values=one.values[:, :time], inputs=inputs)


def edge_table(network: Network) -> pd.DataFrame:
    """Return a row for every edge that may exist, the strongest first.

    Returns
    -------
    Columns network, source, target, strength, low, high, p, edge, direction (share of recordings
    in which this way is the stronger), true (where known).
    """
    one, group = network.recordings[0], network.group
    row, column = np.nonzero(one.allowed())
    graphs = network.drawn.strength
    turned = graphs.transpose(0, 2, 1)
    share = np.where(graphs == turned, 0.5, graphs > turned).mean(0)
    names = np.array(one.names)
    table = pd.DataFrame({
        "network": network.title, "source": names[column], "target": names[row],
        "strength": group[row, column], "low": network.low[row, column],
        "high": network.high[row, column], "p": network.p[row, column],
        "edge": network.edges[row, column], "direction": share[row, column],
    })  # fmt: skip
    if one.truth is not None:
        table["true"] = one.truth[row, column] != 0
    return table.sort_values("strength", ascending=False, kind="stable").reset_index(drop=True)
