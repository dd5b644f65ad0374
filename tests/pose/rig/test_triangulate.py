"""Triangulation: exact on what is exact, near the best that noise allows, robust."""

from __future__ import annotations

from importlib import import_module
from itertools import combinations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.pose.rig import (
    Camera,
    Rig,
    read_rig,
    reprojection_error,
    triangulate,
    triangulate_robust,
)
from neuroloom.pose.rig.lift import Seen, lift
from tests.pose.rig.rigs import dannce, ring

POINTS = np.random.default_rng(1).normal(0, 40, (30, 4, 3))


@pytest.mark.parametrize("method", ["linear", "refined", "robust"])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_exact_pixels_give_exact_points(method, n):
    rig = ring(n + (n == 2), lens=(-0.25, 0.08, 0.002, -0.001)).take([f"cam{i}" for i in range(n)])
    found = triangulate(rig, rig.project(POINTS), method=method)
    np.testing.assert_allclose(found, POINTS, atol=1e-8)


def test_two_views_are_needed_and_suffice():
    rig = ring(4)
    pixels = rig.project(POINTS)
    pixels[:3, 0] = np.nan
    pixels[:2, 1] = np.nan
    found = triangulate(rig, pixels)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:], POINTS[1:], atol=1e-8)


def test_least_squares_is_what_scipy_finds():
    from scipy.optimize import least_squares

    rig, rng = ring(4), np.random.default_rng(2)
    pixels = rig.project(POINTS[0, 0]) + rng.normal(0, 3, (4, 2))
    weights = np.array([1.0, 4.0, 0.5, 0.0])

    def gaps(point):
        return (np.sqrt(weights)[:, None] * (rig.project(point) - pixels)).ravel()

    theirs = least_squares(gaps, POINTS[0, 0], xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    found = triangulate(rig, pixels, weights)
    np.testing.assert_allclose(found, theirs, atol=1e-6)


@pytest.mark.parametrize("n", [4, 6])
def test_a_gross_error_is_left_out(n):
    rig, rng = ring(n), np.random.default_rng(3)
    pixels = rig.project(POINTS) + rng.normal(0, 0.5, (n, 30, 4, 2))
    wrong = rng.integers(n, size=(30, 4))
    shift = rng.uniform(60, 200, (30, 4, 1)) * rng.choice([-1, 1], (30, 4, 2))
    np.put_along_axis(pixels, wrong[None, ..., None], np.nan, axis=0)
    alone = triangulate(rig, pixels)
    bad = rig.project(POINTS) + shift
    pixels = np.where(np.isnan(pixels), bad, pixels)
    found, used = triangulate_robust(rig, pixels)
    # The views that hold the error must be named, and nothing else may be lost by it.
    named = ~np.take_along_axis(used, wrong[None], axis=0)[0]
    assert named.mean() > 0.98
    assert np.median(np.linalg.norm(found - alone, axis=-1)) < 1e-6


def test_parts_of_a_long_recording_give_what_the_whole_gives(monkeypatch):
    rig, rng = ring(4), np.random.default_rng(4)
    pixels = rig.project(POINTS) + rng.normal(0, 0.5, (4, 30, 4, 2))
    pixels[rng.random((4, 30, 4)) < 0.1] += 90
    pixels[rng.random((4, 30, 4)) < 0.1] = np.nan
    weights = rng.uniform(0.5, 2, (4, 30, 4))
    whole, used = triangulate_robust(rig, pixels, weights)
    # The function of this name hides its module.
    module, sizes = import_module("neuroloom.pose.rig.triangulate"), []
    solve = module._solve

    def watched(rig, seen, *how):
        sizes.append(seen.shape[1])
        return solve(rig, seen, *how)

    monkeypatch.setattr(module, "CHUNK", 25)
    monkeypatch.setattr(module, "_solve", watched)
    parts, views = triangulate_robust(rig, pixels, weights)
    np.testing.assert_allclose(parts, whole, atol=1e-9)
    np.testing.assert_array_equal(views, used)
    assert max(sizes) == 25


@pytest.mark.parametrize("method", ["linear", "refined", "robust"])
@pytest.mark.parametrize("smooth", [0.0, 0.01])
def test_rays_that_meet_behind_the_cameras_give_no_point(method, smooth):
    K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    pixels = rig.project(np.tile([3.0, -4.0, 200.0], (20, 2, 1)))
    pixels[:, :, 1] = [[[320.0, 240.0]], [[420.0, 240.0]]]
    frames = np.arange(20)
    seen = Seen(rig, pixels[:, None], np.ones((2, 1, 20, 2)), (("a", "x"), ("a", "y")), frames)
    done = lift(seen, method, smooth=smooth)
    np.testing.assert_allclose(done.places[:, 0], [[3.0, -4.0, 200.0]] * 20, atol=1e-6)
    assert np.isnan(done.places[:, 1]).all()
    assert np.isnan(triangulate(rig, pixels, method=method)[:, 1]).all()
    assert done.used[:, :, 0].all()
    assert not done.used[:, :, 1].any()


def test_shapes_are_checked():
    rig = ring(3)
    with pytest.raises(ConfigError, match="two cameras"):
        triangulate(rig.take(["cam0"]), np.zeros((1, 4, 2)))
    with pytest.raises(ConfigError, match="weights of shape"):
        triangulate(rig, np.zeros((3, 4, 2)), np.ones(3))


@pytest.mark.parametrize("method", ["linear", "refined"])
def test_real_labels_come_back_from_every_subset(test_data, method):
    rig = read_rig(test_data / "pose/dannce")
    pixels, points = dannce(test_data)
    assert np.nanmax(reprojection_error(rig, points, pixels)) < 1e-9
    for n in (6, 3, 2):
        for chosen in combinations(range(6), n):
            few = rig.take([rig.names[i] for i in chosen])
            found = triangulate(few, pixels[list(chosen)], method=method)
            far = np.linalg.norm(found - points, axis=-1)
            assert np.nanmax(far) < 1e-5
            assert np.isnan(far).sum() == np.isnan(points[..., 0]).sum()


@pytest.mark.parametrize(("n", "bar"), [(6, 0.15), (3, 0.23), (2, 0.31)])
def test_a_pixel_of_noise_costs_little(test_data, n, bar):
    rig = read_rig(test_data / "pose/dannce")
    pixels, points = dannce(test_data)
    noisy = pixels + np.random.default_rng(0).normal(0, 1, pixels.shape)
    errors = []
    for chosen in combinations(range(6), n):
        few = rig.take([rig.names[i] for i in chosen])
        found = triangulate(few, noisy[list(chosen)])
        errors.append(np.linalg.norm(found - points, axis=-1))
    assert np.nanmedian(errors) <= bar
