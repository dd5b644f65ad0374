"""Dense heads: nets slid over a trace, sequences of epochs, one label a place or a sample."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.learn.model import find_model  # noqa: E402
from neuroloom.learn.training.fit import FitJob  # noqa: E402
from neuroloom.signals.nets.chambon2018 import Chambon2018  # noqa: E402
from neuroloom.signals.nets.sequence import Sequence  # noqa: E402
from neuroloom.signals.nets.slide import Slide  # noqa: E402
from neuroloom.signals.nets.usleep import USleep  # noqa: E402


class Middle(nn.Module):
    """Returns the mean of the window: of a ramp, the value in its middle."""

    def __init__(self, n_channels, n_times, n_outputs, rate=None):
        super().__init__()
        self.n_times, self.seen = n_times, None

    def forward(self, x):
        assert x.shape[-1] == self.n_times
        return x.mean(2)

    def adapt(self, x, y):
        self.seen = x, y


@pytest.mark.parametrize(("window", "stride"), [(9, 1), (9, 4), (21, 5)])
def test_slid_over_a_ramp_it_finds_the_ramp(window, stride):
    ramp = torch.arange(100.0).repeat(2, 3, 1)
    out = Slide(3, 100, 3, net=Middle, window=window, stride=stride)(ramp)
    inside = slice(window, 80)
    assert out.shape == (2, 3, 100)
    torch.testing.assert_close(out[..., inside], ramp[..., inside])


def test_slid_without_overlap_each_epoch_is_seen_once():
    x = torch.randn(2, 3, 60)
    out = Slide(3, 60, 3, net=Middle, window=12, stride=12, places=5)(x)
    torch.testing.assert_close(out, x.unflatten(2, (5, 12)).mean(3))


def test_slid_over_a_longer_trace_than_it_was_built_for():
    net = Slide(1, 100, 1, net=Middle, window=11, stride=2)
    assert net(torch.zeros(1, 1, 257)).shape == (1, 1, 257)
    assert Slide(1, 100, 1, net=Middle, window=500)(torch.zeros(1, 1, 100)).shape == (1, 1, 100)


def test_adapt_shows_known_windows_with_the_label_in_their_middle():
    net = Slide(1, 40, 2, net=Middle, window=10, stride=10, places=4)
    x = torch.arange(40.0)[None, None]
    net.adapt(x, torch.tensor([[0, 1, -1, 1]]))
    windows, labels = net.net.seen
    assert labels.tolist() == [0, 1, 1]
    assert windows[:, 0, 0].tolist() == [0, 10, 30]


@pytest.mark.parametrize("name", ["eegnet", "ctnet", "shallow", "usleep"])
def test_every_net_labels_samples_and_comes_back(name):
    """A channel carries the label; a dozen steps of ShallowConvNet find it."""
    rng = np.random.default_rng(0)
    y = np.repeat(rng.integers(0, 2, (12, 8)), 50, axis=1)
    x = rng.normal(size=(12, 2, 400)).astype("float32")
    x[:, 0] *= 1 + 4 * y
    facts = {"channels": ["a", "b"], "n_times": 400, "rate": 100.0}
    model = find_model(name)
    assert "dense" in model.tasks
    learner = model.make(facts, "dense", 2, members=1, lr=0.01, threads=1)
    learner.fit(x, y, job=FitJob(steps=12 if name == "shallow" else 1))
    scores = learner.predict_scores(x)
    again = model.rebuild(learner.spec)
    again.load(learner.state())
    assert scores.shape == (12, 2, 400)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1)
    np.testing.assert_array_equal(again.predict_scores(x), scores)
    if name == "shallow":
        assert (scores.argmax(1) == y).mean() > 0.7


@pytest.mark.parametrize("name", ["chambon2018", "chambon2018-gru", "usleep", "stage-cnn"])
def test_sleep_nets_label_the_epochs_of_a_stretch(name):
    facts = {"channels": ["a"], "n_times": 4 * 500, "rate": 50.0, "places": 4}
    x = np.random.default_rng(0).normal(size=(3, 1, 2000)).astype("float32")
    model = find_model(name)
    if "dense" not in model.tasks:
        pytest.skip(f"{name} labels one epoch")
    learner = model.make(facts, "dense", 5)
    learner.fit(x, np.array([[0, 1, 2, -1]] * 3), job=FitJob(steps=1))
    assert learner.predict_scores(x).shape == (3, 5, 4)


def test_sequence_shares_its_encoder_and_uses_what_is_around():
    torch.manual_seed(0)
    net = Sequence(1, 5 * 300, 3, 100, encoder=Chambon2018, places=5, dense=True).eval()
    x = torch.randn(2, 1, 1500)
    out = net(x)
    changed = x.clone()
    changed[..., 1200:] = torch.randn(2, 1, 300)
    assert out.shape == (2, 3, 5)
    assert ((net(changed) - out)[..., 0].abs() > 0).all()
    alike = net.encoder(x[..., :300]), net.encoder(x.roll(-300, 2)[..., 1200:])
    torch.testing.assert_close(*alike)


def test_in_the_middle_a_sequence_says_what_it_says_of_the_whole():
    torch.manual_seed(0)
    net = Sequence(1, 5 * 300, 3, 100, encoder=Chambon2018, places=5, dense=True).eval()
    x = torch.randn(2, 1, 1500)
    whole = net(x)
    net.dense = False
    torch.testing.assert_close(net(x), whole[..., 2])


def test_usleep_labels_any_number_of_epochs_with_the_same_weights():
    torch.manual_seed(0)
    net = USleep(1, 3 * 640, 4, 64, places=3, dense=True, depth=4).eval()
    x = torch.randn(1, 1, 9 * 640)
    long, short = net(x), net(x[..., : 6 * 640])
    assert long.shape == (1, 4, 9)
    torch.testing.assert_close(long[..., :5], short[..., :5])


def test_epochs_must_fill_the_stretch():
    with pytest.raises(ConfigError, match="1000 samples do not divide into 3 epochs"):
        Sequence(1, 1000, 2, 100, encoder=Chambon2018, places=3)
