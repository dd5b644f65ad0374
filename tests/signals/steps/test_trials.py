"""Alignment by its law and against pyRiemann; rejection by known amplitudes."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.signals.steps import euclidean_align, reject_by_amplitude


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_aligned_mean_covariance_is_the_identity(dtype):
    rng = np.random.default_rng(0)
    x = (1e-5 * rng.normal(size=(8, 8)) @ rng.normal(size=(30, 8, 200))).astype(dtype)
    groups = np.repeat(["a", "b", "c"], 10)
    aligned = euclidean_align(x, groups)
    assert aligned.dtype == dtype
    for group in "abc":
        part = aligned[groups == group].astype(float)
        mean = (part @ part.swapaxes(1, 2)).mean(axis=0) / 200
        np.testing.assert_allclose(mean, np.eye(8), atol=1e-6)


def test_alignment_equals_pyriemann_up_to_its_centring():
    from pyriemann.geometry.base import invsqrtm

    x = np.random.default_rng(0).normal(size=(10, 4, 300))
    x -= x.mean(axis=2, keepdims=True)
    mean = np.mean([trial @ trial.T / 300 for trial in x], axis=0)
    np.testing.assert_allclose(euclidean_align(x, np.zeros(10)), invsqrtm(mean) @ x, rtol=1e-8)


def test_alignment_of_few_samples_and_lower_rank():
    rng = np.random.default_rng(0)
    assert np.isfinite(euclidean_align(rng.normal(size=(2, 30, 10)), np.zeros(2))).all()
    x = rng.normal(size=(20, 6, 100))
    aligned = euclidean_align(x - x.mean(axis=1, keepdims=True), np.zeros(20))
    assert np.abs(aligned).max() < 10
    with pytest.raises(DataError, match="without any signal"):
        euclidean_align(np.zeros((4, 3, 50)), np.zeros(4))


def test_rejection():
    x = np.zeros((3, 2, 10))
    x[1, 0, 3], x[1, 0, 4] = 60e-6, -60e-6
    x[2, 1] = 1.0
    assert reject_by_amplitude(x, 100).tolist() == [True, False, True]
    with pytest.raises(ConfigError, match="µV"):
        reject_by_amplitude(x, 0)
