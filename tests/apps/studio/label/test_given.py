"""A mask to begin with lies on the image's own grid, and holds numbers of its structures."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from neuroloom.apps.studio.labels.given import read_given
from neuroloom.core.errors import DataError

AFFINE = np.array([[0.9, 0.1, 0, 12.3], [-0.05, 1.1, 0.2, -7.7], [0, -0.1, 2.5, 3.1], [0, 0, 0, 1]])
SIZE = (6, 6, 6)  # the same whichever way it is turned
STRUCTURES = ("left", "right")


@pytest.fixture
def scan(tmp_path):
    voxels = np.zeros(SIZE, np.float32)
    nibabel.Nifti1Image(voxels, AFFINE).to_filename(tmp_path / "t1.nii.gz")
    return tmp_path / "t1.nii.gz"


@pytest.fixture
def mask():
    return np.random.default_rng(4).integers(0, 3, SIZE).astype(np.uint8)


def saved(scan, voxels, affine=AFFINE, name="mask.nii.gz"):
    nibabel.Nifti1Image(voxels, affine).to_filename(scan.parent / name)
    return scan.parent / name


@pytest.mark.parametrize("codes", ["RAS", "LIA", "PSR"])
def test_a_mask_whose_axes_run_another_way_is_turned(scan, mask, codes):
    """As FreeSurfer's aseg.mgz beside a T1 that was reoriented; nibabel turns it here."""
    image = nibabel.Nifti1Image(mask, AFFINE)
    turn = ornt_transform(io_orientation(AFFINE), axcodes2ornt(codes))
    image.as_reoriented(turn).to_filename(scan.parent / "mask.nii.gz")
    found = read_given(scan.parent / "mask.nii.gz", scan, STRUCTURES)
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask.transpose(2, 1, 0))


def test_a_mask_that_lies_elsewhere_is_refused(scan, mask):
    moved = AFFINE.copy()
    moved[2, 3] += 4
    with pytest.raises(DataError, match=r"lies elsewhere than t1.nii.gz: .* 4 mm"):
        read_given(saved(scan, mask, moved), scan, STRUCTURES)
    with pytest.raises(DataError, match=r"its grid is \(5, 6, 6\)"):
        read_given(saved(scan, mask[:, :, 1:]), scan, STRUCTURES)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda mask: mask / 4, "fractions from 0 to 0.5"),
        (lambda mask: mask + 2, "numbers from 2 to 4"),
        (lambda mask: mask.astype(np.int16) - 1, "numbers from -1 to 1"),
    ],
)
def test_what_are_no_numbers_of_the_structures_is_refused(scan, mask, change, told):
    file = saved(scan, change(mask).astype(np.float32))
    with pytest.raises(DataError, match=told):
        read_given(file, scan, STRUCTURES)


def test_black_and_white_is_the_one_structure(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "cells.png")
    drawn = np.zeros((3, 4), np.uint8)
    drawn[1, 2:] = 255
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    found = read_given(tmp_path / "mask.png", tmp_path / "cells.png", ["cell"])
    assert np.array_equal(found, drawn // 255)
    with pytest.raises(DataError, match="numbers from 0 to 255"):
        read_given(tmp_path / "mask.png", tmp_path / "cells.png", STRUCTURES)
