"""Batches of cognitive tasks beside NeuroGym 2.3.1's `Dataset`: seconds a batch, one thread.

    python benchmarks/tasks.py [--repeats 5] [--python PATH] [--dry]

Perceptual decision making at dt = 100 ms: batches of 16 sequences of 100 steps, trials one after
the other, inputs and right actions, as `Dataset` gives them. The same with a ring of 32 (anti
reach), and single steps of the Gymnasium environment. CPU time over 510 batches, as both draw ahead
(NeuroGym 17 batches), the least of the repeats. --dry leaves `results.csv` as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402
from peers import environment  # noqa: E402

PEER = "neurogym 2.3.1"
NEEDS = ("torch==2.13.0", "neurogym==2.3.1")
TITLES = {
    "perceptual": "perceptual decision making, batch of 16 x 100",
    "anti": "anti reach on a ring of 32, batch of 16 x 100",
    "step": "perceptual decision making, 1000 steps of the environment",
}


def main() -> None:
    arguments = parse()
    python = Path(arguments.python) if arguments.python else environment("tasks", NEEDS)
    job = {
        "batch": 16, "steps": 100, "batches": 510, "repeats": arguments.repeats, "threads": 1,
    }  # fmt: skip
    ours = decode.run_side(Path(sys.executable), "tasks_ours.py", job)
    theirs = decode.run_side(python, "tasks_peer.py", job)
    rows = [row(name, title, ours, theirs) for name, title in TITLES.items()]
    if arguments.dry:
        for one in rows:
            print(f"{one['benchmark']}: {one['ours_s']} / {one['peer_s']} = {one['ratio']}")
        return
    decode.write(rows)


def row(name: str, title: str, ours: dict, theirs: dict) -> dict:
    """Return one line of the table."""
    made = decode.row(name, [ours], [theirs], name)
    ratio = {"ratio": f"{ours[name] / theirs[name]:.4f}"}
    words = {"benchmark": f"tasks: {title}", "peer": PEER}
    return made | ratio | words | {"machine": str(made["machine"]).replace("2 threads", "1 thread")}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--python", help="an interpreter that has NeuroGym")
    parser.add_argument("--dry", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
