"""Channel names as the 10-10 system spells them, and what can be told from a name."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np

_PREFIX = re.compile(r"^(EEG|POL)[\s_-]+", re.IGNORECASE)
_REFERENCE = re.compile(r"[\s_-]+(REF|LE|AVG|AR|CE)$", re.IGNORECASE)
_TYPE_BY_NAME = (
    (re.compile(r"EOG", re.IGNORECASE), "eog"),
    (re.compile(r"ECG|EKG", re.IGNORECASE), "ecg"),
    (re.compile(r"EMG", re.IGNORECASE), "emg"),
    (re.compile(r"^(STATUS|STI\d*|TRIGGER|TRIG|MARKERS?\d*|EVENT MARKER)$", re.I), "stim"),
    (re.compile(r"^(RESP|AIRFLOW|FLOW|THOR|ABDO)", re.IGNORECASE), "resp"),
    (re.compile(r"^(SPO2|SAO2|PULSE|PLETH|ACC|GYRO|GSR|EDA|LIGHT|BATT|TEMP\b)", re.I), "misc"),
)


@cache
def template() -> dict[str, np.ndarray]:
    """Return name -> head coordinates (m) of MNE's 10-05 template, 343 positions."""
    import mne

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = mne.channels.get_builtin_montages()
        name = "colin27_1005" if "colin27_1005" in known else "standard_1005"
        montage = mne.channels.make_standard_montage(name)
        info = mne.create_info(montage.ch_names, 1.0, "eeg")
        info.set_montage(montage, verbose="ERROR")
    return {channel["ch_name"]: channel["loc"][:3].copy() for channel in info["chs"]}


@cache
def _canonical() -> dict[str, str]:
    return {name.lower(): name for name in template()}


def normalise(names: Sequence[str]) -> list[str]:
    """Spell channel names as 10-10 does, where they are recognised; else only strip them.

    "Fc5." is FC5, "EEG Fp1-REF" is Fp1; "A3", "EMG chin" and "C3-A2" stay what they are.
    Where two channels would get one name, both keep their own.

    Examples
    --------
    >>> normalise(["Fc5.", "CZ..", "EEG fp1-REF", "EMG chin "])
    ['FC5', 'Cz', 'Fp1', 'EMG chin']
    """
    plain = [name.strip() for name in names]
    found = [_canonical().get(_bare(name).lower(), name) for name in plain]
    counts = Counter(found)
    return [new if counts[new] == 1 else old for new, old in zip(found, plain, strict=True)]


def _bare(name: str) -> str:
    return _REFERENCE.sub("", _PREFIX.sub("", name)).strip(" .")


def guess_type(name: str, given: str = "eeg") -> str:
    """Return the MNE type of a channel of a format that calls everything `given`."""
    if name in template():
        return given
    return next((kind for regex, kind in _TYPE_BY_NAME if regex.search(name)), given)


def template_positions(names: Sequence[str]) -> np.ndarray:
    """Return head coordinates in metres, shape (channel, 3); NaN where the name says nothing.

    On BioSemi caps A1 and A2 are scalp sensors, not the ear lobes: with an A3 they stay NaN.
    """
    biosemi = {"A1", "A2"} if "A3" in names else set()
    unknown = np.full(3, np.nan)
    rows = [unknown if name in biosemi else template().get(name, unknown) for name in names]
    return np.array(rows).reshape(-1, 3)
