"""Encoders of images and volumes: shapes, gradients, ideas of the papers."""

from __future__ import annotations

import pytest
import torch

from neuroloom.core.errors import ConfigError
from neuroloom.nets.encoders.blocks import fold_in, levels_for, pad_to_multiple
from neuroloom.nets.encoders.classic import (
    VGG,
    AlexNet,
    ShuffleNet,
    SqueezeNet,
    XnorNet,
    one_bit,
)
from neuroloom.nets.encoders.integral import FULL, IntegralNet
from neuroloom.nets.encoders.library import LIBRARY, LibraryNet
from neuroloom.nets.encoders.resnet import DualAttention, ResNet

OWN = (ResNet, VGG, AlexNet, SqueezeNet, ShuffleNet, XnorNet)


@pytest.mark.parametrize("shape", [(20, 24), (12, 16, 14)])
@pytest.mark.parametrize("net", OWN)
def test_every_weight_of_an_encoder_is_learnt(net, shape):
    torch.manual_seed(0)
    model = net(3, shape, 2, n_table=1, width=8)
    x = torch.randn(4, 3, *shape)
    torch.nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 0, 1])).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert silent == []
    assert model.embed(x).shape[0] == 4


@pytest.mark.parametrize("net", OWN)
def test_the_table_joins_behind_the_pooling(net):
    torch.manual_seed(0)
    model = net(2, (16, 16), 1, n_table=1, width=8).eval()
    x = torch.randn(1, 2, 16, 16)
    x[:, 1] = 0.0
    one, nan = x.clone(), x.clone()
    one[:, 1], nan[:, 1] = 1.0, torch.nan
    slope = model.output.weight[0, -1]
    torch.testing.assert_close(model(one) - model(x), slope.reshape(1, 1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model(nan), model(x))


@pytest.mark.parametrize("name", ["efficientnet-b0"])
def test_library_nets_take_a_table(name):
    torch.manual_seed(0)
    model = LibraryNet(2, (32, 32), 3, n_table=1, architecture=name)
    assert model(torch.randn(2, 2, 32, 32)).shape == (2, 3)
    assert name in LIBRARY
    with pytest.raises(ConfigError, match="needs 32 places"):
        LibraryNet(1, (20, 40), 2, architecture=name)


def test_dual_attention_starts_as_nothing_and_can_be_computed_by_hand():
    torch.manual_seed(0)
    layer, x = DualAttention(4, "position"), torch.randn(1, 4, 2, 3)
    torch.testing.assert_close(layer(x), x)
    with torch.no_grad():
        layer.gain_position.fill_(1.0)
    flat = x[0].flatten(1).T
    rows = []
    for i in range(6):
        scores = torch.stack([layer.query(flat[i]) @ layer.key(flat[j]) for j in range(6)])
        weight = scores.exp() / scores.exp().sum()
        rows.append(flat[i] + sum(weight[j] * layer.value(flat[j]) for j in range(6)))
    torch.testing.assert_close(layer(x)[0].flatten(1).T, torch.stack(rows), atol=1e-5, rtol=1e-4)
    assert float(layer.looked_at.mean()) == pytest.approx(1.0, abs=1e-5)


def test_one_bit_passes_gradients_where_the_input_is_small():
    x = torch.tensor([-2.0, -0.5, 0.5, 2.0], requires_grad=True)
    one_bit(x).sum().backward()
    assert one_bit(x).tolist() == [-1, -1, 1, 1]
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_folding_blocks_moves_and_loses_nothing():
    x = torch.arange(2 * 4 * 6.0).reshape(1, 2, 4, 6)
    folded = fold_in(x)
    expected = torch.nn.functional.pixel_unshuffle(x, 2)
    torch.testing.assert_close(folded, expected)
    assert fold_in(pad_to_multiple(torch.ones(1, 1, 3, 5, 4), 2)).sum() == 60


def test_levels_end_at_a_few_places():
    assert levels_for((512, 512)) == 5
    assert levels_for((16, 16, 8)) == 2


def test_an_integral_net_learns_amounts_that_it_has_not_seen_from_masks():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(40, 8, 8, dtype=torch.uint8)
    for k in range(40):
        mask[k, : 2 + k % 5, : 3 + k % 3] = FULL
    x = mask[:, None] / FULL + 0.2 * torch.randn(40, 1, 8, 8, generator=generator)
    net = IntegralNet(1, (8, 8), 1, width=8)
    net.adapt(x, mask)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        net.loss(x[:30], mask[:30], None).backward()
        optimiser.step()
    net.eval()
    net.conclude(x[:30], mask[:30])
    with torch.no_grad():
        amount = net(x[30:])[:, 0] * net.spread + net.mean
    truth = mask[30:].flatten(1).sum(1) / FULL
    assert float((amount - truth).abs().mean()) < 0.1 * float(truth.mean())


def test_an_integral_is_brought_to_scale_by_some_of_many_examples(monkeypatch):
    torch.manual_seed(0)
    net, seen = IntegralNet(1, (8, 8), 1, width=4).eval(), []
    x = torch.randn(150, 1, 8, 8)
    monkeypatch.setattr(net, "shares", lambda x: seen.append(x) or 8 * x.mean((2, 3), True))
    net.conclude(x, (FULL * x.mean((2, 3)).sigmoid()[:, :, None]).expand(-1, 4, 4))
    assert sum(map(len, seen)) == 64
    assert torch.equal(torch.cat(seen)[[0, -1]], x[[0, -1]])
    assert float(net.doubt) > 0


def test_an_integral_adds_up_over_what_is_put_beside():
    torch.manual_seed(0)
    net = IntegralNet(1, (32, 32), 1, width=4).eval()
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        net.output.bias.fill_(-3.0)
        one = net.shares(x).sigmoid().sum()
        two = net.shares(torch.cat([x, x], 2)).sigmoid().sum()
    assert float(two) == pytest.approx(2 * float(one), rel=0.1)


@pytest.mark.parametrize("upper", [0, 1])
def test_an_integral_scores_two_classes_by_how_far_they_lie_from_the_cut(upper):
    torch.manual_seed(0)
    net = IntegralNet(1, (8, 8), 2, width=4, cut=20.0, upper=upper).eval()
    mask = torch.zeros(3, 8, 8, dtype=torch.uint8)
    for k, rows in enumerate((1, 3, 5)):
        mask[k, :rows] = FULL
    net.adapt(mask[:, None].float(), mask)
    number = (torch.tensor([10.0, 20.0, 40.0]) - net.mean) / net.spread
    chance = net.answer(number).softmax(1)[:, upper]
    assert chance[0] < 0.5 < chance[2]
    assert float(chance[1]) == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="two classes"):
        IntegralNet(1, (8, 8), 3)


def test_an_integral_learns_classes_without_masks():
    torch.manual_seed(0)
    x = torch.rand(40, 1, 8, 8) * torch.linspace(0.2, 2, 40).view(-1, 1, 1, 1)
    y = (x.flatten(1).sum(1) > x.flatten(1).sum(1).median()).long()
    net = IntegralNet(1, (8, 8), 2, width=8)
    net.adapt(x, y)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(40):
        optimiser.zero_grad()
        net.loss(x, y, None).backward()
        optimiser.step()
    assert float((net.eval()(x).argmax(1) == y).float().mean()) > 0.8
