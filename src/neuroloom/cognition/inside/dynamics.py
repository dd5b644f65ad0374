"""Where the dynamics of a rate network stand still, and how they move around those points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from neuroloom.cognition.nets.rate import RateRNN

ROUNDS = 200
STILL = 1e-7  # largest mean squared speed, per tau, of a point that counts as fixed
APART = 1e-2  # root mean squared distance from which two points are two


@dataclass(frozen=True)
class FixedPoints:
    """States in which a network stays.

    Attributes
    ----------
    states
        Shape (point, unit).
    speeds
        Shape (point,): mean squared speed, in state per tau.
    eigenvalues
        Shape (point, unit): of the Jacobian of tau dx/dt, by falling real part; a real part below
        0 for all is a stable point, one above 0 a saddle.
    """

    states: np.ndarray
    speeds: np.ndarray
    eigenvalues: np.ndarray

    @property
    def unstable(self) -> np.ndarray:
        """How many directions lead away from each point, (point,)."""
        return (self.eigenvalues.real > 0).sum(1)

    @property
    def slowest(self) -> np.ndarray:
        """Time constant of the slowest direction, in tau, (point,)."""
        return 1 / np.maximum(np.abs(self.eigenvalues.real).min(1), 1e-9)


def find_fixed_points(net: RateRNN, starts: Tensor, held: Tensor) -> FixedPoints:
    """Find points with dx/dt = 0 under a constant input, from many starts at once.

    Levenberg-Marquardt on the squared speed (Sussillo & Barak 2013 minimise the same by gradient).

    Parameters
    ----------
    net
        Of leaky units, without plastic synapses.
    starts
        Shape (start, unit): states to begin from, as a rule visited ones.
    held
        Shape (input,): the constant input.

    Returns
    -------
    FixedPoints
        Unlike ones, the slowest moving first; may be none.

    Raises
    ------
    ConfigError
        If synapses are plastic: then states of units alone do not stand still.

    Examples
    --------
    >>> import torch
    >>> from neuroloom.cognition.nets.rate import RateRNN, RateSpec
    >>> net = RateRNN(RateSpec(1, 5, 1, rate="tanh", radius=0.5))
    >>> points = find_fixed_points(net, torch.randn(8, 5), torch.zeros(1))
    >>> len(points.states), int(points.unstable[0])
    (1, 0)
    """
    import torch

    if net.spec.plasticity:
        raise ConfigError("Fixed points: this net has plastic synapses, whose states move, too.")
    with torch.no_grad():
        weight = net.recurrent().double()
        push = net.input().double() @ held.double() + net.bias.double()
    x = _settle(starts.detach().double(), weight, push, net.spec.rate)
    flow, slope = _flow(x, weight, push, net.spec.rate)
    speeds = flow.square().mean(1)
    kept = _unlike(x, speeds)
    jacobian = weight * slope[kept][:, None] - torch.eye(len(weight), dtype=torch.double)
    values = torch.linalg.eigvals(jacobian).cpu().numpy()
    order = np.argsort(-values.real, axis=1)
    return FixedPoints(
        x[kept].cpu().numpy(),
        speeds[kept].cpu().numpy(),
        np.take_along_axis(values, order, 1),
    )


def _flow(x: Tensor, weight: Tensor, push: Tensor, rate: str) -> tuple[Tensor, Tensor]:
    """Return tau dx/dt and the slope of the rate, both (point, unit)."""
    import torch

    from neuroloom.cognition.nets.scan import RATES

    rates = RATES[rate].apply(x)
    slope = torch.empty_like(x)
    RATES[rate].back(torch.ones_like(x), x, rates, slope)
    return rates @ weight.t() + push - x, slope


def _settle(x: Tensor, weight: Tensor, push: Tensor, rate: str) -> Tensor:
    """Move every point downhill in squared speed; each has its own damping."""
    import torch

    eye = torch.eye(len(weight), dtype=x.dtype)
    damping = torch.full((len(x), 1, 1), 1e-2, dtype=x.dtype)
    flow, slope = _flow(x, weight, push, rate)
    for _ in range(ROUNDS):
        jacobian = weight * slope[:, None] - eye
        across = jacobian.transpose(1, 2)
        step = torch.linalg.solve(
            across @ jacobian + damping * eye, -(across @ flow[..., None])
        ).squeeze(-1)
        tried, new_slope = _flow(x + step, weight, push, rate)
        better = tried.square().sum(1) < flow.square().sum(1)
        x = torch.where(better[:, None], x + step, x)
        flow = torch.where(better[:, None], tried, flow)
        slope = torch.where(better[:, None], new_slope, slope)
        damping = (damping * torch.where(better, 0.3, 4.0)[:, None, None]).clamp(1e-12, 1e6)
        if float(flow.square().mean(1).max()) < STILL * 1e-6:
            break
    return x


def _unlike(x: Tensor, speeds: Tensor) -> list[int]:
    """Return the rows of still points that are unlike each other, the stillest first."""
    import torch

    kept: list[int] = []
    for row in torch.argsort(speeds).tolist():
        if not float(speeds[row]) < STILL:
            break
        if all(float((x[row] - x[k]).square().mean()) ** 0.5 > APART for k in kept):
            kept.append(row)
    return kept
