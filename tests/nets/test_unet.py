"""The U-Net along time: shapes, the Dice loss, and that it learns where events are."""

from __future__ import annotations

import pytest
import torch

from neuroloom.core.errors import ConfigError
from neuroloom.nets.unet import UNet, dice_loss


@pytest.mark.parametrize("n_times", [64, 100, 999, 1000])
def test_every_sample_gets_a_score(n_times):
    assert UNet(2, n_times, 3, rate=100.0)(torch.randn(2, 2, n_times)).shape == (2, 3, n_times)


def test_too_short_a_stretch_is_refused():
    with pytest.raises(ConfigError, match="64 samples or more, got 63"):
        UNet(1, 63, 2)


def test_dice_is_one_minus_the_overlap_of_sure_answers():
    truth = torch.randint(0, 2, (4, 200), generator=torch.Generator().manual_seed(0))
    guess = torch.randint(0, 2, (4, 200), generator=torch.Generator().manual_seed(1))
    outputs = 60.0 * torch.stack([1 - guess, guess], 1)
    both, either = (truth * guess).sum(), truth.sum() + guess.sum()
    assert float(dice_loss(outputs, truth)) == pytest.approx(
        float(1 - (2 * both + 1) / (either + 1))
    )


def test_unknown_samples_do_not_count():
    net = UNet(1, 128, 2, rate=100.0).eval()
    x, y = torch.randn(2, 1, 128), torch.randint(0, 2, (2, 128))
    half = y.clone()
    half[:, 64:] = -1
    flipped = torch.where(half < 0, half, y)
    assert torch.equal(net.loss(x, half, None), net.loss(x, flipped, None))
    assert not torch.equal(net.loss(x, half, None), net.loss(x, y, None))


def test_gradients_reach_every_weight():
    net = UNet(1, 256, 2, rate=100.0)
    net.loss(torch.randn(4, 1, 256), torch.randint(0, 2, (4, 256)), None).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
