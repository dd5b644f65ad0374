"""Ranges of eyes, cameras and lids that the net was not trained on; the scorer of the bars.

Kept apart from the renderer's own ranges: other eyeballs, corneas, cameras and lights, with seeds
of their own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuroloom.eye.render import HUMAN, Frames, draw_eyes, draw_scene, render

SHAPE = (240, 320)
UNSEEN = replace(
    HUMAN, radius=(12.0, 13.2), cornea=(0.61, 0.66), offset=(0.46, 0.5), plane=(0.81, 0.85),
    focal=(1.1, 3.0), size=(0.3, 0.55), x=(0.38, 0.62), y=(0.38, 0.62), pupil=(0.13, 0.34),
    yaw=(-24, 24), pitch=(-18, 18), upper=(0.42, 0.66), lower=(0.34, 0.55), closing=0.3,
    bright=0.0, iris_level=(0.3, 0.7), glints=(0, 3), exposure=(-0.3, 0.3), light=(0.1, 0.4),
    noise=(0.005, 0.03), blur=(0.5, 1.2),
)  # fmt: skip
BRIGHT = replace(UNSEEN, bright=1.0, closing=0.0)


def unseen_eyes(n: int, seed: int, bright: bool = False) -> Frames:
    """Eyes that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    return render(draw_eyes(n, BRIGHT if bright else UNSEEN, rng), SHAPE, rng)


def unseen_scene(n: int, seed: int, spread: float = 18.0) -> Frames:
    """One subject who looks around, lids well open, with a round pupil."""
    rng = np.random.default_rng(seed)
    ranges = replace(
        UNSEEN, upper=(0.55, 0.66), lower=(0.48, 0.55), x=(0.47, 0.53), y=(0.47, 0.53),
        size=(0.34, 0.42), roll=(-5, 5), glints=(0, 2), ragged=(0, 0),
    )  # fmt: skip
    return render(draw_scene(n, ranges, rng, spread=spread), SHAPE, rng)
