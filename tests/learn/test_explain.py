"""Attribution, permutation and patterns find what was planted; maps that cannot be read fail."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.learn.explain import (
    METHODS,
    attribute,
    log_odds,
    map_similarity,
    pattern,
    permutation_relevance,
    reinitialise,
    sanity_check,
    select_parts,
    truth_scores,
)


@pytest.fixture(scope="module")
def trained():
    """A small net trained to tell the sign of channel 2 in its second half, and its data."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.randn(256, 4, 20)
        y = (x[:, 2, 10:].mean(1) > 0).long()
        net = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(80, 16),
            torch.nn.ReLU(),
            torch.nn.Linear(16, 2),
            torch.nn.LogSoftmax(1),
        )
        optimiser = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-3)
        for _ in range(150):
            optimiser.zero_grad()
            torch.nn.functional.nll_loss(net(x), y).backward()
            optimiser.step()
    return net.eval(), x.numpy()[:64], y.numpy()[:64]


@pytest.mark.parametrize("method", METHODS)
def test_attribution_finds_the_planted_values(trained, method):
    net, x, y = trained
    given = np.abs(attribute(net, x, y, method=method)).mean(axis=0)
    assert given.shape == (4, 20)
    assert given.sum(axis=1).argmax() == 2
    if method != "occlusion":  # it knows rows only
        assert given[2, 10:].mean() > 3 * given[2, :10].mean()


def test_occlusion_of_a_linear_net_is_what_the_row_adds():
    import torch

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
    x = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
    given = attribute(net, x, np.array([0, 1, 1]), method="occlusion")
    weight = net[1].weight.detach().numpy()[[0, 1, 1]].reshape(3, 2, 3)
    np.testing.assert_allclose(given[:, :, 0], (weight * x).sum(2), atol=1e-5)
    assert (np.ptp(given, axis=2) == 0).all()


def test_log_odds_keep_their_slope_where_the_net_is_sure():
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(1, 3), torch.nn.LogSoftmax(1))
    x = torch.full((1, 1), 3.0)
    with torch.no_grad():
        net[0].weight[:] = torch.tensor([[30.0], [0.0], [-5.0]])
        probability = net(x).exp().double()
    odds = log_odds(net)(x)[0].detach()
    assert float(odds[1]) == pytest.approx(float(torch.logit(probability)[0, 1]), abs=0.1)
    slope = attribute(log_odds(net), x.numpy(), np.array([0]), method="saliency")
    assert slope.item() == pytest.approx(30, abs=1)
    assert attribute(net, x.numpy(), np.array([0]), method="saliency").item() < 1e-6


def test_integrated_gradients_add_up(trained):
    import torch

    net, x, y = trained
    given = attribute(net, x, y, steps=128).sum(axis=(1, 2))
    with torch.no_grad():
        score = net(torch.as_tensor(x)).numpy()[np.arange(len(y)), y]
        zero = net(torch.zeros(1, 4, 20)).numpy()[0, y]
    np.testing.assert_allclose(given, score - zero, atol=0.1)


def test_numbers_instead_of_classes():
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(3, 1, bias=False), torch.nn.Flatten(0))
    x = np.eye(3, dtype=np.float32)
    given = attribute(net, x)
    np.testing.assert_allclose(np.diag(given), net[0].weight.detach().numpy()[0], rtol=1e-5)


def test_unknown_method(trained):
    net, x, y = trained
    with pytest.raises(ConfigError, match="Did you mean 'saliency'"):
        attribute(net, x, y, method="salience")


def test_reinitialise_leaves_the_net_and_the_generator_alone(trained):
    import torch

    net, *_ = trained
    before, state = net[1].weight.clone(), torch.random.get_rng_state()
    new = reinitialise(net)
    assert torch.equal(net[1].weight, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(new[1].weight, before)


def test_sanity_passes_a_net_and_fails_an_edge_detector(trained):
    import torch

    net, x, y = trained
    passed = sanity_check(net, x, y)
    assert passed.passed
    assert "differs from" in passed.verdict

    class Energy(torch.nn.Module):
        """It has no weights, so nothing can be re-initialised."""

        def forward(self, x):
            return (x**2).sum(dim=(1, 2))

    failed = sanity_check(Energy(), x)
    assert not failed.passed
    assert failed.correlation == pytest.approx(1)
    assert "do not read it" in failed.verdict


def test_similarity_of_unrelated_maps_is_nil():
    maps = np.random.default_rng(0).normal(size=(2, 20, 500))
    assert abs(map_similarity(*maps)) < 0.05


def test_permutation_finds_the_planted_channel_and_class_columns():
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    x = rng.normal(size=(100, 3, 50))
    x[:, 1] += y[:, None]

    def score(x):
        margin = 5 * (x[:, 1].mean(axis=1) - 0.5)
        return -np.logaddexp(0, np.stack([margin, -margin], axis=1))

    table = permutation_relevance(score, x, y, select_parts(3, names=["C3", "Cz", "C4"]))
    assert table.columns.tolist() == ["part", "0", "1", "relevance"]
    assert table.set_index("part").relevance.idxmax() == "Cz"
    assert table.relevance[[0, 2]].abs().max() < 1e-12
    again = permutation_relevance(score, x, y, select_parts(3, names=["C3", "Cz", "C4"]))
    assert table.equals(again)


def test_truth_scores_of_numbers():
    assert truth_scores(np.array([1.0, 3.0]), np.array([1.0, 1.0])).tolist() == [0, -4]


def test_pattern_shows_the_source_not_the_canceller():
    """Haufe's example: one sensor sees source and noise, the other noise alone; weights 1, -1."""
    rng = np.random.default_rng(0)
    source, noise = rng.normal(size=(2, 2000))
    features = np.stack([source + noise, noise], axis=1)
    found = pattern(features, features @ np.array([1.0, -1.0]))
    assert found[0, 0] > 0.6
    assert abs(found[1, 0]) < 0.06


def test_pattern_of_two_classes_is_opposite():
    rng = np.random.default_rng(0)
    margin = rng.normal(size=200)
    scores = -np.logaddexp(0, np.stack([margin, -margin], axis=1))
    found = pattern(margin[:, None, None] + rng.normal(size=(200, 2, 3)), scores)
    assert found.shape == (2, 3, 2)
    np.testing.assert_allclose(found[..., 0], -found[..., 1], atol=1e-12)
