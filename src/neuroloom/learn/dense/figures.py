"""Pictures of dense results: cases with truth and prediction, doubt against error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn import figures
from neuroloom.learn.dense.held_out import painted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.learn.dense.explain import Look

PLANES = ("axial", "coronal", "sagittal")
Row = tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[float], str]


def shades_of(parts: Mapping[str, Sequence[int]], order: Sequence[int] = ()) -> dict[int, str]:
    """Return label value -> colour: that of its class, or of the narrowest region that it is in.

    Parameters
    ----------
    parts
        Name of a class or region -> its label values; the colours follow their order.
    order
        The value that each region is painted with; empty: as `held_out.painted` has it.

    Examples
    --------
    >>> shades_of({"core": [2], "whole": [1, 2, 4]}) == {
    ...     2: figures.colour(0), 1: figures.colour(1), 4: figures.colour(1)}
    True
    """
    drawn = list(enumerate(order)) if order else painted(dict(parts))
    values = list(parts.values())
    within = {value: figures.colour(place) for place, _ in drawn for value in values[place]}
    return within | {value: figures.colour(place) for place, value in drawn}


@figures.styled
def overlays(
    rows: Sequence[Row], parts: Mapping[str, Sequence[int]], order: Sequence[int] = ()
) -> Figure:
    """Draw cases one below the other, a volume in three planes.

    Parameters
    ----------
    rows
        Image (*axes), truth, prediction (*axes), spacing and title of each.
    parts, order
        As for `shades_of`. What is no part of them, such as a label left open, is not drawn.

    Examples
    --------
    >>> label = np.zeros((6, 7, 8), int)
    >>> label[2:4, 2:5, 3:6] = 1
    >>> len(overlays([(label * 1.0, label, label, (1, 1, 1), "one")], {"cell": [1]}).axes)
    3
    """
    columns = 3 if rows[0][0].ndim == 3 else 1
    height = 1.7 if columns == 3 else 3.2
    figure, axes = figures.canvas(
        height * len(rows) + 0.4, rows=len(rows), columns=columns, squeeze=False
    )
    shades = shades_of(parts, order)
    for row, own in zip(axes, rows, strict=True):
        _draw(row, shades, *own)
    for column in range(columns if columns == 3 else 0):
        axes[0, column].set_title(PLANES[column], fontsize=7)
    _legend(figure, list(parts))
    return figure


def _draw(
    axes: Any,
    shades: Mapping[int, str],
    image: np.ndarray,
    truth: np.ndarray,
    found: np.ndarray,
    spacing: Sequence[float],
    title: str,
) -> None:
    truth = np.where(np.isin(truth, list(shades)), truth, 0)
    there = {*np.unique(truth).tolist(), *np.unique(found).tolist()}
    for column, (cut, size) in enumerate(cuts(truth, found, spacing)):
        ax, words = axes[column], {"origin": "lower" if image.ndim == 3 else "upper"}
        low, high = np.quantile(image[cut], (0.005, 0.995))
        ax.imshow(image[cut], cmap="gray", vmin=low, vmax=max(high, low + 1e-6),
                  aspect=size[0] / size[1], **words)  # fmt: skip
        for value in sorted(there & {*shades}):
            shade = shades[value]
            _fill(ax, found[cut] == value, shade, size, words)
            _outline(ax, truth[cut] == value, shade, 0.9)
        ax.set_xticks([])
        ax.set_yticks([])
    axes[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7)


def _fill(ax: Any, mask: np.ndarray, shade: str, size: Sequence[float], words: Any) -> None:
    from matplotlib.colors import to_rgb

    layer = np.zeros((*mask.shape, 4))
    layer[mask] = (*to_rgb(shade), 0.42)
    ax.imshow(layer, aspect=size[0] / size[1], interpolation="nearest", **words)


def _outline(ax: Any, mask: np.ndarray, shade: str, width: float) -> None:
    """Draw the border of a mask; a plane across a single slice is a line and has none."""
    if min(mask.shape) > 1 and mask.any() and not mask.all():
        ax.contour(mask, levels=[0.5], colors=[shade], linewidths=width)


@figures.styled
def slopes(rows: Sequence[tuple[str, Look]]) -> Figure:
    """Draw what structures draw on, one below the other: image, slope, outline.

    Examples
    --------
    >>> from neuroloom.learn.dense.explain import Look
    >>> mask = np.zeros((6, 7), bool)
    >>> mask[2:4, 2:5] = True
    >>> one = Look("a", "cell", mask * 1.0, mask, mask * 1.0, mask * 1.0, (1.0, 1.0))
    >>> len(slopes([("a", one)]).axes)
    1
    """
    columns = 3 if rows[0][1].image.ndim == 3 else 1
    height = 1.7 if columns == 3 else 3.2
    figure, axes = figures.canvas(
        height * len(rows) + 0.2, rows=len(rows), columns=columns, squeeze=False
    )
    for row, (title, look) in zip(axes, rows, strict=True):
        top = max(float(np.quantile(look.slope, 0.998)), 1e-12)
        for ax, (cut, size) in zip(row, cuts(look.mask, look.mask, look.spacing), strict=True):
            words = {"origin": "lower" if look.image.ndim == 3 else "upper"}
            shape: dict[str, Any] = {"aspect": size[0] / size[1], **words}
            ax.imshow(look.image[cut], cmap="gray", **shape)
            heat = np.clip(look.slope[cut] / top, 0, 1)
            ax.imshow(heat, cmap="inferno", alpha=0.85 * np.sqrt(heat), vmin=0, vmax=1, **shape)
            _outline(ax, look.mask[cut], "white", 0.7)
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7)
    return figure


def cuts(
    truth: np.ndarray, found: np.ndarray, spacing: Sequence[float]
) -> list[tuple[tuple[Any, ...], tuple[float, float]]]:
    """Return the index of each plane, through most of the labels, and the size of its pixels.

    Examples
    --------
    >>> cuts(np.eye(3), np.eye(3), (1.0, 2.0))
    [((slice(None, None, None), slice(None, None, None)), (1.0, 2.0))]
    """
    if truth.ndim == 2:
        return [((slice(None), slice(None)), (float(spacing[0]), float(spacing[1])))]
    weight = truth > 0 if (truth > 0).any() else found > 0
    planes = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        counts = weight.sum(others)
        at = int(counts.argmax()) if counts.any() else truth.shape[axis] // 2
        cut: list[Any] = [slice(None)] * 3
        cut[axis] = at
        planes.append((tuple(cut), (float(spacing[others[0]]), float(spacing[others[1]]))))
    return planes


def _legend(figure: Figure, names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    most = len(figures.CLASSES)
    shown = [Patch(color=figures.colour(k), label=name) for k, name in enumerate(names[:most])]
    if len(names) > most:
        others = f"{len(names) - most} more in these colours"
        shown.append(Patch(color="none", label=others))
    columns = min(len(shown), most)
    figure.legend(handles=shown, loc="outside lower center", ncols=columns, fontsize=7)


@figures.styled
def doubt_against_error(doubt: np.ndarray, dice: np.ndarray) -> Figure:
    """Draw one dot a case: how unsure the net was, and how well it did.

    Examples
    --------
    >>> len(doubt_against_error(np.array([0.1, 0.2, 0.4]), np.array([0.9, 0.8, 0.5])).axes)
    1
    """
    from scipy.stats import spearmanr

    figure, ax = figures.canvas(2.4)
    ax.scatter(doubt, dice, s=14, color=figures.colour(0), alpha=0.75, linewidths=0)
    ax.set_xlabel("mean entropy near the predicted border")
    ax.set_ylabel("Dice")
    known = np.isfinite(doubt) & np.isfinite(dice)
    if known.sum() > 3 and np.ptp(dice[known]) > 0 and np.ptp(doubt[known]) > 0:
        rho = float(spearmanr(doubt[known], dice[known]).statistic)
        ax.set_title(f"Spearman's rho {rho:.2f}", fontsize=7, loc="left")
    return figure
