"""The plain model of single voxels, where there is little to learn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from neuroloom.learn.dense.training.learner import Wishes
from neuroloom.learn.dense.training.voxel import VoxelLearner


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
