"""Corrections of tracks, each undone by keeping the old ones or by the same call again."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.recording import tracks
from neuroloom.pose.link.edit import cut, merge, rename, swap_from


@pytest.fixture
def three():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (20, 2, 4, 3))
    points[10:, ..., 0] = np.nan
    points[:10, ..., 2] = np.nan
    confidence = rng.uniform(0, 1, (20, 4, 3))
    return tracks(points, list("abcd"), ["x", "y", "z"], 30.0, confidence)


def test_a_swap_changes_both_animals_from_its_frame_on_and_again_undoes_it(three):
    swapped = swap_from(three, 6, "x", "y")
    assert np.array_equal(swapped[:6], three[:6], equal_nan=True)
    assert np.array_equal(swapped.sel(individuals="y")[6:], three.sel(individuals="x")[6:], True)
    assert np.array_equal(swapped.sel(individuals="z"), three.sel(individuals="z"), True)
    assert (swapped.confidence[6:, :, 0] == three.confidence.values[6:, :, 1]).all()
    assert swap_from(swapped, 6, "y", "x").identical(three)


def test_a_swap_may_end(three):
    swapped = swap_from(three, 2, "x", "y", until=5)
    assert np.array_equal(swapped[5:], three[5:], equal_nan=True)
    assert not np.array_equal(swapped[2:5], three[2:5], equal_nan=True)


def test_frames_are_named_by_their_number(three):
    late = tracks(
        three.values, list("abcd"), ["x", "y", "z"], 30.0, three.confidence.values,
        frames=np.arange(100, 140, 2),
    )  # fmt: skip
    swapped = swap_from(late, 112, "x", "y", until=130)
    changed = ~np.isclose(swapped.values, late.values, equal_nan=True).all((1, 2, 3))
    assert np.flatnonzero(changed).tolist() == list(range(6, 15))
    with pytest.raises(ConfigError, match="no frame 6: the tracks have those from 100 to 138"):
        swap_from(late, 6, "x", "y")


def test_what_is_merged_is_one_track(three):
    merged = merge(three, "x", "z")
    assert list(merged.individuals.values) == ["x", "y"]
    assert np.isfinite(merged.sel(individuals="x")).all()
    assert (merged.confidence[10:, :, 0] == three.confidence.values[10:, :, 2]).all()
    assert three.sizes["individuals"] == 3


def test_two_animals_seen_at_once_are_not_merged(three):
    with pytest.raises(ConfigError, match="both seen in 10 frames, the first is 0"):
        merge(three, "x", "y")


def test_a_cut_leaves_the_rest(three):
    after = cut(three, "y", 5, 8)
    assert np.isnan(after.sel(individuals="y")[5:8]).all()
    assert np.isfinite(after.sel(individuals="y")[8:]).all()


def test_names_are_checked(three):
    with pytest.raises(ConfigError, match="No animal is called 'q'"):
        swap_from(three, 0, "q", "x")
    with pytest.raises(ConfigError, match="twice"):
        swap_from(three, 0, "x", "x")
    with pytest.raises(ConfigError, match="no frame 99"):
        swap_from(three, 99, "x", "y")
    with pytest.raises(ConfigError, match="already a 'y'"):
        rename(three, "x", "y")
    assert list(rename(three, "x", "w").individuals.values) == ["w", "y", "z"]
