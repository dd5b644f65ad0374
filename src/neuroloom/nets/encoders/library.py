"""MONAI's image encoders by name: DenseNet, ResNet, SENet, EfficientNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.nets.encoders.blocks import Output, split_table

LIBRARY = (
    "densenet121", "densenet169", "resnet18", "resnet34", "resnet50", "seresnet50", "senet154",
    "efficientnet-b0", "efficientnet-b1",
)  # fmt: skip
SMALLEST = 32


class LibraryNet(nn.Module):
    """An encoder of MONAI; numbers of a table join its outputs through a linear layer.

    Parameters
    ----------
    n_channels, shape, n_outputs
        Of an image, without the number of examples.
    n_table
        Trailing channels that hold one number each.
    architecture
        One of `LIBRARY`.

    Raises
    ------
    ConfigError
        If MONAI has no such encoder here, or the grid is too small for it.

    Examples
    --------
    >>> net = LibraryNet(1, (32, 32), 2, architecture="resnet18")
    >>> net(torch.randn(2, 1, 32, 32)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        *,
        n_table: int = 0,
        architecture: str = "densenet121",
    ) -> None:
        super().__init__()
        if architecture not in LIBRARY:
            raise ConfigError(
                f"No encoder is called '{architecture}'.{nearest(architecture, LIBRARY)} "
                f"Known: {', '.join(LIBRARY)}."
            )
        if min(shape) < SMALLEST:
            raise ConfigError(
                f"{architecture} halves a grid five times and needs {SMALLEST} places along each "
                f"axis, this one has {' x '.join(map(str, shape))}. Take a larger `size`, or a "
                "net of our own such as resnet, which fits the grid."
            )
        self.n_table = n_table
        made = n_outputs if n_table == 0 else 32
        self.encoder = _build(architecture, len(shape), n_channels - n_table, made)
        self.output = Output(made, n_table, n_outputs) if n_table else nn.Identity()

    def embed(self, x: Tensor) -> Tensor:
        """Return the encoder's outputs beside the table's numbers."""
        image, table = split_table(x, self.n_table)
        return torch.cat([self.encoder(image), table], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, channel, *axes) to logits (n, n_outputs)."""
        return self.output(self.embed(x))


def _build(architecture: str, dims: int, given: int, made: int) -> nn.Module:
    from monai.networks import nets

    sizes: dict[str, Any] = {"spatial_dims": dims, "in_channels": given}
    if architecture.startswith("efficientnet"):
        return nets.EfficientNetBN(
            architecture, spatial_dims=dims, in_channels=given, num_classes=made, pretrained=False
        )
    if architecture.startswith("resnet"):
        build: Callable[..., nn.Module] = getattr(nets, architecture)
        return build(spatial_dims=dims, n_input_channels=given, num_classes=made)
    if architecture.startswith("densenet"):
        return getattr(nets, f"DenseNet{architecture[8:]}")(**sizes, out_channels=made)
    name = {"seresnet50": "SEResNet50", "senet154": "SENet154"}[architecture]
    return getattr(nets, name)(**sizes, num_classes=made)
