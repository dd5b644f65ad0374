"""Cameras: OpenCV projects and undistorts the same."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.pose.rig import Camera, Rig
from neuroloom.pose.rig.lens import distort, distort_slope, undistort
from tests.pose.rig.rigs import look_at, ring

LENS = (-0.31, 0.12, 0.003, -0.002, 0.02, 0.01, -0.02, 0.005)
POINTS = np.random.default_rng(0).normal(0, 40, (60, 3))


@pytest.fixture
def straight() -> Camera:
    """OpenCV knows no skew."""
    from dataclasses import replace

    camera = look_at("top", np.array([50.0, 60, 300]), LENS)
    return replace(camera, K=camera.K * [[1, 0, 1], [0, 1, 1], [0, 0, 1]])


def test_it_projects_as_opencv_does(straight):
    import cv2

    turn = cv2.Rodrigues(straight.R)[0]
    theirs, slopes = cv2.projectPoints(POINTS, turn, straight.t, straight.K, straight.distortion)
    np.testing.assert_allclose(straight.project(POINTS), theirs[:, 0], atol=1e-9)
    # Its derivative by the shift is ours by a point in the camera's frame.
    local = POINTS @ straight.R.T + straight.t
    mine = straight.local_slope(local)
    np.testing.assert_allclose(mine, slopes[:, 3:6].reshape(-1, 2, 3), rtol=1e-6, atol=1e-7)


def test_it_undistorts_as_opencv_does(straight):
    import cv2

    seen = straight.project(POINTS)
    often = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 500, 1e-14)
    args = (seen[:, None], straight.K, straight.distortion)
    theirs = cv2.undistortPoints(*args, None, None, None, often)[:, 0]
    np.testing.assert_allclose(straight.undistort(seen), theirs, atol=1e-9)


def test_pixels_go_out_and_come_back_with_skew():
    camera = look_at("top", np.array([50.0, 60, 300]), LENS)
    depth = (POINTS @ camera.R.T + camera.t)[:, 2]
    back = camera.unproject(camera.project(POINTS), depth)
    np.testing.assert_allclose(back, POINTS, atol=1e-9)


def test_the_slope_is_that_of_small_steps():
    ideal = POINTS[:, :2] / 200
    step = 1e-6
    for axis in range(2):
        moved = ideal + step * np.eye(2)[axis]
        numeric = (distort(moved, np.array(LENS)) - distort(ideal, np.array(LENS))) / step
        slope = distort_slope(ideal, np.array(LENS))[..., axis]
        np.testing.assert_allclose(slope, numeric, atol=1e-5)


def test_where_the_lens_folds_back_there_is_no_ideal_point():
    lens = np.array([-0.4])
    edge = distort(np.array([np.sqrt(1 / 1.2), 0.0]), lens)[0]
    inside, outside = undistort(np.array([[edge * 0.999, 0], [edge * 1.01, 0]]), lens)
    assert abs(distort(inside, lens)[0] - edge * 0.999) < 1e-12
    assert np.isnan(outside).all()


def test_missing_stays_missing_and_behind_is_not_seen():
    camera = look_at("top", np.array([0.0, 10, 300]), LENS)
    assert np.isnan(camera.undistort(np.full((3, 2), np.nan))).all()
    assert np.isnan(camera.project(np.array([0.0, 20, 900]))).all()


def test_a_shrunk_camera_sees_the_mean_of_pixels():
    camera = look_at("top", np.array([50.0, 60, 300]), LENS)
    half = camera.scaled(0.5)
    # Pixels 0 and 1 become pixel 0: their common edge at 0.5 is its centre.
    np.testing.assert_allclose(2 * half.project(POINTS) + 0.5, camera.project(POINTS))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"K": np.eye(3)[::-1]}, "expected K as"),
        ({"K": np.array([[800, 0, 0], [3, 800, 0], [320, 240, 1.0]])}, "transposed"),
        ({"K": np.diag([800.0, 800, 1]), "R": -np.eye(3)}, "no rotation"),
        ({"K": np.diag([800.0, 800, 1]), "t": np.zeros(2)}, "shape"),
        ({"K": np.diag([800.0, np.nan, 1])}, "finite"),
        ({"K": np.diag([800.0, 800, 1]), "distortion": np.zeros(12)}, "at most 8"),
    ],
)
def test_what_cannot_be_a_camera_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Camera("top", **fields)


def test_a_rig_names_its_cameras():
    rig = ring(3)
    assert rig.take(["cam2", "cam0"]).names == ("cam2", "cam0")
    with pytest.raises(ConfigError, match="Did you mean 'cam0'"):
        rig.take(["cm0"])
    with pytest.raises(ConfigError, match="called 'cam0'"):
        Rig((*rig.cameras, rig.cameras[0]))
    with pytest.raises(ConfigError, match="3 cameras"):
        rig.undistort(np.zeros((2, 5, 2)))
