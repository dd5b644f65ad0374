"""Intervals and tests of RSA by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.representation.rsa import ceiling, infer
from neuroloom.representation.rsa.rdm import to_pairs, to_square
from neuroloom.representation.rsa.similarity import compare_rdms


def world(rng, stimuli=40, people=12, dims=6, noise=1.0):
    """Stimuli and subjects drawn from a population; a model that knows half of the truth."""
    truth = rng.normal(size=(stimuli, dims))
    seen = []
    for _ in range(people):
        weight = rng.gamma(3.0, 1 / 3.0, dims)
        own = truth * weight + noise * rng.normal(size=(stimuli, dims))
        seen.append(to_pairs(((own[:, None] - own[None]) ** 2).sum(-1)))
    known = truth[:, : dims // 2]
    model = to_pairs(((known[:, None] - known[None]) ** 2).sum(-1))
    return model[None], np.stack(seen)


@pytest.mark.parametrize("method", ["spearman", "pearson"])
def test_a_weighted_comparison_is_that_of_the_repeated_stimuli(method):
    rng = np.random.default_rng(0)
    model, subjects = world(rng, stimuli=12, people=3)
    counts = np.array([[2, 0, 1, 1, 3, 0, 1, 1, 1, 1, 0, 1.0]])
    people = np.array([[2.0, 0.0, 1.0]])
    found = infer.resample(model, subjects, method, counts, people)
    order = np.repeat(np.arange(12), counts[0].astype(int))
    rows, others = np.triu_indices(len(order), 1)
    kept = order[rows] != order[others]  # pairs of a stimulus with its own copy are left out

    def again(pairs):
        return to_square(pairs)[order[rows], order[others]][kept]

    each = [compare_rdms(again(model[0]), again(one), method).item() for one in subjects]
    assert found.single[0, 0] == pytest.approx((2 * each[0] + each[2]) / 3)
    mean = (2 * subjects[0] + subjects[2]) / 3
    whole = compare_rdms(again(model[0]), again(mean), method).item()
    assert found.mean[0, 0] == pytest.approx(whole)


def test_the_ceiling_lies_where_the_truth_does():
    rng = np.random.default_rng(1)
    truth = rng.random(780)
    subjects = truth + 0.3 * rng.normal(size=(8, 780))
    low, high = ceiling.noise_ceiling(subjects, "pearson")
    real = compare_rdms(truth, subjects, "pearson").mean()
    assert low < real < high
    with pytest.raises(DataError, match="two subjects"):
        ceiling.noise_ceiling(subjects[:1])


def test_p_of_unrelated_models_is_uniform():
    rng = np.random.default_rng(2)
    p = [
        infer.permutation_test(rng.random((1, 105)), rng.random(105), "spearman", rng, n=99)[0]
        for _ in range(120)
    ]
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.11
    assert 0.35 < np.median(p) < 0.65


def test_an_rdm_with_unknown_pairs_is_compared_on_the_others():
    rng = np.random.default_rng(3)
    model, subjects = world(rng, stimuli=15, people=4)
    subjects[1, 7] = np.nan
    spread = infer.spread(model, subjects, "spearman", rng, n=200)
    assert np.isfinite(spread.single).all()


@pytest.mark.long
@pytest.mark.parametrize("method", ["spearman", "whitened-pearson"])
def test_intervals_hold_for_other_stimuli_and_other_people(method):
    rng = np.random.default_rng(4)
    big_model, big_subjects = world(np.random.default_rng(5), stimuli=300, people=60)
    truth = infer.similarities(big_model, big_subjects, method)[1].mean()
    hits = []
    for _ in range(80):
        model, subjects = world(rng, stimuli=30, people=8)
        value = infer.similarities(model, subjects, method)[1].mean()
        spread = infer.spread(model, subjects, method, rng, n=200)
        low, high = infer.interval(value, spread.single[0, 0], spread.freedom)
        hits.append(low <= truth <= high)
    assert np.mean(hits) >= 0.88


def test_differences_see_a_better_model():
    rng = np.random.default_rng(6)
    model, subjects = world(rng, noise=0.5)
    both = np.concatenate([model, rng.random(model.shape)])
    values = infer.similarities(both, subjects, "spearman")[1].mean(1)
    spread = infer.spread(both, subjects, "spearman", rng, n=300)
    table = infer.differences(["good", "noise"], values, spread.single, spread.freedom)
    assert table["p_holm"][0] < 0.01
    assert table["low"][0] > 0
