"""A U-Net for traces: a class at every sample of a signal, with context of many seconds."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, pad

from neuroloom.core.errors import ConfigError


class UNet(nn.Module):
    """U-Net along time: an encoder that halves the rate, a decoder that brings it back.

    A strided stem of wide kernels, in which oscillations are learnt as filters, brings the rate
    down by four; the U runs at that rate, and its answer is interpolated back to every sample. What
    comes from below is narrowed and added to what stands beside it, not put next to it: that halves
    the work of the decoder (as in LinkNet, Chaurasia & Culurciello 2017, arXiv:1707.03718).

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of the input, and classes a sample; the first class is the background.
    rate
        Hz; sets the length of the stem's kernels. None: 100 Hz.
    width
        Channels of the first level; each deeper level has `width` more.
    depth
        How often the rate is halved below the stem.
    kernel
        Samples of the kernels inside the U.
    filter_length
        Seconds of the kernels of the stem.
    dice
        Weight of the soft Dice loss beside the cross entropy. Events are rare: cross entropy alone
        is content to find none.
    drop
        Dropout in front of the head.

    References
    ----------
    Ronneberger et al. (2015), MICCAI, 234-241; along time: Perslev et al. (2019), NeurIPS 32
    (U-Time). Loss: Milletari et al. (2016), 3DV, 565-571.

    Examples
    --------
    >>> UNet(1, 1000, 2, rate=100.0)(torch.zeros(3, 1, 1000)).shape
    torch.Size([3, 2, 1000])
    """

    stride = 4

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        width: int = 16,
        depth: int = 4,
        kernel: int = 5,
        filter_length: float = 0.5,
        dice: float = 1.0,
        drop: float = 0.2,
    ) -> None:
        super().__init__()
        self.cell, self.dice = self.stride * 2**depth, dice
        if n_times < self.cell:
            raise ConfigError(
                f"A U-Net of depth {depth} needs stretches of {self.cell} samples or more, "
                f"got {n_times}."
            )
        wide = round(filter_length * (rate or 100.0)) // 2 * 2 + 1
        self.stem = nn.Sequential(
            _convolve(n_channels, width, wide, stride=2), _convolve(width, width, 9, stride=2)
        )
        sizes = [width * (level + 1) for level in range(depth + 1)]
        self.down = nn.ModuleList(_convolve(a, b, kernel, stride=2) for a, b in pairwise(sizes))
        self.deep = _convolve(sizes[-1], sizes[-1], kernel)
        ups = list(zip(sizes[:0:-1], sizes[-2::-1], strict=True))
        self.narrow = nn.ModuleList(nn.Conv1d(a, b, 1) for a, b in ups)
        self.up = nn.ModuleList(_convolve(b, b, kernel) for _, b in ups)
        self.head = nn.Sequential(nn.Dropout1d(drop), nn.Conv1d(width, n_outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to a score of each class at each sample, (n, class, time)."""
        n_times = x.shape[-1]
        missing = -n_times % self.cell
        x = self.stem(pad(x, (0, missing)))
        levels = []
        for layer in self.down:
            levels.append(x)
            x = layer(x)
        x = self.deep(x)
        for narrow, layer, beside in zip(self.narrow, self.up, reversed(levels), strict=True):
            x = layer(narrow(x).repeat_interleave(2, -1) + beside)
        fine = interpolate(self.head(x), scale_factor=self.stride, mode="linear")
        return fine[..., :n_times]

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Cross entropy and soft Dice loss of the events, over what is known of `y` (n, time)."""
        outputs = self(x)
        entropy = cross_entropy(outputs, y, ignore_index=-1)
        return entropy + self.dice * dice_loss(outputs, y) if self.dice else entropy


def dice_loss(outputs: Tensor, y: Tensor) -> Tensor:
    """One minus the soft Dice overlap, mean over the classes but the first.

    Parameters
    ----------
    outputs
        Scores before the softmax (n, class, place).
    y
        Class of each place (n, place); -1 is left out.

    Examples
    --------
    >>> sure = 50 * torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> round(float(dice_loss(sure, torch.tensor([[0, 1]]))), 3)
    0.0
    """
    known = (y >= 0).unsqueeze(1)
    p = (outputs.softmax(1) * known)[:, 1:]
    truth = torch.stack([y == k for k in range(1, outputs.shape[1])], 1).to(p)
    both, either = (p * truth).sum((0, 2)), (p + truth).sum((0, 2))
    return (1 - (2 * both + 1) / (either + 1)).mean()


def _convolve(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(n_out),
        nn.GELU(),
    )
