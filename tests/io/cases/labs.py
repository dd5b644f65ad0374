"""Writers of tiny files with real formats, types and palettes, for the table of real data sets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]
# x to the left, as most scanners' files have it, and voxels of three sizes.
AFFINE = np.diag([-1.0, 1.5, 2.0, 1.0])
VOC: list[Colour] = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]


def placed(path: Path) -> Path:
    """Return the path once its folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def noise(path: Path, shape: tuple[int, ...], top: int = 250) -> np.ndarray:
    """Return whole numbers that no other file of the name of its two last folders has."""
    seed = [*"/".join(path.parts[-3:]).encode()]
    return np.random.default_rng(seed).integers(1, top, shape)


def drawn(path: Path, shape: tuple[int, ...], values: tuple[int, ...]) -> np.ndarray:
    """Return a label with these values in blocks, moved a little from file to file."""
    label = np.zeros(shape, np.int64)
    start = int(noise(path, (1,), 3)[0])
    for number, value in enumerate(values):
        label[start + 3 * number : start + 3 * number + 3, 2 : 6 + start] = value
    return label


def nii(path: Path, *values: int, channels: int = 0, kind: type = np.int16) -> None:
    """Write a NIfTI or MGH volume: of noise or, with values, a label."""
    import nibabel

    shape = (14, 10, 6)
    data = (
        drawn(path, shape, values)
        if values
        else noise(path, (*shape, channels)[: 3 + bool(channels)])
    )
    plain = path.name.removesuffix(".gz")
    made: Any = nibabel.MGHImage if plain.endswith(".mgz") else nibabel.Nifti1Image
    made = nibabel.Nifti1Pair if plain.endswith((".img", ".hdr")) else made
    made(data.astype(kind), AFFINE).to_filename(placed(path))


def itk(path: Path, *values: int, **header: str) -> None:
    """Write NRRD or MetaImage, with these fields in its header."""
    import SimpleITK

    shape = (6, 10, 14)
    data = drawn(path, shape[::-1], values).T if values else noise(path, shape)
    image = SimpleITK.GetImageFromArray(data.astype(np.uint8 if values else np.int16))
    image.SetSpacing((0.6, 0.7, 3.6))
    for name, value in header.items():
        image.SetMetaData(name, value)
    SimpleITK.WriteImage(image, str(placed(path)))


def picture(path: Path, *values: int, colours: int = 1, **options: Any) -> None:
    """Write a picture of noise or, with values, a mask of greys; 16 bits where these need it."""
    shape = (16, 20)
    data = (
        drawn(path, shape, values)
        if values
        else noise(path, (*shape, colours)[: 2 + (colours > 1)])
    )
    kind = np.uint16 if max(values, default=0) > 255 else np.uint8
    if path.suffix == ".gz":
        plain = path.with_suffix("")
        picture(plain, *values, colours=colours, **options)
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
        return
    Image.fromarray(data.astype(kind)).save(placed(path), **options)


def indexed(path: Path, *values: int, palette: list[Colour] = VOC) -> None:
    """Write a mask whose numbers a palette shows in colours."""
    made = Image.fromarray(drawn(path, (16, 20), values).astype(np.uint8), mode="P")
    made.putpalette(np.ravel(palette).tolist())
    made.save(placed(path))


def painted(path: Path, *colours: Colour) -> None:
    """Write a mask painted in colours on black."""
    numbers = drawn(path, (16, 20), tuple(range(1, len(colours) + 1)))
    Image.fromarray(np.array([(0, 0, 0), *colours], np.uint8)[numbers]).save(placed(path))


def tif(
    path: Path,
    *values: int,
    depth: int = 0,
    kind: type = np.uint8,
    photometric: str = "minisblack",
    **options: Any,
) -> None:
    """Write a TIFF of one page, or of `depth` pages; "rgb" is of three colours."""
    import tifffile

    shape = (depth, 16, 20)[not depth :] + (3,) * (photometric == "rgb")
    flat = drawn(path, (16, 20), values)
    data = np.broadcast_to(flat, shape) if values else noise(path, shape)
    tifffile.imwrite(placed(path), data.astype(kind), photometric=photometric, **options)


def h5(path: Path, **arrays: np.ndarray) -> None:
    """Write HDF5 with these arrays; "__" in a name stands for "/"."""
    import h5py

    with h5py.File(placed(path), "w") as file:
        for name, data in arrays.items():
            file.create_dataset(name.replace("__", "/"), data=data)


def text(path: Path, content: Any) -> None:
    """Write text, and anything else as JSON."""
    placed(path).write_text(content if isinstance(content, str) else json.dumps(content))
