"""The `neuroloom` command: every verb builds a recipe or opens a run, and says what came of it.

One file a group of verbs: `jobs` (run, resume, replay), `runs` (predict, evaluate, explain, report,
compare), `lookup` (recipes, describe, models, tools, doctor), `fetch` (data, demo).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from neuroloom.core.errors import NeuroloomError, nearest

USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 the user can mend it."""
    words = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _stop)
    try:
        return _carry_out(words)
    except NeuroloomError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("stopped; `neuroloom resume RUN` goes on with it.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("NEUROLOOM_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}"
        return _say(f"a fault of neuroloom itself: {what} (NEUROLOOM_DEBUG=1 shows where).", 1)


def _carry_out(words: list[str]) -> int:
    from cyclopts import CycloptsError

    from neuroloom.apps.cli.app import build

    app, words = build(words)
    try:
        result = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _say(_in_plain_words(error, words), USAGE)
    return result if isinstance(result, int) else 0


def _say(text: str, code: int) -> int:
    print(f"neuroloom: {' '.join(text.split())}", file=sys.stderr)
    return code


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _in_plain_words(error: Any, words: list[str]) -> str:
    """Say a mistake on the command line in one sentence, with the nearest valid word."""
    from cyclopts.exceptions import UnknownCommandError, UnknownOptionError

    if isinstance(error, UnknownOptionError):
        given = str(error.token.keyword or error.token.value).split("=")[0]
        known = _options(error)
        return f"there is no option {given} here.{nearest(given, known)} See --help."
    if isinstance(error, UnknownCommandError):
        verbs = [name for name in (error.app or []) if not name.startswith("-")]
        return f"there is no command '{words[0]}'.{nearest(words[0], verbs)} See --help."
    return str(error).strip().strip("\n")


def _options(error: Any) -> list[str]:
    arguments = error.argument_collection or []
    return [name for argument in arguments for name in argument.names if name.startswith("--")]
