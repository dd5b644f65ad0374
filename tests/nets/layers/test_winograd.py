"""Minimal filtering is convolution: answers and gradients, every size, and where it is used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neuroloom.nets.layers import winograd
from neuroloom.nets.layers.lean_conv import LeanConv2d, LeanConv3d

LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}
CONV = {2: torch.conv2d, 3: torch.conv3d}
KINDS = {2: LeanConv2d, 3: LeanConv3d}


def drawn(places, n=2, inputs=5, outputs=3):
    generator = torch.Generator().manual_seed(0)
    axes = len(places)
    x = torch.randn(n, inputs, *places, generator=generator)
    weight = torch.randn(outputs, inputs, *(3,) * axes, generator=generator)
    return x.contiguous(memory_format=LAYOUT[axes]).requires_grad_(), weight.requires_grad_()


def exact(x, weight, pull):
    y = CONV[x.ndim - 2](x.double(), weight.double(), padding=1)
    return y, *torch.autograd.grad(y, (x, weight), pull.double())


def found(x, weight, pull):
    y = winograd.convolve(x, weight)
    return y, *torch.autograd.grad(y, (x, weight), pull)


def off(x, weight):
    """Return the error of the answer and of both gradients, in standard deviations of each."""
    pull = torch.randn(len(x), len(weight), *x.shape[2:])
    both = zip(found(x, weight, pull), exact(x, weight, pull), strict=True)
    return [float((a - b).detach().abs().max() / b.detach().std()) for a, b in both]


@pytest.mark.parametrize(
    "places", [(8, 8), (4, 12), (5, 7), (1, 1), (2, 9), (8, 4, 8), (5, 6, 7), (1, 3, 2), (9, 1, 4)]
)
def test_equals_the_convolution(places):
    assert max(off(*drawn(places))) < 4e-5


@pytest.mark.parametrize("numbers", [1, 800, 6000, 10**6])
@pytest.mark.parametrize("places", [(22, 9), (18, 5, 6)])
def test_blocks_change_nothing(places, numbers, monkeypatch):
    blocks = winograd._blocks
    monkeypatch.setattr(winograd, "_BLOCK", numbers)
    monkeypatch.setattr(winograd, "_blocks", lambda tiles, weights: blocks(tiles, 0))
    assert max(off(*drawn(places, n=3))) < 5e-5


@pytest.mark.parametrize("counts", [(4, 3, 5, 2), (1, 1, 90, 90), (9, 2, 2, 2), (1, 40, 3)])
@pytest.mark.parametrize("weights", [0, 60_000])
def test_blocks_hold_each_tile_once_and_no_more_than_they_may(counts, weights, monkeypatch):
    monkeypatch.setattr(winograd, "_BLOCK", 40_000)
    axes = len(counts) - 1
    tiles = torch.zeros(*(6,) * axes, *counts, 8)
    for block in winograd._blocks(tiles, weights):
        tiles[block] += 1
        assert tiles[block].numel() <= max(40_000, weights)
    assert float(tiles.min()) == float(tiles.max()) == 1


def test_more_weights_than_places():
    assert max(off(*drawn((4, 5, 4), n=1, inputs=70, outputs=60))) < 5e-5


def test_what_is_written_over_may_be_what_comes_out():
    x, weight = drawn((8, 8))
    torch.relu_(winograd.convolve(x, weight)).sum().backward()
    assert x.grad.isfinite().all()


def test_large_offsets_and_small_numbers():
    """The error goes with the numbers, not with what they differ by."""
    x, weight = drawn((16, 16))
    far = (x + 1000).detach().requires_grad_()
    y, other = winograd.convolve(far, weight), CONV[2](far.double(), weight.double(), padding=1)
    assert float((y - other).detach().abs().max() / other.detach().abs().max()) < 1e-5
    tiny = (x * 1e-20).detach()
    both = winograd.convolve(tiny, weight), CONV[2](tiny, weight, padding=1)
    torch.testing.assert_close(both[0] * 1e20, both[1] * 1e20, rtol=1e-4, atol=1e-4)


def test_what_is_not_a_number_stays_near_its_tile():
    x, weight = drawn((40, 40))
    hole = x.detach().clone(memory_format=torch.preserve_format)
    hole[0, 0, 5, 5] = float("nan")
    y = winograd.convolve(hole, weight)
    assert y[0].isnan().any()
    assert y[0, :, 12:, 12:].isfinite().all()
    assert y[1].isfinite().all()


def test_lies_with_the_channels_last():
    x, weight = drawn((6, 7, 5))
    y = winograd.convolve(x, weight)
    assert y.is_contiguous(memory_format=torch.channels_last_3d)


def test_only_what_asks_gets_a_gradient():
    x, weight = drawn((8, 8))
    y = winograd.convolve(x.detach(), weight)
    y.sum().backward()
    assert x.grad is None
    assert weight.grad is not None


@pytest.mark.parametrize("dims", [2, 3])
def test_a_wide_layer_goes_this_way_and_a_thin_one_does_not(dims, monkeypatch):
    calls = []
    real = winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *given: calls.append(1) or real(*given))
    for width, expected in ((64, 1), (4, 0)):
        calls.clear()
        conv = KINDS[dims](width, width, 3, padding=1)
        x = torch.randn(2, width, *(24,) * dims).contiguous(memory_format=LAYOUT[dims])
        y = conv(x)
        assert len(calls) == expected
        plain = CONV[dims](x.double(), conv.weight.double(), conv.bias.double(), padding=1)
        assert float((y - plain).detach().abs().max() / plain.detach().std()) < 5e-5


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"dilation": 2}, {"padding": 0}, {"groups": 2}, {"padding_mode": "circular"}],
)  # fmt: skip
def test_other_convolutions_stay_torchs(options, monkeypatch):
    monkeypatch.setattr(winograd, "convolve", pytest.fail)
    conv = LeanConv2d(64, 64, 3, **({"padding": 1} | options))
    x = torch.randn(4, 64, 32, 32).contiguous(memory_format=torch.channels_last)
    assert conv(x).shape == nn.Conv2d(64, 64, 3, **({"padding": 1} | options))(x).shape


def test_other_precisions_and_layouts_stay_torchs(monkeypatch):
    monkeypatch.setattr(winograd, "convolve", pytest.fail)
    conv = LeanConv2d(64, 64, 3, padding=1)
    x = torch.randn(4, 64, 32, 32)
    conv(x)
    last = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        conv(last)
    conv.double()(last.double())


def test_a_net_that_is_written_down_has_torchs_convolution():
    conv = LeanConv2d(64, 64, 3, padding=1).eval()
    x = torch.randn(2, 64, 32, 32).contiguous(memory_format=torch.channels_last)
    program = torch.export.export(conv, (x,))
    assert any("conv2d" in str(node.target) for node in program.graph.nodes)


@pytest.mark.parametrize("channels", [32, 128])
def test_a_wrong_number_of_channels_is_torchs_error(channels):
    x = torch.randn(4, channels, 32, 32).contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match="64 channels"):
        LeanConv2d(64, 64, 3, padding=1)(x)


def test_same_twice():
    x, weight = drawn((21, 18, 9), inputs=16, outputs=16)
    pull = torch.randn(2, 16, 21, 18, 9)
    for one, two in zip(found(x, weight, pull), found(x, weight, pull), strict=True):
        assert torch.equal(one, two)
