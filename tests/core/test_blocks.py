"""Blocks of an array are summed and averaged as a loop over them does."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from neuroloom.core.blocks import block_means, block_sums


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8, bool])
def test_every_block_is_summed_and_averaged_the_last_and_smaller_ones_too(kind):
    values = (np.random.default_rng(0).random((2, 7, 9, 4)) * 255).astype(kind)
    starts = [np.array([0, 3, 6]), np.array([0, 1, 4, 8]), np.arange(4)]
    sums, means = block_sums(values, starts), block_means(values, starts)
    assert sums.shape == means.shape == (2, 3, 4, 4)
    assert sums.dtype == means.dtype == (kind if np.dtype(kind).kind == "f" else float)
    ends = [[*own[1:], None] for own in starts]
    for place in product(*map(range, sums.shape[1:])):
        inside = tuple(slice(starts[k][own], ends[k][own]) for k, own in enumerate(place))
        block = values[:, *inside].astype(float)
        np.testing.assert_allclose(sums[:, *place], block.sum((1, 2, 3)), rtol=1e-6)
        np.testing.assert_allclose(means[:, *place], block.mean((1, 2, 3)), rtol=1e-6)
