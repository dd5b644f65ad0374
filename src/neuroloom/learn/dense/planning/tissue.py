"""A plan for images of tissue: as coarse as the labels bear, square patches, small steps.

Pixels of microscopes are often many times finer than what is drawn on them. A net that sees every
second pixel sees four times the surroundings in the same time, which is what tells a mitochondrion
from a myelin sheath; what the labels lose by it is measured, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.dense.measures.overlap import counts_of, dice
from neuroloom.learn.dense.planning.denseplan import DensePlan, widths
from neuroloom.learn.dense.planning.resample import new_shape, resample_label

ZOOMS = (2.0, 1.5)
LOOKED_AT = 4  # cases, and slices of a volume
EDGE = 128  # of a patch, in pixels as the net sees them
BATCH = 4
LEAST_EDGE = 96  # of the smallest image, after zooming out
SMALLEST = 8  # pixels of an edge in the last stage
LARGEST_FACTOR = 8  # of the features: what is wider costs more to update than to compute


def kept_share(label: NDArray[np.integer], zoom: float, values: Sequence[int]) -> float:
    """Return the Dice of the worst class after a label was made coarser and fine again.

    Parameters
    ----------
    label
        (y, x).
    zoom
        How many times coarser.
    values
        Classes to look at; one that the label lacks does not count.

    Examples
    --------
    >>> line = np.zeros((40, 40), int)
    >>> line[:, 20] = 1
    >>> kept_share(line, 3.0, [1]) < 0.7 < kept_share(np.eye(2, dtype=int).repeat(20, 0), 1.0, [1])
    True
    """
    fine, coarse = (1.0, 1.0), (zoom, zoom)
    small = resample_label(label, new_shape(label.shape, fine, coarse), fine, coarse)
    back = resample_label(small, label.shape, coarse, fine)
    there = {str(value): value for value in values if (label == value).any()}
    if not there:
        return 1.0
    return float(np.nanmin(dice(*counts_of(label, back, there))))


def zoom_out(labels: Iterable[NDArray[np.integer]], values: Sequence[int], least: float) -> float:
    """Return how many times coarser pixels may be so that every class keeps a Dice of `least`.

    Examples
    --------
    >>> y, x = np.mgrid[:400, :400]
    >>> disc = (np.hypot(y - 200, x - 200) < 90).astype(int)
    >>> zoom_out([disc], [1], 0.95), zoom_out([disc], [1], 1.0)
    (2.0, 1.0)
    """
    planes = [plane for label in labels for plane in _planes(label)]
    for zoom in ZOOMS:
        if min(min(plane.shape) for plane in planes) < LEAST_EDGE * zoom:
            continue
        kept = (kept_share(plane, zoom, values) for plane in planes)
        if all(share >= least for share in kept):
            return zoom
    return 1.0


def _planes(label: NDArray[np.integer]) -> list[NDArray[np.integer]]:
    """Return the label itself, or of a volume the slices that hold most."""
    if label.ndim == 2:
        return [label]
    most = np.argsort([(plane > 0).sum() for plane in label])[::-1]
    return [label[row] for row in most[:LOOKED_AT]]


def plan_tissue(made: DensePlan, labels: Sequence[Any], least: float) -> DensePlan:
    """Return the plan with pixels as coarse as the labels bear, and on a CPU with small patches.

    Parameters
    ----------
    made
        A plan of two axes.
    labels
        Some labels (*axes) at the spacing of the plan, slices along the first axis.
    least
        The Dice that every class must keep; 1: pixels stay as they are.
    """
    values = [value for value in made.classes if value not in (0, made.ignore)]
    zoom = zoom_out(labels, values, least) if labels and least < 1 else 1.0
    spacing = tuple(zoom * s for s in made.spacing)
    why = f"{zoom:g} times the files' pixels: every class keeps a Dice of {least:g} or more"
    reasons = dict(made.reasons) | ({"spacing": why} if zoom > 1 else {})
    median = tuple(n / zoom for n in made.median_shape)
    keys: dict[str, Any] = {"spacing": spacing, "median_shape": median}
    if made.device == "cpu":
        keys |= small_steps(made.features[0], median, next(iter(made.decoder_blocks), 2))
        reasons["patch"] = f"squares of {keys['patch'][0]} pixels on a CPU: many steps"
    return made.override(**keys, reasons=reasons)


def small_steps(base: int, median: Sequence[float], decoder: int = 2) -> dict[str, Any]:
    """Return the keys of a plan whose steps are short on a CPU.

    Parameters
    ----------
    base
        Channels of the finest stage.
    median
        Shape of the median image, pixels.
    decoder
        Convolutions a stage of the decoder, which residual encoders have one of.

    Examples
    --------
    >>> keys = small_steps(16, (600.0, 500.0))
    >>> keys["patch"], keys["features"]
    ((128, 128), (16, 32, 64, 128, 128))
    """
    edge = EDGE
    while edge > 32 and edge > min(median):
        edge //= 2
    depth = int(np.log2(edge / SMALLEST)) + 1
    return {
        "patch": (edge, edge),
        "batch": BATCH * (EDGE // edge) ** 2 if edge < EDGE else BATCH,
        "strides": ((1, 1), *[(2, 2)] * (depth - 1)),
        "kernels": ((3, 3),) * depth,
        "features": widths(base, depth, 2, LARGEST_FACTOR * base),
        "blocks": (2,) * depth,
        "decoder_blocks": (decoder,) * (depth - 1),
    }
