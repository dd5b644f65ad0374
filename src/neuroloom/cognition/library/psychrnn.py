"""The three tasks that come with PsychRNN (Ehrlich et al. 2021)."""

from __future__ import annotations

from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.timing import uniform, until

LOW = 0.2  # of a target that is not to be chosen


@declare(
    "perceptual-discrimination", "two noisy inputs: which is the stronger in the mean?",
    source="Britten et al. 1992", inputs=("left", "right"), outputs=("left", "right"), actions=3,
    timing={"fixation": uniform(0, 1000), "stimulus": uniform(250, 750), "decision": until(2000)},
    conditions={"direction": [0, 1], "coherence": [0.1, 0.3, 0.5, 0.7]},
    settings={"noise": 0.0447}, tags=("psychrnn", "supervised", "two-alternative"),
)  # fmt: skip
def perceptual_discrimination(draft: Draft) -> None:
    """Give the stronger side 1 + coherence, the other 1; noise is that of a step of 10 ms."""
    side = draft["direction"]
    for number, name in enumerate(("left", "right")):
        draft.add(name, 1 + draft["coherence"] * (side == number), "stimulus")
        draft.noise(name, draft["noise"] * (10 / draft.dt) ** 0.5)
        draft.aim(name, LOW + (1 - LOW) * (side == number).float(), "decision")
    draft.answer(1 + side, "decision")
