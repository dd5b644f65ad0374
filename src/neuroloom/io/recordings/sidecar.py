"""What a file does not say of itself, from a small JSON file beside it, in the words of BIDS.

`trials.json` beside `trials.mat`: `{"SamplingFrequency": 250, "Units": "uV", "ChannelNames":
["C3", "Cz", "C4"], "ChannelTypes": "eeg"}`; every key may be left out. One `eeg.json` in the
folder (or `ieeg.json`, `emg.json`, `meg.json`) speaks for all files without one of their own.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError, nearest

SHARED = ("eeg.json", "ieeg.json", "emg.json", "meg.json")
KEYS = ("SamplingFrequency", "Units", "ChannelNames", "ChannelTypes", "Order")
# "arbitrary" is BIDS's own word for no unit.
UNITS = {"v": 1.0, "mv": 1e-3, "uv": 1e-6, "µv": 1e-6, "μv": 1e-6, "nv": 1e-9, "arbitrary": 1.0}
TYPES = ("eeg", "emg", "ecog", "seeg", "dbs", "mag", "grad", "eog", "ecg", "misc", "stim")


@dataclass(frozen=True)
class Facts:
    """What the sidecar says; None where it is silent.

    Attributes
    ----------
    rate
        Hz.
    scale
        Factor from the file's unit to volts.
    channels, types
        Names; one MNE type a channel, or one for all.
    order
        What is whole in a flattened trial: "channel" (after channel) or "time" (after time).
    """

    rate: float | None = None
    scale: float | None = None
    channels: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    order: str = "channel"


def names_beside(path: Path) -> list[Path]:
    """Return where the facts of a file may stand, nearest first.

    Examples
    --------
    >>> [place.name for place in names_beside(Path("a/ca1.npy.gz"))][:2]
    ['ca1.json', 'eeg.json']
    """
    stem = Path(path.name.removesuffix(".gz")).stem
    return [path.with_name(f"{stem}.json"), *(path.with_name(name) for name in SHARED)]


def facts_beside(path: Path) -> Facts:
    """Return what the nearest sidecar of a file says.

    Raises
    ------
    DataError
        If the sidecar is no JSON object, or a value is not what its key asks for.
    """
    place = next((place for place in names_beside(path) if place.is_file()), None)
    if place is None:
        return Facts()
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{place}: is no JSON ({error}); expected {example()}.") from error
    if not isinstance(said, dict):
        raise DataError(f"{place}: expected an object such as {example()}.")
    _check_keys(place, said)
    return Facts(_rate(place, said), _scale(place, said), *_names(place, said), _order(place, said))


def example(rate: str = "250") -> str:
    """Return what a sidecar looks like, for errors."""
    return f'{{"SamplingFrequency": {rate}, "Units": "uV", "ChannelNames": ["C3", "C4"]}}'


def _check_keys(place: Path, said: dict[str, Any]) -> None:
    """Refuse a key that is nearly one of ours, a slip; BIDS has many more that are left alone."""
    for key in said:
        close = get_close_matches(key.lower(), [ours.lower() for ours in KEYS], 1, 0.8)
        if key not in KEYS and close:
            raise DataError(
                f"{place}: '{key}' is none of the keys that are read: {', '.join(KEYS)}."
                f"{nearest(key, KEYS)}"
            )


def _rate(place: Path, said: dict[str, Any]) -> float | None:
    value = said.get("SamplingFrequency")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise DataError(
            f"{place}: SamplingFrequency: expected a number above 0, Hz, got {value!r}."
        )
    return float(value)


def _scale(place: Path, said: dict[str, Any]) -> float | None:
    value = said.get("Units")
    if value is None:
        return None
    if str(value).lower() not in UNITS:
        raise DataError(
            f"{place}: Units: expected V, mV, uV, nV or arbitrary, got {value!r}."
            f"{nearest(str(value), UNITS)}"
        )
    return UNITS[str(value).lower()]


def _names(
    place: Path, said: dict[str, Any]
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    names, types = said.get("ChannelNames"), said.get("ChannelTypes")
    for key, value in (("ChannelNames", names), ("ChannelTypes", types)):
        listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if value is not None and not (listed or isinstance(value, str)):
            raise DataError(f"{place}: {key}: expected a list of texts, got {value!r}.")
    types = [types] if isinstance(types, str) else types
    names = [names] if isinstance(names, str) else names
    strange = next((kind for kind in types or () if kind.lower() not in TYPES), None)
    if strange is not None:
        raise DataError(
            f"{place}: ChannelTypes: no channel type is called '{strange}'."
            f"{nearest(strange, TYPES)} Known: {', '.join(TYPES)}."
        )
    return (
        None if names is None else tuple(names),
        None if types is None else tuple(kind.lower() for kind in types),
    )


def _order(place: Path, said: dict[str, Any]) -> str:
    order = said.get("Order", "channel")
    if order not in ("channel", "time"):
        raise DataError(f"{place}: Order: expected 'channel' or 'time', got {order!r}.")
    return str(order)
