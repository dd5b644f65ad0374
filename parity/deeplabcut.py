"""DeepLabCut: a project as it is, from labelled frames to tracks its own reader opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from neuroloom.core.files import read_json
from neuroloom.core.run import Run
from neuroloom.io.labels import read_labels, write_labels
from parity.harness import Check, minutes, spent
from parity.studies import scratch, study

TOOL = "DeepLabCut"
LATER = ("img008*", "img009*")
FRAMES = "openfield: frames 0 to 79, judged on 80 to 99, from scratch"


def openfield(data: Path, budget: str | None = None) -> Run:
    """Return the run on the first 80 labelled frames."""
    project = data / "pose" / "dlc-openfield"
    return study("pose.estimate", project, test=LATER, budget=budget or minutes(10))


def value(run: Run, metric: str) -> float:
    """Return a metric of a run."""
    return float(read_json(run.folder / "metrics.json")[metric]["value"])


def mean_error(data: Path) -> float:
    """Return the mean distance from the labelled to the found point, px."""
    return value(openfield(data), "mean_error_px")


def within_five(data: Path) -> float:
    """Return the share of points within 5 px."""
    return value(openfield(data), "pck@5")


def five_folds(data: Path) -> Run:
    """Return the run over five folds of twenty neighbouring frames."""
    project = data / "pose" / "dlc-openfield"
    return study("pose.estimate", project, folds=5, budget=minutes(5))


def in_five_folds(data: Path) -> float:
    """Return the mean error over five folds of twenty neighbouring frames, px."""
    return value(five_folds(data), "mean_error_px")


def from_expected(run: Run) -> float:
    """Return how far the slope of real over expected errors lies from 1."""
    return abs(value(run, "expectation_slope") - 1)


def mirrored(data: Path) -> Run:
    """Return the run on the mirror mouse, judged on its last ten labelled frames."""
    project = data / "pose" / "lp-mirror-mouse"
    last = [str(Path(name).name) for name in read_labels(project).frames["image"].iloc[-10:]]
    return study("pose.estimate", project, test=last, budget=minutes(10))


def frames_opened(data: Path) -> float:
    """Return the frames of a video whose tracks pandas opens as DeepLabCut's table."""
    out = scratch() / "openfield-tracks"
    video = data / "pose" / "dlc-openfield" / "videos" / "m3v1_first1000.mp4"
    if not out.exists():
        openfield(data).predict(video, out=out)
    table = pd.read_hdf(out / f"{video.stem}.h5")
    assert isinstance(table.columns, pd.MultiIndex)
    whole = list(table.columns.names) == ["scorer", "bodyparts", "coords"]
    return len(table) if whole and np.isfinite(table.to_numpy()).all() else 0


def round_trip(data: Path) -> float:
    """Return the largest change of a coordinate after writing and reading the project, px."""
    labels = read_labels(data / "pose" / "dlc-openfield")
    folder = scratch() / "openfield-again"
    write_labels(labels, folder)
    again = read_labels(folder)
    theirs = pd.read_csv(next(folder.rglob("CollectedData_*.csv")), header=[0, 1, 2], index_col=0)
    off = np.abs(theirs.to_numpy(float).reshape(labels.points.shape) - labels.points).max()
    return float(max(off, np.abs(again.points - labels.points).max()))


MOUSE = "mirror mouse of Lightning Pose, seen twice: the last 10 of its frames"
CHECKS = [
    Check(TOOL, "mean error on later frames, px (DeepLabCut 3 with ImageNet: 2.01; a human: 2.69)",
          "<= 2.4", mean_error, f"{FRAMES}; {spent(10)}"),
    Check(TOOL, "share of points within 5 px on later frames", ">= 0.94", within_five,
          f"{FRAMES}; {spent(10)}"),
    Check(TOOL, "mean error over five folds of neighbouring frames, px", "<= 2.6", in_five_folds,
          f"openfield, 100 frames; {spent(5)} in all"),
    Check(TOOL, "slope of real over expected error over the five folds: how far from 1", "<= 0.15",
          lambda data: from_expected(five_folds(data)),
          f"openfield, 100 frames; {spent(5)} in all"),
    Check(TOOL, "mean error where paws and views are easily taken for each other, px", "<= 9",
          lambda data: value(mirrored(data), "mean_error_px"), f"{MOUSE}; {spent(10)}"),
    Check(TOOL, "median error there, px (labels of the two views differ by as much)", "<= 2.2",
          lambda data: value(mirrored(data), "median_error_px"), f"{MOUSE}; {spent(10)}"),
    Check(TOOL, "share of points within 5 px there", ">= 0.85",
          lambda data: value(mirrored(data), "pck@5"), f"{MOUSE}; {spent(10)}"),
    Check(TOOL, "frames of a video whose tracks pandas opens as DeepLabCut's table", "== 1000",
          frames_opened, "openfield, m3v1_first1000.mp4"),
    Check(TOOL, "largest change of a label after writing and reading the project, px", "<= 1e-9",
          round_trip, "openfield"),
]  # fmt: skip
