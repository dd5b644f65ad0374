"""What the audit finds, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.audit import audit_split, refuse_duplicates, tell_tale
from neuroloom.core.errors import DataError
from neuroloom.core.split import Split, make_folds
from tests.makers import dataset, table


def findings(rows, by, **split):
    data = dataset(rows)
    return {f.title: f for f in audit_split(data, make_folds(rows, Split(by, **split)), by)}


def test_it_objects_to_a_random_split():
    found = findings(table(trials=20), "random")["Random split of dependent examples"]
    assert found.severity == "objection"
    assert "20 from each recording" in found.detail


@pytest.mark.parametrize("by", ["run", "time"])
def test_it_does_not_object_to_an_honest_split(by):
    found = findings(table(trials=30), by)
    assert "objection" not in {f.severity for f in found.values()}


def test_it_sees_that_the_class_is_the_file():
    rows = table(trials=30)
    found = findings(rows.assign(label=rows["run"].map({"1": "x", "2": "y"})), "time")
    assert "The class is the file" in found
    assert "The class is the file" not in findings(rows, "time")


def test_that_an_image_has_one_class_is_no_finding():
    rows = table(subjects=["A", "B", "C", "D"], runs=["1"], trials=1)
    rows["label"] = list("xyxy")
    images, cut = dataset(rows), replace(dataset(rows), facts={"rate": 250.0})
    folds = make_folds(rows, Split("subject"))
    title = "The class is the file"
    assert title not in {found.title for found in audit_split(images, folds, "subject")}
    assert title in {found.title for found in audit_split(cut, folds, "subject")}


def test_it_says_when_people_stand_on_both_sides():
    title = "The same people in training and test"
    rows = table(subjects=["A", "B"], trials=20)
    assert findings(rows, "run")[title].severity == "warning"
    assert findings(table(trials=20), "run")[title].severity == "note"
    assert title not in findings(rows, "subject")
    torn = findings(rows, "subject", test=(rows["name"].iloc[0],))[title]
    assert "1 of 2 subjects stand on both sides (`test` names only some" in torn.detail


def test_it_names_the_subjects_that_a_split_of_each_alone_leaves_out():
    rows = pd.concat([table(["A"], trials=30), table(["B"], runs=["1"])], ignore_index=True)
    title = "Some subjects are left out"
    assert findings(rows, "run", per="subject")[title].detail.startswith("B: ")
    assert title not in findings(rows, "run")
    assert title not in findings(table(["A", "B"], trials=30), "run", per="subject")


def test_it_warns_of_unequal_classes_and_of_few_examples():
    rows = table(trials=5)
    rows["label"] = ["x"] * 4 + ["y"] + ["x"] * 4 + ["y"]
    assert {"Unequal classes", "Few examples"} <= set(findings(rows, "run"))


def test_the_same_file_under_two_names_is_refused():
    with pytest.raises(DataError, match=r"b\.edf is a copy of a\.edf"):
        refuse_duplicates({"a.edf": "1", "c.edf": "2", "b.edf": "1"})
    refuse_duplicates({"a.edf": "1", "b.edf": "2"})


NAMES = [f"E{k}" for k in range(20)]
Y = np.arange(60) % 2


def noise(seed=0):
    return np.random.default_rng(seed).normal(size=(60, 20))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_channel_that_gives_the_answer_is_named(sign):
    features = noise()
    features[:, 7] += sign * 20 * Y
    assert [name for name, auc in tell_tale(features, Y, NAMES) if auc >= 0.99] == ["E7"]


def test_one_class_of_three_given_away_is_enough():
    y = np.arange(60) % 3
    features = noise()
    features[:, 3] += 20 * (y == 2)
    assert [name for name, _ in tell_tale(features, y, NAMES)] == ["E3"]


def test_noise_gives_nothing_away():
    assert not any(tell_tale(noise(seed), Y, NAMES) for seed in range(50))


def test_half_of_the_channels_are_signal_not_a_leak():
    features = noise()
    features[:, ::2] += 20 * Y[:, None]
    assert tell_tale(features, Y, NAMES) == []


def test_a_handful_of_examples_proves_nothing():
    assert tell_tale(noise()[:19] + 20 * Y[:19, None], Y[:19], NAMES) == []
