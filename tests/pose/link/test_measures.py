"""Identity measures beside those of py-motmetrics, on tracks with every kind of error."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.pose.alike import distance_between
from neuroloom.pose.link.measures import score_identities

WITHIN = 20.0


def damaged(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and tracks with misses, ghosts, swaps and a track that changes its owner."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, 3, (120, 4, 1, 2)), 0) + rng.uniform(0, 120, (4, 1, 2))
    truth = path + rng.uniform(-8, 8, (3, 2))
    found = truth + rng.normal(0, 4, truth.shape)
    found[rng.random(found.shape[:2]) < 0.1] = np.nan
    for frame in rng.integers(10, 110, 3):
        a, b = rng.permutation(4)[:2]
        found[frame:, [a, b]] = found[frame:, [b, a]]
    ghost = rng.uniform(0, 120, (120, 2, 3, 2))
    ghost[rng.random((120, 2)) < 0.7] = np.nan
    truth[30:50, 1] = np.nan
    return truth, np.concatenate([found, ghost], 1)


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_motmetrics(seed):
    motmetrics = pytest.importorskip("motmetrics")
    truth, found = damaged(seed)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for a, b in zip(truth, found, strict=True):
        rows, columns = (np.flatnonzero(np.isfinite(x).all(-1).any(-1)) for x in (a, b))
        apart = distance_between(a[rows], b[columns])
        accumulator.update(rows, columns, np.where(apart <= WITHIN, apart, np.nan))
    names = [
        "mota", "idf1", "idp", "idr", "num_switches", "num_misses", "num_false_positives",
    ]  # fmt: skip
    table = motmetrics.metrics.create().compute(accumulator, metrics=names).iloc[0]
    ours = score_identities(truth, found, WITHIN)
    assert ours.idf1 == pytest.approx(table["idf1"])
    assert ours.idp == pytest.approx(table["idp"])
    assert ours.idr == pytest.approx(table["idr"])
    assert ours.mota == pytest.approx(table["mota"])
    # It counts a pair that switches as matched, as we do.
    assert ours.switches == table["num_switches"]
    assert ours.misses == table["num_misses"]
    assert ours.false == table["num_false_positives"]


def test_hota_is_the_mean_of_its_definition_where_matching_is_plain():
    """Animals far apart, half the frames swapped: every term can be written down."""
    truth = np.zeros((40, 2, 2, 2)) + np.array([[0.0, 500.0]]).reshape(1, 2, 1, 1)
    truth[:, :, 1] += 10.0
    found = truth.copy()
    found[20:] = found[20:, ::-1]
    # Detection is perfect; each body's association is 20 shared frames of 60 in the union.
    assert score_identities(truth, found, 5.0).hota == pytest.approx(np.sqrt(20 / 60))


def test_perfect_tracks_score_one():
    truth = damaged(0)[0]
    scores = score_identities(truth, truth[:, ::-1])
    assert (scores.idf1, scores.mota, scores.hota, scores.switches) == (1.0, 1.0, 1.0, 0)


def test_other_frames_are_refused():
    truth, found = damaged(0)
    with pytest.raises(DataError, match="truth has 120 frames of 3 keypoints, the tracks 119"):
        score_identities(truth, found[1:])
    with pytest.raises(DataError, match="no body in any frame"):
        score_identities(np.full_like(truth, np.nan), found)
