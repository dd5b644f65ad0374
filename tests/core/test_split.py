"""Splits by who: units kept together, gaps kept free, impossible requests refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.split import (
    Fold,
    Split,
    check_classes,
    default_unit,
    listed_names,
    make_folds,
    stated_fold,
    unit_keys,
)
from tests.makers import table


def held_out(rows, split, column="run"):
    return [sorted(set(rows[column].iloc[fold.test])) for fold in make_folds(rows, split)]


def names(n):
    return [f"{k:02d}" for k in range(n)]


def test_up_to_ten_units_each_is_held_out_once():
    rows = table(runs=names(10))
    assert held_out(rows, Split("run")) == [[name] for name in names(10)]


def test_more_than_ten_units_make_ten_folds():
    tested = held_out(table(runs=names(23)), Split("run"))
    assert len(tested) == 10
    assert sorted(run for part in tested for run in part) == names(23)


@pytest.mark.parametrize("by", ["run", "time", "random"])
@pytest.mark.parametrize("folds", [2, 3])
def test_n_folds_test_every_example_once_and_never_train_on_it(by, folds):
    rows = table(runs=names(6), trials=10)
    made = make_folds(rows, Split(by, folds))
    assert len(made) == folds
    assert sorted(np.concatenate([fold.test for fold in made])) == list(range(len(rows)))
    assert all(not set(fold.train) & set(fold.test) for fold in made)


def test_as_many_folds_as_units_leaves_one_out():
    assert held_out(table(runs=names(3)), Split("run", 3)) == [["00"], ["01"], ["02"]]


def test_one_fold_holds_out_a_seeded_fifth_of_the_units():
    rows = table(runs=names(10))
    first, again, other = (held_out(rows, Split("run", 1, seed=seed)) for seed in (0, 0, 3))
    assert len(first) == 1
    assert len(first[0]) == 2
    assert first == again != other


def test_no_folds_train_on_everything():
    (fold,) = make_folds(table(), Split("run", 0))
    assert (len(fold.train), len(fold.test)) == (8, 0)


def test_no_unit_stands_on_both_sides():
    rows = table(subjects=["A", "B", "C"], runs=names(3))
    for fold in make_folds(rows, Split("subject")):
        assert not set(rows["subject"].iloc[fold.train]) & set(rows["subject"].iloc[fold.test])


def test_run_1_of_two_subjects_is_not_one_run():
    rows = table(subjects=["A", "B"], runs=["1"])
    assert unit_keys(rows, "run")[::4] == ["A/1", "B/1"]
    assert len(make_folds(rows, Split("run"))) == 2


def test_units_are_aligned_with_the_test_rows():
    rows = table(runs=names(3))
    for fold in make_folds(rows, Split("run", 2)):
        assert fold.units == rows["run"].iloc[fold.test].tolist()


@pytest.mark.parametrize(
    ("more", "unit"),
    [
        ({"subjects": "AB"}, "subject"),
        ({"sessions": "12"}, "session"),
        ({"runs": "12"}, "run"),
        ({"runs": "1"}, "time"),
    ],
)
def test_the_widest_unit_is_the_default(more, unit):
    assert default_unit(table(**more)) == unit


def test_one_run_only_is_refused_and_named():
    with pytest.raises(ConfigError, match=r"split=run needs two runs or more.*'R7'"):
        make_folds(table(runs=["R7"]), Split("run"))


def test_more_folds_than_units_are_refused():
    with pytest.raises(ConfigError, match=r"folds=5 is more than the 3 runs"):
        make_folds(table(runs=names(3)), Split("run", 5))


def test_time_holds_out_the_last_fifth_of_every_recording():
    rows = table(trials=10)
    (fold,) = make_folds(rows, Split("time"))
    assert rows.iloc[fold.test].groupby("path")["onset"].apply(list).tolist() == [[40.0, 45.0]] * 2


@pytest.mark.parametrize("folds", [None, 4])
@pytest.mark.parametrize("gap", [0.0, 3.5, 7.0])
def test_no_training_window_comes_within_the_gap_of_a_held_out_one(folds, gap):
    rows = table(trials=20, spacing=2.0).sample(frac=1, random_state=0, ignore_index=True)
    for fold in make_folds(rows, Split("time", folds, gap=gap)):
        train, test = rows.iloc[fold.train], rows.iloc[fold.test]
        for path, own in train.groupby("path"):
            other = test[test["path"] == path]
            after = own["onset"].to_numpy()[:, None] - other["stop"].to_numpy()
            before = other["onset"].to_numpy() - own["stop"].to_numpy()[:, None]
            assert np.maximum(after, before).min() >= gap


def test_a_gap_longer_than_the_recording_is_refused():
    with pytest.raises(ConfigError, match=r"split=time leaves 0 examples to train"):
        make_folds(table(trials=5), Split("time", gap=100.0))


@pytest.mark.parametrize("glob", ["A_1_2.edf", "A_1_2*", "*_2.edf@*"])
def test_test_globs_hold_out_what_they_match(glob):
    rows = table(runs=["1", "2", "3"])
    (fold,) = make_folds(rows, Split("run", test=(glob,)))
    assert set(rows["run"].iloc[fold.test]) == {"2"}
    assert set(rows["run"].iloc[fold.train]) == {"1", "3"}


def test_test_may_be_a_file_of_names(tmp_path):
    rows = table()
    listed = tmp_path / "held_out.txt"
    listed.write_text("\n".join(rows["name"].iloc[[1, 6]]) + "\n\n")
    (fold,) = make_folds(rows, Split("run", test=tuple(listed_names([str(listed)]))))
    assert fold.test.tolist() == [1, 6]


def test_a_recording_in_this_folder_is_a_name_and_no_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (b"\xff\xfe\xfa", b"0       X\0"):
        (tmp_path / "a.edf").write_bytes(content)
        assert listed_names(["a.edf"]) == ["a.edf"]
    (tmp_path / "none.txt").write_text(" \n")
    with pytest.raises(ValueError, match=r"none\.txt holds no name"):
        listed_names(["none.txt"])


@pytest.mark.parametrize(("glob", "what"), [("nothing*", "no example"), ("*", "every example")])
def test_test_must_hold_out_some_but_not_all(glob, what):
    with pytest.raises(ConfigError, match=what):
        make_folds(table(), Split("run", test=(glob,)))


def test_per_subject_splits_each_alone():
    rows = table(subjects=["A", "B"], runs=names(3))
    folds = make_folds(rows, Split("run", per="subject"))
    assert [fold.group for fold in folds] == ["A"] * 3 + ["B"] * 3
    for fold in folds:
        both = np.concatenate([fold.train, fold.test])
        assert set(rows["subject"].iloc[both]) == {fold.group}
        assert {unit.split("/")[0] for unit in fold.units} == {fold.group}


def test_per_subject_leaves_out_who_cannot_be_split_unless_nobody_can():
    rows = pd.concat([table(["A"], runs=names(2)), table(["B"], runs=["1"])], ignore_index=True)
    assert {fold.group for fold in make_folds(rows, Split("run", per="subject"))} == {"A"}
    with pytest.raises(ConfigError, match=r"Subject B: split=run needs two runs"):
        make_folds(table(["B"], runs=["1"]), Split("run", per="subject"))


def test_random_deals_each_class_evenly():
    rows = table(runs=names(5), trials=10)
    for fold in make_folds(rows, Split("random", 5)):
        assert rows["label"].iloc[fold.test].value_counts().tolist() == [5, 5]


def test_random_is_never_the_default():
    for rows in (table(), table(runs=["1"]), table(subjects=["A", "B"])):
        assert all("random" not in fold.name for fold in make_folds(rows, Split()))


def test_a_class_that_is_missing_in_training_is_named():
    fold = Fold("run 2", np.array([0, 1]), np.array([2]))
    with pytest.raises(DataError, match=r"Fold 'run 2' has no example of class y"):
        check_classes(fold, np.array([0, 0, 1]), ["x", "y"])


def test_a_test_set_and_no_folds_contradict_each_other():
    with pytest.raises(ConfigError, match=r"folds=0 fits on everything, test=\['00'\] holds"):
        make_folds(table(runs=names(3)), Split(folds=0, test=("00",)))


def test_what_a_table_calls_test_is_held_out():
    rows = table(subjects=["A", "B", "C"], runs=["1"])
    rows["split"] = rows["subject"].map({"A": "train", "B": "val", "C": " Test"})
    fold = stated_fold(rows)
    assert set(rows["subject"].iloc[fold.test]) == {"C"}
    assert set(rows["subject"].iloc[fold.train]) == {"A", "B"}
    assert stated_fold(rows[rows["subject"] != "C"]) is None


def test_units_of_a_stated_split_are_those_of_all_rows():
    rows = table(subjects=["A", "B", "C"], runs=names(4), trials=1)
    rows["split"] = rows["subject"].map({"A": "train", "B": "train", "C": "test"})
    named = make_folds(rows, Split("subject", test=tuple(rows["name"][rows["subject"] == "C"])))
    assert stated_fold(rows).units == named[0].units == ["C"] * 4


@pytest.mark.parametrize(
    ("words", "said"),
    [(["train", "tset", "test"], r"split is 'tset', expected"), (["train", "test", None], "split")],
)
def test_a_word_that_is_no_side_is_refused(words, said):
    rows = table(subjects=["A", "B", "C"], runs=["1"])
    rows["split"] = rows["subject"].map(dict(zip("ABC", words, strict=True)))
    with pytest.raises(DataError, match=said):
        stated_fold(rows)


def test_a_stated_split_may_be_written_large():
    rows = table(subjects=["A", "B"], runs=["1"])
    words = rows["subject"].map({"A": "Train", "B": " TEST"})
    assert set(rows.loc[stated_fold(rows.assign(Split=words)).test, "subject"]) == {"B"}
    paths = rows["subject"].map({"A": "Train/a.png", "B": "Test/b.png"})
    assert set(rows.loc[stated_fold(rows.assign(path=paths)).test, "subject"]) == {"B"}


def test_a_subject_on_both_sides_of_a_stated_split_is_refused():
    rows = table(subjects=["A", "B"], runs=["1"])
    rows["split"] = ["train", "test"] * (len(rows) // 2)
    with pytest.raises(DataError, match=r"stated split puts images of subject A on both sides"):
        stated_fold(rows)
