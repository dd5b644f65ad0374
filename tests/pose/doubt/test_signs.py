"""What looks wrong is found where it was put, and nothing where all is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuroloom.io.labels.sides import flips
from neuroloom.pose.data import audit_frames, read_frames
from neuroloom.pose.doubt.signs import (
    disagreement,
    edge_deviation,
    frame_doubts,
    jumps,
    same_frames,
    shrink,
    suspicious_labels,
)
from tests.critters import write_project

BODY = np.array([[0.0, 30.0], [-8.0, 18.0], [8.0, 18.0], [0.0, -30.0]])
NAMES = ["snout", "left", "right", "tail"]
SWAPS = [(1, 2)]


@pytest.fixture
def labels() -> np.ndarray:
    """60 frames of a body that turns, with noise of a person's hand."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 60)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    place = rng.uniform(80, 300, (60, 1, 2))
    points = BODY @ turn.transpose(0, 2, 1) + place + rng.normal(0, 1.5, (60, 4, 2))
    return points[:, None]


def test_sound_labels_are_not_suspected(labels):
    assert len(suspicious_labels(labels, NAMES, swaps=SWAPS, shape=(400, 400))) == 0


def test_exchanged_sides_are_named(labels):
    labels[[5, 33]] = labels[[5, 33]][:, :, [0, 2, 1, 3]]
    table = suspicious_labels(labels, NAMES, swaps=SWAPS)
    assert sorted(table.loc[table["what"] == "flip", "frame"]) == [5, 33]
    assert (flips(labels, SWAPS)[[5, 33]] < 0.5).all()


def test_flips_bear_missing_keypoints(labels):
    labels[10:20, 0, 0] = np.nan
    labels[12] = labels[12][:, [0, 2, 1, 3]]
    labels[3, 0, 1] = np.nan
    ratio = flips(labels, SWAPS)[:, 0]
    assert np.flatnonzero(ratio < 0.6).tolist() == [12]
    assert np.isnan(ratio[3])
    assert np.isnan(flips(labels, [])).all()


def test_a_keypoint_far_off_is_an_odd_length(labels):
    labels[40, 0, 3] += 120
    table = suspicious_labels(labels, NAMES)
    assert set(table["frame"]) == {40}
    assert "tail" in table["detail"][0]
    assert np.abs(edge_deviation(labels)[40]).max() > 5


def test_what_lies_beyond_the_frame_or_on_another_animal_is_named(labels):
    labels[2, 0, 0] = [-4.0, 10.0]
    twice = np.concatenate([labels, labels + 150], 1)
    twice[9, 1] = twice[9, 0]
    table = suspicious_labels(twice, NAMES, shape=(600, 600))
    assert table.loc[table["what"] == "outside", "frame"].tolist() == [2]
    assert table.loc[table["what"] == "same place", "frame"].tolist() == [9]


def test_frames_that_show_the_same_are_named(labels):
    images = np.random.default_rng(0).integers(0, 255, (60, 90, 70, 1), dtype=np.uint8)
    images[31] = images[8]
    small = shrink(images)
    assert same_frames(small) == [(8, 31)]
    table = suspicious_labels(labels, NAMES, small=small)
    assert table["frame"].tolist() == [31]
    assert "frame 8" in table["detail"][0]


def test_a_small_picture_is_the_mean_of_what_it_covers():
    image = np.arange(48 * 64, dtype=float).reshape(1, 48, 64, 1)
    small = shrink(image)
    assert small[0, 0, 0] == image[0, :2, :2].mean()
    assert small.mean() == pytest.approx(image.mean())
    assert shrink(image[:, :10, :10]).shape == (1, 10, 10)


def test_only_the_frame_astray_jumps_not_the_fast_animal():
    path = np.linspace(0, 900, 60)[:, None, None, None] * [1.0, 0.3] + BODY
    path[20, 0, 1] += 25
    far = jumps(path)
    assert int(np.nanargmax(far[:, 0, 1])) == 20
    assert np.nanmax(far[:, 0, 3]) < 1e-9


def test_each_doubt_is_largest_in_its_frame():
    rng = np.random.default_rng(0)
    points = np.tile(BODY, (80, 1, 1, 1)) + rng.normal(0, 0.5, (80, 1, 4, 2))
    sure = np.full((80, 1, 4), 0.95)
    sure[11, 0, 2] = 0.1
    points[30, 0, 3] += 30
    points[60, 0, 0] = np.nan
    several = [points, points + 0.1, points.copy()]
    several[2][45, 0, 1] += 12
    doubts = frame_doubts(points, sure, disagreement(several))
    assert doubts["unsure"].argmax() == 11
    assert doubts["jump"].argmax() == 30
    assert doubts["length"].argmax() == 30
    assert doubts["missing"].argmax() == 60
    assert doubts["spread"].argmax() == 45


def test_the_audit_of_a_project_names_labels_that_look_wrong(tmp_path):
    sound = read_frames(write_project(tmp_path / "sound", videos=1, frames=14), [])
    titles = [found.title for found in audit_frames(sound)]
    assert "Labels that look wrong" not in titles
    points = sound.truth.copy()
    points[5, 0, 0] += 60
    (told,) = [
        found
        for found in audit_frames(replace(sound, truth=points))
        if found.title == "Labels that look wrong"
    ]
    assert told.detail.count(str(sound.table["name"][5])) == 1


def test_animals_of_one_keypoint_are_looked_at_too():
    balls = np.random.default_rng(0).uniform(0, 90, (12, 2, 1, 2))
    assert edge_deviation(balls).shape == (12, 2, 0)
    doubts = frame_doubts(balls, np.full((12, 2, 1), 0.9))
    assert (doubts["length"] == 0).all()
    assert (doubts["jump"][1:-1] > 0).all()
    assert not len(suspicious_labels(balls, ["ball"], shape=(100, 100)))


def test_what_is_missing_does_not_hang_on_the_slots_of_animals():
    points = np.tile(BODY, (40, 2, 1, 1)) + np.array([0.0, 400.0])[None, :, None, None]
    points[1::2] = points[1::2, ::-1]
    points[7, 0] = np.nan
    points[::2, 1, 3] = points[1::2, 0, 3] = np.nan  # one animal never shows its tail
    doubts = frame_doubts(points, np.ones(points.shape[:3]))
    assert doubts["missing"].argmax() == 7
    assert not doubts["missing"][8:].any()
    assert not doubts["jump"].any()
