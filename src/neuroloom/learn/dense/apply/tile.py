"""Predict an image of any size tile by tile.

Tiles are worked off along the first axis, so only a slab as thick as one tile is held in float32
for all classes; what no later tile reaches is divided by its weights and leaves the slab. A large
result goes into a file, in float16, and a volume of any size fits in memory.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.heap import kept_memory

if TYPE_CHECKING:
    from torch import Tensor

Ints = tuple[int, ...]
Net = Callable[["Tensor"], Any]
Positions = Callable[[Sequence[int], Sequence[int], float], list[list[int]]]

FLOOR = 1e-3
LARGE_BYTES = 1e9
PRECISIONS = {"32": None, "bf16": "bfloat16", "16": "float16"}
WEIGHTS = ("gaussian", "constant")


def tile_starts(shape: Sequence[int], patch: Sequence[int], step: float = 0.5) -> list[list[int]]:
    """Return where tiles begin along every axis: spread evenly, at most `step` patches apart.

    Parameters
    ----------
    shape
        Of the image, at least as large as the patch.

    Examples
    --------
    >>> tile_starts((110, 64), (64, 64))
    [[0, 23, 46], [0]]
    """
    starts = []
    for n, size in zip(shape, patch, strict=True):
        count = int(np.ceil(max(n - size, 0) / max(size * step, 1))) + 1
        gap = (n - size) / max(count - 1, 1)
        starts.append([round(gap * i) for i in range(count)])
    return starts


def tile_weight(patch: Sequence[int], kind: str = "gaussian") -> Tensor:
    """Return the weight of every voxel of a tile (*patch), float32.

    "gaussian" has a standard deviation of an eighth of the patch and is at least `FLOOR`, so that
    corners that only one tile sees can be divided by it; "constant" is one.

    Examples
    --------
    >>> weight = tile_weight((4, 5))
    >>> tuple(weight.shape), round(float(weight[1, 2]), 4)
    ((4, 5), 0.6065)
    """
    import torch

    if kind not in WEIGHTS:
        raise ConfigError(f"weight is '{kind}', expected 'gaussian' or 'constant'.")
    weight = torch.ones(())
    if kind == "constant":
        return weight.expand(*patch).clone()
    for n in patch:
        places = torch.arange(n, dtype=torch.float32) - (n - 1) / 2
        weight = weight.unsqueeze(-1) * torch.exp(-0.5 * (places / (n / 8)) ** 2)
    return weight.clamp_min(max(FLOOR, float(weight.min())))


def predict_tiles(
    net: Net,
    x: Any,
    patch: Sequence[int],
    step: float = 0.5,
    weight: str = "gaussian",
    batch: int = 4,
    device: str | None = None,
    mirror_axes: Sequence[int] = (),
    precision: str = "32",
    *,
    finish: Callable[[Tensor], Tensor] | None = None,
    spill: Path | None = None,
    large_bytes: float = LARGE_BYTES,
    positions: Positions = tile_starts,
) -> Tensor:
    """Return the weighted mean of what the net says of all tiles: (class, *axes) float32.

    Parameters
    ----------
    net
        Takes (n, channel, *patch) on `device`, returns (n, class, *patch), or several outputs of
        which the first has this size (deep supervision).
    x
        (channel, *axes), an array or a tensor. An image smaller than the patch is padded with zeros
        on both sides, and the padding cut off again. With one axis more than the patch it is
        predicted slice by slice along the first.
    patch, step
        Size of a tile, and the largest distance of two in patches, 0 to 1.
    weight
        "gaussian" or "constant".
    batch
        Tiles, counted with their mirror images, in one call of the net.
    device
        Where the net is; None: where `x` is.
    mirror_axes
        Axes of the patch; the mean over the mirror images along every subset of them is taken.
    precision
        "32", "bf16" or "16": of the net under autocast. Sums are float32.
    finish
        Applied to every finished slab (class, n, …), as a softmax or an argmax that keeps the first
        axis; what it returns is collected.
    spill
        Folder for the file of a result of more than `large_bytes`, which is kept in float16 and
        deleted with the last reference; None: the system's folder for such files.
    positions
        The rule for where tiles begin.

    Raises
    ------
    ConfigError, DataError
        If a setting or a shape cannot be.

    Examples
    --------
    >>> import torch
    >>> image = torch.rand(1, 30, 21)
    >>> same = predict_tiles(lambda tiles: tiles, image, (16, 16))
    >>> bool(torch.allclose(same, image, atol=1e-6))
    True
    """
    import torch

    image, tile, lifted = _prepared(x, patch, step, precision)
    where = torch.device(device) if device is not None else image.device
    padded, inside = _padded(image, tile)
    mirrors = _mirrors([axis + lifted for axis in mirror_axes], len(tile))
    call = _Call(net, where, precision, mirrors, lifted)
    starts = positions(padded.shape[1:], tile, step)
    store = _Store(inside, finish, spill, large_bytes)
    with torch.no_grad():
        said = _predictions(call, padded, tile, starts, max(1, batch))
        if all(len(places) == 1 for places in starts):
            store.put(next(said)[1], None, 0)
            return store.result()
        sums = _Slab(padded.shape[1:], tile, starts, tile_weight(tile, weight).to(where), store)
        with kept_memory():
            for corner, scores in said:
                sums.add(corner, scores)
        sums.close()
    return store.result()


def _prepared(
    x: Any, patch: Sequence[int], step: float, precision: str
) -> tuple[Tensor, Ints, int]:
    import torch

    image = torch.as_tensor(x)
    if not 0 < step <= 1:
        raise ConfigError(f"step is {step}, expected more than 0 and at most 1 patch.")
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is '{precision}', expected {', '.join(PRECISIONS)}.")
    lifted = image.ndim - 1 - len(patch)
    if lifted not in (0, 1) or min(patch) < 1:
        raise DataError(
            f"The image has shape {tuple(image.shape)} and the patch {tuple(patch)}; expected "
            "(channel, *axes) with as many axes as the patch, or one more."
        )
    return image, (1,) * lifted + tuple(int(n) for n in patch), lifted


def _padded(image: Tensor, tile: Ints) -> tuple[Tensor, list[tuple[int, int]]]:
    """Return the image at least as large as a tile, and where the image itself is in it."""
    from torch.nn.functional import pad

    missing = [max(0, size - n) for size, n in zip(tile, image.shape[1:], strict=True)]
    inside = [(gap // 2, gap // 2 + n) for gap, n in zip(missing, image.shape[1:], strict=True)]
    if not any(missing):
        return image, inside
    edges = [edge for gap in reversed(missing) for edge in (gap // 2, gap - gap // 2)]
    return pad(image, edges), inside


def _mirrors(axes: Sequence[int], dims: int) -> list[Ints]:
    """Return every subset of the axes, as axes of (n, channel, *patch)."""
    for axis in axes:
        if not 0 <= axis < dims:
            raise ConfigError(f"mirror_axes holds {axis}, expected axes of the patch from 0 on.")
    subsets = (itertools.combinations(axes, r) for r in range(len(axes) + 1))
    return [tuple(axis + 2 for axis in subset) for subset in itertools.chain(*subsets)]


def _predictions(
    call: _Call, image: Tensor, tile: Ints, starts: list[list[int]], batch: int
) -> Iterator[tuple[Ints, Tensor]]:
    """Yield every tile's corner and what the net says of it (class, *patch), first axis slowest."""
    import torch

    corners = itertools.product(*starts)
    while group := list(itertools.islice(corners, max(1, batch // len(call.mirrors)))):
        tiles = [image[(None, slice(None), *_place(corner, tile))] for corner in group]
        yield from zip(group, call(torch.cat(tiles), batch), strict=True)


def _place(corner: Ints, tile: Ints) -> tuple[slice, ...]:
    return tuple(slice(start, start + n) for start, n in zip(corner, tile, strict=True))


class _Call:
    """The net with its device, precision, mirror images, and slices for volumes."""

    def __init__(
        self, net: Net, device: Any, precision: str, mirrors: list[Ints], lifted: int
    ) -> None:
        self.net, self.device, self.mirrors, self.lifted = net, device, mirrors, lifted
        self.kind = PRECISIONS[precision]

    def __call__(self, tiles: Tensor, batch: int) -> Tensor:
        """Return the mean over the mirror images of (n, channel, *patch), float32."""
        import torch

        tiles = tiles.to(self.device, torch.float32)
        if len(self.mirrors) == 1:
            return self._net(tiles)
        forms = torch.cat([tiles.flip(axes) if axes else tiles for axes in self.mirrors])
        said = torch.cat([self._net(part) for part in forms.split(max(1, batch))])
        parts = said.split(len(tiles))
        total = parts[0].clone()
        for axes, part in zip(self.mirrors[1:], parts[1:], strict=True):
            total += part.flip(axes)
        return total / len(self.mirrors)

    def _net(self, tiles: Tensor) -> Tensor:
        import torch

        kind = getattr(torch, self.kind) if self.kind else None
        with torch.autocast(self.device.type, dtype=kind, enabled=kind is not None):
            said = self.net(tiles.squeeze(2) if self.lifted else tiles)
        said = said[0] if isinstance(said, list | tuple) else said
        said = said.float()
        said = said.unsqueeze(2) if self.lifted else said
        if said.shape[2:] != tiles.shape[2:]:
            raise DataError(
                f"The net returned {tuple(said.shape)} for tiles {tuple(tiles.shape)}; "
                "expected the same size along every axis."
            )
        return said


class _Slab:
    """Weighted sums of the tiles that still overlap: a ring along the first axis, a tile long."""

    def __init__(
        self,
        shape: Sequence[int],
        tile: Ints,
        starts: list[list[int]],
        weight: Tensor,
        store: _Store,
    ) -> None:
        self.tile, self.length, self.weight, self.store = tile, shape[0], weight, store
        self.row = weight.new_zeros((tile[0], *shape[1:]))
        for corner in itertools.product([0], *starts[1:]):
            self.row[_place(corner, tile)] += weight
        self.seen = self.row.clone()
        self.sums: Tensor | None = None
        self.start = 0

    def add(self, corner: Ints, said: Tensor) -> None:
        """Add what the net says of one tile (class, *patch)."""
        if self.sums is None:
            self.sums = said.new_zeros((len(said), *self.seen.shape))
        if corner[0] != self.start:
            self._move(corner[0])
        across = _place(corner[1:], self.tile[1:])
        for ring, part in self._ring(corner[0], corner[0] + self.tile[0]):
            self.sums[(slice(None), ring, *across)].addcmul_(said[:, part], self.weight[part])

    def _ring(self, start: int, stop: int) -> Iterator[tuple[slice, slice]]:
        """Yield where start to stop stand in the ring, and in an array that begins at start."""
        size, at = self.tile[0], start
        while at < stop:
            ring = at % size
            n = min(size - ring, stop - at)
            yield slice(ring, ring + n), slice(at - start, at - start + n)
            at += n

    def _move(self, start: int) -> None:
        """Hand out what lies before `start`, and begin a row of tiles there."""
        self._give(start)
        for ring, part in self._ring(start, start + self.tile[0]):
            self.seen[ring] += self.row[part]

    def _give(self, stop: int) -> None:
        assert self.sums is not None
        for ring, part in self._ring(self.start, stop):
            self.store.put(self.sums[:, ring], self.seen[ring], self.start + part.start)
            self.sums[:, ring] = 0
            self.seen[ring] = 0
        self.start = stop

    def close(self) -> None:
        """Hand out the rest."""
        self._give(self.length)


class _Store:
    """The result without padding: in memory, or in a file if it is large."""

    def __init__(
        self,
        inside: list[tuple[int, int]],
        finish: Callable[[Tensor], Tensor] | None,
        spill: Path | None,
        large: float,
    ) -> None:
        self.inside, self.finish, self.spill, self.large = inside, finish, spill, large
        self.array: Tensor | None = None

    def put(self, sums: Tensor, seen: Tensor | None, start: int) -> None:
        """Take (class, n, …), to be divided by (n, …), from `start` on in the padded image."""
        import torch

        (first, last), *others = self.inside
        begin, end = max(start, first), min(start + sums.shape[1], last)
        if begin >= end:
            return
        cut = (slice(begin - start, end - start), *(slice(*edge) for edge in others))
        part = sums[(slice(None), *cut)]
        if seen is not None and self.finish is None and self.array is not None:
            room = self.array[:, begin - first : end - first]
            if room.device == part.device:
                torch.div(part, seen[cut], out=room)
                return
        part = part if seen is None else part / seen[cut]
        part = part if self.finish is None else self.finish(part)
        if self.array is None:
            self.array = self._made(part)
        self.array[:, begin - first : end - first] = part

    def _made(self, part: Tensor) -> Tensor:
        import torch

        shape = (len(part), *(stop - start for start, stop in self.inside))
        size = part.element_size() * float(np.prod(shape, dtype=float))
        if size <= self.large or not part.is_floating_point():
            return torch.empty(shape, dtype=part.dtype, device=part.device)
        with tempfile.TemporaryFile(dir=self.spill, prefix="neuroloom-tiles-") as file:
            return torch.from_numpy(np.memmap(file, np.float16, "w+", shape=shape))

    def result(self) -> Tensor:
        """Return the result."""
        assert self.array is not None
        return self.array
