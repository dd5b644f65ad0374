"""A mask that somebody brings to begin with: brought onto the image's own grid, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_mismatch

if TYPE_CHECKING:
    from neuroloom.io.images import ImageHeader


def read_given(file: Path, image: Path, structures: Sequence[str]) -> np.ndarray:
    """Return a mask on the grid of an image, (z, y, x) or (y, x) uint8.

    A volume whose axes run another way is turned; no voxel is made anew. Black and white is the one
    structure where there is one.

    Parameters
    ----------
    file, image
        The mask, and what it was drawn on.
    structures
        Names of the numbers 1, 2, …

    Raises
    ------
    DataError
        If the mask lies elsewhere, or holds other values than numbers of the structures.
    """
    from neuroloom.io.cases.truth import is_inside, is_two_tone, raw_label
    from neuroloom.io.images import peek_image

    own, other = peek_image(image), peek_image(file)
    given = _on_grid(raw_label(file), own, other)
    if len(structures) == 1 and is_two_tone(given):
        return is_inside(given, file.name).astype(np.uint8)
    least, most = given.min(), given.max()
    whole = given.dtype.kind in "bui" or bool((given == np.round(given)).all())
    if not whole or least < 0 or most > len(structures):
        raise DataError(
            f"{file.name}: holds {'numbers' if whole else 'fractions'} from {least:g} to {most:g}; "
            f"expected whole numbers from 0 to {len(structures)}, one for each of "
            f"{', '.join(structures[:8])}. Name as many structures as the mask has, or renumber it."
        )
    return given.astype(np.uint8)


def _on_grid(given: np.ndarray, own: ImageHeader, other: ImageHeader) -> np.ndarray:
    """Return a mask in the order of the image's axes; refuse one of another grid."""
    from neuroloom.io.cases.upright import Turn

    far = 0.0
    theirs = None if "px" in (own.unit, other.unit) else other.given_in(own.unit).affine
    if own.affine is not None and theirs is not None:
        there = Turn(theirs, given.shape)
        here = Turn(own.affine, own.shape)
        if not np.isnan([here.ways, there.ways]).any():
            given = here.back(there.there(given))
            far = affine_mismatch(here.affine_there, there.affine_there, own.unit)
    if given.shape != own.shape:
        raise DataError(
            f"{other.source}: its grid is {given.shape}, that of {own.source} is {own.shape}; "
            "resample the mask onto the image."
        )
    if far:
        raise DataError(
            f"{other.source}: lies elsewhere than {own.source}: their affines differ by {far:.4g} "
            f"{own.unit}; resample the mask onto the image."
        )
    return given
