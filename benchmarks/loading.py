"""Load and window six EDF runs beside braindecode 1.8.1: CPU time and wall time.

    python benchmarks/loading.py [--data FOLDER] [--repeats 3]

T1 against T2 in the six task runs of eegmmidb S001: read, band-pass 4-38 Hz, resample to 100 Hz,
cut 1 to 4 s after each event into one float32 array. Ours is the whole of `signals.decode`'s
reading, with its checks of files, channels and marks. Each side does the job several times in a
process and tells the fastest; the processes take turns. CPU time is what a busy machine leaves
alone, so it makes the first row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402
from peers import ROOT, peer_python  # noqa: E402

JOB = {"band": [4.0, 38.0], "rate": 100.0, "start": 1.0, "stop": 4.0, "times": 4, "threads": 1}


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        files = decode.unpack(Path(arguments.data), Path(folder))
        ours, theirs = [], []
        for _ in range(arguments.repeats):
            job = JOB | {"files": files}
            ours.append(decode.run_side(Path(sys.executable), "loading_ours.py", job))
            theirs.append(decode.run_side(peer_python(), "loading_peer.py", job))
    shapes = {tuple(report["shape"]) for report in ours + theirs}
    if len(shapes) != 1:
        raise SystemExit(f"the two sides cut different windows: {shapes}")
    rows = [
        decode.row("six EDF runs, CPU time", ours, theirs, "cpu_s"),
        decode.row("six EDF runs, wall time", ours, theirs, "wall_s"),
    ]
    for row in rows:
        row["benchmark"] = str(row["benchmark"]).replace("decode:", "loading:")
        row["machine"] = str(row["machine"]).replace("2 threads", "1 thread")
    decode.write(rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = ROOT.parent / "shared" / "data" / "eeg" / "eegmmidb"
    parser.add_argument("--data", default=default, help="folder with S001R04 … S001R14")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    return parser.parse_args()


if __name__ == "__main__":
    main()
