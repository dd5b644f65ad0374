"""DANNCE: its own cameras and labels exactly, and a volume net that beats two steps under cover."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np

from neuroloom.pose.rig import Rig, read_rig, triangulate
from neuroloom.pose.rig.lift import Seen, find_seen
from parity.harness import Check

TOOL = "DANNCE"
LABELS = "pose/dannce: 6 cameras, 81 moments x 22 points"
PAINTED = (
    "pose/dannce: 6 cameras and 79 poses, painted here at a fifth of the cameras' pixels; 60 poses "
    "to learn from, 19 new, one or two views covered"
)
SMALLER = 5  # at an eighth a leg is three pixels wide, and the error was 2.6 mm
COURSE = (2400, 700)  # steps of the views, and of the volume: some twenty minutes on one core
MADE = (360, 60)  # moments to learn from, and new


def truth(known: Seen) -> np.ndarray:
    """Return the stored points, shape (moment, point, 3), mm."""
    assert known.truth is not None
    return known.truth


@cache
def seen(data: Path) -> Seen:
    """Return the labels as the cameras saw them."""
    return find_seen(data / "pose/dannce", read_rig(data / "pose/dannce"))


def farthest(data: Path) -> float:
    """Return the largest distance from the stored points, over every subset of 6, 3 and 2, mm."""
    known = seen(data)
    pixels, worst = known.pixels[:, 0], 0.0
    for n in (6, 3, 2):
        for some in combinations(range(6), n):
            rig = known.rig.take([known.rig.names[i] for i in some])
            off = np.linalg.norm(triangulate(rig, pixels[list(some)]) - truth(known), axis=-1)
            worst = max(worst, float(np.nanmax(off)))
    return worst


def noisy(data: Path, n: int) -> float:
    """Return the median error with 1 px of noise, over all subsets of `n` cameras, mm."""
    known = seen(data)
    shape = known.pixels[:, 0].shape
    pixels = known.pixels[:, 0] + np.random.default_rng(0).normal(0, 1, shape)
    off = []
    for some in combinations(range(6), n):
        rig = known.rig.take([known.rig.names[i] for i in some])
        found = triangulate(rig, pixels[list(some)])
        off.append(np.linalg.norm(found - truth(known), axis=-1))
    return float(np.nanmedian(off))


@cache
def judged(
    data: Path, course: tuple[int, int] = COURSE, made: tuple[int, int] = MADE
) -> tuple[float, float, float]:
    """Learn from painted moments; return mean errors on new ones: volume, two steps, robust."""
    from neuroloom.pose.rig import scene
    from neuroloom.pose.volume import find, learn
    from neuroloom.pose.volume.views import Views, centres_of, measure_shape

    known = seen(data)
    whole = Rig(tuple(replace(camera, size=(1152, 1024)) for camera in known.rig))
    rig, rng = whole.scaled(1 / SMALLER), np.random.default_rng(0)
    poses = scene.whole_poses(truth(known))
    views = []
    for some, n in zip((poses[:60], poses[62:]), made, strict=True):
        painted = scene.paint(rig, scene.vary_poses(some, n, rng), rng)
        views.append(Views(rig, painted.images, painted.points))
    shape, net = measure_shape(views[0], 24), learn.make_net(22, 0)
    learn.train(net, views[0], shape, learn.Course(*course), seed=1)
    centres = centres_of(views[1].points)
    found = [find.predict_volume(net, views[1], centres, shape)[0]]
    found += [find.two_step(net, views[1], centres, shape, how) for how in ("linear", "robust")]
    a, b, c = (float(np.linalg.norm(one - views[1].points, axis=-1).mean()) for one in found)
    return a, b, c


def volume_error(data: Path) -> float:
    """Return the mean error of the volume net, mm."""
    return judged(data)[0]


def volume_share(data: Path) -> float:
    """Return it as a share of the error of two steps: each view alone, then triangulation."""
    return judged(data)[0] / judged(data)[1]


CHECKS = [
    Check(TOOL, "largest distance from the stored points, all subsets of 6, 3 and 2 cameras, mm",
          "<= 1e-05", farthest, LABELS),
    Check(TOOL, "median error with 1 px of noise, six cameras, mm", "<= 0.15",
          lambda data: noisy(data, 6), LABELS),
    Check(TOOL, "median error with 1 px of noise, three cameras, mm", "<= 0.23",
          lambda data: noisy(data, 3), LABELS),
    Check(TOOL, "median error with 1 px of noise, two cameras, mm", "<= 0.31",
          lambda data: noisy(data, 2), LABELS),
    Check(TOOL, "mean error of the volume net where one or two views are covered, mm", "<= 2",
          volume_error, PAINTED),
    Check(TOOL, "its error as a share of that of each view alone, then triangulation", "<= 0.7",
          volume_share, PAINTED),
]  # fmt: skip
