"""One small net per node that forecasts it from the past of all: thousands of them as one batch.

The nets of VARDNN (Okuno & Woodward 2021): two hidden layers of rectified units, weights by He et
al. (2015), Adam on the mean squared error. A node's net alone costs a processor mostly calls; here
the weights of all nets (nodes x recordings x seeds) lie in one array, a layer of all of them is one
batched product, gradients are written out by hand, and Adam is a few sweeps over that array. Every
net ends where it would have ended alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
TINY = 1e-8


def paper_size(time: int, inputs: int) -> tuple[int, int]:
    """Return the hidden units of the paper for so many time points and inputs of a net.

    Examples
    --------
    >>> paper_size(300, 33)
    (51, 34)
    """
    first = math.ceil(32 + (time - 100) * 0.12 / (1 + 0.01 * inputs))
    first = max(first, 4)
    return first, math.ceil(2 * first / 3)


@dataclass(frozen=True)
class Schedule:
    """How every net is trained: Adam with decoupled decay (Loshchilov & Hutter 2019)."""

    epochs: int = 50
    batch: int = 64
    rate: float = 1e-2
    decay: float = 1.0


class Nets:
    """A batch of nets with two hidden layers and one output.

    Parameters
    ----------
    count, inputs, hidden
        Nets, inputs of each, units of the two layers.
    generators
        One a net, or one for all: where the first weights come from. A net's own generator makes
        its weights the same in any company.

    Examples
    --------
    >>> nets = Nets(3, 5, (4, 3), [torch.Generator().manual_seed(k) for k in range(3)])
    >>> nets.predict(torch.zeros(3, 7, 5)).shape
    torch.Size([3, 7])
    """

    def __init__(
        self, count: int, inputs: int, hidden: tuple[int, int], generators: list[torch.Generator]
    ) -> None:
        sizes = [(inputs, hidden[0]), (hidden[0], hidden[1]), (hidden[1], 1)]
        shapes = [s for a, b in sizes for s in ((a, b), (1, b))]
        numbers = [a * b for a, b in shapes]
        self.flat = torch.zeros(sum(numbers) * count)
        self.slope = torch.zeros_like(self.flat)
        self.weights = _views(self.flat, shapes, count)
        self.slopes = _views(self.slope, shapes, count)
        for net, source in enumerate(generators):
            for layer, (a, b) in enumerate(sizes):
                spread = math.sqrt(2 / a)
                self.weights[2 * layer][net] = spread * torch.randn(a, b, generator=source)

    def predict(self, x: Tensor) -> Tensor:
        """Return forecasts (net, example) of inputs (net, example, input)."""
        w1, b1, w2, b2, w3, b3 = self.weights
        first = torch.baddbmm(b1, x, w1).relu_()
        second = torch.baddbmm(b2, first, w2).relu_()
        return torch.baddbmm(b3, second, w3)[..., 0]

    def descend(self, x: Tensor, y: Tensor) -> None:
        """Put the gradient of every net's mean squared error into `slope`."""
        w1, b1, w2, b2, w3, b3 = self.weights
        d1, e1, d2, e2, d3, e3 = self.slopes
        first = torch.baddbmm(b1, x, w1).relu_()
        second = torch.baddbmm(b2, first, w2).relu_()
        off = torch.baddbmm(b3, second, w3)
        off.sub_(y[..., None]).mul_(2 / x.shape[1])
        torch.bmm(second.transpose(1, 2), off, out=d3)
        torch.sum(off, 1, keepdim=True, out=e3)
        back = torch.bmm(off, w3.transpose(1, 2)).mul_(second > 0)
        torch.bmm(first.transpose(1, 2), back, out=d2)
        torch.sum(back, 1, keepdim=True, out=e2)
        back = torch.bmm(back, w2.transpose(1, 2)).mul_(first > 0)
        torch.bmm(x.transpose(1, 2), back, out=d1)
        torch.sum(back, 1, keepdim=True, out=e1)


def _views(flat: Tensor, shapes: list[tuple[int, int]], count: int) -> list[Tensor]:
    """Return arrays (net, a, b) that share their memory with one flat array."""
    views, start = [], 0
    for a, b in shapes:
        views.append(flat[start : start + count * a * b].view(count, a, b))
        start += count * a * b
    return views


def train(nets: Nets, x: Tensor, y: Tensor, schedule: Schedule, order: torch.Generator) -> None:
    """Train all nets at once; each batch holds the same frames for every net.

    Parameters
    ----------
    x
        Inputs (net, example, input).
    y
        Targets (net, example).
    order
        Where the order of frames comes from.
    """
    adam = _Adam(nets.flat, schedule)
    for rows in _batches(x.shape[1], schedule, order):
        nets.descend(x[:, rows], y[:, rows])
        adam.step(nets.flat, nets.slope)


def _batches(count: int, schedule: Schedule, order: torch.Generator) -> Iterator[Tensor]:
    for _ in range(schedule.epochs):
        yield from torch.randperm(count, generator=order).split(schedule.batch)


class _Adam:
    """Adam (Kingma & Ba 2015) over one flat array, in place."""

    def __init__(self, flat: Tensor, schedule: Schedule) -> None:
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)
        self.buffer = torch.empty_like(flat)
        self.schedule, self.steps = schedule, 0

    def step(self, flat: Tensor, slope: Tensor) -> None:
        self.steps += 1
        a, b = BETAS
        if self.schedule.decay:
            flat.mul_(1 - self.schedule.rate * self.schedule.decay)
        self.mean.lerp_(slope, 1 - a)
        self.square.mul_(b).addcmul_(slope, slope, value=1 - b)
        torch.sqrt(self.square, out=self.buffer)
        self.buffer.mul_(1 / math.sqrt(1 - b**self.steps)).add_(TINY)
        flat.addcdiv_(self.mean, self.buffer, value=-self.schedule.rate / (1 - a**self.steps))
