import numpy as np
import pytest
from sklearn import metrics as sk

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.measures import overlap as o


def labels(seed=0, shape=(9, 8, 7), k=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(k, size=shape)
    flip = rng.random(shape) < 0.4
    return truth, np.where(flip, rng.integers(k, size=shape), truth)


def test_confusion_and_counts_are_sklearns():
    truth, predicted = labels()
    expected = sk.confusion_matrix(truth.ravel(), predicted.ravel())
    assert (o.confusion(truth, predicted, 4) == expected).all()
    each = sk.multilabel_confusion_matrix(truth.ravel(), predicted.ravel())
    tp, fp, fn, tn = o.counts(truth.astype(np.uint8), predicted.astype(np.uint8), 4)
    assert (np.stack([tn, fp, fn, tp], 1).reshape(-1, 2, 2) == each).all()


def test_more_than_256_classes():
    truth = np.arange(300)
    assert o.counts(truth, truth, 300).tp.sum() == 300


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("dice", sk.f1_score),
        ("jaccard", sk.jaccard_score),
        ("sensitivity", sk.recall_score),
        ("precision", sk.precision_score),
        ("accuracy", sk.accuracy_score),
        ("specificity", lambda t, p: sk.recall_score(~t, ~p)),
        ("fallout", lambda t, p: 1 - sk.recall_score(~t, ~p)),
        ("false_negative_rate", lambda t, p: 1 - sk.recall_score(t, p)),
    ],
)
def test_scores_are_sklearns(name, theirs):
    truth, predicted = labels()
    table = o.counts(truth, predicted, 4)
    found = getattr(o, name)(*table)
    expected = [theirs((truth == c).ravel(), (predicted == c).ravel()) for c in range(4)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_f_beta_and_monais_dice():
    import torch
    from monai.metrics import compute_dice

    truth, predicted = labels(1)
    tp, fp, fn, _ = o.counts(truth, predicted, 4)
    theirs = [
        sk.fbeta_score((truth == c).ravel(), (predicted == c).ravel(), beta=2) for c in range(4)
    ]
    np.testing.assert_allclose(o.f_beta(tp, fp, fn, beta=2), theirs, atol=1e-12)
    hot = [torch.tensor(np.eye(4)[a]).movedim(-1, 0)[None] for a in (predicted, truth)]
    np.testing.assert_allclose(o.dice(tp, fp, fn), compute_dice(*hot)[0].numpy(), atol=1e-6)


def test_regions_are_their_own_masks():
    truth, predicted = labels(2)
    classes = {"whole": (1, 2, 3), "core": [2, 3], "edge": 1}
    found = o.counts_of(truth, predicted, classes)
    for k, of in enumerate(classes.values()):
        a, b = np.isin(truth, of), np.isin(predicted, of)
        expected = [(a & b).sum(), (~a & b).sum(), (a & ~b).sum(), (~a & ~b).sum()]
        assert [int(part[k]) for part in found] == expected
        assert (o.mask_of(truth, of) == a).all()


@pytest.mark.parametrize("kind", [np.uint32, np.int64])
def test_labels_of_nine_digits_are_counted_as_small_ones(kind):
    """The Allen atlas numbers structures up to 614454277."""
    truth, predicted = labels(3, k=5)
    number = np.array([0, 997, 70_000, 484_682_470, 614_454_277])
    small = {"both": (1, 3), "one": 2, "none": 0}
    large = {name: number[list(o.labels_of(of))].tolist() for name, of in small.items()}
    found = o.counts_of(number[truth].astype(kind), number[predicted].astype(kind), large)
    for part, expected in zip(found, o.counts_of(truth, predicted, small), strict=True):
        assert part.tolist() == expected.tolist()
    with pytest.raises(DataError, match="label -1"):
        o.counts_of(np.array([-1]), np.array([997]), {"one": 997})


def test_empty_rules():
    none, some = np.zeros((4, 4), int), np.eye(4, dtype=int)
    both, missed, invented = (
        o.counts(a, b, 2) for a, b in ((none, none), (some, none), (none, some))
    )
    for name in ("dice", "jaccard", "f_beta", "volume_similarity"):
        score = getattr(o, name)
        assert [float(score(*c)[1]) for c in (both, missed, invented)] == [1.0, 0.0, 0.0], name
    assert np.isnan(o.sensitivity(*invented)[1])
    assert np.isnan(o.precision(*missed)[1])
    assert np.isnan(o.volume_error(0, 5))
    assert set(o.EMPTY_RULES) >= {"agreement", "share", "distance", "mean"}


def test_what_does_not_fit_is_said():
    with pytest.raises(DataError, match=r"\(3, 3\).*\(3, 4\)"):
        o.counts(np.zeros((3, 3), int), np.zeros((3, 4), int), 2)
    with pytest.raises(DataError, match="prediction holds label 7; expected 0 to 2"):
        o.counts(np.zeros(3, int), np.array([0, 1, 7]), 3)
    with pytest.raises(DataError, match="label -1"):
        o.counts(np.array([-1]), np.array([0]), 3)
