import json
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from neuroloom.core.errors import DataError
from neuroloom.learn.scoring import metrics as m


def example(k, n=150, seed=0):
    """Labels and probabilities with ties."""
    rng = np.random.default_rng(seed)
    y = rng.integers(k, size=n)
    p = np.round(rng.dirichlet(np.full(k, 2.0), n) + 0.4 * np.eye(k)[y], 1) + 0.01
    return y, p / p.sum(1, keepdims=True)


def table(n=45, classes=("a", "b"), seeds=(0,), units=3, skill=1.0, seed=0, role="model"):
    rng = np.random.default_rng(seed)
    k = len(classes)
    y = np.arange(n) % k
    parts = []
    for s in seeds:
        logits = rng.normal(size=(n, k)) + skill * np.eye(k)[y]
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        part = pd.DataFrame(p, columns=[f"p_{c}" for c in classes])
        part["example"], part["seed"], part["role"], part["model"] = np.arange(n), s, role, role
        part["fold"] = np.arange(n) * units // n
        part["unit"] = part["fold"].astype(str)
        part["y_true"], part["y_pred"] = np.array(classes)[y], np.array(classes)[p.argmax(1)]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def one_vs_rest(function, y, p, w):
    columns = [1] if p.shape[1] == 2 else range(p.shape[1])
    return np.mean([function(y == c, p[:, c], sample_weight=w) for c in columns])


REFERENCE = {
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: sk.balanced_accuracy_score(
        y, p.argmax(1), sample_weight=w
    ),
    "kappa": lambda y, p, w: sk.cohen_kappa_score(y, p.argmax(1), sample_weight=w),
    "auc": lambda y, p, w: one_vs_rest(sk.roc_auc_score, y, p, w),
    "average_precision": lambda y, p, w: one_vs_rest(sk.average_precision_score, y, p, w),
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w),
}


@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize("name", REFERENCE)
def test_classification_matches_sklearn(name, k):
    y, p = example(k)
    counts = np.random.default_rng(1).multinomial(y.size, np.full(y.size, 1 / y.size), size=5)
    guess = p if name in ("auc", "average_precision", "log_loss") else p.argmax(1)
    function = getattr(m, name)
    assert function(y, guess) == pytest.approx(REFERENCE[name](y, p, None), abs=1e-9)
    expected = [REFERENCE[name](y, p, w) for w in counts]
    np.testing.assert_allclose(function(y, guess, counts), expected, atol=1e-9)
    repeated = np.repeat(np.arange(y.size), counts[0])
    assert function(y[repeated], guess[repeated]) == pytest.approx(expected[0], abs=1e-9)


def test_multiclass_auc_is_sklearns_macro():
    y, p = example(4)
    assert m.auc(y, p) == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"), abs=1e-9)


@pytest.mark.parametrize("k", [2, 5])
def test_ece_matches_a_plain_loop(k):
    y, p = example(k)
    confidence, right = p.max(1), p.argmax(1) == y
    total = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence > low + 1e-12) & (confidence <= low + 0.1 + 1e-12)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert m.ece(y, p) == pytest.approx(total, abs=1e-9)


def test_regression_matches_sklearn_and_scipy():
    rng = np.random.default_rng(0)
    y = rng.normal(size=80) * 3 + 1000
    h = y + rng.normal(size=80)
    assert m.r2(y, h) == pytest.approx(sk.r2_score(y, h), abs=1e-9)
    assert m.mae(y, h) == pytest.approx(sk.mean_absolute_error(y, h), abs=1e-9)
    assert m.pearson(y, h) == pytest.approx(stats.pearsonr(y, h).statistic, abs=1e-9)
    w = rng.integers(0, 3, size=80)
    repeated = np.repeat(np.arange(80), w)
    assert m.r2(y, h, w) == pytest.approx(sk.r2_score(y, h, sample_weight=w), abs=1e-9)
    expected = stats.pearsonr(y[repeated], h[repeated]).statistic
    assert m.pearson(y, h, w) == pytest.approx(expected, abs=1e-9)


def test_a_class_absent_from_a_resample_is_left_out():
    y, p = example(3)
    weights = np.stack([(y != 2).astype(float), (y == 1).astype(float), np.zeros(y.size)])
    kept = y != 2
    expected = np.mean([sk.roc_auc_score(y[kept] == c, p[kept, c]) for c in (0, 1)])
    found = m.auc(y, p, weights)
    assert found[0] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found[1:]).all()
    recall = m.balanced_accuracy(y, p.argmax(1), weights)
    assert recall[1] == pytest.approx((p.argmax(1)[y == 1] == 1).mean())
    for name in ("accuracy", "balanced_accuracy", "kappa"):
        assert np.isnan(getattr(m, name)(y, p.argmax(1), weights)[2])
    assert np.isnan(m.pearson([1.0, 1.0], [1.0, 2.0]))
    assert np.isnan(m.r2([1.0, 1.0], [1.0, 2.0]))


def test_chance_levels():
    y = np.array([0] * 6 + [1] * 3 + [2] * 1)
    chance = m.chance(y, "classification", 3)
    assert chance["accuracy"] == 0.6
    assert chance["balanced_accuracy"] == pytest.approx(1 / 3)
    assert chance["average_precision"] == pytest.approx(1 / 3)
    assert chance["log_loss"] == pytest.approx(stats.entropy([0.6, 0.3, 0.1]))
    assert chance["ece"] is None
    assert m.chance(y[:9], "classification", 2)["average_precision"] == pytest.approx(1 / 3)
    values = np.array([0.0, 1.0, 5.0])
    assert m.chance(values, "regression", 0) == {"r2": 0.0, "mae": 5 / 3, "pearson": 0.0}


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
def test_summary_holds_all_keys_and_is_json(classes):
    rows = pd.concat([table(classes=classes), table(classes=classes, skill=0, role="baseline")])
    summary = m.summary(rows, "classification", list(classes))
    assert list(summary) == list(m.METRICS["classification"])
    json.dumps(summary, allow_nan=False)
    for name, row in summary.items():
        assert list(row) == ["value", "low", "high", "baseline", "chance"]
        assert row["low"] <= row["value"] <= row["high"]
        assert (row["chance"] is None) == (name == "ece")
    assert summary["accuracy"]["baseline"] < summary["accuracy"]["value"]
    assert m.summary(table(), "classification", ["a", "b"])["auc"]["baseline"] is None


def test_the_value_is_pooled_over_folds_then_averaged_over_seeds():
    rows = table(seeds=(3, 4, 5))
    per_seed = [
        sk.roc_auc_score(part["y_true"] == "b", part["p_b"]) for _, part in rows.groupby("seed")
    ]
    shuffled = rows.sample(frac=1, random_state=0)
    expected = pytest.approx(np.mean(per_seed), abs=1e-9)
    assert m.score(shuffled, "classification", ["a", "b"])["auc"] == expected
    assert m.summary(shuffled, "classification", ["a", "b"])["auc"]["value"] == expected
    assert m.summary(shuffled, "classification", ["a", "b"]) == m.summary(
        rows, "classification", ["a", "b"]
    )


def test_seeds_are_no_independent_data():
    """The same predictions three times are as sure as once."""
    once = table()
    thrice = pd.concat([once.assign(seed=s) for s in range(3)])
    a, b = (m.summary(t, "classification", ["a", "b"])["accuracy"] for t in (once, thrice))
    assert a == pytest.approx(b)


def test_seeds_may_hold_out_different_examples():
    rows = table(n=60, seeds=(0, 1))
    rows = rows[(rows["seed"] == 0) & (rows["example"] < 30) | (rows["seed"] == 1)]
    summary = m.summary(rows, "classification", ["a", "b"])
    per_seed = [(part["y_true"] == part["y_pred"]).mean() for _, part in rows.groupby("seed")]
    assert summary["accuracy"]["value"] == pytest.approx(np.mean(per_seed))


def test_table_has_folds_and_pooled_rows():
    rows = table(seeds=(0, 1))
    made = m.metric_table(rows, "classification", ["a", "b"])
    columns = ["fold", "seed", "metric", "value", "low", "high", "baseline", "chance"]
    assert list(made.columns) == columns
    assert set(made["fold"]) == {"all", "0", "1", "2"}
    assert set(made["seed"]) == {"all", "0", "1"}
    assert len(made) == 4 * 3 * 7
    pick = made[(made["fold"] == "all") & (made["seed"] == "all") & (made["metric"] == "kappa")]
    summary = m.summary(rows, "classification", ["a", "b"])["kappa"]
    assert pick.iloc[0]["value"] == pytest.approx(summary["value"])
    assert pick.iloc[0]["low"] == pytest.approx(summary["low"])


def test_a_fold_of_one_class_and_of_one_example_is_survived():
    rows = table(n=12)
    rows.loc[rows["fold"] == 0, "y_true"] = "a"
    made = m.metric_table(rows.drop(index=[5, 6, 7]), "classification", ["a", "b"])
    first = made[(made["fold"] == "0") & (made["seed"] == "0")].set_index("metric")
    assert np.isnan(first.loc["auc", "value"])
    assert np.isfinite(first.loc["accuracy", "value"])
    lone = m.metric_table(rows.iloc[:1], "classification", ["a", "b"])
    assert lone["low"].isna().all()


def test_rows_without_label_are_not_scored():
    rows = table()
    rows.loc[3, "y_true"] = None
    assert m.score(rows, "classification", ["a", "b"])["accuracy"] == pytest.approx(
        (rows["y_true"] == rows["y_pred"]).sum() / 44
    )


def test_regression_summary():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"example": range(50), "unit": np.repeat(range(5), 10), "seed": 0})
    rows["y_true"] = rng.normal(size=50)
    rows["y_pred"], rows["role"] = rows["y_true"] + 0.3 * rng.normal(size=50), "model"
    summary = m.summary(rows, "regression", [])
    assert set(summary) == {"r2", "mae", "pearson"}
    assert summary["r2"]["low"] < summary["r2"]["value"] < summary["r2"]["high"] < 1


def test_bad_tables_name_the_culprit():
    rows = table()
    with pytest.raises(DataError, match="y_true holds 'z'"):
        m.score(rows.assign(y_true="z"), "classification", ["a", "b"])
    with pytest.raises(DataError, match="p_a"):
        m.score(rows.drop(columns="p_a"), "classification", ["a", "b"])
    with pytest.raises(DataError, match="no row of role 'model'"):
        m.score(rows.assign(role="baseline"), "classification", ["a", "b"])


def test_bootstrap_is_quick():
    rows = table(n=5000, units=20)
    start = time.process_time()
    m.summary(rows, "classification", ["a", "b"])
    assert time.process_time() - start < 6


def detections(recordings=5, seeds=(0, 1), seed=0):
    """Counts of events in recordings, as a detection leaves them."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in seeds:
        for number in range(recordings):
            true, found = 20 + 5 * number, int(rng.integers(15, 40))
            hits = int(rng.integers(0, min(true, found)))
            row = {"example": number, "unit": f"s{number}", "seed": s, "role": "model"}
            row |= {"model": "unet", "fold": number, "y_true": true, "y_pred": found, "tp": hits}
            row |= {f"tp_at_{iou:g}": max(0, hits - k) for k, iou in enumerate(m.OTHER_IOUS)}
            rows.append(row | {"minutes": 30.0})
    return pd.DataFrame(rows)


def test_detection_pools_counts_over_recordings():
    rows = detections(seeds=(0,))
    hits, true, found = (int(rows[name].sum()) for name in ("tp", "y_true", "y_pred"))
    scored = m.score(rows, "detection", [])
    labels = np.r_[np.ones(true), np.zeros(found - hits)]
    guess = np.r_[np.ones(hits), np.zeros(true - hits), np.ones(found - hits)]
    assert scored["f1"] == pytest.approx(sk.f1_score(labels, guess))
    assert scored["precision"] == pytest.approx(sk.precision_score(labels, guess))
    assert scored["recall"] == pytest.approx(sk.recall_score(labels, guess))
    gaps = (rows["y_pred"] - rows["y_true"]).abs() / 30
    assert scored["density_error"] == pytest.approx(gaps.mean())
    assert m.task_of(rows) == ("detection", [])


def test_weights_of_a_detection_repeat_recordings():
    rows = detections(seeds=(0,))
    (examples,), _ = m.seeds_of(rows, "model", "detection", [])
    counts = np.array([[0, 2, 1, 0, 2]])
    again = rows.loc[np.repeat(np.arange(5), counts[0])].assign(example=np.arange(5))
    for name, metric in m.METRICS["detection"].items():
        expected = m.score(again, "detection", [])[name]
        assert metric.compute(examples, counts)[0] == pytest.approx(expected), name


def test_a_detection_has_an_interval_and_no_chance():
    told = m.summary(detections(), "detection", [])
    assert list(told) == list(m.METRICS["detection"])
    for entry in told.values():
        assert entry["low"] < entry["value"] < entry["high"]
        assert entry["chance"] is None
    known = m.metric_table(detections(), "detection", [])
    assert len(known) == 7 * 3 * 6


def test_runs_of_a_detection_can_be_compared():
    from neuroloom.learn.scoring.compare import compare

    first, second = detections(), detections(seed=1).assign(model="rms")
    told = compare(first, second).table.set_index("metric")
    gap = m.score(second, "detection", [])["f1"] - m.score(first, "detection", [])["f1"]
    assert told.loc["f1", "difference"] == pytest.approx(gap)
