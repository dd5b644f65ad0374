"""Curation changes exactly the chosen voxels, keeps a log, and ends in a training set."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import image
from neuroloom.io.cases import find_cases
from neuroloom.microscopy.curation import (
    Log,
    draw_region,
    edit,
    exclude,
    merge,
    sort_cases,
    write_training_set,
)


@pytest.fixture
def versions():
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, (2, 4, 30, 30)).astype(np.uint8)


def test_each_changes_the_chosen_voxels_and_no_other(versions):
    base, other = versions
    kept = base.copy()
    region = draw_region(base.shape, [[3, 3], [3, 12], [14, 12], [14, 3]], slice(1, 3))
    assert region.sum() == 2 * 10 * 12
    log = Log()
    merged = merge(base, other, region, case="a", log=log)
    np.testing.assert_array_equal(merged[region], other[region])
    np.testing.assert_array_equal(merged[~region], base[~region])
    ignored = exclude(base, region, case="a", log=log)
    assert (ignored[region] == 255).all()
    np.testing.assert_array_equal(ignored[~region], base[~region])
    painted = edit(base, region, 2, only=1, case="a", log=log)
    chosen = region & (base == 1)
    assert (painted[chosen] == 2).all()
    np.testing.assert_array_equal(painted[~chosen], base[~chosen])
    np.testing.assert_array_equal(base, kept)
    truly = [(merged != base).sum(), (ignored != base).sum(), chosen.sum()]
    assert [entry["changed"] for entry in log.entries] == truly
    assert log.entries[0]["box"] == [[1, 3, 3], [3, 15, 13]]


def test_sorting_and_its_log():
    log = Log()
    assert sort_cases(["a", "b", "c"], ["c"], log, bad=["a"]) == ["c"]
    assert [e["verdict"] for e in log.entries] == ["bad", "unjudged", "good"]
    with pytest.raises(ConfigError, match="cell_1"):
        sort_cases(["cell_1"], ["cel_1"])
    with pytest.raises(ConfigError, match="keep it in one"):
        sort_cases(["a"], ["a"], bad=["a"])


def test_unlike_grids_and_labels_that_do_not_fit(versions):
    base, _ = versions
    with pytest.raises(DataError, match="one grid"):
        merge(base, base[:2], base > 0)
    with pytest.raises(ConfigError, match="does not fit"):
        exclude(base.astype(np.int8), base > 0)
    with pytest.raises(ConfigError, match="value: 300 does not fit"):
        edit(base, base > 0, 300)
    assert merge(np.zeros(3, np.uint8), [0, 300, 1], [0, 1, 1]).tolist() == [0, 300, 1]
    assert merge(base, base.astype(np.int64), base > 0).dtype == np.uint8
    with pytest.raises(ConfigError, match="three or more corners"):
        draw_region((4, 4), [[0, 0], [1, 1]])


def test_the_training_set_is_read_back_with_its_ignored_voxels(tmp_path):
    rng = np.random.default_rng(1)
    content = rng.integers(0, 255, (20, 24)).astype(np.uint8)
    labels = (content > 120).astype(np.uint8)
    log = Log()
    corner = draw_region(labels.shape, [[0, 0], [0, 5], [5, 5], [5, 0]])
    curated = exclude(labels, corner, case="one", log=log)
    write_training_set(tmp_path, {"one": (image(content), curated)}, ["cell"], log)
    found = find_cases(tmp_path)
    (case,) = found.cases
    np.testing.assert_array_equal(case.image()[0], content)
    np.testing.assert_array_equal(case.truth(), np.where(corner, 2, labels))
    assert found.ignore == 2
    assert found.classes == {1: "cell"}
    assert Log.load(tmp_path).entries == log.entries
    with pytest.raises(DataError, match="label 1"):
        write_training_set(tmp_path / "b", {"one": (image(content), labels)}, [])
    with pytest.raises(DataError, match="No case"):
        write_training_set(tmp_path / "c", {}, ["cell"])
