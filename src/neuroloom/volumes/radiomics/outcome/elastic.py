"""The elastic net, solved by accelerated proximal gradients, its penalty chosen by inner folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STRENGTHS = 10
LOWEST = 0.01
STEPS = 300
# To choose among penalties: their losses differ by far more than such weights do.
ROUGH_STEPS, ROUGH = 100, 1e-3
Fit = tuple[np.ndarray, np.ndarray]


def fit_elastic(
    z: np.ndarray,
    target: np.ndarray,
    strength: float,
    mix: float,
    start: Fit | None = None,
    steps: int = STEPS,
    close: float = 1e-6,
) -> Fit:
    """Minimise loss + strength * (mix |w|_1 + (1 - mix) / 2 |w|^2).

    Parameters
    ----------
    z
        Features (n, p), standardised.
    target
        One-hot classes (n, K), whose loss is the cross-entropy with classes of equal weight; or
        numbers (n, 1), whose loss is half the mean squared error.
    strength, mix
        Of the penalty; mix 1 is the lasso, 0 ridge.
    start
        Weights and bias to begin with.
    steps, close
        How many steps at most; a step that changes no weight by more than `close` is the last.

    Returns
    -------
    Weights (p, K) and bias (K,), by FISTA with restarts (Beck & Teboulle 2009; O'Donoghue & Candes
    2015).

    Examples
    --------
    >>> z = np.array([[-1.0], [0.0], [1.0]])
    >>> weights, bias = fit_elastic(z, 2 * z + 1, 1e-6, 0.5)
    >>> weights.round(3).tolist(), bias.round(3).tolist()
    ([[2.0]], [1.0])
    """
    outputs = target.shape[1]
    row = _row_weights(target)
    weights, bias = start or (np.zeros((z.shape[1], outputs)), np.zeros(outputs))
    bend = (0.5 if outputs > 1 else 1.0) * _largest(z, row)
    curvature = max(bend + strength * (1 - mix), 1e-6)
    ahead_w, ahead_b, momentum = weights, bias, 1.0
    for _ in range(steps):
        error = (_expected(z @ ahead_w + ahead_b, outputs) - target) * row[:, None]
        slope = z.T @ error + strength * (1 - mix) * ahead_w
        new_w = _shrink(ahead_w - slope / curvature, strength * mix / curvature)
        new_b = ahead_b - error.sum(0) / curvature
        turned = float(((ahead_w - new_w) * (new_w - weights)).sum()) > 0
        following = 1.0 if turned else (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        push = 0.0 if turned else (momentum - 1) / following
        change = max(np.abs(new_w - weights).max(initial=0), np.abs(new_b - bias).max())
        ahead_w, ahead_b = new_w + push * (new_w - weights), new_b + push * (new_b - bias)
        weights, bias, momentum = new_w, new_b, following
        if change < close:
            break
    return weights, bias


def _row_weights(target: np.ndarray) -> np.ndarray:
    """Weights of rows that sum to 1 and give every class the same."""
    if target.shape[1] == 1:
        return np.full(len(target), 1 / len(target))
    counts = np.maximum(target.sum(0), 1)
    return (target / counts).sum(1) / (target.sum(0) > 0).sum()


def _largest(z: np.ndarray, row: np.ndarray) -> float:
    """Largest curvature of the loss along weights and bias together."""
    wide = np.column_stack([z, np.ones(len(z))]) * np.sqrt(row)[:, None]
    gram = wide @ wide.T if len(wide) < wide.shape[1] else wide.T @ wide
    return float(np.linalg.eigvalsh(gram)[-1])


def _expected(values: np.ndarray, outputs: int) -> np.ndarray:
    if outputs == 1:
        return values
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _shrink(weights: np.ndarray, by: float) -> np.ndarray:
    return np.sign(weights) * np.maximum(np.abs(weights) - by, 0)


def loss_of(z: np.ndarray, target: np.ndarray, fit: Fit) -> float:
    """Return the loss of rows, classes weighing the same.

    Examples
    --------
    >>> round(loss_of(np.zeros((2, 1)), np.eye(2), (np.zeros((1, 2)), np.zeros(2))), 3)
    0.693
    """
    values, row = z @ fit[0] + fit[1], _row_weights(target)
    if target.shape[1] == 1:
        return float(row @ ((values - target)[:, 0] ** 2) / 2)
    p = np.clip(_expected(values, 2), 1e-12, None)
    return float(-row @ (target * np.log(p)).sum(1))


def strengths(z: np.ndarray, target: np.ndarray, mix: float) -> np.ndarray:
    """Return strengths from the one that leaves no weight down to a hundredth of it."""
    row = _row_weights(target)
    middle = (row @ target) if target.shape[1] == 1 else np.full(target.shape[1], 1.0)
    middle = middle if target.shape[1] == 1 else middle / target.shape[1]
    top = np.abs(z.T @ ((middle - target) * row[:, None])).max(initial=1e-6) / max(mix, 0.1)
    return top * np.geomspace(1, LOWEST, STRENGTHS)


def inner_folds(strata: np.ndarray, count: int = 5) -> list[np.ndarray]:
    """Return the held-out rows of each inner fold: contiguous stretches, class by class.

    Rows of one subject lie together, so they stay together.

    Examples
    --------
    >>> [rows.tolist() for rows in inner_folds(np.array([0, 0, 1, 1]), 2)]
    [[0, 2], [1, 3]]
    """
    fold = np.zeros(len(strata), int)
    for value in np.unique(strata):
        rows = np.flatnonzero(strata == value)
        fold[rows] = np.arange(len(rows)) * count // len(rows)
    return [rows for k in range(count) if len(rows := np.flatnonzero(fold == k))]


def choose_penalty(z: np.ndarray, target: np.ndarray, mixes: Sequence[float]) -> Fit:
    """Fit with the mix and the strength that have the least loss over inner folds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(60, 5))
    >>> weights, _ = choose_penalty(z, z[:, :1] + 0.1 * rng.normal(size=(60, 1)), (0.5, 1.0))
    >>> int(np.abs(weights[:, 0]).argmax())
    0
    """
    strata = target.argmax(1) if target.shape[1] > 1 else np.zeros(len(target), int)
    folds = inner_folds(strata)
    tried: list[tuple[float, float, float]] = []
    for mix in mixes:
        path = strengths(z, target, mix)
        losses = np.zeros(len(path))
        for held in folds:
            rest = np.setdiff1d(np.arange(len(z)), held)
            losses += len(held) * _losses_along(z, target, rest, held, path, mix)
        best = int(losses.argmin())
        tried.append((float(losses[best]), mix, float(path[best])))
    _, mix, strength = min(tried)
    return fit_elastic(z, target, strength, mix, steps=4 * STEPS)


def _losses_along(
    z: np.ndarray,
    target: np.ndarray,
    rest: np.ndarray,
    held: np.ndarray,
    path: np.ndarray,
    mix: float,
) -> np.ndarray:
    """Losses of held-out rows from strong to weak; each fit begins where the last one ended."""
    fit, losses = None, []
    for strength in path:
        fit = fit_elastic(z[rest], target[rest], float(strength), mix, fit, ROUGH_STEPS, ROUGH)
        losses.append(loss_of(z[held], target[held], fit))
    return np.array(losses)
