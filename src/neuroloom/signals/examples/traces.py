"""Recordings read whole: picked, filtered, brought to one rate and one scale, one at a time.

Events and sleep stages are looked for in whole recordings, so these are cut later, and in other
ways than trials are. What is picked, filtered and refused is the same as for trials.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom import io
from neuroloom.core.audit import Finding, refuse_duplicates
from neuroloom.core.dataset import UNITS
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.recording import require_sound
from neuroloom.signals.examples.cut import (
    Cut,
    common_channels,
    needed_channels,
    pick_channels,
    require_channels,
)
from neuroloom.signals.examples.data import clean_recording, hash_of, recording_facts, with_channels

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.recordings.find import Found

LARGEST = 20.0
NORMAL_RANGE = 1.349


@dataclass(frozen=True)
class Trace:
    """One recording, ready to be cut.

    Attributes
    ----------
    path, units
        Relative path; subject, session, run.
    x
        Shape (channel, time), float32: V, or robust standard deviations of each channel.
    rate
        Hz.
    marks
        Its annotations: onset (s), duration (s), label.
    facts
        Of its axes, as a dataset keeps them.
    """

    path: str
    units: dict[str, Any]
    x: np.ndarray
    rate: float
    marks: pd.DataFrame
    facts: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Length of the recording, s."""
        return self.x.shape[1] / self.rate

    @property
    def bad(self) -> np.ndarray:
        """Stretches that are marked bad, rows (onset, stop) in seconds."""
        from neuroloom.signals.measures import as_events

        labels = self.marks["label"].astype(str).str.lower()
        rows = self.marks[labels.str.startswith("bad")]
        return as_events(rows["onset"], rows["duration"])


class Source:
    """The recordings of a study, checked by their headers; iterate to read them one by one.

    Parameters
    ----------
    found
        Files with subject, session, run.
    cut
        What to pick and how to filter; `rate` must be given.
    trained
        The facts of the data that a model was trained on, for new data.
    scale
        "none" leaves volts; "recording" divides each channel by its own robust deviation.

    Raises
    ------
    ConfigError, DataError
        Naming the file or channel that is wrong.

    Notes
    -----
    Each channel is centred by its median and clipped at 20 robust standard deviations of the
    recording (interquartile range / 1.349), whatever the labels. Where every recording has a single
    picked channel, it may have another name in each.
    """

    def __init__(
        self,
        found: Found,
        cut: Cut,
        trained: dict[str, Any] | None = None,
        scale: str = "none",
    ) -> None:
        if trained is not None:
            cut = replace(Cut.of(trained["cut"]), rate=trained["rate"])
        self.found, self.cut, self.scale = found, cut, scale
        self.headers = {path: io.peek(found.root / path) for path in found.table["path"]}
        self.hashes = {path: hash_of(found.root / path) for path in self.headers}
        if trained is None:
            refuse_duplicates(self.hashes)
        self.picked = self._picked(trained)
        self.findings = [Finding("note", "How the files were read", found.layout)]
        self.findings += [*_other_channels(self.picked), *_low_rates(self.headers, cut)]

    def _picked(self, trained: dict[str, Any] | None) -> dict[str, list[str]]:
        """Return the channels of each recording, in one order."""
        headers = self.headers
        if trained is not None and all(set(trained["picked"]) <= set(h.channels)
                                       for h in headers.values()):  # fmt: skip
            return {path: list(trained["picked"]) for path in headers}
        own = {
            path: pick_channels(h.channels, h.types, self.cut.picks) for path, h in headers.items()
        }
        if {len(names) for names in own.values()} == {1}:
            if trained is not None and len(trained["picked"]) != 1:
                require_channels(trained["picked"], headers)
            return own
        if trained is not None:
            require_channels(trained["picked"], headers)
        common_channels(self.cut, headers)
        first = next(iter(own.values()))
        return dict.fromkeys(headers, first)

    def __iter__(self) -> Iterator[Trace]:
        """Read the recordings in their order."""
        for row in self.found.table.to_dict("records"):
            yield self._read(row)

    def _read(self, row: dict[str, Any]) -> Trace:
        path = row["path"]
        header, picked = self.headers[path], self.picked[path]
        cut = replace(self.cut, picks=tuple(picked), band=band_for(self.cut, header.rate))
        whole = with_channels(io.read(self.found.root / path), needed_channels(cut, header))
        require_sound(whole)
        clean = clean_recording(whole, cut, picked)
        facts = recording_facts(with_channels(whole, picked), clean, cut.steps())
        facts |= {"picked": picked, "cut": asdict(self.cut), "scale": self.scale}
        units = {name: row.get(name) for name in UNITS}
        x = scaled(clean.values, keep_unit=self.scale == "none")
        return Trace(path, units, x, clean.attrs["rate"], header.annotations, facts)


def band_for(cut: Cut, rate: float) -> tuple[float | None, float | None] | None:
    """Return the pass-band of a recording at `rate` Hz: open above where it ends by itself."""
    if cut.band is None or cut.band[1] is None or cut.band[1] < rate / 2:
        return cut.band
    return (cut.band[0], None) if cut.band[0] else None


def scaled(data: np.ndarray, *, keep_unit: bool = False) -> np.ndarray:
    """Return samples (channel, time) in robust standard deviations of each channel, clipped.

    Parameters
    ----------
    keep_unit
        True centres and clips alike, but leaves the unit.

    Returns
    -------
    float32.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(3, 7, (1, 100000))
    >>> bool(abs(scaled(noise).std() - 1) < 0.02)
    True
    """
    middle, spread = np.percentile(data, 50, axis=1, keepdims=True), robust_spread(data)
    clipped = np.clip((data - middle) / spread, -LARGEST, LARGEST)
    return (clipped * spread if keep_unit else clipped).astype(np.float32)


def robust_spread(data: np.ndarray) -> np.ndarray:
    """Return the robust standard deviation of each channel, shape (channel, 1).

    The interquartile range / 1.349; where that is nothing, the standard deviation.
    """
    low, high = np.percentile(data, [25, 75], axis=1, keepdims=True)
    spread = (high - low) / NORMAL_RANGE
    return np.where(spread > 0, spread, data.std(axis=1, keepdims=True))


def match_labels(wanted: dict[str, str], there: list[str], field: str) -> dict[str, str]:
    """Return annotation label -> class for every label that a name or a glob of `wanted` fits.

    Raises
    ------
    ConfigError
        If one of `wanted` fits nothing.

    Examples
    --------
    >>> match_labels({"spindle/*": "spindle"}, ["N2", "spindle/expert 1"], "events")
    {'spindle/expert 1': 'spindle'}
    """
    found: dict[str, str] = {}
    for pattern, name in wanted.items():
        hits = [label for label in there if label == pattern or fnmatchcase(label, pattern)]
        if not hits:
            listed = ", ".join(there[:20]) or "none at all"
            raise ConfigError(
                f"{field}: no recording has an annotation '{pattern}'.{nearest(pattern, there)} "
                f"There are {listed}."
            )
        found |= {label: name for label in hits if label not in found}
    return found


def labels_there(headers: dict[str, io.Header]) -> list[str]:
    """Return all annotation labels of the recordings, sorted.

    Raises
    ------
    DataError
        If no recording has any.
    """
    there = sorted({str(label) for h in headers.values() for label in h.annotations["label"]})
    if not there:
        raise DataError(
            f"{next(iter(headers))}: there are no annotations in {len(headers)} recordings, so "
            "nothing to learn from. Add them to the files, or beside them."
        )
    return there


def _other_channels(picked: dict[str, list[str]]) -> list[Finding]:
    names = {tuple(channels): path for path, channels in picked.items()}
    if len(names) < 2:
        return []
    said = "; ".join(f"{', '.join(channels)} ({path})" for channels, path in names.items())
    return [
        Finding(
            "warning",
            "Recordings of different channels",
            f"Each recording has one channel, and it is not the same in all: {said}, for example. "
            "They are taken for one another.",
        )
    ]


def _low_rates(headers: dict[str, io.Header], cut: Cut) -> list[Finding]:
    if cut.band is None or cut.band[1] is None:
        return []
    low = [f"{path} ({h.rate:g} Hz)" for path, h in headers.items() if cut.band[1] >= h.rate / 2]
    if not low:
        return []
    return [
        Finding(
            "warning",
            "Recordings that end below the band",
            f"The band reaches to {cut.band[1]:g} Hz, which these cannot hold: {', '.join(low)}. "
            "Their upper end is that of the recording.",
        )
    ]


def check_rate(rate: float, band: tuple[float, float]) -> None:
    """Refuse a rate that cannot hold the band.

    Raises
    ------
    ConfigError
        With the least rate that would.
    """
    if rate <= 2 * band[1]:
        raise ConfigError(
            f"rate={rate:g} Hz cannot hold the band up to {band[1]:g} Hz: choose "
            f"{2.5 * band[1]:g} Hz or more, or a lower `band`."
        )
