"""Signals (EEG, LFP, EMG …) by windows in time: at most two values a pixel and channel."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.apps.studio.views import View, Window
from neuroloom.apps.studio.views.asked import changed, number, whole
from neuroloom.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from neuroloom.apps.studio.service import Studio
    from neuroloom.io.recordings.reader import Header

CHUNK = 10.0  # s that are read at once; a scroll finds most of its next window in memory
KEPT = 48  # chunks in memory
MOST_VALUES = 6_000_000  # samples times channels of a window
MOST_EVENTS = 3000
MOST_CHANNELS = 64
LEADS = ("as recorded", "average")


class SignalView(View):
    """Traces of some channels over some seconds."""

    kind = "signal"

    def header(self, path: Path) -> dict[str, Any]:
        """Return channels, types, rate (Hz), duration and longest window (s), and events."""
        head = _header(path, *changed(path))
        events = head.annotations.head(MOST_EVENTS)
        columns = (events["onset"], events["duration"], events["label"])
        longest = MOST_VALUES / (head.rate * max(1, len(head.channels)))
        return {
            "channels": list(head.channels),
            "types": list(head.types),
            "rate": head.rate,
            "duration": head.duration,
            "longest": max(1.0, min(head.duration, longest)),
            "events": [
                [float(onset), float(np.nan_to_num(span)), str(label)]
                for onset, span, label in zip(*columns, strict=True)
            ],
            "left_out": max(0, len(head.annotations) - MOST_EVENTS),
            "leads": list(LEADS),
            "notes": list(head.notes),
        }

    def window(self, path: Path, asked: dict[str, str]) -> Window:
        """Return traces as bytes.

        Two int32 (channels, columns), two float32 (start and length, s), then float32 (channel,
        column, 2): the least and the greatest value of each column. Asked for by `start` and
        `seconds`; `width`, columns at most; `picks`, numbers of channels ("0,3,4"); `lead`: "as
        recorded", "average", or the name of a channel to refer to. Each channel is centred on its
        median in the window.
        """
        head = _header(path, *changed(path))
        picks = _picks(asked.get("picks", ""), len(head.channels))
        seconds = min(max(number(asked, "seconds", 10.0), 8 / head.rate), head.duration)
        seconds = min(seconds, MOST_VALUES / (head.rate * len(head.channels)))
        start = min(max(number(asked, "start", 0.0), 0.0), head.duration - seconds)
        whole_ = read_span(path, start, start + seconds, head)
        values = _referred(whole_, head, asked.get("lead", "") or LEADS[0])[picks]
        values = values - _middle(values)
        out = envelope(values, whole(asked, "width", 1000, 10, 4000))
        lead = (
            np.array(out.shape[:2], "<i4").tobytes() + np.array([start, seconds], "<f4").tobytes()
        )
        return Window(lead + out.astype("<f4").tobytes(), "application/octet-stream")

    def show(self, studio: Studio, data: str, over: str = "") -> None:
        """Build the viewer."""
        from neuroloom.apps.studio.views.element import place

        self.header(studio.file(data))
        place("signal", data, f"Signals of {data.rpartition('/')[2]}")


@lru_cache(maxsize=16)
def _header(path: Path, when: int, size: int) -> Header:
    from neuroloom.io.recordings.reader import peek

    return peek(path)


@lru_cache(maxsize=KEPT)
def _chunk(path: Path, when: int, size: int, number: int) -> np.ndarray:
    from neuroloom.io.recordings.reader import read

    found = read(path, number * CHUNK, (number + 1) * CHUNK)
    return np.asarray(found.transpose("channel", "time").values, np.float32)


def read_span(path: Path, start: float, stop: float, head: Header) -> np.ndarray:
    """Return a span of a file (channel, sample), float32, put together from chunks in memory.

    Parameters
    ----------
    path
        The file.
    start, stop
        Seconds.
    head
        What its header says.
    """
    mark = changed(path)
    first, last = int(start // CHUNK), int(max(stop - 0.5 / head.rate, 0) // CHUNK)
    last = min(last, int(max(head.duration - 0.5 / head.rate, 0) // CHUNK))
    parts = [_chunk(path, *mark, k) for k in range(first, max(first, last) + 1)]
    joined = np.concatenate(parts, axis=1)
    begin = round((start - first * CHUNK) * head.rate)
    return joined[:, begin : begin + max(1, round((stop - start) * head.rate))]


def envelope(values: np.ndarray, columns: int) -> np.ndarray:
    """Return the least and greatest value (channel, column, 2) of so many stretches of samples.

    Fewer samples than two a column are returned as they are, least and greatest alike.

    Examples
    --------
    >>> envelope(np.arange(8.0)[None], 2).tolist()
    [[[0.0, 3.0], [4.0, 7.0]]]
    """
    n = values.shape[1]
    if n <= 2 * columns:
        return np.stack([values, values], -1)
    edges = np.linspace(0, n, columns + 1).astype(int)[:-1]
    low, high = (take.reduceat(values, edges, axis=1) for take in (np.fmin, np.fmax))
    return np.stack([low, high], -1)


def _middle(values: np.ndarray) -> np.ndarray:
    """Return the median of each channel, (channel, 1); one that passes over gaps is slower."""
    found = np.median(values, axis=1, keepdims=True)
    gaps = np.isnan(found)[:, 0]
    if gaps.any():
        found[gaps] = np.nanmedian(values[gaps], axis=1, keepdims=True)
    return found


def _picks(text: str, count: int) -> list[int]:
    if not text:
        return list(range(min(count, MOST_CHANNELS)))
    parts = text.split(",")
    if len(parts) > MOST_CHANNELS or not all(p.isdecimal() and int(p[:9]) < count for p in parts):
        raise ConfigError(
            f"picks must be at most {MOST_CHANNELS} numbers of channels from 0 to {count - 1}, "
            f"got '{text[:40]}'."
        )
    return [int(part) for part in parts]


def _referred(values: np.ndarray, head: Header, lead: str) -> np.ndarray:
    """Return values against another reference; only channels of its kind are changed."""
    if lead == LEADS[0]:
        return values
    types = np.array(head.types)
    if lead == LEADS[1]:
        kinds = [kind for kind in ("eeg", "ecog", "seeg", "dbs") if (types == kind).any()]
        own = np.isin(types, kinds) if kinds else np.ones(len(types), bool)
        taken = np.nanmean(values[own], axis=0)
    elif lead in head.channels:
        own = types == types[head.channels.index(lead)]
        taken = values[head.channels.index(lead)]
    else:
        raise ConfigError(f"lead: there is no channel '{lead[:40]}'.{nearest(lead, head.channels)}")
    return np.where(own[:, None], values - taken, values)
