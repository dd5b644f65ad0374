"""The size at which a new image is looked at: that at which the net is surest."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroloom.learn.dense.apply.infer import probabilities
from neuroloom.learn.dense.apply.size import resized, surest
from neuroloom.learn.dense.learner import Wishes
from neuroloom.learn.dense.planning.denseplan import DensePlan

PLAN = DensePlan(
    "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (64.0, 64.0), (32, 32), 2,
    ((1, 1), (2, 2)), ((3, 3), (3, 3)), (4, 8), (1, 1), (1,), channels=("image",),
)  # fmt: skip
WISHES = Wishes(classes={0: "background", 1: "dot"}, sizes=(0.5, 1.0, 1.5))
EDGE = 5  # pixels of the squares that the detector was made for


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


@pytest.mark.parametrize(("edge", "size"), [(5, 1.0), (10, 0.5)])
def test_the_size_that_the_net_knows_is_found(edge: int, size: float) -> None:
    net = OfOneSize().eval()

    def look(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(np.ascontiguousarray(x))[None])[0].softmax(0).numpy()

    assert surest(look, squares(edge), (0.5, 1.0, 1.5)) == size
    stack = np.stack([squares(edge)[0]] * 7)[None]
    assert surest(look, stack, (0.5, 1.0, 1.5)) == size


def test_things_twice_as_large_are_found_on_the_image_s_own_grid() -> None:
    net, image = OfOneSize().eval(), squares(10)
    found = probabilities(net, image, PLAN, WISHES)
    blind = probabilities(net, image, PLAN, replace(WISHES, sizes=()))
    assert found.shape == blind.shape == (2, 96, 96)
    inside = image[0] > 0.5
    assert found[1][inside].mean() > 0.9 > 0.75 > blind[1][inside].mean()


def test_a_stack_keeps_its_slices_and_a_size_of_one_changes_nothing() -> None:
    net, stack = OfOneSize().eval(), np.stack([squares(5)[0]] * 3)[None]
    found = probabilities(net, stack, PLAN, WISHES)
    np.testing.assert_array_equal(found, probabilities(net, stack, PLAN, replace(WISHES, sizes=())))
    slab = replace(WISHES, views="twelve")
    assert probabilities(net, np.stack([squares(10)[0]] * 40)[None], PLAN, slab).shape[1:] == (
        40, 96, 96,
    )  # fmt: skip


def test_an_image_that_would_be_tiny_stays_as_it_is() -> None:
    said = iter([0.9, 0.6])

    def look(x: np.ndarray) -> np.ndarray:
        sure = next(said)
        return np.full((2, *x.shape[1:]), 0.5) + np.array([sure - 0.5, 0.5 - sure])[:, None, None]

    assert surest(look, np.zeros((1, 40, 40), np.float32), (0.5, 1.0, 1.5)) == 1.0
    assert resized(np.zeros((2, 3, 8, 6), np.float32), 0.5, 3).shape == (2, 2, 4, 3)


def test_wishes_come_back_from_json() -> None:
    import json

    plain = json.loads(json.dumps(vars(WISHES)))
    assert Wishes.from_dict(plain).sizes == (0.5, 1.0, 1.5)
