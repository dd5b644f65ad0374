import numpy as np
import pytest
from scipy import ndimage

from neuroloom.learn.dense.measures import lesions as les


def scene():
    """Four true lesions of 64, 8, 1 and 8 voxels; two found, one of them with a false friend."""
    truth = np.zeros((20, 20, 20), bool)
    predicted = np.zeros_like(truth)
    truth[1:5, 1:5, 1:5] = truth[10:12, 10:12, 10:12] = truth[18, 18, 18] = True
    truth[1:3, 15:17, 1:3] = True
    predicted[2:5, 1:5, 1:5] = True
    predicted[10:12, 10:12, 11:13] = True
    predicted[15:17, 2:4, 15:17] = True
    return truth, predicted


def test_counts_of_a_known_scene():
    found = les.match_lesions(*scene(), (1.0, 1.0, 2.0))
    assert found.true["volume"].tolist() == [128.0, 16.0, 16.0, 2.0]
    assert found.true["found"].tolist() == [True, False, True, False]
    assert found.true["dice"].tolist() == pytest.approx([2 * 48 / 112, 0, 2 * 4 / 16, 0])
    assert found.scores() == pytest.approx(
        {"lesions_true": 4, "lesions_pred": 3, "lesion_tpr": 0.5, "lesion_fdr": 1 / 3}
        | {"lesion_f1": 2 * 0.5 * (2 / 3) / (0.5 + 2 / 3)}
    )


def test_least_overlap_and_least_size():
    found = les.match_lesions(*scene(), (1, 1, 1), min_overlap=0.6)
    assert found.true["found"].tolist() == [True, False, False, False]
    assert found.predicted["real"].sum() == 1
    assert len(les.match_lesions(*scene(), (1, 1, 1), smallest=8).true) == 3
    assert len(les.match_lesions(*scene(), (1, 1, 1), smallest=8.5).true) == 1


def test_classes_of_size():
    told = les.by_size(les.match_lesions(*scene(), (1, 1, 1)), (5, 20, 1000))
    assert told["n"].tolist() == [1, 2, 1, 0]
    assert told["found"][:3].tolist() == [0.0, 0.5, 1.0]
    assert told["dice"][1] == pytest.approx(0.25)
    assert np.isnan(told["found"][3])


def test_corners_join():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert (les.components(mask)[1], les.components(mask, corners=False)[1]) == (1, 2)


def test_panoptic_quality_of_a_known_scene():
    told = les.panoptic(*scene())
    assert told["rq"] == pytest.approx(2 * 1 / 7)
    assert told["sq"] == pytest.approx(48 / 64)
    assert told["pq"] == pytest.approx(48 / 64 * 2 / 7)


def loop_over_lesions(truth, predicted, dilation, smallest):
    """The challenge's procedure, step by step with scipy and no shortcut."""
    near, all_ = ndimage.generate_binary_structure(3, 2), np.ones((3, 3, 3))
    wide, n = ndimage.label(ndimage.binary_dilation(truth, near, iterations=dilation), all_)
    parts, m = ndimage.label(predicted, all_)
    hit, scores = set(), []
    for k in range(1, n + 1):
        lesion = truth & (wide == k)
        around = ndimage.binary_dilation(lesion, near, iterations=dilation)
        ids = set(np.unique(parts[around]).tolist()) - {0}
        hit |= ids
        mine = np.isin(parts, list(ids))
        if lesion.sum() > smallest:
            scores.append(2 * (mine & lesion).sum() / (mine.sum() + lesion.sum()))
    false = [k for k in range(1, m + 1) if k not in hit and (parts == k).sum() > smallest]
    return sum(scores) / (len(scores) + len(false))


@pytest.mark.parametrize(("dilation", "smallest"), [(1, 0), (3, 0), (3, 5)])
def test_dice_by_lesion_is_the_challenges(dilation, smallest):
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(size=(30, 30, 30)), 2)
    noisy = field + 0.03 * rng.normal(size=field.shape)
    truth, predicted = field > 2 * field.std(), noisy > 2 * field.std()
    expected = loop_over_lesions(truth, predicted, dilation, smallest)
    assert les.lesionwise_dice(truth, predicted, dilation, smallest) == pytest.approx(expected)
    assert 0 < expected < 1


def test_lesion_free_cases():
    none, (some, _) = np.zeros((20, 20, 20), bool), scene()
    told = les.match_lesions(none, none, (1, 1, 1)).scores()
    assert (told["lesion_f1"], les.lesionwise_dice(none, none), les.panoptic(none, none)["pq"]) == (
        1.0, 1.0, 1.0,
    )  # fmt: skip
    assert np.isnan([told["lesion_tpr"], told["lesion_fdr"]]).all()
    told = les.match_lesions(none, some, (1, 1, 1)).scores()
    assert (told["lesion_f1"], told["lesion_fdr"], les.lesionwise_dice(none, some)) == (0, 1, 0)
    assert les.match_lesions(some, none, (1, 1, 1)).scores()["lesion_tpr"] == 0
