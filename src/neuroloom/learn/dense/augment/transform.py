"""What every change of images is: numbers drawn into parameters, and arithmetic apart from them.

A transform draws its parameters for n examples at once, on the CPU, from a seeded generator. Then
it applies them to a batch on whatever device that lies. Parameters are a dict of CPU tensors with
one row per example, so they can be stored as JSON, replayed to the same bits, and inverted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

Params = dict[str, Tensor]
SEEDS = 2**62


@dataclass(frozen=True)
class Canvas:
    """What a draw must know of the patches: how many channels, how long each axis.

    Attributes
    ----------
    channels
        Count of channels.
    axes
        Voxels along each axis, two or three of them, in array order.
    spacing
        Size of a voxel along each axis; ones if empty.

    Examples
    --------
    >>> Canvas(1, (40, 56, 40)).spacing
    (1.0, 1.0, 1.0)
    """

    channels: int
    axes: tuple[int, ...]
    spacing: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.spacing:
            object.__setattr__(self, "spacing", (1.0,) * len(self.axes))

    @classmethod
    def of(cls, x: Tensor) -> Canvas:
        """Return the canvas of a batch (n, channel, *axes)."""
        return cls(x.shape[1], tuple(x.shape[2:]))


@dataclass(frozen=True)
class Transform:
    """Base of all changes; a subclass implements `draw_rows` and `change`.

    Attributes
    ----------
    p
        Probability with which an example is changed at all.
    name
        As it is registered, without the family's prefix.
    invertible
        True if `revert` brings labels back to where they were.
    moves
        True if voxels change place, so that labels move too.
    across
        True if an example needs others of its batch; `change` then gets the whole batch.
    """

    p: float = field(default=1.0, kw_only=True)
    name: ClassVar[str] = ""
    invertible: ClassVar[bool] = False
    moves: ClassVar[bool] = False
    across: ClassVar[bool] = False

    def draw(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the parameters of n examples, `on` (n,) among them: which ones change."""
        on = coin(generator, self.p, n)
        params = self.draw_rows(n, canvas, generator)
        own = params.pop("on", None)
        return {"on": on if own is None else on & own, **params}

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw everything but the coin; an `on` given here narrows it."""
        return {}

    def after(self, canvas: Canvas) -> Canvas:
        """Return the canvas that the change leaves; only changes of the grid leave another one."""
        return canvas

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Return the changed batch; all its rows are meant to change, nothing is written in place.

        Parameters
        ----------
        x, y
            Images (n, channel, *axes) float32 and labels (n, *axes) of any integer type, or None.
        params
            Of these rows only.
        """
        raise NotImplementedError

    def revert(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Undo `change`; a change of intensities alone leaves everything as it is."""
        return x, y


def coin(generator: Generator, p: float, *shape: int) -> Tensor:
    """Draw which ones happen, each with probability p."""
    return torch.rand(*shape, generator=generator) < p


def uniform(generator: Generator, span: tuple[float, float], *shape: int) -> Tensor:
    """Draw numbers evenly between the two ends of `span`."""
    low, high = span
    return low + (high - low) * torch.rand(*shape, generator=generator)


def two_sided(generator: Generator, span: tuple[float, float], *shape: int) -> Tensor:
    """Draw factors, half of them below and half above one.

    A factor of 0.7 to 1.5 drawn evenly would brighten in five of eight cases; this does so in half.
    """
    low, high = span
    if not low < 1 < high:
        return uniform(generator, span, *shape)
    below = uniform(generator, (low, 1.0), *shape)
    above = uniform(generator, (1.0, high), *shape)
    return torch.where(coin(generator, 0.5, *shape), below, above)


def seeds(generator: Generator, n: int) -> Tensor:
    """Draw one seed an example, for changes whose randomness is as large as the image."""
    return torch.randint(SEEDS, (n,), generator=generator)


def spread(value: Tensor, x: Tensor) -> Tensor:
    """Put a parameter (n,) or (n, channel) on the device of x and give it x's dimensions."""
    value = value.to(x.device)
    return value.reshape(value.shape + (1,) * (x.ndim - value.ndim))


def take_rows(params: Params, rows: Tensor | list[int]) -> Params:
    """Return the parameters of some examples."""
    return {name: value[rows] for name, value in params.items()}


def to_plain(params: Params) -> dict[str, Any]:
    """Return parameters as lists, ready for JSON; `from_plain` gives the same bits back.

    Examples
    --------
    >>> to_plain({"on": torch.tensor([True]), "factor": torch.tensor([1.5])})
    {'on': [True], 'factor': [1.5]}
    """
    return {name: value.tolist() for name, value in params.items()}


def from_plain(plain: dict[str, Any]) -> Params:
    """Return parameters from what `to_plain` wrote."""
    return {name: torch.tensor(value) for name, value in plain.items()}
