"""DeepPoseKit: keypoints of a fly, its annotation set read as it is, places finer than cells."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from neuroloom.core.run import Run
from neuroloom.io.labels import read_labels, write_labels
from parity.deeplabcut import from_expected, value
from parity.harness import Check, minutes, spent
from parity.studies import scratch, study

TOOL = "DeepPoseKit"
FRAMES = "dpk-fly: 20 of 100 frames drawn by a fixed seed"


def annotation_set(data: Path) -> Path:
    """Return the file of the flies."""
    return data / "pose" / "dpk-fly" / "example_annotation_set.h5"


def fly(data: Path) -> Run:
    """Return the run whose test frames are drawn as the task says."""
    held_out = np.random.default_rng(0).permutation(100)[80:]
    names = read_labels(annotation_set(data)).frames["image"].astype(str)
    listed = scratch() / "flies.txt"
    listed.write_text("\n".join(names.iloc[np.sort(held_out)]))
    return study("pose.estimate", annotation_set(data), test=(str(listed),), budget=minutes(8))


def median_error(data: Path) -> float:
    """Return the median error, px."""
    return value(fly(data), "median_error_px")


def mean_error(data: Path) -> float:
    """Return the mean error, px."""
    return value(fly(data), "mean_error_px")


def within_five(data: Path) -> float:
    """Return the share of points within 5 px."""
    return value(fly(data), "pck@5")


def round_trip(data: Path) -> float:
    """Return the largest change of a point in the set that is written again, px."""
    labels = read_labels(annotation_set(data))
    folder = scratch() / "flies"
    write_labels(labels, folder)
    with h5py.File(next(folder.rglob("*.h5"))) as again, h5py.File(annotation_set(data)) as first:
        same = np.array_equal(again["images"][:], first["images"][:])
        off = np.abs(again["annotations"][:] - first["annotations"][:]).max()
    return float(off) if same else float("inf")


def finer_than_cells(data: Path) -> float:
    """Return the median error of places over that of the middles of their cells."""
    import torch

    from neuroloom.pose.nets.maps import cell_places
    from neuroloom.pose.nets.views import similarity, to_frame

    rows = fly(data).predictions
    mine = rows[(rows["role"] == "model") & rows["error_px"].notna()]
    found = mine[["x", "y"]].to_numpy(float)
    truth = mine[["true_x", "true_y"]].to_numpy(float)
    # Cells of stride 4 of the frame, as a net without places finer than them would say.
    cells = cell_places((48, 48), 4, torch.device("cpu")).numpy()
    whole = similarity(np.array([[95.5, 95.5]]), np.ones(1), np.zeros(1), (192, 192))
    middles = to_frame(whole, cells[None].astype(float))[0]
    near = middles[np.argmin(((found[:, None] - middles[None]) ** 2).sum(-1), 1)]
    coarse = np.median(np.linalg.norm(near - truth, axis=1))
    return float(np.median(np.linalg.norm(found - truth, axis=1)) / coarse)


CHECKS = [
    Check(TOOL, "median error of 32 points of a fly, px", "<= 1.3", median_error,
          f"{FRAMES}; {spent(8)}"),
    Check(TOOL, "mean error of 32 points of a fly, px", "<= 2.4", mean_error,
          f"{FRAMES}; {spent(8)}"),
    Check(TOOL, "share of points within 5 px", ">= 0.94", within_five, f"{FRAMES}; {spent(8)}"),
    Check(TOOL, "slope of real over expected error: how far from 1", "<= 0.15",
          lambda data: from_expected(fly(data)), f"{FRAMES}; {spent(8)}"),
    Check(TOOL, "median error over that of cells of four px", "<= 0.75", finer_than_cells, FRAMES),
    Check(TOOL, "largest change of a point in the annotation set written again, px", "<= 1e-9",
          round_trip, "dpk-fly"),
]  # fmt: skip
