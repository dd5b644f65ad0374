"""The leaky step over time and its exact gradient, in few kernels and without a graph of steps.

Autograd would record five operations a step; here a step is one matrix product with two updates in
place, forwards and backwards, and the gradient of the weights is one product over all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Rate:
    """A function from currents to firing rates.

    Attributes
    ----------
    name
        As it stands in a recipe.
    apply
        Elementwise, from state to rate.
    into
        The same, written into `out`.
    back
        (gradient by the rate, state, rate, out): writes the gradient by the state into `out`.
    """

    name: str
    apply: Callable[[Tensor], Tensor]
    into: Callable[[Tensor, Tensor], Any]
    back: Callable[[Tensor, Tensor, Tensor, Tensor], Any]


def _relu_back(grad: Tensor, state: Tensor, rate: Tensor, out: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward(grad, rate, 0, grad_input=out)


def _tanh_back(grad: Tensor, state: Tensor, rate: Tensor, out: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward(grad, rate, grad_input=out)


def _sigmoid_back(grad: Tensor, state: Tensor, rate: Tensor, out: Tensor) -> Tensor:
    return torch.ops.aten.sigmoid_backward(grad, rate, grad_input=out)


def _softplus_into(x: Tensor, out: Tensor) -> Tensor:
    return out.copy_(functional.softplus(x))


def _softplus_back(grad: Tensor, state: Tensor, rate: Tensor, out: Tensor) -> Tensor:
    return torch.mul(grad, torch.sigmoid(state), out=out)


RATES = {
    "relu": Rate("relu", torch.relu, lambda x, out: torch.clamp_min(x, 0, out=out), _relu_back),
    "tanh": Rate("tanh", torch.tanh, lambda x, out: torch.tanh(x, out=out), _tanh_back),
    "sigmoid": Rate(
        "sigmoid", torch.sigmoid, lambda x, out: torch.sigmoid(x, out=out), _sigmoid_back
    ),
    "softplus": Rate("softplus", functional.softplus, _softplus_into, _softplus_back),
}


def leaky_scan(
    drive: Tensor, start: Tensor, weight: Tensor, alpha: float, rate: Rate
) -> tuple[Tensor, Tensor]:
    """Return states and rates of x_t = (1 - alpha) x_(t-1) + drive_t + alpha f(x_(t-1)) W^T.

    Parameters
    ----------
    drive
        Shape (time, trial, unit): alpha times the input current, and the noise.
    start
        Shape (trial, unit): the state before the first step.
    weight
        Shape (unit, unit), from column to row.
    alpha
        Step over time constant.
    rate
        One of `RATES`.

    Returns
    -------
    Both of shape (time, trial, unit). Gradients reach drive, start and weight; they are exact.

    Examples
    --------
    >>> zeros = torch.zeros(1, 1)
    >>> leaky_scan(torch.ones(2, 1, 1), zeros, zeros, 0.5, RATES["relu"])[0].flatten().tolist()
    [1.0, 1.5]
    """
    return _LeakyScan.apply(drive, start, weight, alpha, rate)


class _LeakyScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, start: Tensor, weight: Tensor, alpha: float, rate: Rate
    ) -> tuple[Tensor, Tensor]:
        states = torch.empty_like(drive, memory_format=torch.contiguous_format)
        rates = torch.empty_like(states)
        scaled = (alpha * weight).t().contiguous()
        before, firing = start, rate.apply(start)
        for push, now, fired in zip(
            drive.unbind(0), states.unbind(0), rates.unbind(0), strict=True
        ):
            torch.addmm(push, firing, scaled, out=now)
            now.add_(before, alpha=1 - alpha)
            rate.into(now, fired)
            before, firing = now, fired
        ctx.save_for_backward(states, rates, start, weight)
        ctx.alpha, ctx.rate = alpha, rate
        ctx.set_materialize_grads(False)
        return states, rates

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        states, rates, start, weight = ctx.saved_tensors
        alpha, rate = ctx.alpha, ctx.rate
        by_state, by_rate = gradients
        by_rate = torch.zeros_like(rates) if by_rate is None else by_rate
        # cost[t] becomes the gradient by the state after step t, through all that comes later.
        cost, scaled = torch.empty_like(states), alpha * weight
        later = torch.zeros_like(states[0])
        for t in range(len(cost) - 1, -1, -1):
            now = cost[t]
            torch.addmm(by_rate[t], later, scaled, out=now)
            rate.back(now, states[t], rates[t], now)
            now.add_(later, alpha=1 - alpha)
            if by_state is not None:
                now.add_(by_state[t])
            later = now
        first = torch.empty_like(later)
        fired = rate.apply(start)
        rate.back(later @ scaled, start, fired, first)
        first.add_(later, alpha=1 - alpha)
        units = states.shape[-1]
        by_weight = cost[1:].reshape(-1, units).t() @ rates[:-1].reshape(-1, units)
        by_weight += cost[0].t() @ fired
        return cost, first, alpha * by_weight, None, None
