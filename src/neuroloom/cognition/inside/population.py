"""What a population does: trajectories in few dimensions, tuning of units, axes of variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MOST_LEVELS = 12


@dataclass(frozen=True)
class Trajectories:
    """Mean paths of a population in the space of its principal components.

    Attributes
    ----------
    paths
        Shape (condition, time, component).
    labels
        One a condition.
    axes
        Shape (component, unit): the components.
    centre
        Shape (unit,): what was subtracted.
    explained
        Share of the variance of the mean paths that each component holds, (component,).
    """

    paths: np.ndarray
    labels: tuple[str, ...]
    axes: np.ndarray
    centre: np.ndarray
    explained: np.ndarray

    def project(self, states: np.ndarray) -> np.ndarray:
        """Return other states, (…, unit), in the same space, (…, component)."""
        return (states - self.centre) @ self.axes.T


def trajectories(
    rates: np.ndarray, groups: np.ndarray, labels: Sequence[str], components: int = 3
) -> Trajectories:
    """Return the mean path of each group of trials in principal components.

    Parameters
    ----------
    rates
        Shape (time, trial, unit).
    groups
        Shape (trial,): number of the group, from 0.
    labels
        One a group.

    Examples
    --------
    >>> found = trajectories(np.random.default_rng(0).random((9, 8, 5)), np.arange(8) % 2, "ab")
    >>> found.paths.shape
    (2, 9, 3)
    """
    means = np.stack([rates[:, groups == k].mean(1) for k in range(len(labels))])
    flat = means.reshape(-1, means.shape[-1])
    centre = flat.mean(0)
    _, size, axes = np.linalg.svd(flat - centre, full_matrices=False)
    shares = size**2 / max(float((size**2).sum()), 1e-12)
    axes = axes[:components]
    # A sign that does not depend on the library: the heaviest unit of an axis is positive.
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]
    return Trajectories((means - centre) @ axes.T, tuple(labels), axes, centre, shares[:components])


def group_trials(
    conditions: Mapping[str, np.ndarray], names: Sequence[str] = ()
) -> tuple[np.ndarray, list[str]]:
    """Return the group of each trial by the values of conditions, and a label a group.

    Parameters
    ----------
    names
        Those that divide; default: all of few values that do not lead to more than 12 groups.

    Examples
    --------
    >>> groups, labels = group_trials({"side": np.array([0, 1, 0])})
    >>> groups.tolist(), labels
    ([0, 1, 0], ['side 0', 'side 1'])
    """
    chosen = list(names) or _few(conditions)
    if not chosen:
        return np.zeros(len(next(iter(conditions.values()))), int), ["all"]
    values = np.stack([np.asarray(conditions[name], float) for name in chosen], 1)
    levels, groups = np.unique(values, axis=0, return_inverse=True)
    labels = [", ".join(f"{n} {v:g}" for n, v in zip(chosen, row, strict=True)) for row in levels]
    return groups.ravel(), labels


def _few(conditions: Mapping[str, np.ndarray]) -> list[str]:
    chosen: list[str] = []
    for name in sorted(conditions, key=lambda n: (len(np.unique(conditions[n])), n)):
        if len(np.unique(conditions[name])) < 2:
            continue
        values = np.stack([np.asarray(conditions[n], float) for n in [*chosen, name]], 1)
        if len(np.unique(values, axis=0)) <= MOST_LEVELS:
            chosen.append(name)
    return chosen


def regression_axes(
    rates: np.ndarray, variables: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the direction in which each variable moves the population (Mante et al. 2013).

    Each unit is z-scored and regressed on all variables at each time; a variable's axis is its
    vector of coefficients at the time at which it is longest.

    Parameters
    ----------
    rates
        Shape (time, trial, unit).
    variables
        Name -> (trial,) values; they are z-scored.

    Returns
    -------
    axes, cosines
        Name -> (unit,) of length 1; and the cosines between axes, (variable, variable).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 400))
    >>> rates = np.stack([a, b, a], 1)[None] + rng.normal(size=(1, 400, 3)) / 10
    >>> axes, cosines = regression_axes(rates, {"a": a, "b": b})
    >>> bool(abs(cosines[0, 1]) < 0.1)
    True
    """
    steps, trials, units = rates.shape
    spread = rates.std((0, 1))
    scaled = (rates - rates.mean((0, 1))) / np.where(spread > 1e-9, spread, np.inf)
    columns = [_standard(np.asarray(values, float)) for values in variables.values()]
    design = np.stack([*columns, np.ones(trials)], 1)
    solved = np.linalg.pinv(design) @ scaled.transpose(1, 0, 2).reshape(trials, -1)
    paths = solved[:-1].reshape(len(columns), steps, units)
    axes = {}
    for name, path in zip(variables, paths, strict=True):
        vector = path[np.linalg.norm(path, axis=1).argmax()]
        axes[name] = vector / max(float(np.linalg.norm(vector)), 1e-12)
    matrix = np.stack(list(axes.values()))
    return axes, matrix @ matrix.T


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def selectivity(rates: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return d' of each unit between two groups of trials, (unit,), from rates (trial, unit).

    Examples
    --------
    >>> selectivity(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])).tolist()
    [8.0]
    """
    one, two = rates[groups == 0], rates[groups == 1]
    spread = np.sqrt((one.var(0) + two.var(0)) / 2)
    return (two.mean(0) - one.mean(0)) / np.where(spread > 1e-9, spread, np.inf)


def tuning(rates: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean rate of each unit at each value of a condition, (value, unit), and values.

    Examples
    --------
    >>> tuning(np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 1]))[0].tolist()
    [[2.0], [5.0]]
    """
    levels = np.unique(values)
    return np.stack([rates[values == level].mean(0) for level in levels]), levels


def task_variance(rates: Sequence[np.ndarray]) -> np.ndarray:
    """Return the variance of each unit over conditions, mean over time, (task, unit).

    Yang et al. 2019 cluster units by it, after dividing each by its largest.

    Parameters
    ----------
    rates
        One (time, trial, unit) a task, without noise.
    """
    return np.stack([own.var(1).mean(0) for own in rates])
