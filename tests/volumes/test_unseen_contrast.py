"""A contrast that training did not have, in other subjects: real hippocampi, rendered anew."""

from __future__ import annotations

import numpy as np
import pytest

from parity import ivadomed


@pytest.mark.parametrize("name", ivadomed.RENDERED)
def test_a_rendering_keeps_its_range_and_its_seed(name):
    voxels = np.random.default_rng(0).normal(300, 50, (5, 6, 7))
    one, again = (
        ivadomed.RENDERED[name](voxels, np.random.default_rng(3)) for _ in range(2)
    )  # fmt: skip
    assert (one == again).all()
    assert one.min() >= 0
    assert one.max() <= 1


def test_inverting_turns_the_order_round():
    voxels = np.linspace(0, 9, 20)
    turned = ivadomed.inverted(voxels, np.random.default_rng(0))
    assert (np.diff(turned) < 0).all()


@pytest.mark.long
def test_one_subject_in_three_contrasts_is_no_evidence(test_data):
    assert ivadomed.one_subject(test_data) == 1


@pytest.mark.long
def test_an_unseen_contrast_is_segmented_and_doubt_flags_errors(test_data):
    assert ivadomed.unseen_dice(test_data) >= 0.85
    assert ivadomed.unseen_auroc(test_data) >= 0.75
