"""Resampling equals scikit-image's, and preprocessing can be undone."""

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.planning.resample import (
    Grid,
    normalise,
    preprocess,
    resample_image,
    resample_label,
    restore,
    restore_label,
)


def plan(dims: int = 3, axes: int = 3, **keys: object) -> DensePlan:
    ones, twos = (1,) * dims, (2,) * dims
    made = DensePlan(
        configuration=f"{dims}d" if dims == 2 else "3d_fullres",
        preset="default",
        net="dynunet",
        dims=dims,
        spacing=(1.0,) * dims,
        transpose=tuple(range(axes)),
        median_shape=(32.0,) * dims,
        patch=(32,) * dims,
        batch=2,
        strides=(ones, twos),
        kernels=((3,) * dims,) * 2,
        features=(8, 16),
        blocks=(2, 2),
        decoder_blocks=(2,),
    )
    return made.override(**keys)


def blob(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 2, axes=tuple(range(1, len(shape)))).astype(np.float32)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(
    ("shape", "new"),
    [((9, 20, 15), (13, 11, 15)), ((17, 16), (40, 9)), ((40, 30, 20), (20, 15, 31))],
)
def test_images_are_resampled_as_by_skimage(
    shape: tuple[int, ...], new: tuple[int, ...], order: int
) -> None:
    from skimage.transform import resize

    image = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    near = (1.0,) * len(shape)
    ours = resample_image(image, new, near, near, order)
    for mine, channel in zip(ours, image, strict=True):
        theirs = resize(channel, new, order, mode="edge", anti_aliasing=False)
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_are_resampled_as_by_nnunet(axis: int) -> None:
    """In-plane by splines slice by slice, then through-plane by the nearest neighbour."""
    from scipy.ndimage import map_coordinates
    from skimage.transform import resize

    shape, new = [18, 18, 18], [27, 27, 27]
    shape[axis], new[axis] = 5, 12
    image = np.random.default_rng(2).normal(size=shape)
    spacing = [1.0] * 3
    spacing[axis] = 6.0
    ours = resample_image(image[None], new, spacing, (1.0, 1.0, 1.0))[0]
    slices = [
        resize(part, np.delete(new, axis), 3, mode="edge", anti_aliasing=False)
        for part in np.moveaxis(image, axis, 0)
    ]
    places = (np.arange(12) + 0.5) * 5 / 12 - 0.5
    which = map_coordinates(np.arange(5.0), [places], order=0, mode="nearest").astype(int)
    theirs = np.moveaxis(np.stack(slices)[which], 0, axis)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_labels_are_resampled_by_their_masks() -> None:
    """As nnU-Net does it wherever a value reaches one half; elsewhere the largest share wins."""
    from skimage.transform import resize

    label = (blob((1, 20, 20, 20))[0] * 20).astype(int).clip(0, 3)
    new = (31, 14, 20)
    ours = resample_label(label, new, (1, 1, 1), (1, 1, 1))
    shares = np.stack(
        [
            resize((label == v).astype(float), new, 1, mode="edge", anti_aliasing=False)
            for v in range(4)
        ]
    )
    clear = np.sort(shares, 0)[-1] > np.sort(shares, 0)[-2] + 1e-4
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(ours[clear], shares.argmax(0)[clear])


def test_equal_spacing_changes_nothing() -> None:
    image = blob((1, 12, 13, 14)) + 5
    case = preprocess(image, None, (1.0004, 1.0, 0.9996), plan(normalisation=("nonorm",)))
    np.testing.assert_array_equal(case.x, image)
    assert case.properties.size == (12, 13, 14)


def test_the_way_back_ends_on_the_input_grid() -> None:
    image = np.zeros((1, 30, 24, 40), np.float32)
    image[:, 3:25, 2:20, 5:38] = blob((1, 22, 18, 33)) + 4
    label = np.zeros((30, 24, 40), np.uint8)
    label[8:20, 6:16, 10:30] = 1
    coarse = plan(transpose=(2, 0, 1), spacing=(1.5, 1.0, 0.8))
    case = preprocess(image, label, (1.0, 0.8, 1.5), coarse)
    assert case.label is not None
    assert case.x.shape[1:] == case.label.shape == case.properties.size
    back = restore(np.stack([case.label == 0, case.label == 1]), case.properties)
    assert back.shape == (2, *label.shape)
    np.testing.assert_allclose(back.sum(0), 1, atol=1e-5)
    found = back.argmax(0)
    overlap = 2 * np.sum(found * label) / (found.sum() + label.sum())
    assert overlap > 0.99
    np.testing.assert_array_equal(restore_label(case.label, case.properties), found)
    assert back[0, 0, 0, 0] == 1
    grid = Grid((2, 4), (1, 1), (0, 1), ((1, 2), (1, 3)), (1, 1), (1, 2))
    np.testing.assert_array_equal(restore(np.zeros((2, 1, 2)), grid, background=None), 0)


def test_resampling_there_and_back_keeps_the_label() -> None:
    label = (blob((1, 40, 40, 40), 3)[0] > 0).astype(np.uint8)
    for spacing in ((1.2, 1.0, 0.9), (1.0, 4.0, 1.0)):
        case = preprocess(np.ones((1, *label.shape)), label, spacing, plan())
        assert case.label is not None
        found = restore_label(case.label, case.properties)
        assert 2 * np.sum(found * label) / (found.sum() + label.sum()) > 0.98


def test_a_flat_plan_keeps_the_slices_of_a_volume() -> None:
    case = preprocess(np.ones((1, 7, 10, 10)), None, (9.0, 2.0, 2.0), plan(dims=2))
    assert case.x.shape == (1, 7, 20, 20)
    assert case.properties.target == (9.0, 1.0, 1.0)


def test_normalisations() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(50, 20, (1, 8, 8, 8)).astype(np.float32)
    known = {"p0.5": 20.0, "p99.5": 80.0, "mean": 50.0, "std": 10.0}
    ct = normalise(image, plan(normalisation=("ct",), intensity=(known,)))
    np.testing.assert_allclose(ct, (image.clip(20, 80) - 50) / 10, rtol=1e-5)
    z = normalise(image, plan())
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-4)
    unit = normalise(image, plan(normalisation=("rescale_to_0_1",)))
    assert (unit.min(), unit.max()) == (0, 1)
    rgb = normalise(image, plan(normalisation=("rgb_to_0_1",)))
    np.testing.assert_allclose(rgb, image / 255, rtol=1e-6)
    np.testing.assert_array_equal(normalise(image, plan(normalisation=("nonorm",))), image)
    with pytest.raises(ConfigError, match="Did you mean 'zscore'"):
        normalise(image, plan(normalisation=("zscor",)))


def test_z_score_inside_the_mask_fills_holes_and_leaves_the_rest() -> None:
    image = np.zeros((1, 10, 10), np.float32)
    image[0, 2:8, 2:8] = np.random.default_rng(0).normal(9, 1, (6, 6))
    image[0, 4, 4] = 0
    made = normalise(image, plan(2, 2, use_nonzero_mask=(True,)))[0]
    inside = made[2:8, 2:8]
    np.testing.assert_allclose([inside.mean(), inside.std()], [0, 1], atol=1e-5)
    assert made[0].max() == 0
    assert made[4, 4] < -3


def test_cases_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="expects 1 channels"):
        preprocess(np.ones((2, 8, 8, 8)), None, (1, 1, 1), plan())
    with pytest.raises(DataError, match="label has shape"):
        preprocess(np.ones((1, 8, 8, 8)), np.ones((8, 8, 9), int), (1, 1, 1), plan())
    case = preprocess(np.ones((1, 8, 8, 8)), None, (1, 1, 1), plan())
    with pytest.raises(DataError, match="probabilities have shape"):
        restore(np.ones((2, 8, 8, 9)), case.properties)
