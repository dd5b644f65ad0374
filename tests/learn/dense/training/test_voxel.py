"""The plain model of single voxels, where there is little to learn."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.learn.dense.apply.large import room, slabs
from neuroloom.learn.dense.training import voxel
from neuroloom.learn.dense.training.learner import Wishes
from neuroloom.learn.dense.training.voxel import VoxelLearner, voxel_features


class Few(list):
    """Cases that can be chosen from by rows."""

    def __getitem__(self, rows):
        return Few(list.__getitem__(self, row) for row in rows)


def case(label):
    image = np.random.default_rng(0).normal(label, 0.1, (1, *label.shape)).astype(np.float32)
    return SimpleNamespace(image=lambda: image, truth=lambda: label)


def test_a_class_alone_is_what_is_said_of_everything():
    learner = VoxelLearner("voxel-logistic", Wishes({0: "background", 1: "lesion"}))
    cases = Few([case(np.zeros((9, 8), int))])
    learner.fit(cases)
    assert next(iter(learner.predict_scores(cases)))[0].min() > 0.99


def test_two_classes_of_three_are_told_apart_and_the_third_is_never_said():
    label = np.zeros((24, 20), int)
    label[5:15, 5:15] = 2
    learner = VoxelLearner("voxel-logistic", Wishes({0: "background", 1: "a", 2: "b"}))
    cases = Few([case(label)])
    learner.fit(cases)
    found = next(iter(learner.predict_scores(cases)))
    assert (found.argmax(0) == label).mean() > 0.98
    assert found[1].max() < 1e-6


@pytest.mark.parametrize("shape", [(40, 7, 9), (60, 11)])
def test_features_of_some_voxels_are_those_at_once_and_no_slab_is_thick(shape, monkeypatch):
    """A CT of 512 x 512 x 600 has 45 GB of features, of which some thousand rows are wanted."""
    rng = np.random.default_rng(1)
    image, rows = rng.random((2, *shape)).astype("f4"), rng.permutation(np.prod(shape))[:50]
    at_once, thick = voxel_features(image, rows), []
    monkeypatch.setattr(voxel, "slabs", partial(slabs, voxels=4 * int(np.prod(shape[1:]))))
    places = voxel._places

    def noted(shape, start, stop):
        thick.append(stop - start)
        return places(shape, start, stop)

    monkeypatch.setattr(voxel, "_places", noted)
    np.testing.assert_array_equal(voxel_features(image, rows), at_once)
    assert max(thick) == 4
    assert sum(thick) == shape[0]


def test_a_large_probability_lies_in_a_file(monkeypatch):
    """A CT of 118 classes has 20 GB of them."""
    label = np.zeros((12, 10), int)
    label[5:9, 5:9] = 1
    learner = VoxelLearner("voxel-logistic", Wishes({0: "background", 1: "lesion"}))
    cases = Few([case(label)])
    learner.fit(cases)
    small = next(iter(learner.predict_scores(cases)))
    monkeypatch.setattr(voxel, "room", partial(room, large=1))
    large = next(iter(learner.predict_scores(cases)))
    assert isinstance(large, np.memmap)
    np.testing.assert_allclose(large, small, atol=5e-4)
