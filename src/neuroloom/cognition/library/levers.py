"""Operant conditioning: levers to press, ports to poke, and a snail that breathes."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroloom.cognition.answers import ring
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.library.chains import ONE_STEP, coin, pick
from neuroloom.cognition.library.decisions import Outcome
from neuroloom.cognition.task import State, Trials

PRESSES = 4


def _lever(n: int, generator: torch.Generator) -> State:
    return {"left": torch.zeros(n, dtype=torch.int64, device=generator.device)}


def _press(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    """Ask by a cue for four presses on end; they earn 10, a press without a cue costs 1."""
    left, pressed = state["left"], action == 1
    idle = left == 0
    cued = idle & ~pressed & coin(0.5, len(action), generator)
    after = torch.where(idle, torch.where(cued, PRESSES, 0), torch.where(pressed, left - 1, 0))
    earned = torch.where(~idle & pressed & (left == 1), 10.0, 0.0)
    return torch.where(idle & pressed, -1.0, earned), {"left": after}


@declare(
    "lever-press", "a cue starts a run of four presses", source="NeuroGym, contributed",
    inputs=("cue",), outputs=("rest", "press"), actions=2, timing=ONE_STEP, start=_lever,
    after=_press, tags=("neurogym", "contributed", "sequence", "carried"),
)  # fmt: skip
def lever(draft: Draft) -> None:
    """Light the cue before the first press only."""
    draft.add("cue", (draft["left"] == PRESSES).float())
    draft.answer((draft["left"] > 0).long(), "decision")


def _loaded(n: int, generator: torch.Generator) -> State:
    return {"left": torch.full((n,), PRESSES, device=generator.device)}


def _poke(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    poked, left = action == 2, state["left"]
    paid = poked & (left == 0)
    left = torch.where(action == 1, (left - 1).clamp_min(0), left)
    return paid.float(), {"left": torch.where(paid, PRESSES, left)}


@declare(
    "lever-press-poke", "four presses, then poke for the reward; nothing tells how many are left",
    source="NeuroGym, contributed", inputs=("box",), outputs=("rest", "press", "poke"), actions=3,
    timing=ONE_STEP, start=_loaded, after=_poke,
    tags=("neurogym", "contributed", "sequence", "carried"),
)  # fmt: skip
def lever_poke(draft: Draft) -> None:
    """Show a constant 1."""
    draft.add("box", 1.0)
    draft.answer(torch.where(draft["left"] > 0, 1, 2), "decision")


EFFORT = 0.1


def _thirsty(n: int, generator: torch.Generator) -> State:
    return _loaded(n, generator) | {"thirst": torch.ones(n, device=generator.device)}


def _drink(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    """Acting costs 0.1, a drink earns twice the thirst, which then takes eight steps to return."""
    paid, rest = _poke(state, trials, action, generator)
    worth = 2 * paid * state["thirst"].clamp(0, 1) - EFFORT * (action > 0)
    more = 0.8 + 0.4 * torch.rand(len(action), generator=generator, device=generator.device)
    return worth, rest | {"thirst": torch.where(paid > 0, -8.0, state["thirst"]) + more}


@declare(
    "lever-press-poke-rest", "as with poking, but work costs and thirst comes and goes",
    source="NeuroGym, contributed", inputs=("thirst",), outputs=("rest", "press", "poke"),
    actions=3, timing=ONE_STEP, start=_thirsty, after=_drink,
    tags=("neurogym", "contributed", "sequence", "carried"),
)  # fmt: skip
def lever_rest(draft: Draft) -> None:
    """Work so that the lever is ready when thirst is back; poke only then."""
    thirst, left = draft["thirst"].clamp(0, 1), draft["left"]
    draft.add("thirst", thirst)
    poke = torch.where(thirst >= 1, 2, 0)
    draft.answer(torch.where(left > 0, 1, poke), "decision")


DEPTHS, LOW_OXYGEN = 4, 5.0


def _snail(n: int, generator: torch.Generator) -> State:
    full = torch.full((n,), 10.0, device=generator.device)
    return {"oxygen": full, "depth": pick(DEPTHS, n, generator), "poked": pick(2, n, generator)}


def _breathe(state: State, trials: Trials, action: Tensor, generator: torch.Generator) -> Outcome:
    """Gain 1 through the skin, 5 by opening at the surface; lose a tenth, and 1 by moving."""
    depth, oxygen = state["depth"], state["oxygen"]
    opened = (action == 1) & (depth == 0)
    gain = torch.where(action == 0, 1.0, torch.where(opened, 5.0, -1.0))
    oxygen = (0.9 * oxygen + gain).clamp(0, 15)
    move = (action == 3).long() - (action == 2).long()
    poked = opened & (state["poked"] == 1)
    reward = torch.where(poked, -1.0, torch.where(oxygen > LOW_OXYGEN, 0.1, -0.1))
    return reward, {
        "oxygen": oxygen, "depth": (depth + move).clamp(0, DEPTHS - 1), "poked": state["poked"]
    }  # fmt: skip


@declare(
    "pneumostome-opening", "a snail breathes at the surface, unless that has been punished",
    source="Lukowiak et al. 1996", inputs=(*ring("depth", DEPTHS), "oxygen", "poked"),
    outputs=("skin", "open", "up", "down"), actions=4, timing=ONE_STEP, start=_snail,
    after=_breathe, tags=("neurogym", "contributed", "operant", "carried"),
)  # fmt: skip
def pneumostome(draft: Draft) -> None:
    """Rise and open when oxygen is low; where opening is punished, breathe through the skin."""
    depth, oxygen = draft["depth"], draft["oxygen"]
    draft.add("depth", torch.eye(DEPTHS, device=draft.device)[depth])
    draft.add("oxygen", oxygen / 10)
    draft.add("poked", draft["poked"].float())
    need = (oxygen < LOW_OXYGEN + 1) & (draft["poked"] == 0)
    draft.answer(torch.where(need, torch.where(depth == 0, 1, 2), 0), "decision")
