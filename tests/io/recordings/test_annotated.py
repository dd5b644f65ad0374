"""What is written opens in MNE, is the same signal, and names nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom import io
from neuroloom.core.errors import DataError
from neuroloom.io.recordings.annotated import write_annotated


def test_round_trip_through_mne(tmp_path: Path, make_edf: Callable) -> None:
    import mne

    make_edf(tmp_path / "a.edf", patient="Zacharias_Quill")
    recording = io.read(tmp_path / "a.edf")
    table = pd.DataFrame({"onset": [0.5, 2.0], "duration": [1.0, 1.0], "label": ["fists", "feet"]})
    path = write_annotated(recording, table, tmp_path / "out" / "a_raw.fif")
    raw = mne.io.read_raw_fif(path, verbose="ERROR")
    np.testing.assert_allclose(raw.get_data(), recording.values, rtol=1e-6)
    assert raw.annotations.description.tolist() == ["fists", "feet"]
    assert raw.annotations.onset.tolist() == [0.5, 2.0]
    assert raw.info["subject_info"] is None
    assert raw.info["meas_date"] is None
    assert b"Quill" not in path.read_bytes()
    assert b"4711" not in path.read_bytes()
    again = io.read(path)
    assert list(again.channel.values) == list(recording.channel.values)
    assert list(again.type.values) == list(recording.type.values)
    np.testing.assert_allclose(again.x.values, recording.x.values, atol=1e-6)
    pd.testing.assert_frame_equal(again.attrs["annotations"], table, check_dtype=False)
    assert [item.name for item in path.parent.iterdir()] == ["a_raw.fif"]


def test_other_suffix_is_refused(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    recording = io.read(tmp_path / "a.edf")
    with pytest.raises(DataError, match=r"ends in \.fif"):
        write_annotated(recording, recording.attrs["annotations"], tmp_path / "a.edf")
