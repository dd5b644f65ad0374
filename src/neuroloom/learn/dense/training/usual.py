"""What a plan is trained with unless something else is asked for: changes of patches, and loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.planning.denseplan import DensePlan

if TYPE_CHECKING:
    from neuroloom.learn.dense.augment.transform import Transform
    from neuroloom.learn.dense.training.learner import Wishes


def transforms(
    plan: DensePlan,
    names: Sequence[str] | None = None,
    axes: Sequence[int] | None = None,
    *,
    turned: bool = False,
) -> tuple[Transform, ...]:
    """Return the changes of training patches: those named, else nnU-Net's with their chances.

    Parameters
    ----------
    names
        As for `parse_augment`; None: the usual ones; one of `tissue.KINDS`: for microscopy.
    axes
        Of the patch, that are mirrored; None: all.
    turned
        Whether slices will be predicted in quarter turns, which are then learnt from in any case.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> [own.name for own in transforms(plan, ["rotate=15", "gamma"], axes=[0], turned=True)]
    ['affine', 'gamma', 'flip', 'turn']
    """
    from neuroloom.learn.dense.augment.tissue import Turn

    chain = _chain(plan, names, tuple(range(plan.dims) if axes is None else axes))
    known = not turned or any(isinstance(own, Turn) for own in chain)
    return chain if known else (*chain, Turn())


def _chain(
    plan: DensePlan, names: Sequence[str] | None, axes: tuple[int, ...]
) -> tuple[Transform, ...]:
    from neuroloom.learn.dense.augment.pipeline import default_nnunet, parse_augment
    from neuroloom.learn.dense.augment.spatial import Flip
    from neuroloom.learn.dense.augment.tissue import KINDS, default_tissue

    if names is None and plan.vary == "light":
        return light(axes)
    if names is None:
        return default_nnunet(plan.patch, axes)
    if len(names) == 1 and names[0] in KINDS:
        return default_tissue(plan.patch, axes, names[0])
    flips = (Flip(0.5, axes=axes),) if axes and list(names) != ["none"] else ()
    return (*parse_augment(names), *flips)


def refuse_unfit(names: Sequence[str]) -> None:
    """Refuse changes that patches cannot be trained with, before anything is read.

    Parameters
    ----------
    names
        As for `transforms`.

    Raises
    ------
    ConfigError
        If a name is unknown, or it blends labels, needs the histograms of other images, or changes
        the size of a patch.

    Examples
    --------
    >>> refuse_unfit(["rotate=15", "gamma"])
    """
    from neuroloom.learn.dense.augment.histogram import Histogram
    from neuroloom.learn.dense.augment.pipeline import parse_augment
    from neuroloom.learn.dense.augment.regrid import Regrid
    from neuroloom.learn.dense.augment.tissue import KINDS

    if len(names) == 1 and names[0] in KINDS:
        return
    for own in parse_augment(names):
        why = ""
        if own.across:
            why = "blends labels, which the losses do not take; leave it out"
        elif isinstance(own, Histogram):
            why = "needs the histograms of other images; `volumes.augment` writes copies with it"
        elif isinstance(own, Regrid):
            why = "changes the size of patches; `plan` has the keys patch and spacing for that"
        if why:
            raise ConfigError(f"augment: '{own.name}' {why}.")


def light(mirror: Sequence[int] = ()) -> tuple[Transform, ...]:
    """Return few and small changes, for fits of minutes.

    Turning by up to 15 degrees and scaling in three patches of ten, brightness, noise and gamma in
    three of twenty each, half the resolution now and then.

    Examples
    --------
    >>> [own.name for own in light((2,))]
    ['affine', 'brightness', 'noise', 'gamma', 'low-resolution', 'flip']
    """
    from neuroloom.learn.dense.augment.axiswise import LowResolution
    from neuroloom.learn.dense.augment.intensity import Brightness, Gamma, Noise
    from neuroloom.learn.dense.augment.spatial import Affine, Flip

    flips = (Flip(0.5, axes=tuple(mirror)),) if mirror else ()
    return (
        Affine(15.0, (0.86, 1.16), each_axis=True, p=0.3),
        Brightness(0.3, p=0.15),
        Noise(0.25, p=0.15),
        Gamma(low=0.67, high=1.5, keep=True, p=0.15),
        LowResolution(0.5, 1.0, p=0.075),
        *flips,
    )


def any_contrast(chain: Sequence[Transform]) -> tuple[Transform, ...]:
    """Return the changes with random contrasts among them, after what moves voxels.

    Three patches in four get a contrast that nobody measured (`Lookup`), every third a bias field:
    what tells tissues apart is then form, place and edges, which contrasts share.

    Examples
    --------
    >>> from neuroloom.learn.dense.augment.intensity import Noise
    >>> from neuroloom.learn.dense.augment.spatial import Affine
    >>> [own.name for own in any_contrast((Affine(), Noise()))]
    ['affine', 'lookup', 'bias-field', 'noise']
    """
    from neuroloom.learn.dense.augment.intensity import BiasField, Lookup

    first = int(bool(chain) and chain[0].name == "affine")
    more = (Lookup(p=0.75), BiasField(0.3, p=0.3))
    return (*chain[:first], *more, *chain[first:])


def mirrored(plan: DensePlan, wishes: Wishes) -> tuple[int, ...]:
    """Return the axes of a patch that are mirrored in training, and then in prediction.

    None where patches are not changed at all. Nor where a 2-D net looks along every axis and some
    may not be mirrored: an axis of one side's slices is another axis of the next side's.
    """
    from neuroloom.learn.dense.apply.views import ALL_SIDES

    axes = wishes.mirror
    some = axes is not None and len(set(axes)) < len(plan.transpose)
    if list(wishes.augment or ()) == ["none"] or (some and wishes.views in ALL_SIDES):
        return ()
    return mirrors(plan, axes)


def mirrors(plan: DensePlan, axes: Sequence[int] | None) -> tuple[int, ...]:
    """Return axes of the patch for axes of the file's array; None: all of them.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (2, 0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> mirrors(plan, [2, 1]), mirrors(plan, None)
    ((1,), (0, 1))
    """
    if axes is None:
        return tuple(range(plan.dims))
    apart = len(plan.transpose) - plan.dims
    places = [plan.transpose.index(axis) - apart for axis in axes if axis in plan.transpose]
    return tuple(sorted(place for place in places if place >= 0))


def criterion(plan: DensePlan, name: str = "dice-ce") -> Callable[[Any, Any], Any]:
    """Return the loss of a plan over all resolutions that the net answers at.

    Parameters
    ----------
    name
        A name of `rare_losses.LOSSES`; of overlapping regions, each has it against the rest.

    Raises
    ------
    ConfigError
        If there is no such loss.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> type(criterion(plan).loss).__name__
    'DiceCE'
    """
    from neuroloom.learn.dense.nets.losses import DeepSupervision, DiceCE, EachRegion, RegionLoss
    from neuroloom.learn.dense.nets.rare_losses import loss_named

    if plan.regions:
        number = codes(plan)
        regions = [[number[label] for label in labels] for labels in plan.regions.values()]
        if name == "dice-ce":
            return DeepSupervision(RegionLoss(regions, batch_dice=plan.batch_dice))
        return DeepSupervision(EachRegion(regions, loss_named(name)))
    if name == "dice-ce":
        return DeepSupervision(DiceCE(batch_dice=plan.batch_dice))
    return DeepSupervision(loss_named(name))


def codes(plan: DensePlan) -> dict[int, int]:
    """Return label value -> place among the net's classes; -1 for what is not learnt from.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,),
    ...     classes={0: "background", 17: "left", 53: "right"}, ignore=255)
    >>> codes(plan)
    {0: 0, 17: 1, 53: 2, 255: -1}
    """
    known = [value for value in sorted(plan.classes) if value != plan.ignore]
    numbers = {value: place for place, value in enumerate(known)}
    return numbers if plan.ignore is None else numbers | {plan.ignore: -1}
