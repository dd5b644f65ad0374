"""Chains of changes: by name, as nnU-Net trains, drawn once and applied, replayed or undone."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.augment.axiswise import Blur, LowResolution
from neuroloom.learn.dense.augment.intensity import Brightness, Contrast, Gamma, Noise
from neuroloom.learn.dense.augment.sample import sample_and_warp
from neuroloom.learn.dense.augment.spatial import Affine, Flip
from neuroloom.learn.dense.augment.transform import (
    SEEDS,
    Canvas,
    Params,
    Transform,
    from_plain,
    take_rows,
    to_plain,
)

FAMILY = "grid"
FLAT_FROM = 3.0
LONG_IMAGE = 1.5


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a batch: the parameters of each transform, in order.

    Examples
    --------
    >>> drawn = Drawn(("flip",), ({"on": torch.tensor([True])},))
    >>> Drawn.from_plain(drawn.to_plain()) .names
    ('flip',)
    """

    names: tuple[str, ...]
    params: tuple[Params, ...]

    def row(self, index: int) -> Drawn:
        """Return what was drawn for one example."""
        rows = torch.tensor([index])
        return Drawn(self.names, tuple(take_rows(own, rows) for own in self.params))

    def to_plain(self) -> list[dict[str, Any]]:
        """Return lists and numbers, ready for JSON."""
        pairs = zip(self.names, self.params, strict=True)
        return [{"name": name, **to_plain(own)} for name, own in pairs]

    @classmethod
    def from_plain(cls, plain: Sequence[dict[str, Any]]) -> Drawn:
        """Return what `to_plain` wrote, to the same bits."""
        params = [{k: v for k, v in own.items() if k != "name"} for own in plain]
        return cls(tuple(own["name"] for own in plain), tuple(from_plain(own) for own in params))


@dataclass(frozen=True)
class Augmenter:
    """Changes batches of patches: draws, applies, and undoes.

    Attributes
    ----------
    transforms
        Applied in this order.
    canvas
        Shape of the patches; also the spacing, where turning should be true in millimetres.

    Examples
    --------
    >>> augmenter = Augmenter(default_nnunet((8, 8, 8)), Canvas(1, (8, 8, 8)))
    >>> x, y = torch.rand(2, 1, 8, 8, 8), torch.zeros(2, 8, 8, 8, dtype=torch.uint8)
    >>> moved, labels = augmenter(x, y, torch.Generator().manual_seed(1))
    >>> moved.shape == x.shape, labels.dtype
    (True, torch.uint8)
    """

    transforms: tuple[Transform, ...]
    canvas: Canvas

    def __call__(
        self, x: Tensor, y: Tensor | None, generator: Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Draw and apply in one go; the batch itself stays as it is."""
        return self.apply(x, y, self.draw(len(x), generator))

    def draw(self, n: int, generator: Generator) -> Drawn:
        """Draw everything that n examples need; nothing random is left for `apply`.

        Parameters
        ----------
        generator
            Best on the CPU. From one on another device a single number is taken, as a seed, so
            that drawing waits for the device once.
        """
        if generator.device.type != "cpu":
            seed = torch.randint(SEEDS, (1,), generator=generator, device=generator.device).item()
            generator = torch.Generator().manual_seed(int(seed))
        params, canvas = [], self.canvas
        for own in self.transforms:
            params.append(own.draw(n, canvas, generator))
            canvas = own.after(canvas)
        return Drawn(tuple(own.name for own in self.transforms), tuple(params))

    def apply(
        self, x: Tensor, y: Tensor | None, drawn: Drawn, *, first: int = 0
    ) -> tuple[Tensor, Tensor | None]:
        """Return the batch changed as drawn, from the transform number `first` on.

        Parameters
        ----------
        x, y
            (n, channel, *axes) float32 and (n, *axes) of any integer type, or None.

        Raises
        ------
        ConfigError
            If the draw belongs to other transforms.
        """
        self._same(drawn)
        for own, params in list(zip(self.transforms, drawn.params, strict=True))[first:]:
            x, y = _some(own, x, y, params, own.change)
        return x, y

    def invert(self, x: Tensor, y: Tensor | None, drawn: Drawn) -> tuple[Tensor, Tensor | None]:
        """Undo what moved voxels, last first; changes of brightness are left as they are.

        Labels may be predictions on the changed image: they come back on the original grid.
        """
        self._same(drawn)
        for own, params in reversed(list(zip(self.transforms, drawn.params, strict=True))):
            if own.invertible:
                x, y = _some(own, x, y, params, own.revert)
        return x, y

    def sample(
        self,
        cases: Sequence[Tensor],
        labels: Sequence[Tensor | None],
        starts: Sequence[Sequence[int]],
        drawn: Drawn,
    ) -> tuple[Tensor, Tensor | None]:
        """Cut the patches of a batch straight from their cases and change them as drawn.

        An affine change that comes first reads from the whole case (`sample_and_warp`): one
        interpolation, no oversize crop, and a plain copy where nothing turns.

        Parameters
        ----------
        cases, labels
            One (channel, *axes) and one (*axes) for each example; views of a padded tensor serve.
        starts
            First voxel of each patch, as for `cut_patch`; may be negative.
        """
        head = self.transforms[0] if self.transforms else None
        turns = head if isinstance(head, Affine) else None
        pairs = []
        for i, (case, label, start) in enumerate(zip(cases, labels, starts, strict=True)):
            matrix = shift = None
            if turns is not None and bool(drawn.params[0]["on"][i]):
                matrix, shift = (drawn.params[0][key][i] for key in ("matrix", "shift"))
            outside = "zeros" if turns is None else turns.outside
            pairs.append(
                sample_and_warp(case, label, start, self.canvas.axes, matrix, shift, outside)
            )
        x = torch.stack([x for x, _ in pairs])
        found = [y for _, y in pairs if y is not None]
        y = torch.stack(found) if len(found) == len(pairs) else None
        return self.apply(x, y, drawn, first=int(turns is not None))

    def _same(self, drawn: Drawn) -> None:
        mine = tuple(own.name for own in self.transforms)
        if mine != drawn.names:
            raise ConfigError(
                f"These parameters were drawn for {', '.join(drawn.names) or 'nothing'}, but the "
                f"augmenter has {', '.join(mine) or 'nothing'}. Use the one that drew them."
            )


def _some(
    own: Transform, x: Tensor, y: Tensor | None, params: Params, change: Any
) -> tuple[Tensor, Tensor | None]:
    """Change only the examples whose coin says so."""
    on = params["on"]
    if not on.any():
        return x, y
    if own.across or on.all():
        return change(x, y, params)
    rows = on.nonzero()[:, 0]
    there = rows.to(x.device)
    moved, labels = change(x[there], None if y is None else y[there], take_rows(params, rows))
    # index_copy makes the new batch and fills it in one go; the given one is never written to.
    x = x.index_copy(0, there, moved)
    if y is not None and own.moves:
        y = y.index_copy(0, there, labels)
    return x, y


def default_nnunet(
    patch: Sequence[int], mirror: Sequence[int] | None = None
) -> tuple[Transform, ...]:
    """Return nnU-Net's augmentations with its probabilities (Isensee et al. 2021, Nat. Methods).

    Rotation (±30° about each axis; ±180° within slices where the patch is more than three times as
    long as thick; images ±180°, long ones ±15°) and scaling 0.7-1.4, each in a fifth of the
    patches; noise with a deviation up to 0.1, a tenth; blur 0.5-1 voxels, a fifth, each channel
    by half; brightness and contrast ×0.75-1.25, .15 each; half to full resolution, a quarter, each
    channel by half; gamma 0.7-1.5 on the negative, a tenth, and plain, three tenths, mean and
    deviation kept; every axis mirrored by half.

    Parameters
    ----------
    patch
        Shape of the patch, the coarse axis first.
    mirror
        Axes that may be mirrored; all if None.

    Examples
    --------
    >>> " ".join(own.name for own in default_nnunet((40, 56, 40)))
    'affine noise blur brightness contrast low-resolution gamma gamma flip'
    >>> default_nnunet((16, 256, 256))[0].flat
    True
    """
    flat = len(patch) == 3 and max(patch) / patch[0] > FLAT_FROM
    ways = tuple(range(len(patch))) if mirror is None else tuple(mirror)
    flips = (Flip(0.5, axes=ways),) if ways else ()
    return (
        Affine(_degrees(patch, flat), (0.7, 1.4), alone=0.2, flat=flat),
        Noise(0.1, p=0.1),
        Blur(1.0, 0.5, each=0.5, p=0.2),
        Brightness(0.25, p=0.15),
        Contrast(0.25, p=0.15),
        LowResolution(0.5, 1.0, each=0.5, fixed=(0,) if flat else (), p=0.25),
        Gamma(low=0.7, high=1.5, turned=True, keep=True, p=0.1),
        Gamma(low=0.7, high=1.5, keep=True, p=0.3),
        *flips,
    )


def _degrees(patch: Sequence[int], flat: bool) -> float | tuple[float, ...]:
    if len(patch) == 2:
        return 15.0 if max(patch) / min(patch) > LONG_IMAGE else 180.0
    return (180.0, 0.0, 0.0) if flat else 30.0


def augmentation_names(family: str = FAMILY) -> list[str]:
    """Return the names of a family's augmentations, without the family.

    Examples
    --------
    >>> "bias-field" in augmentation_names()
    True
    """
    return registry.names("augmentation", family)


def parse_augment(requests: Iterable[str]) -> tuple[Transform, ...]:
    """Return the transforms called by "name" or "name=strength"; "none" adds nothing.

    The strength takes the place of the first setting of the transform: the largest angle, shift,
    width or size. Every one is applied to each example; chances are for those who build them.

    Raises
    ------
    ConfigError
        If a name is unknown (the message suggests the nearest) or a strength is no number.

    Examples
    --------
    >>> [own.name for own in parse_augment(["rotate=15", "gamma"])]
    ['affine', 'gamma']
    >>> parse_augment(["none"])
    ()
    """
    return tuple(_parse(request) for request in requests if request != "none")


def _parse(request: str) -> Transform:
    name, equals, number = request.partition("=")
    make = registry.load("augmentation", registry.key("augmentation", name, FAMILY))
    if not equals:
        return make()
    strength = _number(number)
    if not math.isfinite(strength):
        raise ConfigError(
            f"augment: the strength in '{request}' must be a number, such as '{name}=0.2'."
        )
    parameters = inspect.signature(make).parameters.values()
    free = [own.name for own in parameters if own.kind is not own.KEYWORD_ONLY]
    if not free:
        raise ConfigError(f"augment: '{name}' has no strength to set; write the bare name.")
    default = inspect.signature(make).parameters[free[0]].default
    return make(**{free[0]: type(default)(strength) if isinstance(default, int) else strength})


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
