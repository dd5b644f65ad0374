"""Every measure against an independent implementation; pymia itself in parity/pymia.py."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from skimage import metrics as ski
from sklearn import metrics as sk

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.volumes import measures as m

SPACING = (1.5, 0.8, 1.1)


def masks(seed=0, shape=(14, 16, 12)):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    other = field + 0.4 * field.std() * rng.normal(size=shape)
    return field > 0.6 * field.std(), other > 0.6 * field.std()


def measured(name, seed=0, **options):
    truth, predicted = masks(seed)
    return m.METRICS[name].compute(m.Pair(truth, predicted, SPACING, **options))


def pairs(truth, predicted):
    return sk.cluster.pair_confusion_matrix(truth, predicted)


def icc(truth, predicted):
    """One-way analysis of variance over the voxels, as a textbook has it."""
    both = np.stack([truth, predicted], 1).astype(float)
    n = len(both)
    between = 2 * ((both.mean(1) - both.mean()) ** 2).sum() / (n - 1)
    within = ((both - both.mean(1, keepdims=True)) ** 2).sum() / n
    return (between - within) / (between + within)


FLAT = {
    "DICE": sk.f1_score,
    "JACRD": sk.jaccard_score,
    "SNSVTY": sk.recall_score,
    "SPCFTY": lambda t, p: sk.recall_score(~t, ~p),
    "PRCISON": sk.precision_score,
    "FMEASR": sk.f1_score,
    "ACURCY": sk.accuracy_score,
    "FALLOUT": lambda t, p: 1 - sk.recall_score(~t, ~p),
    "FNR": lambda t, p: 1 - sk.recall_score(t, p),
    "AUC": sk.roc_auc_score,
    "KAPPA": sk.cohen_kappa_score,
    "RNDIND": sk.rand_score,
    "ADJRIND": sk.adjusted_rand_score,
    "MUTINF": lambda t, p: sk.mutual_info_score(t, p) / np.log(2),
    "VARINFO": lambda t, p: sum(ski.variation_of_information(t.astype(int), p.astype(int))),
    "ICCORR": icc,
    "PROBDST": lambda t, p: (t != p).sum() / (2 * (t & p).sum()),
    "VOLSMTY": lambda t, p: 1 - abs(int(t.sum()) - int(p.sum())) / (t.sum() + p.sum()),
    "TP": lambda t, p: (t & p).sum(),
    "FP": lambda t, p: (~t & p).sum(),
    "FN": lambda t, p: (t & ~p).sum(),
    "TN": lambda t, p: (~t & ~p).sum(),
    "REFVOL": lambda t, p: t.sum() * np.prod(SPACING),
    "PREDVOL": lambda t, p: p.sum() * np.prod(SPACING),
}


@pytest.mark.parametrize("name", FLAT)
def test_of_counts(name):
    for seed in range(3):
        truth, predicted = (a.ravel() for a in masks(seed))
        assert measured(name, seed) == pytest.approx(float(FLAT[name](truth, predicted)), abs=1e-9)


def refinement_error(one, other):
    """Local error of every voxel by sets; a voxel that only one has is wholly wrong."""
    out = 0.0
    for value in (False, True):
        for partner in (False, True):
            here = (one == value) & (other == partner)
            region = one == value
            lost = (region & (other != value)).sum() if partner == value else region.sum()
            out += here.sum() * lost / region.sum()
    return out / one.size


def test_of_consistency():
    truth, predicted = masks()
    expected = min(refinement_error(truth, predicted), refinement_error(predicted, truth))
    assert measured("GCOERR") == pytest.approx(expected, abs=1e-9)


def test_of_distances():
    import SimpleITK
    from scipy.spatial.distance import cdist, mahalanobis

    truth, predicted = masks()
    places = [np.argwhere(mask) * SPACING for mask in (truth, predicted)]
    apart = cdist(*places)
    expected = (apart.min(1).mean() + apart.min(0).mean()) / 2
    assert measured("AVGDIST") == pytest.approx(expected, abs=1e-9)
    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (truth, predicted)]
    for image in images:
        image.SetSpacing(SPACING[::-1])
    itk = SimpleITK.HausdorffDistanceImageFilter()
    itk.Execute(*images)
    assert measured("AVGDIST") == pytest.approx(itk.GetAverageHausdorffDistance(), abs=1e-6)
    n = [len(p) for p in places]
    spread = (n[0] * np.cov(places[0].T) + n[1] * np.cov(places[1].T)) / sum(n)
    means = [p.mean(0) for p in places]
    expected = mahalanobis(*means, np.linalg.inv(spread))
    assert measured("MAHLNBS") == pytest.approx(expected, abs=1e-9)


def test_of_surfaces():
    import torch
    from monai.metrics import compute_surface_dice

    truth, predicted = masks()
    hot = [torch.tensor(np.stack([~a, a])[None]) for a in (predicted, truth)]
    theirs = compute_surface_dice(*hot, [1.0], spacing=SPACING, use_subvoxels=True)
    assert measured("SURFDICE") == pytest.approx(float(theirs), abs=1e-6)
    pair = m.Pair(truth, predicted, SPACING)
    swapped = m.Pair(predicted, truth, SPACING)
    found = pair.distances
    near = found.area_predicted[found.to_truth <= 1.0].sum() / found.area_predicted.sum()
    assert measured("SURFOVLP") == pytest.approx(near)
    assert measured("HDRFDST") == max(found.to_truth.max(), found.to_predicted.max())
    for name in ("HDRFDST95", "ASSD"):
        assert m.MORE[name].compute(pair) == pytest.approx(m.MORE[name].compute(swapped))


def test_of_areas():
    truth, predicted = masks()
    assert measured("REFAREA") == pytest.approx(truth[7].sum() * 0.8 * 1.1)
    assert measured("PREDAREA", slice_number=3) == pytest.approx(predicted[3].sum() * 0.8 * 1.1)
    flat = m.Pair(truth[7], predicted[7], (0.8, 1.1))
    assert m.METRICS["REFAREA"].compute(flat) == m.METRICS["REFVOL"].compute(flat)


@pytest.mark.parametrize("shape", [(20, 24), (14, 16, 12)])
def test_of_images(shape):
    rng = np.random.default_rng(0)
    reference = ndimage.gaussian_filter(rng.normal(size=shape), 1) + 2
    image = reference + 0.1 * rng.normal(size=shape)
    told = m.measure_image(reference, image)
    flat = reference.ravel(), image.ravel()
    span = float(reference.max())
    expected = {
        "R2": sk.r2_score(*flat),
        "MAE": sk.mean_absolute_error(*flat),
        "MSE": sk.mean_squared_error(*flat),
        "RMSE": sk.root_mean_squared_error(*flat),
        "NRMSE": ski.normalized_root_mse(reference, image, normalization="min-max"),
        "PSNR": ski.peak_signal_noise_ratio(reference, image, data_range=span),
        "SSIM": ski.structural_similarity(reference, image, data_range=span),
    }
    assert told == pytest.approx(expected, abs=1e-9)


def test_unsigned_integers_do_not_wrap():
    assert m.measure_image(np.uint8([3, 0]), np.uint8([4, 0]), ["MAE"]) == {"MAE": 0.5}


def test_all_39_are_there_and_each_has_its_row():
    assert len(m.METRICS) == 39
    truth, predicted = masks()
    of_masks = [name for name, own in m.METRICS.items() if own.of == "mask"]
    (row,) = m.measure_case(truth, predicted, SPACING, of_masks)
    assert list(row) == ["class", *of_masks]
    assert np.isfinite([row[name] for name in of_masks]).all()
    assert len(m.USUAL) == 10


def test_empty_masks_follow_the_rules():
    some, _ = masks()
    none = np.zeros_like(some)
    names = [name for name, own in (m.METRICS | m.MORE).items() if own.of == "mask"]
    cases = {"both": (none, none), "truth": (none, some), "prediction": (some, none)}
    told = {k: {n: (m.METRICS | m.MORE)[n].compute(m.Pair(*c, SPACING)) for n in names}
            for k, c in cases.items()}  # fmt: skip
    for name in ("DICE", "JACRD", "FMEASR", "VOLSMTY", "SURFDICE"):
        assert [told[k][name] for k in cases] == [1.0, 0.0, 0.0], name
    for name in ("HDRFDST", "HDRFDST95", "ASSD", "AVGDIST", "MAHLNBS"):
        assert told["both"][name] == 0.0, name
        assert np.isnan([told["truth"][name], told["prediction"][name]]).all(), name
    for name in names:
        assert not np.isinf([told[k][name] for k in cases]).any(), name
    assert np.isnan(told["truth"]["SNSVTY"])
    assert m.reason_of(told["truth"]) == "the truth is empty"
    assert m.reason_of(told["both"]) == "both are empty"


def test_classes_and_regions():
    truth = np.zeros((6, 6, 6), int)
    truth[:3], truth[3] = 1, 2
    predicted = np.where(truth == 2, 1, truth)
    rows = m.measure_case(truth, predicted, (1, 1, 1), ["dice"], {"whole": (1, 2), "core": 2})
    assert rows == [{"class": "whole", "DICE": 1.0}, {"class": "core", "DICE": 0.0}]
    assert [r["class"] for r in m.measure_case(truth, predicted, (1, 1, 1), ["DICE"])] == ["1", "2"]


def test_cases_are_summed_up():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"class": list("ab") * 10, "site": list("xxxxy") * 4, "DICE": rng.random(20)}
    )
    rows.loc[3, "DICE"] = np.nan
    told = m.aggregate(rows).set_index("class")
    known = rows.loc[rows["class"] == "b", "DICE"].dropna()
    assert (told.loc["b", "n"], told.loc["b", "n_undefined"]) == (9, 1)
    assert told.loc["b", "mean"] == pytest.approx(known.mean())
    assert told.loc["b", "sd"] == pytest.approx(known.std())
    assert told.loc["b", "median"] == pytest.approx(known.median())
    assert told.loc["b", "q95"] == pytest.approx(known.quantile(0.95))
    assert len(m.aggregate(rows, ("class", "site"))) == 4
    assert m.aggregate(rows, ())["n"].tolist() == [19]


def test_what_cannot_be_measured_is_said():
    with pytest.raises(ConfigError, match="No measure is called 'DISE'.*DICE"):
        m.find_measures(["DISE"])
    with pytest.raises(ConfigError, match="PSNR measures an image"):
        m.find_measures(["PSNR"])
    with pytest.raises(ConfigError, match="no column 'site'"):
        m.aggregate(pd.DataFrame({"class": ["a"], "DICE": [1.0]}), ("site",))
    with pytest.raises(DataError, match="must be equal"):
        m.measure_case(np.zeros((3, 3)), np.zeros((3, 4)), (1, 1))
