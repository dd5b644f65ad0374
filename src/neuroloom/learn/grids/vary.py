"""How strongly whole images are varied in training, in three steps, by `learn.dense.augment`."""

from __future__ import annotations

from collections.abc import Sequence

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.learn.dense.augment.intensity import Contrast, Gamma, Noise
from neuroloom.learn.dense.augment.pipeline import Augmenter
from neuroloom.learn.dense.augment.spatial import Affine, Flip
from neuroloom.learn.dense.augment.transform import Canvas, Transform

STRENGTHS = ("none", "light", "strong")


def augmenter(
    strength: str, channels: int, shape: Sequence[int], *, resize: bool = True
) -> Augmenter | None:
    """Return what varies a batch of images, or None for "none".

    "light" turns by up to 8 degrees, shifts, resizes by 5 % and changes noise and contrast a
    little; "strong" goes twice as far and mirrors the last axis (left and right).

    Parameters
    ----------
    strength
        One of `STRENGTHS`.
    channels, shape
        Of an image.
    resize
        False where size is what is learnt.

    Raises
    ------
    ConfigError
        If there is no such strength.

    Examples
    --------
    >>> [own.name for own in augmenter("light", 1, (8, 8)).transforms]
    ['affine', 'contrast', 'gamma', 'noise']
    """
    if strength not in STRENGTHS:
        known = ", ".join(STRENGTHS)
        raise ConfigError(
            f"No augmentation is called '{strength}'.{nearest(strength, STRENGTHS)} Known: {known}."
        )
    if strength == "none":
        return None
    far = 1.0 if strength == "light" else 2.0
    span = 0.05 * far if resize else 0.0
    parts: tuple[Transform, ...] = (
        Affine(
            degrees=8.0 * far,
            scales=(1 - span, 1 + span),
            shift=0.03 * far * min(shape),
            outside="border",
            p=0.7,
        ),
        Contrast(0.15 * far, p=0.5),
        Gamma(0.15 * far, p=0.5),
        Noise(0.1 * far, p=0.5),
    )
    if strength == "strong":
        parts = (*parts, Flip(0.5, axes=(len(shape) - 1,)))
    return Augmenter(parts, Canvas(channels, tuple(shape)))
