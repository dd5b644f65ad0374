"""Augment 3-D patches beside TorchIO 1.2.1 and MONAI 1.6.1: CPU time per patch, one thread.

    python benchmarks/augment.py [--repeats 5] [--batch 4] [--dry]

An image and a label of three classes, patches of 64 x 64 x 64 and 40 x 56 x 40: each transform,
always applied, then six in a row, and all that both sides have. Ours changes a batch; the peers
change one case after the other, which is how they are made, without files and without a loader's
cost; MONAI with its bookkeeping of affines switched off. CPU time is what a busy machine leaves
alone, and what workers side by side would share, so it stands for throughput on any number of
cores. --dry leaves `results.csv` as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402
from peers import environment  # noqa: E402

NEEDS = ("torch==2.13.0", "torchio==1.2.1", "monai==1.6.1")
PEERS = {"torchio": "torchio 1.2.1", "monai": "monai 1.6.1"}
PATCHES = ((64, 64, 64), (40, 56, 40))


def main() -> None:
    arguments = parse()
    python = Path(arguments.python) if arguments.python else environment("augment", NEEDS)
    rows = []
    for patch in PATCHES:
        job = {
            "patch": patch, "batch": arguments.batch, "repeats": arguments.repeats, "threads": 1,
        }  # fmt: skip
        ours = decode.run_side(Path(sys.executable), "augment_ours.py", job)
        for peer, title in PEERS.items():
            theirs = decode.run_side(python, "augment_peer.py", job | {"peer": peer})
            rows += [row(name, title, patch, ours, theirs) for name in ours if name in theirs]
    if arguments.dry:
        for one in rows:
            print(f"{one['benchmark']}: {one['ours_s']} / {one['peer_s']} = {one['ratio']}")
        return
    decode.write(rows)


def row(name: str, peer: str, patch: tuple[int, ...], ours: dict, theirs: dict) -> dict:
    """Return one line of the table."""
    made = decode.row(name, [ours], [theirs], name)
    size = "x".join(map(str, patch))
    words = {"benchmark": f"augment: {name}, {size}, beside {peer.split()[0]}", "peer": peer}
    return made | words | {"machine": str(made["machine"]).replace("2 threads", "1 thread")}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--python", help="an interpreter that has both peers")
    parser.add_argument("--dry", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
