"""Chambon2018: a small convolutional net for the sleep stage of one epoch."""

from __future__ import annotations

from torch import Tensor, nn

from neuroloom.signals.nets.blocks import require_positive, samples

PAPER_RATE = 128.0


class Chambon2018(nn.Module):
    """The net of Chambon et al. 2018 (IEEE TNSRE 26:758, table 1) for one epoch.

    5,835 trainable parameters for 2 channels, 5 stages and 3840 samples (30 s at 128 Hz).

    Spatial filters make virtual channels; the same two temporal convolutions, each rectified and
    pooled, read every one of them. A single channel has no spatial filter.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of an epoch and number of outputs (stages, or 1 for a number).
    rate
        Hz; kernels and pools keep the paper's length in seconds (64 and 16 samples are 0.5 s and
        0.125 s at 128 Hz, 8 s and 2 s behind the first pool). None takes its samples as they are.
    filters
        Filters of both temporal convolutions.
    dropout
        Share of the features dropped before the output.

    Raises
    ------
    ConfigError
        If an epoch is shorter than the two pools.

    Examples
    --------
    >>> import torch
    >>> Chambon2018(2, 3840, 5)(torch.zeros(2, 2, 3840)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 8,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        given = rate or PAPER_RATE
        first = samples(64, PAPER_RATE, given), samples(16, PAPER_RATE, given)
        second = tuple(samples(n, PAPER_RATE / 16, given / first[1]) for n in (64, 16))
        length = _left(_left(n_times, *first), *second)
        needed = _needed(_needed(1, *second), *first)
        require_positive("Chambon2018", length, n_times, needed, rate)
        self.spatial = nn.Conv1d(n_channels, n_channels, 1) if n_channels > 1 else nn.Identity()
        self.features = nn.Sequential(
            *_block(1, filters, *first), *_block(filters, filters, *second)
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * n_channels * length, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map epochs (n, channel, time) to logits (n, n_outputs)."""
        virtual = self.spatial(x)
        features = self.features(virtual.flatten(0, 1)[:, None])
        return self.output(self.dropout(features.unflatten(0, virtual.shape[:2]).flatten(1)))


def _block(n_in: int, n_out: int, kernel: int, pool: int) -> list[nn.Module]:
    conv = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2)
    return [conv, nn.ReLU(), nn.MaxPool1d(pool)]


def _left(n_times: int, kernel: int, pool: int) -> int:
    """Return how many samples a block leaves; an even kernel adds one before the pool."""
    return (n_times + 1 - kernel % 2) // pool


def _needed(n_times: int, kernel: int, pool: int) -> int:
    """Return how many samples a block needs to leave `n_times`."""
    return max(1, n_times * pool - 1 + kernel % 2)
