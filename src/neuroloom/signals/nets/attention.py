"""What the nets with attention share: a convolutional front, and layers of an encoder."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import elu, pad, softmax

from neuroloom.nets.blocks import glorot_, samples
from neuroloom.signals.nets.eegnet import FilteredSources, same_padding

PAPER_RATE = 250.0


class ConvFront(nn.Module):
    """EEGNet's front with a full second convolution: how ATCNet and CTNet begin.

    Filters in time and space, pool, filter all maps in time, pool; kernels and pools keep their
    length in seconds.

    Parameters
    ----------
    n_channels
        Input channels.
    rate
        Hz.
    filters, depth
        Temporal filters, spatial filters for each of them.
    kernel, pools
        Temporal kernel, samples at 250 Hz; the two pools, samples at 250 and at 250 / 8 Hz.
    dropout
        Share dropped after each pool.

    Attributes
    ----------
    width, step
        Maps that come out, and samples of the input for one of the output.
    """

    def __init__(
        self,
        n_channels: int,
        rate: float,
        filters: int,
        depth: int,
        kernel: int,
        pools: tuple[int, int],
        dropout: float,
    ) -> None:
        super().__init__()
        first = samples(pools[0], PAPER_RATE, rate)
        second, short = (samples(n, PAPER_RATE / 8, rate / first) for n in (pools[1], 16))
        self.width, self.step = filters * depth, first * second
        self.filter = FilteredSources(n_channels, filters, depth, samples(kernel, PAPER_RATE, rate))
        self.norm, self.pool = nn.BatchNorm1d(self.width), nn.AvgPool1d(first)
        self.mix = nn.Conv1d(self.width, self.width, short, bias=False)
        self.mix_norm, self.mix_pool = nn.BatchNorm1d(self.width), nn.AvgPool1d(second)
        self.dropout = nn.Dropout(dropout)
        glorot_(self.mix.weight, self.width * short, self.width * short)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to (n, width, time / step)."""
        x = self.dropout(self.pool(elu(self.norm(self.filter(x)))))
        x = self.mix(pad(x, same_padding(self.mix.kernel_size[0])))
        return self.dropout(self.mix_pool(elu(self.mix_norm(x))))


class SelfAttention(nn.Module):
    """Multi-head self-attention whose scores are divided by the root of a token's width.

    Vaswani et al. 2017 divide by the root of a head's width; Song et al. 2023 (equation 1) and
    Zhao et al. 2024 by that of the whole token.

    Parameters
    ----------
    width, heads
        Features of a token; heads, which share them evenly.
    dropout
        Share of the attention weights dropped.

    Examples
    --------
    >>> import torch
    >>> SelfAttention(40, 10, 0.5)(torch.zeros(2, 61, 40)).shape
    torch.Size([2, 61, 40])
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.scale = heads, width**-0.5
        self.project = nn.Linear(width, 3 * width)
        self.dropout = nn.Dropout(dropout)
        self.merge = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (n, token, width) to the same shape."""
        projected = self.project(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = projected.unbind()
        weights = self.dropout(softmax(query * self.scale @ key.mT, -1))
        return self.merge((weights @ value).transpose(1, 2).flatten(2))


class FeedForward(nn.Sequential):
    """Two linear layers, four times as wide between them, with GELU and dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward layer, each added to its input.

    Parameters
    ----------
    width, heads
        Features of a token, heads of the attention.
    dropout
        Share dropped of attention weights, inside the feed-forward layer and of what is added.
    norm_first
        True normalises the input of each part, False the sum.
    """

    def __init__(self, width: int, heads: int, dropout: float, norm_first: bool) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.parts = nn.ModuleList(
            [SelfAttention(width, heads, dropout), FeedForward(width, dropout)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in self.parts])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (n, token, width) to the same shape."""
        for part, norm in zip(self.parts, self.norms, strict=True):
            if self.norm_first:
                x = x + self.dropout(part(norm(x)))
            else:
                x = norm(x + self.dropout(part(x)))
        return x
