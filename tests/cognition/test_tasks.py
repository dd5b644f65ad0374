"""The library of tasks: complete, seeded, alike one by one and in batches, right by theory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from neuroloom.cognition.declare import declare
from neuroloom.cognition.sequences import sequences
from neuroloom.cognition.task import right_answer, task, tasks
from neuroloom.cognition.timing import exponential, lay_out, parse_law, sample, until
from neuroloom.core.errors import ConfigError

YANG = [
    "go",
    "rtgo",
    "dlygo",
    "anti",
    "rtanti",
    "dlyanti",
    "dm1",
    "dm2",
    "ctxdm1",
    "ctxdm2",
    "multidm",
    "dlydm1",
    "dlydm2",
    "ctxdlydm1",
    "ctxdlydm2",
    "multidlydm",
    "dms",
    "dnms",
    "dmc",
    "dnmc",
]
PYCOG = [
    "rdm-varstim",
    "rdm-rt",
    "rdm-nodale",
    "rdm-dense",
    "rdm-fixed",
    "mante",
    "mante-areas",
    "multisensory",
    "romo",
    "lee",
    "sinewave",
]
NATIVE = [
    "anti-reach",
    "bandit",
    "context-decision-making",
    "two-step",
    "delay-comparison",
    "delay-match-category",
    "delay-match-sample",
    "delay-match-sample-distractor",
    "delay-paired-association",
    "dual-delay-match-sample",
    "economic-decision-making",
    "go-nogo",
    "hierarchical-reasoning",
    "interval-discrimination",
    "multisensory-integration",
    "null",
    "perceptual-decision-making",
    "perceptual-decision-making-delay-response",
    "pulse-decision-making",
    "post-decision-wager",
    "probabilistic-reasoning",
    "reaching-1d",
    "reaching-1d-self-distraction",
    "reaching-delay-response",
    "ready-set-go",
    "motor-timing",
    "one-two-three-go",
    "spatial-suppression-motion",
]
SWITCHED_OFF = [
    "annubes",
    "detection",
    "tone-detection",
    "angle-reproduction",
    "changing-environment",
    "cv-learning",
    "ibl",
    "lever-press",
    "lever-press-poke",
    "lever-press-poke-rest",
    "context-switch",
    "matching-pennies",
    "memory-recall",
    "pneumostome-opening",
    "random-dot-motion",
    "spatial-suppression-pixels",
    "visual-search",
    "roitman02",
    "ibl20",
]
PSYCHRNN = ["perceptual-discrimination", "delayed-discrimination", "match-to-category"]
SOME = [
    "perceptual-discrimination",
    "pycog-rdm-varstim",
    "yang19-ctxdlydm1",
    "perceptual-decision-making",
    "post-decision-wager",
    "probabilistic-reasoning",
    "ready-set-go",
    "detection",
    "ibl20",
    "two-step",
    "hierarchical-reasoning",
    "pulse-decision-making",
]


def draw(name: str, n: int, seed: int = 0, dt: float = 20.0, **fixed):
    return task(name).trials(n, torch.Generator().manual_seed(seed), dt, **fixed)


def test_the_field_is_there():
    named = [*(f"yang19-{one}" for one in YANG), *(f"pycog-{one}" for one in PYCOG)]
    expected = {*named, *NATIVE, *SWITCHED_OFF, *PSYCHRNN}
    assert len(NATIVE) == 28
    assert expected <= set(tasks())


@pytest.mark.parametrize("name", tasks())
def test_each_is_seeded_well_formed_and_solved_by_its_targets(name):
    one, again, other = draw(name, 24), draw(name, 24), draw(name, 24, seed=1)
    played = task(name)
    for field in ("inputs", "targets", "mask", "choice"):
        assert torch.equal(getattr(one, field), getattr(again, field))
    moving = [one.conditions[k].equal(other.conditions[k]) for k in one.conditions]
    same = one.length.equal(other.length) and one.inputs.equal(other.inputs)
    assert not (same and all(moving)) or played.carried
    steps = len(one.inputs)
    assert one.inputs.shape == (steps, 24, len(played.inputs))
    assert one.targets.shape == one.mask.shape == (steps, 24, len(played.outputs))
    assert one.inputs.dtype == one.targets.dtype == torch.float32
    assert all(value.shape == (24,) for value in one.conditions.values())
    assert torch.isfinite(one.inputs).all()
    assert bool(played.score(one.targets, one).all())
    past = torch.arange(steps)[:, None] >= one.length
    assert (one.mask * past[..., None]).sum() == 0
    if played.actions:
        assert int(one.choice.max()) < played.actions
        assert ((one.choice == -1) == past).all()
    else:
        assert (one.choice == -1).all()


@pytest.mark.parametrize("name", [name for name in tasks() if task(name).actions])
def test_targets_and_right_actions_say_the_same(name):
    trials, played = draw(name, 40), task(name)
    asked = (trials.choice > 0) & (trials.mask.amax(-1) > 0)
    named = trials.targets.argmax(-1) + played.actions - len(played.outputs)
    assert torch.equal(named[asked], trials.choice[asked])


def test_wrong_answers_are_wrong():
    for name in ("perceptual-discrimination", "yang19-dm1", "dual-delay-match-sample", "go-nogo"):
        trials = draw(name, 60)
        assert not task(name).score(trials.targets.flip(-1), trials).all()


def batch_and_singles(name: str, n: int):
    whole = draw(name, 400, seed=5)
    generator = torch.Generator().manual_seed(6)
    singles = [task(name).trials(1, generator) for _ in range(n)]
    yield "length", whole.length, torch.cat([one.length for one in singles])
    for key, values in whole.conditions.items():
        yield key, values, torch.cat([one.conditions[key] for one in singles])


@pytest.mark.parametrize("name", SOME)
def test_a_batch_is_distributed_as_trials_one_by_one(name):
    pairs = list(batch_and_singles(name, 40))
    for key, many, ones in pairs:
        p = stats.ks_2samp(many.double().numpy(), ones.double().numpy()).pvalue
        assert p > 0.01 / (len(pairs) * len(tasks())), key


@pytest.mark.long
@pytest.mark.parametrize("name", tasks())
def test_the_same_with_many(name):
    pairs = list(batch_and_singles(name, 200))
    for key, many, ones in pairs:
        p = stats.ks_2samp(many.double().numpy(), ones.double().numpy()).pvalue
        assert p > 0.01 / (len(pairs) * len(tasks())), key


@pytest.mark.parametrize("dt", [20.0, 100.0])
def test_an_ideal_observer_is_as_good_as_theory_says_at_any_step(dt):
    """Evidence summed over 2 s: d' = c sqrt(T) / (sqrt(2) sigma), c = coherence / 100."""
    trials = draw("perceptual-decision-making", 4000, dt=dt, coherence=3.0)
    total = trials.inputs[..., 1:].sum(0)
    right = (total.argmax(1) + 1 == right_answer(trials)).double().mean()
    expected = stats.norm.cdf(0.03 * np.sqrt(2000) / np.sqrt(2))
    assert abs(right - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)


def test_truncated_waiting_times_are_those_of_scipy():
    drawn = sample(exponential(300, 100, 1000), 5000, torch.Generator().manual_seed(0)).numpy()
    law = stats.truncexpon(b=900 / 300, loc=100, scale=300)
    assert stats.kstest(drawn, law.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    "given",
    [300, "300", ("constant", 300), [300], ("uniform", [300, 300]), "choice 300 300",
     ("truncated_exponential", [50, 300, 300])],
)  # fmt: skip
def test_a_law_can_be_written_in_many_ways(given):
    drawn = sample(parse_law(given, "delay"), 3, torch.Generator())
    assert drawn.tolist() == [300, 300, 300]


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({"stimulus": "uniform 500 200"}, "lies above"),
        ({"stimulus": -5}, "would last -5"),
        ({"stimulus": 5}, "less than a step"),
        ({"stimulus": "until 50"}, "contradicts itself"),
        ({"stimulus": float("nan")}, "finite"),
        ({"stimulus": "uniformly 3 4"}, "Did you mean 'uniform'"),
        ({"stimulus": []}, "nothing to choose"),
        ({"stimulus": "exponential 0 1 2"}, "above 0"),
        ({"stimulus": 1e9}, "expected 1 to 100000"),
        ({"coherense": 1}, "Did you mean 'coherence'"),
        ({"dt": 0}, "more than 0"),
        ({"catch": 2}, "from 0 to 1"),
        ({"side": torch.zeros(3)}, "one value a trial"),
    ],
)
def test_what_cannot_be_is_refused(fixed, words):
    with pytest.raises(ConfigError, match=words):
        draw("perceptual-decision-making", 8, **fixed)


def test_an_unknown_task_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="'perceptual-decision-making'"):
        task("perceptual-decison-making")


def test_a_declaration_that_contradicts_itself_is_refused():
    words = {"source": "none", "inputs": ("a",), "outputs": ("b",), "actions": 0}
    with pytest.raises(ConfigError, match="lies above"):
        declare("x", "x", timing={"one": ("uniform", 5, 1)}, **words)
    with pytest.raises(ConfigError, match="Did you mean 'interval'"):
        declare("x", "x", timing={"one": "same intervall"}, conditions={"interval": 3}, **words)


def test_epochs_follow_each_other_without_gaps():
    laws = {"a": exponential(90, 20, 500), "b": parse_law([0, 33, 47], "b"), "c": until(900)}
    clock = lay_out(laws, {}, 500, 7.0, torch.Generator().manual_seed(0))
    ends = [clock.epochs[name] for name in laws]
    assert (ends[0][0] == 0).all()
    assert torch.equal(ends[0][1], ends[1][0])
    assert torch.equal(ends[1][1], ends[2][0])
    assert (ends[2][1] == round(900 / 7)).all()


def test_catch_trials_hold_nothing_but_noise():
    trials = draw("pycog-rdm-fixed", 3000, catch=0.3, noise=0)
    caught = trials.conditions["catch"] == 1
    assert abs(caught.double().mean() - 0.3) < 0.03
    assert torch.allclose(trials.inputs[:, caught], torch.tensor(0.2))
    assert (trials.choice[:, caught] <= 0).all()
    assert (trials.targets[:, caught] == 0.2).all()


def test_conditions_are_held_fixed_by_number_list_and_tensor():
    assert set(draw("pycog-romo", 50, pair=[1, 2]).conditions["pair"].tolist()) == {1, 2}
    sides = torch.arange(6) % 2
    assert torch.equal(draw("go-nogo", 6, go=sides).choice.amax(0), sides)
    delays = draw("go-nogo", 2, delay=torch.tensor([200.0, 400.0])).epochs["delay"]
    assert (delays[1] - delays[0]).tolist() == [10, 20]


def test_sequences_hold_whole_trials_in_order():
    played = task("pycog-rdm-varstim")
    many = sequences(played, 3, 250, torch.Generator().manual_seed(2))
    parts = [next(many) for _ in range(4)]
    inputs = torch.cat([part.inputs for part in parts])
    choice = torch.cat([part.choice for part in parts])
    assert inputs.shape == (1000, 3, 2)
    assert (choice >= 0).all()
    for row in range(3):  # every answer lasts 300 ms, and 100 ms or more lie between two
        due = (choice[:, row] > 0).int().numpy()
        starts, stops = np.flatnonzero(np.diff(due) == 1), np.flatnonzero(np.diff(due) == -1)
        stops = stops[stops > starts[0]]
        assert set(stops - starts[: len(stops)]) == {15}
    with pytest.raises(ConfigError, match="play it"):
        next(sequences(task("bandit"), 2, 5, torch.Generator()))


def test_yang_and_the_matching_tasks_follow_their_rules():
    trials = draw("yang19-dms", 300)
    alike = trials.conditions["where"] == trials.conditions["test place"]
    assert torch.equal(right_answer(trials) > 0, alike)
    trials = draw("yang19-dnmc", 300)
    halves = trials.conditions["where"] // 8 != trials.conditions["test place"] // 8
    assert torch.equal(right_answer(trials) > 0, halves)
    trials = draw("yang19-anti", 300)
    assert torch.equal(right_answer(trials) - 1, (trials.conditions["where"] + 8) % 16)
    trials = draw("yang19-multidm", 300)
    told = trials.conditions
    first = told["contrast 1"] + told["contrast 2"] > 0
    second = (told["where"] + told["turn"]) % 16
    assert torch.equal(right_answer(trials) - 1, torch.where(first, told["where"], second))
