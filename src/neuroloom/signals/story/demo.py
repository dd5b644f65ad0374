"""Recordings to try decoding on: one person's from PhysioNet, or simulated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuroloom.core.errors import RunError

MOTOR_RUNS = (6, 10, 14)


def demo(folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
    """See `Decode.demo`."""
    from neuroloom.io.recordings.fetch import fetch_eegbci

    fields = {"start": 1.0, "stop": 4.0, "model": "eegnet"}
    if not fetch:
        return simulated(folder, fields)
    try:
        fetch_eegbci(1, list(MOTOR_RUNS), folder / "eegbci")
        imagery = {"events": {"T1": "fists", "T2": "feet"}, "split": "run"}
        what = "Decoding imagined fists and feet: PhysioNet EEGBCI, subject 1 (ODC-BY 1.0)."
        return folder / "eegbci", fields | imagery, what
    except RunError as error:
        data, fields, what = simulated(folder, fields)
        return data, fields, f"{error}\nInstead: {what}"


def simulated(folder: Path, fields: dict[str, Any]) -> tuple[Path, dict[str, Any], str]:
    """Write simulated recordings, once; return them, the fields that decode them, and the words."""
    from neuroloom.signals.simulate import write_demo

    if not any((folder / "simulated").glob("*.edf")):
        write_demo(folder / "simulated")
    hands = {"events": {"left": "left", "right": "right"}, "split": "session"}
    what = "EEG simulated on a template head, with two planted motor sources."
    return folder / "simulated", fields | hands, what
