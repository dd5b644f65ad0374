"""Channel names, types and places."""

import numpy as np
import pytest

from neuroloom.io.recordings.electrodes import guess_type, normalise, template_positions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Fc5.", "FC5"),
        ("Cz..", "Cz"),
        ("FP1", "Fp1"),
        ("fcz", "FCz"),
        ("EEG Fp1-REF", "Fp1"),
        ("EEG-C3", "C3"),
        ("POL Fz-LE", "Fz"),
        (" T7 ", "T7"),
        ("C3-A2", "C3-A2"),
        ("EMG chin", "EMG chin"),
        ("A3", "A3"),
        ("Right AUX", "Right AUX"),
    ],
)
def test_names_become_ten_ten(given: str, expected: str) -> None:
    assert normalise([given]) == [expected]


def test_colliding_names_keep_their_own() -> None:
    assert normalise(["Fp1", "EEG FP1-REF", "Cz."]) == ["Fp1", "EEG FP1-REF", "Cz"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Cz", "eeg"),
        ("EOG left", "eog"),
        ("Ekg1", "ecg"),
        ("EMG chin", "emg"),
        ("Status", "stim"),
        ("A3", "eeg"),
        ("SpO2", "misc"),
    ],
)
def test_types_from_names(name: str, expected: str) -> None:
    assert guess_type(name) == expected


def test_positions_are_head_coordinates() -> None:
    c3, c4, nowhere = template_positions(["C3", "C4", "EMG chin"])
    assert c3[0] < -0.03 < 0.03 < c4[0]
    assert np.isnan(nowhere).all()


def test_biosemi_a1_is_no_ear_lobe() -> None:
    assert np.isnan(template_positions(["A1", "A2", "A3"])).all()
    assert np.isfinite(template_positions(["A1", "A2", "Cz"])).all()
