"""Nets of timm, stood for by a small one: timm itself imports torchvision, which no test may."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError
from neuroloom.io.labels import read_labels
from neuroloom.learn.model import find_model
from neuroloom.learn.training.fit import FitJob
from neuroloom.pose.nets.frames import PoseFrames
from neuroloom.pose.nets.learner import PoseLearner
from neuroloom.pose.nets.timm import TimmPose
from tests.critters import NAMES, write_project


class Small(nn.Module):
    """Maps of two sizes, as `features_only=True` gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
        self.feature_info = SimpleNamespace(reduction=lambda: [2, 4], channels=lambda: [6, 8])

    def forward(self, x):
        one = self.one(x)
        return [one, self.two(one)]


@pytest.fixture
def timm(monkeypatch):
    """Return the module that stands for timm; `asked` lists whether weights were wanted."""
    module = ModuleType("timm")
    module.__spec__ = ModuleSpec("timm", None)
    module.asked = []
    module.is_model = lambda name: name in ("small", "flat", "far", "coarse")
    module.list_models = lambda like="", pretrained=False: (
        ["small.its_tag"] if pretrained else ["small", "flat", "far", "coarse"]
    )

    def create_model(name, features_only, pretrained):
        assert features_only
        if name == "flat":
            raise RuntimeError("features_only not implemented")
        if name == "far" and pretrained:
            raise OSError("no network")
        module.asked.append(pretrained)
        net = Small()
        if name == "coarse":
            net.feature_info.reduction = lambda: [16, 16]
        return net

    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_at_the_finest_size(timm, channels):
    net = TimmPose(channels, 4, "small")
    assert net.stride == 2
    assert net(torch.zeros(2, channels, 64, 96)).shape == (2, 4, 32, 48)


def test_a_model_is_found_by_its_name_and_weights_are_taken_once(timm, tmp_path):
    full = registry.key("model", "timm/small", "pose")
    assert full == "pose/timm/small"
    frames = PoseFrames(read_labels(write_project(tmp_path / "p", 1, 6)))
    mirror = frames.labels.skeleton.mirror
    facts = {"keypoints": NAMES, "mirror": mirror, "edges": [], "individuals": ["mouse"]}
    learner = find_model(full).make(facts, "pose", len(NAMES), keys={"batch": 2})
    learner.fit(frames, job=FitJob(steps=2, epochs=1))
    assert timm.asked
    assert all(timm.asked)
    timm.asked.clear()
    again = PoseLearner.from_spec(learner.spec)
    again.load(learner.state())
    assert not any(timm.asked)
    assert (again.predict_scores(frames) == learner.predict_scores(frames)).all()


def test_what_timm_has_not_is_told(timm):
    with pytest.raises(ConfigError, match="Did you mean 'small'"):
        find_model("timm/smal", "pose")
    with pytest.raises(ConfigError, match=r"no weights 'it'.*'small.its_tag'"):
        find_model("timm/small.it", "pose")
    with pytest.raises(ConfigError, match="too coarse"):
        TimmPose(1, 4, "coarse")
    with pytest.raises(ConfigError, match="no maps of several sizes"):
        TimmPose(1, 4, "flat")
    with pytest.raises(ConfigError, match="cannot be fetched"):
        TimmPose(1, 4, "far")


def test_without_timm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("neuroloom.nets.timm.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install timm"):
        find_model("timm/resnet50", "pose")
