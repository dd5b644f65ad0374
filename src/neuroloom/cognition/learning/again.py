"""A trained run asked again: fresh trials of its task or another, or inputs of one's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.run import check_out

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run

FRESH_SEED = 500_009  # fresh trials are none of those that the run was judged on
FRESH = 1000


def evaluate_again(run: Run, data: Path, out: Path | str | None) -> pd.DataFrame:
    """Judge a run's nets on fresh trials.

    Parameters
    ----------
    data
        "." for the run's own task; or the name of a task with as many channels.

    Returns
    -------
    DataFrame
        The metrics, tidy.

    Raises
    ------
    ConfigError, DataError
        If the task is unknown or its channels are not those of the net.
    """
    from neuroloom.cognition.learning.marks import metrics_of, tidy

    if out is not None:
        check_out(Path(out))
    table = _fresh(run, data)
    metrics = metrics_of(table, run.recipe.per)  # type: ignore[attr-defined]
    if out is not None:
        write_json(Path(out) / "metrics.json", metrics)
        _store(table, Path(out))
    found = tidy(metrics)
    found.attrs.update(labelled=len(table), unlabelled=0)
    return found


def predict_again(run: Run, inputs: list[Path], out: Path | str | None) -> pd.DataFrame:
    """Return what a run's first net does, a row a trial.

    Parameters
    ----------
    inputs
        A .npy of (time, trial, input) at the run's dt, then the outputs (time, trial, output) are
        written as `outputs-<name>.npy`; or "." for fresh trials of the run's task, which it does
        without any.

    Returns
    -------
    DataFrame
        For arrays: file, trial and the loudest output at the last step; else the table of trials.
    """
    import pandas as pd

    if out is not None:
        check_out(Path(out))
    parts = []
    for path in inputs or [Path()]:
        if path.suffix == ".npy":
            parts.append(_play_array(run, path, None if out is None else Path(out)))
        else:
            parts.append(_fresh(run, path))
    table = pd.concat(parts, ignore_index=True)
    if out is not None:
        _store(table, Path(out))
    return table


def _fresh(run: Run, data: Path) -> pd.DataFrame:
    from dataclasses import replace

    import pandas as pd

    from neuroloom.cognition.learning.session import examine, read_nets

    lesson = run.recipe.lesson()  # type: ignore[attr-defined]
    if not data.is_dir():
        lesson = replace(lesson, tasks=(str(data),))
    played = lesson.find_task()
    nets, facts = read_nets(run.folder / "model.safetensors")
    wanted = (len(played.inputs), lesson.count_outputs(played))
    have = (nets[0].spec.inputs, nets[0].spec.outputs)
    if have != wanted:
        raise ConfigError(
            f"{played.name} needs {wanted[0]} inputs and {wanted[1]} outputs; this run's net has "
            f"{have[0]} and {have[1]}."
        )
    parts = [
        examine(net, played, lesson, FRESH, FRESH_SEED + seed).assign(
            seed=seed, role="model", model=lesson.net
        )
        for net, seed in zip(nets, facts["seeds"], strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _play_array(run: Run, path: Path, out: Path | None) -> pd.DataFrame:
    import pandas as pd
    import torch

    from neuroloom.cognition.learning.session import read_nets

    net = read_nets(run.folder / "model.safetensors")[0][0]
    try:
        given = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an array (.npy): {error}.") from None
    wanted = net.spec.inputs
    if given.ndim != 3 or given.shape[2] != wanted or not np.isfinite(given).all():
        raise DataError(
            f"{path}: expected finite inputs of shape (time, trial, {wanted}), got "
            f"{given.shape}{'' if np.isfinite(given).all() else ' with NaN'}."
        )
    with torch.no_grad():
        dt: Any = run.recipe.dt  # type: ignore[attr-defined]
        outputs = net(torch.tensor(given, dtype=torch.float32), dt).outputs.numpy()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / f"outputs-{path.stem}.npy", partial(_save, outputs))
    trials = np.arange(outputs.shape[1])
    return pd.DataFrame({"file": path.name, "trial": trials, "loudest": outputs[-1].argmax(-1)})


def _save(array: np.ndarray, path: Path) -> None:
    with path.open("wb") as handle:
        np.save(handle, array)


def _store(table: pd.DataFrame, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "predictions.parquet", partial(table.to_parquet, index=False))
