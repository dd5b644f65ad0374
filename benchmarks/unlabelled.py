"""What unlabelled video and ties change: jumps and disagreement of two views of one mouse.

    python benchmarks/unlabelled.py [--budget 10min] [--runs PLAIN UNLABELLED] [--dry]

The mirror mouse of Lightning Pose, all but the last ten labelled frames to learn from. One fit has
labels alone and is looked at without ties; the other has `--unlabelled` the video, and ties. Both
then find the points in every frame of that video. A jump is a point more than 0.04 of the frame
away from the running median of five frames. Two views show one keypoint at one x, but for a shift
that the labels tell: what is left of the difference is how far the views disagree. Errors on the
ten frames are printed beside (with ties on both sides), so that a loss by the video is seen. --runs
takes runs that there are. The rows hold jumps of 1,000 points, and px.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402

DATA = Path(os.environ.get("NEUROLOOM_TEST_DATA", HERE.parent.parent / "shared" / "data"))
MOUSE = DATA / "pose" / "lp-mirror-mouse"
TEST = [f"img{number}.png" for number in range(69, 79)]
SIDES = ("labels alone", "unlabelled video and ties")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", default="10min")
    parser.add_argument("--runs", nargs=2)
    parser.add_argument("--dry", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = arguments.runs or made(Path(folder), arguments.budget)
        found = [measured(Path(run), ties=bool(k)) for k, run in enumerate(runs)]
    for side, told in zip(SIDES, found, strict=True):
        print(f"{side}: {told}", file=sys.stderr)
    rows = []
    for key, name in (("jumps", "jumps of 1,000 points"), ("views", "px between two views, mean"),
                      ("views_median", "px between two views, median")):  # fmt: skip
        line = decode.row("", [found[1]], [found[0]], key)
        rows.append(line | {"benchmark": f"pose, mirror mouse: {name}", "peer": SIDES[0]})
    if arguments.dry:
        for one in rows:
            print(f"{one['benchmark']}: {one['ours_s']} / {one['peer_s']} = {one['ratio']}")
        return
    decode.write(rows)


def made(folder: Path, budget: str) -> list[Path]:
    """Fit both sides, one after the other."""
    from neuroloom.pose import Estimate

    runs = []
    for name, clips in (("plain", []), ("unlabelled", ["videos/*.mp4"])):
        recipe = Estimate(test=TEST, budget=budget, unlabelled=clips)
        runs.append(recipe.run(MOUSE, folder / name).folder)
    return runs


def measured(run: Path, *, ties: bool) -> dict[str, float]:
    """Return jumps and gaps between views in the video, and the error on the held-out frames."""
    from neuroloom.core.files import read_json
    from neuroloom.io.video import Video
    from neuroloom.learn.store import load_ensemble
    from neuroloom.pose.nets.frames import plain
    from neuroloom.pose.nets.students import LEAP, leap_rate
    from neuroloom.pose.nets.ties import Ties

    learner: Any = next(iter(load_ensemble(run / "model.safetensors").members.values()))[0]
    if not ties:
        learner.structure = dataclasses.replace(learner.structure, ties=Ties.from_arrays({}))
    (file,) = sorted((MOUSE / "videos").glob("*.mp4"))
    with Video(file) as video:
        pictures = [plain(frame) for frame in video.read(np.arange(len(video)))]
    found = learner.find_in(pictures)
    pairs, shift = views_of_one()
    gap = np.abs(found[:, 0, pairs[:, 1], 0] - found[:, 0, pairs[:, 0], 0] - shift)
    metrics = read_json(run / "metrics.json")
    return {
        "jumps": leap_rate([found], LEAP * max(pictures[0].shape[:2])),
        "views": float(np.nanmean(gap)),
        "views_median": float(np.nanmedian(gap)),
        "mean_error_px": metrics["mean_error_px"]["value"],
        "median_error_px": metrics["median_error_px"]["value"],
        "pck@5": metrics["pck@5"]["value"],
    }


def views_of_one() -> tuple[np.ndarray, np.ndarray]:
    """Return (top, bottom) of each keypoint that both views show, and its mean shift in x, px."""
    from neuroloom.pose.data import read_frames

    data = read_frames(MOUSE, [])
    points, names = np.asarray(data.x.points, float)[:, 0], list(data.facts["keypoints"])
    both = [(name, name.replace("top", "bot")) for name in names if "top" in name]
    pairs = np.array([[names.index(a), names.index(b)] for a, b in both if b in names])
    learnt = points[: len(points) - len(TEST)]
    return pairs, np.nanmean(learnt[:, pairs[:, 1], 0] - learnt[:, pairs[:, 0], 0], axis=0)


if __name__ == "__main__":
    main()
