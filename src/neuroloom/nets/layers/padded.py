"""Let a net that halves its input take any size: pad, answer, crop."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import pad

from neuroloom.core.errors import ConfigError


class Padded(nn.Module):
    """Pad the far end of every axis with zeros to what `net` can take, and crop its answer.

    Parameters
    ----------
    net
        From (n, channel, *place) to logits, or to a list of logits of falling resolution.
    divisor
        Per axis, the number that sizes have to be a multiple of.
    cells
        Fewest cells of `divisor` in all: a norm over one voxel has nothing to measure.
    fixed
        The one size that `net` can take, if it can take only one.

    Examples
    --------
    >>> import torch
    >>> Padded(nn.Conv2d(1, 1, 3, padding=1), (4, 4))(torch.zeros(1, 1, 5, 7)).shape
    torch.Size([1, 1, 5, 7])
    """

    def __init__(
        self,
        net: nn.Module,
        divisor: Sequence[int],
        cells: int = 1,
        fixed: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.net, self.divisor, self.cells = net, tuple(divisor), cells
        self.fixed = None if fixed is None else tuple(fixed)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Map (n, channel, *place) to what `net` gives, cropped to the size that came."""
        size = tuple(x.shape[2:])
        inside = self._inside(size)
        missing = [b - a for a, b in zip(size, inside, strict=True)]
        if not any(missing):
            answer: Tensor | list[Tensor] = self.net(x)
            return answer
        ends = [end for gap in reversed(missing) for end in (0, gap)]
        y = self.net(pad(x, ends))
        if isinstance(y, Tensor):
            return _crop(y, size, inside)
        return [_crop(one, size, inside) for one in y]

    def _inside(self, size: tuple[int, ...]) -> tuple[int, ...]:
        if self.fixed is not None:
            if any(a > b for a, b in zip(size, self.fixed, strict=True)):
                raise ConfigError(
                    f"This net was built for patches of {self.fixed} and cannot take {size}; build "
                    "it for a larger patch, or use a net without a fixed grid."
                )
            return self.fixed
        counts = [-(-n // d) for n, d in zip(size, self.divisor, strict=True)]
        while _product(counts) < self.cells:
            counts[-1] += 1
        return tuple(n * d for n, d in zip(counts, self.divisor, strict=True))


def _crop(y: Tensor, size: tuple[int, ...], inside: tuple[int, ...]) -> Tensor:
    """Keep of a (possibly coarser) answer what stands for the `size` that came."""
    for axis, (came, whole) in enumerate(zip(size, inside, strict=True), start=2):
        y = y.narrow(axis, 0, -(-came * y.shape[axis] // whole))
    return y


def _product(values: Sequence[int]) -> int:
    total = 1
    for value in values:
        total *= value
    return total


class First(nn.Module):
    """Answer with the first of the answers that `net` gives.

    Examples
    --------
    >>> import torch
    >>> First(nn.Identity())([torch.ones(1), torch.zeros(1)])
    tensor([1.])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Map what `net` takes to its first answer."""
        y: Tensor = self.net(x)[0]
        return y


class Widened(nn.Module):
    """Fill up the channels with zeros to the `width` that `net` takes.

    Examples
    --------
    >>> import torch
    >>> Widened(nn.Identity(), 4)(torch.ones(1, 3, 1, 1)).flatten()
    tensor([1., 1., 1., 0.])
    """

    def __init__(self, net: nn.Module, width: int) -> None:
        super().__init__()
        self.net, self.width = net, width

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, fewer channels, *place) to the answer of `net`."""
        y: Tensor = self.net(pad(x, [0, 0] * (x.ndim - 2) + [0, self.width - x.shape[1]]))
        return y
