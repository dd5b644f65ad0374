"""Fields and grouping on made-up maps whose truth is exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroloom.pose.group import affinity_targets, choose_edges, group, pair_scores

torch.set_num_threads(1)
BODY = np.array([[0.0, 0.0], [24.0, 0.0], [48.0, 6.0], [24.0, 18.0]])
EDGES = ((0, 1), (1, 2), (1, 3))


def bodies(count: int, seed: int, size: float = 200.0) -> np.ndarray:
    """Turned copies of one body, at random places: (individual, keypoint, 2)."""
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi, count)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    place = rng.uniform(40, size - 40, (count, 1, 2))
    return (BODY - BODY.mean(0)) @ matrix.transpose(0, 2, 1) + place


def peaks_of(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The truth as peaks in any order."""
    kinds = np.broadcast_to(np.arange(truth.shape[1]), truth.shape[:2])
    rows = np.concatenate([kinds[..., None], truth, np.ones((*truth.shape[:2], 1))], -1)
    rows = rows.reshape(-1, 4)
    return rng.permutation(rows[np.isfinite(rows).all(-1)])


def fields(truth: np.ndarray, stride: int = 2) -> np.ndarray:
    cells = (200 // stride, 200 // stride)
    points = torch.tensor(truth[None])
    return affinity_targets(points, EDGES, cells, stride, width=6.0)[0].numpy()


def same(found: np.ndarray, truth: np.ndarray) -> bool:
    """Whether both hold the same bodies, in any order."""
    if len(found) != len(truth):
        return False
    left = [np.nan_to_num(body, nan=-1).round(6).tolist() for body in found[..., :2]]
    return sorted(left) == sorted(np.nan_to_num(b, nan=-1).round(6).tolist() for b in truth)


def test_a_field_is_a_unit_vector_on_its_edge_and_fades_beside_it():
    truth = bodies(1, 3)
    maps = fields(truth, stride=1)
    for number, (i, j) in enumerate(EDGES):
        middle = truth[0, [i, j]].mean(0)
        x, y = np.round(middle).astype(int)
        field = maps[2 * number : 2 * number + 2, y, x]
        along = truth[0, j] - truth[0, i]
        unit = along / np.linalg.norm(along)
        assert field @ unit > 0.98
        aside = middle + 30 * np.array([-unit[1], unit[0]])
        x, y = np.round(aside).astype(int)
        assert np.abs(maps[2 * number : 2 * number + 2, y, x]).max() < 1e-4


def test_fields_are_nothing_where_an_end_is_missing():
    truth = torch.tensor(bodies(2, 1)[None])
    truth[:, :, 0] = torch.nan
    maps = affinity_targets(truth, EDGES, (100, 100), 2)
    assert not maps[:, :2].any()
    assert maps[:, 2:].any()
    assert torch.isfinite(maps).all()


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_line_integral_is_one_between_true_partners(stride):
    truth = bodies(1, 5)
    maps = fields(truth, stride)
    assert pair_scores(truth[:, 0], truth[:, 1], maps[:2], stride)[0, 0] > 0.9
    assert pair_scores(truth[:, 1], truth[:, 0], maps[:2], stride)[0, 0] == -np.inf


def test_bodies_come_back_whole_though_their_boxes_overlap():
    """Bodies are 50 px long; those whose centres are 30 px apart and more are told apart."""
    rng = np.random.default_rng(0)
    clear = 0
    for seed in range(60):
        truth = bodies(3, seed)
        centres = truth.mean(1)
        apart = np.linalg.norm(centres[:, None] - centres, axis=-1)[np.triu_indices(3, 1)].min()
        if apart < 30:
            continue
        clear += 1
        assert same(group(peaks_of(truth, rng), fields(truth), EDGES, 4, stride=2), truth), seed
    assert clear >= 20


def test_a_missing_keypoint_is_missing_and_its_neighbours_stay():
    truth = bodies(2, 11)
    truth[0, 3] = np.nan
    found = group(peaks_of(truth, np.random.default_rng(1)), fields(truth), EDGES, 4, stride=2)
    assert same(found, truth)
    assert sorted(found[..., 2].sum(1).tolist()) == [3.0, 4.0]


def test_a_false_peak_far_off_makes_no_animal():
    truth = bodies(2, 11)
    peaks = np.concatenate([peaks_of(truth, np.random.default_rng(1)), [[0, 190.0, 8.0, 0.9]]])
    assert same(group(peaks, fields(truth), EDGES, 4, stride=2), truth)


def test_only_so_many_animals_the_surest_first():
    truth = bodies(3, 8)
    peaks = peaks_of(truth, np.random.default_rng(1))
    weak = np.isclose(peaks[:, 1:3], truth[1, peaks[:, 0].astype(int)]).all(1)
    peaks[weak, 3] = 0.5
    found = group(peaks, fields(truth), EDGES, 4, stride=2, most=2)
    assert same(found, truth[[0, 2]])


def test_nothing_found_is_no_animal():
    assert group(np.zeros((0, 4)), np.zeros((6, 9, 9)), EDGES, 4).shape == (0, 4, 3)


def test_edges_are_the_shortest_tree():
    assert choose_edges(bodies(5, 2)) == ((0, 1), (1, 2), (1, 3))
    assert choose_edges(bodies(5, 2), extra=1) == ((0, 1), (1, 2), (1, 3), (2, 3))


def test_edges_know_keypoints_that_are_never_seen_together():
    points = bodies(4, 2)
    points[:2, 0] = np.nan
    points[2:, 2] = np.nan
    edges = choose_edges(points)
    assert len(edges) == 3
    assert {i for edge in edges for i in edge} == {0, 1, 2, 3}
