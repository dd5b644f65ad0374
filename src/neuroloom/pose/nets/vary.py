"""How views are varied in training: where they look, how they are lit; on the device, in batches.

Left and right are told apart: a mirrored view has its left and right keypoints exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, pad

BLURRED, COVERED = 0.25, 0.3  # shares of views
LARGEST_COVER = 0.25  # of a view's shorter side


@dataclass(frozen=True)
class Jitter:
    """How far a view is moved at random.

    Attributes
    ----------
    shift
        SD of the shift, px of the view.
    scale, stretch
        Largest change of size, and of the sides' proportion, as natural logarithms.
    turn
        Largest turn, rad; pi and more: any angle.
    """

    shift: float = 3.0
    scale: float = 0.12
    stretch: float = 0.08
    turn: float = 0.35


def draw(low: float, high: float, n: int, generator: Generator) -> Tensor:
    """Draw n numbers evenly between two bounds, float64."""
    return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)


def moved(
    views: Tensor, size: Sequence[int], jitter: Jitter, mirror: Tensor, generator: Generator
) -> Tensor:
    """Return views (n, 2, 3) changed at random round their own middle.

    Parameters
    ----------
    views
        float64, from px of the view to px of the frame.
    size
        Of the views (v, u).
    mirror
        Shape (n,), -1 where the view is reversed (its v axis), else 1.

    Examples
    --------
    >>> still = Jitter(0.0, 0.0, 0.0, 0.0)
    >>> eye = torch.eye(2, 3, dtype=torch.float64)[None]
    >>> one = moved(eye, (5, 5), still, torch.tensor([-1.0]), torch.Generator())
    >>> one.tolist()
    [[[1.0, 0.0, 0.0], [0.0, -1.0, 4.0]]]
    """
    n = len(views)
    angle = draw(-jitter.turn, jitter.turn, n, generator)
    grow = torch.exp(draw(-jitter.scale, jitter.scale, n, generator))
    long = torch.exp(draw(-jitter.stretch, jitter.stretch, n, generator))
    shift = torch.randn(n, 2, generator=generator, dtype=torch.float64) * jitter.shift
    cos, sin = torch.cos(angle) * grow, torch.sin(angle) * grow
    flip = mirror.to(torch.float64)
    change = torch.stack(
        [torch.stack([cos * long, -sin * flip / long], 1),
         torch.stack([sin * long, cos * flip / long], 1)], 1,
    )  # fmt: skip
    middle = torch.tensor([size[1] - 1.0, size[0] - 1.0], dtype=torch.float64) / 2
    own = middle + shift - change @ middle
    whole = torch.cat([change, own[..., None]], 2)
    last = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(n, 1, 3)
    return views @ torch.cat([whole, last], 1)


def relit(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Return views (n, channel, v, u), 0 to 255, in another light, noisier, blurred or covered.

    Parameters
    ----------
    strength
        0: nothing happens; 1: the usual.
    """
    n = len(x)

    def each(low: float, high: float) -> Tensor:
        return (draw(low, high, n, generator) * strength).float().to(x.device)[:, None, None, None]

    mean = x.mean((2, 3), keepdim=True)
    x = (x - mean) * torch.exp(each(-0.35, 0.35)) + mean + each(-25, 25)
    x = 255 * (x.clamp(0, 255) / 255) ** torch.exp(each(-0.3, 0.3))
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    x = x + noise * each(0, 8)
    chosen = torch.rand(n, generator=generator) < BLURRED * strength
    if chosen.any():
        x[chosen] = avg_pool2d(pad(x[chosen], (1, 1, 1, 1), mode="replicate"), 3, 1)
    return covered(x, COVERED * strength, generator)


def covered(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Paint a square of each view's mean over a share of the views: points may be hidden."""
    height, width = x.shape[2:]
    for row in torch.nonzero(torch.rand(len(x), generator=generator) < share).flatten().tolist():
        a, b, c = torch.rand(3, generator=generator).tolist()
        side = 1 + int(LARGEST_COVER * min(height, width) * a)
        top, left = int((height - side + 1) * b), int((width - side + 1) * c)
        x[row, :, top : top + side, left : left + side] = x[row].mean((1, 2), keepdim=True)
    return x


def standardised(x: Tensor) -> Tensor:
    """Return each view at mean 0 and SD about 1; a blank one is not blown up."""
    mean, spread = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
    return (x - mean) / (spread + 8.0)
