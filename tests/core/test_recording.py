"""The gate of recordings: what passes, what does not, which channels are bad."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.recording import bad_channels, check, require_sound, signal


def made(**more):
    data = np.random.default_rng(0).normal(size=(3, 40))
    return signal(data, ["C3", "Cz", "C4"], 10.0, source="a.edf", **more)


def test_a_signal_has_dims_times_and_attributes():
    recording = made()
    assert recording.dims == ("channel", "time")
    assert float(recording.time[-1]) == pytest.approx(3.9)
    assert recording.attrs["rate"] == 10.0
    assert list(recording.attrs["annotations"].columns) == ["onset", "duration", "label"]


def test_picking_keeps_type_and_place_of_a_channel():
    recording = made(types=["eeg", "eog", "emg"], positions=np.eye(3)).sel(channel=["C4"])
    assert (str(recording.type.values[0]), float(recording.z.values[0])) == ("emg", 1.0)


@pytest.mark.parametrize(
    ("data", "channels", "rate", "said"),
    [
        (np.ones((2, 9)), ["C3"], 10.0, "shape .channel, time. with 1 channels"),
        (np.ones(9), ["C3"], 10.0, "got shape .9,."),
        (np.ones((2, 9)), ["C3", "C3"], 10.0, "two channels are called C3"),
        (np.ones((1, 9)), ["C3"], -1.0, "above 0 Hz, it is -1"),
        (np.ones((1, 0)), ["C3"], 10.0, "is empty"),
    ],
)
def test_what_does_not_fit_is_refused(data, channels, rate, said):
    with pytest.raises(DataError, match=said):
        signal(data, channels, rate)


def test_annotations_need_their_columns():
    with pytest.raises(DataError, match=r"annotations lack"):
        made(annotations=pd.DataFrame({"onset": [1.0]}))


def test_other_dims_and_kinds_are_refused():
    with pytest.raises(DataError, match=r"a\.edf: a signal has the dims"):
        check(made().rename(time="t"), "signal")
    with pytest.raises(DataError, match=r"unknown kind 'sound'"):
        check(made(), "sound")


def test_bad_channels_are_named_with_the_reason():
    recording = made()
    recording.values[0] = 0.1
    recording.values[2, 5:7] = np.nan
    assert bad_channels(recording) == {
        "C3": "flat (constant) for the whole recording",
        "C4": "not a number from 0.5 s on (2 of 40 samples)",
    }
    with pytest.raises(DataError, match=r"a\.edf: channel C3.*--picks '!C3' --picks '!C4'"):
        require_sound(recording)


def test_a_marker_channel_may_be_constant():
    recording = made(types=["eeg", "eeg", "stim"])
    recording.values[2] = 0.0
    assert bad_channels(recording) == {}
