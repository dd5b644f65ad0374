"""Changes of the grid itself: cropped or padded, or with voxels of another size.

`regrid` tells which voxel of the old grid, in voxels, a voxel of the new one is, so that whoever
writes an image knows where it lies in space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.augment.back import label_back
from neuroloom.learn.dense.augment.sample import (
    Points,
    affine_points,
    cut_patch,
    sample_linear,
    sample_nearest,
)
from neuroloom.learn.dense.augment.transform import Canvas, Params, Transform


@dataclass(frozen=True)
class Regrid(Transform):
    """Base of the changes of a grid; every example of a batch changes alike."""

    invertible: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    def axes(self, canvas: Canvas) -> tuple[int, ...]:
        """Return the shape of the new grid."""
        raise NotImplementedError

    def regrid(self, old: Sequence[int], new: Sequence[int]) -> Tensor:
        """Return the matrix (d + 1, d + 1) from voxels of the new grid to voxels of the old one."""
        raise NotImplementedError

    def after(self, canvas: Canvas) -> Canvas:
        """Return the canvas of the new grid."""
        new = self.axes(canvas)
        scale = self.regrid(canvas.axes, new).diagonal()[:-1].tolist()
        spacing = tuple(a * b for a, b in zip(canvas.spacing, scale, strict=True))
        return Canvas(canvas.channels, new, spacing)

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Return the old and the new shape, (n, d); nothing is random."""
        if self.p != 1:
            raise ConfigError(f"augment: '{self.name}' changes the grid of all examples, or none.")
        return {
            "old": torch.tensor(canvas.axes).expand(n, -1),
            "new": torch.tensor(self.axes(canvas)).expand(n, -1),
        }


@dataclass(frozen=True)
class CropPad(Regrid):
    """Crop or pad, with zeros, around the middle to a given size.

    Attributes
    ----------
    side
        Voxels along each axis.

    Examples
    --------
    >>> x = torch.arange(3.0).reshape(1, 1, 1, 3)
    >>> params = CropPad(2).draw(1, Canvas.of(x), torch.Generator())
    >>> CropPad(2).change(x, None, params)[0].tolist()
    [[[[0.0, 1.0], [0.0, 0.0]]]]
    """

    side: int = 64
    name: ClassVar[str] = "crop-pad"

    def axes(self, canvas: Canvas) -> tuple[int, ...]:
        """Return the shape of the new grid."""
        return (int(self.side),) * len(canvas.axes)

    def regrid(self, old: Sequence[int], new: Sequence[int]) -> Tensor:
        """Return a shift."""
        matrix = torch.eye(len(old) + 1, dtype=torch.float64)
        matrix[:-1, -1] = torch.tensor(_starts(old, new), dtype=torch.float64)
        return matrix

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Crop or pad."""
        return _recut(x, y, _starts(x.shape[2:], new := _shape(params, "new")), new)

    def revert(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Pad or crop; what was cropped comes back as zeros."""
        old = _shape(params, "old")
        return _recut(x, y, [-start for start in _starts(old, x.shape[2:])], old)


def _shape(params: Params, key: str) -> list[int]:
    return [int(size) for size in params[key][0].tolist()]


def _starts(old: Sequence[int], new: Sequence[int]) -> list[int]:
    # Rounded towards zero, so that padding and cropping by the same amount meet.
    return [int((a - b) / 2) for a, b in zip(old, new, strict=True)]


def _recut(
    x: Tensor, y: Tensor | None, starts: Sequence[int], axes: Sequence[int]
) -> tuple[Tensor, Tensor | None]:
    pairs = [cut_patch(own, None if y is None else y[i], starts, axes) for i, own in enumerate(x)]
    labels = [label for _, label in pairs if label is not None]
    return torch.stack([own for own, _ in pairs]), torch.stack(labels) if labels else None


@dataclass(frozen=True)
class Resample(Regrid):
    """Give all axes voxels of one size; images linearly, labels from the nearest voxel.

    Attributes
    ----------
    size
        Of a voxel, in the unit of the canvas' spacing.

    Examples
    --------
    >>> x = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> change = Resample(2.0)
    >>> params = change.draw(1, Canvas(1, (1, 4), (2.0, 1.0)), torch.Generator())
    >>> change.change(x, None, params)[0].tolist()
    [[[[0.5, 2.5]]]]
    """

    size: float = 1.0
    name: ClassVar[str] = "resample"

    def axes(self, canvas: Canvas) -> tuple[int, ...]:
        """Return the shape of the new grid, which covers the same space."""
        if not self.size > 0:
            raise ConfigError(f"augment: 'resample' needs a size above 0, got {self.size:g}.")
        pairs = zip(canvas.axes, canvas.spacing, strict=True)
        return tuple(max(1, round(count * size / self.size)) for count, size in pairs)

    def regrid(self, old: Sequence[int], new: Sequence[int]) -> Tensor:
        """Return a scaling that keeps the outer faces of the grid."""
        matrix = torch.eye(len(old) + 1, dtype=torch.float64)
        for axis, (a, b) in enumerate(zip(old, new, strict=True)):
            matrix[axis, axis] = a / b
            matrix[axis, -1] = (a / b - 1) / 2
        return matrix

    def _points(self, source: Sequence[int], target: Sequence[int], x: Tensor) -> Points:
        ratio = [a / b for a, b in zip(source, target, strict=True)]
        matrix = torch.diag(torch.tensor(ratio, device=x.device))[None]
        middle = torch.tensor([[(a - 1) / 2 for a in source]], device=x.device)
        return affine_points(matrix, middle, target)

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Read at the new voxels."""
        points = self._points(x.shape[2:], _shape(params, "new"), x)
        points = [p.expand(len(x), *p.shape[1:]) for p in points]
        labels = None if y is None else sample_nearest(y, points, "border")
        return sample_linear(x, points, "border"), labels

    def revert(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Read at the old voxels; labels go back to where they were read."""
        old = _shape(params, "old")
        points = [p.expand(len(x), *p.shape[1:]) for p in self._points(x.shape[2:], old, x)]
        image = sample_linear(x, points, "border")
        if y is None:
            return image, None
        return image, label_back(y, self._points(old, x.shape[2:], x), old)
