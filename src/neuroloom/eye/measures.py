"""What a paper reports of an eye: blinks, light reflexes, saccades, traces without artefacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SHUT = 0.3  # probability from which lids count as closed: highest F1 on rendered eyes
SHORTEST_BLINK, LONGEST_BLINK = 0.03, 3.0
BRIDGED = 0.06  # s between two closures of one blink
AROUND = 0.08  # s before and after a blink that are not trusted
LONGEST_GAP = 0.75  # s that are filled in
DIP, DIP_WINDOW = 0.08, 0.5  # share of the diameter by which, and s within which, only lids do
SMOOTH = 0.06  # s, of the Gaussian that the trace is smoothed with
BASELINE = 0.5  # s before the onset of a reflex
REACTION = (0.1, 1.5)  # s after a stimulus within which its reflex begins
LAMBDA = 6.0
SHORTEST_SACCADE = 0.012
PAUSE = 4.0  # median steps from one frame to the next beyond which the recording paused


def runs(flags: np.ndarray) -> np.ndarray:
    """Return first and last row of each run of True, (n, 2).

    Examples
    --------
    >>> runs(np.array([False, True, True, False, True])).tolist()
    [[1, 2], [4, 4]]
    """
    edges = np.diff(np.concatenate([[0], np.asarray(flags, np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1], axis=1)


def find_blinks(blink: np.ndarray, times: np.ndarray, level: float = SHUT) -> pd.DataFrame:
    """Return the blinks: closures of 30 ms to 3 s, those 60 ms apart or less joined.

    Parameters
    ----------
    blink
        Probability that lids cover the pupil, (n,).
    times
        s, (n,).
    level
        Probability above which they do.

    Returns
    -------
    DataFrame
        onset_s, offset_s, duration_s, first, last (frames).

    Examples
    --------
    >>> shut = np.zeros(100); shut[40:50] = 1
    >>> find_blinks(shut, np.arange(100) / 100)["duration_s"].round(3).tolist()
    [0.1]
    """
    import pandas as pd

    columns = ["onset_s", "offset_s", "duration_s", "first", "last"]
    spans = runs(np.asarray(blink) > level)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    joined: list[list[int]] = []
    for first, last in spans.tolist():
        if joined and times[first] - times[joined[-1][1]] <= BRIDGED + step:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    rows = [
        (times[first], times[last] + step, times[last] + step - times[first], first, last)
        for first, last in joined
        if SHORTEST_BLINK <= times[last] + step - times[first] <= LONGEST_BLINK
    ]
    return pd.DataFrame(rows, columns=columns)


def clean_trace(
    values: np.ndarray, times: np.ndarray, trusted: np.ndarray, shut: np.ndarray | None = None
) -> np.ndarray:
    """Return a trace without artefacts: NaN where it is not known, smooth elsewhere.

    Values that leave the running median (0.5 s) by 8 % are dropped: lids half closed cut a pupil
    and give it back within a quarter of a second, no pupil does that. So are 80 ms around them and
    around closed lids. Gaps up to 0.75 s are filled by straight lines, and the rest is smoothed
    (Gaussian, 60 ms).

    Parameters
    ----------
    values, times
        (n,), any unit and s.
    trusted
        Which values may be believed, (n,).
    shut
        Which frames have closed lids, (n,).

    Examples
    --------
    >>> trace = clean_trace(np.full(50, 3.0), np.arange(50) / 50, np.arange(50) != 20)
    >>> trace.round(6).min().item(), trace.round(6).max().item()
    (3.0, 3.0)
    """
    from scipy.ndimage import gaussian_filter1d

    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    good = np.asarray(trusted, bool) & np.isfinite(values)
    wrong = _dips(values, times, good, step)
    wrong |= False if shut is None else np.asarray(shut, bool)
    near = int(np.ceil(AROUND / step))
    good &= ~(np.convolve(wrong, np.ones(2 * near + 1))[near : near + len(wrong)] > 0.5)
    if good.sum() < 2:
        return np.full(len(values), np.nan)
    filled = np.interp(times, times[good], values[good])
    smooth = gaussian_filter1d(filled, max(SMOOTH / step, 0.1))
    for first, last in runs(~good):
        inner = first > 0 and last < len(values) - 1
        if not inner or times[last] - times[first] > LONGEST_GAP:
            smooth[first : last + 1] = np.nan
    return smooth


def _dips(values: np.ndarray, times: np.ndarray, good: np.ndarray, step: float) -> np.ndarray:
    """Say which values leave the running median of the good ones."""
    from scipy.ndimage import median_filter

    if good.sum() < 2:
        return np.zeros(len(values), bool)
    filled = np.interp(times, times[good], values[good])
    usual = median_filter(
        filled, min(2 * int(DIP_WINDOW / step / 2) + 1, len(values)), mode="nearest"
    )
    return good & (np.abs(filled - usual) > DIP * usual)


def find_reflexes(
    diameter: np.ndarray,
    times: np.ndarray,
    stimuli: list[float] | None = None,
    smallest: float = 0.1,
) -> pd.DataFrame:
    """Return the constrictions of a pupil, and how each went.

    Without stimuli, every fall of the trace by `smallest` of the diameter before it is one.

    Parameters
    ----------
    diameter
        Any unit, (n,), from `clean_trace`.
    times
        s, (n,).
    stimuli
        Times of light flashes, s; each gets a row, empty where no reflex followed within 1.5 s.
    smallest
        Share of the diameter before.

    Returns
    -------
    DataFrame
        stimulus_s, latency_s, onset_s (where a tenth of the highest speed is passed), baseline
        (median of the half second before), minimum, constriction_percent, time_to_minimum_s (from
        onset), velocity (fastest fall, unit a second), velocity_percent_per_s, mean_velocity,
        redilation_velocity, t50_s and t75_s (from the minimum until half and three quarters are
        regained; NaN if the next reflex or the end comes first).

    References
    ----------
    Hall & Chilcott (2018), Diagnostics 8, 19 (measures of the pupillary light reflex).

    Examples
    --------
    >>> t = np.arange(500) / 100
    >>> trace = 4 - 1.6 * np.exp(-((t - 2.5) / 0.4) ** 2)
    >>> find_reflexes(trace, t)["constriction_percent"].round(1).tolist()
    [40.0]
    """
    import pandas as pd

    bottoms = _bottoms(diameter, smallest)
    rows = [_reflex(diameter, times, low, bottoms) for low in bottoms]
    rows = [row for row in rows if row["constriction_percent"] >= 100 * smallest]
    if stimuli is not None:
        rows = [_answer(stimulus, rows) for stimulus in stimuli]
    return pd.DataFrame(rows, columns=["stimulus_s", "latency_s", *_REFLEX])


_REFLEX = (
    "onset_s", "baseline", "minimum", "constriction_percent", "time_to_minimum_s", "velocity",
    "velocity_percent_per_s", "mean_velocity", "redilation_velocity", "t50_s", "t75_s",
)  # fmt: skip


def _bottoms(diameter: np.ndarray, smallest: float) -> np.ndarray:
    from scipy.signal import find_peaks

    known = np.isfinite(diameter)
    if known.sum() < 3:
        return np.zeros(0, int)
    rows = np.arange(len(diameter))
    filled = np.interp(rows, rows[known], diameter[known])
    # a trace that ends while the pupil is small has a bottom, too
    ends = np.pad(filled, 1, constant_values=filled.max())
    peaks, _ = find_peaks(
        -ends, prominence=0.8 * smallest * float(np.median(filled)), plateau_size=0
    )
    return np.clip(peaks - 1, 0, len(diameter) - 1)


def _reflex(
    diameter: np.ndarray, times: np.ndarray, low: int, others: np.ndarray
) -> dict[str, float]:
    """Measure the reflex with its bottom at row `low`."""
    before = others[others < low]
    start = max(
        int(before.max()) if len(before) else 0, int(np.searchsorted(times, times[low] - 4.0))
    )
    speed = np.gradient(diameter, times)
    fall = speed[start : low + 1]
    row: dict[str, float] = dict.fromkeys(_REFLEX, np.nan) | {"constriction_percent": -1.0}
    if low - start < 2 or not np.isfinite(fall).any():
        return row
    steepest = start + int(np.nanargmin(fall))
    calm = np.flatnonzero(speed[start : steepest + 1] > 0.1 * speed[steepest])
    onset = start + (int(calm[-1]) if len(calm) else 0)
    earlier = diameter[(times >= times[onset] - BASELINE) & (np.arange(len(times)) <= onset)]
    base, least = float(np.nanmedian(earlier)), float(diameter[low])
    duration = float(times[low] - times[onset])
    after = others[others > low]
    end = int(after.min()) if len(after) else len(times) - 1
    back = speed[low : end + 1]
    return row | {
        "onset_s": float(times[onset]), "baseline": base, "minimum": least,
        "constriction_percent": 100 * (base - least) / base, "time_to_minimum_s": duration,
        "velocity": float(-speed[steepest]),
        "velocity_percent_per_s": float(-100 * speed[steepest] / base),
        "mean_velocity": (base - least) / duration if duration > 0 else np.nan,
        "redilation_velocity": float(np.nanmax(back)) if np.isfinite(back).any() else np.nan,
        "t50_s": _regained(diameter, times, low, end, least + 0.5 * (base - least)),
        "t75_s": _regained(diameter, times, low, end, least + 0.75 * (base - least)),
    }  # fmt: skip


def _regained(diameter: np.ndarray, times: np.ndarray, low: int, end: int, level: float) -> float:
    with np.errstate(invalid="ignore"):
        reached = np.flatnonzero(diameter[low : end + 1] >= level)
    return float(times[low + reached[0]] - times[low]) if len(reached) else float("nan")


def _answer(stimulus: float, rows: list[dict[str, float]]) -> dict[str, float]:
    for row in rows:
        if REACTION[0] <= row["onset_s"] - stimulus <= REACTION[1]:
            return {"stimulus_s": stimulus, "latency_s": row["onset_s"] - stimulus} | row
    return {"stimulus_s": stimulus}


def find_saccades(
    x: np.ndarray, y: np.ndarray, times: np.ndarray, factor: float = LAMBDA
) -> pd.DataFrame:
    """Return quick movements: speed beyond `factor` times its median-based spread.

    Within two frames of a pause of the recording, a step of more than 4 medians, there are none.

    Parameters
    ----------
    x, y
        Place of the pupil (px) or gaze (degrees), (n,); NaN where unknown.
    times
        s, (n,).

    Returns
    -------
    DataFrame
        onset_s, duration_s, amplitude, peak_velocity (unit of x, and that a second), direction_deg
        (from +x to +y), first, last (frames). `attrs["unknown"]` is the share of frames without a
        speed, where no saccade can be found.

    References
    ----------
    Engbert & Kliegl (2003), Vision Res. 43, 1035-1045.

    Examples
    --------
    >>> t = np.arange(400) / 200
    >>> x = np.where(t < 1, 0.0, 10.0) + 0.01 * np.sin(90 * t)
    >>> find_saccades(x, 0.01 * np.cos(70 * t), t)["amplitude"].round().tolist()
    [10.0]
    """
    import pandas as pd

    columns = [
        "onset_s",
        "duration_s",
        "amplitude",
        "peak_velocity",
        "direction_deg",
        "first",
        "last",
    ]
    if len(times) < 5:
        return pd.DataFrame(columns=columns)
    vx, vy = _speed(x, times), _speed(y, times)
    spread = [max(1e-9, _spread(v)) for v in (vx, vy)]
    with np.errstate(invalid="ignore"):
        fast = (vx / (factor * spread[0])) ** 2 + (vy / (factor * spread[1])) ** 2 > 1
    step, rows = float(np.median(np.diff(times))), []
    for first, last in runs(fast):
        duration = times[last] - times[first] + step
        before, after = max(first - 1, 0), min(last + 1, len(x) - 1)
        dx, dy = x[after] - x[before], y[after] - y[before]
        if duration < SHORTEST_SACCADE or not np.isfinite(dx + dy):
            continue
        peak = float(np.nanmax(np.hypot(vx, vy)[first : last + 1]))
        rows.append((times[first], duration, float(np.hypot(dx, dy)), peak,
                     float(np.rad2deg(np.arctan2(dy, dx))), int(first), int(last)))  # fmt: skip
    found = pd.DataFrame(rows, columns=columns)
    found.attrs["unknown"] = float(np.isnan(vx + vy).mean())
    return found


def _speed(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return speeds over two frames to either side (Engbert & Kliegl), by the frames' own times.

    NaN near what is unknown, and beside a pause of the recording.
    """
    steps = np.diff(times)
    step = float(np.median(steps))
    paused = np.pad(steps > PAUSE * step, 2)
    near = paused[:-3] | paused[1:-2] | paused[2:-1] | paused[3:]
    moved = _across(np.pad(values.astype(float), 2, mode="edge"))
    ends = times[0] - step * np.arange(2, 0, -1), times[-1] + step * np.arange(1, 3)
    return np.where(near, np.nan, moved / _across(np.concatenate([ends[0], times, ends[1]])))


def _across(padded: np.ndarray) -> np.ndarray:
    """Return the sum of the two values after each, less that of the two before."""
    return padded[4:] + padded[3:-1] - padded[1:-3] - padded[:-4]


def _spread(speed: np.ndarray) -> float:
    known = speed[np.isfinite(speed)]
    if len(known) == 0:
        return 0.0
    square = np.median(known**2) - np.median(known) ** 2
    return float(np.sqrt(max(square, 0.0)))
