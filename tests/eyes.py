"""Videos of rendered eyes with known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroloom.eye.render import HUMAN, Frames, draw_scene, render
from neuroloom.io.video import write_video

RATE = 25.0
CALM = replace(
    HUMAN, focal=(1.6, 1.6), size=(0.36, 0.36), x=(0.5, 0.5), y=(0.5, 0.5), pupil=(0.2, 0.2),
    bright=0.0, roll=(0, 0), upper=(0.6, 0.6), lower=(0.5, 0.5), power=(0.8, 0.8), skew=(0, 0),
    glints=(1, 1), hairs=(0, 0), lashes=(10, 10), exposure=(0, 0), light=(0.1, 0.1),
    noise=(0.01, 0.01), iris_level=(0.5, 0.5), sclera_level=(0.8, 0.8), skin_level=(0.6, 0.6),
    texture=(0.05, 0.05), gamma=(1, 1), ragged=(0, 0), blur=(0.6, 0.6),
)  # fmt: skip


def scene(frames: int = 40, seed: int = 3, shape: tuple[int, int] = (96, 128)) -> Frames:
    """A subject that looks around; lids close from frame 20 to 23."""
    rng = np.random.default_rng(seed)
    eyes = draw_scene(frames, CALM, rng, spread=14.0)
    shut = np.where((np.arange(frames) >= 20) & (np.arange(frames) < 24), 1.0, 0.02)
    turn = np.linspace(0, 4 * np.pi, frames)
    eyes = eyes.change(shut=shut, yaw=12 * np.sin(turn), pitch=8 * np.cos(0.5 * turn))
    return render(eyes, shape, rng)


def write_scene(folder: Path, frames: int = 40, seed: int = 3) -> Path:
    """Write a video of a scene into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "eye.mp4", scene(frames, seed).image[..., None], RATE)
    return folder
