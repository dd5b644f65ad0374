"""DeepSleepNet: a convolutional path for detail, one for rhythm, and an LSTM over epochs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, pad

from neuroloom.signals.nets.blocks import require_positive, samples
from neuroloom.signals.nets.sequence import epoch_of, labels_of, split_epochs

PAPER_RATE = 100.0
UNITS = 512


class DeepSleepNet(nn.Module):
    """DeepSleepNet of Supratak et al. 2017 (IEEE TNSRE 25:1998, figure 1).

    24,744,837 trainable parameters for 1 channel, 5 stages and 3000 samples (30 s at 100 Hz).

    The LSTM runs over the epochs of a stretch, every convolution is followed by a rectifier and
    padded as the authors' TensorFlow does; braindecode has no context, an ELU in the second path
    and other zeros. The authors' LSTM also has peepholes, which the count above leaves out.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a stretch of epochs and number of classes. The paper has one channel; here the
        first layer mixes several.
    rate
        Hz; first kernels and strides keep the paper's length in seconds (0.5 s and 4 s). None takes
        its samples at 100 Hz.
    places
        Epochs in a stretch; one leaves the net without context.
    dense
        True: one label an epoch, (n, n_outputs, places); False: that of the epoch in the middle.
    dropout
        Share dropped (0.5 in the paper).

    Raises
    ------
    ConfigError
        If the epochs do not divide the stretch.

    Examples
    --------
    >>> DeepSleepNet(1, 3000, 5, 100)(torch.zeros(2, 1, 3000)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        places: int = 1,
        dense: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_positive("DeepSleepNet", n_times // places, n_times, places, rate)
        self.epoch, self.dense = epoch_of("DeepSleepNet", n_times, places), dense
        given = rate or PAPER_RATE
        small, step, large, stride = (samples(n, PAPER_RATE, given) for n in (50, 6.25, 400, 50))
        self.detail = path(n_channels, (small, step), (8, 8, 4), dropout)
        self.rhythm = path(n_channels, (large, stride), (4, 6, 2), dropout)
        features = 128 * (after(self.epoch, step, 8, 4) + after(self.epoch, stride, 4, 2))
        self.dropout = nn.Dropout(dropout)
        self.context = nn.LSTM(
            features, UNITS, 2, batch_first=True, bidirectional=True, dropout=dropout
        )
        self.shortcut = nn.Sequential(
            nn.Linear(features, 2 * UNITS, bias=False), nn.BatchNorm1d(2 * UNITS), nn.ReLU()
        )
        self.output = nn.Linear(2 * UNITS, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, epochs in a row) to logits (n, n_outputs, epoch) or (n, n_outputs)."""
        epochs = split_epochs(x, self.epoch)
        flat = epochs.flatten(0, 1)
        features = torch.cat([self.detail(flat).flatten(1), self.rhythm(flat).flatten(1)], 1)
        features = self.dropout(features)
        stretches = features.unflatten(0, epochs.shape[:2])
        alone = stretches.shape[1] == 1
        context = read_alone(self.context, stretches) if alone else self.context(stretches)[0]
        both = context + self.shortcut(features).unflatten(0, epochs.shape[:2])
        return labels_of(self.output(self.dropout(both)).mT, self.dense)


def read_alone(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """Return what a bidirectional `lstm` makes of sequences of one, without its memory.

    The memory starts at zero, so all its products are zero and need not be computed.

    Parameters
    ----------
    lstm, x
        The layers, and sequences (n, 1, feature).
    """
    for layer in range(lstm.num_layers):
        ends = []
        for end in ("", "_reverse"):
            weight, *biases = (
                getattr(lstm, f"{part}_l{layer}{end}")
                for part in ("weight_ih", "bias_ih", "bias_hh")
            )
            enter, _, value, leave = linear(x, weight, sum(biases)).chunk(4, -1)
            ends.append(leave.sigmoid() * (enter.sigmoid() * value.tanh()).tanh())
        x = torch.cat(ends, -1)
        if layer < lstm.num_layers - 1:
            x = dropout(x, lstm.dropout, lstm.training)
    return x


class Padded(nn.Module):
    """A convolution or pool with one output for every `stride` of the input, begun or not.

    Zeros go before and after alike, one more after where their number is odd, as "SAME" does in
    TensorFlow; a pool behind a rectifier cannot tell them from what is not there.
    """

    def __init__(self, layer: nn.Conv1d | nn.MaxPool1d, kernel: int, stride: int) -> None:
        super().__init__()
        self.layer, self.kernel, self.stride = layer, kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, map, time) to (n, map', time / stride, rounded up)."""
        n_times = x.shape[-1]
        zeros = max(0, (-(-n_times // self.stride) - 1) * self.stride + self.kernel - n_times)
        return self.layer(pad(x, (zeros // 2, zeros - zeros // 2)))


def path(
    n_channels: int, first: tuple[int, int], sizes: tuple[int, int, int], dropout: float
) -> nn.Sequential:
    """Return one of the two convolutional paths.

    Parameters
    ----------
    n_channels
        Input channels.
    first
        Kernel and stride of the first convolution, samples.
    sizes
        First pool, kernel of the other three convolutions, second pool.
    dropout
        Share dropped after the first pool.
    """
    pool, kernel, last = sizes
    return nn.Sequential(
        *_conv(n_channels, 64, *first),
        _max_pool(pool), nn.Dropout(dropout),
        *_conv(64, 128, kernel, 1),
        *_conv(128, 128, kernel, 1),
        *_conv(128, 128, kernel, 1),
        _max_pool(last),
    )  # fmt: skip


def after(n_times: int, *strides: int) -> int:
    """Return how many samples are left of `n_times` by layers that round up.

    Examples
    --------
    >>> after(3000, 6, 8, 4), after(3000, 50, 4, 2)
    (16, 8)
    """
    for stride in strides:
        n_times = -(-n_times // stride)
    return n_times


def _conv(n_in: int, n_out: int, kernel: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv1d(n_in, n_out, kernel, stride, bias=False)
    return [Padded(conv, kernel, stride), nn.BatchNorm1d(n_out), nn.ReLU()]


def _max_pool(size: int) -> nn.Module:
    return Padded(nn.MaxPool1d(size), size, size)
