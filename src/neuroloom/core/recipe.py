"""A recipe: one job a user comes for, as a pydantic model whose fields are its settings."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, nearest
from neuroloom.core.files import whole_if_there

if TYPE_CHECKING:
    from neuroloom.core.run import Run

VERSION = 1
MOST_BASIC_FIELDS = 7
DEMO_BUDGET = "60s"


def setting(
    default: Any, help: str, *, unit: str = "", basic: bool = False, kind: str = "", **limits: Any
) -> Any:
    """Declare a recipe's field: default, one line of help, unit and range.

    Parameters
    ----------
    default
        Its value when the user gives none; `...` makes the field required.
    help
        One line.
    unit
        "Hz", "s", "uV", …
    basic
        One of the at most seven fields that a form shows unfolded.
    kind
        "model" if the value names a registered model.
    limits
        pydantic's `ge`, `le`, `gt`, `lt`.
    """
    extra: dict[str, Any] = {"unit": unit, "basic": basic, "kind": kind}
    return Field(default, description=help, json_schema_extra=extra, **limits)


class Recipe(BaseModel):
    """Base of all recipes; a subclass adds fields and says how data become a run.

    Subclasses set `name`, `summary` and `data_kind`, and implement `prepare` (reads and checks
    everything, writes nothing) and `work` (fills the run's folder).
    """

    # YAML reads `events: {1: left}` as a number; the user means the event called "1".
    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), coerce_numbers_to_str=True
    )

    name: ClassVar[str]
    summary: ClassVar[str]
    data_kind: ClassVar[str] = ""
    needs_data: ClassVar[bool] = True
    instead: ClassVar[str] = ""  # where it takes no data: which setting says what it works on
    family: ClassVar[str] = ""  # of the models that its `model` may name
    ships: ClassVar[str] = ""  # the trained net that comes with it, in a few words
    beside: ClassVar[tuple[str, ...]] = ()  # settings that are paths from the data, else from here

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(_in_plain_words(type(self), error)) from None

    def run(
        self,
        data: str | Path | None = None,
        out: str | Path | None = None,
        *,
        watch: Watcher | None = None,
    ) -> Run:
        """Do the job on `data` and return the finished run.

        Parameters
        ----------
        data
            A file, a folder, or a manifest CSV; None where the recipe needs none.
        out
            The run's folder: made; used if empty. `runs/<recipe>-<time>` if not given.
        watch
            Called with a dict at every step of progress.

        Raises
        ------
        DataError, ConfigError
            Before anything is written, if the user can mend it.
        RunError
            If the run itself fails; its `status.json` then says why.
        """
        from neuroloom.core.run import Run

        self.check_given(data)
        return Run.start(self, None if data is None else Path(data), out, watch=watch)

    @classmethod
    def check_given(cls, data: str | Path | None) -> None:
        """Refuse to begin without the data that are needed, or with such as would not be read.

        Raises
        ------
        ConfigError
            With the setting that may have been meant.
        """
        if data is None and cls.needs_data:
            raise ConfigError(f"{cls.name} needs DATA: a file, a folder, or a manifest CSV.")
        if data is not None and not cls.needs_data:
            raise ConfigError(
                f"{cls.name} takes no DATA, so that '{data}' would not be read. {cls.instead} "
                f"`neuroloom describe {cls.name}` shows its settings."
            )

    def prepare(self, data: Path) -> Any:
        """Read and check everything the job needs; write nothing."""
        raise NotImplementedError

    def work(self, prepared: Any, run: Run) -> None:
        """Do the job and fill the run's folder."""
        raise NotImplementedError

    def outline(self, prepared: Any) -> list[tuple[str, str, str]]:
        """Return what was found and what a run would do with it: rows of what, value, why."""
        return []

    def placed(self, data: Path) -> Self:
        """Return the recipe with whole paths for what lies here and not beside `data`."""
        root = data if data.is_dir() else data.parent
        here: dict[str, Any] = {}
        for field in self.beside:
            said = getattr(self, field)
            names = [said] if isinstance(said, str) else said or []
            whole = [name if (root / name).exists() else whole_if_there(name) for name in names]
            if whole != names:
                here[field] = whole[0] if isinstance(said, str) else whole
        return self.model_copy(update=here) if here else self

    def settings(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, as plain data."""
        return self.model_dump(mode="json", exclude_defaults=True)


Watcher = Callable[[dict[str, Any]], None]


def to_yaml(recipe: Recipe, data: str | None) -> str:
    """Return the study as YAML: the recipe's name, the data and every field not at its default."""
    import yaml

    head: dict[str, Any] = {"recipe": recipe.name, "version": VERSION}
    head |= {} if data is None else {"data": data}
    return yaml.safe_dump(head | recipe.settings(), sort_keys=False, allow_unicode=True)


def from_yaml(text: str, where: str = "study") -> tuple[Recipe, str | None]:
    """Return the recipe that a YAML study describes, and its data.

    Raises
    ------
    ConfigError
        If it is not a study, was written by a newer neuroloom, or a field does not fit.
    """
    import yaml

    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {_where_and_what(error)}") from None
    if not isinstance(fields, dict) or "recipe" not in fields:
        raise ConfigError(f"{where} must be a mapping with a line 'recipe: NAME'.")
    version = fields.pop("version", VERSION)
    if not isinstance(version, int) or version > VERSION:
        raise ConfigError(f"{where} has version {version}; this neuroloom reads up to {VERSION}.")
    data = fields.pop("data", None)
    if not isinstance(data, str | None):
        raise ConfigError(f"{where}: data must be a path, got {data!r}.")
    try:
        recipe = registry.load("recipe", str(fields.pop("recipe")))
        return recipe(**{str(name): value for name, value in fields.items()}), data
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def read_yaml(file: Path) -> tuple[Recipe, str | None]:
    """Return the recipe that a study file describes, and its data; see `from_yaml`."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is no text in UTF-8; a study is a YAML file.") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be opened ({error.strerror}).") from None
    return from_yaml(text, str(file))


def _where_and_what(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "its text cannot be read"
    return f"line {mark.line + 1}: {what}." if mark else f"{what}."


@dataclass(frozen=True)
class FieldInfo:
    """What any door needs to know of one setting."""

    name: str
    type: Any
    default: Any
    required: bool
    help: str
    unit: str
    basic: bool
    choices: tuple[str, ...]


def describe(recipe: type[Recipe]) -> list[FieldInfo]:
    """Return a recipe's settings, derived from its types, in their order.

    Raises
    ------
    TypeError
        If a field has a type that no door can show.
    """
    fields = recipe.model_fields.items()
    return [_field_info(name, info, recipe.family) for name, info in fields]


def _field_info(name: str, info: Any, family: str) -> FieldInfo:
    extra = info.json_schema_extra or {}
    choices = _choices(info.annotation)
    if extra.get("kind") == "model":
        choices = tuple(registry.names("model", family))
    check_type(name, info.annotation)
    return FieldInfo(
        name,
        info.annotation,
        None if info.is_required() else info.get_default(call_default_factory=True),
        info.is_required(),
        info.description or "",
        extra.get("unit", ""),
        bool(extra.get("basic")),
        choices,
    )


def _choices(annotation: Any) -> tuple[str, ...]:
    if typing.get_origin(annotation) is Literal:
        return tuple(map(str, typing.get_args(annotation)))
    return tuple(choice for inner in typing.get_args(annotation) for choice in _choices(inner))


def check_type(name: str, annotation: Any) -> None:
    """Refuse a field type that CLI, YAML and form cannot all carry."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (bool, int, float, str, type(None)) or origin is Literal:
        return
    shown = origin in (list, tuple, dict, types.UnionType, typing.Union)
    if not shown or (origin is dict and inner[0] is not str):
        raise TypeError(f"field '{name}': no door can show the type {annotation!r}")
    for part in inner:
        if part is not Ellipsis:
            check_type(name, part)


def problems(recipe: type[Recipe], fields: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with settings, one sentence a field; "" stands for all together.

    Examples
    --------
    >>> from neuroloom.core import registry
    >>> problems(registry.load("recipe", "signals.simulate"), {"trials": 1})
    {'trials': 'trials: should be greater than or equal to 2, got 1.'}
    """
    try:
        recipe(**fields)
    except ConfigError as error:
        cause = error.__context__
        if not isinstance(cause, ValidationError):
            return {"": str(error)}
        found: dict[str, str] = {}
        for problem in cause.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            found[name] = f"{found.get(name, '')} {_one_problem(recipe, problem)}".strip()
        return found
    return {}


def briefly(recipe: type[Recipe], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a demo with a short budget, where the recipe has one that is a time.

    Examples
    --------
    >>> from neuroloom.core import registry
    >>> briefly(registry.load("recipe", "signals.decode"), {}), briefly(
    ...     registry.load("recipe", "eye.pupil"), {}
    ... )
    ({'budget': '60s'}, {})
    """
    short = fields | {"budget": DEMO_BUDGET}
    return fields if problems(recipe, short) else short


def _in_plain_words(recipe: type[Recipe], error: ValidationError) -> str:
    """Turn pydantic's errors into sentences that name field, value and the way out."""
    return " ".join(_one_problem(recipe, problem) for problem in error.errors())


def _one_problem(recipe: type[Recipe], problem: Any) -> str:
    place = [str(part) for part in problem["loc"]]
    field = place[0] if place else ""
    if problem["type"] == "extra_forbidden":
        known = list(recipe.model_fields)
        return f"{recipe.name} has no setting '{field}'.{nearest(field, known)}"
    if problem["type"] == "missing":
        return f"{recipe.name} needs the setting '{field}'."
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message.replace("a valid dictionary", "names with values (T1: fists)")
    close = ""
    if problem["type"] == "literal_error":
        close = nearest(str(problem["input"]), _choices(recipe.model_fields[field].annotation))
    if not field:
        return f"{message}."
    if problem["type"] == "value_error":
        return f"{field}: {message.rstrip('.')}."
    return f"{field}: {message}, got {problem['input']!r}.{close}"
