"""Learning: stop rules, curricula, rewards, mixtures, and small nets that learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroloom.cognition.learning.curriculum import (
    Stage,
    StopRule,
    parse_stages,
    switches,
    worst_condition,
)
from neuroloom.cognition.learning.mixture import Mixture
from neuroloom.cognition.learning.player import Drill, Player, Supervised, masked_loss
from neuroloom.cognition.learning.policy import (
    Policy,
    PolicySpec,
    Rewards,
    advantages,
    mean_reward,
    play,
)
from neuroloom.cognition.learning.session import read_nets
from neuroloom.cognition.nets.rate import RateRNN, RateSpec
from neuroloom.cognition.task import Trials, task
from neuroloom.cognition.train import Train
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.training.fit import FitJob, Training, fit

QUICK = Training(batch=64, lr=5e-3, warmup=0.02, flat=True, weight_decay=0.0, clip=1.0)


def learn(player, steps, seed=0):
    return fit(player, player.tickets, player.tickets, QUICK, FitJob(seed=seed, steps=steps))


def three_trials() -> Trials:
    """One waits for action 1, one for 2, one for none; answers count in steps 3 to 5."""
    choice = torch.zeros(6, 3, dtype=torch.int64)
    choice[3:, 0], choice[3:, 1] = 1, 2
    ends = {"fixation": (0, 3), "decision": (3, 6)}
    epochs = {n: (torch.full((3,), a), torch.full((3,), b)) for n, (a, b) in ends.items()}
    blank = torch.zeros(6, 3, 1)
    return Trials(blank, blank, blank, choice, {}, epochs, 20.0)


def test_rewards_are_those_of_the_price_list():
    actions = torch.zeros(6, 3, dtype=torch.int64)
    actions[4, 0] = 1  # right
    actions[1, 1], actions[3, 1] = 1, 1  # too early, then wrong
    went = play(actions, three_trials(), Rewards(fail=-0.5))
    assert went.right.tolist() == [True, False, True]
    np.testing.assert_allclose(went.rewards.sum(0), [1.0, -0.6, 0.0], atol=1e-6)
    assert went.alive.sum(0).tolist() == [5.0, 4.0, 6.0]
    assert went.answer.tolist() == [4, 3, -1]


def test_no_answer_where_one_is_due_is_a_miss():
    went = play(torch.zeros(6, 3, dtype=torch.int64), three_trials(), Rewards(miss=-0.3))
    assert went.right.tolist() == [False, False, True]
    np.testing.assert_allclose(went.rewards.sum(0), [-0.3, -0.3, 0.0], atol=1e-6)


def test_advantages_are_the_sums_of_the_paper():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(2, 7, 3))
    alive = np.ones((7, 3))
    alive[4:, 1] = 0
    found = advantages(*map(torch.tensor, (rewards, values, alive)), 0.9, 0.8).numpy()
    for n in range(3):
        last = int(alive[:, n].sum())
        for t in range(last):
            wanted = sum(
                (0.9 * 0.8) ** (k - t)
                * (rewards[k, n] + 0.9 * (values[k + 1, n] if k + 1 < last else 0) - values[k, n])
                for k in range(t, last)
            )
            assert found[t, n] == pytest.approx(wanted)
        assert (found[last:, n] == 0).all()


def test_the_masked_loss_counts_only_what_is_asked_for():
    trials = task("perceptual-discrimination").trials(8, torch.Generator().manual_seed(0))
    off = trials.targets + 2.0 * (trials.mask == 0)
    assert float(masked_loss(off, trials, "squares")) == 0.0
    sure = 50.0 * torch.nn.functional.one_hot(trials.choice.clamp_min(0), 3).float()
    assert float(masked_loss(sure, trials, "choices")) < 1e-6


def test_the_worst_condition_is_found_jointly_or_singly():
    right = np.array([1, 1, 1, 0, 1, 1, 1, 1])
    a, b = np.array([0, 0, 1, 1] * 2), np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert worst_condition(right, {"a": a, "b": b})[0] == 0.75
    worst, where = worst_condition(right, {"a": a, "b": b}, ("a", "b"))
    assert worst == pytest.approx(2 / 3)
    assert where == "a 1, b 1"


def test_a_goal_is_reached_on_average_and_in_the_end():
    rule = StopRule(0.8, last=3)
    assert not rule.reached([{"accuracy": 0.9}] * 2)
    assert rule.reached([{"accuracy": value} for value in (0.1, 0.75, 0.9, 0.8)])
    assert not rule.reached([{"accuracy": value} for value in (0.9, 0.9, 0.79)])
    worst = [{"accuracy": 0.9, "worst": 0.7}] * 3
    assert not StopRule(0.8, "worst", 3).reached(worst)


def test_stages_are_read_and_said_wrongly_refused():
    stages = parse_stages(["coherence=0.7 direction=1", "whole"], StopRule(0.95), 0.85)
    assert stages[0].conditions == {"coherence": 0.7, "direction": 1}
    assert stages[0].stop == StopRule(0.85, last=1)
    assert stages[1] == Stage(stop=StopRule(0.95))
    with pytest.raises(ConfigError, match="'easy' is neither"):
        parse_stages(["easy"], StopRule(), 0.9)


def test_a_curriculum_moves_on_when_a_threshold_is_reached():
    net = RateRNN(RateSpec(2, 32, 2), torch.Generator().manual_seed(0))
    given = ["coherence=0.7", "coherence=0.3", "coherence=0.1"]
    stages = parse_stages(given, StopRule(0.9, last=2), 0.95)
    played = task("perceptual-discrimination")
    player = Player(net, played, Supervised(), stages, Drill(dt=50.0, every=20))
    history = learn(player, 600)
    rows = switches(history.epochs, stages)
    assert [row["conditions"] for row in rows] == [
        "coherence 0.7",
        "coherence 0.3",
        "coherence 0.1",
    ]
    assert all(row["reached"] for row in rows)
    assert rows[0]["last_step"] < rows[1]["first_step"] <= rows[1]["last_step"]
    assert "target was reached" in history.stopped


@pytest.mark.parametrize(
    "kind",
    [
        "ppo",
        pytest.param("actor-critic", marks=pytest.mark.long),
        pytest.param("policy-gradient", marks=pytest.mark.long),
    ],
)
def test_rewards_alone_teach_a_decision(kind):
    played = task("perceptual-discrimination")
    net = RateRNN(RateSpec(2, 24, 4), torch.Generator().manual_seed(0))
    policy = Policy(PolicySpec(kind), Rewards())
    policy.adopt(net)
    stages = [Stage({"coherence": 0.7}, StopRule(0.9, last=2))]
    player = Player(net, played, policy, stages, Drill(dt=100.0, every=25))
    history = learn(player, 900)
    assert "target was reached" in history.stopped
    draw = torch.Generator().manual_seed(3)
    fresh = played.trials(400, draw, dt=100.0, coherence=0.7)
    assert mean_reward(net, fresh, Rewards(), draw) > 0.8


def test_ppo_resumed_between_two_rollouts_ends_with_the_same_bits(tmp_path):
    def made():
        net = RateRNN(RateSpec(2, 8, 4), torch.Generator().manual_seed(0))
        policy = Policy(PolicySpec("ppo", reuse=4), Rewards())
        policy.adopt(net)
        played = task("perceptual-discrimination")
        return Player(net, played, policy, [Stage()], Drill(dt=100.0, batch=16, every=50))

    class CutError(Exception):
        pass

    training = replace(QUICK, batch=16)
    whole = made()
    fit(whole, whole.tickets, whole.tickets, training, FitJob(steps=11))
    cut, loss, seen = made(), Player.loss, []

    def once(self, *given):
        seen.append(1)
        if len(seen) == 7:
            raise CutError
        return loss(self, *given)

    job = FitJob(steps=11, checkpoint=tmp_path / "c", every_s=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Player, "loss", once)
        with pytest.raises(CutError):
            fit(cut, cut.tickets, cut.tickets, training, job)
    again = made()
    fit(again, again.tickets, again.tickets, training, job)
    for one, other in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path):
    for fields, told in (
        ({"task": ["perceptual-discriminaton"]}, "perceptual-discrimination"),
        ({"stages": ["coherance=0.7"]}, "coherence"),
        ({"net": "gru", "dale": 0.8}, "dale is for rate networks"),
        ({"dt": 200.0}, "step of 200.0 ms"),
        ({"per": ["side"]}, "no condition 'side'"),
        ({"budget": "soon"}, "budget"),
    ):
        with pytest.raises(ConfigError, match=told):
            Train(**fields).run(None, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_several_tasks_are_told_apart_by_rules_and_each_is_scored_by_its_own():
    one = task("perceptual-discrimination")
    other = replace(one, name="other")
    both = Mixture([one, other])
    trials = both.trials(9, torch.Generator().manual_seed(0))
    assert both.inputs[-2:] == ("rule perceptual-discrimination", "rule other")
    assert trials.inputs.shape[1:] == (9, 4)
    which = trials.conditions["task"]
    assert sorted(np.bincount(which.numpy()).tolist()) == [4, 5]
    assert (trials.inputs[:, which == 1, 3] == 1).all()
    assert (trials.inputs[:, which == 1, 2] == 0).all()
    assert both.score(trials.targets, trials).all()
    assert not both.score(-trials.targets, trials).any()


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """A run too short to have learnt anything; what is asked of it is form."""
    folder = tmp_path_factory.mktemp("short") / "run"
    fields = {"units": 10, "budget": "6 steps", "every": 3, "batch": 8, "judged": 30, "dt": 50.0}
    return Train(seeds=2, **fields).run(None, folder)


def test_a_run_is_judged_again_on_fresh_trials_of_its_own_or_another_task(short_run, tmp_path):
    again = short_run.evaluate(".", out=tmp_path / "e")
    assert list(again["metric"]) == ["accuracy", "worst"]
    assert again.attrs["labelled"] == 2000
    assert (tmp_path / "e/metrics.json").is_file()
    with pytest.raises(ConfigError, match="needs 3 inputs"):
        short_run.evaluate("go-nogo")
    with pytest.raises(ConfigError, match="No task is called"):
        short_run.evaluate("go-nogoo")


def test_inputs_of_ones_own_are_played(short_run, tmp_path):
    inputs = np.random.default_rng(0).random((20, 4, 2)).astype(np.float32)
    np.save(tmp_path / "mine.npy", inputs)
    table = short_run.predict(tmp_path / "mine.npy", out=tmp_path / "p")
    assert len(table) == 4
    net = read_nets(short_run.folder / "model.safetensors")[0][0]
    outputs = net(torch.tensor(inputs), 50.0).outputs.detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "p/outputs-mine.npy"), outputs, atol=1e-6)
    np.save(tmp_path / "bad.npy", inputs[..., :1])
    with pytest.raises(DataError, match=r"shape \(time, trial, 2\)"):
        short_run.predict(tmp_path / "bad.npy")


def test_without_inputs_a_run_does_fresh_trials_of_its_task(short_run):
    assert short_run.predict().equals(short_run.predict("."))


def test_a_run_can_begin_with_the_weights_of_another(short_run, tmp_path):
    fields = {"units": 10, "budget": "1 steps", "batch": 8, "judged": 30, "dt": 50.0}
    again = Train(weights=str(short_run.folder), lr=1e-12, **fields).run(None, tmp_path / "run")
    one, other = (read_nets(run.folder / "model.safetensors")[0][0] for run in (short_run, again))
    assert torch.allclose(one.recurrent.weight, other.recurrent.weight, atol=1e-6)
    with pytest.raises(ConfigError, match="weights: the net of"):
        Train(weights=str(short_run.folder), task=["go-nogo"]).run(None, tmp_path / "no")


def test_the_baseline_reads_a_net_that_was_never_trained_and_the_metrics_name_it(short_run):
    metrics = short_run.metrics.set_index("metric")
    assert 0 <= metrics.loc["accuracy", "baseline"] <= 1
    assert metrics.loc["accuracy", "low"] <= metrics.loc["accuracy", "value"]
    table = short_run.predictions
    mine = table[table["role"] == "model"]
    assert metrics.loc["accuracy", "value"] == pytest.approx(mine["right"].mean())
    assert sorted(table["seed"].unique()) == [0, 1]
    assert metrics.loc["accuracy", "chance"] == pytest.approx(
        mine["truth"].value_counts(normalize=True).max()
    )


@pytest.mark.parametrize(
    ("fields", "metrics"),
    [
        ({"task": ["pycog-sinewave"], "net": "lstm"}, ["accuracy", "worst"]),
        (
            {"task": ["go-nogo"], "learn": "ppo", "plasticity": True},
            ["accuracy", "worst", "reward"],
        ),
        ({"task": ["yang19-go", "yang19-anti"], "learn": "choices"}, ["accuracy", "worst"]),
    ],
)
def test_every_kind_of_net_task_and_learning_leaves_a_whole_run(fields, metrics, tmp_path):
    small = {"units": 8, "budget": "2 steps", "batch": 4, "judged": 20, "dt": 50.0, "every": 2}
    run = Train(**small, **fields).run(None, tmp_path / "run")
    assert list(run.metrics["metric"]) == metrics
    assert (run.folder / "report.html").is_file()


@pytest.mark.long
def test_a_constrained_net_reaches_the_bar_and_breaks_no_constraint(tmp_path):
    run = Train(units=50, dale=0.8, density=0.8, target=0.97, budget="60s").run(
        None, tmp_path / "run"
    )
    assert run.metrics.set_index("metric").loc["accuracy", "value"] >= 0.95
    weight = read_nets(run.folder / "model.safetensors")[0][0].recurrent().detach().numpy()
    assert (weight[:, :40] >= 0).all()
    assert (weight[:, 40:] <= 0).all()
    assert (np.diag(weight) == 0).all()
    assert (weight != 0).sum() <= round(0.8 * 50 * 49)
