"""Pictures of dense results: cases with truth and prediction, doubt against error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.blocks import block_means
from neuroloom.learn import figures
from neuroloom.learn.dense.held_out import painted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.learn.dense.explain import Look

PLANES = ("axial", "coronal", "sagittal")
FILL = 0.42  # opacity of what is predicted
EDGE = 2000  # pixels, of what is drawn: a whole slide would fill the memory, and no page shows more


@dataclass(frozen=True)
class Plane:
    """One plane of a case as it is drawn, no edge longer than 2000 pixels.

    Attributes
    ----------
    image
        Grey values (y, x).
    labels
        Label values (y, x) of each label.
    size
        Of a pixel along y and x.
    """

    image: np.ndarray
    labels: tuple[np.ndarray, ...]
    size: tuple[float, float]


Row = tuple[Sequence[Plane], str]


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
        Planes of each case, their labels truth and prediction, and its title.
    parts, order
        As for `shades_of`. What is no part of them is not drawn.

    Examples
    --------
    >>> label = np.zeros((6, 7, 8), int)
    >>> label[2:4, 2:5, 3:6] = 1
    >>> len(overlays([(planes(label * 1.0, [label, label], (1, 1, 1)), "one")], {"cell": [1]}).axes)
    3
    """
    columns = len(rows[0][0])
    height = 1.7 if columns == 3 else 3.2
    figure, axes = figures.canvas(
        height * len(rows) + 0.4, rows=len(rows), columns=columns, squeeze=False
    )
    shades = shades_of(parts, order)
    for row, (seen, title) in zip(axes, rows, strict=True):
        for ax, plane in zip(row, seen, strict=True):
            _draw(ax, shades, plane, "lower" if columns == 3 else "upper")
        row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7)
    for column in range(columns if columns == 3 else 0):
        axes[0, column].set_title(PLANES[column], fontsize=7)
    _legend(figure, list(parts))
    return figure


def _draw(ax: Any, shades: Mapping[int, str], plane: Plane, origin: str) -> None:
    from matplotlib.colors import to_rgba

    image, (truth, found) = plane.image, plane.labels
    words = {"aspect": plane.size[0] / plane.size[1], "origin": origin}
    low, high = np.quantile(image, (0.005, 0.995))
    ax.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), **words)
    layer = np.zeros((*found.shape, 4), np.uint8)
    for value in sorted({*np.unique(found).tolist()} & {*shades}):
        layer[found == value] = np.round(255 * np.array(to_rgba(shades[value], FILL)))
    ax.imshow(layer, interpolation="nearest", **words)
    for value in sorted({*np.unique(truth).tolist()} & {*shades}):
        _outline(ax, truth == value, shades[value], 0.9)
    ax.set_xticks([])
    ax.set_yticks([])


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


def planes(
    image: np.ndarray, labels: Sequence[np.ndarray], spacing: Sequence[float]
) -> list[Plane]:
    """Return what is drawn of a case: an image as it is, a volume cut where most of its label lies.

    Where an edge is longer than 2000 pixels, whole numbers of pixels are meant along every axis,
    so that pixels are as square as they can be; labels are taken from the middle of each block.

    Parameters
    ----------
    image, labels
        Grey values, and label values, (*axes) on one grid. Volumes are cut through the first
        label; where that is empty, through the last.
    spacing
        Size of a voxel along each axis.

    Examples
    --------
    >>> one = planes(np.ones((3000, 5000)), [np.ones((3000, 5000), int)], (1.0, 1.0))[0]
    >>> one.image.shape, one.labels[0].shape, one.size
    ((1000, 1667), (1000, 1667), (3.0, 3.0))
    """
    most = [n * step / EDGE for n, step in zip(image.shape, spacing, strict=True) if n > EDGE]
    found = []
    for cut, size in cuts(labels[0], labels[-1], spacing):
        plane = Plane(image[cut], tuple(label[cut] for label in labels), size)
        found.append(_smaller(plane, max(most, default=0.0)))
    return found


def _smaller(plane: Plane, least: float) -> Plane:
    """Return a plane of its own memory whose pixels are no smaller than `least` along any axis."""
    times = [max(1, int(np.ceil(least / step - 1e-6))) for step in plane.size]
    if max(times) == 1:
        return Plane(plane.image.copy(), tuple(own.copy() for own in plane.labels), plane.size)
    starts = [np.arange(0, n, k) for n, k in zip(plane.image.shape, times, strict=True)]
    ends = zip(starts, times, plane.image.shape, strict=True)
    middles = np.ix_(*(np.minimum(own + k // 2, n - 1) for own, k, n in ends))
    size = (plane.size[0] * times[0], plane.size[1] * times[1])
    labels = tuple(label[middles] for label in plane.labels)
    return Plane(block_means(plane.image, starts), labels, size)


def only_parts(truth: np.ndarray, parts: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Return a label with 0 where it is of no class or region, such as where it was left open.

    Examples
    --------
    >>> only_parts(np.array([1, 255, 2]), {"cell": [1, 2]}).tolist()
    [1, 0, 2]
    """
    values = [value for own in parts.values() for value in own]
    return np.where(np.isin(truth, values), truth, 0)


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
    ways = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        counts = weight.sum(others)
        at = int(counts.argmax()) if counts.any() else truth.shape[axis] // 2
        cut: list[Any] = [slice(None)] * 3
        cut[axis] = at
        ways.append((tuple(cut), (float(spacing[others[0]]), float(spacing[others[1]]))))
    return ways


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
