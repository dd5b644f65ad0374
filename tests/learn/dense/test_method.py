"""What the report says of the training is what was done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuroloom.learn.dense.method import method_of
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.story import plan_table
from neuroloom.learn.dense.training.learner import DenseLearner, Wishes

PLAN = DensePlan(
    "3d_fullres", "default", "dynunet", 3, (1.0, 1.0, 1.0), (0, 1, 2), (20.0, 20.0, 20.0),
    (16, 16, 16), 2, ((1, 1, 1), (2, 2, 2)), ((3, 3, 3), (3, 3, 3)), (4, 8), (1, 1), (1,),
    classes={0: "background", 1: "a", 2: "b"},
)  # fmt: skip
WISHES = Wishes(PLAN.classes)


def test_the_optimiser_is_the_one_that_trained():
    learner = DenseLearner("dynunet", WISHES)
    for plan in (PLAN, PLAN.override(optimiser="adamw", lr=1e-3, weight_decay=0.1)):
        training = learner.training(plan)
        said = method_of(plan, WISHES, "mm")
        assert ("Muon" in said) == (training.muon > 0)
        assert (training.lr, training.weight_decay) == (plan.lr, plan.weight_decay)


def test_widths_and_resolutions_are_told_of_nets_that_have_them():
    said = method_of(replace(PLAN, net="vnet"), WISHES, "mm")
    assert "by vnet; loss: dice-ce; " in said
    assert "with 4-8 features; loss: dice-ce at every resolution;" in method_of(PLAN, WISHES, "mm")
    assert {"features", "blocks", "kernels"}.isdisjoint(
        plan_table(replace(PLAN, net="vnet"))["key"]
    )


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({}, "Predictions are the mean over mirror images, on the grid"),
        ({"mirror": ()}, "Predictions are on the grid"),
        ({"mirror": (), "views": "twelve"}, "Predictions are the mean over twelve sides, on"),
    ],
)
def test_what_predictions_are_the_mean_of(own, words):
    assert words in method_of(PLAN, replace(WISHES, **own), "mm")


def test_the_loss_of_regions_is_told():
    plan = PLAN.override(regions={"both": (1, 2)})
    said = method_of(plan, replace(WISHES, loss="focal"), "mm")
    assert "loss: focal, each region against the rest at every resolution" in said
