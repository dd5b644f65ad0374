"""Known artefacts: as strong as said, where said, and of the shape said."""

import numpy as np
import pytest

from neuroloom.signals.mending.contaminate import KINDS, LEVELS, contaminate

RATE = 1000.0


@pytest.fixture(scope="module")
def put_in():
    rng = np.random.default_rng(0)
    trace = np.cumsum(rng.normal(size=120_000))
    trace = np.sin(np.arange(120_000) / 20) + 0.1 * rng.normal(size=120_000)
    return trace, *contaminate(trace, RATE, 64, np.random.default_rng(1))


def test_each_kind_and_level_is_there(put_in):
    _, _, truth = put_in
    assert set(truth["kind"]) == set(KINDS)
    assert truth["level"].value_counts().to_dict() == dict.fromkeys(LEVELS, 16)


def test_nothing_changes_outside(put_in):
    trace, dirty, truth = put_in
    outside = np.ones(len(trace), bool)
    for first, last in truth[["first", "last"]].itertuples(index=False):
        assert outside[first:last].all(), "artefacts overlap"
        outside[first:last] = False
    np.testing.assert_array_equal(dirty[outside], trace[outside])


def test_an_artefact_is_as_strong_as_its_level_says(put_in):
    trace, dirty, truth = put_in
    power = trace.var()
    for row in truth[truth["kind"] != "saturation"].itertuples():
        own = slice(row.first, row.last)
        ratio = np.mean((dirty[own] - trace[own]) ** 2) / power
        assert 10 * np.log10(ratio) == pytest.approx(row.level, abs=1e-6)


def test_a_saturated_amplifier_shows_a_constant(put_in):
    trace, dirty, truth = put_in
    for row in truth[(truth["kind"] == "saturation") & (truth["level"] >= 6)].itertuples():
        own = slice(row.first, row.last)
        assert np.ptp(dirty[own]) < 1e-9
        ratio = np.mean((dirty[own] - trace[own]) ** 2) / trace.var()
        assert 10 * np.log10(ratio) == pytest.approx(row.level, abs=1e-6)


def test_a_burst_hums_at_50_hz(put_in):
    trace, dirty, truth = put_in
    row = truth[(truth["kind"] == "burst")].iloc[0]
    added = (dirty - trace)[row["first"] : row["last"]]
    freqs = np.fft.rfftfreq(8192, 1 / RATE)
    assert freqs[np.abs(np.fft.rfft(added, 8192)).argmax()] == pytest.approx(50, abs=1.5)


def test_the_same_generator_gives_the_same_artefacts():
    trace = np.random.default_rng(0).normal(size=5000)
    one, other = (contaminate(trace, RATE, 8, np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
