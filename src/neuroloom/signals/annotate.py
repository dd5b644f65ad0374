"""New recordings annotated by a trained run: a table, and copies for any EEG viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.study import Study
    from neuroloom.signals.detect import Detect
    from neuroloom.signals.stage import Stage

# Rows of one recording, from its model and the data of one input.
Annotate = Callable[["Ensemble", "Dataset"], Iterator["pd.DataFrame"]]


def predict_events(
    detect: Detect, run: Run, inputs: list[Path], out: Path | str | None = None
) -> pd.DataFrame:
    """See `Detect.predict`."""

    def rows(ensemble: Ensemble, dataset: Dataset) -> Iterator[pd.DataFrame]:
        for path, p in detect.probabilities(ensemble, dataset):
            yield found_events(detect, ensemble, dataset, path, p)

    return annotate(detect, run, inputs, out, rows, "event", "detected")


def found_events(
    detect: Detect, ensemble: Ensemble, dataset: Dataset, path: str, p: np.ndarray
) -> pd.DataFrame:
    """Return the events of one recording, in their order."""
    import pandas as pd

    from neuroloom.signals.detect import rule_of

    rate, parts = dataset.facts["rate"], []
    for k, name in enumerate(dataset.classes[1:], start=1):
        found = rule_of(ensemble).find(p[k], rate)
        first = np.round(found * rate).astype(int)
        peaks = [float(np.nanmax(p[k, a : max(b, a + 1)])) for a, b in first]
        table = pd.DataFrame({"path": path, "event": name, "onset": found[:, 0]})
        table["stop"] = found[:, 1]
        parts.append(table.assign(duration=found[:, 1] - found[:, 0], peak=peaks))
    return pd.concat(parts).sort_values("onset", ignore_index=True)


def annotate(
    study: Study,
    run: Run,
    inputs: list[Path],
    out: Path | str | None,
    rows: Annotate,
    label: str,
    ending: str,
) -> pd.DataFrame:
    """Apply a run's model to new recordings; write the table and annotated copies to `out`.

    Parameters
    ----------
    rows
        Returns the rows of every recording: path, onset, stop (s), `label` and more.
    label
        The column that becomes the text of an annotation.
    ending
        Of the copies: `<name>_<ending>_raw.fif`.
    """
    import pandas as pd

    if not inputs:
        raise ConfigError("predict needs a file or a folder.")
    if out is not None:
        check_out(Path(out))
    ensemble = study.load_model(run)
    parts = []
    for source in inputs:
        dataset = study.read_like(ensemble.facts, source, [])
        for path, part in zip(
            dict.fromkeys(dataset.table["path"]), rows(ensemble, dataset), strict=True
        ):
            parts.append((source, str(path), part))
    table = pd.concat([part for *_, part in parts], ignore_index=True)
    if out is not None:
        _write(Path(out), table, parts, {"run": run.folder.name, "rows": len(table)})
        for source, path, part in parts:
            _copy(source, path, part.assign(label=part[label]), Path(out), ending)
    return table


def _write(out: Path, table: pd.DataFrame, parts: list[Any], facts: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "predictions.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomic(out / "predictions.csv", lambda path: table.to_csv(path, index=False))
    facts |= {"recordings": len(parts)}
    write_json(out / "status.json", {"state": "done", "recipe": "predict", **facts})


def _copy(source: Path, path: str, rows: pd.DataFrame, out: Path, ending: str) -> None:
    """Write the recording with one annotation a row."""
    from neuroloom import io
    from neuroloom.io.recordings.annotated import write_annotated

    file = source / path if source.is_dir() else source
    if source.suffix in (".csv", ".tsv") and source.name != Path(path).name:
        file = source.parent / path
    marks = rows.assign(duration=rows["stop"] - rows["onset"])[["onset", "duration", "label"]]
    stem = path.replace("/", "_").removesuffix(".gz").rpartition(".")[0] or path
    numbers = ("", *(f"-{k}" for k in range(2, 10_000)))
    names = (out / f"{stem}{number}_{ending}_raw.fif" for number in numbers)
    write_annotated(io.read(file), marks, next(name for name in names if not name.exists()))


def predict_stages(
    stage: Stage, run: Run, inputs: list[Path], out: Path | str | None = None
) -> pd.DataFrame:
    """See `Stage.predict`."""

    def rows(ensemble: Ensemble, dataset: Dataset) -> Iterator[pd.DataFrame]:
        table = staged_epochs(stage, ensemble, dataset)
        for path in dict.fromkeys(dataset.table["path"]):
            yield table[table["path"] == path].reset_index(drop=True)

    return annotate(stage, run, inputs, out, rows, "stage", "staged")


def staged_epochs(stage: Stage, ensemble: Ensemble, dataset: Dataset) -> pd.DataFrame:
    """Return one row an epoch: where it is, its stage if known, and what was scored."""
    from neuroloom.signals.stage import epoch_probabilities

    rows, p = epoch_probabilities(stage.outcome(ensemble, dataset), dataset)
    table = dataset.extra["epochs"].iloc[rows].reset_index(drop=True)
    table = table[["path", "onset", "stop", "label"]].copy()
    table["stage"] = np.asarray(dataset.classes, dtype=object)[p.argmax(1)]
    for k, name in enumerate(dataset.classes):
        table[f"p_{name}"] = p[:, k]
    return table
