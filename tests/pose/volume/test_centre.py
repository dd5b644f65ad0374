"""The animal's centre: what views agree on, what is refused, and how views are varied."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroloom.learn.training.fit import FitJob, own_threads
from neuroloom.pose.volume.centre import (
    drawn,
    find_centres,
    make_finder,
    overview,
    room_of,
    train_finder,
    varied,
)
from neuroloom.pose.volume.nets.volume import target_heat
from neuroloom.pose.volume.views import Views, centres_of
from tests.pose.rig.scenes import small_scene


@pytest.fixture(autouse=True)
def _one_thread():
    with own_threads(1):
        yield


class Told(torch.nn.Linear):
    """A net that is sure of pixels (camera, frame, 2), whatever it sees."""

    def __init__(self, pixels: np.ndarray, sure: float = 1.0) -> None:
        super().__init__(1, 1)
        where = np.moveaxis(pixels, 0, 1).reshape(-1, 1, 2).astype(np.float32)
        self.where, self.sure = torch.from_numpy(where), sure

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        heat = self.sure * target_heat(self.where, (crops.shape[-2], crops.shape[-1]))
        return heat.clamp(min=1e-12).log(), torch.zeros(len(crops), 1), torch.zeros(1)


def test_views_that_agree_place_the_animal():
    rig, painted = small_scene(5)
    views = Views(rig, painted.images, painted.points)
    truth = centres_of(painted.points)
    centres, sure = find_centres([Told(rig.project(truth))], views)
    assert np.linalg.norm(centres - truth, axis=1).max() < 1
    assert (sure > 0.9).all()


def test_a_view_that_sees_something_else_is_left_out():
    rig, painted = small_scene(5)
    views = Views(rig, painted.images, painted.points)
    truth = centres_of(painted.points)
    seen = rig.project(truth)
    seen[1] = [100.0, 80.0]
    centres, _ = find_centres([Told(seen)], views)
    assert np.linalg.norm(centres - truth, axis=1).max() < 1


def test_views_that_all_disagree_find_nothing():
    rig, painted = small_scene(5)
    views = Views(rig, painted.images, painted.points)
    seen = rig.project(centres_of(painted.points))
    seen[0, :, 1] -= 25
    seen[1, :, 1] += 25
    seen[2] = [4.0, 4.0]
    centres, sure = find_centres([Told(seen)], views, room_of(painted.points))
    assert np.isnan(centres).all()
    assert (sure == 0).all()


def test_unsure_views_find_nothing():
    rig, painted = small_scene(5)
    views = Views(rig, painted.images, painted.points)
    net = Told(rig.project(centres_of(painted.points)), sure=0.1)
    centres, sure = find_centres([net], views)
    assert np.isnan(centres).all()
    assert (sure == 0).all()


def test_frames_are_shrunk_with_their_pixels():
    image = np.zeros((1, 1, 180, 200), np.uint8)
    image[0, 0, 100:102, 60:62] = 255
    small, times = overview(image)
    y, x = np.unravel_index(small[0, 0].argmax(), small.shape[-2:])
    assert times == 2
    np.testing.assert_allclose([(x + 0.5) * times - 0.5, (y + 0.5) * times - 0.5], [60.5, 100.5])


def test_varied_frames_take_their_points_with_them():
    frames = torch.zeros(20, 96, 128)
    pixels = np.random.default_rng(0).uniform([40, 30], [88, 66], (20, 1, 2))
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    for frame, (px,) in zip(frames, pixels, strict=True):
        frame += 50 * torch.exp(-((x - px[0]) ** 2 + (y - px[1]) ** 2) / 18)
    new, moved = varied(frames, torch.from_numpy(pixels), np.random.default_rng(1))
    for frame, (px,) in zip(new, moved.numpy(), strict=True):
        top, left = np.unravel_index(int(frame.argmax()), frame.shape)
        assert abs(left - px[0]) < 2
        assert abs(top - px[1]) < 2
    still = drawn(frames[None].numpy(), pixels[None], np.array([0]), None)
    assert torch.equal(still.crops[0, :, 0], frames)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    rig, painted = small_scene(6)
    views = Views(rig, painted.images, painted.points)

    def learn(name: str, stop: int = 0) -> list[torch.Tensor]:
        net, seen = make_finder(0), 0

        def killed(line: dict) -> None:
            nonlocal seen
            seen += 1
            if seen == stop:
                raise KeyboardInterrupt

        job = FitJob(
            seed=3, steps=30, checkpoint=tmp_path / name, every_s=0.0, progress=killed
        )  # fmt: skip
        train_finder(net, views, 1, job)
        return [weight.detach().clone() for weight in net.parameters()]

    whole = learn("whole")
    with pytest.raises(KeyboardInterrupt):
        learn("cut", stop=1)
    assert (tmp_path / "cut").is_file()
    assert all(torch.equal(a, b) for a, b in zip(whole, learn("cut"), strict=True))
