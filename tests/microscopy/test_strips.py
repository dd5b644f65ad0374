"""Strips of images: where they lie, what they hold, and what is never on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.microscopy.strips import common_axis, cut_case, neighbour_of, places


@dataclass
class Whole:
    """A case in memory."""

    name: str = "w"
    shape: tuple[int, ...] = (50, 200)
    spacing: tuple[float, ...] = (0.5, 0.5)

    def image(self):
        return np.arange(np.prod(self.shape), dtype=np.float32).reshape(1, *self.shape)

    def truth(self):
        return self.image()[0].astype(int)


@pytest.mark.parametrize(("size", "folds", "gap"), [(301, 3, 7), (1000, 5, 40), (128, 2, 0)])
def test_strips_of_folds_are_apart_by_the_gap_and_reach_both_ends(size, folds, gap):
    found = places(size, folds, 0.3, gap)
    assert len(found) == folds
    assert found[0][0] == 0
    assert found[-1][1] == size
    assert [b[0] - a[1] for a, b in pairwise(found)] == [gap] * (folds - 1)


def test_one_fold_holds_out_the_last_share_whole():
    assert places(1541, 1, 1 / 3, 100) == [(0, 927), (1027, 1541)]


def test_strips_that_would_vanish_are_refused():
    with pytest.raises(ConfigError, match="folds"):
        places(200, 5, 0.3, 30)


def test_a_strip_is_the_window_of_its_case():
    first, second = cut_case(Whole(), 1, 1, 0.25, 20)
    assert first.image().shape == (1, 50, 130)
    assert second.truth().tolist() == Whole().truth()[:, 150:].tolist()
    assert second.spacing == (0.5, 0.5)
    assert [first.name, second.name] == ["w_part1", "w_part2"]


def test_the_axis_can_be_chosen_and_must_exist():
    tall = cut_case(Whole(shape=(90, 40)), 0, 2, 0.5, 10)
    assert [one.shape for one in tall] == [(40, 40), (40, 40)]
    with pytest.raises(ConfigError, match="axis is 2"):
        common_axis([Whole()], 2)


def test_sections_of_unlike_shape_are_cut_along_one_axis():
    assert common_axis([Whole(shape=(1010, 1000)), Whole(shape=(1000, 1015))], None) == 1
    assert common_axis([Whole(shape=(1010, 1000)), Whole(shape=(1000, 1010))], None) == 1
    assert common_axis([Whole(shape=(1010, 1000)), Whole(shape=(1000, 1010))], 0) == 0


def test_a_neighbour_is_of_the_same_subject_and_shape():
    cases = [Whole(shape=s) for s in ((5, 5), (6, 5), (5, 5), (5, 5))]
    assert neighbour_of(2, [0, 1, 3], list("aaaa"), cases) == 3
    assert neighbour_of(2, [1, 3], list("aaab"), cases) is None
