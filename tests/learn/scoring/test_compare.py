import time

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import DataError
from neuroloom.learn.scoring import compare as c
from neuroloom.learn.scoring.judge import rows_of

CLASSES = np.array(["feet", "fists"])


def run(right, name="m", units=3, seeds=1, flip=None, rng=0):
    """A predictions table: example i is predicted right where `right[i]`."""
    n = len(right)
    noise = np.random.default_rng(rng)
    y = np.arange(n) % 2
    rows = []
    for seed in range(seeds):
        guess = np.where(right, y, 1 - y)
        sure = 0.5 + 0.49 * noise.random(n)
        p = np.where(guess == 1, sure, 1 - sure)
        rows.append(
            pd.DataFrame(
                {
                    "example": np.arange(n),
                    "path": [f"R{i * units // n}.edf" for i in range(n)],
                    "onset": np.arange(n) * 4.1,
                    "fold": np.arange(n) * units // n,
                    "unit": [str(i * units // n) for i in range(n)],
                    "seed": seed,
                    "model": name,
                    "role": "model",
                    "y_true": CLASSES[y],
                    "y_pred": CLASSES[guess],
                    "p_feet": 1 - p,
                    "p_fists": p,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def some(n, share, seed):
    return np.random.default_rng(seed).random(n) < share


def test_equal_runs_differ_by_nothing_and_say_so():
    made = c.compare(run(some(45, 0.9, 0), "a"), run(some(45, 0.9, 0), "b"))
    row = made.table.set_index("metric").loc["accuracy"]
    assert row["difference"] == 0
    assert row["low"] < 0 < row["high"]
    assert row["p"] == 1
    assert made.mcnemar == 1
    assert made.text.startswith("b is exactly as accurate as a (95 % interval −")
    assert made.text.endswith("45 paired trials): no difference can be claimed.")


def test_a_large_difference_is_claimed():
    made = c.compare(run(some(90, 0.95, 0), "eegnet"), run(some(90, 0.5, 1), "shallow"))
    row = made.table.set_index("metric").loc["accuracy"]
    assert row["better"] == "first"
    assert row["high"] < 0
    assert row["p"] < 0.01
    assert "points less accurate than eegnet" in made.text
    assert "eegnet is better on these data" in made.text
    back = c.compare(run(some(90, 0.5, 1), "shallow"), run(some(90, 0.95, 0), "eegnet"))
    assert back.table.loc[0, "difference"] == pytest.approx(-row["difference"])
    assert back.table.loc[0, "better"] == "second"


def test_a_small_difference_is_not_claimed():
    right = some(45, 0.9, 0)
    other = right.copy()
    other[np.flatnonzero(right)[0]] = False
    made = c.compare(run(right, "eegnet"), run(other, "shallow"))
    assert made.text.startswith("shallow is 2.2 points less accurate than eegnet (95 % interval −")
    assert "no difference can be claimed" in made.text
    assert made.table.loc[0, "low"] < 0 < made.table.loc[0, "high"]


def test_mcnemar_is_the_exact_binomial():
    from scipy.stats import binomtest

    a, b = some(60, 0.8, 0), some(60, 0.6, 1)
    made = c.compare(run(a), run(b))
    assert made.mcnemar == pytest.approx(binomtest((a & ~b).sum(), (a ^ b).sum()).pvalue)


def test_swap_p_agrees_with_mcnemar_for_accuracy():
    a, b = some(60, 0.8, 0), some(60, 0.65, 4)
    made = c.compare(run(a), run(b))
    assert made.table.loc[0, "p"] == pytest.approx(made.mcnemar, abs=0.04)


def test_units_are_listed_and_order_of_rows_is_free():
    a, b = run(some(45, 0.9, 0), "a"), run(some(45, 0.7, 1), "b")
    made = c.compare(a, b.sample(frac=1, random_state=0))
    assert list(made.units["unit"]) == ["0", "1", "2"]
    assert made.units["examples"].tolist() == [15, 15, 15]
    assert made.units["difference"].mean() == pytest.approx(made.table.loc[0, "difference"])
    pd.testing.assert_frame_equal(made.table, c.compare(a, b).table)


def test_seeds_are_averaged_and_may_differ_in_number():
    a, b = run(some(45, 0.9, 0), "a", seeds=3), run(some(45, 0.7, 1), "b")
    made = c.compare(a, b)
    assert made.n_examples == 45
    assert made.table.loc[0, "first"] == pytest.approx(some(45, 0.9, 0).mean())


def test_runs_of_other_examples_are_refused_with_the_count():
    a, b = run(some(45, 0.9, 0)), run(some(45, 0.9, 0))
    with pytest.raises(DataError, match=r"share 15 examples \(of 45 and 15\)"):
        c.compare(a, b[b["unit"] == "0"])
    with pytest.raises(DataError, match="share 0 examples"):
        c.compare(a, b.assign(path="other.edf"))
    made = c.compare(a, b[b["example"] > 2])
    assert made.n_examples == 42
    assert "Only the 42 examples" in made.text


def test_other_labels_or_classes_are_refused():
    a, b = run(some(45, 0.9, 0)), run(some(45, 0.9, 0))
    b.loc[4, "y_true"] = "fists"
    with pytest.raises(DataError, match=r"1 of 45 shared .*R0.edf at 16.4: 'feet' and 'fists'"):
        c.compare(a, b)
    other = a.rename(columns={"p_feet": "p_rest"}).replace("feet", "rest")
    with pytest.raises(DataError, match=r"classes feet, fists.*classes rest, fists"):
        c.compare(a, other)
    with pytest.raises(DataError, match="no row of role 'model'"):
        c.compare(a, b.assign(role="baseline"))


def test_rows_of_one_table_are_told_apart_by_name_or_refused():
    a, b = (run(some(45, share, 0)).assign(path="t.csv", onset=0.0) for share in (0.9, 0.6))
    with pytest.raises(DataError, match=r"44 examples .* path and onset of another \(t.csv, 0.0\)"):
        c.compare(a, b)
    a, b = (t.assign(name=[f"row {k}" for k in t["example"]]) for t in (a, b))
    made = c.compare(a, b.iloc[::-1].assign(example=44 - b["example"]))
    assert made.n_examples == 45
    assert made.table.loc[0, "second"] == pytest.approx(some(45, 0.6, 0).mean())
    with pytest.raises(DataError, match="path and onset of another"):
        c.compare(a, b.drop(columns="name"))


def test_predictions_hold_the_names_of_examples():
    table = pd.DataFrame({"name": ["row 2", "row 3"], "path": "t.csv", "onset": 0.0, "label": 1.0})
    dataset = Dataset(table, np.zeros((2, 1)), "regression")
    rows = rows_of(dataset, np.array([1, 0]), np.zeros(2), {"role": "model"})
    assert rows["name"].tolist() == ["row 3", "row 2"]


def test_differing_folds_are_noted_but_their_numbers_do_not_matter():
    a = run(some(45, 0.9, 0))
    assert not c.compare(a, a.assign(fold=2 - a["fold"])).notes
    assert "folds differ" in c.compare(a, a.assign(fold=a["example"] % 3)).text


def test_regression_runs_compare():
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    base = pd.DataFrame({"example": range(60), "unit": np.repeat(list("abc"), 20), "seed": 0})
    tables = [
        base.assign(y_true=y, y_pred=y + s * rng.normal(size=60), model=name, role="model")
        for s, name in ((0.1, "fine"), (2.0, "rough"))
    ]
    made = c.compare(*tables)
    assert made.text.startswith("the R² of rough is ")
    assert made.table.set_index("metric").loc["mae", "better"] == "first"
    assert np.isnan(made.mcnemar)


def test_equal_runs_are_rarely_called_different():
    """Two equally good, independent runs: at most 5 % claims (of 40, 6 or more has p = 0.014)."""
    claims = 0
    for seed in range(40):
        a, b = run(some(45, 0.8, 2 * seed), "a"), run(some(45, 0.8, 2 * seed + 1), "b")
        claims += c.compare(a, b, n=200).table.loc[0, "better"] != ""
    assert claims <= 5


def test_large_tables_are_quick():
    a, b = run(some(2000, 0.8, 0), "a", 20), run(some(2000, 0.79, 1), "b", 20)
    start = time.process_time()
    c.compare(a, b)
    assert time.process_time() - start < 20


def test_best_of_says_what_the_best_of_n_is_worth():
    said = c.best_of([0.93, 0.90, 0.91], 45, ["csp-lda", "riemann", "eegnet"])
    assert "3 models" in said
    assert "(csp-lda) scored 93.0 %" in said
    assert c.best_of([0.9], 45) == ""


def test_optimism_grows_with_models_and_shrinks_with_examples():
    assert c.optimism(0.8, 10, 45) > c.optimism(0.8, 3, 45) > c.optimism(0.8, 3, 400) > 0
    assert c.optimism(0.8, 5, 45, agreement=0.9) < c.optimism(0.8, 5, 45, agreement=0.1)
    # Independent models: SE x E[max of 2 normals] = SE / sqrt(pi)
    expected = np.sqrt(0.25 / 400) / np.sqrt(np.pi)
    assert c.optimism(0.5, 2, 400, agreement=1e-6) == pytest.approx(expected, rel=0.06)
