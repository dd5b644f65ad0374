"""Changes of brightness, voxel by voxel: labels stay where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from neuroloom.learn.dense.augment.transform import (
    Canvas,
    Params,
    Transform,
    coin,
    seeds,
    spread,
    two_sided,
    uniform,
)

TINY = 1e-7


def white_noise(x: Tensor, drawn: Tensor) -> Tensor:
    """Return normal noise of the shape of x, each example from its own seed (n,)."""
    noise = torch.empty_like(x)
    generator = torch.Generator(device=x.device)
    for own, seed in zip(noise, drawn.tolist(), strict=True):
        own.normal_(generator=generator.manual_seed(seed))
    return noise


def _voxels(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


@dataclass(frozen=True)
class Noise(Transform):
    """Add white noise, normal or (as magnitudes of MR have it) Rician.

    Attributes
    ----------
    most, least
        Range of the standard deviation, in units of the image (1 after standardising).
    rician
        True: the noise is in both parts of a complex image, of which the magnitude is taken.

    Examples
    --------
    >>> params = {"size": torch.tensor([2.0]), "seed": torch.tensor([1])}
    >>> round(Noise().change(torch.zeros(1, 1, 300, 300), None, params)[0].std().item(), 1)
    2.0
    """

    most: float = 0.1
    least: float = 0.0
    rician: bool = False
    name: ClassVar[str] = "noise"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw size and seed, each (n,)."""
        size = uniform(generator, (min(self.least, self.most), self.most), n)
        return {"size": size, "seed": seeds(generator, n)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Add it."""
        size = spread(params["size"], x)
        if not self.rician:
            return torch.addcmul(x, white_noise(x, params["seed"]), size), y
        both = white_noise(torch.stack([x, x], 1), params["seed"])
        return torch.hypot(x + size * both[:, 0], size * both[:, 1]), y


def rician(most: float = 0.1, *, p: float = 1.0) -> Noise:
    """Return Rician noise: Gudbjartsson & Patz (1995), Magn. Reson. Med. 34, 910-914."""
    return Noise(most, rician=True, p=p)


@dataclass(frozen=True)
class Brightness(Transform):
    """Multiply each channel by a factor.

    Attributes
    ----------
    span
        Furthest from 1; half of the factors lie below.

    Examples
    --------
    >>> params = {"factor": torch.tensor([[0.5]])}
    >>> Brightness().change(torch.ones(1, 1, 1, 1), None, params)[0].item()
    0.5
    """

    span: float = 0.25
    name: ClassVar[str] = "brightness"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the factors (n, channel)."""
        return {"factor": two_sided(generator, (1 - self.span, 1 + self.span), n, canvas.channels)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Multiply."""
        return x * spread(params["factor"], x), y


@dataclass(frozen=True)
class Contrast(Transform):
    """Stretch each channel around its mean; what leaves the old range is clipped to it.

    Attributes
    ----------
    span
        Furthest from 1; half of the factors lie below.

    Examples
    --------
    >>> x = torch.tensor([[[[0.0, 2.0]]]])
    >>> Contrast().change(x, None, {"factor": torch.tensor([[0.5]])})[0].tolist()
    [[[[0.5, 1.5]]]]
    """

    span: float = 0.25
    name: ClassVar[str] = "contrast"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the factors (n, channel)."""
        return {"factor": two_sided(generator, (1 - self.span, 1 + self.span), n, canvas.channels)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Stretch and clip."""
        mean = x.mean(_voxels(x), keepdim=True)
        low, high = torch.aminmax(x.flatten(2), dim=2, keepdim=True)
        shape = mean.shape
        stretched = torch.lerp(mean, x, spread(params["factor"], x))
        return stretched.clamp_(low.reshape(shape), high.reshape(shape)), y


@dataclass(frozen=True)
class Gamma(Transform):
    """Raise each channel, scaled to its range, to a power.

    Attributes
    ----------
    span
        The power lies between 1 - span and 1 + span (or the ends `low`, `high`), half below 1.
    low, high
        Ends of the range, where it is not symmetric.
    turned
        True: on the negative image, so that the bright end is spread instead of the dark one.
    keep
        True: mean and standard deviation stay.

    Examples
    --------
    >>> x = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    >>> Gamma().change(x, None, {"power": torch.tensor([[2.0]])})[0].tolist()
    [[[[0.0, 0.5, 2.0]]]]
    """

    span: float = 0.3
    low: float | None = None
    high: float | None = None
    turned: bool = False
    keep: bool = False
    name: ClassVar[str] = "gamma"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the powers (n, channel)."""
        low = 1 - self.span if self.low is None else self.low
        high = 1 + self.span if self.high is None else self.high
        return {"power": two_sided(generator, (max(low, 0.05), high), n, canvas.channels)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Raise to the power."""
        flat = -x.flatten(2) if self.turned else x.flatten(2)
        low, high = torch.aminmax(flat, dim=2, keepdim=True)
        span = (high - low).clamp_(min=TINY)
        # exp of a logarithm is four times as fast as a power, and as exact as float32 is.
        power = spread(params["power"], flat)
        raised = (flat - low).log_().mul_(power).add_((1 - power) * span.log()).exp_().add_(low)
        if self.keep:
            raised = _match(raised, flat)
        raised = raised.neg_() if self.turned else raised
        return raised.reshape(x.shape), y


def _match(x: Tensor, like: Tensor) -> Tensor:
    """Give each line (n, channel, voxels) the mean and deviation of `like`; x is written to."""
    mean, centre = x.mean(2, keepdim=True), like.mean(2, keepdim=True)
    x = x.sub_(mean)
    # A norm is vectorised where torch.var is not, which makes it ten times as fast.
    size = torch.linalg.vector_norm(x, dim=2, keepdim=True).clamp_(min=TINY)
    wanted = torch.linalg.vector_norm(like - centre, dim=2, keepdim=True)
    return torch.addcmul(centre, x, wanted / size)


@dataclass(frozen=True)
class Invert(Transform):
    """Turn dark to bright: each channel is mirrored within its range.

    Examples
    --------
    >>> x = torch.tensor([[[[0.0, 1.0, 3.0]]]])
    >>> Invert().change(x, None, {"channels": torch.tensor([[True]])})[0].tolist()
    [[[[3.0, 2.0, 0.0]]]]
    """

    each: float = 1.0
    name: ClassVar[str] = "invert"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw which channels (n, channel)."""
        chosen = coin(generator, self.each, n, canvas.channels)
        return {"on": chosen.any(1), "channels": chosen}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Mirror."""
        low, high = torch.aminmax(x.flatten(2), dim=2)
        return torch.where(spread(params["channels"], x), spread(low + high, x) - x, x), y


@dataclass(frozen=True)
class Lookup(Transform):
    """Map brightness through a smooth random curve: a contrast that was never measured.

    Nodes lie evenly over the range of the channel. A rising curve keeps the order of tissues; one
    that is free to fall mixes them anew, as another sequence or stain would; either may be turned
    upside down. A net trained on such images cannot lean on which tissue is bright. After Billot
    et al. (2023), Med. Image Anal. 86, 102789, who draw an intensity per label instead.

    Attributes
    ----------
    free
        Probability of a curve that may fall.
    nodes
        How many random nodes a curve has; more bend more.
    turn
        Probability of a curve turned upside down.
    keep
        True: mean and standard deviation of the channel stay.

    Examples
    --------
    >>> x = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    >>> Lookup(keep=False).change(x, None, {"curve": torch.tensor([[[1.0, 0.0, 0.5]]])})[0].tolist()
    [[[[2.0, 0.0, 1.0]]]]
    """

    free: float = 0.5
    nodes: int = 5
    turn: float = 0.5
    keep: bool = True
    fine: int = 64
    name: ClassVar[str] = "lookup"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the curves (n, channel, fine), from 0 to 1."""
        shape = (n, canvas.channels)
        drawn = torch.rand(*shape, self.nodes, generator=generator)
        rising = torch.cat([torch.zeros(*shape, 1), (drawn[..., 1:] + 0.05).cumsum(-1)], -1)
        rough = torch.where(coin(generator, self.free, *shape, 1), drawn, rising)
        curve = smooth_curve(rough, self.fine)
        low, high = curve.amin(-1, keepdim=True), curve.amax(-1, keepdim=True)
        curve = (curve - low) / (high - low).clamp(min=TINY)
        return {"curve": torch.where(coin(generator, self.turn, *shape, 1), 1 - curve, curve)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Look every voxel up, linearly between the curve's points."""
        flat = x.flatten(2)
        low, high = torch.aminmax(flat, dim=2, keepdim=True)
        span = (high - low).clamp(min=TINY)
        curve = params["curve"].to(x.device)
        mapped = look_up((flat - low) / span, curve).mul_(span).add_(low)
        return (_match(mapped, flat) if self.keep else mapped).reshape(x.shape), y


def smooth_curve(rough: Tensor, count: int) -> Tensor:
    """Return curves (…, count) through nodes (…, nodes), smooth and never beyond neighbours.

    Cosine steps between neighbouring nodes: what rises between nodes rises in between.
    """
    nodes = rough.shape[-1]
    place = torch.linspace(0, nodes - 1, count)
    below = place.floor().long().clamp(max=nodes - 2)
    part = 0.5 - 0.5 * torch.cos(torch.pi * (place - below))
    return torch.lerp(rough[..., below], rough[..., below + 1], part)


def look_up(shares: Tensor, curve: Tensor) -> Tensor:
    """Return curves (n, channel, count) at shares (n, channel, voxels) of their length, 0 to 1."""
    count = curve.shape[-1]
    place = shares * (count - 1)
    below = place.floor().clamp_(0, count - 2)
    part = place - below
    rows = torch.arange(curve.shape[0] * curve.shape[1], device=curve.device, dtype=torch.int32)
    index = (below.int() + (rows * count).reshape(*curve.shape[:2], 1)).reshape(-1)
    flat = curve.reshape(-1).contiguous()
    low, high = flat.index_select(0, index), flat.index_select(0, index + 1)
    return torch.lerp(low, high, part.reshape(-1)).reshape(shares.shape)


@dataclass(frozen=True)
class BiasField(Transform):
    """Multiply by a smooth field: the exponential of a random polynomial over the patch.

    Van Leemput et al. (1999), IEEE Trans. Med. Imaging 18, 885-896.

    Attributes
    ----------
    most
        Largest coefficient of a term.
    order
        Degree of the polynomial, in coordinates from -1 to 1.

    Examples
    --------
    >>> x = torch.ones(1, 1, 1, 3)
    >>> field = {"terms": torch.tensor([[[0.0, 1.0]]])}
    >>> [round(v, 3) for v in BiasField(order=1).change(x, None, field)[0].flatten().tolist()]
    [0.368, 1.0, 2.718]
    """

    most: float = 0.5
    order: int = 3
    name: ClassVar[str] = "bias-field"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the terms (n, order + 1, …): the index is the power of each axis."""
        d = len(canvas.axes)
        shape = (self.order + 1,) * d
        terms = uniform(generator, (-self.most, self.most), n, *shape)
        powers = torch.stack(torch.meshgrid(*[torch.arange(s) for s in shape], indexing="ij"))
        return {"terms": terms * (powers.sum(0) <= self.order)}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Multiply by the field."""
        field = params["terms"].to(x.device)
        for size in x.shape[2:]:
            place = torch.linspace(-1, 1, size) if size > 1 else torch.zeros(1)
            powers = place[:, None] ** torch.arange(field.shape[1])
            field = torch.tensordot(field, powers.to(x.device), dims=([1], [1]))
        return x * field.exp_()[:, None], y


@dataclass(frozen=True)
class Rescale(Transform):
    """Map the brightness between two quantiles to -1 … 1, or another range.

    Attributes
    ----------
    cut
        Share that is clipped at each end.
    low, high
        The new range.

    Examples
    --------
    >>> Rescale(low=0.0).change(torch.tensor([[[[1.0, 2.0, 5.0]]]]), None, {})[0].tolist()
    [[[[0.0, 0.25, 1.0]]]]
    """

    cut: float = 0.0
    low: float = -1.0
    high: float = 1.0
    name: ClassVar[str] = "rescale"

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Clip and map."""
        flat = x.flatten(2)
        if self.cut > 0:
            count = flat.shape[2] - 1
            first, last = (
                flat.kthvalue(1 + round(share * count), dim=2, keepdim=True).values
                for share in (self.cut, 1 - self.cut)
            )
        else:
            first, last = torch.aminmax(flat, dim=2, keepdim=True)
        share = ((flat - first) / (last - first).clamp(min=TINY)).clamp(0, 1)
        return (share * (self.high - self.low) + self.low).reshape(x.shape), y


@dataclass(frozen=True)
class ZNormalise(Transform):
    """Give each channel mean 0 and standard deviation 1.

    Attributes
    ----------
    nonzero
        1 takes mean and deviation of the voxels that are not 0, and changes only those.

    Examples
    --------
    >>> ZNormalise().change(torch.tensor([[[[1.0, 3.0]]]]), None, {})[0].tolist()
    [[[[-1.0, 1.0]]]]
    """

    nonzero: float = 0.0
    name: ClassVar[str] = "znormalise"

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Subtract and divide."""
        inside = (x != 0) if self.nonzero else torch.ones_like(x, dtype=torch.bool)
        count = inside.sum(_voxels(x), keepdim=True).clamp(min=1)
        mean = (x * inside).sum(_voxels(x), keepdim=True) / count
        centred = (x - mean) * inside
        std = (centred.square().sum(_voxels(x), keepdim=True) / count).sqrt()
        return centred / std.clamp(min=TINY), y
