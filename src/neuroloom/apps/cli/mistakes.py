"""A mistake on the command line, said in one sentence with the nearest valid word."""

from __future__ import annotations

import typing
from typing import Any

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from neuroloom.core.errors import nearest

KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def in_plain_words(error: CycloptsError) -> str:
    """Say what was expected, what came and what to do."""
    if isinstance(error, UnknownOptionError):
        return _unknown_option(error)
    if isinstance(error, UnknownCommandError):
        return _unknown_command(error)
    if isinstance(error, MissingArgumentError):
        return _missing(error)
    if isinstance(error, UnusedCliTokensError):
        return _one_too_many((error.unused_tokens or [""])[0])
    if isinstance(error, CoercionError):
        return _wrong_kind(error)
    return str(error).strip()


def _unknown_option(error: UnknownOptionError) -> str:
    given = str(error.token.keyword or error.token.value).split("=")[0]
    names = [name for argument in error.argument_collection for name in argument.names]
    known = {name.lstrip("-"): name for name in names if name.startswith("--")}
    close = nearest(given.lstrip("-"), known).replace("'", "'--", 1)
    return f"there is no option {given} here.{close} See --help."


def _one_too_many(word: str) -> str:
    if word.lower() in ("true", "false"):
        return (
            f"'{word}' is one word too many: a switch takes no value. --NAME turns it on, and "
            "--no-NAME turns off one that is on by default; see --help."
        )
    return (
        f"'{word}' is one word too many. DATA is one file, folder or manifest CSV; an option that "
        "takes several values is repeated for each (--picks C3 --picks C4)."
    )


def _unknown_command(error: UnknownCommandError) -> str:
    given = (error.unused_tokens or [""])[0]
    verbs = [name for name in (error.app or []) if not name.startswith("-")]
    return f"there is no command '{given}'.{nearest(given, verbs)} Known: {', '.join(verbs)}."


def _missing(error: MissingArgumentError) -> str:
    argument = error.argument
    if error.keyword is None and argument is not None and not argument.name.startswith("--"):
        verb = " ".join(error.command_chain or ())
        return f"{verb} needs {argument.name}. See `neuroloom {verb} --help`.".lstrip()
    name = error.keyword or (argument.name if argument is not None else "an option")
    count = argument.token_count()[0] if argument is not None else 1
    if count > 1:
        return f"{name} needs {count} values, got {len(error.tokens_so_far) % count}. See --help."
    return f"{name} needs a value. See --help."


def _wrong_kind(error: CoercionError) -> str:
    token, argument = error.token, error.argument
    if token is None or argument is None:
        return str(error).strip()
    name = token.keyword or argument.name
    hint = argument.hint
    parts = typing.get_args(hint) or (hint,)
    if any(typing.get_origin(part) is dict for part in (hint, *parts)):
        key, _, value = token.value.partition("=")
        return f"{name} needs a name and a value: {name}.{key} {value or 'VALUE'}."
    choices = [c for p in (hint, *parts) for c in _choices(p)]
    if choices:
        close = nearest(token.value, choices)
        return f"{name}: expected one of {', '.join(choices)}, got '{token.value}'.{close}"
    kinds = [KINDS[part] for part in _flat(hint) if part in KINDS]
    if kinds:
        return f"{name}: expected {kinds[0]}, got '{token.value}'."
    return str(error).strip()


def _choices(hint: Any) -> list[str]:
    """Return what a `Literal` allows."""
    is_choice = typing.get_origin(hint) is typing.Literal
    return [str(choice) for choice in typing.get_args(hint)] if is_choice else []


def _flat(hint: Any) -> list[Any]:
    """Return the plain types inside a union, list or tuple."""
    inner = typing.get_args(hint)
    return [part for each in inner for part in _flat(each)] if inner else [hint]
