"""Keeping something in mind: comparison, matching, association; NeuroGym's tasks, from papers."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroloom.cognition.answers import each_answer, ring
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.task import Trials
from neuroloom.cognition.timing import choice, steps

MATCH = ("fixate", "match", "other")
NOISY = {"noise": 1.0}


@declare(
    "delay-comparison", "which of two amplitudes, a second apart, was the larger?",
    source="Barak, Tsodyks and Romo 2010", inputs=("fixation", "stimulus"),
    outputs=("fixate", "first", "second"), actions=3,
    timing={"fixation": 500, "first": 500, "delay": 1000, "second": 500, "decision": 100},
    conditions={"pair": [0, 1, 2, 3, 4], "side": [0, 1]}, settings=NOISY,
    tags=("neurogym", "memory"),
)  # fmt: skip
def comparison(draft: Draft) -> None:
    """Show pairs of 18/10 to 34/26 Hz as amplitudes from 0 to 1."""
    lower = 10 + 4 * draft["pair"]
    draft.add("fixation", 1.0, "fixation", "first", "delay", "second")
    for number, epoch in enumerate(("first", "second")):
        hertz = draft.note(f"{epoch} frequency", lower + 8 * (draft["side"] == number))
        draft.add("stimulus", (hertz - 10) / 24, epoch)
    draft.noise("stimulus", draft["noise"], "first", "second")
    draft.answer(1 + draft["side"], "decision")


@declare(
    "delay-match-sample", "is the test the same as the sample?", source="Miller et al. 1996",
    inputs=("fixation", *ring("stimulus", 2)), outputs=MATCH, actions=3,
    timing={"fixation": 300, "sample": 500, "delay": 1000, "test": 500, "decision": 900},
    conditions={"side": [0, 1], "match": [0, 1]}, settings=NOISY, tags=("neurogym", "memory"),
)  # fmt: skip
def match_sample(draft: Draft) -> None:
    """Show two of opposite directions, or twice the same one."""
    side = draft["side"]
    other = (side + 1 - draft["match"]) % 2
    draft.add("fixation", 1.0, "fixation", "sample", "delay", "test")
    draft.bell("stimulus", side * torch.pi, 1.0, "sample")
    draft.bell("stimulus", other * torch.pi, 1.0, "test")
    draft.noise("stimulus", draft["noise"], "sample", "test")
    draft.answer(2 - draft["match"], "decision")


@declare(
    "delay-match-category", "do sample and test belong to the same half of the circle?",
    source="Freedman and Assad 2006", inputs=("fixation", *ring("stimulus", 2)), outputs=MATCH,
    actions=3, timing={"fixation": 500, "sample": 650, "delay": 1000, "decision": 650},
    conditions={"category": [0, 1], "match": [0, 1], "within": ("uniform", 0.0, 1.0),
                "within test": ("uniform", 0.0, 1.0)},
    settings=NOISY, tags=("neurogym", "memory", "category"),
)  # fmt: skip
def match_category(draft: Draft) -> None:
    """Answer while the test is shown; the boundary lies at angles 0 and pi."""
    category = draft["category"]
    other = (category + 1 - draft["match"]) % 2
    draft.add("fixation", 1.0, "fixation", "sample", "delay")
    draft.bell("stimulus", (category + draft["within"]) * torch.pi, 1.0, "sample")
    draft.bell("stimulus", (other + draft["within test"]) * torch.pi, 1.0, "decision")
    draft.noise("stimulus", draft["noise"], "sample", "decision")
    draft.answer(2 - draft["match"], "decision")


TESTS = ("test 1", "test 2", "test 3")


@declare(
    "delay-match-sample-distractor", "press when the sample comes again, not at what lies between",
    source="Miller et al. 1996", inputs=("fixation", *ring("stimulus", 32)),
    outputs=("fixate", "press"), actions=2,
    timing={"fixation": 300, "sample": 500, "delay 1": 1000, "test 1": 500, "delay 2": 1000,
            "test 2": 500, "delay 3": 1000, "test 3": 500},
    conditions={"angle": ("uniform", 0, 2 * torch.pi), "match at": [1, 2, 3]},
    settings=NOISY, judge=each_answer(*TESTS), tags=("neurogym", "memory", "distractors"),
)  # fmt: skip
def distractors(draft: Draft) -> None:
    """Let up to two other directions, a quarter turn or more away, come before the match."""
    draft.add("fixation", 1.0)
    draft.bell("stimulus", draft["angle"], 1.0, "sample")
    for number, epoch in enumerate(TESTS, 1):
        due = draft["match at"] == number
        away = (0.5 + draft.random(draft.n)) * torch.pi
        draft.bell("stimulus", draft["angle"] + torch.where(due, 0.0, away), 1.0, epoch)
        draft.answer(due, epoch)
    draft.noise("stimulus", draft["noise"], "sample", *TESTS)


@declare(
    "delay-paired-association", "lick when two odours belong together", source="Zhang et al. 2019",
    inputs=("fixation", *ring("odour", 4)), outputs=("fixate", "lick"), actions=2,
    timing={"fixation": 0, "first": 1000, "between": 1000, "second": 1000, "delay": 1000,
            "decision": 500},
    conditions={"first odour": [0, 1], "second odour": [2, 3]}, settings=NOISY,
    tags=("neurogym", "memory", "go-nogo"),
)  # fmt: skip
def paired(draft: Draft) -> None:
    """Pair 0 with 2 and 1 with 3; for the rest, keep still."""
    odours = torch.eye(4, device=draft.device)
    draft.add("fixation", 1.0, "first", "between", "second", "delay")
    draft.add("odour", odours[draft["first odour"]], "first")
    draft.add("odour", odours[draft["second odour"]], "second")
    draft.noise("odour", draft["noise"], "first", "second")
    draft.answer(draft["second odour"] - draft["first odour"] == 2, "decision")


@declare(
    "dual-delay-match-sample", "two samples in mind; a cue tells which is tested, twice",
    source="Rose et al. 2016",
    inputs=("fixation", *ring("stimulus 1", 2), *ring("stimulus 2", 2), *ring("cue", 2)),
    outputs=MATCH, actions=3,
    timing={"fixation": choice(200, 400, 600), "sample": 500, "delay 1": 500, "cue 1": 500,
            "hold 1": 500, "test 1": 500, "delay 2": 500, "cue 2": 500, "hold 2": 500,
            "test 2": 500},
    conditions={"sample 1 side": [0, 1], "sample 2 side": [0, 1], "first cue": [0, 1],
                "second cue": [0, 1], "match 1": [0, 1], "match 2": [0, 1]},
    settings=NOISY, judge=each_answer("test 1", "test 2"), tags=("neurogym", "memory", "cue"),
)  # fmt: skip
def dual(draft: Draft) -> None:
    """Show both samples at once; each test is shown where the cued sample was."""
    samples = [draft["sample 1 side"], draft["sample 2 side"]]
    draft.add("fixation", 1.0)
    for number, side in enumerate(samples, 1):
        draft.bell(f"stimulus {number}", side * torch.pi, 1.0, "sample")
    for number, cue in enumerate((draft["first cue"], draft["second cue"]), 1):
        draft.add("cue", torch.stack([cue == 0, cue == 1], 1).float(), f"cue {number}")
        match = draft[f"match {number}"]
        for which in (0, 1):
            shown = (samples[which] + 1 - match) % 2
            on = (cue == which).float()
            draft.bell(f"stimulus {which + 1}", shown * torch.pi, on, f"test {number}")
        draft.answer(2 - match, f"test {number}")
    for name in ("stimulus 1", "stimulus 2"):
        draft.noise(name, draft["noise"], "sample", "test 1", "test 2")


ITEMS, STORED, ASKED = 10, 20, 2


def _recalled(outputs: Tensor, trials: Trials) -> Tensor:
    due = trials.targets[-ASKED:]
    return ((outputs[-ASKED:] * due) > 0).float().mean((0, 2)) > 0.9


@declare(
    "memory-recall", "store the marked patterns; complete them, in order, from a part",
    source="Hopfield 1982; NeuroGym", inputs=(*ring("item", ITEMS), "store"),
    outputs=ring("item", ITEMS), actions=0,
    timing={"store": steps(STORED), "recall": steps(ASKED)}, settings={"unknown": 0.6},
    judge=_recalled, tags=("neurogym", "memory", "recall"),
)  # fmt: skip
def recall(draft: Draft) -> None:
    """Mark two of twenty patterns of -1 and 1; at recall, 60 % of their items are missing."""
    n = draft.n
    patterns = (draft.random(STORED, n, ITEMS) < 0.5).float() * 2 - 1
    marked = draft.random(STORED, n).argsort(0)[:ASKED].sort(0).values
    asked = patterns.gather(0, marked[..., None].expand(-1, n, ITEMS))
    known = draft.random(ASKED, n, ITEMS) >= draft["unknown"]
    draft.add("item", torch.cat([patterns, asked * known]))
    signal = torch.zeros(STORED + ASKED, n, device=draft.device).scatter(0, marked, 1.0)
    draft.add("store", signal[..., None])
    draft.aim("item", torch.cat([torch.zeros_like(patterns), asked]), "recall")
