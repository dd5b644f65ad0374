"""AxonDeepSeg: axons and myelin, found and measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from parity.crops import score
from parity.harness import Check, spent

TOOL = "AxonDeepSeg"
TABLE = "SEM of rat spinal cord, 244 axons: masks and table of AxonDeepSeg 5.1"
DEMO = f"its demo image, SEM of rat cord: left two thirds, then the right third; {spent(5)}"
TILTS = (0.0, 0.4, 0.8)
RATIOS = (0.4, 0.6, 0.8)


def worst_column(data: Path) -> float:
    """Return the largest relative difference from the peer's table over 18 columns and 244 rows."""
    import pandas as pd

    from neuroloom.io.images import read_image, to_array
    from neuroloom.microscopy.morphometry import morphometry

    folder = data / "microscopy" / "axon"
    axon, myelin = (to_array(read_image(folder / f"subj2_seg-{part}.png"))[0]
                    for part in ("axon", "myelin"))  # fmt: skip
    peer = pd.read_excel(folder / "subj2_axon_morphometrics.xlsx", index_col=0).astype(float)
    ours = morphometry(axon, myelin, 0.01)
    if list(ours.columns) != list(peer.columns) or len(ours) != len(peer):
        return float("inf")
    gap = np.abs(ours.astype(float).to_numpy() - peer.to_numpy())
    scale = np.maximum(np.abs(peer.to_numpy()), 1e-12)
    return float((gap / scale).max())


def g_ratio_bias(data: Path) -> float:
    """Return the largest error of the g-ratio of simulated fibres, straight and tilted."""
    from neuroloom.microscopy.morphometry import morphometry

    y, x = np.mgrid[:300, :300] - 149.3
    errors = []
    for tilt in TILTS:
        far = np.hypot((0.8 * x + 0.6 * y) * np.cos(tilt), 0.8 * y - 0.6 * x)
        for ratio in RATIOS:
            axon, fibre = far < 70 * ratio, far < 70
            for shape in ("circle", "ellipse"):
                table = morphometry(axon, fibre & ~axon, 0.1, shape)  # type: ignore[arg-type]
                errors.append(abs(table["gratio"][0] - ratio))
    return max(errors)


CHECKS = [
    Check(TOOL, "largest relative difference from its table, 18 columns, 244 axons", "<= 1e-9",
          worst_column, TABLE),
    Check(TOOL, "bias of the g-ratio of simulated fibres, tilted up to 46 degrees", "<= 0.01",
          g_ratio_bias),
    Check(TOOL, "Dice of axons in unseen tissue of one image", ">= 0.92",
          score("axon", "microscopy.axon", "dice/axon"), DEMO),
    Check(TOOL, "Dice of myelin in unseen tissue of one image", ">= 0.86",
          score("axon", "microscopy.axon", "dice/myelin"), DEMO),
    Check(TOOL, "error of the number of axons there", "<= 0.08",
          score("axon", "microscopy.axon", "count_error"), DEMO),
]  # fmt: skip
