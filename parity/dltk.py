"""DLTK: a convolutional autoencoder and super-resolution of volumes."""

from __future__ import annotations

from pathlib import Path

from neuroloom.core.files import read_json
from parity.harness import Check
from parity.studies import study

TOOL = "DLTK"
DATA = "MSD hippocampus, 208 cases, one fifth held out"


def metrics(data: Path, kind: str, budget: str) -> dict[str, dict[str, float]]:
    """Return the metrics of one kind of synthesis on the hippocampus."""
    place = data / "volumes" / "msd_hippocampus"
    run = study("volumes.synthesize", place, kind=kind, budget=budget, folds=1)
    return read_json(run.folder / "metrics.json")


def reconstructed(data: Path) -> float:
    """Return the PSNR of images that came through the code, dB."""
    return metrics(data, "autoencoder", "3min")["psnr"]["value"]


def finer_than_cubic(data: Path) -> float:
    """Return how much nearer the finer grid is than a cubic spline's, dB."""
    psnr = metrics(data, "super-resolution", "5min")["psnr"]
    return psnr["value"] - psnr["baseline"]


CHECKS = [
    Check(TOOL, "PSNR of volumes made again from a code of an eighth, dB", ">= 25", reconstructed,
          DATA),
    Check(TOOL, "PSNR of a grid twice as fine beyond cubic interpolation, dB", ">= 1",
          finer_than_cubic, DATA),
]  # fmt: skip
