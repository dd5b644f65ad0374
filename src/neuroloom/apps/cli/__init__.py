"""The `neuroloom` command: every verb builds a recipe or opens a run, and says what came of it.

One file a group of verbs: `jobs` (run, resume, replay), `runs` (predict, evaluate, explain, report,
compare), `lookup` (recipes, describe, models, tools, doctor), `fetch` (data, demo), `studio`.
`mistakes` says what was typed wrong.
"""

from __future__ import annotations

import _thread
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import TYPE_CHECKING

from neuroloom.core.errors import NeuroloomError, in_words

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

USAGE, STOPPED = 2, 130
AGAIN = 0.05  # seconds until a lost interrupt comes again


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 the user can mend it."""
    words = list(sys.argv[1:] if argv is None else argv)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    _print_any_sign()
    try:
        with _stops_that_arrive():
            return _carry_out(words)
    except NeuroloomError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt as stop:
        return _say(_how_to_go_on(stop), STOPPED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("NEUROLOOM_DEBUG"):
            raise
        if isinstance(error, OSError | MemoryError):
            return _say(f"{' '.join(words[:1])} failed: {in_words(error)}.", 1)
        what = f"{type(error).__name__}: {error}"
        return _say(f"a fault of neuroloom itself: {what} (NEUROLOOM_DEBUG=1 shows where).", 1)


def _print_any_sign() -> None:
    """Let a sign that the output's encoding lacks be printed as an escape, as stderr always does.

    Output that goes to a file or a pipe has the code page of Windows, or of a bare locale.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _carry_out(words: list[str]) -> int:
    from cyclopts import CycloptsError

    from neuroloom.apps.cli.app import build

    app, words = build(words)
    try:
        result = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        from neuroloom.apps.cli.mistakes import in_plain_words

        return _say(in_plain_words(error), USAGE)
    return result if isinstance(result, int) else 0


def _say(text: str, code: int) -> int:
    print(f"neuroloom: {' '.join(text.split())}", file=sys.stderr)
    return code


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _stops_that_arrive() -> Iterator[None]:
    """Interrupt once more where Python lost an interrupt: it only prints what a destructor raises.

    A timer does it, since an interrupt inside the hook would be lost in the same way.
    """
    shown = sys.unraisablehook

    def hook(lost: UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            again = threading.Timer(AGAIN, _thread.interrupt_main)
            again.daemon = True
            again.start()
        else:
            shown(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = shown


def _how_to_go_on(stop: KeyboardInterrupt) -> str:
    """Name the run's folder, if the run had got far enough to have one."""
    folder = str(stop)
    if not folder:
        return "stopped; nothing to resume."
    return f"stopped; `neuroloom resume {shlex.quote(folder)}` goes on with it."
