import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from neuroloom.learn.dense.measures.doubt import error_auroc, near_border

REGIONS = {"whole": (1, 2, 3), "core": (2, 3)}


def scene(seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros((24, 24), int)
    truth[4:16, 4:20] = 1
    label = np.roll(truth, 2, 1)
    return truth, label, rng.random(truth.shape).astype("f4")


def test_voxels_that_nobody_labelled_are_neither_right_nor_wrong():
    truth, label, h = scene()
    scribbled = truth.copy()
    scribbled[:, ::2] = 9
    known = near_border(label) & (scribbled != 9)
    expected = roc_auc_score((truth != label)[known], h[known])
    assert error_auroc(h, scribbled, label, ignore=9) == pytest.approx(expected)
    assert np.isnan(error_auroc(h, np.full_like(truth, 9), label, ignore=9))


def test_a_union_is_right_whichever_of_its_labels_is_painted():
    truth, label, h = scene()
    parts = np.where(truth > 0, np.arange(24) % 3 + 1, 0)
    expected = error_auroc(h, truth, label)
    assert error_auroc(h, parts, label, regions={"whole": (1, 2, 3)}) == expected
    assert error_auroc(h, parts, label) != expected


def test_a_voxel_in_one_of_two_regions_only_is_wrong():
    h = np.array([0.1, 0.9, 0.2, 0.1], "f4")
    assert error_auroc(h, [0, 1, 3, 0], [0, 2, 2, 0], regions=REGIONS) == 1.0
