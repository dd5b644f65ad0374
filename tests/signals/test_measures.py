"""Events and sleep: against brute force and counts by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from neuroloom.signals import measures


def random_events(rng: np.random.Generator, count: int) -> np.ndarray:
    onset = rng.uniform(0, 12, count)
    return measures.as_events(onset, rng.uniform(0.3, 3, count))


def best_by_hand(true: np.ndarray, found: np.ndarray, iou: float) -> tuple[int, float]:
    """Try every assignment: most pairs, then the largest sum of overlaps."""
    if len(true) > len(found):
        true, found = found, true
    score = measures.overlap(true, found)
    best = (0, 0.0)
    for columns in itertools.permutations(range(len(found)), len(true)):
        hits = [score[r, c] for r, c in enumerate(columns) if score[r, c] >= iou]
        best = max(best, (len(hits), float(sum(hits))))
    return best


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("iou", [0.1, 0.2, 0.5])
def test_matching_is_the_best_of_all_assignments(seed, iou):
    rng = np.random.default_rng(seed)
    true, found = random_events(rng, rng.integers(1, 6)), random_events(rng, rng.integers(1, 7))
    pairs = measures.match_events(true, found, iou)
    score = measures.overlap(true, found)
    count, total = best_by_hand(true, found, iou)
    assert len(pairs) == count
    assert sum(score[r, c] for r, c in pairs) == pytest.approx(total)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)


def test_a_greedy_matching_would_lose_a_pair():
    true = np.array([[0.0, 2.0], [2.0, 4.0]])
    found = np.array([[0.0, 4.0], [2.2, 3.8]])
    # The long one overlaps both alike; taken for the second, the first would go without.
    assert measures.match_events(true, found, 0.2).tolist() == [[0, 0], [1, 1]]


def test_overlap_counts_samples():
    rng, rate = np.random.default_rng(1), 100
    a, b = (np.round(random_events(rng, 4) * rate) / rate for _ in range(2))
    time = (np.arange(2000) + 0.5) / rate
    for (i, first), (j, second) in itertools.product(enumerate(a), enumerate(b)):
        inside = [(time > e[0]) & (time < e[1]) for e in (first, second)]
        expected = (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum()
        assert measures.overlap(a, b)[i, j] == pytest.approx(expected)


def test_found_events_are_what_was_drawn():
    trace = np.zeros(1000, bool)
    for first, last in ((100, 180), (185, 230), (400, 410), (600, 1000)):
        trace[first:last] = True
    found = measures.find_events(trace, 100.0, shortest=0.3, longest=3.0, gap=0.05)
    assert found.tolist() == [[1.0, 2.3]]
    assert len(measures.find_events(trace, 100.0)) == 4


def test_no_event_is_no_trouble():
    none = np.zeros((0, 2))
    assert measures.merge_events(none).shape == (0, 2)
    assert len(measures.match_events(none, [[1, 2]])) == 0
    assert math.isnan(measures.event_scores(0, 0, 0)["f1"])
    assert measures.find_events(np.zeros(10), 10.0).shape == (0, 2)


def test_merging_is_the_union():
    rng = np.random.default_rng(3)
    events = np.round(random_events(rng, 12), 2)
    time = (np.arange(2000) + 0.5) / 100
    covered = np.zeros(2000, bool)
    for onset, stop in events:
        covered |= (time > onset) & (time < stop)
    merged = measures.merge_events(events)
    assert (np.diff(merged.ravel()) > 0).all()
    assert (merged[:, 1] - merged[:, 0]).sum() == pytest.approx(covered.sum() / 100)


def test_density_by_stage():
    events = [[1, 2], [3, 4], [61, 62]]
    found = measures.density_by_stage(events, ["N2", "N2", "N2", "N3", None], 20.0)
    assert found == {"N2": 2.0, "N3": 3.0}


def test_a_night_by_hand():
    night = ["W"] * 4 + ["N1"] * 2 + ["N2"] * 6 + ["W"] * 2 + ["N3"] * 4 + ["R"] * 2
    told = measures.sleep_statistics(night, 30.0)
    assert told["time in bed"] == 10.0
    assert told["total sleep time"] == 7.0
    assert told["sleep efficiency"] == pytest.approx(70.0)
    assert told["sleep latency"] == 2.0
    assert told["wake after sleep onset"] == 1.0
    assert told["REM latency"] == 7.0
    assert told["N2 minutes"] == 3.0


def test_a_night_without_sleep():
    told = measures.sleep_statistics(["W"] * 10, 30.0)
    assert told["total sleep time"] == 0.0
    assert math.isnan(told["sleep latency"])
    assert math.isnan(told["REM latency"])
