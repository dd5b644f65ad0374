"""Muon beside what it stands for: orthogonal steps, AdamW for the rest, a state that is kept."""

from __future__ import annotations

import pytest
import torch

from neuroloom.learn.training import muon
from neuroloom.learn.training.muon import Muon, muon_groups, orthogonal


def test_a_step_is_near_the_orthogonal_factor_of_the_gradient():
    matrix = torch.randn(12, 40, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = orthogonal(matrix)
    # Same singular vectors: in their basis the step is diagonal, its values near one.
    inner = u.T @ turned @ v.T
    assert torch.allclose(inner, torch.diag(inner.diagonal()), atol=1e-3)
    assert ((inner.diagonal() > 0.6) & (inner.diagonal() < 1.3)).all()


def test_what_is_no_hidden_weight_is_stepped_as_by_adamw():
    start = torch.randn(5, generator=torch.Generator().manual_seed(1))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine = Muon([{"params": [ours], "weight_decay": 0.1}], lr=0.01, rate=1.0)
    peer = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for _ in range(5):
        for p, o in ((ours, mine), (theirs, peer)):
            o.zero_grad()
            (p**3).sum().backward()
            o.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_muon_equals_torch_on_matrices():
    start = torch.randn(6, 20, generator=torch.Generator().manual_seed(2))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine = Muon([{"params": [ours], "muon": True}], lr=0.02, rate=1.0, momentum=0.9)
    peer = torch.optim.Muon([theirs], lr=0.02, momentum=0.9, weight_decay=0.0, nesterov=True)
    for _ in range(3):
        for p, o in ((ours, mine), (theirs, peer)):
            o.zero_grad()
            (torch.sin(p) ** 2).sum().backward()
            o.step()
    # The peer iterates in bfloat16.
    assert torch.allclose(ours - start, theirs - start, atol=0.006)


def test_first_and_last_layers_are_left_to_adamw():
    net = torch.nn.ModuleDict({
        "first": torch.nn.Conv3d(1, 4, 3), "hidden": torch.nn.Conv3d(4, 8, 3),
        "heads": torch.nn.Conv3d(8, 2, 1),
    })  # fmt: skip
    hidden, weights, vectors = muon_groups(net, 0.01)
    assert [tuple(p.shape) for p in hidden["params"]] == [(8, 4, 3, 3, 3)]
    assert len(weights["params"]) == 2
    assert len(vectors["params"]) == 3


def test_its_state_can_be_stored_and_taken_back():
    weight = torch.nn.Parameter(torch.randn(4, 4, 3))
    optimiser = Muon([{"params": [weight], "muon": True}], lr=0.01, rate=1.0)
    weight.sum().backward()
    optimiser.step()
    again = Muon([{"params": [weight], "muon": True}], lr=0.01, rate=1.0)
    again.load_state_dict(optimiser.state_dict())
    assert torch.equal(again.state[weight]["momentum"], optimiser.state[weight]["momentum"])


@pytest.mark.parametrize("shape", [(16, 432), (40, 20), (20, 40), (7, 900), (900, 7)])
def test_turns_on_the_gram_matrix_are_those_on_the_matrix(shape, monkeypatch):
    """Also of a gradient whose directions differ ten thousandfold."""
    generator = torch.Generator().manual_seed(5)
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=generator), full_matrices=False)
    matrix = (u * torch.logspace(0, -4, min(shape))) @ v
    ours = orthogonal(matrix)
    monkeypatch.setattr(muon, "WIDE", float("inf"))
    expected = orthogonal(matrix.double())
    assert (ours - expected).norm() < 0.01 * expected.norm()
