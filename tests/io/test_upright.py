"""Volumes turned until their axes run right, front and up, and back."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuroloom.io.cases import find_cases
from neuroloom.io.cases.upright import Turn

SHAPE = (5, 4, 3)  # x, y, z


def stored(ways: str) -> nib.Nifti1Image:
    """Return one and the same tilted volume, its voxels in the order that `ways` names."""
    tilted = np.eye(4)
    tilted[:3, :3] = [[0.9, 0.1, 0.0], [-0.1, 1.1, 0.2], [0.0, -0.2, 2.0]]
    tilted[:3, 3] = [3, -7, 11]
    image = nib.Nifti1Image(np.arange(60, dtype=np.float32).reshape(SHAPE), tilted)
    right, wanted = (nib.orientations.axcodes2ornt(w) for w in ("RAS", ways))
    return image.as_reoriented(nib.orientations.ornt_transform(right, wanted))


def every_way() -> list[str]:
    """Return the 48 orders that a file may have."""
    pairs = [("R", "L"), ("A", "P"), ("S", "I")]
    return ["".join(w) for order in permutations(pairs) for w in product(*order)]


@pytest.mark.parametrize("ways", every_way())
def test_whatever_the_order_of_the_file_the_voxels_and_their_places_are_the_same(ways):
    image = stored(ways)
    assert nib.aff2axcodes(image.affine) == tuple(ways)
    values = np.asarray(image.dataobj).T
    turn = Turn(image.affine, values.shape)
    np.testing.assert_array_equal(turn.there(values), np.asarray(stored("RAS").dataobj).T)
    np.testing.assert_allclose(turn.affine_there, stored("RAS").affine, atol=1e-12)
    np.testing.assert_array_equal(turn.back(turn.there(values)), values)
    assert turn.shape_there == turn.there(values).shape
    assert turn.moved(values.shape) == turn.shape_there


@pytest.mark.parametrize("ways", ["RAS", "LPS", "ASR", "IRP"])
def test_a_case_reads_upright_whole_and_in_part(tmp_path: Path, ways):
    nib.save(stored(ways), tmp_path / "scan.nii.gz")
    case = find_cases(tmp_path).upright().cases[0]
    plain = stored("RAS")
    np.testing.assert_array_equal(case.image()[0], np.asarray(plain.dataobj).T)
    assert case.shape == SHAPE[::-1]
    assert case.spacing == pytest.approx(nib.affines.voxel_sizes(plain.affine)[::-1])
    np.testing.assert_allclose(case.header.affine, plain.affine, atol=1e-6)
    part = (slice(1, 3), slice(0, 2), slice(2, 5))
    np.testing.assert_array_equal(case.window(part), case.image()[(slice(None), *part)])
    written = case.in_file_order(case.image()[0])
    np.testing.assert_array_equal(written, np.asarray(stored(ways).dataobj).T)
    as_stored = replace(case, upright=False)
    np.testing.assert_array_equal(as_stored.image()[0], written)


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("ways", ["LAS", "PIR"])
def test_channels_are_turned_each_by_its_own_affine(tmp_path: Path, ways, upright):
    nib.save(stored("LPS"), tmp_path / "a_0000.nii.gz")
    nib.save(stored(ways), tmp_path / "a_0001.nii.gz")
    case = replace(find_cases(tmp_path, n_channels=2).cases[0], upright=upright)
    first, second = case.image()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, np.asarray(stored("RAS" if upright else "LPS").dataobj).T)
    part = (slice(1, 3), slice(0, 2), slice(2, 5))
    np.testing.assert_array_equal(case.window(part), case.image()[(slice(None), *part)])
