"""Forecasters with memory, one per node and all as one batch: an LSTM and a small transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neuroloom.connectivity.nets.vardnn import Schedule


class SequenceNets:
    """A batch of forecasters that read the past step by step.

    Parameters
    ----------
    count, channels, hidden
        Nets, values at each step, units.
    generators
        One a net: where its first weights come from.
    """

    def __init__(
        self, count: int, channels: int, hidden: int, generators: list[torch.Generator]
    ) -> None:
        self.hidden = hidden
        self.weights = {
            name: torch.stack([_start(shape, g) for g in generators]).requires_grad_()
            for name, shape in self.shapes(channels, hidden).items()
        }

    def shapes(self, channels: int, hidden: int) -> dict[str, tuple[int, int]]:
        """Return the shape of each array of weights of one net."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return forecasts (net, example) of pasts (net, example, step, channel), oldest first."""
        raise NotImplementedError

    def predict(self, x: Tensor) -> Tensor:
        """Return the same without gradients."""
        with torch.no_grad():
            return self.forward(x)


def _start(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    if shape[0] == 1:
        return torch.zeros(shape)
    return torch.randn(*shape, generator=generator) / math.sqrt(shape[0])


class LstmNets(SequenceNets):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), one layer.

    Examples
    --------
    >>> nets = LstmNets(2, 3, 4, [torch.Generator().manual_seed(k) for k in range(2)])
    >>> nets.predict(torch.zeros(2, 5, 6, 3)).shape
    torch.Size([2, 5])
    """

    def shapes(self, channels: int, hidden: int) -> dict[str, tuple[int, int]]:
        """Return the shape of each array of weights of one net."""
        gates = 4 * hidden
        return {"in": (channels, gates), "back": (hidden, gates), "gates": (1, gates),
                "out": (hidden, 1), "bias": (1, 1)}  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return forecasts (net, example) of pasts (net, example, step, channel), oldest first."""
        w = self.weights
        state = cell = x.new_zeros(len(x), x.shape[1], self.hidden)
        for step in range(x.shape[2]):
            gates = torch.baddbmm(w["gates"], x[:, :, step], w["in"]) + torch.bmm(state, w["back"])
            let, keep, show, new = gates.chunk(4, -1)
            cell = torch.sigmoid(keep + 1) * cell + torch.sigmoid(let) * torch.tanh(new)
            state = torch.sigmoid(show) * torch.tanh(cell)
        return torch.baddbmm(w["bias"], state, w["out"])[..., 0]


class TransformerNets(SequenceNets):
    """One block of self-attention over the steps (Vaswani et al. 2017); the newest step answers.

    Examples
    --------
    >>> nets = TransformerNets(2, 3, 4, [torch.Generator().manual_seed(k) for k in range(2)])
    >>> nets.predict(torch.zeros(2, 5, 6, 3)).shape
    torch.Size([2, 5])
    """

    def shapes(self, channels: int, hidden: int) -> dict[str, tuple[int, int]]:
        """Return the shape of each array of weights of one net."""
        square = (hidden, hidden)
        return {"in": (channels, hidden), "place": (64, hidden), "ask": square, "key": square,
                "value": square, "up": (hidden, 2 * hidden), "lift": (1, 2 * hidden),
                "down": (2 * hidden, hidden), "out": (hidden, 1), "bias": (1, 1)}  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return forecasts (net, example) of pasts (net, example, step, channel), oldest first."""
        w, steps = self.weights, x.shape[2]
        nets, examples = x.shape[:2]
        flat = torch.bmm(x.reshape(nets, examples * steps, -1), w["in"])
        tokens = flat.view(nets, examples, steps, -1) + w["place"][:, None, :steps]
        flat = tokens.reshape(nets, examples * steps, -1)
        key = torch.bmm(flat, w["key"]).view_as(tokens)
        value = torch.bmm(flat, w["value"]).view_as(tokens)
        last = tokens[:, :, -1]
        ask = torch.bmm(last, w["ask"])
        weight = torch.softmax((key @ ask[..., None])[..., 0] / math.sqrt(self.hidden), -1)
        last = last + (weight[..., None] * value).sum(2)
        wide = torch.relu(torch.baddbmm(w["lift"], last, w["up"]))
        return torch.baddbmm(w["bias"], last + torch.bmm(wide, w["down"]), w["out"])[..., 0]


KINDS: dict[str, type[SequenceNets]] = {"lstm-var": LstmNets, "transformer-var": TransformerNets}


def train_sequences(
    nets: SequenceNets, x: Tensor, y: Tensor, schedule: Schedule, order: torch.Generator
) -> None:
    """Train all nets at once; each batch holds the same frames for every net.

    Parameters
    ----------
    x
        Pasts (net, example, step, channel).
    y
        Targets (net, example).
    """
    learnt = list(nets.weights.values())
    optimiser = torch.optim.AdamW(learnt, schedule.rate, weight_decay=schedule.decay)
    for _ in range(schedule.epochs):
        for rows in torch.randperm(x.shape[1], generator=order).split(schedule.batch):
            optimiser.zero_grad()
            loss = ((nets.forward(x[:, rows]) - y[:, rows]) ** 2).mean(1).sum()
            loss.backward()
            optimiser.step()
