"""A net as a learner: it learns, and comes back from spec and state as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, RunError
from neuroloom.learn.training.fit import FitJob, Training
from neuroloom.learn.training.learner import NetLearner

torch = pytest.importorskip("torch")

from neuroloom.signals.nets.eegnet import EEGNet  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

CROPPED = Training(epochs=30, batch=16, crop=0.75, crops=3, members=2, average=0.9)


def oscillations(n=60, seed=0, unit=1e-5):
    """Two classes: the first or the second of four channels swings at 10 Hz (100 Hz, 1 s)."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 4, 100)), np.arange(n) % 2
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    x[np.arange(n), y] += 1.5 * np.sin(2 * np.pi * 10 * np.arange(100) / 100 + phase)
    return (unit * x).astype(np.float32), y


def make(training=CROPPED, task="classification", n_outputs=2):
    return NetLearner(
        "eegnet",
        EEGNet,
        n_channels=4,
        n_times=100,
        n_outputs=n_outputs,
        rate=100.0,
        training=training,
        task=task,
        options={"dropout": 0.25},
    )


def test_learns_two_classes_in_volts():
    learner = make()
    history = learner.fit(*oscillations(), job=FitJob(seed=1))
    x, y = oscillations(seed=7)
    scores = learner.predict_scores(x)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    assert scores.dtype == np.float64
    assert np.allclose(np.exp(scores).sum(1), 1)
    assert (scores.argmax(1) == y).mean() > 0.9


def test_learns_a_number_in_its_own_unit():
    x, _ = oscillations(n=120)
    strength = np.linspace(0, 1, 120)
    x[:, 2] *= (1 + 3 * strength)[:, None]
    learner = make(task="regression", n_outputs=1)
    learner.fit(x, 1000 + 50 * strength, job=FitJob(epochs=40))
    predicted = learner.predict_scores(x)
    assert predicted.shape == (120,)
    assert np.corrcoef(predicted, strength)[0, 1] > 0.8
    assert abs(predicted.mean() - 1025) < 10


def test_spec_and_state_bring_it_back():
    x, y = oscillations(n=20)
    learner = make()
    learner.fit(x, y, job=FitJob(epochs=2))
    spec = json.loads(json.dumps(learner.spec))
    again = NetLearner.from_spec(spec, EEGNet)
    again.load(learner.state())
    assert again.spec == learner.spec
    assert np.array_equal(again.predict_scores(x), learner.predict_scores(x))


def test_state_of_another_shape_is_refused():
    learner = make()
    state = learner.state()
    state["net.nets.0.temporal"] = state["net.nets.0.temporal"][:, :3]
    with pytest.raises(RunError, match=r"net\.nets\.0\.temporal.*\(8, 3\)"):
        learner.load(state)


def test_standardisation_comes_from_the_training_examples():
    x, y = oscillations(n=20)
    learner = make()
    learner.fit(x, y, job=FitJob(epochs=1))
    assert learner.state()["input.mean"] == pytest.approx(x.mean((0, 2))[:, None], rel=1e-3)
    scores = learner.predict_scores(x[:3])
    assert np.allclose(scores, learner.predict_scores(x)[:3], atol=1e-6)


def test_unit_of_the_data_does_not_matter():
    micro, volt = (oscillations(n=20, unit=unit) for unit in (1.0, 1e-6))
    scores = []
    for x, y in (micro, volt):
        learner = make()
        learner.fit(x, y, job=FitJob(epochs=2))
        scores.append(learner.predict_scores(x))
    assert np.allclose(*scores, atol=1e-3)


def test_flat_channel_gives_finite_scores():
    x, y = oscillations(n=20)
    x[:, 3] = 0
    learner = make()
    learner.fit(x, y, job=FitJob(epochs=2))
    assert np.isfinite(learner.predict_scores(x)).all()


def test_module_is_differentiable_in_raw_windows():
    x, y = oscillations(n=20)
    learner = make()
    learner.fit(x, y, job=FitJob(epochs=1))
    windows = torch.tensor(x, requires_grad=True)
    scores = learner.as_module()(windows)
    scores[:, 0].sum().backward()
    assert np.allclose(scores.detach().numpy(), learner.predict_scores(x), atol=1e-6)
    assert windows.grad.abs().sum() > 0


def test_members_differ_and_all_are_trained():
    x, y = oscillations(n=20)
    learner = make()
    learner.fit(x, y, job=FitJob(epochs=1))
    state = learner.state()
    assert not np.allclose(state["net.nets.0.temporal"], state["net.nets.1.temporal"])


class Noisy(torch.nn.Module):
    """Dropout in front of batch normalisation, whose running moments it widens."""

    def __init__(self, n_channels, n_times, n_outputs, rate=None):
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)
        self.norm = torch.nn.BatchNorm1d(n_channels * n_times)
        self.output = torch.nn.Linear(n_channels * n_times, n_outputs)

    def forward(self, x):
        return self.output(self.norm(self.drop(x.flatten(1) + 1)))


def test_evaluation_uses_moments_without_dropout():
    x, y = oscillations(n=40)
    size = {"n_channels": 4, "n_times": 100, "n_outputs": 2}
    learner = NetLearner("noisy", Noisy, training=Training(epochs=5, batch=40), **size)
    learner.fit(x, y, job=FitJob())
    standard = (x - learner.input["mean"]) / learner.input["scale"] + 1
    variance = standard.reshape(40, -1).var(0, ddof=1)
    assert learner.state()["net.nets.0.norm.running_var"] == pytest.approx(variance, rel=1e-3)
    assert learner.model.nets[0].norm.momentum == 0.1


def test_unknown_task_is_refused():
    with pytest.raises(ConfigError, match="ranking"):
        make(task="ranking")
