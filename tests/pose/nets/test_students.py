"""Learning from clips that nobody labelled."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.io.labels import read_labels
from neuroloom.io.video import write_video
from neuroloom.learn.training.fit import FitJob, own_threads
from neuroloom.pose.data import find_clips
from neuroloom.pose.nets import students
from neuroloom.pose.nets.frames import PoseFrames
from neuroloom.pose.nets.learner import PoseLearner, PoseWishes, _half_and_half
from neuroloom.pose.nets.students import (
    FRAMES,
    confirmed,
    leap_rate,
    look_through,
    looked_at,
    one_by_one,
    stretches,
    taught,
)
from tests.critters import NAMES, paint, points_of, write_project


@pytest.fixture(autouse=True)
def _one_thread():
    with own_threads(1):
        yield


def walk(frames):
    """An animal that walks along a line, turning slowly."""
    share = np.linspace(0, 1, frames)
    return np.stack([points_of(np.array([20 + 40 * s, 25 + 15 * s]), 0.8 * s) for s in share])


def as_found(points):
    return np.concatenate([points, np.ones_like(points)], -1)[:, None]


def test_a_leap_is_replaced_by_the_way_between():
    truth = walk(30)
    found = as_found(truth)
    found[12, 0, 1, :2] += 30
    found[20:22, 0, 2, :2] = np.nan
    out = confirmed(found, 5.0)[:, 0]
    np.testing.assert_allclose(out, truth, atol=0.3)


def test_what_is_lost_for_long_stays_unknown():
    found = as_found(walk(30))
    found[8:20, 0, 3, :2] = np.nan
    out = confirmed(found, 5.0)[:, 0]
    assert np.isnan(out[10:18, 3]).all()
    assert np.isfinite(out[:, :3]).all()


def test_jumps_are_counted_per_thousand_points():
    found = as_found(walk(101))
    assert leap_rate([found], 20.0) == 0
    found[50, 0, 0, :2] += 40  # there and back again
    assert leap_rate([found], 20.0) == pytest.approx(1000 / (101 * len(NAMES)))


def test_what_runs_does_not_jump():
    found = as_found(walk(101))
    found[50:, ..., 0] += 30.0 * np.arange(51)[:, None, None]
    assert leap_rate([found], 20.0) == 0
    found[70, 0, 0, 0] -= 300
    assert leap_rate([found], 80.0) == pytest.approx(1000 / (101 * len(NAMES)))


def test_a_still_point_that_is_often_missing_does_not_jump():
    found = np.full((400, 1, 2, 4), 200.0)
    gone = np.random.default_rng(0).random((400, 1, 2)) < 0.4
    found[gone] = np.nan
    assert leap_rate([found], 16.0) == 0
    assert np.isnan(confirmed(found[:4] * np.nan, 5.0)).all()


def test_animals_without_names_are_followed_before_time_judges_them():
    """Places of the lists are exchanged at random: it must not look like leaps of 60 px."""
    paths = np.concatenate([as_found(walk(40)), as_found(walk(40) + np.array([0.0, 60.0]))], 1)
    swapped = np.random.default_rng(0).random(40) < 0.4
    found = paths.copy()
    found[swapped] = found[swapped, ::-1]
    plan = SimpleNamespace(individuals=2, names=0)
    ordered = one_by_one(plan, found)
    assert leap_rate([found], 20.0) > 200
    assert leap_rate([ordered], 20.0) == 0
    np.testing.assert_allclose(confirmed(ordered, 5.0), ordered[..., :2], atol=0.3)
    unseen = np.full_like(found, np.nan)
    np.testing.assert_array_equal(one_by_one(plan, unseen), unseen)
    plan.names = 2
    np.testing.assert_array_equal(one_by_one(plan, found), found)


@pytest.mark.parametrize(("grouping", "kept"), [("fine", 18), ("coarse", 30), ("", 30)])
def test_a_net_that_groups_peaks_is_not_taught_doubts_as_background(monkeypatch, grouping, kept):
    """A tail is lost for 12 frames: nothing is to be pressed down where it was."""
    found = np.concatenate([as_found(walk(30)), as_found(walk(30) + np.array([0.0, 60.0]))], 1)
    found[8:20, 1, 3, :2] = np.nan
    pictures = [np.full((96, 96, 1), number, np.uint8) for number in range(30)]
    monkeypatch.setattr(students, "look_through", lambda *_: [(pictures, found)])
    labelled = SimpleNamespace(points=found[:2, ..., :2], image=lambda row: pictures[row])
    learner = SimpleNamespace(plan=SimpleNamespace(grouping=grouping), structure=None)
    both, _, _ = taught(learner, PoseFrames(labelled, [0, 1]))
    assert len(both) == len(both.points) == 2 + kept
    assert both[2 + kept - 10].max() == 20
    if grouping == "fine":
        assert np.isfinite(both.points).all()


def test_stretches_are_spread_over_a_long_video():
    found = stretches(100_000)
    assert found[0][0] == 0
    assert found[-1][1] == 100_000
    assert sum(last - first for first, last in found) == 500


def test_labelled_frames_are_half_of_what_is_seen():
    numbers = _half_and_half(110, np.arange(10), 4)
    assert np.mean(numbers < 10) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("nets", [1, 2])
def test_a_net_learns_on_from_a_clip_and_says_what_it_brought(tmp_path, nets):
    labels = read_labels(write_project(tmp_path / "p", 1, 8))
    rng = np.random.default_rng(0)
    pictures = [paint(points, rng)[..., None] for points in walk(24)]
    clip = write_video(tmp_path / "clip.mp4", pictures, 30.0)
    frames = PoseFrames(labels, clips=[clip])
    keys = {"batch": 4, "widths": (8, 8, 8, 8), "nets": nets}
    model = PoseLearner("unet", PoseWishes(NAMES, labels.skeleton.mirror, keys=keys))
    history = model.fit(frames, job=FitJob(steps=12))
    assert history.stopped.count("polish") == nets
    assert model.seconds_of_looking(frames) > 0
    assert "24 frames of 1 unlabelled video" in model.plan.reason
    again = PoseLearner.from_spec(model.spec)
    again.load(model.state())
    np.testing.assert_array_equal(again.predict_scores(frames), model.predict_scores(frames))


def test_a_glob_without_a_video_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="unlabelled"):
        find_clips(tmp_path, ["videos/*.mp4"])


def test_many_videos_share_the_memory():
    for count in (1, 3, 30, 5000):
        spans = looked_at([(10_000, 1000)] * count)
        frames = [last - first for own in spans for first, last in own]
        assert sum(frames) <= FRAMES
        assert min(frames) >= 20
    large = looked_at([(10_000, 3 * 2160 * 3840)] * 2)
    assert sum(last - first for own in large for first, last in own) <= 87


def test_a_frame_that_cannot_be_decoded_costs_itself_only(monkeypatch, tmp_path):
    from neuroloom.io import video

    pictures = (np.full((32, 32, 1), number, np.uint8) for number in range(12))
    clip = video.write_video(tmp_path / "a.mp4", pictures, 25.0)
    frame = video.Video._frame

    def broken(self, reader, number, before=None):
        if number != 5:
            return frame(self, reader, number, before)
        assert self.patch
        self.damaged[5] = True
        return np.zeros(self.shape, np.uint8)

    monkeypatch.setattr(video.Video, "_frame", broken)
    net = SimpleNamespace(plan=SimpleNamespace(individuals=1, names=0))
    net.find_in = lambda own: np.zeros((len(own), 1, 2, 4))
    ((own, found),) = look_through(net, [clip])
    assert len(own) == len(found) == 11
