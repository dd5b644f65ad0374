"""Recordings read whole: scale, band and labels."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.io.recordings.find import find
from neuroloom.signals.examples.cut import Cut
from neuroloom.signals.examples.traces import Source, band_for, match_labels, scaled
from tests import nights


def test_scaling_is_robust_and_clips_outliers():
    noise = np.random.default_rng(0).normal(5, 3, (2, 20000))
    wild = noise.copy()
    wild[0, 100] = 1e6
    assert np.abs(scaled(noise) - scaled(wild))[1].max() == 0
    assert scaled(wild)[0, 100] == pytest.approx(20)
    kept = scaled(wild, keep_unit=True)
    assert kept[1].std() == pytest.approx(3, rel=0.03)
    assert kept[0, 100] == pytest.approx(60, rel=0.05)


def test_a_slow_recording_keeps_its_own_upper_end():
    cut = Cut(band=(0.5, 30.0))
    assert band_for(cut, 200.0) == (0.5, 30.0)
    assert band_for(cut, 50.0) == (0.5, None)


def test_recordings_come_one_by_one_at_one_rate(tmp_path):
    data = nights.write_spindles(tmp_path, subjects=2)
    source = Source(find(data), Cut(band=(0.5, 20.0), rate=50.0), scale="recording")
    traces = list(source)
    assert [trace.path for trace in traces] == ["sub-1_eeg.fif", "sub-2_eeg.fif"]
    assert {trace.x.shape for trace in traces} == {(1, 4500)}
    assert all(0.8 < trace.x.std() < 2 for trace in traces)


def test_an_unknown_label_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'spindel'.*spindle"):
        match_labels({"spindel": "x"}, ["spindle", "N2"], "events")
