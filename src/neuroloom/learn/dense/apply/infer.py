"""A trained net applied to a whole image, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.heap import kept_memory
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.training.usual import mirrored

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroloom.learn.dense.training.learner import Wishes

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
        Patch and axes; mirrors, views, and the sizes to try.
    """
    from neuroloom.learn.dense.apply.size import brought_to

    with kept_memory():
        size = best_size(net, x, plan, wishes)
        seen = x if size == 1 else at_size(x, size, wishes)
        found = _as_large_as_it_is(net, seen, plan, wishes)
    return found if size == 1 else brought_to(found, x.shape[1:])


def best_size(net: nn.Module, x: np.ndarray, plan: DensePlan, wishes: Wishes) -> float:
    """Return the size, among those that are to be tried, at which a 2-D net knows an image best.

    Each look is one pass of a few pieces of the image, neither mirrored nor turned.
    """
    if not wishes.sizes or plan.dims != 2 or not plan.thickness:
        return 1.0
    from neuroloom.learn.dense.apply.size import known_size, pieces_of

    def look(picture: np.ndarray) -> np.ndarray:
        return _tiled(net, picture, plan, ())

    pieces = pieces_of(x, wishes.slab)
    return known_size(look, pieces, wishes.sizes, plan.thickness, regions=bool(plan.regions))


def at_size(x: np.ndarray, size: float, wishes: Wishes) -> np.ndarray:
    """Return an image (channel, *axes) resized in its slices or, seen from all sides, all round."""
    from neuroloom.learn.dense.apply.size import resized
    from neuroloom.learn.dense.apply.views import ALL_SIDES

    return resized(x, size, min(3 if wishes.views in ALL_SIDES else 2, x.ndim - 1))


def _as_large_as_it_is(
    net: nn.Module, x: np.ndarray, plan: DensePlan, wishes: Wishes
) -> np.ndarray:
    if x.ndim - 1 > plan.dims and (wishes.views != "one" or wishes.slab > 1):
        return _from_sides(net, x, plan, wishes)
    return _every_way(net, x, plan, wishes)


def _every_way(net: nn.Module, x: np.ndarray, plan: DensePlan, wishes: Wishes) -> np.ndarray:
    """Return the mean over mirror images, and if wished over transposed ones: up to eight."""
    found = _tiled(net, x, plan, mirrored(plan, wishes))
    if not wishes.turns or plan.dims != 2:
        return found
    turned = np.ascontiguousarray(x.swapaxes(-1, -2))
    return (found + _tiled(net, turned, plan, mirrored(plan, wishes)).swapaxes(-1, -2)) / 2


def _tiled(net: nn.Module, x: Any, plan: DensePlan, mirror: Sequence[int]) -> np.ndarray:
    from neuroloom.learn.dense.apply.tile import predict_tiles

    # Tiles are as large as the patches that were learnt from: what instance norms measure over a
    # larger piece is another matter, and cost 0.014 Dice on the hippocampus.
    found = predict_tiles(
        _sure(net, plan),
        x,
        plan.patch,
        batch=max(1, int(VOXELS_AT_ONCE // np.prod(plan.patch, dtype=float) // 8)),
        device=str(next(net.parameters()).device),
        mirror_axes=mirror,
    )
    return found.cpu().numpy()


def _sure(net: nn.Module, plan: DensePlan) -> Callable[[Tensor], Tensor]:
    """Return the net with its logits as probabilities: what tiles and mirrors average."""
    if plan.regions:
        return lambda x: net(x).float().sigmoid()
    return lambda x: net(x).float().softmax(1)


def _from_sides(net: nn.Module, x: np.ndarray, plan: DensePlan, wishes: Wishes) -> np.ndarray:
    from neuroloom.learn.dense.apply.views import VIEWS, predict_views

    def predict(slices: np.ndarray) -> np.ndarray:
        return np.stack([_every_way(net, each, plan, wishes) for each in slices])

    # A slice in all its turns and mirror images is the same from a side that is turned.
    axes = mirrored(plan, wishes)
    ways = 4 * (1 + bool(wishes.turns)) if len(axes) == 2 else 1
    views = [view for view in VIEWS[wishes.views] if axes or not view.flip]
    return predict_views(predict, x, views, slab=wishes.slab, ways=ways)
