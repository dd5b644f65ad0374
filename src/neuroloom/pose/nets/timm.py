"""Nets of timm as backbones of pose: `model="timm/resnet50"`, where that package is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from neuroloom.core.errors import ConfigError
from neuroloom.nets.timm import PREFIX, SOURCE, library
from neuroloom.pose.nets.backbones import Decoder

if TYPE_CHECKING:
    from neuroloom.learn.model import Model

INSTALLED = "take model=unet"
INSTEAD = "Take a convolutional net, such as timm/resnet50 or timm/efficientnet_b0."
COARSEST = 8  # px of a view to one of the finest map, at most: coarser ones place nothing


class TimmPose(nn.Module):
    """A net of timm (Wightman 2019, doi:10.5281/zenodo.4414861) with a decoder.

    Parameters
    ----------
    channels, outputs
        Of the view; maps.
    name
        As timm has it, "resnet50" or with the weights meant, "resnet50.a1_in1k".
    pretrained
        Start from timm's weights, which are fetched where they are not at hand.
    width
        Channels of the decoder at the finest.

    Raises
    ------
    ConfigError
        If timm is not installed, knows no such net, or cannot get at its weights; and for nets
        that have no maps of several sizes.
    """

    def __init__(
        self, channels: int, outputs: int, name: str, pretrained: bool = True, width: int = 24
    ) -> None:
        super().__init__()
        self.body = _body(name, pretrained)
        known = self.body.feature_info
        self.stride = int(known.reduction()[0])
        if self.stride > COARSEST:
            raise ConfigError(f"model={PREFIX}{name}: {self.stride} px of a frame are one of its "
                              f"finest map, too coarse to place a point. {INSTEAD}")  # fmt: skip
        self.decoder = Decoder([int(own) for own in known.channels()], width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map views (n, 1 or 3, v, u) to maps at the size of the net's finest."""
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        found: Tensor = self.decoder(self.body(x))
        return found


def named(name: str) -> Model:
    """Return the model `timm/NAME` of pose.

    Raises
    ------
    ConfigError
        If timm is not installed or knows no such net.
    """
    from neuroloom.pose.nets.models import pose_net

    library(name, INSTALLED)
    return pose_net(PREFIX + name, f"timm's {name} with its weights, and a decoder", SOURCE)


def _body(name: str, pretrained: bool) -> Any:
    try:
        return library(name, INSTALLED).create_model(
            name, features_only=True, pretrained=pretrained
        )
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        raise ConfigError(
            f"model={PREFIX}{name} gives no maps of several sizes ({error}). {INSTEAD}"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"model={PREFIX}{name}: its weights are not at hand and cannot be fetched ({error})."
        ) from error
