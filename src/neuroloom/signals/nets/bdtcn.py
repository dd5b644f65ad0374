"""BD-TCN: a temporal convolutional network whose outputs in time are averaged."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils.parametrizations import weight_norm

from neuroloom.signals.nets.blocks import require_positive, samples

PAPER_RATE = 100.0


class BDTCN(nn.Module):
    """Temporal convolutional network of Bai et al. 2018 (arXiv:1803.01271), as Gemein et al. 2020.

    Residual blocks of two dilated causal convolutions; the dilation doubles from each block to the
    next. Gemein et al. (NeuroImage 220:117021) average the outputs of a linear layer over all
    samples whose past lies in the window, and found 5 blocks of 55 filters with 16 taps for windows
    of 60 s: 456,502 trainable parameters for 21 channels and 2 classes. The small net that the
    arguments here stand for has 26,974 for 22 channels and 4 classes and a past of 57 samples.

    Outputs without a whole past are not averaged, so the convolutions need no padding.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels keep their length in seconds (5 samples at 100 Hz). None takes the samples as
        they are.
    blocks, filters, kernel
        Residual blocks, filters of each, taps at 100 Hz.
    dropout
        Share of maps dropped after each convolution.

    Raises
    ------
    ConfigError
        If a window is shorter than the past that one output sees.

    Examples
    --------
    >>> import torch
    >>> BDTCN(22, 500, 4)(torch.zeros(2, 22, 500)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        blocks: int = 3,
        filters: int = 30,
        kernel: int = 5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        taps = samples(kernel, PAPER_RATE, rate or PAPER_RATE)
        past = 1 + 2 * (taps - 1) * (2**blocks - 1)
        require_positive("BDTCN", n_times - past + 1, n_times, past, rate)
        widths = [n_channels] + blocks * [filters]
        self.blocks = nn.Sequential(
            *(
                WeightNormBlock(n_in, filters, taps, 2**level, dropout)
                for level, n_in in enumerate(widths[:-1])
            )
        )
        self.output = nn.Linear(filters, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        return self.output(self.blocks(x).mean(2))


class WeightNormBlock(nn.Module):
    """Two convolutions with normalised weights, ReLU and dropout, and a way around them.

    Parameters
    ----------
    n_in, n_out
        Maps; where they differ, the way around has a convolution of one sample.
    kernel, dilation
        Taps, and samples from one to the next.
    dropout
        Share of maps dropped after each convolution.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = 2 * (kernel - 1) * dilation
        self.first = _conv(n_in, n_out, kernel, dilation)
        self.second = _conv(n_out, n_out, kernel, dilation)
        self.around = nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1)
        self.dropout = nn.Dropout1d(dropout)
        if n_in != n_out:
            nn.init.normal_(self.around.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, time) to (n, n_out, time - 2 (kernel - 1) dilation)."""
        maps = self.dropout(relu(self.first(x)))
        maps = self.dropout(relu(self.second(maps)))
        return relu(maps + self.around(x[..., self.reach :]))


def _conv(n_in: int, n_out: int, kernel: int, dilation: int) -> nn.Module:
    conv = nn.Conv1d(n_in, n_out, kernel, dilation=dilation)
    nn.init.normal_(conv.weight, std=0.01)
    return weight_norm(conv)
