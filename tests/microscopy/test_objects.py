"""Objects as a net learns them: sizes, rims, and back to numbers."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.microscopy.instances import boundary_targets
from neuroloom.microscopy.objects import (
    counts_of_objects,
    image_diameter,
    label_diameter,
    look_numbered,
    numbered,
)


def discs(radius: float, size: int = 160, step: float = 3.2) -> np.ndarray:
    """Numbered discs on a lattice."""
    y, x = np.mgrid[:size, :size]
    found = np.zeros((size, size), int)
    gap = step * radius
    for number, (cy, cx) in enumerate(
        ((a, b) for a in np.arange(gap, size - radius, gap) for b in np.arange(gap, size, gap)), 1
    ):
        found[np.hypot(y - cy, x - cx) < radius] = number
    return found


@pytest.mark.parametrize("radius", [5.0, 11.5])
def test_image_and_label_tell_nearly_the_same_diameter(radius):
    label = discs(radius)
    rng = np.random.default_rng(0)
    image = 20 + 100 * (label > 0) + rng.normal(0, 3, label.shape)
    assert label_diameter(label) == pytest.approx(2 * radius, rel=0.1)
    assert image_diameter(image) == pytest.approx(2 * radius, rel=0.3)


def test_the_ratio_of_two_images_is_that_of_their_objects():
    small, large = discs(5.0), discs(11.5)
    ratio = image_diameter(20 + 100.0 * (large > 0)) / image_diameter(20 + 100.0 * (small > 0))
    assert ratio == pytest.approx(2.3, rel=0.15)


def test_numbers_are_told_from_classes():
    assert look_numbered(discs(6.0))
    assert not look_numbered(np.random.default_rng(0).integers(0, 12, (60, 60)))


def test_what_was_made_of_numbers_is_found_again():
    truth = discs(7.0, step=2.05)
    target = boundary_targets(truth, 1)
    p = np.stack([target == value for value in range(3)]).astype(float)
    counts = counts_of_objects(truth, numbered(p))
    assert counts["objects_true"] == counts["objects_pred"]
    assert counts["objects_matched@0.9"] == counts["objects_true"]


def test_counts_by_hand():
    counts = counts_of_objects([1, 1, 1, 1, 0, 2], [4, 4, 4, 0, 0, 5])
    assert counts["objects_matched@0.5"] == 2
    assert counts["objects_matched@0.8"] == 1


def test_images_are_as_smooth_as_their_objects_are_large():
    from types import SimpleNamespace

    from neuroloom.microscopy.objects import Objects

    label, rng = discs(11.5), np.random.default_rng(0)
    noise = rng.normal(0, 6, label.shape)
    case = SimpleNamespace(image=lambda: (20 + 100 * (label > 0) + noise)[None], spacing=(1.0, 1.0))
    own, given = Objects(case), Objects(case, 60.0)
    assert own.diameter == pytest.approx(23, rel=0.3)
    assert given.diameter == 60.0
    # A Gaussian of s pixels leaves 1 / (2 s sqrt(pi)) of white noise.
    alone = label == 0
    raw = (np.log(20 + noise.clip(-19)) - np.log(20))[alone].std() / np.log(6)
    left = own.image()[0][alone & (np.roll(label, 4, 0) + np.roll(label, -4, 0) == 0)].std()
    assert left < 0.6 * raw
    assert given.image()[0][alone].std() != pytest.approx(left, rel=0.2)
    assert np.median(own.image()[0][label > 0]) == pytest.approx(1, abs=0.2)
