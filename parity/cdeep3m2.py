"""CDeep3M2: electron microscopy from a few labelled sections, seen from sixteen sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuroloom.core.run import Run
from parity.crops import laid_out, score
from parity.harness import Check, minutes, spent
from parity.studies import metric, study

TOOL = "CDeep3M2"
MITO = f"its own SBEM sample: two sections to learn from, two others; {spent(5)}"
CORD = f"fly nerve cord, ssTEM: left 512 columns of five sections, then the right 448; {spent(5)}"
LEFT_OUT = f"fly nerve cord, ssTEM: each of five sections left out; {spent(25)} in all"


def left_out(data: Path) -> Run:
    """Return the run in which each of five sections is left out in turn."""
    sections = laid_out(data, "sections")[0]
    return study("microscopy.segment", sections, folds=5, budget=minutes(25))


def beyond_a_copy(data: Path) -> float:
    """Return the least Dice of membranes and mitochondria beyond a neighbour's mask copied."""
    run = left_out(data)
    return min(metric(run, f"dice/{k}") - metric(run, f"dice/{k}/copied neighbour") for k in (1, 2))


def worst_view(data: Path) -> float:
    """Return the largest error of a stack seen from sixteen sides by a net that changes nothing."""
    from neuroloom.learn.dense.apply.views import predict_views

    volume = np.random.default_rng(0).random((1, 5, 12, 9)).astype(np.float32)

    def middle(slabs: np.ndarray) -> np.ndarray:
        return slabs[:, slabs.shape[1] // 2][:, None]

    gaps = [
        np.abs(predict_views(middle, volume, "sixteen", slab=thick) - volume).max()
        for thick in (1, 3, 5)
    ]
    return float(max(gaps))


CHECKS = [
    Check(TOOL, "Dice of mitochondria in unseen sections", ">= 0.72",
          score("mitochondria", "microscopy.segment", "dice"), MITO),
    Check(TOOL, "Dice of membranes in unseen tissue", ">= 0.82",
          score("cord", "microscopy.segment", "dice/1"), CORD),
    Check(TOOL, "Dice of mitochondria in unseen tissue", ">= 0.7",
          score("cord", "microscopy.segment", "dice/2"), CORD),
    Check(TOOL, "Dice of membranes in sections left out", ">= 0.87",
          lambda data: metric(left_out(data), "dice/1"), LEFT_OUT),
    Check(TOOL, "Dice of mitochondria in sections left out", ">= 0.91",
          lambda data: metric(left_out(data), "dice/2"), LEFT_OUT),
    Check(TOOL, "least Dice there beyond the neighbouring section's mask copied", ">= 0",
          beyond_a_copy, LEFT_OUT),
    Check(TOOL, "largest error of sixteen views of 1, 3 and 5 sections merged", "<= 1e-6",
          worst_view),
]  # fmt: skip
