"""What the report says of how a dense net was trained and predicts, as its plan and wishes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroloom.learn.dense.nets.build import grid_nets, idle_keys
from neuroloom.learn.dense.training.usual import mirrored

if TYPE_CHECKING:
    from neuroloom.learn.dense.planning.denseplan import DensePlan
    from neuroloom.learn.dense.training.learner import Wishes

MUON = "Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks"
OPTIMISERS = {
    "muon": "Muon for the weights of hidden layers, AdamW for the rest",
    "adamw": "AdamW",
}


def method_of(plan: DensePlan, wishes: Wishes, unit: str) -> str:
    """Return how images were prepared and learnt from, and what a prediction is the mean of.

    Parameters
    ----------
    unit
        Of the spacing.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> from neuroloom.learn.dense.training.learner import Wishes
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> said = method_of(plan, Wishes(plan.classes, mirror=()), "mm")
    >>> said[said.index("by") : said.index(";")], said[said.index("Predictions") :]
    ('by dynunet with 32-64 features', 'Predictions are on the grid of each file.')
    """
    patch = " x ".join(map(str, plan.patch))
    return (
        f"Images were brought to {' x '.join(f'{s:g}' for s in plan.spacing)} {unit}, normalised "
        f"({', '.join(plan.normalisation)}) and learnt from in patches of {patch}, {plan.batch} a "
        f"step, by {_net(plan)}; loss: {_loss(plan, wishes)}; {OPTIMISERS[plan.optimiser]}, one "
        f"cycle, weights averaged. Predictions are {_mean(plan, wishes)}on the grid of each file."
    )


def _net(plan: DensePlan) -> str:
    if idle_keys(plan.net, ["features"]):
        return plan.net
    return f"{plan.net} with {'-'.join(map(str, plan.features))} features"


def _loss(plan: DensePlan, wishes: Wishes) -> str:
    net = grid_nets().get(plan.net)
    each = ", each region against the rest" if plan.regions else ""
    deep = " at every resolution" if net is None or net.deep_supervision else ""
    return f"{wishes.loss}{each}{deep}"


def _mean(plan: DensePlan, wishes: Wishes) -> str:
    """Return what predictions are the mean over, with a comma after it; nothing of single looks."""
    ways = ["mirror images"] if mirrored(plan, wishes) else []
    if wishes.turns and plan.dims == 2:
        ways.append("transposed ones")
    if wishes.views != "one":
        ways.append(f"{wishes.views} sides")
    return f"the mean over {' and '.join(ways)}, " if ways else ""
