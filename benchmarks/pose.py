"""Points of an animal beside sleap-nn 0.3.5 and DeepLabCut 3.0.2, on the same frames and cores.

    python benchmarks/pose.py [--seconds 600] [--threads 2] [--sides ours sleap deeplabcut]
        [--python PATH] [--dlc PATH] [--kept FILE] [--dry]

Open field of DeepLabCut's demo project: ours and sleap-nn learn for ten minutes from frames 0 to 79
and are judged on 80 to 99; then each finds the points in every frame of a video, decoding included.
sleap-nn has a light configuration (half scale, 16 filters, stride 2, batches of 4): with the one it
recommends it makes seven steps in five minutes here. DeepLabCut's ResNet-50 is untrained and only
timed, on fewer frames. Rows hold seconds a frame, and errors in px. With --kept the sides may be
carried out one at a time: what the others reported is read from the file. --dry leaves
`results.csv` as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from neuroloom.io.video import Video, write_video

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402
from peers import ROOT, environment  # noqa: E402

SLEAP, DLC = "sleap-nn 0.3.5", "DeepLabCut 3.0.2"
TORCH = ("torch==2.8.0", "torchvision==0.23.0")
NEEDS = {
    "sleap": (*TORCH, "sleap-nn==0.3.5"),
    "deeplabcut": (*TORCH, "numpy<2", "deeplabcut==3.0.2"),
}
TEST = ("img008*", "img009*")
FRAMES, FEW = 300, 30  # of the video; DeepLabCut is timed on the few


def main() -> None:
    arguments = parse()
    kept = Path(arguments.kept) if arguments.kept else None
    sides = json.loads(kept.read_text()) if kept and kept.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        job = job_of(arguments, Path(folder))
        for name in arguments.sides:
            sides[name] = run(name, job, arguments)
            print(f"{name}: {sides[name]}", file=sys.stderr)
    if kept:
        kept.write_text(json.dumps(sides))
    rows = rows_of(sides, arguments)
    if arguments.dry:
        for one in rows:
            print(f"{one['benchmark']}: {one['ours_s']} / {one['peer_s']} = {one['ratio']}")
        return
    decode.write(rows)


def rows_of(sides: dict, arguments: argparse.Namespace) -> list[dict]:
    """Return the lines for which both sides have reported."""
    wanted = {
        f"pose: px off after {arguments.seconds} s of training": ("sleap", "error_px"),
        "pose: seconds a frame of a video": ("sleap", "frame_s"),
        "pose: seconds a frame of a video, ResNet-50": ("deeplabcut", "frame_s"),
    }
    return [
        row(title, sides, peer, key, arguments)
        for title, (peer, key) in wanted.items()
        if {"ours", peer} <= set(sides)
    ]


def job_of(arguments: argparse.Namespace, folder: Path) -> dict:
    """Return what every side is asked to do."""
    project = Path(arguments.data)
    labels = next((project / "labeled-data").rglob("CollectedData_*.csv"))
    with Video(next((project / "videos").glob("*.mp4"))) as video:
        frames = list(video.read(np.arange(FRAMES)))
        clip = write_video(folder / "clip.mp4", frames, video.rate)
        few = write_video(folder / "few.mp4", frames[:FEW], video.rate)
    return {
        "project": str(project), "labels": str(labels), "video": str(clip), "test": list(TEST),
        "threads": arguments.threads, "seconds": arguments.seconds, "few": str(few),
    }  # fmt: skip


def run(name: str, job: dict, arguments: argparse.Namespace) -> dict:
    """Carry out one side in its own environment."""
    if name == "ours":
        return decode.run_side(Path(sys.executable), "pose_ours.py", job)
    given = {"sleap": arguments.python, "deeplabcut": arguments.dlc}[name]
    python = Path(given) if given else environment(name, NEEDS[name])
    return decode.run_side(python, "pose_peer.py", job | {"side": name})


def row(title: str, sides: dict, peer: str, key: str, arguments: argparse.Namespace) -> dict:
    """Return one line of the table."""
    made = decode.row(title, [sides["ours"]], [sides[peer]], key)
    threads = f"{arguments.threads} thread{'s' * (arguments.threads > 1)}"
    machine = str(made["machine"]).replace("2 threads", threads)
    words = {"benchmark": title, "peer": SLEAP if peer == "sleap" else DLC, "machine": machine}
    return made | words


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = ROOT.parent / "shared" / "data" / "pose" / "dlc-openfield"
    parser.add_argument("--data", default=default, help="the project")
    parser.add_argument("--seconds", type=int, default=600, help="of training, each side")
    parser.add_argument("--threads", type=int, default=2, help="cores that each side may use")
    parser.add_argument("--python", help="an interpreter that has sleap-nn")
    parser.add_argument("--dlc", help="an interpreter that has DeepLabCut")
    parser.add_argument("--sides", nargs="+", default=["ours", *NEEDS], choices=["ours", *NEEDS])
    parser.add_argument("--kept", help="a file of what sides reported, read and written")
    parser.add_argument("--dry", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
