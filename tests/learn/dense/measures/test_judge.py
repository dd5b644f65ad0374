import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from neuroloom.core.errors import DataError
from neuroloom.core.meaning import MEANINGS, meaning_of
from neuroloom.learn.dense.measures import judge, lesions, surface
from neuroloom.learn.figures import score_units
from neuroloom.learn.scoring import intervals, metrics
from neuroloom.learn.scoring.compare import compare

CLASSES = {"front": 1, "back": 2}


def case(seed, noise=0.15, empty=False):
    rng = np.random.default_rng(seed)
    truth = np.zeros((12, 14, 10), dtype=np.uint8)
    if not empty:
        truth[2:8, 3:9, 2:8], truth[8:11, 3:9, 2:8] = 1, 2
    return truth, np.where(
        rng.random(truth.shape) < noise, rng.integers(3, size=truth.shape), truth
    )


def predictions(cases=8, seeds=(0,), noise=0.15, role="model", start=0):
    rows = []
    for seed in seeds:
        for number in range(cases):
            head = {"example": number, "case": f"c{number}", "unit": f"s{number // 2}"}
            head |= {"fold": number % 2, "seed": seed, "model": "unet", "role": role}
            found = judge.rows_of_case(
                *case(start + 100 * seed + number, noise), (1, 2, 1), CLASSES
            )
            rows += [head | row for row in found]
    return pd.DataFrame(rows)


def test_rows_hold_what_the_masks_hold():
    truth, predicted = case(0)
    rows = judge.rows_of_case(truth, predicted, (1, 2, 1.5), CLASSES | {"all": (1, 2)}, 1.0)
    assert [row["class"] for row in rows] == ["front", "back", "all"]
    assert list(rows[0]) == [*judge.COLUMNS, "y_true", "y_pred"]
    for row, of in zip(rows, ([1], [2], [1, 2]), strict=True):
        a, b = np.isin(truth, of), np.isin(predicted, of)
        tn, fp, fn, tp = sk.confusion_matrix(a.ravel(), b.ravel()).ravel()
        assert [row[name] for name in judge.COUNTED] == [tp, fp, fn, tn]
        assert (row["volume_true"], row["y_pred"]) == (a.sum() * 3.0, b.sum() * 3.0)
        found = surface.surface_distances(a, b, (1, 2, 1.5))
        assert row["hd95"] == surface.hausdorff(found, 95)
        assert row["nsd"] == surface.nsd(found, 1.0)


def test_ignored_voxels_count_nowhere():
    truth, predicted = case(1)
    marked = truth.copy()
    marked[:, :5] = 9
    row = judge.rows_of_case(marked, predicted, (1, 1, 1), CLASSES, ignore=9)[0]
    a, b = truth[:, 5:] == 1, predicted[:, 5:] == 1
    assert sum(row[name] for name in judge.COUNTED) == a.size
    assert (row["tp"], row["fp"], row["fn"]) == ((a & b).sum(), (~a & b).sum(), (a & ~b).sum())


def test_an_empty_truth_has_a_defined_score_and_a_reason():
    truth, predicted = case(2, empty=True)
    row = judge.rows_of_case(truth, predicted, (1, 1, 1), CLASSES)[0]
    assert (row["nsd"], row["undefined"]) == (0.0, "the truth is empty")
    assert np.isnan(row["hd95"])
    row = judge.rows_of_case(truth, truth, (1, 1, 1), CLASSES)[0]
    assert (row["nsd"], row["hd95"], row["undefined"]) == (1.0, 0.0, "")


def test_dice_is_the_mean_over_classes_then_cases():
    rows = predictions()
    assert metrics.task_of(rows) == ("segmentation", ["front", "back"])
    told = metrics.score(rows, "segmentation", list(CLASSES))
    each = []
    for number in range(8):
        truth, predicted = (a.ravel() for a in case(number))
        each.append(sk.f1_score(truth, predicted, labels=[1, 2], average=None))
    assert told["dice"] == pytest.approx(np.mean(np.mean(each, axis=1)))
    assert told["dice/back"] == pytest.approx(np.mean(each, axis=0)[1])
    assert told["nsd"] == pytest.approx(rows["nsd"].mean())
    assert told["hd95/front"] == pytest.approx(rows.loc[rows["class"] == "front", "hd95"].mean())
    error = (rows["y_pred"] - rows["y_true"]).abs() / rows["y_true"]
    assert told["volume_error"] == pytest.approx(error.mean())


def test_undefined_and_missing_values_are_left_out():
    rows = predictions(3)
    rows.loc[0, "hd95"] = np.nan
    rows = rows.drop(index=5)
    told = metrics.score(rows, "segmentation", list(CLASSES))
    assert told["hd95/front"] == pytest.approx(rows["hd95"][[2, 4]].mean())
    first, second, third = rows["hd95"][1], rows["hd95"][[2, 3]].mean(), rows["hd95"][4]
    assert told["hd95"] == pytest.approx(np.mean([first, second, third]))


def test_summary_has_intervals_baseline_and_no_chance():
    rows = pd.concat([predictions(seeds=(0, 1)), predictions(noise=0.6, role="baseline")])
    told = metrics.summary(rows, "segmentation", list(CLASSES))
    assert list(told)[:5] == ["dice", "dice/front", "dice/back", "nsd", "nsd/front"]
    json.dumps(told, allow_nan=False)
    for name, entry in told.items():
        assert entry["low"] < entry["value"] < entry["high"], name
        assert entry["chance"] is None
        worse = entry["baseline"] > entry["value"]
        assert worse == metrics.smaller_is_better(name)
        assert meaning_of(name).rising != metrics.smaller_is_better(name)
        assert name.partition("/")[0] in MEANINGS
    table = metrics.metric_table(rows, "segmentation", list(CLASSES))
    assert set(table["fold"]) == {"0", "1", "all"}
    assert len(table) == 3 * 3 * len(told)


def test_runs_are_compared_by_case():
    first, second = predictions(14, noise=0.3), predictions(14, noise=0.1, start=50)
    told = compare(first, second, ("plain", "better"))
    table = told.table.set_index("metric")
    assert told.n_examples == 14
    assert table.loc["dice", "better"] == table.loc["hd95/back", "better"] == "second"
    assert "Dice" in told.text
    other = second.assign(y_true=np.where(second["class"] == "back", 1.0, second["y_true"]))
    with pytest.raises(DataError, match="14 of 28 shared examples have other labels"):
        compare(first, other)


def test_there_is_nothing_to_permute():
    assert np.isnan(intervals.permutation_test(predictions(4), "dice", 10).p)


def test_scores_of_units():
    rows = pd.concat([predictions(6), predictions(6, noise=0.6, role="baseline")])
    table = score_units(rows)
    assert table["unit"].tolist() == ["s0", "s1", "s2"]
    assert table["n"].tolist() == [2, 2, 2]
    pair = metrics.score(rows[rows["unit"] == "s1"], "segmentation", list(CLASSES))["dice"]
    assert table["value"][1] == pytest.approx(pair)
    assert (table["low"] < table["value"]).all()
    assert (table["baseline"] < table["low"]).all()


def test_slanted_voxels_have_a_volume_of_their_own():
    label = np.ones((2, 3, 4), int)
    row = judge.rows_of_case(label, label, (2.0, 1.0, 1.0), {"all": 1}, voxel=1.5)[0]
    assert (row["volume_true"], row["y_pred"]) == (36.0, 36.0)
    found = lesions.match_lesions(label, label, (2.0, 1.0, 1.0), voxel=1.5)
    assert found.true["volume"].tolist() == [36.0]


def test_rows_that_do_not_fit_are_said():
    rows = predictions(2)
    with pytest.raises(DataError, match="holds 'front', expected one of \\['lesion'\\]"):
        metrics.score(rows, "segmentation", ["lesion"])
    with pytest.raises(DataError, match="Case '1' has two rows of class 'front'"):
        metrics.score(pd.concat([rows, rows.iloc[[2]]]), "segmentation", list(CLASSES))
