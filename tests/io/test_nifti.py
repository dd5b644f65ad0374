"""NIfTI beside nibabel: the grid bit for bit, scaling, channels, and no free text."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.recording import volume
from neuroloom.io.cases.layouts import listed
from neuroloom.io.images import peek_image, read_image, read_window, to_array, write_image
from tests.grids import OBLIQUE, PATIENT, phantom


def write(path: Path, data: np.ndarray, affine: np.ndarray = OBLIQUE, **header: object) -> Path:
    made = nibabel.Nifti1Image(data, affine)
    for name, value in header.items():
        made.header[name] = value
    made.to_filename(path)
    return path


@pytest.mark.parametrize("codes", [(1, 1), (2, 0), (0, 3), (4, 2), (0, 0)])
def test_both_forms_and_codes_come_back(codes: tuple[int, int], tmp_path: Path) -> None:
    sform, qform = codes
    path = write(tmp_path / "a.nii.gz", np.zeros((4, 5, 6), np.int16))
    opened = nibabel.load(path)
    moved = OBLIQUE.copy()
    moved[0, 3] += 0.125 * (sform == 4)
    opened.set_sform(moved, sform)
    opened.set_qform(OBLIQUE, qform)
    opened.to_filename(path)
    found = read_image(path)
    label = np.zeros((6, 5, 4), np.int64)
    label[3] = 2
    again = nibabel.load(write_image(tmp_path / "b.nii.gz", label, like=found))
    before = nibabel.load(path)
    assert np.array_equal(again.affine, before.affine)
    for name in ("sform_code", "qform_code", "pixdim", "srow_x", "srow_y", "srow_z",
                 "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "xyzt_units"):  # fmt: skip
        assert np.array_equal(again.header[name], before.header[name]), name
    assert np.array_equal(found.attrs["affine"], before.affine)
    assert again.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(again.dataobj), label.T)
    assert bool(found.attrs["notes"]) == (codes in [(0, 0), (4, 2)])


def test_scaling_is_applied_and_kept_out_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "s.nii"
    made = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), OBLIQUE)
    made.header.set_slope_inter(0.5, -3.0)
    made.to_filename(path)
    raw = nibabel.load(path)
    found = read_image(path)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.values[0], raw.get_fdata(), rtol=1e-6)
    label = read_image(write_image(tmp_path / "l.nii", np.ones((4, 3, 2), bool), like=found))
    assert label.dtype == np.uint8
    assert (label.values == 1).all()


def test_times_are_channels_and_a_slice_is_a_thin_volume(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)
    path = write(tmp_path / "t.nii.gz", data)
    assert np.array_equal(read_image(path).values, np.moveaxis(data, 3, 0))
    window = (slice(1, 4), slice(0, 2), slice(1, 3))
    assert np.array_equal(read_window(path, window), to_array(read_image(path))[:, 1:4, 0:2, 1:3])
    flat = write(tmp_path / "f.nii.gz", data[..., 0, 0])
    assert read_image(flat).shape == (1, 3, 4, 1)
    assert peek_image(flat).shape == (1, 4, 3)


def test_big_endian_and_fortran_order(tmp_path: Path) -> None:
    data = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    made = nibabel.Nifti1Image(data, OBLIQUE, header=nibabel.Nifti1Header(endianness=">"))
    made.set_data_dtype(">i2")
    made.to_filename(tmp_path / "b.nii")
    found = read_image(tmp_path / "b.nii")
    assert found.dtype == np.dtype("int16")
    assert found.dtype.isnative
    assert np.array_equal(found.values[0], data)
    assert peek_image(tmp_path / "b.nii").dtype == "int16"


def test_flipped_voxels_are_not_turned(tmp_path: Path) -> None:
    lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    data = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    found = read_image(write(tmp_path / "l.nii.gz", data, lps))
    assert np.array_equal(found.values[0], data)
    assert np.array_equal(found.attrs["affine"], lps)


def test_free_text_is_left_behind(tmp_path: Path) -> None:
    path = write(tmp_path / "p.nii", np.zeros((2, 3, 4), np.uint8), descrip=PATIENT.encode(),
                 aux_file=PATIENT.encode(), db_name=b"Muster", intent_name=b"Muster")  # fmt: skip
    assert b"Mustermann" in path.read_bytes()
    found = read_image(path)
    made = write_image(tmp_path / "q.nii", np.zeros((4, 3, 2), np.uint8), like=found)
    copied = write_image(tmp_path / "r.nii", found)
    said = repr(found) + repr(found.attrs) + repr(peek_image(path))
    assert "Muster" not in said
    assert b"Muster" not in made.read_bytes() + copied.read_bytes()


def test_a_broken_affine_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "n.nii", np.zeros((2, 3, 4), np.uint8))
    opened = nibabel.load(path)
    for value, said in ((np.nan, "finite"), (0.0, "inverted")):
        opened.header["sform_code"] = 1
        opened.header["srow_x"] = value
        opened.header["qform_code"] = 0
        nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), None, opened.header).to_filename(path)
        with pytest.raises(DataError, match=rf"n\.nii.*{said}"):
            read_image(path)


def test_nan_is_kept(tmp_path: Path) -> None:
    data = np.ones((2, 3, 4), np.float32)
    data[0, 0, 0] = np.nan
    assert np.isnan(read_image(write(tmp_path / "n.nii.gz", data)).values).sum() == 1


def test_nrrd_and_nifti_agree_on_where_a_voxel_is(tmp_path: Path) -> None:
    import SimpleITK

    made = phantom()
    write_image(tmp_path / "a.nii.gz", made)
    write_image(tmp_path / "a.nrrd", made)
    index = (3, 7, 2)
    theirs = [
        SimpleITK.ReadImage(str(tmp_path / name)).TransformIndexToPhysicalPoint(index)
        for name in ("a.nii.gz", "a.nrrd")
    ]
    np.testing.assert_allclose(theirs[0], theirs[1], atol=1e-4)
    ours = read_image(tmp_path / "a.nrrd").attrs["affine"] @ [*index, 1]
    np.testing.assert_allclose(ours[:3] * [-1, -1, 1], theirs[1], atol=1e-6)
    again = read_image(write_image(tmp_path / "b.nrrd", read_image(tmp_path / "a.nrrd")))
    first = read_image(tmp_path / "a.nrrd")
    np.testing.assert_allclose(again.attrs["affine"], first.attrs["affine"], rtol=1e-14, atol=1e-14)


def test_a_packed_pair_is_one_image(tmp_path: Path) -> None:
    data = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    made = volume(data, OBLIQUE.astype(np.float32))
    path = write_image(tmp_path / "s1.img.gz", made)
    header = path.with_name("s1.hdr.gz")
    assert header.exists()
    for half in (path, header):
        found = read_image(half)
        np.testing.assert_array_equal(found.values[0], data)
        np.testing.assert_array_equal(found.attrs["affine"], made.attrs["affine"])
        assert peek_image(half).shape == (5, 4, 3)
    assert listed(tmp_path) == ["s1.img.gz"]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"s1\.img\.gz: not a whole gzip file"):
        read_image(path)
