"""What a set of images is like: spacings, sizes and the intensities of what is labelled.

The fingerprint is all that planning looks at (Isensee et al. 2021, nnU-Net). It is a mergeable:
cases may be measured on several workers or in several hospitals, and the sampled intensities are
kept, so that medians and percentiles of merged parts equal those of the pooled data exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.core.mergeable import State

SAMPLE = 20_000
SEED = 1234
Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CaseFacts:
    """What one case adds to the fingerprint.

    Parameters
    ----------
    spacing
        Distance of neighbouring voxels along every axis.
    shape, cropped
        Size along every axis, before and after cropping to what is not zero.
    values
        Sampled foreground intensities (channel, n).
    labels
        Voxels of every label value.
    """

    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    cropped: tuple[int, ...]
    values: NDArray[np.float32]
    labels: Mapping[int, int] = field(default_factory=dict)


def nonzero_box(image: ArrayLike) -> Box:
    """Return (start, stop) along every axis of what is non-zero in any channel of (channel, *axes).

    An image of zeros keeps its size. Filling holes first, as nnU-Net does, would not move the box.

    Examples
    --------
    >>> nonzero_box([[[0, 0, 0], [0, 3, 1]]])
    ((1, 2), (1, 3))
    """
    array = present(np.asarray(image))
    used = (array != 0).any(0)
    if not used.any():
        return tuple((0, n) for n in used.shape)
    axes = range(used.ndim)
    lines = [used.any(tuple(a for a in axes if a != axis)) for axis in axes]
    return tuple((int(line.argmax()), int(line.size - line[::-1].argmax())) for line in lines)


def present(image: NDArray[Any]) -> NDArray[Any]:
    """Return the channels that are there; one that a case lacks is NaN from end to end.

    Examples
    --------
    >>> present(np.array([[1.0, 2.0], [np.nan, np.nan]])).tolist()
    [[1.0, 2.0]]
    """
    gone = [bool(np.isnan(channel.flat[0])) and bool(np.isnan(channel).all()) for channel in image]
    return image[~np.array(gone)] if any(gone) and not all(gone) else image


def measure_case(
    image: ArrayLike,
    label: ArrayLike | None,
    spacing: Sequence[float],
    sample: int = SAMPLE,
    seed: int = SEED,
) -> CaseFacts:
    """Measure one case: its size after cropping, its labels, intensities of its foreground.

    Parameters
    ----------
    image
        (channel, *axes).
    label
        Integers (*axes), or None: all that is not zero is then foreground.
    spacing
        Distance of neighbouring voxels along every axis.
    sample
        At most so many foreground voxels are kept, drawn without replacement.

    Raises
    ------
    DataError
        If grids differ, or an intensity is NaN or infinite.

    Examples
    --------
    >>> facts = measure_case([[[0.0, 5.0], [0.0, 7.0]]], [[0, 0], [0, 1]], (1, 1))
    >>> facts.cropped, facts.values.tolist(), facts.labels
    ((2, 1), [[7.0]], {0: 3, 1: 1})
    """
    array = np.asarray(image, dtype=np.float32)
    _check(array, label, spacing)
    box = nonzero_box(array)
    chosen = (present(array) != 0).any(0) if label is None else np.asarray(label) > 0
    places = np.flatnonzero(chosen)
    if places.size > sample:
        places = np.random.default_rng(seed).choice(places, sample, replace=False)
    return CaseFacts(
        spacing=tuple(float(s) for s in spacing),
        shape=tuple(array.shape[1:]),
        cropped=tuple(stop - start for start, stop in box),
        values=array.reshape(len(array), -1)[:, places],
        labels={} if label is None else _count(np.asarray(label)),
    )


def _count(label: NDArray[Any]) -> dict[int, int]:
    values, counts = np.unique(label, return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}


def _check(image: NDArray[Any], label: ArrayLike | None, spacing: Sequence[float]) -> None:
    if image.ndim not in (3, 4) or len(spacing) != image.ndim - 1:
        raise DataError(
            f"The image has shape {image.shape} and {len(spacing)} spacings; expected "
            "(channel, y, x) with two or (channel, z, y, x) with three."
        )
    if min(spacing) <= 0:
        raise DataError(f"The spacing {tuple(spacing)} must be larger than zero along every axis.")
    if label is not None and np.shape(label) != image.shape[1:]:
        raise DataError(f"The label has shape {np.shape(label)}, its image {image.shape[1:]}.")
    if not np.isfinite(present(image)).all():
        channel, *where = map(int, np.argwhere(~np.isfinite(image))[0])
        raise DataError(
            f"Channel {channel} is NaN or infinite at {tuple(where)}; "
            "mend the image or leave the case out."
        )


class Fingerprint:
    """Mergeable facts of many cases.

    Parameters
    ----------
    channels
        The names of the channels; "CT" and the names of `resample.SCHEMES` choose a normalisation.

    Examples
    --------
    >>> a, b = Fingerprint(["MRI"]), Fingerprint(["MRI"])
    >>> a.update(measure_case([[[1.0, 2.0]]], [[1, 1]], (1, 1)))
    >>> b.update(measure_case([[[3.0, 9.0]]], [[1, 0]], (2, 1)))
    >>> both = a.merge(b).finalize()
    >>> both["n"], both["intensity"][0]["median"], both["spacings"].tolist()
    (2, 2.0, [[1.0, 1.0], [2.0, 1.0]])
    """

    def __init__(self, channels: Sequence[str] = ("image",)) -> None:
        self.channels = tuple(str(name) for name in channels)
        self.cases: list[CaseFacts] = []

    def __len__(self) -> int:
        return len(self.cases)

    def update(self, facts: CaseFacts) -> None:
        """Add one case.

        Raises
        ------
        DataError
            If it has other channels or another number of axes than the cases before it.
        """
        if len(facts.values) != len(self.channels):
            raise DataError(
                f"The case has {len(facts.values)} channels, expected {len(self.channels)}: "
                f"{', '.join(self.channels)}."
            )
        self._same_axes([facts])
        self.cases = [*self.cases, facts]

    def merge(self, other: Fingerprint) -> Fingerprint:
        """Return the fingerprint of both parts."""
        if other.channels != self.channels:
            raise DataError(f"The channels are {other.channels}, expected {self.channels}.")
        self._same_axes(other.cases)
        both = Fingerprint(self.channels)
        both.cases = [*self.cases, *other.cases]
        return both

    def _same_axes(self, cases: Sequence[CaseFacts]) -> None:
        axes = sorted({len(case.spacing) for case in (*self.cases[:1], *cases)})
        if len(axes) > 1:
            raise DataError(
                f"Some cases have {axes[0]} axes and some {axes[1]}: "
                "images and volumes do not mix; give them in two studies."
            )

    def finalize(self) -> dict[str, Any]:
        """Return n, spacings, shapes, relative size after cropping, labels and intensities.

        `intensity` has mean, median, std, min, max, p0.5 and p99.5 of each channel.
        """
        shares = [np.prod(case.cropped) / np.prod(case.shape) for case in self.cases]
        counts: Counter[int] = Counter()
        for case in self.cases:
            counts.update(case.labels)
        return {
            "n": len(self),
            "channels": self.channels,
            "spacings": np.array([case.spacing for case in self.cases]),
            "shapes": np.array([case.shape for case in self.cases]),
            "shapes_after_crop": np.array([case.cropped for case in self.cases]),
            "relative_size": float(np.median(shares)) if shares else float("nan"),
            "labels": dict(sorted(counts.items())),
            "intensity": [_statistics(self._values(i)) for i in range(len(self.channels))],
        }

    def _values(self, channel: int) -> NDArray[np.float32]:
        parts = [own for own in (case.values[channel] for case in self.cases) if not
                 np.isnan(own).any()]  # fmt: skip
        return np.sort(np.concatenate([np.zeros(0, np.float32), *parts]))

    def state(self) -> State:
        """Return everything as named arrays, the cases one after another."""
        labels = [
            (i, label, n) for i, case in enumerate(self.cases) for label, n in case.labels.items()
        ]
        none = np.zeros((len(self.channels), 0), np.float32)
        return {
            "channels": np.array(self.channels, dtype=str),
            "spacings": np.array([case.spacing for case in self.cases], dtype=float),
            "shapes": np.array([case.shape for case in self.cases], dtype=np.int64),
            "cropped": np.array([case.cropped for case in self.cases], dtype=np.int64),
            "labels": np.array(labels, dtype=np.int64).reshape(-1, 3),
            "counts": np.array([case.values.shape[1] for case in self.cases], dtype=np.int64),
            "values": np.concatenate([none, *(case.values for case in self.cases)], axis=1),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Fingerprint:
        """Rebuild the fingerprint from `state()`."""
        arrays = {key: np.asarray(value) for key, value in state.items()}
        made = cls([str(name) for name in arrays["channels"]])
        labels: list[dict[int, int]] = [{} for _ in arrays["counts"]]
        for case, label, n in arrays["labels"].tolist():
            labels[case][label] = n
        values = np.split(arrays["values"], np.cumsum(arrays["counts"])[:-1], axis=1)
        made.cases = [
            CaseFacts(tuple(spacing), tuple(shape), tuple(cropped), values[i], labels[i])
            for i, (spacing, shape, cropped) in enumerate(
                zip(*(arrays[k].tolist() for k in ("spacings", "shapes", "cropped")), strict=True)
            )
        ]
        return made


def _statistics(values: NDArray[np.float32]) -> dict[str, float]:
    names = ("mean", "median", "std", "min", "max", "p0.5", "p99.5")
    if not values.size:
        return dict.fromkeys(names, float("nan"))
    exact = values.astype(float)
    low, median, high = np.percentile(exact, [0.5, 50, 99.5])
    numbers = (exact.mean(), median, exact.std(), exact[0], exact[-1], low, high)
    return {name: float(number) for name, number in zip(names, numbers, strict=True)}
