"""Labels of new images: the grid and the format of each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroloom.core.recording import image, volume
from neuroloom.io.cases import Case
from neuroloom.io.images import peek_image, read_image, to_array, write_image
from neuroloom.learn.dense.apply.predict import is_dicom, label_suffix, write_label, write_segments
from tests.grids import OBLIQUE, write_dicom

VOLUMES = {
    "a.nii.gz": ".nii.gz", "A.NII": ".nii", "a.mgz": ".mgz", "A.MGH": ".mgh", "a.NRRD": ".nrrd",
    "a.nhdr": ".nhdr", "A.NHDR": ".nhdr", "a.mha": ".mha", "A.MHA": ".mha", "A.MHD": ".mhd",
    "a.img": ".nii.gz", "a.nrrd.gz": ".nii.gz",
}  # fmt: skip
STACKS = {
    "a.tif": ".tif", "A.TIFF": ".tiff", "a.ome.tif": ".ome.tif", "a.h5": ".h5", "a.zarr": ".zarr",
    "a.hdf5::raw": ".hdf5",
}  # fmt: skip
IMAGES = {"a.png": ".png", "A.PNG": ".png", "a.jpg": ".png", "a.bmp": ".png", "a.tif": ".tif"}


def written(folder: Path, name: str, content: object, suffix: str) -> tuple[Path, Path]:
    """Write an image under a name and a label for it; return their paths."""
    place = name.partition("::")[0]
    write_image(folder / name.lower(), content)  # type: ignore[arg-type]
    (folder / place.lower()).rename(folder / place)
    path = folder / name
    case = Case("new", (path,))
    assert label_suffix(case) == suffix
    label = np.arange(np.prod(case.shape)).reshape(case.shape)
    label[label == 8] = 50_000
    write_label(folder / "out", "new", case, label, label / 50_000)
    made = folder / "out" / f"new{suffix}"
    assert np.array_equal(to_array(read_image(made))[0], label)
    other = suffix if suffix != ".png" else ".tif"
    unsure = to_array(read_image(folder / "out" / f"new_uncertainty{other}"))[0]
    np.testing.assert_allclose(unsure, label / 50_000, atol=1e-6)
    return path, made


@pytest.mark.parametrize("name", VOLUMES)
def test_a_label_of_a_volume_has_its_format_and_its_place(name: str, tmp_path: Path) -> None:
    content = volume(np.random.default_rng(0).normal(0, 9, (5, 6, 7)).astype("f4"), OBLIQUE)
    path, made = written(tmp_path, name, content, VOLUMES[name])
    found, wanted = peek_image(made).affine, peek_image(path).affine
    assert found is not None
    assert wanted is not None
    np.testing.assert_allclose(found, wanted, atol=1e-5 if "mg" in name.lower() else 0)


@pytest.mark.parametrize("name", STACKS)
def test_a_label_of_a_stack_has_its_format_and_the_size_of_its_voxels(
    name: str, tmp_path: Path
) -> None:
    content = volume(np.ones((5, 6, 7), np.uint8), np.diag([0.5, 0.5, 2, 1]), unit="um")
    path, made = written(tmp_path, name, content, STACKS[name])
    assert peek_image(made).spacing == pytest.approx(peek_image(path).spacing)
    assert peek_image(made).unit == peek_image(path).unit == "um"


@pytest.mark.parametrize("name", IMAGES)
def test_a_label_of_a_picture_is_never_packed_with_loss(name: str, tmp_path: Path) -> None:
    written(tmp_path, name, image(np.full((9, 8), 7, np.uint8)), IMAGES[name])


def test_a_series_that_was_picked_by_its_number_is_dicom(tmp_path: Path) -> None:
    import pydicom

    series = write_dicom(tmp_path / "ct", np.ones((2, 3, 4), np.uint16), series=3)
    assert is_dicom(Case("a", (series,)))
    assert is_dicom(Case("a", (Path(f"{series}::3"),)))
    file = next(series.iterdir())
    assert is_dicom(Case("a", (file,)))
    # An X-ray has no place in space on which segments could lie.
    flat = pydicom.dcmread(file)
    del flat.ImagePositionPatient
    flat.save_as(file)
    assert not is_dicom(Case("a", (file,)))


def test_a_segmentation_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    import pydicom

    series = write_dicom(tmp_path / "ct", np.ones((2, 3, 4), np.uint16))
    for file in series.iterdir():
        header = pydicom.dcmread(file)
        del header.StudyInstanceUID
        header.save_as(file)
    case = Case("a", (series,))
    noticed = write_segments(tmp_path, "a", case, np.ones((2, 3, 4), int), {"0": "no", "1": "b"})
    assert [one.title for one in noticed] == ["A DICOM Segmentation is missing"]
    assert not (tmp_path / "a_seg.dcm").exists()
