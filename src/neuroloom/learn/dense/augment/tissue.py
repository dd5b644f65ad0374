"""What sections of tissue may look like: turned any way, lit unevenly, sharper or duller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.augment.axiswise import Blur, LowResolution
from neuroloom.learn.dense.augment.intensity import (
    BiasField,
    Brightness,
    Contrast,
    Gamma,
    Lookup,
    Noise,
)
from neuroloom.learn.dense.augment.spatial import Affine, Elastic, Flip
from neuroloom.learn.dense.augment.transform import Canvas, Params, Transform

STACK_DEGREES = 30.0
KINDS = ("tissue", "tissue-strong", "objects")


@dataclass(frozen=True)
class Turn(Transform):
    """Turn the last two axes by a random number of quarters, exactly.

    A patch whose last two axes differ in length is turned by a half only, so that it keeps its
    shape.

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> Turn().change(x, None, {"quarters": torch.tensor([1])})[0].tolist()
    [[[[2.0, 4.0], [1.0, 3.0]]]]
    """

    name: ClassVar[str] = "turn"
    invertible: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    def draw_rows(self, n: int, canvas: Canvas, generator: Generator) -> Params:
        """Draw the quarters, (n,)."""
        square = canvas.axes[-1] == canvas.axes[-2]
        drawn = torch.randint(4 if square else 2, (n,), generator=generator)
        quarters = drawn if square else 2 * drawn
        return {"on": quarters > 0, "quarters": quarters}

    def change(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Turn image and labels."""
        return _turned(x, params["quarters"]), None if y is None else _turned(y, params["quarters"])

    def revert(self, x: Tensor, y: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Turn back, which is exact."""
        return self.change(x, y, {"quarters": -params["quarters"]})


def _turned(batch: Tensor, quarters: Tensor) -> Tensor:
    pairs = zip(batch, quarters.tolist(), strict=True)
    return torch.stack([torch.rot90(own, int(k), (-2, -1)) for own, k in pairs])


def default_tissue(
    patch: Sequence[int], mirror: Sequence[int] | None = None, kind: str = "tissue"
) -> tuple[Transform, ...]:
    """Return the augmentations for microscopy, where a few images must stand for many.

    A section has no up and no left: every patch is mirrored and turned by quarters, a third of
    them by any angle and by 0.7-1.4 in size, and some are bent. Brightness changes as seldom as
    nnU-Net has it: how dark something is tells myelin from mitochondria.

    Parameters
    ----------
    patch
        Shape of the patch.
    mirror
        Axes that may be mirrored; all if None. Where one may not, nothing is turned by quarters.
    kind
        "tissue-strong" is for images that will be of other animals, stains and microscopes: half of
        the patches get brightness through a random rising curve, sizes change by 0.5-1.7, and light
        more often. "objects" is as strong, and half of the patches get a light that is 2.5 times as
        bright on one side as on the other in the median, nine times in a tenth of them: one nucleus
        is often much dimmer than the next. (Axons are known by being dark: not for them.)

    Examples
    --------
    >>> " ".join(own.name for own in default_tissue((64, 64)))
    'affine elastic noise blur brightness contrast bias-field low-resolution gamma flip turn'
    >>> [own.name for own in default_tissue((64, 64), kind="tissue-strong")][2]
    'lookup'
    """
    if kind not in KINDS:
        raise ConfigError(f"kind is '{kind}', expected one of {', '.join(KINDS)}.")
    ways = tuple(range(len(patch))) if mirror is None else tuple(mirror)
    symmetric = len(ways) == len(patch)
    degrees = 180.0 if len(patch) == 2 and symmetric else STACK_DEGREES
    strong = kind != "tissue"
    often = 2.0 if strong else 1.0
    sizes, alone = ((0.5, 1.7), 0.5) if strong else ((0.7, 1.4), 0.3)
    light = BiasField(0.8, p=0.5) if kind == "objects" else BiasField(0.2, p=0.1 * often)
    return (
        Affine(degrees, sizes, alone=alone),
        Elastic(4.0, p=0.15),
        *((Lookup(free=0.0, turn=0.0, p=0.5),) if strong else ()),
        Noise(0.15, p=0.15 * often),
        Blur(1.2, 0.5, p=0.15 * often),
        Brightness(0.25 * often, p=0.15 * often),
        Contrast(0.25, p=0.15 * often),
        light,
        LowResolution(0.5, 1.0, p=0.15),
        Gamma(low=0.7, high=1.5, keep=True, p=0.2 * often),
        *((Flip(0.5, axes=ways),) if ways else ()),
        *((Turn(),) if symmetric else ()),
    )
