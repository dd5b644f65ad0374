"""The stimuli that drive each channel most."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST_CHANNELS = 4096


class TopStimuli:
    """Keep the best stimuli of each channel, batch after batch.

    A channel's response to a stimulus is its largest over places.

    Parameters
    ----------
    count
        How many to keep.

    Examples
    --------
    >>> best = TopStimuli(2)
    >>> best.update(np.array([[1.0], [3.0], [2.0]]), 0)
    >>> best.rows.tolist(), best.values.tolist()
    ([[1, 2]], [[3.0, 2.0]])
    """

    def __init__(self, count: int = 5) -> None:
        self.count = count
        self.values = np.empty((0, 0))
        self.rows: NDArray[np.int64] = np.empty((0, 0), dtype=np.int64)

    def update(self, responses: np.ndarray, start: int) -> None:
        """Add responses (stimulus, channel, …) of stimuli numbered from `start`.

        Of layers with very many channels the first 4,096 are followed.
        """
        if not self.count:
            return
        kept = responses[:, :MOST_CHANNELS]
        peak = kept.reshape(len(kept), kept.shape[1] if kept.ndim > 1 else 1, -1).max(2).T
        rows = np.broadcast_to(np.arange(start, start + len(kept)), peak.shape)
        if self.values.shape[0] == peak.shape[0]:
            peak = np.concatenate([self.values, peak], 1)
            rows = np.concatenate([self.rows, rows], 1)
        # Of equal responses the earlier stimulus comes first, whatever the batches are.
        order = np.argsort(-peak, axis=1, kind="stable")[:, : self.count]
        self.values = np.take_along_axis(peak, order, 1)
        self.rows = np.take_along_axis(rows, order, 1)

    def table(self, names: list[str], layer: str) -> pd.DataFrame:
        """Return a row a channel and rank: layer, channel, rank, stimulus, value."""
        channels, ranks = self.values.shape
        return pd.DataFrame(
            {
                "layer": layer,
                "channel": np.repeat(np.arange(channels), ranks),
                "rank": np.tile(np.arange(1, ranks + 1), channels),
                "stimulus": [names[row] for row in self.rows.ravel()],
                "value": self.values.ravel(),
            }
        )
