"""Flags of segmented cases: nothing found, sizes never seen, and how well poor cases are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from neuroloom.learn.dense.measures.flags import flag_of, score_of_flag, usual_of


def learnt(*cells: float, other: float = 1.0) -> list[dict[str, float]]:
    return [{"cell": cell, "other": other} for cell in cells]


def test_a_class_that_many_cases_lack_may_be_found_nowhere():
    seen = learnt(5.0, 0.0, 7.0, 0.0)
    usually = usual_of([0.2, 0.2], seen, seen)
    assert not flag_of(usually, 0.2, {"cell": 0.0, "other": 1.0})["flag"]
    nothing = flag_of(usually, 0.0, {"cell": 0.0, "other": 0.0})
    assert nothing["why"] == "other is found nowhere, though 100 % of the learnt cases have it"


def test_nothing_at_all_is_odd_where_each_case_has_one_class_or_another():
    seen = [{"a": 5.0, "b": 0.0}, {"a": 0.0, "b": 3.0}]
    usually = usual_of([0.2, 0.2], seen, seen)
    assert not flag_of(usually, 0.2, {"a": 5.0, "b": 0.0})["flag"]
    assert flag_of(usually, 0.0, {"a": 0.0, "b": 0.0})["why"].startswith("nothing is found")


def test_a_speck_is_odd_though_a_learnt_case_lacks_the_class():
    seen = learnt(90.0, 100.0, 0.0)
    found = flag_of(usual_of([0.2], seen, seen), 0.2, {"cell": 2.0, "other": 1.0})
    assert found["why"] == "cell measures 2, learnt were 90 to 100"
    assert found["oddness"] == pytest.approx(np.log(45) / np.log(1.5))


def test_a_case_without_a_finding_has_no_border_and_so_no_doubt_to_compare():
    seen = [{"cell": 5.0}, {"cell": 0.0}]
    usually = usual_of([0.01, 0.01], seen, seen)
    assert flag_of(usually, 0.9, {"cell": 5.0})["flag"]
    assert flag_of(usually, 0.9, {"cell": 0.0}) == {"oddness": 0.0, "flag": False, "why": ""}


def test_a_run_that_did_not_store_what_is_present_is_held_against_what_it_stored():
    usually = {"doubt": [0.2, 0.01], "volumes": {"cell": [5.0, 9.0], "other": [0.0, 0.0]}}
    assert flag_of(usually, 0.2, {"cell": 0.0, "other": 0.0})["flag"] is False
    assert flag_of(usually, 0.2, {"cell": 30.0, "other": 1.0})["why"].startswith("cell measures 30")


def test_a_miss_is_told_though_nothing_was_held_out_and_no_volume_is_usual():
    usually = usual_of([], [], learnt(5.0, 6.0))
    fine = flag_of(usually, 0.9, {"cell": 5.0, "other": 1.0})
    assert fine["flag"] is None
    assert fine["why"].startswith("not judged")
    assert flag_of(usually, 0.0, {"cell": 0.0, "other": 1.0})["flag"] is True


def rows(oddness: np.ndarray, poor: np.ndarray, role: str = "model") -> pd.DataFrame:
    """Two classes and two seeds a case."""
    names = [f"c{k}" for k in range(len(oddness))]
    one = pd.DataFrame({"role": role, "example": names, "unit": names, "oddness": oddness})
    one = one.assign(flag=oddness > 1, why="", poor=poor)
    return pd.concat([one] * 4, ignore_index=True)


def test_the_score_of_flags_is_the_auroc_over_cases():
    rng = np.random.default_rng(0)
    poor = rng.random(40) < 0.3
    odd = rng.normal(size=40) + poor
    table = pd.concat([rows(odd, poor), rows(-odd, poor, "baseline")])
    found = score_of_flag(table)["flag_auroc"]
    assert found["value"] == pytest.approx(roc_auc_score(poor, odd))
    assert found["baseline"] == pytest.approx(1 - found["value"])
    assert found["low"] < found["value"] < found["high"]


def test_one_poor_case_that_was_flagged_proves_little():
    found = score_of_flag(rows(np.arange(9.0), np.arange(9) == 8))["flag_auroc"]
    assert found["value"] == found["high"] == 1
    assert found["low"] < 0.8


@pytest.mark.parametrize("poor", [False, True])
def test_without_poor_or_without_good_cases_there_is_no_score(poor):
    found = score_of_flag(rows(np.arange(4.0), np.full(4, poor)))["flag_auroc"]
    assert found["value"] is found["low"] is None
    unknown = rows(np.arange(4.0), np.full(4, poor)).assign(poor=None)
    assert score_of_flag(unknown) == {}
