"""Monte Carlo dropout: draws, their mean, and doubt."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neuroloom.nets.bayes import BayesCNN  # noqa: E402


def made(**options):
    torch.manual_seed(0)
    return BayesCNN(4, 200, 3, rate=100, **options).eval()


def test_same_window_same_answer_and_the_draws_differ():
    net, x = made(), torch.randn(5, 4, 200)
    torch.testing.assert_close(net(x), net(x), atol=0, rtol=0)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), atol=1e-5, rtol=1e-5)
    draws = net.draws(x)
    assert draws.shape == (32, 5, 3)
    assert (draws.std(0) > 1e-3).all()


def test_prediction_is_the_mean_probability_of_the_draws():
    net, x = made(), torch.randn(5, 4, 200)
    mean = net.draws(x).softmax(2).mean(0)
    torch.testing.assert_close(net(x).exp(), mean)


def test_a_draw_is_the_thinned_net():
    """One draw, written out by hand with its masks."""
    net, x = made(), torch.randn(2, 4, 200)
    k, h = 3, net.stem(x)
    for i, layer in enumerate(net.layers):
        h = layer(h * getattr(net, f"mask_{i}")[k])
    expected = net.output(h.mean(2) * net.mask_2[k])
    torch.testing.assert_close(net.draws(x)[k], expected)


def test_masks_keep_their_share_and_the_mean():
    net = made(dropout=0.4, passes=2000)
    kept = (net.mask_2 > 0).double().mean()
    assert kept.item() == pytest.approx(0.6, abs=0.01)
    assert net.mask_2.max().item() == pytest.approx(1 / 0.6)


def test_without_dropout_no_doubt():
    x = torch.randn(5, 4, 200)
    sure, unsure = made(dropout=0.0), made(dropout=0.5)
    assert sure.doubt(x).abs().max() < 1e-5
    assert (unsure.doubt(x) > 1e-4).all()
    p = unsure.draws(x).softmax(2).detach().numpy()
    mean = p.mean(0)
    total = -(mean * np.log(mean)).sum(1)
    expected = total - -(p * np.log(p)).sum(2).mean(0)
    np.testing.assert_allclose(unsure.doubt(x).detach().numpy(), expected, atol=1e-5)


def test_a_number_is_the_mean_of_the_draws():
    torch.manual_seed(0)
    net, x = BayesCNN(4, 200, 1, rate=100).eval(), torch.randn(5, 4, 200)
    torch.testing.assert_close(net(x), net.draws(x).mean(0))
