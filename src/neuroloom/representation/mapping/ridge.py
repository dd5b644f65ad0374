"""Ridge regression between features and responses, with penalties chosen inside the fold.

All is done on inner products of stimuli, so that features may be larger than memory: predictions of
ridge depend on nothing else. Penalties are chosen by leave-one-out error in closed form, without a
second loop of fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError

Floats = NDArray[np.float64]
# Times the mean variance of a stimulus; without end: the mean alone. Where that is best, there is
# no prediction: a trace of one, however small, would correlate with the truth below chance.
PENALTIES = (*(10.0 ** np.arange(-6, 4)), float("inf"))


@dataclass(frozen=True)
class Fitted:
    """Held-out predictions, and the penalties behind them.

    Attributes
    ----------
    predicted
        Shape (stimulus, target).
    penalty
        Shape (fold, target).
    shares
        Weight of each band of features, (fold, band, target).
    fold
        Shape (stimulus,): the fold that a stimulus was held out in.
    """

    predicted: Floats
    penalty: Floats
    shares: Floats
    fold: NDArray[np.int64]


def cross_predict(
    kernels: Sequence[Floats],
    targets: Floats,
    folds: int = 5,
    *,
    penalties: Sequence[float] = PENALTIES,
    draws: int = 20,
    rng: np.random.Generator | None = None,
) -> Fitted:
    """Return what ridge regression predicts for each stimulus from the others.

    Parameters
    ----------
    kernels
        Inner products of stimuli (stimulus, stimulus), one a band of features: each band has its
        own penalty ("banded ridge", Dupre la Tour et al. 2022). One band is plain ridge.
    targets
        Shape (stimulus, target); each has its own penalty.
    folds
        Stimuli are put into so many at random.
    penalties
        To choose from, in units of the mean squared length of a stimulus.
    draws
        Random weights of the bands that are tried beside each alone and all alike.
    rng
        Of folds and weights; seeded by 0 if None.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(60, 5))
    >>> found = cross_predict([x @ x.T], x @ rng.normal(size=(5, 2)))
    >>> bool((correlate(found.predicted, x @ np.ones((5, 2)), found.fold) > -1).all())
    True
    """
    rng = rng or np.random.default_rng(0)
    n = len(targets)
    if any(kernel.shape != (n, n) for kernel in kernels):
        raise DataError(f"Features have {len(kernels[0])} stimuli, responses {n}.")
    fold = assign_folds(n, folds, rng)
    weights = band_weights(len(kernels), draws, rng)
    predicted = np.empty(targets.shape)
    chosen = []
    for number in range(int(fold.max()) + 1):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        best = _fit(kernels, targets, train, test, weights, penalties)
        predicted[test] = best[0]
        chosen.append(best[1:])
    penalty = np.stack([one[0] for one in chosen])
    return Fitted(predicted, penalty, np.stack([one[1] for one in chosen]), fold)


def assign_folds(n: int, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each of `n` stimuli, as even as can be.

    Raises
    ------
    DataError
        If there are fewer than three stimuli a fold.
    """
    if folds < 2 or n < 3 * folds:
        raise DataError(f"{n} stimuli are too few for {folds} folds; use fewer, and two or more.")
    return np.asarray(rng.permutation(np.arange(n) % folds), dtype=np.int64)


def band_weights(bands: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return weights of bands to try: all alike, each alone, and random ones (try, band)."""
    if bands == 1:
        return np.ones((1, 1))
    even = np.full((1, bands), 1 / bands)
    return np.concatenate([even, np.eye(bands), rng.dirichlet(np.ones(bands), draws)])


def _fit(
    kernels: Sequence[Floats],
    targets: Floats,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    weights: Floats,
    penalties: Sequence[float],
) -> tuple[Floats, Floats, Floats]:
    y = targets[train]
    mean = y.mean(0)
    parts = [_centred(kernel, train, test) for kernel in kernels]
    scales = [max(float(np.trace(part[0])) / len(train), 1e-300) for part in parts]
    best = np.full(y.shape[1], np.inf)
    out = np.empty((len(test), y.shape[1]))
    penalty, share = np.empty(y.shape[1]), np.empty((len(kernels), y.shape[1]))
    for weight in weights:
        mixed = [w / s for w, s in zip(weight, scales, strict=True)]
        inside = sum(w * part[0] for w, part in zip(mixed, parts, strict=True))
        across = sum(w * part[1] for w, part in zip(mixed, parts, strict=True))
        values, vectors = np.linalg.eigh(inside)
        values = np.maximum(values, 0.0)
        turned = vectors.T @ (y - mean)
        for size in penalties:
            kept = values / (values + size) if np.isfinite(size) else np.zeros_like(values)
            left = (y - mean) - vectors @ (kept[:, None] * turned)
            hat = (vectors**2) @ kept + 1 / len(train)
            error = ((left / np.maximum(1 - hat, 1e-9)[:, None]) ** 2).mean(0)
            better = error < best
            if not better.any():
                continue
            best[better] = error[better]
            dual = vectors @ (turned[:, better] / (values + size)[:, None])  # 0 without end
            out[:, better] = mean[better] + across @ dual
            penalty[better], share[:, better] = size, weight[:, None]
    return out, penalty, share


def _centred(
    kernel: Floats, train: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return inner products inside the training stimuli, and of test with training stimuli.

    The mean that is taken away is that of the training stimuli alone.
    """
    inside, across = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
    column = inside.mean(0)
    whole = column.mean()
    return (
        inside - column - column[:, None] + whole,
        across - column - across.mean(1, keepdims=True) + whole,
    )


def correlate(predicted: Floats, truth: Floats, fold: NDArray[np.int64]) -> Floats:
    """Return Pearson's correlation of each target with its held-out predictions, (target,).

    Mean over folds, by their sizes. Over all stimuli at once, predictions of pure noise would look
    worse than chance: what one fold lacks the others have. 0 where nothing was predicted, NaN where
    the target is constant.
    """
    a, b = standard_in_folds(predicted, fold), standard_in_folds(truth, fold)
    r = np.asarray((a * b).sum(0))
    return np.where((b**2).sum(0) > 0, r, np.nan)


def standard_in_folds(values: Floats, fold: NDArray[np.int64]) -> Floats:
    """Return values whose products sum to the mean correlation over folds.

    Examples
    --------
    >>> x = standard_in_folds(np.array([[1.0], [2.0], [5.0], [9.0]]), np.array([0, 0, 1, 1]))
    >>> float((x * x).sum().round(6))
    1.0
    """
    out = np.zeros(values.shape)
    for number in np.unique(fold):
        rows = fold == number
        centred = values[rows] - values[rows].mean(0)
        norm = np.linalg.norm(centred, axis=0)
        share = np.sqrt(rows.sum() / len(fold))
        size = np.abs(values[rows]).max(0)
        out[rows] = np.where(norm > 1e-12 * size, centred * share / np.maximum(norm, 1e-300), 0.0)
    return out


def compress(kernel: Floats) -> Floats:
    """Return coordinates of stimuli with these inner products: the features, turned.

    Whatever depends on inner products alone (ridge, PLS, logistic regression with a quadratic
    penalty) finds the same in them as in the features, however many those are.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(4, 100))
    >>> bool(np.allclose(compress(x @ x.T) @ compress(x @ x.T).T, x @ x.T))
    True
    """
    values, vectors = np.linalg.eigh(kernel)
    kept = values > 1e-12 * max(float(values.max()), 1e-300)
    return (vectors[:, kept] * np.sqrt(values[kept]))[:, ::-1]
