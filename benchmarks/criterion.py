"""Training to a criterion beside PsychRNN 1.0.0: CPU seconds, one thread.

    python benchmarks/criterion.py [--python PATH] [--dry]

Perceptual discrimination, 50 units, Dale 0.8, no autapses, steps of 10 ms for 2 s, batches of 50;
each side with its own task, optimiser and first weights, until the mean accuracy of the last five
batches is 0.95. Two rows: the steps of training alone, and with all that comes before the first
(PsychRNN unrolls its graph). The peer needs TensorFlow 2.15 and Python 3.9 to 3.11. --dry leaves
`results.csv` as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402
from peers import environment  # noqa: E402

PEER = "psychrnn 1.0.0"
NEEDS = ("tensorflow-cpu==2.15.1", "numpy<2", "psychrnn==1.0.0")
TITLES = {
    "training": "perceptual discrimination to 95 %, training alone",
    "whole": "perceptual discrimination to 95 %, with set-up",
}
JOB = {"units": 50, "dale": 0.8, "dt": 10, "batch": 50, "target": 0.95, "last": 5, "threads": 1}


def main() -> None:
    arguments = parse()
    python = Path(arguments.python) if arguments.python else environment("psychrnn", NEEDS)
    ours = decode.run_side(Path(sys.executable), "criterion_ours.py", JOB)
    theirs = decode.run_side(python, "criterion_peer.py", JOB)
    print(f"steps: {ours['steps']} / {theirs['steps']}", file=sys.stderr)
    rows = [row(name, title, ours, theirs) for name, title in TITLES.items()]
    if arguments.dry:
        for one in rows:
            print(f"{one['benchmark']}: {one['ours_s']} / {one['peer_s']} = {one['ratio']}")
        return
    decode.write(rows)


def row(name: str, title: str, ours: dict, theirs: dict) -> dict:
    """Return one line of the table."""
    made = decode.row(name, [ours], [theirs], name)
    words = {"benchmark": f"criterion: {title}", "peer": PEER}
    return made | words | {"machine": str(made["machine"]).replace("2 threads", "1 thread")}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", help="an interpreter that has PsychRNN")
    parser.add_argument("--dry", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
