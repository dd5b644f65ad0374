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
        Hz; kernels and pools keep the paper's length in seconds (64 and 16 samples at 128 Hz are
        0.5 s and 0.125 s). None takes the paper's samples as they are.
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
        kernel, pool = (samples(n, PAPER_RATE, rate or PAPER_RATE) for n in (64, 16))
        margin = kernel // 2
        more = 2 * margin - kernel + 1
        length = ((n_times + more) // pool + more) // pool
        require_positive("Chambon2018", length, n_times, (pool - more) * pool - more, rate)
        self.spatial = nn.Conv1d(n_channels, n_channels, 1) if n_channels > 1 else nn.Identity()
        self.features = nn.Sequential(
            nn.Conv1d(1, filters, kernel, padding=margin), nn.ReLU(), nn.MaxPool1d(pool),
            nn.Conv1d(filters, filters, kernel, padding=margin), nn.ReLU(), nn.MaxPool1d(pool),
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * n_channels * length, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map epochs (n, channel, time) to logits (n, n_outputs)."""
        virtual = self.spatial(x)
        features = self.features(virtual.flatten(0, 1)[:, None])
        return self.output(self.dropout(features.unflatten(0, virtual.shape[:2]).flatten(1)))
