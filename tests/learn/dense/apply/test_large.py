"""Images that do not fit in memory some times over: the same answers in slabs and in files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy

from neuroloom.learn.dense.apply import large
from neuroloom.learn.dense.held_out import decode
from neuroloom.learn.dense.measures.doubt import entropy
from neuroloom.learn.dense.planning.resample import Grid, resample_image, restore

FACTS = {"classes_of": {"0": "background", "4": "a", "9": "b"}, "regions": None}


@pytest.fixture
def tight(monkeypatch):
    """Slabs of a few voxels, and files for everything."""
    monkeypatch.setattr(large.slabs, "__defaults__", (50,))
    monkeypatch.setattr(large.room, "__defaults__", (None, 1.0))


def scores(shape=(7, 6, 5), classes=3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return softmax(rng.normal(size=(classes, *shape)), 0).astype(np.float32)


def test_slabs_cover_every_row_once():
    for shape in ((1,), (9,), (7, 3), (5, 100, 100)):
        rows = [row for part in large.slabs(shape, 20) for row in range(part.start, part.stop)]
        assert rows == list(range(shape[0]))


def test_entropy_in_slabs_is_scipys(tight):
    p = scores()
    np.testing.assert_allclose(entropy(p), scipy_entropy(p, base=3, axis=0), atol=1e-5)


def test_labels_decoded_in_slabs_are_the_likeliest(tight):
    p = scores()
    expected = np.array([0, 4, 9])[p.argmax(0)]
    np.testing.assert_array_equal(decode(p, FACTS), expected)


def test_restored_in_a_file_are_the_numbers_restored_in_memory(tight):
    p = scores((4, 3, 5))
    box = ((1, 9), (0, 6), (2, 12))
    grid = Grid((14, 9, 6), (1.0, 1.0, 1.0), (1, 2, 0), box, (2.0, 2.0, 2.0), (4, 3, 5))
    found = restore(p, grid)
    assert isinstance(found, np.memmap)
    assert found.dtype == np.float16
    inside = resample_image(p, (8, 6, 10), (2.0,) * 3, (1.0,) * 3, 1)
    expected = np.zeros((3, 9, 6, 14), np.float32)
    expected[0] = 1
    expected[:, 1:9, 0:6, 2:12] = inside
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=5e-4)


def test_the_mean_of_members_is_made_in_place(tight):
    parts = [scores(classes=k + 2)[:2] for k in range(3)]
    total = large.room(parts[0].shape)
    for part in parts:
        large.add_share(total, part, 3)
    np.testing.assert_allclose(total, np.mean(parts, 0), atol=1e-3)
