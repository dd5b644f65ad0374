"""What every net for grids must do, and the planned ones against MONAI and nnU-Net."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import instance_norm, leaky_relu
from torch.nn.modules.batchnorm import _BatchNorm

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.nets.build import build_net, grid_nets, net_names
from neuroloom.nets.layers.norm_act import NormAct
from neuroloom.nets.planned_unet import PlannedUNet

PLACES = {2: (19, 35), 3: (9, 19, 17)}
SMALL: dict[str, dict[str, Any]] = {
    "unetr": {"hidden_size": 24, "mlp_dim": 24, "feature_size": 4, "num_heads": 2},
    "swinunetr": {"feature_size": 12, "num_heads": (1, 2, 2, 2)},
    "deepmedic": {"features": (4,) * 8, "hidden": 8},
}
every_net = pytest.mark.parametrize("name", net_names())
in_2d_and_3d = pytest.mark.parametrize("dims", [2, 3])

# counted in dynamic-network-architectures 0.4.4, the package of nnU-Net, with a bias in every
# convolution and a head at every decoder stage
NNUNET = [
    ("dynunet", 3, (32, 64, 128, 256), 1, 3, 5_603_177),
    ("dynunet", 3, (32, 64, 128, 256, 320, 320), 4, 4, 31_199_796),
    ("dynunet", 2, (32, 64, 128, 256), 1, 3, 1_928_489),
    ("resenc-m", 3, (32, 64, 128, 256), 1, 3, 25_895_593),
    ("resenc-l", 3, (32, 64, 128, 256, 320, 320), 1, 3, 102_350_575),
]


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    torch.manual_seed(0)


def small(name: str, dims: int, **more: Any) -> nn.Module:
    sizes = {"strides": (1, 2, 2, 2), "kernels": (3,) * 4, "features": (8, 8, 8, 8)}
    settings = {"in_channels": 3, "out_channels": 4, "options": SMALL.get(name, {})}
    return build_net(name, dims=dims, patch=PLACES[dims], **(sizes | settings | more))


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@every_net
@in_2d_and_3d
def test_any_patch_in_and_logits_out(name: str, dims: int) -> None:
    """Odd patches, gradients everywhere, one output in evaluation, weights that travel.

    No norm over the batch: weights are averaged over many steps, and moments kept on the way would
    be of other weights. No norm of the scores, which could then not say that a class is rare.
    """
    net = small(name, dims).train()
    assert not [part for part in net.modules() if isinstance(part, _BatchNorm)]
    x = torch.randn(2, 3, *PLACES[dims])
    y = net(x)
    assert isinstance(y, list) == grid_nets()[name].deep_supervision
    outputs = y if isinstance(y, list) else [y]
    for i, each in enumerate(outputs):
        assert each.shape == (2, 4, *(-(-n // 2**i) for n in PLACES[dims]))
    torch.stack([each.square().mean() for each in outputs]).sum().backward()
    weights = dict(net.named_parameters())
    untouched = [k for k, p in weights.items() if p.grad is None or not p.grad.any()]
    # A norm takes off what a bias in front of it adds.
    assert not [k for k in untouched if weights[k].grad is None or not k.endswith("conv.bias")]
    other = small(name, dims)
    other.load_state_dict(net.state_dict())
    with torch.no_grad():
        alone = net.eval()(x)
        assert alone.shape == (2, 4, *PLACES[dims])
        assert (alone < 0).any()
        assert alone.flatten(2).mean(2).abs().max() > 1e-3
        torch.testing.assert_close(other.eval()(x), alone)


@every_net
def test_without_deep_supervision_there_is_one_answer(name: str) -> None:
    net = small(name, 2, deep_supervision=False, in_channels=1).train()
    assert net(torch.randn(2, 1, *PLACES[2])).shape == (2, 4, *PLACES[2])


@pytest.mark.parametrize(("name", "dims", "features", "n_in", "n_out", "weights"), NNUNET)
def test_weights_are_nnunets(
    name: str, dims: int, features: tuple[int, ...], n_in: int, n_out: int, weights: int
) -> None:
    stages = len(features)
    sizes: dict[str, Any] = {
        "patch": (64,) * dims,
        "strides": (1, *(2,) * (stages - 1)),
        "kernels": (3,) * stages,
        "features": features,
    }
    ends = {"in_channels": n_in, "out_channels": n_out}
    with torch.device("meta"):
        net = build_net(name, dims=dims, **ends, **sizes, options={"bias": True})
    lowest_head = features[-2] * n_out + n_out  # nnU-Net has it, and multiplies its loss by zero
    assert count(net) + lowest_head == weights


@in_2d_and_3d
def test_the_planned_net_is_monais_dynunet(dims: int) -> None:
    """Equal outputs and gradients with copied weights, with anisotropic strides.

    Kernels are equal at all stages: where they differ, nnU-Net's decoder takes those of the
    resolution that it works at, and so do we, but MONAI takes those from one below.
    """
    from monai.networks.nets import DynUNet

    strides = [(1,) * dims, (1, *(2,) * (dims - 1)), (2,) * dims, (2,) * dims]
    kernels = [(3,) * dims] * 4
    features = [6, 8, 10, 12]
    peer = DynUNet(
        dims, 2, 3, kernels, strides, strides[1:], filters=features,
        norm_name=("INSTANCE", {"affine": True}), trans_bias=True,
        deep_supervision=True, deep_supr_num=1,
    )  # fmt: skip
    ours = PlannedUNet(dims, 2, 3, features, strides, kernels).double()
    _copy(peer.double(), ours)
    x = torch.randn(2, 2, *(8, 8, 16)[-dims:], dtype=torch.float64)
    for net in (peer, ours):
        net.train()
    theirs, mine = peer(x).unbind(1), ours(x)
    torch.testing.assert_close(mine[0], theirs[0])
    lower = nn.functional.interpolate(mine[1], theirs[1].shape[2:])
    torch.testing.assert_close(lower, theirs[1])
    mine[0].square().mean().backward()
    theirs[0].square().mean().backward()
    torch.testing.assert_close(
        ours.encoder[0][0][0].weight.grad, peer.input_block.conv1.conv.weight.grad
    )
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), peer.eval()(x))


def _copy(peer: nn.Module, ours: PlannedUNet) -> None:
    blocks = [peer.input_block, *peer.downsamples, peer.bottleneck]
    pairs = list(zip(blocks, ours.encoder, strict=True))
    pairs += [(up.conv_block, s) for up, s in zip(peer.upsamples, ours.decoder, strict=True)]
    for theirs, stage in pairs:
        for k, block in enumerate(stage, start=1):
            block[0].load_state_dict(getattr(theirs, f"conv{k}").conv.state_dict())
            block[1].load_state_dict(getattr(theirs, f"norm{k}").state_dict())
    for theirs, up in zip(peer.upsamples, ours.up, strict=True):
        up.load_state_dict(theirs.transp_conv.conv.state_dict())
    heads = [peer.output_block, *peer.deep_supervision_heads]
    for theirs, head in zip(heads, ours.heads, strict=True):
        head.load_state_dict(theirs.conv.conv.state_dict())


@pytest.mark.parametrize("shape", [(3, 5, 6, 7), (2, 5, 4, 6, 7), (2, 5, 1, 1, 1)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("slope", [0.01, None])
def test_norm_and_act_are_torchs(shape: tuple[int, ...], last: bool, slope: float | None) -> None:
    layer = NormAct(5, slope).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    x = torch.randn(shape, dtype=torch.float64) + 1000
    x = (x.contiguous(memory_format=layout) if last else x).requires_grad_()
    pull = torch.randn(shape, dtype=torch.float64)
    y = layer(x)
    ours = torch.autograd.grad((y * pull).sum(), [x, layer.weight, layer.bias])
    if x[0, 0].numel() == 1:
        expected = layer.bias.view(1, 5, 1, 1, 1).expand(shape)
    else:
        expected = instance_norm(x, weight=layer.weight, bias=layer.bias)
    expected = expected if slope is None else leaky_relu(expected, slope)
    torch.testing.assert_close(y, expected)
    with torch.no_grad():
        torch.testing.assert_close(layer(x[:1]), expected[:1])
    theirs = torch.autograd.grad(
        (expected * pull).sum(), [x, layer.weight, layer.bias], allow_unused=True
    )
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if reference is None else reference)


@pytest.mark.parametrize(
    "options", [{"up": "linear"}, {"skip": "add"}, {"decoder": 1}, {"dropout": 0.2}]
)
def test_options_of_the_planned_net(options: dict[str, Any]) -> None:
    net = small("dynunet", 3, options=options).train()
    y = net(torch.randn(2, 3, *PLACES[3]))
    torch.stack([each.square().mean() for each in y]).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    assert y[0].shape == (2, 4, *PLACES[3])


def test_bfloat16_is_close() -> None:
    net = small("dynunet", 3).train()
    x = torch.randn(2, 3, *PLACES[3])
    with torch.autocast("cpu", torch.bfloat16):
        half = net(x)
    torch.stack([each.float().square().mean() for each in half]).sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())
    with torch.no_grad():
        single = net(x)[0]
        assert half[0].dtype == torch.bfloat16
        assert float((half[0] - single).abs().mean()) < 0.05 * float(single.std())


def test_published_sizes() -> None:
    """HighRes3DNet has 0.81 M weights (Li et al. 2017, table 1: 160 classes and a background)."""
    sizes: dict[str, Any] = {
        "patch": (96,) * 3, "strides": (1,), "kernels": (3,), "features": (16,), "dims": 3,
        "in_channels": 1,
    }  # fmt: skip
    assert count(build_net("highresnet", out_channels=160, **sizes)) == pytest.approx(
        0.81e6, rel=0.02
    )


def test_padding_changes_nothing_where_none_is_needed() -> None:
    net = small("dynunet", 2).eval()
    x = torch.randn(1, 3, 16, 24)
    assert net(x).equal(net.net(x))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'segresnet'"):
        small("segresnt", 3)
    with pytest.raises(ConfigError, match="Did you mean 'dropout'"):
        small("dynunet", 3, options={"dropuot": 0.1})
    with pytest.raises(ConfigError, match="fixed grid"):
        small("unetr", 2)(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ConfigError, match="16 channels"):
        small("vnet", 3, in_channels=17)
    with pytest.raises(ConfigError, match="two or more stages"):
        small("dynunet", 3, kernels=(3, 3))
    with pytest.raises(ConfigError, match="odd"):
        small("dynunet", 3, kernels=(2,) * 4)
    with pytest.raises(ConfigError, match="3 positive numbers"):
        small("dynunet", 3, strides=(1, (2, 2), 2, 2))


@pytest.mark.parametrize(
    ("name", "norm"), [("unet", {"norm": "batch"}), ("highresnet", {"norm_type": "batch"})]
)
def test_a_norm_over_the_batch_is_refused(name: str, norm: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="no batch to norm over"):
        small(name, 2, options=norm)
