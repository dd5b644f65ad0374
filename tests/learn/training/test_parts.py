"""A fit in parts: what each gets, and one history of them all."""

from pathlib import Path

from neuroloom.learn.training.fit import FitJob, History
from neuroloom.learn.training.parts import joined, named, part_of


def history(steps: int, stopped: str) -> History:
    """Return the history of one epoch."""
    return History([{"epoch": 1, "step": steps}], stopped, turns={"": [(steps, 1.5)]})


def test_a_part_has_a_share_and_files_of_its_own(tmp_path: Path) -> None:
    job = FitJob(seed=3, steps=1, seconds=8.0, checkpoint=tmp_path / "fold-0.safetensors")
    own = part_of(job, "coarse", 0.25)
    assert (own.seed, own.steps, own.seconds) == (3, 1, 2.0)
    assert own.checkpoint == tmp_path / "coarse-fold-0.safetensors"
    assert part_of(FitJob(), "coarse", 0.25).steps is None


def test_steps_of_a_later_part_are_counted_on() -> None:
    early, late = named(history(7, "all steps"), "coarse"), named(history(5, "time"), "fine")
    whole = joined(early, late)
    assert [(one["epoch"], one["step"]) for one in whole.epochs] == [(1, 7), (2, 12)]
    assert whole.stopped == "coarse: all steps; fine: time"
    assert whole.turns == {"coarse": [(7, 1.5)], "fine": [(5, 1.5)]}


def test_a_part_that_was_resumed_has_the_turns_it_noted() -> None:
    job = FitJob(turns={"coarse": [(3, 2.0)], "fine": [(1, 1.0)]})
    assert part_of(job, "fine", 0.5).turns == {"": [(1, 1.0)]}
    assert part_of(job, "other", 0.5).turns == {}
