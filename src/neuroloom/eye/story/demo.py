"""A video of a rendered eye to try recipes on: it looks around, blinks, answers a light."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

FRAMES, RATE, SHAPE, FOCAL = 100, 25.0, (120, 160), 1.6


def demo(folder: Path) -> tuple[Path, dict[str, Any], str]:
    """Write the video into `folder`, once; return it, the fields that fit it, and what it is.

    Returns
    -------
    The fields hold `focal` (px), which `eye.gaze` wants to know.
    """
    from neuroloom.io.video import write_video

    file = Path(folder) / "eye.mp4"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_video(file, draw(), RATE)
    what = (
        "A rendered eye for 4 s: it looks around, blinks, and its pupil answers a light at 1.2 s."
    )
    return file, {"focal": FOCAL * SHAPE[1]}, what


def draw(seed: int = 3) -> np.ndarray:
    """Return the frames, shape (frame, y, x, 1), uint8."""
    from neuroloom.eye.render import HUMAN, draw_scene, render

    rng = np.random.default_rng(seed)
    calm = replace(HUMAN, focal=(FOCAL, FOCAL), size=(0.36, 0.36), x=(0.5, 0.5), y=(0.5, 0.5),
                   bright=0.0, hairs=(0, 0), lashes=(10, 10), upper=(0.7, 0.7))  # fmt: skip
    eyes = draw_scene(FRAMES, calm, rng, spread=14.0)
    time = np.arange(FRAMES) / RATE
    blink = np.exp(-(((time - 3.4) / 0.09) ** 2))
    onset, fading = np.clip((time - 1.4) / 0.4, 0, 1), np.clip(time - 1.8, 0, None)
    reflex = 1 - 0.35 * onset * np.exp(-fading / 2)
    eyes = eyes.change(
        shut=0.02 + 0.98 * blink,
        yaw=12 * np.sin(1.4 * time),
        pitch=6 * np.cos(0.9 * time),
        pupil=0.34 * reflex,
    )
    return render(eyes, SHAPE, rng).image[..., None]
