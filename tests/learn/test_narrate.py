"""What a report begins with, and what it says of permuted labels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.files import write_json
from neuroloom.core.split import Fold
from neuroloom.learn.narrate import (
    _how_sure,
    _permutation_test,
    best_of_siblings,
    headline_metric,
)


def judged(kind: str, labels: list[Any], classes: list[str]) -> str:
    dataset = SimpleNamespace(table=pd.DataFrame({"label": labels}), classes=classes)
    study = SimpleNamespace(judged_as=lambda _: (kind, classes))
    return headline_metric(study, SimpleNamespace(dataset=dataset))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "labels", "metric"),
    [
        ("classification", ["a"] * 30 + ["b"] * 10, "accuracy"),
        ("classification", ["a"] * 31 + ["b"] * 10, "auc"),
        ("classification", ["a"] * 31 + ["b"] * 10 + ["c"] * 20, "balanced_accuracy"),
        ("regression", [0.5, 1.0], "r2"),
        ("detection", [], "f1"),
    ],
)
def test_headline(kind: str, labels: list[Any], metric: str) -> None:
    assert judged(kind, labels, sorted(set(map(str, labels)))) == metric


@pytest.mark.parametrize(
    ("kind", "rows", "said"),
    [
        ("regression", {"y_pred": [1.0, 2.0, 2.5, 4.0, 5.0, 6.5]}, "of the r2: p = 0.1"),
        ("synthesis", {"y_pred": 0.0, "psnr": 20.0, "ssim": 0.5}, "no labels that could change"),
        ("segmentation", None, "nothing was held out"),
    ],
)
def test_a_permutation_test_is_told_or_its_lack_explained(kind: str, rows: Any, said: str) -> None:
    same = {"y_true": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "unit": list("aabbcc"), "role": "model"}
    table = pd.DataFrame() if rows is None else pd.DataFrame(same | rows)
    study = SimpleNamespace(judged_as=lambda _: (kind, []), permutations=299, seed=0)
    run, prepared = SimpleNamespace(predictions=table), SimpleNamespace(dataset=None)
    assert said in _permutation_test(study, run, prepared)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("by", "units", "own", "said"),
    [
        ("subject", ["P9"] * 3, "", "over the examples of one subject: it does not say how far"),
        ("subject", ["P8", "P9", "P9"], "", "over 2 subjects, then over the examples inside."),
        ("time", ["the last fifth"] * 3, "", "over the examples."),
        ("subject", ["P9"] * 3, "time", "over the examples."),
        ("subject", ["a.mp4, 1", "a.mp4, 2", "a.mp4, 2"], "block", "over 2 blocks of neighbours"),
        ("time", ["1", "2", "2"], "run", "over 2 runs, then over the examples inside."),
    ],
)
def test_what_the_interval_is_of(
    by: str, units: list[str], own: str, said: str, tmp_path: Path
) -> None:
    write_json(tmp_path / "metrics.json", {"r2": {"value": 0.5}})
    fold = Fold("held out", np.arange(4), np.arange(4, 7), units, by=own)
    prepared = SimpleNamespace(dataset=SimpleNamespace(), folds=[fold], by=by)
    study = SimpleNamespace(judged_as=lambda _: ("regression", []))
    run = SimpleNamespace(folder=tmp_path)
    assert said in _how_sure(study, prepared, run)  # type: ignore[arg-type]


@pytest.mark.parametrize("closed", ["is_file", "iterdir"])
def test_a_closed_folder_beside_a_run_does_not_end_it(closed, tmp_path, monkeypatch) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    other.mkdir()
    write_json(own / "metrics.json", {"accuracy": {"value": 0.5}})
    write_json(own / "dataset.json", {"fingerprint": "f", "split": {"folds": [{"test": [0]}]}})
    usual = getattr(Path, closed)

    def refuse(path: Path) -> Any:
        if path in (other / "dataset.json", tmp_path):
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr(Path, closed, refuse)
    run = SimpleNamespace(folder=own, recipe=SimpleNamespace(called=lambda: "net"))
    assert best_of_siblings(run, "classification") == ""  # type: ignore[arg-type]
