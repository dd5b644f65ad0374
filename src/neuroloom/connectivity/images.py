"""Mean signals of regions from functional images, through nilearn's maskers."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.connectivity.data import Signals
from neuroloom.core.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

# What fMRIPrep calls the movement and the signals of ventricles and white matter.
USUAL = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "csf", "white_matter")


def read_image(path: Path, atlas: Path | None, confounds: list[str] | None = None) -> Signals:
    """Read the mean signal of every region of an atlas from a 4-D NIfTI.

    Parameters
    ----------
    path
        Image with time as its fourth axis.
    atlas
        3-D labels (0 is none) or 4-D maps in the same space; a table `<atlas>.tsv|.csv` beside it
        with the columns index and name names the regions.
    confounds
        Columns of the `*confounds*.tsv` beside the image that are taken out; None for `USUAL` where
        such a file exists, [] for none.

    Raises
    ------
    ConfigError
        If there is no atlas.
    DataError
        If an image cannot be read or has the wrong axes.
    """
    import nibabel

    if atlas is None:
        raise ConfigError(
            f"{path.name}: an image has voxels, not nodes. Name an atlas of regions in the same "
            "space: `atlas: regions.nii.gz`."
        )
    try:
        image: Any = nibabel.load(path)
        regions: Any = nibabel.load(atlas)
    except Exception as error:
        raise DataError(f"{path.name} or {atlas.name} cannot be read as NIfTI ({error}).") from None
    if len(image.shape) != 4:
        raise DataError(f"{path.name}: expected four axes (x, y, z, time), got {image.shape}.")
    masker, places, numbers = _masker(regions)
    values = masker.fit_transform(image, confounds=_confounds(path, confounds)).T
    names = _names(atlas, numbers, len(values))
    return Signals(
        values.astype(float), names, places=places if len(places) == len(values) else None
    )


def _masker(regions: Any) -> tuple[Any, np.ndarray, list[int]]:
    """Return the masker, the centres of the regions (mm), and their numbers in the atlas."""
    from nilearn.maskers import NiftiLabelsMasker, NiftiMapsMasker

    values = np.asarray(regions.dataobj)
    if values.ndim == 4:
        weights = np.abs(np.moveaxis(values, 3, 0)).astype(float)
        return NiftiMapsMasker(regions, standardize=None), _centres(weights, regions), []
    numbers = [int(number) for number in np.unique(values) if number != 0]
    weights = np.array([values == number for number in numbers], dtype=float)
    return NiftiLabelsMasker(regions, standardize=None), _centres(weights, regions), numbers


def _centres(weights: np.ndarray, regions: Any) -> np.ndarray:
    """Return the centres of mass of maps (region, x, y, z), in mm."""
    flat = weights.reshape(len(weights), -1)
    grid = np.indices(weights.shape[1:]).reshape(3, -1)
    voxels = (flat @ grid.T) / np.maximum(flat.sum(1, keepdims=True), 1e-12)
    affine = np.asarray(regions.affine)
    mm: np.ndarray = voxels @ affine[:3, :3].T + affine[:3, 3]
    return mm


def _names(atlas: Path, numbers: list[int], count: int) -> tuple[str, ...]:
    stem = re.sub(r"\.nii(\.gz)?$", "", atlas.name)
    file = next(
        (f for end in ("tsv", "csv") if (f := atlas.with_name(f"{stem}.{end}")).is_file()), None
    )
    if len(numbers) != count:
        numbers = list(range(1, count + 1))
    if file is None:
        return tuple(f"R{number}" for number in numbers)
    import pandas as pd

    table = pd.read_csv(file, sep="\t" if file.suffix == ".tsv" else ",")
    if not {"index", "name"} <= set(table):
        raise DataError(f"{file.name}: expected the columns index and name, got {list(table)}.")
    known = dict(zip(table["index"].astype(int), table["name"].astype(str), strict=True))
    return tuple(known.get(number, f"R{number}") for number in numbers)


def _confounds(path: Path, wanted: list[str] | None) -> np.ndarray | None:
    stem = re.sub(r"_(space-[^_]+_)?(desc-[^_]+_)?bold\.nii(\.gz)?$", "", path.name)
    files = sorted(path.parent.glob(f"{glob.escape(stem)}*confounds*.tsv"))
    if not files or wanted == []:
        if wanted:
            raise DataError(f"confounds: there is no {stem}*confounds*.tsv beside {path.name}.")
        return None
    import pandas as pd

    table: pd.DataFrame = pd.read_csv(files[0], sep="\t")
    names = list(wanted) if wanted else [name for name in USUAL if name in table]
    for name in names:
        if name not in table:
            raise DataError(f"confounds: {files[0].name} has no '{name}'.{nearest(name, table)}")
    return table[names].fillna(0.0).to_numpy(float) if names else None
