"""Re-referencing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.core.step import RecordingStep

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Reference(RecordingStep):
    """Re-reference the EEG channels.

    Parameters
    ----------
    to
        "average" for the mean of all EEG channels, or one channel name or several, whose mean is
        subtracted. Named reference channels are dropped: they hold nothing afterwards.

    Examples
    --------
    >>> Reference("Cz").out_channels(["C3", "Cz", "C4"])
    ['C3', 'C4']
    """

    to: str | tuple[str, ...] = "average"

    def out_channels(self, channels: Sequence[str]) -> list[str]:
        """Return the channels without the named references."""
        return [channel for channel in channels if channel not in self._names()]

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the re-referenced recording."""
        eeg = recording.coords["type"].values == "eeg"
        channels = recording.coords["channel"].values.astype(str)
        source = recording.attrs.get("source") or "recording"
        chosen = np.isin(channels, self._names()) if self._names() else eeg
        self._check(channels, eeg, source)
        data = recording.values.copy()
        data[eeg] -= data[chosen].mean(axis=0, dtype=np.float64).astype(data.dtype)
        keep = np.isin(channels, self.out_channels(list(channels)))
        return recording.copy(data=data).isel(channel=keep)

    def describe(self, rate: float) -> str:
        """Return the reference in one sentence."""
        if not self._names():
            return "Referenced to the average of all EEG channels."
        return f"Referenced to {' and '.join(self._names())}, then dropped."

    def _names(self) -> tuple[str, ...]:
        if isinstance(self.to, str):
            return () if self.to == "average" else (self.to,)
        return tuple(self.to)

    def _check(self, channels: np.ndarray, eeg: np.ndarray, source: str) -> None:
        for name in set(self._names()) - set(channels):
            raise ConfigError(
                f"{source}: the reference '{name}' is not among the channels."
                f"{nearest(name, channels)} Use 'average' or one of {', '.join(channels[:8])}, …"
            )
        if not self._names() and eeg.sum() < 2:
            raise ConfigError(
                f"{source}: an average reference needs at least two EEG channels, it has "
                f"{eeg.sum()}; leave `reference` out."
            )
