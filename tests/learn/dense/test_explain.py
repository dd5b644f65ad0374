"""Where a dense net looked: the slope of what it says of a structure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.explain import _first_there, by_distance, looks, slope_of
from neuroloom.learn.dense.nets.conditioning import fill_missing
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.training.learner import DenseLearner, Wishes
from neuroloom.learn.training.fit import FitJob
from neuroloom.volumes.segment import Segment
from tests import grids

FLAT = DensePlan(
    "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (32.0, 32.0), (32, 32), 4,
    ((1, 1), (2, 2), (2, 2)), ((3, 3),) * 3, (8, 16, 32), (1, 1, 1), (1, 1),
    classes={0: "background", 1: "disc"},
)  # fmt: skip


class Disc:
    """A disc that is told by its own brightness, in noise."""

    spacing = (1.0, 1.0)

    def __init__(self, seed: int) -> None:
        self.name, self.seed = f"disc{seed}", seed

    def truth(self) -> np.ndarray:
        y, x = np.mgrid[:40, :36]
        middle = np.random.default_rng(self.seed).uniform(12, 24, 2)
        return (np.hypot(y - middle[0], x - middle[1]) < 6).astype(int)

    def image(self) -> np.ndarray:
        noise = np.random.default_rng([self.seed, 1]).normal(0, 0.3, (40, 36))
        return (self.truth() + noise)[None].astype(np.float32)


def test_a_slope_lies_where_the_net_took_the_voxel_from():
    net = torch.nn.Conv2d(1, 2, 5, padding=2)
    with torch.no_grad():
        net.weight.zero_()
        net.weight[1, 0, 2, 4] = 3.0  # what lies two voxels to the right
    mask = np.zeros((9, 9), bool)
    mask[4, 3] = True
    found = slope_of(net, np.ones((1, 9, 9), np.float32), mask, 1, regions=False)
    assert np.argwhere(found > 0).tolist() == [[4, 5]]
    assert found[4, 5] == pytest.approx(3.0)


def test_log_odds_are_against_all_other_classes():
    net = torch.nn.Conv2d(1, 3, 1)
    with torch.no_grad():
        net.weight[:] = torch.tensor([1.0, 2.0, 4.0]).reshape(3, 1, 1, 1)
        net.bias.zero_()
    x, mask = np.full((1, 1, 1), 0.5, np.float32), np.ones((1, 1), bool)
    found = float(slope_of(net, x, mask, 2, regions=False)[0, 0])
    others = np.exp([0.5, 1.0])
    assert found == pytest.approx(4 - (others @ [1.0, 2.0]) / others.sum(), rel=1e-5)
    assert float(slope_of(net, x, mask, 2, regions=True)[0, 0]) == pytest.approx(4.0)


def test_a_net_that_needs_the_brightness_of_a_disc_looks_at_the_disc():
    learner = DenseLearner("dynunet", Wishes(dict(FLAT.classes), augment=("none",), mirror=()))
    learner.given = FLAT
    learner.fit(DenseCases([Disc(k) for k in range(8)]), job=FitJob(steps=80))
    new = DenseCases([Disc(k) for k in range(20, 24)])
    found = list(looks(learner, new, [case.name for case in new]))
    assert {look.part for look in found} == {"disc"}
    table = by_distance(found).set_index("distance")
    assert table["slope"].sum() == pytest.approx(1)
    assert table["random_weights"].sum() == pytest.approx(1)
    near = table.loc[["inside", "0-1", "1-2"]].sum()
    assert near["slope"] > 2 * near["voxels"]
    # The control is of the same build, with other weights.
    assert table.loc["inside", "slope"] != pytest.approx(table.loc["inside", "random_weights"])
    assert np.abs(found[0].slope - found[0].control).max() > 0


def test_a_large_structure_and_a_small_image_fit_the_patch():
    plan = dataclasses.replace(FLAT, patch=(64, 64))
    wishes = Wishes(dict(FLAT.classes), augment=("none",), mirror=())
    learner = DenseLearner("dynunet", wishes)
    learner.given = plan
    learner.fit(DenseCases([Disc(k) for k in range(4)]), job=FitJob(steps=30))
    for look in looks(learner, DenseCases([Disc(0)]), ["a"]):
        assert look.mask.shape == look.slope.shape == (64, 64)


def test_a_channel_that_is_not_there_is_not_there_for_the_slope_either():
    class Counts(torch.nn.Module):
        """Log-odds are twice the sum of the channels, by how many are there."""

        def forward(self, x):
            filled, there = fill_missing(x)
            odds = filled.sum(1) * there.sum(1)[:, None, None]
            return torch.stack([-odds, odds], 1)

    tile = np.ones((2, 4, 4), np.float32)
    at = np.zeros((4, 4), bool)
    at[1, 2] = True
    assert slope_of(Counts(), tile, at, 1, regions=False)[1, 2] == 2 * 2 * 2
    tile[0] = np.nan
    assert slope_of(Counts(), tile, at, 1, regions=False)[1, 2] == 2
    assert _first_there(tile, 2).tolist() == tile[1].tolist()
    slab = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    assert _first_there(slab, 2)[0, 0] == 2


@pytest.mark.parametrize(
    "more",
    [{}, pytest.param({"configuration": "2d"}, marks=pytest.mark.long),
     {"regions": {"both": "1,2"}}],
)  # fmt: skip
def test_a_run_explains_its_final_model_anew(more, tmp_path):
    data = grids.write_nnunet(tmp_path / "Dataset001_Toy", cases=5)
    fields = {"budget": "60 steps", "folds": 0, "plan": {"features": "4", "batch": "2"}}
    run = Segment(**fields | more).run(data, tmp_path / "r")
    table = run.explain()
    assert table.groupby("class")["slope"].sum().to_numpy() == pytest.approx(1)
    assert (run.folder / "artifacts" / "slope.png").is_file()
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "How far from a structure the net looks" in page
    run.explain()
    again = (run.folder / "report.html").read_text(encoding="utf-8")
    assert again.count("share of the slope of") == page.count("share of the slope of")
    image = next((data / "imagesTr").iterdir())
    image.write_bytes(next((data / "labelsTr").iterdir()).read_bytes())
    with pytest.raises(DataError, match="changed since this run began"):
        run.explain()


def test_a_model_without_a_slope_is_named(tmp_path):
    data = grids.write_nnunet(tmp_path / "Dataset001_Toy", cases=5)
    run = Segment(model="voxel-logistic", folds=0).run(data, tmp_path / "r")
    with pytest.raises(ConfigError, match="voxel-logistic is no net"):
        run.explain()
