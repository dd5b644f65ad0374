"""A motor experiment with known sources: EEG simulated on MNE's template head.

Two sources under C3 and C4 hum at 11 and 21 Hz and fall quieter, the one opposite the moving hand
most. Around them: 1/f activity of many cortical dipoles, posterior alpha, blinks, line noise and
sensor noise; electrodes drift from session to session. All is drawn from one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import write_atomic
from neuroloom.core.recording import signal

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MONTAGE = (
    "Fp1 Fp2 F3 Fz F4 FC5 FC3 FC1 FCz FC2 FC4 FC6 C5 C3 C1 Cz C2 C4 C6 "
    "CP5 CP3 CP1 CPz CP2 CP4 CP6 P3 Pz P4 O1 Oz O2"
)
HANDS = {"left": "C4", "right": "C3"}
REST, MOVE, JITTER = 2.0, 4.0, 0.5
BACKGROUND_DIPOLES, ALPHA_DIPOLES = 200, 4
DEMO_SEED = 1
EARLY, LATE, EVOKED = 0.12, 0.35, 3.0
LOGNORMAL_MEAN = float(np.exp(0.25**2 / 2))


@dataclass(frozen=True)
class Levels:
    """Size of each ingredient, root mean square over electrodes unless said, in microvolts."""

    background: float = 9.0
    alpha: float = 4.0
    mu: float = 4.0
    beta: float = 2.0
    blink_peak: float = 120.0
    line: float = 2.0
    sensor: float = 1.0


@dataclass
class Simulation:
    """Recordings, one a session, and what was planted in them.

    Attributes
    ----------
    recordings
        Kind "signal", annotated "rest", "left" and "right".
    truth
        `sources` (hand -> x, y, z of the source opposite it, head coordinates, m), `effect`,
        `bands` (Hz), `nearest` (hand -> electrode above that source), `seed`.
    """

    recordings: list[xr.DataArray]
    truth: dict[str, Any] = field(default_factory=dict)


def simulate_motor(
    subject_seed: int = DEMO_SEED,
    n_sessions: int = 3,
    *,
    trials: int = 24,
    channels: Sequence[str] | None = None,
    rate: float = 160.0,
    effect: float = 0.55,
    levels: Levels | None = None,
) -> Simulation:
    """Simulate sessions of left- and right-hand movement.

    Parameters
    ----------
    subject_seed
        The same seed gives the same recordings.
    n_sessions
        Number of recordings.
    trials
        Movements in each, half of either hand, in random order.
    channels
        10-10 names that MNE's template montage has; None for the 32 of `MONTAGE`.
    rate
        Hz.
    effect
        Mean share by which the opposite source's amplitude falls during movement, 0 to 1; the
        same-sided one falls by a third of that. It varies from trial to trial.
    levels
        Size of the ingredients.

    Raises
    ------
    ConfigError
        If a setting is out of range or a channel unknown.

    References
    ----------
    Pfurtscheller & Lopes da Silva (1999), Clin. Neurophysiol. 110, 1842-1857 (desynchronisation);
    Voytek et al. (2015), J. Neurosci. 35, 13257-13265 (1/f); Gramfort et al. (2013), Front.
    Neurosci. 7, 267 (MNE; sphere of four shells fitted to the template montage).

    Examples
    --------
    >>> made = simulate_motor(n_sessions=1, trials=2)
    >>> made.recordings[0].attrs["annotations"].label.tolist().count("left")
    1
    """
    _check(n_sessions, trials, effect, rate)
    generator = np.random.default_rng(subject_seed)
    head = _Head(channels or MONTAGE.split(), generator)
    sessions = [
        _session(k + 1, head, trials, rate, effect, levels or Levels(), generator)
        for k in range(n_sessions)
    ]
    truth = {
        "sources": {hand: head.hands[hand].tolist() for hand in HANDS},
        "nearest": dict(HANDS),
        "effect": effect,
        "bands": [[8.0, 14.0], [16.0, 26.0]],
        "seed": subject_seed,
    }
    return Simulation(sessions, truth)


def simulate_evoked(
    subject_seed: int = DEMO_SEED,
    n_sessions: int = 3,
    *,
    trials: int = 60,
    channels: Sequence[str] | None = None,
    rate: float = 160.0,
    effect: float = 5.0,
    levels: Levels | None = None,
) -> Simulation:
    """Simulate sessions of an oddball experiment: rare targets among frequent standards.

    Both evoke an early response from the back of the head; the later, parietal one (P300) is larger
    after targets by `effect`.

    Parameters
    ----------
    subject_seed, n_sessions, channels, rate, levels
        As for `simulate_motor`.
    trials
        Events in each session, a fifth of them targets.
    effect
        Difference of the two mean responses at their peak, at the electrode above the source, uV.

    Raises
    ------
    ConfigError
        If a setting is out of range or a channel unknown.

    References
    ----------
    Polich (2007), Clin. Neurophysiol. 118, 2128-2148 (latency and place of the P300).

    Examples
    --------
    >>> made = simulate_evoked(n_sessions=1, trials=10)
    >>> made.recordings[0].attrs["annotations"].label.value_counts().to_dict()
    {'standard': 8, 'target': 2}
    """
    _check(n_sessions, trials, 0.0, rate)
    if trials < 10:
        raise ConfigError(f"An oddball needs ten trials or more for two targets, got {trials}.")
    generator = np.random.default_rng(subject_seed)
    head = _Head(channels or MONTAGE.split(), generator)
    sizes = levels or Levels()
    sessions = []
    for number in range(n_sessions):
        table = _oddball(trials, generator)
        times = _times(table, rate)
        planted = partial(_evoked, head, table, times, effect, generator)
        name = f"sub-01_ses-{number + 1}_task-oddball_eeg.edf"
        sessions.append(_recording(head, table, times, planted, rate, sizes, generator, name))
    truth = {
        "sources": {"late": head.late.tolist()},
        "nearest": {"late": "Pz"},
        "effect": effect,
        "latency": LATE,
        "seed": subject_seed,
    }
    return Simulation(sessions, truth)


def write_demo(folder: Path, subject_seed: int = DEMO_SEED) -> list[Path]:
    """Write the simulated recordings as EDF+ files, one a session, and return their paths.

    They are named as BIDS names them: `sub-01_ses-1_task-motor_eeg.edf`.
    """
    made = simulate_motor(subject_seed)
    paths = []
    for k, recording in enumerate(made.recordings):
        path = Path(folder) / f"sub-01_ses-{k + 1}_task-motor_eeg.edf"
        paths.append(write_atomic(path, partial(write_edf, recording)))
    return paths


def write_edf(recording: xr.DataArray, path: Path) -> Path:
    """Write a recording in volts as EDF+ with its annotations, without names or dates.

    Each channel uses the whole range of 16 bits, so values are off by up to half a step (range /
    65535); a last second that is not whole is cut.
    """
    from edfio import Edf, EdfAnnotation, EdfSignal

    rate = recording.attrs["rate"]
    whole = int(recording.sizes["time"] // rate * rate)
    signals = [
        EdfSignal(trace[:whole] * 1e6, rate, label=str(name), physical_dimension="uV")
        for name, trace in zip(recording.channel.values, recording.values, strict=True)
    ]
    table = recording.attrs["annotations"]
    marks = [EdfAnnotation(row.onset, row.duration, row.label) for row in table.itertuples()]
    Edf(signals, annotations=marks).write(path)
    return Path(path)


class _Head:
    """Electrodes, and how strongly each sees each source (unit maps: mean square 1)."""

    def __init__(self, channels: Sequence[str], generator: np.random.Generator) -> None:
        import mne

        self.channels = list(channels)
        info = mne.create_info(self.channels, 100.0, "eeg")
        try:
            info.set_montage("standard_1005", verbose="ERROR")
        except ValueError as error:
            raise ConfigError(f"Unknown 10-10 channel among {self.channels}: {error}") from error
        self.electrodes = np.array([entry["loc"][:3] for entry in info["chs"]])
        sphere = mne.make_sphere_model("auto", "auto", info, verbose="ERROR")
        self.centre, self.radius = np.asarray(sphere["r0"]), float(sphere["layers"][0]["rad"])
        self._forward = lambda rr, nn: _lead_field(info, sphere, rr, nn)
        self._plant(generator)

    def _plant(self, generator: np.random.Generator) -> None:
        up, front = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
        toward = {name: _template(name) - self.centre for name in (*HANDS.values(), "Fpz", "Oz")}
        toward = {name: way / np.linalg.norm(way) for name, way in toward.items()}
        self.hands = {hand: self._at(toward[name], 0.8) for hand, name in HANDS.items()}
        ways = np.stack([toward[name] for name in HANDS.values()])
        self.hand_maps = self._maps(np.stack(list(self.hands.values())), ways + 0.6 * front)
        back_of_head = {name: _template(name) - self.centre for name in ("Pz", "POz")}
        self.late = self._at(back_of_head["Pz"], 0.7)
        places = np.stack([self._at(back_of_head["POz"], 0.8), self.late])
        maps = self._maps(places, np.stack(list(back_of_head.values())))
        self.evoked_maps = np.stack([_peak(maps[:, 0]), _peak(maps[:, 1])], axis=1)
        eyes = self._at(toward["Fpz"] - 0.35 * up, 0.9)
        self.blink_map = self._maps(eyes[None], (toward["Fpz"] + 0.5 * up)[None])[:, 0]
        back = toward["Oz"] + 0.35 * generator.normal(size=(ALPHA_DIPOLES, 3))
        self.alpha_maps = self._maps(self._at(back, 0.75), generator.normal(size=back.shape))
        ways = generator.normal(size=(BACKGROUND_DIPOLES, 3))
        ways[:, 2] = np.abs(ways[:, 2]) - 0.3
        depths = generator.uniform(0.55, 0.85, size=(BACKGROUND_DIPOLES, 1))
        directions = generator.normal(size=ways.shape)
        self.background_maps = self._maps(self._at(ways, depths), directions)

    def _at(self, ways: np.ndarray, depth: float | np.ndarray) -> np.ndarray:
        """Return places at a share `depth` of the brain's radius, in the given directions."""
        units = ways / np.linalg.norm(ways, axis=-1, keepdims=True)
        return self.centre + depth * self.radius * units

    def _maps(self, places: np.ndarray, directions: np.ndarray) -> np.ndarray:
        units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        maps = self._forward(places, units)
        return maps / np.sqrt(np.mean(maps**2, axis=0))


def _template(name: str) -> np.ndarray:
    """Return where the template montage has an electrode, in head coordinates (m)."""
    import mne

    info = mne.create_info([name], 100.0, "eeg")
    info.set_montage("standard_1005", verbose="ERROR")
    return info["chs"][0]["loc"][:3]


def _lead_field(info: Any, sphere: Any, places: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return the potential at each electrode of a unit dipole in each place, average reference."""
    import mne

    space = mne.setup_volume_source_space(
        pos={"rr": places, "nn": normals}, sphere=sphere, mindist=0.0, verbose="ERROR"
    )
    forward = mne.make_forward_solution(
        info, trans=None, src=space, bem=sphere, meg=False, eeg=True, mindist=0.0, verbose="ERROR"
    )
    fixed = mne.convert_forward_solution(forward, force_fixed=True, verbose="ERROR")
    field_ = fixed["sol"]["data"]
    return field_ - field_.mean(axis=0)


def _session(
    number: int,
    head: _Head,
    trials: int,
    rate: float,
    effect: float,
    levels: Levels,
    generator: np.random.Generator,
) -> xr.DataArray:
    table = _timetable(trials, generator)
    times = _times(table, rate)
    name = f"sub-01_ses-{number}_task-motor_eeg.edf"

    def planted() -> np.ndarray:
        return head.hand_maps @ _hand_sources(table, times, effect, levels, generator)

    return _recording(head, table, times, planted, rate, levels, generator, name)


def _times(table: pd.DataFrame, rate: float) -> np.ndarray:
    seconds = int(np.ceil(table.onset.iloc[-1] + table.duration.iloc[-1])) + 2
    return np.arange(int(seconds * rate)) / rate


def _recording(
    head: _Head,
    table: pd.DataFrame,
    times: np.ndarray,
    planted: Callable[[], np.ndarray],
    rate: float,
    levels: Levels,
    generator: np.random.Generator,
    name: str,
) -> xr.DataArray:
    """Put background, alpha, blinks, hum and sensor noise around what is planted (uV)."""
    drift = generator.lognormal(0, 0.08, size=3)
    data = levels.background * drift[0] * _background(head, times, generator)
    data += levels.alpha * drift[1] * _alpha(head, times, generator)
    data += planted()
    data += levels.blink_peak * np.outer(_peak(head.blink_map), _blinks(times, generator))
    data *= generator.lognormal(0, 0.03, size=(len(data), 1))
    data += _line(len(data), times, generator) * levels.line
    data += generator.normal(0, levels.sensor, size=data.shape)
    return signal(
        (data * 1e-6).astype(np.float32),
        head.channels,
        rate,
        positions=head.electrodes,
        annotations=table,
        source=name,
    )


def _oddball(trials: int, generator: np.random.Generator) -> pd.DataFrame:
    """Return annotations: standards and a fifth targets, in random order, 1.0 to 1.4 s apart."""
    import pandas as pd

    labels = np.array(["standard"] * trials, dtype=object)
    labels[: trials // 5] = "target"
    onsets = 2.0 + np.cumsum(1.0 + 0.4 * generator.random(trials))
    rows = {"onset": np.round(onsets, 2), "duration": 0.1, "label": generator.permutation(labels)}
    return pd.DataFrame(rows)


def _evoked(
    head: _Head,
    table: pd.DataFrame,
    times: np.ndarray,
    effect: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return what the early and the late source put on the electrodes (channel, time), uV."""
    courses = np.zeros((2, len(times)))
    for row in table.itertuples():
        size, shift = generator.lognormal(0, 0.25), generator.normal(0, 0.015)
        late = (EVOKED + (effect if row.label == "target" else 0.0)) * size / LOGNORMAL_MEAN
        courses[0] += -EVOKED * np.exp(-0.5 * ((times - row.onset - EARLY) / 0.025) ** 2)
        courses[1] += late * np.exp(-0.5 * ((times - row.onset - LATE - shift) / 0.07) ** 2)
    return head.evoked_maps @ courses


def _timetable(trials: int, generator: np.random.Generator) -> pd.DataFrame:
    """Return annotations: rest, then a movement, again and again; hands in random order."""
    import pandas as pd

    hands = generator.permutation(np.resize(["left", "right"], trials))
    rests = REST + JITTER * generator.random(trials)
    starts = 1.0 + np.concatenate([[0.0], np.cumsum(rests + MOVE)[:-1]])
    rows = []
    for hand, rest, start in zip(hands, rests, np.round(starts, 2), strict=True):
        rest = round(float(rest), 2)
        rows += [(start, rest, "rest"), (round(start + rest, 2), MOVE, str(hand))]
    return pd.DataFrame(rows, columns=["onset", "duration", "label"])


def _hand_sources(
    table: pd.DataFrame,
    times: np.ndarray,
    effect: float,
    levels: Levels,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return the course of the source opposite each hand, shape (hand, time), in microvolts."""
    courses = []
    for hand in HANDS:
        amplitude = np.ones_like(times)
        for row in table[table.label != "rest"].itertuples():
            share = effect * generator.beta(2, 1) * 1.5 / (1 if row.label == hand else 3)
            amplitude *= 1 - min(share, 0.95) * _plateau(times, row.onset + 0.3, MOVE - 0.3)
        mu = levels.mu * _rhythm(times, 11.0, 3.2, generator)
        beta = levels.beta * _rhythm(times, 21.0, 4.8, generator)
        courses.append(amplitude * (mu + beta))
    return np.stack(courses)


def _background(head: _Head, times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return 1/f activity of many dipoles, scaled to 1 on average over electrodes."""
    courses = _coloured(BACKGROUND_DIPOLES, times, lambda f: 1 / np.maximum(f, 0.5), generator)
    mixed = head.background_maps @ courses
    return mixed / np.sqrt(np.mean(mixed**2))


def _alpha(head: _Head, times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    courses = [_rhythm(times, 10.0, 2.4, generator) for _ in range(ALPHA_DIPOLES)]
    return head.alpha_maps @ np.stack(courses) / np.sqrt(ALPHA_DIPOLES)


def _rhythm(
    times: np.ndarray, centre: float, width: float, generator: np.random.Generator
) -> np.ndarray:
    """Return a waxing and waning rhythm of unit variance: noise with a Gaussian spectrum."""
    return _coloured(1, times, lambda f: np.exp(-(((f - centre) / width) ** 2)), generator)[0]


def _coloured(
    count: int, times: np.ndarray, power: Any, generator: np.random.Generator
) -> np.ndarray:
    """Return `count` courses of unit variance whose power spectrum is `power(f in Hz)`."""
    from scipy import fft

    freqs = fft.rfftfreq(len(times), times[1])
    shape = np.sqrt(power(freqs))
    shape[0] = 0
    noise = generator.normal(size=(count, len(freqs))) + 1j * generator.normal(
        size=(count, len(freqs))
    )
    courses = fft.irfft(noise * shape, len(times), axis=1)
    return courses / courses.std(axis=1, keepdims=True)


def _blinks(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a course of blinks, about twelve a minute, peaks about 1."""
    course = np.zeros_like(times)
    moment = generator.exponential(5.0)
    while moment < times[-1]:
        size = generator.uniform(0.6, 1.2)
        course += size * np.exp(-0.5 * ((times - moment) / 0.07) ** 2)
        moment += 1.0 + generator.exponential(4.0)
    return course


def _line(count: int, times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return 50 Hz hum, different in size from electrode to electrode."""
    sizes = generator.lognormal(0, 0.4, size=(count, 1))
    phases = generator.normal(0, 0.2, size=(count, 1))
    return np.sqrt(2) * sizes * np.sin(2 * np.pi * 50 * times + phases)


def _plateau(times: np.ndarray, onset: float, duration: float, ramp: float = 0.25) -> np.ndarray:
    """Return 1 during the interval, 0 outside, with smooth flanks of `ramp` seconds."""
    rise = 1 / (1 + np.exp(-np.clip((times - onset) * 6 / ramp, -50, 50)))
    fall = 1 / (1 + np.exp(-np.clip((times - onset - duration) * 6 / ramp, -50, 50)))
    return rise - fall


def _peak(weights: np.ndarray) -> np.ndarray:
    """Return a map scaled to a positive peak of 1."""
    return weights / weights[np.abs(weights).argmax()]


def _check(n_sessions: int, trials: int, effect: float, rate: float) -> None:
    if n_sessions < 1 or trials < 2:
        raise ConfigError(
            f"A simulation needs one session and two trials or more, got {n_sessions} and {trials}."
        )
    if not 0 <= effect <= 1:
        raise ConfigError(f"The effect is a share from 0 to 1, got {effect}.")
    if rate < 110:
        raise ConfigError(f"The rate must be 110 Hz or more to hold the 50 Hz hum, got {rate}.")
