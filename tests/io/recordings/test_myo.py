"""Myo text: irregular stamps on a grid of 1 ms, classes as stretches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroloom import io
from neuroloom.core.errors import DataError
from tests.io.makers import make_myo


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("\n3\t", "\n1\t", "row 4: time must rise, it goes from 2 to 1 ms"),
        ("\n3\t", "\n2.5\t", "row 4: expected whole milliseconds as time, got 2.5"),
        ("channel8", "chanel8", "'channel8' is not there. Did you mean 'chanel8'"),
        ("\n3\t", "\n3\tx", "row 4, column 'channel1': expected a number, got 'x"),
        ("\n1\t", "\n-900000\t", "about a row a millisecond"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "myo.txt"
    make_myo(path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=says):
        io.read(path)


def test_a_long_pause_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "myo.txt"
    make_myo(path)
    rows = path.read_text().splitlines()
    path.write_text("\n".join(rows[:5000] + rows[5700:]) + "\n")
    table = io.read(path).attrs["annotations"]
    pause = table[table["label"] == "BAD_gap"]
    assert pause["duration"].item() == pytest.approx(0.78, abs=0.01)


def test_real_recording_holds_what_its_rows_hold(test_data: Path) -> None:
    path = test_data / "eeg" / "emg_gestures" / "sub-01_run-1.txt.gz"
    recording = io.read(path)
    rows = np.loadtxt(path, skiprows=1)
    at = (rows[:, 0] - rows[0, 0]).astype(int)
    np.testing.assert_array_equal(recording.values[:, at].T, rows[:, 1:9])
    table = recording.attrs["annotations"]
    assert table["label"].tolist() == ["1", "2", "3", "4", "5", "6"] * 2
    assert "values change 101 times a second" in recording.attrs["notes"][0]
