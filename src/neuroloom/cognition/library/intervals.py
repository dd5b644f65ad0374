"""Telling and producing time: NeuroGym's tasks of this kind, from their papers."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroloom.cognition.answers import in_time
from neuroloom.cognition.declare import Draft, declare
from neuroloom.cognition.timing import same, uniform

PRESS = ("fixate", "go")
MARGIN = 0.2  # of the interval, by which an answer may miss


@declare(
    "interval-discrimination", "which of two stimuli lasted longer?",
    source="Genovesio, Tsujimoto and Wise 2009", inputs=("fixation", "first", "second"),
    outputs=("fixate", "first", "second"), actions=3,
    timing={"fixation": 300, "first": same("duration 1"), "delay": uniform(800, 1500),
            "second": same("duration 2"), "wait": 500, "decision": 300},
    conditions={"duration 1": ("uniform", 300, 600), "duration 2": ("uniform", 300, 600)},
    tags=("neurogym", "timing", "memory"),
)  # fmt: skip
def discrimination(draft: Draft) -> None:
    """Judge by the steps that were shown; where they are as many, by the drawn durations."""
    draft.add("fixation", 1.0, "fixation", "first", "delay", "second", "wait")
    for name in ("first", "second"):
        draft.add(name, 1.0, name)
    spans = [stop - start for start, stop in (draft.clock.epochs[k] for k in ("first", "second"))]
    longer = torch.where(spans[0] == spans[1], draft["duration 1"] > draft["duration 2"],
                         spans[0] > spans[1])  # fmt: skip
    draft.answer(torch.where(longer, 1, 2), "decision")


def _due_after(draft: Draft, interval: Tensor) -> None:
    """Make a press right from the due time on, as long as it is not too late."""
    draft.note("due", interval)
    waited = draft.since("decision")
    due = (waited >= interval - draft.dt / 2) & (waited <= (1 + MARGIN) * interval)
    draft.answer(due, "decision")


@declare(
    "ready-set-go", "reproduce, times a gain, the interval between two flashes",
    source="Jazayeri and Shadlen 2010", inputs=("fixation", "ready", "set", "gain"),
    outputs=PRESS, actions=2,
    timing={"fixation": 100, "ready": 80, "measure": same("interval"), "set": 80,
            "decision": same("time to answer")},
    conditions={"interval": ("uniform", 800, 1500), "time to answer": 3000},
    settings={"gain": 1.0}, judge=in_time(MARGIN, "due"), tags=("neurogym", "timing"),
)  # fmt: skip
def ready_set_go(draft: Draft) -> None:
    """Time from the start of ready to that of set is to come again after set, times the gain."""
    draft.add("fixation", 1.0, "fixation", "ready", "measure", "set")
    draft.add("ready", 1.0, "ready")
    draft.add("set", 1.0, "set")
    draft.add("gain", draft["gain"])
    sample = (draft.clock.epochs["set"][0] - draft.clock.epochs["ready"][0]) * draft.dt
    _due_after(draft, draft["gain"] * sample)


@declare(
    "motor-timing", "wait for the short or the long interval that a cue names, then press",
    source="Wang et al. 2018", inputs=("fixation", "short", "long", "set"), outputs=PRESS,
    actions=2, timing={"fixation": 500, "cue": uniform(1000, 3000), "set": 50, "decision": 3000},
    conditions={"long": [0, 1]}, judge=in_time(MARGIN, "due"), tags=("neurogym", "timing"),
)  # fmt: skip
def motor_timing(draft: Draft) -> None:
    """Ask for 800 or 1500 ms."""
    draft.add("fixation", 1.0, "fixation", "cue", "set")
    draft.add("short", 1.0 - draft["long"], "cue", "set")
    draft.add("long", draft["long"].float(), "cue", "set")
    draft.add("set", 1.0, "set")
    _due_after(draft, torch.where(draft["long"] == 1, 1500.0, 800.0))


@declare(
    "one-two-three-go", "two equal intervals are shown; go where the next one ends",
    source="Egger et al. 2019", inputs=("fixation", "beat", "target"), outputs=PRESS, actions=2,
    timing={"fixation": uniform(400, 800), "target": uniform(500, 1000), "one": 100,
            "interval 1": same("interval"), "two": 100, "interval 2": same("interval"),
            "three": 100, "decision": 2000},
    conditions={"interval": ("uniform", 500, 900)}, judge=in_time(MARGIN, "due"),
    tags=("neurogym", "timing"),
)  # fmt: skip
def one_two_three(draft: Draft) -> None:
    """Beats last 100 ms; the interval goes from the end of one to the start of the next."""
    draft.add("fixation", 1.0)
    draft.add("beat", 1.0, "one", "two", "three")
    draft.add("target", 1.0, *list(draft.task.timing)[1:])
    _due_after(draft, draft["interval"].float())
