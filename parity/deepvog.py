"""DeepVOG: gaze from videos of an eye, by a net and a model of the eyeball."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from parity.harness import Check

TOOL = "DeepVOG"
DEMO = "its demo video, 1112 frames, frames 3 to 18 nearly black"
MADE = "rendered eyes with parameters that the net was not trained on"
DARK = slice(3, 19)


@cache
def demo(data: Path) -> dict[str, np.ndarray]:
    """Confidence and gaze of its demo video, frame by frame."""
    from neuroloom.eye.gaze import Gaze

    with tempfile.TemporaryDirectory() as folder:
        video = data / "eye" / "deepvog" / "demo.mp4"
        run = Gaze(overlay=False).run(video, Path(folder) / "run")
        table = run.predictions
    return {name: table[name].to_numpy() for name in ("confidence", "gaze_x_deg", "consistent")}


def confident(data: Path) -> float:
    """Share of frames that are not black with a confident pupil."""
    sure = demo(data)["confidence"] >= 0.5
    return float(np.delete(sure, np.arange(1112)[DARK]).mean())


@cache
def found_eyes() -> dict[str, float]:
    """Dice, error of the centre and F1 of blinks on rendered eyes."""
    from neuroloom.eye.find.pupils import load_net
    from neuroloom.eye.judge import f1, judge
    from tests.eye.unseen import unseen_eyes

    table = judge(unseen_eyes(400, 2026), load_net())
    return {
        "dice": float(table["dice"].mean()),
        "centre": float(table["centre_px"].median()),
        "blink": f1(table["blink"].to_numpy(), table["blink_found"].to_numpy()),
    }


def gaze_error(data: Path) -> float:
    """Median over five rendered subjects of the median angle between found and true gaze."""
    from neuroloom.eye.eyeball.model import fit_eyeball, gaze_of
    from neuroloom.eye.find.pupils import find_pupils, load_net
    from tests.eye.unseen import SHAPE, unseen_scene

    errors = []
    for seed in range(5):
        frames = unseen_scene(120, 3000 + seed)
        found = find_pupils(frames.image, load_net())
        sure = np.where(found.confidence >= 0.5, found.confidence, 0.0)
        origin = ((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)
        eyeball = fit_eyeball(found.ellipse, float(frames.focal[0]), origin, weights=sure)
        gaze = gaze_of(found.ellipse, eyeball).vector
        cosine = np.clip((gaze * frames.gaze).sum(axis=1), -1, 1)
        errors.append(float(np.nanmedian(np.rad2deg(np.arccos(cosine[sure > 0])))))
    return float(np.median(errors))


CHECKS = [
    Check(TOOL, "share of its demo's frames, black ones left out, with a confident pupil",
          ">= 0.9", confident, DEMO),
    Check(TOOL, "gazes given in its 16 nearly black frames", "== 0",
          lambda data: int(np.isfinite(demo(data)["gaze_x_deg"][DARK]).sum()), DEMO),
    Check(TOOL, "Dice of the visible pupil", ">= 0.97", lambda data: found_eyes()["dice"], MADE),
    Check(TOOL, "median error of the pupil's centre, px of 320", "<= 1",
          lambda data: found_eyes()["centre"], MADE),
    Check(TOOL, "median error of gaze, refraction accounted for, degrees", "<= 0.5",
          gaze_error, MADE),
]  # fmt: skip
