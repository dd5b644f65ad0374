"""The three tasks that come with PsychRNN (Ehrlich et al. 2021)."""

from __future__ import annotations

import torch

from neuroloom.cognition.answers import angles, apart, ring
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.timing import uniform, until

LOW = 0.2  # of a target that is not to be chosen


@declare(
    "perceptual-discrimination", "two noisy inputs: which is the stronger in the mean?",
    source="Britten et al. 1992", inputs=("left", "right"), outputs=("left", "right"), actions=3,
    timing={"fixation": uniform(0, 1000), "stimulus": uniform(250, 750), "decision": until(2000)},
    conditions={"direction": [0, 1], "coherence": [0.1, 0.3, 0.5, 0.7]},
    settings={"noise": 0.1414}, tags=("psychrnn", "evidence"),
)  # fmt: skip
def perceptual_discrimination(draft: Draft) -> None:
    """Give the stronger side 1 + coherence, the other 1."""
    side = draft["direction"]
    for number, name in enumerate(("left", "right")):
        draft.add(name, 1 + draft["coherence"] * (side == number), "stimulus")
        draft.noise(name, draft["noise"])
        draft.aim(name, LOW + (1 - LOW) * (side == number).float(), "decision")
    draft.answer(1 + side, "decision")


@declare(
    "delayed-discrimination", "two frequencies one after the other: which was the higher?",
    source="Romo et al. 1999", inputs=("rising", "falling"), outputs=("first", "second"),
    actions=3, timing={
        "fixation": uniform(100, 500), "first": 500, "delay": uniform(500, 1500), "second": 500,
        "decision": 500,
    },
    conditions={"pair": [0, 1, 2, 3, 4], "direction": [0, 1]}, settings={"noise": 0.1414},
    tags=("psychrnn", "memory"),
)  # fmt: skip
def delayed_discrimination(draft: Draft) -> None:
    """Show pairs of 18/10 to 34/26 Hz; one input grows with the frequency, the other falls."""
    lower, side = 10.0 + 4 * draft["pair"], draft["direction"]
    for number, epoch in enumerate(("first", "second")):
        hertz = lower + 8 * (side == number)
        draft.note(f"{epoch} frequency", hertz)
        draft.add("rising", 0.4 + 0.8 * (hertz - 10) / 24, epoch)
        draft.add("falling", 0.4 + 0.8 * (34 - hertz) / 24, epoch)
        draft.aim(epoch, LOW + (1 - LOW) * (side == number).float(), "decision")
    for name in ("rising", "falling"):
        draft.noise(name, draft["noise"])
    draft.answer(1 + side, "decision")


@declare(
    "match-to-category", "to which half of the circle does a direction belong?",
    source="Freedman and Assad 2006", inputs=ring("direction", 16), outputs=("near", "far"),
    actions=3, timing={"fixation": 200, "stimulus": 1000, "decision": 800},
    conditions={"angle": ("uniform", 0, 2 * torch.pi)}, settings={"noise": 0.0158},
    tags=("psychrnn", "category"),
)  # fmt: skip
def match_to_category(draft: Draft) -> None:
    """Show a normal bump of a width of 1 rad; the boundary runs through angle 0."""
    angle = draft["angle"]
    category = draft.note("category", (angle >= torch.pi).long())
    distance = apart(angle[:, None], angles(16, draft.device))
    draft.add("direction", torch.exp(-(distance**2) / 2) / (2 * torch.pi) ** 0.5, "stimulus")
    draft.noise("direction", draft["noise"])
    for number, name in enumerate(("near", "far")):
        draft.aim(name, (category == number).float(), "decision")
    draft.answer(1 + category, "decision")
