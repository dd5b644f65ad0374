"""The stimulus that a unit likes best, by ascent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.representation.seeing.units import respond, watching

if TYPE_CHECKING:
    from torch import Tensor, nn


def maximise(
    module: nn.Module,
    shape: Sequence[int],
    layer: str = "",
    channel: int = 0,
    *,
    steps: int = 128,
    lr: float = 0.05,
    spectrum: bool = True,
    decay: float = 1e-3,
    variation: float = 1e-3,
    jitter: int = 4,
    bound: float = 2.5,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a stimulus that drives a channel, and its response on the way.

    Parameters
    ----------
    shape
        (channel, *axes) of a stimulus.
    layer, channel
        The unit; "" is the net's output.
    steps, lr
        Of Adam.
    spectrum
        Climb in the stimulus's spectrum, where all wavelengths count alike (Olah et al. 2017);
        else in its values.
    decay, variation
        Weight of the mean square, and of the mean squared difference of neighbours.
    jitter
        Places by which the stimulus is shifted at random before each step.
    bound
        Values stay within it (standardised units), by tanh.
    seed
        Of the first stimulus and the shifts.

    Returns
    -------
    Stimulus (channel, *axes) and responses (steps,).

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    >>> _, climb = maximise(net, (1, 8, 8), steps=20, jitter=0)  # it knows every place apart
    >>> bool(climb[-1] > climb[0])
    True
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    axes = tuple(range(-len(shape) + 1, 0))
    start = 0.1 * torch.randn((1, *shape), generator=generator)
    scale = _scale(shape) if spectrum else torch.ones(1)
    # The spectrum as real numbers: real part and imaginary part.
    code = torch.view_as_real(torch.fft.rfftn(start, dim=axes) / scale) if spectrum else start
    code = code.clone().requires_grad_()
    climber = torch.optim.Adam([code], lr=lr)
    climb = []
    with torch.enable_grad():
        for _ in range(steps):
            x = _decoded(code, scale, shape, spectrum, bound)
            moves = [int(torch.randint(-jitter, jitter + 1, (), generator=generator)) for _ in axes]
            with watching(module, layer) as kept:
                module(torch.roll(x, moves, dims=axes))
            response = respond(kept["answer"], channel).sum()
            loss = -response + decay * (x**2).mean() + variation * _roughness(x, axes)
            climber.zero_grad()
            loss.backward()
            climber.step()
            climb.append(float(response.detach()))
        best = _decoded(code, scale, shape, spectrum, bound)
    return best[0].detach().numpy(), np.array(climb)


def _scale(shape: Sequence[int]) -> Tensor:
    import torch

    axes = shape[1:]
    parts = [torch.fft.fftfreq(size) for size in axes[:-1]] + [torch.fft.rfftfreq(axes[-1])]
    grid = torch.meshgrid(*parts, indexing="ij")
    frequency = torch.stack([part**2 for part in grid]).sum(0).sqrt()
    return float(np.sqrt(np.prod(axes))) / frequency.clamp(min=1 / max(axes))


def _decoded(
    code: Tensor, scale: Tensor, shape: Sequence[int], spectrum: bool, bound: float
) -> Tensor:
    import torch

    if not spectrum:
        return bound * torch.tanh(code / bound)
    axes = tuple(range(-len(shape) + 1, 0))
    whole = torch.view_as_complex(code) * scale / 4
    return bound * torch.tanh(torch.fft.irfftn(whole, s=tuple(shape[1:]), dim=axes) / bound)


def _roughness(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return sum(((x.diff(dim=axis)) ** 2).mean() for axis in axes)  # type: ignore[return-value]
