"""How well pupils are found where the truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.eye.find.ellipse import inside
from neuroloom.eye.find.pupils import Found, find_pupils, maps_of
from neuroloom.eye.measures import SHUT

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.eye.nets import EyeNet
    from neuroloom.eye.render import Frames

FEWEST_PIXELS = 60


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return twice the overlap over the sum of two masks; 1 if both are empty.

    Examples
    --------
    >>> dice(np.array([1, 1, 0], bool), np.array([1, 0, 0], bool)).__round__(3)
    0.667
    """
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def pupil_masks(frames: np.ndarray, found: Found, net: EyeNet) -> np.ndarray:
    """Return the visible pupils (n, y, x): the ellipse between the lids, as the net sees them."""
    import torch
    from torch.nn.functional import interpolate

    maps, _ = maps_of(frames, net)
    lids = torch.from_numpy(maps[:, 2:])
    opened = interpolate(lids, frames.shape[1:], mode="bilinear")[:, 0].numpy() > 0.5
    masks = np.zeros(frames.shape, bool)
    for k, ellipse in enumerate(found.ellipse):
        if np.isfinite(ellipse).all():
            masks[k] = inside(ellipse, frames.shape[1:]) & opened[k]
    return masks


def judge(frames: Frames, net: EyeNet) -> pd.DataFrame:
    """Return a row a rendered frame: Dice of the visible pupil, errors of place and size, blink.

    Returns
    -------
    DataFrame
        dice, centre_px, diameter_error (share), NaN where the pupil is covered or outside the
        picture; blink, blink_found, confidence.
    """
    import pandas as pd

    found = find_pupils(frames.image, net)
    masks = pupil_masks(frames.image, found, net)
    visible = frames.present & ~frames.blink & (frames.pupil.sum(axis=(1, 2)) >= FEWEST_PIXELS)
    overlap = [dice(a, b) for a, b in zip(masks, frames.pupil, strict=True)]
    off = np.hypot(*(found.ellipse[:, :2] - frames.ellipse[:, :2]).T)
    wide = found.ellipse[:, 2] / frames.ellipse[:, 2] - 1
    columns = {"dice": overlap, "centre_px": off, "diameter_error": wide}
    table = pd.DataFrame({name: np.where(visible, part, np.nan) for name, part in columns.items()})
    return table.assign(
        blink=frames.blink, blink_found=found.blink > SHUT, confidence=found.confidence,
        visible=visible,
    )  # fmt: skip


def f1(truth: np.ndarray, found: np.ndarray) -> float:
    """Return the harmonic mean of precision and recall; 1 if there is nothing and none was found.

    Examples
    --------
    >>> f1(np.array([True, False, True]), np.array([True, False, False])).__round__(3)
    0.667
    """
    return dice(np.asarray(truth, bool), np.asarray(found, bool))
