"""Preprocessed cases where training can reach them, and the places that patches are cut from."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor

from neuroloom.core.errors import DataError
from neuroloom.core.heap import memory
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.planning.resample import Preprocessed
from neuroloom.learn.dense.training.twostage import packed
from neuroloom.learn.dense.training.usual import codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLACES = 2_000  # voxels that are remembered of each class of a case
MEMORY_BYTES = 6 * 1024**3


@dataclass(frozen=True)
class Spot:
    """Where a patch is cut: the case (or one of its slices), its labels, and the first voxel."""

    image: Tensor
    label: Tensor
    start: tuple[int, ...]


class Bank:
    """Cases as tensors, with places of every class, from which batches of patches are cut.

    Where labels may be left open, every patch lies around a voxel that is known, as in nnU-Net.

    Parameters
    ----------
    cases
        Preprocessed, with labels; taken one by one.
    plan
        Patch, axes and the share of patches that must hold foreground.
    jitter
        Voxels by which a patch may reach beyond an image that it covers.
    device
        Where the tensors lie: of a GPU in a quarter of its free memory, the rest beside it.
    folder
        Where cases are kept on disk and mapped, once they need more than `limit` bytes; None: in
        one of its own among the system's temporary ones.
    limit
        None: six gigabytes, or a quarter of the memory there is.
    before
        What a coarse stage says of each case (`twostage`); it travels with the label.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> from neuroloom.learn.dense.planning.resample import preprocess
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (16, 16), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> image, label = np.ones((1, 20, 24), "f4"), np.eye(20, 24, dtype=int)
    >>> bank = Bank([preprocess(image, label, (1, 1), plan)], plan)
    >>> spot = bank.spot(0, True, torch.Generator().manual_seed(0))
    >>> spot.image.shape, int(spot.label.max())
    (torch.Size([1, 20, 24]), 1)
    """

    def __init__(
        self,
        cases: Iterable[Preprocessed],
        plan: DensePlan,
        jitter: int = 0,
        device: Any = "cpu",
        folder: Path | None = None,
        limit: float | None = None,
        before: Iterable[NDArray[Any]] | None = None,
    ) -> None:
        self.plan, self.jitter, self.device, self.folder = plan, jitter, device, folder
        limit = min(MEMORY_BYTES, memory() / 4) if limit is None else limit
        self.slab, self.sides = 1, 1  # neighbouring slices a slice is seen with; axes cut across
        self.images: list[Tensor] = []
        self.labels: list[Tensor] = []
        self.places: list[list[NDArray[np.int32]]] = []
        self.known: list[list[NDArray[np.int32]]] = []  # of cases that may be left open
        self.bytes, room = 0, _room(device)
        rng = np.random.default_rng(0)
        said = None if before is None else iter(before)
        for case in cases:
            assert case.label is not None
            label = numbered(case.label, plan)
            self.places.append(find_places(label, rng))
            self.known.append([] if plan.ignore is None else some_of(label >= 0, rng))
            if said is not None:
                label = packed(label, next(said), plan)
            image = case.x
            self.bytes += image.nbytes + label.nbytes
            if self.bytes > limit:
                self.images.append(self._on_disk("image", image))
                self.labels.append(self._on_disk("label", label))
                continue
            here = device if self.bytes <= room else "cpu"
            self.images.append(torch.from_numpy(image).to(here))
            self.labels.append(torch.from_numpy(label).to(here))

    def __len__(self) -> int:
        return len(self.images)

    def close(self) -> None:
        """Forget the cases and remove their files."""
        self.images.clear()
        self.labels.clear()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _on_disk(self, what: str, array: NDArray[Any]) -> Tensor:
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="neuroloom-cases-"))
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        return torch.from_numpy(_mapped(self.folder / f"{len(self.places):05d}-{what}.npy", array))

    def spot(
        self,
        case: int,
        foreground: bool,
        generator: Generator,
        patch: Sequence[int] | None = None,
    ) -> Spot:
        """Return a random place of a case; one that holds foreground, if that is asked for.

        Around a known voxel, where labels may be left open.

        Parameters
        ----------
        generator
            On the CPU.
        patch
            Voxels that the patch covers; None: those of the plan.
        """
        image, label = self.images[case], self.labels[case]
        known = (self.places[case] if foreground else []) or self.known[case]
        middle = _pick(known, generator) if known else None
        if image.ndim - 1 > self.plan.dims:
            axis = _draw(0, self.sides - 1, generator) if self.sides > 1 else 0
            image, label = image.movedim(axis + 1, 1), label.movedim(axis, 0)
            slices = image.shape[1]
            at = int(middle[axis]) if middle is not None else _draw(0, slices - 1, generator)
            image, label = slab_of(image, at, self.slab), label[at]
            middle = None if middle is None else np.delete(middle, axis)
        start = tuple(
            self._start(n, p, None if middle is None else int(middle[axis]), generator)
            for axis, (n, p) in enumerate(zip(label.shape, patch or self.plan.patch, strict=True))
        )
        return Spot(image, label, start)

    def _start(self, size: int, patch: int, middle: int | None, generator: Generator) -> int:
        """Draw the first voxel along one axis; a small image lies anywhere within its patch."""
        missing = max(0, patch - size)
        low, high = -(missing // 2) - self.jitter, size + missing - missing // 2 - patch
        high += self.jitter
        if middle is None:
            return _draw(low, max(low, high), generator)
        # The voxel is inside the patch, not always in its very middle: borders are learnt as well.
        reach = patch // 4
        return min(max(middle - patch // 2 + _draw(-reach, reach, generator), low), high)


def _room(device: Any) -> float:
    """Return how many bytes of cases a device takes beside the net that learns there."""
    if torch.device(device).type != "cuda":
        return float("inf")
    return torch.cuda.mem_get_info(device)[0] / 4


def slab_of(image: Tensor, at: int, slab: int) -> Tensor:
    """Return a slice of (channel, z, y, x) with its neighbours as channels, the lowest first.

    As `views.slabs` has it: beyond the first and the last slice these repeat.

    Examples
    --------
    >>> slab_of(torch.arange(3.0).reshape(1, 3, 1, 1), 0, 3).flatten().tolist()
    [0.0, 0.0, 1.0]
    """
    if slab == 1:
        return image[:, at]
    half = slab // 2
    near = torch.arange(at - half, at + half + 1).clamp(0, image.shape[1] - 1)
    return image[:, near].transpose(0, 1).flatten(0, 1)


def find_places(label: NDArray[Any], rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """Return up to `PLACES` voxels (n, axis) of every class that a case has, the background out.

    Examples
    --------
    >>> [len(own) for own in find_places(np.array([[0, 1], [2, 2]]), np.random.default_rng(0))]
    [1, 2]
    """
    values = range(1, int(label.max(initial=0)) + 1)
    return [voxels for value in values for voxels in some_of(label == value, rng)]


def some_of(mask: NDArray[Any], rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """Return up to `PLACES` voxels (n, axis) of a mask, in a list; of an empty one nothing.

    Examples
    --------
    >>> some_of(np.array([[False, True]]), np.random.default_rng(0))[0].tolist()
    [[0, 1]]
    """
    flat = np.flatnonzero(mask)
    if flat.size > PLACES:
        flat = rng.choice(flat, PLACES, replace=False)
    if not flat.size:
        return []
    return [np.stack(np.unravel_index(flat, mask.shape), 1).astype(np.int32)]


def numbered(label: NDArray[Any], plan: DensePlan) -> NDArray[Any]:
    """Return labels as the places of the net's classes; -1 is not learnt from.

    Raises
    ------
    DataError
        If a value is no class of the plan.
    """
    number = codes(plan)
    kind = np.int8 if len(number) < 128 else np.int16
    if number == {k: k for k in range(len(number))} and label.max(initial=0) < len(number):
        return np.ascontiguousarray(label, kind)
    out = np.full(label.shape, -2, kind)
    for value, place in number.items():
        out[label == value] = place
    if (odd := out == -2).any():
        raise DataError(
            f"A label holds the value {label[odd][0]}, expected {', '.join(map(str, number))}."
        )
    return out


def _pick(known: Sequence[NDArray[np.int32]], generator: Generator) -> NDArray[np.int32]:
    """Draw a class, then one of its voxels: small classes are seen as often as large ones."""
    own = known[_draw(0, len(known) - 1, generator)]
    return own[_draw(0, len(own) - 1, generator)]


def _draw(low: int, high: int, generator: Generator) -> int:
    return int(torch.randint(low, high + 1, (1,), generator=generator).item())


def _mapped(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    """Write an array and map it: the system keeps in memory what is used, and no more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    # Copy on write: torch asks for memory that it may write to, and never does.
    return np.load(path, mmap_mode="c")
