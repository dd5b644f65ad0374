"""Which animal of one camera is which of another: names exchanged in all the ways that nets do."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.recording import tracks
from neuroloom.io.tracks import write_tracks
from neuroloom.pose.rig import Camera, Rig, triangulate_robust, write_rig
from neuroloom.pose.rig.lift import find_seen, lift
from neuroloom.pose.rig.same import are_numbers, match_animals, numbered_alike
from tests.pose.rig.rigs import ring

NUMBERS, NAMES = ["individual_0", "individual_1"], ["black", "white"]


def seen_by(cameras: int, animals: int, frames: int = 60, apart: float = 80.0):
    """Paths (time, animal, 4, 3) and what cameras see of them (camera, time, animal, 4, 2)."""
    rig, rng = ring(cameras), np.random.default_rng(0)
    middle = apart * np.array([[-0.5, -0.3, 0], [0.5, 0.3, 0], [0.1, 0.6, 0]])[:animals]
    body = rng.normal(0, 6, (1, animals, 4, 3))
    walk = rng.normal(0, 0.5, (frames, animals, 1, 3)).cumsum(0)
    path = middle[:, None] + body + walk
    return rig, path, rig.project(path) + rng.normal(0, 0.5, (cameras, frames, animals, 4, 2))


def error_of(rig, path, seen, names) -> tuple[float, list]:
    cameras, frames = seen.shape[:2]
    flat = seen.reshape(cameras, 1, frames, -1, 2)
    put, _, told = match_animals(rig, flat, np.ones(flat.shape[:-1]), names)
    found = triangulate_robust(rig, put[:, 0])[0].reshape(path.shape)
    return float(np.nanmedian(np.linalg.norm(found - path, axis=-1))), told


def exchanged(seen: np.ndarray, camera: int, every: int) -> np.ndarray:
    seen = seen.copy()
    seen[camera, ::every] = seen[camera, ::every, ::-1]
    return seen


@pytest.mark.parametrize("names", [NUMBERS, NAMES])
@pytest.mark.parametrize("cameras", [2, 3])
def test_names_exchanged_in_one_camera_cost_nothing(cameras, names):
    rig, path, seen = seen_by(cameras, 2)
    right, told = error_of(rig, path, seen, names)
    assert not told
    for every in (1, 2):
        error, told = error_of(rig, path, exchanged(seen, cameras - 1, every), names)
        assert error <= 1.1 * right
        assert told[0].severity == ("note" if names is NUMBERS else "warning")
    if cameras == 3:
        both = exchanged(exchanged(seen, 1, 1), 2, 2)
        assert error_of(rig, path, both, NUMBERS)[0] <= 1.1 * right
        assert error_of(rig, path, exchanged(seen, 0, 2), names)[0] <= 1.1 * right


def test_animals_listed_in_any_order_are_followed():
    rig, path, seen = seen_by(3, 3)
    names = [f"individual_{k}" for k in range(3)]
    right, _ = error_of(rig, path, seen, names)
    rng = np.random.default_rng(1)
    mixed = seen.copy()
    for camera, frame in np.ndindex(*seen.shape[:2]):
        mixed[camera, frame] = seen[camera, frame, rng.permutation(3)]
    mixed[1, 20:30, 0] = np.nan
    flat = mixed.reshape(3, 1, 60, -1, 2)
    put, _, _ = match_animals(rig, flat, np.ones(flat.shape[:-1]), names)
    found = triangulate_robust(rig, put[:, 0])[0].reshape(path.shape)
    apart = np.linalg.norm(found[:, :, None] - path[:, None], axis=-1)
    own = np.nanmedian(apart, (0, 3)).argmin(1)
    assert sorted(own) == [0, 1, 2]
    assert np.nanmedian(np.linalg.norm(found - path[:, own], axis=-1)) <= 1.1 * right


@pytest.mark.parametrize("mixed", [False, True])
def test_who_comes_back_after_a_gap_is_who_it_is_called(mixed):
    rig, path, _ = seen_by(3, 2)
    path[40:] += (path[40:].mean(2, keepdims=True) * -1) + path[40:, ::-1].mean(2, keepdims=True)
    seen = rig.project(path) + np.random.default_rng(1).normal(0, 0.5, (3, 60, 2, 4, 2))
    seen[:, 20:40] = np.nan
    right, told = error_of(rig, path, seen, NUMBERS)
    assert right < 1
    assert not told
    if mixed:
        assert error_of(rig, path, exchanged(seen, 2, 2), NUMBERS)[0] <= 1.1 * right


def test_numbers_that_fit_hold_where_two_cameras_cannot_tell():
    K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-60.0, 0, 0]))))
    rng = np.random.default_rng(3)
    walk = 60 * np.tanh(rng.normal(0, 10, (200, 2, 1, 3)).cumsum(0) / 60)
    path = walk * [1, 1, 0] + [0, 0, 300] + rng.normal(0, 8, (1, 2, 5, 3))
    seen = rig.project(path) + rng.normal(0, 1, (2, 200, 2, 5, 2))
    flat = seen.reshape(2, 1, 200, -1, 2)
    put, _, told = match_animals(rig, flat, np.ones(flat.shape[:-1]), NUMBERS)
    assert not told
    np.testing.assert_array_equal(put, flat)


def test_networks_of_a_camera_may_list_animals_differently():
    rig, _, seen = seen_by(3, 2)
    other = seen + np.random.default_rng(2).normal(0, 0.5, seen.shape)
    both = np.stack([seen, exchanged(other, 1, 3)], 1).reshape(3, 2, 60, -1, 2)
    put, _, _ = match_animals(rig, both, np.ones(both.shape[:-1]), NUMBERS)
    assert np.abs(put[:, 0] - put[:, 1]).max() < 5


def test_a_single_of_unique_points_stays_where_it_is():
    rig, _, seen = seen_by(3, 2)
    seen = exchanged(seen, 1, 1).reshape(3, 1, 60, -1, 2)
    put, _, told = match_animals(rig, seen, np.ones(seen.shape[:-1]), ["mouse", "single"])
    assert not told
    np.testing.assert_array_equal(put, seen)


def test_what_numbers_are():
    assert are_numbers(["track_0", "track_12"])
    assert not are_numbers(["mouse1", "rat2"])
    assert not are_numbers(["single"])


def test_numbers_of_single_animals_are_names_unless_programs_gave_them():
    def of(*names):
        one = [tracks(np.zeros((2, 2, 1, 1)), ["nose"], [name], rate=30.0) for name in names]
        alike = numbered_alike({f"cam{k}": [track] for k, track in enumerate(one)})
        return [str(own[0].individuals.values[0]) for own in alike.values()]

    assert of("mouse1", "mouse2") == ["mouse1", "mouse2"]
    assert of("individual_0", "individual_1") == ["individual_0", "individual_0"]
    assert of("individual_0", "mouse2") == ["individual_0", "mouse2"]


def test_files_that_number_their_animals_otherwise_are_read(tmp_path):
    rig, path, seen = seen_by(3, 2)
    write_rig(rig, tmp_path / "calibration.toml")
    for k, camera in enumerate(rig):
        own = seen[k, :, ::-1] if k == 1 else seen[k]
        names = ["ind1", "ind2"] if k == 2 else NUMBERS
        points = own.transpose(0, 3, 2, 1)
        made = tracks(points, list("abcd"), names, rate=30.0, confidence=np.ones((60, 4, 2)))
        write_tracks(made, tmp_path / f"mouse_{camera.name}.csv", "dlc")
    found = find_seen(tmp_path, rig)
    places = lift(found).places.reshape(path.shape)
    assert np.nanmedian(np.linalg.norm(places - path, axis=-1)) < 1
    assert found.findings[0].title == "Animals matched across cameras"
    assert "cam1 100%" in found.findings[0].detail
