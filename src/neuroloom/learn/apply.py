"""Predict new whole examples (images, cases, connectomes) with a trained study: a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.audit import keep_findings
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.run import check_out

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.audit import Finding
    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Study


def predict_examples(
    study: Study, run: Run, inputs: list[Path], out: Path | str | None, wants: str
) -> pd.DataFrame:
    """Return a row an example of `inputs`: whose it is, its label if known, what was predicted.

    Parameters
    ----------
    study
        Of the run.
    run
        Finished.
    inputs
        Files or folders.
    out
        Where `predictions.parquet`, `.csv`, `audit.json` and `status.json` are written; None
        writes nothing.
    wants
        What predict needs, for the error: "a file or a folder of images".

    Raises
    ------
    ConfigError
        If there is no input, or `out` is not empty.
    """
    import pandas as pd

    if not inputs:
        raise ConfigError(f"predict needs {wants}.")
    if out is not None:
        check_out(Path(out))
    ensemble = study.load_model(run)
    parts = []
    findings: list[Finding] = []
    for source in inputs:
        dataset = study.read_new(ensemble.facts, source)
        findings += dataset.findings
        parts.append(predicted_table(dataset, study.outcome(ensemble, dataset)))
    table = pd.concat(parts, ignore_index=True)
    table.attrs["findings"] = keep_findings(findings, None if out is None else Path(out))
    if out is not None:
        _write(Path(out), table, run)
    return table


def predicted_table(dataset: Dataset, outcome: np.ndarray) -> pd.DataFrame:
    """Return a row an example: whose it is, its label if known, and what was predicted.

    Parameters
    ----------
    outcome
        Probabilities (n, class) of classes, numbers (n,) else.
    """
    table = dataset.table[["name", "path", "subject", "label"]].copy()
    if dataset.task != "classification":
        return table.assign(predicted=outcome)
    table["predicted"] = np.asarray(dataset.classes, dtype=object)[outcome.argmax(1)]
    for k, name in enumerate(dataset.classes):
        table[f"p_{name}"] = outcome[:, k]
    return table


def _write(out: Path, table: pd.DataFrame, run: Run) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "predictions.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomic(out / "predictions.csv", lambda path: table.to_csv(path, index=False))
    facts = {"run": run.folder.name, "examples": len(table)}
    facts["labelled"] = int(table["label"].notna().sum())
    write_json(out / "status.json", {"state": "done", "recipe": "predict", **facts})
