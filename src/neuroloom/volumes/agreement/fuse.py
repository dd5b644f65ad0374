"""One label from several: majority vote, STAPLE, and SIMPLE's choice of whom to trust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.measures.overlap import dice

Floats = NDArray[np.float64]
SURE = 0.99999
SAME = 1e-7


class Fused(NamedTuple):
    """A fused label and how far each rater was trusted.

    Attributes
    ----------
    label
        Integers or booleans (*axes).
    probability
        Of the foreground (*axes); of the winning label for several classes.
    trust
        A row a rater: STAPLE's sensitivity and specificity (rater, 2), else its weight (rater, 1).
    """

    label: NDArray[Any]
    probability: Floats
    trust: Floats


def _stacked(labels: Sequence[ArrayLike]) -> NDArray[Any]:
    arrays = [np.asarray(label) for label in labels]
    shapes = {array.shape for array in arrays}
    if len(arrays) < 2 or len(shapes) > 1:
        raise DataError(
            f"Fusing needs two labels or more on one grid; came {len(arrays)} of the shapes "
            f"{sorted(shapes)}."
        )
    return np.stack(arrays)


def majority(labels: Sequence[ArrayLike], weights: Sequence[float] | None = None) -> Fused:
    """Return the label with most votes in each voxel; of equals the smallest.

    Parameters
    ----------
    labels
        Two or more integer labels (*axes) on one grid.
    weights
        Of each rater; None: all alike.

    Examples
    --------
    >>> majority([[0, 1, 2], [0, 1, 1], [1, 1, 2]]).label.tolist()
    [0, 1, 2]
    """
    stack = _stacked(labels)
    w = np.ones(len(stack)) if weights is None else np.asarray(weights, dtype=float)
    best, label = np.full(stack.shape[1:], -1.0), np.zeros(stack.shape[1:], dtype=stack.dtype)
    for value in np.unique(stack):
        votes = np.tensordot(w, (stack == value).astype(float), 1)
        ahead = votes > best + SAME
        label[ahead], best[ahead] = value, votes[ahead]
    return Fused(label, best / w.sum(), w[:, None])


def staple(masks: Sequence[ArrayLike], rounds: int = 200) -> Fused:
    """Return the hidden truth by expectation maximisation, and each rater's performance.

    STAPLE (Warfield et al. 2004, IEEE Trans. Med. Imaging 23:903, eq. 14-21) for one foreground,
    with the raters' mean share of foreground as the prior of every voxel. Votes that are alike
    share one posterior, so that a round costs no more than 2^raters voxels.

    Parameters
    ----------
    masks
        Two or more masks (*axes) on one grid.
    rounds
        At most so many.

    Examples
    --------
    >>> staple([[0, 1, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]]).label.tolist()
    [False, True, True, False]
    """
    votes = _stacked(masks).astype(bool)
    flat = votes.reshape(len(votes), -1)
    kinds, place, count = np.unique(flat, axis=1, return_inverse=True, return_counts=True)
    prior = float(flat.mean())
    p = q = np.full(len(flat), SURE)
    posterior = _posterior(kinds, p, q, prior)
    for _ in range(rounds):
        inside, outside = count * posterior, count * (1 - posterior)
        p = _mean_by(kinds, inside, p)
        q = _mean_by(~kinds, outside, q)
        before, posterior = posterior, _posterior(kinds, p, q, prior)
        if np.abs(posterior - before).max() < SAME:
            break
    probability = posterior[place.ravel()].reshape(votes.shape[1:])
    return Fused(probability >= 0.5, probability, np.stack([p, q], axis=1))


def _posterior(kinds: NDArray[np.bool_], p: Floats, q: Floats, prior: float) -> Floats:
    """Probability of foreground of each kind of vote (kind,), in logarithms."""
    tiny = np.finfo(float).tiny
    yes, no = (np.log(np.clip([r, 1 - r], tiny, 1)) for r in (p, q))
    inside = np.log(max(prior, tiny)) + np.where(kinds, yes[0][:, None], yes[1][:, None]).sum(0)
    outside = np.log(max(1 - prior, tiny)) + np.where(kinds, no[1][:, None], no[0][:, None]).sum(0)
    return 1 / (1 + np.exp(np.clip(outside - inside, -700, 700)))


def _mean_by(kinds: NDArray[np.bool_], weight: Floats, before: Floats) -> Floats:
    total = weight.sum()
    return kinds @ weight / total if total > 0 else before


def simple(masks: Sequence[ArrayLike], alpha: float = 1.0, rounds: int = 25) -> Fused:
    """Return the weighted vote of the raters that agree with it, the others left out.

    SIMPLE (Langerak et al. 2010, IEEE Trans. Med. Imaging 29:2000): vote, score each rater by its
    Dice with the vote, drop those more than `alpha` standard deviations below the mean, vote again
    with the scores as weights, until nobody is dropped.

    Parameters
    ----------
    masks
        Two or more masks (*axes) on one grid.

    Returns
    -------
    Fused; the trust of a rater that was dropped is 0.

    Examples
    --------
    >>> good, bad = [0, 1, 1, 0, 0], [1, 0, 0, 0, 1]
    >>> simple([good, good, good, bad]).trust.ravel().tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    votes = _stacked(masks).astype(bool)
    kept = np.ones(len(votes), dtype=bool)
    trust = np.ones(len(votes))
    for _ in range(rounds):
        label = np.tensordot(trust * kept, votes.astype(float), 1) >= (trust * kept).sum() / 2
        trust = np.array([_agreement(vote, label) for vote in votes])
        mine = trust[kept]
        stays = kept & (trust >= mine.mean() - alpha * mine.std() - SAME)
        if (stays == kept).all() or stays.sum() < 2:
            break
        kept = stays
    weight = trust * kept
    share = np.tensordot(weight, votes.astype(float), 1) / max(weight.sum(), SAME)
    return Fused(share >= 0.5, share, weight[:, None])


def _agreement(vote: NDArray[np.bool_], label: NDArray[np.bool_]) -> float:
    both = int((vote & label).sum())
    return float(dice(both, int(vote.sum()) - both, int(label.sum()) - both))
