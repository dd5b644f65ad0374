"""Decisions from evidence, value and odds: NeuroGym's tasks of this kind, from their papers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neuroloom.cognition.answers import angles, ring
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.task import State, Trials
from neuroloom.cognition.timing import choice, exponential, uniform

Outcome = tuple[Tensor, State]
TWO = ("fixation", "stimulus 0", "stimulus 1")
PICK = ("fixate", "choice 1", "choice 2")
COHERENCES = [0, 6.4, 12.8, 25.6, 51.2]


def evidence(draft: Draft, channel: str, side: Tensor, coherence: Tensor, *epochs: str) -> None:
    """Show a noisy cosine bump around a place of a ring; 0.5 is no evidence, coherence in %."""
    size = sum(name.startswith(f"{channel} ") for name in draft.task.inputs)
    around = angles(size, draft.device)
    hill = torch.cos(around[side][:, None] - around) * (coherence[:, None] / 200) + 0.5
    draft.add(channel, hill, *epochs)
    draft.noise(channel, draft["noise"], *epochs)


def _weigh(draft: Draft) -> None:
    before = [name for name in draft.task.timing if name != "decision"]
    draft.add("fixation", 1.0, *before)
    evidence(draft, "stimulus", draft["side"], draft["coherence"], "stimulus")
    draft.answer(1 + draft["side"], "decision")


DOTS = {"side": [0, 1], "coherence": COHERENCES}

perceptual = declare(
    "perceptual-decision-making", "which of two noisy inputs is the stronger?",
    source="Britten et al. 1992", inputs=TWO, outputs=PICK, actions=3,
    timing={"fixation": 100, "stimulus": 2000, "delay": 0, "decision": 100}, conditions=DOTS,
    settings={"noise": 1.0}, tags=("neurogym", "evidence"),
)(_weigh)  # fmt: skip

delay_response = declare(
    "perceptual-decision-making-delay-response", "weigh, wait, then answer",
    source="Inagaki et al. 2019", inputs=TWO, outputs=PICK, actions=3,
    timing={
        "fixation": 0, "stimulus": 1150,
        "delay": choice(300, 500, 700, 900, 1200, 2000, 3200, 4000), "decision": 1500,
    },
    conditions=DOTS, settings={"noise": 1.0}, tags=("neurogym", "evidence", "memory"),
)(_weigh)  # fmt: skip


@declare(
    "roitman02", "moving dots: answer as soon as you know", source="Roitman and Shadlen 2002",
    inputs=TWO, outputs=PICK, actions=3, timing={"fixation": 100, "decision": 2000},
    conditions={"side": [0, 1], "coherence": [0, 3.2, 6.4, 12.8, 25.6, 51.2]},
    settings={"noise": 1.0}, tags=("neurogym", "evidence", "reaction time"),
)  # fmt: skip
def roitman02(draft: Draft) -> None:
    """Let the answer count from the first frame of motion on."""
    draft.add("fixation", 1.0)
    evidence(draft, "stimulus", draft["side"], draft["coherence"], "decision")
    draft.answer(1 + draft["side"], "decision")


CONTEXT_INPUTS = ("fixation", *ring("modality 1", 2), *ring("modality 2", 2), *ring("context", 2))


@declare(
    "context-decision-making", "weigh the one modality that the context names",
    source="Mante et al. 2013", inputs=CONTEXT_INPUTS, outputs=PICK, actions=3,
    timing={
        "fixation": 300, "stimulus": 750, "delay": exponential(600, 300, 3000), "decision": 100,
    },
    conditions={
        "context": [0, 1], "side 1": [0, 1], "side 2": [0, 1], "coherence 1": [5, 15, 50],
        "coherence 2": [5, 15, 50],
    },
    settings={"noise": 1.0}, cues=("fixation", "context"), tags=("neurogym", "evidence", "context"),
)  # fmt: skip
def context(draft: Draft) -> None:
    """Show both modalities; the rule is on throughout."""
    rule = draft["context"]
    draft.add("fixation", 1.0, "fixation", "stimulus", "delay")
    draft.add("context", torch.stack([rule == 0, rule == 1], 1).float())
    for number in (1, 2):
        side, coherence = draft[f"side {number}"], draft[f"coherence {number}"]
        evidence(draft, f"modality {number}", side, coherence, "stimulus")
    side = draft.note("side", torch.where(rule == 0, draft["side 1"], draft["side 2"]))
    draft.answer(1 + side, "decision")


@declare(
    "multisensory-integration", "add up what two senses say", source="Raposo et al. 2014",
    inputs=("fixation", *ring("modality 1", 2), *ring("modality 2", 2)), outputs=PICK, actions=3,
    timing={"fixation": 300, "stimulus": 750, "decision": 100},
    conditions={"side": [0, 1], "coherence": [5, 15, 50], "share": ("uniform", 0, 1)},
    settings={"noise": 1.0}, tags=("neurogym", "evidence", "multisensory"),
)  # fmt: skip
def multisensory(draft: Draft) -> None:
    """Split the evidence between the senses at random."""
    draft.add("fixation", 1.0, "fixation", "stimulus")
    for name, share in (("modality 1", draft["share"]), ("modality 2", 1 - draft["share"])):
        evidence(draft, name, draft["side"], draft["coherence"] * share, "stimulus")
    draft.answer(1 + draft["side"], "decision")


@declare(
    "pulse-decision-making", "on which side were there more pulses?", source="Brunton et al. 2013",
    inputs=TWO, outputs=PICK, actions=3,
    timing={"fixation": 500, "stimulus": 1560, "delay": uniform(100, 400), "decision": 500},
    conditions={"side": [0, 1]},
    settings={"noise": 0.1, "pulses": 6.0, "often": 0.7, "seldom": 0.3, "long": 60.0},
    tags=("neurogym", "evidence"),
)  # fmt: skip
def pulses(draft: Draft) -> None:
    """Give each side a pulse or none in each of six bins; the true count decides, never a tie."""
    bins, n = int(draft["pulses"]), draft.n
    likely = torch.stack([draft["side"] == 0, draft["side"] == 1], 1)
    share = torch.where(likely, draft["often"], draft["seldom"])
    there = draft.random(bins, n, 2) < share
    count = there.sum(0)
    there[-1, :, 0] ^= count[:, 0] == count[:, 1]  # one more or one less: no tie is left
    count = there.sum(0)
    for number in (0, 1):
        draft.note(f"pulses {number + 1}", count[:, number])
    into = draft.since("stimulus")
    number = (into * bins / 1560).floor().clamp(0, bins - 1).long()
    on = (into - number * 1560 / bins) < max(draft["long"], draft.dt)
    shown = there.gather(0, number[..., None].expand(-1, n, 2)) & on[..., None]
    draft.add("fixation", 1.0, "fixation", "stimulus", "delay")
    draft.add("stimulus", shown.float(), "stimulus")
    draft.noise("stimulus", draft["noise"], "stimulus")
    draft.answer(torch.where(count[:, 0] > count[:, 1], 1, 2), "decision")


def _pay_wager(state: State, trials: Trials, action: Tensor, _: torch.Generator) -> Outcome:
    """Pay 0.7 for a sure target that was offered, 1 for the right side."""
    sure = (action == 3) & (trials.conditions["offered"] == 1)
    return torch.where(sure, SURE, (action == 1 + trials.conditions["side"]).float()), state


SURE = 0.7  # what the sure target pays


@declare(
    "post-decision-wager", "weigh; in half of the trials a small sure reward is offered instead",
    source="Kiani and Shadlen 2009", inputs=(*TWO, "sure"), outputs=(*PICK, "sure"), actions=4,
    timing={
        "fixation": 100, "stimulus": exponential(180, 100, 900), "before": uniform(500, 750),
        "delay": exponential(600, 500, 1000), "decision": 100,
    },
    conditions={
        "side": [0, 1], "coherence": [0, 3.2, 6.4, 12.8, 25.6, 51.2], "offered": [0, 1],
    },
    settings={"noise": 1.0}, after=_pay_wager, tags=("neurogym", "evidence", "confidence"),
)  # fmt: skip
def wager(draft: Draft) -> None:
    """Take the sure target where a perfect observer's chance to be right lies below its worth."""
    draft.add("fixation", 1.0, "fixation", "stimulus", "before", "delay")
    evidence(draft, "stimulus", draft["side"], draft["coherence"], "stimulus")
    draft.add("sure", draft["offered"].float(), "delay", "decision")
    seen = (draft.inputs[..., 1] - draft.inputs[..., 2]) * draft.during("stimulus")
    right = draft.note("chance", _chance_of(seen.sum(0), draft))
    sure = (draft["offered"] == 1) & (right < SURE)
    draft.answer(torch.where(sure, 3, 1 + draft["side"]), "decision")


def _chance_of(total: Tensor, draft: Draft) -> Tensor:
    """Return the probability that the likelier side is right, given all that was seen (trial,)."""
    start, stop = draft.clock.epochs["stimulus"]
    levels = torch.tensor([0, 3.2, 6.4, 12.8, 25.6, 51.2], device=draft.device) / 100
    mean = levels * (stop - start)[:, None]
    spread = (2 * draft["noise"] ** 2 / draft.dt * (stop - start)).sqrt()[:, None]
    odds = [torch.exp(-(((total[:, None] - sign * mean) / spread) ** 2) / 2).sum(1)
            for sign in (1, -1)]  # fmt: skip
    return torch.maximum(*odds) / (odds[0] + odds[1]).clamp_min(1e-30)


OFFERS = [(0, 1), (1, 3), (1, 2), (1, 1), (2, 1), (3, 1), (4, 1), (6, 1), (2, 0)]  # drops of B, A
WORTH = 2.2  # drops of B that a drop of A is worth


def _pay_juice(state: State, trials: Trials, action: Tensor, _: torch.Generator) -> Outcome:
    """Pay the worth of what was chosen, as a share of the better offer's."""
    worth_a, worth_b = WORTH * trials.conditions["drops of A"], trials.conditions["drops of B"]
    took_a = (action == 2) == (trials.conditions["A is right"] == 1)
    paid = torch.where(took_a, worth_a, worth_b) / torch.maximum(worth_a, worth_b)
    return paid * (action > 0), state


@declare(
    "economic-decision-making", "choose between amounts of two juices",
    source="Padoa-Schioppa and Assad 2006",
    inputs=("fixation", "A left", "B left", "A right", "B right", "left amount", "right amount"),
    outputs=("fixate", "left", "right"), actions=3,
    timing={"fixation": 1500, "offer": uniform(1000, 2000), "decision": 750},
    conditions={"offer pair": list(range(len(OFFERS))), "A is right": [0, 1]},
    after=_pay_juice, tags=("neurogym", "value"),
)  # fmt: skip
def economic(draft: Draft) -> None:
    """Count a drop of A as 2.2 of B; the offer stays until the answer is due."""
    pair = torch.tensor(OFFERS, device=draft.device, dtype=torch.float32)[draft["offer pair"]]
    turned = draft["A is right"] == 1
    drops_b, drops_a = draft.note("drops of B", pair[:, 0]), draft.note("drops of A", pair[:, 1])
    draft.add("fixation", 1.0, "fixation", "offer")
    for name, side in (("left", turned), ("right", ~turned)):
        draft.add(f"A {name}", (~side).float(), "offer")
        draft.add(f"B {name}", side.float(), "offer")
        draft.add(f"{name} amount", torch.where(side, drops_b, drops_a) / 5, "offer")
    better_a = drops_a * WORTH > drops_b
    draft.answer(torch.where(better_a ^ turned, 1, 2), "decision")


SHAPES = [-9.0, -0.9, -0.7, -0.5, -0.3, 0.3, 0.5, 0.7, 0.9, 9.0]  # log10 odds for choice 1
LOOKS = ("look 1", "look 2", "look 3", "look 4")


@declare(
    "probabilistic-reasoning", "four shapes, each with its odds: which target pays?",
    source="Yang and Shadlen 2007",
    inputs=("fixation", *(name for at in range(4) for name in ring(f"place {at + 1}", 10))),
    outputs=PICK, actions=3,
    timing={"fixation": 500, **dict.fromkeys(LOOKS, 500), "delay": uniform(450, 550),
            "decision": 500},
    tags=("neurogym", "evidence", "odds"),
)  # fmt: skip
def odds(draft: Draft) -> None:
    """Add shapes at places in random order; the side with the better odds is right."""
    shape = (draft.random(4, draft.n) * 10).long()
    order = draft.random(4, draft.n).argsort(0)
    weight = torch.tensor(SHAPES, device=draft.device)
    total = weight[shape].sum(0)
    total = total + torch.where(total.abs() < 1e-6, 0.2 * (draft.random(draft.n) - 0.5), 0.0)
    draft.note("log odds", total)
    draft.add("fixation", 1.0, "fixation", *LOOKS, "delay")
    kinds = torch.eye(10, device=draft.device)
    for number in range(4):
        for place in range(4):
            here = (order[number] == place).float()[:, None]
            draft.add(f"place {place + 1}", kinds[shape[number]] * here, *_from(number))
    draft.answer(torch.where(total > 0, 1, 2), "decision")


def _from(number: int) -> Sequence[str]:
    return LOOKS[number:]


DIRECTIONS, SIZES = 4, 8


@declare(
    "spatial-suppression-motion", "in which direction does a grating of some size move?",
    source="Tadin et al. 2003",
    inputs=("fixation", *ring("size and direction", DIRECTIONS * SIZES)),
    outputs=("fixate", "right", "up", "left", "down"), actions=5,
    timing={"fixation": 300, "stimulus": uniform(40, 300), "decision": 500},
    conditions={"direction": [0, 1, 2, 3], "size": list(range(1, 9)), "contrast": [0.1, 0.5, 1.0]},
    settings={"noise": 1.0, "suppression": 0.1}, tags=("neurogym", "evidence", "vision"),
)  # fmt: skip
def suppression(draft: Draft) -> None:
    """Drive pools up to the size of the grating; at high contrast large ones inhibit each other."""
    size, contrast = draft["size"], draft["contrast"]
    pools = torch.arange(1, SIZES + 1, device=draft.device)
    drive = (pools <= size[:, None]).float() * contrast[:, None]
    beyond = (size[:, None] - pools).clamp_min(0) * (contrast[:, None] > 0.3)
    drive = drive / (1 + draft["suppression"] * beyond) ** 2
    tuned = torch.cos(angles(4, draft.device)[draft["direction"]][:, None]
                      - angles(4, draft.device))  # fmt: skip
    grid = (0.5 + 0.25 * tuned)[:, :, None] * drive[:, None, :]
    draft.add("fixation", 1.0, "fixation", "stimulus")
    draft.add("size and direction", grid.flatten(1), "stimulus")
    draft.noise("size and direction", draft["noise"], "stimulus")
    draft.answer(1 + draft["direction"], "decision")
