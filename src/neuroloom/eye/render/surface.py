"""What lies around and on the eye: skin, lids, hairs, reflections, light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, pad

from neuroloom.eye.render.optics import Geometry
from neuroloom.eye.render.ranges import Eyes

LASHES, HAIRS, GLINTS, SPECKS = 70, 400, 4, 10
SAMPLES = 20
OCTAVES = (4, 11, 30)
POLAR = (8, 48)


@dataclass(frozen=True)
class Look:
    """What stays the same in a subject: random numbers from 0 to 1, and coarse textures.

    Attributes
    ----------
    skin
        Normal noise at three scales, (n, side, side) each.
    iris
        Normal noise by distance and direction, (n, 8, 48).
    lash, hair, glint, speck
        (n, number, 6), (n, number, 5), (n, number, 4), (n, number, 3).
    whole
        (n, 16): what an image has one of.
    """

    skin: list[Tensor]
    iris: Tensor
    lash: Tensor
    hair: Tensor
    glint: Tensor
    speck: Tensor
    whole: Tensor


def look_of(eyes: Eyes) -> Look:
    """Draw the looks of eyes, each from its own seed."""
    seeds, rows = np.unique(eyes.look, return_inverse=True)
    drawn = [_draw(np.random.default_rng(int(seed))) for seed in seeds]
    parts = [torch.as_tensor(np.stack(part)[rows]) for part in zip(*drawn, strict=True)]
    scales = len(OCTAVES)
    return Look(parts[:scales], *parts[scales:])


def _draw(rng: np.random.Generator) -> list[np.ndarray]:
    def uniform(*shape: int) -> np.ndarray:
        return rng.random(shape, dtype=np.float32)

    noise = [rng.standard_normal((side, side), dtype=np.float32) for side in OCTAVES]
    return [
        *noise, rng.standard_normal(POLAR, dtype=np.float32), uniform(LASHES, 6),
        uniform(HAIRS, 5), uniform(GLINTS, 4), uniform(SPECKS, 3), uniform(16),
    ]  # fmt: skip


@dataclass(frozen=True)
class Lids:
    """The slit between the lids, in units of the eyeball's radius around its centre, tilted."""

    eyes: Eyes
    geometry: Geometry

    def __post_init__(self) -> None:
        middle = self.geometry.origin + (
            self.geometry.focal[:, None] * self.geometry.centre[:, :2] / self.geometry.centre[:, 2:]
        )
        unit = self.geometry.focal * self.geometry.radius / self.geometry.centre[:, 2]
        object.__setattr__(self, "middle", middle.float())
        object.__setattr__(self, "unit", unit.float())

    middle: Tensor = None  # type: ignore[assignment]
    unit: Tensor = None  # type: ignore[assignment]

    def to_slit(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return pixels (n, …) in the slit's own coordinates."""
        cos, sin = self._turn(x.ndim)
        dx = (x - _lift(self.middle[:, 0], x.ndim)) / _lift(self.unit, x.ndim)
        dy = (y - _lift(self.middle[:, 1], x.ndim)) / _lift(self.unit, x.ndim)
        return cos * dx + sin * dy, cos * dy - sin * dx

    def to_pixels(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return places (n, …) of the slit's coordinates in px."""
        cos, sin = self._turn(u.ndim)
        unit = _lift(self.unit, u.ndim)
        x = _lift(self.middle[:, 0], u.ndim) + unit * (cos * u - sin * v)
        return x, _lift(self.middle[:, 1], u.ndim) + unit * (sin * u + cos * v)

    def edges(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return where upper and lower lid stand at `u` (n, …); the upper one closes down."""
        width, power = _number(self.eyes.width, u.ndim), _number(self.eyes.power, u.ndim)
        peak = _number(self.eyes.skew, u.ndim) * width
        part = torch.where(u < peak, width + peak, width - peak)
        rise = (1 - ((u - peak) / part) ** 2).clamp(min=0) ** power
        # the upper lid follows the gaze down and up, as it does in life
        follow = _number(np.sin(np.deg2rad(self.eyes.pitch)) * 0.3, u.ndim)
        upper = -(_number(self.eyes.upper, u.ndim) - follow) * rise
        lower = _number(self.eyes.lower, u.ndim) * rise
        shut = _number(self.eyes.shut, u.ndim)
        upper, lower = upper + shut * 0.97 * (lower - upper), lower - 0.05 * shut
        present = _number(self.eyes.present.astype(float), u.ndim)
        return upper * present, lower * present - (1 - present)

    def _turn(self, dims: int) -> tuple[Tensor, Tensor]:
        roll = _number(np.deg2rad(self.eyes.roll), dims)
        return roll.cos(), roll.sin()


def _lift(values: Tensor, dims: int) -> Tensor:
    return values.reshape(-1, *[1] * (dims - 1))


def _number(values: np.ndarray, dims: int) -> Tensor:
    return _lift(torch.as_tensor(values, dtype=torch.float32), dims)


def paint_skin(eyes: Eyes, look: Look, shape: tuple[int, int]) -> Tensor:
    """Return skin or fur without hairs (n, y, x): uneven, with something bright or dark beside."""
    noise = sum(
        weight * interpolate(part[:, None], shape, mode="bilinear", align_corners=True)[:, 0]
        for weight, part in zip((1.0, 0.6, 0.4), look.skin, strict=True)
    )
    skin = _number(eyes.skin_level, 3) * (1 + _number(eyes.texture, 3) * noise)
    whole = look.whole
    turn = 2 * torch.pi * whole[:, 0]
    y = torch.linspace(-1, 1, shape[0])[:, None]
    x = torch.linspace(-1, 1, shape[1])
    side = _lift(turn.cos(), 3) * x + _lift(turn.sin(), 3) * y - _lift(0.6 + 0.6 * whole[:, 1], 3)
    side = (side + 0.1 * noise) * 20
    beside = (side.clamp(0, 1)) * _lift((whole[:, 2] < 0.3).float(), 3)
    return skin + beside * (_lift(2 * whole[:, 3], 3) - skin)


def paint_iris(eyes: Eyes, look: Look, share: Tensor, angle: Tensor) -> Tensor:
    """Return the iris (n, y, x); `share` is the distance from its middle in its radii."""
    table = torch.cat([look.iris[..., -1:], look.iris, look.iris[..., :1]], dim=-1)[:, None]
    around = angle / torch.pi * (POLAR[1] / (POLAR[1] + 2))
    grid = torch.stack([around, (2 * share - 1).clamp(-1, 1)], dim=-1)
    fibres = grid_sample(table, grid, align_corners=False, padding_mode="border")[:, 0]
    collar = 0.5 * torch.cos(7 * share + 6 * _lift(look.whole[:, 4], 3))
    dark = ((share - 0.85) / 0.15).clamp(0, 1) * _lift(0.7 * look.whole[:, 5] - 0.2, 3)
    level = _number(eyes.iris_level, 3)
    return level * (1 + _number(eyes.texture, 3) * (fibres + collar)) * (1 - dark)


def lash_layer(eyes: Eyes, look: Look, lids: Lids, shape: tuple[int, int]) -> Tensor:
    """Return how thickly lashes cover each pixel (n, y, x): most root in the upper lid."""
    u, kind, length, bend, fan, weight = look.lash.unbind(-1)
    width = _number(eyes.width, 2)
    u = (2 * u - 1) * width
    upper, lower = lids.edges(u)
    above = kind < 0.75
    long = (0.12 + 0.35 * length) * torch.where(above, 1.0, 0.6)
    # upper lashes point up and away, or hang down before the eye, as the whole image decides
    hang = _lift(look.whole[:, 6] < 0.45, 2)
    way = torch.where(above & ~hang, -torch.pi / 2, torch.pi / 2)
    way = way + torch.sin(way) * -0.7 * u / width + 0.9 * (fan - 0.5)
    t = torch.linspace(0, 1, SAMPLES)
    turn = way[..., None] + 1.2 * (bend - 0.5)[..., None] * t
    root = torch.where(above, upper, lower)
    x, y = lids.to_pixels(
        u[..., None] + long[..., None] * t * turn.cos(),
        root[..., None] + long[..., None] * t * turn.sin(),
    )
    shown = torch.arange(LASHES) < _number(eyes.lashes * eyes.present, 2)
    return _splat(x, y, (shown * (0.4 + weight))[..., None] * (1.1 - t), shape)


def hair_layer(eyes: Eyes, look: Look, lids: Lids, shape: tuple[int, int]) -> Tensor:
    """Return how hairs of the fur lighten and darken each pixel (n, y, x); none root in the eye."""
    most = max(1, int(np.ceil(eyes.hairs.max(initial=0))))
    x, y, jitter, length, tone = look.hair[:, :most].unbind(-1)
    x, y = x * shape[1], y * shape[0]
    u, v = lids.to_slit(x, y)
    upper, lower = lids.edges(u)
    outside = (v < upper) | (v > lower)
    lean = _lift(4 * torch.pi * look.whole[:, 7], 2)
    way = torch.atan2(v, u) + 1.5 * (jitter - 0.5) + 0.4 * torch.sin(lean)
    long = (0.03 + 0.09 * length) * shape[1]
    t = torch.linspace(0, 1, SAMPLES)
    far = long[..., None] * t
    x = x[..., None] + far * way.cos()[..., None]
    y = y[..., None] + far * way.sin()[..., None]
    shown = outside & (torch.arange(most) < _number(eyes.hairs, 2))
    tone = torch.where(tone < 0.5, tone + 0.3, -tone) * shown
    return _splat(x, y, tone[..., None].expand(x.shape), shape)


def add_glints(
    eyes: Eyes, look: Look, geometry: Geometry, lids: Lids, picture: Tensor, opened: Tensor
) -> Tensor:
    """Add reflections of lamps on the cornea, and specks of tears along the lower lid.

    `opened` (n, y, x) is 1 between the lids: behind a lid there is nothing that mirrors.
    """
    out = picture
    for k in range(min(GLINTS, round(float(eyes.glints.max(initial=0))))):
        x, y = _glint(look.glint[:, k], geometry)
        size = lids.unit * (0.02 + 0.06 * look.glint[:, k, 2])
        shown = torch.as_tensor(eyes.glints * eyes.present > k + 0.5)
        out = _dot(out, x, y, size, shown * (0.5 + 0.8 * look.glint[:, k, 3]), opened)
    if (most := min(SPECKS, round(float(eyes.specks.max(initial=0))))) > 0:
        along, off, size = look.speck[:, :most].unbind(-1)
        u = (2 * along - 1) * _number(eyes.width, 2)
        x, y = lids.to_pixels(u, lids.edges(u)[1] + 0.1 * off - 0.06)
        shown = torch.arange(most) < _number(eyes.specks * eyes.present, 2)
        layer = _splat(x[..., None], y[..., None], (shown * (0.5 + size))[..., None],
                       (picture.shape[1], picture.shape[2]))  # fmt: skip
        out = out + smooth(layer, torch.full((len(out),), 0.7)) * 4
    return out


def _glint(drawn: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Return where a far lamp, up to 35 degrees from the camera, is mirrored on the cornea (px)."""
    lamp = torch.stack([1.3 * (drawn[:, 0] - 0.5), 1.3 * (drawn[:, 1] - 0.5),
                        -torch.ones(len(drawn))], dim=1).double()  # fmt: skip
    lamp = lamp / lamp.norm(dim=1, keepdim=True)
    seen = -geometry.corneal_centre / geometry.corneal_centre.norm(dim=1, keepdim=True)
    normal = lamp + seen
    normal = normal / normal.norm(dim=1, keepdim=True)
    at = geometry.corneal_centre + geometry.cornea[:, None] * normal
    place = geometry.origin + geometry.focal[:, None] * at[:, :2] / at[:, 2:]
    return place[:, 0].float(), place[:, 1].float()


def _dot(
    picture: Tensor, x: Tensor, y: Tensor, size: Tensor, level: Tensor, opened: Tensor
) -> Tensor:
    rows = torch.arange(picture.shape[1])[None, :] - y[:, None]
    columns = torch.arange(picture.shape[2])[None, :] - x[:, None]
    size = size.clamp(min=0.6)[:, None]
    down, across = torch.exp(-((rows / size) ** 2)), torch.exp(-((columns / size) ** 2))
    spot = ((2.5 * level)[:, None] * down)[:, :, None] * across[:, None, :]
    return picture + opened * spot.clamp(max=1.3)


def _splat(x: Tensor, y: Tensor, weight: Tensor, shape: tuple[int, int]) -> Tensor:
    """Add weights at places (n, …) to the four pixels around each, (n, y, x)."""
    n, (height, width) = len(x), shape
    left, top = x.floor(), y.floor()
    fx, fy = x - left, y - top
    layer = torch.zeros(n * (height + 2) * (width + 2))
    first = _lift(torch.arange(n) * (height + 2) * (width + 2), x.ndim)
    left, top = left.clamp(-1, width - 1).long() + 1, top.clamp(-1, height - 1).long() + 1
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            at = first + (top + dy) * (width + 2) + left + dx
            layer.index_add_(0, at.reshape(-1), (weight * wy * wx).reshape(-1))
    # what lies outside was clamped to the border, which is cut off here
    return layer.reshape(n, height + 2, width + 2)[:, 1:-1, 1:-1].contiguous()


def smooth(picture: Tensor, sigma: Tensor) -> Tensor:
    """Blur pictures (n, y, x), each by its own Gaussian, sigma (n,) px."""
    reach = max(1, int(np.ceil(2.5 * float(sigma.max()))))
    steps = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (steps / sigma.clamp(min=0.1)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    for dim, space in ((1, (0, 0, reach, reach)), (2, (reach, reach, 0, 0))):
        wide, size = pad(picture[:, None], space, mode="replicate")[:, 0], picture.shape[dim]
        picture = sum(_lift(kernel[:, k], 3) * wide.narrow(dim, k, size) for k in range(len(steps)))  # type: ignore[assignment]
    return picture
