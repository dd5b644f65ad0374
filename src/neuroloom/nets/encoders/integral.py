"""A number that is an integral over the grid: the sum of a soft map of shares."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
    mse_loss,
)

from neuroloom.core.errors import ConfigError
from neuroloom.nets.encoders.blocks import conv_norm, fold_in, pad_to_multiple
from neuroloom.nets.layers.lean_conv import CONV

FULL = 255
ENOUGH = 64  # examples that fit a line
LOGISTIC = 1.702  # a logistic curve this steep is nearest to the normal distribution's


class IntegralNet(nn.Module):
    """A small U-Net whose output is the sum of the shares that it gives to each place.

    A volume, a count or an amount is additive: what one part of the image holds does not depend on
    how large the image is. So the net says how much each place holds (between 0 and 1) and adds
    up, as density maps count cells (Lempitsky & Zisserman 2010). It works at half the
    resolution on blocks of 2 x 2 (x 2) places, and learns from masks where the target is one, from
    numbers alone elsewhere.

    Parameters
    ----------
    n_channels, shape
        Of an image, without the number of examples.
    n_outputs
        1, or 2 for classes of small and large amounts.
    width
        Channels at half resolution; twice and three times as many below.
    cut
        Where amounts are cut into two classes, in full places; None: learnt from the classes.
    upper
        Which class lies above the cut.

    Raises
    ------
    ConfigError
        If there are more than two classes.

    Examples
    --------
    >>> net = IntegralNet(1, (9, 12, 10), 1, width=4)
    >>> net(torch.randn(2, 1, 9, 12, 10)).shape
    torch.Size([2, 1])
    """

    mean: Tensor
    spread: Tensor
    doubt: Tensor

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int = 1,
        *,
        width: int = 24,
        cut: float | None = None,
        upper: int = 1,
    ) -> None:
        super().__init__()
        if n_outputs > 2:
            raise ConfigError(
                f"model=integral tells two classes apart, small and large, not {n_outputs}: "
                "choose another model, such as resnet."
            )
        dims = len(shape)
        parts = 2**dims
        middle, deep = 2 * width, 3 * width
        self.shape, self.n_outputs = tuple(shape), n_outputs
        self.cut, self.upper = cut, upper
        self.top = _pair(dims, n_channels * parts, width)
        self.down = nn.Sequential(conv_norm(dims, width, middle, stride=2), _one(dims, middle))
        self.bottom = nn.Sequential(conv_norm(dims, middle, deep, stride=2), _one(dims, deep))
        self.to_middle = conv_norm(dims, deep, middle, 1)
        self.to_top = conv_norm(dims, middle, width, 1)
        self.up_middle, self.up_top = _one(dims, middle), _one(dims, width)
        self.output = CONV[dims](width, parts, 1)
        self.gain = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1))
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("spread", torch.ones(1))
        self.register_buffer("doubt", torch.ones(1))

    def shares(self, x: Tensor) -> Tensor:
        """Map images (n, channel, *axes) to logits of the share of each place, folded in blocks."""
        top = self.top(fold_in(pad_to_multiple(x, 2)))
        middle = self.down(top)
        low = self.up_middle(middle + _to(self.to_middle(self.bottom(middle)), middle))
        return self.output(self.up_top(top + _to(self.to_top(low), top)))

    def amount(self, logits: Tensor) -> Tensor:
        """Add up: the standardised number (n,) that folded logits stand for."""
        total = logits.sigmoid().flatten(1).sum(1)
        return (total * self.gain + self.shift - self.mean) / self.spread

    def forward(self, x: Tensor) -> Tensor:
        """Map images to standardised numbers (n, 1), or to scores of two classes (n, 2)."""
        return self.answer(self.amount(self.shares(x)))

    def answer(self, number: Tensor) -> Tensor:
        """Return numbers (n, 1), or how far from the cut they lie, in doubts, for and against."""
        if self.n_outputs == 1:
            return number[:, None]
        cut = 0.0 if self.cut is None else (self.cut - self.mean) / self.spread
        far = LOGISTIC / 2 * (number - cut) / self.doubt
        return torch.stack([far, -far] if self.upper == 0 else [-far, far], 1)

    def adapt(self, x: Tensor, y: Tensor) -> None:
        """Take the unit of the target from the training examples.

        Parameters
        ----------
        x, y
            Images, and maps (n, *axes) of shares in 255ths, whose sum is the target, or
            standardised numbers (n,).
        """
        if y.ndim > 1:
            total = y.flatten(1).sum(1) / FULL
            self.mean.copy_(total.mean())
            # As NumPy has it, so that the learner's unit of the target is the same.
            self.spread.copy_(total.std(correction=0).clamp_min(1e-6))
            share = (self.mean / y[0].numel()).clamp(1e-4, 0.5)
        else:
            # Without masks, take a twentieth of the image for the mean and learn from there.
            share = torch.full((1,), 0.05)
            self.mean.copy_(share * x[0, 0].numel())
            self.spread.copy_(self.mean / 8)
        with torch.no_grad():
            self.output.bias.fill_(float(torch.logit(share)))

    @torch.no_grad()
    def conclude(self, x: Tensor, y: Tensor) -> None:
        """Fit gain, shift and doubt of the sum by least squares on 64 training examples at most."""
        if y.ndim == 1:
            return
        some = torch.linspace(0, len(x) - 1, min(len(x), ENOUGH)).long()
        x, y = x[some], y[some]
        truth = y.flatten(1).sum(1) / FULL
        found = torch.cat([self.shares(part).sigmoid().flatten(1).sum(1) for part in x.split(8)])
        spread = found - found.mean()
        slope = (spread * (truth - truth.mean())).sum() / spread.square().sum().clamp_min(1e-6)
        self.gain.copy_(slope.clamp(0.5, 1.5))
        self.shift.copy_(truth.mean() - self.gain * found.mean())
        missed = (found * self.gain + self.shift - truth).square().mean().sqrt()
        self.doubt.copy_((missed / self.spread).clamp_min(0.05))

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Error of the number or the class and, with maps, of what each place holds."""
        logits = self.shares(x)
        if y.ndim == 1 and self.n_outputs == 2:
            return cross_entropy(self.answer(self.amount(logits)), y)
        if y.ndim == 1:
            return mse_loss(self.amount(logits), y)
        truth = fold_in(pad_to_multiple(y[:, None].to(x) / FULL, 2))
        number = (truth.flatten(1).sum(1) - self.mean) / self.spread
        shares, both = logits.sigmoid(), (logits.sigmoid() * truth).sum()
        overlap = 1 - (2 * both + 1) / (shares.sum() + truth.sum() + 1)
        places = binary_cross_entropy_with_logits(logits, truth)
        return places + overlap + 0.1 * mse_loss(self.amount(logits), number)


def _pair(dims: int, given: int, made: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(dims, given, made), conv_norm(dims, made, made))


def _one(dims: int, width: int) -> nn.Sequential:
    return conv_norm(dims, width, width)


def _to(x: Tensor, like: Tensor) -> Tensor:
    return interpolate(x, size=like.shape[2:], mode="nearest")
