"""The plain model of single voxels, where there is little to learn."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from skimage.transform import resize

from neuroloom.learn.dense.apply.large import room, slabs
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.training import voxel
from neuroloom.learn.dense.training.learner import Wishes
from neuroloom.learn.dense.training.voxel import (
    CLASS_S,
    COST_S,
    FEWEST,
    VoxelLearner,
    block_edges,
    in_blocks,
    out_of_blocks,
    voxel_features,
)
from neuroloom.learn.training.fit import FitJob


class Case:
    """An image as bright as its label says."""

    name = "case"

    def __init__(self, label):
        self.label, self.spacing = label, (1.0,) * label.ndim
        noise = np.random.default_rng(0)
        self.pixels = noise.normal(label, 0.1, (1, *label.shape)).astype(np.float32)

    def image(self):
        return self.pixels

    def truth(self):
        return self.label


def cases_of(*labels):
    return DenseCases([Case(label) for label in labels])


def test_a_class_alone_is_what_is_said_of_everything():
    learner = VoxelLearner("voxel-logistic", Wishes({0: "background", 1: "lesion"}))
    cases = cases_of(np.zeros((9, 8), int))
    learner.fit(cases)
    assert next(iter(learner.predict_scores(cases)))[0].min() > 0.99


def test_two_classes_of_three_are_told_apart_and_the_third_is_never_said():
    label = np.zeros((24, 20), int)
    label[5:15, 5:15] = 2
    learner = VoxelLearner("voxel-logistic", Wishes({0: "background", 1: "a", 2: "b"}))
    cases = cases_of(label)
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
    cases = cases_of(label)
    learner.fit(cases)
    small = next(iter(learner.predict_scores(cases)))
    monkeypatch.setattr(voxel, "room", partial(room, large=1))
    large = next(iter(learner.predict_scores(cases)))
    assert isinstance(large, np.memmap)
    np.testing.assert_allclose(large, small, atol=5e-4)


def test_large_images_are_seen_in_blocks_that_leave_the_net_its_time(monkeypatch):
    """As many voxels as the time allows, whatever their number: not hours of a budget of minutes"""
    monkeypatch.setattr(voxel, "FEWEST", 4000)
    label = np.zeros((90, 80, 9), int)
    label[20:60, 20:50, 2:7] = 1
    learner = VoxelLearner("voxel-logistic", Wishes({0: "background", 1: "b"}, budget_s=0.01))
    seen, features = [], voxel._filtered
    monkeypatch.setattr(voxel, "_filtered", lambda a: seen.append(a.size) or features(a))
    cases = cases_of(label, label)
    learner.fit(cases)
    found = next(iter(learner.predict_scores(cases)))
    assert max(seen) <= 4000 < label.size
    assert found.shape == (2, *label.shape)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    hit = (found.argmax(0) & label).sum() * 2 / (found.argmax(0).sum() + label.sum())
    assert hit > 0.9
    again = VoxelLearner.from_spec(learner.spec)
    again.load(learner.state())
    np.testing.assert_array_equal(next(iter(again.predict_scores(cases))), found)


@pytest.mark.parametrize("held_out", [0, 200])
def test_what_is_held_out_counts_as_what_is_learnt_from(held_out, monkeypatch):
    """Ten cases to learn from and 200 to predict took 960 s of ten minutes."""
    monkeypatch.setattr(voxel, "FEWEST", 1)
    label = np.zeros((40, 40, 40), int)
    label[5:15] = 1
    cases = cases_of(*[label] * 10)
    classes = {0: "background", 1: "b"}
    learner = VoxelLearner("voxel-logistic", Wishes(classes, budget_s=60.0))
    learner.fit(cases, job=FitJob(held_out=held_out))
    most = float(learner.arrays["most"])
    features = most * COST_S[3] * (10 + held_out)
    spread = CLASS_S * 2 * label.size * held_out
    assert 0.95 * 6 < features + spread <= 6


@pytest.mark.parametrize(("blocks", "edges", "shape"), [
    ((6, 5, 4), [3, 2, 1], (17, 9, 4)), ((4, 3), [1, 5], (4, 13)), ((1, 3), [4, 2], (3, 6)),
])  # fmt: skip
def test_voxels_between_blocks_are_what_scikit_image_says(blocks, edges, shape, monkeypatch):
    monkeypatch.setattr(voxel, "IN_CACHE", 50)
    p = np.random.default_rng(0).random((2, *blocks)).astype("f4")
    whole = [n * edge for n, edge in zip(blocks, edges, strict=True)]
    inside = tuple(slice(n) for n in shape)
    told = [resize(own, whole, order=1, mode="edge", anti_aliasing=False)[inside] for own in p]
    np.testing.assert_allclose(out_of_blocks(p, edges, shape), told, atol=1e-5)


def test_small_images_are_seen_whole_however_short_the_time():
    label = np.zeros((60, 70, 31), int)
    label[5:15] = 1
    assert label.size < FEWEST
    learner = VoxelLearner("voxel-logistic", Wishes({0: "background", 1: "b"}, budget_s=1e-3))
    learner.fit(cases_of(label))
    assert block_edges(label.shape, learner.arrays["most"]) == [1, 1, 1]


def test_blocks_are_means_also_at_the_end():
    image = np.arange(10.0, dtype="f4").reshape(1, 2, 5)
    assert in_blocks(image, [1, 2]).tolist() == [[[0.5, 2.5, 4.0], [5.5, 7.5, 9.0]]]
    assert in_blocks(image, [2, 3]).tolist() == [[[3.5, 6.0]]]
