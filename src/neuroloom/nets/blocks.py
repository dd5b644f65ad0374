"""What nets of every domain share: time in seconds, initial weights, norm limits, checks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError


def samples(at_reference: float, reference_rate: float, rate: float) -> int:
    """Return how many samples at `rate` last as long as `at_reference` samples of the paper.

    Examples
    --------
    >>> samples(64, reference_rate=128, rate=80)
    40
    """
    return max(1, round(at_reference * rate / reference_rate))


def require_positive(net: str, length: int, n_times: int, needed: int, rate: float | None) -> None:
    """Raise unless `length`, what the net leaves of `n_times` samples, is at least 1.

    Raises
    ------
    ConfigError
        With the shortest window that the net can take.
    """
    if length >= 1:
        return
    unit = f" ({needed / rate:.2f} s at {rate:g} Hz)" if rate else ""
    raise ConfigError(
        f"{net} needs windows of at least {needed} samples{unit}, these have {n_times}. "
        "Cut longer windows, raise the rate or take a smaller net."
    )


def glorot_(weight: Tensor, fan_in: int, fan_out: int) -> Tensor:
    """Fill `weight` in place, uniform with variance 2 / (fan_in + fan_out) (Glorot 2010, eq. 16).

    The fans are given because a merged or grouped kernel does not show them in its shape.
    """
    bound = (6.0 / (fan_in + fan_out)) ** 0.5
    return nn.init.uniform_(weight, -bound, bound)


@torch.no_grad()
def limit_norm_(weight: Tensor, limit: float, dims: Sequence[int]) -> None:
    """Shrink in place every filter of `weight` whose L2 norm over `dims` exceeds `limit`."""
    norm = weight.norm(dim=tuple(dims), keepdim=True)
    weight.mul_((limit / norm.clamp_min(1e-12)).clamp_max(1.0))
