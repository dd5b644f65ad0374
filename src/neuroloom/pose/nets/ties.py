"""Ties: pairs of keypoints that move far together, and hardly apart, along some direction.

Two views of one paw, beside and in a mirror, lie at the same x wherever it goes. Labels show such
ties, and places that a net found are drawn to where they hold: the more blurred its map, the
further a place goes, so that of two views the clear one leads. What comes out is the mode of a
Gaussian Markov random field (Rue & Held 2005, section 2.2), whose nodes are what the maps say and
whose edges are ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEW = 20  # labelled pairs below which nothing is said of their difference
SLACK = 4.0  # px of the view: SD of a difference, from which on it ties nothing
FAR = 0.2  # the same, of how far the two move: parts of one body bend more than that
BLUR = 0.6  # SD of a found place, of the error that its map expects
CLEAREST, MURKIEST = 1.0, 4.0  # the same, px, at least and at most: a place that may be wholly
# mistaken must not be carried to where it is not seen, or it leaps from frame to frame
TORN = 3.0  # SDs from where a tie holds, from which on one of the two was mistaken


@dataclass(frozen=True)
class Ties:
    """Pairs of keypoints and the direction along which they hold each other.

    Attributes
    ----------
    pairs
        Shape (tie, 2), numbers of keypoints.
    along
        Shape (tie, 2), of length one, in the view.
    apart
        Shape (tie,), px: the second less the first, along that direction.
    slack
        Shape (tie,), px: its SD.
    """

    pairs: NDArray[np.int64]
    along: Floats
    apart: Floats
    slack: Floats

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return named arrays."""
        return {
            "ties.pairs": self.pairs, "ties.along": self.along, "ties.apart": self.apart,
            "ties.slack": self.slack,
        }  # fmt: skip

    def named(self, keypoints: Sequence[str]) -> str:
        """Say which keypoints are tied.

        Examples
        --------
        >>> none = Ties.from_arrays({})
        >>> none.named(["paw"])
        ''
        """
        said = [f"{keypoints[i]} and {keypoints[j]}" for i, j in self.pairs]
        return f" Tied, as two views of a point are: {'; '.join(said)}." if said else ""

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Ties:
        """Rebuild them; a model of before there were any has none."""
        if "ties.pairs" not in arrays:
            return cls(np.zeros((0, 2), np.int64), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
        return cls(*(np.array(arrays[f"ties.{n}"]) for n in ("pairs", "along", "apart", "slack")))


def learn_ties(points: Floats) -> Ties:
    """Learn ties from labels.

    Parameters
    ----------
    points
        Shape (n, keypoint, 2), px of the view; NaN where unknown.

    Returns
    -------
    Ties
        Of those pairs that were labelled together often enough; the rest are free.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = rng.uniform(0, 50, (40, 1, 2))
    >>> below = a + np.stack([rng.normal(3, 0.5, (40, 1)), rng.uniform(20, 50, (40, 1))], -1)
    >>> ties = learn_ties(np.concatenate([a, below], 1))
    >>> ties.pairs.tolist(), np.abs(ties.along).round().tolist(), round(abs(float(ties.apart[0])))
    ([[0, 1]], [[1.0, 0.0]], 3)
    """
    pairs, along, apart, slack = [], [], [], []
    for i, j in zip(*np.triu_indices(points.shape[1], 1), strict=True):
        off = points[:, j] - points[:, i]
        off = off[np.isfinite(off).all(-1)]
        if len(off) < FEW:
            continue
        variance, axes = np.linalg.eigh(np.cov(off.T))
        # The smaller of two is found too small by chance, the more so the fewer examples.
        sd = float(np.sqrt(max(variance[0], 0.0) * (1 + 2 / len(off))))
        goes = np.nanstd(points[:, [i, j]] @ axes[:, 0], axis=0).min()
        if sd < SLACK and sd < FAR * goes:
            pairs.append((int(i), int(j)))
            along.append(axes[:, 0])
            apart.append(float(off.mean(0) @ axes[:, 0]))
            slack.append(max(sd, 0.1))
    shape = (len(pairs), 2)
    return Ties(
        np.array(pairs, np.int64).reshape(shape), np.array(along, float).reshape(shape),
        np.array(apart, float), np.array(slack, float),
    )  # fmt: skip


def drawn(points: Floats, expected: Floats, ties: Ties) -> Floats:
    """Return places drawn to where their ties hold.

    Parameters
    ----------
    points
        Shape (n, keypoint, 2), px of the view.
    expected
        Shape (n, keypoint): the error that the map of each expects, px.

    Examples
    --------
    >>> tie = Ties(np.array([[0, 1]]), np.array([[1.0, 0.0]]), np.array([0.0]), np.array([0.1]))
    >>> drawn(np.array([[[0.0, 0.0], [4.0, 9.0]]]), np.array([[1.0, 5.0]]), tie).round(1).tolist()
    [[[0.4, 0.0], [0.4, 9.0]]]
    """
    if len(ties.pairs) == 0:
        return points
    count = points.shape[1]
    sd = np.clip(BLUR * expected, CLEAREST, MURKIEST)
    first, second = ties.pairs.T
    gap = np.einsum("ntx,tx->nt", points[:, second] - points[:, first], ties.along) - ties.apart
    usual = np.sqrt(ties.slack**2 + sd[:, first] ** 2 + sd[:, second] ** 2)
    weight = np.where(np.abs(gap) < TORN * usual, ties.slack**-2, 0.0)
    # What a tie says of all coordinates: +along of the second, -along of the first.
    each = np.arange(len(ties.pairs))
    pulls = np.zeros((len(each), count, 2))
    pulls[each, second], pulls[each, first] = ties.along, -ties.along
    row = pulls.reshape(len(each), -1)
    own = np.repeat(sd**-2, 2, axis=1)
    precision = np.einsum("nt,ti,tj->nij", weight, row, row, optimize=True)
    precision[:, np.arange(2 * count), np.arange(2 * count)] += own
    # In terms of the shift from what was found, only the gaps pull.
    pull = -(weight * gap) @ row
    shift: Floats = np.linalg.solve(precision, pull[..., None])[..., 0]
    return points + shift.reshape(points.shape)
