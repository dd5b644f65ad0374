"""SANTIA: label, detect and replace artefacts in local field potentials."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import metric, scratch, study

TOOL = "SANTIA"
RATE, SECONDS_LEARNT = 1250.0, 40.0
DATA = "LFP of a rat's CA1, 60 s at 1250 Hz, 60 artefacts put in at 0, 6, 12 and 20 dB"
CLEANED = "LFP of a rat's CA1: learnt on 40 s, 20 artefacts of 0 to 20 dB in the last 20 s"
DRAWS = 4
THETA = (6.0, 10.0)
FIELDS: dict[str, Any] = {"labels": "inject"}


def judged(data: Path) -> Run:
    """Find and replace artefacts in the trace, judged on stretches that were held out."""
    trace = np.load(data / "eeg" / "lfp" / "ca1.npy")
    return study("signals.artifacts", _file("whole", trace), **FIELDS)


def _file(name: str, trace: np.ndarray) -> Path:
    """Store a trace with what it does not say of itself; return its file."""
    folder = scratch() / "lfp"
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.npy"
    if not file.is_file():
        np.save(file, trace.reshape(1, -1))
        said = {"SamplingFrequency": RATE, "Units": "uV", "ChannelTypes": "dbs"}
        file.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
    return file


def score(name: str) -> Any:
    """Return a measure: a score of the run."""
    return lambda data: metric(judged(data), name)


def gained_over_threshold(name: str) -> Any:
    """Return a measure: how far the detector is above the threshold on the window's power."""
    return lambda data: metric(judged(data), name) - metric(judged(data), name, "baseline")


@cache
def theta_of_cleaned(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return peak (Hz) and power of theta in a trace: clean (2,), and cleaned (draw, 2)."""
    from neuroloom import io
    from neuroloom.signals.mending.contaminate import contaminate

    trace = np.load(data / "eeg" / "lfp" / "ca1.npy")
    border = round(SECONDS_LEARNT * RATE)
    learnt, clean = trace[:border], trace[border:]
    run = study("signals.artifacts", _file("learnt", learnt), **FIELDS, folds=0)
    cleaned = []
    for draw in range(DRAWS):
        dirty, _ = contaminate(clean, RATE, 20, np.random.default_rng(draw))
        out = scratch() / f"cleaned-{draw}"
        run.predict(_file(f"dirty-{draw}", dirty), out=out)
        (file,) = out.glob("*_cleaned_raw.fif")
        cleaned.append(_theta(io.read(file).values[0] * 1e6))
    return np.array(_theta(clean)), np.array(cleaned)


def _theta(trace: np.ndarray) -> tuple[float, float]:
    """Return where the spectrum peaks between 6 and 10 Hz, and the power there."""
    from scipy.signal import welch

    hertz, power = welch(trace, RATE, nperseg=round(4 * RATE))
    inside = (hertz >= THETA[0]) & (hertz <= THETA[1])
    return float(hertz[inside][power[inside].argmax()]), float(power[inside].sum())


def theta_changed(part: int) -> Any:
    """Return a measure: mean relative change of the peak (0) or the power (1) of theta."""

    def change(data: Path) -> float:
        clean, cleaned = theta_of_cleaned(data)
        return float(np.abs(cleaned[:, part] / clean[part] - 1).mean())

    return change


CHECKS = [
    Check(
        TOOL, "AUC of windows with artefacts of 6 dB or more", ">= 0.98", score("auc/from 6dB"),
        DATA,
    ),
    Check(TOOL, "AUC of windows with artefacts of 0 dB", ">= 0.9", score("auc/0dB"), DATA),
    Check(
        TOOL, "AUC at 6 dB or more beyond that of the power threshold", ">= 0",
        gained_over_threshold("auc/from 6dB"), DATA,
    ),
    Check(
        TOOL, "AUC at 0 dB beyond that of the power threshold", ">= 0",
        gained_over_threshold("auc/0dB"), DATA,
    ),
    Check(
        TOOL, "RMSE of 100-ms gaps from 1 s on both sides", "<= 0.47", score("gap_rmse"), DATA
    ),
    Check(
        TOOL, f"relative change of the frequency of theta after cleaning, mean of {DRAWS} draws",
        "<= 0.05", theta_changed(0), CLEANED,
    ),
    Check(
        TOOL, f"relative change of the power of theta after cleaning, mean of {DRAWS} draws",
        "<= 0.05", theta_changed(1), CLEANED,
    ),
]  # fmt: skip
