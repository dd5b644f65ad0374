"""Epochs of small data, and where nets learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")
STEPS = 25  # that an epoch has at least, to speak of


def whole_epoch(examples: int | NDArray[np.integer], batch: int) -> NDArray[np.int64]:
    """Return the numbers of examples, so often that an epoch has enough steps to speak of.

    Parameters
    ----------
    examples
        How many, numbered from 0, or their numbers.
    batch
        Examples of a step.

    Examples
    --------
    >>> len(whole_epoch(10, 2)), len(whole_epoch(1000, 2))
    (50, 1000)
    >>> whole_epoch(np.array([4, 7]), 1)[:4].tolist()
    [4, 7, 4, 7]
    """
    numbers = np.asarray(np.arange(examples) if isinstance(examples, int) else examples, np.int64)
    return np.tile(numbers, max(1, -(-STEPS * batch // len(numbers))))


def device_name() -> str:
    """Return "cuda" if there is one, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def where_it_fits(net: nn.Module, answer: Callable[[], T]) -> T:
    """Return what `answer` says while `net` is on the GPU; on the CPU where that lacks memory.

    Afterwards the net is on the CPU again.
    """
    import torch

    device = device_name()
    if device == "cpu":
        return answer()
    try:
        net.to(device)
        return answer()
    except torch.OutOfMemoryError:
        net.to("cpu")
        torch.cuda.empty_cache()
        return answer()
    finally:
        net.to("cpu")


def device_memory() -> float | None:
    """Return how much memory a GPU has, GB; None where there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory) / 1e9
