"""Movements: reaching on a ring step by step, reaching at once, and away from a target.

Where a hand moves, what is seen next depends on what was done: `follow` says how. Targets and right
actions are then those of a hand that went straight; an environment recomputes them as it goes.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from neuroloom.cognition.answers import angles, near, ring
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.task import State, Trials

STEP = 0.6  # rad that a hand moves in 100 ms
MOVES = ("stay", "left", "right")


@declare(
    "anti-reach", "look or reach opposite to where a target is shown",
    source="Munoz and Everling 2004", inputs=("fixation", *ring("stimulus", 32)),
    outputs=("fixate", *ring("place", 32)), actions=33,
    timing={"fixation": 500, "stimulus": 500, "delay": 0, "decision": 500},
    conditions={"place": list(range(32)), "anti": 1}, tags=("neurogym", "motor", "ring"),
)  # fmt: skip
def anti_reach(draft: Draft) -> None:
    """Show a target on a ring of 32; with `anti` 0 it is to be reached itself."""
    target = angles(32, draft.device)[draft["place"]]
    draft.add("fixation", 1.0, "fixation", "stimulus", "delay")
    draft.add("stimulus", torch.cos(target[:, None] - angles(32, draft.device)), "stimulus")
    draft.answer(1 + (draft["place"] + 16 * draft["anti"]) % 32, "decision")


@declare(
    "reaching-delay-response", "remember a place on a line, then reach there",
    source="NeuroGym; Georgopoulos et al. 1982", inputs=("go", "stimulus"),
    outputs=("go", "place"), actions=0,
    timing={"stimulus": 500, "delay": [0, 1000, 2000], "decision": 500},
    conditions={"place": ("uniform", 0.0, 1.0)}, judge=near(0.1, "decision"),
    tags=("neurogym", "motor", "memory"),
)  # fmt: skip
def reach_later(draft: Draft) -> None:
    """Say nothing (-1, -0.5) until the light of "go"; then 1 and the place."""
    draft.add("stimulus", draft["place"], "stimulus")
    draft.add("go", 1.0, "decision")
    for name, before, after in (("go", -1.0, 1.0), ("place", -0.5, draft["place"])):
        draft.aim(name, before, "stimulus", "delay")
        draft.aim(name, after, "decision")


def _steady(outputs: Tensor, trials: Trials) -> Tensor:
    """Return whether at least 80 % of the steps in which to move were right, (trial,)."""
    inside = trials.within(*_moves(trials))
    right = (outputs.argmax(-1) == trials.choice) & inside
    return right.sum(0) >= 0.8 * inside.sum(0)


def _wanted(gap: Tensor, reach: float) -> Tensor:
    """Return the action that brings a hand nearer over a signed gap, rad; 0 within a step."""
    gap = torch.remainder(gap + torch.pi, 2 * torch.pi) - torch.pi
    return torch.where(gap.abs() < reach / 2, 0, torch.where(gap > 0, 1, 2))


def _straight(draft: Draft, goal: Tensor, *epochs: str) -> Tensor:
    """Return the angle (time, trial) of a hand that goes straight from pi to its goals (rad).

    `goal` has shape (time, trial); the hand moves in these epochs only.
    """
    reach = STEP * draft.dt / 100
    at, moving = torch.full((draft.n,), torch.pi, device=draft.device), draft.during(*epochs)
    path = torch.empty_like(goal)
    for step in range(len(goal)):  # a hand's way is sequential; the trials go side by side
        path[step] = at
        wanted = _wanted(goal[step] - at, reach)
        at = at + torch.where(moving[step] & (wanted > 0), 3.0 - 2.0 * wanted, 0.0) * reach
    return path


def _hand(draft: Draft, goal: Tensor, *epochs: str) -> None:
    path = _straight(draft, goal, *epochs)
    draft.add("self", torch.cos(path[..., None] - angles(16, draft.device)) * draft["self"])
    draft.answer(_wanted(goal - path, STEP * draft.dt / 100), *epochs)


def follow_hand(trials: Trials, memory: State, step: int, action: Tensor, place: int) -> None:
    """Move hands, and rewrite in place what is seen and right in the step after.

    Parameters
    ----------
    trials
        In which a hand was thought to go straight.
    memory
        Empty at first; then where the hands are, "at" (trial,), and were thought to go, "path".
    step, action
        What was done (trial,) in a step.
    place
        The first of the 16 inputs that show the hand.
    """
    reach = STEP * trials.dt / 100
    if not memory:
        turns = torch.where(trials.choice > 0, 3.0 - 2.0 * trials.choice, 0.0) * reach
        memory["path"] = torch.pi + torch.cat([torch.zeros_like(turns[:1]), turns.cumsum(0)[:-1]])
        memory["at"] = memory["path"][0]
        memory["goal"] = _goals(trials)
    memory["at"] = memory["at"] + torch.where(action > 0, 3.0 - 2.0 * action, 0.0) * reach
    if (later := step + 1) >= len(trials.inputs):
        return
    at, places = memory["at"][:, None], angles(16, trials.inputs.device)
    seen = torch.cos(at - places) - torch.cos(memory["path"][later][:, None] - places)
    trials.inputs[later, :, place : place + 16] += seen
    moving = trials.within(*_moves(trials))[later]
    wanted = _wanted(memory["goal"][later] - memory["at"], reach)
    trials.choice[later] = torch.where(moving, wanted, trials.choice[later])


def _moves(trials: Trials) -> list[str]:
    return [name for name in trials.epochs if name.startswith(("decision", "go"))]


def _goals(trials: Trials) -> Tensor:
    """Return the goal (time, trial) of each step, rad; "go 2" asks for condition "goal 2"."""
    goal = torch.zeros(trials.choice.shape, device=trials.inputs.device)
    for name in _moves(trials):
        wanted = trials.conditions["goal" + name.removeprefix("go").removeprefix("decision")]
        goal = torch.where(trials.within(name), wanted, goal)
    return goal


ANYWHERE = ("uniform", 0.0, 2 * torch.pi)


@declare(
    "reaching-1d", "move a hand around a ring to a target, step by step",
    source="Georgopoulos et al. 1986", inputs=(*ring("target", 16), *ring("self", 16)),
    outputs=MOVES, actions=3, timing={"fixation": 500, "decision": 1000},
    conditions={"goal": ANYWHERE}, settings={"self": 1.0}, judge=_steady,
    follow=partial(follow_hand, place=16), tags=("neurogym", "motor", "ring"),
)  # fmt: skip
def reaching(draft: Draft) -> None:
    """Begin at angle pi; the target is shown while it is to be reached."""
    goal = draft["goal"].expand(len(draft.step), -1)
    shown = torch.cos(draft["goal"][:, None] - angles(16, draft.device))
    draft.add("target", shown, "decision")
    _hand(draft, goal, "decision")


@declare(
    "reaching-1d-self-distraction", "reach a faint target beside the strong image of oneself",
    source="NeuroGym (sensing of electric fish)", inputs=ring("self", 16),
    outputs=MOVES, actions=3, timing={"fixation": 500, "decision": 1000},
    conditions={"goal": ANYWHERE}, settings={"self": 1.0, "target": 0.3}, judge=_steady,
    follow=partial(follow_hand, place=0), tags=("neurogym", "motor", "ring", "distractors"),
)  # fmt: skip
def self_distraction(draft: Draft) -> None:
    """Show hand and target by the same receptors, the target at a strength of 0.3."""
    shown = torch.cos(draft["goal"][:, None] - angles(16, draft.device))
    draft.add("self", shown * draft["target"], "decision")
    _hand(draft, draft["goal"].expand(len(draft.step), -1), "decision")


@declare(
    "angle-reproduction", "two angles are shown; go to the first, then to the second",
    source="NeuroGym, contributed",
    inputs=(*ring("target", 16), *ring("self", 16), "go 1", "go 2"), outputs=MOVES, actions=3,
    timing={"fixation": 500, "first": 500, "delay 1": 500, "second": 500, "delay 2": 500,
            "go 1": 1000, "go 2": 1000},
    conditions={"goal 1": ANYWHERE, "goal 2": ANYWHERE}, settings={"self": 1.0},
    judge=_steady, follow=partial(follow_hand, place=16),
    tags=("neurogym", "contributed", "motor", "memory"),
)  # fmt: skip
def reproduction(draft: Draft) -> None:
    """Show both angles in turn; lights tell when to go to which."""
    goal = torch.zeros(len(draft.step), draft.n, device=draft.device)
    for number, epoch in ((1, "first"), (2, "second")):
        wanted = draft[f"goal {number}"]
        draft.add("target", torch.cos(wanted[:, None] - angles(16, draft.device)), epoch)
        draft.add(f"go {number}", 1.0, f"go {number}")
        goal = torch.where(draft.during(f"go {number}"), wanted, goal)
    _hand(draft, goal, "go 1", "go 2")
