"""Figures of a judged model: they show the numbers that they were given, and leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import binomtest

from neuroloom.core.artifact import Shelf
from neuroloom.learn import figures


@pytest.fixture(autouse=True)
def no_trace() -> Iterator[None]:
    """Fail a test whose figure changes global settings or stays in pyplot."""
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    assert not pyplot.get_fignums()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def predictions(seeds: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for role, right in (("model", 0.9), ("baseline", 0.7)):
            for example in range(45):
                true = ("fists", "feet")[example % 2]
                p = rng.uniform(0.5, 1) if rng.random() < right else rng.uniform(0, 0.5)
                p_fists = p if true == "fists" else 1 - p
                guess = "fists" if p_fists > 0.5 else "feet"
                rows.append(
                    (example, f"R{example % 3}", seed, role, true, guess, p_fists, 1 - p_fists)
                )
    columns = ["example", "unit", "seed", "role", "y_true", "y_pred", "p_fists", "p_feet"]
    return pd.DataFrame(rows, columns=columns)


def test_confusion_shows_counts_and_shares_of_rows() -> None:
    figure = figures.confusion(np.array([[18, 2], [5, 20]]), ["fists", "feet"])
    assert texts(figure) == ["18  (90 %)", "2  (10 %)", "5  (20 %)", "20  (80 %)"]


def test_confusion_of_a_class_that_never_came() -> None:
    figure = figures.confusion(np.array([[3, 0], [0, 0]]), ["a", "b"])
    assert texts(figure)[2:] == ["0  (0 %)", "0  (0 %)"]


@pytest.mark.parametrize(("k", "n"), [(0, 5), (43, 45), (10, 10), (1, 1)])
def test_wilson_agrees_with_scipy(k: int, n: int) -> None:
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert figures.wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-4)


def test_seeds_do_not_narrow_the_interval_of_a_unit() -> None:
    one = predictions(seeds=1)
    three = pd.concat([one.assign(seed=seed) for seed in range(3)])
    pd.testing.assert_frame_equal(figures.score_units(one), figures.score_units(three))


def test_score_units_by_hand() -> None:
    rows = [(0, "a", "model", 1, 1), (1, "a", "model", 1, 0), (0, "a", "baseline", 1, 1)]
    table = pd.DataFrame(rows, columns=["example", "unit", "role", "y_true", "y_pred"])
    row = figures.score_units(table).iloc[0]
    assert (row["value"], row["n"], row["baseline"]) == (0.5, 2, 1.0)


def test_folds_are_counted_by_unit() -> None:
    folds = [SimpleNamespace(train=[0, 1], test=[2, 3]), SimpleNamespace(train=[2, 3], test=[0, 1])]
    counts = figures.count_folds(["a", "a", "b", "b"], folds)
    assert counts.to_numpy().tolist() == [
        ["a", 1, 2, 0],
        ["b", 1, 0, 2],
        ["a", 2, 0, 2],
        ["b", 2, 2, 0],
    ]
    assert texts(figures.fold_map(counts)) == ["train 2", "test 2", "test 2", "train 2"]


def test_unit_torn_by_the_split_is_shown_as_both() -> None:
    counts = pd.DataFrame([("a", 1, 8, 2)], columns=["unit", "fold", "train", "test"])
    assert texts(figures.fold_map(counts)) == ["train 8\ntest 2"]


@pytest.mark.parametrize("units", [2, 200])
def test_few_and_many_units_both_fit(units: int) -> None:
    names = [f"sub-{number:03d}" for number in range(units)]
    table = pd.DataFrame({"unit": names, "value": 0.7, "low": 0.6, "high": 0.8})
    assert figures.unit_dots(table, "Accuracy", chance=0.5).get_figheight() < 9
    counts = [(name, fold, 10 * (fold != 1), 10 * (fold == 1)) for name in names for fold in (1, 2)]
    columns = ["unit", "fold", "train", "test"]
    assert figures.fold_map(pd.DataFrame(counts, columns=columns)).get_figheight() < 9


def test_mean_curve_ends_with_the_shortest_fit() -> None:
    fits = [[{"loss": 1.0}, {"loss": 0.5}, {"loss": 0.1}], [{"loss": 2.0}, {"loss": 1.5}]]
    mean = figures.learning_curves(fits).axes[0].lines[-1]
    assert mean.get_ydata().tolist() == [1.5, 1.0]


def test_reliability_of_perfect_confidence_lies_on_the_line() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1, 20_000)
    figure = figures.reliability(rng.random(20_000) < confidence, confidence)
    x, y = figure.axes[0].lines[-1].get_data()
    assert np.abs(np.asarray(x) - y).max() < 0.03


def test_all_figures_of_a_study(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    fits = [[{"loss": 0.7, "val_loss": 0.8}, {"loss": 0.5, "val_loss": 0.7}]] * 3
    figures.add_result_figures(shelf, predictions(), ["fists", "feet"], histories=fits, chance=0.51)
    assert {artifact.name for artifact in shelf} == {
        "confusion", "calibration", "units", "unit-scores", "learning-curves",
    }  # fmt: skip
    assert "right" in shelf.get("confusion").alt


def test_regression_gets_a_scatter(tmp_path: Path) -> None:
    table = pd.DataFrame({"role": "model", "seed": 0, "y_true": [1.0, 2.0], "y_pred": [1.5, 1.0]})
    figures.add_result_figures(Shelf(tmp_path), table, [])
    assert [artifact.name for artifact in Shelf(tmp_path)] == ["scatter"]


def test_run_without_predictions_adds_nothing(tmp_path: Path) -> None:
    figures.add_result_figures(Shelf(tmp_path), predictions().iloc[:0], ["fists", "feet"])
    assert not list(Shelf(tmp_path))
