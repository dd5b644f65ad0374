"""`cognition.train`: a network that learns to play a task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.files import read_json, whole_path, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.core.run import Run
from neuroloom.learn.training.budget import (
    Plan,
    parse_budget,
    plan_time,
    readable_budget,
    seconds_to_train,
)

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.cognition.learning.session import Lesson, Taught

MOST_STEPS = 20_000  # where the budget is a time
SMALL = 128  # units


@dataclass(frozen=True)
class Prepared:
    """What is to be learnt, and what the audit noticed."""

    lesson: Lesson
    findings: list[Finding]


class Train(Recipe):
    """Train a recurrent network on a cognitive task, and look at how it solves it.

    A leaky rate network under biological constraints (Dale's law, sparse connections, no autapses,
    noise, plastic synapses), an LSTM or a GRU; by targets, right choices or rewards; in stages,
    until a stop rule is met or the budget is spent. It is judged on fresh trials.

    Examples
    --------
    >>> Train(task=["perceptual-discrimination"], dale=0.8).units
    64
    """

    name: ClassVar[str] = "cognition.train"
    summary: ClassVar[str] = "train a recurrent network on a cognitive task and look inside"
    data_kind: ClassVar[str] = "Task"
    needs_data: ClassVar[bool] = False
    instead: ClassVar[str] = "Tasks are named by `task`."

    task: list[str] = setting(
        ["perceptual-discrimination"], "tasks, learnt by one net; see `cognition.tasks`", basic=True
    )
    net: Literal["rate", "lstm", "gru"] = setting("rate", "kind of network", basic=True)
    units: int = setting(64, "recurrent units", ge=2, basic=True)
    dale: float | None = setting(
        None, "share of excitatory units under Dale's law; default: free signs", gt=0, lt=1,
        basic=True,
    )  # fmt: skip
    learn: Literal["targets", "choices", "policy-gradient", "actor-critic", "ppo"] = setting(
        "targets", "from targets, right choices, or rewards", basic=True
    )
    target: float = setting(
        0.97, "share of right trials at which training stops", gt=0, le=1, basic=True
    )
    budget: str = setting("3min", "wall time of the command or '3000 steps' a seed", basic=True)
    stages: list[str] = setting([], "conditions to begin with: 'coherence=0.7', 'whole'")
    threshold: float = setting(0.9, "accuracy at which a stage gives way to the next", gt=0, le=1)
    stop: Literal["mean", "worst"] = setting("mean", "what must reach the target: all, or worst")
    last: int = setting(3, "validations over which the target must be held", ge=1)
    per: list[str] = setting([], "conditions looked at jointly for the worst one")
    weights: str | None = setting(None, "start from PsychRNN's weights (.npz) or a run's model")
    density: float = setting(1.0, "share of the recurrent connections that exist", gt=0, le=1)
    areas: int = setting(1, "areas in a row: inputs reach the first, the last is read out", ge=1)
    autapses: bool = setting(False, "let units connect to themselves")
    rule: Literal["abs", "relu"] = setting(
        "abs", "how weights keep their sign: abs(w) or max(w, 0)"
    )
    rate: Literal["relu", "tanh", "sigmoid", "softplus"] = setting("relu", "current to rate")
    tau: float = setting(100.0, "time constant of the units", unit="ms", gt=0)
    dt: float = setting(20.0, "step of the trials", unit="ms", gt=0)
    noise: float = setting(0.05, "noise in the units' currents", ge=0)
    plasticity: bool = setting(False, "short-term plasticity of the recurrent synapses")
    fixed_start: bool = setting(False, "keep the state in which trials begin as it is")
    rate_cost: float = setting(0.0, "price of the mean squared firing rate", ge=0)
    weight_cost: float = setting(0.0, "price of the mean absolute recurrent weight", ge=0)
    lr: float = setting(3e-3, "learning rate of AdamW", gt=0)
    flat: bool = setting(False, "keep the learning rate; else it falls to 0 over the budget")
    batch: int = setting(64, "trials in a step", ge=2)
    every: int = setting(25, "steps between validations", ge=1)
    judged: int = setting(1000, "fresh trials that the trained net is judged on", ge=20)
    seeds: int = setting(1, "how many nets, each from a seed of its own", ge=1)
    seed: int = setting(0, "the first seed", ge=0)

    _budget_is_readable = field_validator("budget")(readable_budget)
    _paths_hold_anywhere = field_validator("weights")(whole_path)

    def lesson(self) -> Lesson:
        """Return what is learnt, and how.

        Raises
        ------
        ConfigError
            If a task or a stage does not exist, or the net cannot be as it is asked to.
        """
        from neuroloom.cognition.learning.curriculum import StopRule, parse_stages
        from neuroloom.cognition.learning.player import Drill
        from neuroloom.cognition.learning.session import Lesson

        goal = StopRule(self.target, self.stop, self.last)
        names = ("tau", "rate", "dale", "rule", "density", "autapses", "noise", "plasticity",
                 "areas")  # fmt: skip
        rate = {name: getattr(self, name) for name in names}
        rate["train_start"] = not self.fixed_start
        drill = Drill(self.dt, self.batch, self.every, 512, tuple(self.per), self.seed)
        costs = {"rates": self.rate_cost, "weights": self.weight_cost}
        stages = tuple(parse_stages(self.stages, goal, self.threshold))
        return Lesson(
            tuple(self.task), self.net, self.learn, self.units, self.lr, rate, stages, drill, costs,
            self.weights, not self.flat,
        )  # fmt: skip

    def prepare(self, data: Path) -> Prepared:
        """Draw trials of every stage and build the net; nothing is written."""
        from neuroloom.cognition.learning.session import rehearse

        lesson = self.lesson()
        return Prepared(lesson, rehearse(lesson, self.seed, self.settings()))

    def work(self, prepared: Prepared, run: Run) -> None:
        """Train, judge, look inside, report."""
        from neuroloom.learn.training.fit import own_threads

        # A net of this size is as fast on one thread, and does not wait for a busy machine.
        with own_threads(1 if self.units <= SMALL else None):
            self._work(prepared, run)

    def _work(self, prepared: Prepared, run: Run) -> None:
        from neuroloom.cognition.learning.session import teach

        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        write_json(run.folder / "dataset.json", {"files": {}})
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        steps = self.plan(prepared.lesson, run).steps or 1
        taught = [
            teach(prepared.lesson, seed, steps, run, (number, self.seeds))
            for number, seed in enumerate(range(self.seed, self.seed + self.seeds), 1)
        ]
        self.illustrate(run, prepared, taught)

    def plan(self, lesson: Lesson, run: Run) -> Plan:
        """Return the stored plan, or settle one now."""
        from neuroloom.cognition.learning.session import seconds_per_step

        file = run.folder / "plan.json"
        if file.is_file():
            return Plan(**read_json(file))
        budget, reason = parse_budget(self.budget), f"as asked for ({self.budget})"
        if budget.seconds is None:
            steps = budget.steps or (budget.epochs or 1) * self.every
        else:
            left = seconds_to_train(budget.seconds, run.elapsed)
            each = seconds_per_step(lesson, self.seed)
            fits = plan_time(left, each, self.seeds, MOST_STEPS)
            steps = fits.epochs or 1
            reason = fits.reason.replace("an epoch", "a step").replace("epoch", "step")
        plan = Plan(-(-steps // self.every), steps, reason)
        write_json(file, plan.as_dict())
        run.log("plan", **plan.as_dict())
        return plan

    def illustrate(self, run: Run, prepared: Prepared, taught: list[Taught]) -> None:
        """Judge the nets and write weights, metrics, figures and the report."""
        from neuroloom.cognition.story.train import report_training

        report_training(self, run, prepared, taught)

    def evaluate(
        self, run: Run, data: Path, out: Path | str | None = None, include: Any = None
    ) -> pd.DataFrame:
        """Judge the run's nets on fresh trials of another task or, for '.', of their own."""
        from neuroloom.cognition.learning.again import evaluate_again

        return evaluate_again(run, data, out)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Play an array of inputs (time, trial, input) in .npy or, for '.', fresh trials."""
        from neuroloom.cognition.learning.again import predict_again

        return predict_again(run, inputs, out)
