"""Keypoints that agree: of several peaks of each map, those that are likely together.

A paw's map may have two peaks, one on each paw. Which is meant is often clear from the others: the
other view of the same paw lies straight below, the elbow is a forelimb away. Differences of places
between pairs of keypoints are learnt from the labels of the training frames, and peaks are chosen
so that they fit each other and their maps (pictorial structures, Felzenszwalb & Huttenlocher 2005,
https://doi.org/10.1023/B:VISI.0000042934.15159.49, on a graph with loops, by iterated conditional
modes). Places of the chosen peaks are then drawn to where `ties` hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroloom.pose.nets.maps import REACH, expected_error, near_peak, probabilities
from neuroloom.pose.nets.ties import Ties, drawn, learn_ties

Floats = NDArray[np.float64]
PEAKS = 4
PARTNERS = 6  # of each keypoint: those whose difference to it varies least
FREEDOM = 4.0  # of Student's t: a rare posture is not forbidden
SWEEPS = 6
ODD = 3.0  # SDs from where a partner expects a point
MIN_PARTNERS = 2
LEAST = 1e-3  # probability of a peak that is told from noise
AROUND = 3  # cells round a peak that belong to it


@dataclass(frozen=True)
class Structure:
    """How places of keypoints differ from each other, in px of the view that they are seen in.

    Attributes
    ----------
    partners
        Shape (keypoint, partner), indices.
    mean
        Shape (keypoint, partner, 2): place of the partner less that of the keypoint.
    whiten
        Shape (keypoint, partner, 2, 2): inverse root of the covariance.
    ties
        Pairs that hold each other along some direction.
    """

    partners: NDArray[np.int64]
    mean: Floats
    whiten: Floats
    ties: Ties

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return named arrays."""
        own = {"partners": self.partners, "mean": self.mean, "whiten": self.whiten}
        return own | self.ties.as_arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Structure:
        """Rebuild it."""
        partners, mean, whiten = (np.array(arrays[n]) for n in ("partners", "mean", "whiten"))
        return cls(partners, mean, whiten, Ties.from_arrays(arrays))


def learn_structure(points: Floats, least: float = 1.5) -> Structure:
    """Learn differences of places from labels.

    Parameters
    ----------
    points
        Shape (n, keypoint, 2), px of the view; NaN where unknown.
    least
        px: labels are not more exact than this.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = rng.uniform(0, 50, (40, 1, 2))
    >>> found = learn_structure(np.concatenate([a, a + [0.0, 20.0]], 1))
    >>> found.mean[0, 0].round(3).tolist(), found.partners.tolist()
    ([0.0, 20.0], [[1], [0]])
    """
    count = points.shape[1]
    mean = np.zeros((count, count, 2))
    cov = np.zeros((count, count, 2, 2))
    for i in range(count):
        apart = points - points[:, i : i + 1]
        known = np.asarray(np.isfinite(apart).all(-1))
        n = known.sum(0)
        total = np.where(known[..., None], apart, 0.0)
        mean[i] = total.sum(0) / np.maximum(n, 1)[:, None]
        off = np.where(known[..., None], apart - mean[i], 0.0)
        cov[i] = np.einsum("nki,nkj->kij", off, off) / np.maximum(n - 1, 1)[:, None, None]
        # Few examples: the spread that is not yet known is added.
        cov[i] += np.eye(2) * (least**2 + 400.0 / np.maximum(n, 1)[:, None, None])
        cov[i, n < 5] = np.eye(2) * 1e6
    spread = 0.5 * np.log(np.linalg.det(cov))
    np.fill_diagonal(spread, np.inf)
    partners = np.argsort(spread, axis=1, kind="stable")[:, : min(PARTNERS, count - 1)]
    row = np.arange(count)[:, None]
    chosen = cov[row, partners]
    root = np.linalg.inv(np.linalg.cholesky(chosen))
    return Structure(partners, mean[row, partners], root, learn_ties(points))


def at_odds(points: Floats, structure: Structure) -> NDArray[np.bool_]:
    """Return which points (n, keypoint) lie where most of their partners do not expect them.

    A point that was mistaken is at odds with most of its partners; each of these with it alone.

    Parameters
    ----------
    points
        Shape (n, keypoint, 2), px of the view; what is NaN is not at odds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> body = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0]])
    >>> seen = body + rng.uniform(0, 50, (80, 1, 2)) + rng.normal(0, 1, (80, 4, 2))
    >>> structure = learn_structure(seen)
    >>> seen[0, 2] += 40
    >>> at_odds(seen[:2], structure).tolist()
    [[False, False, True, False], [False, False, False, False]]
    """
    apart = points[:, structure.partners] - points[:, :, None] - structure.mean
    off = np.linalg.norm(np.einsum("kpij,nkpj->nkpi", structure.whiten, apart), axis=-1)
    known = np.isfinite(off)
    many = known.sum(-1) >= MIN_PARTNERS
    far = np.where(known, np.nan_to_num(off) > ODD, False).sum(-1)
    return np.asarray(many & (far > known.sum(-1) / 2))


def highest_peaks(p: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return the highest peaks of maps, the highest first.

    Parameters
    ----------
    p
        Probabilities (n, keypoint, v, u).

    Returns
    -------
    place
        Shape (n, keypoint, PEAKS, 2), px of the view: the mean of the probability near the peak.
    near
        Shape (n, keypoint, PEAKS): the probability there.
    """
    found = []
    for _ in range(PEAKS):
        place, near, own = near_peak(p, stride, AROUND)
        found.append((place, near))
        p = p - own
    places_, nears = zip(*found, strict=True)
    return torch.stack(places_, 2), torch.stack(nears, 2)


def agreed_places(
    logits: Tensor, stride: int, structure: Structure, weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where maps say their keypoints are, given each other; as `maps.places`.

    Probabilities near and expected errors are those of the chosen peaks; the places are drawn from
    there to where ties hold.
    """
    p = probabilities(logits)
    place, near = highest_peaks(p, stride)
    at = choose_peaks(place.double().numpy(), near.double().numpy(), structure, weight)
    pick = torch.as_tensor(at)[..., None]
    points = place.gather(2, pick[..., None].expand(-1, -1, 1, 2))[:, :, 0]
    first = torch.as_tensor(at == 0)
    plain, close, _ = near_peak(p, stride, REACH)
    points = torch.where(first[..., None], plain, points)
    close = torch.where(first, close, near.gather(2, pick)[:, :, 0])
    expected = expected_error(p, stride, points)
    held = drawn(points.double().numpy(), expected.double().numpy(), structure.ties)
    return torch.as_tensor(held), close, expected


def choose_peaks(
    place: Floats, near: Floats, structure: Structure, weight: float = 1.0
) -> NDArray[np.int64]:
    """Return which peak of each map is meant (n, keypoint).

    Parameters
    ----------
    place, near
        As `highest_peaks` gives them.
    weight
        How much the agreement with all partners together counts beside a map's own word.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = rng.uniform(0, 50, (400, 1, 2))
    >>> structure = learn_structure(np.concatenate([a, a + [0.0, 20.0]], 1))
    >>> place = np.array([[[[10.0, 5.0], [40.0, 5.0]], [[40.0, 25.0], [10.0, 25.0]]]])
    >>> near = np.array([[[0.95, 0.05], [0.55, 0.45]]])
    >>> choose_peaks(place, near, structure).tolist()
    [[0, 1]]
    """
    n, k = near.shape[:2]
    own = np.where(near >= LEAST, np.log(np.maximum(near, 1e-9)), -np.inf)
    own[:, :, 0] = np.log(np.maximum(near[:, :, 0], 1e-9))
    chosen = np.zeros((n, k), np.int64)
    placed = np.zeros((n, k), bool)
    frames = np.arange(n)
    # The surest of each frame first; in the first sweep only those before have a say.
    order = np.argsort(-near[:, :, 0], axis=1, kind="stable")
    for _ in range(SWEEPS):
        before = chosen.copy()
        for rank in range(k):
            point = order[:, rank]
            told = _agreement(place, near, chosen, placed, point, structure)
            chosen[frames, point] = (own[frames, point] + weight * told).argmax(1)
            placed[frames, point] = True
        if (chosen == before).all():
            break
    return chosen


def _agreement(
    place: Floats,
    near: Floats,
    chosen: NDArray[np.int64],
    placed: NDArray[np.bool_],
    point: NDArray[np.int64],
    structure: Structure,
) -> Floats:
    """Return how well each peak (n, peak) of one keypoint a frame fits its partners' places."""
    frames = np.arange(len(place))
    there = structure.partners[point]
    at = place[frames[:, None], there, chosen[frames[:, None], there]]
    trust = near[frames[:, None], there, chosen[frames[:, None], there]]
    trust = trust * placed[frames[:, None], there]
    off = at[:, None] - place[frames, point][:, :, None] - structure.mean[point][:, None]
    whole = np.einsum("npij,nmpj->nmpi", structure.whiten[point], off)
    fit = -0.5 * (FREEDOM + 2) * np.log1p((whole**2).sum(-1) / FREEDOM)
    told: Floats = np.einsum("nmp,np->nm", fit, trust) / max(1, there.shape[1])
    return told
