"""Recordings of any montage and rate on one set of places, and their windows without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom import io
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import require_sound
from neuroloom.core.step import apply_all
from neuroloom.io.recordings.find import Found
from neuroloom.signals.examples.cut import pick_channels

if TYPE_CHECKING:
    import pandas as pd

CLIP, NORMAL_RANGE = 20.0, 1.349
EARS = ("A1", "A2", "M1", "M2", "LE", "RE", "REF", "AVG", "AV")
# Of the rate: what a recording holds below its own anti-alias filter.
HOLDS = 0.4


@dataclass(frozen=True)
class Pieces:
    """Windows of many recordings.

    Attributes
    ----------
    table
        A row a window: name, path, onset, stop (s), recording (index of its file).
    x
        Shape (window, place, time), float32, each recording scaled to unit amplitude; places that a
        recording lacks hold zeros.
    places
        Path -> the places that it has.
    rates
        Path -> rate that it came at, Hz.
    """

    table: pd.DataFrame
    x: np.ndarray
    places: dict[str, list[str]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)


def place_name(channel: str) -> str:
    """Return the place of an electrode: "CZ-A1" is Cz; else the name itself.

    Examples
    --------
    >>> place_name("CZ-A1"), place_name("T3"), place_name("Fp1-F7")
    ('Cz', 'T7', 'Fp1-F7')
    """
    from neuroloom.signals.steps.montage import OLD_NAMES, TEN_TEN

    first, _, second = channel.partition("-")
    own = first if second.upper() in EARS else channel
    own = OLD_NAMES.get(own.upper(), own)
    return {name.upper(): name for name in TEN_TEN}.get(own.upper(), channel)


def place_matrix(channels: Sequence[str], source: str) -> np.ndarray:
    """Return the matrix (place, channel) that takes electrodes to the 64 places, by name only.

    Raises
    ------
    DataError
        If none of the channels is at one of the places.
    """
    from neuroloom.signals.steps.montage import TEN_TEN

    named = [place_name(channel) for channel in channels]
    matrix = np.zeros((len(TEN_TEN), len(channels)))
    for row, place in enumerate(TEN_TEN):
        if place in named:
            matrix[row, named.index(place)] = 1
    if not matrix.any():
        raise DataError(
            f"{source}: none of its {len(channels)} channels ({', '.join(channels[:8])}) is at a "
            "place of the 10-10 system. Leave the file out with `exclude`, or rename them."
        )
    return matrix


def scale_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the median and the clip (channel, 1) of a recording, and its amplitude once clipped.

    The amplitude is one number for all channels, so that their relation stays.
    """
    low, middle, high = np.percentile(x, [25, 50, 75], axis=1, keepdims=True)
    spread = (high - low) / NORMAL_RANGE
    typical = float(np.median(spread[spread > 0])) if (spread > 0).any() else 1.0
    clip = np.full_like(middle, CLIP * typical)
    amplitude = float(np.sqrt(np.mean(np.clip(x - middle, -clip, clip) ** 2)))
    return middle, clip, amplitude or 1.0


def read_pieces(
    found: Found,
    *,
    window: float,
    rate: float,
    band: tuple[float, float],
    picks: Sequence[str] = (),
    most: int | None = None,
    step: float | None = None,
) -> Pieces:
    """Cut recordings of any rate and montage into windows, label-blind.

    Parameters
    ----------
    found
        The files.
    window, step
        Length of a window, and from one to the next; s. `step` None: half a window.
    rate
        To resample to, Hz.
    band
        Hz; a recording that ends below is filtered up to its own end.
    picks
        Channels; default: the EEG.
    most
        Windows of a recording, at most, evenly spread; None: all.

    Raises
    ------
    DataError
        If a file has no channel at a place of the montage, or is flat.
    """
    import pandas as pd

    rows, parts, places, rates = [], [], {}, {}
    for number, path in enumerate(found.table["path"]):
        x, own, rates[path] = _read(found, path, rate, band, picks)
        places[path] = own
        onsets = _onsets(x.shape[1] / rate, window, step or window / 2, most)
        length = round(window * rate)
        for onset in onsets:
            first = round(onset * rate)
            if first + length > x.shape[1]:
                continue
            parts.append(x[:, first : first + length])
            rows.append((f"{path}@{onset:.3f}", path, onset, onset + window, number))
    table = pd.DataFrame(rows, columns=["name", "path", "onset", "stop", "recording"])
    whole = np.stack(parts) if parts else np.zeros((0, 64, round(window * rate)), np.float32)
    return Pieces(table, whole, places, rates)


def _read(
    found: Found, path: str, rate: float, band: tuple[float, float], picks: Sequence[str]
) -> tuple[np.ndarray, list[str], float]:
    """Return one recording at the places, unit amplitude, with the places it has and its rate."""
    from neuroloom.signals.steps import BandPass, Resample
    from neuroloom.signals.steps.montage import TEN_TEN

    whole = io.read(found.root / path)
    names = whole.coords["channel"].values.astype(str).tolist()
    chosen = pick_channels(names, whole.coords["type"].values.astype(str).tolist(), picks)
    matrix = place_matrix(chosen, path)
    used = [name for name, column in zip(chosen, matrix.T, strict=True) if column.any()]
    recording = whole.sel(channel=used)
    require_sound(recording)
    recorded = float(recording.attrs["rate"])
    steps: list[Any] = [BandPass(band[0], min(band[1], HOLDS * recorded))]
    if recorded != rate:
        steps.append(Resample(rate))
    x = apply_all(steps, recording.astype(np.float32)).values
    if not np.ptp(x) > 0:
        raise DataError(f"{path} is flat in the band {band[0]:g} to {band[1]:g} Hz. Exclude it.")
    middle, clip, amplitude = scale_of(x)
    placed = place_matrix(used, path) @ (np.clip(x - middle, -clip, clip) / amplitude)
    own = [name for name, row in zip(TEN_TEN, placed, strict=True) if row.any()]
    return placed.astype(np.float32), own, recorded


def _onsets(seconds: float, window: float, step: float, most: int | None) -> np.ndarray:
    onsets = np.arange(0, seconds - window + 1e-6, step)
    if most is not None and len(onsets) > most:
        onsets = onsets[np.linspace(0, len(onsets) - 1, most).astype(int)]
    return onsets


def without(found: Found, exclude: Sequence[str]) -> Found:
    """Leave out the files that a glob matches, by name or, with a slash, by relative path.

    Raises
    ------
    ConfigError
        If a glob matches nothing, or nothing is left.
    """
    from dataclasses import replace

    paths = found.table["path"].astype(str)
    out = matching(paths.tolist(), exclude, "exclude")
    kept = found.table[~paths.isin(out)].reset_index(drop=True)
    if len(kept) == 0:
        raise ConfigError(f"exclude={list(exclude)} leaves none of {len(found.table)} recordings.")
    return replace(found, table=kept)


def matching(paths: Sequence[str], globs: Sequence[str], field_name: str) -> list[str]:
    """Return the paths that a glob matches.

    Raises
    ------
    ConfigError
        If a glob matches none.
    """
    hits: set[str] = set()
    for glob in globs:
        own = {p for p in paths if fnmatch(p if "/" in glob else p.rpartition("/")[2], glob)}
        if not own:
            raise ConfigError(
                f"{field_name}: '{glob}' matches none of {len(paths)} recordings, such as "
                f"{paths[0]}."
            )
        hits |= own
    return [path for path in paths if path in hits]
