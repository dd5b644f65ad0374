"""Identities through simulated crossings, beside plain frame-to-frame assignment."""

from __future__ import annotations

import tracemalloc
from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.pose.link.looks import body_shape
from neuroloom.pose.link.measures import score_identities
from neuroloom.pose.link.motion import begin, estimate_motion, predict, update
from neuroloom.pose.link.stitch import find_ends, learn_drift, link_costs, stitch
from neuroloom.pose.link.track import (
    arrange,
    count_animals,
    drop_copies,
    fill_gaps,
    link,
    link_nearest,
)
from tests.pose.crossings import BODY, Crossings, encounters, simulate, wander


def scores(case: Crossings, identity: np.ndarray, animals: int):
    return score_identities(case.truth, fill_gaps(arrange(case.found, identity, animals), 15))


@pytest.mark.parametrize(("animals", "frames"), [(2, 500), (4, 400), (10, 300)])
def test_crossings_keep_their_names(animals, frames):
    case = simulate(animals, frames, seed=10 + animals)
    assert encounters(case.truth) >= 1
    linked = link(case.found)
    ours = scores(case, linked.identity, animals)
    base = scores(case, link_nearest(case.found, animals), animals)
    assert linked.animals == animals
    assert ours.idf1 >= 0.98
    assert ours.switches <= frames / 1000
    assert ours.switches <= base.switches


@pytest.mark.long
@pytest.mark.parametrize("noise", [1.5, 4.0])
@pytest.mark.parametrize("animals", [2, 3, 4, 6, 8, 10])
def test_many_crossings_keep_their_names(animals, noise):
    worst, switches, base, frames = 1.0, 0, 0, 0
    for seed in range(4):
        case = simulate(animals, 1000, seed, noise=noise)
        ours = scores(case, link(case.found).identity, animals)
        worst = min(worst, ours.idf1)
        switches += ours.switches
        base += scores(case, link_nearest(case.found, animals), animals).switches
        frames += 1000
    assert worst >= 0.98
    assert switches <= frames / 1000
    assert switches <= base


def test_ghosts_and_copies_become_no_animal():
    case = simulate(3, 300, seed=5, ghosts=0.08)
    copies = case.found[:, :2] + 0.7
    copies[::3] = np.nan
    found = np.concatenate([case.found, copies], 1)
    linked = link(found)
    assert linked.animals == 3
    tracks = fill_gaps(arrange(found, linked.identity, 3), 15)
    assert score_identities(case.truth, tracks).idf1 >= 0.98


def test_an_animal_that_was_hidden_long_is_known_again():
    case = simulate(3, 400, seed=8, misses=0.0)
    found = case.found.copy()
    hidden = case.owner == 1
    hidden[:150] = hidden[190:] = False
    found[hidden] = np.nan
    linked = link(found)
    owner = np.where(np.isfinite(found).all(-1).any(-1), case.owner, -1)
    for animal in range(3):
        named = linked.identity[owner == animal]
        assert (named == named[0]).mean() > 0.99


def test_looks_decide_where_motion_cannot():
    """Two animals vanish and each comes back where the other was, as only their looks tell."""
    body = np.array([[0.0, 0.0], [20.0, 5.0], [40.0, 0.0]])
    rng = np.random.default_rng(0)
    place = np.array([[100.0, 100.0], [300.0, 100.0]])
    points = place[None, :, None] + body + np.cumsum(rng.normal(0, 1.5, (300, 2, 1, 2)), 0)
    points += rng.normal(0, 1, points.shape)
    points[:, 1] += points[199, 0, 0] - points[199, 1, 0] + [200.0, 0.0]
    points[200:] = points[200:, ::-1]
    points[120:200] = np.nan
    looks = np.array([1.0, 3.0]) + rng.normal(0, 0.4, (300, 2))
    looks[120:200] = np.nan
    blind = link(points).identity
    assert blind[0, 0] == blind[250, 1]  # by place alone the names are exchanged
    seeing = link(points, looks=looks[..., None]).identity
    assert seeing[0, 0] == seeing[250, 0]
    assert seeing[0, 1] == seeing[250, 1]


def changing(animals, seed, differ, change, lasting):
    """Animals whose proportions differ and change as they go; of two that overlap one hides."""
    rng = np.random.default_rng(seed)
    path = wander(animals, 600, rng, 150.0 * np.sqrt(animals))
    size = np.zeros((600, animals, 2))
    for frame in range(1, 600):
        kept = np.exp(-1 / lasting)
        fresh = rng.normal(0, change * np.sqrt(1 - kept**2), (animals, 2))
        size[frame] = kept * size[frame - 1] + fresh
    body = BODY * np.exp(size + rng.normal(0, differ, (animals, 2)))[:, :, None]
    cos, sin = np.cos(path[..., 2]), np.sin(path[..., 2])
    turn = np.stack([cos, sin, -sin, cos], -1).reshape(*cos.shape, 2, 2)
    truth = path[..., None, :2] + body @ turn
    found = truth + rng.normal(0, 1.5, truth.shape)
    for one in range(animals):
        for other in range(one):
            near = np.linalg.norm(path[:, one, :2] - path[:, other, :2], axis=-1) < 16
            hidden = np.flatnonzero(near & (rng.random(600) < 0.8))
            found[hidden, np.where(rng.random(len(hidden)) < 0.5, one, other)] = np.nan
    return truth, found


def scored(truth, found, looks):
    linked = link(found, animals=truth.shape[1], looks=looks)
    tracks = fill_gaps(arrange(found, linked.identity, linked.animals), 40)
    return score_identities(truth, tracks).idf1


@pytest.mark.parametrize("seed", [2, 3])
def test_proportions_name_animals_that_overlapped_for_long(seed):
    truth, found = changing(5, seed, differ=0.15, change=0.03, lasting=30)
    assert scored(truth, found, None) < 0.95
    assert scored(truth, found, body_shape(found)) > 0.985


def test_animals_of_one_kind_are_not_told_apart_by_postures_that_come_and_go():
    told = []
    for seed in (0, 1, 3, 4):
        truth, found = changing(3, seed, differ=0.0, change=0.15, lasting=100)
        told.append([scored(truth, found, looks) for looks in (None, body_shape(found))])
    blind, seeing = np.mean(told, 0)
    assert seeing > blind - 0.001


def test_a_toss_up_is_a_suspect_and_a_clear_crossing_is_none():
    path = np.linspace(-60, 60, 81)
    body = np.array([[0.0, 0.0]])
    noise = np.random.default_rng(0).normal(0, 0.5, (81, 2, 1, 2))

    def cross(bounce: float) -> np.ndarray:
        """Two points on a line towards each other, which meet in the middle."""
        one = np.stack([path, np.zeros(81)], -1)
        other = np.stack([-path, np.full(81, bounce)], -1)
        return np.stack([one, other], 1)[:, :, None] + body + noise

    slow = cross(0.0)
    # At the meeting both stand still for a while: whoever goes on to the left is anyone's guess.
    still = np.repeat(slow[40:41], 25, 0) + np.random.default_rng(1).normal(0, 0.5, (25, 2, 1, 2))
    points = np.concatenate([slow[:40], still, slow[41:]])
    told = link_of(points)
    assert len(told.swaps) >= 1
    assert told.swaps["p_swap"][0] > 0.2
    assert 35 <= told.swaps["frame"][0] <= 70
    clear = link_of(cross(40.0))
    assert clear.swaps["p_swap"].max() < 0.05 if len(clear.swaps) else True


def link_of(points: np.ndarray):
    """Bodies of one point have no size: a second one beside it gives them one."""
    return link(np.concatenate([points, points + np.array([0.0, 12.0])], 2), animals=2)


def test_the_count_is_what_is_often_seen_at_once():
    case = simulate(4, 200, seed=3, misses=0.15, ghosts=0.04)
    assert count_animals(case.found) == 4


def test_of_copies_the_surer_stays():
    body = np.array([[0.0, 0.0], [30.0, 0.0], [60.0, 9.0]])
    points = np.stack([body, body + 1.0, body + 200.0])[None]
    kept = drop_copies(points, np.array([[0.5, 0.9, 0.4]]))
    assert np.isfinite(kept[0, :, 0, 0]).tolist() == [False, True, True]
    assert np.isfinite(drop_copies(points, np.array([[0.5, 0.9, 0.4]]), most=3)).all()


def test_noise_is_read_without_knowing_who_is_who():
    for noise in (0.8, 2.5):
        case = simulate(3, 300, seed=1, noise=noise)
        assert estimate_motion(case.found).noise == pytest.approx(noise, rel=0.25)


def test_the_filter_is_nearer_the_truth_than_what_was_found():
    case = simulate(1, 300, seed=2, noise=3.0, misses=0.0, lost_keypoints=0.0)
    own = np.take_along_axis(
        case.found, case.owner.argmax(1)[:, None, None, None], axis=1
    )[:, 0]  # fmt: skip
    motion = estimate_motion(case.found)
    bodies = begin(own[0], motion)
    off = []
    for now, truth in zip(own[1:], case.truth[1:, 0], strict=True):
        bodies = update(predict(bodies, motion), now, motion)
        off.append((np.linalg.norm(bodies.place - truth, axis=-1).mean(),
                    np.linalg.norm(now - truth, axis=-1).mean()))  # fmt: skip
    ours, raw = np.median(off, axis=0)
    assert ours < 0.9 * raw


def test_stitching_is_best_in_all_not_one_by_one():
    """Nearest first would join 0 to 3 and leave 1 a long way to 2."""
    middles = np.full((30, 4, 2), np.nan)
    middles[:10, 0], middles[:10, 1] = [0.0, 0.0], [30.0, 0.0]
    middles[20:, 2], middles[20:, 3] = [-16.0, 0.0], [14.0, 0.0]
    middles += np.random.default_rng(0).normal(0, 0.2, middles.shape)
    names = np.where(np.isfinite(middles[..., 0]), np.arange(4), -1)
    ends = find_ends(middles, names)
    costs = partial(link_costs, ends, learn_drift(middles, names), 1e4)
    assert stitch(ends, costs, 2)[0].tolist() == [0, 1, 0, 1]


def broken(animals: int, pieces: int, apart: float):
    """Middles (time, slot, 2) of animals side by side, and tracklets of 4 frames, 2 between."""
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(pieces), 6)[:, None] * animals + np.arange(animals)
    names[np.arange(len(names)) % 6 >= 4] = -1
    place = np.arange(animals)[:, None] * [apart, 0.0]
    middles = place + np.cumsum(rng.normal(0, 1.0, (*names.shape, 2)), 0)
    return np.where(names[..., None] >= 0, middles, np.nan), names


def test_thousands_of_tracklets_are_stitched_in_little_memory():
    middles, names = broken(2, 1500, 3000.0)
    ends, drift = find_ends(middles, names), learn_drift(middles, names)
    tracemalloc.start()
    animal, _ = stitch(ends, partial(link_costs, ends, drift, 1e7), 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert animal.tolist() == [0, 1] * 1500
    assert peak < 60e6  # a single table of all pairs has 72 MB


def test_suspects_of_gaps_are_all_links_that_might_be_exchanged():
    middles, names = broken(4, 12, 9.0)
    ends = find_ends(middles, names)
    costs = partial(link_costs, ends, learn_drift(middles, names), 1e4)
    animal, swaps = stitch(ends, costs, 4)
    paths = [np.flatnonzero(animal == own) for own in range(4)]
    links = sorted(link for path in paths for link in pairwise(path[np.argsort(ends.first[path])]))
    found = {}
    for (i, a), (j, b) in combinations(links, 2):
        crossed, own = (
            costs(np.array([i, j]), np.array([b, a])),
            costs(np.array([i, j]), np.array([a, b])),
        )
        if crossed.sum() - own.sum() < 6:
            found[int(a), int(b)] = max(crossed.sum() - own.sum(), 0.0)
    assert len(found) > 10
    assert {(swap.one, swap.other): swap.odds for swap in swaps} == pytest.approx(found)


def test_a_suspect_bears_the_names_that_looks_gave_at_its_frame():
    """The first two bounce off each other, which only looks tell; then the second meets a third."""
    rng = np.random.default_rng(0)
    x = np.full((260, 3), np.nan)
    x[:80, 1] = 1.5 * np.abs(np.arange(80) - 40)
    x[80:148, 1] = 60 + 1.5 * np.arange(68)
    x[148:174, 1] = x[147, 1]
    x[174:, 1] = x[147, 1] + 1.5 * np.arange(86)
    x[:80, 0], x[80:, 0] = -x[:80, 1], -60.0
    x[:, 2] = 2 * x[147, 1] - x[:, 1]
    x[:80, 2] = 2 * x[147, 1] - 60.0
    middle = np.stack([x, np.zeros_like(x)], -1) + rng.normal(0, 0.5, (260, 3, 2))
    points = middle[:, :, None] + np.array([[0.0, 0.0], [0.0, 12.0]])
    looks = np.array([1.0, 5.0, 9.0]) + rng.normal(0, 0.3, (260, 3))
    looks[30:50] = looks[130:] = np.nan
    told = link(points, looks=looks[..., None], animals=3)
    first, second, third = told.identity[10]
    assert told.identity[100].tolist() == [first, second, third]
    late = told.swaps[told.swaps["frame"].between(130, 200) & (told.swaps["kind"] == "crossing")]
    assert len(late) >= 1
    assert {(row.one, row.other) for row in late.itertuples()} == {(second, third)}


def test_long_gaps_stay_open():
    path = np.arange(20.0)[:, None, None, None] * np.ones(2)
    path[5:8] = np.nan
    path[10:18] = np.nan
    filled = fill_gaps(path, 3)
    assert filled[:10, 0, 0, 0].tolist() == list(range(10))
    assert np.isnan(filled[10:18]).all()


def test_nothing_to_track_is_said():
    with pytest.raises(DataError, match="nothing to track"):
        count_animals(np.full((9, 2, 3, 2), np.nan))
    with pytest.raises(DataError, match=r"got \(9, 2, 3, 3\)"):
        link(np.zeros((9, 2, 3, 3)))
