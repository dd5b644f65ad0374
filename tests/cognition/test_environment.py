"""Tasks as environments: Gymnasium's own checker, the same truth as supervised, what is carried."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from neuroloom.cognition.environment import (
    History,
    Prices,
    make_environment,
    register_environments,
)
from neuroloom.cognition.learning.mixture import Mixture
from neuroloom.cognition.learning.policy import Rewards, play
from neuroloom.cognition.task import right_answer, task, tasks
from neuroloom.cognition.wrappers import Noisy, Repeating, Scheduled, play_session
from neuroloom.core.errors import ConfigError


def know(trials, generator):
    return right_answer(trials)


def go_through(env, act):
    """Play an episode; returns rewards, and whether each trial was solved."""
    _, info = env.reset(seed=4)
    rewards, solved, over = [], [], False
    while not over:
        _, reward, over, _, info = env.step(act(env, info))
        rewards.append(reward)
        solved += [info["performance"]] if "performance" in info else []
    return rewards, solved


def rightly(env, info):
    if env.task.actions:
        return info["next"]
    return env.trial.targets[env.t, 0].numpy()


@pytest.mark.parametrize("name", tasks())
def test_gymnasium_checks_it_and_the_right_actions_solve_it(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(infinity|No render fps|not within).*")
        check_env(make_environment(name, dt=20.0), skip_render_check=True)
    _, solved = go_through(make_environment(name, dt=20.0, trials=3), rightly)
    assert solved == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["go-nogo", "perceptual-discrimination", "ready-set-go"])
def test_doing_nothing_solves_nothing_but_what_is_to_be_withheld(name):
    env = make_environment(name, dt=20.0, trials=30)
    due, keep = [], []

    def wait(env, info):
        if env.t == 0:
            due.append(int(right_answer(env.trial)[0]))
        return 0

    _, keep = go_through(env, wait)
    assert [bool(one) for one in keep] == [one == 0 for one in due]


@pytest.mark.parametrize("name", ["perceptual-decision-making", "detection", "yang19-dms"])
def test_random_play_is_paid_as_the_rollouts_of_the_policy_gradient_are(name):
    """Two implementations of the same rules: one step by step, one for whole batches."""
    played = task(name)
    trials = played.trials(64, torch.Generator().manual_seed(0), 20.0)
    steps = len(trials.inputs)
    likely = torch.rand(steps, 64, generator=torch.Generator().manual_seed(1)) < 0.02
    actions = torch.randint(1, played.actions, (steps, 64), generator=torch.Generator())
    actions = torch.where(likely, actions, 0)
    expected = play(actions, trials, Rewards())
    env = make_environment(name, dt=20.0, prices=Prices(), trials=64)
    env.reset(seed=0)
    env._pool, env._row = trials, 0
    env._new_trial()
    for column in range(64):
        paid, info = 0.0, {}
        while "performance" not in info:
            _, reward, _, _, info = env.step(int(actions[env.t, column]))
            paid += reward
        whole = float(expected.rewards[:, column].sum())
        assert paid == pytest.approx(whole, abs=1e-5)
        assert info["performance"] == float(expected.right[column])


def test_a_strict_price_list_ends_the_trial():
    env = make_environment("perceptual-decision-making", prices=Prices(strict=True))
    env.reset(seed=0)
    _, reward, over, _, _ = env.step(1)
    assert (reward, over) == (-0.1, True)


def test_the_names_are_known_to_gymnasium():
    assert len(register_environments()) == len(tasks())
    env = gymnasium.make("neuroloom/perceptual-decision-making-v0", dt=50.0)
    assert env.reset(seed=1)[0].shape == (3,)


def test_history_shows_the_last_action_and_reward():
    env = History(make_environment("bandit", trials=5))
    seen, _ = env.reset(seed=0)
    assert seen[1:].tolist() == [0, 0, 0, 0]
    seen, reward, *_ = env.step(2)
    assert seen[1:].tolist() == [0, 0, 1, reward]


def test_a_hand_that_goes_astray_sees_another_place_and_is_told_to_turn():
    env = make_environment("reaching-1d", dt=20.0, goal=4.0)
    env.reset(seed=0)
    while not env.window[env.t]:
        env.step(0)
    for _ in range(5):
        seen, *_, info = env.step(2)  # away from the goal at 4 rad, from pi
    at = np.pi - 5 * 0.6 * 20 / 100
    assert seen[16:] == pytest.approx(np.cos(at - np.arange(16) * np.pi / 8), abs=1e-5)
    assert info["next"] == 1


def test_ships_land_where_they_belong_in_seven_of_ten():
    told = {"state": None}
    played, generator = task("two-step"), torch.Generator().manual_seed(0)
    state = played.begin(5000, generator)
    trials = played.trials(5000, generator, state=state)
    told = played.settle(state, trials, torch.full((5000,), 1), generator)[1]
    assert abs((told["at"] == 1).double().mean() - 0.7) < 0.03
    trials = played.trials(5000, generator, state=told)
    assert torch.equal(trials.inputs[0, :, 1] == 1, told["at"] == 1)
    odds = told["odds"][torch.arange(5000), told["at"] - 1, 0]
    paid, after = played.settle(told, trials, torch.full((5000,), 1), generator)
    assert abs(paid.mean() - odds.mean()) < 0.03
    assert (after["at"] == 0).all()
    assert ((after["odds"] >= 0.25) & (after["odds"] <= 0.75)).all()


def test_an_opponent_punishes_habit_and_cannot_beat_chance():
    def always(trials, generator):
        return torch.ones(trials.inputs.shape[1], dtype=torch.int64)

    def coin(trials, generator):
        return 1 + torch.randint(2, (trials.inputs.shape[1],), generator=generator)

    played = task("matching-pennies")
    stuck = play_session(played, always, 200, 60, torch.Generator().manual_seed(0))
    fair = play_session(played, coin, 200, 60, torch.Generator().manual_seed(0))
    assert stuck["reward"][20:].mean() < 0.1
    assert abs(fair["reward"].mean() - 0.5) < 0.02


def test_a_bandit_pays_by_its_odds():
    played, generator = task("bandit"), torch.Generator().manual_seed(0)
    told = play_session(played, know, 4000, 10, generator)
    assert abs(told["reward"].mean() - 2 / 3) < 0.01  # mean of the larger of two uniform odds


def test_levers_earn_what_the_best_play_can():
    """A cue comes after two idle steps on average, then four presses: 10 in six steps."""
    cued = play_session(task("lever-press"), know, 500, 600, torch.Generator().manual_seed(0))
    assert cued["reward"].mean() == pytest.approx(10 / 6, rel=0.02)
    poked = play_session(task("lever-press-poke"), know, 5, 100, torch.Generator())
    assert poked["reward"].mean() == pytest.approx(1 / 5)


def test_blocks_have_their_odds_and_lengths():
    played, generator = task("ibl"), torch.Generator().manual_seed(0)
    state = played.begin(300, generator)
    sides, odds = [], []
    for _ in range(300):
        trials = played.trials(300, generator, state=state)
        sides.append(trials.conditions["side"])
        odds.append(state["odds"])
        state = played.settle(state, trials, right_answer(trials), generator)[1]
    sides, odds = torch.stack(sides).double(), torch.stack(odds)
    assert (odds[:90] == 0.5).all()
    for share in (0.2, 0.8):
        assert abs(sides[odds == share].mean() - share) < 0.02
    runs = [np.diff(np.flatnonzero(np.diff(row))) for row in odds[90:].T.numpy()]
    runs = np.concatenate(runs)
    assert runs.min() >= 20
    assert runs.max() <= 100


def test_the_curriculum_is_climbed_by_those_who_know():
    played, generator = task("cv-learning"), torch.Generator().manual_seed(0)
    state, stages = played.begin(4, generator), []
    for _ in range(160):
        trials = played.trials(4, generator, state=state)
        stages.append(state["stage"])
        state = played.settle(state, trials, right_answer(trials), generator)[1]
    stages = torch.stack(stages)
    assert (stages[0] == 0).all()
    assert (stages[-1] == 4).all()
    assert (stages.diff(dim=0) >= 0).all()


def test_a_condition_can_tend_to_stay():
    played = Repeating(task("perceptual-decision-making"), "side", 0.8)
    told = play_session(played, know, 100, 100, torch.Generator().manual_seed(0), 100.0)
    stays = (told["right"].diff(dim=0) == 0).double().mean()
    assert abs(stays - 0.8) < 0.02
    with pytest.raises(ConfigError, match="Did you mean 'side'"):
        Repeating(task("perceptual-decision-making"), "sides", 0.8)


def test_noise_has_the_same_power_at_any_step():
    played = Noisy(task("go-nogo"), 2.0)
    for dt in (20.0, 100.0):
        clean = task("go-nogo").trials(200, torch.Generator().manual_seed(0), dt).inputs
        noise = played.trials(200, torch.Generator().manual_seed(0), dt).inputs - clean
        assert float(noise.std()) == pytest.approx(2 / dt**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "turns"), [("sequential", [0, 1, 0, 1, 0, 1]), ("block", [0, 0, 0, 1, 1, 1])]
)
def test_tasks_take_turns(kind, turns):
    mixed = Mixture([task("yang19-go"), task("yang19-anti")])
    env = make_environment(Scheduled(mixed, kind, 3), dt=20.0, trials=6)
    seen, rules = [], [mixed.inputs.index("rule yang19-go"), mixed.inputs.index("rule yang19-anti")]

    def act(env, info):
        if env.t == 0:
            seen.append(int(env.seen[0, rules[1]]))
            assert env.seen[0, rules].sum() == 1
        return info["next"]

    _, solved = go_through(env, act)
    assert seen == turns
    assert all(solved)
