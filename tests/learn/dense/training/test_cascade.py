"""Spoilt masks stay masks of one class a voxel, and differ as a ball would make them."""

import numpy as np
from scipy import ndimage
from skimage.morphology import ball

from neuroloom.learn.dense.training.cascade import corrupt_onehot, onehot


def masks() -> np.ndarray:
    label = np.zeros((30, 30, 30), int)
    label[5:15, 5:15, 5:15] = 1
    label[15:25, 5:20, 5:25] = 2
    label[2:4, 25:28, 25:28] = 1
    return onehot(label, [1, 2])


def test_a_voxel_has_at_most_one_class() -> None:
    for seed in range(20):
        spoilt = corrupt_onehot(masks(), np.random.default_rng(seed), morph=1, drop=1)
        assert set(np.unique(spoilt)) <= {0, 1}
        assert spoilt.sum(0).max() <= 1


def test_the_seed_decides() -> None:
    first, second, other = (
        corrupt_onehot(masks(), np.random.default_rng(seed), morph=1, drop=1) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_it_is_one_of_four_operations_with_a_ball() -> None:
    """Beside scipy's morphology with scikit-image's ball, away from the border."""
    mask = masks()[:1, :20, :20, :20]
    full, shape = mask[0] > 0, ball(2)
    possible = [
        operation(full, shape)
        for operation in (
            ndimage.binary_erosion,
            ndimage.binary_dilation,
            ndimage.binary_opening,
            ndimage.binary_closing,
        )
    ]
    seen = set()
    for seed in range(16):
        spoilt = corrupt_onehot(mask, np.random.default_rng(seed), morph=1, drop=0, radii=(2, 2))
        hits = [k for k, other in enumerate(possible) if np.array_equal(spoilt[0] > 0, other)]
        assert hits
        seen.update(hits)
    assert seen == {0, 1, 2, 3}


def test_one_small_piece_vanishes() -> None:
    pieces = {
        ndimage.label(spoilt[0])[1]
        for seed in range(8)
        for spoilt in [corrupt_onehot(masks(), np.random.default_rng(seed), morph=0, drop=1)]
    }
    assert pieces == {1}
    whole = np.ones((1, 10, 10))
    assert corrupt_onehot(whole, np.random.default_rng(0), morph=0, drop=1).all()


def test_most_patches_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    same = [
        np.array_equal(corrupt_onehot(masks()[:, ::2], rng), masks()[:, ::2]) for _ in range(60)
    ]
    assert 0.3 < np.mean(same) < 0.65
