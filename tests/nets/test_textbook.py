"""Every net of the textbook: sizes by formula, gradients, files, rates and short windows."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.learn.model import find_model  # noqa: E402
from neuroloom.learn.training.fit import FitJob, Training  # noqa: E402
from neuroloom.learn.training.learner import NetLearner  # noqa: E402
from neuroloom.nets.conv import CNN, FCN, DenseCNN, ResCNN  # noqa: E402
from neuroloom.nets.mlp import MLP  # noqa: E402
from neuroloom.nets.recurrent import Recurrent  # noqa: E402
from neuroloom.nets.tokens import LogPower, Tokens  # noqa: E402
from neuroloom.nets.transformer import Transformer, sines  # noqa: E402

RECURRENT = [
    f"{ways}{cell}{reading}"
    for ways in ("", "bi-")
    for cell in ("rnn", "lstm", "gru")
    for reading in ("", "-attention")
]
NAMES = [
    "mlp", "cnn", "res-cnn", "dense-cnn", "fcn", "siamese", "gcn", "res-gcn", "bilstm-gcn",
    "transformer", "bayes-cnn", "spectrogram-cnn", "cnn-3d", *RECURRENT,
]  # fmt: skip
N_CHANNELS, RATE = 5, 100.0


def learner(name, *, n_times=200, rate=RATE, n_outputs=3, **options):
    """An untrained learner for 5 channels whose electrodes lie around the vertex."""
    angle = np.linspace(0, 2 * np.pi, N_CHANNELS, endpoint=False)
    places = 0.05 * np.c_[np.cos(angle), np.sin(angle), np.ones(N_CHANNELS)]
    facts = {"channels": list("abcde"), "n_times": n_times, "rate": rate}
    facts["positions"] = places.tolist()
    return find_model(name).make(facts, "classification", n_outputs, **options)


def windows(n=12, n_times=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, N_CHANNELS, n_times)).astype(np.float32), np.arange(n) % 3


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name):
    members = learner(name, crop=1.0, crops=1).model
    x, y = (torch.as_tensor(part) for part in windows())
    members.tell("adapt", x, y)
    members.train()
    members.loss(x, y, torch.Generator().manual_seed(0)).backward()
    for key, parameter in members.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    assert members.outputs(x).shape == (1, 12, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_net_comes_back_from_its_arrays(name, tmp_path):
    x, y = windows()
    trained = learner(name)
    trained.fit(x, y, job=FitJob(steps=2, checkpoint=tmp_path / "fit.safetensors"))
    scores = trained.predict_scores(x)
    twin = find_model(name).rebuild(trained.spec)
    twin.load(trained.state())
    np.testing.assert_array_equal(twin.predict_scores(x), scores)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_scored_alone_as_in_a_batch(name):
    x, y = windows()
    trained = learner(name)
    trained.fit(x, y, job=FitJob(steps=2))
    alone = np.concatenate([trained.predict_scores(x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(alone, trained.predict_scores(x)[:3], atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mlp"])
def test_shortest_window_is_what_the_error_says(name):
    with pytest.raises(ConfigError, match="at least") as caught:
        learner(name, n_times=2, crop=1.0, crops=1)
    shortest = int(str(caught.value).split("at least ")[1].split()[0])
    assert learner(name, n_times=shortest, crop=1.0, crops=1).n_times == shortest
    with pytest.raises(ConfigError, match="at least"):
        learner(name, n_times=shortest - 1, crop=1.0, crops=1)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("siamese", "fcn", "mlp")])
def test_lengths_are_seconds(name):
    slow, fast = (learner(name, n_times=n, rate=n / 2.0, crop=1.0) for n in (200, 400))
    x = torch.randn(2, N_CHANNELS, 400)
    inner = [made.model.nets[0].eval() for made in (slow, fast)]
    assert inner[1](x).shape == inner[0](x[..., ::2]).shape
    sizes = [sum(p.numel() for p in net.parameters()) for net in inner]
    assert sizes[1] >= sizes[0]


def weights(net):
    return sum(part.numel() for part in net.parameters())


def stem(channels=22, filters=16, taps=20):
    """Mixtures, their temporal filters, gain and offset of the normalisation."""
    return channels * filters + filters * taps + 2 * filters


def test_parameter_counts_by_formula():
    f, head = 16, 16 * 4 + 4
    conv, norm = 3 * f * f, 2 * f
    assert weights(CNN(22, 300, 4, rate=100)) == stem() + 2 * (conv + norm) + head
    assert weights(ResCNN(22, 300, 4, rate=100)) == stem() + 4 * (conv + norm) + head
    grown = sum(2 * width + 3 * width * 8 for width in (16, 24, 32))
    assert weights(DenseCNN(22, 300, 4, rate=100)) == stem() + grown + 40 * 4 + 4
    features = 22 * 6 * 2
    layers = features * 64 + 2 * 64 + 64 * 32 + 2 * 32
    assert weights(MLP(22, 300, 4, rate=100)) == 2 * features + layers + 32 * 4 + 4


def test_fcn_is_as_wide_as_published():
    """Wang, Yan & Oates 2017: 128, 256 and 128 filters over 8, 5 and 3 samples."""
    published = FCN(1, 300, 2, filters=(128, 256, 128))
    convolutions = (1 * 8 + 1) * 128 + (128 * 5 + 1) * 256 + (256 * 3 + 1) * 128
    assert weights(published) == convolutions + 2 * (128 + 256 + 128) + 128 * 2 + 2


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("attention", [False, True])
def test_parameter_counts_of_recurrent_nets(cell, gates, both, attention):
    h, ways = 16, 1 + both
    inside = ways * gates * (16 * h + h * h + 2 * h)
    head = ways * h * 4 + 4 + attention * ways * h
    net = Recurrent(22, 300, 4, rate=100, cell=cell, bidirectional=both, attention=attention)
    assert weights(net) == stem() + inside + head


def test_transformer_counts_by_formula():
    w = 16
    attention, forward = 4 * w * w + 4 * w, 2 * (2 * w * w) + 3 * w
    layer = attention + forward + 2 * 2 * w
    assert weights(Transformer(22, 300, 4, rate=100)) == stem() + 2 * layer + 2 * w + 4 * w + 4


def test_log_power_of_a_sine_is_that_of_its_amplitude():
    time = torch.arange(400) / 100
    x = (3 * torch.sin(2 * torch.pi * 10 * time))[None, None]
    expected = float(np.log(9 / 2))
    torch.testing.assert_close(LogPower(50, 25)(x), torch.full((1, 1, 15), expected))


def test_pieces_of_the_perceptron_are_means_and_variances():
    x = np.random.default_rng(0).normal(size=(2, 3, 230)).astype(np.float32)
    got = MLP(3, 230, 2, rate=100).features(torch.as_tensor(x)).reshape(2, 3, 2, 4).numpy()
    pieces = x[..., :200].reshape(2, 3, 4, 50)
    np.testing.assert_allclose(got[:, :, 0], pieces.mean(3), atol=1e-6)
    np.testing.assert_allclose(got[:, :, 1], np.log(pieces.var(3)), atol=1e-5)


@pytest.mark.parametrize("n_times", [1, 2, 30])
def test_the_perceptron_takes_windows_of_any_length(n_times):
    x = torch.randn(6, 3, n_times)
    net = MLP(3, n_times, 2, rate=100)
    assert net(x).shape == (6, 2)
    assert net.features(x).shape == (6, 3 if n_times == 1 else 6)


def test_tokens_are_filtered_pooled_power():
    torch.manual_seed(0)
    net = Tokens("net", 4, 300, 3, rate=100).eval()
    x = torch.randn(2, 4, 300)
    mixed = np.einsum("fc,nct->nft", net.mix.weight[..., 0].detach().numpy(), x.numpy())
    kernel = net.filter.weight[:, 0].detach().numpy()
    for f in range(3):
        filtered = np.stack([np.correlate(row, kernel[f], "valid") for row in mixed[:, f]])
        for token in range(net.count):
            power = (filtered[:, 25 * token : 25 * token + 50] ** 2).mean(1)
            expected = np.log(power) / np.sqrt(1 + net.norm.eps)
            got = net(x)[:, f, token].detach().numpy()
            np.testing.assert_allclose(got, expected, atol=1e-5)


def test_without_power_a_flipped_signal_is_another():
    x = torch.randn(3, 4, 300)
    for power, same in ((True, True), (False, False)):
        torch.manual_seed(1)
        net = CNN(4, 300, 2, rate=100, power=power).eval()
        assert torch.allclose(net(x), net(-x), atol=1e-5) is same


def test_the_two_directions_end_at_opposite_ends():
    """The last state of each direction is what torch gives as the final hidden state."""
    torch.manual_seed(0)
    for cell in ("rnn", "lstm", "gru"):
        net = Recurrent(4, 300, 2, rate=100, cell=cell, bidirectional=True).eval()
        x = torch.randn(3, 4, 300)
        hidden = net.cell(net.stem(x).mT)[1]
        hidden = hidden[0] if cell == "lstm" else hidden
        expected = net.output(torch.cat([hidden[0], hidden[1]], 1))
        torch.testing.assert_close(net(x), expected)


def test_attention_weighs_states():
    net = Recurrent(4, 300, 2, rate=100, cell="gru", attention=True).eval()
    states = torch.randn(3, 7, 16)
    weight = net.attention.weights(states)
    np.testing.assert_allclose(weight.sum(1).detach().numpy(), 1, atol=1e-6)
    score = np.tanh(states.numpy()) @ net.attention.query.weight[0].detach().numpy()
    share = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    expected = np.tanh((share[..., None] * states.numpy()).sum(1))
    np.testing.assert_allclose(net.attention(states).detach().numpy(), expected, atol=1e-5)


def test_order_matters_to_the_transformer():
    torch.manual_seed(0)
    net = Transformer(4, 300, 2, rate=100).eval()
    x = torch.randn(2, 4, 300)
    torch.testing.assert_close(sines(20, 8)[1, 0], torch.tensor(1.0).sin())
    with_positions, back = net(x), net(x.flip(2))
    assert not torch.allclose(with_positions, back, atol=1e-3)


def test_unknown_cell_and_odd_heads():
    with pytest.raises(ConfigError, match="gru"):
        Recurrent(4, 300, 2, rate=100, cell="gruu")
    with pytest.raises(ConfigError, match="multiple of 8"):
        Transformer(4, 300, 2, rate=100, width=12)


@pytest.mark.parametrize("net", [MLP, CNN, ResCNN, DenseCNN, Transformer, Recurrent])
def test_learns_power_it_was_never_told(net):
    """Class 1 has twice the amplitude on one channel; half of the windows are kept from it."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4, 200)).astype(np.float32), np.arange(80) % 2
    x[y == 1, 2] *= 2
    plan = Training(epochs=25, batch=20, lr=0.01, threads=1)
    made = NetLearner("net", net, n_channels=4, n_times=200, n_outputs=2, rate=100.0, training=plan)
    made.fit(x[:40], y[:40])
    assert (made.predict_scores(x[40:]).argmax(1) == y[40:]).mean() >= 0.9
