"""Seeing that something is there, and holding back: detection, go and no-go, nothing at all."""

from __future__ import annotations

import torch

from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.timing import choice, exponential, uniform

NONE_AT_ALL = 0.5  # share of trials without a stimulus


@declare(
    "go-nogo", "answer one cue, hold back at the other", source="Zhang et al. 2019",
    inputs=("fixation", "nogo", "go"), outputs=("fixate", "go"), actions=2,
    timing={"fixation": 0, "stimulus": 500, "delay": 500, "decision": 500},
    conditions={"go": [0, 1]}, tags=("neurogym", "go-nogo"),
)  # fmt: skip
def go_nogo(draft: Draft) -> None:
    """Show the cue, wait, and let the light that says to wait go out."""
    draft.add("fixation", 1.0, "fixation", "stimulus", "delay")
    draft.add("go", draft["go"].float(), "stimulus")
    draft.add("nogo", 1.0 - draft["go"], "stimulus")
    draft.answer(draft["go"], "decision")


@declare(
    "detection", "press as soon as something comes out of the noise; sometimes nothing does",
    source="Dylla et al. 2013", inputs=("fixation", "stimulus"), outputs=("fixate", "press"),
    actions=2, timing={"fixation": exponential(600, 400, 2000), "decision": 1000},
    settings={"noise": 1.0}, catch=NONE_AT_ALL, tags=("neurogym", "detection", "reaction time"),
)  # fmt: skip
def detection(draft: Draft) -> None:
    """Half of the trials are noise alone, and there a press is wrong."""
    draft.add("fixation", 1.0)
    draft.add("stimulus", 1.0, "decision")
    draft.noise("stimulus", draft["noise"])
    draft.answer(1, "decision")


@declare(
    "tone-detection", "was there a tone in the noise, and was it early, middle or late?",
    source="Green and Swets 1966", inputs=("sound",),
    outputs=("fixate", "early", "middle", "late", "none"), actions=5,
    timing={"early": 500, "middle": 500, "late": 500, "decision": 200},
    conditions={"tone at": [0, 1, 2, 3]}, settings={"noise": 1.0, "level": 1.0},
    tags=("neurogym", "detection"),
)  # fmt: skip
def tone(draft: Draft) -> None:
    """Let a tone of 200 ms begin 150 ms into one of three stretches, or none (3)."""
    for number, epoch in enumerate(("early", "middle", "late")):
        into = draft.since(epoch)
        sounding = (into >= 150) & (into < 350) & (draft["tone at"] == number)
        draft.add("sound", draft["level"] * sounding.float()[..., None], epoch)
    draft.noise("sound", draft["noise"])
    draft.answer(1 + draft["tone at"], "decision")


@declare(
    "annubes", "was anything seen or heard?", source="NeuroGym; Gielen et al. 1983",
    inputs=("fixation", "start", "seen", "heard"), outputs=("fixate", "none", "some"), actions=3,
    timing={"fixation": 500, "stimulus": 1000, "decision": 500, "pause": choice(0, 200, 400)},
    conditions={"seen": [0, 1], "heard": [0, 1], "intensity": ("uniform", 0.7, 1.0)},
    settings={"noise": 0.1}, tags=("neurogym", "detection", "multisensory"),
)  # fmt: skip
def annubes(draft: Draft) -> None:
    """Show something to one sense, to both, or to none; a pause follows the answer."""
    some = (draft["seen"] + draft["heard"] > 0).long()
    draft.add("fixation", 1.0, "fixation", "stimulus")
    draft.add("start", 1.0, "stimulus")
    for name in ("seen", "heard"):
        draft.add(name, draft[name] * draft["intensity"], "stimulus")
        draft.noise(name, draft["noise"], "stimulus")
    draft.answer(1 + some, "decision")


@declare(
    "null", "nothing happens, and nothing is asked", source="NeuroGym", inputs=("nothing",),
    outputs=("fixate", "other"), actions=2, timing={"rest": uniform(100, 300)},
    tags=("neurogym",),
)  # fmt: skip
def null(draft: Draft) -> None:
    """Keep still throughout: the floor that any agent must stand on."""
    draft.answer(torch.zeros(draft.n, dtype=torch.int64, device=draft.device))
