"""One training step of each net beside braindecode 1.8.1's net of the same paper.

    python benchmarks/nets.py [--nets eegnex tidnet …] [--threads 1 2] [--repeats 3]

Forward, cross entropy, backward and AdamW on random windows, both sides with the batch, shape and
threads of the pair. The two sides take turns, so that a busy machine slows both. Ratios of median
times go into `results.csv`; absolute times only describe the machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402
from peers import peer_python  # noqa: E402

NETS = "neuroloom.signals.nets"
WINDOW = {"n_channels": 22, "n_outputs": 4, "n_times": 1000}
SHORT = WINDOW | {"n_times": 500}
ERP = {"n_channels": 8, "n_outputs": 2, "n_times": 128}
NIGHT = {"n_channels": 2, "n_outputs": 5, "n_times": 3000}
# The peer's graph starts from where the sensors are; here in a circle.
CIRCLE = [
    {"ch_name": str(i), "loc": [0.1 * math.cos(i), 0.1 * math.sin(i), *[0.0] * 10]}
    for i in range(22)
]


def pair(place: str, peer: str, shape: dict[str, int], **more: Any) -> dict[str, Any]:
    """Describe what to time beside what.

    Parameters
    ----------
    place, peer
        Module and class in `neuroloom.signals.nets`, and the peer's class.
    shape
        Channels, outputs and samples of a window.
    more
        `rate` (Hz) of nets that the peer scales with the rate as well; `ours`, `theirs`: further
        arguments; `our_batch`, `their_batch`: where not (64, channel, time).
    """
    return {"place": f"neuroloom.signals.nets.{place}", "peer": peer, "shape": shape} | more


PAIRS = {
    "eegnex": pair("eegnex:EEGNeX", "EEGNeX", WINDOW),
    "eegnex, 500 samples": pair("eegnex:EEGNeX", "EEGNeX", SHORT),
    "eeg-tcnet": pair("eegtcnet:EEGTCNet", "EEGTCNet", WINDOW, theirs={"kern_length": 32}),
    "eeg-itnet": pair("eegitnet:EEGITNet", "EEGITNet", WINDOW),
    "eeg-itnet, 500 samples": pair("eegitnet:EEGITNet", "EEGITNet", SHORT),
    "eeg-inception": pair("eeginception:EEGInception", "EEGInceptionERP", WINDOW, rate=128.0),
    "eeg-inception, 128 samples": pair(
        "eeginception:EEGInception", "EEGInceptionERP", ERP, rate=128.0
    ),
    "sccnet": pair("sccnet:SCCNet", "SCCNet", WINDOW, rate=125.0),
    "sccnet, 250 Hz": pair("sccnet:SCCNet", "SCCNet", WINDOW, rate=250.0),
    "fbcnet": pair("fbcnet:FBCNet", "FBCNet", WINDOW, rate=250.0),
    "tidnet": pair("tidnet:TIDNet", "TIDNet", WINDOW),
    "bd-tcn": pair("bdtcn:BDTCN", "BDTCN", WINDOW),
    "atcnet": pair("atcnet:ATCNet", "ATCNet", WINDOW, rate=250.0),
    "conformer": pair("conformer:EEGConformer", "EEGConformer", WINDOW, rate=250.0),
    "ctnet": pair(
        "ctnet:CTNet",
        "CTNet",
        WINDOW,
        rate=250.0,
        theirs={"n_filters_time": 8, "num_heads": 2, "embed_dim": 16},
    ),
    "dgcnn": pair("dgcnn:DGCNN", "DGCNN", WINDOW, rate=250.0, theirs={"chs_info": CIRCLE}),
    "chambon2018": pair(
        "chambon2018:Chambon2018", "SleepStagerChambon2018", NIGHT | {"n_times": 3840}, rate=128.0
    ),
    "usleep": pair("usleep:USleep", "USleep", NIGHT, rate=100.0),
    "deepsleepnet": pair(
        "deepsleepnet:DeepSleepNet", "DeepSleepNet", NIGHT | {"n_channels": 1}, rate=100.0
    ),
}


def main() -> None:
    arguments = parse()
    sides = Side(Path(sys.executable)), Side(peer_python())
    for name in arguments.nets or PAIRS:
        for threads in arguments.threads:
            ours, theirs = take_turns(*sides, PAIRS[name], threads, arguments)
            decode.write([row(name, ours, theirs, threads)])
            print(f"{name}: parameters {ours[0]['parameters']}, peer {theirs[0]['parameters']}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nets", nargs="*", choices=PAIRS, metavar="NET", help="default: all")
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a turn")
    return parser.parse_args()


class Side:
    """A process of one environment that answers jobs."""

    def __init__(self, python: Path) -> None:
        self.process = subprocess.Popen(
            [python, HERE / "nets_side.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(os.cpu_count())},
        )

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        print(json.dumps(job), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{job['place']} failed; its message is above.")
        return json.loads(answer)


def take_turns(
    ours: Side, peer: Side, pair: dict[str, Any], threads: int, arguments: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Ask both sides in alternation and return what each of them reports."""
    shape, rate = pair["shape"], pair.get("rate")
    batch = [64, shape["n_channels"], shape["n_times"]]
    theirs = {"n_chans": shape["n_channels"], "sfreq": rate or 250.0}
    theirs |= {key: shape[key] for key in ("n_outputs", "n_times")}
    both = {"threads": threads, "steps": arguments.steps}
    mine = both | {
        "place": pair["place"],
        "arguments": shape | {"rate": rate} | pair.get("ours", {}),
        "shape": pair.get("our_batch", batch),
    }
    other = both | {
        "place": f"braindecode.models:{pair['peer']}",
        "arguments": theirs | pair.get("theirs", {}),
        "shape": pair.get("their_batch", batch),
    }
    turns = [(ours.ask(mine), peer.ask(other)) for _ in range(arguments.repeats)]
    return [turn[0] for turn in turns], [turn[1] for turn in turns]


def row(
    name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]], threads: int
) -> dict[str, object]:
    """One line of the table."""
    word = "thread" if threads == 1 else "threads"
    medians = [[{"step_s": median(report["times"])} for report in side] for side in (ours, theirs)]
    line = decode.row(f"{name}, one step, {threads} {word}", *medians, "step_s")
    machine = str(line["machine"]).rsplit(", ", 1)[0]
    benchmark = str(line["benchmark"]).replace("decode:", "nets:")
    return line | {"benchmark": benchmark, "machine": f"{machine}, {threads} {word}"}


if __name__ == "__main__":
    main()
