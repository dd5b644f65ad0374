"""Animals before a still background: found, shared out where they touch, followed."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.io.video import Video, write_video
from neuroloom.pose.blobs import detect_blobs, find_blobs, orient
from neuroloom.pose.link.measures import score_identities
from neuroloom.pose.link.pairs import to_detections
from neuroloom.pose.link.track import arrange, fill_gaps, link
from neuroloom.pose.track import Track
from tests.pose.crossings import wander


def ellipse(shape, place, heading, long=12.0, short=5.0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    along = (x - place[0]) * np.cos(heading) + (y - place[1]) * np.sin(heading)
    beside = (y - place[1]) * np.cos(heading) - (x - place[0]) * np.sin(heading)
    return (along / long) ** 2 + (beside / short) ** 2 < 1


def dish(path: np.ndarray, rng, light=lambda frame: 1.0, size: int = 200):
    """Frames of dark animals in a dish whose floor is brighter on one side."""
    floor = 150 + 60 * np.linspace(0, 1, size)[None] * np.ones((size, 1))
    for frame, animals in enumerate(path):
        image = floor.copy()
        for x, y, heading in animals:
            image[ellipse(floor.shape, (x, y), heading)] = 45
        image = image * light(frame) + rng.normal(0, 3, image.shape)
        yield np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, -1)


def test_middles_are_right_to_a_pixel_though_the_light_changes(tmp_path):
    rng = np.random.default_rng(0)
    path = wander(1, 150, rng, 160.0) + np.array([20, 20, 0])
    dimmed = lambda frame: 1 - 0.25 * frame / 150  # noqa: E731
    write_video(tmp_path / "a.mp4", dish(path, rng, dimmed), 30.0)
    with Video(tmp_path / "a.mp4") as video:
        found = to_detections(detect_blobs(video, 1))[0]
    off = np.linalg.norm(found[:, 0, 1] - path[:, 0, :2], axis=-1)
    assert np.nanmedian(off) < 1.0
    assert np.isfinite(off).mean() > 0.98


def test_two_that_touch_are_shared_out_and_keep_their_names(tmp_path):
    rng = np.random.default_rng(3)
    path = wander(2, 200, rng, 160.0) + np.array([20, 20, 0])
    write_video(tmp_path / "a.mp4", dish(path, rng), 30.0)
    with Video(tmp_path / "a.mp4") as video:
        found = to_detections(detect_blobs(video, 2))[0]
    linked = link(found[:, :, 1:2].repeat(2, 2) + np.array([[0.0, 0.0], [0.0, 12.0]]), animals=2)
    tracks = orient(fill_gaps(arrange(found, linked.identity, 2), 15))
    truth = path[..., None, :2]
    scores = score_identities(truth, tracks[:, :, 1:2], within=12.0)
    assert scores.idf1 >= 0.98


def test_a_shared_blob_has_both_middles():
    background = np.full((80, 80), 200.0)
    frame = background.copy()
    frame[ellipse(frame.shape, (30, 40), 0.0)] = 40
    frame[ellipse(frame.shape, (50, 40), 0.0)] = 40
    area = np.pi * 12 * 5
    found = find_blobs(frame, background, 2, 50.0, area)
    middles = found[np.argsort(found[:, 1, 0]), 1]
    assert np.abs(middles - [[30, 40], [50, 40]]).max() < 3
    alone = find_blobs(frame * 0 + 200, background, 2, 50.0, area)
    assert np.isnan(alone).all()


def test_ends_stay_at_their_ends():
    body = np.array([[5.0, 0.0], [0.0, 0.0], [-5.0, 0.0]])
    path = body + np.arange(30.0)[:, None, None, None] * [2.0, 0.0]
    rng = np.random.default_rng(0)
    mixed = path.copy()
    for frame in np.flatnonzero(rng.random(30) < 0.4):
        mixed[frame] = mixed[frame][:, ::-1]
    assert np.allclose(orient(mixed), path)


def test_nothing_that_moves_is_said(tmp_path):
    frames = (np.full((40, 40, 3), 120, np.uint8) for _ in range(8))
    write_video(tmp_path / "a.mp4", frames, 30.0)
    with Video(tmp_path / "a.mp4") as video, pytest.raises(DataError, match="nothing differs"):
        detect_blobs(video, 1)


def crossing(frames: int = 12) -> np.ndarray:
    """A path (time, 1, 3) straight through the dish."""
    return np.stack([[[40.0 + 8 * frame, 100, 0]] for frame in range(frames)])


def test_a_frame_that_cannot_be_decoded_has_no_animal(tmp_path):
    from PIL import Image

    for number, frame in enumerate(dish(crossing(), np.random.default_rng(0))):
        Image.fromarray(frame).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "05.png").write_bytes(b"cut off")
    with Video(tmp_path, patch=True) as video:
        found = to_detections(detect_blobs(video, 1))[0]
    assert np.flatnonzero(np.isnan(found).all((1, 2, 3))).tolist() == [5]


def test_animals_of_a_video_have_its_times_and_what_is_odd_is_told(tmp_path):
    times = np.append(np.arange(8), np.arange(12, 16)) / 20
    frames = dish(crossing(), np.random.default_rng(0))
    write_video(tmp_path / "a.mp4", frames, 20.0, times)
    found = Track(animals=1).prepare(tmp_path / "a.mp4")
    np.testing.assert_allclose(found.recordings[0].time, times, atol=1e-3)
    assert "a.mp4: the frame rate changes" in found.findings[1].detail
