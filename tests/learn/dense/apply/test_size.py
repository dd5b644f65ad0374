"""The size at which a new image is looked at: that at which things are as thick as learnt."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroloom.core.recording import image
from neuroloom.io.images import write_image
from neuroloom.learn.dense.apply.infer import at_size, probabilities
from neuroloom.learn.dense.apply.size import EDGE as LARGEST
from neuroloom.learn.dense.apply.size import brought_to, known_size, pieces_of
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.training.learner import Wishes
from neuroloom.microscopy import Segment

PLAN = DensePlan(
    "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (64.0, 64.0), (32, 32), 2,
    ((1, 1), (2, 2)), ((3, 3), (3, 3)), (4, 8), (1, 1), (1,), channels=("image",),
    thickness=(1.25,),
)  # fmt: skip
WISHES = Wishes(classes={0: "background", 1: "dot"}, sizes=(0.5, 1.0, 1.5))
EDGE = 5  # pixels of the squares that the detector was made for
THICK = PLAN.thickness  # what their area is to their outline


class OfOneSize(torch.nn.Module):
    """A detector of squares of 5 x 5: sure of them and of emptiness, unsure of all else."""

    def __init__(self) -> None:
        super().__init__()
        window = -torch.ones(1, 1, EDGE + 4, EDGE + 4)
        window[..., 2:-2, 2:-2] = (window.numel() - EDGE**2) / EDGE**2
        self.window = torch.nn.Parameter(window)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of background and square."""
        fit = torch.nn.functional.conv2d(x, self.window, padding="same")
        fit = fit / float(self.window.abs().sum() / 2)
        fit = torch.nn.functional.max_pool2d(fit, EDGE, 1, EDGE // 2)
        square = 12 * (fit - 0.5).relu() - 12 * (1 - x)
        return torch.cat([torch.zeros_like(square), square], 1)


def squares(edge: int, shape: tuple[int, int] = (96, 96)) -> np.ndarray:
    """Paint squares of one size, three times as far apart, (1, y, x)."""
    one = np.zeros((3 * edge, 3 * edge), np.float32)
    one[edge : 2 * edge, edge : 2 * edge] = 1
    times = [-(-n // len(one)) for n in shape]
    return np.tile(one, times)[None, : shape[0], : shape[1]]


def look_of(net: torch.nn.Module):
    """Return a look of a net at one picture."""

    def look(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(np.ascontiguousarray(x))[None])[0].softmax(0).numpy()

    return look


@pytest.mark.parametrize(("edge", "size"), [(5, 1.0), (10, 0.5)])
def test_the_size_that_the_net_knows_is_found(edge: int, size: float) -> None:
    look = look_of(OfOneSize().eval())
    assert known_size(look, pieces_of(squares(edge)), (0.5, 1.0, 1.5), THICK) == size
    stack = np.stack([squares(edge)[0]] * 7)[None]
    assert known_size(look, pieces_of(stack), (0.5, 1.0, 1.5), THICK) == size


def test_what_is_alike_at_every_size_stays_as_large_as_it_is() -> None:
    look = look_of(OfOneSize().eval())
    nothing = np.zeros((1, 96, 96), np.float32)
    assert known_size(look, [nothing], (0.5, 0.6, 1.0, 1.7), THICK) == 1.0


def test_a_net_that_is_sure_of_emptiness_is_not_believed() -> None:
    def look(x: np.ndarray) -> np.ndarray:
        # Things that have become too dim by shrinking are not seen at all, and surely so.
        dot = np.where(x[0] > 0.9, 0.93, 0.001)
        return np.stack([1 - dot, dot])

    dots = np.zeros((1, 96, 96), np.float32)
    for y in (7, 8):
        for x in (7, 8):
            dots[0, y::12, x::12] = 1  # halved, each pixel lies between two
    assert (look(brought_to(dots, (48, 48)))[1] < 0.5).all()
    dots[0, 36:60, 36:60] = 0
    dots[0, 42:52, 42:52] = 1  # what is left at half the size is as thick as learnt
    assert known_size(look, [dots], (0.5, 1.0), [1.25]) == 1.0
    alone = np.zeros_like(dots)
    alone[0, 42:52, 42:52] = 1
    assert known_size(look, [alone], (0.5, 1.0), [1.25]) == 0.5


def test_a_net_that_is_surer_at_another_size_is_not_believed_where_things_are_as_thick() -> None:
    def look(x: np.ndarray) -> np.ndarray:
        sure = 0.99 if x.shape[-1] < 96 else 0.8
        return np.stack(
            [np.where(x[0] > 0.5, 1 - sure, sure), np.where(x[0] > 0.5, sure, 1 - sure)]
        )

    picture = squares(8)
    assert known_size(look, [picture], (0.5, 1.0), [2.0]) == 1.0
    assert known_size(look, [picture], (0.5, 1.0), [1.0]) == 0.5
    assert known_size(look, [picture], (0.5, 1.0), [0.0]) == 1.0  # a class that nothing is known of


def test_the_thickness_that_was_learnt_is_in_pixels_of_the_plan(tmp_path: Path) -> None:
    def write(folder: Path, edge: int) -> Path:
        label = (squares(edge)[0] > 0.5).astype(np.uint8)
        for seed, name in enumerate("ab"):
            noise = np.random.default_rng(seed).integers(0, 99, label.shape)
            for half, content in (("images", 100 * label + noise), ("labels", label)):
                (folder / half).mkdir(parents=True, exist_ok=True)
                write_image(folder / half / f"{name}.tif", image(content.astype(np.uint8)))
        return folder

    for edge in (8, 16):
        study = Segment(budget="1 steps", detail=0.9)
        data = study.read(write(tmp_path / str(edge), edge))
        plan = study._maker(study.find(study.model), data)().make_plan(data.x)
        assert plan.thickness == pytest.approx([edge / 4 / plan.spacing[0]], rel=0.05)
    kept = Segment(budget="1 steps", sizes="kept")
    learner = kept._maker(kept.find(kept.model), data)()
    assert learner.make_plan(data.x).thickness == ()


def test_a_run_that_knows_no_thickness_leaves_images_as_they_are() -> None:
    old = replace(PLAN, thickness=())
    found = probabilities(OfOneSize().eval(), squares(10), old, WISHES)
    blind = probabilities(OfOneSize().eval(), squares(10), PLAN, replace(WISHES, sizes=()))
    np.testing.assert_array_equal(found, blind)


def test_things_twice_as_large_are_found_on_the_image_s_own_grid() -> None:
    net, large = OfOneSize().eval(), squares(10)
    found = probabilities(net, large, PLAN, WISHES)
    blind = probabilities(net, large, PLAN, replace(WISHES, sizes=()))
    assert found.shape == blind.shape == (2, 96, 96)
    inside = large[0] > 0.5
    assert found[1][inside].mean() > 0.9 > 0.75 > blind[1][inside].mean()


def test_a_stack_keeps_its_slices_and_a_size_of_one_changes_nothing() -> None:
    net, stack = OfOneSize().eval(), np.stack([squares(5)[0]] * 3)[None]
    found = probabilities(net, stack, PLAN, WISHES)
    np.testing.assert_array_equal(found, probabilities(net, stack, PLAN, replace(WISHES, sizes=())))
    deep = np.stack([squares(10)[0]] * 40)[None]
    assert (
        probabilities(net, deep, PLAN, replace(WISHES, views="twelve")).shape[1:] == deep.shape[1:]
    )
    assert at_size(deep, 0.5, WISHES).shape == (1, 40, 48, 48)
    assert at_size(deep, 0.5, replace(WISHES, views="twelve")).shape == (1, 20, 48, 48)


def test_a_slab_is_looked_at_with_the_slices_that_it_has() -> None:
    stack = np.arange(2 * 9, dtype=np.float32).reshape(2, 9, 1, 1) * np.ones((8, 8), np.float32)
    from neuroloom.learn.dense.apply.views import slabs

    every = slabs(stack, 0, 3)
    for piece in pieces_of(stack, 3):
        assert any(np.array_equal(piece, one) for one in every)


def test_a_large_image_is_looked_at_in_a_few_places() -> None:
    large = np.zeros((1, 3 * LARGEST, 2 * LARGEST), np.float32)
    assert [piece.shape for piece in pieces_of(large)] == [(1, LARGEST, LARGEST)] * 4
    deep = np.broadcast_to(np.zeros((), np.float32), (1, 99, LARGEST + 1, 50))
    assert [piece.shape for piece in pieces_of(deep)] == [(1, LARGEST, 50)] * 4


def test_what_comes_back_is_resampled_as_images_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuroloom.learn.dense.apply import size
    from neuroloom.learn.dense.planning.resample import resample_image

    rng, alike = np.random.default_rng(0), (1.0, 1.0, 1.0)
    stack = rng.random((2, 6, 20, 15)).astype(np.float32)
    for shape in ((6, 33, 9), (9, 33, 9)):
        wanted = resample_image(stack, shape, alike, alike, order=1)
        np.testing.assert_allclose(brought_to(stack, shape), wanted, atol=1e-5)
    monkeypatch.setattr(size, "room", lambda shape: np.zeros(shape, np.float16))
    spilt = brought_to(stack.astype(np.float16), (9, 33, 9))
    assert spilt.dtype == np.float16
    np.testing.assert_allclose(spilt, wanted, atol=2e-3)


def test_regions_have_borders_of_their_own() -> None:
    def look(x: np.ndarray) -> np.ndarray:
        sure = 0.99 if x.shape[-1] < 96 else 0.6
        return np.stack([np.full(x.shape[1:], sure), np.full(x.shape[1:], 1 - sure)])

    assert known_size(look, [squares(5)], (0.5, 1.0), [48.0**2, 0.0], regions=True) == 0.5


def test_an_image_that_would_be_tiny_stays_as_it_is() -> None:
    def look(x: np.ndarray) -> np.ndarray:
        raise AssertionError("there is nothing to choose")

    assert known_size(look, [np.zeros((1, 40, 40), np.float32)], (0.5, 1.0), THICK) == 1.0


def test_wishes_come_back_from_json_and_old_ones_leave_images_as_they_are() -> None:
    plain = json.loads(json.dumps(vars(WISHES)))
    assert Wishes.from_dict(plain).sizes == (0.5, 1.0, 1.5)
    del plain["sizes"]
    assert Wishes.from_dict(plain).sizes == ()
