"""Units of places, as files spell them."""

from __future__ import annotations

from neuroloom.core.recording import TRACK_UNITS

LONG = {
    "px": "pixels", "um": "micrometers", "mm": "millimeters", "cm": "centimeters", "m": "meters",
}  # fmt: skip
_KNOWN = {unit: unit for unit in TRACK_UNITS} | {long: unit for unit, long in LONG.items()}
_KNOWN |= {"microns": "um"}


def known_unit(word: str) -> str | None:
    """Return the one of `TRACK_UNITS` that a word means, however it is spelt; None if it is none.

    Examples
    --------
    >>> known_unit("MM"), known_unit("Millimetre"), known_unit("µm"), known_unit("inch")
    ('mm', 'mm', 'um', None)
    """
    plain = word.strip().lower().replace("metre", "meter")
    plain = plain.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    return _KNOWN.get(plain) or _KNOWN.get(f"{plain}s")
