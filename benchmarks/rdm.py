"""RDMs, CKA and comparisons at 2,000 stimuli, beside rsatoolbox in an environment of its own.

    python benchmarks/rdm.py [--stimuli 2000] [--features 4096] [--peer /tmp/peers/rsatoolbox]

Times are of one thread's processor, so that a busy machine does not matter; the ratio counts.
Both sides take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from datetime import date
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
from decode import run_side, write  # noqa: E402
from peers import ROOT  # noqa: E402

PEER = "rsatoolbox==0.3.2"


def main() -> None:
    arguments = parse()
    peer = environment(Path(arguments.peer))
    with tempfile.TemporaryDirectory() as folder:
        job = prepare(Path(folder), arguments.stimuli, arguments.features)
        ours, theirs = [], []
        for _ in range(arguments.repeats):
            ours.append(run_side(Path(sys.executable), "rdm_ours.py", job))
            theirs.append(run_side(peer, "rdm_peer.py", job))
    check(ours[0]["values"], theirs[0]["values"])
    size = f"{arguments.stimuli} stimuli x {arguments.features}"
    names = ours[0]["seconds"]
    rows = [row(f"{name}, {size}", ours, theirs, name) for name in names]
    write([*rows, row(f"peak memory (MB), {size}", ours, theirs, None)])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stimuli", type=int, default=2000)
    parser.add_argument("--features", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--peer", default=str(ROOT / ".venv-rsatoolbox"), help="its environment")
    return parser.parse_args()


def environment(folder: Path) -> Path:
    """Return the interpreter of the peer's environment, made if it is missing."""
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
    return python


def prepare(folder: Path, stimuli: int, features: int) -> dict:
    """Write two sets of features that share some structure."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(stimuli, 20))
    for name in ("x", "y"):
        mixed = shared @ rng.normal(size=(20, features)) + rng.normal(size=(stimuli, features))
        np.save(folder / f"{name}.npy", mixed)
    pairs = rng.integers(0, stimuli * (stimuli - 1) // 2, 50).tolist()
    return {"x": str(folder / "x.npy"), "y": str(folder / "y.npy"), "pairs": pairs, "threads": 1}


def check(ours: dict, theirs: dict) -> None:
    """Stop if the two sides do not agree to 1e-5."""
    for name, values in theirs.items():
        gap = float(np.abs(np.subtract(ours[name], values)).max())
        print(f"{name}: largest difference {gap:.2g}")
        if gap > 1e-5:
            raise SystemExit(f"{name} differs from {PEER} by {gap:.3g}")


def row(name: str, ours: list[dict], theirs: list[dict], key: str | None) -> dict[str, object]:
    sides = [
        median(one["peak_mb"] if key is None else one["seconds"][key] for one in side)
        for side in (ours, theirs)
    ]
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {
        "benchmark": f"rdm: {name}",
        "peer": PEER.replace("==", " "),
        "ours_s": f"{sides[0]:.4g}",
        "peer_s": f"{sides[1]:.4g}",
        "ratio": f"{sides[0] / sides[1]:.3f}",
        "commit": commit,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, 1 thread, processor time",
    }


if __name__ == "__main__":
    main()
