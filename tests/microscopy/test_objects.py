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
