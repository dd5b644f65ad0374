"""The table of examples: targets, labelled rows, fingerprints."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.dataset import require_classes
from neuroloom.core.errors import DataError
from tests.makers import dataset, table


def test_y_is_the_index_of_the_class():
    assert dataset(table()).y.tolist() == [0, 1] * 4


def test_y_of_a_regression_is_the_number():
    rows = table().assign(label=np.arange(8) / 2)
    assert dataset(rows, "regression").y.tolist() == (np.arange(8) / 2).tolist()


def test_unlabelled_examples_are_told_apart_with_their_samples():
    rows = table()
    rows.loc[[2, 5], "label"] = None
    whole = dataset(rows)
    known = whole.labelled()
    assert (len(whole), len(known)) == (8, 6)
    np.testing.assert_array_equal(known.x, whole.x[[0, 1, 3, 4, 6, 7]])


def test_take_keeps_rows_and_samples_together():
    part = dataset(table()).take(np.array([3, 0]))
    assert part.table["onset"].tolist() == [15.0, 0.0]
    np.testing.assert_array_equal(part.x, dataset(table()).x[[3, 0]])


def test_the_fingerprint_tells_labels_but_not_samples():
    rows = table()
    same, other = dataset(rows), dataset(rows.assign(label=rows["label"].to_numpy()[::-1]))
    assert dataset(rows).fingerprint() == same.fingerprint() != other.fingerprint()


def test_one_class_only_is_refused_and_named():
    with pytest.raises(DataError, match=r"here: two classes.*only 'x'"):
        require_classes(table().assign(label="x"), "here")


def test_classes_are_sorted_and_unlabelled_rows_are_none():
    rows = table()
    rows.loc[0, "label"] = None
    assert require_classes(rows, "here") == ["x", "y"]
