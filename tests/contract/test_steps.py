"""What every step must satisfy: its declarations hold, its flag is honest, it never peeks."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.recording import check, signal
from neuroloom.core.step import FittedStep, RecordingStep
from neuroloom.signals import steps as module
from neuroloom.signals.steps import (
    BandPass,
    EyeICA,
    EyeRegression,
    MapMontage,
    MovingStandardize,
    Notch,
    Reference,
    Resample,
    Standardize,
)

RECORDING_STEPS = [
    BandPass(8, 30),
    BandPass(1, None),
    BandPass(None, 40),
    Notch(50),
    Notch((50, 60)),
    Resample(100.0),
    Resample(250.0),
    Resample(160.0),
    Reference(),
    Reference("Cz"),
    EyeRegression(),
    EyeRegression(("C3",), blinks_apart=False),
    EyeICA(),
    MapMontage(("Cz", "C1", "C4", "Oz")),
    MovingStandardize(),
]
FITTED_STEPS = [Standardize]


def recording(dtype=np.float32):
    data = 1e-5 * np.random.default_rng(0).normal(size=(5, 3001))
    marks = pd.DataFrame({"onset": [1.0, 9.0], "duration": [4.0, 4.0], "label": ["T1", "T2"]})
    positions = 0.1 * np.random.default_rng(1).normal(size=(5, 3))
    return signal(
        data.astype(dtype),
        ["C3", "Cz", "C4", "STI", "EOG"],
        160.0,
        annotations=marks,
        types=["eeg"] * 3 + ["stim", "eog"],
        positions=positions,
        source="a.edf",
    )


def label(step):
    return repr(step)


def test_every_step_is_tried_here():
    classes = {cls for _, cls in inspect.getmembers(module, inspect.isclass)}
    ours = {cls for cls in classes if cls.__module__.startswith(module.__name__)}
    steps = {cls for cls in ours if issubclass(cls, (RecordingStep, FittedStep))}
    assert steps == {type(step) for step in RECORDING_STEPS} | set(FITTED_STEPS)


@pytest.mark.parametrize("step", RECORDING_STEPS, ids=label)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_declarations_hold(step, dtype):
    before = recording(dtype)
    after = check(step.apply(before), "signal")
    assert after.attrs["rate"] == step.out_rate(160.0)
    assert list(after.channel.values) == step.out_channels(list(before.channel.values))
    assert after.sizes["time"] == step.out_length(3001, 160.0)
    assert after.dtype == dtype
    assert after.attrs["source"] == "a.edf"
    assert after.attrs["annotations"].equals(before.attrs["annotations"])
    assert {"type", "x", "y", "z"} <= set(after.coords)
    np.testing.assert_allclose(np.diff(after.time.values), 1 / step.out_rate(160.0), atol=1e-9)


@pytest.mark.parametrize("step", RECORDING_STEPS, ids=label)
def test_the_input_stays_as_it_was(step):
    before = recording()
    copy = before.values.copy()
    step.apply(before)
    np.testing.assert_array_equal(before.values, copy)
    assert before.attrs["rate"] == 160.0


@pytest.mark.parametrize("step", RECORDING_STEPS, ids=label)
def test_a_sentence_for_the_report(step):
    # At another rate than it has: a step that does nothing says nothing.
    sentence = step.describe(200.0)
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("step", RECORDING_STEPS, ids=label)
def test_the_causal_flag_is_honest(step):
    """A step flagged causal ignores the future; a filter that is not flagged does use it."""
    whole = recording(np.float64)
    changed = whole.copy(data=whole.values.copy())
    changed.values[:3, 1500:] += 1e-4
    first, second = step.apply(whole), step.apply(changed)
    past = (first.time.values < 1500 / 160.0) & np.isin(second.time.values, first.time.values)
    same = np.allclose(first.values[:, past], second.values[:, past], rtol=0, atol=1e-12)
    if step.causal:
        assert same
    elif isinstance(step, (BandPass, Notch)):
        assert not same


@pytest.mark.parametrize("step", [s for s in RECORDING_STEPS if s.causal], ids=label)
def test_a_causal_step_gives_the_same_in_chunks(step):
    """What is known of the stream so far settles its samples for good."""
    whole = recording(np.float64)
    done = step.apply(whole)
    for end in (1, 2, 700, 3000):
        so_far = step.apply(whole.isel(time=slice(end)))
        np.testing.assert_allclose(so_far.values, done.values[:, :end], rtol=0, atol=1e-12)


@pytest.mark.parametrize("step", [s for s in RECORDING_STEPS if s.sees_whole], ids=label)
def test_a_step_that_sees_the_whole_says_so_and_is_not_causal(step):
    assert not step.causal
    assert "each recording by itself" in step.describe(160.0)


@pytest.mark.parametrize("step", [s for s in RECORDING_STEPS if not s.sees_whole], ids=label)
def test_the_span_covers_what_a_sample_draws_on(step):
    whole = recording(np.float64)
    whole.values[:3] -= whole.values[:3].mean(axis=1, keepdims=True)
    changed = whole.copy(data=whole.values.copy())
    changed.values[:3, 1500:1502] += np.outer([1, 2, 4], [1e-4, -1e-4])
    first, second = step.apply(whole), step.apply(changed)
    change = np.abs(first.values - second.values).max(axis=0)
    # An exponential memory never ends: its span is where less than 1 % is left.
    differs = change > (0.01 * change.max() if isinstance(step, MovingStandardize) else 1e-15)
    reach = np.abs(first.time.values[differs] - 1500.5 / 160.0).max()
    assert reach <= step.span(160.0) + 2 / min(160.0, step.out_rate(160.0))


@pytest.mark.parametrize("make", FITTED_STEPS)
def test_fitted_steps_do_not_peek(make):
    """Changing the examples outside the training fold changes nothing that was learnt."""
    x = np.random.default_rng(0).normal(size=(20, 3, 50)).astype(np.float32)
    spoiled = x.copy()
    spoiled[12:] *= 1e6
    learnt, again = make().fit(x[:12]), make().fit(spoiled[:12])
    for name, array in learnt.state().items():
        np.testing.assert_array_equal(array, again.state()[name])
    whole, alone = learnt.transform(x), learnt.transform(x[15:16])
    np.testing.assert_array_equal(whole[15:16], alone)


@pytest.mark.parametrize("make", FITTED_STEPS)
def test_fitted_steps_come_back_from_their_arrays(make):
    x = np.random.default_rng(0).normal(size=(20, 3, 50)).astype(np.float32)
    first, second = make().fit(x), make()
    second.load(first.state())
    np.testing.assert_array_equal(first.transform(x), second.transform(x))
