"""A child that sleeps, fails or is stubborn instead of running `neuroloom`."""

import signal
import sys
import time
from pathlib import Path

from neuroloom.apps.studio import child


def pretend(words: list[str]) -> int:
    verb, *rest = words
    if verb == "fail":
        print("neuroloom: it failed as it should.", file=sys.stderr)
        return int(rest[0])
    signal.signal(signal.SIGTERM, signal.SIG_IGN if verb == "stubborn" else _stop)
    if len(rest) > 1:
        Path(rest[1]).write_text("here")
    try:
        time.sleep(float(rest[0]))
    except KeyboardInterrupt:
        return 130
    return 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    child._neuroloom = pretend
    sys.exit(child.carry_out(Path(sys.argv[1])))
