"""Frames of several animals: what the coarse net learns of them, and how each is found.

The coarse net gives a map of peaks for each keypoint and a field along each edge; peaks are put
together into animals. The fine net then sees a crop of each, turned as the animal is, and says
where its keypoints are, whatever the coarse net missed or took from a neighbour. Without crops
(`--plan.crop no`) the fine net does what the coarse one does here, and its peaks stay (bottom-up:
Cao et al. 2017, arXiv:1611.08050).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from neuroloom.learn.training.epochs import device_name
from neuroloom.pose.alike import suppress
from neuroloom.pose.group import affinity_targets, group
from neuroloom.pose.nets.align import Floats, placed, pose_of
from neuroloom.pose.nets.find import Scene, crops, look_once
from neuroloom.pose.nets.module import PoseModule
from neuroloom.pose.nets.views import to_frame, whole_frame
from neuroloom.pose.nets.who import names_of, with_classes

if TYPE_CHECKING:
    from neuroloom.pose.nets.learner import PoseLearner
    from neuroloom.pose.nets.plan import PosePlan

FADING = 4  # power by which cells near a peak count less as background (Law & Deng 2018)
FOCUS = 2  # power by which cells that are right already count less (Lin et al. 2017)
WIDTH = 4.0  # of a field beside its edge, px of the view
LEAST = 0.12  # height of a peak that may be a keypoint
PEAKS = 3  # a frame and keypoint has at most so many peaks an animal
STRETCHED = 1.6  # times its mean length that an edge may have
SAME = 0.6  # object keypoint similarity from which two are one animal
UNSEEN = 0.02  # trust in a keypoint that was not found but filled in from the shape


class ManyModule(PoseModule):
    """The coarse net of several animals: an example is the number of a frame.

    `points` are (frame, individual * keypoint, 2).
    """

    edges: tuple[tuple[int, int], ...] = ()
    keypoints: int = 0

    def loss_of(self, maps: Tensor, points: Tensor, x: Tensor) -> Tensor:
        """Mean loss of maps of the frames numbered `x` (n,), all points at `points` (n, k, 2)."""
        stride = int(self.net.stride)  # type: ignore[arg-type]
        bodies = points.view(len(points), -1, self.keypoints, 2)
        return many_loss(maps, bodies, self.edges, stride, self.stage.spread)


def many_loss(
    maps: Tensor, bodies: Tensor, edges: Sequence[tuple[int, int]], stride: int, spread: float
) -> Tensor:
    """Focal loss of the peaks, and squared error of the fields.

    Parameters
    ----------
    maps
        Shape (n, keypoint + 2 edges, v, u): logits of peaks, then fields.
    bodies
        Shape (n, individual, keypoint, 2), px of the view; NaN where unknown.
    edges
        Pairs of keypoints.
    stride
        Px of the view that a cell covers.
    spread
        SD of a peak, px of the view.

    Notes
    -----
    The focal loss is that of CornerNet (Law & Deng 2018): the cell of a keypoint is to be 1; the
    others are to be 0, those near it less urgently.

    Examples
    --------
    >>> bodies = torch.tensor([[[[3.0, 3.0], [9.0, 3.0]]]])
    >>> wrong = torch.zeros(1, 4, 8, 8)
    >>> float(many_loss(wrong, bodies, [(0, 1)], 2, 2.0)) > 1
    True
    """
    count = bodies.shape[2]
    logits, fields = maps[:, :count].float(), maps[:, count:].float()
    shape = (logits.shape[2], logits.shape[3])
    peaks, hit = _peak_targets(bodies, shape, stride, spread)
    chance = logits.sigmoid()
    log_one, log_none = (
        torch.nn.functional.logsigmoid(logits),
        torch.nn.functional.logsigmoid(-logits),
    )
    loss = torch.where(
        hit, -((1 - chance) ** FOCUS) * log_one, -((1 - peaks) ** FADING) * chance**FOCUS * log_none
    )
    total = loss.sum() / hit.sum().clamp_min(1)
    if not len(edges):
        return total
    target = affinity_targets(bodies, edges, shape, stride, WIDTH)
    off = (fields - target) ** 2
    on_edge = target.abs() > 0.1
    return total + off[on_edge].sum() / on_edge.sum().clamp_min(1) + 4 * off.mean()


def _peak_targets(
    bodies: Tensor, shape: tuple[int, int], stride: int, spread: float
) -> tuple[Tensor, Tensor]:
    """Return Gaussians round the keypoints (n, keypoint, v, u), and the cells that they are in."""
    known = torch.isfinite(bodies).all(-1)
    cell = (torch.where(known[..., None], bodies, -1e3) - (stride - 1) / 2) / stride
    down, along = (torch.arange(n, device=bodies.device) for n in shape)
    near = torch.exp(-(((cell[..., :1] - along) * stride / spread) ** 2) / 2)
    below = torch.exp(-(((cell[..., 1:] - down) * stride / spread) ** 2) / 2)
    peaks = (below[..., :, None] * near[..., None, :]).amax(1)
    column, row = cell.round().long().unbind(-1)
    at = (row[..., None] == down)[..., :, None] & (column[..., None] == along)[..., None, :]
    return peaks, at.any(1)


@torch.inference_mode()
def find_many(learner: PoseLearner, pictures: Sequence[np.ndarray]) -> Floats:
    """Find the animals of each picture.

    Parameters
    ----------
    learner
        Trained.
    pictures
        Of shape (y, x, channel), uint8.

    Returns
    -------
    np.ndarray
        Shape (n, individual, keypoint, 4 + class): x, y, probability near the peak, expected error
        in px, probability of each class; NaN where there is none. Each animal in the place of its
        name where they are told apart, else the surest first.
    """
    plan = learner.plan
    assert plan is not None
    scene = Scene(pictures, plan.channels)
    rows, bodies = coarse_bodies(learner, scene, [one.shape[:2] for one in pictures])
    size = (len(pictures), plan.individuals, len(plan.keypoints), 4 + plan.classes)
    out = np.full(size, np.nan)
    if not len(rows):
        return out
    if plan.coarse is None:
        return _put_together(plan, rows, bodies, out, int(learner.nets["fine"].stride))  # type: ignore[arg-type]
    views = crops(learner, filled(bodies, plan.mean_shape))
    found, who = look_once(learner, scene, views, rows)
    # What the coarse net saw of an animal says how sure it is that there is one.
    there = np.where(np.isfinite(bodies[..., 0]), bodies[..., 2], 0.0).mean(1)
    for frame in np.unique(rows):
        own = np.flatnonzero(rows == frame)
        score = there[own] + found[own, :, 2].mean(1)
        kept = suppress(found[own, :, :2], score, plan.body, SAME)[: plan.individuals]
        place = names_of(who[own[kept]]) if plan.names else np.arange(len(kept))
        out[frame, place] = with_classes(found[own[kept]], who[own[kept], plan.names :])
    return out


def _put_together(
    plan: PosePlan, rows: np.ndarray, bodies: Floats, out: Floats, stride: int
) -> Floats:
    """Fill in the animals of each picture as the peaks have them, the surest first.

    A peak is trusted to half a cell; a low one may be off by its width.
    """
    height = np.where(np.isfinite(bodies[..., 0]), bodies[..., 2], np.nan)
    wide = stride / 2 + plan.fine.spread * (1 - height)
    found = np.concatenate(
        [bodies[..., :2], height[..., None], (wide * plan.fine.scale)[..., None]], -1
    )
    for frame in np.unique(rows):
        own = np.flatnonzero(rows == frame)
        score = np.nan_to_num(height[own]).mean(1)
        kept = suppress(found[own, :, :2], score, plan.body, SAME)[: plan.individuals]
        out[frame, : len(kept)] = found[own[kept]]
    return out


def coarse_bodies(
    learner: PoseLearner, scene: Scene, shapes: Sequence[tuple[int, ...]]
) -> tuple[np.ndarray, Floats]:
    """Return the animals that whole frames show: the picture of each, and (m, keypoint, 3).

    The last axis is x, y (px of the frame) and the height of the peak; NaN, NaN, 0 where missing.
    """
    plan = learner.plan
    assert plan is not None
    stage, key = plan.coarse or plan.fine, plan.grouping
    views = np.stack([whole_frame(shape, stage.size) for shape in shapes])
    net: Any = learner.nets[key].to(device_name())
    maps = net(scene.look(key, plan, views).to(device_name())).float().cpu()
    count, stride = len(plan.keypoints), int(net.stride)
    peaks = peaks_of(maps[:, :count].sigmoid(), stride, PEAKS * plan.individuals)
    fields = maps[:, count:].numpy()
    shape = plan.mean_shape / stage.scale
    longest = [STRETCHED * float(np.linalg.norm(shape[i] - shape[j])) for i, j in plan.edges]
    rows: list[int] = []
    bodies: list[np.ndarray] = []
    for row, (own, field) in enumerate(zip(peaks, fields, strict=True)):
        found = group(
            own, field, plan.edges, count, stride=stride, longest=longest or np.inf,
            fewest=min(2, max(count - 1, 1)), most=2 * plan.individuals,
        )  # fmt: skip
        if len(found):
            back = to_frame(np.repeat(views[row : row + 1], len(found), 0), found[..., :2])
            rows += [row] * len(found)
            bodies.append(np.concatenate([back, found[..., 2:]], -1))
    empty = np.zeros((0, count, 3))
    return np.array(rows, int), np.concatenate(bodies) if bodies else empty


def peaks_of(maps: Tensor, stride: int, most: int, least: float = LEAST) -> list[np.ndarray]:
    """Return the peaks of each picture (peak, 4): keypoint, x, y (px of the view), height.

    A place is the mean of the 3 x 3 cells round the highest, weighted by their height.

    Parameters
    ----------
    maps
        Shape (n, keypoint, v, u), 0 to 1.
    stride
        Px of the view that a cell covers.
    most
        At most so many of a keypoint.
    least
        Height.

    Examples
    --------
    >>> maps = torch.zeros(1, 1, 6, 6)
    >>> maps[0, 0, 2, 3] = 0.9
    >>> peaks_of(maps, 2, 5)[0].round(2).tolist()
    [[0.0, 6.5, 4.5, 0.9]]
    """
    n, _, height, width = maps.shape
    top = (maps == max_pool2d(maps, 3, 1, 1)) & (maps >= least)
    ranked = torch.where(top, maps, 0.0).flatten(2).topk(min(most, height * width), -1)
    wide = torch.nn.functional.pad(maps, (1, 1, 1, 1)).numpy()
    out = []
    for row in range(n):
        kind, place = np.nonzero(ranked.values[row].numpy() >= least)
        at = ranked.indices[row].numpy()[kind, place]
        v, u = at // width, at % width
        around = np.stack([wide[row, kind, v + i, u + j] for i in range(3) for j in range(3)], -1)
        share = around / around.sum(-1, keepdims=True)
        dv = (share * np.repeat([-1, 0, 1], 3)).sum(-1)
        du = (share * np.tile([-1, 0, 1], 3)).sum(-1)
        x, y = ((own * stride + (stride - 1) / 2) for own in (u + du, v + dv))
        out.append(np.stack([kind, x, y, around[:, 4]], -1).astype(float))
    return out


def filled(bodies: Floats, shape: Floats) -> Floats:
    """Return bodies (m, keypoint, 3) whose missing keypoints are filled in from the shape.

    Examples
    --------
    >>> shape = np.array([[-5.0, 0.0], [0.0, 0.0], [5.0, 0.0]])
    >>> body = np.array([[[5.0, 5.0, 0.9], [10.0, 5.0, 0.8], [np.nan, np.nan, 0.0]]])
    >>> filled(body, shape)[0, 2, :2].round(6).tolist()
    [15.0, 5.0]
    """
    points, trust = bodies[..., :2], bodies[..., 2]
    centre, angle = pose_of(points, shape, trust)
    guess = placed(shape, centre, angle)
    known: np.ndarray = np.asarray(np.isfinite(points).all(-1))
    whole = np.where(known[..., None], points, guess)
    return np.concatenate([whole, np.where(known, trust, UNSEEN)[..., None]], -1)
