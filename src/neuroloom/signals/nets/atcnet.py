"""ATCNet: EEGNet's front, then attention and a temporal convolutional net in sliding windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, layer_norm, softmax

from neuroloom.signals.nets.attention import PAPER_RATE, ConvFront
from neuroloom.signals.nets.blocks import glorot_, limit_norm_, require_positive

KERNEL = 4


class ATCNet(nn.Module):
    """ATCNet of Altaheri et al. 2022 (IEEE Trans Ind Inform 19:2249, figure 2).

    113,732 trainable parameters for 22 channels, 4 classes and 1000 samples.

    The windows have weights of their own; here they run side by side as one batched product and one
    grouped convolution.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels and pools of the front keep the paper's length in seconds (64 samples at 250 Hz
        are 0.256 s). None takes the paper's samples as they are.
    filters, depth
        Temporal filters, spatial filters for each of them.
    windows
        Windows slid over what the front leaves, one sample apart.
    heads, head
        Heads of the attention and their width.
    layers
        Residual blocks of two causal convolutions, dilated by 1, 2, 4 …
    dropout
        Share dropped in the front and the convolutional blocks (0.3 in the paper).
    attention_dropout
        Share of the attention weights dropped (0.5).
    max_norm
        Limit of the norm of each output's weights (0.25); 0 sets none.

    Raises
    ------
    ConfigError
        If the front leaves fewer samples than there are windows.

    Examples
    --------
    >>> ATCNet(22, 1000, 4)(torch.zeros(2, 22, 1000)).shape
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
        depth: int = 2,
        windows: int = 5,
        heads: int = 2,
        head: int = 8,
        layers: int = 2,
        dropout: float = 0.3,
        attention_dropout: float = 0.5,
        max_norm: float = 0.25,
    ) -> None:
        super().__init__()
        self.front = ConvFront(n_channels, rate or PAPER_RATE, filters, depth, 64, (8, 7), dropout)
        step, width, self.max_norm = self.front.step, self.front.width, max_norm
        self.length = n_times // step - windows + 1
        require_positive("ATCNet", self.length, n_times, windows * step, rate)
        self.attention = WindowAttention(windows, width, heads, head, attention_dropout)
        self.blocks = nn.Sequential(
            *(CausalBlock(windows, width, 2**layer, dropout) for layer in range(layers))
        )
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(windows, width, n_outputs))
        self.bias = nn.Parameter(torch.zeros(windows, n_outputs))
        glorot_(self.weight, width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        windows = self.front(x).unfold(-1, self.length, 1).permute(2, 0, 3, 1)
        attended = windows + self.dropout(self.attention(windows))
        last = self.blocks(attended.permute(1, 0, 3, 2).flatten(1, 2))[..., -1]
        features = last.unflatten(1, (len(windows), -1)).transpose(0, 1)
        return torch.baddbmm(self.bias[:, None], features, self.weight).mean(0)

    def constrain(self) -> None:
        """Apply the norm limit; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.weight, self.max_norm, (1,))


class WindowAttention(nn.Module):
    """Layer normalisation and multi-head self-attention with weights for each window.

    Parameters
    ----------
    windows, width
        Number of windows and features in time of each.
    heads, head
        Heads and the width of each, which need not add up to `width`.
    dropout
        Share of the attention weights dropped.
    """

    def __init__(self, windows: int, width: int, heads: int, head: int, dropout: float) -> None:
        super().__init__()
        inner, self.heads = heads * head, heads
        self.gain = nn.Parameter(torch.ones(windows, 1, width))
        self.shift = nn.Parameter(torch.zeros(windows, 1, width))
        self.project = nn.Parameter(torch.empty(windows, width, 3 * inner))
        self.project_bias = nn.Parameter(torch.zeros(windows, 1, 3 * inner))
        self.merge = nn.Parameter(torch.empty(windows, inner, width))
        self.merge_bias = nn.Parameter(torch.zeros(windows, 1, width))
        self.dropout = nn.Dropout(dropout)
        glorot_(self.project, width, inner)
        glorot_(self.merge, inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (window, n, time, width) to the same shape."""
        _, n, _, width = x.shape
        normal = layer_norm(x, (width,), eps=1e-6).flatten(1, 2) * self.gain + self.shift
        projected = torch.baddbmm(self.project_bias, normal, self.project)
        parts = projected.unflatten(2, (3, self.heads, -1)).unflatten(1, (n, -1))
        query, key, value = parts.permute(3, 0, 1, 4, 2, 5).unbind()
        weights = self.dropout(softmax(query @ key.mT * query.shape[-1] ** -0.5, -1))
        heads = (weights @ value).transpose(2, 3).flatten(3).flatten(1, 2)
        return torch.baddbmm(self.merge_bias, heads, self.merge).unflatten(1, (n, -1))


class CausalBlock(nn.Module):
    """Two dilated causal convolutions of each window, added to their input.

    The block of EEG-TCNet (Ingolfsson et al. 2020, figure 1) for several windows at once.
    """

    def __init__(self, windows: int, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.windows, self.reach = windows, dilation * (KERNEL - 1)
        stages: list[nn.Module] = []
        for _ in range(2):
            conv = nn.Conv1d(
                windows * width, windows * width, KERNEL, dilation=dilation, groups=windows
            )
            nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
            stages += [nn.ConstantPad1d((self.reach, 0), 0.0), conv]
            stages += [nn.BatchNorm1d(windows * width), nn.ELU(), nn.Dropout(dropout)]
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, windows * width, time) to the same shape."""
        return elu(x + self.stages(x))
