"""The bars of issue 12, measured as `parity` does."""

import numpy as np
import pytest

from parity import deepvog, meye

pytestmark = pytest.mark.long


def test_rendered_eyes_with_unseen_parameters():
    found = deepvog.found_eyes()
    assert found["centre"] <= 1
    assert found["dice"] >= 0.97
    assert found["blink"] >= 0.95


def test_gaze_of_rendered_subjects(test_data):
    assert deepvog.gaze_error(test_data) <= 0.5


def test_the_demo_of_deepvog(test_data):
    assert deepvog.confident(test_data) >= 0.9
    assert np.isnan(deepvog.demo(test_data)["gaze_x_deg"][3:19]).all()


def test_the_mouse_of_meye(test_data):
    assert meye.agreement(test_data) >= 0.98
