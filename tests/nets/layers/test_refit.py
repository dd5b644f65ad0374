"""Nets of other hands, fitted to small batches and a CPU, answer as they did."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neuroloom.nets.layers.norm_act import NormAct
from neuroloom.nets.layers.refit import refit

AXES = {2: (8, 12), 3: (4, 8, 4)}


def stock(dims, norm):
    """A net of every layer that is replaced, its activations written over what they are given."""
    conv = nn.Conv2d if dims == 2 else nn.Conv3d
    up = nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d
    act = nn.ELU(inplace=True)
    inner = nn.Sequential(conv(1, 6, 3, padding=1), norm(6), act, conv(6, 5, 1), up(5, 4, 2, 2))
    return nn.Sequential(inner, norm(4)).double()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("affine", [True, False])
def test_instance_norms_and_layers_answer_alike(dims, affine):
    torch.manual_seed(0)
    kind = nn.InstanceNorm2d if dims == 2 else nn.InstanceNorm3d
    net = stock(dims, lambda width: kind(width, affine=affine))
    x = torch.randn(2, 1, *AXES[dims], dtype=torch.float64)
    expected = net(x)
    (expected**3).sum().backward()
    slopes = [p.grad.clone() for p in net.parameters()]
    weights = net.state_dict()
    net.zero_grad()
    refit(net)
    net.double()
    assert [name for name, _ in net.named_parameters()] == list(weights)
    y = net(x)
    torch.testing.assert_close(y, expected)
    (y**3).sum().backward()
    for p, slope in zip(net.parameters(), slopes, strict=True):
        torch.testing.assert_close(p.grad, slope)


@pytest.mark.parametrize("dims", [2, 3])
def test_no_batch_norm_is_left(dims):
    """An image is answered alike alone, among others, and whether a net is trained or not."""
    net = stock(dims, nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d)
    refit(net)
    net.double()
    assert sum(isinstance(part, NormAct) for part in net.modules()) == 2
    x = torch.randn(3, 1, *AXES[dims], dtype=torch.float64)
    torch.testing.assert_close(net.train()(x)[:1], net.eval()(x[:1]))
