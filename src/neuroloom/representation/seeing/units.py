"""A unit of a net as a number that can be differentiated, or switched off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.representation.layers import tensor_of
from neuroloom.representation.onnxfile import OnnxNet

if TYPE_CHECKING:
    from torch import Tensor, nn


def layer_of(module: nn.Module, layer: str) -> nn.Module:
    """Return a layer of a net; "" is the net.

    Raises
    ------
    ConfigError
        If there is no such layer, or the net cannot be differentiated.
    """
    if isinstance(module, OnnxNet):
        raise ConfigError("Gradients need a torch module; an ONNX file has none.")
    inner = dict(module.named_modules())
    if layer not in inner:
        raise ConfigError(f"The net has no layer '{layer}'.{nearest(layer, inner)}")
    return inner[layer]


@contextmanager
def watching(module: nn.Module, layer: str) -> Iterator[dict[str, Tensor]]:
    """Keep a layer's last answer under "answer", with its gradient, while the net is used."""
    kept: dict[str, Any] = {}

    def hook(_: Any, __: Any, output: Any) -> Any:
        value = tensor_of(output)
        if value is None:
            raise DataError(f"Layer '{layer}' gives no tensor.")
        # A copy, so that a later step in place (ReLU) does not change what is differentiated.
        kept["answer"] = value
        return value.clone() if isinstance(output, type(value)) else None

    handle = layer_of(module, layer).register_forward_hook(hook)
    try:
        yield kept
    finally:
        handle.remove()


def respond(answer: Tensor, channel: int | Sequence[int], place: str = "mean") -> Tensor:
    """Return the response of a channel to each stimulus, shape (n,).

    Parameters
    ----------
    answer
        Shape (n, channel, …).
    channel
        One for all stimuli, or one each.
    place
        "mean" or "max" over places, or "middle": the unit in the middle.

    Raises
    ------
    ConfigError
        If the layer has no such channel.
    """
    import torch

    chosen = torch.as_tensor(channel, device=answer.device).expand(len(answer))
    if answer.ndim < 2 or int(chosen.max()) >= answer.shape[1]:
        count = answer.shape[1] if answer.ndim > 1 else 1
        raise ConfigError(f"The layer has {count} channels, from 0; there is no {channel}.")
    found = answer[torch.arange(len(answer)), chosen]
    flat = found.reshape(len(found), -1)
    if place == "max":
        return flat.max(1).values
    if place == "middle":
        return found[(slice(None), *(size // 2 for size in found.shape[1:]))]
    return flat.mean(1)


@contextmanager
def ablated(module: nn.Module, layer: str, channels: Sequence[int]) -> Iterator[nn.Module]:
    """Switch channels of a layer off for a while.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3))
    >>> with ablated(net, "0", [1]):
    ...     float(net(torch.ones(1, 2))[0, 1].detach())
    0.0
    """

    def hook(_: Any, __: Any, output: Any) -> Any:
        off = output.clone()
        off[:, list(channels)] = 0
        return off

    handle = layer_of(module, layer).register_forward_hook(hook)
    try:
        yield module
    finally:
        handle.remove()
