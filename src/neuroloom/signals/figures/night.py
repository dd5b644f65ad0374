"""Figures of scored sleep: the hypnogram, true and predicted, and its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import CLASSES, INK, MODEL, canvas, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TRUE = CLASSES[1]
# From wake on top to deep sleep below, as hypnograms are drawn.
ORDER = ("W", "R", "N1", "N2", "N3")
TINTS = {"W": "#e69f00", "R": "#d55e00", "N1": "#56b4e9", "N2": "#0072b2", "N3": "#1b2a49"}


def drawn_order(classes: Sequence[str]) -> list[str]:
    """Return the classes from the top of a hypnogram down.

    Examples
    --------
    >>> drawn_order(["N2", "W", "N3", "other"])
    ['W', 'N2', 'N3', 'other']
    """
    known = [name for name in ORDER if name in classes]
    return known + [name for name in classes if name not in known]


@styled
def hypnograms(nights: Sequence[tuple[str, pd.DataFrame]], classes: Sequence[str]) -> Figure:
    """Draw true and predicted stages of recordings, and below the probability of each stage.

    Parameters
    ----------
    nights
        Title and epochs of each: onset and stop (s), y_true, y_pred, p_<class>.
    classes
        Names of the stages.
    """
    order = drawn_order(classes)
    height = {name: -k for k, name in enumerate(order)}
    figure, axes = canvas(2.6 * len(nights), rows=2 * len(nights), squeeze=False,
                          height_ratios=[3, 2] * len(nights))  # fmt: skip
    for k, (title, night) in enumerate(nights):
        steps, below = axes[2 * k, 0], axes[2 * k + 1, 0]
        minutes = night["onset"].to_numpy(float) / 60
        long = minutes[-1] - minutes[0] > 180
        minutes = minutes / 60 if long else minutes
        line = {"where": "post", "solid_capstyle": "butt"}
        true = night["y_true"].map(height).to_numpy(float)
        mine = night["y_pred"].map(height).to_numpy(float)
        steps.step(minutes, true, color=TRUE, lw=2.4, label="true" if k == 0 else "", **line)
        steps.step(minutes, mine, color=INK, lw=0.9, label="predicted" if k == 0 else "", **line)
        steps.set_yticks([height[name] for name in order], order)
        steps.set_title(title, loc="left")
        steps.tick_params(labelbottom=False)
        shares = [night[f"p_{name}"].to_numpy(float) for name in order[::-1]]
        tints = [TINTS.get(name, MODEL) for name in order[::-1]]
        below.stackplot(minutes, shares, colors=tints, step="post", linewidth=0)
        below.set(ylim=(0, 1), yticks=[0, 1], ylabel="p")
        for panel in (steps, below):
            panel.set_xlim(minutes[0], minutes[-1])
    axes[-1, 0].set_xlabel("Time (h)" if long else "Time (min)")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def gaps_filled(night: pd.DataFrame, epoch: float) -> pd.DataFrame:
    """Return the epochs of a recording with those that nobody scored as empty rows.

    Examples
    --------
    >>> import pandas as pd
    >>> night = pd.DataFrame({"onset": [0.0, 60.0], "y_true": ["W", "N1"]})
    >>> gaps_filled(night, 30.0)["onset"].tolist()
    [0.0, 30.0, 60.0]
    """
    at = np.round((night["onset"] - night["onset"].iloc[0]) / epoch).astype(int)
    wide = night.assign(at=at).set_index("at").reindex(range(int(at.iloc[-1]) + 1))
    wide["onset"] = night["onset"].iloc[0] + epoch * np.arange(len(wide))
    return wide.reset_index(drop=True)
