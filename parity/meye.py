"""MEYE: pupil size and blinks in videos of mice and people."""

from __future__ import annotations

import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from parity.deepvog import found_eyes
from parity.harness import Check

TOOL = "MEYE"
MOUSE = "its two-photon mouse, bright pupil, 400 frames"
MADE = "rendered eyes with parameters that the net was not trained on"


def thresholded(frames: np.ndarray) -> np.ndarray:
    """Area of the bright blob amid the eye, by one threshold and an ellipse (OpenCV)."""
    import cv2

    areas = []
    for frame in frames:
        part = cv2.GaussianBlur(frame[90:200, 90:200], (5, 5), 0)
        _, mask = cv2.threshold(part, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        shapes, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        inner = [shape for shape in shapes if cv2.pointPolygonTest(shape, (55, 55), False) >= 0]
        if not inner or len(inner[0]) < 5:
            areas.append(np.nan)
            continue
        _, axes, _ = cv2.fitEllipse(inner[0])
        areas.append(np.pi / 4 * axes[0] * axes[1])
    return np.array(areas)


@cache
def agreement(data: Path) -> float:
    """Correlation of the area in all frames where both see a pupil."""
    from neuroloom.eye.pupil import Pupil
    from neuroloom.io.video import Video

    file = data / "eye" / "meye" / "2p_mouse.mp4"
    with tempfile.TemporaryDirectory() as folder:
        table = Pupil(overlay=False).run(file, Path(folder) / "run").predictions
    with Video(file, grey=True) as video:
        other = thresholded(video.read(np.arange(len(video)))[..., 0])
    both = np.isfinite(other) & (table["confidence"].to_numpy() >= 0.5)
    if both.mean() < 0.9:
        return float("nan")
    return float(np.corrcoef(table["area_px2"].to_numpy()[both], other[both])[0, 1])


def speed(data: Path) -> float:
    """Frames of 128 x 128 a second, pupils found and ellipses fitted."""
    from neuroloom.eye.find.pupils import find_pupils, load_net
    from tests.eye.unseen import unseen_eyes

    frames, net = unseen_eyes(64, 7).image[:, ::2, 32:288:2], load_net()
    frames = np.concatenate([frames, frames[:, :8]], axis=1)
    find_pupils(frames[:8], net)
    began = time.perf_counter()
    find_pupils(frames, net)
    return len(frames) / (time.perf_counter() - began)


CHECKS = [
    Check(TOOL, "area of a bright pupil: correlation with threshold and ellipse", ">= 0.98",
          agreement, MOUSE),
    Check(TOOL, "F1 of blinks", ">= 0.95", lambda data: found_eyes()["blink"], MADE),
    Check(TOOL, "Dice of the visible pupil", ">= 0.97", lambda data: found_eyes()["dice"], MADE),
    Check(TOOL, "frames of 128 x 128 a second", ">= 60", speed, MADE),
]  # fmt: skip
