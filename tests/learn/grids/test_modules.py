"""Encoders in training: moments of their batch norms."""

from __future__ import annotations

import torch
from torch import nn

from neuroloom.learn.grids import modules
from neuroloom.learn.grids.modules import GridMembers
from neuroloom.learn.training.fit import Training


def members() -> GridMembers:
    net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Flatten(1))
    return GridMembers(lambda: net, Training(), "classification")


def measured(n, batch, places, monkeypatch):
    """Return how many images a net was shown to settle its norms."""
    monkeypatch.setattr(modules, "SETTLED", places)
    seen, net = [], members()
    net.outputs = lambda x: seen.append(x) or net(x)  # type: ignore[method-assign]
    net.settle(torch.randn(n, 1, 8, 8).split(batch))
    assert not net.training
    return sum(map(len, seen))


def test_batch_norms_are_settled_on_places_enough(monkeypatch):
    assert measured(60, 4, 10**9, monkeypatch) == 60
    assert measured(400, 4, 64 * 100, monkeypatch) == 100


def test_batch_norms_are_settled_on_images_enough_however_large(monkeypatch):
    assert modules.FEWEST <= measured(400, 4, 1, monkeypatch) < 1.2 * modules.FEWEST
    assert measured(20, 4, 1, monkeypatch) == 20
