"""Tasks seen as pixels: NeuroGym's PsychoPy tasks, drawn here as arrays, without a screen."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroloom.cognition.answers import epoch_mean, ring
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.task import Trials

SIDE = 16
PIXELS = ring("pixel", SIDE * SIDE)
DOTS = 40


def _paint(x: Tensor, y: Tensor) -> Tensor:
    """Return pictures (..., pixel) with a 1 where a dot lies; x, y (..., dot) from 0 to 1."""
    cell = (y * SIDE).long().clamp(0, SIDE - 1) * SIDE + (x * SIDE).long().clamp(0, SIDE - 1)
    blank = torch.zeros(*x.shape[:-1], SIDE * SIDE, device=x.device)
    return blank.scatter_(-1, cell, 1.0)


def _grid(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return x and y of the pixels, (pixel,) each, from -1 to 1."""
    line = torch.linspace(-1, 1, SIDE, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x.flatten(), y.flatten()


@declare(
    "random-dot-motion", "dots on a screen: which way do they drift?", source="Britten et al. 1992",
    inputs=("fixation", *PIXELS), outputs=("fixate", "left", "right"), actions=3,
    timing={"fixation": 100, "stimulus": 1000, "decision": 200},
    conditions={"side": [0, 1], "coherence": [0, 6.4, 12.8, 25.6, 51.2, 100]},
    settings={"speed": 0.001}, tags=("neurogym", "psychopy", "evidence", "pixels"),
)  # fmt: skip
def dots(draft: Draft) -> None:
    """Move a share of the dots by `speed` screens a ms; the rest jump at every step."""
    moment, n = len(draft.step), draft.n
    start, jump = draft.random(2, 1, n, DOTS), draft.random(2, moment, n, DOTS)
    sign = (2.0 * draft["side"] - 1)[:, None]
    drift = draft["speed"] * draft.since("stimulus")[..., None] * sign
    signal = draft.random(1, n, DOTS) < draft["coherence"][:, None] / 100
    x = torch.where(signal, torch.remainder(start[0] + drift, 1.0), jump[0])
    y = torch.where(signal, start[1].expand_as(jump[1]), jump[1])
    draft.add("fixation", 1.0, "fixation", "stimulus")
    draft.add("pixel", _paint(x, y), "stimulus")
    draft.answer(1 + draft["side"], "decision")


@declare(
    "spatial-suppression-pixels", "a grating of some size drifts: which way?",
    source="Tadin et al. 2003", inputs=("fixation", *PIXELS), outputs=("fixate", "left", "right"),
    actions=3, timing={"fixation": 300, "stimulus": ("uniform", 50, 300), "decision": 500},
    conditions={"side": [0, 1], "size": ("uniform", 0.2, 1.5), "contrast": [0.05, 0.5, 1.0]},
    settings={"cycles": 2.0, "hertz": 4.0, "noise": 0.5},
    tags=("neurogym", "psychopy", "vision", "pixels"),
)  # fmt: skip
def grating(draft: Draft) -> None:
    """Drift a sine in a Gaussian window, whose width is the size."""
    x, y = _grid(draft.device)
    window = torch.exp(-(x**2 + y**2) / (2 * (draft["size"][:, None] / 2) ** 2))
    turn = draft["hertz"] * draft.since("stimulus") / 1000 * (2.0 * draft["side"] - 1)
    phase = 2 * torch.pi * (draft["cycles"] * x / 2 - turn[..., None])
    draft.add("fixation", 1.0, "fixation", "stimulus")
    draft.add("pixel", draft["contrast"][:, None] * window * torch.sin(phase), "stimulus")
    draft.noise("pixel", draft["noise"], "stimulus")
    draft.answer(1 + draft["side"], "decision")


CENTRES = ((0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5))


def _found(outputs: Tensor, trials: Trials) -> Tensor:
    """Return whether the mean place named lies nearer to the target than to any other, (trial,)."""
    centres = torch.tensor(CENTRES, device=outputs.device)
    said = epoch_mean(outputs, trials, "decision")
    return torch.cdist(said, centres).argmin(1) == trials.conditions["target"]


@declare(
    "visual-search", "find among four bars the one of the angle shown before",
    source="Treisman and Gelade 1980", inputs=PIXELS, outputs=("x", "y"), actions=0,
    timing={"fixation": 500, "sample": 1000, "delay": 500, "decision": 500},
    conditions={"angle": ("uniform", 0.0, torch.pi), "target": [0, 1, 2, 3]},
    settings={"noise": 0.2}, judge=_found, tags=("neurogym", "psychopy", "vision", "pixels"),
)  # fmt: skip
def search(draft: Draft) -> None:
    """Turn the three others away by 36 to 90 degrees, one way or the other."""
    x, y = _grid(draft.device)
    away = 0.2 * torch.pi + 0.3 * torch.pi * draft.random(draft.n, 4)
    away = torch.where(draft.random(draft.n, 4) < 0.5, away, -away)
    own = torch.arange(4, device=draft.device) == draft["target"][:, None]
    angle = draft["angle"][:, None] + torch.where(own, 0.0, away)
    centres = torch.tensor(CENTRES, device=draft.device)
    bars = sum(_bar(x - at[0], y - at[1], angle[:, k]) for k, at in enumerate(centres))
    draft.add("pixel", _bar(x, y, draft["angle"]), "sample")
    draft.add("pixel", torch.as_tensor(bars), "decision")
    draft.noise("pixel", draft["noise"], "sample", "decision")
    place = centres[draft["target"]]
    for number, name in enumerate(("x", "y")):
        draft.aim(name, 0.0, "fixation", "sample", "delay")
        draft.aim(name, place[:, number], "decision")


def _bar(x: Tensor, y: Tensor, angle: Tensor) -> Tensor:
    """Return a bar through the origin, (trial, pixel): length 0.8, soft edges."""
    cos, sin = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    along, across = x * cos + y * sin, y * cos - x * sin
    return torch.exp(-((across / 0.12) ** 2)) * (along.abs() < 0.4)
