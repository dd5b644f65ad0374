"""Images and volumes by slices: three planes, window and level, a mask on top."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.apps.studio.views import View, Window
from neuroloom.apps.studio.views.asked import beside, changed, choice, number, picture, whole
from neuroloom.core.errors import DataError
from neuroloom.core.files import to_json

if TYPE_CHECKING:
    from neuroloom.apps.studio.service import Studio

KEPT = 3  # images in memory
MOST_BYTES = 4 * 1024**3
AXES = ("z", "y", "x")
MASKS = ("label", "mask", "seg", "truth", "artifacts")
MOST_CLASSES = 64  # distinct whole numbers up to which an image may be a mask
SAMPLED = 200_000


@dataclass(frozen=True, eq=False)
class Grid:
    """An image as it is shown: (channel, x, y, z), x to the right, y to the front, z up.

    `spacing` has the size of a voxel along x, y and z; `flat` says that there is one plane only.
    """

    values: np.ndarray
    spacing: tuple[float, float, float]
    unit: str
    channels: tuple[str, ...]
    flat: bool

    @cached_property
    def classes(self) -> list[int] | None:
        """The classes of its first channel, None where it is no mask; looked for once."""
        return _classes(self.values[0])


class VolumeView(View):
    """Slices of a volume, or an image."""

    kind = "volume"

    def header(self, path: Path) -> dict[str, Any]:
        """Return shape and spacing (x, y, z), channels, and a range of values that fits."""
        grid = load_grid(path, *changed(path))
        spread = [_spread(channel) for channel in grid.values]
        return {
            "shape": list(grid.values.shape[1:]),
            "spacing": list(grid.spacing),
            "unit": grid.unit,
            "channels": list(grid.channels),
            "flat": grid.flat,
            "low": [low for low, _ in spread],
            "high": [high for _, high in spread],
            "classes": grid.classes,
        }

    def window(self, path: Path, asked: dict[str, str]) -> Window:
        """Return a slice as PNG, or with `what=value` the value at `x`, `y`, `z`.

        `axis` (z, y or x) and `index`; `low` and `high`, the values that are black and white;
        `channel`; `overlay`, a mask of the same grid, and `opacity`, 0 to 1. The first row is the
        top: the front in z, the crown in y and x.
        """
        grid = load_grid(path, *changed(path))
        channel = whole(asked, "channel", 0, 0, len(grid.values) - 1)
        values = grid.values[channel]
        if choice(asked, "what", ("slice", "value")) == "value":
            return _value(values, asked)
        axis = choice(asked, "axis", AXES)
        index = whole(asked, "index", values.shape["xyz".index(axis)] // 2, 0,
                      values.shape["xyz".index(axis)] - 1)  # fmt: skip
        plane = plane_of(values, axis, index)
        if plane.dtype == np.uint8 and "low" not in asked and len(grid.values) == 3:
            return picture(np.stack([plane_of(c, axis, index) for c in grid.values], -1))
        low, high = number(asked, "low", 0.0), number(asked, "high", 255.0)
        grey = to_grey(plane, low, high)
        if "overlay" not in asked:
            return picture(grey)
        mask = _mask_on(Path(asked["overlay"]), grid, path)
        over = plane_of(mask, axis, index).astype(np.int64)
        return picture(paint(grey, over, min(max(number(asked, "opacity", 0.5), 0.0), 1.0)))

    def show(self, studio: Studio, data: str, over: str = "") -> None:
        """Build the viewer; masks that lie beside the file are offered."""
        from neuroloom.apps.studio.views.element import place

        self.header(studio.workspace.locate(data))
        own = [[over.rpartition("/")[2], over]] if over else []
        offers = [*own, *(one for one in _offers(studio, data) if one[1] != over)]
        name = f"Slices of {data.rpartition('/')[2]}"
        place("volume", data, name, overlays=offers, overlay=over)


def _offers(studio: Studio, data: str, most: int = 40) -> list[list[str]]:
    """Return (name, path) of images that may be masks of this one, its namesakes first."""
    from neuroloom.io.images import image_stem, is_image

    stem = image_stem(Path(data)).removesuffix("_0000")
    found = [
        (name, path)
        for name, path in beside(studio, data, MASKS)
        if path != data and is_image(Path(path))
    ]
    found.sort(key=lambda one: (stem not in one[0], not any(w in one[0].lower() for w in MASKS)))
    return [list(one) for one in found[:most]]


@lru_cache(maxsize=KEPT)
def load_grid(path: Path, when: int, size: int) -> Grid:
    """Return an image with its axes in the order and direction in which they are shown.

    Raises
    ------
    DataError
        If it cannot be read, or is too large to look at here.
    """
    from neuroloom.io.images import peek_image, read_image

    head = peek_image(path)
    bytes_ = np.prod([float(n) for n in head.shape]) * len(head.channels)
    bytes_ *= np.dtype(head.dtype).itemsize
    if bytes_ > MOST_BYTES:
        raise DataError(
            f"{path.name} takes {bytes_ / 1024**3:.1f} GB in memory; up to "
            f"{MOST_BYTES // 1024**3} GB are shown here."
        )
    found = read_image(path)
    names = tuple(str(name) for name in found.coords["channel"].values)
    if "z" not in found.dims:
        values = found.transpose("channel", "x", "y").values[:, :, ::-1, None]
        y, x = head.spacing
        return Grid(values, (x, y, 1.0), head.unit, names, True)
    values = found.transpose("channel", "x", "y", "z").values
    z, y, x = head.spacing
    values, spacing = canonical(values, np.asarray(found.attrs["affine"], float), (x, y, z))
    return Grid(values, spacing, head.unit, names, values.shape[3] == 1)


def canonical(
    values: np.ndarray, affine: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Return (channel, x, y, z) with axes along right, front and up, without resampling.

    Examples
    --------
    >>> values = np.arange(8).reshape(1, 2, 2, 2)
    >>> turned, _ = canonical(values, np.diag([-1.0, 1, 1, 1]), (1.0, 1.0, 1.0))
    >>> turned[0, :, 0, 0].tolist()
    [4, 0]
    """
    from neuroloom.io.cases.upright import Turn

    turn = Turn(affine, values.shape[:0:-1])
    x, y, z = turn.moved(spacing[::-1])[::-1]
    return turn.there(values.transpose(0, 3, 2, 1)).transpose(0, 3, 2, 1), (x, y, z)


def plane_of(values: np.ndarray, axis: str, index: int) -> np.ndarray:
    """Return a slice (row, column) of (x, y, z), its top row first.

    Examples
    --------
    >>> plane_of(np.zeros((4, 5, 6)), "x", 0).shape
    (6, 5)
    """
    at: list[slice | int] = [slice(None)] * 3
    at["xyz".index(axis)] = index  # a view: taking would copy a turned volume whole
    return values[tuple(at)].T[::-1]


def to_grey(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values as grey levels; not a number is black."""
    span = max(high - low, 1e-12)
    scaled = (np.asarray(plane, np.float32) - low) * (255.0 / span)
    known = scaled if plane.dtype.kind in "bui" else np.nan_to_num(scaled, copy=False)
    return np.clip(known, 0, 255, out=known).astype(np.uint8)


def paint(grey: np.ndarray, mask: np.ndarray, opacity: float) -> np.ndarray:
    """Return grey levels with a mask's classes painted on, (y, x, 3) uint8; class 0 is clear."""
    from neuroloom.learn.overlay import colours

    top = int(max(mask.max(initial=0), 1))
    palette = np.array([(0, 0, 0), *colours(max(top, 6))], np.float32)
    share = np.where(mask > 0, opacity, 0.0).astype(np.float32)[..., None]
    inside = palette[np.minimum(mask, len(palette) - 1)]
    return ((1 - share) * grey[..., None] + share * inside).astype(np.uint8)


def _mask_on(file: Path, grid: Grid, path: Path) -> np.ndarray:
    found = load_grid(file, *changed(file))
    mask = found.values[0]
    if mask.shape != grid.values.shape[1:]:
        raise DataError(
            f"{file.name} has the shape {mask.shape}, {path.name} {grid.values.shape[1:]}: "
            "they are no image and mask of one grid."
        )
    if found.classes is None:
        raise DataError(f"{file.name} has no whole numbers for classes: it is no mask.")
    return mask


def _classes(values: np.ndarray) -> list[int] | None:
    """Return the classes of what may be a mask: a few whole numbers from 0 on."""
    few = values.reshape(-1)[:: max(1, values.size // SAMPLED)]
    found = np.unique(few)
    usual = len(found) <= MOST_CLASSES and np.isfinite(found).all() and (found >= 0).all()
    return [int(v) for v in found] if usual and (found == np.round(found)).all() else None


def _spread(values: np.ndarray) -> tuple[float, float]:
    few = values.reshape(-1)[:: max(1, values.size // SAMPLED)].astype(np.float64)
    known = few[np.isfinite(few)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.percentile(known, [1, 99.5])
    if high <= low:
        low, high = float(known.min()), float(known.max())
    return float(low), float(high if high > low else low + 1)


def _value(values: np.ndarray, asked: dict[str, str]) -> Window:
    place = [whole(asked, n, 0, 0, values.shape[k] - 1) for k, n in enumerate("xyz")]
    value = float(values[tuple(place)])
    known = value if np.isfinite(value) else None
    return Window(to_json({"at": place, "value": known}).encode())
