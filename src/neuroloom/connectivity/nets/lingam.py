"""Sparse cyclic LiNGAM by maximum likelihood, many recordings at once.

x = B x + e with independent, non-Gaussian e (Lacerda et al. 2008; feedback allowed). The density of
each e is a mixture of Gaussians that is learnt with B, so that skewed, heavy-tailed and two-humped
sources all serve; what they share with a Gaussian says nothing of direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

PARTS = 2
STEPS = 150
RATE = 0.05
PSEUDO = 10.0  # Gaussian pseudo-examples that keep a density modest where data are few
_GRID = 40


@dataclass(frozen=True, eq=False)
class Lingam:
    """Fitted models.

    Attributes
    ----------
    weights
        Shape (fit, target, source).
    inside, outside
        Mean log-likelihood a frame (nats) of the frames that were fitted and of the rest, (fit,);
        NaN where there is no rest.
    """

    weights: Floats
    inside: Floats
    outside: Floats


class _Model:
    """Weights, scales and mixtures of many fits, and their likelihood."""

    def __init__(self, fits: int, nodes: int, may: Tensor) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(fits, nodes, *shape, requires_grad=True)

        self.b, self.scale, self.share = zeros(nodes), zeros(1), zeros(PARTS)
        spots = torch.linspace(-1, 1, PARTS).expand(fits, nodes, PARTS).clone()
        self.middle = spots.requires_grad_()
        self.width = torch.full((fits, nodes, PARTS), -0.2, requires_grad=True)
        self.may = may.float()

    @property
    def learnt(self) -> list[Tensor]:
        return [self.b, self.scale, self.share, self.middle, self.width]

    @property
    def weights(self) -> Tensor:
        return self.b * self.may

    def log_density(self, u: Tensor) -> Tensor:
        """Return the log density of scaled residuals (fit, node, time)."""
        shares = torch.log_softmax(self.share, -1) - self.width - 0.5 * math.log(2 * math.pi)
        parts = [
            shares[..., k, None]
            - 0.5 * ((u - self.middle[..., k, None]) * torch.exp(-self.width[..., k, None])) ** 2
            for k in range(PARTS)
        ]
        whole = parts[0]
        for part in parts[1:]:
            whole = torch.logaddexp(whole, part)
        return whole

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Return the log-likelihood of every frame, (fit, time)."""
        mixing = torch.eye(x.shape[1]) - self.weights
        u = (mixing @ x) * torch.exp(-self.scale)
        volume = torch.linalg.slogdet(mixing)[1] - self.scale.sum((1, 2))
        return self.log_density(u).sum(1) + volume[:, None]


def fit_lingam(
    values: Floats,
    penalty: float | Floats,
    *,
    may: NDArray[np.bool_] | None = None,
    frames: Floats | None = None,
    steps: int = STEPS,
) -> Lingam:
    """Fit x = B x + e to many recordings at once, each on its own.

    Parameters
    ----------
    values
        Shape (fit, node, time), standardised.
    penalty
        Of the sum of absolute weights, against the mean log-likelihood a frame; one, or one a fit.
    may
        Shape (node, node), True where the column may drive the row; None for all.
    frames
        Shape (fit, time), 1 for frames to fit and 0 for those held out; None to fit all.
    steps
        Of Adam, with a rate that falls to nought.

    Returns
    -------
    Lingam

    Examples
    --------
    >>> x = np.random.default_rng(0).exponential(size=(1, 2, 800))
    >>> x[0, 1] += x[0, 0]
    >>> x = (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True)
    >>> fit_lingam(x, 0.02).weights.round(1)[0].tolist()
    [[0.0, 0.0], [0.7, 0.0]]
    """
    x = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    fits, nodes, time = x.shape
    off = ~np.eye(nodes, dtype=bool) if may is None else may & ~np.eye(nodes, dtype=bool)
    model = _Model(fits, nodes, torch.as_tensor(off))
    kept = torch.ones(fits, time) if frames is None else torch.as_tensor(frames).float()
    count = kept.sum(1)
    price = torch.as_tensor(np.broadcast_to(np.asarray(penalty, np.float32), (fits,)).copy())
    bell = torch.special.ndtri((torch.arange(_GRID) + 0.5) / _GRID).expand(fits, nodes, _GRID)
    # torch.optim costs seconds to import, more than all steps of a small fit.
    means = [torch.zeros_like(one) for one in model.learnt]
    squares = [torch.zeros_like(one) for one in model.learnt]
    for step in range(1, steps + 1):
        likely = (model.log_likelihood(x) * kept).sum(1) / count
        modest = model.log_density(bell).mean(2).sum(1) * PSEUDO / count
        sparse = torch.sqrt(model.weights**2 + 1e-6).sum((1, 2)) * price
        slopes = torch.autograd.grad(torch.sum(sparse - likely - modest), model.learnt)
        with torch.no_grad():
            rate = RATE * (1 - (step - 1) / steps) + 1e-3
            for one, slope, mean, square in zip(model.learnt, slopes, means, squares, strict=True):
                mean.lerp_(slope, 0.1)
                square.mul_(0.999).addcmul_(slope, slope, value=0.001)
                size = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
                one.addcdiv_(mean, size, value=-rate / (1 - 0.9**step))
    with torch.no_grad():
        each = model.log_likelihood(x)
        inside = (each * kept).sum(1) / count
        outside = (each * (1 - kept)).sum(1) / (time - count)
    return Lingam(
        model.weights.detach().double().numpy(), inside.double().numpy(), outside.double().numpy()
    )
