"""Convolutions without detours are torch's."""

from __future__ import annotations

from math import prod

import pytest
import torch
from torch import nn

from neuroloom.nets.layers import winograd
from neuroloom.nets.layers.lean_conv import LeanConv2d, LeanConv3d, LeanUp2d, LeanUp3d, lay_last
from neuroloom.nets.layers.norm_act import channels_lie_last

LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}
KINDS = {2: (LeanConv2d, nn.Conv2d), 3: (LeanConv3d, nn.Conv3d)}
UPS = {2: (LeanUp2d, nn.ConvTranspose2d), 3: (LeanUp3d, nn.ConvTranspose3d)}


def twins(dims, *sizes, kinds=KINDS, **options):
    torch.manual_seed(0)
    ours, theirs = (kind(*sizes, **options).double() for kind in kinds[dims])
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def image(dims, channels, last=True):
    x = torch.randn(2, channels, *(5, 6, 4)[:dims], dtype=torch.float64)
    return (x.contiguous(memory_format=LAYOUT[dims]) if last else x).requires_grad_()


def assert_same(ours, theirs, given):
    y, expected = ours(given), theirs(given)
    torch.testing.assert_close(y, expected)
    pull = torch.randn_like(expected)
    mine = torch.autograd.grad((y * pull).sum(), [given, *ours.parameters()])
    other = torch.autograd.grad((expected * pull).sum(), [given, *theirs.parameters()])
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_one_voxel_kernels(dims, last, bias):
    ours, theirs = twins(dims, 4, 3, 1, bias=bias)
    x = image(dims, 4, last)
    assert_same(ours, theirs, x)


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"padding": 1}, {"padding": 1, "kernel_size": 3}]
)
@pytest.mark.parametrize("dims", [2, 3])
def test_other_kernels_and_strides(dims, options):
    ours, theirs = twins(dims, 4, 3, **({"kernel_size": 1} | options))
    x = image(dims, 4)
    assert_same(ours, theirs, x)


@pytest.mark.parametrize("dilation", [2, 3, (1, 2), (4, 1, 2)])
def test_dilated_kernels_of_three_are_filtered_on_every_second_place(dilation, monkeypatch):
    dims = len(dilation) if isinstance(dilation, tuple) else 3
    calls, filtered = [], winograd.convolve
    monkeypatch.setattr(winograd, "pays", lambda shape, outputs: True)
    monkeypatch.setattr(
        winograd, "convolve", lambda *a: calls.append(tuple(a[0].shape)) or filtered(*a)
    )
    ours, theirs = twins(dims, 4, 3, 3, padding=dilation, dilation=dilation)
    x = torch.randn(2, 4, *(9, 10, 7)[:dims]).contiguous(memory_format=LAYOUT[dims])
    y, expected = ours.float()(x.requires_grad_()), theirs.float()(x)
    assert len(calls) == 1
    assert calls[0][0] == 2 * (dilation**3 if isinstance(dilation, int) else prod(dilation))
    assert channels_lie_last(y)
    torch.testing.assert_close(y, expected, atol=1e-4, rtol=1e-4)
    pull = torch.randn_like(expected)
    mine = torch.autograd.grad((y * pull).sum(), [x, *ours.parameters()])
    other = torch.autograd.grad((expected * pull).sum(), [x, *theirs.parameters()])
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"padding": 1}, {"stride": 3}])
@pytest.mark.parametrize("dims", [2, 3])
def test_transposed(dims, options):
    steps = (1, 2, 3)[-dims:]
    options = {"kernel_size": steps, "stride": steps} | options
    if "padding" in options:
        options |= {"kernel_size": 3}
    ours, theirs = twins(dims, 4, 3, kinds=UPS, **options)
    x = image(dims, 4)
    assert_same(ours, theirs, x)


@pytest.mark.parametrize("dims", [2, 3])
def test_one_voxel_kernels_with_a_stride(dims, monkeypatch):
    """Never torch's own code: with few channels it writes outside its arrays (2.13, 2-D)."""
    ours, theirs = twins(dims, 4, 8, 1, stride=(2, 1, 3)[:dims])
    given = image(dims, 4)
    assert_same(ours, theirs, given)
    monkeypatch.setattr(KINDS[dims][1], "_conv_forward", pytest.fail)
    ours(given)


def test_an_image_without_examples_is_torchs_error():
    with pytest.raises(RuntimeError, match="channels"):
        LeanConv3d(4, 3, 1)(torch.randn(2, 4, 5, 6).contiguous(memory_format=LAYOUT[2]))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_laid_last_returns_channels_that_lie_last(dims, channels):
    lean, plain = KINDS[dims]
    net = nn.Sequential(lean(channels, 6, 3), nn.ReLU(), plain(6, 4, 3))
    kept = net[2].weight.stride()
    lay_last(net)
    x = torch.randn(2, channels, *(9,) * dims)
    assert channels_lie_last(net[:2](x))
    assert net[2].weight.stride() == kept
