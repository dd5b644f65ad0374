"""A recipe's settings as a form, derived from its types; and what is typed there, checked.

The values of a form are plain data, as JSON carries them: what is not given keeps its default.
"""

from __future__ import annotations

import re
import shlex
import types
import typing
from dataclasses import asdict, dataclass
from typing import Any, Literal

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import FieldInfo, Recipe, describe, problems, to_yaml

Kind = Literal["switch", "number", "choice", "text", "list", "numbers", "pairs"]


@dataclass(frozen=True)
class FormField:
    """One setting, as any form can show it.

    Attributes
    ----------
    name, label, help, unit
        What it is called and what it means.
    kind
        "switch" (bool), "number", "choice", "text", "list" (of `item`), "numbers" (`length` of
        them, such as a band), "pairs" (names with values of `item`).
    item
        "text", "number" or "choice".
    basic
        Shown unfolded.
    required, optional
        It has to be given; it may be left empty where its default is not.
    whole
        Its numbers are whole.
    choices
        What a choice may be.
    low, high
        Ends of the range of a number, None where open; `above` and `below` exclude them.
    default
        Plain data.
    """

    name: str
    label: str
    help: str
    unit: str
    kind: Kind
    item: str
    basic: bool
    required: bool
    optional: bool
    whole: bool
    length: int
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    above: float | None
    below: float | None
    default: Any


@dataclass(frozen=True)
class Checked:
    """What came of values typed into a form: sentences by field ("" for the form as a whole)."""

    problems: dict[str, str]
    command: str
    yaml: str

    @property
    def good(self) -> bool:
        """Whether the recipe would take them."""
        return not self.problems


def fields_of(recipe: type[Recipe]) -> list[FormField]:
    """Return a recipe's settings in their order.

    Examples
    --------
    >>> fields = fields_of(registry.load("recipe", "signals.simulate"))
    >>> [field.kind for field in fields][:2], fields[6].unit
    (['choice', 'number'], 'Hz')
    """
    return [_field(info, recipe) for info in describe(recipe)]


def schema(recipe: type[Recipe]) -> dict[str, Any]:
    """Return everything that a form or a program needs to know of a recipe, as plain data."""
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "about": about(recipe),
        "data": recipe.data_kind,
        "needs_data": recipe.needs_data,
        "predicts": hasattr(recipe, "predict"),
        "demo": hasattr(recipe, "demo"),
        "fields": [asdict(field) for field in fields_of(recipe)],
        "json_schema": recipe.model_json_schema(),
    }


def check(recipe: type[Recipe], fields: dict[str, Any], data: str | None, out: str) -> Checked:
    """Say what is wrong with values, and how the command line and a study file would put them."""
    wrong = problems(recipe, fields)
    known = {name: value for name, value in fields.items() if name not in wrong}
    try:
        made = recipe(**known)
    except ConfigError:
        return Checked(wrong, "", "")
    return Checked(wrong, command_line(made, data, out), to_yaml(made, data))


def build(name: str, fields: dict[str, Any]) -> Recipe:
    """Return the recipe with these settings.

    Raises
    ------
    ConfigError
        With the command line's own words, if there is no such recipe or a value does not fit.
    """
    made: Recipe = registry.load("recipe", name)(**fields)
    return made


def command_line(recipe: Recipe, data: str | None, out: str = "") -> str:
    """Return the command that does the same.

    Examples
    --------
    >>> recipe = build("signals.decode", {"band": (8, 30), "events": {"T1": "fists"}})
    >>> command_line(recipe, "bids/")
    'neuroloom run signals.decode bids/ --events.T1 fists --band 8.0 30.0'
    """
    words = ["neuroloom", "run", recipe.name]
    words += [data or "DATA"] if recipe.needs_data else []
    for name, value in recipe.model_dump(exclude_defaults=True).items():
        words += _option(name, value)
    words += ["--out", out] if out else []
    return " ".join(map(shlex.quote, words))


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is True:
        return [flag]
    if value is None or value is False:
        return [f"{flag}={'false' if value is False else 'none'}"]
    if isinstance(value, dict):
        return [word for key, item in value.items() for word in _pair(f"{flag}.{key}", item)]
    if isinstance(value, list):
        return [word for item in value for word in _pair(flag, item)]
    if isinstance(value, tuple):
        return [flag, *map(str, value)]
    return _pair(flag, value)


def _pair(flag: str, value: Any) -> list[str]:
    text = str(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _field(info: FieldInfo, recipe: type[Recipe]) -> FormField:
    inner, optional = _without_none(info.type)
    kind, item, whole, length = _kind(inner, bool(info.choices))
    limits = _limits(recipe.model_fields[info.name].metadata)
    return FormField(
        name=info.name,
        label=_label(info.name),
        help=_sentence(info.help),
        unit=info.unit,
        kind=kind,
        item=item,
        basic=info.basic,
        required=info.required,
        optional=optional,
        whole=whole,
        length=length,
        choices=info.choices,
        low=limits.get("ge"),
        high=limits.get("le"),
        above=limits.get("gt"),
        below=limits.get("lt"),
        default=_plain(info.default),
    )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the type without None, and whether None was allowed."""
    if typing.get_origin(annotation) not in (types.UnionType, typing.Union):
        return annotation, False
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    return parts[0], len(parts) < len(typing.get_args(annotation))


def _kind(annotation: Any, chosen: bool) -> tuple[Kind, str, bool, int]:
    """Return kind, item, whether numbers are whole, and how many there are."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is bool:
        return "switch", "", False, 0
    if annotation in (int, float):
        return "number", "number", annotation is int, 1
    if origin is tuple:
        return "numbers", "number", inner[0] is int, len(inner)
    if origin is list:
        return "list", "choice" if chosen else _item(inner[0]), inner[0] is int, 0
    if origin is dict:
        return "pairs", _item(inner[1]), inner[1] is int, 0
    return ("choice" if chosen else "text"), "text", False, 0


def _item(annotation: Any) -> str:
    return "number" if annotation in (int, float) else "text"


def _limits(metadata: list[Any]) -> dict[str, float]:
    return {
        name: float(getattr(limit, name))
        for limit in metadata
        for name in ("ge", "le", "gt", "lt")
        if hasattr(limit, name)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value


def _label(name: str) -> str:
    words = name.replace("_", " ")
    return words[0].upper() + words[1:]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def about(recipe: type[Recipe]) -> str:
    """Return the first paragraph of a recipe's docstring, in plain text."""
    text = (recipe.__doc__ or "").split("\n\n")
    plain = re.sub(r"`+", "", text[0]) if text else ""
    return " ".join(plain.split())
