"""A user's own labelled pictures of eyes, for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    from neuroloom.eye.training import Bank

PICTURES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp"})
PUPIL, IRIS, REST = 1, 2, 3


@dataclass(frozen=True)
class Drawing:
    """What a set of labelled pictures means, which no picture of it tells by itself.

    Attributes
    ----------
    alone
        Masks show the pupil alone, in any value; else 1 pupil, 2 iris, 3 the rest of the eye.
    depth
        Bits of values in pictures of more than 8; None where all have 8.
    """

    alone: bool = False
    depth: int | None = None


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
            file.stem: file
            for file in sorted(part.iterdir())
            if file.suffix.lower() in PICTURES and not file.name.startswith(".")
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


def how_drawn(pairs: list[tuple[Path, Path]]) -> Drawing:
    """Open labelled pictures and tell what all of them mean together.

    In a mask 0 is none, 1 pupil, 2 iris around it, 3 the rest of the eye. Where no mask has more
    than one value besides 0, and they are not several of these three, that is the pupil.

    Raises
    ------
    DataError
        As `open_labelled`; or a mask holds another value while others hold several of the three.
    """
    from neuroloom.io.labels.pictures import depth_of

    held = {mask: set(np.unique(open_labelled(image, mask)[1]).tolist()) - {0}
            for image, mask in pairs}  # fmt: skip
    every, parts = {value for own in held.values() for value in own}, {PUPIL, IRIS, REST}
    alone = all(len(own) < 2 for own in held.values()) and (len(every) < 2 or not every <= parts)
    for mask, own in held.items():
        if not alone and not own <= parts:
            raise DataError(
                f"{mask.name} holds {sorted(own)}, other masks 1 pupil, 2 iris, 3 rest: draw all "
                "of a set in one way."
            )
    return Drawing(alone, depth_of(Path(), (str(image) for image, _ in pairs)))


def read_labelled(pairs: list[tuple[Path, Path]], side: int, drawing: Drawing) -> Bank:
    """Read labelled pictures, each in the middle of a square, its longer side `side` px.

    Beside a picture that is no square its edge goes on, and nothing counts as labelled. Of pupils
    drawn alone, iris, eye and blink count as not labelled. In a mask with nothing drawn the pupil
    is covered, and whether there is an eye is not known.

    Raises
    ------
    DataError
        As `open_labelled`.
    """
    import torch

    from neuroloom.eye.training import Bank

    rows = [_read(*pair, side, drawing) for pair in pairs]
    image, masks, inside, tags, known = (np.stack(part) for part in zip(*rows, strict=True))
    return Bank(
        torch.from_numpy(image).float(), torch.from_numpy(masks), torch.from_numpy(inside),
        torch.from_numpy(tags).float(), torch.from_numpy(known).float(),
    )  # fmt: skip


def open_labelled(
    image: Path, mask: Path, depth: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and its mask, (y, x) each; brightness as uint8, labels as they are drawn.

    Of a picture of more than 8 bits the upper 8 of `depth` are seen.

    Raises
    ------
    DataError
        If one cannot be read, sizes differ, or the mask holds other values or several colours.
    """
    from PIL import Image

    from neuroloom.io.labels.pictures import load_picture

    pixels = load_picture(image.parent, image.name, depth)
    grey = (
        pixels[..., 0]
        if pixels.shape[-1] == 1
        else np.asarray(Image.fromarray(pixels).convert("L"))
    )
    try:
        with Image.open(mask) as drawn:
            label = _one_channel(np.asarray(drawn), mask.name)
    except (OSError, SyntaxError) as error:
        raise DataError(f"{mask.name} cannot be read ({error}).") from None
    if label.shape != grey.shape:
        own, other = (f"{part.shape[1]} x {part.shape[0]} px" for part in (label, grey))
        raise DataError(f"{mask.name} has {own}, {image.name} {other}: a mask lies on its picture.")
    values = set(np.unique(label).tolist()) - {0}
    if len(values) > 1 and not values <= {PUPIL, IRIS, REST}:
        raise DataError(f"{mask.name} holds {sorted(values)}; expected 1 pupil, 2 iris, 3 rest.")
    return grey, label


def _one_channel(pixels: np.ndarray, name: str) -> np.ndarray:
    """Return (y, x) of a mask drawn in grey or in one colour, whatever its transparency."""
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3] if pixels.shape[-1] > 2 else pixels[..., :1]
    label = colours.max(axis=-1)
    used = colours[..., colours.any(axis=(0, 1))]
    if (used != label[..., None]).any() and len(np.unique(colours[label > 0], axis=0)) > 1:
        raise DataError(
            f"{name} is drawn in several colours; expected one channel with 1 pupil, 2 iris, 3 "
            "rest, or the pupil alone in one colour."
        )
    return label


def masks_of(label: np.ndarray, alone: bool) -> np.ndarray:
    """Return pupil, iris and eye (3, y, x) of a mask; of a pupil drawn alone that pupil thrice.

    Examples
    --------
    >>> masks_of(np.array([[0, 1, 2, 3]]), alone=False)[:, 0].astype(int).tolist()
    [[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    """
    drawn = label > 0
    return np.stack([drawn] * 3 if alone else [label == PUPIL, drawn & (label <= IRIS), drawn])


def _read(image: Path, mask: Path, side: int, drawing: Drawing) -> tuple[np.ndarray, ...]:
    grey, label = open_labelled(image, mask, drawing.depth)
    alone, nested = drawing.alone, masks_of(label, drawing.alone)
    small = np.stack([_fitted(255 * part.astype(np.uint8), side) > 127 for part in nested])
    inside = _fitted(np.full_like(grey, 255), side) > 127
    seen, drawn = bool(nested[0].any()), bool(label.any())
    tags = np.array([True, not seen], float)
    known = np.array([1, not alone, not alone, drawn, seen or not alone], float)
    picture = _fitted(grey, side, "edge")
    return picture, small.astype(np.uint8), inside.astype(np.uint8), tags, known


def _fitted(
    pixels: np.ndarray, side: int, beside: Literal["constant", "edge"] = "constant"
) -> np.ndarray:
    """Return pixels (y, x) in their proportions, in a square filled up with 0 or their edge."""
    from PIL import Image

    height, width = (max(1, round(side * length / max(pixels.shape))) for length in pixels.shape)
    small = np.asarray(Image.fromarray(pixels).resize((width, height)))
    return np.pad(small, [((side - n) // 2, (side - n + 1) // 2) for n in small.shape], beside)
