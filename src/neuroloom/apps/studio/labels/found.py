"""What a model found in images that are painted on, and which slices a person should look at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from neuroloom.apps.studio.shown import class_names, objects_of
from neuroloom.apps.studio.workspace import MissingError
from neuroloom.core.errors import DataError
from neuroloom.io.names import plain

DIFFERS, UNSURE = "mask and net disagree", "the net is unsure"
ENDINGS = (".nii.gz", ".png", ".tif", ".nii", ".mha", ".nrrd", ".tiff")


def read_found(prediction: Path | None, stem: str, size: tuple[int, ...]) -> np.ndarray:
    """Return the mask that a model made of an image, on the image's grid.

    Raises
    ------
    MissingError
        If no model has looked at it.
    DataError
        If what it made lies on another grid.
    """
    file = _file(prediction, stem)
    if file is None:
        raise MissingError(f"No model has looked at {stem} yet.")
    found = _read(file, file.stat().st_mtime_ns)
    if found.shape != tuple(size):
        raise DataError(f"{file.name}: has the grid {found.shape}, {stem} has {tuple(size)}.")
    return found


def numbers_here(run: Path, structures: Sequence[str], *, own: bool) -> dict[int, int] | int:
    """Return what each number in a run's masks is here: a class goes by its name.

    Where no class has a name, and there are as many structures, they go by their numbers.

    Parameters
    ----------
    run
        Folder of the model's run.
    structures
        Names of the structures here, in the order of their numbers (1, 2, …).
    own
        Whether it learnt from this labelling: then numbers mean the same, whatever was renamed.

    Returns
    -------
    Number there to number here; or one number here, of all objects where a run numbers objects.

    Raises
    ------
    DataError
        If no class is called as a structure, and there is not one of each.
    """
    from neuroloom.learn.dense.data.audit import unnamed

    names, objects = class_names(run), objects_of(run)
    if not objects and own:
        return {k: k for k in range(1, len(structures) + 1)}
    own_names = {name: k for k, name in enumerate(structures, start=1)}
    here = {plain(name): k for name, k in own_names.items()} | own_names
    pairs = ((int(k), here.get(name) or here.get(plain(name))) for k, name in names.items())
    known = {number: k for number, k in pairs if k}
    told = [objects] if objects else list(names.values())
    if len(told) == len(structures) == 1:
        return 1 if objects else {int(number): 1 for number in names}
    if objects and plain(objects) in here:
        return here[plain(objects)]
    if known and not objects:
        return known
    if not objects and set(unnamed(names)) == {*names} == {*map(str, own_names.values())}:
        return {k: k for k in own_names.values()}
    raise DataError(
        f"The model {run.name} finds {', '.join(told[:8]) or 'nothing that is named'}; here are "
        f"{', '.join(structures[:8])}. Add a structure under the model's name for it."
    )


def in_numbers_here(found: np.ndarray, numbers: dict[int, int] | int) -> np.ndarray:
    """Return a model's mask in the numbers of this labelling, uint8; what it does not know is 0.

    Examples
    --------
    >>> in_numbers_here(np.array([[0, 1, 2, 9]]), {1: 2, 2: 1}).tolist()
    [[0, 2, 1, 0]]
    >>> in_numbers_here(np.array([[0, 1, 2, 900]]), 3).tolist()
    [[0, 3, 3, 3]]
    """
    if isinstance(numbers, int):
        return np.where(found > 0, numbers, 0).astype(np.uint8)
    table = np.zeros(max([int(found.max(initial=0)), *numbers]) + 1, np.uint8)
    table[list(numbers)] = list(numbers.values())
    made = np.empty(found.shape, np.uint8)
    for k, part in enumerate(found):  # a slice at a time: indices are large
        made[k] = table[part.astype(np.intp)]
    return made


def read_unsure(prediction: Path, stem: str, size: tuple[int, ...]) -> np.ndarray | None:
    """Return the model's uncertainty of each voxel, None if it left none."""
    file = _file(prediction, f"{stem}_uncertainty")
    found = None if file is None else _read(file, file.stat().st_mtime_ns)
    return found if found is not None and found.shape == tuple(size) else None


def weigh_slices(
    found: np.ndarray, mask: np.ndarray, unsure: np.ndarray | None
) -> list[tuple[int, float, str]]:
    """Return (slice along the first axis, doubt from 0 to 1, why) of slices worth a look.

    Where somebody painted, the doubt is the share of voxels of either mask in which the two differ;
    elsewhere the uncertainty summed over the slice, over the voxels that the model found there.

    Parameters
    ----------
    found, mask
        Shape (z, y, x), or (y, x), which counts as one slice.
    unsure
        As `found`, or None.

    Examples
    --------
    >>> found = np.zeros((2, 2, 2), int)
    >>> found[0, 0], found[1, 0] = 1, 1
    >>> mask = np.zeros((2, 2, 2), int)
    >>> mask[0, 0, 0] = 1
    >>> weigh_slices(found, mask, np.full((2, 2, 2), 0.5))
    [(0, 0.5, 'mask and net disagree'), (1, 1.0, 'the net is unsure')]
    """
    if found.ndim == 2:
        found, mask = found[None], mask[None]
        unsure = None if unsure is None else unsure[None]
    there, drawn = found.reshape(len(found), -1), mask.reshape(len(mask), -1)
    differ = np.asarray(there != drawn).sum(1)
    either = np.asarray((there > 0) | (drawn > 0)).sum(1)
    painted: np.ndarray = np.any(drawn > 0, axis=1)
    total = np.zeros(len(found)) if unsure is None else unsure.reshape(len(unsure), -1).sum(1)
    share = np.minimum(total / np.maximum(either, 1), 1.0)
    rows = []
    apart: np.ndarray = np.where(painted, differ / np.maximum(either, 1), share)
    for k in np.flatnonzero(either):
        value = apart[k]
        why = DIFFERS if painted[k] else UNSURE
        rows.append((int(k), round(float(value), 4), why))
    return rows


@lru_cache(maxsize=2)  # what was found in an image, and how sure the model is
def _read(file: Path, changed: int) -> np.ndarray:
    from neuroloom.io.images import read_image, to_array

    return to_array(read_image(file))[0]


def _file(prediction: Path | None, stem: str) -> Path | None:
    if prediction is None:
        return None
    files = (prediction / f"{stem}{ending}" for ending in ENDINGS)
    return next((file for file in files if file.is_file()), None)
