"""Plans equal nnU-Net's, and departures from them are said."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.planning.fingerprint import CaseFacts, Fingerprint
from neuroloom.learn.dense.planning.plan import (
    plan,
    plan_like_nnunet,
    plans_like_nnunet,
    squared,
    target_spacing,
)
from neuroloom.learn.dense.planning.topology import footprint, topology
from neuroloom.learn.dense.training.learner import DenseLearner, Wishes


def fingerprint(
    spacing: tuple[float, ...],
    shape: tuple[int, ...],
    n: int,
    channels: tuple[str, ...] = ("MRI",),
    classes: int = 3,
) -> Fingerprint:
    made = Fingerprint(channels)
    values = np.ones((len(channels), 1), np.float32)
    for _ in range(n):
        made.update(CaseFacts(spacing, shape, shape, values, dict.fromkeys(range(classes), 1)))
    return made


HIPPOCAMPUS = fingerprint((1, 1, 1), (36, 50, 35), 260)
TUMOUR = fingerprint((1, 1, 1), (138, 169, 138), 484, ("FLAIR", "T1w", "t1gd", "T2w"), 4)
ULNA = fingerprint((0.6, 0.3467, 0.3467), (512, 512, 706), 50, ("CT",), 2)


def test_hippocampus_is_planned_as_by_nnunet() -> None:
    """nnU-Net's own plan of MSD task 4 (research 05, section 1.2)."""
    made = plan_like_nnunet(HIPPOCAMPUS)
    assert (made.patch, made.batch, made.pools) == ((40, 56, 40), 9, (3, 3, 3))
    assert made.features == (32, 64, 128, 256)
    assert made.kernels == ((3, 3, 3),) * 4
    assert (made.normalisation, made.batch_dice) == (("zscore",), False)
    assert set(plans_like_nnunet(HIPPOCAMPUS)) == {"2d", "3d_fullres"}
    flat = plan_like_nnunet(HIPPOCAMPUS, "2d")
    assert (flat.patch, flat.batch, len(flat.strides)) == ((56, 40), 366, 4)
    assert flat.batch_dice


def test_brain_tumour_is_planned_as_by_nnunet() -> None:
    """nnU-Net issue 2725."""
    made = plan_like_nnunet(TUMOUR)
    assert (made.patch, made.batch, made.pools) == ((128, 128, 128), 2, (5, 5, 5))
    assert made.features == (32, 64, 128, 256, 320, 320)


def test_ulna_is_planned_as_by_nnunet() -> None:
    """nnU-Net issue 1898: anisotropic CT that needs a coarse stage."""
    made = plans_like_nnunet(ULNA)
    full = made["3d_fullres"]
    assert (full.patch, full.batch, full.pools) == ((128, 112, 160), 2, (5, 4, 5))
    assert full.strides[-1] == (2, 1, 2)
    assert full.batch_dice
    assert full.normalisation == ("ct",)
    low = made["3d_lowres"]
    share = np.prod(low.patch) / np.prod(low.median_shape)
    assert 0.25 <= share < 0.25 * 1.03**3 * 1.02
    assert not low.batch_dice
    assert made["3d_cascade_fullres"].previous == low
    assert made["3d_cascade_fullres"].inputs == 2


def test_memory_of_residual_nets_is_what_nnunet_states() -> None:
    """Two footprints stand in the comments of nnU-Net's file of ResEnc planners."""
    solid = topology((1, 1, 1), (128, 128, 128))
    wide = (32, 64, 128, 256, 320, 320)
    blocks = (1, 3, 4, 6, 6, 6)
    assert footprint(solid, wide, blocks, [1] * 5, 3, residual=True, heads=5) == 558319104
    flat = topology((1, 1), (512, 512))
    cut = type(flat)(flat.patch, flat.strides[:7], flat.kernels[:7])
    wide = (32, 64, 128, 256, 512, 512, 512)
    assert footprint(cut, wide, (*blocks, 6), [1] * 6, 3, residual=True, heads=6) == 129793792


def test_residual_presets_use_their_memory() -> None:
    medium, large = (plan_like_nnunet(TUMOUR, preset=f"resenc-{size}") for size in "ml")
    assert medium.patch == (128, 128, 128)
    assert np.prod(large.patch) > np.prod(medium.patch)
    assert medium.blocks == (1, 3, 4, 6, 6, 6)
    assert medium.decoder_blocks == (1,) * 5
    assert (medium.net, large.net) == ("resenc-m", "resenc-l")
    assert plan_like_nnunet(HIPPOCAMPUS, preset="resenc-m").batch > 9


def test_anisotropic_axis_comes_first_and_is_pooled_late() -> None:
    """ACDC-like: 10 mm slices; the first kernels leave them alone."""
    made = plan_like_nnunet(fingerprint((1.5, 1.5, 10), (220, 250, 10), 100))
    assert made.transpose == (2, 0, 1)
    assert made.spacing == (10, 1.5, 1.5)
    assert made.kernels[0] == (1, 3, 3)
    assert made.strides[1] == (1, 2, 2)
    assert plan_like_nnunet(fingerprint((1.5, 1.5, 10), (220, 250, 10), 9), "2d").patch == (
        224,
        256,
    )


def test_target_spacing_of_thick_slices() -> None:
    thick = np.array([[5.0, 1, 1], [10, 1, 1], [10, 1, 1]])
    sizes = np.array([[10, 200, 200]] * 3)
    assert target_spacing(thick, sizes)[0] == pytest.approx(np.percentile([5, 10, 10], 10))
    never_finer = np.array([[0.5, 1, 1], [0.5, 1, 1], *[[10.0, 1, 1]] * 5])
    assert target_spacing(never_finer, np.array([[10, 200, 200]] * 7))[0] == 1 + 1e-5
    assert target_spacing(thick, np.array([[100, 200, 200]] * 3))[0] == 10


def test_cropping_decides_the_mask() -> None:
    made = Fingerprint(["T1w", "CT"])
    made.update(CaseFacts((1, 1, 1), (60, 60, 60), (40, 40, 40), np.ones((2, 1), np.float32)))
    assert plan_like_nnunet(made).use_nonzero_mask == (True, False)


def test_images_are_planned_in_two_dimensions() -> None:
    made = plan(fingerprint((0.1, 0.1), (1024, 1024), 20), device="cuda")
    assert (made.configuration, made.dims, made.transpose) == ("2d", 2, (0, 1))
    with pytest.raises(ConfigError, match="only 2d"):
        plan_like_nnunet(fingerprint((0.1, 0.1), (1024, 1024), 20), "3d_fullres")


def test_a_cpu_and_a_clock_make_the_plan_smaller_and_say_why() -> None:
    ours, theirs = plan(HIPPOCAMPUS, 600, "cpu", 2), plan_like_nnunet(HIPPOCAMPUS)
    assert ours.patch == theirs.patch
    assert ours.batch < theirs.batch
    assert ours.features < theirs.features
    changed = {k for k in ("batch", "features") if ours.reasons[k] != theirs.reasons[k]}
    assert changed == {"batch", "features"}
    assert "9 cut to 2" in ours.reasons["batch"]
    assert plan(HIPPOCAMPUS, 600, "cuda").batch == theirs.batch


@pytest.mark.parametrize(("gigabytes", "smaller"), [(4.0, True), (8.4, False), (150.0, False)])
def test_the_memory_of_a_gpu_limits_the_patch(
    monkeypatch: pytest.MonkeyPatch, gigabytes: float, smaller: bool
) -> None:
    learner = DenseLearner("dynunet", Wishes({0: "background", 1: "bone"}))
    cases = SimpleNamespace(fingerprint=lambda channels: ULNA)
    assert learner.make_plan(cases).device == "cpu"
    card = SimpleNamespace(total_memory=int(gigabytes * 1e9))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    made, theirs = learner.make_plan(cases), plans_like_nnunet(ULNA)["3d_cascade_fullres"]
    assert (made.device, made.configuration) == ("cuda", "3d_cascade_fullres")
    assert (np.prod(made.patch) < np.prod(theirs.patch)) == smaller
    assert (made.patch == theirs.patch) != smaller
    assert ("fits 4 GB" in made.reasons["patch"]) == smaller


def test_short_budgets_take_the_coarse_stage() -> None:
    short, long = plan(ULNA, 600, "cpu", 2), plan(ULNA, 48 * 3600, "cpu", 2)
    assert short.configuration == "3d_lowres"
    assert "too short" in short.reasons["configuration"]
    assert long.configuration == "3d_cascade_fullres"
    assert long.previous is not None
    assert long.budget_s == long.previous.budget_s == 24 * 3600
    assert np.prod(short.patch) * short.batch <= 200_000
    assert len(short.features) == len(short.strides) == len(short.blocks)
    assert plan(ULNA, 600, configuration="3d_fullres").configuration == "3d_fullres"


def test_a_plan_survives_yaml_and_json() -> None:
    made = plan(ULNA, 48 * 3600, "cpu", 2, regions={"all": (1,)}, ignore=2)
    assert DensePlan.from_dict(json.loads(json.dumps(made.as_dict()))) == made
    assert DensePlan.from_dict(yaml.safe_load(yaml.safe_dump(made.as_dict()))) == made
    assert "3d_lowres" in made.describe()
    assert len(made.describe().splitlines()) > 20


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"pach": (32, 32, 32)}, "Did you mean 'patch'"),
        ({"patch": (32, 32)}, "expected 3 values"),
        ({"patch": (32, 32, -8)}, "larger than 0"),
        ({"patch": (32, 32, 8.5)}, "whole numbers"),
        ({"features": (32, 64)}, "one for each stage"),
        ({"spacing": (1, 1, 0)}, "larger than 0"),
        ({"batch": 0}, "batch"),
        ({"normalisation": ("ct", "ct")}, "one for each channel"),
        ({"configuration": "3d_fulres"}, "Did you mean '3d_fullres'"),
        ({"foreground_share": 2}, "between 0 and 1"),
        ({"transpose": (0, 0, 1)}, "order of the axes"),
        ({"batch": "four"}, "expected a whole number"),
        ({"stages": (1, 1, 1, 1)}, "for each stage, such as"),
        ({"stages": ((1, 1, 1),)}, "for each stage, such as"),
        ({"classes": "cell"}, "names with values"),
        ({"normalisation": "zscor"}, "Did you mean 'zscore'"),
        ({"transpose": 0}, "such as"),
        ({"image_order": 9}, "0, 1, 2, 3, 4, 5"),
    ],
)
def test_impossible_overrides_are_refused(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan_like_nnunet(HIPPOCAMPUS).override(**keys)


def test_overrides_are_rounded_and_noted() -> None:
    made = plan_like_nnunet(HIPPOCAMPUS).override(patch=[41, 56, 40], features=16)
    assert made.patch == (48, 56, 40)
    assert "(41, 56, 40) rounded up" in made.reasons["patch"]
    assert made.features == (16, 32, 64, 128)
    assert made.reasons["features"] == "given by the user"


def test_a_net_that_halves_more_often_sees_patches_that_it_need_not_pad() -> None:
    usual = plan(HIPPOCAMPUS, 600, "cpu", 2)
    assert [usual.patch_of(k) for k in (0, 1)] == [(32, 48, 32), (40, 56, 40)]
    vnet = plan(HIPPOCAMPUS, 600, "cpu", 2, net="vnet")
    assert (vnet.net, vnet.patch, vnet.stages) == ("vnet", (32, 48, 32), ((1.0, 1.0, 1.0, 1),))
    assert "(40, 56, 40) brought to multiples of 16×16×16" in vnet.reasons["patch"]
    assert plan(HIPPOCAMPUS, 600, "cpu", 2, net="unet").patch == usual.patch
    both = plan(TUMOUR, 1e6, "cpu", 2, net="swinunetr")
    assert both.previous is None or both.previous.net == "swinunetr"
    assert all(n % 32 == 0 for n in both.patch)


def test_a_patch_by_hand_is_rounded_up_and_its_stages_to_the_nearest() -> None:
    stages = ((0.5, 1, 0.7, 1), (1, 1, 1, 1))
    part = plan_like_nnunet(HIPPOCAMPUS).override(net="vnet", patch=40, stages=stages)
    assert (part.patch_of(0), part.patch) == ((32, 32, 32), (48, 48, 48))
    assert "(40, 40, 40) rounded up to multiples of 16×16×16" in part.reasons["patch"]


def test_one_value_stands_for_all_axes_stages_and_channels() -> None:
    made = plan_like_nnunet(HIPPOCAMPUS)
    keys = {"normalisation": "nonorm", "patch": 32, "blocks": 1, "decoder_blocks": 3, "spacing": 2}
    other = made.override(**keys)
    assert other.normalisation == ("nonorm",)
    assert (other.patch, other.spacing) == ((32, 32, 32), (2.0, 2.0, 2.0))
    assert (other.blocks, other.decoder_blocks) == ((1,) * 4, (3,) * 3)
    two = Fingerprint(["T1w", "T2w"])
    two.update(CaseFacts((1, 1, 1), (60, 60, 60), (60, 60, 60), np.ones((2, 1), np.float32)))
    assert plan_like_nnunet(two).override(normalisation="ct").normalisation == ("ct", "ct")


def test_nothing_to_plan_from() -> None:
    with pytest.raises(DataError, match="no case"):
        plan_like_nnunet(Fingerprint(["CT"]))
    with pytest.raises(ConfigError, match="Did you mean 'resenc-m'"):
        plan_like_nnunet(HIPPOCAMPUS, preset="resenc_m")
    with pytest.raises(ConfigError, match="Did you mean '3d_lowres'"):
        plan_like_nnunet(HIPPOCAMPUS, "3dlowres")
    with pytest.raises(ConfigError, match="makes no '3d_lowres'"):
        plan_like_nnunet(HIPPOCAMPUS, "3d_lowres")


def test_a_square_patch_is_as_large_and_one_that_the_strides_divide() -> None:
    made = plan_like_nnunet(TUMOUR, "2d")
    square = squared(made)
    assert square.patch[0] == square.patch[1]
    assert all(n % d == 0 for n, d in zip(square.patch, square.divisor, strict=True))
    assert np.prod(square.patch) == pytest.approx(np.prod(made.patch), rel=0.3)
    assert squared(square) == square


def test_what_trains_a_net_and_its_options_are_keys_that_are_stored_and_obeyed() -> None:
    keys = {"lr": 1e-3, "optimiser": "adamw", "options": {"dropout": 0.25}, "decoder_blocks": 1}
    made = plan_like_nnunet(HIPPOCAMPUS).override(features=2, **keys)
    assert DensePlan.from_dict(yaml.safe_load(yaml.safe_dump(made.as_dict()))) == made
    learner = DenseLearner("dynunet", Wishes(made.classes))
    net = learner.net_of(made)
    assert 0.25 in {own.p for own in net.modules() if hasattr(own, "p")}
    assert [len(stage) for stage in net.net.decoder] == [1] * (len(made.strides) - 1)
    training = learner.training(made)
    assert (training.lr, training.muon) == (1e-3, 0.0)


def test_a_plan_of_an_older_run_is_trained_as_it_was() -> None:
    stored = plan_like_nnunet(HIPPOCAMPUS).as_dict()
    old = {k: v for k, v in stored.items() if k not in ("lr", "optimiser", "options")}
    wishes = Wishes.from_dict({"classes": {"0": "background"}, "options": {}})
    training = DenseLearner("dynunet", wishes).training(DensePlan.from_dict(old))
    assert (training.lr, training.muon, training.weight_decay) == (3e-3, 25.0, 1e-2)


def test_short_steps_leave_the_decoder_as_the_preset_has_it() -> None:
    from neuroloom.learn.dense.planning.tissue import small_steps

    assert set(small_steps(16, (600.0, 500.0), 1)["decoder_blocks"]) == {1}
