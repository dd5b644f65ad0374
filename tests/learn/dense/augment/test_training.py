"""The training chain: against scipy and brute force; same seed, same batch; labels kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter, map_coordinates

from neuroloom.core.errors import ConfigError

torch = pytest.importorskip("torch")

from neuroloom.learn.dense.augment import (  # noqa: E402
    Augmenter,
    Canvas,
    Drawn,
    augmentation_names,
    axiswise,
    cut_patch,
    default_nnunet,
    intensity,
    parse_augment,
    sample_and_warp,
    spatial,
)
from neuroloom.learn.dense.augment.sample import sample_linear, sample_nearest  # noqa: E402

SHAPES = [(2, 1, 13, 16, 11), (3, 2, 17, 12)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(shape, seed=0):
    """A smooth random batch with three labels, as images are smooth beside their voxels."""
    rng = np.random.default_rng(seed)
    sigma = (0, 0) + (1.5,) * (len(shape) - 2)
    x = gaussian_filter(rng.normal(size=shape), sigma)
    y = np.digitize(gaussian_filter(rng.normal(size=x[:, 0].shape), sigma[1:]), [-0.05, 0.05])
    return torch.tensor(x / x.std(), dtype=torch.float32), torch.tensor(y, dtype=torch.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outside", ["zeros", "border"])
def test_affine_is_scipys(shape, outside):
    x, y = batch(shape)
    change = spatial.Affine(40, (0.7, 1.4), shift=2.0, shear=0.1, outside=outside)
    params = change.draw(len(x), Canvas.of(x), seeded(3))
    moved, labels = change.change(x, y, params)
    middle = (np.array(shape[2:]) - 1) / 2
    for i in range(len(x)):
        matrix = params["matrix"][i].double().numpy()
        offset = middle + params["shift"][i].double().numpy() - matrix @ middle
        options = {"matrix": matrix, "offset": offset, "prefilter": False}
        mode = {"zeros": "grid-constant", "border": "nearest"}[outside]
        for channel in range(x.shape[1]):
            told = affine_transform(x[i, channel].numpy(), order=1, mode=mode, **options)
            np.testing.assert_allclose(moved[i, channel], told, atol=1e-3)
        told = affine_transform(y[i].numpy(), order=0, mode=mode, **options)
        assert np.mean(labels[i].numpy() != told) < 2e-3  # halves round either way


@pytest.mark.parametrize("shape", SHAPES)
def test_sampling_at_any_points(shape):
    x, y = batch(shape)
    axes = shape[2:]
    rng = np.random.default_rng(1)
    points = [torch.tensor(rng.uniform(-3, n + 3, (len(x), *axes)), dtype=torch.float32)
              for n in axes]  # fmt: skip
    for outside, mode in (("zeros", "grid-constant"), ("border", "nearest")):
        found = sample_linear(x, points, outside)
        labels = sample_nearest(y, points, outside)
        for i in range(len(x)):
            own = [p[i].numpy() for p in points]
            told = map_coordinates(x[i, 0].numpy(), own, order=1, mode=mode)
            np.testing.assert_allclose(found[i, 0], told, atol=2e-3)
            told = map_coordinates(y[i].numpy(), own, order=0, mode=mode)
            assert np.mean(labels[i].numpy() != told) < 2e-3


@pytest.mark.parametrize("turned", [False, True])
def test_a_patch_from_the_case_is_the_one_of_the_whole(turned):
    x, y = batch((1, 2, 20, 24, 18))
    start, patch = (-3, 5, 4), (9, 10, 16)
    matrix = spatial.rotation(torch.tensor([[0.3, -0.2, 0.4]]))[0] * 1.2 if turned else torch.eye(3)
    told = affine_transform(
        x[0, 1].numpy(), matrix.numpy(), output_shape=patch, order=1, mode="grid-constant",
        offset=np.array(start) + (np.array(patch) - 1) / 2
        - matrix.numpy() @ ((np.array(patch) - 1) / 2),
    )  # fmt: skip
    found, labels = sample_and_warp(x[0], y[0], start, patch, matrix)
    np.testing.assert_allclose(found[1], told, atol=1e-3)
    if not turned:
        plain, plain_labels = cut_patch(x[0], y[0], start, patch)
        torch.testing.assert_close(plain, found, atol=1e-4, rtol=0)
        assert torch.equal(plain_labels, labels)


def test_a_patch_far_outside_is_empty():
    x, y = batch((1, 1, 8, 9, 7))
    for matrix in (None, torch.eye(3)):
        found, labels = sample_and_warp(x[0], y[0], (40, 0, 0), (4, 4, 4), matrix)
        assert found.shape == (1, 4, 4, 4)
        assert not found.any()
        assert not labels.any()


def test_the_whole_case_may_be_of_another_type():
    x = torch.arange(4 * 5 * 6).reshape(1, 4, 5, 6).to(torch.int16)
    found, _ = sample_and_warp(x, None, (1, 1, 1), (2, 2, 2))
    assert found.dtype == torch.float32
    assert torch.equal(found, x[:, 1:3, 1:3, 1:3].float())


def test_turning_is_in_millimetres():
    change = spatial.Affine((90.0, 0.0, 0.0), (1.0, 1.0))
    params = change.draw(50, Canvas(1, (9, 9, 9), (3.0, 1.0, 2.0)), seeded())
    world = torch.diag(torch.tensor([3.0, 1.0, 2.0]))
    turn = world @ params["matrix"] @ world.inverse()
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).expand_as(turn), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_blur_is_scipys(sigma):
    x, y = batch((2, 2, 14, 11, 9))
    params = {"sigma": torch.full((2, 2, 3), sigma)}
    found = axiswise.Blur().change(x, y, params)[0]
    told = gaussian_filter(x.numpy(), (0, 0, sigma, sigma, sigma), truncate=4.0)
    np.testing.assert_allclose(found, told, atol=1e-5)


@pytest.mark.parametrize("zoom", [0.5, 0.66, 0.83])
@pytest.mark.parametrize("shape", SHAPES)
def test_low_resolution_is_torchs(zoom, shape):
    x, _ = batch(shape)
    d = len(shape) - 2
    found = axiswise.LowResolution().change(
        x, None, {"zoom": torch.full((shape[0], shape[1], d), zoom)}
    )[0]
    coarse = [max(1, round(zoom * n)) for n in shape[2:]]
    small = torch.nn.functional.interpolate(x, size=coarse, mode="nearest-exact")
    mode = "trilinear" if d == 3 else "bilinear"
    told = torch.nn.functional.interpolate(small, size=shape[2:], mode=mode)
    torch.testing.assert_close(found, told, atol=1e-5, rtol=1e-5)


def test_gamma_by_hand():
    x, _ = batch(SHAPES[0])
    power = torch.tensor([[0.7], [1.5]])
    for turned in (False, True):
        found = intensity.Gamma(turned=turned, keep=True).change(x, None, {"power": power})[0]
        for i in range(2):
            own = x[i, 0].numpy().astype(float) * (-1 if turned else 1)
            told = ((own - own.min()) / np.ptp(own)) ** float(power[i, 0])
            told = (told - told.mean()) / told.std() * own.std() + own.mean()
            np.testing.assert_allclose(found[i, 0], -told if turned else told, atol=1e-4)


def test_noise_is_white_and_of_the_size_drawn():
    x = torch.zeros(2, 1, 60, 60, 20)
    params = {"size": torch.tensor([0.1, 0.4]), "seed": torch.tensor([1, 2])}
    found = intensity.Noise().change(x, None, params)[0]
    assert found.std((1, 2, 3, 4)).tolist() == pytest.approx([0.1, 0.4], rel=0.02)
    assert abs((found[0, 0, 1:] * found[0, 0, :-1]).mean()) < 3 * 0.01 / math.sqrt(72000)
    magnitude = intensity.rician().change(x, None, params)[0]
    assert magnitude[1].mean() == pytest.approx(0.4 * math.sqrt(math.pi / 2), rel=0.02)


def test_mirrors_and_contrast():
    x, y = batch(SHAPES[0])
    axes = torch.tensor([[True, False, True], [False, True, False]])
    moved, labels = spatial.Flip().change(x, y, {"axes": axes})
    np.testing.assert_array_equal(moved[0, 0], x[0, 0].numpy()[::-1, :, ::-1])
    np.testing.assert_array_equal(labels[1], y[1].numpy()[:, ::-1])
    found = intensity.Contrast().change(x, y, {"factor": torch.tensor([[1.2], [0.8]])})[0]
    own = x[0, 0].numpy()
    told = np.clip((own - own.mean()) * 1.2 + own.mean(), own.min(), own.max())
    np.testing.assert_allclose(found[0, 0], told, atol=1e-5)


def test_chances_are_nnunets():
    n = 4000
    drawn = Augmenter(default_nnunet((8, 8, 8)), Canvas(2, (8, 8, 8))).draw(n, seeded())
    shares = [float(own["on"].float().mean()) for own in drawn.params]
    # A half of the channels, of two: three in four examples that are chosen change.
    told = [1 - 0.8**2, 0.1, 0.2 * 0.75, 0.15, 0.15, 0.25 * 0.75, 0.1, 0.3, 1 - 0.5**3]
    assert shares == pytest.approx(told, abs=0.03)
    power = drawn.params[7]["power"]
    assert 0.7 <= power.min() < 0.75
    assert 1.45 < power.max() <= 1.5


@pytest.mark.parametrize(
    ("patch", "degrees"),
    [
        ((40, 56, 40), 30.0), ((16, 64, 64), (180.0, 0.0, 0.0)), ((64, 64), 180.0),
        ((64, 32), 15.0),
    ],
)  # fmt: skip
def test_angles_follow_the_patch(patch, degrees):
    assert default_nnunet(patch)[0].degrees == degrees


def test_slices_stay_slices_in_flat_patches():
    shape = (4, 1, 4, 16, 16)
    x = torch.arange(4.0)[None, None, :, None, None].expand(shape).contiguous()
    change = default_nnunet((4, 16, 16))[0]
    params = change.draw(4, Canvas.of(x), seeded(5))
    moved = change.change(x, None, params)[0]
    middle = slice(6, 10)
    torch.testing.assert_close(
        moved[..., middle, middle], x[..., middle, middle], atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_same_seed_same_batch_and_replay(shape):
    x, y = batch(shape)
    augmenter = Augmenter(default_nnunet(shape[2:]), Canvas.of(x))
    before = x.clone()
    first, again, other = (augmenter(x, y, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(x, before)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    drawn = augmenter.draw(len(x), seeded(1))
    told = Drawn.from_plain(json.loads(json.dumps(drawn.to_plain())))
    replayed = augmenter.apply(x, y, told)
    assert torch.equal(first[0], replayed[0])
    assert torch.equal(first[1], replayed[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_an_example_alone_is_what_it_is_in_the_batch(shape):
    x, y = batch(shape)
    augmenter = Augmenter(parse_augment(["affine", "noise", "blur", "gamma"]), Canvas.of(x))
    drawn = augmenter.draw(len(x), seeded(1))
    together = augmenter.apply(x, y, drawn)
    alone = augmenter.apply(x[1:2], y[1:2], drawn.row(1))
    torch.testing.assert_close(alone[0], together[0][1:2], atol=1e-5, rtol=1e-5)
    assert torch.equal(alone[1], together[1][1:2])


def test_labels_are_never_invented():
    x, y = batch((2, 1, 12, 14, 10))
    y = torch.tensor([0, 3, 200], dtype=torch.uint8)[y.long()]
    augmenter = Augmenter(default_nnunet((12, 14, 10)), Canvas.of(x))
    for seed in range(20):
        labels = augmenter(x, y, seeded(seed))[1]
        assert labels.dtype == torch.uint8
        assert set(labels.unique().tolist()) <= {0, 3, 200}


def test_sampling_from_cases_is_cutting_then_changing():
    cases, labels = zip(*[(x[0], y[0]) for x, y in (batch((1, 1, 16, 18, 14), s) for s in (1, 2))],
                        strict=True)  # fmt: skip
    starts, patch = [(2, 1, 0), (-2, 4, 3)], (10, 12, 11)
    augmenter = Augmenter(default_nnunet(patch)[1:], Canvas(1, patch))
    drawn = augmenter.draw(2, seeded(4))
    found = augmenter.sample(cases, labels, starts, drawn)
    parts = [cut_patch(x, y, s, patch) for x, y, s in zip(cases, labels, starts, strict=True)]
    told = augmenter.apply(
        torch.stack([x for x, _ in parts]), torch.stack([y for _, y in parts]), drawn
    )
    assert torch.equal(found[0], told[0])
    assert torch.equal(found[1], told[1])


def test_another_chains_parameters_are_refused():
    x, y = batch(SHAPES[1])
    drawn = Augmenter(parse_augment(["flip"]), Canvas.of(x)).draw(3, seeded())
    with pytest.raises(ConfigError, match="drawn for flip"):
        Augmenter(parse_augment(["noise"]), Canvas.of(x)).apply(x, y, drawn)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["blurr"], "Did you mean 'blur'"),
        (["gamma=much"], "must be a number"),
        (["gamma=nan"], "must be a number"),
    ],
)
def test_wrong_names_and_strengths(asked, told):
    with pytest.raises(ConfigError, match=told):
        parse_augment(asked)


def test_names_and_strengths():
    assert parse_augment(["none"]) == ()
    assert parse_augment(["gamma=0.2", "none"]) == (intensity.Gamma(0.2),)
    for name in augmentation_names():
        assert len(parse_augment([name])) == 1
