"""Decode new recordings with a trained run: a table, and copies annotated for any EEG viewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.run import check_out

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.signals.decode import Decode


def predict(
    decode: Decode, run: Run, inputs: list[Path], out: Path | str | None = None
) -> pd.DataFrame:
    """See `Decode.predict`."""
    import pandas as pd

    if not inputs:
        raise ConfigError("predict needs a file or a folder to decode.")
    if out is not None:
        check_out(Path(out))
    ensemble = decode.load_model(run)
    parts = []
    for source in inputs:
        dataset = decode.read_like(ensemble.facts, source, [])
        outcome = decode.outcome(ensemble, dataset)
        parts.append((source, decoded_table(dataset, outcome)))
    table = pd.concat([part for _, part in parts], ignore_index=True)
    if out is not None:
        _write(Path(out), table, parts, run)
    return table


def decoded_table(dataset: Dataset, outcome: np.ndarray) -> pd.DataFrame:
    """Return one row an example: where it is, its label if known, and what was decoded."""
    table = dataset.table[["path", "onset", "stop", "label"]].copy()
    if dataset.task == "regression":
        return table.assign(decoded=outcome)
    table["decoded"] = np.asarray(dataset.classes, dtype=object)[outcome.argmax(1)]
    for k, name in enumerate(dataset.classes):
        table[f"p_{name}"] = outcome[:, k]
    return table


def _write(out: Path, table: pd.DataFrame, parts: list[Any], run: Run) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "predictions.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomic(out / "predictions.csv", lambda path: table.to_csv(path, index=False))
    for source, part in parts:
        for path, rows in part.groupby("path", sort=False):
            _write_annotated(source, str(path), rows, out)
    labelled = int(table["label"].notna().sum())
    facts = {"run": run.folder.name, "examples": len(table), "labelled": labelled}
    write_json(out / "status.json", {"state": "done", "recipe": "predict", **facts})


def _write_annotated(source: Path, path: str, rows: pd.DataFrame, out: Path) -> None:
    """Write the recording with one annotation a decoded example."""
    from neuroloom import io
    from neuroloom.io.recordings.annotated import write_annotated

    file = source / path if source.is_dir() else source
    if source.suffix in (".csv", ".tsv"):
        file = source.parent / path
    marks = rows.rename(columns={"decoded": "label_"})[["onset", "stop", "label_"]]
    marks = marks.assign(duration=marks["stop"] - marks["onset"], label=marks["label_"].astype(str))
    target = _free_copy(out, path.replace("/", "_").removesuffix(".gz"))
    write_annotated(io.read(file), marks[["onset", "duration", "label"]], target)


def _free_copy(out: Path, name: str) -> Path:
    """Return where the copy of a file goes; inputs from two folders may share a name."""
    stem = name.rpartition(".")[0] or name
    numbers = ("", *(f"-{k}" for k in range(2, 10_000)))
    copies = (out / f"{stem}{number}_decoded_raw.fif" for number in numbers)
    return next(copy for copy in copies if not copy.exists())
