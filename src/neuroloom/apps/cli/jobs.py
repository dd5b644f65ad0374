"""`check`, `run`, `resume`, `replay`: from settings to a finished run folder."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from neuroloom.apps.cli.runs import finished
from neuroloom.apps.cli.show import announce, print_json, print_outline, print_problems, watching
from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import at_home, digest, read_json
from neuroloom.core.recipe import FieldInfo, Recipe, describe, read_yaml
from neuroloom.core.run import Run

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
BASIC = Group("Settings", sort_key=1)
OUTPUT = Group("Output", sort_key=2)
MORE = Group("More settings", sort_key=3)


def run_help(recipe: str, data: Path, /, *, out: Path | None = None, quiet: Flag = False) -> None:
    """Run a recipe on data, or a study from a YAML file.

    `neuroloom run RECIPE --help` shows the recipe's settings.

    Parameters
    ----------
    recipe
        A recipe's name (`neuroloom recipes`), or a YAML study.
    data
        A file, a folder, or a manifest CSV; none where a recipe makes its own.
    out
        The run's folder: made; used if empty.
    quiet
        Say nothing but errors.
    """


def check_help(recipe: str, data: Path, /, *, json: Flag = False) -> None:
    """Read, audit, split and plan as a run would; train and write nothing.

    `neuroloom check RECIPE --help` shows the recipe's settings, which are those of `run`.

    Parameters
    ----------
    recipe
        A recipe's name (`neuroloom recipes`), or a YAML study.
    data
        A file, a folder, or a manifest CSV; none where a recipe makes its own.
    json
        One JSON object: findings and outline, or all problems of data that are refused.
    """


def run_command(target: str) -> Callable[..., int]:
    """Return the function behind `neuroloom run TARGET`, its signature made of the recipe's fields.

    Raises
    ------
    ConfigError
        If `target` is neither a recipe nor a study file.
    """
    recipe, given, named = _target(target)

    def command(data: Path | None = None, **options: Any) -> int:
        where = _given(data or named, recipe)
        out = options.pop("out", None)
        quiet, lines = options.pop("quiet", False), options.pop("json", False)
        with watching(quiet=quiet, lines=lines) as watch:
            run = recipe(**(given | options)).run(where, out, watch=watch)
        announce(run, quiet=quiet or lines)
        return 0

    more = [
        _output("out", None, Path | None, "the run's folder: made; used if empty"),
        _output("quiet", False, bool, "say nothing but errors"),
        _output("json", False, bool, "progress as JSON lines"),
    ]
    return _as_command(command, _signature(recipe, more), recipe.summary)


def check_command(target: str) -> Callable[..., int]:
    """Return the function behind `neuroloom check TARGET`: as `run`, less what it writes.

    Raises
    ------
    ConfigError
        If `target` is neither a recipe nor a study file.
    """
    recipe, given, named = _target(target)

    def command(data: Path | None = None, **options: Any) -> int:
        where = _given(data or named, recipe)
        json = options.pop("json", False)
        made = recipe(**(given | options))
        try:
            with watching(quiet=json):
                prepared = made.prepare(where or Path())
        except DataError as error:
            if json:
                print_problems(error)
            raise
        show = print_json if json else print_outline
        show(made.outline(prepared), list(getattr(prepared, "findings", ())))
        return 0

    summary = f"Check, split and plan, training nothing: {recipe.summary}"
    more = [_output("json", False, bool, "one JSON object: findings and outline, or problems")]
    return _as_command(command, _signature(recipe, more), summary)


def _as_command(
    command: Callable[..., int], signature: inspect.Signature, summary: str
) -> Callable[..., int]:
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {}  # those of the signature count
    command.__doc__ = f"{summary[0].upper()}{summary[1:]}."
    return command


def _given(data: Path | None, recipe: type[Recipe]) -> Path | None:
    recipe.check_given(data)
    return None if data is None else at_home(data)


def recipe_of(target: str) -> type[Recipe]:
    """Return the recipe that a name, or a study file, stands for.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    return _target(target)[0]


def _target(target: str) -> tuple[type[Recipe], dict[str, Any], Path | None]:
    """Return the recipe, the fields already given, and the data already named."""
    file = at_home(target)
    if not target.endswith((".yaml", ".yml")):
        if file.exists() and target not in registry.names("recipe"):
            raise ConfigError(
                f"'{target}' is data, no recipe: write `neuroloom run RECIPE {target}`, with one "
                f"of {', '.join(registry.names('recipe'))}."
            )
        return registry.load("recipe", target), {}, None
    if not file.is_file():
        raise ConfigError(f"There is no study file {target}.")
    recipe, data = read_yaml(file)
    found = at_home(data) if data else None
    if found and not found.is_absolute() and not found.exists():
        found = file.parent / found
    return type(recipe), recipe.settings(), found


def _signature(recipe: type[Recipe], more: list[inspect.Parameter]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    # Where none is taken it is not shown, but understood, to be refused in words of its own.
    words = Parameter(help="a file, a folder, or a manifest CSV", show=recipe.needs_data)
    data = Annotated[Path | None, words]
    first = inspect.Parameter(
        "data", inspect.Parameter.POSITIONAL_ONLY, default=None, annotation=data
    )
    own = [
        inspect.Parameter(info.name, keyword, default=None, annotation=_option(info))
        for info in describe(recipe)
    ]
    return inspect.Signature([first, *own, *more])


def _output(name: str, default: Any, kind: Any, words: str) -> inspect.Parameter:
    hint = Annotated[kind, Parameter(help=words, negative="", group=OUTPUT, show_default=False)]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=hint)


def _option(info: FieldInfo) -> Any:
    words = Parameter(
        help=_words(info),
        group=BASIC if info.basic else MORE,
        show_default=False,
        negative=None if _can_be_turned_off(info) else "",
    )
    # The first type that fits counts: "none" is no text where a setting has another default.
    may_be_none = info.default is not None and type(None) in typing.get_args(info.type)
    first = type(None) if may_be_none else info.type
    return Annotated[first | info.type | None, words]


def _can_be_turned_off(info: FieldInfo) -> bool:
    """Tell whether a setting is a switch that is not off by itself: it has a `--no-NAME`."""
    is_switch = info.type is bool or bool in typing.get_args(info.type)
    return is_switch and info.default is not False


def _words(info: FieldInfo) -> str:
    """Return the help of one option: what it is, its unit, how to write it, its default."""
    said = info.help + (f" ({info.unit})" if info.unit else "")
    if typing.get_origin(info.type) is dict:
        said += f" [--{info.name}.NAME VALUE]"
    if info.choices and info.type is str:
        said += f" [choices: {', '.join(info.choices)}]"
    empty = info.default in (None, [], {}) or info.default is False
    return said if empty else f"{said} [default: {info.default}]"


def resume(run: Path, /, *, quiet: Flag = False, json: Flag = False) -> int:
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
        opened.resume()
        print(f"{run} is done already.", file=sys.stderr)
        return 0
    with watching(quiet=quiet, lines=json) as watch:
        opened.resume(watch=watch)
    announce(opened, quiet=quiet or json)
    return 0


def replay(run: Path, /, *, out: Path | None = None, quiet: Flag = False) -> int:
    """Do a run again, following its stored plan; exit code 1 if a metric differs.

    Where nothing was judged, the weights are compared.

    Parameters
    ----------
    run
        Folder of the run.
    out
        Folder of the new run; RUN-replay if not given.
    quiet
        Say nothing but errors.
    """
    first = finished(run)
    with watching(quiet=quiet) as watch:
        again = first.replay(out, watch=watch)
    what, file = "metrics", "metrics.json"
    if not read_json(first.folder / file):
        what, file = "weights (nothing was judged)", "model.safetensors"
        if not (first.folder / file).is_file():
            print(f"{again.folder}: there are neither metrics nor weights to compare.")
            return 0
    same = digest(first.folder / file) == digest(again.folder / file)
    print(f"{again.folder}: the {what} are {'identical' if same else 'NOT the same'}.")
    return 0 if same else 1
