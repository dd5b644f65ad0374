"""Rays from a pinhole camera through the cornea to the plane of the pupil.

The camera stands at the origin and looks along +z; x is to the right, y down, lengths in mm. The
eye is a sphere with a smaller sphere, the cornea, on it; the pupil is a disc across its axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuroloom.eye.render.ranges import Eyes


@dataclass(frozen=True)
class Geometry:
    """Eyes and cameras in mm and px; vectors have the shape (n, 3), numbers (n,)."""

    focal: Tensor
    origin: Tensor
    centre: Tensor
    gaze: Tensor
    right: Tensor
    down: Tensor
    radius: Tensor
    cornea: Tensor
    corneal_centre: Tensor
    plane: Tensor
    iris: Tensor
    pupil: Tensor
    index: Tensor
    rim: Tensor

    @property
    def scale(self) -> Tensor:
        """Pixels a millimetre at the depth of the pupil, (n,)."""
        return self.focal / (self.centre + self.plane[:, None] * self.gaze)[:, 2]


@dataclass(frozen=True)
class Hit:
    """Where rays end: (n, …) each.

    Attributes
    ----------
    far
        Distance from the eye's axis in the plane of the pupil, mm; infinite beside the cornea.
    angle
        Direction there, radians.
    ball
        How far inside the outline of the eyeball the ray passes, mm; negative beside it.
    edge
        Radius of the pupil in that direction, mm.
    """

    far: Tensor
    angle: Tensor
    ball: Tensor
    edge: Tensor


def gaze_vector(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Return unit vectors (n, 3) of a gaze `yaw` to the right and `pitch` down, degrees.

    Examples
    --------
    >>> gaze_vector(np.array([0.0]), np.array([0.0])).round(3).tolist()
    [[0.0, 0.0, -1.0]]
    """
    yaw, pitch = np.deg2rad(yaw), np.deg2rad(pitch)
    across = np.cos(pitch)
    return np.stack([np.sin(yaw) * across, np.sin(pitch), -np.cos(yaw) * across], axis=-1)


def set_up(eyes: Eyes, shape: tuple[int, int]) -> Geometry:
    """Place eyes before their cameras; `shape` is (y, x) in px."""

    def tensor(values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float64)

    height, width = shape
    focal, radius = eyes.focal * width, eyes.radius
    depth = np.maximum(focal * radius / (eyes.size * width), 1.8 * radius)
    origin = np.tile([(width - 1) / 2, (height - 1) / 2], (len(eyes), 1))
    seen = np.stack([eyes.x * (width - 1), eyes.y * (height - 1)], axis=1)
    aside = (seen - origin) / focal[:, None] * depth[:, None]
    gaze = gaze_vector(eyes.yaw, eyes.pitch)
    centre = np.concatenate([aside, depth[:, None]], axis=1)
    right = np.cross(gaze, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return Geometry(
        focal=tensor(focal), origin=tensor(origin), centre=tensor(centre), gaze=tensor(gaze),
        right=tensor(right), down=tensor(np.cross(gaze, right)), radius=tensor(radius),
        cornea=tensor(radius * eyes.cornea),
        corneal_centre=tensor(centre + (radius * eyes.offset)[:, None] * gaze),
        plane=tensor(radius * eyes.plane), iris=tensor(radius * eyes.iris),
        pupil=tensor(radius * eyes.pupil), index=tensor(eyes.index), rim=tensor(_rims(eyes)),
    )  # fmt: skip


def trace(geometry: Geometry, x: Tensor, y: Tensor) -> Hit:
    """Follow the rays of pixels (n, …) to the eye, with refraction at the cornea (Snell).

    Parameters
    ----------
    geometry
        Eyes and cameras.
    x, y
        Places in px, shape (n, …) or one that broadcasts to it.
    """
    lift = (-1, *[1] * (x.ndim - 1))
    numbers, vectors = _Numbers(geometry, lift, x.dtype), _Vectors(geometry, lift, x.dtype)
    ray = _unit(
        ((x - vectors.origin[0]) / numbers.focal, (y - vectors.origin[1]) / numbers.focal,
         torch.ones((), dtype=x.dtype))
    )  # fmt: skip
    ahead, from_ball = _dot(ray, vectors.centre), _dot(vectors.centre, vectors.centre)
    passing = (from_ball - ahead**2).clamp(min=0).sqrt()
    entry, normal, open_ = _enter(ray, vectors, numbers)
    bent = _refract(ray, normal, 1 / numbers.index)
    to_plane = [c + numbers.plane * g for c, g in zip(vectors.centre, vectors.gaze, strict=True)]
    gap = [p - e for p, e in zip(to_plane, entry, strict=True)]
    slope = _dot(bent, vectors.gaze)
    way = _dot(gap, vectors.gaze) / torch.where(slope < -1e-3, slope, -1e-3)
    place = [e + way * b - p for e, b, p in zip(entry, bent, to_plane, strict=True)]
    across, along = _dot(place, vectors.right), _dot(place, vectors.down)
    angle = torch.atan2(along, across)
    far = torch.where(open_, torch.sqrt(across**2 + along**2), 1e6)
    return Hit(far, angle, numbers.radius - passing, numbers.pupil * _rim(numbers.rim, angle))


def outline(geometry: Geometry, points: int = 48) -> Tensor:
    """Return points of the pupil's rim as the camera sees it through the cornea, (n, points, 2).

    The rim is found along rays from the image of the pupil's middle, by bisection.
    """
    middle = geometry.centre + geometry.plane[:, None] * geometry.gaze
    start = geometry.origin + geometry.focal[:, None] * middle[:, :2] / middle[:, 2:]
    turn = torch.arange(points, dtype=torch.float64) * (2 * torch.pi / points)
    low = torch.zeros(len(start), points, dtype=torch.float64)
    high = low + (2.5 * geometry.pupil * geometry.scale)[:, None]
    for _ in range(24):
        half = (low + high) / 2
        at = _along(start, half, turn)
        hit = trace(geometry, at[..., 0], at[..., 1])
        inside = hit.far < hit.edge
        low, high = torch.where(inside, half, low), torch.where(inside, high, half)
    return _along(start, (low + high) / 2, turn)


def _along(start: Tensor, far: Tensor, turn: Tensor) -> Tensor:
    return start[:, None] + far[..., None] * torch.stack([turn.cos(), turn.sin()], dim=-1)


class _Numbers:
    """Numbers of a geometry, lifted so that they broadcast over pixels."""

    def __init__(self, geometry: Geometry, lift: tuple[int, ...], dtype: torch.dtype) -> None:
        def lifted(value: Tensor) -> Tensor:
            return value.to(dtype).reshape(lift)

        self.focal, self.radius = lifted(geometry.focal), lifted(geometry.radius)
        self.cornea, self.plane = lifted(geometry.cornea), lifted(geometry.plane)
        self.pupil, self.index = lifted(geometry.pupil), lifted(geometry.index)
        self.rim = [lifted(part) for part in geometry.rim.unbind(1)]
        offset = ((geometry.corneal_centre - geometry.centre) * geometry.gaze).sum(1)
        limbus = (offset**2 + geometry.radius**2 - geometry.cornea**2) / (2 * offset)
        self.limbus = lifted(limbus)


class _Vectors:
    """Vectors of a geometry as tuples of components that broadcast over pixels."""

    def __init__(self, geometry: Geometry, lift: tuple[int, ...], dtype: torch.dtype) -> None:
        def lifted(value: Tensor) -> list[Tensor]:
            return [part.to(dtype).reshape(lift) for part in value.unbind(1)]

        self.origin, self.centre = lifted(geometry.origin), lifted(geometry.centre)
        self.gaze, self.corneal = lifted(geometry.gaze), lifted(geometry.corneal_centre)
        self.right, self.down = lifted(geometry.right), lifted(geometry.down)


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _unit(parts: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
    length = torch.rsqrt(parts[0] ** 2 + parts[1] ** 2 + 1)
    return [part * length for part in parts]


def _enter(
    ray: list[Tensor], vectors: _Vectors, numbers: _Numbers
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Return where rays meet the cornea, its normal there, and whether they do within its rim."""
    ahead = _dot(ray, vectors.corneal)
    under = ahead**2 - _dot(vectors.corneal, vectors.corneal) + numbers.cornea**2
    way = ahead - under.clamp(min=0).sqrt()
    entry = [way * part for part in ray]
    normal = [(e - k) / numbers.cornea for e, k in zip(entry, vectors.corneal, strict=True)]
    height = sum((e - c) * g for e, c, g in zip(entry, vectors.centre, vectors.gaze, strict=True))
    return entry, normal, (under > 0) & (height > numbers.limbus)


def _refract(ray: list[Tensor], normal: list[Tensor], ratio: Tensor) -> list[Tensor]:
    facing = -_dot(ray, normal)
    inner = (1 - ratio**2 * (1 - facing**2)).clamp(min=0).sqrt()
    return [ratio * r + (ratio * facing - inner) * n for r, n in zip(ray, normal, strict=True)]


def _rims(eyes: Eyes) -> np.ndarray:
    """Return the sizes and phases of the rim's second and third harmonic, (n, 4)."""
    rows = [np.random.default_rng(int(seed)).uniform(0, 1, 4) for seed in eyes.look]
    drawn = np.stack(rows) if len(rows) else np.zeros((0, 4))
    sizes = eyes.ragged[:, None] * drawn[:, :2]
    return np.concatenate([sizes, 2 * np.pi * drawn[:, 2:]], axis=1)


def _rim(rim: list[Tensor], angle: Tensor) -> Tensor:
    return 1 + rim[0] * torch.cos(2 * angle + rim[2]) + rim[1] * torch.cos(3 * angle + rim[3])
