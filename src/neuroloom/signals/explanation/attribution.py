"""How much each sensor adds to a net's score of each class, by three methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.explain import attribute, in_units_of, log_odds, sanity_check

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

STEPS = 16
NAMES = {"saliency": "Gradient", "integrated-gradients": "Int. gradients", "occlusion": "Occlusion"}


@dataclass(frozen=True)
class Attribution:
    """Shares of the sensors in the scores of a net.

    Attributes
    ----------
    maps
        Method -> shape (class, channel): mean over the trials of a class of the sensor's share in
        the score of that class; the absolute values of a trial sum to 1. Gradients have no sign.
    channels
        `channel`, `attribution` (mean share of the gradient), most first.
    verdict
        Whether the gradients depend on what was learnt, in a sentence.
    """

    maps: dict[str, np.ndarray]
    channels: pd.DataFrame
    verdict: str


def attribute_sensors(
    module: nn.Module, x: np.ndarray, y: np.ndarray, channels: Sequence[str], n_classes: int = 0
) -> Attribution:
    """Share the scores of a net out among the sensors, by class.

    Parameters
    ----------
    module
        From raw trials to log-probabilities, or numbers: `learner.as_module()`.
    x
        Trials, shape (trial, channel, time).
    y
        Class of each, whose log-odds are explained; ignored without classes.
    channels
        Names.
    n_classes
        0 for a module that returns numbers.

    Notes
    -----
    Gradients are by standard deviations of each sensor, not by volts, so that quiet sensors do not
    stand out; and of log-odds, not of probabilities, which no longer move where a net is sure.

    Examples
    --------
    >>> import torch
    >>> x = np.random.default_rng(0).normal(size=(6, 2, 9)).astype("float32")
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(18, 2))
    >>> _ = net[1].weight.data[:, 9:].zero_()
    >>> found = attribute_sensors(net, x, np.arange(6) % 2, ["C3", "C4"], 2)
    >>> found.maps["saliency"].round(2).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    import pandas as pd

    scale = np.maximum(x.std((0, 2)), 1e-30)[:, None]
    scaled, target = x / scale, y if n_classes else None
    module = in_units_of(log_odds(module) if n_classes else module, scale)
    maps, groups = {}, y if n_classes else np.zeros(len(x), int)
    for method in NAMES:
        given = attribute(module, scaled, target, method=method, steps=STEPS)
        given = np.abs(given).sum(2) if method == "saliency" else given.sum(2)
        given /= np.abs(given).sum(1, keepdims=True).clip(1e-30)
        maps[method] = _by_class(given, groups, max(n_classes, 1))
        if method == "saliency":
            shares = given.mean(0)
    table = pd.DataFrame({"channel": list(channels), "attribution": shares})
    table = table.sort_values("attribution", ascending=False, ignore_index=True)
    sanity = sanity_check(module, scaled, target, method="saliency")
    return Attribution(maps, table, sanity.verdict)


def _by_class(given: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    maps = np.zeros((count, given.shape[1]))
    for k in np.unique(groups):
        maps[k] = given[groups == k].mean(axis=0)
    return maps
