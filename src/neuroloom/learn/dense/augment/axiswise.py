"""Changes that mix voxels along one axis at a time: each is a small matrix per axis.

Blurring, lowering the resolution, ghosts and segments of k-space all act on every line along an
axis alike, so a matrix (out, in) per axis holds all of it, borders included, and the work is matrix
products: no padding, no Fourier transform of the volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Generator, Tensor

from neuroloom.learn.dense.augment.transform import (
    Canvas,
    Params,
    Transform,
    coin,
    uniform,
)

TRUNCATE = 4.0


def along(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """Multiply every line along an axis by a matrix.

    Parameters
    ----------
    x
        (n, channel, *axes).
    matrix
        (n, channel or 1, out, in).
    axis
        Of `axes`, counted from 0.

    Examples
    --------
    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> along(x, torch.ones(1, 1, 1, 2), 0).tolist()
    [[[[2.0, 4.0]]]]
    """
    head, axes = x.shape[:2], x.shape[2:]
    before, after = axes[:axis].numel(), axes[axis + 1 :].numel()
    matrix = matrix.to(x.device)
    if after == 1:
        done = x.reshape(*head, before, axes[axis]) @ matrix.mT
    else:
        done = matrix[:, :, None] @ x.reshape(*head, before, axes[axis], after)
    return done.reshape(*head, *axes[:axis], matrix.shape[-2], *axes[axis + 1 :])


def blur_matrix(sigma: Tensor, size: int) -> Tensor:
    """Return Gaussian smoothing (…, size, size) for each sigma (…), mirrored at the borders.

    The kernel ends at four sigma, as in scipy's gaussian_filter with mode "reflect".

    Examples
    --------
    >>> blur_matrix(torch.tensor(0.0), 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    sigma = sigma.clamp(min=1e-3)[..., None, None, None]
    radius = (TRUNCATE * sigma + 0.5).floor().clamp(min=1)
    offsets = mirrored_offsets(size).to(sigma.device)
    kernel = (offsets / sigma).square_().mul_(-0.5)
    kernel = kernel.masked_fill_(offsets.abs() > radius, -torch.inf).exp_().sum(-3)
    return kernel / kernel.sum(-1, keepdim=True)


@cache
def mirrored_offsets(size: int) -> Tensor:
    """Return how far each voxel and its mirror images lie from each other one, (6, size, size)."""
    place = torch.arange(size, dtype=torch.float32)
    row, column = place[:, None], place[None]
    both = torch.stack([column - row, column + row + 1])
    return torch.cat([both + turn * 2 * size for turn in (-1, 0, 1)])


def coarse_matrix(zoom: Tensor, size: int) -> Tensor:
    """Return the matrix (…, size, size) that takes every 1/zoom-th voxel, then fills in linearly.

    The coarse grid has round(size zoom) voxels, each the nearest one to its centre; the way back is
    linear between centres. Simulated low resolution: Isensee et al. (2021), Nat. Methods 18, 203.

    Examples
    --------
    >>> coarse_matrix(torch.tensor(0.5), 4)[0].tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    count = (zoom * size).round().clamp(1, size).long()[..., None]
    place = torch.arange(size, device=zoom.device)
    centre = ((2 * place + 1) * count / (2 * size) - 0.5).clamp(min=0)
    below = centre.floor().long()
    above = torch.minimum(below + 1, count - 1)
    part = centre - below
    low, high = (((2 * m + 1) * size) // (2 * count) for m in (below, above))
    column = place.reshape((1,) * zoom.ndim + (1, -1))
    return (column == low[..., None]) * (1 - part)[..., None] + (column == high[..., None]) * part[
        ..., None
    ]


def lines_matrix(mask: Tensor) -> Tensor:
    """Return what weighting the frequencies of a line does to it: a circulant (…, size, size).

    Parameters
    ----------
    mask
        (…, size) weights in the order of `torch.fft.fft`; the real part of the result is kept.

    Examples
    --------
    >>> lines_matrix(torch.ones(3)).round().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    size = mask.shape[-1]
    response = torch.fft.ifft(mask).real
    place = torch.arange(size, device=mask.device)
    return response[..., (place[:, None] - place[None]) % size]


@dataclass(frozen=True)
class AxisWise(Transform):
    """Base: a subclass gives the matrix of an axis from the parameters."""

    def matrix(self, params: Params, axis: int, size: int) -> Tensor | None:
        """Return (n, channel or 1, size, size), or None where nothing changes along the axis."""
        raise NotImplementedError

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Apply the matrices one axis after the other."""
        for axis, size in enumerate(x.shape[2:]):
            matrix = self.matrix(params, axis, size)
            if matrix is not None:
                x = along(x, matrix, axis)
        return x, y


@dataclass(frozen=True)
class Blur(AxisWise):
    """Blur with a Gaussian whose width differs between channels and axes.

    Attributes
    ----------
    most, least
        Range of the standard deviation, in voxels.
    each
        Probability of each channel of an example that is chosen.
    one_width
        True: the same width along all axes.

    Examples
    --------
    >>> x = torch.rand(2, 1, 8, 8)
    >>> params = Blur(2.0).draw(2, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> bool(Blur().change(x, None, params)[0].var() < x.var())
    True
    """

    most: float = 1.0
    least: float = 0.5
    each: float = 1.0
    one_width: bool = False
    name: ClassVar[str] = "blur"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the widths (n, channel, d); 0 leaves a channel as it is."""
        chosen = coin(generator, self.each, n, canvas.channels)
        d = len(canvas.axes)
        drawn = 1 if self.one_width else d
        span = (min(self.least, self.most), self.most)
        sigma = uniform(generator, span, n, canvas.channels, drawn).expand(-1, -1, d)
        return {"on": chosen.any(1), "sigma": sigma * chosen[..., None]}

    def matrix(self, params: Params, axis: int, size: int) -> Tensor:
        """Return Gaussian smoothing."""
        return blur_matrix(params["sigma"][..., axis], size)


@dataclass(frozen=True)
class LowResolution(AxisWise):
    """Take fewer voxels, then fill in between: an image taken with a coarser grid.

    Attributes
    ----------
    least, most
        Range of the share of voxels that is kept along an axis.
    each
        Probability of each channel of an example that is chosen.
    one_axis
        True: along one axis only, which is drawn; slices that lie further apart.
    fixed
        Axes that stay as they are.

    Examples
    --------
    >>> x = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> LowResolution().change(x, None, {"zoom": torch.tensor([[[1.0, 0.5]]])})[0].tolist()
    [[[[1.0, 1.5, 2.5, 3.0]]]]
    """

    least: float = 0.5
    most: float = 1.0
    each: float = 1.0
    one_axis: bool = False
    fixed: tuple[int, ...] = ()
    name: ClassVar[str] = "low-resolution"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the shares (n, channel, d); 1 leaves an axis as it is."""
        d = len(canvas.axes)
        chosen = coin(generator, self.each, n, canvas.channels)
        zoom = uniform(generator, (self.least, self.most), n, canvas.channels, 1)
        free = torch.tensor([axis not in self.fixed for axis in range(d)])
        axis = torch.randint(d, (n, 1, 1), generator=generator)
        picked = (torch.arange(d) == axis) if self.one_axis else free
        zoom = torch.where(picked & chosen[..., None], zoom, torch.ones(()))
        return {"on": chosen.any(1), "zoom": zoom}

    def matrix(self, params: Params, axis: int, size: int) -> Tensor | None:
        """Return the way to the coarse grid and back."""
        zoom = params["zoom"][..., axis]
        return None if (zoom == 1).all() else coarse_matrix(zoom, size)


def anisotropy(least: float = 0.2, *, most: float = 0.7, p: float = 1.0) -> LowResolution:
    """Return low resolution along one axis, drawn: thick slices."""
    return LowResolution(least, most, one_axis=True, p=p)


@dataclass(frozen=True)
class Ghosting(AxisWise):
    """Copies of the body along the phase encoding axis, as periodic motion leaves them.

    Every k-th line of k-space is weakened, but for the lines in the middle.

    Attributes
    ----------
    most, least
        Range of the strength: 0 nothing, 1 the lines are lost.
    ghosts
        Range of the number of ghosts.
    centre
        Share of lines in the middle that stay.

    Examples
    --------
    >>> x = torch.rand(1, 1, 16, 16)
    >>> ghosting = Ghosting(1.0)
    >>> params = ghosting.draw(1, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> bool(torch.isclose(ghosting.change(x, None, params)[0].mean(), x.mean()))
    True
    """

    most: float = 1.0
    least: float = 0.5
    ghosts: tuple[int, int] = (4, 10)
    centre: float = 0.02
    name: ClassVar[str] = "ghosting"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw strength, number of ghosts and axis, each (n,)."""
        low, high = self.ghosts
        return {
            "strength": uniform(generator, (min(self.least, self.most), self.most), n),
            "ghosts": torch.randint(low, high + 1, (n,), generator=generator),
            "axis": torch.randint(len(canvas.axes), (n,), generator=generator),
        }

    def matrix(self, params: Params, axis: int, size: int) -> Tensor | None:
        """Return the filter of the drawn axis; the identity for examples with another one."""
        mine = params["axis"] == axis
        if not mine.any():
            return None
        mask = ghost_mask(params["ghosts"], params["strength"] * mine, size, self.centre)
        return lines_matrix(mask)[:, None]


def ghost_mask(ghosts: Tensor, strength: Tensor, size: int, centre: float) -> Tensor:
    """Return the weight of each line of k-space (n, size), in the order of `torch.fft.fft`."""
    line = torch.arange(size)
    weak = line % ghosts[:, None].clamp(max=size) == 0
    middle = size // 2
    kept = max(1, round(centre * size))
    inner = (line - middle).abs() <= kept // 2
    mask = 1 - strength[:, None] * (weak & ~inner)
    return torch.fft.ifftshift(mask, dim=-1)
