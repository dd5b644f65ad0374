"""The twenty tasks that one network learns in Yang et al. 2019, on rings of 16 places.

Two modalities show places on a ring; a fixation light says when to answer. Action 0 is to fixate,
action k to answer at place k - 1. Epochs are those of the paper, the longest of them shorter. Which
task it is tells a rule input: `cognition.learning.mixture.Mixture` adds one a task.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from neuroloom.cognition.answers import angles, apart, ring, toward
from neuroloom.cognition.declare import Declared, Draft, declare
from neuroloom.cognition.timing import choice, uniform

SIZE = 16
SEEN = ("modality 1", "modality 2")
INPUTS = ("fixation", *ring(SEEN[0], SIZE), *ring(SEEN[1], SIZE))
OUTPUTS = ("fixate", *ring("place", SIZE))
START, DELAY, DECISION = uniform(200, 600), choice(200, 400, 800), 500
CONTRASTS = [-0.32, -0.16, -0.08, 0.08, 0.16, 0.32]
NEVER_ALIKE = {"where": list(range(SIZE)), "turn": list(range(4, 13))}  # 90 to 270 degrees


def _twenty(name: str, summary: str, timing: dict[str, Any], conditions: dict[str, Any],
            write: Callable[[Draft], None]) -> Declared:  # fmt: skip
    return declare(
        f"yang19-{name}", summary, source="Yang et al. 2019", inputs=INPUTS, outputs=OUTPUTS,
        actions=1 + SIZE, timing=timing, conditions=conditions, settings={"noise": 0.1414},
        judge=toward(torch.pi / 5, SIZE), tags=("yang19", "ring"),
    )(write)  # fmt: skip


def _show(draft: Draft, place: Tensor, strength: Tensor | float, which: Tensor | int,
          *epochs: str) -> None:  # fmt: skip
    """Add a bump with a width of pi / 8 to one of the modalities."""
    distance = apart(angles(SIZE, draft.device)[place][:, None], angles(SIZE, draft.device))
    hill = 0.8 * torch.exp(-((distance / (torch.pi / 8)) ** 2) / 2)
    for number, name in enumerate(SEEN):
        on = torch.as_tensor(which == number, device=draft.device).float().reshape(-1, 1)
        level = strength[:, None] if isinstance(strength, Tensor) else strength
        draft.add(name, hill * on * level, *epochs)


def _close(draft: Draft, place: Tensor, *before: str) -> None:
    """Hold the fixation light before the decision, add noise, ask for a bump at the answer.

    A place of -1 means that fixation must be kept.
    """
    draft.add("fixation", 1.0, *before)
    for name in ("fixation", *SEEN):
        draft.noise(name, draft["noise"])
    go = (place >= 0).float()
    distance = apart(angles(SIZE, draft.device)[place.clamp_min(0)][:, None],
                     angles(SIZE, draft.device))  # fmt: skip
    hill = 0.05 + 0.8 * torch.exp(-((distance / (torch.pi / 8)) ** 2) / 2) * go[:, None]
    draft.aim("fixate", 0.85, *before)
    draft.aim("place", 0.05, *before)
    draft.aim("fixate", 0.85 - 0.8 * go, "decision", weight=5.0)
    draft.aim("place", hill, "decision", weight=5.0)
    draft.answer(1 + place, "decision")


def _go(draft: Draft, shown: tuple[str, ...], before: tuple[str, ...], turned: int) -> None:
    place = draft["where"]
    _show(draft, place, 1.0, draft["modality"], *shown)
    _close(draft, (place + turned) % SIZE, *before)


PLACE = {"where": list(range(SIZE)), "modality": [0, 1]}
AT_ONCE = {"wait": START, "stimulus": uniform(400, 1000), "decision": DECISION}
REACT = {"wait": uniform(400, 1600), "decision": DECISION}
LATER = {"wait": START, "stimulus": 300, "delay": DELAY, "decision": DECISION}
_at_once = (("stimulus", "decision"), ("wait", "stimulus"))
_react = (("decision",), ("wait",))
_later = (("stimulus",), ("wait", "stimulus", "delay"))

go = _twenty("go", "answer where it is shown, when the light goes out", AT_ONCE, PLACE,
             partial(_go, shown=_at_once[0], before=_at_once[1], turned=0))  # fmt: skip
rtgo = _twenty("rtgo", "answer where it is shown, at once", REACT, PLACE,
               partial(_go, shown=_react[0], before=_react[1], turned=0))  # fmt: skip
dlygo = _twenty("dlygo", "answer where it was shown", LATER, PLACE,
                partial(_go, shown=_later[0], before=_later[1], turned=0))  # fmt: skip
anti = _twenty("anti", "answer opposite, when the light goes out", AT_ONCE, PLACE,
               partial(_go, shown=_at_once[0], before=_at_once[1], turned=SIZE // 2))  # fmt: skip
rtanti = _twenty("rtanti", "answer opposite, at once", REACT, PLACE,
                 partial(_go, shown=_react[0], before=_react[1], turned=SIZE // 2))  # fmt: skip
dlyanti = _twenty("dlyanti", "answer opposite to where it was shown", LATER, PLACE,
                  partial(_go, shown=_later[0], before=_later[1], turned=SIZE // 2))  # fmt: skip


def _compare(draft: Draft, judged: tuple[int, ...], shown: tuple[int, ...], twice: bool) -> None:
    """Show two places, in one or both modalities; the stronger in what is judged is right."""
    epochs = ("stimulus 1", "stimulus 2") if twice else ("stimulus", "stimulus")
    first = draft["where"]
    second = (first + draft["turn"]) % SIZE
    total = torch.zeros(draft.n, device=draft.device)
    for which in shown:
        middle = draft.note(f"level {which + 1}", 0.8 + 0.4 * draft.random(draft.n))
        contrast = draft[f"contrast {which + 1}"]
        _show(draft, first, middle + contrast, which, epochs[0])
        _show(draft, second, middle - contrast, which, epochs[1])
        total = total + contrast * (which in judged)
    draft.note("evidence", total)
    _close(draft, torch.where(total > 0, first, second), *tuple(draft.task.timing)[:-1])


ONCE = {"wait": START, "stimulus": choice(400, 800, 1200), "decision": DECISION}
TWICE = {"wait": START, "stimulus 1": 300, "delay 1": DELAY, "stimulus 2": 300,
         "delay 2": uniform(100, 300), "decision": DECISION}  # fmt: skip
ONE = NEVER_ALIKE | {"contrast 1": CONTRASTS}
OTHER = NEVER_ALIKE | {"contrast 2": CONTRASTS}
BOTH = ONE | OTHER
# The sum over modalities is what counts: equal and opposite contrasts would leave no answer.
SUMMED = ONE | {"contrast 2": [-0.24, -0.12, -0.04, 0.04, 0.12, 0.24]}

dm1 = _twenty("dm1", "the stronger of two, modality 1", ONCE, ONE,
              partial(_compare, judged=(0,), shown=(0,), twice=False))  # fmt: skip
dm2 = _twenty("dm2", "the stronger of two, modality 2", ONCE, OTHER,
              partial(_compare, judged=(1,), shown=(1,), twice=False))  # fmt: skip
ctxdm1 = _twenty("ctxdm1", "the stronger in modality 1, whatever modality 2 shows", ONCE, BOTH,
                 partial(_compare, judged=(0,), shown=(0, 1), twice=False))  # fmt: skip
ctxdm2 = _twenty("ctxdm2", "the stronger in modality 2, whatever modality 1 shows", ONCE, BOTH,
                 partial(_compare, judged=(1,), shown=(0, 1), twice=False))  # fmt: skip
multidm = _twenty("multidm", "the stronger in both modalities together", ONCE, SUMMED,
                  partial(_compare, judged=(0, 1), shown=(0, 1), twice=False))  # fmt: skip
dlydm1 = _twenty("dlydm1", "the stronger of two, one after the other, modality 1", TWICE, ONE,
                 partial(_compare, judged=(0,), shown=(0,), twice=True))  # fmt: skip
dlydm2 = _twenty("dlydm2", "the stronger of two, one after the other, modality 2", TWICE, OTHER,
                 partial(_compare, judged=(1,), shown=(1,), twice=True))  # fmt: skip
ctxdlydm1 = _twenty("ctxdlydm1", "one after the other, in modality 1 alone", TWICE, BOTH,
                    partial(_compare, judged=(0,), shown=(0, 1), twice=True))  # fmt: skip
ctxdlydm2 = _twenty("ctxdlydm2", "one after the other, in modality 2 alone", TWICE, BOTH,
                    partial(_compare, judged=(1,), shown=(0, 1), twice=True))  # fmt: skip
multidlydm = _twenty("multidlydm", "one after the other, both modalities together", TWICE, SUMMED,
                     partial(_compare, judged=(0, 1), shown=(0, 1), twice=True))  # fmt: skip


def _match(draft: Draft, category: bool, answer_match: bool) -> None:
    """Show a sample and, when the light goes out, a test: answer at it, or keep still."""
    sample, alike = draft["where"], draft["match"]
    if category:
        test = (draft["test"] + (SIZE // 2) * ((sample >= SIZE // 2) ^ (alike == 0)).long()) % SIZE
    else:
        test = (sample + draft["turn"] * (1 - alike)) % SIZE
    draft.note("test place", test)
    _show(draft, sample, 1.0, draft["modality"], "sample")
    _show(draft, test, 1.0, draft["modality"], "decision")
    due = (alike == 1) == answer_match
    _close(draft, torch.where(due, test, -1), "wait", "sample", "delay")


MATCH = {"wait": START, "sample": 300, "delay": DELAY, "decision": DECISION}
SAME = PLACE | {"match": [0, 1], "turn": list(range(4, 13))}
KIND = PLACE | {"match": [0, 1], "test": list(range(SIZE // 2))}

dms = _twenty("dms", "answer when the test is at the sample's place", MATCH, SAME,
              partial(_match, category=False, answer_match=True))  # fmt: skip
dnms = _twenty("dnms", "answer when the test is at another place", MATCH, SAME,
               partial(_match, category=False, answer_match=False))  # fmt: skip
dmc = _twenty("dmc", "answer when test and sample are in the same half", MATCH, KIND,
              partial(_match, category=True, answer_match=True))  # fmt: skip
dnmc = _twenty("dnmc", "answer when test and sample are in different halves", MATCH, KIND,
               partial(_match, category=True, answer_match=False))  # fmt: skip
