"""Any cap on one fixed set of 10-10 places, so that recordings of several labs fit one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.step import RecordingStep
from neuroloom.signals.splines import directions, solve_spline, spline_matrix

if TYPE_CHECKING:
    import xarray as xr

_ROWS = (
    "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 "
    "FT8 T9 T7 C5 C3 C1 Cz C2 C4 C6 T8 T10 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 "
    "P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz"
)
TEN_TEN = tuple(_ROWS.split())
OLD_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
FEWEST_FOR_SPLINES = 4


@dataclass(frozen=True)
class MapMontage(RecordingStep):
    """Bring the EEG channels onto fixed places of the 10-10 system.

    A place takes the electrode of its name (T3, T4, T5 and T6 are the old names of T7, T8, P7 and
    P8). Where there is none, the potential is interpolated by spherical splines, if an electrode
    with a known position lies within `reach`; else the place holds zeros. Other channels go.

    Parameters
    ----------
    names
        The places, as MNE's 10-05 template spells them; the default are the 64 of the 10-10 system
        that BCI2000 records (Schalk et al. 2004, IEEE Trans. Biomed. Eng. 51(6), 1034-1043).
    reach
        Angle to the nearest electrode, seen from the middle of the head, degrees; 40 are about 7
        cm.

    Raises
    ------
    ConfigError
        If a place is not in the template.
    DataError
        If no EEG channel of a recording has a known name or position.

    References
    ----------
    Kostas & Rudzicz (2020), J. Neural Eng. 17, 056008 (mapping onto fixed places); Perrin et al.
    (1989), Electroencephalogr. Clin. Neurophysiol. 72(2), 184-187 (splines).

    Examples
    --------
    >>> MapMontage(("C3", "Cz", "C4")).out_channels(["Cz", "ECG"])
    ['C3', 'Cz', 'C4']
    """

    names: tuple[str, ...] = TEN_TEN
    reach: float = 40.0

    def __post_init__(self) -> None:
        from neuroloom.io.recordings.electrodes import template

        for name in self.names:
            if name not in template():
                raise ConfigError(
                    f"The montage has no place '{name}'.{nearest(name, template())} Places are "
                    "spelt as in the 10-05 system: Fp1, AFz, C3, …"
                )

    def out_channels(self, channels: Sequence[str]) -> list[str]:
        """Return the places."""
        return list(self.names)

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the recording at the fixed places."""
        from neuroloom.core.recording import signal
        from neuroloom.io.recordings.electrodes import template_positions

        eeg = recording.isel(channel=recording.coords["type"].values == "eeg")
        matrix = self.weights(
            eeg.coords["channel"].values.astype(str).tolist(),
            np.stack([eeg.coords[axis].values for axis in "xyz"], axis=1),
            recording.attrs.get("source") or "recording",
        )
        mapped = signal(
            matrix.astype(recording.dtype) @ eeg.values,
            self.names,
            recording.attrs["rate"],
            positions=template_positions(self.names),
            annotations=recording.attrs["annotations"],
        )
        mapped.attrs |= recording.attrs
        return mapped

    def weights(
        self, channels: Sequence[str], positions: np.ndarray, source: str = "recording"
    ) -> np.ndarray:
        """Return the matrix (place, channel) that takes EEG channels to the places.

        Parameters
        ----------
        channels
            Names.
        positions
            Head coordinates, m, shape (channel, 3); NaN takes the template's for a known name.
        source
            For messages.
        """
        from neuroloom.io.recordings.electrodes import template_positions

        spelt = [OLD_NAMES.get(name, name) for name in channels]
        places = np.where(np.isfinite(positions), positions, template_positions(spelt))
        located = np.isfinite(places).all(1)
        matrix = np.zeros((len(self.names), len(channels)))
        direct = [spelt.index(name) if name in spelt else -1 for name in self.names]
        if not located.any() and max(direct) < 0:
            raise DataError(
                f"{source}: none of its {len(channels)} EEG channels ({', '.join(channels[:8])}) "
                "has a 10-10 name or a position, so they cannot be mapped. Rename them, add "
                "positions (electrodes.tsv), or take montage='as recorded'."
            )
        for row, channel in enumerate(direct):
            if channel >= 0:
                matrix[row, channel] = 1
        missing = np.flatnonzero(np.array(direct) < 0)
        if len(missing) and located.sum() >= FEWEST_FOR_SPLINES:
            matrix[np.ix_(missing, np.flatnonzero(located))] = self._between(
                places[located], template_positions([self.names[row] for row in missing])
            )
        return matrix

    def _between(self, positions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return spline weights (place, electrode); zeros where no electrode is near."""
        both = directions(np.vstack([positions, wanted]))
        units, there = both[: len(positions)], both[len(positions) :]
        near = (there @ units.T).max(1) >= np.cos(np.deg2rad(self.reach))
        return spline_matrix(there, units, solve_spline(units)) * near[:, None]

    def describe(self, rate: float) -> str:
        """Return the mapping in one sentence."""
        return (
            f"Mapped onto {len(self.names)} places of the 10-10 system: electrodes by name, "
            f"missing ones by spherical splines from electrodes within {self.reach:g} degrees, "
            "else zeros."
        )
