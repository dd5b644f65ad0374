"""Smooth tracks: the least squares that they stand for, and nearer the truth than before."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.pose.link.smooth import _bending, smooth_tracks
from tests.pose.crossings import simulate


def test_what_bends_is_penalised():
    second = np.diff(np.eye(9), 2, axis=0)
    whole = second.T @ second
    bands = _bending(9)
    for offset in range(3):
        np.testing.assert_allclose(bands[2 - offset, offset:], np.diag(whole, offset), atol=1e-8)


@pytest.mark.parametrize(("noise", "left"), [(0.5, 0.95), (1.5, 0.65), (3.0, 0.55)])
def test_smooth_tracks_are_nearer_the_truth(noise, left):
    rng = np.random.default_rng(1)
    truth = simulate(2, 400, 1).truth
    found = truth + rng.normal(0, noise, truth.shape)
    found[rng.random(truth.shape[:3]) < 0.05] = np.nan
    smooth = smooth_tracks(found)
    assert np.array_equal(np.isnan(smooth), np.isnan(found))
    before, after = (np.linalg.norm(one - truth, axis=-1) for one in (found, smooth))
    assert np.nanmean(after) < left * np.nanmean(before)


def test_leaps_do_no_harm():
    rng = np.random.default_rng(1)
    truth = simulate(2, 400, 1).truth
    found = truth + rng.normal(0, 2, truth.shape)
    leaps = rng.random(truth.shape[:3]) < 0.03
    found[leaps] += rng.normal(0, 30, (int(leaps.sum()), 2))
    after = np.linalg.norm(smooth_tracks(found) - truth, axis=-1)
    assert after[leaps].mean() < 5
    assert after[~leaps].mean() < 2


def test_a_long_pause_parts_a_path():
    path = np.arange(60.0)[:, None, None, None] + np.array([[[0.0, 0.0]]])
    path[20:40] = np.nan
    path[40:] += 500.0
    np.testing.assert_allclose(smooth_tracks(path), path, atol=1e-3)


def test_a_few_places_stay_as_they_are():
    path = np.full((40, 1, 1, 2), np.nan)
    path[[3, 5, 6]] = [[[1.0, 9.0]]]
    np.testing.assert_array_equal(smooth_tracks(path), path)
