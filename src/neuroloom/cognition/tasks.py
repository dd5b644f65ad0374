"""`cognition.tasks`: trials of cognitive tasks, how they look, and how hard they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import whole_path, write_json
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.cognition.reader import Drawn
    from neuroloom.cognition.task import Task
    from neuroloom.core.run import Run


@dataclass(frozen=True)
class Prepared:
    """The tasks, their trials (an entry a seed), and a table of answers where one was given."""

    tasks: dict[str, Task]
    drawn: dict[str, list[Drawn]]
    answers: pd.DataFrame | None
    findings: list[Finding]


class Tasks(Recipe):
    """Draw trials of cognitive tasks: arrays to train on, a picture of each, and how hard it is.

    A linear reader answers half of the trials after learning from the other half: what it solves
    needs no more than adding up. Its psychometric curve is drawn or, with `answers`, that of an
    animal, a person or a net; with reaction times also the chronometric one.

    Examples
    --------
    >>> Tasks(task=["go-nogo"], fix=["delay=uniform 200 900"]).trials
    1000
    """

    name: ClassVar[str] = "cognition.tasks"
    summary: ClassVar[str] = "draw trials of cognitive tasks, with psychometric curves"
    data_kind: ClassVar[str] = "Task"
    needs_data: ClassVar[bool] = False
    instead: ClassVar[str] = "Tasks are named by `task`."

    task: list[str] = setting(
        ["perceptual-discrimination"], "tasks; the page of this recipe lists them all", basic=True
    )
    trials: int = setting(1000, "how many of each task", ge=20, basic=True)
    dt: float = setting(20.0, "step of the trials", unit="ms", gt=0, basic=True)
    fix: list[str] = setting(
        [], "conditions, epochs, settings: 'coherence=0.3', 'delay=uniform 200 400'", basic=True
    )
    answers: str | None = setting(
        None, "a table of answers (CSV, Parquet) to draw curves of: right, a condition, rt",
        basic=True,
    )  # fmt: skip
    x: str | None = setting(None, "condition on the curves' axis; default: found", basic=True)
    kept: int = setting(100, "trials of each task that are written as arrays", ge=1)
    resamples: int = setting(200, "bootstrap samples for the curves' intervals", ge=0)
    seeds: int = setting(1, "how many sets of trials, each from a seed of its own", ge=1)
    seed: int = setting(0, "of the first set", ge=0)

    _paths_hold_anywhere = field_validator("answers")(whole_path)

    def prepare(self, data: Path) -> Prepared:
        """Draw the trials, which also checks names and timing; nothing is written."""
        from neuroloom.cognition.reader import draw_trials
        from neuroloom.cognition.story.curves import check_axis, read_answers_of
        from neuroloom.cognition.task import task

        if not self.task or len(set(self.task)) < len(self.task):
            raise ConfigError(f"task: give different tasks, at least one; got {self.task}.")
        tasks = {name: task(name) for name in self.task}
        fixed, seeds = parse_fixed(self.fix), range(self.seed, self.seed + self.seeds)
        drawn = {
            name: [draw_trials(one, self.trials, seed, self.dt, fixed, self.kept) for seed in seeds]
            for name, one in tasks.items()
        }
        answers = None
        if self.answers is not None:
            answers = read_answers_of(Path(self.answers), self.x)
        elif self.x is not None:
            check_axis(self.x, [one[0].table for one in drawn.values()])
        note = Finding("note", "Generated", "Trials are drawn from a seed; nothing was recorded.")
        return Prepared(tasks, drawn, answers, [note])

    def work(self, prepared: Prepared, run: Run) -> None:
        """Write what was drawn, and report."""
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        write_json(run.folder / "plan.json", {"reason": "no net is trained"})
        run.log("plan", reason="no net is trained")
        write_json(run.folder / "dataset.json", {"files": {}})
        self.illustrate(run, prepared)

    def illustrate(self, run: Run, prepared: Prepared) -> None:
        """Write arrays, tables, metrics, figures and the report."""
        from neuroloom.cognition.story.tasks import report_tasks

        report_tasks(self, run, prepared)


def parse_fixed(given: list[str]) -> dict[str, Any]:
    """Return what is held fixed: name -> law as written.

    Raises
    ------
    ConfigError
        If a part is no "name=value".

    Examples
    --------
    >>> parse_fixed(["coherence=0.1,0.3", "delay=uniform 200 400"])
    {'coherence': '0.1 0.3', 'delay': 'uniform 200 400'}
    """
    fixed = {}
    for part in given:
        name, equals, value = part.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise ConfigError(f"fix: '{part}' must be written as 'coherence=0.3' or "
                              "'delay=uniform 200 400'.")  # fmt: skip
        fixed[name.strip()] = value.replace(",", " ").strip()
    return fixed
