"""Changes of place: turn, scale, shift, bend, mirror. Labels move with the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.augment.back import label_back
from neuroloom.learn.dense.augment.sample import (
    Outside,
    Points,
    affine_points,
    sample_linear,
    sample_pair,
)
from neuroloom.learn.dense.augment.transform import (
    Canvas,
    Params,
    Transform,
    coin,
    take_rows,
    two_sided,
    uniform,
)

ROUNDS = 25


@dataclass(frozen=True)
class Warp(Transform):
    """Base of changes that read an image at other points; a subclass says at which."""

    invertible: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    def points(self, params: Params, x: Tensor) -> Points:
        """Return where each voxel of x comes from, d tensors (n, *axes) in voxels."""
        raise NotImplementedError

    def points_back(self, params: Params, x: Tensor) -> Points:
        """Return where each voxel of the unchanged image went to."""
        raise NotImplementedError

    @property
    def beyond(self) -> Outside:
        """What lies outside of the image."""
        return getattr(self, "outside", "zeros")

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Read images linearly and labels at the nearest voxel."""
        if len(x) > 1 and x.device.type == "cpu":
            # One after the other stays in the cache of a CPU.
            rows = [
                self.change(
                    x[i : i + 1], None if y is None else y[i : i + 1], take_rows(params, [i])
                )
                for i in range(len(x))
            ]
            labels = [own for _, own in rows if own is not None]
            return torch.cat([own for own, _ in rows]), torch.cat(labels) if labels else None
        return sample_pair(x, y, self.points(params, x), self.beyond)

    def revert(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Bring the image back by reading it, and labels by sending each to where it was read."""
        back = None if y is None else label_back(y, self.points(params, x), y.shape[1:])
        return sample_linear(x, self.points_back(params, x), self.beyond), back


@dataclass(frozen=True)
class Affine(Warp):
    """Turn, scale, shift and shear around the middle of the patch.

    Attributes
    ----------
    degrees
        Largest angle about each axis, one for all or one an axis (z, y, x); images have one.
    scales
        Range of the step from voxel to voxel: 0.7 shows less, and larger. One factor for all axes
        unless `each_axis`.
    shift
        Largest shift along each axis, in the unit of the canvas' spacing (voxels if it has none).
    shear
        Largest entry beside the diagonal.
    alone
        Probability of turning and of scaling (and the rest), each on its own.
    flat
        True turns about the first axis and scales the others only: for slices far apart.
    outside
        "zeros" or "border".

    Examples
    --------
    >>> x = torch.rand(2, 1, 8, 8, 8)
    >>> params = Affine(degrees=90).draw(2, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> params["matrix"].shape, Affine().change(x, None, params)[0].shape
    (torch.Size([2, 3, 3]), torch.Size([2, 1, 8, 8, 8]))
    """

    degrees: float | tuple[float, ...] = 10.0
    scales: tuple[float, float] = (0.9, 1.1)
    shift: float = 0.0
    shear: float = 0.0
    alone: float = 1.0
    flat: bool = False
    each_axis: bool = False
    outside: Outside = "zeros"
    name: ClassVar[str] = "affine"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the matrix (n, d, d) and the shift (n, d), both in voxels."""
        d = len(canvas.axes)
        turned, scaled = (coin(generator, self.alone, n) for _ in range(2))
        angles = self._angles(n, d, generator) * turned[:, None]
        factors = two_sided(generator, self.scales, n, d if self.each_axis else 1).expand(n, d)
        factors = torch.where(scaled[:, None], factors, torch.ones(()))
        if self.flat and d == 3:
            factors = torch.cat([torch.ones(n, 1), factors[:, 1:]], 1)
        sheared = torch.eye(d) + (1 - torch.eye(d)) * uniform(
            generator, (-self.shear, self.shear), n, d, d
        ) * scaled[:, None, None]  # fmt: skip
        spacing = torch.tensor(canvas.spacing, dtype=torch.float32)
        matrix = rotation(angles) @ sheared * factors[:, None]
        shift = uniform(generator, (-self.shift, self.shift), n, d) * scaled[:, None]
        return {
            "on": turned | scaled,
            "matrix": matrix * spacing / spacing[:, None],
            "shift": shift / spacing,
        }

    def _angles(self, n: int, d: int, generator: Generator) -> Tensor:
        count = 1 if d == 2 else 3
        most = self.degrees if isinstance(self.degrees, tuple) else (self.degrees,) * count
        if len(most) != count:
            raise ConfigError(
                f"affine: degrees has {len(most)} angles, expected one, or {count} for {d} axes."
            )
        if self.flat and d == 3:
            most = (most[0], 0.0, 0.0)
        limit = torch.tensor(most, dtype=torch.float32) * math.pi / 180
        return uniform(generator, (-1.0, 1.0), n, count) * limit

    def points(self, params: Params, x: Tensor) -> Points:
        """Return where each voxel comes from."""
        matrix, shift = params["matrix"].to(x.device), params["shift"].to(x.device)
        return affine_points(matrix, _middle(x) + shift, x.shape[2:])

    def points_back(self, params: Params, x: Tensor) -> Points:
        """Return where each voxel of the unchanged image went to."""
        inverse = torch.linalg.inv(params["matrix"].double()).float().to(x.device)
        shift = torch.einsum("nij,nj->ni", inverse, params["shift"].to(x.device))
        return affine_points(inverse, _middle(x) - shift, x.shape[2:])


def _middle(x: Tensor) -> Tensor:
    return torch.tensor([(size - 1) / 2 for size in x.shape[2:]], device=x.device)


def rotation(angles: Tensor) -> Tensor:
    """Return rotations (n, d, d): one angle turns the plane, three turn about the axes in turn.

    Parameters
    ----------
    angles
        (n, 1) for two axes, (n, 3) for three, in radians.

    Examples
    --------
    >>> rotation(torch.tensor([[math.pi / 2]])).round().abs().tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    # numpy: on matrices this small, a call of torch costs more than the arithmetic.
    drawn = angles.numpy()
    if drawn.shape[1] == 1:
        return torch.from_numpy(_plane(drawn[:, 0], 2, (0, 1)))
    turns = [_plane(drawn[:, i], 3, pair) for i, pair in enumerate(((1, 2), (0, 2), (0, 1)))]
    return torch.from_numpy(turns[0] @ turns[1] @ turns[2])


def _plane(angle: np.ndarray, d: int, pair: tuple[int, int]) -> np.ndarray:
    a, b = pair
    turn = np.zeros((len(angle), d, d), dtype=angle.dtype)
    turn[:, range(d), range(d)] = 1
    turn[:, a, a] = turn[:, b, b] = np.cos(angle)
    turn[:, b, a] = np.sin(angle)
    turn[:, a, b] = -turn[:, b, a]
    return turn


def rotate(degrees: float = 30.0, *, p: float = 1.0) -> Affine:
    """Return an affine change that turns only, by up to `degrees` about each axis."""
    return Affine(degrees=degrees, scales=(1.0, 1.0), p=p)


def scale(span: float = 0.3, *, p: float = 1.0) -> Affine:
    """Return an affine change that scales only, by 1 ± `span`."""
    return Affine(degrees=0.0, scales=(1 - span, 1 + span), p=p)


@dataclass(frozen=True)
class Elastic(Warp):
    """Bend the image by cubic B-splines on a coarse lattice of random shifts.

    Attributes
    ----------
    most
        Largest shift of a control point along an axis, in voxels.
    points_per_axis
        Control points along each axis.
    fixed
        How many layers of control points at the border stay where they are.

    Notes
    -----
    Free-form deformation: Rueckert et al. (1999), IEEE Trans. Med. Imaging 18, 712-721. Below 0.48
    of the lattice's step (Choi & Lee 2000) it cannot fold; larger shifts are refused.

    Examples
    --------
    >>> x = torch.rand(1, 1, 16, 16)
    >>> bend = Elastic(most=1.0)
    >>> params = bend.draw(1, Canvas.of(x), torch.Generator().manual_seed(1))
    >>> params["lattice"].shape
    torch.Size([1, 2, 7, 7])
    """

    most: float = 3.0
    points_per_axis: int = 7
    fixed: int = 2
    outside: Outside = "zeros"
    name: ClassVar[str] = "elastic"

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the lattice of shifts (n, d, *points), in voxels; no larger than can be inverted."""
        d, count = len(canvas.axes), self.points_per_axis
        if count < 4 or 2 * self.fixed >= count:
            raise ConfigError(
                f"elastic: needs 4 control points an axis or more, and some that are free; got "
                f"{count}, of which {self.fixed} at each border are fixed."
            )
        limits = [min(self.most, 0.4 * (size - 1) / (count - 3)) for size in canvas.axes]
        lattice = uniform(generator, (-1.0, 1.0), n, d, *[count] * d)
        lattice = lattice * torch.tensor(limits).reshape(1, d, *[1] * d)
        for axis in range(2, 2 + d):
            edge = torch.arange(count)
            inside = (edge >= self.fixed) & (edge < count - self.fixed)
            lattice = lattice * inside.reshape([-1 if own == axis else 1 for own in range(2 + d)])
        return {"lattice": lattice}

    def shifts(self, params: Params, x: Tensor) -> Tensor:
        """Return how far from its place each voxel is read, (n, d, *axes), in voxels."""
        field = params["lattice"].to(x.device)
        for size in x.shape[2:]:
            basis = bspline_basis(size, self.points_per_axis).to(x.device)
            field = torch.tensordot(field, basis, dims=([2], [1]))
        return field

    def points(self, params: Params, x: Tensor) -> Points:
        """Return where each voxel comes from."""
        places = lattice_of(x.shape[2:], x.device)
        return [
            own + place for own, place in zip(self.shifts(params, x).unbind(1), places, strict=True)
        ]

    def points_back(self, params: Params, x: Tensor) -> Points:
        """Return where each voxel went to, by iteration to the fixed point of u(v) = -s(v + u)."""
        shifts, places = self.shifts(params, x), lattice_of(x.shape[2:], x.device)
        back = -shifts
        for _ in range(ROUNDS):
            points = [own + place for own, place in zip(back.unbind(1), places, strict=True)]
            back = -sample_linear(shifts, points, "border")
        return [own + place for own, place in zip(back.unbind(1), places, strict=True)]


def lattice_of(axes: Sequence[int], device: torch.device) -> Points:
    """Return the coordinates of every voxel, one tensor (1, *axes) an axis."""
    steps = [torch.arange(size, dtype=torch.float32, device=device) for size in axes]
    return [place[None] for place in torch.meshgrid(*steps, indexing="ij")]


def bspline_basis(size: int, count: int) -> Tensor:
    """Return the weights (size, count) of control points at each voxel, cubic, uniform knots."""
    place = torch.linspace(0, count - 3, size) if size > 1 else torch.zeros(1)
    distance = (place[:, None] + 1 - torch.arange(count)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)


@dataclass(frozen=True)
class Flip(Transform):
    """Mirror each axis with probability `share`.

    Attributes
    ----------
    share
        Probability of each axis.
    axes
        Which axes may be mirrored, in array order; all if empty.

    Examples
    --------
    >>> x = torch.arange(3.0).reshape(1, 1, 1, 3)
    >>> Flip(1.0).change(x, None, {"axes": torch.tensor([[True, True]])})[0].tolist()
    [[[[2.0, 1.0, 0.0]]]]
    """

    share: float = 0.5
    axes: tuple[int, ...] = ()
    name: ClassVar[str] = "flip"
    invertible: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw which axes are mirrored, (n, d)."""
        d = len(canvas.axes)
        allowed = torch.tensor([not self.axes or axis in self.axes for axis in range(d)])
        flipped = coin(generator, self.share, n, d) & allowed
        return {"on": flipped.any(1), "axes": flipped}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Mirror image and labels."""
        ways = [[axis + 1 for axis in row.nonzero()[:, 0].tolist()] for row in params["axes"]]
        moved = torch.stack([own.flip(way) for own, way in zip(x, ways, strict=True)])
        if y is None:
            return moved, None
        ways = [[axis - 1 for axis in way] for way in ways]
        return moved, torch.stack([own.flip(way) for own, way in zip(y, ways, strict=True)])

    def revert(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Mirror again, which is exact."""
        return self.change(x, y, params)
