"""Scoring a run's nets on the labelled moments of another project."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.run import check_out
from neuroloom.pose.rig.check import require_possible
from neuroloom.pose.volume.judge import expect, judge, summarise
from neuroloom.pose.volume.kept import load
from neuroloom.pose.volume.project import read_project, with_points_of

if TYPE_CHECKING:
    from neuroloom.core.run import Run


def evaluate(run: Run, data: Path, out: Path | str | None = None, seed: int = 0) -> pd.DataFrame:
    """Return the metrics of a run on other data, tidy; see `Volumetric.evaluate`.

    Raises
    ------
    DataError
        If the project has other points than the run learnt.
    """
    if out is not None:
        check_out(Path(out))
    kept = load(run.folder)
    project = read_project(data, kept.shrink)
    require_possible(project.views.rig)
    project = with_points_of(project, kept.extra["keypoints"], data)
    rows = judge(kept, project.views, project.frames, project.keypoints)
    there, sure = expect(kept.calibration, rows["spread"].to_numpy(float))
    rows = rows.assign(expected_error=there, confidence=sure)
    metrics = summarise(rows, seed)
    if out is not None:
        write_scores(Path(out), rows, metrics)
        facts = {"labelled": len(project.frames), "unlabelled": project.unlabelled}
        files = {"run": run.folder.name, "files": project.hashes}
        write_json(Path(out) / "evaluation.json", facts | files)
        done = {"state": "done", "recipe": "pose.volumetric"}
        write_json(Path(out) / "status.json", done | facts)
    table = tidy(metrics)
    table.attrs["labelled"], table.attrs["unlabelled"] = len(project.frames), project.unlabelled
    return table


def tidy(metrics: dict[str, dict[str, float | None]]) -> pd.DataFrame:
    """Return metrics as rows.

    Examples
    --------
    >>> tidy({"com_error": {"value": 2.0}}).iloc[0].to_dict()
    {'fold': 'all', 'seed': 'all', 'metric': 'com_error', 'value': 2.0}
    """
    return pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": name} | row for name, row in metrics.items()]
    )


def write_scores(
    folder: Path, rows: pd.DataFrame, metrics: dict[str, dict[str, float | None]]
) -> None:
    """Write predictions.parquet, metrics.json and metrics.parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "predictions.parquet", partial(rows.to_parquet, index=False))
    write_json(folder / "metrics.json", metrics)
    write_atomic(folder / "metrics.parquet", partial(tidy(metrics).to_parquet, index=False))
