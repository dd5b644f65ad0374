"""From a task to trained nets and what they do in fresh trials; and nets in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroloom.cognition.learning.curriculum import Stage, switches
from neuroloom.cognition.learning.mixture import Mixture
from neuroloom.cognition.learning.player import Drill, Objective, Player, Supervised, solved
from neuroloom.cognition.learning.policy import KINDS as BY_REWARD
from neuroloom.cognition.learning.policy import Policy, PolicySpec, Rewards, play
from neuroloom.cognition.nets.gated import GatedRNN, GatedSpec, Net, rebuild
from neuroloom.cognition.nets.rate import RateRNN, RateSpec
from neuroloom.cognition.task import Task, Trials, right_answer, task
from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, RunError, nearest
from neuroloom.learn.store import read_arrays, write_arrays
from neuroloom.learn.training.fit import FitJob, History, Training, fit

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run

PIECE = 500  # trials that are examined at once
RATE_ONLY = (
    "dale", "density", "autapses", "rule", "rate", "tau", "noise", "plasticity", "fixed_start",
    "areas",
)  # fmt: skip
TEST_SEED = 77_003  # far from the seeds of training and validation


@dataclass(frozen=True)
class Lesson:
    """All that training a net on a task needs, apart from the seed.

    Attributes
    ----------
    tasks
        Names; several are learnt by one net, told apart by rule inputs.
    net
        "rate", "lstm" or "gru".
    learn
        "targets", "choices", or a way of learning by reward, see `policy.KINDS`.
    rate
        Fields of `RateSpec` besides the sizes; for a rate network.
    units, lr
        Size, and rate of AdamW.
    stages, drill
        Curriculum, batches and validations.
    costs
        Prices of "rates" and "weights".
    weights
        File of weights to start from: PsychRNN's .npz, or the model of a run.
    anneal
        Whether the rate falls to 0 over the budget; else it stays.
    """

    tasks: tuple[str, ...]
    net: str
    learn: str
    units: int
    lr: float
    rate: dict[str, Any]
    stages: tuple[Stage, ...]
    drill: Drill
    costs: dict[str, float]
    weights: str | None = None
    anneal: bool = True

    def find_task(self) -> Task:
        """Return the task, or the mixture of tasks."""
        found = [task(name) for name in self.tasks]
        return found[0] if len(found) == 1 else Mixture(found)

    def objective(self, played: Task) -> Objective:
        """Return how the net learns."""
        if self.learn in BY_REWARD:
            return Policy(PolicySpec(self.learn), rewards_of(played))
        kind = "choices" if self.learn == "choices" else "squares"
        return Supervised(kind, **self.costs)

    def make_net(self, played: Task, seed: int) -> Net:
        """Return a net with fresh weights that fits the task."""
        if self.weights:
            return start_from(Path(self.weights), played, self)
        draw = torch.Generator().manual_seed(seed)
        inputs, outputs = len(played.inputs), self.count_outputs(played)
        if self.net == "rate":
            return RateRNN(RateSpec(inputs, self.units, outputs, **self.rate), draw)
        return GatedRNN(GatedSpec(self.net, inputs, self.units, outputs), draw)

    def count_outputs(self, played: Task) -> int:
        """Return how many outputs the net needs."""
        by_reward = self.learn in BY_REWARD
        return len(played.outputs) if self.learn == "targets" else played.actions + by_reward

    def make_player(self, seed: int) -> Player:
        """Return a fresh net with its course."""
        played = self.find_task()
        if self.learn != "targets" and not played.actions:
            raise ConfigError(
                f"learn: {played.name} has no actions to choose from; learn its targets."
            )
        net, objective = self.make_net(played, seed), self.objective(played)
        if isinstance(objective, Policy):
            objective.adopt(net)
        return Player(net, played, objective, self.stages, self.drill)


def start_from(path: Path, played: Task, lesson: Lesson) -> Net:
    """Return the net of a file of weights; its sizes must fit the task.

    Raises
    ------
    ConfigError
        If they do not.
    """
    from neuroloom.cognition.nets.weights import read_psychrnn

    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise ConfigError(f"weights: {path} does not exist; name a run, or PsychRNN's .npz.")
    psychrnn = path.suffix == ".npz"
    tau = lesson.rate.get("tau", 100.0)
    try:
        net = read_psychrnn(path, tau) if psychrnn else read_nets(path)[0][0]
    except RunError as error:
        raise ConfigError(f"weights: {error}") from None
    found = (net.spec.inputs, net.spec.outputs)
    wanted = (len(played.inputs), lesson.count_outputs(played))
    if found != wanted:
        raise ConfigError(
            f"weights: the net of {path.name} has {found[0]} inputs and {found[1]} outputs; "
            f"{played.name} needs {wanted[0]} and {wanted[1]}."
        )
    return net


def rehearse(lesson: Lesson, seed: int, given: dict[str, Any]) -> list[Finding]:
    """Build the net, draw trials of every stage, and return what is to be noticed.

    Raises
    ------
    ConfigError
        If a task, a stage or a setting cannot be.
    """
    idle = set(given) & {*RATE_ONLY} if lesson.net != "rate" else set()
    if idle:
        raise ConfigError(
            f"{min(idle)} is for rate networks and means nothing to net={lesson.net}: leave it out."
        )
    player = lesson.make_player(seed)
    draw = torch.Generator().manual_seed(seed)
    for number in range(len(lesson.stages)):
        player.stage.fill_(number)
        trials = player.draw(8, draw)
    for name in lesson.drill.per:
        if name not in trials.conditions:
            raise ConfigError(
                f"per: {player.task.name} has no condition '{name}'."
                f"{nearest(name, trials.conditions)}"
            )
    if isinstance(player.net, RateRNN):
        player.net.alpha(lesson.drill.dt)
    notes = [Finding("note", "Trials", "Drawn afresh in every step; none is seen twice.")]
    if getattr(player.task, "carried", False):
        told = "Trials of this task depend on those before; here each begins anew."
        notes.append(Finding("warning", "Single trials", told))
    return notes


def rewards_of(played: Task) -> Rewards:
    """Return the price list of a task; what it does not name is as in `Rewards`."""
    told = getattr(played, "rewards", None) or {}
    known = asdict(Rewards())
    return Rewards(**(known | {name: told[name] for name in known if name in told}))


def train(
    player: Player, lesson: Lesson, seed: int, steps: int, job: FitJob | None = None
) -> History:
    """Train a player in place, until its last stage is reached or the steps are spent.

    Parameters
    ----------
    job
        Checkpoint and progress; its seed and steps are replaced.
    """
    from dataclasses import replace

    rise = min(0.5, 20 / max(steps, 40))
    training = Training(
        batch=lesson.drill.batch, lr=lesson.lr, warmup=rise, flat=not lesson.anneal,
        weight_decay=0.0, clip=1.0, validate=False,
    )  # fmt: skip
    held = replace(job or FitJob(), seed=seed, steps=steps)
    return fit(player, player.tickets, player.tickets, training, held)


@dataclass(frozen=True)
class Taught:
    """A trained net and how it got there: its seed, the history, why it stopped, its stages."""

    seed: int
    net: Net
    epochs: list[dict[str, Any]]
    stopped: str
    stages: list[dict[str, Any]]


def teach(lesson: Lesson, seed: int, steps: int, run: Run, place: tuple[int, int]) -> Taught:
    """Train one net inside a run: with checkpoints, progress and a line in the log."""
    facts = {"role": "model", "fit": place[0], "fits": place[1]}

    def tell(entry: dict[str, Any]) -> None:
        run.tell({"event": "progress", **facts, **entry})

    player = lesson.make_player(seed)
    run.work_folder.mkdir(exist_ok=True)
    job = FitJob(checkpoint=run.work_folder / f"seed-{seed}.safetensors", progress=tell)
    history = train(player, lesson, seed, steps, job)
    stages = switches(history.epochs, lesson.stages)
    run.log("fitted", seed=seed, **facts, stopped=history.stopped, stages=stages)
    return Taught(seed, player.net.eval(), history.epochs, history.stopped, stages)


@torch.no_grad()
def reservoir(lesson: Lesson, played: Task, seed: int) -> tuple[RateRNN, Lesson] | None:
    """Return a net of untrained recurrent weights with a read-out by ridge; None by reward.

    What it cannot do needed the training (Jaeger 2001). Its weights are free of constraints, and it
    learns targets or, where the net does, choices.
    """
    from dataclasses import replace

    if lesson.learn in BY_REWARD:
        return None
    kept: dict[str, Any] = {
        name: lesson.rate[name] for name in ("tau", "noise") if name in lesson.rate
    }
    plain = replace(lesson, net="rate", rate=kept, weights=None)
    net = plain.make_net(played, seed)
    assert isinstance(net, RateRNN)
    draw = torch.Generator().manual_seed(seed)
    trials = played.trials(512, draw, dt=lesson.drill.dt)
    rates = net(trials.inputs, trials.dt, generator=draw).rates
    wanted, price = trials.targets, trials.mask
    if lesson.learn == "choices":
        wanted = torch.nn.functional.one_hot(trials.choice.clamp_min(0), played.actions).float()
        price = trials.mask.amax(-1, keepdim=True)
    price = price.expand_as(wanted)
    whole = torch.cat([rates, torch.ones_like(rates[..., :1])], -1).flatten(0, 1).double()
    for output in range(wanted.shape[-1]):
        by = price[..., output].flatten().double()
        gram = (whole * by[:, None]).t() @ whole
        gram += 1e-4 * gram.diag().mean() * torch.eye(len(gram), dtype=gram.dtype)
        weight = torch.linalg.solve(
            gram, (whole * by[:, None]).t() @ wanted[..., output].flatten().double()
        )
        net.readout.weight[output] = weight[:-1].float()
        net.out_bias[output] = weight[-1].float()
    return net, plain


def seconds_per_step(lesson: Lesson, seed: int) -> float:
    """Measure how long a step of training takes, its share of validation included."""
    import time

    player = lesson.make_player(seed)
    history = train(player, lesson, seed, 6)
    began = time.perf_counter()
    player.examine()
    return history.step_seconds + (time.perf_counter() - began) / lesson.drill.every


def examine(
    net: Net, played: Task, lesson: Lesson, trials: int, seed: int, **conditions: Any
) -> pd.DataFrame:
    """Play fresh trials of the whole task and return a row each.

    Returns
    -------
    DataFrame
        trial, right, the conditions; with actions also truth and answer (the choice that is due
        at the end, and the one made), by reward also reward.
    """
    import pandas as pd

    draw = torch.Generator().manual_seed(TEST_SEED + seed)
    parts = []
    for start in range(0, trials, PIECE):
        number = min(PIECE, trials - start)
        batch = played.trials(number, draw, dt=lesson.drill.dt, **conditions)
        parts.append(answer_table(net, played, lesson, batch, draw))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(trial=np.arange(len(table)))


@torch.no_grad()
def answer_table(
    net: Net, played: Task, lesson: Lesson, trials: Trials, generator: torch.Generator | None
) -> pd.DataFrame:
    """Return a row for each of the given trials, see `examine`."""
    import pandas as pd

    outputs = net(trials.inputs, trials.dt, generator=generator).outputs
    columns: dict[str, Any] = {}
    if lesson.learn in BY_REWARD:
        went = play(outputs[..., :-1].argmax(-1), trials, rewards_of(played))
        columns = {"right": went.right, "answer": went.action, "reward": went.rewards.sum(0)}
    else:
        columns["right"] = solved(outputs, played, trials, lesson.learn)
    table = {name: value.cpu().numpy() for name, value in columns.items()}
    table |= told_conditions(played, trials)
    if played.actions:
        table["truth"] = right_answer(trials).cpu().numpy()
    return pd.DataFrame(table)


def told_conditions(played: Task, trials: Trials) -> dict[str, np.ndarray]:
    """Return what was drawn, name -> (trial,); of a mixture the task alone, which all share."""
    names = ["task"] if isinstance(played, Mixture) else list(trials.conditions)
    return {name: trials.conditions[name].cpu().numpy() for name in names
            if trials.conditions[name].ndim == 1}  # fmt: skip


def write_nets(path: Path, nets: Sequence[Net], facts: dict[str, Any]) -> Path:
    """Store trained nets in one file, and plain data beside them."""
    arrays = {
        f"{k}/{name}": value.detach().cpu().numpy()
        for k, net in enumerate(nets)
        for name, value in net.state_dict().items()
    }
    return write_arrays(path, arrays, facts | {"nets": [net.describe() for net in nets]})


def read_nets(path: Path) -> tuple[list[Net], dict[str, Any]]:
    """Read what `write_nets` wrote.

    Raises
    ------
    RunError
        If the file is missing, cut or of another kind.
    """
    arrays, facts = read_arrays(path)
    if "nets" not in facts:
        raise RunError(f"{path} holds no nets that play tasks.")
    nets = []
    for k, told in enumerate(facts["nets"]):
        net = rebuild(told)
        own = {name.removeprefix(f"{k}/"): torch.tensor(value) for name, value in arrays.items()
               if name.startswith(f"{k}/")}  # fmt: skip
        net.load_state_dict(own)
        nets.append(net.eval())
    return nets, facts
