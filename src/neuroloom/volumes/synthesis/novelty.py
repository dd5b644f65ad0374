"""How like real ones images made of noise are, and whether they are more than copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.grids.baseline import features
from neuroloom.learn.scoring.scores import mean_known

if TYPE_CHECKING:
    from neuroloom.core.dataset import Dataset
    from neuroloom.core.split import Fold
    from neuroloom.learn.training.crossfit import Fitted

AXES, NEAR = 12, 0.05
Entry = dict[str, float | None]


def nearest(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Return for each real image the index of the made one that is nearest, place by place.

    Examples
    --------
    >>> nearest(np.array([[0.0], [5.0]]), np.array([[4.0], [1.0]])).tolist()
    [1, 0]
    """
    return _squared(real, made).argmin(1)


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Fréchet distance of two Gaussians with the moments of (n, feature) each.

    NaN where either has one row, which has no spread.
    Dowson & Landau 1982; on features of a net it is known as FID (Heusel et al. 2017).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet(x, x + 1.0), 6)
    3.0
    """
    if min(len(first), len(second)) < 2:
        return float("nan")
    a, b = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (first, second))
    shared = np.sqrt(np.clip(np.linalg.eigvals(a @ b).real, 0, None)).sum()
    apart = np.sum((first.mean(0) - second.mean(0)) ** 2)
    return float(apart + np.trace(a) + np.trace(b) - 2 * shared)


def copied(made: np.ndarray, learnt: np.ndarray) -> float:
    """Return the share of made images that lie nearer to a training image than real ones do.

    Nearer than all but a twentieth of the training images lie to their own nearest neighbour: of
    new real images a twentieth would count, of copies all.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(40, 5))
    >>> copied(x, x)
    1.0
    """
    among = _squared(learnt, learnt)
    np.fill_diagonal(among, np.inf)
    limit = np.quantile(among.min(1), NEAR)
    return float((_squared(made, learnt).min(1) <= limit).mean())


def novelty(dataset: Dataset, folds: list[Fold], fits: list[Fitted]) -> dict[str, Entry]:
    """Return `frechet` and `copied` over the folds, beside what real images of the training give.

    Features are principal scores of coarse voxels and quantiles, fixed by the training images of
    the fold, each with SD 1. Folds with one image on either side are left out of `frechet`, and
    those that learn from one of `copied`; None where no fold is left.
    """
    values: dict[str, list[float]] = {"frechet": [], "real": [], "copied": []}
    for fit in fits:
        if fit.job.fold < 0:
            continue
        fold = folds[fit.job.fold]
        learnt, unseen = np.asarray(dataset.x[fold.train]), np.asarray(dataset.x[fold.test])
        if len(learnt) < 2:
            continue
        made = np.asarray(fit.scores)
        scores = [_scores(features(learnt), features(one)) for one in (learnt, unseen, made)]
        values["real"].append(frechet(scores[0], scores[1]))
        values["frechet"].append(frechet(scores[2], scores[1]))
        values["copied"].append(copied(made, learnt))
    mean = {name: _or_none(mean_known(found)) for name, found in values.items()}
    rest: Entry = {"low": None, "high": None}
    return {
        "frechet": {"value": mean["frechet"], **rest, "baseline": mean["real"], "chance": None},
        "copied": {"value": mean["copied"], **rest, "baseline": None, "chance": NEAR},
    }


def lonely(folds: list[Fold]) -> list[Fold]:
    """Return the folds with one image to learn from or to be judged on: it has no spread."""
    return [fold for fold in folds if len(fold.test) and min(len(fold.train), len(fold.test)) < 2]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _scores(learnt: np.ndarray, others: np.ndarray) -> np.ndarray:
    middle = learnt.mean(0)
    _, sizes, axes = np.linalg.svd(learnt - middle, full_matrices=False)
    count = min(AXES, max(1, len(learnt) // 4))
    spread = np.maximum(sizes[:count] / np.sqrt(len(learnt)), 1e-9)
    return (others - middle) @ axes[:count].T / spread


def _squared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (first, second))
    both = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.maximum(both, 0.0)
