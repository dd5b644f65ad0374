"""Decode EEG trials beside braindecode 1.8.1: time of an epoch, of the whole job, peak memory.

    python benchmarks/decode.py [--data FOLDER] [--repeats 3] [--epochs 40]

The same net, trials (T1 against T2 in the six task runs of eegmmidb S001), batch, epochs, optimiser
and threads; the two sides take turns, so that a busy machine slows both. Ratios go into
`results.csv`; absolute times only describe the machine.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from peers import BRAINDECODE, ROOT, peer_python  # noqa: E402

RESULTS = HERE / "results.csv"
COLUMNS = ("benchmark", "peer", "ours_s", "peer_s", "ratio", "commit", "date", "machine")
RUNS = (4, 6, 8, 10, 12, 14)
LR = {"eegnet": 5e-3, "shallow": 2e-3}
JOB = {"band": [4, 38], "start": 1.0, "n_times": 496, "batch": 25, "threads": 2, "seed": 0}


def main() -> None:
    arguments = parse()
    peer = peer_python()
    with tempfile.TemporaryDirectory() as folder:
        files = unpack(Path(arguments.data), Path(folder))
        arrays = save_windows(files, Path(folder) / "windows.npz")
        rows = []
        for net in LR:
            short = JOB | {"net": net, "lr": LR[net], "files": files}
            per_epoch = short | {"arrays": arrays, "epochs": 6, "folds": 2}
            ours, theirs = take_turns(peer, per_epoch, arguments.repeats)
            rows.append(row(f"{net}, one epoch", ours, theirs, "epoch_s"))
            whole = short | {"arrays": None, "epochs": arguments.epochs, "folds": 6}
            ours, theirs = take_turns(peer, whole, 1)
            rows.append(row(f"{net}, read to six folds", ours, theirs, "whole_s"))
            rows.append(row(f"{net}, peak memory (MB)", ours, theirs, "peak_mb"))
            print(f"{net}: accuracy {ours[0]['accuracy']:.3f}, peer {theirs[0]['accuracy']:.3f}")
    write(rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = ROOT.parent / "shared" / "data" / "eeg" / "eegmmidb"
    parser.add_argument("--data", default=default, help="folder with S001R04 … S001R14")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--epochs", type=int, default=40, help="epochs of the whole job")
    return parser.parse_args()


def unpack(data: Path, folder: Path) -> list[str]:
    """Return plain EDF files; compressed ones are unpacked first, as the peer reads none."""
    files = []
    for run in RUNS:
        path = data / f"S001R{run:02d}.edf"
        if not path.exists():
            packed, path = path.with_name(path.name + ".gz"), folder / path.name
            with gzip.open(packed) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        files.append(str(path))
    return files


def save_windows(files: list[str], path: Path) -> str:
    """Cut the windows once, for the runs that time only the training."""
    code = (
        "import json, sys, numpy as np, decode_ours as side\n"
        "x, y, run = side.windows(json.loads(sys.argv[1]))\n"
        "np.savez(sys.argv[2], x=x, y=y, run=run)"
    )
    job = json.dumps(JOB | {"files": files})
    subprocess.run([sys.executable, "-c", code, job, str(path)], check=True, cwd=HERE)
    return str(path)


def take_turns(peer: Path, job: dict, repeats: int) -> tuple[list[dict], list[dict]]:
    """Run both sides in alternation and return what each of them reports."""
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(run_side(Path(sys.executable), "decode_ours.py", job))
        theirs.append(run_side(peer, "decode_peer.py", job))
    return ours, theirs


def run_side(python: Path, script: str, job: dict) -> dict:
    environment = os.environ | {"OMP_NUM_THREADS": str(job["threads"])}
    done = subprocess.run(
        [python, HERE / script, json.dumps(job)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, ours: list[dict], theirs: list[dict], key: str) -> dict[str, object]:
    """One line of the table: medians of both sides and their ratio."""
    mine, other = (median(report[key] for report in side) for side in (ours, theirs))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "benchmark": f"decode: {name}",
        "peer": BRAINDECODE.replace("==", " "),
        "ours_s": f"{mine:.4g}",
        "peer_s": f"{other:.4g}",
        "ratio": f"{mine / other:.3f}",
        "commit": commit,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, 2 threads",
    }


def write(rows: list[dict[str, object]]) -> None:
    """Print the rows and put them into the table in place of older ones of the same name."""
    names = {line["benchmark"] for line in rows}
    kept = []
    if RESULTS.exists():
        with RESULTS.open(encoding="utf-8", newline="") as file:
            kept = [line for line in csv.DictReader(file) if line["benchmark"] not in names]
    with RESULTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept + rows)
    for line in rows:
        print(f"{line['benchmark']}: {line['ours_s']} / {line['peer_s']} = {line['ratio']}")


if __name__ == "__main__":
    main()
