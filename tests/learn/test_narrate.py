"""What a report begins with: accuracy, unless one class outweighs the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from neuroloom.learn.narrate import headline_metric


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
