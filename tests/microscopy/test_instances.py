"""Targets and decoders of touching objects."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.measures.instances import match_instances
from neuroloom.microscopy.instances import (
    boundary_targets,
    depth,
    instances_from_probability,
    keep_objects,
)


def discs(seed=0, size=200, radius=10.0, gap=1.9):
    """Discs of which many touch; return their labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), int)
    y, x = np.mgrid[:size, :size]
    centres = [rng.uniform(radius, size - radius, 2)]
    for _ in range(400):
        turn = rng.uniform(0, 2 * np.pi)
        new = centres[rng.integers(len(centres))] + gap * radius * np.array(
            [np.sin(turn), np.cos(turn)]
        )
        inside = (new > radius).all() and (new < size - radius).all()
        if inside and min(np.hypot(*(new - c)) for c in centres) > 0.95 * gap * radius:
            centres.append(new)
    for number, (cy, cx) in enumerate(centres, start=1):
        labels[(np.hypot(y - cy, x - cx) < radius) & (labels == 0)] = number
    return labels


def test_decoded_discs_are_the_discs():
    labels = discs()
    found = instances_from_probability((labels > 0).astype(float))
    assert match_instances(labels, found).scores()["f1"] > 0.97


def test_a_boundary_map_parts_what_the_outline_cannot():
    labels = np.zeros((20, 40), int)
    labels[4:16, 4:20], labels[4:16, 20:36] = 1, 2  # one straight-sided block
    target = boundary_targets(labels)
    classes = [(target == k).astype(float) for k in (1, 2)]
    assert instances_from_probability((labels > 0).astype(float)).max() == 1
    np.testing.assert_array_equal(instances_from_probability(*classes), labels)


def test_targets_of_a_net_lead_back_to_the_labels():
    labels = discs(1, gap=1.8)
    target = boundary_targets(labels, width=1)
    assert ((target > 0) == (labels > 0)).all()
    found = instances_from_probability(*[(target == k).astype(float) for k in (1, 2)])
    assert match_instances(labels, found, 0.8).scores()["f1"] > 0.95


def test_depth_knows_the_grid():
    ball = np.zeros((5, 11, 11), bool)
    ball[1:4, 2:9, 2:9] = True
    assert depth(ball, (2.0, 1.0, 1.0))[2, 5, 5] == 4
    assert depth(ball)[2, 5, 5] == 2


def test_three_dimensions_and_small_objects():
    z, y, x = np.mgrid[:20, :24, :40]
    two = (np.sqrt((z - 10) ** 2 + (y - 12) ** 2 + (x - 12) ** 2) < 8) | (
        np.sqrt((z - 10) ** 2 + (y - 12) ** 2 + (x - 26) ** 2) < 8
    )
    two[0, 0, 0] = True
    assert instances_from_probability(two.astype(float), least=10).max() == 2


def test_nothing_and_unlike_grids():
    assert instances_from_probability(np.zeros((5, 5))).max() == 0
    assert keep_objects(np.zeros((3, 3), int), 1).max() == 0
    with pytest.raises(DataError, match="one grid"):
        instances_from_probability(np.zeros((5, 5)), np.zeros((5, 6)))
