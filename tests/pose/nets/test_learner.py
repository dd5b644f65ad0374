"""The nets of pose: they learn, go on after a cut, and come back from a file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neuroloom.core.errors import ConfigError, DataError, RunError
from neuroloom.io.labels import read_labels
from neuroloom.learn.training.fit import FitJob, own_threads
from neuroloom.pose.nets import backbones
from neuroloom.pose.nets.frames import PoseFrames, as_channels, plain
from neuroloom.pose.nets.learner import PoseLearner, PoseWishes, animals_of
from neuroloom.pose.nets.maps import probabilities
from neuroloom.pose.nets.unet import build_net, members
from tests.critters import NAMES, write_project

SMALL = {"batch": 4, "widths": (8, 8, 8, 8)}


@pytest.fixture(autouse=True)
def _one_thread():
    with own_threads(1):
        yield


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    labels = read_labels(write_project(tmp_path_factory.mktemp("pose") / "p", 1, 12))
    return PoseFrames(labels)


def learner(frames, **more):
    skeleton = frames.labels.skeleton
    keys = SMALL | more.pop("keys", {})
    return PoseLearner("unet", PoseWishes(NAMES, skeleton.mirror, keys=keys, **more))


def test_it_learns_and_comes_back_from_its_state(frames):
    model = learner(frames)
    history = model.fit(frames, job=FitJob(steps=20))
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"] + 1
    found = model.predict_scores(frames)
    assert found.shape == (12, 1, 4, 4)
    assert np.isfinite(found).all()
    again = PoseLearner.from_spec(model.spec)
    again.load(model.state())
    np.testing.assert_array_equal(again.predict_scores(frames), found)


@pytest.mark.parametrize(("nets", "after"), [(1, 2), (2, 2), (2, 3)])
def test_a_fit_that_was_cut_ends_with_the_same_bits(frames, tmp_path, nets, after):
    """It is cut after some part of it: the coarse stage, or one of the nets of the fine one."""
    whole, cut = (learner(frames, keys={"nets": nets}) for _ in range(2))
    whole.fit(frames, job=FitJob(steps=8, seed=2))
    seen = []

    def stop(line):
        seen.append(line)
        if len(seen) == after:
            raise KeyboardInterrupt

    job = FitJob(steps=8, seed=2, checkpoint=tmp_path / "c.safetensors", every_s=0.0, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(frames, job=job)
    job.progress = None
    cut.fit(frames, job=job)
    for name, array in whole.state().items():
        np.testing.assert_array_equal(cut.state()[name], array, err_msg=name)


def test_two_nets_share_the_steps_and_their_maps_are_averaged(frames):
    model = learner(frames, keys={"nets": 2})
    history = model.fit(frames, job=FitJob(steps=40, seed=3))
    assert history.epochs[-1]["step"] == 40
    assert all(part in history.stopped for part in ("coarse: ", "fine-1: ", "fine-2: "))
    x, net = torch.randn(2, 1, 48, 64), model.nets["fine"]
    with torch.no_grad():
        each = [probabilities(one(x)) for one in members(net)]
        mean = probabilities(net(x))
    assert len(each) == 2
    assert float((each[0] - each[1]).abs().max()) > 1e-4
    torch.testing.assert_close(mean, (each[0] + each[1]) / 2, atol=1e-5, rtol=1e-3)
    found = model.predict_scores(frames)
    again = PoseLearner.from_spec(model.spec)
    again.load(model.state())
    np.testing.assert_array_equal(again.predict_scores(frames), found)


@pytest.mark.parametrize("job", [FitJob(steps=8), FitJob(epochs=1)])
def test_a_short_fit_has_one_net(frames, job):
    model = learner(frames)
    model.fit(frames, job=job)
    assert len(members(model.nets["fine"])) == 1


def test_no_net_is_refused(frames):
    with pytest.raises(ConfigError, match="at least 1"):
        learner(frames, keys={"nets": 0}).fit(frames, job=FitJob(steps=2))


@pytest.mark.parametrize(
    ("key", "wanted"), [("nets", "whole"), ("batch", "whole"), ("size", "a n")]
)
def test_a_word_where_the_plan_needs_a_number_is_refused(frames, key, wanted):
    with pytest.raises(ConfigError, match=f"{key} must be .*{wanted}.*'two'"):
        learner(frames, keys={key: "two"}).fit(frames, job=FitJob(steps=2))


def test_a_model_of_before_there_were_ties_opens(frames):
    model = learner(frames)
    model.fit(frames, job=FitJob(steps=2))
    state = {n: a for n, a in model.state().items() if not n.startswith("structure.ties")}
    old = PoseLearner.from_spec(model.spec)
    old.load(state)
    np.testing.assert_array_equal(old.predict_scores(frames), model.predict_scores(frames))


def test_weights_of_another_net_are_refused(frames):
    model = learner(frames)
    model.fit(frames, job=FitJob(steps=1))
    state = model.state()
    state["fine.head.weight"] = state["fine.head.weight"][:2]
    with pytest.raises(RunError, match="does not fit"):
        PoseLearner.from_spec(model.spec).load(state)


@pytest.mark.parametrize("name", ["unet", "stacked-densenet", "resnet", "efficientnet-lite0"])
def test_every_net_gives_maps_at_its_stride_and_learns(name):
    net = build_net(name, 1, 3, (8, 12, 16), {}, weights=False)
    x = torch.randn(2, 1, 64, 96)
    out = net(x)
    assert out.shape == (2, 3, 64 // net.stride, 96 // net.stride)
    out.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_a_net_of_imagenet_starts_from_the_published_weights(monkeypatch):
    folder = Path(find_spec(backbones.PACKAGE).submodule_search_locations[0])
    (file,) = folder.rglob("efficientnet-lite0*.pth")
    published = torch.load(file, weights_only=True)
    net = build_net("efficientnet-lite0", 1, 3, (8, 12, 16), {})
    held = net.state_dict()
    for name in ("_conv_stem.weight", "_blocks.0._bn1.running_var", "_blocks.15._bn2.weight"):
        torch.testing.assert_close(held[name], published[name], rtol=0, atol=0)
    renamed = {name.replace("_bn1", "_norm"): one for name, one in backbones._weights().items()}
    monkeypatch.setattr(backbones, "_weights", lambda: renamed)
    with pytest.raises(ConfigError, match=r"names differ, _blocks\.0\._bn1\.bias for one"):
        build_net("efficientnet-lite0", 1, 3, (8, 12, 16), {})


@pytest.mark.parametrize(("shape", "most"), [((64, 96, 1), 16), ((2160, 3840, 1), 5)])
def test_as_many_pictures_are_looked_at_together_as_memory_holds(monkeypatch, shape, most):
    sizes = []

    def find(_, pictures):
        sizes.append(len(pictures))
        return np.zeros((len(pictures), 1, 4))

    monkeypatch.setattr("neuroloom.pose.nets.find.find_one", find)
    plan = SimpleNamespace(individuals=1, channels=3)
    pictures = [np.zeros(shape, np.uint8)] * 20
    assert PoseLearner.find_in(SimpleNamespace(plan=plan), pictures).shape == (20, 1, 1, 4)
    assert (max(sizes), sum(sizes)) == (most, 20)


def test_an_unknown_net_is_named():
    with pytest.raises(ConfigError, match="resnet"):
        build_net("resnett", 1, 3, (8,), {})


def test_frames_without_points_teach_nothing():
    with pytest.raises(DataError, match="two labelled keypoints"):
        animals_of(np.full((3, 1, 4, 2), np.nan))


def test_colours_that_are_alike_count_as_grey():
    grey = np.repeat(np.arange(48, dtype=np.uint8).reshape(6, 8, 1), 3, 2)
    assert plain(grey).shape == (6, 8, 1)
    assert as_channels(plain(grey), 3).shape == (6, 8, 3)
    coloured = grey.copy()
    coloured[..., 1] += 9
    assert plain(coloured).shape == (6, 8, 3)


@pytest.mark.long
def test_a_minute_suffices_for_a_small_animal(tmp_path):
    """200 steps on 40 frames: unseen frames are found to a pixel or two, ears not exchanged."""
    labels = read_labels(write_project(tmp_path / "p", 1, 60, seed=5))
    every = PoseFrames(labels)
    skeleton = labels.skeleton
    model = PoseLearner("unet", PoseWishes(NAMES, skeleton.mirror))
    model.fit(every[np.arange(40)], job=FitJob(steps=200))
    held = every[np.arange(40, 60)]
    off = np.linalg.norm(model.predict_scores(held)[..., :2] - held.points, axis=-1)
    assert np.median(off) < 1.0
    assert off.mean() < 2.0
