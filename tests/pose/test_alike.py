"""Middles of bodies, and what is found twice."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.pose.alike import (
    body_centres,
    body_scale,
    body_sizes,
    distance_between,
    oks_between,
    suppress,
)


def test_the_anchor_is_the_centre_where_it_is_seen():
    points = np.array([[[0.0, 0.0], [10.0, 0.0]], [[np.nan, np.nan], [10.0, 2.0]]])
    assert body_centres(points, anchor=0).tolist() == [[0.0, 0.0], [10.0, 2.0]]
    assert np.isnan(body_centres(np.full((2, 2), np.nan))).all()


def test_similarity_is_that_of_coco():
    """Recomputed keypoint by keypoint from the formula of the challenge."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 50, (3, 5, 2)), rng.uniform(0, 50, (2, 5, 2))
    a[0, 2] = b[1, 4] = np.nan
    ours = oks_between(a, b, 30.0, 0.1)
    for i in range(3):
        for j in range(2):
            terms = []
            for k in range(5):
                if np.isnan(a[i, k]).any():
                    continue
                d2 = float(((a[i, k] - b[j, k]) ** 2).sum())
                kappa = 2 * 0.1
                terms.append(0.0 if np.isnan(d2) else np.exp(-d2 / (2 * 30.0**2 * kappa**2)))
            assert ours[i, j] == pytest.approx(np.mean(terms))


def test_distance_is_over_shared_keypoints():
    a = np.array([[[0.0, 0.0], [5.0, 0.0]]])
    b = np.array([[[3.0, 4.0], [np.nan, np.nan]], [[np.nan] * 2, [np.nan] * 2]])
    assert distance_between(a, b)[0, 0] == 5.0
    assert np.isnan(distance_between(a, b)[0, 1])


def test_a_half_seen_copy_of_an_animal_goes():
    body = np.array([[0.0, 0.0], [30.0, 0.0], [60.0, 9.0]])
    half = body + 1
    half[0] = np.nan
    empty = np.full_like(body, np.nan)
    kept = suppress(np.stack([half, body, body + 200, empty]), np.array([1, 2, 1, 9.0]), 40.0)
    assert kept.tolist() == [1, 2]


def test_the_size_of_nothing_is_refused():
    with pytest.raises(DataError, match="None of 4 bodies shows a keypoint"):
        body_scale(np.full((4, 3, 2), np.nan))


def test_a_body_of_one_keypoint_is_a_tenth_of_where_animals_go():
    balls = np.random.default_rng(0).uniform(0, 400, (300, 2, 1, 2))
    assert body_scale(balls) == pytest.approx(40, rel=0.05)
    assert body_scale(balls[:1, :1]) == 4.0


def test_each_body_has_a_size_of_its_own():
    square = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    bodies = np.stack([square, 3 * square, square])
    bodies[2, 1:] = np.nan
    assert body_sizes(bodies, 5.0).tolist() == [10.0, 30.0, 5.0]
