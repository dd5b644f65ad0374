"""The nets of pose: small U-Nets that see a view whole and tell places finely."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.nets.layers.lean_conv import LeanConv2d
from neuroloom.pose.nets.maps import mean_maps


class _Unit(nn.Sequential):
    """Convolution, batch norm, rectifier."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two units whose sum with the input is rectified (He 2016, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _Unit(inputs, outputs, stride)
        self.second = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        )
        plain = inputs == outputs and stride == 1
        self.short = nn.Identity() if plain else LeanConv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map features to features."""
        return torch.relu(self.second(self.first(x)) + self.short(x))


class PoseUNet(nn.Module):
    """A U-Net (Ronneberger 2015, arXiv:1505.04597) with residual stages, thin where it is large.

    Parameters
    ----------
    channels
        Of the view.
    outputs
        Maps, one a keypoint.
    widths
        Channels at strides 2, 4, 8, … of the view. The deepest stage should see all of it.

    Examples
    --------
    >>> net = PoseUNet(1, 4, (8, 16, 24))
    >>> net(torch.zeros(2, 1, 64, 48)).shape
    torch.Size([2, 4, 32, 24])
    """

    stride = 2

    def __init__(self, channels: int, outputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = _Unit(channels, widths[0], 2, 5)
        stages = [Residual(widths[0], widths[0])]
        stages += [Residual(a, b, 2) for a, b in itertools.pairwise(widths)]
        self.down = nn.ModuleList(stages)
        pairs = list(itertools.pairwise(widths))[::-1]
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1, bias=False) for a, b in pairs)
        self.up = nn.ModuleList(Residual(a, a) for a, _ in pairs)
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map views (n, channel, v, u), sides divisible by 2 ** stages, to maps at half size."""
        x = self.stem(x)
        kept = []
        for stage in self.down:
            x = stage(x)
            kept.append(x)
        kept.pop()
        for narrow, up in zip(self.narrow, self.up, strict=True):
            skip = kept.pop()
            wide = nn.functional.interpolate(narrow(x), size=skip.shape[2:], mode="nearest")
            x = up(wide + skip)
        return self.head(x)


class Several(nn.Module):
    """Nets that learnt the same from weights of their own; their maps are averaged.

    Parameters
    ----------
    nets
        Of one stride.
    keypoints
        How many of their maps are places of keypoints.
    """

    def __init__(self, nets: Sequence[nn.Module], keypoints: int) -> None:
        super().__init__()
        self.nets, self.keypoints = nn.ModuleList(nets), keypoints
        self.stride = nets[0].stride

    def forward(self, x: Tensor) -> Tensor:
        """Map views (n, channel, v, u) to the mean of the nets' maps."""
        return mean_maps([net(x) for net in self.nets], self.keypoints)


def as_one(nets: Sequence[nn.Module], keypoints: int) -> nn.Module:
    """Return nets that learnt the same as one.

    Examples
    --------
    >>> pair = as_one([PoseUNet(1, 4, (8, 16)) for _ in range(2)], 4)
    >>> pair(torch.zeros(1, 1, 32, 32)).shape, len(members(pair)), pair.stride
    (torch.Size([1, 4, 16, 16]), 2, 2)
    """
    return nets[0] if len(nets) == 1 else Several(nets, keypoints)


def members(net: nn.Module) -> list[nn.Module]:
    """Return the nets of which one may be made."""
    return list(net.nets) if isinstance(net, Several) else [net]


def build_net(
    name: str,
    channels: int,
    outputs: int,
    widths: Sequence[int],
    options: dict[str, Any],
    weights: bool = True,
) -> nn.Module:
    """Return an untrained net by the name of its model.

    Parameters
    ----------
    widths
        Of the U-Net; the others have their own.
    weights
        Whether nets that start from published weights do; not where all weights come from a file.

    Raises
    ------
    ConfigError
        If no net has that name.

    Examples
    --------
    >>> build_net("unet", 1, 4, (8, 16), {}).stride
    2
    """
    from neuroloom.nets.timm import PREFIX
    from neuroloom.pose.nets import backbones
    from neuroloom.pose.nets.timm import TimmPose

    if name == "unet":
        return PoseUNet(channels, outputs, widths)
    if name.startswith(PREFIX):
        return TimmPose(channels, outputs, name.removeprefix(PREFIX), pretrained=weights)
    known: dict[str, Any] = {
        "stacked-densenet": backbones.StackedDenseNet,
        "resnet": backbones.ResidualPose,
        "efficientnet-lite0": backbones.EfficientPose,
    }
    if name not in known:
        raise ConfigError(f"No net of pose is called '{name}'.{nearest(name, ['unet', *known])}")
    if name == "efficientnet-lite0" and not weights:
        options = options | {"pretrained": False}
    net: nn.Module = known[name](channels, outputs, **options)
    return net
