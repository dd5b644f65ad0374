"""A trained net applied to a whole image: in one piece if that is small, else tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.dense.denseplan import DensePlan
from neuroloom.learn.dense.topology import round_up

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroloom.learn.dense.learner import Wishes

# An image of up to so many patches is predicted in one piece: no seams, and no tile twice.
WHOLE_PATCHES = 4.0
VOXELS_AT_ONCE = 4_000_000


def probabilities(net: nn.Module, x: np.ndarray, plan: DensePlan, wishes: Wishes) -> np.ndarray:
    """Return the probabilities of a preprocessed image, (class, *axes) float32.

    Parameters
    ----------
    net
        In evaluation mode.
    x
        (channel, *axes), as the plan wants it.
    plan, wishes
        Patch and axes; mirrors and views.
    """
    if x.ndim - 1 > plan.dims and wishes.views != "one":
        return _from_sides(net, x, plan, wishes)
    return np.asarray(_tiled(net, x, plan, wishes.mirror))


def tile_of(shape: Sequence[int], plan: DensePlan) -> tuple[int, ...]:
    """Return the size of a tile: the whole image, rounded up, if that is small; else the patch.

    Examples
    --------
    >>> from neuroloom.learn.dense.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> tile_of((45, 50), plan), tile_of((450, 500), plan)
    ((46, 50), (32, 32))
    """
    whole = round_up(tuple(shape), plan.divisor)
    small = np.prod(whole, dtype=float) <= WHOLE_PATCHES * np.prod(plan.patch, dtype=float)
    return whole if small else plan.patch


def _tiled(net: nn.Module, x: Any, plan: DensePlan, mirror: Sequence[int] | None) -> Tensor:
    from neuroloom.learn.dense.tile import predict_tiles

    tile = tile_of(x.shape[-plan.dims :], plan)
    return predict_tiles(
        _sure(net, plan),
        x,
        tile,
        batch=max(1, int(VOXELS_AT_ONCE // np.prod(tile, dtype=float) // 8)),
        device=str(next(net.parameters()).device),
        mirror_axes=tuple(range(plan.dims)) if mirror is None else tuple(mirror),
    )


def _sure(net: nn.Module, plan: DensePlan) -> Callable[[Tensor], Tensor]:
    """Return the net with its logits as probabilities: what tiles and mirrors average."""
    if plan.regions:
        return lambda x: net(x).float().sigmoid()
    return lambda x: net(x).float().softmax(1)


def _from_sides(net: nn.Module, x: np.ndarray, plan: DensePlan, wishes: Wishes) -> np.ndarray:
    from neuroloom.learn.dense.views import predict_views

    def predict(slices: np.ndarray) -> np.ndarray:
        said = [np.asarray(_tiled(net, each, plan, wishes.mirror)) for each in slices]
        return np.stack(said)

    return predict_views(predict, x, wishes.views)
