"""Graphs from forecasters: what happens to a forecast when a source is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.linear import stack_lags
from neuroloom.connectivity.nets.sequence import KINDS, SequenceNets, train_sequences
from neuroloom.connectivity.nets.vardnn import Nets, Schedule, paper_size, train

if TYPE_CHECKING:
    from neuroloom.connectivity.choose import Choice
    from neuroloom.connectivity.methods import Options

Floats = NDArray[np.float64]

MOST_NETS = 1024  # in one batch, for memory
STEPS_BACK = 4  # that forecasters with memory read at least
SIZES = (16, 32)
DECAYS = (0.3, 1.0, 3.0)
UNSEEN = 0.25  # last share of the time on which size and decay are chosen


@dataclass(frozen=True, eq=False)
class Task:
    """What nets of some recordings learn.

    Attributes
    ----------
    x
        Shape (net, example, lag, channel): nodes, then inputs at that lag; oldest first. Sources
        that may not drive the net's node are nought.
    now
        Shape (net, example, input): inputs at the moment that is forecast.
    y
        Shape (net, example).
    nodes
        How many nets a recording has.
    """

    x: Tensor
    now: Tensor
    y: Tensor
    nodes: int

    def flat(self) -> Tensor:
        """Return all that a net knows as one row an example, (net, example, input)."""
        return torch.cat([self.x.flatten(2), self.now], 2)


def make_task(recordings: Sequence[Signals], lags: int) -> Task:
    """Stack recordings of equal length as the examples of their nodes' nets.

    Examples
    --------
    >>> one = Signals(np.random.default_rng(0).normal(size=(3, 20)), ("a", "b", "c"))
    >>> make_task([one, one], 2).x.shape
    torch.Size([6, 18, 2, 3])
    """
    pasts, nows, ys = [], [], []
    for one in recordings:
        data = stack_lags(one, lags)
        may = one.allowed() | np.eye(one.nodes, dtype=bool)
        past = data.past[::-1].transpose(2, 0, 1)
        driven, now = _inputs(one, lags)
        for node in range(one.nodes):
            rows = [past * may[node], *([driven[node]] if driven is not None else [])]
            pasts.append(np.concatenate(rows, 2))
            nows.append(now[node] if now is not None else np.zeros((len(past), 0)))
        ys.append(data.present)
    return Task(
        torch.tensor(np.array(pasts), dtype=torch.float32),
        torch.tensor(np.array(nows), dtype=torch.float32),
        torch.tensor(np.concatenate(ys), dtype=torch.float32), recordings[0].nodes,
    )  # fmt: skip


def _inputs(one: Signals, lags: int) -> tuple[Floats | None, Floats | None]:
    """Return the inputs of each node's net: (node, example, lag, column), (node, example, column).

    A net sees only the inputs that may drive its node; the width is that of the node with most.
    """
    if one.inputs is None:
        return None, None
    may = one.input_control
    may = np.ones((one.nodes, len(one.inputs)), bool) if may is None else may
    width, time = int(may.sum(1).max()), one.inputs.shape[1]
    own = np.zeros((one.nodes, width, time))
    for node, row in enumerate(may):
        own[node, : row.sum()] = one.inputs[row]
    steps = [own[:, :, lags - k : time - k] for k in range(lags, 0, -1)]
    return np.stack(steps, 2).transpose(0, 3, 2, 1), own[:, :, lags:].transpose(0, 2, 1)


Trained = Nets | SequenceNets


def fit_nets(name: str, task: Task, options: Options, seed: int) -> Trained:
    """Train the net of every node of every recording in a task; every one as it would alone.

    Parameters
    ----------
    name
        "vardnn-di", "vardnn-gc", "lstm-var" or "transformer-var".
    task
        Its examples.
    options
        `hidden` units, `epochs`, `decay`.
    seed
        Of weights and of the order of frames.
    """
    count = len(task.y)
    sources = [torch.Generator().manual_seed(100_003 * seed + k % task.nodes) for k in range(count)]
    order = torch.Generator().manual_seed(seed)
    schedule = Schedule(options.epochs, decay=options.decay)
    if name in KINDS:
        x = _steps(task)
        memory = KINDS[name](count, x.shape[-1], options.hidden or SIZES[0], sources)
        train_sequences(memory, x, task.y, schedule, order)
        return memory
    x = task.flat()
    hidden = _hidden(options.hidden, x)
    nets = Nets(count, x.shape[2], hidden, sources)
    train(nets, x, task.y, schedule, order)
    return nets


def _hidden(first: int | None, x: Tensor) -> tuple[int, int]:
    if first is None:
        return paper_size(x.shape[1], x.shape[2])
    return first, -(-3 * first // 4)


def _steps(task: Task) -> Tensor:
    """Return the steps of a forecaster with memory; the present inputs stand beside the last."""
    if not task.now.shape[2]:
        return task.x
    nets, examples, lags, _ = task.x.shape
    late = task.x.new_zeros(nets, examples, lags, task.now.shape[2])
    late[:, :, -1] = task.now
    return torch.cat([task.x, late], 3)


def _known(name: str, task: Task) -> Tensor:
    return _steps(task) if name in KINDS else task.flat()


def ablate(name: str, nets: Trained, task: Task) -> tuple[Tensor, Tensor]:
    """Take every source away in turn (its past becomes its mean) and look at the forecasts.

    Returns
    -------
    change, ratio
        Shape (net, source): root mean square change of the forecasts over the recording's own
        frames, and log ratio of the squared errors without and with the source.

    Notes
    -----
    VARDNN's papers look at one made-up frame, all nodes at 1. The frames of the recording are where
    the nets were trained, so that the change there is what a source did, not how a net goes on
    outside of its data.
    """
    told = nets.predict(_known(name, task))
    error = ((told - task.y) ** 2).mean(1)
    change, ratio = [], []
    for source in range(task.nodes):
        x = task.x.clone()
        x[..., source] = 0
        without = nets.predict(_known(name, replace(task, x=x)))
        change.append(((told - without) ** 2).mean(1).sqrt())
        ratio.append(torch.log(((without - task.y) ** 2).mean(1) / error))
    return torch.stack(change, 1), torch.stack(ratio, 1)


def draw_nets(name: str, recordings: Sequence[Signals], choice: Choice, options: Options) -> Floats:
    """Return the graphs (recording, target, source) that nets of every node give, mean over seeds.

    Parameters
    ----------
    recordings
        Standardised; those of equal length are trained as one batch.
    """
    lags = max(choice.lags, STEPS_BACK) if name in KINDS else choice.lags
    nodes = recordings[0].nodes
    out = np.zeros((len(recordings), nodes, nodes))
    for rows in _batches(recordings, nodes):
        task = make_task([recordings[k] for k in rows], lags)
        for seed in range(options.seed, options.seed + options.seeds):
            change, ratio = ablate(name, fit_nets(name, task, options, seed), task)
            found = ratio if name == "vardnn-gc" else change
            out[rows] += found.double().numpy().reshape(len(rows), nodes, nodes) / options.seeds
    return out


def _batches(recordings: Sequence[Signals], nodes: int) -> list[list[int]]:
    """Return which recordings go together: of equal length, not too many nets at once."""
    lengths: dict[int, list[int]] = {}
    for k, one in enumerate(recordings):
        lengths.setdefault(one.values.shape[1], []).append(k)
    size = max(1, MOST_NETS // nodes)
    return [rows[k : k + size] for rows in lengths.values() for k in range(0, len(rows), size)]


def choose_size(
    network: Sequence[Signals], choice: Choice, options: Options
) -> tuple[Choice, Options]:
    """Choose hidden units and decay by forecasts of the last quarter of every recording.

    Returns
    -------
    choice, options
        The choice with the candidates in its table, and the options with what won.
    """
    name = choice.model
    lags = max(choice.lags, STEPS_BACK) if name in KINDS else choice.lags
    # Nets with memory cost several times as much a step: one size, and no weakest decay.
    usual, decays = (SIZES[:1], DECAYS[1:]) if name in KINDS else (SIZES, DECAYS)
    sizes = usual if options.hidden is None else (options.hidden,)
    rows, scores = [], []
    for size in sizes:
        for decay in decays:
            tried = replace(options, hidden=size, decay=decay)
            scores.append(unseen_score(name, network, lags, tried))
            rows.append({"family": f"{name}, {size} units", "lags": lags, "penalty": decay})
    best = int(np.argmax(scores))
    table = pd.DataFrame(rows).assign(score=scores, chosen=np.arange(len(rows)) == best)
    won = replace(options, hidden=sizes[best // len(decays)], decay=decays[best % len(decays)])
    whole = pd.concat([choice.table, table], ignore_index=True)
    return replace(choice, table=whole), won


def unseen_score(name: str, network: Sequence[Signals], lags: int, options: Options) -> float:
    """Return the log-likelihood (nats a frame) of forecasts of the last quarter, not trained on."""
    total = 0.0
    for rows in _batches(network, network[0].nodes):
        task = make_task([network[k] for k in rows], lags)
        cut = int(task.y.shape[1] * (1 - UNSEEN))
        seen = Task(task.x[:, :cut], task.now[:, :cut], task.y[:, :cut], task.nodes)
        late = Task(task.x[:, cut:], task.now[:, cut:], task.y[:, cut:], task.nodes)
        nets = fit_nets(name, seen, options, options.seed)
        error = ((nets.predict(_known(name, late)) - late.y) ** 2).mean(1)
        total += float(-0.5 * torch.log(error).sum())
    return total / len(network)
