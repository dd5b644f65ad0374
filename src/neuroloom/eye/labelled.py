"""A user's own labelled pictures of eyes, for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    from neuroloom.eye.training import Bank

PICTURES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp"})
PUPIL, IRIS, REST = 1, 2, 3


def find_labelled(folder: Path) -> list[tuple[Path, Path]]:
    """Return pictures with their masks: `images/NAME.*` and `masks/NAME.*`.

    Raises
    ------
    DataError
        If there is none, or a picture has no mask.
    """
    parts = {name: folder / name for name in ("images", "masks")}
    for name, part in parts.items():
        if not part.is_dir():
            raise DataError(f"{folder}: expected a folder {name}/ in it.")
    found = {
        name: {
            file.stem: file for file in sorted(part.iterdir()) if file.suffix.lower() in PICTURES
        }
        for name, part in parts.items()
    }
    if not found["images"]:
        raise DataError(f"{folder}: no picture in images/ ({', '.join(sorted(PICTURES))}).")
    if lacking := sorted(set(found["images"]) - set(found["masks"])):
        raise DataError(
            f"{folder}: {lacking[0]} has no mask, one of {len(lacking)} that lack theirs."
        )
    return [(file, found["masks"][stem]) for stem, file in found["images"].items()]


def read_labelled(pairs: list[tuple[Path, Path]], side: int) -> Bank:
    """Read labelled pictures, each resized to a square of `side` px.

    In a mask 0 is none, 1 pupil, 2 iris around it, 3 the rest of the eye. Where only 0 and one
    other value occur, that is the pupil; iris, eye and blink then count as not labelled.

    Raises
    ------
    DataError
        If sizes differ or a mask holds other values.
    """
    import torch

    from neuroloom.eye.training import Bank

    rows = [_read(*pair, side) for pair in pairs]
    image, masks, tags, known = (np.stack(part) for part in zip(*rows, strict=True))
    return Bank(
        torch.from_numpy(image).float(), torch.from_numpy(masks), torch.from_numpy(tags).float(),
        torch.from_numpy(known).float(),
    )  # fmt: skip


def _read(image: Path, mask: Path, side: int) -> tuple[np.ndarray, ...]:
    from PIL import Image

    try:
        with Image.open(image) as picture, Image.open(mask) as drawn:
            grey, label = picture.convert("L"), np.asarray(drawn)
    except OSError as error:
        raise DataError(f"{image.name} or its mask cannot be read ({error}).") from None
    label = label[..., 0] if label.ndim == 3 else label
    if label.shape != (grey.height, grey.width):
        raise DataError(
            f"{mask.name} has {label.shape[1]} x {label.shape[0]} px, {image.name} "
            f"{grey.width} x {grey.height}: a mask lies on its picture."
        )
    values = set(np.unique(label).tolist()) - {0}
    alone = len(values) <= 1
    if not alone and not values <= {PUPIL, IRIS, REST}:
        raise DataError(f"{mask.name} holds {sorted(values)}; expected 1 pupil, 2 iris, 3 rest.")
    nested = (
        [label > 0] * 3 if alone else [label == PUPIL, (label > 0) & (label <= IRIS), label > 0]
    )
    small = [
        np.asarray(Image.fromarray(255 * part.astype(np.uint8)).resize((side, side))) > 127
        for part in nested
    ]
    seen = bool(nested[0].any())
    tags = np.array([True, not seen], float)
    known = np.array([1, not alone, not alone, seen or not alone, seen or not alone], float)
    return np.asarray(grey.resize((side, side))), np.stack(small).astype(np.uint8), tags, known
