"""The eleven tasks of PyCog (Song, Yang and Wang 2016), trials as long as in training there.

Inputs rest at 0.2; targets are 0.2 for "not this" and 1 for "this". Their white noise is that of
PyCog: 0.01 at a time constant of 100 ms. The networks' structure is no part of a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neuroloom.cognition.answers import near, ring
from neuroloom.cognition.declare import Declared, Draft, declare
from neuroloom.cognition.timing import exponential, uniform

REST, HIGH = 0.2, 1.0
SETTINGS = {"noise": 0.1414, "baseline": 0.2, "scale": 3.2}
SPEEDS = [1, 2, 4, 8, 16]  # coherence of moving dots, per cent
MOTION = ("motion 0", "motion 1")


def _settle(draft: Draft, outputs: Sequence[str], side: Tensor) -> None:
    """Rest and noise of the inputs, low outputs while fixating, the right one high after."""
    for name in draft.task.inputs:
        draft.inputs[..., draft.task.places["inputs"][name]] += draft["baseline"]
        draft.noise(name, draft["noise"])
    for number, name in enumerate(outputs):
        draft.aim(name, REST, "fixation")
        draft.aim(name, REST + (HIGH - REST) * (side == number).float(), "decision")
    if draft.present is not None:  # nothing comes: rest, and nothing but rest, throughout
        caught = draft.present[:, None] == 0
        draft.targets = torch.where(caught & draft.alive[..., None], REST, draft.targets)
        draft.mask = torch.where(caught & draft.alive[..., None], 1.0, draft.mask)
    draft.answer(1 + side, "decision")


def _opposed(draft: Draft, channel: str, coherence: Tensor, side: Tensor, *epochs: str) -> None:
    """Add evidence for one of two sides: (1 + scale c) / 2 for it, (1 - scale c) / 2 against."""
    sign = torch.stack([1 - 2 * side, 2 * side - 1], 1)
    share = draft["scale"] * coherence[:, None] / 100
    draft.add(channel, (1 + sign * share) / 2, *epochs)


def _motion(draft: Draft) -> None:
    side = draft["direction"]
    _opposed(draft, "motion", draft["coherence"], side, "stimulus")
    _settle(draft, draft.task.outputs, side)


def _dots(name: str, summary: str, timing: dict[str, Any]) -> Declared:
    return declare(
        name, summary, source="Roitman and Shadlen 2002", inputs=MOTION,
        outputs=("in", "out"), actions=3, timing=timing,
        conditions={"coherence": SPEEDS, "direction": [0, 1]}, settings=SETTINGS, catch=1 / 11,
        rest=REST, tags=("pycog", "evidence"),
    )(_motion)  # fmt: skip


FIXED = {"fixation": 100, "stimulus": 800, "decision": 300}
rdm_fixed = _dots("pycog-rdm-fixed", "moving dots for a fixed time, sparse network", FIXED)
rdm_dense = _dots("pycog-rdm-dense", "moving dots for a fixed time, dense network", FIXED)
rdm_nodale = _dots("pycog-rdm-nodale", "moving dots for a fixed time, without Dale's law", FIXED)
rdm_varstim = _dots(
    "pycog-rdm-varstim", "moving dots for a time with a flat hazard",
    {"fixation": 100, "stimulus": exponential(330, 80, 1500), "decision": 300},
)  # fmt: skip


@declare(
    "pycog-rdm-rt", "moving dots until one answers: as fast as one dares",
    source="Roitman and Shadlen 2002", inputs=(*MOTION, "start"), outputs=("in", "out"),
    actions=3, timing={"fixation": 100, "early": 300, "decision": 700},
    conditions={"coherence": SPEEDS, "direction": [0, 1]}, settings=SETTINGS, catch=1 / 11,
    rest=REST, cues=(), tags=("pycog", "evidence", "reaction time"),
)  # fmt: skip
def rdm_rt(draft: Draft) -> None:
    """Let dots move on while the answer counts; too early it does not."""
    side = draft["direction"]
    _opposed(draft, "motion", draft["coherence"], side, "early", "decision")
    draft.add("start", 1.0, "early", "decision")
    _settle(draft, draft.task.outputs, side)


def _two_rules(draft: Draft) -> None:
    rule, sides = draft["context"], (draft["motion direction"], draft["colour direction"])
    for number, name in enumerate(("motion", "colour")):
        draft.add(f"attend {name}", (rule == number).float(), "stimulus")
        _opposed(draft, name, draft[f"{name} coherence"], sides[number], "stimulus")
    side = draft.note("direction", torch.where(rule == 0, *sides))
    _settle(draft, draft.task.outputs, side)


def _mante(name: str, summary: str) -> Declared:
    return declare(
        name, summary, source="Mante et al. 2013", actions=3, outputs=("left", "right"),
        inputs=("attend motion", "attend colour", *MOTION, *ring("colour", 2)),
        timing={"fixation": 100, "stimulus": 800, "decision": 300},
        conditions={
            "context": [0, 1], "motion coherence": [1, 3, 10], "colour coherence": [1, 3, 10],
            "motion direction": [0, 1], "colour direction": [0, 1],
        },
        settings=SETTINGS | {"scale": 5.0}, catch=1 / 73, rest=REST, cues=(),
        tags=("pycog", "evidence", "context"),
    )(_two_rules)  # fmt: skip


mante = _mante("pycog-mante", "motion or colour, as the context says")
mante_areas = _mante("pycog-mante-areas", "motion or colour, for a network of two areas")


@declare(
    "pycog-multisensory", "is a rate seen, heard, or both, above 12.5 events a second?",
    source="Raposo et al. 2014", inputs=("seen +", "heard +", "seen -", "heard -"),
    outputs=("high", "low"), actions=3, timing={"fixation": 100, "stimulus": 1000, "decision": 300},
    conditions={"modality": [0, 1, 2], "rate": list(range(6, 20))}, settings=SETTINGS,
    catch=1 / 43, rest=REST, tags=("pycog", "evidence", "multisensory"),
)  # fmt: skip
def multisensory(draft: Draft) -> None:
    """Give one input that grows with the rate and one that falls; modality 2 is both."""
    share, modality = (draft["rate"] - 6) / 13, draft["modality"]
    for number, name in enumerate(("seen", "heard")):
        there = ((modality == number) | (modality == 2)).float()
        draft.add(f"{name} +", there * (0.5 + 0.6 * share), "stimulus")
        draft.add(f"{name} -", there * (0.5 + 0.6 * (1 - share)), "stimulus")
    _settle(draft, draft.task.outputs, (draft["rate"] < 12.5).long())


@declare(
    "pycog-romo", "two vibrations three seconds apart: which was the faster?",
    source="Barak, Tsodyks and Romo 2010", inputs=("rising", "falling"),
    outputs=("first", "second"), actions=3, timing={
        "fixation": 100, "first": 500, "delay": 3000, "second": 500, "decision": 300,
    },
    conditions={"pair": [0, 1, 2, 3, 4], "direction": [0, 1]}, settings=SETTINGS, catch=1 / 11,
    rest=REST, tags=("pycog", "memory"),
)  # fmt: skip
def romo(draft: Draft) -> None:
    """Show pairs of 18/10 to 34/26 Hz."""
    lower, side = 10.0 + 4 * draft["pair"], draft["direction"]
    for number, epoch in enumerate(("first", "second")):
        hertz = lower + 8 * (side == number)
        draft.add("rising", 0.2 + 0.8 * (hertz - 10) / 24, epoch)
        draft.add("falling", 0.2 + 0.8 * (34 - hertz) / 24, epoch)
    _settle(draft, draft.task.outputs, side)


# Dots of a 3 x 3 grid, by rows from the top: the eye goes from the centre to the last.
PATHS = (
    (4, 5, 1, 0), (4, 3, 1, 2), (4, 3, 7, 8), (4, 5, 7, 6), (4, 5, 1, 2), (4, 3, 1, 0),
    (4, 3, 7, 6), (4, 5, 7, 8),
)  # fmt: skip
OPTIONS = {4: (3, 5), 3: (1, 7), 5: (1, 7), 1: (0, 2), 7: (6, 8)}
MOVES = ("move 1", "move 2", "move 3")


@declare(
    "pycog-lee", "move the eyes over three dots, in one of eight known sequences",
    source="Averbeck and Lee 2007", inputs=(*ring("dot", 9), *ring("sequence", 8)),
    outputs=("x", "y"), actions=0,
    timing={"rest": 1000, "fixation": 500, **dict.fromkeys(MOVES, 500)},
    conditions={"sequence": list(range(8))}, settings={"noise": 0.0},
    judge=near(0.1, "fixation", *MOVES), tags=("pycog", "motor", "sequence"),
)  # fmt: skip
def lee(draft: Draft) -> None:
    """Show the dot looked at and the two to choose from; outputs are where to look."""
    row = draft["sequence"]
    paths = torch.tensor(PATHS, device=draft.device)
    draft.add("sequence", torch.eye(8, device=draft.device)[row])
    seen = torch.eye(9, device=draft.device)
    for number, epoch in enumerate(("fixation", *MOVES)):
        at = paths[row, number]
        draft.aim("x", (at % 3 - 1) * 0.5, epoch)
        draft.aim("y", (1 - at // 3) * 0.5, epoch)
        shown = seen[4].expand(draft.n, 9) if number == 0 else _options(paths[row, number - 1])
        draft.add("dot", shown, epoch)


def _options(at: Tensor) -> Tensor:
    """Return which dots are shown (trial, 9) when the eye leaves a dot (trial,)."""
    table = torch.zeros(9, 9, device=at.device)
    for dot, two in OPTIONS.items():
        table[dot, [dot, *two]] = 1.0
    return table[at]


@declare(
    "pycog-sinewave", "oscillate without any input", source="Song, Yang and Wang 2016",
    inputs=("none",), outputs=("wave",), actions=0, timing={"wave": uniform(1600, 2400)},
    settings={"period": 800.0}, judge=near(0.15, "wave"), tags=("pycog", "motor"),
)  # fmt: skip
def sinewave(draft: Draft) -> None:
    """Ask for a sine of a period of 800 ms; the input is always 0."""
    wave = torch.sin(2 * torch.pi * draft.step * draft.dt / draft["period"])
    draft.aim("wave", wave[:, :, None].expand(-1, draft.n, 1), "wave")
