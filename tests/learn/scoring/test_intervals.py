import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neuroloom.core.errors import ConfigError
from neuroloom.learn.scoring import intervals, metrics

LABELS = ("accuracy", "balanced_accuracy", "kappa")


def sample(rng, units, n, share, spread):
    """Trials of two classes, right with a probability that differs between units by `spread`."""
    if spread:
        size = share * (1 - share) / spread**2 - 1
        right = rng.beta(share * size, (1 - share) * size, size=units)
    else:
        right = np.full(units, share)
    y = np.arange(units * n) % 2
    guess = np.where(rng.random(units * n) < np.repeat(right, n), y, 1 - y)
    e = metrics.Examples(y, guess, np.eye(2)[guess], np.arange(units * n))
    return e, np.repeat(np.arange(units), n)


def coverage(units, n, share, spread, repeats, seed=0, resamples=400):
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(repeats):
        e, unit = sample(rng, units, n, share, spread)
        draws = metrics.bootstrap(
            [[e]], unit, "classification", ["a", "b"], resamples, rng, ["accuracy"]
        )
        low, high = intervals.interval(
            draws["accuracy"][0][0], metrics.accuracy(e.y, e.predicted), intervals.tail(unit)
        )
        hits += low - 1e-12 <= share <= high + 1e-12
    return hits / repeats


DESIGNS = [(3, 15), (10, 20), (30, 10)]
# Share right, and the SD of it between units; at 0.95 units cannot differ by as much.
TRUTHS = [(0.5, 0.0), (0.5, 0.08), (0.75, 0.0), (0.75, 0.08), (0.95, 0.0), (0.95, 0.04)]


@pytest.mark.parametrize(("units", "n"), DESIGNS)
@pytest.mark.parametrize(("share", "spread"), [(0.75, 0.08), (0.95, 0.0)])
def test_coverage_in_short(units, n, share, spread):
    assert 0.90 <= coverage(units, n, share, spread, 200) <= 1.0


@pytest.mark.long
@pytest.mark.parametrize(("units", "n"), DESIGNS)
@pytest.mark.parametrize(("share", "spread"), TRUTHS)
def test_coverage_is_near_its_95_percent(units, n, share, spread):
    """1,500 experiments: the standard error of a coverage of 0.95 is 0.0056."""
    assert 0.93 <= coverage(units, n, share, spread, 1500, seed=1, resamples=1000) <= 0.995


def test_one_level_of_three_units_would_not_do():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        e, _ = sample(rng, 3, 15, 0.75, 0.0)
        means = (e.y == e.predicted).reshape(3, 15).mean(1)
        low, high = np.quantile(means[rng.integers(3, size=(400, 3))].mean(1), [0.025, 0.975])
        hits += low <= 0.75 <= high
    assert hits / 300 < 0.88


def test_perfect_scores_have_an_honest_lower_end():
    rng = np.random.default_rng(0)
    for units, n in ((1, 45), (3, 15), (45, 1)):
        e, unit = sample(rng, units, n, 1.0, 0)
        draws = metrics.bootstrap([[e]], unit, "classification", ["a", "b"], 4000, rng)
        wilson = stats.binomtest(45, 45).proportion_ci(method="wilson").low
        for name in LABELS[:2]:
            low, high = intervals.interval(draws[name][0][0], 1.0, intervals.tail(unit))
            assert low == pytest.approx(wilson, abs=0.045)
            assert high == 1


def test_large_samples_agree_with_the_binomial():
    rng = np.random.default_rng(0)
    e, unit = sample(rng, 2000, 1, 0.8, 0)
    value = metrics.accuracy(e.y, e.predicted)
    draws = metrics.bootstrap([[e]], unit, "classification", ["a", "b"], 4000, rng, ["accuracy"])
    found = intervals.interval(draws["accuracy"][0][0], value, intervals.tail(unit))
    wilson = stats.binomtest(round(2000 * value), 2000).proportion_ci(method="wilson")
    assert found == pytest.approx((wilson.low, wilson.high), abs=0.003)


def scored(rng, units, n, distance):
    y = np.tile(np.arange(n) % 2, units)
    score = (2 * y - 1) * distance / 2 + rng.normal(size=y.size)
    second = 1 / (1 + np.exp(-distance * score))
    p = np.stack([1 - second, second], axis=1)
    return metrics.Examples(y, p.argmax(1), p, np.arange(y.size)), np.repeat(np.arange(units), n)


@pytest.mark.parametrize(
    ("units", "n", "repeats"),
    [
        (3, 15, 150),
        pytest.param(10, 20, 600, marks=pytest.mark.long),
        pytest.param(30, 10, 600, marks=pytest.mark.long),
    ],
)
def test_coverage_of_the_other_metrics(units, n, repeats):
    rng = np.random.default_rng(0)
    big, _ = scored(rng, 100_000, 6, 1.35)
    table = metrics.METRICS["classification"]
    truth = {name: metric.compute(big, None) for name, metric in table.items()}
    hits = dict.fromkeys(table, 0)
    for _ in range(repeats):
        e, unit = scored(rng, units, n, 1.35)
        draws = metrics.bootstrap([[e]], unit, "classification", ["a", "b"], 300, rng)
        for name, metric in table.items():
            null = metrics._largest_by_chance([e]) if name == "ece" else -np.inf
            value = metric.compute(e, None)
            low, high = metrics._interval(metric, draws[name][0][0], value, unit, null)
            hits[name] += low <= truth[name] + 0.002 * (name == "ece") and truth[name] <= high
    assert {k: v / repeats for k, v in hits.items() if not 0.91 <= v / repeats <= 1} == {}


def test_resamples_keep_the_levels_apart():
    rng = np.random.default_rng(0)
    few, many = np.repeat(np.arange(3), 5), np.repeat(np.arange(12), 5)
    inside = np.concatenate(list(intervals.resample(few, 200, rng)))
    whole = np.concatenate(list(intervals.resample(many, 200, rng)))
    assert (inside.sum(1) == 15).all()
    assert (inside.reshape(200, 3, 5).sum(2) % 5 == 0).all()
    assert (inside.reshape(200, 3, 5).std(2) > 0).any()
    assert (whole.reshape(200, 12, 5).std(2) == 0).all()
    assert (whole.sum(1) == 60).all()


def test_resamples_do_not_depend_on_where_units_lie():
    unit = np.array([0, 1, 0, 1, 2, 2, 0])
    weights = np.concatenate(list(intervals.resample(unit, 4000, np.random.default_rng(0))))
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.08)


def test_pseudo_examples_keep_the_total_and_their_mass():
    weights = np.ones((5000, 45))
    wide = intervals.add_pseudo(weights, 90, 4.0, np.random.default_rng(0))
    np.testing.assert_allclose(wide.sum(1), 45)
    assert wide[:, 45:].sum(1).mean() == pytest.approx(45 * 4 / 49, rel=0.05)


def test_tail_is_hesterbergs():
    assert intervals.tail(np.arange(10)) == pytest.approx(0.0086, abs=1e-4)
    assert intervals.tail(np.arange(1000)) == pytest.approx(0.025, abs=2e-4)
    assert intervals.tail([0, 0, 1, 1]) == 0.025


def test_interval_survives_nan_and_holds_the_value():
    assert np.isnan(intervals.interval([np.nan], 0.5, 0.025)).all()
    assert np.isnan(intervals.interval([0.1], np.nan, 0.025)).all()
    assert intervals.interval([0.1, 0.2, np.nan], 0.5, 0.025)[1] == 0.5


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((45, 0.9, 0.83, 0.97), "45 trials: ±7 points"),
        ((1, 0.5, 0.0, 1.0), "1 trial: ±50 points"),
        ((45, 0.96, 0.85, 1.0), "45 trials: +4 / −11 points"),
        ((90000, 0.9, 0.899, 0.901), "90000 trials: ±0.1 points"),
        ((2, 0.5, float("nan"), float("nan")), "2 trials: too few to say"),
    ],
)
def test_how_sure(args, said):
    assert intervals.how_sure(*args) == said


def predictions(right, units=3, constant=False):
    n = len(right)
    unit = np.arange(n) * units // n
    y = unit % 2 if constant else np.arange(n) % 2
    guess = np.where(right, y, 1 - y)
    names = np.array(["a", "b"])
    rows = {"example": range(n), "unit": unit, "seed": 0, "role": "model"}
    rows |= {"y_true": names[y], "y_pred": names[guess], "p_a": 1.0 - guess, "p_b": 1.0 * guess}
    return pd.DataFrame(rows)


def test_permutation_finds_skill_and_no_skill():
    rng = np.random.default_rng(0)
    for metric in ("accuracy", "log_loss"):
        p, how = intervals.permutation_test(predictions(rng.random(45) < 0.9), metric, 199)
        assert (p, how) == (1 / 200, "the labels within units")
    guesses = [predictions(rng.random(46) < 0.5) for _ in range(60)]
    p = [intervals.permutation_test(guess, "auc", 99).p for guess in guesses]
    assert np.mean(np.array(p) <= 0.05) < 0.15
    assert 0.35 < np.mean(p) < 0.7
    with pytest.raises(ConfigError, match="Known: accuracy"):
        intervals.permutation_test(predictions(rng.random(45) < 0.9), "speed")


def test_units_of_one_class_change_places_as_wholes():
    right = np.random.default_rng(0).random(60) < 0.9
    p, how = intervals.permutation_test(predictions(right, 20, constant=True), "accuracy", 199)
    assert (p, how) == (1 / 200, "the labels of whole units")
    assert intervals.permutation_test(predictions(right, 2, constant=True), "accuracy", 199).p > 0.3
    chance = np.arange(60) // 3 % 4 < 2
    p, _ = intervals.permutation_test(predictions(chance, 20, constant=True), "accuracy", 199)
    assert p > 0.3
    p, how = intervals.permutation_test(predictions(right, 1, constant=True), "accuracy", 50)
    assert np.isnan(p)
    assert how == "all labels are the same"


def test_labels_of_whole_units_go_to_every_example_of_another():
    unit = np.array([2, 0, 0, 1, 2, 2])
    orders = intervals.permute_units(unit, 40, np.random.default_rng(0))
    for found in unit[orders]:
        assert (found[[1, 0]] == found[[2, 4]]).all()
        assert sorted(found[[1, 3, 0]]) == [0, 1, 2]
    assert len(np.unique(orders, axis=0)) == 6


def test_numbers_and_survivals_are_permuted():
    rng = np.random.default_rng(1)
    y = rng.exponential(size=40)
    rows = pd.DataFrame({"example": range(40), "unit": range(40), "seed": 0, "role": "model"})
    known = rows.assign(y_true=y, y_pred=y + 0.3 * rng.normal(size=40))
    assert intervals.permutation_test(known, "r2", 99).p == 1 / 100
    risk = rows.assign(y_true=y, y_pred=-known["y_pred"], event=(y < 2).astype(float))
    assert intervals.permutation_test(risk, "c_index", 99).p == 1 / 100
    guess = risk.assign(y_pred=rng.normal(size=40))
    assert intervals.permutation_test(guess, "c_index", 99).p > 0.05
    p, how = intervals.permutation_test(risk.assign(event=0.0), "c_index", 9)
    assert np.isnan(p)
    assert how == "it is undefined"


def test_permutations_stay_inside_units():
    unit = np.array([0, 1, 0, 1, 2, 2, 0])
    orders = intervals.permute_within(unit, 50, np.random.default_rng(0))
    assert (unit[orders] == unit).all()
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    assert len(np.unique(orders, axis=0)) > 20


def test_full_permutation_null_refits_on_permuted_labels():
    y, units = np.array([0, 1, 1, 0, 1, 0]), np.repeat(["r1", "r2"], 3)
    seen = []
    null = intervals.permutation_null(lambda labels: seen.append(labels) or 0.5, y, units, 7)
    assert null.shape == (7,)
    assert all(sorted(s[:3]) == [0, 1, 1] for s in seen)
    assert intervals.p_value(0.9, null) == 1 / 8
    assert intervals.p_value(0.5, null) == 1
    assert intervals.p_value(0.1, null, larger=False) == 1 / 8
