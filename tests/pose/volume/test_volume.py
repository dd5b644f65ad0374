"""The volume net: where voxels are seen, and what it starts from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.io.video import write_video
from neuroloom.learn.training.fit import own_threads
from neuroloom.pose.rig.scene import vary_poses, whole_poses
from neuroloom.pose.volume.centre import room_of
from neuroloom.pose.volume.films import Films, find_film
from neuroloom.pose.volume.kept import Kept, find_around
from neuroloom.pose.volume.learn import make_net
from neuroloom.pose.volume.nets.volume import VolumeNet, decode, sample, target_heat
from neuroloom.pose.volume.project import _small, read_project, with_points_of
from neuroloom.pose.volume.views import (
    Shape,
    Views,
    centres_of,
    cut,
    make_batch,
    mean_pose,
    measure_shape,
    voxels,
)
from neuroloom.pose.volumetric import Volumetric
from tests.pose.rig.scenes import small_scene, write_scene


@pytest.fixture(autouse=True)
def _one_thread():
    with own_threads(1):
        yield


def test_maps_are_read_where_pixels_are():
    y, x = np.mgrid[:12, :16]
    # A cell of a map holds two pixels a side; its centre is at 2 i + 0.5.
    maps = torch.from_numpy(np.stack([2 * x + 0.5, 2 * y + 0.5])[None].astype(np.float32))
    pixels = torch.rand(1, 50, 2) * torch.tensor([28.0, 20.0]) + 1
    got = sample(maps, pixels)[0].T
    torch.testing.assert_close(got, pixels[0], atol=1e-4, rtol=0)


def test_heat_and_decoding_are_inverse():
    pixels = torch.rand(2, 7, 2) * 40 + 10
    found, sure = decode(target_heat(pixels, (64, 64)).clamp(min=1e-9).log(), reach=4)
    assert (found - pixels).abs().max() < 0.1
    assert (sure > 0.9).all()
    outside = torch.tensor([[[-5.0, 3.0], [float("nan"), 2.0]]])
    assert target_heat(outside, (64, 64)).sum() == 0


def test_crops_hold_what_the_cameras_see():
    rig, painted = small_scene(4)
    views = Views(rig, painted.images, painted.points)
    crops, corner = cut(views, centres_of(views.points), 32)
    assert crops.shape == (4, 3, 32, 32)
    image = painted.images[1, 2].astype(float)
    x, y = corner[1, 2].astype(int)
    inside = image[max(y, 0) : y + 32, max(x, 0) : x + 32]
    mine = crops[1, 2][max(-y, 0) :, max(-x, 0) :][: inside.shape[0], : inside.shape[1]]
    assert np.corrcoef(mine.ravel(), inside.ravel())[0, 1] > 0.9999


def test_a_batch_knows_where_its_voxels_and_points_are():
    rig, painted = small_scene(4)
    views = Views(rig, painted.images, painted.points)
    shape = Shape(32, 80.0, 8)
    batch = make_batch(views, centres_of(views.points), shape, np.random.default_rng(0))
    assert batch.voxels.shape == (4, 512, 3)
    # The voxel nearest to a point is seen near the point, in every camera.
    far = torch.cdist(batch.truth, batch.voxels)
    nearest = far.argmin(-1)
    seen = torch.gather(batch.grid, 2, nearest[:, None, :, None].expand(-1, 3, -1, 2))
    inside = far.amin(-1) < 6
    gap = (seen - batch.pixels).norm(dim=-1).transpose(1, 2)[inside]
    assert gap.max() < 6


def test_cubes_turn_about_the_vertical():
    cube = voxels(np.array([1.0, 2, 3]), Shape(16, 20.0, 4), 0.7)
    np.testing.assert_allclose(cube.mean(0), [1, 2, 3], atol=1e-12)
    still = voxels(np.array([1.0, 2, 3]), Shape(16, 20.0, 4))
    np.testing.assert_allclose(cube[:, 2], still[:, 2])
    far = np.linalg.norm(cube - [1, 2, 3], axis=1)
    np.testing.assert_allclose(far, np.linalg.norm(still - [1, 2, 3], axis=1))


def test_an_untrained_net_joins_perfect_views(monkeypatch):
    """Given true heat the points are found at once, and between the voxels."""
    rig, painted = small_scene(2)
    views = Views(rig, painted.images, painted.points)
    shape = Shape(64, measure_shape(views).cube, 8)
    batch = make_batch(views, centres_of(views.points), shape)
    net = VolumeNet(22, 8, 8)
    heat = target_heat(batch.pixels.flatten(0, 1), (64, 64), 3.0).clamp(min=1e-9).log()
    absent = torch.full(heat.shape[:2], -20.0)
    told = (heat, absent, torch.zeros(len(heat), 8, 32, 32))
    monkeypatch.setattr(net.view, "forward", lambda crops: told)
    places, volume, _ = net(batch.crops, batch.grid, batch.voxels)
    assert (places - batch.truth).norm(dim=-1).median() < 0.3 * shape.cube / shape.grid
    torch.testing.assert_close(volume.exp().sum(-1), torch.ones(2, 22))


def test_gradients_reach_what_joins_the_views():
    rig, painted = small_scene(2)
    batch = make_batch(
        Views(rig, painted.images, painted.points), centres_of(painted.points), Shape(32, 80.0, 8)
    )
    net = VolumeNet(22, 8, 8)
    places, volume, _ = net(batch.crops, batch.grid, batch.voxels)
    (places.sum() + volume.amax(-1).sum()).backward()
    for weight in (net.head.weight, net.sharp, net.sharp_near):
        assert weight.grad.abs().sum() > 0


def test_poses_are_whole_and_varied():
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 20, (5, 22, 3))
    poses[2, 16:18] = np.nan
    filled = whole_poses(poses)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:2], poses[:2])
    varied = vary_poses(filled, 50, rng)
    sides = np.linalg.norm(varied[:, 3] - varied[:, 5], axis=-1)
    known = np.linalg.norm(filled[:, 3] - filled[:, 5], axis=-1)
    assert all(np.isclose(side, known).any() for side in sides)


def test_what_is_missing_is_named(tmp_path):
    folder = write_scene(tmp_path / "s", frames=3)
    with pytest.raises(DataError, match="3 moments are labelled"):
        Volumetric(shrink=1).prepare(folder)
    (folder / "videos/cam1/0.mp4").unlink()
    with pytest.raises(DataError, match="no film of camera 'cam1'"):
        read_project(folder)


def test_points_of_another_project_are_matched_by_name(tmp_path):
    project = read_project(write_scene(tmp_path, 4))
    points = project.views.points
    a, b = np.random.default_rng(0).permutation(points.shape[1]), [f"p{k}" for k in range(22)]
    named = replace(project, keypoints=tuple(b))
    learnt = [b[k] for k in a]
    np.testing.assert_array_equal(
        with_points_of(named, learnt, tmp_path).views.points, points[:, a]
    )
    with pytest.raises(DataError, match="lacks the point 'p9x' that the run learnt"):
        with_points_of(named, ["p9x"], tmp_path)
    plain = [f"keypoint_{k}" for k in range(22)]
    np.testing.assert_array_equal(with_points_of(named, plain, tmp_path).views.points, points)
    with pytest.raises(DataError, match="has 22 points a moment, the run learnt 21"):
        with_points_of(named, plain[:21], tmp_path)


def test_films_of_cameras_with_brackets_in_their_names_are_found(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "cam[1].mp4").touch()
    assert find_film(tmp_path, "cam[1]").name == "cam[1].mp4"


def test_films_are_of_the_size_that_cameras_were_calibrated_at(tmp_path):
    folder = write_scene(tmp_path / "s", frames=3)
    write_video(folder / "videos/cam1/0.mp4", np.zeros((3, 48, 64, 1), np.uint8), 50.0)
    with pytest.raises(DataError, match="64 x 48 px, camera 'cam1' was calibrated at 128 x 96"):
        read_project(folder)


def test_a_point_that_was_never_labelled_is_not_found():
    rig, painted = small_scene(2)
    points = painted.points.copy()
    points[:, 4] = np.nan
    views = Views(rig, painted.images, points)
    kept = Kept(
        [make_net(22, 0)], [], rig, Shape(32, 60.0, 8), 1, mean_pose(points), room_of(points)
    )
    places, spread = find_around(kept, views, centres_of(points))
    assert np.flatnonzero(np.isnan(places).any((0, 2))).tolist() == [4]
    assert np.isfinite(np.delete(spread, 4, axis=1)).all()


def test_a_frame_that_cannot_be_decoded_costs_its_moment(tmp_path):
    for camera in "ab":
        (tmp_path / camera).mkdir()
        for number in range(4):
            Image.new("L", (32, 24), 90).save(tmp_path / camera / f"{number}.png")
    (tmp_path / "b/2.png").write_bytes(b"no picture")
    films = Films([tmp_path / "a", tmp_path / "b"])
    assert all("pictures have no frame rate" in note for note in films.notes)
    images = np.concatenate([images for _, images in films.blocks(3)])
    assert films.damaged.tolist() == [False, False, True, False]
    assert images[[0, 1, 3]].min() == 90
    assert "1 moments have a frame that cannot be decoded, the first is 2" in films.notes[0]
    made, damaged = _small(tmp_path / "b", np.array([3, 2]), 1)
    assert damaged.tolist() == [False, True]
    assert made[0].min() == 90
