"""What is cut from recordings: the request, checked against every header before data are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from neuroloom import io
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.step import RecordingStep
from neuroloom.io.recordings.find import Found

if TYPE_CHECKING:
    import pandas as pd

NOT_EVENTS = ("bad", "edge", "boundary")
NOT_SIGNAL = ("stim", "misc", "syst", "eog", "ecg", "resp", "bio", "ref_meg", "exci", "ias")
FIRST_CHOICE = (("eeg",), ("mag", "grad"), ("seeg", "ecog", "dbs"), ("emg",))
LEAST_SAMPLES = 8


@dataclass(frozen=True)
class Cut:
    """How examples are made of recordings; plain data, stored with every trained model.

    Attributes
    ----------
    picks
        Channel names, types and globs; "!name" leaves out. Empty: all channels of the first kind
        present among EEG, MEG, intracranial, EMG.
    events
        Annotation -> class; empty: every annotation is a class of its own name.
    target
        A column of the file table to learn instead of events.
    start, stop
        Seconds after the event; `stop` None takes the events' shortest duration, or 1 s. With a
        `window` they bound what is cut in pieces; `stop` None then is each event's own end.
    window
        Seconds; cuts events' durations, or whole recordings where there is a target, in pieces.
    band, notch, rate, reference
        See `neuroloom.signals.steps`; Hz, Hz, Hz, "average" or channels.
    reject
        Largest peak-to-peak amplitude that is kept, µV.
    align
        "none" or "euclidean".
    eyes
        "none", "regression", "emcp" (regression, blinks apart) or "ica".
    eog
        Channels that watch the eyes; empty: those of the type "eog".
    montage
        "as recorded", or "10-10": mapped onto its 64 places, so that files may differ in channels.
    standardise
        "none", or "moving": each channel by its exponential moving moments.
    """

    picks: tuple[str, ...] = ()
    events: dict[str, str] = field(default_factory=dict)
    target: str | None = None
    start: float = 0.0
    stop: float | None = None
    window: float | None = None
    band: tuple[float | None, float | None] | None = None
    notch: tuple[float, ...] = ()
    rate: float | None = None
    reference: tuple[str, ...] = ()
    reject: float | None = None
    align: str = "none"
    eyes: str = "none"
    eog: tuple[str, ...] = ()
    montage: str = "as recorded"
    standardise: str = "none"

    @property
    def length(self) -> float:
        """Seconds of an example, once `stop` is settled."""
        return self.window or ((self.stop or 0.0) - self.start)

    def steps(self) -> list[RecordingStep]:
        """Return the steps on a continuous recording, in their order."""
        return [*self.steps_on_all(), *self.steps_on_picked(), *self.last_steps()]

    def steps_on_all(self) -> list[RecordingStep]:
        """Return the first steps, which draw on more channels than the picked ones."""
        from neuroloom.signals.steps import EyeICA, EyeRegression, Reference

        steps: list[RecordingStep] = []
        if self.eyes == "ica":
            steps.append(EyeICA(self.eog))
        elif self.eyes != "none":
            steps.append(EyeRegression(self.eog, blinks_apart=self.eyes == "emcp"))
        if self.reference:
            steps.append(
                Reference(self.reference[0] if len(self.reference) == 1 else self.reference)
            )
        return steps

    def steps_on_picked(self) -> list[RecordingStep]:
        """Return the steps on the picked channels that keep the unit."""
        from neuroloom.signals.steps import BandPass, MapMontage, Notch, Resample

        steps: list[RecordingStep] = []
        if self.notch:
            steps.append(Notch(self.notch))
        if self.band:
            steps.append(BandPass(*self.band))
        if self.rate:
            steps.append(Resample(self.rate))
        if self.montage != "as recorded":
            steps.append(MapMontage())
        return steps

    def last_steps(self) -> list[RecordingStep]:
        """Return the steps after which the samples have no unit."""
        from neuroloom.signals.steps import MovingStandardize

        return [MovingStandardize()] if self.standardise == "moving" else []

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Cut:
        """Rebuild from what `asdict` gave and JSON made of it."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in facts.items()
        }
        return cls(**fields)


def pick_channels(names: Sequence[str], types: Sequence[str], picks: Sequence[str]) -> list[str]:
    """Return the channels that `picks` names, in the file's order.

    Parameters
    ----------
    names, types
        Of all channels.
    picks
        Names, types or globs, upper or lower case; "!" in front leaves out.

    Raises
    ------
    ConfigError
        If a pick matches nothing.

    Examples
    --------
    >>> pick_channels(["FC5", "C3", "EOG"], ["eeg", "eeg", "eog"], ["C*"])
    ['C3']
    """
    chosen: set[str] = set()
    left_out: set[str] = set()
    for pick in picks:
        hit = _hit(pick, names, types)
        if not hit and not pick.startswith("!"):
            raise ConfigError(
                f"picks: no channel is called '{pick}'.{nearest(pick, names)} "
                f"There are {', '.join(list(names)[:12])}{', …' if len(names) > 12 else ''}."
            )
        (left_out if pick.startswith("!") else chosen).update(hit)
    if all(pick.startswith("!") for pick in picks):
        chosen = _first_kind(names, types)
    kept = [name for name in names if name in chosen - left_out]
    if not kept:
        raise ConfigError(f"picks={list(picks)} leaves no channel of {len(names)}.")
    return kept


def _hit(pick: str, names: Sequence[str], types: Sequence[str]) -> set[str]:
    """Return the channels that one pick, with or without "!", matches by name or type."""
    pattern = pick.removeprefix("!").lower()
    return {
        name
        for name, kind in zip(names, types, strict=True)
        if fnmatchcase(name.lower(), pattern) or kind == pattern
    }


def _first_kind(names: Sequence[str], types: Sequence[str]) -> set[str]:
    """Return the channels of the first kind of signal that is there."""
    for kinds in FIRST_CHOICE:
        hit = {name for name, kind in zip(names, types, strict=True) if kind in kinds}
        if hit:
            return hit
    hit = {name for name, kind in zip(names, types, strict=True) if kind not in NOT_SIGNAL}
    if not hit:
        raise DataError(f"None of the {len(names)} channels holds a signal: {', '.join(names)}.")
    return hit


def settle(cut: Cut, headers: dict[str, io.Header], found: Found) -> Cut:
    """Check the request against all headers and fill in what it left open."""
    if cut.eog and cut.eyes == "none":
        raise ConfigError("eog names channels for `eyes`: set it to regression, emcp or ica.")
    if cut.target:
        _check_target(cut, found)
    else:
        _check_events(cut, headers)
    stop = cut.stop
    if stop is None and not cut.window:
        stop = _own_stop(cut, headers)
    if not cut.window and (stop is None or stop <= cut.start):
        raise ConfigError(
            f"stop ({stop:g} s, the events' own duration) must come after start ({cut.start:g} s)."
        )
    rates = {header.rate for header in headers.values()}
    rate = cut.rate or (min(rates) if len(rates) > 1 else None)
    settled = replace(cut, stop=stop, rate=rate)
    _check_sizes(settled, headers)
    return settled


def _check_sizes(cut: Cut, headers: dict[str, io.Header]) -> None:
    """Refuse examples that hold no signal: a few samples, longer than any file, out of band."""
    high, recorded = cut.band[1] if cut.band else None, min(h.rate for h in headers.values())
    rate = cut.rate or recorded
    if high and rate <= 2 * high and rate < recorded:
        raise ConfigError(
            f"rate={rate:g} Hz cannot hold the band up to {high:g} Hz: choose {2.5 * high:g} "
            "Hz or more, or a lower `band`."
        )
    length = cut.window or (cut.stop or 0.0) - cut.start
    field = "window" if cut.window else "stop"
    if round(length * rate) < LEAST_SAMPLES:
        raise ConfigError(
            f"An example of {length:g} s holds {round(length * rate)} samples at {rate:g} Hz; "
            f"{LEAST_SAMPLES} are the least. Raise `{field}`."
        )
    _check_trials(cut, headers)
    longest = max(header.duration for header in headers.values())
    if length > longest:
        raise ConfigError(
            f"{field}: an example of {length:g} s is longer than the longest recording "
            f"({longest:g} s). Lower `{field}`."
        )


def _check_trials(cut: Cut, headers: dict[str, io.Header]) -> None:
    """Refuse what reaches out of files that hold trials: there is nothing before or after one."""
    for path, header in headers.items():
        if header.trial is None or cut.target or not len(header.annotations):
            continue
        before = float((header.annotations["onset"] % header.trial).min())
        start, stop = cut.start, cut.start + cut.length
        if start < -before - 1e-6 or stop > header.trial - before + 1e-6:
            raise ConfigError(
                f"{path} holds trials from {0.0 - before:g} to {header.trial - before:g} s around "
                f"their event; {start:g} to {stop:g} s does not lie inside. Change `start` or "
                "`stop`."
            )


def needed_channels(cut: Cut, header: io.Header) -> list[str]:
    """Return the picked channels and those that their reference and eye correction draw on.

    The average is that of all EEG channels but those that `picks` leaves out by "!"; an ICA takes
    all EEG and MEG channels but those.
    """
    from neuroloom.signals.steps.eyes import CORRECTED, eog_channels

    names, types = header.channels, header.types
    more = set(cut.reference)
    left_out = [pick for pick in cut.picks if pick.startswith("!")]
    if cut.reference == ("average",):
        more = set(pick_channels(names, types, ["eeg", *left_out])) if "eeg" in types else set()
    if cut.eyes != "none":
        more |= set(eog_channels(names, types, cut.eog))
    kinds = set(CORRECTED) & set(types)
    if cut.eyes == "ica" and kinds:
        more |= set(pick_channels(names, types, [*sorted(kinds), *left_out]))
    picked = set(pick_channels(names, types, cut.picks))
    return [name for name in names if name in picked | more]


def common_channels(cut: Cut, headers: dict[str, io.Header]) -> list[str]:
    """Return the needed channels, refusing files that do not agree on them."""
    first_path, first = next(iter(headers.items()))
    for pick in cut.picks:
        there = any(_hit(pick, header.channels, header.types) for header in headers.values())
        if pick.startswith("!") and not there:
            close = nearest(pick[1:], first.channels)
            raise ConfigError(
                f"picks: no recording has a channel '{pick[1:]}' to leave out.{close}"
            )
    wanted = needed_channels(cut, first)
    for path, header in headers.items():
        own = needed_channels(cut, header)
        if set(own) == set(wanted):
            continue
        lacks, more = sorted(set(wanted) - set(own)), sorted(set(own) - set(wanted))
        said = [f"lacks {', '.join(lacks[:8])}"] if lacks else []
        said += [f"has besides {', '.join(more[:8])}"] if more else []
        raise DataError(
            f"{path} and {first_path} have different channels: {path} {' and '.join(said)}. "
            "Name the channels they share with `picks`, or narrow `include`."
        )
    return wanted


def _check_target(cut: Cut, found: Found) -> None:
    keys = [name for name in found.table.columns if name != "path"]
    if cut.target not in keys:
        raise ConfigError(
            f"target='{cut.target}' is no column of the data.{nearest(str(cut.target), keys)} "
            f"There are {', '.join(keys)}."
        )
    if found.table[cut.target].isna().all():
        raise ConfigError(f"target='{cut.target}' is empty for every file; name it by `pattern`.")
    if not cut.window:
        raise ConfigError(
            f"target='{cut.target}' is a property of whole recordings: say by `window` into pieces "
            "of how many seconds they are cut, such as --window 2."
        )


def require_channels(needed: Sequence[str], headers: dict[str, io.Header]) -> None:
    """Refuse files that lack a channel of those that a model was trained on."""
    for path, header in headers.items():
        missing = [name for name in needed if name not in header.channels]
        if missing:
            raise DataError(
                f"{path} lacks {len(missing)} of the {len(needed)} channels that the model was "
                f"trained on: {', '.join(missing[:8])}. It has {', '.join(header.channels[:8])}, …"
            )


def _check_events(cut: Cut, headers: dict[str, io.Header]) -> None:
    there = sorted({str(label) for h in headers.values() for label in h.annotations["label"]})
    if not there:
        raise DataError(
            f"{next(iter(headers))}: there are no annotations in {len(headers)} recordings, so no "
            "events to decode. Name a `target` column and a `window`, or add events."
        )
    for event in cut.events:
        if event not in there:
            raise ConfigError(
                f"events: no recording has an event '{event}'.{nearest(event, there)} "
                f"There are {', '.join(there[:20])}."
            )


def _own_stop(cut: Cut, headers: dict[str, io.Header]) -> float:
    """Return the shortest duration of the events, or 1 s if they have none."""
    shortest = math.inf
    for header in headers.values():
        labels = header.annotations["label"].astype(str)
        known = labels.isin(cut.events) if cut.events else ~is_mark(labels)
        durations = header.annotations["duration"][known]
        shortest = min([shortest, *durations])
    return cut.start + 1.0 if shortest in (0, math.inf) else float(shortest)


def is_mark(labels: pd.Series) -> pd.Series:
    """Tell which annotations mark stretches and are no events."""
    return labels.str.lower().str.startswith(NOT_EVENTS)
