"""Patches as a stage of training wants them: where they lie, how coarse, how many."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.augment.spatial import Affine
from neuroloom.learn.dense.data.bank import Bank, Spot, numbered
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.planning.resample import preprocess
from neuroloom.learn.dense.training.learner import Wishes
from neuroloom.learn.dense.training.module import DenseModule, cut
from neuroloom.learn.dense.training.usual import criterion, mirrored

PLAN = DensePlan(
    "3d_fullres", "default", "dynunet", 3, (1.0, 1.0, 1.0), (0, 1, 2), (20.0, 20.0, 20.0),
    (16, 16, 16), 2, ((1, 1, 1), (2, 2, 2)), ((3, 3, 3), (3, 3, 3)), (4, 8), (1, 1), (1,),
    normalisation=("nonorm",), classes={0: "background", 1: "a", 2: "b"},
)  # fmt: skip

FLAT_OF_STACK = DensePlan(
    "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1, 2), (30.0, 30.0), (32, 32), 2,
    ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,),
)  # fmt: skip


def ramp(shape=(20, 22, 24)) -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose value tells the place, and a label of its upper half."""
    axes = torch.meshgrid(*(torch.arange(float(n)) for n in shape), indexing="ij")
    return (axes[0] + 100 * axes[1] + 10_000 * axes[2])[None], (axes[0] > 10).to(torch.int8)


def bank(plan=PLAN, cases=3, **more) -> Bank:
    x, y = ramp()
    label = y.numpy().astype(int)
    label[2:4, 3:5, 3:5] = 2
    done = [preprocess(x.numpy(), label, (1, 1, 1), plan) for _ in range(cases)]
    return Bank(done, plan, **more)


def test_a_zoomed_patch_shows_every_second_voxel_around_the_same_middle():
    x, y = ramp()
    found, label = cut(Spot(x, y, (2, 2, 2)), None, 0, (), (8, 8, 8), 2.0)
    whole = x[:, 2:18, 2:18, 2:18]
    pairs = whole.reshape(1, 8, 2, 8, 2, 8, 2).mean((2, 4, 6))
    assert torch.allclose(found, pairs, atol=0.05)
    assert label.shape == (8, 8, 8)


def test_without_zoom_a_patch_is_a_plain_copy():
    x, y = ramp()
    found, label = cut(Spot(x, y, (3, 4, 5)), None, 0, (), (8, 8, 8), 1.0)
    assert torch.equal(found, x[:, 3:11, 4:12, 5:13])
    assert torch.equal(label, y[3:11, 4:12, 5:13])


def test_stages_follow_one_another():
    plan = PLAN.override(stages=((0.25, 2.0, 1.0, 4), (0.5, 1.0, 0.5, 1), (1.0, 1.0, 1.0, 1)))
    module = DenseModule(torch.nn.Identity(), lambda x, y: x, (), plan)
    module.bank = bank(plan)
    sizes = []
    for share in (0.0, 0.3, 0.9):
        module.at(share)
        x, y = module.draw([0, 1], torch.Generator().manual_seed(0))
        sizes.append(tuple(x.shape))
        assert y.shape == (x.shape[0], *x.shape[2:])
    assert sizes == [(8, 1, 8, 8, 8), (2, 1, 8, 8, 8), (2, 1, 16, 16, 16)]


def test_the_same_seed_draws_the_same_patches():
    module = DenseModule(torch.nn.Identity(), lambda x, y: x, (Affine(30.0),), PLAN)
    module.bank = bank()
    first, again = (module.draw([0, 1, 2], torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


def test_every_second_patch_holds_foreground_and_small_classes_come_up():
    own, generator = bank(), torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(60):
        spot = own.spot(0, True, generator)
        where = tuple(slice(max(a, 0), a + n) for a, n in zip(spot.start, PLAN.patch, strict=True))
        values = set(torch.unique(spot.label[where]).tolist()) - {0}
        assert values
        seen |= values
    assert seen == {1, 2}


def scribbled(ignore: int | None) -> Bank:
    """Three thin scribbles, of the foreground and the background, in a case that is left open."""
    label = np.full((64, 64, 64), 2)
    label[32, 10:50, 12] = 1
    label[32, 10:50, 50] = label[40, 20, 12:40] = 0
    plan = PLAN.override(ignore=ignore)
    return Bank([preprocess(np.zeros((1, *label.shape), "f4"), label, (1, 1, 1), plan)], plan)


@pytest.mark.parametrize("foreground", [True, False])
def test_every_patch_of_a_scribbled_case_holds_something_known(foreground):
    own, generator = scribbled(2), torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(60):
        start = own.spot(0, foreground, generator).start
        where = tuple(slice(a, a + n) for a, n in zip(start, PLAN.patch, strict=True))
        values = set(torch.unique(own.labels[0][where]).tolist()) - {-1}
        assert values
        seen |= values
    assert seen >= {0, 1} or foreground


def test_where_nothing_is_left_open_patches_lie_where_they_always_did():
    own, generator = bank(jitter=2), torch.Generator().manual_seed(5)
    found = [own.spot(k % 3, k % 2 == 1, generator).start for k in range(4)]
    assert found == [(6, 8, 7), (-2, -2, -2), (4, -2, 4), (6, 1, 10)]


def test_a_small_image_lies_anywhere_within_its_patch():
    plan = PLAN.override(patch=(32, 32, 32))
    starts = {
        bank(plan, cases=1).spot(0, False, torch.Generator().manual_seed(k)).start[0]
        for k in range(40)
    }
    assert min(starts) == -6
    assert max(starts) == -6
    jittered = {
        bank(plan, cases=1, jitter=3).spot(0, False, torch.Generator().manual_seed(k)).start[0]
        for k in range(40)
    }
    assert jittered == set(range(-9, -2))


def test_cases_beyond_the_limit_are_mapped_from_disk(tmp_path):
    whole, mapped = bank(), bank(folder=tmp_path / "cases", limit=1)
    assert len(list((tmp_path / "cases").glob("*-image.npy"))) == 3
    for a, b in zip(whole.images, mapped.images, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(whole.labels, mapped.labels, strict=True):
        assert torch.equal(a, b)


def test_labels_become_places_and_a_strange_value_is_named():
    plan = PLAN.override(classes={0: "background", 17: "left", 53: "right"}, ignore=255)
    label = np.array([[[0, 17, 53, 255]]])
    assert numbered(label, plan).tolist() == [[[0, 1, 2, -1]]]
    with pytest.raises(DataError, match="value 7"):
        numbered(np.array([7]), plan)


def test_regions_are_learnt_by_the_loss_that_was_asked_for():
    plan = PLAN.override(regions={"both": (1, 2), "b": (2,)})
    logits = torch.randn(1, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    truth = torch.randint(0, 3, (1, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    found = {float(criterion(plan, name)(logits, truth)) for name in ("dice-ce", "focal", "ce")}
    assert len(found) == 3


def test_a_stage_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="stages"):
        PLAN.override(stages=((0.5, 1.0, 1.0, 1),))


def test_turns_are_true_in_millimetres(monkeypatch):
    """A thick axis leans as far in millimetres as a fine one, not in voxels."""
    plan, drawn = PLAN.override(spacing=(3.0, 0.5, 0.5)), []
    change = Affine(15.0, (1.0, 1.0))
    module = DenseModule(torch.nn.Identity(), lambda x, y: x, (change,), plan)
    module.bank = bank(plan)
    draw = Affine.draw_rows

    def noted(self, *args):
        drawn.append(draw(self, *args))
        return drawn[-1]

    monkeypatch.setattr(Affine, "draw_rows", noted)
    module.draw([0, 1, 2], torch.Generator().manual_seed(0))
    length = torch.tensor(plan.spacing)
    turned = drawn[0]["matrix"] * length[:, None] / length
    assert torch.allclose(turned @ turned.mT, torch.eye(3).expand(3, 3, 3), atol=1e-5)
    assert not torch.allclose(turned, torch.eye(3).expand(3, 3, 3), atol=1e-2)


@pytest.mark.parametrize(
    ("wishes", "axes"),
    [
        ({}, (0, 1)), ({"mirror": (2,)}, (1,)), ({"augment": ("none",)}, ()),
        ({"views": "three"}, (0, 1)), ({"views": "three", "mirror": (2,)}, ()),
        ({"augment": ("gamma",)}, (0, 1)), ({"views": "sixteen", "mirror": (1, 2)}, (0, 1)),
    ],
)  # fmt: skip
def test_what_is_mirrored_is_what_is_learnt(wishes, axes):
    flat = FLAT_OF_STACK
    assert mirrored(flat, Wishes(dict(flat.classes), **wishes)) == axes


def test_a_channel_is_hidden_in_all_slices_of_a_slab():
    plan = dataclasses.replace(PLAN, channels=("a", "b"))
    module = DenseModule(torch.nn.Identity(), lambda x, y: x, (), plan)
    module.bank, module.hides = bank(), 0.5
    module.bank.slab = 3
    x, gone = torch.ones(40, 6, 4, 4), torch.zeros(40, 6, dtype=torch.bool)
    seen = module._lacking(x, gone, torch.Generator().manual_seed(0)).isnan()[..., 0, 0]
    assert torch.equal(seen, seen[:, :2].repeat(1, 3))
    assert 0 < seen.sum() < seen.numel() / 2


@pytest.mark.parametrize("augment", [None, ("none",)])
def test_views_that_mirror_are_asked_only_where_mirrors_were_learnt(augment, monkeypatch):
    from neuroloom.learn.dense.apply import infer, views

    asked = []
    keep = lambda predict, x, chosen, **more: asked.extend(chosen)  # noqa: E731
    monkeypatch.setattr(views, "predict_views", keep)
    wishes = Wishes(dict(FLAT_OF_STACK.classes), views="sixteen", augment=augment)
    infer._from_sides(torch.nn.Identity(), np.zeros((1, 4, 8, 8)), FLAT_OF_STACK, wishes)
    assert len(asked) == (16 if augment is None else 8)


def test_only_the_net_computes_in_fewer_bits():
    seen = []

    class Net(torch.nn.Conv3d):
        def forward(self, x):
            seen.append(x.dtype)
            return super().forward(x)

    def loss(outputs, labels):
        seen.extend([outputs.dtype, torch.is_autocast_enabled("cpu")])
        return outputs.float().sum()

    module = DenseModule(Net(1, 2, 1), loss, (Affine(30.0),), PLAN)
    module.bank = bank()
    with torch.autocast("cpu", torch.bfloat16):
        module.loss(torch.tensor([0, 1]), torch.zeros(2), torch.Generator().manual_seed(0))
    assert seen == [torch.float32, torch.bfloat16, False]
