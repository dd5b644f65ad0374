"""A Siamese net: classes told by the distance to a few examples."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from neuroloom.core.errors import ConfigError
from neuroloom.nets.conv import CNN


class Siamese(nn.Module):
    """Twin convolutional nets with the same weights, trained to bring like windows together.

    A new window gets the class whose support examples lie nearest (few-shot learning). Losses: of
    pairs, Hadsell et al. 2006 (CVPR, "contrastive"), as Koch et al. 2015 train twins for one-shot
    learning; or of prototypes, the means of the classes, Snell et al. 2017 (arXiv:1703.05175).

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of classes.
    rate
        Hz; lengths are in seconds. None stands for 100 Hz.
    objective
        "prototypes" or "pairs".
    shots
        Support examples of each class, taken evenly from the training examples.
    size
        Dimensions of the embedding.
    margin
        Distance beyond which unlike pairs need not go ("pairs").
    filters, dropout, power
        As of `CNN`, which embeds a window.

    Raises
    ------
    ConfigError
        If a window is shorter than one token, or there are fewer than two classes.

    Examples
    --------
    >>> Siamese(22, 300, 4, rate=100).eval()(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    support: Tensor

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        objective: Literal["prototypes", "pairs"] = "prototypes",
        shots: int = 5,
        size: int = 16,
        margin: float = 1.0,
        filters: int = 16,
        dropout: float = 0.25,
        power: bool = True,
    ) -> None:
        super().__init__()
        if n_outputs < 2:
            raise ConfigError("A Siamese net tells classes apart: it needs two or more of them.")
        self.embed = CNN(
            n_channels, n_times, size, rate, filters=filters, dropout=dropout, power=power
        )
        self.objective, self.margin, self.n_times = objective, margin, n_times
        self.register_buffer("support", torch.zeros(n_outputs, shots, size))

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to minus the squared distances to the prototypes."""
        return -squared_distance(self.embed(x), self.support.mean(1))

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Return the loss of a batch, whose examples are each other's support."""
        embedded = self.embed(x)
        self._follow(embedded.detach(), y)
        if self.objective == "pairs":
            return pair_loss(embedded, y, self.margin)
        return prototype_loss(embedded, y, len(self.support))

    @torch.no_grad()
    def _follow(self, embedded: Tensor, y: Tensor) -> None:
        """Move the support towards the batch, so that a validation during the fit means much."""
        for label in y.unique().tolist():
            self.support[label].lerp_(embedded[y == label].mean(0), 0.2)

    @torch.no_grad()
    def conclude(self, x: Tensor, y: Tensor) -> None:
        """Embed and keep `shots` of the training examples of each class."""
        start = (x.shape[2] - self.n_times) // 2
        for label, support in enumerate(self.support):
            rows = torch.nonzero(y == label)[:, 0]
            if len(rows):
                places = torch.linspace(0, len(rows) - 1, len(support)).round().long()
                windows = x[rows[places], :, start : start + self.n_times]
                support.copy_(self.embed(windows))


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared distances (n, m) of the rows of `a` and `b`.

    Examples
    --------
    >>> squared_distance(torch.zeros(1, 2), torch.ones(1, 2)).item()
    2.0
    """
    return (a[:, None] - b).square().sum(2)


def prototype_loss(embedded: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Cross entropy of minus the squared distances to the classes' means in the batch.

    The mean of an example's own class leaves the example out; one that is alone in its class does
    not count, nor does a class that the batch lacks.

    Parameters
    ----------
    embedded, y
        Shapes (n, size) and (n,).
    n_classes
        Number of classes.

    Examples
    --------
    >>> places = torch.tensor([[0.0], [0.0], [9.0], [9.0]])
    >>> round(prototype_loss(places, torch.tensor([0, 0, 1, 1]), 2).item(), 6)
    0.0
    """
    member = nn.functional.one_hot(y, n_classes).to(embedded)
    others = member.T[None] * (1 - torch.eye(len(y), device=y.device))[:, None]
    count = others.sum(2)
    means = others @ embedded / count.clamp_min(1)[..., None]
    distance = (embedded[:, None] - means).square().sum(2).masked_fill(count == 0, torch.inf)
    counts = count.gather(1, y[:, None])[:, 0] > 0
    if not counts.any():
        return embedded.sum() * 0
    return cross_entropy(-distance[counts], y[counts])


def pair_loss(embedded: Tensor, y: Tensor, margin: float) -> Tensor:
    """Contrastive loss of all pairs of a batch, like and unlike pairs with the same weight.

    Parameters
    ----------
    embedded, y
        Shapes (n, size) and (n,).
    margin
        Distance from which on an unlike pair costs nothing.

    Examples
    --------
    >>> pair_loss(torch.tensor([[0.0], [0.0], [2.0]]), torch.tensor([0, 0, 1]), 1.0).item()
    0.0
    """
    first, second = torch.triu_indices(len(y), len(y), 1, device=y.device)
    squared = (embedded[first] - embedded[second]).square().sum(1)
    # The root has no slope at zero, where twins lie at first.
    gap = (margin - (squared + 1e-8).sqrt()).clamp_min(0).square()
    like = y[first] == y[second]
    parts = [part.mean() for part in (squared[like], gap[~like]) if len(part)]
    return torch.stack(parts).mean() if parts else embedded.sum() * 0
