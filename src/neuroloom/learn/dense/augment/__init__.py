"""Changes of images and their labels, in batches, on their device.

Draw first, apply then: `Augmenter(default_nnunet(patch), Canvas(channels, patch))` has `draw`,
`apply`, `invert` and `sample` (patches straight from whole cases). `parse_augment` reads names.
"""

from neuroloom.learn.dense.augment.pipeline import (
    Augmenter,
    Drawn,
    augmentation_names,
    default_nnunet,
    parse_augment,
)
from neuroloom.learn.dense.augment.sample import cut_patch, sample_and_warp
from neuroloom.learn.dense.augment.transform import Canvas, Transform

__all__ = [
    "Augmenter",
    "Canvas",
    "Drawn",
    "Transform",
    "augmentation_names",
    "cut_patch",
    "default_nnunet",
    "parse_augment",
    "sample_and_warp",
]
