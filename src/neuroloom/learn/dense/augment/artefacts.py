"""Faults of scanners and of data sets: motion, spikes, swapped and missing pieces, blends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.augment.axiswise import along, lines_matrix
from neuroloom.learn.dense.augment.sample import sample_linear
from neuroloom.learn.dense.augment.spatial import Affine
from neuroloom.learn.dense.augment.transform import Canvas, Params, Transform, spread, uniform


@dataclass(frozen=True)
class Motion(Transform):
    """The body moves while k-space is being filled, line after line.

    The image is built from the k-spaces of the body in each of its positions. The position that
    holds while the middle of k-space is taken is the one it has, so labels stay right.

    Attributes
    ----------
    degrees
        Largest turn about each axis.
    shift
        Largest shift, in the unit of the canvas' spacing.
    moves_made
        How many times it moves.

    Notes
    -----
    Shaw et al. (2019), MIDL, PMLR 102, 427-436. Lines lie along one axis, so the k-space of that
    axis alone is needed: a sum of matrix products, no Fourier transform of the volume.

    Examples
    --------
    >>> x = torch.rand(1, 1, 12, 12)
    >>> params = Motion().draw(1, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> Motion().change(x, None, params)[0].shape
    torch.Size([1, 1, 12, 12])
    """

    degrees: float = 10.0
    shift: float = 5.0
    moves_made: int = 2
    name: ClassVar[str] = "motion"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw turns (n, moves, d, d), shifts, times (n, moves) from 0 to 1, and the axis (n,)."""
        rigid = Affine(self.degrees, (1.0, 1.0), self.shift)
        drawn = rigid.draw_rows(n * self.moves_made, canvas, generator)
        d = len(canvas.axes)
        times = uniform(generator, (0.05, 0.95), n, self.moves_made).sort(1).values
        return {
            "matrix": drawn["matrix"].reshape(n, self.moves_made, d, d),
            "shift": drawn["shift"].reshape(n, self.moves_made, d),
            "times": times,
            "axis": torch.randint(d, (n,), generator=generator),
        }

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Put the k-spaces together."""
        out = torch.empty_like(x)
        for axis in params["axis"].unique().tolist():
            rows = (params["axis"] == axis).nonzero()[:, 0]
            own = {key: value[rows] for key, value in params.items()}
            out[rows] = self._along(x[rows], own, axis)
        return out, y

    def _along(self, x: Tensor, params: Params, axis: int) -> Tensor:
        masks = segments(params["times"], x.shape[2 + axis])
        middle = masks[..., masks.shape[-1] // 2].long().argmax(1)
        total = torch.zeros_like(x)
        order = position_order(middle, masks.shape[1])
        for position in range(masks.shape[1]):
            rows = torch.arange(len(x))
            mask = torch.fft.ifftshift(masks[rows, order[:, position]], dim=-1)
            body = x if position == 0 else self._moved(x, params, position - 1)
            total += along(body, lines_matrix(mask)[:, None], axis)
        return total

    def _moved(self, x: Tensor, params: Params, move: int) -> Tensor:
        own = {key: params[key][:, move] for key in ("matrix", "shift")}
        return sample_linear(x, Affine().points(own, x), "border")


def segments(times: Tensor, size: int) -> Tensor:
    """Return which lines of k-space lie between the times, (n, times + 1, size), 0 or 1."""
    line = (torch.arange(size) + 0.5) / size
    number = (line[None, None] >= times[..., None]).sum(1)
    return F.one_hot(number, times.shape[1] + 1).permute(0, 2, 1).float()


def position_order(middle: Tensor, count: int) -> Tensor:
    """Return the segments (n, count) with the middle one first."""
    others = torch.arange(count).expand(len(middle), count)
    keys = torch.where(others == middle[:, None], -1, others)
    return keys.argsort(1)


@dataclass(frozen=True)
class Spike(Transform):
    """Single points of k-space are far too strong: stripes across the image.

    Attributes
    ----------
    most, least
        Range of a spike, as a share of the largest point of the image's k-space.
    spikes
        How many.

    Examples
    --------
    >>> x = torch.rand(1, 1, 12, 12)
    >>> params = Spike().draw(1, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> bool((Spike().change(x, None, params)[0] - x).abs().max() > 0)
    True
    """

    most: float = 0.3
    least: float = 0.1
    spikes: int = 1
    name: ClassVar[str] = "spike"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw places (n, spikes, d), cycles per image, and strengths (n, spikes)."""
        place = uniform(generator, (-0.5, 0.5), n, self.spikes, len(canvas.axes))
        cycles = (place * torch.tensor(canvas.axes)).round()
        span = (min(self.least, self.most), self.most)
        return {"cycles": cycles, "strength": uniform(generator, span, n, self.spikes)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Add the wave that each spike is."""
        dims = tuple(range(2, x.ndim))
        peak = torch.fft.rfftn(x, dim=dims).abs().amax(dims) / x.shape[2:].numel()
        waves = torch.zeros_like(x[:, 0])
        for spike in range(params["cycles"].shape[1]):
            wave = _wave(params["cycles"][:, spike].to(x.device), x.shape[2:])
            waves += wave * spread(params["strength"][:, spike], wave)
        return torch.addcmul(x, waves[:, None], spread(peak, x)), y


def _wave(cycles: Tensor, axes: Sequence[int]) -> Tensor:
    """Return cosines (n, *axes); the angle of a sum is a product of complex numbers."""
    d = len(axes)
    total = torch.ones((len(cycles),) + (1,) * d, dtype=torch.complex64, device=cycles.device)
    for axis, size in enumerate(axes):
        angle = 2 * torch.pi * cycles[:, axis, None] * torch.arange(size, device=cycles.device)
        part = torch.polar(torch.ones_like(angle), angle / size)
        shape = [-1 if own == axis else 1 for own in range(d)]
        total = total * part.reshape(len(cycles), *shape)
    return total.real


@dataclass(frozen=True)
class Swap(Transform):
    """Swap pieces of the image, as a task for nets that learn without labels; labels stay.

    Chen et al. (2019), Med. Image Anal. 58, 101539.

    Attributes
    ----------
    swaps
        How many pairs, one after the other.
    side
        Length of a piece along each axis, in voxels; at most half of the axis.

    Examples
    --------
    >>> x = torch.rand(1, 1, 12, 12)
    >>> params = Swap().draw(1, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> y = Swap().change(x, None, params)[0]
    >>> set(y.flatten().tolist()) <= set(x.flatten().tolist())
    True
    """

    swaps: int = 20
    side: int = 8
    name: ClassVar[str] = "swap"

    def _sides(self, axes: Sequence[int]) -> list[int]:
        return [max(1, min(self.side, size // 2)) for size in axes]

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the first voxels of both pieces of each pair, (n, swaps, 2, d)."""
        free = [
            size - side + 1
            for size, side in zip(canvas.axes, self._sides(canvas.axes), strict=True)
        ]
        places = torch.rand(n, self.swaps, 2, len(free), generator=generator) * torch.tensor(free)
        return {"places": places.long()}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Swap one pair after the other."""
        out, sides = x.clone(), self._sides(x.shape[2:])
        for own, pairs in zip(out, params["places"].tolist(), strict=True):
            for pair in pairs:
                first, second = (
                    (slice(None), *(slice(a, a + s) for a, s in zip(place, sides, strict=True)))
                    for place in pair
                )
                kept = own[first].clone()
                own[first] = own[second].clone()
                own[second] = kept
        return out, y


@dataclass(frozen=True)
class Cutout(Transform):
    """Blank boxes with the mean of the image; labels stay (DeVries & Taylor, arXiv:1708.04552).

    Attributes
    ----------
    share
        Length of a box along each axis, as a share of the axis.
    boxes
        How many.

    Examples
    --------
    >>> x = torch.rand(1, 1, 12, 12)
    >>> params = Cutout(0.5, boxes=1).draw(1, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> int((Cutout(0.5).change(x, None, params)[0] != x).sum())
    36
    """

    share: float = 0.25
    boxes: int = 2
    name: ClassVar[str] = "cutout"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw first voxel and length of each box, (n, boxes, 2, d)."""
        axes = torch.tensor(canvas.axes)
        length = (self.share * axes).round().clamp(min=1).long()
        start = torch.rand(n, self.boxes, len(axes), generator=generator) * (axes - length + 1)
        return {"boxes": torch.stack([start.long(), length.expand(start.shape)], 2)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Blank the boxes."""
        out, mean = x.clone(), x.flatten(2).mean(2)
        for own, middle, boxes in zip(out, mean, params["boxes"].tolist(), strict=True):
            for start, length in boxes:
                box = (slice(a, a + s) for a, s in zip(start, length, strict=True))
                own[(slice(None), *box)] = middle.reshape([-1] + [1] * (own.ndim - 1))
        return out, y


@dataclass(frozen=True)
class Mixup(Transform):
    """Blend each image, and its labels, with another one of the batch (Zhang et al. 2018).

    arXiv:1710.09412. Labels become shares of classes, (n, classes, *axes), so that the loss is the
    blend of both losses.

    Attributes
    ----------
    alpha
        The share of the first is drawn from Beta(alpha, alpha).
    classes
        How many classes there are, the background counted; needed where there are labels.

    Examples
    --------
    >>> x, y = torch.rand(2, 1, 4, 4), torch.tensor([0, 1])[:, None, None].expand(2, 4, 4)
    >>> params = {"share": torch.tensor([0.75, 0.5]), "partner": torch.tensor([1, 0])}
    >>> Mixup(classes=2).change(x, y, params)[1][0, :, 0, 0].tolist()
    [0.75, 0.25]
    """

    alpha: float = 0.2
    classes: int = 0
    name: ClassVar[str] = "mixup"
    across: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw share and partner of each example."""
        from scipy.special import betaincinv

        if not self.alpha > 0:
            raise ConfigError(f"augment: 'mixup' needs an alpha above 0, got {self.alpha:g}.")
        even = torch.rand(n, generator=generator).double().numpy()
        share = torch.as_tensor(betaincinv(self.alpha, self.alpha, even), dtype=torch.float32)
        return {"share": share, "partner": torch.randperm(n, generator=generator)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Blend; examples whose coin says no keep all of their own."""
        if y is not None and self.classes < 1:
            raise ConfigError(
                "augment: 'mixup' blends labels, so it must know how many classes there are: "
                "Mixup(classes=3), or leave it out where labels are to stay whole."
            )
        share = params["share"]
        if "on" in params:
            share = torch.where(params["on"], share, torch.ones(()))
        partner = params["partner"].to(x.device)
        mixed = torch.lerp(x[partner], x, spread(share, x))
        if y is None:
            return mixed, None
        known = F.one_hot(y.long(), self.classes).movedim(-1, 1).to(x.dtype)
        return mixed, torch.lerp(known[partner], known, spread(share, known))
