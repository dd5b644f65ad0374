"""Values of an image at points between its voxels, and patches cut turned and scaled from a case.

A point is given by one tensor per axis, in voxels: 0 is the centre of the first voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Outside = Literal["zeros", "border"]
Points = list[Tensor]


def affine_points(matrix: Tensor, origin: Tensor, axes: Sequence[int]) -> Points:
    """Return where each voxel of a patch comes from: origin + matrix (voxel - middle of the patch).

    Parameters
    ----------
    matrix, origin
        (n, d, d) and (n, d), in voxels of the source.
    axes
        Shape of the patch.

    Returns
    -------
    d tensors (n, *axes).
    """
    d = len(axes)
    steps = [
        (torch.arange(size, device=matrix.device, dtype=matrix.dtype) - (size - 1) / 2).reshape(
            [1] + [-1 if own == axis else 1 for own in range(d)]
        )
        for axis, size in enumerate(axes)
    ]
    points = []
    for row in range(d):
        part = origin[:, row].reshape([-1] + [1] * d)
        # The last axis comes last: only then is the sum as large as the patch.
        for axis in range(d):
            part = part + matrix[:, row, axis].reshape([-1] + [1] * d) * steps[axis]
        points.append(part)
    return points


def sample_linear(x: Tensor, points: Points, outside: Outside = "zeros") -> Tensor:
    """Return images (n, channel, *axes) at points (n, *out), interpolated linearly.

    On a CPU, torch reads flat images some ten times as fast as volumes. So a volume is laid out as
    one tall image of its slices, read at the slice below and the one above, and blended.

    Parameters
    ----------
    x
        float32, two or three axes.
    points
        One tensor an axis.
    outside
        "zeros", or "border": the nearest voxel at the edge.

    Examples
    --------
    >>> x = torch.tensor([[[[0.0, 10.0], [20.0, 30.0]]]])
    >>> sample_linear(x, [torch.tensor([[[0.5]]]), torch.tensor([[[0.5]]])]).item()
    15.0
    """
    if len(points) == 2:
        grid = torch.stack([_unit(points[1], x.shape[3]), _unit(points[0], x.shape[2])], -1)
        return F.grid_sample(x, grid, padding_mode=outside, align_corners=False)
    if x.device.type != "cpu":
        sizes = x.shape[2:]
        unit = [_unit(points[axis], sizes[axis]) for axis in (2, 1, 0)]
        return F.grid_sample(x, torch.stack(unit, -1), padding_mode=outside, align_corners=False)
    return _sample_slices(x, points, outside)[0]


def _unit(point: Tensor, size: int) -> Tensor:
    """Turn voxels into the scale of grid_sample, whose ends are the outer faces of the image."""
    return (2 * point + 1) / size - 1


def sample_pair(
    x: Tensor, y: Tensor | None, points: Points, outside: Outside = "zeros"
) -> tuple[Tensor, Tensor | None]:
    """Return images read linearly and labels from the nearest voxel, at the same points."""
    if y is None:
        return sample_linear(x, points, outside), None
    if len(points) == 3 and x.device.type == "cpu" and x.shape[2:] == y.shape[1:]:
        return _sample_slices(x, points, outside, y)
    return sample_linear(x, points, outside), sample_nearest(y, points, outside)


def _sample_slices(
    x: Tensor, points: Points, outside: Outside, y: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    z, row, column = points
    n, channels, depth, height, width = x.shape
    rim = 1 if outside == "zeros" else 0
    if rim:
        # One empty row and slice on each side: what lies beyond fades to zero, not to a neighbour.
        x = F.pad(x, (0, 0, 1, 1, 1, 1))
    z, row = z.clamp(-rim, depth - 1 + rim), row.clamp(-rim, height - 1 + rim)
    depth, height = depth + 2 * rim, height + 2 * rim
    below = z.floor()
    part = z.sub_(below)
    # Coordinates lie one axis after the other: torch reads them so without taking them apart.
    grid, rows = z.new_empty((2, *z.shape)), depth * height
    torch.add(_constant(z, 1 / width - 1), column, alpha=2 / width, out=grid[0])
    row.add_(below, alpha=height)
    first = (1 + 2 * rim * (height + 1)) / rows - 1
    torch.add(_constant(z, first), row, alpha=2 / rows, out=grid[1])
    shape = (n, z.shape[1], -1)
    flat = grid.reshape(2, *shape).permute(1, 2, 3, 0)

    def read(image: Tensor, mode: str = "bilinear") -> Tensor:
        tall = image.reshape(n, -1, rows, width)
        return F.grid_sample(tall, flat, mode, padding_mode=outside, align_corners=False)

    out = read(x)
    if part.amax() > 0:
        grid[1] += 2 / depth
        out = out.lerp_(read(x), part.reshape(n, 1, *shape[1:]))
        # The nearest slice is the one above, where we are, or the one below.
        grid[1].sub_(part.lt_(0.5), alpha=2 / depth)
    out = out.reshape(n, channels, *z.shape[1:])
    if y is None:
        return out, None
    labels = F.pad(y, (0, 0, rim, rim, rim, rim)).to(x.dtype)
    return out, read(labels, "nearest").reshape(n, *z.shape[1:]).to(y.dtype)


def _constant(like: Tensor, value: float) -> Tensor:
    return like.new_full((), value)


def sample_nearest(y: Tensor, points: Points, outside: Outside = "zeros") -> Tensor:
    """Return labels (n, *axes), of any type, at the voxel nearest to each point (n, *out).

    No value comes out that did not go in, but 0 outside the image under "zeros".

    Examples
    --------
    >>> y = torch.tensor([[[0, 7], [1, 2]]])
    >>> sample_nearest(y, [torch.tensor([[[0.4]]]), torch.tensor([[[0.6]]])]).item()
    7
    """
    rim = 1 if outside == "zeros" else 0
    # A rim of zeros answers for everything beyond, so that no mask has to be kept.
    padded = F.pad(y, (rim, rim) * len(points)) if rim else y
    axes = padded.shape[1:]
    # float32 counts to 2^24 exactly; larger patches are indexed in double.
    wide = padded[0].numel() >= 2**24
    index: Tensor | None = None
    for point, size in zip(points, axes, strict=True):
        own = point.round().clamp_(-rim, size - 1 - rim)
        own = own.double() if wide else own
        index = own if index is None else index.mul_(size).add_(own)
    assert index is not None
    if rim:
        index.add_(sum(axes[i + 1 :].numel() for i in range(len(axes))))
    # Plain int32 indices are read twice as fast as others.
    flat = index.to(torch.int64 if padded[0].numel() >= 2**31 else torch.int32).flatten(1)
    taken = [own.reshape(-1).index_select(0, at) for own, at in zip(padded, flat, strict=True)]
    return torch.stack(taken).reshape(index.shape)


def cut_patch(
    x: Tensor, y: Tensor | None, start: Sequence[int], patch: Sequence[int],
    outside: Outside = "zeros",
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Cut a patch that begins at `start` out of a case; it may reach over the edges.

    Parameters
    ----------
    x, y
        Image (channel, *axes) and labels (*axes), or None.
    start, patch
        First voxel, may be negative, and shape.

    Examples
    --------
    >>> x, y = cut_patch(torch.ones(1, 2, 2), torch.ones(2, 2).int(), (-1, 0), (3, 2))
    >>> x[0, :, 0].tolist(), y[:, 0].tolist()
    ([0.0, 1.0, 1.0], [0, 1, 1])
    """
    sizes = x.shape[1:]
    ends = [a + p for a, p in zip(start, patch, strict=True)]
    inner = tuple(
        slice(min(max(a, 0), n), max(min(e, n), 0))
        for a, e, n in zip(start, ends, sizes, strict=True)
    )
    if outside == "border":
        places = [
            torch.arange(a, e, device=x.device).clamp(0, n - 1)
            for a, e, n in zip(start, ends, sizes, strict=True)
        ]
        mesh = torch.meshgrid(*places, indexing="ij")
        return x[(slice(None), *mesh)].float(), None if y is None else y[mesh]
    before = [s.start - a if s.stop > s.start else 0 for s, a in zip(inner, start, strict=True)]
    sides = [
        side
        for b, s, p in zip(before[::-1], inner[::-1], list(patch)[::-1], strict=True)
        for side in (b, p - b - max(s.stop - s.start, 0))
    ]
    part = F.pad(x[(slice(None), *inner)].float(), sides)
    return part, None if y is None else F.pad(y[inner], sides)


def sample_and_warp(
    x: Tensor, y: Tensor | None, start: Sequence[int], patch: Sequence[int],
    matrix: Tensor | None = None, shift: Tensor | None = None, outside: Outside = "zeros",
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Take a patch straight from the whole case, turned and scaled, with one interpolation.

    The patch that `cut_patch` would return is turned and scaled around its own middle; what turns
    into view comes from the case, not from a border. Only the part of the case that the patch
    reaches is read, so the case may be of any type and may lie in a mapped file.

    Parameters
    ----------
    x, y
        Image (channel, *axes), any number type, and labels (*axes), or None.
    start, patch
        First voxel of the untouched patch, and its shape.
    matrix, shift
        (d, d) and (d,): a voxel v of the patch, counted from its middle, shows the case at
        middle + shift + matrix v. None cuts without interpolation.
    outside
        What lies beyond the case: "zeros" or "border". Labels there are 0, or the border's.

    Returns
    -------
    (channel, *patch) float32 and (*patch) of y's type.

    Examples
    --------
    >>> x = torch.arange(25.0).reshape(1, 5, 5)
    >>> turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    >>> sample_and_warp(x, None, (1, 1), (3, 3), turn)[0][0].tolist()
    [[8.0, 13.0, 18.0], [7.0, 12.0, 17.0], [6.0, 11.0, 16.0]]
    """
    if matrix is None and shift is None:
        return cut_patch(x, y, start, patch, outside)
    d = len(patch)
    middle = torch.tensor([a + (p - 1) / 2 for a, p in zip(start, patch, strict=True)])
    origin = middle if shift is None else middle + shift.cpu()
    turn = torch.eye(d) if matrix is None else matrix.cpu().float()
    box = _reach(turn, origin, patch, x.shape[1:])
    if box is None and outside == "zeros":
        empty = None if y is None else y.new_zeros(tuple(patch))
        return torch.zeros((len(x), *patch), device=x.device), empty
    if box is None:
        box = tuple(slice(0, n) for n in x.shape[1:])
    origin = origin - torch.tensor([float(s.start) for s in box])
    points = affine_points(turn[None].to(x.device), origin[None].to(x.device), patch)
    part = x[(slice(None), *box)][None].float()
    moved, labels = sample_pair(part, None if y is None else y[box][None], points, outside)
    return moved[0], None if labels is None else labels[0]


def _reach(
    matrix: Tensor, origin: Tensor, patch: Sequence[int], sizes: Sequence[int]
) -> tuple[slice, ...] | None:
    """Return the part of a case that a turned patch reaches into; None if it misses the case."""
    corners = torch.tensor(list(product(*[(-(p - 1) / 2, (p - 1) / 2) for p in patch])))
    found = origin + corners @ matrix.T
    low = (found.amin(0).floor() - 1).long().tolist()
    high = (found.amax(0).ceil() + 2).long().tolist()
    box = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, sizes, strict=True))
    return box if all(s.stop > s.start for s in box) else None
