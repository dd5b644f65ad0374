"""Small recordings with a planted difference, for the tests of studies."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.dataset import Dataset
from neuroloom.core.recording import signal
from neuroloom.io.recordings.annotated import write_annotated
from neuroloom.signals.simulate import write_edf

CHANNELS = ("C3", "Cz", "C4", "FC3", "CP4", "Oz")
RATE = 128.0
FIELDS: dict[str, Any] = {"start": 0.0, "stop": 1.0, "split": "run", "budget": "3 epochs"}
HUMS = {"left": "C4", "right": "C3"}


def recording(
    seed: int,
    trials: int = 16,
    effect: float = 12.0,
    channels: Sequence[str] = CHANNELS,
    rate: float = RATE,
    labels: Sequence[str] = ("left", "right"),
) -> Any:
    """Noise of 10 µV; in a trial of 1 s, every 2 s, an 11 Hz hum of `effect` µV by class."""
    rng = np.random.default_rng(seed)
    data = rng.normal(0, 10, (len(channels), round((2 * trials + 2) * rate)))
    order = rng.permutation(np.tile(labels, trials)[:trials])
    onsets = 1.0 + 2.0 * np.arange(trials)
    hum = effect * np.sin(2 * np.pi * 11 * np.arange(round(rate)) / rate)
    for onset, label in zip(onsets, order, strict=True):
        first = round(onset * rate)
        if HUMS.get(label) in channels:
            data[list(channels).index(HUMS[label]), first : first + len(hum)] += hum
    marks = pd.DataFrame({"onset": onsets, "duration": 1.0, "label": order})
    return signal(data * 1e-6, channels, rate, annotations=marks)


def write(made: Any, path: Path) -> Path:
    """Write a recording as EDF or FIF, by the suffix of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".fif":
        return write_annotated(made, made.attrs["annotations"], path)
    return write_edf(made, path)


def write_runs(
    folder: Path, subjects: int = 1, runs: int = 3, suffix: str = ".edf", **more: Any
) -> Path:
    """Write sub-<s>_run-<r>_eeg files and return their folder."""
    for s in range(subjects):
        for r in range(runs):
            name = f"sub-{s + 1}_run-{r + 1}_eeg{suffix}"
            write(recording(10 * s + r, **more), folder / name)
    return folder


def table(
    subjects: Sequence[str] = ("A",),
    sessions: Sequence[str] = ("1",),
    runs: Sequence[str] = ("1", "2"),
    trials: int = 4,
    spacing: float = 5.0,
) -> pd.DataFrame:
    """Rows of a dataset: trials of 2 s, classes in turn."""
    rows = [
        {
            "path": f"{s}_{t}_{r}.edf", "subject": s, "session": t, "run": r,
            "onset": k * spacing, "stop": k * spacing + 2.0, "label": "xy"[k % 2],
        }
        for s in subjects for t in sessions for r in runs for k in range(trials)
    ]  # fmt: skip
    found = pd.DataFrame(rows)
    found.insert(0, "name", found["path"] + "@" + found["onset"].map("{:.3f}".format))
    return found


def dataset(rows: pd.DataFrame, task: str = "classification") -> Dataset:
    """A dataset of those rows, its samples all noise."""
    x = np.random.default_rng(0).normal(size=(len(rows), 2, 10)).astype(np.float32)
    classes = sorted(rows["label"].dropna().unique()) if task == "classification" else []
    return Dataset(rows, x, task, classes)


@contextmanager
def no_report() -> Iterator[None]:
    """Leave out figures and report, which take most of the time of a small run."""
    from neuroloom.signals import Decode

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decode, "illustrate", lambda *_: None)
        patch.setattr(Decode, "report", lambda _, run: run.folder / "report.html")
        yield


@contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """Make a folder on a file system of that many KiB; only root may."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
    if os.name != "posix" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
