"""Where a unit looks: gradients (plain, guided, smooth), Grad-CAM, occlusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from neuroloom.core.errors import ConfigError
from neuroloom.representation.layers import forward, tensor_of
from neuroloom.representation.seeing.units import layer_of, respond, watching

if TYPE_CHECKING:
    from torch import Tensor, nn


def saliency(
    module: nn.Module,
    x: np.ndarray,
    layer: str = "",
    channel: int | Sequence[int] = 0,
    *,
    method: str = "plain",
    copies: int = 16,
    noise: float = 0.15,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return how a unit's response changes with each input value.

    Parameters
    ----------
    module
        A torch net.
    x
        Stimuli (n, channel, …), float32.
    layer, channel
        The unit; "" is the output of the net. A channel counts by its mean over places.
    method
        "plain" (Simonyan et al. 2014), "guided" (Springenberg et al. 2015: through ReLUs only
        what is positive both ways), "smooth" (Smilkov et al. 2017: mean over noisy copies).
    copies, noise
        Of "smooth": how many, and their noise as a share of the range of each stimulus.
    rng
        Of "smooth"; seeded by 0 if None.

    Returns
    -------
    Gradients, shape of `x`.

    Raises
    ------
    ConfigError
        If the method or the unit is unknown; "guided" finds no ReLU.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False))
    >>> given = saliency(net, np.ones((1, 1, 2, 2), np.float32))
    >>> bool(np.allclose(given.ravel(), net[1].weight.detach().numpy().ravel()))
    True
    """
    if method == "plain":
        return _gradient(module, x, layer, channel)
    if method == "guided":
        with _guided(module):
            return _gradient(module, x, layer, channel)
    if method != "smooth":
        raise ConfigError(f"No saliency is '{method}'. Known: plain, guided, smooth.")
    rng = rng or np.random.default_rng(0)
    flat = x.reshape(len(x), -1)
    width = noise * (flat.max(1) - flat.min(1)).reshape(-1, *(1 for _ in x.shape[1:]))
    total = np.zeros(x.shape)
    for _ in range(copies):
        shaken = x + (width * rng.standard_normal(x.shape)).astype(np.float32)
        total += _gradient(module, shaken.astype(np.float32), layer, channel)
    return (total / copies).astype(np.float32)


def _gradient(
    module: nn.Module, x: np.ndarray, layer: str, channel: int | Sequence[int]
) -> np.ndarray:
    import torch

    tensor = torch.as_tensor(np.ascontiguousarray(x)).requires_grad_()
    with torch.enable_grad(), watching(module, layer) as kept:
        module(tensor)
        (given,) = torch.autograd.grad(respond(kept["answer"], channel).sum(), tensor)
    return given.numpy()


@contextmanager
def _guided(module: nn.Module) -> Iterator[None]:
    """Let through ReLUs only gradients that are positive; none of them works in place."""
    import torch

    rectifiers = [inner for inner in module.modules() if isinstance(inner, torch.nn.ReLU)]
    if not rectifiers:
        raise ConfigError(
            "Guided backpropagation needs ReLU layers; this net has none. Take 'saliency', "
            "'smooth' or 'grad-cam'."
        )
    before = [inner.inplace for inner in rectifiers]
    handles = []
    for inner in rectifiers:
        inner.inplace = False
        handles.append(inner.register_full_backward_hook(_positive))
    try:
        yield
    finally:
        for handle, inner, place in zip(handles, rectifiers, before, strict=True):
            handle.remove()
            inner.inplace = place


def _positive(_: Any, inward: tuple[Tensor, ...], __: Any) -> tuple[Tensor, ...]:
    return tuple(part.clamp(min=0) for part in inward)


def grad_cam(
    module: nn.Module,
    x: np.ndarray,
    layer: str,
    channel: int | Sequence[int] = 0,
    *,
    unit_layer: str = "",
) -> np.ndarray:
    """Return where a layer supports a unit further on, at the size of the stimuli.

    Parameters
    ----------
    layer
        Of convolutions: (channel, *places).
    unit_layer, channel
        The unit that is explained; by default of the output of the net.

    Returns
    -------
    Shape (n, *places of the stimulus), >= 0.

    References
    ----------
    Selvaraju et al. (2017), ICCV, eq. 1-2.

    Examples
    --------
    >>> import torch
    >>> conv = torch.nn.Conv2d(1, 3, 3, padding=1)
    >>> net = torch.nn.Sequential(conv, torch.nn.Flatten(), torch.nn.Linear(192, 2))
    >>> grad_cam(net, np.zeros((1, 1, 8, 8), np.float32), "0").shape
    (1, 8, 8)
    """
    import torch
    from torch.nn import functional

    tensor = torch.as_tensor(np.ascontiguousarray(x)).requires_grad_()
    with torch.enable_grad(), watching(module, layer) as kept:
        with watching(module, unit_layer) as goal:
            module(tensor)
        answer = kept["answer"]
        if answer.ndim != x.ndim:
            raise ConfigError(
                f"Grad-CAM needs a layer with places; '{layer}' gives {tuple(answer.shape[1:])}. "
                "Choose a convolution before it."
            )
        (given,) = torch.autograd.grad(respond(goal["answer"], channel).sum(), answer)
    places = tuple(range(2, answer.ndim))
    weight = given.mean(places, keepdim=True)
    cam = (weight * answer.detach()).sum(1, keepdim=True).clamp(min=0)
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[answer.ndim]
    large = functional.interpolate(cam, size=x.shape[2:], mode=mode, align_corners=False)
    return large[:, 0].numpy()


def occlusion(
    module: Any,
    x: np.ndarray,
    layer: str = "",
    channel: int | Sequence[int] = 0,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: float = 0.0,
    batch: int = 64,
) -> np.ndarray:
    """Return how much a unit's response drops where a window of the stimulus is covered.

    Parameters
    ----------
    window, stride
        In places; an eighth of the shorter side, and half of the window, if None.
    fill
        What the window is covered with.
    batch
        Covered copies at a time.

    Returns
    -------
    Shape (n, *places): mean drop over the windows that cover a place (Zeiler & Fergus 2014).

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1, bias=False))
    >>> _ = torch.nn.init.ones_(net[1].weight)
    >>> occlusion(net, np.ones((1, 1, 4, 4), np.float32), window=2, stride=2)[0, 0, 0]
    np.float64(4.0)
    """
    places = x.shape[2:]
    side = window or max(1, min(places) // 8)
    step = stride or max(1, side // 2)
    windows = _windows(places, side, step)
    given = np.zeros((len(x), *places))
    times = np.zeros(places)
    respond_to = _responder(module, layer, channel, len(x))
    for area in windows:
        times[area] += 1
    for number, one in enumerate(x):
        whole = respond_to(one[None], number)[0]
        for start in range(0, len(windows), batch):
            part = windows[start : start + batch]
            covered = np.repeat(one[None], len(part), 0)
            for copy, area in zip(covered, part, strict=True):
                copy[(slice(None), *area)] = fill
            drops = whole - respond_to(covered, number)
            for drop, area in zip(drops, part, strict=True):
                given[number][area] += drop
    return given / times


def _windows(places: tuple[int, ...], side: int, step: int) -> list[tuple[slice, ...]]:
    starts = [
        sorted({*range(0, max(1, size - side + 1), step), max(0, size - side)}) for size in places
    ]
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, len(places))
    return [tuple(slice(int(c), int(c) + side) for c in corner) for corner in corners]


def _responder(
    module: Any, layer: str, channel: int | Sequence[int], n: int
) -> Callable[[np.ndarray, int], np.ndarray]:
    import torch

    channels = np.broadcast_to(np.asarray(channel), (n,))
    layer_of(module, layer)

    def run(stimuli: np.ndarray, number: int) -> np.ndarray:
        with torch.no_grad(), watching(module, layer) as kept:
            output = forward(module, stimuli)
        answer = kept["answer"] if layer else tensor_of(output)
        assert answer is not None
        return respond(answer, int(channels[number])).double().numpy()

    return run


def over_places(given: ArrayLike) -> np.ndarray:
    """Return a map of places (n, …) of gradients (n, channel, …): the largest size over channels.

    Examples
    --------
    >>> over_places(np.array([[[-3.0, 1.0], [2.0, 2.0]]]))
    array([[3., 2.]])
    """
    return np.abs(np.asarray(given)).max(1)
