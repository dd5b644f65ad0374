from dataclasses import replace

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.eye.find.ellipse import inside
from neuroloom.eye.render import HUMAN, MOUSE, Ranges, draw_eyes, draw_scene, render

CLEAR = replace(HUMAN, index=(1.0, 1.0), ragged=(0.0, 0.0), closing=0.0)
SHAPE = (120, 160)


def circle_in_picture(frames, k, n=200):
    """The pupil of frame k projected point by point, written without the renderer's code."""
    eyes, gaze, centre = frames.eyes, frames.gaze[k], frames.centre[k]
    one = np.linalg.svd(gaze[None])[2][1:]
    turn = np.linspace(0, 2 * np.pi, n, endpoint=False)
    middle = centre + eyes.plane[k] * eyes.radius[k] * gaze
    rim = middle + frames.pupil_mm[k] * (
        np.cos(turn)[:, None] * one[0] + np.sin(turn)[:, None] * one[1]
    )
    return frames.focal[k] * rim[:, :2] / rim[:, 2:] + [(SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2]


def level(ellipse, points):
    x, y, a, b, angle = ellipse
    dx, dy = points[:, 0] - x, points[:, 1] - y
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return np.hypot(u / a, v / b)


def test_without_refraction_the_rim_is_the_projected_circle():
    rng = np.random.default_rng(0)
    frames = render(draw_eyes(12, CLEAR, rng), SHAPE, rng)
    for k in range(12):
        np.testing.assert_allclose(
            level(frames.ellipse[k], circle_in_picture(frames, k)), 1, atol=1e-3
        )


def test_the_cornea_magnifies_the_pupil_as_in_the_books():
    """The entrance pupil of a human eye is about 1.13 times the real one (Atchison 2000)."""
    rng = np.random.default_rng(1)
    straight = replace(
        HUMAN, ragged=(0, 0), yaw=(0, 0), pitch=(0, 0), x=(0.5, 0.5), y=(0.5, 0.5), radius=(12, 12),
        cornea=(0.645, 0.645), offset=(0.47, 0.47), plane=(0.84, 0.84), focal=(3, 3),
        size=(0.2, 0.2),
        pupil=(0.15, 0.15),
    )  # fmt: skip
    eyes = draw_eyes(1, straight, rng)
    bent, plain = (render(eyes.change(index=index), SHAPE, rng) for index in (1.336, 1.0))
    assert bent.ellipse[0, 2] / plain.ellipse[0, 2] == pytest.approx(1.13, abs=0.02)


def test_the_mask_is_what_lids_leave_of_the_ellipse():
    rng = np.random.default_rng(2)
    frames = render(draw_eyes(16, replace(HUMAN, ragged=(0, 0)), rng), SHAPE, rng)
    for k in range(16):
        whole = inside(frames.ellipse[k], SHAPE)
        assert not (frames.pupil[k] & ~frames.eye[k]).any()
        assert ((whole & frames.eye[k]) ^ frames.pupil[k]).sum() <= 0.05 * whole.sum() + 8


def test_closed_lids_are_a_blink_and_an_empty_picture_has_no_eye():
    rng = np.random.default_rng(3)
    eyes = draw_eyes(8, CLEAR, rng)
    shut = render(eyes.change(shut=1.0), SHAPE, rng)
    assert shut.blink.all()
    assert shut.present.all()
    gone = render(eyes.change(present=False), SHAPE, rng)
    assert not gone.blink.any()
    assert not gone.eye.any()
    assert np.isnan(gone.ellipse).all()


def test_bright_pupils_are_brighter_than_the_iris():
    rng = np.random.default_rng(4)
    ranges = replace(
        CLEAR, bright=1.0, noise=(0, 0), glints=(0, 0), specks=(0, 0), lashes=(0, 0), light=(0, 0),
        exposure=(-0.6, -0.6), iris_level=(0.2, 0.3), pupil=(0.2, 0.2), texture=(0.0, 0.02),
    )  # fmt: skip
    frames = render(draw_eyes(8, ranges, rng), SHAPE, rng)
    for k in range(8):
        ring = frames.iris[k] & ~frames.pupil[k]
        if frames.pupil[k].sum() > 50 and ring.sum() > 50:
            assert np.median(frames.image[k][frames.pupil[k]]) > np.median(frames.image[k][ring])


@pytest.mark.parametrize("ranges", [HUMAN, MOUSE])
def test_the_same_seed_renders_the_same(ranges):
    one, other = (
        render(draw_eyes(3, ranges, rng), (48, 64), rng).image
        for rng in (np.random.default_rng(5), np.random.default_rng(5))
    )
    assert (one == other).all()


def test_a_scene_has_one_eyeball():
    eyes = draw_scene(20, HUMAN, np.random.default_rng(6), spread=15.0)
    assert len(np.unique(eyes.radius)) == 1
    assert np.hypot(eyes.yaw, eyes.pitch).max() <= 15


def test_a_range_upside_down_is_refused():
    with pytest.raises(ConfigError, match="yaw"):
        draw_eyes(1, Ranges(yaw=(10, -10)), np.random.default_rng(0))


def test_no_lamp_is_mirrored_on_a_closed_lid():
    rng = np.random.default_rng(4)
    eyes = draw_eyes(6, replace(HUMAN, glints=(3, 3), specks=(0, 0), empty=0.0), rng)

    def picture(shut: float, glints: float) -> np.ndarray:
        ones = np.ones(len(eyes))
        drawn = eyes.change(shut=shut * ones, glints=glints * ones)
        return render(drawn, (60, 80), np.random.default_rng(5)).image.astype(int)

    assert np.abs(picture(0.0, 3.0) - picture(0.0, 0.0)).max() > 50
    bright = picture(1.0, 3.0) - picture(1.0, 0.0)
    assert (bright > 50).mean() < 0.002
