"""Eye correction against simulated propagation, whose size is known, and against MNE."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import signal
from neuroloom.io.recordings.electrodes import template_positions
from neuroloom.signals.steps import EyeICA, EyeRegression
from neuroloom.signals.steps.eyes import find_blinks, subtract_evoked, unmix

RATE, SECONDS = 125.0, 40.0
CAP = ["Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz"]
CAP += ["P4", "P8", "O1", "O2"]
TIMES = np.arange(int(RATE * SECONDS)) / RATE
BLINKS = np.arange(2.0, SECONDS - 2, 3.7)


def brain(rng):
    """Return 1/f activity of 14 sources at the electrodes, about 10 µV."""
    spectrum = np.fft.rfft(rng.normal(size=(14, len(TIMES))))
    spectrum /= np.maximum(np.arange(spectrum.shape[1]), 20)
    sources = np.fft.irfft(spectrum, len(TIMES))
    sources /= sources.std(1, keepdims=True)
    return 3e-6 * rng.normal(size=(len(CAP), 14)) @ sources + 1e-6 * rng.normal(
        size=(len(CAP), len(TIMES))
    )


def blink_trace():
    apart = TIMES[:, None] - BLINKS
    return 200e-6 * (np.exp(-0.5 * (apart / 0.07) ** 2)).sum(1)


def saccade_trace(rng):
    jumps = np.zeros(len(TIMES))
    jumps[rng.choice(len(TIMES), 70, replace=False)] = rng.normal(size=70)
    gaze = np.zeros(len(TIMES))
    for k in range(1, len(TIMES)):
        gaze[k] = 0.98 * gaze[k - 1] + jumps[k]
    return 60e-6 * gaze / gaze.std()


def simulated(seed=0, *, eog=True, saccades_in_veog=0.0):
    """Return a recording, what the eyes added to it, and the brain's part."""
    rng = np.random.default_rng(seed)
    x, y, _ = template_positions(CAP).T
    front = np.clip(y / 0.09, 0, None) ** 2 + 0.03
    maps = np.column_stack([0.6 * front, 0.4 * front * x / 0.04])
    blinks, gaze = blink_trace(), saccade_trace(rng)
    clean = brain(rng)
    added = maps @ np.stack([blinks, gaze])
    if saccades_in_veog:
        # Lids move with the gaze: seen by the vertical EOG, hardly by the scalp.
        added += 0.02 * front[:, None] * gaze
    leak = 0.2 * clean[:2] * [[1], [-1]]
    watched = np.stack([blinks + saccades_in_veog * gaze, gaze]) + leak
    watched = watched[:1] if saccades_in_veog else watched
    names = [*CAP, "VEOG", "HEOG"][: len(CAP) + len(watched)]
    types = ["eeg"] * len(CAP) + ["eog"] * len(watched)
    if not eog:
        names, types, watched = CAP, types[: len(CAP)], watched[:0]
    return (
        signal(np.vstack([clean + added, watched]), names, RATE, types=types, source="a.edf"),
        added,
        clean,
    )


def removed(step, recording, added, clean):
    """Return the share of the propagated variance that the step takes out of the EEG."""
    after = step.apply(recording).values[: len(CAP)]
    left = after - clean
    left -= left.mean(1, keepdims=True)
    return 1 - (left**2).sum() / ((added - added.mean(1, keepdims=True)) ** 2).sum()


@pytest.mark.parametrize(
    "step", [EyeRegression(), EyeRegression(blinks_apart=False), EyeICA()], ids=repr
)
def test_nine_tenths_of_the_propagation_go(step):
    assert removed(step, *simulated()) >= 0.9


def test_ica_without_eog_follows_the_frontal_pole():
    assert removed(EyeICA(), *simulated(eog=False)) >= 0.9


def test_blinks_apart_serve_where_blinks_and_saccades_spread_differently():
    made = simulated(saccades_in_veog=1.0)
    together = removed(EyeRegression(blinks_apart=False), *made)
    apart = removed(EyeRegression(), *made)
    assert apart > together


def test_what_is_not_ocular_stays():
    recording, _, clean = simulated()
    quiet = recording.copy(data=recording.values.copy())
    quiet.values[: len(CAP)] = clean
    after = EyeICA().apply(quiet).values[: len(CAP)]
    np.testing.assert_allclose(after, clean, atol=1e-12)
    assert "no independent component" in EyeICA().apply(quiet).attrs["notes"][0]
    regressed = EyeRegression().apply(quiet).values
    np.testing.assert_array_equal(regressed[len(CAP) :], quiet.values[len(CAP) :])
    lost = 1 - (regressed[: len(CAP)].var(1) / clean.var(1)).mean()
    assert lost < 0.05


def test_coefficients_equal_those_of_mne():
    import mne

    from neuroloom.signals.steps.eyes import CALM_BAND, _band, _regress

    recording, _, _ = simulated()
    calm = _band(recording.values, RATE, CALM_BAND)
    info = mne.create_info(
        recording.channel.values.tolist(), RATE, recording.coords["type"].values.tolist()
    )
    raw = mne.io.RawArray(calm, info, verbose="ERROR").set_eeg_reference([], verbose="ERROR")
    theirs = mne.preprocessing.EOGRegression(picks="eeg", picks_artifact="eog").fit(raw).coef_
    ours = _regress(calm[len(CAP) :], calm[: len(CAP)])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_same_seed_gives_the_same_result():
    recording, _, _ = simulated()
    first, again = (EyeICA(seed=3).apply(recording).values for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_unmixing_finds_planted_sources():
    rng = np.random.default_rng(0)
    sources = np.vstack(
        [rng.laplace(size=4000), rng.uniform(-1, 1, 4000), np.sin(TIMES[:4000] * 9)]
    )
    mixed = rng.normal(size=(6, 3)) @ sources
    filters, patterns = unmix(mixed, 20, seed=0)
    assert patterns.shape == (6, 3)
    likeness = np.abs(np.corrcoef(np.vstack([filters @ mixed, sources]))[:3, 3:])
    np.testing.assert_allclose(np.sort(likeness.max(0)), 1, atol=0.01)
    assert sorted(likeness.argmax(0)) == [0, 1, 2]
    np.testing.assert_allclose(filters @ patterns, np.eye(3), atol=1e-8)


def test_blinks_are_found_where_they_are():
    noise = 2e-6 * np.random.default_rng(0).normal(size=(1, len(TIMES)))
    found = find_blinks(noise - blink_trace(), RATE)
    starts = TIMES[1:][np.diff(found.astype(int)) == 1]
    assert len(starts) == len(BLINKS)
    assert (np.abs(starts - BLINKS) < 0.35).all()
    assert found.mean() < 0.2


def test_the_average_response_goes_and_marks_are_no_events():
    rng = np.random.default_rng(0)
    shape = np.hanning(100)
    x = 0.1 * rng.normal(size=(2, 3000))
    for onset in range(100, 2700, 200):
        x[:, onset : onset + 100] += shape
    events = pd.DataFrame({"onset": np.arange(1.0, 27.0, 2.0), "duration": 0.0, "label": "a"})
    events.loc[::2, "label"] = "b"
    left = subtract_evoked(x, 100.0, events)
    response = np.mean([left[:, k : k + 100] for k in range(100, 2700, 200)], axis=0)
    np.testing.assert_allclose(response, 0, atol=1e-12)
    bad = events.assign(label="BAD_jump")
    assert subtract_evoked(x, 100.0, bad) is x


def test_what_cannot_be_corrected_is_refused():
    recording, _, _ = simulated(eog=False)
    with pytest.raises(ConfigError, match=r"a\.edf: a regression on the EOG needs"):
        EyeRegression().apply(recording)
    with pytest.raises(ConfigError, match="Did you mean 'Fp2'"):
        EyeRegression(("Fp22",)).apply(recording)
    with pytest.raises(ConfigError, match="there is none of them"):
        EyeICA().apply(recording.isel(channel=slice(7, None)))
    with pytest.raises(ConfigError, match="three EEG"):
        EyeICA().apply(recording.isel(channel=slice(2)))
    with pytest.raises(DataError, match="it lasts 2"):
        EyeICA().apply(recording.isel(time=slice(250)))
    flat = recording.copy(data=np.zeros_like(recording.values))
    with pytest.raises(DataError, match="no signal"):
        EyeICA().apply(flat)
