"""Learners of whole images: losses against their formulas, states, baseline, maps."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, RunError
from neuroloom.learn.grids.baseline import Projected, features
from neuroloom.learn.grids.cam import attention_of, where_it_looked
from neuroloom.learn.grids.learner import FULL, GridLearner, amounts
from neuroloom.learn.grids.modules import LOSSES, contrastive, focal, triplet
from neuroloom.learn.model import find_model
from neuroloom.learn.training.fit import FitJob, Training
from neuroloom.nets.encoders.resnet import ResNet

OURS = [
    name.removeprefix("grid/")
    for name, place in registry.table("model").items()
    if place.startswith("neuroloom.learn.grids.models:")
    and {"classification", "regression"} & set(registry.load("model", name).tasks)
]
# Nets of millions of weights: seconds each.
LARGE = {"densenet", "resnet50", "seresnet", "efficientnet", "resnet18"}
FACTS = {"channels": ["image"], "shape": [16, 16], "n_table": 0, "unit_volume": 1.0}


def corner(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright patch: upper left in class 0, lower right in class 1."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 1, 16, 16)).astype(np.float32), np.arange(n) % 2
    for k in range(n):
        x[k, 0][np.s_[2:6, 2:6] if y[k] == 0 else np.s_[10:14, 10:14]] += 3
    return x, y


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] * (n in LARGE)) for n in OURS]
)
def test_a_registered_model_saves_and_loads(name):
    model = find_model(name, "grid")
    task = model.tasks[0]
    size = 32 if name in LARGE else 16
    facts = FACTS | {"shape": [size, size]}
    learner = model.make(facts, task, 2 if task == "classification" else 1)
    x, y = corner(16)
    x = np.tile(x, (1, 1, size // 16, size // 16))
    y = y if task == "classification" else y.astype(float)
    learner.fit(x, y, job=FitJob(steps=2))
    again = model.rebuild(learner.spec)
    again.load(learner.state())
    np.testing.assert_allclose(again.predict_scores(x), learner.predict_scores(x), rtol=1e-6)


def test_numbers_of_the_table_are_standardised_in_little_more_room_than_a_copy_takes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3, 32, 32)).astype(np.float32)
    x[:, 1:] = rng.normal(50, 10, (60, 2, 1, 1))
    before = x.copy()
    learner = find_model("resnet", "grid").make(
        FACTS | {"shape": [32, 32], "n_table": 2}, "classification", 2, width=4
    )
    learner._measure(x, np.arange(60) % 2)
    tracemalloc.start()
    images, _ = learner._tensors(x, np.arange(60) % 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images.dtype == np.float32
    assert peak < 1.3 * x.nbytes
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(images[:, 0], x[:, 0])
    numbers = x[:, 1:, 0, 0].astype(float)
    expected = (numbers - numbers.mean(0)) / numbers.std(0)
    np.testing.assert_allclose(images[:, 1:, 5, 7], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES[:4])
def test_every_loss_learns(loss):
    x, y = corner(48)
    learner = find_model("resnet", "grid").make(
        FACTS, "classification", 2, width=4, loss=loss, epochs=12, batch=12, lr=5e-3
    )
    learner.fit(x, y, job=FitJob(seed=1))
    fresh, truth = corner(40, seed=1)
    assert (learner.predict_scores(fresh).argmax(1) == truth).mean() >= 0.9


def test_focal_loss_is_the_papers_formula():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(9, 3)), rng.integers(0, 3, 9)
    p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[np.arange(9), y]
    expected = (-((1 - p) ** 2) * np.log(p)).mean()
    assert float(focal(torch.tensor(logits), torch.tensor(y))) == pytest.approx(expected)


def test_triplet_takes_the_hardest_pairs():
    angles = np.deg2rad([0, 50, 20, 180])
    points = np.c_[np.cos(angles), np.sin(angles)]
    y = np.array([0, 0, 1, 1])
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    each = [
        max(far[i][(y == y[i]) & (np.arange(4) != i)].max() - far[i][y != y[i]].min() + 0.3, 0)
        for i in range(4)
    ]
    found = triplet(torch.tensor(points), torch.tensor(y))
    assert float(found) == pytest.approx(np.mean(each), abs=1e-4)


def test_contrastive_is_the_mean_over_pairs():
    angles = np.deg2rad([0, 90, 30])
    points, y = np.c_[np.cos(angles), np.sin(angles)], np.array([0, 0, 1])
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    pairs = [far[0, 1] ** 2, max(1 - far[0, 2], 0) ** 2, max(1 - far[1, 2], 0) ** 2]
    found = contrastive(torch.tensor(points), torch.tensor(y))
    assert float(found) == pytest.approx(0.5 * np.mean(pairs), abs=1e-4)


def test_the_map_points_at_what_tells_the_classes_apart():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 1, 32, 32)).astype(np.float32), np.arange(100) % 2
    places = rng.integers(2, 24, (100, 2))
    for k in np.flatnonzero(y):
        x[k, 0, places[k, 0] : places[k, 0] + 6, places[k, 1] : places[k, 1] + 6] += 3
    learner = GridLearner("resnet", ResNet, n_channels=1, shape=(32, 32), n_outputs=2,
                          training=Training(batch=16, lr=5e-3), options={"width": 8},
                          learning={"augment": "none"})  # fmt: skip
    learner.fit(x[:60], y[:60], job=FitJob(epochs=12))
    fresh, truth, spots = x[60:], y[60:], places[60:]
    assert (learner.predict_scores(fresh).argmax(1) == truth).mean() >= 0.9
    shown = np.flatnonzero(truth)
    maps = where_it_looked(learner, fresh[shown], truth[shown])
    assert maps.shape == (20, 32, 32)
    peaks = np.array([np.unravel_index(one.argmax(), one.shape) for one in maps])
    assert (np.abs(peaks - spots[shown] - 2.5).max(1) <= 8).mean() >= 0.8


def test_attention_is_shown_where_there_is_some():
    learner = find_model("resnet-attention", "grid").make(FACTS, "classification", 2)
    found = attention_of(learner, corner(3)[0])
    assert found is not None
    assert found.shape == (3, 16, 16)


def test_the_baseline_finds_a_shift_and_a_number_of_the_table():
    rng = np.random.default_rng(0)
    x, number = rng.normal(size=(60, 2, 8, 8)), rng.normal(size=60)
    x[:, 1] = number[:, None, None]
    model = Projected("pca", None, n_table=1)
    model.fit(x[:40], 3 * number[:40] + 1)
    np.testing.assert_allclose(model.predict_scores(x[40:]), 3 * number[40:] + 1, atol=0.5)
    x[45, 1] = np.nan
    assert np.isfinite(model.predict_scores(x[45:46])).all()
    with pytest.raises(RunError, match="lacks"):
        model.load({})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_outputs", [2, None])
def test_a_column_that_no_training_image_has_tells_the_baseline_nothing(n_outputs):
    x, y = corner(40)
    without = Projected("pca", n_outputs)
    without.fit(x, y if n_outputs else y.astype(float))
    joined = np.concatenate([x, np.full_like(x, np.nan)], axis=1)
    model = Projected("pca", n_outputs, n_table=1)
    model.fit(joined, y if n_outputs else y.astype(float))
    joined[::2, 1] = 5.0
    scores = model.predict_scores(joined)
    np.testing.assert_allclose(scores, without.predict_scores(x), atol=1e-6)


def test_coarse_features_are_block_means():
    image = np.random.default_rng(0).normal(size=(1, 1, 20, 20))
    expected = image.reshape(10, 2, 10, 2).mean((1, 3)).ravel()
    np.testing.assert_allclose(features(image)[0, :100], expected)


def test_amounts_of_maps_are_shares_times_the_unit():
    maps = np.zeros((2, 4, 4), np.uint8)
    maps[0, 0, 0], maps[1] = FULL // 5, FULL
    np.testing.assert_allclose(amounts(maps, unit=3.0), [0.6, 48.0])


def test_wrong_names_are_refused():
    with pytest.raises(ConfigError, match="loss is one of"):
        find_model("resnet", "grid").make(FACTS, "classification", 2, loss="hinge")
    with pytest.raises(ConfigError, match="images only"):
        find_model("integral", "grid").make(FACTS | {"n_table": 1}, "regression", 1)


@pytest.mark.parametrize("name", ["resnet", "vgg", "integral"])
def test_wide_layers_are_the_quick_ones(name, monkeypatch):
    """From the first layer on channels lie last, so that minimal filtering is reached."""
    from neuroloom.nets.layers import winograd

    calls, real = [], winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *given: calls.append(1) or real(*given))
    facts = FACTS | {"shape": [32, 32, 32]}
    learner = find_model(name, "grid").make(facts, "classification", 2, width=32)
    learner.predict_scores(np.zeros((8, 1, 32, 32, 32), np.float32))
    assert calls


def test_a_fit_goes_on_as_if_it_had_not_stopped(tmp_path):
    """Moments of the optimiser come back in the layout of weights whose channels lie last."""

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(entry):
        if entry["epoch"] == 3:
            raise Stopped

    x, y = corner(24)

    def fitted(job):
        learner = GridLearner(
            "resnet", ResNet, n_channels=1, shape=(16, 16), n_outputs=2, options={"width": 4},
            training=Training(batch=8, lr=1e-2),
        )  # fmt: skip
        learner.fit(x, y, job=job)
        return learner.state()

    broken = FitJob(seed=1, epochs=6, checkpoint=tmp_path / "fit.safetensors", every_s=0)
    broken.progress = stop
    with pytest.raises(Stopped):
        fitted(broken)
    broken.progress = None
    resumed, whole = fitted(broken), fitted(FitJob(seed=1, epochs=6))
    for key, value in whole.items():
        np.testing.assert_array_equal(resumed[key], value)
