"""Volumes and images at the gate: what is checked, and what a spacing is."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_spacing, check, image, spacing, volume


def test_a_volume_of_one_channel_and_of_two() -> None:
    one = volume(np.zeros((4, 5, 6)), np.eye(4), source="a.nii")
    assert one.dims == ("channel", "x", "y", "z")
    assert check(one, "volume") is one
    two = volume(np.zeros((2, 4, 5, 6)), np.eye(4), ["T1", "T2"], notes=["odd."])
    assert two.channel.values.tolist() == ["T1", "T2"]
    assert two.attrs["notes"] == ["odd."]


def test_spacing_is_in_array_order_of_a_turned_grid() -> None:
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, -2.0, 0], [0.5, 0, 0], [0, 0, 3.0]])
    assert affine_spacing(turned) == (3.0, 2.0, 0.5)
    assert spacing(volume(np.zeros((4, 5, 6)), turned)) == (3.0, 2.0, 0.5)


@pytest.mark.parametrize(
    ("affine", "said"),
    [
        (np.diag([1.0, 0.0, 1.0, 1.0]), "cannot be inverted"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "cannot be inv"),
        (np.full((4, 4), np.nan), "finite"),
        (np.eye(3), "4 x 4"),
    ],
)
def test_affines_that_are_none(affine: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=f"a.nii: .*{said}"):
        volume(np.zeros((4, 5, 6)), affine, source="a.nii")


def test_a_tiny_voxel_is_one() -> None:
    assert spacing(volume(np.zeros((2, 2, 2)), np.diag([1e-7, 1e-7, 1e-6, 1.0])))[0] == 1e-6


def test_images_that_are_refused() -> None:
    for size in ((0.0, 1.0), (1.0, -1.0), (np.nan, 1.0)):
        with pytest.raises(DataError, match="above 0"):
            image(np.zeros((4, 5)), size)
    with pytest.raises(DataError, match="unit"):
        image(np.zeros((4, 5)), unit="inch")
    with pytest.raises(DataError, match="called grey"):
        image(np.zeros((2, 4, 5)), channels=["grey", "grey"])
    with pytest.raises(DataError, match="numbers"):
        image(np.zeros((4, 5), complex))
    with pytest.raises(DataError, match="empty"):
        image(np.zeros((0, 5)))
    with pytest.raises(DataError, match="expected data of shape"):
        volume(np.zeros((4, 5)), np.eye(4))
