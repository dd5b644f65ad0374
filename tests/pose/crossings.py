"""Simulated animals that wander, meet and pass through each other; the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BODY = np.array([[24.0, 0.0], [12.0, 7.0], [12.0, -7.0], [0.0, 0.0], [-24.0, 0.0]])


@dataclass(frozen=True)
class Crossings:
    """Truth (time, animal, keypoint, 2), and detections without names (time, slot, keypoint, 2)."""

    truth: np.ndarray
    found: np.ndarray
    owner: np.ndarray  # (time, slot): the animal, -1 for what is none


def wander(animals: int, frames: int, rng: np.random.Generator, size: float) -> np.ndarray:
    """Paths (time, animal, 3): x, y, heading; smooth turns, changing speed, walls turn back."""
    place = rng.uniform(0.1 * size, 0.9 * size, (animals, 2))
    heading = rng.uniform(0, 2 * np.pi, animals)
    speed, turn = np.full(animals, 4.0), np.zeros(animals)
    out = np.empty((frames, animals, 3))
    for frame in range(frames):
        turn = 0.9 * turn + rng.normal(0, 0.025, animals)
        speed = np.clip(speed + rng.normal(0, 0.25, animals), 0.3, 8.0)
        home = np.arctan2(*(size / 2 - place).T[::-1])
        outside = ((place < 0.08 * size) | (place > 0.92 * size)).any(1)
        back = (home - heading + np.pi) % (2 * np.pi) - np.pi
        heading = heading + turn + np.where(outside, 0.15 * back, 0.0)
        place = place + speed[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
        out[frame] = np.concatenate([place, heading[:, None]], 1)
    return out


def simulate(
    animals: int,
    frames: int,
    seed: int,
    *,
    size: float | None = None,
    noise: float = 1.5,
    misses: float = 0.05,
    lost_keypoints: float = 0.05,
    ghosts: float = 0.0,
) -> Crossings:
    """Draw animals in a square arena and what a net would find of them."""
    rng = np.random.default_rng(seed)
    size = 150.0 * np.sqrt(animals) if size is None else size
    path = wander(animals, frames, rng, size)
    cos, sin = np.cos(path[..., 2]), np.sin(path[..., 2])
    turn = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    truth = path[..., None, :2] + BODY @ turn
    seen = truth + rng.normal(0, noise, truth.shape)
    seen[rng.random(truth.shape[:3]) < lost_keypoints] = np.nan
    seen[rng.random(truth.shape[:2]) < misses] = np.nan
    false = rng.uniform(0, size, (frames, 1, 1, 2)) + BODY
    false[rng.random(frames) >= ghosts] = np.nan
    seen = np.concatenate([seen, false], 1)
    order = rng.permuted(np.tile(np.arange(animals + 1), (frames, 1)), axis=1)
    found = np.take_along_axis(seen, order[..., None, None], 1)
    owner = np.where(np.isfinite(found).all(-1).any(-1) & (order < animals), order, -1)
    return Crossings(truth, found, owner)


def encounters(truth: np.ndarray, within: float = 12.0) -> int:
    """How often two animals come within so many px of each other."""
    middle = truth.mean(2)
    apart = np.linalg.norm(middle[:, :, None] - middle[:, None], axis=-1)
    near = apart[:, *np.triu_indices(truth.shape[1], 1)] < within
    return int((near[1:] & ~near[:-1]).sum())
