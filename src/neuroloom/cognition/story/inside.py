"""What a trained net does inside, gathered for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.cognition.inside.population import (
    Trajectories,
    group_trials,
    selectivity,
    trajectories,
)
from neuroloom.cognition.nets.rate import RateRNN

if TYPE_CHECKING:
    from neuroloom.cognition.inside.dynamics import FixedPoints
    from neuroloom.cognition.learning.session import Lesson
    from neuroloom.cognition.nets.gated import Net
    from neuroloom.cognition.task import Trials

LOOKED = 200  # trials that are played
STARTS = 48
MOST_UNITS = 128  # of a net whose fixed points are sought for the report


@dataclass(frozen=True)
class Seen:
    """Paths in principal components, a table of units, and fixed points where they were sought.

    `places` (point, component) are the fixed points in the space of the paths.
    """

    paths: Trajectories
    units: pd.DataFrame
    fixed: FixedPoints | None
    places: np.ndarray

    @property
    def table(self) -> pd.DataFrame:
        """The fixed points, a row each."""
        assert self.fixed is not None
        return pd.DataFrame({
            "point": np.arange(1, len(self.fixed.states) + 1), "speed": self.fixed.speeds,
            "unstable_directions": self.fixed.unstable, "slowest_tau": self.fixed.slowest,
        })  # fmt: skip


def look(net: Net, lesson: Lesson) -> Seen:
    """Play trials without noise and return what the population did."""
    import torch

    played = lesson.find_task()
    trials = played.trials(LOOKED, torch.Generator().manual_seed(5), dt=lesson.drill.dt)
    with torch.no_grad():
        activity = net(trials.inputs, trials.dt)
    rates = activity.rates.numpy().astype(float)
    groups, labels = group_trials(_told(trials, played.actions))
    paths = trajectories(rates, groups, labels)
    fixed, places = None, np.zeros((0, len(paths.axes)))
    if isinstance(net, RateRNN) and not net.spec.plasticity and net.spec.units <= MOST_UNITS:
        fixed = _stand(net, trials, activity.states)
        states = torch.tensor(fixed.states, dtype=torch.float32)
        with torch.no_grad():
            places = paths.project(net.read(states).rates.numpy().astype(float))
    return Seen(paths, _units(net, rates, trials, groups), fixed, places)


def _told(trials: Trials, actions: int) -> dict[str, np.ndarray]:
    """Return what divides the trials: the right answer; where there is none, the conditions."""
    from neuroloom.cognition.task import right_answer

    answer = right_answer(trials).numpy()
    if actions and len(np.unique(answer)) > 1:
        return {"answer": answer}
    drawn = {n: v.numpy() for n, v in trials.conditions.items() if v.ndim == 1}
    return drawn or {"trial": np.zeros(len(answer))}


def _stand(net: RateRNN, trials: Trials, states: Any) -> FixedPoints:
    """Seek fixed points from visited states, under the mean input of the time to answer."""
    import torch

    from neuroloom.cognition.inside.dynamics import find_fixed_points

    late = trials.within("decision") if "decision" in trials.epochs else trials.within(
        list(trials.epochs)[-1]
    )  # fmt: skip
    held = trials.inputs[late].mean(0)
    places = late.nonzero()
    draw = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:STARTS]
    chosen = places[draw]
    return find_fixed_points(net, states[chosen[:, 0], chosen[:, 1]], held)


def _units(net: Net, rates: np.ndarray, trials: Trials, groups: np.ndarray) -> pd.DataFrame:
    late = trials.within(list(trials.epochs)[-1]).numpy()[..., None]
    mean = (rates * late).sum(0) / np.maximum(late.sum(0), 1)
    ends = np.flatnonzero((groups == 0) | (groups == groups.max()))
    prefers = selectivity(mean[ends], (groups[ends] > 0).astype(int)) if groups.max() else None
    signs = getattr(net, "recurrent", None)
    signs = None if signs is None or signs.signs is None else signs.signs.numpy()
    units = np.arange(mean.shape[1])
    kinds = np.full(len(units), "any") if signs is None else np.where(
        signs > 0, "excitatory", "inhibitory"
    )  # fmt: skip
    table = pd.DataFrame({"unit": units, "kind": kinds, "mean_rate": rates.mean((0, 1))})
    if prefers is not None:
        table["d_prime"] = prefers
        table = table.sort_values("d_prime", key=np.abs, ascending=False)
    return table


def constraints(net: RateRNN) -> pd.DataFrame:
    """Return how many effective weights break signs, masks or the rule of no autapses.

    Examples
    --------
    >>> from neuroloom.cognition.nets.rate import RateSpec
    >>> constraints(RateRNN(RateSpec(2, 10, 1, dale=0.8)))["violations"].tolist()
    [0, 0, 0, 0]
    """
    from neuroloom.cognition.nets.connection import count_violations

    rows = []
    for name, part in (
        ("inputs", net.input),
        ("recurrent", net.recurrent),
        ("read-out", net.readout),
    ):
        weight = part().detach()
        wrong = count_violations(weight, part.signs, part.mask)
        rows.append({"constraint": f"signs and masks of {name}", "violations": wrong,
                     "connections": int((weight != 0).sum())})  # fmt: skip
    loops = 0 if net.spec.autapses else int((net.recurrent().detach().diag() != 0).sum())
    rows.append({"constraint": "units connected to themselves", "violations": loops,
                 "connections": net.spec.units if net.spec.autapses else 0})  # fmt: skip
    return pd.DataFrame(rows)
