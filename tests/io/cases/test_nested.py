"""Masks of classes that lie in one another are regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from neuroloom.io.cases import find_cases


def square(low: int, high: int) -> np.ndarray:
    """Return a mask of 12 by 12 pixels that is drawn from `low` to `high`."""
    mask = np.zeros((12, 12), np.uint8)
    mask[low:high, low:high] = 1
    return mask


def patients(root: Path, **classes: tuple[int, int]) -> Path:
    """Write two images, each with a mask a class."""
    for name in ("s1", "s2"):
        (root / name / "segmentations").mkdir(parents=True)
        tifffile.imwrite(root / name / "ct.tif", np.arange(144, dtype=np.uint8).reshape(12, 12))
        for kind, (low, high) in classes.items():
            tifffile.imwrite(root / name / "segmentations" / f"{kind}.tif", square(low, high))
    return root


def test_what_lies_in_another_is_not_painted_over(tmp_path: Path) -> None:
    found = find_cases(patients(tmp_path, lesion=(4, 6), liver=(2, 9)))
    assert found.classes == {1: "lesion", 2: "liver"}
    assert found.regions == {"lesion": (1,), "liver": (2, 1)}
    assert "the masks of liver hold those of lesion" in " ".join(found.notes)
    truth = found.cases[0].truth()
    np.testing.assert_array_equal(truth > 0, square(2, 9).astype(bool))
    np.testing.assert_array_equal(truth == 1, square(4, 6).astype(bool))


def test_masks_that_overlap_by_chance_are_no_regions(tmp_path: Path) -> None:
    found = find_cases(patients(tmp_path, heart=(1, 6), lung=(5, 11)))
    assert not found.regions
    assert (found.cases[0].truth() == 2).sum() == 36


@pytest.mark.parametrize("inner", [(0, 0), (2, 9)])
def test_an_empty_mask_and_one_twice_lie_in_none(inner: tuple[int, int], tmp_path: Path) -> None:
    assert not find_cases(patients(tmp_path, lesion=inner, liver=(2, 9))).regions


def test_three_in_one_another(tmp_path: Path) -> None:
    found = find_cases(patients(tmp_path, core=(4, 8), tip=(5, 6), whole=(1, 11)))
    assert found.regions == {"core": (1, 2), "tip": (2,), "whole": (3, 1, 2)}
    assert np.unique(found.cases[0].truth(), return_counts=True)[1].tolist() == [44, 15, 1, 84]
