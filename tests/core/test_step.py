"""The chain of steps."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.recording import signal
from neuroloom.core.step import RecordingStep, apply_all, describe_all, span_all


class Halve(RecordingStep):
    """Keep every second sample."""

    causal = True

    def out_rate(self, rate):
        return rate / 2

    def span(self, rate):
        return 1 / rate

    def apply(self, recording):
        half = recording.isel(time=slice(None, None, 2))
        half.attrs["rate"] = recording.attrs["rate"] / 2
        return half

    def describe(self, rate):
        return f"Halved from {rate:g} Hz."


def test_a_chain_hands_the_rate_on():
    chain = [Halve(), Halve()]
    out = apply_all(chain, signal(np.zeros((1, 100)), ["Cz"], 100.0))
    assert (out.sizes["time"], out.attrs["rate"]) == (25, 25.0)
    assert describe_all(chain, 100.0) == ["Halved from 100 Hz.", "Halved from 50 Hz."]
    assert span_all(chain, 100.0) == pytest.approx(0.03)


def test_a_step_that_declares_nothing_changes_nothing():
    class Same(RecordingStep):
        def apply(self, recording):
            return recording

        def describe(self, rate):
            return "As it was."

    step = Same()
    assert (step.out_rate(10.0), step.out_length(7, 10.0), step.span(10.0)) == (10.0, 7, 0.0)
    assert step.out_channels(["A"]) == ["A"]
    assert step.causal is False
