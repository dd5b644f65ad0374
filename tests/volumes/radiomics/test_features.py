"""Features against the IBSI's reference values, brute force and what is known of bodies."""

from __future__ import annotations

import csv
import itertools
import math

import numpy as np
import pytest
import scipy.signal
from scipy.spatial.distance import pdist

from neuroloom.core.errors import DataError
from neuroloom.volumes.radiomics import Chain, extract
from neuroloom.volumes.radiomics.features.discretise import bin_size, interpolate, resegment
from neuroloom.volumes.radiomics.features.hulls import enclosing_ellipsoid, smallest_box
from neuroloom.volumes.radiomics.features.intensity import local_peaks, volume_curve
from neuroloom.volumes.radiomics.features.shape import autocorrelation, morphology
from neuroloom.volumes.radiomics.features.texture import texture

UNIT = (1.0, 1.0, 1.0)
PHANTOM = Chain(method="none", ivh="definite")


def within(value: float, reference: float, tolerance: float) -> bool:
    """Whether a value agrees with a reference that is printed to three digits."""
    digit = 10.0 ** (math.floor(math.log10(abs(reference))) - 2) if reference else 1e-3
    return abs(value - reference) <= tolerance + digit / 2 * (1 + 1e-9)


@pytest.fixture(scope="module")
def phantom(test_data):
    import nibabel

    folder = test_data / "volumes" / "ibsi" / "ibsi_1_digital_phantom" / "nifti"
    if not folder.is_dir():
        pytest.skip("no IBSI phantom")
    image, mask = (
        nibabel.load(folder / kind / f"{name}.nii.gz")
        for kind, name in (("image", "phantom"), ("mask", "mask"))
    )
    spacing = tuple(float(s) for s in image.header.get_zooms()[::-1])
    return np.asarray(image.dataobj).T.astype(float), np.asarray(mask.dataobj).T > 0, spacing


def test_digital_phantom_has_every_reference_value(phantom, test_data):
    table = test_data / "volumes" / "ibsi" / "reference_values" / "ibsi_1_dig_phantom.csv"
    with table.open() as file:
        rows = {row["tag"]: row for row in csv.DictReader(file, delimiter=";")}
    found = extract(*phantom, PHANTOM).values
    assert set(found) == set(rows)
    assert len(found) == 487
    known = {tag: row for tag, row in rows.items() if row["reference value"]}
    wrong = {
        tag: (found[tag], row["reference value"])
        for tag, row in known.items()
        if not within(found[tag], float(row["reference value"]), float(row["tolerance"] or 0))
    }
    assert len(known) == 482, "five of the table's features have no reference value"
    assert wrong == {}


def test_features_do_not_depend_on_where_the_region_lies(phantom):
    image, mask, spacing = phantom
    pads = ((3, 1), (0, 5), (2, 2))
    moved = extract(np.pad(image, pads, mode="edge"), np.pad(mask, pads), spacing, PHANTOM).values
    still = extract(image, mask, spacing, PHANTOM).values
    # The ball of the local peaks reaches beyond the image's border, where values now are.
    same = [tag for tag in still if not tag.startswith("loc_")]
    np.testing.assert_allclose([moved[t] for t in same], [still[t] for t in same], rtol=1e-9)


def test_three_dimensional_texture_is_the_same_in_any_orientation():
    rng = np.random.default_rng(0)
    levels = rng.integers(1, 5, (5, 6, 7)) * (rng.random((5, 6, 7)) < 0.8)
    turned = np.ascontiguousarray(levels.transpose(2, 0, 1)[:, ::-1])
    one, two = (texture(x, modes=("3D_avg", "3D_comb")) for x in (levels, turned))
    np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-10)


def test_many_levels_take_the_sparse_way_to_the_same_numbers(monkeypatch):
    from neuroloom.volumes.radiomics.features import tally

    rng = np.random.default_rng(1)
    levels = rng.integers(0, 40, (4, 6, 6))
    dense = texture(levels)
    monkeypatch.setattr(tally, "DENSE", 0)
    assert texture(levels) == pytest.approx(dense, rel=1e-12, nan_ok=True)


def brute_cooccurrence(levels):
    counts = {}
    steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if s != (0, 0, 0)]
    for place in np.argwhere(levels > 0):
        for step in steps:
            there = tuple(place + step)
            known = all(0 <= p < n for p, n in zip(there, levels.shape, strict=True))
            if known and levels[there] > 0:
                key = (levels[tuple(place)], levels[there])
                counts[key] = counts.get(key, 0) + 1
    total = sum(counts.values())
    return {key: n / total for key, n in counts.items()}


def test_cooccurrence_equals_a_walk_over_all_pairs():
    rng = np.random.default_rng(2)
    levels = rng.integers(0, 4, (3, 4, 5))
    p = brute_cooccurrence(levels)
    found = texture(levels, families=["cm"], modes=["3D_comb"])
    contrast = sum(v * (i - j) ** 2 for (i, j), v in p.items())
    entropy = -sum(v * math.log2(v) for v in p.values())
    assert found["cm_contrast_3D_comb"] == pytest.approx(contrast)
    assert found["cm_joint_entr_3D_comb"] == pytest.approx(entropy)


@pytest.mark.parametrize("spacing", [UNIT, (3.0, 1.0, 0.7)])
def test_autocorrelation_equals_all_pairs(spacing):
    rng = np.random.default_rng(3)
    image, mask = rng.normal(5, 2, (5, 6, 7)), rng.random((5, 6, 7)) < 0.6
    places, x = np.argwhere(mask) * np.array(spacing), image[mask]
    weight = np.zeros((len(x), len(x)))
    weight[np.triu_indices(len(x), 1)] = 1 / pdist(places)
    weight += weight.T
    apart = x - x.mean()
    moran = len(x) / weight.sum() * (apart @ weight @ apart) / (apart @ apart)
    squares = (weight * (x[:, None] - x) ** 2).sum()
    geary = (len(x) - 1) / (2 * weight.sum()) * squares / (apart @ apart)
    assert autocorrelation(image, mask, spacing) == pytest.approx((moran, geary), rel=1e-9)


def test_ball_has_the_form_of_a_ball():
    axis = np.arange(-20, 21)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    ball = z**2 + y**2 + x**2 <= 16.5**2
    found = morphology(np.where(ball, 1.0 + x % 3, 0), ball, (2.0, 2.0, 2.0))
    assert found["morph_volume"] == pytest.approx(4 / 3 * np.pi * 33**3, rel=0.01)
    assert found["morph_diam"] == pytest.approx(67, abs=1.5)
    # The mesh of a binary mask has the voxels' steps in it: 9 % more surface than the ball.
    assert 0.9 < found["morph_sphericity"] < 1
    assert 0.9 < found["morph_vol_dens_mvee"] < 1
    assert 0.95 < found["morph_vol_dens_conv_hull"] < 1
    assert found["morph_vol_dens_aabb"] == pytest.approx(np.pi / 6, rel=0.05)


def test_smallest_box_of_a_turned_brick_is_the_brick():
    from scipy.spatial import ConvexHull
    from scipy.spatial.transform import Rotation

    corners = np.array(list(itertools.product((0, 1.0), (0, 2.0), (0, 5.0))))
    turned = Rotation.from_euler("xyz", (0.3, 0.7, 1.1)).apply(corners)
    sides = smallest_box(turned, ConvexHull(turned).equations[:, :3])
    assert sorted(sides) == pytest.approx([1, 2, 5])


def test_smallest_ellipsoid_of_points_on_one_is_that_one():
    rng = np.random.default_rng(4)
    ball = rng.normal(size=(400, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    half = enclosing_ellipsoid(ball * (5, 3, 1) + 10)
    assert half == pytest.approx([5, 3, 1], rel=0.02)


@pytest.mark.parametrize("spacing", [(3.0, 2.0, 1.5), (3.0, 0.5, 0.02), (0.1, 0.1, 0.02)])
def test_local_peak_is_the_mean_of_a_cubic_centimetre(spacing, monkeypatch):
    convolve = scipy.signal.oaconvolve

    def small(x, ball, **how):
        assert all(own < 2 * length for own, length in zip(ball.shape, x.shape, strict=True))
        return convolve(x, ball, **how)

    monkeypatch.setattr(scipy.signal, "oaconvolve", small)
    rng = np.random.default_rng(5)
    image, mask = rng.random((12, 14, 16)), np.zeros((12, 14, 16), bool)
    mask[2:10, 2:12, 2:12] = True
    found = local_peaks(image, mask, spacing)
    means = means_about(image, mask, spacing)
    assert found["loc_peak_glob"] == pytest.approx(max(means))
    assert found["loc_peak_loc"] == pytest.approx(means[image[mask].argmax()])


def test_local_peak_of_micro_ct_takes_no_transform_of_all_its_voxels(monkeypatch):
    """500 voxels of 0.01 mm an axis took 27 GB."""
    convolve, sizes = scipy.signal.oaconvolve, []
    monkeypatch.setattr(
        scipy.signal, "oaconvolve",
        lambda x, ball, **how: sizes.append(x.shape + ball.shape) or convolve(x, ball, **how),
    )  # fmt: skip
    spacing, mask = (0.05, 0.4, 0.04), np.zeros((350, 9, 400), bool)
    mask[20:330:150, 4:6, 30:380:170] = True
    image = np.random.default_rng(5).random(mask.shape) + 2 * mask
    image += np.linspace(0, 3, 400) - np.linspace(0, 2, 350)[:, None, None] ** 2
    found = local_peaks(image, mask, spacing)
    means = means_about(image, mask, spacing)
    assert found["loc_peak_glob"] == pytest.approx(max(means), rel=0.005)
    assert found["loc_peak_loc"] == pytest.approx(means[image[mask].argmax()], rel=0.005)
    assert max(map(max, sizes)) <= 200


def means_about(image, mask, spacing):
    """Return the mean in a ball of 1 cm3 about every voxel of the mask."""
    radius = 10 * (3 / (4 * np.pi)) ** (1 / 3)
    places = np.argwhere(np.ones(image.shape)) * np.array(spacing)
    means = []
    for at in np.argwhere(mask) * np.array(spacing):
        near = np.linalg.norm(places - at, axis=1) <= radius
        means.append(image.ravel()[near].mean())
    return means


def test_interpolation_of_a_plane_is_the_plane():
    z, y, x = np.mgrid[:9, :10, :11].astype(float)
    plane = 2 * z - y + 0.5 * x
    for order in (1, 3):
        finer = interpolate(plane, UNIT, (0.8, 1.3, 0.5), order)
        assert finer.shape == (12, 8, 22)
        middle = tuple(n // 2 for n in finer.shape)
        step = [
            finer[tuple(m + (axis == k) for k, m in enumerate(middle))] - finer[middle]
            for axis in range(3)
        ]
        assert step == pytest.approx([1.6, -1.3, 0.25], abs=0.02 if order == 3 else 1e-9)
    assert interpolate(plane, UNIT, UNIT, 3) == pytest.approx(plane)


def test_resegmentation_measures_outliers_before_the_range():
    image = np.array([[[0.0, 1, 2, 3, 1000]]])
    mask = np.ones(image.shape, bool)
    assert resegment(image, mask, inside=(1, 2000)).sum() == 4
    assert resegment(image, mask, inside=(1, 2000), sigmas=1.5).sum() == 3
    with pytest.raises(DataError, match=r"Widen the range"):
        resegment(image, mask, inside=(5000, 6000))


def test_bins_below_the_first_edge_are_refused():
    with pytest.raises(DataError, match="below the first bin"):
        bin_size(np.array([-3.0, 4.0]), 1.0, start=0.0)


def test_volume_curve_of_a_uniform_region_is_the_diagonal():
    found = volume_curve(np.linspace(0, 1, 100_001), 0, 1, 0.001)
    assert found["ivh_v10"] == pytest.approx(0.9, abs=1e-3)
    assert found["ivh_i10"] == pytest.approx(0.9, abs=2e-3)
    assert found["ivh_auc"] == pytest.approx(0.5, abs=1e-3)


def test_volume_curve_without_a_unit_is_one_of_bin_numbers():
    image = np.linspace(-3, 4.999, 8000).reshape(20, 20, 20)
    found = extract(image, np.ones(image.shape), UNIT, Chain(families=("ivh",))).values
    assert found["ivh_i10"] == pytest.approx(901, abs=1)
    wide = Chain(families=("ivh",), ivh="width", ivh_width=2.0, inside=(-3, 5))
    found = extract(image, np.ones(image.shape), UNIT, wide).values
    # Four bins with middles -2, 0, 2, 4 that hold a quarter each.
    assert found["ivh_i90"] == pytest.approx(0)
    assert found["ivh_v90"] == pytest.approx(0.25, abs=1e-3)
    assert found["ivh_diff_i10_i90"] == pytest.approx(6)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones((4, 4, 5), bool), "is not the image's"),
        (np.zeros((4, 4, 4), bool), "mask is empty"),
        (np.eye(64, dtype=bool)[0].reshape(4, 4, 4), "holds one voxel"),
    ],
)
def test_masks_that_hold_nothing_to_measure(mask, says):
    with pytest.raises(DataError, match=says):
        extract(np.random.default_rng(0).random((4, 4, 4)), mask, UNIT)


def test_intensities_that_are_no_numbers():
    image = np.random.default_rng(0).random((4, 4, 4))
    image[1, 1, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of the region's 64 intensities"):
        extract(image, np.ones(image.shape, bool), UNIT)


def test_constant_region_has_shape_but_says_why_not_the_rest():
    mask = np.zeros((6, 6, 6), bool)
    mask[1:5, 1:5, 1:5] = True
    found = extract(np.full(mask.shape, 7.0), mask, UNIT)
    assert found.values["stat_mean"] == 7
    assert found.values["morph_vol_approx"] == 64
    for tag in ("stat_skew", "morph_moran_i", "ivh_v10", "ih_max_grad"):
        assert math.isnan(found.values[tag])
        assert "same intensity" in found.reasons[tag]


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 2, 2), (3, 1, 1), (1, 5, 5), (2, 2, 2)])
def test_tiny_regions_give_numbers_or_a_reason(shape):
    image = np.random.default_rng(0).random((7, 7, 7))
    mask = np.zeros(image.shape, bool)
    mask[tuple(slice(1, 1 + n) for n in shape)] = True
    found = extract(image, mask, UNIT)
    assert len(found.values) == 487
    missing = {tag for tag, value in found.values.items() if not math.isfinite(value)}
    assert missing == set(found.reasons)
