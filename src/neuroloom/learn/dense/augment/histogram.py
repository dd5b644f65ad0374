"""Brightness brought to a common scale by landmarks of the histogram, learnt from many images.

Nyúl, Udupa & Zhang (2000), IEEE Trans. Med. Imaging 19, 143-150.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.mergeable import State
from neuroloom.learn.dense.augment.transform import Params, Transform

PERCENTILES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)
TOP = 100.0


class Landmarks:
    """The mean landmarks of many images, as a mergeable: parts of a data set, or hospitals.

    Each image is scaled so that its first landmark is 0 and its last one is 100, then landmarks are
    averaged, channel by channel.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one, other = Landmarks(1), Landmarks(1)
    >>> one.update(rng.random((1, 9, 9))), other.update(rng.random((1, 9, 9)))
    (None, None)
    >>> one.merge(other).finalize()[0, [0, -1]].tolist()
    [0.0, 100.0]
    """

    def __init__(self, channels: int) -> None:
        self.count = np.zeros(())
        self.total = np.zeros((channels, len(PERCENTILES)))

    def update(self, image: ArrayLike) -> None:
        """Add an image (channel, *axes).

        Raises
        ------
        DataError
            If it has other channels, or a channel without any spread.
        """
        flat = np.asarray(image, dtype=float).reshape(len(np.asarray(image)), -1)
        if len(flat) != len(self.total):
            raise DataError(
                f"An image has {len(flat)} channels, the landmarks have {len(self.total)}."
            )
        marks = np.percentile(flat, PERCENTILES, axis=1).T
        span = marks[:, -1:] - marks[:, :1]
        if not (span > 0).all():
            raise DataError(
                "An image has a channel in which nearly all voxels are equal: it has no histogram "
                "to bring to a scale. Leave it out."
            )
        self.total = self.total + TOP * (marks - marks[:, :1]) / span
        self.count = self.count + 1

    def merge(self, other: Landmarks) -> Landmarks:
        """Return the landmarks of both parts."""
        both = Landmarks(len(self.total))
        both.total, both.count = self.total + other.total, self.count + other.count
        return both

    def finalize(self) -> NDArray[np.float64]:
        """Return the standard landmarks (channel, 11)."""
        return self.total / np.maximum(self.count, 1)

    def state(self) -> State:
        """Return sum and count."""
        return {"total": self.total, "count": self.count}

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Landmarks:
        """Rebuild it from `state()`."""
        made = cls(len(np.asarray(state["total"])))
        made.total, made.count = (np.asarray(state[key], float) for key in ("total", "count"))
        return made


@dataclass(frozen=True)
class Histogram(Transform):
    """Map each channel piecewise linearly so that its landmarks are the standard ones.

    Attributes
    ----------
    landmarks
        What `Landmarks.finalize` gives, as tuples; one row a channel.

    Examples
    --------
    >>> marks = Landmarks(1)
    >>> marks.update(np.arange(101.0).reshape(1, 101, 1))
    >>> change = Histogram(tuple(map(tuple, marks.finalize().tolist())))
    >>> x = torch.arange(101.0).reshape(1, 1, 101, 1) * 7 + 3
    >>> change.change(x, None, {})[0][0, 0, [1, 50, 99], 0].round().tolist()
    [0.0, 50.0, 100.0]
    """

    landmarks: tuple[tuple[float, ...], ...] = ()
    name: ClassVar[str] = "histogram"

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Map; what lies beyond the outer landmarks goes on along the outer pieces."""
        if len(self.landmarks) != x.shape[1]:
            raise ConfigError(
                f"augment: 'histogram' has landmarks of {len(self.landmarks)} channels, the images "
                f"have {x.shape[1]}. Fit them first: Landmarks(channels), update, finalize."
            )
        flat = x.flatten(2)
        wanted = torch.tensor(self.landmarks, dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
        own = _percentiles(flat)
        piece = torch.searchsorted(own[..., 1:-1].contiguous(), flat, right=True)
        low, high = own.gather(2, piece), own.gather(2, piece + 1)
        bottom, top = wanted.gather(2, piece), wanted.gather(2, piece + 1)
        share = (flat - low) / (high - low).clamp(min=1e-12)
        return (bottom + share * (top - bottom)).reshape(x.shape), y


def _percentiles(flat: Tensor) -> Tensor:
    """Return the landmarks (n, channel, 11), linear between ranks as numpy has them."""
    ranked = flat.sort(dim=2).values
    place = torch.tensor(PERCENTILES, dtype=torch.float64) / 100 * (flat.shape[2] - 1)
    below = place.floor().long().clamp(max=max(flat.shape[2] - 2, 0))
    above = (below + 1).clamp(max=flat.shape[2] - 1)
    part = (place - below).to(flat.dtype).to(flat.device)
    return torch.lerp(ranked[..., below], ranked[..., above], part)
