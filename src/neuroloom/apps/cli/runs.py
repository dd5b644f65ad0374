"""`predict`, `evaluate`, `explain`, `report`, `compare`: what can be done with a finished run."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuroloom.apps.cli import STOPPED
from neuroloom.apps.cli.show import (
    complain,
    print_findings,
    print_metrics,
    print_table,
    watching,
)
from neuroloom.core.errors import ConfigError, nearest
from neuroloom.core.files import at_home, read_json, to_json
from neuroloom.core.run import Run, beside, check_out
from neuroloom.learn.parts import is_interrupted

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.learn.scoring.compare import Comparison

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Folders = Annotated[list[Path], Parameter(consume_multiple=True, negative="")]


def finished(folder: Path) -> Run:
    """Open a run that is done.

    Raises
    ------
    ConfigError
        If it is not; the message names `resume`.
    """
    run = Run(folder)
    if run.state != "done":
        if run.is_busy():
            raise ConfigError(f"{folder} is still being written by {run.writer()}; wait for it.")
        how = "failed" if run.state == "failed" else "was interrupted"
        raise ConfigError(
            f"{folder} is not done, it {how}: `neuroloom resume {folder}` goes on with it."
        )
    return run


def predict(
    run: Path, inputs: Folders | None = None, /, *, out: Path | None = None, **options: str
) -> int:
    """Apply a run's model to new recordings.

    Parameters
    ----------
    run
        Folder of the run.
    inputs
        Recordings, or folders of them.
    out
        Folder for the table and the annotated copies; RUN-predict if not given.
    options
        What the run's recipe can be asked for beside; the page of the recipe names it.
    """
    opened = finished(run)
    out = at_home(out or beside(opened.folder, "predict"))
    try:
        with watching() as watch:
            table = opened.predict(*inputs or (), out=out, watch=watch, **_asked(opened, options))
    except KeyboardInterrupt:
        if not is_interrupted(out):
            raise
        complain(f"neuroloom: stopped; the same command goes on with {out}.")
        return STOPPED
    print_findings(out)
    plain = (out / "predictions.csv").is_file()
    print(f"{_what(table)}: {out}/predictions.{'csv' if plain else 'parquet'}")
    return 0


def _asked(run: Run, options: dict[str, str]) -> dict[str, str]:
    """Return options of `predict` by the names that the recipe gives them.

    Raises
    ------
    ConfigError
        If the recipe has no such option.
    """
    if not options:
        return {}
    verb = getattr(run.recipe, "predict", None)
    parameters = inspect.signature(verb).parameters.values() if verb else ()
    known = {one.name.rstrip("_"): one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
    for name in options:
        if name not in known:
            close = nearest(name, [*known, "out"]).replace("'", "'--", 1)
            raise ConfigError(f"predict has no option --{name} for {run.recipe.name}.{close}")
    return {known[name]: value for name, value in options.items()}


def _what(table: pd.DataFrame) -> str:
    """Say in a few words what a table of predictions holds, by its columns."""
    if "label" in table:
        known = int(table["label"].notna().sum())
        return f"{len(table)} examples decoded, {known} of them labelled"
    if {"video", "frames", "found"} <= set(table):
        places = int(table["found"].sum())
        return f"{places} places of points found in {len(table)} video{'s' * (len(table) != 1)}"
    if "keypoint" in table:
        return f"{len(table)} places of points found"
    if "event" in table:
        return f"{len(table)} event{'s' * (len(table) != 1)} found"
    if "name" in table:
        count = table["name"].nunique()
        return f"{count} image{'s' * (count != 1)} done"
    return f"{len(table)} rows written"


def evaluate(
    run: Path,
    data: Path,
    /,
    *,
    out: Path | None = None,
    include: Annotated[list[str] | None, Parameter(negative="")] = None,
) -> int:
    """Score a run's model on other labelled data.

    Parameters
    ----------
    run
        Folder of the run.
    data
        File, folder or manifest CSV; every readable file is used.
    out
        Folder for metrics.json and predictions; RUN-evaluate if not given.
    include
        Globs that narrow the files.
    """
    opened = finished(run)
    out = at_home(out or beside(opened.folder, "evaluate"))
    check_out(out)
    with watching() as watch:
        metrics = opened.evaluate(data, out=out, include=include or [], watch=watch)
    print_findings(out)
    print_metrics(read_json(out / "metrics.json"))
    unlabelled = metrics.attrs["unlabelled"]
    print(f"\n{metrics.attrs['labelled']} labelled examples scored, {unlabelled} without a label.")
    return 0


def explain(run: Path, inputs: Folders | None = None, /, *, out: Path | None = None) -> int:
    """Show which inputs a run's model draws on.

    Parameters
    ----------
    run
        Folder of the run.
    inputs
        New images, or folders of them, for models of whole images; else the run's own data.
    out
        Folder for what is shown of new images; RUN-explain if not given.
    """
    opened = finished(run)
    if out is not None and not inputs:
        raise ConfigError("--out is for new images: of its own data a run keeps what is shown.")
    place = at_home(out or beside(opened.folder, "explain")) if inputs else None
    with watching() as watch:
        table = opened.explain(*inputs or (), out=place, watch=watch)
    top = table.head(10).itertuples(index=False)
    print_table([tuple(map(str, table.columns)), *(tuple(map(_cell, row)) for row in top)])
    if place is not None:
        print(f"\nMaps and tables: {place}")
        return 0
    folder = opened.folder
    print(f"\nMaps and tables: {folder / 'artifacts'}, report: {folder / 'report.html'}")
    return 0


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def report(run: Path, /) -> int:
    """Write a run's report anew.

    Parameters
    ----------
    run
        Folder of the run.
    """
    print(finished(run).report())
    return 0


def compare(runs: Folders, /, *, json: Flag = False) -> int:
    """Compare runs on the same examples, pair by pair; the first is compared with each other.

    Parameters
    ----------
    runs
        Folders of two runs or more.
    json
        Everything that was found, as JSON.
    """
    from neuroloom.learn.scoring.compare import best_of
    from neuroloom.learn.scoring.compare import compare as compare_two

    if len(runs) < 2:
        raise ConfigError("compare needs two runs or more.")
    opened = [finished(folder) for folder in runs]
    found = [compare_two(opened[0].predictions, other.predictions) for other in opened[1:]]
    print(_as_json(found) if json else "\n".join(each.text for each in found))
    values = [value for run in opened if (value := _accuracy(run)) is not None]
    if len(values) == len(opened) > 2 and not json:
        complain(best_of(values, found[0].n_examples, list(map(str, runs))))
    return 0


def _as_json(found: list[Comparison]) -> str:
    """Return comparisons as JSON, their tables as lists of rows."""
    plain = [
        vars(each)
        | {"table": each.table.to_dict("records"), "units": each.units.to_dict("records")}
        for each in found
    ]
    return to_json(plain)


def _accuracy(run: Run) -> float | None:
    """Return the accuracy, unless the run is judged by something else."""
    return read_json(run.folder / "metrics.json").get("accuracy", {}).get("value")
