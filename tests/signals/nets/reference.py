"""The three nets written out with two-dimensional convolutions, as a textbook has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


class Log(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp_min(1e-6).log()


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.square()


class Same(nn.Module):
    """Zeros on both sides in time, so that a kernel keeps the length."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.zeros = ((kernel - 1) // 2, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return pad(x, self.zeros)


def eegnet(net: nn.Module) -> nn.Sequential:
    """Lawhern et al. 2018, table 2, with the weights of `net`; dropout left out."""
    f, kernel = net.temporal.shape
    maps, short = net.depthwise.shape
    channels = net.spatial.shape[2]
    temporal = nn.Conv2d(1, f, (1, kernel), bias=False)
    spatial = nn.Conv2d(f, maps, (channels, 1), groups=f, bias=False)
    depthwise = nn.Conv2d(maps, maps, (1, short), groups=maps, bias=False)
    pointwise = nn.Conv2d(maps, maps, 1, bias=False)
    norms = [nn.BatchNorm2d(n) for n in (f, maps, maps)]
    pools = [nn.AvgPool2d((1, p.kernel_size[0])) for p in (net.pool, net.summary_pool)]
    output = nn.Linear(net.output.in_features, net.output.out_features)
    copy(temporal.weight, net.temporal)
    copy(spatial.weight, net.spatial)
    copy(depthwise.weight, net.depthwise)
    copy(pointwise.weight, net.pointwise)
    copy(output.weight, net.output.weight)
    copy(output.bias, net.output.bias)
    for norm, theirs in zip(
        norms, (net.temporal_norm, net.spatial_norm, net.summary_norm), strict=True
    ):
        norm.load_state_dict(theirs.state_dict())
    return nn.Sequential(
        nn.Unflatten(1, (1, channels)), Same(kernel), temporal, norms[0],
        spatial, norms[1], nn.ELU(), pools[0],
        Same(short), depthwise, pointwise, norms[2], nn.ELU(), pools[1],
        nn.Flatten(), output,
    )  # fmt: skip


def time_space(layer: nn.Module) -> list[nn.Module]:
    """Two convolutions in a row, one over time, one over channels."""
    filters, kernel = layer.temporal.shape
    channels = layer.spatial.shape[2]
    temporal = nn.Conv2d(1, filters, (1, kernel))
    spatial = nn.Conv2d(filters, filters, (channels, 1), bias=False)
    copy(temporal.weight, layer.temporal)
    copy(temporal.bias, layer.temporal_bias)
    copy(spatial.weight, layer.spatial)
    return [nn.Unflatten(1, (1, channels)), temporal, spatial]


def shallow(net: nn.Module) -> nn.Sequential:
    """Schirrmeister et al. 2017, figure 2, with the weights of `net`; dropout left out."""
    norm = nn.BatchNorm2d(net.norm.num_features)
    norm.load_state_dict(net.norm.state_dict())
    pool = nn.AvgPool2d((1, net.pool.kernel_size[0]), (1, net.pool.stride[0]))
    output = nn.Linear(net.output.in_features, net.output.out_features)
    output.load_state_dict(net.output.state_dict())
    return nn.Sequential(*time_space(net.filter), norm, Square(), pool, Log(), nn.Flatten(), output)


def deep4(net: nn.Module) -> nn.Sequential:
    """Schirrmeister et al. 2017, figure 1, with the weights of `net`; dropout left out."""
    layers = time_space(net.filter)
    for layer in net.blocks:
        if isinstance(layer, nn.Conv1d):
            conv = nn.Conv2d(
                layer.in_channels, layer.out_channels, (1, layer.kernel_size[0]), bias=False
            )
            copy(conv.weight, layer.weight)
            layers.append(conv)
        elif isinstance(layer, nn.BatchNorm1d):
            norm = nn.BatchNorm2d(layer.num_features)
            norm.load_state_dict(layer.state_dict())
            layers.append(norm)
        elif isinstance(layer, nn.MaxPool1d):
            layers.append(nn.MaxPool2d((1, layer.kernel_size)))
        elif isinstance(layer, nn.ELU):
            layers.append(nn.ELU())
    output = nn.Linear(net.output.in_features, net.output.out_features)
    output.load_state_dict(net.output.state_dict())
    return nn.Sequential(*layers, nn.Flatten(), output)


@torch.no_grad()
def copy(into: Tensor, values: Tensor) -> None:
    into.copy_(values.reshape(into.shape))
