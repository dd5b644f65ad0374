"""Nets as they predict answer as they did when they had learnt."""

from __future__ import annotations

import torch

from neuroloom.pose.nets.quick import folded, stored
from neuroloom.pose.nets.unet import PoseUNet
from neuroloom.pose.nets.views import halved


def learnt(seed: int = 0) -> PoseUNet:
    torch.manual_seed(seed)
    net = PoseUNet(1, 4, (8, 16, 24))
    for _ in range(3):
        net(torch.randn(4, 1, 64, 48) * 2 + 1)
    return net.eval()


def test_folded_nets_answer_alike_and_leave_the_net_alone():
    net, x = learnt(), torch.randn(3, 1, 64, 48)
    with torch.no_grad():
        before = net(x)
        quick = folded(net)
        after = quick(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(net(x), before, atol=0, rtol=0)
    norms = [part for part in quick.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert not norms


def test_weights_are_stored_as_they_were():
    net = learnt()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    again = stored(net.to(memory_format=torch.channels_last)).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in before.items())
    assert all(value.is_contiguous() for value in again.values())


def test_frames_are_halved_alike_in_one_step_and_in_two():
    frames = torch.randint(0, 256, (2, 1, 64, 96)).to(torch.uint8)
    torch.testing.assert_close(halved(frames, 2), halved(halved(frames, 1), 1), atol=1e-3, rtol=0)
    odd = halved(frames[:, :, :63], 2)
    assert odd.shape == (2, 1, 16, 24)
