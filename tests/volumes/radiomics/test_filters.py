"""Filters against what they must do to impulses, planes and waves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_laplace, uniform_filter

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.volumes.radiomics.extract import Chain, delineate, measure, measure_response
from neuroloom.volumes.radiomics.features.discretise import interpolate
from neuroloom.volumes.radiomics.features.filters import (
    daubechies,
    gabor_kernel,
    log_kernel,
    parse,
    respond,
)

UNIT = (1.0, 1.0, 1.0)
NOISE = np.random.default_rng(0).normal(size=(20, 21, 22))


def impulse(size=33):
    image = np.zeros((size, size, size))
    image[size // 2, size // 2, size // 2] = 1
    return image


@pytest.fixture(scope="module")
def ibsi(test_data):
    import nibabel

    folder = test_data / "volumes" / "ibsi" / "ibsi_2_digital_phantom" / "nifti"
    if not folder.is_dir():
        pytest.skip("no IBSI phantom")

    def load(name):
        file = nibabel.load(folder / name / "image" / f"{name}.nii.gz")
        return np.asarray(file.dataobj).T.astype(float), tuple(
            float(s) for s in file.header.get_zooms()[::-1]
        )

    return load


def test_mean_equals_scipy():
    np.testing.assert_allclose(
        respond(NOISE, "mean:5", UNIT), uniform_filter(NOISE, 5, mode="reflect"), atol=1e-12
    )


@pytest.mark.parametrize("spacing", [UNIT, (3.0, 1.0, 1.0)])
def test_log_of_an_impulse_is_its_kernel(spacing):
    kernel = log_kernel(2.0, spacing)
    found = respond(impulse(), "log:2", spacing)
    reach = [n // 2 for n in kernel.shape]
    middle = tuple(slice(16 - n, 17 + n) for n in reach)
    np.testing.assert_allclose(found[middle], kernel, atol=1e-12)
    assert kernel[tuple(reach)] < 0


def test_log_equals_scipy():
    ours = respond(NOISE, "log:2", UNIT)
    theirs = gaussian_laplace(NOISE, 2.0, mode="reflect", truncate=4.0)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_log_of_the_ibsi_impulse_follows_the_formula(ibsi):
    image, spacing = ibsi("impulse")
    sigma = 3.0
    found = respond(image / image.max(), "log:3", spacing, mode="constant")
    at = np.unravel_index(image.argmax(), image.shape)
    star = sigma / spacing[0]
    for step in (0, 1, 2, 5):
        far = step**2 / star**2
        expected = -((2 * np.pi) ** -1.5) / star**5 * (3 - far) * np.exp(-far / 2)
        assert found[at[0], at[1], at[2] + step] == pytest.approx(expected, rel=1e-9)


def test_mean_of_the_ibsi_checkerboard_at_the_size_of_its_fields_is_between_them(ibsi):
    image, spacing = ibsi("checkerboard")
    found = respond(image, "mean:15", spacing)
    assert found.std() < image.std()
    assert image.min() <= found.min() <= found.max() <= image.max()


def test_laws_kernels_have_unit_energy_and_their_place():
    found = respond(impulse(), "laws:E5L5S5", UNIT)
    assert (found**2).sum() == pytest.approx(1)
    along_x = found[16, 16]
    assert along_x[16] == 0, "E5, which is odd, lies along x"
    assert found[:, 16, 17][[14, 16, 18]] == pytest.approx(
        found[16, 16, 17] * np.array([-0.5, 1, -0.5])
    )
    assert respond(NOISE, "laws:L5L5L5:energy", UNIT).min() > 0


def test_gabor_answers_its_own_wave():
    _, y, x = np.meshgrid(np.arange(3), np.arange(60), np.arange(60), indexing="ij")
    turned = np.radians(30)
    wave = np.cos(2 * np.pi * (x * np.cos(turned) + y * np.sin(turned)) / 6)
    own, other = (respond(wave, f"gabor:4,6,1,{a}", UNIT)[1, 30, 30] for a in (30, 120))
    kernel = gabor_kernel(4.0, 6.0, 1.0, 30.0, UNIT)
    assert own == pytest.approx(np.abs(kernel).sum() / 2, rel=0.01)
    assert other < 0.01 * own


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_daubechies_filters_are_orthonormal_with_vanishing_moments(order):
    low = daubechies(order)
    for shift in range(order):
        product = (low[2 * shift :] * low[: len(low) - 2 * shift]).sum()
        assert product == pytest.approx(float(shift == 0), abs=1e-8)
    high = low[::-1] * (-1.0) ** np.arange(len(low))
    for power in range(order):
        assert (high * np.arange(len(low)) ** power).sum() == pytest.approx(0, abs=1e-4)


def test_second_daubechies_filter_is_the_published_one():
    root = np.sqrt(3)
    known = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2))
    np.testing.assert_allclose(daubechies(2), known, atol=1e-12)


def test_wavelets_pass_constants_low_and_stop_them_high():
    flat = np.ones((24, 24, 24))
    assert respond(flat, "wavelet:haar:LLL:1", UNIT) == pytest.approx(np.sqrt(8))
    assert respond(flat, "wavelet:db3:LLH:2", UNIT) == pytest.approx(0, abs=1e-9)


def ball_in_noise():
    rng = np.random.default_rng(3)
    z, y, x = np.indices((14, 16, 18)) - np.array([7, 8, 9])[:, None, None, None]
    return rng.normal(100, 20, z.shape), z**2 + y**2 + x**2 < 36


@pytest.mark.parametrize("order", [1, 3])
def test_filters_work_on_the_interpolated_image(order):
    image, mask = ball_in_noise()
    chain = Chain(spacing=(2.0, 2.0, 2.0), order=order, families=("morph", "stat"))
    region = delineate(image, mask, UNIT, chain)
    found = measure_response(region, "mean:3", chain).values
    fine = interpolate(image, UNIT, chain.spacing, order)
    inside = interpolate(mask, UNIT, chain.spacing) >= 0.5
    values = uniform_filter(fine, 3, mode="reflect")[inside]
    assert found["stat_mean"] == pytest.approx(values.mean(), rel=1e-9)
    assert found["stat_var"] == pytest.approx(values.var(), rel=1e-9)
    assert not any(tag.startswith("morph") for tag in found)


def test_range_and_outliers_judge_intensities_not_responses():
    image, mask = ball_in_noise()
    chain = Chain(inside=(90.0, 130.0), outliers=1.0, method="width", families=("stat", "ih"))
    values = image[mask]
    near = np.abs(image - values.mean()) <= values.std()
    kept = mask & (image >= 90) & (image <= 130) & near
    # Neither criterion keeps anything of the responses themselves, whose mean is 0.
    response = respond(image, "wavelet:haar:HHH:1", UNIT)[kept]
    found = measure_response(delineate(image, mask, UNIT, chain), "wavelet:haar:HHH:1", chain)
    assert found.notes["voxels_resegmented"] == kept.sum() < mask.sum()
    assert found.values["stat_mean"] == pytest.approx(response.mean(), rel=1e-9)
    assert found.values["stat_min"] == response.min()


def test_what_is_missing_beside_the_region_is_refused_where_a_filter_needs_it():
    image, mask = ball_in_noise()
    bare = np.where(mask, image, np.nan)
    chain = Chain(families=("stat",))
    region = delineate(bare, mask, UNIT, chain)
    assert measure(region, chain).values["stat_mean"] == pytest.approx(image[mask].mean())
    with pytest.raises(DataError, match="response to mean:3 are not finite"):
        measure_response(region, "mean:3", chain)
    with pytest.raises(DataError, match="what lies beside the region"):
        delineate(bare, mask, UNIT, Chain(spacing=(0.7, 0.7, 0.7)))


@pytest.mark.parametrize(
    "name",
    ["mean", "mean:2.5", "log:-1", "laws:L5E5", "laws:L5E5X5", "gabor:1,2,3", "wavelet:db2:LL",
     "wavelet:sym4:LLL", "blur:3"],
)  # fmt: skip
def test_names_that_are_no_filter(name):
    with pytest.raises(ConfigError, match="is no filter"):
        parse(name)
