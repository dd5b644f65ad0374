"""Where nets look and what maps say: views, alignment, variation, loss and places."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neuroloom.core.errors import ConfigError
from neuroloom.pose.nets import find
from neuroloom.pose.nets.agree import Structure, choose_peaks, learn_structure
from neuroloom.pose.nets.align import mean_shape, placed, pose_of, robust_pose
from neuroloom.pose.nets.maps import map_loss, places
from neuroloom.pose.nets.plan import ENOUGH, PosePlan, is_even, make_plan, with_enough
from neuroloom.pose.nets.ties import FEW, drawn, learn_ties
from neuroloom.pose.nets.vary import Jitter, moved, relit
from neuroloom.pose.nets.views import halved, look, similarity, to_frame, to_view, whole_frame
from tests.critters import NAMES, SHAPE, place, points_of

MIRROR = (0, 2, 1, 3)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def animals(rng, n=40, size=(200, 240)):
    return np.stack([points_of(*place(rng, size)) for _ in range(n)])


def test_points_come_back_from_a_view(rng):
    centre, angle = rng.uniform(20, 60, (5, 2)), rng.uniform(-3, 3, 5)
    views = similarity(centre, rng.uniform(0.5, 2, 5), angle, (32, 48), np.array([1, -1, 1, -1, 1]))
    points = rng.uniform(0, 80, (5, 4, 2))
    np.testing.assert_allclose(to_frame(views, to_view(views, points)), points, atol=1e-9)


def test_a_view_shows_what_lies_there(rng):
    """A picture that is its own x coordinate, read through a turned view, tells the mapping."""
    x = torch.arange(60.0).expand(1, 1, 50, 60)
    views = similarity(np.array([[30.0, 25.0]]), np.array([0.7]), np.array([0.6]), (9, 11))
    seen = look(x, torch.as_tensor(views), (9, 11))[0, 0].numpy()
    v, u = np.mgrid[:9, :11]
    there = to_frame(views, np.stack([u, v], -1).reshape(1, -1, 2).astype(float))[0, :, 0]
    np.testing.assert_allclose(seen.ravel(), there, atol=1e-4)


def test_a_halved_frame_keeps_its_places():
    frame = torch.zeros(1, 1, 32, 32)
    frame[0, 0, 12:16, 20:24] = 1.0  # its middle is at (21.5, 13.5)
    view = torch.as_tensor(whole_frame((32, 32), (32, 32)))[None]
    seen = look(halved(frame, 1), view, (32, 32), level=1)[0, 0]
    v, u = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    middle = [float((one * seen).sum() / seen.sum()) for one in (u, v)]
    np.testing.assert_allclose(middle, [21.5, 13.5], atol=0.05)


def test_animals_are_found_to_lie_as_they_do(rng):
    middle, angle = rng.uniform(0, 99, (7, 2)), rng.uniform(-3, 3, 7)
    shape = SHAPE - SHAPE.mean(0)
    found, turned = pose_of(placed(shape, middle, angle), shape)
    np.testing.assert_allclose(found, middle, atol=1e-9)
    np.testing.assert_allclose(np.angle(np.exp(1j * (turned - angle))), 0, atol=1e-9)


def test_a_crop_the_wrong_way_round_is_turned(monkeypatch):
    """A stand-in for the net takes tails for heads, less sure, where views point backwards."""
    size, shape = (32, 48), SHAPE - SHAPE.mean(0)
    centre, angle = np.array([[50.0, 40.0], [30.0, 60.0]]), np.array([0.3, 2.0])
    truth = placed(shape, centre, angle)
    right = similarity(centre, np.ones(2), angle, size)
    fine = SimpleNamespace(size=size, scale=1.0, jitter=SimpleNamespace(shift=5.0))
    plan = SimpleNamespace(turned=True, fine=fine, mean_shape=shape)

    def seen(learner, key, scene, views, rows):
        good = (views[:, :, 0] * right[rows, :, 0]).sum(1) > 0
        there = np.where(good[:, None, None], truth[rows], truth[rows, ::-1])
        near = np.where(good, 0.95, 0.7)[:, None, None] * np.ones((1, len(shape), 1))
        return np.concatenate([there, near, near], 2), np.zeros((len(rows), 0))

    monkeypatch.setattr(find, "seen", seen)
    views = np.stack([right[0], find.turned_round(right[1:], size)[0]])
    found, _ = find.look_once(SimpleNamespace(plan=plan), None, views, np.arange(2))
    np.testing.assert_allclose(found[..., :2], truth)


def test_a_missing_point_does_not_turn_the_animal(rng):
    shape = SHAPE - SHAPE.mean(0)
    points = placed(shape, np.array([[50.0, 40.0]]), np.array([1.0]))
    points[0, 1] = np.nan
    centre, angle = pose_of(points, shape)
    np.testing.assert_allclose([*centre[0], angle[0]], [50, 40, 1], atol=1e-9)


def test_one_gross_error_turns_it_little(rng):
    shape = np.concatenate([SHAPE, SHAPE * 0.5 + 1])
    shape -= shape.mean(0)
    points = placed(shape, np.array([[50.0, 40.0]]), np.array([1.0]))
    points[0, 3] += 60
    plain = pose_of(points, shape)[1][0]
    robust = robust_pose(points, shape, np.ones((1, 8)), 2.0)[1][0]
    assert abs(robust - 1) < 0.05 < abs(plain - 1)


def test_the_mean_shape_is_that_of_the_animals(rng):
    """Distances between its points, which no turn changes, are those of the animals."""
    found = mean_shape(animals(rng))
    np.testing.assert_allclose(_distances(found), _distances(SHAPE), atol=1e-6)


def _distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_a_plan_crops_and_turns_animals_that_point_anywhere(rng):
    plan = make_plan(animals(rng), [(480, 640)], NAMES, MIRROR)
    assert plan.turned
    assert plan.mirrored
    assert plan.coarse is not None
    assert np.prod(plan.fine.size) < 0.05 * 480 * 640
    assert PosePlan.from_dict(plan.as_dict()) == plan


def test_a_plan_sees_whole_frames_of_an_animal_that_fills_them(rng):
    points = SHAPE * 9 + [200, 150] + rng.normal(0, 3, (30, 4, 2))
    plan = make_plan(points * np.array([1, 3]), [(300, 400)], NAMES, (0, 1, 2, 3))
    assert plan.coarse is None
    assert not plan.turned
    assert not plan.mirrored


def test_several_nets_share_a_fit_of_whole_frames_that_has_steps_enough(rng):
    points = animals(rng)
    whole = make_plan(points, [(200, 240)], NAMES, MIRROR, keys={"crop": "no"})
    assert with_enough(whole, 2 * ENOUGH + 1).fine.nets == 2
    assert with_enough(whole, 2 * ENOUGH - 1).fine.nets == 1
    crops = make_plan(points, [(200, 240)], NAMES, MIRROR, keys={"crop": "yes"})
    assert with_enough(crops, 100_000).fine.nets == 1
    assert make_plan(points, [(200, 240)], NAMES, MIRROR, keys={"nets": 3}).fine.nets == 3


def test_an_unknown_key_of_the_plan_names_the_nearest(rng):
    with pytest.raises(ConfigError, match="mirror"):
        make_plan(animals(rng), [(99, 99)], NAMES, MIRROR, keys={"miror": "yes"})


def test_a_mirrored_side_view_is_not_even():
    side = np.array([[10.0, 0.0], [0.0, 5.0], [4.0, 5.0], [-10.0, -2.0]])
    assert not is_even(side, (0, 2, 1, 3))


def test_moved_views_take_their_points_along(rng):
    generator = torch.Generator().manual_seed(0)
    views = torch.as_tensor(similarity(np.full((6, 2), 40.0), np.ones(6), np.zeros(6), (32, 32)))
    sign = torch.tensor([1.0, -1, 1, -1, 1, -1])
    out = moved(views, (32, 32), Jitter(2.0, 0.2, 0.1, 3.0), sign, generator).numpy()
    assert (np.sign(np.linalg.det(out[:, :, :2])) == sign.numpy()).all()
    np.testing.assert_allclose(np.linalg.det(out[:, :, :2]) ** 2, 1, atol=0.9)


def test_relit_views_stay_finite_and_differ():
    x = torch.rand(8, 1, 16, 16) * 255
    out = relit(x.clone(), 1.0, torch.Generator().manual_seed(0))
    assert torch.isfinite(out).all()
    assert not torch.equal(out, x)
    again = relit(x.clone(), 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(out, again)


def test_the_loss_is_least_at_the_truth():
    """Against the definition: cross entropy with a Gaussian that sums to one over the cells."""
    points = torch.tensor([[[9.3, 6.1]]])
    logits = torch.randn(1, 1, 8, 10, generator=torch.Generator().manual_seed(1))
    v, u = torch.meshgrid(torch.arange(8), torch.arange(10), indexing="ij")
    x, y = u * 2 + 0.5, v * 2 + 0.5
    goal = torch.exp(-((x - 9.3) ** 2 + (y - 6.1) ** 2) / (2 * 2.0**2))
    goal = goal / goal.sum()
    wanted = -(goal * logits[0, 0].flatten().log_softmax(0).view(8, 10)).sum()
    assert float(map_loss(logits, points, 2, 2.0)) == pytest.approx(float(wanted), abs=1e-5)


def test_unknown_and_outside_points_are_not_learnt_from():
    logits = torch.randn(1, 3, 8, 8)
    points = torch.tensor([[[4.0, 4.0], [float("nan"), 1.0], [99.0, 2.0]]])
    one = map_loss(logits[:, :1], points[:, :1], 2, 2.0)
    assert float(map_loss(logits, points, 2, 2.0)) == pytest.approx(float(one))


def test_a_place_is_finer_than_a_cell():
    """A Gaussian between cells is read off at its middle."""
    v, u = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    logits = -((u * 2 + 0.5 - 13.2) ** 2 + (v * 2 + 0.5 - 9.7) ** 2) / (2 * 2.0**2)
    points, near, expected = places(logits[None, None], 2)
    np.testing.assert_allclose(points[0, 0], [13.2, 9.7], atol=0.1)
    assert near.item() > 0.9
    assert expected.item() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.05)  # Rayleigh's mean


def test_keypoints_agree_on_which_peak_is_meant(rng):
    """Two ends of a stick: the one that is in doubt goes where the sure one asks it to."""
    a = rng.uniform(20, 80, (60, 1, 2))
    stick = a + np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]]) + rng.normal(0, 1, (60, 3, 2))
    structure = learn_structure(stick)
    place = np.array([[[[20, 20], [70, 60]], [[10, 70], [50, 20]], [[20, 50], [60, 10]]]], float)
    near = np.array([[[0.98, 0.02], [0.55, 0.45], [0.9, 0.1]]])
    assert choose_peaks(place, near, structure).tolist() == [[0, 1, 0]]
    assert choose_peaks(place, near, structure, weight=0.0).tolist() == [[0, 0, 0]]
    again = Structure.from_arrays(structure.as_arrays())
    assert choose_peaks(place, near, again).tolist() == [[0, 1, 0]]


def mirrored(rng, n):
    """A paw, and its image in a mirror below: at the same x, anywhere along y; an ear elsewhere."""
    paw = rng.uniform(20, 80, (n, 1, 2))
    image = np.stack([paw[..., 0] + 4, rng.uniform(100, 160, (n, 1))], -1)
    return np.concatenate([paw, image, rng.uniform(20, 80, (n, 1, 2))], 1)


def test_two_views_of_a_point_are_tied_along_the_mirror_alone(rng):
    ties = learn_ties(mirrored(rng, 60) + rng.normal(0, 1.5, (60, 3, 2)))
    assert ties.pairs.tolist() == [[0, 1]]
    np.testing.assert_allclose(np.abs(ties.along), [[1, 0]], atol=0.15)
    assert float(ties.slack[0]) == pytest.approx(1.5 * np.sqrt(2), rel=0.3)
    assert len(learn_ties(mirrored(rng, FEW - 1)).pairs) == 0
    unknown = mirrored(rng, 60)
    unknown[:45, 1] = np.nan
    assert len(learn_ties(unknown).pairs) == 0


def test_tied_places_are_nearer_to_the_truth_and_to_each_other(rng):
    ties = learn_ties(mirrored(rng, 80) + rng.normal(0, 0.5, (80, 3, 2)))
    truth = mirrored(rng, 200)
    found = truth + rng.normal(0, 2, truth.shape)
    held = drawn(found, np.full((200, 3), 4.0), ties)
    gap = [np.abs(x[:, 1, 0] - x[:, 0, 0] - 4).mean() for x in (found, held)]
    off = [np.linalg.norm(x - truth, axis=-1)[:, :2].mean() for x in (found, held)]
    assert gap[1] < 0.5 * gap[0]
    assert off[1] < 0.95 * off[0]
    np.testing.assert_array_equal(held[:, 2], found[:, 2])


def test_the_clearer_view_leads_and_a_torn_tie_pulls_nothing(rng):
    ties = learn_ties(mirrored(rng, 80) + rng.normal(0, 0.3, (80, 3, 2)))
    found = mirrored(rng, 2)
    found[0, 1, 0] += 6.0
    found[1, 1, 0] += 60.0
    held = drawn(found, np.array([[2.0, 12.0, 2.0]] * 2), ties)
    moved = np.abs(held - found)[..., 0]
    assert moved[0, 1] > 10 * moved[0, 0] > 0
    np.testing.assert_allclose(held[1], found[1], atol=1e-9)
    murky = drawn(found, np.array([[2.0, 90.0, 90.0]] * 2), ties)  # may be another paw's
    np.testing.assert_allclose(murky[1], found[1], atol=1e-9)


def test_a_view_and_its_mirror_image_give_the_same_maps():
    """Whatever the net, left and right change places when the picture is mirrored."""
    from neuroloom.pose.nets.find import maps_of
    from neuroloom.pose.nets.unet import build_net

    torch.manual_seed(0)
    net = build_net("unet", 1, 4, (8, 8), {}).eval()
    x = torch.randn(2, 1, 32, 48)
    with torch.no_grad():
        one, other = maps_of(net, x, MIRROR), maps_of(net, x.flip(2), MIRROR)
    torch.testing.assert_close(one, other.flip(2)[:, list(MIRROR)])
    assert float(one.flatten(2).exp().sum(-1).mean()) == pytest.approx(1.0, abs=1e-4)
