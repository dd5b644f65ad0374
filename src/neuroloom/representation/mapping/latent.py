"""Partial least squares, and probes: what a linear reader finds in features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.representation.mapping.ridge import Fitted, assign_folds, compress, correlate

Floats = NDArray[np.float64]


def cross_pls(
    kernel: Floats,
    targets: Floats,
    folds: int = 5,
    *,
    components: Sequence[int] = (1, 2, 5, 10, 25),
    rng: np.random.Generator | None = None,
) -> Fitted:
    """Return what partial least squares predicts for each stimulus from the others.

    Parameters
    ----------
    kernel
        Inner products of stimuli (stimulus, stimulus).
    targets
        Shape (stimulus, target).
    components
        To choose from, by three folds inside the training stimuli.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(60, 5))
    >>> found = cross_pls(x @ x.T, x[:, :2])
    >>> bool(correlate(found.predicted, x[:, :2], found.fold).min() > 0.99)
    True
    """
    rng = rng or np.random.default_rng(0)
    x, fold = compress(kernel), assign_folds(len(targets), folds, rng)
    predicted, chosen = np.empty(targets.shape), []
    for number in range(int(fold.max()) + 1):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        inner = assign_folds(len(train), 3, rng)
        sizes = [k for k in components if k <= min(x.shape[1], int(len(train) * 2 / 3) - 1)] or [1]
        scores = [_score(x[train], targets[train], inner, size) for size in sizes]
        size = sizes[int(np.argmax(scores))]
        predicted[test] = _pls(x[train], targets[train], size, x[test])
        chosen.append(np.full(targets.shape[1], float(size)))
    ones = np.ones((len(chosen), 1, targets.shape[1]))
    return Fitted(predicted, np.stack(chosen), ones, fold)


def _pls(x: Floats, y: Floats, size: int, new: Floats) -> Floats:
    from sklearn.cross_decomposition import PLSRegression

    found = PLSRegression(size, scale=False).fit(x, y).predict(new)
    return np.asarray(found, dtype=float).reshape(len(new), -1)


def _score(x: Floats, y: Floats, fold: NDArray[np.int64], size: int) -> float:
    out = np.empty(y.shape)
    for number in range(int(fold.max()) + 1):
        train, test = fold != number, fold == number
        out[test] = _pls(x[train], y[train], size, x[test])
    return float(np.nanmean(correlate(out, y, fold)))


def probe(
    kernel: Floats,
    labels: Any,
    folds: int = 5,
    *,
    components: int = 100,
    rng: np.random.Generator | None = None,
) -> tuple[NDArray[Any], Floats, NDArray[np.int64]]:
    """Return the class that logistic regression finds for each held-out stimulus.

    Parameters
    ----------
    kernel
        Inner products of stimuli (stimulus, stimulus).
    labels
        A class each.
    components
        Principal components of the training stimuli that are read, at most.

    Returns
    -------
    Predicted labels, probabilities (stimulus, class) in the order of sorted labels, fold.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(40, 3))
    >>> found, *_ = probe(x @ x.T, x[:, 0] > 0)
    >>> bool((found == (x[:, 0] > 0)).mean() > 0.8)
    True
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    rng = rng or np.random.default_rng(0)
    x, y = compress(kernel), np.asarray(labels)
    classes = np.unique(y)
    seed = int(rng.integers(2**31))
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    out, probabilities = y.copy(), np.zeros((len(y), len(classes)))
    fold = np.zeros(len(y), dtype=np.int64)
    for number, (train, test) in enumerate(splits.split(x, y)):
        # As many components as the inner folds have, too.
        size = max(1, min(components, len(train) * 2 // 3 - 2, x.shape[1]))
        scale = FunctionTransformer(_shrink, kw_args={"by": float(x[train].std()) or 1.0})
        reader = make_pipeline(
            scale, PCA(size, svd_solver="full"), LogisticRegression(max_iter=2000)
        )
        inner = StratifiedKFold(3, shuffle=True, random_state=seed)
        grid = {"logisticregression__C": [1e-3, 1e-1, 1e1]}
        smallest = np.unique(y[train], return_counts=True)[1].min()
        found = GridSearchCV(reader, grid, cv=inner) if smallest >= 3 else reader
        found.fit(x[train], y[train])
        out[test], fold[test] = found.predict(x[test]), number
        probabilities[test] = found.predict_proba(x[test])
    return out, probabilities, fold


def _shrink(x: Floats, by: float) -> Floats:
    return x / by
