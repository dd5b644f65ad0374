import numpy as np

from neuroloom.eye.measures import (
    _speed,
    clean_trace,
    find_blinks,
    find_reflexes,
    find_saccades,
)


def test_two_closures_close_together_are_one_blink():
    times = np.arange(200) / 100
    shut = np.zeros(200)
    shut[50:60] = shut[63:70] = 1
    shut[120] = 1  # 10 ms are none
    blinks = find_blinks(shut, times)
    assert blinks[["first", "last"]].to_numpy().tolist() == [[50, 69]]


def test_lids_that_cut_the_pupil_leave_no_trace():
    rate = 50.0
    times = np.arange(500) / rate
    truth = 5 + 0.5 * np.sin(times)
    seen = truth.copy()
    seen[200:210] *= np.linspace(0.9, 0.4, 10)
    clean = clean_trace(seen, times, np.ones(500, bool))
    assert np.nanmax(np.abs(clean - truth)) < 0.05


def test_a_reflex_is_measured_as_it_was_made():
    """A fall of 40 % in 0.6 s from 0.25 s after each flash, then a slow return."""
    rate = 60.0
    times = np.arange(int(20 * rate)) / rate
    trace, flashes = np.full(len(times), 6.0), [3.0, 11.0]
    for flash in flashes:
        after = times - flash - 0.25
        fall = np.clip(after / 0.6, 0, 1)
        fall = fall**2 * (3 - 2 * fall)
        trace -= 2.4 * fall * np.exp(-np.clip(after - 0.6, 0, None) / 1.5)
    trace += np.random.default_rng(0).normal(0, 0.01, len(times))
    clean = clean_trace(trace, times, np.ones(len(times), bool))
    found = find_reflexes(clean, times, [*flashes, 18.0])
    assert np.abs(found["latency_s"][:2] - 0.25).max() <= 2 / rate + 0.08
    assert np.abs(found["constriction_percent"][:2] - 40).max() < 2
    assert np.abs(found["t50_s"][:2] - 1.5 * np.log(2)).max() < 0.15
    assert found.loc[2, ["latency_s", "baseline"]].isna().all()
    assert len(find_reflexes(clean, times)) == 2


def test_saccades_are_counted_and_have_their_size():
    rate = 200.0
    times = np.arange(1000) / rate
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 0.02, (2, 1000))
    for at, dx, dy in ((200, 5, 0), (500, 0, 4), (800, -3, -4)):
        step = np.clip((np.arange(1000) - at) / 8, 0, 1)
        x, y = x + dx * step, y + dy * step
    found = find_saccades(x, y, times)
    assert len(found) == 3
    np.testing.assert_allclose(found["amplitude"], [5, 4, 5], atol=0.5)
    np.testing.assert_allclose(found["direction_deg"], [0, 90, -127], atol=5)


def test_frames_that_come_unevenly_keep_their_saccades():
    times = np.cumsum(np.tile([1 / 60, 1 / 60, 1 / 30], 200))
    x, y = np.random.default_rng(0).normal(0, 0.02, (2, 600))
    x += 5 * np.clip((times - times[300]) / 0.05, 0, 1)
    found = find_saccades(x, y, times)
    np.testing.assert_allclose(found["amplitude"][found["amplitude"] > 1], [5], atol=0.5)
    assert found.attrs["unknown"] == 0
    even = 3.0 * times
    np.testing.assert_allclose(_speed(even, times)[2:-2], 3)
    paused = times + 0.5 * (np.arange(600) // 10)
    assert find_saccades(x, y, paused).attrs["unknown"] > 0.3


def test_a_pause_of_the_recording_is_no_saccade():
    times = np.arange(400) / 100
    times[200:] += 28
    x, y = np.random.default_rng(0).normal(0, 0.02, (2, 400))
    x[200:] += 5
    assert find_saccades(x, y, times).empty
    x[300:] += 5
    found = find_saccades(x, y, times)
    assert found["onset_s"].between(times[297], times[303]).tolist() == [True]
    assert found["duration_s"].max() < 0.1
