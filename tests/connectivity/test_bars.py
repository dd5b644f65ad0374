"""The bars on the test data: simulated and real networks."""

from __future__ import annotations

import pytest

from parity import vardnn

pytestmark = pytest.mark.long


@pytest.mark.parametrize("metric", ["auc", "auc_group", "orientation"])
def test_networks_with_feedback(test_data, metric):
    assert vardnn.feedback(metric)(test_data) >= {"auc_group": 0.98}.get(metric, 0.94)


def test_nets_on_neural_masses(test_data):
    assert vardnn.vardnn_di(test_data) >= 0.73
    assert vardnn.default_ww(test_data) >= 0.755


def test_gaussian_surrogates_support_no_direction(test_data):
    assert vardnn.surrogate_directions(test_data) == 0


def test_the_input_of_a_task_is_a_source(test_data):
    assert vardnn.input_sources(test_data) == 8
    assert vardnn.input_targets(test_data) == 0


def test_noise_gives_few_edges(test_data):
    assert vardnn.noise_edges(test_data) <= 0.05
