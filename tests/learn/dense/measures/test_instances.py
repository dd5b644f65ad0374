import numpy as np
import pytest
from scipy import ndimage

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.measures import instances as i


def cells(seed=0, shape=(60, 70), jitter=2):
    """Labelled blobs, and the same moved, split and merged."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 3)
    truth, _ = ndimage.label(field > 0.3 * field.std())
    moved = ndimage.shift(field, rng.integers(-jitter, jitter + 1, len(shape)), order=1)
    predicted, _ = ndimage.label(moved > 0.35 * field.std())
    predicted[predicted == predicted.max()] = 1
    return truth, predicted * 3


def brute(truth, predicted):
    """The whole matrix of intersections over unions."""
    names = [np.unique(a[a > 0]) for a in (truth, predicted)]
    out = np.zeros([n.size for n in names])
    for r, a in enumerate(names[0]):
        for c, b in enumerate(names[1]):
            both, any_ = (truth == a) & (predicted == b), (truth == a) | (predicted == b)
            out[r, c] = both.sum() / any_.sum()
    return out


@pytest.mark.parametrize("shape", [(60, 70), (20, 24, 22)])
def test_overlaps_are_those_of_a_plain_search(shape):
    truth, predicted = cells(1, shape)
    found = i.shared_voxels(truth, predicted)
    full = np.zeros((found.true.size, found.predicted.size))
    full[found.row, found.column] = found.iou
    np.testing.assert_allclose(full, brute(truth, predicted), atol=1e-12)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_matching_is_stardists_definition(threshold):
    from scipy.optimize import linear_sum_assignment

    for seed in range(4):
        truth, predicted = cells(seed, jitter=4)
        iou = brute(truth, predicted)
        costs = -(iou >= threshold).astype(float) - iou / (2 * min(iou.shape))
        rows, columns = linear_sum_assignment(costs)
        good = iou[rows, columns] >= threshold
        tp = good.sum()
        found = i.match_instances(truth, predicted, threshold)
        assert (found.tp, found.fp, found.fn) == (tp, iou.shape[1] - tp, iou.shape[0] - tp)
        told = found.scores()
        assert told["ap"] == pytest.approx(tp / (sum(iou.shape) - tp))
        assert told["f1"] == pytest.approx(2 * tp / sum(iou.shape))
        sq = iou[rows, columns][good].mean() if tp else 0
        assert told["pq"] == pytest.approx(sq * told["f1"])
        assert told["precision"] == pytest.approx(tp / iou.shape[1])
        assert told["recall"] == pytest.approx(tp / iou.shape[0])


def test_several_thresholds_at_once():
    truth, predicted = cells(2)
    told = i.average_precision(truth, predicted, (0.3, 0.5))
    assert told[0.3] == i.match_instances(truth, predicted, 0.3).scores()
    assert told[0.5]["ap"] <= told[0.3]["ap"]


@pytest.mark.parametrize("shape", [(60, 70), (20, 24, 22)])
def test_rand_and_information_are_skimages(shape):
    from skimage.metrics import adapted_rand_error, variation_of_information

    truth, predicted = cells(3, shape)
    # skimage 0.26 describes precision and recall as here, and returns them the other way round.
    error, recall, precision = adapted_rand_error(truth, predicted)
    told = i.adapted_rand(truth, predicted)
    assert told["error"] == pytest.approx(error, abs=1e-9)
    assert (told["precision"], told["recall"]) == pytest.approx((precision, recall), abs=1e-9)
    split, merge = variation_of_information(truth, predicted)
    assert i.variation_of_information(truth, predicted) == pytest.approx((split, merge), abs=1e-9)
    theirs = variation_of_information(truth, predicted, ignore_labels=(0,))
    ours = i.variation_of_information(truth, predicted, ignore=0)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_merging_lowers_the_precision():
    told = i.adapted_rand([1, 1, 2, 2], [5, 5, 5, 5])
    assert (told["precision"], told["recall"]) == (pytest.approx(1 / 3), 1.0)


def test_a_split_is_a_split():
    truth, predicted = np.repeat([1, 1], 8), np.repeat([1, 2], 8)
    assert i.variation_of_information(truth, predicted) == (1.0, 0.0)
    assert i.variation_of_information(predicted, truth) == (0.0, 1.0)


def test_without_instances():
    none, some = np.zeros((5, 5), int), np.eye(5, dtype=int)
    assert i.match_instances(none, none).scores()["f1"] == 1.0
    assert i.match_instances(none, none).scores()["pq"] == 1.0
    told = i.match_instances(none, some).scores()
    assert (told["f1"], told["ap"], told["pq"], told["precision"]) == (0, 0, 0, 0)
    assert np.isnan(told["recall"])
    assert i.match_instances(some, none).scores()["recall"] == 0


def test_what_does_not_fit_is_said():
    with pytest.raises(ConfigError, match="came 0"):
        i.match_instances([1], [1], 0)
    with pytest.raises(DataError, match="must be equal"):
        i.match_instances([1], [1, 2])
