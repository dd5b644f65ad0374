"""Convolutional nets of the textbook: plain, residual, dense, fully convolutional."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuroloom.nets.blocks import require_positive
from neuroloom.nets.tokens import Tokens


class _OnTokens(nn.Module):
    """Tokens, a body that maps (n, width, token) to (n, width', token'), mean over time, linear."""

    def __init__(
        self, stem: Tokens, body: nn.Module, width: int, n_outputs: int, dropout: float
    ) -> None:
        super().__init__()
        self.stem, self.body = stem, body
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        return self.output(self.dropout(self.body(self.stem(x)).mean(2)))


class CNN(_OnTokens):
    """A plain convolutional net: filters in space and time, then convolutions over tokens.

    LeCun et al. 1998 (Proc. IEEE 86:2278) on a sequence: convolution, normalisation, nonlinearity,
    pooling, repeated, and a linear layer. The first layer is `Tokens`, a split convolution.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; lengths are in seconds. None stands for 100 Hz.
    filters
        Mixtures of channels, and filters of every convolution.
    layers
        Convolutions over tokens.
    dropout
        Share of the features dropped before each convolution and before the output.
    power
        Decode the power of the mixtures (True) or their sign-keeping mean (False).
    tokens
        Other `kernel`, `window` or `step` of `Tokens`, s.

    Raises
    ------
    ConfigError
        If a window is shorter than one token.

    Examples
    --------
    >>> CNN(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 16,
        layers: int = 2,
        dropout: float = 0.25,
        power: bool = True,
        tokens: dict[str, float] | None = None,
    ) -> None:
        stem = Tokens("CNN", n_channels, n_times, filters, rate, power=power, **(tokens or {}))
        body = nn.Sequential(*(_plain(filters, dropout) for _ in range(layers)))
        super().__init__(stem, body, filters, n_outputs, dropout)


class ResCNN(_OnTokens):
    """Residual net of He et al. 2016 (ECCV, arXiv:1603.05027, "full pre-activation") over tokens.

    Each block adds to its input what two convolutions make of it, normalised and rectified first.

    Parameters
    ----------
    n_channels, n_times, n_outputs, rate, filters, dropout, power
        As of `CNN`.
    blocks
        Residual blocks of two convolutions.

    Raises
    ------
    ConfigError
        If a window is shorter than one token.

    Examples
    --------
    >>> ResCNN(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 16,
        blocks: int = 2,
        dropout: float = 0.25,
        power: bool = True,
    ) -> None:
        stem = Tokens("ResCNN", n_channels, n_times, filters, rate, power=power)
        body = nn.Sequential(*(Residual(filters, dropout) for _ in range(blocks)))
        super().__init__(stem, body, filters, n_outputs, dropout)


class DenseCNN(_OnTokens):
    """Densely connected net of Huang et al. 2017 (CVPR, arXiv:1608.06993) over tokens.

    Every layer sees the features of all layers before it and adds `growth` of its own.

    Parameters
    ----------
    n_channels, n_times, n_outputs, rate, filters, dropout, power
        As of `CNN`.
    growth, layers
        Features that each layer adds; number of layers.

    Raises
    ------
    ConfigError
        If a window is shorter than one token.

    Examples
    --------
    >>> DenseCNN(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 16,
        growth: int = 8,
        layers: int = 3,
        dropout: float = 0.25,
        power: bool = True,
    ) -> None:
        stem = Tokens("DenseCNN", n_channels, n_times, filters, rate, power=power)
        widths = [filters + i * growth for i in range(layers + 1)]
        body = nn.Sequential(*(Dense(width, growth, dropout) for width in widths[:-1]))
        super().__init__(stem, body, widths[-1], n_outputs, dropout)


class FCN(nn.Module):
    """Fully convolutional net of Wang, Yan & Oates 2017 (IJCNN, arXiv:1611.06455, figure 1b).

    Three convolutions of 128, 256 and 128 filters over 8, 5 and 3 samples, each normalised and
    rectified, and the mean over time; nothing pools in between, so it takes any length. The paper
    counts in samples of series without a rate, and so does this net at every rate.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Not used.
    filters, kernels
        Of the three convolutions.

    Raises
    ------
    ConfigError
        If a window is shorter than the longest kernel.

    Examples
    --------
    >>> FCN(22, 300, 4)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: tuple[int, ...] = (128, 256, 128),
        kernels: tuple[int, ...] = (8, 5, 3),
    ) -> None:
        super().__init__()
        require_positive("FCN", n_times - max(kernels) + 1, n_times, max(kernels), rate)
        layers: list[nn.Module] = []
        width = n_channels
        for count, kernel in zip(filters, kernels, strict=True):
            keep = nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0)
            layers += [keep, nn.Conv1d(width, count, kernel), nn.BatchNorm1d(count), nn.ReLU()]
            width = count
        self.body = nn.Sequential(*layers)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        return self.output(self.body(x).mean(2))


class Residual(nn.Module):
    """`x + conv(relu(norm(conv(relu(norm(x))))))`, the same width and length."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm1d(width), nn.ReLU(), nn.Conv1d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout),
            nn.Conv1d(width, width, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, token) to the same shape."""
        return x + self.path(x)


class Dense(nn.Module):
    """Add `growth` features that a normalised, rectified convolution makes of all given ones."""

    def __init__(self, width: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout),
            nn.Conv1d(width, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, token) to (n, width + growth, token)."""
        return torch.cat([x, self.path(x)], 1)


def _plain(width: int, dropout: float) -> nn.Sequential:
    conv = nn.Conv1d(width, width, 3, padding=1, bias=False)
    return nn.Sequential(nn.Dropout(dropout), conv, nn.BatchNorm1d(width), nn.ReLU())
