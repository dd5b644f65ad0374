"""Every augmentation keeps shape and seed and does what it says; crops lie where they should."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError
from neuroloom.learn.training.augment import crop_evenly, crop_randomly, resolve

torch = pytest.importorskip("torch")

NAMES = registry.names("augmentation", "")
FACTS = {
    "rate": 100.0,
    "channels": ["EMG1", "EMG2", "EMG3", "EMG4", "EMG5", "EMG6"],
    "positions": [
        [-0.05, 0.02, 0.12], [0.05, 0.02, 0.12], [0.0, 0.09, 0.08],
        [0.0, -0.07, 0.09], [0.01, 0.0, 0.14], [float("nan")] * 3,
    ],
    "classes": ["left", "right"],
    "n_outputs": 2,
    "task": "classification",
}  # fmt: skip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def windows(n=200, n_times=100):
    return torch.randn(n, 6, n_times, generator=seeded(9))


def labels(n=200):
    return torch.arange(n) % 2


def apply(name, x, y=None, seed=0, **facts):
    (found,) = resolve([name])
    return found.bind(FACTS | facts)(x, labels(len(x)) if y is None else y, seeded(seed))


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_windows_and_shape(name):
    x = windows()
    first, again, other = (apply(name, x.clone(), seed=seed)[0] for seed in (1, 1, 2))
    assert first.shape == x.shape
    assert first.dtype == x.dtype
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "n_times"), [(1, 100), (3, 101), (2, 7)])
def test_any_batch_and_length(name, n, n_times):
    x, y = apply(name, windows(n, n_times))
    assert x.shape == (n, 6, n_times)
    assert len(y) == n
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("name", NAMES)
def test_global_generator_is_not_touched(name):
    before = torch.get_rng_state()
    apply(name, windows())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_given_stays_as_it_was(name):
    x = windows(20)
    copy = x.clone()
    apply(name, x)
    assert torch.equal(x, copy)


def test_sizes_are_as_stated():
    x = windows(n=2000)
    assert (apply("noise", x)[0] - x).std() == pytest.approx(0.1, abs=0.005)
    assert (apply("noise=0.5", x)[0] - x).std() == pytest.approx(0.5, abs=0.01)
    dropped = (apply("channels", x)[0] == 0).all(-1).float().mean()
    assert dropped == pytest.approx(0.1, abs=0.02)
    assert (apply("mask", x)[0] == 0).float().mean() == pytest.approx(0.2, abs=0.01)
    hidden = (apply("mask-encoding", x)[0] == 0).float().mean()
    assert 0.07 < hidden <= 0.08
    flipped = (apply("sign", x)[0] == -x).all(-1).all(-1).float().mean()
    assert flipped == pytest.approx(0.5, abs=0.05)
    factors = (apply("scale", x)[0] / x).mean((1, 2))
    assert factors.min() == pytest.approx(0.7, abs=0.01)
    assert factors.max() == pytest.approx(1.3, abs=0.01)


def test_the_smooth_mask_fades():
    kept = apply("smooth-mask", torch.ones(50, 6, 200))[0][:, 0]
    assert kept.min(-1).values.max() < 0.02
    assert (1 - kept).mean() == pytest.approx(0.2, abs=0.01)
    assert kept.diff().abs().max() < 0.1


@pytest.mark.parametrize("n_times", [100, 101])
def test_phase_shuffle_keeps_spectra_and_covariance(n_times):
    x = windows(20, n_times)
    shuffled = apply("phase", x)[0]
    power = torch.fft.rfft(x).abs()
    assert torch.allclose(torch.fft.rfft(shuffled).abs(), power, atol=1e-3)
    cross = x @ x.transpose(1, 2)
    assert torch.allclose(shuffled @ shuffled.transpose(1, 2), cross, atol=1e-3 * cross.max())


def test_channel_shuffle_permutes_whole_channels():
    x = torch.arange(6.0)[None, :, None].expand(3000, 6, 5)
    shuffled = apply("channel-shuffle=0.5", x)[0][..., 0]
    assert torch.equal(shuffled.sort(1).values, x[..., 0])
    # A channel takes part with p = 1/2 and lands on each participant alike: it stays with
    # p = 1/2 + 1/2 E[1 / (1 + K)], K ~ Binomial(5, 1/2), which is (1 + (1 - 2^-6) / 3) / 2.
    stays = (shuffled == x[..., 0]).float().mean()
    assert stays == pytest.approx((1 + (1 - 2**-6) / 3) / 2, abs=0.02)


def test_reversal_turns_dense_labels_too():
    x = torch.arange(10.0).expand(40, 6, 10)
    y = torch.arange(10).expand(40, 10)
    turned, labels_turned = apply("reverse", x, y, task="dense")
    assert torch.equal(turned[:, 0].long(), labels_turned)
    assert 5 < (labels_turned[:, 0] == 9).sum() < 35
    whole = torch.arange(40)
    assert torch.equal(apply("reverse", x, whole)[1], whole)


def test_mixup_blends_windows_and_classes_alike():
    y = torch.randint(3, (400,), generator=seeded(3))
    x = torch.nn.functional.one_hot(y, 3).float()[..., None].expand(400, 3, 5)
    mixed, soft = apply("mixup", x, y, n_outputs=3)
    assert torch.allclose(mixed[..., 0], soft, atol=1e-6)
    assert torch.allclose(soft.sum(1), torch.ones(400))
    x, numbers = windows(50), torch.randn(50, generator=seeded(4))
    x[:, 0] = numbers[:, None]
    mixed, blended = apply("mixup", x, numbers, task="regression")
    assert torch.allclose(mixed[:, 0, 0], blended, atol=1e-6)
    with pytest.raises(ConfigError, match="mixup"):
        apply("mixup", x, torch.zeros(50, 100, dtype=int), task="dense")


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_draws_from_the_beta_distribution(alpha):
    from scipy.stats import beta, kstest

    x = torch.arange(1000.0)[:, None, None].expand(1000, 1, 2).contiguous()
    y = torch.arange(1000)
    _, soft = apply(f"mixup={alpha}", x, y, n_outputs=1000)
    share = soft[torch.arange(1000), y].numpy()
    assert kstest(share, beta(alpha, alpha).cdf).pvalue > 0.001


def test_mixup_loss_is_the_blend_of_both_losses():
    from torch.nn.functional import cross_entropy

    from neuroloom.learn.training.fit import Training
    from neuroloom.learn.training.modules import Members

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(600, 2)

        def forward(self, x):
            return self.layer(x.flatten(1))

    members = Members(Linear, Training(augment=("mixup",)), 100, "classification", FACTS)
    x, y = windows(30), labels(30)
    loss = members.loss(x, y, seeded(5))
    share = torch.rand(30, generator=seeded(5))
    assert share.std() > 0
    mixed, soft = apply("mixup", x, y, seed=5)
    scores = members.nets[0](mixed)
    first = cross_entropy(scores, torch.zeros(30, dtype=int), reduction="none")
    second = cross_entropy(scores, torch.ones(30, dtype=int), reduction="none")
    assert loss.item() == pytest.approx((soft[:, 0] * first + soft[:, 1] * second).mean().item())


def test_reconstruction_joins_pieces_of_one_class_in_their_places():
    n = torch.arange(60)
    x = (1000.0 * n[:, None, None] + torch.arange(80)).expand(60, 6, 80)
    made, y = apply("segmentation-reconstruction", x, n % 3)
    source, time = made.div(1000, rounding_mode="floor").long(), made % 1000
    assert torch.equal(time, torch.arange(80.0).expand_as(time))
    assert torch.equal(source % 3, (n % 3)[:, None, None].expand_as(source))
    pieces = source[:, 0].unflatten(1, (8, 10))
    assert (pieces == pieces[..., :1]).all()
    assert (pieces[:, 1:, 0] != pieces[:, :-1, 0]).float().mean() > 0.8
    assert torch.equal(y, n % 3)
    with pytest.raises(ConfigError, match="segmentation-reconstruction"):
        apply("segmentation-reconstruction", x, torch.randn(60), task="regression")


def test_reconstruction_of_a_lonely_class_leaves_it():
    x = windows(5)
    made, _ = apply("segmentation-reconstruction", x, torch.arange(5))
    assert torch.equal(made, x)


def test_bad_requests_are_refused_in_words():
    with pytest.raises(ConfigError, match="Did you mean 'noise'"):
        resolve(["noize"])
    with pytest.raises(ConfigError, match="must be a number"):
        resolve(["noise=loud"])
    with pytest.raises(ConfigError, match="needs the rate"):
        resolve(["frequency-shift"])[0].bind({})
    with pytest.raises(ConfigError, match="symmetry"):
        apply("symmetry", windows(), positions=[[float("nan")] * 3] * 6)
    with pytest.raises(ConfigError, match="rotation"):
        apply("rotate-x", windows(), positions=[[float("nan")] * 3] * 6)
    with pytest.raises(ConfigError, match="band-rotation"):
        apply("band-rotation", windows(), channels=["Fz", "Cz", "Pz", "Oz", "A", "B"])


def test_a_learner_refuses_an_augmentation_that_cannot_work():
    from neuroloom.learn.training.learner import NetLearner, Training
    from neuroloom.signals.nets.eegnet import EEGNet

    size = {"n_channels": 6, "n_times": 128, "n_outputs": 2, "rate": 100.0}
    plan = Training(augment=("frequency-shift", "rotate-z=10"), epochs=1)
    learner = NetLearner("eegnet", EEGNet, **size, training=plan, facts=FACTS)
    assert set(learner.spec["facts"]) == {"rate", "positions"}
    learner.fresh().fit(windows(20, 128).numpy(), np.arange(20) % 2)
    with pytest.raises(ConfigError, match="needs the positions"):
        NetLearner("eegnet", EEGNet, **size, training=plan)
    mixing = Training(augment=("mixup", "segmentation-reconstruction"))
    with pytest.raises(ConfigError, match="no 'mixup' before"):
        NetLearner("eegnet", EEGNet, **size, training=mixing)


def test_random_crops_are_pieces_of_their_window():
    x = torch.arange(50.0).repeat(300, 2, 1) + 1000 * torch.arange(300.0)[:, None, None]
    pieces = crop_randomly(x, 20, seeded())
    start = pieces[:, 0, 0] - 1000 * torch.arange(300.0)
    assert pieces.shape == (300, 2, 20)
    assert set(start.int().tolist()) == set(range(31))
    assert torch.equal(pieces[:, 1] - pieces[:, 1, :1], torch.arange(20.0).repeat(300, 1))


def test_even_crops_reach_both_ends():
    x = torch.arange(50.0).repeat(2, 1, 1)
    assert crop_evenly(x, 20, 4)[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    assert crop_evenly(x, 20, 1)[:, 0, 0, 0].tolist() == [15]
    assert crop_evenly(x, 50, 5).shape == (1, 2, 1, 50)
