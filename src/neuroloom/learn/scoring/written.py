"""The files that scores are written to: predictions, `metrics.json`, `metrics.parquet`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.files import read_json, write_atomic, write_json

if TYPE_CHECKING:
    import pandas as pd


def write_scores(
    folder: Path, table: pd.DataFrame, task: str, classes: list[str], seed: int
) -> None:
    """Write predictions and, computed from them, `metrics.json` and `metrics.parquet`."""
    from neuroloom.learn.scoring.metrics import metric_table, summary

    write_atomic(folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
    if len(table) == 0:
        write_json(folder / "metrics.json", {})
        return
    tidy = metric_table(table, task, classes)
    write_atomic(folder / "metrics.parquet", lambda p: tidy.to_parquet(p, index=False))
    write_json(folder / "metrics.json", summary(table, task, classes, seed))


def add_scores(folder: Path, more: dict[str, dict[str, float | None]]) -> None:
    """Add metrics of a study's own to `metrics.json` and, pooled, to `metrics.parquet`."""
    import pandas as pd

    write_json(folder / "metrics.json", read_json(folder / "metrics.json") | more)
    whole = with_scores(pd.read_parquet(folder / "metrics.parquet"), more)
    write_atomic(folder / "metrics.parquet", lambda path: whole.to_parquet(path, index=False))


def with_scores(
    metrics: pd.DataFrame, more: Mapping[str, Mapping[str, float | None]]
) -> pd.DataFrame:
    """Return tidy metrics with further ones, pooled over folds and seeds, as their last rows."""
    import pandas as pd

    rows = [{"fold": "all", "seed": "all", "metric": name, **row} for name, row in more.items()]
    numbers = dict.fromkeys(("value", "low", "high", "baseline", "chance"), float)
    further = pd.DataFrame(rows, columns=metrics.columns).astype(numbers)
    return pd.concat([metrics, further], ignore_index=True)
