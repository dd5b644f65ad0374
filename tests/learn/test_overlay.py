"""What is drawn is where the points are."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.recording import tracks
from neuroloom.io.video import Video, write_video
from neuroloom.learn.overlay import colours, draw_ellipses, draw_points, labelled_video, sheet

DARK = np.zeros((60, 80, 1), np.uint8)


def centre(picture, ink):
    y, x = np.nonzero((picture == ink).all(-1))
    return x.mean(), y.mean()


def test_points_are_drawn_at_their_places():
    points = np.array([[20.0, 10.0], [60.0, 40.0], [np.nan, 3.0]])
    drawn = draw_points(DARK, points, radius=3)
    inks = colours(3)
    assert centre(drawn, inks[0]) == pytest.approx((20, 10), abs=0.01)
    assert centre(drawn, inks[1]) == pytest.approx((60, 40), abs=0.01)
    assert not (drawn == inks[2]).all(-1).any()


def test_a_zoomed_pixel_keeps_its_centre():
    frame = DARK.copy()
    frame[10, 20] = 255
    drawn = draw_points(frame, np.array([[20.0, 10.0]]), zoom=4, radius=1)
    assert drawn.shape == (240, 320, 3)
    assert centre(drawn, colours(1)[0]) == pytest.approx((81.5, 41.5), abs=0.6)


def test_animals_have_a_colour_each_and_bones_join_points():
    points = np.array([[[10.0, 10], [30, 10]], [[10, 40], [30, 40]]])
    drawn = draw_points(DARK, points, edges=[(0, 1)], radius=1)
    first, second = colours(2)
    assert drawn[10, 20].tolist() == list(first)
    assert drawn[40, 20].tolist() == list(second)
    assert drawn[25, 20].tolist() == [0, 0, 0]


def test_truth_is_a_ring_with_a_line():
    drawn = draw_points(DARK, np.array([[40.0, 20]]), truth=np.array([[20.0, 20]]), radius=2)
    assert drawn[20, 30].tolist() == [255, 255, 255]
    assert drawn[17, 20].tolist() == [255, 255, 255]


def test_an_ellipse_is_turned_towards_y():
    drawn = draw_ellipses(DARK, np.array([[40, 30, 20, 5, np.pi / 2], [np.nan] * 5]))
    assert drawn[50, 40].max() == 255
    assert drawn[30, 45].max() == 255
    assert drawn[30, 60].max() == 0


def test_a_sheet_holds_pictures_of_any_size():
    page = sheet([np.zeros((10, 20, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)], 4, 2)
    assert page.shape == (10, 42, 3)
    assert page[9, 30].tolist() == [255, 255, 255]
    with pytest.raises(DataError, match="at least one"):
        sheet([])


def test_a_video_carries_its_tracks(tmp_path):
    frames = np.zeros((6, 60, 80, 1), np.uint8)
    with Video(write_video(tmp_path / "a.mp4", frames, 10)) as video:
        points = np.full((4, 2, 1, 1), 30.0)
        points[:, 0, 0, 0] = [10, 20, 30, 40]
        sure = np.array([0.9, 0.9, 0.1, np.nan])[:, None, None]
        made = tracks(points, ["nose"], rate=10.0, confidence=sure, frames=np.array([1, 2, 3, 5]))
        labelled_video(video, made, tmp_path / "b.mp4", sure=0.5)
        with pytest.raises(DataError, match="tracks in px"):
            labelled_video(video, made.assign_attrs(unit="mm"), tmp_path / "c.mp4")
    with Video(tmp_path / "b.mp4") as drawn:
        assert len(drawn) == 6
        seen = drawn.read(range(6)).max(-1)
    bright = [np.argwhere(frame > 120) for frame in seen]
    assert [len(one) > 0 for one in bright] == [False, True, True, False, False, True]
    assert bright[2].mean(0) == pytest.approx([30, 20], abs=1)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="individual, keypoint, 2"):
        draw_points(DARK, np.zeros((3, 3)))
    with pytest.raises(DataError, match="1 or 3"):
        draw_points(DARK[..., 0], np.zeros((3, 2)))
