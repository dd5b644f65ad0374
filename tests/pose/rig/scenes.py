"""A small painted project, quickly made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroloom.pose.rig import Rig
from neuroloom.pose.rig.scene import BONES, MOUSE, Painted, paint, write_project
from tests.pose.rig.rigs import ring


def small_scene(frames: int = 8, seed: int = 0) -> tuple[Rig, Painted]:
    """Three cameras that see a mouse-like chain of points."""
    rng = np.random.default_rng(seed)
    rig = ring(3, far=300.0, lens=()).scaled(0.2)
    body = np.zeros((len(MOUSE), 3))
    for a, b in BONES:
        body[a] = body[b] + rng.normal(0, 8, 3)
    poses = body - body.mean(0) + rng.normal(0, 2, (frames, len(MOUSE), 3))
    poses[:, :, 2] += 15
    return rig, paint(rig, poses + rng.normal(0, 8, (frames, 1, 3)), rng, (0, 1))


def write_scene(folder: Path, frames: int = 8) -> Path:
    """Write it as a DANNCE project."""
    rig, painted = small_scene(frames)
    cameras = tuple(replace(camera, size=(128, 96)) for camera in rig)
    return write_project(folder, Rig(cameras), painted)
