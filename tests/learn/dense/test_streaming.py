"""Training sets larger than memory: cases lie on disk, patches are the same, nothing is left."""

from __future__ import annotations

import dataclasses
import gc

import numpy as np
import pytest
import torch

from neuroloom.learn.dense.augment.spatial import Affine
from neuroloom.learn.dense.data import bank as banks
from neuroloom.learn.dense.data.bank import Bank
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.training.learner import DenseLearner, Wishes
from neuroloom.learn.dense.training.module import DenseModule
from neuroloom.learn.training.fit import FitJob
from tests.grids import blob
from tests.learn.dense.training.test_module import PLAN, bank

KEYS = {"patch": (8, 8, 8), "batch": 2, "features": 4}


class Toy:
    """A ball in noise."""

    spacing = (1.0, 1.0, 1.0)

    def __init__(self, seed: int) -> None:
        self.name, (self.x, self.y) = f"toy{seed}", blob(seed, (24, 24, 24))

    def image(self) -> np.ndarray:
        return self.x[None]

    def truth(self) -> np.ndarray:
        return self.y.astype(np.int16)


@pytest.fixture
def small_memory(monkeypatch):
    """A machine on which no case fits."""
    monkeypatch.setattr(banks, "memory", lambda: 4.0)


def test_patches_from_disk_are_those_from_memory(tmp_path):
    drawn = []
    for more in ({}, {"folder": tmp_path / "cases", "limit": 1}):
        module = DenseModule(torch.nn.Identity(), lambda x, y: x, (Affine(30.0),), PLAN)
        module.bank = bank(**more)
        drawn.append(module.draw([0, 1, 2], torch.Generator().manual_seed(3)))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])


def test_a_bank_without_a_folder_makes_its_own_and_takes_it_away():
    own = bank(limit=1)
    assert len(list(own.folder.glob("*.npy"))) == 6
    own.close()
    assert not own.folder.exists()
    forgotten = bank(limit=1)
    folder = forgotten.folder
    del forgotten
    gc.collect()
    assert not folder.exists()


def test_only_what_is_beyond_the_limit_lies_on_disk():
    one = bank(cases=1).bytes
    own = bank(cases=3, limit=2 * one)
    assert [path.name[:5] for path in sorted(own.folder.glob("*.npy"))] == ["00003"] * 2
    own.close()


def test_a_fit_on_a_small_machine_ends_as_on_a_large_one(small_memory, monkeypatch, tmp_path):
    states = []
    for where in (tmp_path / "a", None):
        if where is None:
            monkeypatch.undo()
        learner = DenseLearner("dynunet", Wishes({0: "background", 1: "ball"}, keys=KEYS))
        checkpoint = None if where is None else where / "fit.safetensors"
        learner.fit(
            DenseCases([Toy(k) for k in range(3)]), job=FitJob(checkpoint=checkpoint, steps=3)
        )
        states.append(learner.state())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["fit.safetensors"]
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name])


def test_cases_are_kept_up_to_an_eighth_of_memory(monkeypatch):
    from neuroloom.learn.dense.data import cases

    monkeypatch.setattr(cases, "machine_memory", lambda: 8.0)
    few = DenseCases([Toy(0), Toy(1)])
    assert few.limit == 1
    list(few.preprocessed(PLAN))
    assert few.memory["bytes"] == 0
    assert Bank(few.preprocessed(PLAN), PLAN).bytes > 0


def test_folds_share_cases_unless_these_hang_on_what_is_learnt_from():
    """Statistics of the training cases differ from fold to fold, and only CT is scaled by them."""
    few = DenseCases([Toy(0), Toy(1)])
    known = {"mean": 1.0, "std": 2.0, "p0.5": -3.0, "p99.5": 9.0}
    for shift in (0.0, 1.0):
        for scheme in ("zscore", "ct"):
            own = dataclasses.replace(
                PLAN, normalisation=(scheme,), intensity=(known | {"mean": shift},)
            )
            list(few.preprocessed(own))
    keys = [place[2] for place in few.memory if place[0] == "case"]
    assert [keys.count(key) for key in dict.fromkeys(keys)] == [2, 2, 2]


def test_cases_of_another_plan_make_room():
    few = DenseCases([Toy(0), Toy(1), Toy(2)])
    other = dataclasses.replace(PLAN, spacing=(2.0, 2.0, 2.0))
    list(few[np.array([0, 1])].preprocessed(PLAN))
    few.limit = few.memory["bytes"]
    list(few.preprocessed(other))
    assert len(few.kept(other)) == 3
    assert len(few.kept(PLAN)) == 1
    list(few.preprocessed(PLAN))
    assert len(few.kept(PLAN)) == 2
    assert few.memory["bytes"] <= few.limit
