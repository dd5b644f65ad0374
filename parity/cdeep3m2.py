"""CDeep3M2: electron microscopy from a few labelled sections, seen from sixteen sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from parity.crops import score
from parity.harness import Check, spent

TOOL = "CDeep3M2"
MITO = f"its own SBEM sample: two sections to learn from, two others; {spent(5)}"
CORD = f"fly nerve cord, ssTEM: left 512 columns of five sections, then the right 448; {spent(5)}"


def worst_view(data: Path) -> float:
    """Return the largest error of a stack seen from sixteen sides by a net that changes nothing."""
    from neuroloom.learn.dense.apply.views import predict_views

    volume = np.random.default_rng(0).random((1, 5, 12, 9)).astype(np.float32)

    def middle(slabs: np.ndarray) -> np.ndarray:
        return slabs[:, slabs.shape[1] // 2][:, None]

    gaps = [
        np.abs(predict_views(middle, volume, "sixteen", thickness=thick) - volume).max()
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
    Check(TOOL, "largest error of sixteen views of 1, 3 and 5 sections merged", "<= 1e-6",
          worst_view),
]  # fmt: skip
