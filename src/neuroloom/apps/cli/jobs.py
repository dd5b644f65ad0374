"""`run`, `resume`, `replay`: from settings to a finished run folder."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from neuroloom.apps.cli.show import announce, watching
from neuroloom.core import registry
from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import FieldInfo, Recipe, describe, from_yaml
from neuroloom.core.run import Run

Flag = Annotated[bool, Parameter(negative="")]


def run_help(recipe: str, data: Path, *, out: Path | None = None, quiet: bool = False) -> None:
    """Run a recipe on data, or a study from a YAML file.

    `neuroloom run RECIPE --help` shows the recipe's settings.

    Parameters
    ----------
    recipe
        A recipe's name (`neuroloom recipes`), or a YAML study.
    data
        A file, a folder, or a manifest CSV.
    out
        The run's folder: made; used if empty.
    quiet
        Say nothing but errors.
    """


def run_command(target: str) -> Callable[..., int]:
    """Return the function behind `neuroloom run TARGET`, its signature made of the recipe's fields.

    Raises
    ------
    ConfigError
        If `target` is neither a recipe nor a study file.
    """
    recipe, given, named = _target(target)
    infos = describe(recipe)

    def command(data: Path | None = None, **options: Any) -> int:
        where = data or named
        if where is None:
            raise ConfigError(f"run {target} needs DATA: a file, a folder, or a manifest CSV.")
        out = options.pop("out", None)
        quiet, lines = options.pop("quiet", False), options.pop("json", False)
        fields = {name: value for name, value in options.items() if value is not None}
        with watching(quiet=quiet, lines=lines) as watch:
            run = recipe(**(given | fields)).run(where, out, watch=watch)
        announce(run, quiet=quiet or lines)
        return 0

    command.__signature__ = _signature(infos)  # type: ignore[attr-defined]
    command.__doc__ = f"{recipe.summary[0].upper()}{recipe.summary[1:]}."
    return command


def _target(target: str) -> tuple[type[Recipe], dict[str, Any], Path | None]:
    """Return the recipe, the fields already given, and the data already named."""
    if not target.endswith((".yaml", ".yml")):
        return registry.load("recipe", target), {}, None
    file = Path(target)
    if not file.is_file():
        raise ConfigError(f"There is no study file {target}.")
    recipe, data = from_yaml(file.read_text(encoding="utf-8"), target)
    found = Path(data) if data else None
    if found and not found.is_absolute() and not found.exists():
        found = file.parent / found
    return type(recipe), recipe.settings(), found


def _signature(infos: list[FieldInfo]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    data = Annotated[Path | None, Parameter(help="a file, a folder, or a manifest CSV")]
    fixed = {
        "out": Annotated[Path | None, Parameter(help="the run's folder: made; used if empty")],
        "quiet": Annotated[bool, Parameter(help="say nothing but errors", negative="")],
        "json": Annotated[bool, Parameter(help="progress as JSON lines", negative="")],
    }
    own = [
        inspect.Parameter(info.name, keyword, default=None, annotation=_option(info))
        for info in infos
    ]
    more = [
        inspect.Parameter(name, keyword, default=None if name == "out" else False, annotation=hint)
        for name, hint in fixed.items()
    ]
    first = inspect.Parameter(
        "data", inspect.Parameter.POSITIONAL_ONLY, default=None, annotation=data
    )
    return inspect.Signature([first, *own, *more])


def _option(info: FieldInfo) -> Any:
    unit = f" ({info.unit})" if info.unit else ""
    default = "" if info.default in (None, [], {}, False) else f" [default: {info.default}]"
    group = "Settings" if info.basic else "More settings"
    words = Parameter(
        help=f"{info.help}{unit}{default}", group=group, show_default=False, negative=""
    )
    return Annotated[info.type | None, words]


def resume(run: Path, *, quiet: Flag = False, json: Flag = False) -> int:
    """Finish an interrupted run; what was done is kept.

    Parameters
    ----------
    run
        Folder of the run.
    quiet
        Say nothing but errors.
    json
        Progress as JSON lines.
    """
    opened = Run(run)
    if opened.state == "done":
        print(f"{run} is done already.", file=sys.stderr)
        return 0
    with watching(quiet=quiet, lines=json) as watch:
        opened.resume(watch=watch)
    announce(opened, quiet=quiet or json)
    return 0


def replay(run: Path, *, out: Path | None = None, quiet: Flag = False) -> int:
    """Do a run again, following its stored plan; exit code 1 if a metric differs.

    Parameters
    ----------
    run
        Folder of the run.
    out
        Folder of the new run; RUN-replay if not given.
    quiet
        Say nothing but errors.
    """
    first = Run(run)
    with watching(quiet=quiet) as watch:
        again = first.replay(out, watch=watch)
    same = (first.folder / "metrics.json").read_bytes() == (
        again.folder / "metrics.json"
    ).read_bytes()
    print(f"{again.folder}: the metrics are {'identical' if same else 'NOT the same'}.")
    return 0 if same else 1
