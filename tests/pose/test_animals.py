"""Which animals and points are learnt: unique points, empty ones, tracks that are no animals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.io.labels import Labels, Skeleton
from neuroloom.pose.animals import as_trained, to_learn
from neuroloom.pose.data import _told_apart

SKELETON = Skeleton(("nose", "tail", "box"), edges=((0, 1), (1, 2)))


def labels_of(points: np.ndarray, individuals: tuple[str, ...], source: str, **extra) -> Labels:
    frames = pd.DataFrame({"video": "v", "frame": range(len(points)), "image": ""})
    return Labels(SKELETON, frames, points, individuals, Path(), source, (), extra)


def test_unique_points_of_deeplabcut_are_left_out_and_said():
    points = np.full((3, 3, 3, 2), np.nan)
    points[:2, :2, :2] = 5.0
    points[:, 2, 2] = 60.0  # the third frame shows nothing else
    labels = labels_of(points, ("a", "b", "single"), "dlc", unique=("box",))
    learnt, told = to_learn(labels, identity=False)
    assert learnt.individuals == ("a", "b")
    assert learnt.skeleton.keypoints == ("nose", "tail")
    assert learnt.skeleton.edges == ((0, 1),)
    assert len(learnt) == 2
    assert "box" in told[0]


def test_a_point_that_no_frame_shows_is_not_learnt():
    points = np.full((2, 1, 3, 2), 4.0)
    points[:, :, 1] = np.nan
    learnt, _ = to_learn(labels_of(points, ("a",), "dlc"), identity=False)
    assert learnt.skeleton == Skeleton(("nose", "box"))


def test_tracks_are_no_animals():
    points = np.full((4, 4, 3, 2), np.nan)
    for frame, shown in enumerate(([0, 1], [2], [2, 3], [1, 3])):
        points[frame, shown] = np.arange(len(shown))[:, None, None] + 10.0 * frame
    labels = labels_of(points, ("t0", "t1", "t2", "t3"), "slp", tracks=("t0", "t1", "t2", "t3"))
    learnt, told = to_learn(labels, identity=False)
    assert learnt.individuals == ("individual_0", "individual_1")
    assert np.nanmax(learnt.points, (1, 2, 3)).tolist() == [1.0, 10.0, 21.0, 31.0]
    assert np.isnan(learnt.points[1, 1]).all()
    assert "4 tracks, at most 2" in told[0]
    kept, _ = to_learn(labels, identity=True)
    assert kept.individuals == labels.individuals


@pytest.mark.parametrize("identity", [False, True])
def test_animals_that_nobody_labelled_are_left_out_and_said(identity):
    points = np.full((2, 3, 3, 2), np.nan)
    points[0, 0], points[1, 2] = 1.0, 2.0  # never in one frame, and animals all the same
    learnt, told = to_learn(labels_of(points, ("a", "b", "c"), "dlc"), identity)
    assert learnt.individuals == ("a", "c")
    assert np.array_equal(learnt.points, points[:, [0, 2]], equal_nan=True)
    assert told == ["Animals that are labelled in no frame are not learnt: b."]


def test_one_labelled_animal_of_several_declared_is_not_told_apart():
    points = np.full((2, 3, 3, 2), np.nan)
    points[:, 1] = 1.0
    labels = labels_of(points, ("a", "b", "c"), "dlc", identity=True)
    assert not _told_apart(labels, None)
    with pytest.raises(ConfigError, match="labels of one animal only"):
        _told_apart(labels, True)


@pytest.mark.parametrize("identity", [False, True])
def test_new_animals_have_places_behind_those_of_the_run(identity):
    points = np.arange(2 * 3 * 3 * 2, dtype=float).reshape(2, 3, 3, 2)
    labels = labels_of(points, ("c", "b", "a"), "dlc")
    facts = {"keypoints": ["tail", "nose"], "individuals": ["a", "b"], "identity": identity}
    found, places = as_trained(labels, facts, Path("p"))
    assert found.skeleton.keypoints == ("tail", "nose")
    assert len(places) == 3
    order = [2, 1, 0] if identity else [0, 1, 2]
    assert np.array_equal(found.points, points[:, order][:, :, [1, 0]])
    assert places == (["a", "b", "c"] if identity else ["a", "b", "individual_2"])


def test_fewer_animals_than_the_run_finds_leave_places_empty():
    labels = labels_of(np.ones((2, 1, 3, 2)), ("a",), "dlc")
    facts = {"keypoints": ["nose"], "individuals": ["x", "y"], "identity": False}
    found, places = as_trained(labels, facts, Path("p"))
    assert places == ["x", "y"]
    assert np.isnan(found.points[:, 1]).all()
    assert (found.points[:, 0] == 1).all()


def test_animals_that_nobody_labelled_have_no_place_among_names():
    points = np.full((2, 4, 3, 2), np.nan)
    points[:, 1:3] = 5.0
    labels = labels_of(points, ("single", "b", "a", "c"), "dlc")
    facts = {"keypoints": ["nose", "tail", "box"], "individuals": ["a", "b"], "identity": True}
    found, places = as_trained(labels, facts, Path("p"))
    assert places == ["a", "b"]
    assert np.isfinite(found.points).all()
