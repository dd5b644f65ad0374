"""Few-shot decoding: losses and prototypes by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.nets.siamese import Siamese, pair_loss, prototype_loss  # noqa: E402


def test_prototype_loss_by_hand():
    """An example is compared with the mean of the others of its class."""
    rng = np.random.default_rng(0)
    places, y = rng.normal(size=(7, 3)), np.array([0, 1, 0, 1, 1, 0, 2])
    losses = []
    for i in range(7):
        distance = {}
        for label in range(4):
            rows = [j for j in range(7) if y[j] == label and j != i]
            if rows:
                distance[label] = ((places[i] - places[rows].mean(0)) ** 2).sum()
        if y[i] in distance:
            total = np.log(sum(np.exp(-d) for d in distance.values()))
            losses.append(distance[y[i]] + total)
    assert len(losses) == 6
    got = prototype_loss(torch.as_tensor(places), torch.as_tensor(y), 4)
    assert got.item() == pytest.approx(np.mean(losses), abs=1e-9)


def test_pair_loss_by_hand():
    places = torch.tensor([[0.0, 0.0], [0.3, 0.4], [0.0, 0.6]], dtype=torch.float64)
    like = 0.25
    unlike = np.mean([(1 - 0.6) ** 2, (1 - np.hypot(0.3, 0.2)) ** 2])
    got = pair_loss(places, torch.tensor([0, 0, 1]), 1.0)
    assert got.item() == pytest.approx((like + unlike) / 2, abs=1e-6)


def test_losses_of_hopeless_batches_are_zero_and_have_a_gradient():
    places = torch.randn(2, 3, requires_grad=True)
    prototype_loss(places, torch.tensor([0, 1]), 2).backward()
    assert places.grad.abs().sum() == 0
    assert pair_loss(places[:1], torch.tensor([0]), 1.0).item() == 0


def test_twins_that_fall_together_keep_a_finite_gradient():
    places = torch.zeros(4, 2, requires_grad=True)
    pair_loss(places, torch.tensor([0, 0, 1, 1]), 1.0).backward()
    assert places.grad.isfinite().all()


@pytest.mark.parametrize("shots", [1, 5, 50])
def test_prototypes_are_means_of_the_support(shots):
    torch.manual_seed(0)
    net = Siamese(4, 200, 2, rate=100, shots=shots).eval()
    x, y = torch.randn(20, 4, 200), torch.arange(20) % 2
    net.conclude(x, y)
    embedded = net.embed(x).detach().numpy()
    for label in (0, 1):
        rows = np.flatnonzero(y.numpy() == label)
        rows = rows[np.linspace(0, 9, shots).round().astype(int)]
        expected = embedded[rows]
        np.testing.assert_allclose(net.support[label].numpy(), expected, atol=1e-5)
    means = net.support.numpy().mean(1)
    expected = -((embedded[:, None] - means) ** 2).sum(2)
    np.testing.assert_allclose(net(x).detach().numpy(), expected, atol=1e-4)


def test_support_follows_the_batches_until_the_fit_ends():
    torch.manual_seed(0)
    net = Siamese(4, 200, 2, rate=100, dropout=0.0)
    x, y = torch.randn(20, 4, 200), torch.arange(20) % 2
    for _ in range(40):
        net.loss(x, y, torch.Generator())
    embedded = net.embed(x).detach()
    for label in (0, 1):
        mean = embedded[y == label].mean(0).expand_as(net.support[label])
        torch.testing.assert_close(net.support[label], mean, atol=1e-3, rtol=1e-3)


def test_one_output_is_refused():
    with pytest.raises(ConfigError, match="two or more"):
        Siamese(4, 200, 1, rate=100)
