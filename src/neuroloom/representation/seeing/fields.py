"""Receptive fields: exact ones from the build of a net, and those that it uses."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.representation.layers import tensor_of
from neuroloom.representation.seeing.units import layer_of, respond, watching

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Field:
    """What a unit can see, along each axis.

    Attributes
    ----------
    sizes
        Places from the first to the last that it depends on.
    starts
        The first of them.
    seen
        For each axis, whether each place matters (dilated convolutions leave holes).
    whole
        Whether it sees the whole stimulus along an axis.
    """

    sizes: tuple[int, ...]
    starts: tuple[int, ...]
    seen: tuple[np.ndarray, ...]
    whole: tuple[bool, ...]


def field_of_chain(
    kernels: Sequence[int], strides: Sequence[int], dilations: Sequence[int] | None = None
) -> tuple[int, int]:
    """Return size and step of the receptive field after a chain of convolutions and pools.

    The closed form r = 1 + sum (k - 1) d prod(strides before) (Araujo et al. 2019, Distill, eq. 2).

    Examples
    --------
    >>> field_of_chain([11, 3, 5, 3], [4, 2, 1, 2])  # AlexNet to its second pool
    (67, 16)
    """
    size, jump = 1, 1
    steps = dilations or [1] * len(kernels)
    for kernel, stride, dilation in zip(kernels, strides, steps, strict=True):
        size += (kernel - 1) * dilation * jump
        jump *= stride
    return size, jump


def receptive_field(module: nn.Module, layer: str, shape: Sequence[int]) -> Field:
    """Return what the middle unit of a layer can see, exactly, whatever the net is made of.

    A line of the stimulus is put to NaN, which reaches every unit that depends on it and no other;
    one line after the other, along each axis. Weights, pools, skips and attention need no rules.

    Parameters
    ----------
    module
        A torch net.
    layer
        Answers (n, channel, *places); layers without places see everything.
    shape
        (channel, *axes) of a stimulus. Where the field is larger, it is cut.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 5), torch.nn.Conv2d(2, 2, 3, dilation=2))
    >>> receptive_field(net, "1", (1, 20, 20)).sizes
    (9, 9)
    """
    seen = tuple(_depends(module, layer, tuple(shape), axis) for axis in range(1, len(shape)))
    hits = [np.flatnonzero(one) for one in seen]
    sizes = tuple(int(hit[-1] - hit[0] + 1) if hit.size else 0 for hit in hits)
    starts = tuple(int(hit[0]) if hit.size else 0 for hit in hits)
    whole = tuple(size == length for size, length in zip(sizes, shape[1:], strict=True))
    return Field(sizes, starts, seen, whole)


def _depends(
    module: nn.Module, layer: str, shape: tuple[int, ...], axis: int, batch: int = 16
) -> np.ndarray:
    import torch

    seen = np.zeros(shape[axis], dtype=bool)
    # Fast convolutions (Winograd) mix neighbours, which would spread NaN beyond the kernel; in
    # double precision there are none.
    module = copy.deepcopy(module).double()
    with torch.no_grad(), _until(module, layer) as kept:
        for start in range(0, shape[axis], batch):
            lines = range(start, min(start + batch, shape[axis]))
            x = torch.zeros((len(lines), *shape), dtype=torch.float64)
            for row, line in enumerate(lines):
                x[row].select(axis, line).fill_(float("nan"))
            with suppress(_ReachedError):
                module(x)
            answer = kept["answer"]
            middle = (slice(None), slice(None), *(size // 2 for size in answer.shape[2:]))
            seen[list(lines)] = answer[middle].isnan().reshape(len(lines), -1).any(1).numpy()
    return seen


class _ReachedError(Exception):
    """Raised at the layer that is looked at: the rest of the net is not needed."""


@contextmanager
def _until(module: nn.Module, layer: str) -> Iterator[dict[str, Any]]:
    kept: dict[str, Any] = {}

    def hook(_: Any, __: Any, output: Any) -> None:
        kept["answer"] = tensor_of(output)
        raise _ReachedError

    handle = layer_of(module, layer).register_forward_hook(hook)
    try:
        yield kept
    finally:
        handle.remove()


def used_field(
    module: nn.Module, layer: str, x: np.ndarray, channel: int = 0, batch: int = 16
) -> np.ndarray:
    """Return how strongly each place moves the middle unit of a channel, mean over stimuli.

    Much smaller than what the unit can see in deep nets (Luo et al. 2016, NeurIPS).

    Returns
    -------
    Shape (*places,): mean absolute gradient, summed over the channels of the stimulus.
    """
    import torch

    total = np.zeros(x.shape[2:])
    for start in range(0, len(x), batch):
        part = torch.as_tensor(np.ascontiguousarray(x[start : start + batch])).requires_grad_()
        with torch.enable_grad(), watching(module, layer) as kept:
            module(part)
            score = respond(kept["answer"], channel, "middle").sum()
            (given,) = torch.autograd.grad(score, part)
        total += given.abs().sum((0, 1)).double().numpy()
    return total / len(x)


def width_of(weights: np.ndarray, share: float = 0.95) -> tuple[int, ...]:
    """Return the shortest stretch along each axis that holds `share` of a field.

    Examples
    --------
    >>> width_of(np.array([0.0, 1.0, 8.0, 1.0, 0.0]), 0.7)
    (1,)
    """
    sizes = []
    for axis in range(weights.ndim):
        line = weights.sum(tuple(k for k in range(weights.ndim) if k != axis))
        sums = np.concatenate([[0.0], np.cumsum(line)])
        need = share * sums[-1]
        ends = np.searchsorted(sums, sums[:-1] + need - 1e-12)
        fits = ends < len(sums)
        sizes.append(int((ends - np.arange(len(line)))[fits].min()) if fits.any() else len(line))
    return tuple(sizes)
