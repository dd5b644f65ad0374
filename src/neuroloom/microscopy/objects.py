"""Numbered objects as a net learns them: interior and rim, at one size in every image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.io.cases.truth import closed, is_two_tone, left_open_in
from neuroloom.microscopy.instances import (
    Labels,
    boundary_targets,
    depth,
    instances_from_probability,
    typical_depth,
)

BLUR = 0.05  # that images are smoothed by, in diameters of an object
ONE_PEAK = 0.1  # that what parts objects is smoothed by, likewise
SADDLE = 0.15  # how deep the saddle between two objects is, in depths of one
RIM = 0.08  # width of the rim that is learnt, in diameters of an object
SMALLEST = 0.1  # of the area of a typical object: less is a speck
MANY = 8  # more numbers in a label, each in one piece, are objects and not classes
WHOLE = 0.8  # share of the numbers of objects that are in one piece, at least
IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
OPEN = -1  # instead of a number, where a label is left open
LEFT_OUT = 3  # beside background, interior and rim, where it is


def image_diameter(image: ArrayLike, spacing: tuple[float, ...] | None = None) -> float:
    """Return the diameter of bright objects as an image itself tells it, pixels of the last axis.

    No label is asked, so new images and labelled ones are measured alike.

    Parameters
    ----------
    image
        (*axes).

    Examples
    --------
    >>> y, x = np.mgrid[:90, :90]
    >>> discs = 100.0 * (np.hypot(y - 30, x - 30) < 9) + 100.0 * (np.hypot(y - 60, x - 62) < 9)
    >>> 14 < image_diameter(discs + 5) < 24
    True
    """
    from neuroloom.microscopy.pipelines.objects import local_foreground
    from neuroloom.microscopy.pipelines.smooth import compress

    steps = spacing or (1.0,) * np.ndim(image)
    mask = local_foreground(compress(np.asarray(image, float)), spacing=steps)
    return 2 * typical_depth(depth(mask, steps))


def levelled(
    image: ArrayLike, sigma: float = 0.0, spacing: Sequence[float] = ()
) -> NDArray[np.float32]:
    """Return an image whose background is about 0 and whose objects are about 1.

    A logarithm gives dim objects as clear an edge as bright ones, and the noise of a dark
    background as much weight, which is smoothed. Then each channel is shifted and
    scaled by its medians outside and inside of what a local threshold of the first channel finds,
    so that it does not matter how much of an image is objects.

    Parameters
    ----------
    image
        (channel, *axes).
    sigma
        Of the Gaussian, pixels of the last axis.
    spacing
        Of the axes; none: all alike.

    Examples
    --------
    >>> y, x = np.mgrid[:90, :90]
    >>> discs = 100.0 * (np.hypot(y - 30, x - 30) < 9) + 200.0 * (np.hypot(y - 60, x - 62) < 9)
    >>> found = levelled((discs + 20)[None])
    >>> bool(abs(np.median(found)) < 0.05), bool(0.5 < found[0, 30, 30] < 1.5)
    (True, True)
    """
    from neuroloom.microscopy.pipelines.objects import local_foreground
    from neuroloom.microscopy.pipelines.smooth import compress, smooth

    channels = [
        smooth(compress(channel), sigma, spacing=spacing) for channel in np.asarray(image, float)
    ]
    inside = local_foreground(channels[0], spacing=spacing)
    if inside.all() or not inside.any():
        return np.stack([(c - c.mean()) / (c.std() or 1) for c in channels]).astype(np.float32)
    found = []
    for channel in channels:
        low, high = np.median(channel[~inside]), np.median(channel[inside])
        step = high - low if abs(high - low) > 1e-6 else channel.std() or 1.0
        found.append((channel - low) / step)
    return np.stack(found).astype(np.float32)


def label_diameter(numbers: ArrayLike) -> float:
    """Return the diameter of the circle (2-D) or ball of an object of median size, pixels.

    Examples
    --------
    >>> y, x = np.mgrid[:40, :40]
    >>> round(label_diameter(np.hypot(y - 20, x - 20) < 10))
    20
    """
    array = np.asarray(numbers).astype(np.int64)
    sizes = np.bincount(array.ravel())[1:]
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return float("nan")
    middle = float(np.median(sizes))
    return 2 * (middle / np.pi) ** 0.5 if array.ndim == 2 else (6 * middle / np.pi) ** (1 / 3)


def look_numbered(label: ArrayLike) -> bool | None:
    """Tell whether a label's values number objects: many, nearly each of them in one piece.

    Few values tell nothing: a sparse image of objects looks as one of classes does.

    Examples
    --------
    >>> look_numbered(np.kron(np.arange(12).reshape(3, 4), np.ones((3, 3), int)))
    True
    >>> look_numbered(np.tile(np.arange(12), 2))
    False
    >>> look_numbered([0, 1, 1, 0, 2]) is None
    True
    """
    many = np.count_nonzero(np.unique(label) > 0) > MANY
    return mostly(whole_numbers(label)) if many else None


def whole_numbers(label: ArrayLike) -> list[bool]:
    """Return for each number of a label, or for some forty of many, whether it is in one piece.

    Examples
    --------
    >>> whole_numbers([3, 0, 7, 7, 0, 3])
    [False, True]
    """
    from scipy.ndimage import label as pieces_of

    array = np.asarray(label)
    values = np.unique(array)
    values = values[values > 0]
    joined = np.ones((3,) * array.ndim)
    some = values[:: max(1, len(values) // 40)]
    return [bool(pieces_of(array == value, joined)[1] == 1) for value in some]


def mostly(whole: Sequence[bool]) -> bool:
    """Tell whether so many numbers are in one piece that they are of objects."""
    return bool(whole) and float(np.mean(whole)) >= WHOLE


def drawn_in(case: Any, ignore: int | None) -> dict[str, tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Return what each label file of a case holds, 0 where it is left open, and where it is.

    Parameters
    ----------
    case
        As `io.cases.Case`.
    ignore
        The value of what is left open.
    """
    found = {}
    for name, raw in case.masks().items():
        left_open = left_open_in(raw, ignore, of_one_class=isinstance(case.label, dict))
        found[name] = closed(raw, left_open), left_open
    return found


@dataclass(frozen=True, eq=False)
class Objects:
    """A case whose label numbers objects, as the net is to see it.

    Its image is `levelled`, as smooth for the size of its objects as any other, and its label has
    background 0, interior 1 and rim 2, and 3 where its file holds `ignore`.
    """

    whole: Any
    given: float | None = None
    blur: float = BLUR
    believed: tuple[float, ...] | None = None
    ignore: int | None = None

    @property
    def steps(self) -> tuple[float, ...]:
        """Size of a pixel along each axis: as is believed, else as the file says."""
        return self.believed or tuple(float(s) for s in self.whole.spacing)

    @cached_property
    def diameter(self) -> float:
        """Of an object, pixels of the last axis: as given, else what the image tells."""
        return self.given or image_diameter(self.whole.image()[0], self.steps)

    def image(self) -> np.ndarray:
        """Return the levelled image, (channel, *axes) float32."""
        return levelled(self.whole.image(), self.blur * self.diameter, self.steps)

    def numbers(self) -> Labels | None:
        """Return the objects numbered, (*axes); connected pieces of a mask count as objects.

        It is -1 where the label is left open.
        """
        if (drawn := self._drawn()) is None:
            return None
        label, left_open = drawn
        return np.where(left_open, np.int32(OPEN), self._numbered(label))

    def _numbered(self, label: NDArray[Any]) -> Labels:
        from scipy.ndimage import label as pieces_of

        if is_two_tone(label):
            inside = label > label.max(initial=0) / 2
            return pieces_of(inside, np.ones((3,) * label.ndim))[0].astype(np.int32)
        if label.dtype == np.uint8 and label.max() == 255 and not look_numbered(label):
            raise DataError(
                f"{self.whole.name}: the label holds greys up to 255 that lie in many pieces; "
                "expected a mask in black and white, or a number for each object."
            )
        return label.astype(np.int32)

    @property
    def are_pieces(self) -> bool:
        """Whether its label is a mask, whose connected pieces count as objects."""
        drawn = self._drawn()
        return drawn is not None and is_two_tone(drawn[0])

    def _drawn(self) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
        """Return what the label's file holds, 0 where it is left open, and where it is."""
        masks = drawn_in(self.whole, self.ignore)
        if len(masks) > 1:
            raise DataError(
                f"{self.whole.name}: objects are numbered in one file, these labels are "
                f"{len(masks)} files ({', '.join(masks)}); give one of them."
            )
        return next(iter(masks.values()), None)

    def truth(self) -> NDArray[np.int8] | None:
        """Return background, interior and rim, and 3 where the label is left open, (*axes)."""
        numbers = self.numbers()
        if numbers is None:
            return None
        left_open, numbers = numbers == OPEN, np.maximum(numbers, 0)
        diameter = label_diameter(numbers)
        width = 1 if not np.isfinite(diameter) else max(1, round(RIM * diameter))
        return np.where(left_open, np.int8(LEFT_OUT), boundary_targets(numbers, width))

    def __getattr__(self, name: str) -> Any:
        """Return what it has in common with its case: name, shape, spacing, files."""
        if name.startswith("__") or name in ("whole", "diameter"):
            raise AttributeError(name)
        return getattr(self.whole, name)


def numbered(p: ArrayLike, diameter: float | None = None, spacing: Sequence[float] = ()) -> Labels:
    """Return the objects that probabilities of background, interior and rim make.

    Parameters
    ----------
    p
        (3, *axes).
    diameter
        Of an object, pixels of the last axis; None: what the foreground tells.
    spacing
        Of the axes; none: all alike.
    """
    inner, rim = np.asarray(p)[1], np.asarray(p)[2]
    steps = tuple(spacing) or (1.0,) * inner.ndim
    far = depth(inner + rim > 0.5, steps)
    across = diameter or 2 * typical_depth(far)
    whole = np.pi / 4 * across**2 if inner.ndim == 2 else np.pi / 6 * across**3
    pixel = float(np.prod([step / steps[-1] for step in steps]))
    return instances_from_probability(
        inner, rim, h=SADDLE, smooth=max(0.5, ONE_PEAK * across), least=SMALLEST * whole / pixel,
        spacing=steps,
    )  # fmt: skip


def without_open(truth: ArrayLike, found: ArrayLike) -> tuple[Labels, Labels]:
    """Return both with 0 where the truth is left open.

    What is left of a found object that lies mostly there goes too, unless it meets a true one.

    Parameters
    ----------
    truth
        Numbers of objects, -1 where it is left open, (*axes).
    found
        Numbers of objects, (*axes).

    Examples
    --------
    >>> [one.tolist() for one in without_open([-1, -1, 0, 1, 1], [4, 4, 4, 2, 2])]
    [[0, 0, 0, 1, 1], [0, 0, 0, 2, 2]]
    """
    a, b = np.asarray(truth, np.int32), np.asarray(found, np.int32)
    left_open = a == OPEN
    if not left_open.any():
        return a, b
    size = int(b.max(initial=0)) + 1
    there, elsewhere, met = (
        np.bincount(b[where], minlength=size) for where in (left_open, ~left_open, a > 0)
    )
    kept = (elsewhere >= there) | (met > 0)
    return np.where(left_open, 0, a), np.where(left_open | ~kept[b], 0, b)


def counts_of_objects(truth: ArrayLike, found: ArrayLike) -> dict[str, int]:
    """Return how many objects there are, were found, and match at each overlap.

    Where the truth is -1, it is left open, and nothing counts.

    Examples
    --------
    >>> counts_of_objects([1, 1, 0, 2], [5, 5, 0, 0])["objects_matched@0.5"]
    1
    """
    from neuroloom.learn.dense.measures.instances import average_precision

    a, b = without_open(truth, found)
    n, m = len(np.unique(a[a > 0])), len(np.unique(b[b > 0]))
    at = average_precision(a, b, IOUS)
    matched = {f"objects_matched@{level:g}": round(n * at[level]["recall"]) if n else 0
               for level in IOUS}  # fmt: skip
    return {"objects_true": n, "objects_pred": m, **matched}
