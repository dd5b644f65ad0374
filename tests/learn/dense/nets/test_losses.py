"""Losses against MONAI, against their definitions, and what no voxel may do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from monai import losses as monai_losses

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.nets import losses, rare_losses

SHAPES = [(6, 7), (5, 6, 4)]
in_2d_and_3d = pytest.mark.parametrize("shape", SHAPES, ids=["2d", "3d"])
LIKE_OURS = {"smooth_nr": 1e-5, "smooth_dr": 1e-5}
FOREGROUND = {"include_background": False, "to_onehot_y": True, "softmax": True}
INTEGER_LOSSES = [name for name in rare_losses.LOSSES if name != "soft-dice"]


def example(shape: tuple[int, ...], classes: int = 4, n: int = 3) -> tuple:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, classes, *shape, generator=generator) * 2
    return logits, torch.randint(0, classes, (n, *shape), generator=generator)


def off_axis(truth: torch.Tensor) -> torch.Tensor:
    """Return MONAI's form of a truth: with an axis for the channel."""
    return truth.unsqueeze(1)


@in_2d_and_3d
@pytest.mark.parametrize("batch", [False, True])
def test_dice_ce_is_monais(shape: tuple[int, ...], batch: bool) -> None:
    logits, truth = example(shape)
    theirs = monai_losses.DiceCELoss(**FOREGROUND, **LIKE_OURS, batch=batch)
    ours = losses.DiceCE(batch_dice=batch)
    assert float(ours(logits, truth)) == pytest.approx(
        float(theirs(logits, off_axis(truth))), abs=1e-6
    )


@in_2d_and_3d
def test_weights_of_classes_are_monais(shape: tuple[int, ...]) -> None:
    logits, truth = example(shape)
    weights = torch.tensor([0.2, 1.0, 3.0, 0.5])
    ours = losses.DiceCE(background=True, dice=0.3, ce=2.0, weights=weights)
    dice = monai_losses.DiceLoss(to_onehot_y=True, softmax=True, **LIKE_OURS)
    entropy = torch.nn.CrossEntropyLoss(weights)
    expected = 0.3 * dice(logits, off_axis(truth)) + 2 * entropy(logits, truth)
    assert float(ours(logits, truth)) == pytest.approx(float(expected), abs=1e-6)


@in_2d_and_3d
def test_tversky_is_monais(shape: tuple[int, ...]) -> None:
    logits, truth = example(shape)
    theirs = monai_losses.TverskyLoss(**FOREGROUND, **LIKE_OURS, alpha=0.3, beta=0.7)
    assert float(rare_losses.tversky(logits, truth)) == pytest.approx(
        float(theirs(logits, off_axis(truth))), abs=1e-6
    )


@in_2d_and_3d
def test_focal_is_monais(shape: tuple[int, ...]) -> None:
    logits, truth = example(shape)
    theirs = monai_losses.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)
    per_class = float(theirs(logits, off_axis(truth)))  # their mean runs over the classes too
    assert float(rare_losses.focal(logits, truth)) == pytest.approx(4 * per_class, abs=1e-6)


@in_2d_and_3d
def test_generalised_dice_is_monais_when_a_class_is_missing(shape: tuple[int, ...]) -> None:
    logits, truth = example(shape)
    truth[0][truth[0] == 2] = 0
    theirs = monai_losses.GeneralizedDiceLoss(**FOREGROUND, **LIKE_OURS)
    assert float(rare_losses.generalised_dice(logits, truth)) == pytest.approx(
        float(theirs(logits, off_axis(truth))), abs=1e-6
    )


@in_2d_and_3d
def test_centre_lines_are_monais(shape: tuple[int, ...]) -> None:
    from monai.losses.cldice import soft_skel

    p = example(shape)[0].sigmoid()
    torch.testing.assert_close(rare_losses.soft_skeleton(p, 3), soft_skel(p, 3))


def test_cl_dice_is_the_papers() -> None:
    """Precision and recall of the centre lines written out with numpy for two crossing bars."""
    truth = torch.zeros(1, 15, 15, dtype=torch.long)
    truth[:, 6:9, 1:14] = 1
    gap = truth.clone()
    gap[:, :, 7:9] = 0
    sure = 40.0 * torch.stack([1 - 2.0 * gap, 2.0 * gap - 1], 1)
    lines = [rare_losses.soft_skeleton(t[None].float(), 3)[0, 0].numpy() for t in (gap, truth)]
    precision = ((lines[0] * truth[0].numpy()).sum() + 1) / (lines[0].sum() + 1)
    recall = ((lines[1] * gap[0].numpy()).sum() + 1) / (lines[1].sum() + 1)
    expected = 1 - 2 * precision * recall / (precision + recall)
    assert recall < 1
    assert float(rare_losses.cl_dice(sure, truth, share=1.0)) == pytest.approx(expected, abs=1e-6)


def test_lovasz_is_the_integral_of_the_jaccard_loss() -> None:
    """The Lovász extension by its definition: the mean Jaccard loss over all thresholds."""
    logits, truth = example((3, 4), classes=3, n=2)
    p = logits.softmax(1).movedim(1, -1).reshape(-1, 3)
    flat, expected = truth.reshape(-1), []
    for k in range(3):
        here = flat == k
        error = (here.float() - p[:, k]).abs()
        cuts = [0.0, *sorted(error.tolist())]
        total = 0.0
        for low, high in pairwise(cuts):
            wrong = error > (low + high) / 2
            total += (high - low) * float(wrong.sum()) / float((here | wrong).sum())
        expected.append(total)
    assert float(rare_losses.lovasz(logits, truth)) == pytest.approx(sum(expected) / 3, abs=1e-6)


def test_top_k_takes_the_hardest() -> None:
    logits, truth = example((6, 7))
    truth[0, :2] = losses.IGNORE
    each = torch.nn.functional.cross_entropy(logits, truth.clamp(min=0), reduction="none")
    hard = sorted(each[truth >= 0].tolist(), reverse=True)[: round(0.2 * int((truth >= 0).sum()))]
    assert float(rare_losses.top_k(logits, truth, share=0.2)) == pytest.approx(
        sum(hard) / len(hard), abs=1e-6
    )


@in_2d_and_3d
def test_regions_are_monais_sigmoid_losses(shape: tuple[int, ...]) -> None:
    _, truth = example(shape)
    logits = example(shape, classes=3)[0]
    regions = [[1, 2, 3], [2, 3], [3]]
    target = torch.stack([truth > 0, truth > 1, truth > 2], 1).float()
    dice = monai_losses.DiceLoss(sigmoid=True, **LIKE_OURS)(logits, target)
    binary = torch.nn.BCEWithLogitsLoss()(logits, target)
    ours = losses.RegionLoss(regions)(logits, truth)
    assert float(ours) == pytest.approx(float(dice + binary), abs=1e-6)


@in_2d_and_3d
def test_each_region_against_the_rest_is_the_loss_of_regions(shape: tuple[int, ...]) -> None:
    logits, _ = example(shape, classes=2)
    _, truth = example(shape, classes=4)
    truth[0, 0] = losses.IGNORE
    regions = [[1, 2], [2]]
    each = losses.EachRegion(regions, losses.DiceCE())
    torch.testing.assert_close(each(logits, truth), losses.RegionLoss(regions)(logits, truth))


@pytest.mark.parametrize("name", INTEGER_LOSSES)
def test_regions_take_any_loss_of_classes(name: str) -> None:
    logits, truth = example((6, 8), classes=2)
    truth[:, :2] = losses.IGNORE
    loss = rare_losses.loss_named(name)
    sigmoids = (logits[:, 1:] - logits[:, :1]).requires_grad_()
    found = losses.EachRegion([[1]], loss)(sigmoids, truth)
    torch.testing.assert_close(found, loss(logits, truth))
    found.backward()
    assert sigmoids.grad[:, :, 2:].any()
    assert not sigmoids.grad[:, :, :2].any()


@pytest.mark.parametrize("name", INTEGER_LOSSES)
@in_2d_and_3d
def test_what_is_unknown_changes_nothing(name: str, shape: tuple[int, ...]) -> None:
    """Neither the loss nor any gradient may depend on the logits of an ignored voxel."""
    logits, truth = example(shape)
    truth[:, :3] = losses.IGNORE
    unknown = off_axis(truth == losses.IGNORE).expand_as(logits)
    loss = rare_losses.loss_named(name)
    if name == "cl-dice":  # a centre line looks at its neighbours, here at zeros
        truth = truth.clamp(max=1)
        logits = logits[:, :2]
        unknown = unknown[:, :2]
    logits.requires_grad_()
    value = loss(logits, truth)
    value.backward()
    assert logits.grad[unknown].abs().max() == 0
    assert logits.grad[~unknown].abs().max() > 0
    other = torch.where(unknown, 7.0, logits.detach())
    assert float(loss(other, truth)) == pytest.approx(float(value.detach()), abs=1e-6)


@pytest.mark.parametrize("name", INTEGER_LOSSES)
def test_nothing_known_is_finite(name: str) -> None:
    logits, truth = example((6, 7))
    logits.requires_grad_()
    loss = rare_losses.loss_named(name)(logits, torch.full_like(truth, losses.IGNORE))
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(logits.grad.isfinite().all())


def test_scribbles_equal_the_dense_loss_of_what_they_cover() -> None:
    """Cutting the unknown rows away gives the same number: the mask is exact."""
    logits, truth = example((6, 7))
    masked = truth.clone()
    masked[:, 4:] = losses.IGNORE
    for loss in (losses.DiceCE(), losses.RegionLoss([[1], [2], [3], [1, 2]])):
        whole, cut = loss(logits, masked), loss(logits[:, :, :4], truth[:, :4])
        assert float(whole) == pytest.approx(float(cut), abs=1e-6)


@pytest.mark.parametrize("name", list(rare_losses.LOSSES))
def test_half_precision_is_computed_in_single(name: str) -> None:
    logits, truth = example((6, 7))
    truth = losses.one_hot(truth, 4) if name == "soft-dice" else truth
    loss = rare_losses.loss_named(name)
    half = logits.bfloat16()
    assert loss(half, truth).dtype == torch.float32
    assert float(loss(half, truth)) == float(loss(half.float(), truth))
    with torch.autocast("cpu", torch.bfloat16):
        assert float(loss(half, truth)) == float(loss(half.float(), truth))


def test_hard_soft_labels_are_labels() -> None:
    logits, truth = example((6, 7))
    soft = losses.one_hot(truth, 4)
    assert float(rare_losses.SoftDice()(logits, soft)) == pytest.approx(
        float(losses.DiceCE()(logits, truth)), abs=1e-6
    )
    soft[:, :, 3:] = torch.nan
    truth[:, 3:] = losses.IGNORE
    assert float(rare_losses.SoftDice()(logits, soft)) == pytest.approx(
        float(losses.DiceCE()(logits, truth)), abs=1e-6
    )


def test_deep_supervision_weighs_as_nnunet() -> None:
    """Three outputs, the lowest for nothing: 2/3, 1/3, 0 of the losses at each resolution."""
    _, truth = example((8, 12))
    outputs = [example((8 // k, 12 // k))[0] for k in (1, 2, 4)]
    loss = losses.DiceCE()
    expected = 2 / 3 * loss(outputs[0], truth) + 1 / 3 * loss(outputs[1], truth[:, ::2, ::2])
    ours = losses.DeepSupervision(loss, drop_lowest=True)(outputs, truth)
    assert float(ours) == pytest.approx(float(expected), abs=1e-6)
    assert float(losses.DeepSupervision(loss)(outputs[:2], truth)) == pytest.approx(
        float(expected), abs=1e-6
    )


@pytest.mark.parametrize("size", [(5, 4), (8, 12), (3, 1)])
def test_shrink_takes_torchs_nearest(size: tuple[int, int]) -> None:
    _, truth = example((8, 12))
    interpolate: Callable = torch.nn.functional.interpolate
    theirs = interpolate(truth[:, None].float(), size=size, mode="nearest")[:, 0].long()
    assert losses.shrink(truth, size).equal(theirs)


def test_wrong_names_are_told_the_right_one() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'tversky'"):
        rare_losses.loss_named("tverski")
    with pytest.raises(ConfigError, match="one label or more"):
        losses.RegionLoss([[1], []])
