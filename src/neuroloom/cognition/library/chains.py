"""Tasks in which a trial depends on those before: bandits, two steps, opponents, blocks, levers.

What is carried on is a dict of tensors, one row an agent: `start` makes it, a trial is written from
it, and `after` says, for all agents at once, what their answers earn and what comes next. The right
answer of a trial is that of someone who knows the hidden state.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neuroloom.cognition.answers import each_answer, ring
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.library.decisions import Outcome, evidence
from neuroloom.cognition.task import State, Trials, right_answer
from neuroloom.cognition.timing import same, steps, uniform

ONE_STEP = {"decision": steps(1)}


def coin(share: Tensor | float, n: int, generator: torch.Generator) -> Tensor:
    """Return whether each of n events happened, (n,) bool."""
    return torch.rand(n, generator=generator, device=generator.device) < share


def pick(high: int, n: int, generator: torch.Generator) -> Tensor:
    """Return whole numbers below `high`, (n,)."""
    return torch.randint(high, (n,), generator=generator, device=generator.device)


def _arms(n: int, generator: torch.Generator) -> State:
    return {"odds": torch.rand(n, 2, generator=generator, device=generator.device)}


def _pay_arm(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    odds = state["odds"].gather(1, (action - 1).clamp_min(0)[:, None])[:, 0]
    paid = coin(odds, len(action), generator) & (action > 0)
    return paid.float(), state


@declare(
    "bandit", "two arms pay with odds that hold for a session: find the better one",
    source="Wang et al. 2018", inputs=("go",), outputs=("wait", "arm 1", "arm 2"), actions=3,
    timing=ONE_STEP, start=_arms, after=_pay_arm, tags=("neurogym", "reward", "carried"),
)  # fmt: skip
def bandit(draft: Draft) -> None:
    """Show nothing but that it is time to choose; odds are drawn anew for each session."""
    draft.add("go", 1.0)
    draft.answer(1 + draft["odds"].argmax(1), "decision")


COMMON, DRIFT, FLOOR, ROOF = 0.7, 0.025, 0.25, 0.75


def _voyage(n: int, generator: torch.Generator) -> State:
    odds = torch.rand(n, 2, 2, generator=generator, device=generator.device)
    nowhere = torch.zeros(n, dtype=torch.int64, device=generator.device)
    return {"odds": FLOOR + (ROOF - FLOOR) * odds, "at": nowhere}


def _travel(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    """Stage one leads, stage two pays; the odds then walk between reflecting walls."""
    n, at, odds = len(action), state["at"], state["odds"]
    first, answered = at == 0, action > 0
    which = (action - 1).clamp_min(0)
    rare = (~coin(COMMON, n, generator)).long()
    landed = 1 + (which + rare) % 2
    rows = torch.arange(n, device=odds.device)
    paid = coin(odds[rows, (at - 1).clamp_min(0), which], n, generator) & answered & ~first
    noise = torch.randn(odds.shape, generator=generator, device=odds.device)
    walked = odds + DRIFT * noise * (~first)[:, None, None]
    walked = torch.where(walked > ROOF, 2 * ROOF - walked, walked)
    walked = torch.where(walked < FLOOR, 2 * FLOOR - walked, walked)
    at = torch.where(first & answered, landed, 0)
    return paid.float(), {"odds": walked, "at": at}


@declare(
    "two-step", "choose a ship, land on one of two planets, choose who there may pay",
    source="Daw et al. 2011", inputs=("ships", "planet 1", "planet 2"),
    outputs=("wait", "option 1", "option 2"), actions=3, timing=ONE_STEP, start=_voyage,
    after=_travel, tags=("neurogym", "reward", "carried"),
)  # fmt: skip
def two_step(draft: Draft) -> None:
    """Make each stage a trial; a ship goes to its own planet in 70 %, odds of pay drift."""
    at, odds = draft["at"], draft["odds"]
    for number, name in enumerate(("ships", "planet 1", "planet 2")):
        draft.add(name, (at == number).float())
    draft.note("stage", 1 + (at > 0).long())
    rows = torch.arange(draft.n, device=draft.device)
    inner = odds[rows, (at - 1).clamp_min(0)].argmax(1)
    outer = odds.amax(2).argmax(1)
    draft.answer(1 + torch.where(at == 0, outer, inner), "decision")


MEMORY = 0.2  # how fast the opponent learns a player's habit


def _opponent(n: int, generator: torch.Generator) -> State:
    return {
        "habit": torch.zeros(n, device=generator.device),
        "last": pick(2, n, generator),
        "plays": pick(2, n, generator),
    }


def _matched(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    n, answered = len(action), action > 0
    won = (action - 1 == state["plays"]) & answered
    habit = state["habit"] + MEMORY * (2.0 * action - 3.0 - state["habit"]) * answered
    shy = coin((1 - habit) / 2, n, generator)  # plays the side that the player seldom takes
    return won.float(), {"habit": habit, "last": state["plays"], "plays": shy.long()}


@declare(
    "matching-pennies", "choose as the opponent does, who learns to choose otherwise",
    source="Barraclough, Conroy and Lee 2004", inputs=("last was 1", "last was 2"),
    outputs=("wait", "side 1", "side 2"), actions=3, timing=ONE_STEP, start=_opponent,
    after=_matched, tags=("neurogym", "contributed", "reward", "carried"),
)  # fmt: skip
def pennies(draft: Draft) -> None:
    """Show what the opponent played last; only being random is safe."""
    for number in (0, 1):
        draft.add(f"last was {number + 1}", (draft["last"] == number).float())
    draft.answer(1 + draft["plays"], "decision")


def _contexts(n: int, generator: torch.Generator) -> State:
    return {"context": pick(2, n, generator)}


def _switch(share: float) -> Callable[..., Outcome]:
    def after(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
        flip = coin(share, len(action), generator).long()
        return (action == right_answer(trials)).float(), {"context": (state["context"] + flip) % 2}

    return after


@declare(
    "context-switch", "two signals, two answers; which goes with which changes unannounced",
    source="NeuroGym, contributed", inputs=ring("signal", 2),
    outputs=("wait", "answer 1", "answer 2"), actions=3, timing=ONE_STEP,
    conditions={"signal": [0, 1]}, start=_contexts, after=_switch(0.1),
    tags=("neurogym", "contributed", "context", "carried"),
)  # fmt: skip
def context_switch(draft: Draft) -> None:
    """Turn the rule round in a tenth of the trials."""
    draft.add("signal", torch.eye(2, device=draft.device)[draft["signal"]])
    draft.answer(1 + (draft["signal"] + draft["context"]) % 2, "decision")


@declare(
    "changing-environment", "weigh evidence while the meaning of the answers may have changed",
    source="Purcell and Kiani 2016", inputs=("fixation", *ring("stimulus", 2)),
    outputs=("fixate", *(f"{s} in {c}" for c in ("one", "other") for s in ("left", "right"))),
    actions=5, timing={"fixation": 500, "stimulus": uniform(100, 1500), "decision": 500},
    conditions={"side": [0, 1], "coherence": [0, 6.4, 12.8, 25.6, 51.2]},
    settings={"noise": 1.0}, start=_contexts, after=_switch(0.05),
    tags=("neurogym", "contributed", "evidence", "carried"),
)  # fmt: skip
def changing(draft: Draft) -> None:
    """Two pairs of targets; only the pair of the hidden environment pays."""
    draft.add("fixation", 1.0, "fixation", "stimulus")
    evidence(draft, "stimulus", draft["side"], draft["coherence"], "stimulus")
    draft.answer(1 + draft["side"] + 2 * draft["context"], "decision")


def _block(n: int, generator: torch.Generator) -> State:
    half = torch.full((n,), 0.5, device=generator.device)
    return {"odds": half, "left": torch.full((n,), 90, device=generator.device)}


def _blocks(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    """After 90 trials without a bias, blocks of 20 to 100 trials, mean 60, biased to and fro."""
    n, odds, left = len(action), state["odds"], state["left"] - 1
    u = torch.rand(n, generator=generator, device=generator.device)
    length = (20 - 60 * torch.log1p(-u * (1 - torch.e ** (-80 / 60)))).long().clamp(20, 100)
    fresh = torch.where(coin(0.5, n, generator), 0.2, 0.8)
    turned = torch.where(odds == 0.5, fresh, 1 - odds)
    done = left <= 0
    state = {"odds": torch.where(done, turned, odds), "left": torch.where(done, length, left)}
    return (action == right_answer(trials)).float(), state


@declare(
    "ibl20", "turn the wheel to where a grating is; sides come in blocks of unequal odds",
    source="International Brain Laboratory 2021", inputs=("fixation", "left", "right"),
    outputs=("hold", "left", "right"), actions=3, timing={"quiet": 500, "decision": 2000},
    conditions={"contrast": [0, 6.25, 12.5, 25, 100]}, settings={"noise": 0.5}, start=_block,
    after=_blocks, tags=("neurogym", "evidence", "prior", "carried"),
)  # fmt: skip
def ibl20(draft: Draft) -> None:
    """Odds of the right side are 0.2 or 0.8 in a block; a contrast of 0 leaves only the odds."""
    side = draft.note("side", (draft.random(draft.n) < draft["odds"]).long())
    draft.note("odds of right", draft["odds"])
    draft.add("fixation", 1.0, "quiet")
    for number, name in enumerate(("left", "right")):
        draft.add(name, (side == number) * draft["contrast"] / 100, "decision")
        draft.noise(name, draft["noise"], "decision")
    draft.answer(1 + side, "decision")


@declare(
    "ibl", "on which side is the grating? one look a trial, odds in blocks",
    source="International Brain Laboratory 2021", inputs=("left", "right"),
    outputs=("hold", "left", "right"), actions=3, timing=ONE_STEP,
    conditions={"contrast": [1.6, 3.2, 6.4, 12.8, 25.6, 51.2]}, settings={"noise": 0.1},
    start=_block, after=_blocks, tags=("neurogym", "contributed", "prior", "carried"),
)  # fmt: skip
def ibl(draft: Draft) -> None:
    """Make a trial of one step, with noise of 0.1 whatever the step."""
    side = draft.note("side", (draft.random(draft.n) < draft["odds"]).long())
    for number, name in enumerate(("left", "right")):
        sign = torch.where(side == number, 1.0, -1.0)
        draft.add(name, 0.5 + sign * draft["contrast"] / 200)
        draft.noise(name, draft["noise"] * draft.dt**0.5)
    draft.answer(1 + side, "decision")


def _rule(n: int, generator: torch.Generator) -> State:
    return {"rule": pick(2, n, generator), "left": 10 + pick(11, n, generator)}


def _alternate(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    left, fresh = state["left"] - 1, 10 + pick(11, len(action), generator)
    done = left <= 0
    state = {
        "rule": torch.where(done, 1 - state["rule"], state["rule"]),
        "left": torch.where(done, fresh, left),
    }
    return (action == right_answer(trials)).float(), state


@declare(
    "hierarchical-reasoning", "name the rule in force, then judge an interval by that rule",
    source="Sarafyazd and Jazayeri 2019", inputs=("fixation", "rule", *ring("flash", 2)),
    outputs=("fixate", "rule 1", "rule 2", "left", "right"), actions=5,
    timing={"fixation": 400, "rule": 1000, "hold": 400, "flash 1": 100, "delay": same("interval"),
            "flash 2": 100, "decision": 700},
    conditions={"interval": [530, 610, 690, 770, 850, 930, 1010, 1090, 1170], "side": [0, 1]},
    start=_rule, after=_alternate, judge=each_answer("rule", "decision"),
    tags=("neurogym", "timing", "rule", "carried"),
)  # fmt: skip
def hierarchical(draft: Draft) -> None:
    """Rule 1: short, look at the flash; long, away. Rule 2: the other way round. 850 is a toss."""
    interval = draft["interval"]
    edge = (interval == 850) & (draft.random(draft.n) < 0.5)
    long = draft.note("long", (interval > 850) | edge)
    away = long.long() ^ draft["rule"]
    draft.add("fixation", 1.0, *list(draft.task.timing)[:-1])
    draft.add("rule", 1.0, "rule")
    draft.add("flash", torch.eye(2, device=draft.device)[draft["side"]], "flash 1", "flash 2")
    draft.answer(1 + draft["rule"], "rule")
    draft.answer(3 + (draft["side"] + away) % 2, "decision")


WINDOW, PASS = 20.0, 0.75
WAITS = (0.0, 0.0, 300.0, 1000.0, 2000.0)  # delay of each stage, ms


def _novice(n: int, generator: torch.Generator) -> State:
    zeros = torch.zeros(n, device=generator.device)
    return {
        "stage": zeros.long(),
        "score": zeros + 0.5,
        "wait": zeros.clone(),
        "side": pick(2, n, generator),
    }


def _teach(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    """Go on a stage where a running mean of the last 20 answers or so passes 75 %."""
    n, stage = len(action), state["stage"]
    right = (action == right_answer(trials)).float()
    score = state["score"] + (right - state["score"]) / WINDOW
    passed = (score > PASS) & (stage < len(WAITS) - 1)
    stage = stage + passed.long()
    wait = torch.tensor(WAITS, device=stage.device)[stage]
    turned = torch.where(stage == 0, (action + pick(2, n, generator)) % 2, pick(2, n, generator))
    score = torch.where(passed, 0.5, score)
    return right, {"stage": stage, "score": score, "wait": wait, "side": turned}


@declare(
    "cv-learning", "a curriculum that an animal climbs: cue, then delay, then longer, then noise",
    source="Inagaki et al. 2019", inputs=("fixation", *ring("stimulus", 2)),
    outputs=("fixate", "left", "right"), actions=3,
    timing={"fixation": 200, "stimulus": 1150, "delay": same("wait"), "decision": 1500},
    conditions={"coherence": [6.4, 12.8, 25.6, 51.2]}, settings={"noise": 1.0}, start=_novice,
    after=_teach, tags=("neurogym", "contributed", "curriculum", "carried"),
)  # fmt: skip
def cv_learning(draft: Draft) -> None:
    """Evidence is full until the last stage, in which coherence and noise are those of the task."""
    hard = draft["stage"] == len(WAITS) - 1
    coherence = torch.where(hard, draft["coherence"], 100.0)
    draft.note("at stage", draft["stage"])
    draft.add("fixation", 1.0, "fixation", "stimulus", "delay")
    sign = torch.stack([1 - 2 * draft["side"], 2 * draft["side"] - 1], 1)
    draft.add("stimulus", 0.5 + sign * coherence[:, None] / 200, "stimulus")
    draft.noise("stimulus", draft["noise"] * hard.float(), "stimulus")
    draft.answer(1 + draft["side"], "decision")
