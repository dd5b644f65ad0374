"""Graphs of channels and Chebyshev filters, against dense algebra in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev

torch = pytest.importorskip("torch")

from neuroloom.nets.graph import (  # noqa: E402
    GCN,
    BiLSTMGCN,
    ChebConv,
    GraphPower,
    chebyshev_basis,
    pearson_graph,
)


def scaled_laplacian(adjacency):
    degree = adjacency.sum(1)
    laplacian = np.eye(len(adjacency)) - adjacency / np.sqrt(np.outer(degree, degree))
    return 2 * laplacian / np.linalg.eigvalsh(laplacian).max() - np.eye(len(adjacency))


def some_graph(n=6, seed=0):
    weights = np.random.default_rng(seed).uniform(size=(n, n))
    return np.triu(weights, 1) + np.triu(weights, 1).T


@pytest.mark.parametrize("order", [1, 2, 5])
def test_basis_equals_polynomials_of_the_eigenvalues(order):
    adjacency = some_graph()
    values, vectors = np.linalg.eigh(scaled_laplacian(adjacency))
    basis = chebyshev_basis(torch.as_tensor(adjacency), order).numpy()
    assert len(basis) == order
    assert values.min() >= -1 - 1e-9
    assert values.max() == pytest.approx(1)
    for k in range(order):
        response = chebyshev.chebval(values, np.eye(order)[k])
        np.testing.assert_allclose(basis[k], vectors * response @ vectors.T, atol=1e-6)


def test_convolution_equals_a_spectral_filter():
    """One feature in, one out: the filter multiplies the graph's spectrum by the polynomial."""
    adjacency = some_graph()
    values, vectors = np.linalg.eigh(scaled_laplacian(adjacency))
    conv = ChebConv(1, 1, 4)
    x = np.random.default_rng(1).normal(size=(3, 6, 1)).astype(np.float32)
    got = conv(torch.as_tensor(x), chebyshev_basis(torch.as_tensor(adjacency), 4))
    response = chebyshev.chebval(values, conv.weight[:, 0, 0].detach().numpy())
    expected = np.einsum("uv,nv->nu", vectors * response @ vectors.T, x[..., 0])
    np.testing.assert_allclose(got[..., 0].detach().numpy(), expected, atol=1e-5)


def test_convolution_of_many_features():
    basis = chebyshev_basis(torch.as_tensor(some_graph()), 3)
    conv, x = ChebConv(2, 5, 3), torch.randn(4, 6, 2)
    expected = sum(basis[k] @ x @ conv.weight[k] for k in range(3)) + conv.bias
    torch.testing.assert_close(conv(x, basis), expected)


def test_a_filter_of_order_k_reaches_k_minus_one_steps():
    chain = np.diag(np.ones(6), 1) + np.diag(np.ones(6), -1)
    basis = chebyshev_basis(torch.as_tensor(chain), 4).numpy()
    distance = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    for k, polynomial in enumerate(basis):
        assert np.abs(polynomial[distance > k]).max(initial=0) < 1e-6
        assert np.abs(polynomial[distance == k]).min() > 1e-3


def test_graph_is_the_correlation_of_numpy():
    x = np.random.default_rng(2).normal(size=(7, 4, 50))
    x[:, 1] -= 2 * x[:, 0]
    expected = np.abs(np.corrcoef(x.transpose(1, 0, 2).reshape(4, -1)))
    got = pearson_graph(torch.as_tensor(x)).numpy()
    np.testing.assert_allclose(got, expected - np.eye(4), atol=1e-9)


def test_flat_and_single_channels_have_a_graph():
    assert np.isfinite(chebyshev_basis(torch.zeros(1, 1), 3).numpy()).all()
    x = torch.randn(5, 3, 40)
    x[:, 1] = 0
    graph = pearson_graph(x)
    assert graph[1].tolist() == [0, 0, 0]
    assert chebyshev_basis(graph, 3).isfinite().all()


def test_filters_of_signals_equal_filters_one_by_one():
    torch.manual_seed(0)
    stem = GraphPower("net", 200, 2, 3, 100.0).eval()
    basis = chebyshev_basis(torch.as_tensor(some_graph(4)), 3)
    x = torch.randn(2, 4, 200)
    got = stem(x, basis).detach().numpy()
    mixing = torch.einsum("fk,kcd->fcd", stem.graph, basis).detach().numpy()
    for f in range(2):
        mixed = mixing[f] @ x.numpy()
        kernel = stem.filter[f, 0].detach().numpy()
        for node in range(4):
            row = np.correlate(mixed[1, node], kernel, "valid")
            power = [(row[start : start + 50] ** 2).mean() for start in range(0, 132, 25)]
            np.testing.assert_allclose(got[1, f, node], np.log(power), atol=1e-4)


@pytest.mark.parametrize("net", [GCN, BiLSTMGCN])
def test_adapt_measures_the_graph_and_outputs_follow(net):
    torch.manual_seed(0)
    made = net(5, 200, 2, rate=100).eval()
    x = torch.randn(8, 5, 200)
    x[:, 1] += x[:, 0]
    before = made(x)
    made.adapt(x, torch.zeros(8))
    expected = chebyshev_basis(pearson_graph(x), 4)
    torch.testing.assert_close(made.basis, expected)
    assert not torch.allclose(before, made(x))
    assert "basis" in made.state_dict()
