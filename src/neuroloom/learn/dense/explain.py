"""Where a dense net looked: the slope of what it says of a structure, voxel by voxel.

The log-odds of a class, meant over the voxels that were given to it, are followed back to the image
(Simonyan et al. 2014; for masks Vinogradova et al. 2020). How the slope falls with the distance
from the structure says how much of the surroundings the net needs. Beside it stands the same of a
net with random weights: what both have in common is the net's build, not what it learnt (Adebayo et
al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.training.learner import DenseLearner
from neuroloom.learn.training.fit import own_randomness

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from neuroloom.core.run import Run
    from neuroloom.learn.dense.study import DenseStudy

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

RINGS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, np.inf)  # voxels from the structure
CASES = 6
SHOWN = 4


@dataclass(frozen=True)
class Look:
    """What one structure of one case draws on.

    Attributes
    ----------
    case, part
        Names of the case and of the class or region.
    image, mask, slope, control
        (*axes) of one patch: the first channel that is there, the structure as predicted, size of
        the slope, and that of a net with random weights.
    spacing
        Of the patch's voxels.
    """

    case: str
    part: str
    image: Floats
    mask: Bools
    slope: Floats
    control: Floats
    spacing: tuple[float, ...]


def slope_of(net: nn.Module, tile: Floats, mask: Bools, place: int, *, regions: bool) -> Floats:
    """Return the size of the slope of a structure's log-odds with respect to each voxel.

    Parameters
    ----------
    net
        From (n, channel, *axes) to logits, in evaluation mode.
    tile, mask
        (channel, *axes), as the net sees it, NaN in a channel that is not there; (*axes): the
        voxels whose log-odds are meant.
    place
        Of the class or region among the net's outputs.
    regions
        Whether outputs are independent: else the log-odds are against all other classes.

    Returns
    -------
    (*axes) float32, summed over channels.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Conv2d(1, 2, 1)
    >>> at = np.zeros((4, 4), bool)
    >>> at[1, 2] = True
    >>> found = slope_of(net, np.ones((1, 4, 4), "f4"), at, 1, regions=False)
    >>> np.argwhere(found > 0).tolist()
    [[1, 2]]
    """
    import torch

    x = torch.tensor(tile)[None].requires_grad_()
    odds = _log_odds(net(x)[0], place, regions=regions)
    (slope,) = torch.autograd.grad(odds[torch.as_tensor(mask)].mean(), x)
    return slope[0].abs().sum(0).numpy()


def _log_odds(logits: Tensor, place: int, *, regions: bool) -> Tensor:
    import torch

    if regions:
        return logits[place]
    others = [k for k in range(len(logits)) if k != place]
    return logits[place] - torch.logsumexp(logits[others], 0)


def looks(learner: DenseLearner, cases: Any, names: Sequence[str]) -> Iterator[Look]:
    """Yield what each class of each case draws on, in the patch around most of it.

    Parameters
    ----------
    learner
        A trained net.
    cases
        `DenseCases`.
    names
        Of the cases.
    """
    from neuroloom.learn.dense.apply.infer import at_size, best_size, probabilities

    plan, net = learner.plan, learner.model
    assert plan is not None
    assert net is not None
    with own_randomness(0):
        random = learner.net_of(plan).eval()
    for name, done in zip(names, learner.inputs(cases), strict=True):
        size = best_size(net, done.x, plan, learner.wishes)
        seen = at_size(done.x, size, learner.wishes)
        p = probabilities(net, seen, plan, replace(learner.wishes, sizes=()))
        for part, place in _places(learner).items():
            found = p[place] > 0.5 if plan.regions else p.argmax(0) == place
            if not found.any():
                continue
            x, mask = _plane(seen, found, plan.dims, learner.wishes.slab)
            tile, mask = _tile(x, mask, plan.patch)
            slope, control = (
                slope_of(own, tile, mask, place, regions=bool(plan.regions))
                for own in (net, random)
            )
            shown = _first_there(tile, len(seen))
            spacing = tuple(step / size for step in plan.spacing[-plan.dims :])
            yield Look(name, part, shown, mask, slope, control, spacing)


def _places(learner: DenseLearner) -> dict[str, int]:
    """Return the place of each class or region among the outputs, without the background."""
    plan = learner.plan
    assert plan is not None
    if plan.regions:
        return {name: place for place, name in enumerate(plan.regions)}
    values = sorted(value for value in plan.classes if value != plan.ignore)
    return {plan.classes[value]: place for place, value in enumerate(values) if value}


def _plane(x: Floats, found: Bools, dims: int, slab: int) -> tuple[Floats, Bools]:
    """Return the slice, with its neighbours, that holds most of a structure, for 2-D nets."""
    if found.ndim == dims:
        return x, found
    import torch

    from neuroloom.learn.dense.data.bank import slab_of

    at = int(found.sum(axis=(1, 2)).argmax())
    return slab_of(torch.as_tensor(x), at, slab).numpy(), found[at]


def _tile(x: Floats, found: Bools, patch: Sequence[int]) -> tuple[Floats, Bools]:
    """Cut the patch around the middle of a structure; what lies beyond the image is 0."""
    missing = [max(0, p - n) for p, n in zip(patch, found.shape, strict=True)]
    pads = [(gap // 2, gap - gap // 2) for gap in missing]
    x, found = np.pad(x, [(0, 0), *pads]), np.pad(found, pads)
    middle = np.argwhere(found).mean(0)
    # The voxel of the structure that is nearest to its middle: a ring has none there.
    places = np.argwhere(found)
    middle = places[((places - middle) ** 2).sum(1).argmin()]
    window = []
    for m, p, n in zip(middle, patch, found.shape, strict=True):
        start = int(min(max(m - p // 2, 0), n - p))
        window.append(slice(start, start + p))
    return x[(slice(None), *window)], found[tuple(window)]


def _first_there(tile: Floats, channels: int) -> Floats:
    """Return the first channel that is there, of the middle slice where the tile is a slab."""
    middle = len(tile) // channels // 2 * channels
    own = tile[middle : middle + channels]
    return own[int(np.isfinite(own).reshape(channels, -1).all(1).argmax())]


def by_distance(found: Sequence[Look]) -> pd.DataFrame:
    """Return how much of the slope lies within a structure, and how far from it the rest.

    Returns
    -------
    DataFrame
        class, distance (voxels as the net sees them), slope and random_weights (shares, means over
        cases; each class sums to 1), voxels (share of the patch).

    Examples
    --------
    >>> mask = np.eye(4, dtype=bool)
    >>> one = Look("a", "line", mask * 1.0, mask, mask * 2.0, np.ones((4, 4)), (1.0, 1.0))
    >>> by_distance([one]).head(2)[["distance", "slope", "random_weights"]].values.tolist()
    [['inside', 1.0, 0.25], ['0-1', 0.0, 0.375]]
    """
    import pandas as pd
    from scipy import ndimage

    rows = []
    for look in found:
        far = ndimage.distance_transform_edt(~look.mask)
        ring = np.searchsorted(RINGS, far.ravel())  # 0 inside, then ring after ring
        for number in range(len(RINGS)):
            at = ring == number
            rows.append(
                {
                    "class": look.part,
                    "distance": _ring_name(number),
                    "slope": _share(look.slope, at),
                    "random_weights": _share(look.control, at),
                    "voxels": float(at.mean()),
                }
            )
    table = pd.DataFrame(rows)
    return table.groupby(["class", "distance"], sort=False).mean().reset_index()


def _share(values: Floats, at: Bools) -> float:
    total = float(values.sum())
    return float(values.ravel()[at].sum()) / total if total > 0 else float("nan")


def _ring_name(number: int) -> str:
    if number == 0:
        return "inside"
    low, high = RINGS[number - 1], RINGS[number]
    return f"{low:g}-{high:g}" if np.isfinite(high) else f"over {low:g}"


def explain_again(study: DenseStudy, run: Run) -> pd.DataFrame:
    """Explain the run's final model on some of its own cases; see `DenseStudy.explain`."""
    from neuroloom.core.artifact import Shelf
    from neuroloom.core.files import read_json
    from neuroloom.core.report import Facts, write_facts, write_report
    from neuroloom.learn.dense.figures import slopes

    learner = next(iter(study.load_model(run).members.values()))[0]
    if not isinstance(learner, DenseLearner):
        raise ConfigError(f"model={study.model} is no net: there is no slope to follow.")
    dataset = study.read_again(run).labelled()
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), CASES)).astype(int))
    names = dataset.table["name"].astype(str).to_numpy()[rows]
    found = list(looks(learner, dataset.x[rows], list(names)))
    if not found:
        raise ConfigError("The model finds no structure in the run's cases: nothing to explain.")
    table, shelf = by_distance(found), Shelf(run.folder / "artifacts")
    shelf.add_figure(
        "slope",
        slopes([(f"{one.case}\n{one.part}", one) for one in found[:SHOWN]]),
        caption="How strongly each voxel of the image moves the log-odds of the outlined "
        "structure (size of the slope, the final model's first net). Bright voxels are needed; "
        "the slope does not say whether for or against.",
        section="where",
        title="What the net draws on",
    )
    shelf.add_table(
        "slope-by-distance",
        table.round(4),
        caption="Share of the slope by the distance from the structure, in voxels as the net sees "
        "them, beside that of a net with random weights and the share of voxels there are.",
        section="where",
        title="How far from a structure the net looks",
    )
    facts = read_json(run.folder / "facts.json")
    said = [line for line in facts["where"] if "share of the slope" not in line]
    inside = float(table.loc[table["distance"] == "inside", "slope"].mean())
    said.append(f"On average a share of the slope of {inside:.0%} lies within the structure.")
    write_facts(run.folder, Facts(**(facts | {"where": said})))
    write_report(run.folder)
    return table
