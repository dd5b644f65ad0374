"""From pictures to keypoints: the coarse net says where to look, the fine one what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuroloom.learn.training.epochs import device_name
from neuroloom.pose.nets.agree import agreed_places
from neuroloom.pose.nets.align import Floats, robust_pose
from neuroloom.pose.nets.frames import as_channels
from neuroloom.pose.nets.maps import mean_maps, places
from neuroloom.pose.nets.module import look_at
from neuroloom.pose.nets.vary import standardised
from neuroloom.pose.nets.views import halved, pyramid_level, similarity, to_frame, whole_frame
from neuroloom.pose.nets.who import told, with_classes

if TYPE_CHECKING:
    from neuroloom.pose.nets.learner import PoseLearner
    from neuroloom.pose.nets.plan import PosePlan

TOLERANCE = 0.1  # of the animal's length: points that lie further off turn it less
AGAIN = 1.0  # SDs of training's shift from which on a crop is taken anew, round what it showed
DOUBT, SURER = 0.85, 0.03  # mean probability below which a crop is turned round, and the gain asked


def find_one(learner: PoseLearner, pictures: Sequence[np.ndarray]) -> Floats:
    """Find the one animal of each picture.

    Parameters
    ----------
    learner
        Trained.
    pictures
        Of shape (y, x, channel), uint8.

    Returns
    -------
    np.ndarray
        Shape (n, keypoint, 4 + class): x, y, probability near the peak, expected error in px, and
        the probability of each class.
    """
    plan = learner.plan
    assert plan is not None
    scene = Scene(pictures, plan.channels)
    if plan.coarse is None:
        views = np.stack([whole_frame(one.shape[:2], plan.fine.size) for one in pictures])
        return with_classes(*seen(learner, "fine", scene, views))
    views = np.stack([whole_frame(one.shape[:2], plan.coarse.size) for one in pictures])
    first, _ = seen(learner, "coarse", scene, views)
    return with_classes(*look_once(learner, scene, crops(learner, first), np.arange(len(pictures))))


def look_once(
    learner: PoseLearner, scene: Scene, views: Floats, rows: np.ndarray
) -> tuple[Floats, Floats]:
    """Return what the fine net has `seen` in crops; a crop that lay amiss is taken anew, once.

    Where the net is in doubt, the animal may lie the other way round, its tail taken for its head:
    it looks at the crop turned by 180 degrees, too, and what it is surer of stays.

    Parameters
    ----------
    views
        Shape (n, 2, 3).
    rows
        Shape (n,): the picture of each view.
    """
    plan = learner.plan
    assert plan is not None
    found, who = seen(learner, "fine", scene, views, rows)
    doubted = np.flatnonzero(plan.turned & (found[..., 2].mean(1) < DOUBT))
    if len(doubted):
        other = turned_round(views[doubted], plan.fine.size)
        there, name = seen(learner, "fine", scene, other, rows[doubted])
        surer = there[..., 2].mean(1) > found[doubted, :, 2].mean(1) + SURER
        taken = doubted[surer]
        views = views.copy()
        found[taken], who[taken], views[taken] = there[surer], name[surer], other[surer]
    anew = crops(learner, found)
    moved = np.abs(anew[:, :, 2] - views[:, :, 2]).max(1)
    again = np.flatnonzero(moved > AGAIN * plan.fine.jitter.shift * plan.fine.scale)
    if len(again):
        found[again], who[again] = seen(learner, "fine", scene, anew[again], rows[again])
    return found, who


def turned_round(views: Floats, size: tuple[int, int]) -> Floats:
    """Return the views (n, 2, 3) of `size` (v, u) turned by 180 degrees round their middles.

    Examples
    --------
    >>> one = similarity(np.array([[50.0, 20.0]]), np.array([2.0]), np.zeros(1), (9, 5))
    >>> to_frame(turned_round(one, (9, 5)), np.array([[[2.0, 4.0], [3.0, 4.0]]])).tolist()
    [[[50.0, 20.0], [48.0, 20.0]]]
    """
    last = np.array([size[1] - 1, size[0] - 1], float)
    turn = views[:, :, :2]
    return np.concatenate([-turn, views[:, :, 2:] + turn @ last[:, None]], axis=2)


class Scene:
    """Pictures, halved as often as a stage wants them, each once.

    Those of one shape are one tensor (n, channel, y, x), float32; else there is a list of them.
    """

    def __init__(self, pictures: Sequence[np.ndarray], channels: int) -> None:
        plain = [torch.tensor(as_channels(one, channels)).permute(2, 0, 1) for one in pictures]
        alike = len({one.shape for one in plain}) == 1
        self.levels: dict[int, Tensor | list[Tensor]] = {
            0: torch.stack(plain).float() if alike else [one.float() for one in plain]
        }

    def at(self, level: int) -> Tensor | list[Tensor]:
        """Return the pictures (channel, y, x) at a level of the pyramid."""
        if level not in self.levels:
            whole = self.levels[0]
            self.levels[level] = (
                halved(whole, level) if isinstance(whole, Tensor)
                else [halved(frame[None], level)[0] for frame in whole]
            )  # fmt: skip
        return self.levels[level]

    def look(self, key: str, plan: PosePlan, views: Floats, rows: Any = None) -> Tensor:
        """Return what a stage is shown of views (n, 2, 3), standardised."""
        stage = plan.fine if key == "fine" else plan.coarse
        assert stage is not None
        level = pyramid_level(stage.scale)
        frames = self.at(level)
        if rows is not None and not np.array_equal(rows, np.arange(len(frames))):
            chosen = [int(row) for row in rows]
            frames = frames[chosen] if isinstance(frames, Tensor) else [frames[k] for k in chosen]
        return standardised(look_at(frames, torch.as_tensor(views), stage.size, level))


def crops(learner: PoseLearner, found: Floats) -> Floats:
    """Return the views (n, 2, 3) of the fine stage for animals found so far (n, keypoint, 4)."""
    plan = learner.plan
    assert plan is not None
    shape = plan.mean_shape
    tolerance = TOLERANCE * (float(np.ptp(shape[:, 0])) or 1.0)
    if plan.turned:
        centre, angle = robust_pose(found[..., :2], shape, found[..., 2], tolerance)
    else:
        centre, angle = _middle(found, shape), np.zeros(len(found))
    return similarity(centre, np.full(len(centre), plan.fine.scale), angle, plan.fine.size)


def _middle(found: Floats, shape: Floats) -> Floats:
    """Return where the middle of an animal lies that is not turned: the weighted median vote."""
    votes = found[..., :2] - shape
    weight = np.broadcast_to(found[..., 2:3], votes.shape)
    order = np.argsort(votes, axis=1)
    sorted_votes = np.take_along_axis(votes, order, 1)
    total = np.cumsum(np.take_along_axis(weight, order, 1), 1)
    at = (total >= total[:, -1:] / 2).argmax(1)
    middle: Floats = np.take_along_axis(sorted_votes, at[:, None], 1)[:, 0]
    return middle


def maps_of(net: Any, x: Tensor, mirror: Sequence[int] | None) -> Tensor:
    """Return the maps of views, as logits; with `mirror` the mean of them and of their images.

    Parameters
    ----------
    x
        Shape (n, channel, v, u); the animal's left and right lie along v.
    mirror
        For each keypoint its other side.
    """
    maps: Tensor = net(x)
    if mirror is None:
        return maps
    image, count = net(x.flip(2)).flip(2), len(mirror)
    order = [*mirror, *range(count, image.shape[1])]
    return mean_maps([maps, image[:, order]], count)


@torch.inference_mode()
def seen(
    learner: PoseLearner, key: str, scene: Scene, views: Floats, rows: Any = None
) -> tuple[Floats, Floats]:
    """Return what a stage sees in views (n, 2, 3) of the pictures, in px of the frames.

    Returns
    -------
    found
        Shape (n, keypoint, 4).
    who
        Shape (n, name): logits of who or what it is; none where that is not learnt.
    """
    plan = learner.plan
    assert plan is not None
    x = scene.look(key, plan, views, rows).contiguous(memory_format=torch.channels_last)
    net: Any = learner.quick(key).to(device_name())
    both = plan.mirror if key == "fine" and plan.mirrored else None
    every, stride = maps_of(net, x.to(device_name()), both).cpu(), int(net.stride)
    maps, names = every[:, : len(plan.keypoints)], every[:, len(plan.keypoints) :]
    if key == "fine" and learner.structure is not None and plan.agree:
        points, near, expected = agreed_places(maps, stride, learner.structure, plan.agree)
    else:
        points, near, expected = places(maps, stride)
    scale = np.sqrt(np.abs(np.linalg.det(views[:, :, :2])))[:, None]
    whole = to_frame(views, points.double().numpy())
    found = np.concatenate(
        [whole, near.double().numpy()[..., None], (expected.double().numpy() * scale)[..., None]],
        -1,
    )
    return found, told(names, points, near, stride).double().numpy()
