"""Against brute force, MONAI (which has DeepMind's own tables), and DeepMind's published tests."""

import time

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.measures import surface as s

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 3.0, 1.1), (2.0, 1.0, 0.5)]


def blobs(seed=0, shape=(20, 18, 16)):
    """Two masks that agree for the most part, with holes, islands and diagonal contacts."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    other = field + 0.3 * field.std() * rng.normal(size=shape)
    return field > 0.5 * field.std(), other > 0.5 * field.std()


@pytest.mark.parametrize("spacing", [*SPACINGS, (1.0, 1.0), (0.3, 2.0)])
def test_areas_of_every_code_are_the_published_ones(spacing):
    from monai.metrics.utils import get_code_to_measure_table

    theirs = get_code_to_measure_table(spacing)[0].double().numpy()
    n = 2 ** len(spacing)
    reverse = [int(format(code, f"0{n}b")[::-1], 2) for code in range(2**n)]
    np.testing.assert_allclose(s.element_areas(spacing)[reverse], theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sparse", [0.0, 1.0])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_distances_are_those_of_a_plain_search(spacing, sparse, monkeypatch):
    monkeypatch.setattr(s, "SPARSE", sparse)  # by the transform, and by a tree
    truth, predicted = blobs()
    found = s.surface_distances(truth, predicted, spacing)
    points = []
    for mask in (truth, predicted):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1), (2, 2, 2))
        inside = windows.reshape(*windows.shape[:3], 8).sum(-1)
        points.append(np.argwhere((inside > 0) & (inside < 8)) * spacing)
    apart = cdist(*points)
    np.testing.assert_allclose(found.to_predicted, np.sort(apart.min(1)), atol=1e-9)
    np.testing.assert_allclose(found.to_truth, np.sort(apart.min(0)), atol=1e-9)


@pytest.mark.parametrize("spacing", [*SPACINGS, (1.0, 2.0)])
def test_surface_dice_is_monais(spacing):
    import torch
    from monai.metrics import compute_surface_dice

    truth, predicted = blobs(1)
    if len(spacing) == 2:
        truth, predicted = truth[8], predicted[8]
    hot = [torch.tensor(np.stack([~m, m])[None]) for m in (predicted, truth)]
    for tolerance in (0.0, 1.0, 2.5):
        theirs = compute_surface_dice(*hot, [tolerance], spacing=spacing, use_subvoxels=True)
        ours = s.nsd(s.surface_distances(truth, predicted, spacing), tolerance)
        assert ours == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_between_voxels_all_is_monais(spacing):
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    truth, predicted = blobs(2)
    found = s.voxel_distances(truth, predicted, spacing)
    hot = [torch.tensor(np.stack([~m, m])[None]) for m in (predicted, truth)]
    for percentile in (None, 95.0, 50.0):
        theirs = compute_hausdorff_distance(*hot, percentile=percentile, spacing=spacing)
        assert s.hausdorff(found, percentile or 100.0) == pytest.approx(float(theirs), abs=1e-6)
    theirs = compute_average_surface_distance(*hot, spacing=spacing)
    assert s.average_distances(found)[1] == pytest.approx(float(theirs), abs=1e-6)
    theirs = compute_average_surface_distance(*hot, symmetric=True, spacing=spacing)
    assert s.average_symmetric(found) == pytest.approx(float(theirs), abs=1e-6)
    theirs = compute_surface_dice(*hot, [1.0], spacing=spacing)
    assert s.nsd(found, 1.0) == pytest.approx(float(theirs), abs=1e-6)


def pair(*places, shape=(100, 100, 100)):
    masks = np.zeros((2, *shape), bool)
    for mask, place in zip(masks, places, strict=True):
        if place is not None:
            mask[place] = True
    return masks


def test_published_examples_of_single_voxels():
    """github.com/google-deepmind/surface-distance, surface_distance_test.py."""
    a, b = pair((50, 60, 70), (50, 60, 72))
    found = s.surface_distances(a, b, (3, 2, 1))
    assert s.average_distances(found) == pytest.approx((1.5, 1.5))
    assert s.hausdorff(found, 100) == pytest.approx(2.0)
    assert s.surface_overlap(found, 1) == pytest.approx((0.5, 0.5))
    assert s.nsd(found, 1) == pytest.approx(0.5)
    found = s.surface_distances(a, a, (3, 2, 1))
    assert (s.hausdorff(found), s.nsd(found, 1)) == (0.0, 1.0)


def test_published_example_of_two_cubes():
    a, b = pair(np.s_[0:50], np.s_[0:51])
    found = s.surface_distances(a, b, (2, 1, 1))
    assert s.average_distances(found) == pytest.approx((0.322, 0.339), abs=1e-3)
    for percentile in (5, 50, 70):
        assert s.hausdorff(found, percentile) == 0.0
    assert s.hausdorff(found, 95) == s.hausdorff(found, 100) == 2.0
    assert s.surface_overlap(found, 1.0) == pytest.approx((0.842, 0.830), abs=1e-3)
    assert s.nsd(found, 1.0) == pytest.approx(0.836, abs=1e-3)


def test_area_of_a_box_and_length_of_a_rectangle():
    """Faces run through the outermost voxel centres' middles; edges and corners are bevelled."""
    a, b, c = 0.7, 3.0, 1.1
    nz, ny, nx = 4, 6, 3
    box, _ = pair(np.s_[2:6, 3:9, 4:7], None, shape=(9, 12, 10))
    z, y, x = (nz - 1) * a, (ny - 1) * b, (nx - 1) * c
    bevels = z * np.hypot(b, c) + y * np.hypot(a, c) + x * np.hypot(a, b)
    corner = np.linalg.norm(np.cross([a, -b, 0], [a, 0, -c])) / 8
    expected = 2 * (z * y + z * x + y * x) + 4 * bevels / 2 + 8 * corner
    assert s.surface_distances(box, box, (a, b, c)).area_true.sum() == pytest.approx(expected)
    flat = s.surface_distances(box[3], box[3], (b, c)).area_true.sum()
    assert flat == pytest.approx(2 * (y + x) + 4 * np.hypot(b, c) / 2)


def test_specks_all_over_a_volume_need_no_distance_of_every_voxel(monkeypatch):
    """Of a hundred classes with a few specks each, a CT took ten minutes to score."""
    monkeypatch.setattr(ndimage, "distance_transform_edt", None)
    truth, predicted = np.zeros((2, 40, 40, 40), bool)
    truth[18:22, 18:22, 18:22] = predicted[18:22, 18:22, 19:23] = True
    predicted[0, 0, 0] = predicted[39, 39, 39] = True
    found = s.surface_distances(truth, predicted, (1.0, 1.0, 1.0))
    assert found.to_predicted.max() == 1.0
    assert found.to_truth.max() == pytest.approx(np.sqrt(3 * 19**2), abs=2)


def test_empty_masks():
    some, none = pair((2, 2, 2), None, shape=(5, 5, 5))
    both = s.surface_distances(none, none, (1, 1, 1))
    assert (s.hausdorff(both), s.average_symmetric(both), s.nsd(both, 1)) == (0.0, 0.0, 1.0)
    assert (both.reason, s.surface_overlap(both, 1)) == ("", (1.0, 1.0))
    for a, b, reason in (
        (some, none, "the prediction is empty"),
        (none, some, "the truth is empty"),
    ):
        found = s.surface_distances(a, b, (1, 1, 1))
        assert found.reason == reason
        assert s.nsd(found, 100.0) == 0.0
        assert np.isnan([s.hausdorff(found), s.hd95(found), s.average_symmetric(found)]).all()


def test_what_is_no_mask_is_said():
    with pytest.raises(DataError, match="2 or 3 axes"):
        s.surface_distances(np.ones(4, bool), np.ones(4, bool), (1,))
    with pytest.raises(DataError, match="positive spacing"):
        s.surface_distances(np.ones((4, 4), bool), np.ones((4, 4), bool), (1, 0))


def test_speed_on_a_crop():
    """Well under 20 ms where it runs alone; the bound is for a busy machine."""
    truth, predicted = blobs(3, (36, 50, 35))
    s.surface_distances(truth, predicted, (1, 1, 1))
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        s.surface_distances(truth, predicted, (1, 1, 1))
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.1
