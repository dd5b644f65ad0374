"""Pipelines: filters against analysis, every named one on a phantom, nuclei on real images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.measures.instances import match_instances
from neuroloom.microscopy.pipelines import PIPELINES, check_steps, read_pipeline, run_pipeline
from neuroloom.microscopy.pipelines.filters import measure_width
from neuroloom.microscopy.pipelines.masks import fill_holes, remove_small, thin
from neuroloom.microscopy.pipelines.smooth import smooth_edges
from tests.structures import phantom


# Between coarse slices a width of less than a pixel cannot be told, so that there 2.5 is the least.
@pytest.mark.parametrize(("shape", "spacing", "width"), [
    ((61, 61), (1.0, 1.0), 1.5), ((61, 61), (1.0, 1.0), 4.0),
    ((29, 29, 29), (1.0, 1.0, 1.0), 1.5), ((31, 31, 31), (1.0, 1.0, 1.0), 2.5),
    ((19, 33, 33), (2.0, 1.0, 1.0), 2.5),
])  # fmt: skip
def test_spots_and_tubes_are_as_wide_as_they_are(shape, spacing, width):
    grid = np.meshgrid(*[(np.arange(n) - n // 2) * s for n, s in zip(shape, spacing, strict=True)],
                       indexing="ij")  # fmt: skip
    centre = tuple(n // 2 for n in shape)
    far = np.sum(np.square(grid), axis=0)
    spot = np.exp(-far / (2 * width**2))
    scales = np.geomspace(0.5 * width, 2 * width, 9)
    assert measure_width(spot, centre, "spot", scales, spacing) == pytest.approx(width, rel=0.05)
    turn = 0.4
    along = np.cos(turn) * grid[-1] + np.sin(turn) * grid[-2]
    tube = np.exp(-(far - along**2) / (2 * width**2))
    found = measure_width(tube, centre, "filament", scales, spacing)
    assert found == pytest.approx(width, rel=0.05)


def test_a_width_beyond_the_scales_is_said():
    y, x = np.mgrid[:41, :41] - 20
    with pytest.raises(DataError, match="narrower or wider"):
        measure_width(np.exp(-(y**2 + x**2) / 200), (20, 20), "spot", (1.0, 1.5, 2.0))


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_finds_its_structure(name):
    image, truth = phantom(PIPELINES[name].kind, seed=5)
    found = run_pipeline(name, image) > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.7, dice


def blobs(seed, radius):
    """Nuclei of very unlike brightness over an uneven background; some touch."""
    rng = np.random.default_rng(seed)
    size = int(24 * radius)
    y, x = np.mgrid[:size, :size]
    truth, image = np.zeros((size, size), int), np.zeros((size, size))
    for number in range(1, 45):
        cy, cx = rng.uniform(0, size, 2)
        a, b, turn = radius * rng.uniform(0.9, 1.2), radius * rng.uniform(0.7, 1), rng.uniform(0, 3)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        own = (u / a) ** 2 + (v / b) ** 2 < 1
        if own.sum() < 2 * radius**2 or (truth[own] > 0).mean() > 0.02:
            continue
        truth[own & (truth == 0)] = number
        image[own] = np.maximum(
            image[own], rng.choice([0.6, 1.0, 1.5, 5.0], p=[0.3, 0.4, 0.2, 0.1])
        )
    light = ndimage.gaussian_filter(image, 0.12 * radius)
    field = 0.4 + 0.3 * np.sin(x / size * 3) * np.cos(y / size * 2)
    return 100 * (light + field) + 6 * rng.normal(size=truth.shape), truth


@pytest.mark.parametrize("radius", [5.0, 11.0])
def test_nuclei_of_any_size_are_found(radius):
    image, truth = blobs(3, radius)
    ours = match_instances(truth, run_pipeline("nuclei", image)).scores()["f1"]
    otsu = match_instances(truth, run_pipeline("nuclei-otsu", image)).scores()["f1"]
    assert ours > 0.85
    assert ours > otsu


def test_the_scale_of_intensity_does_not_matter():
    image, _ = blobs(4, 8.0)
    np.testing.assert_array_equal(run_pipeline("nuclei", image), run_pipeline("nuclei", 7 * image))


@pytest.mark.long
@pytest.mark.parametrize(("image", "truth", "bar"), [
    ("img2d.tif", "mask2d.tif", 0.80), ("dsb_img2d_large.tif", "dsb_mask2d_large.tif", 0.82),
])  # fmt: skip
def test_real_nuclei(test_data, image, truth, bar):
    import tifffile

    folder = test_data / "microscopy" / "nuclei"
    found = run_pipeline("nuclei", tifffile.imread(folder / image))
    assert match_instances(tifffile.imread(folder / truth), found).scores()["f1"] >= bar


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", [1, 2])
def test_thinning_keeps_the_topology(seed, keep):
    from skimage.measure import euler_number

    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=(80, 80)), 3) > 0.02
    for by in (1, 2, 4):
        thinned = thin(mask, by, keep)
        assert not (thinned & ~mask).any()
        assert thinned.sum() < mask.sum()
        assert ndimage.label(thinned, np.ones((3, 3)))[1] == ndimage.label(mask, np.ones((3, 3)))[1]
        assert euler_number(thinned, 2) == euler_number(mask, 2)


def test_edges_stay_where_noise_goes():
    rng = np.random.default_rng(0)
    step = np.repeat([0.0, 1.0], 30)[None] + np.zeros((60, 1))
    calm = smooth_edges(step + 0.1 * rng.normal(size=step.shape), steps=15)
    assert calm[:, :25].std() < 0.05
    assert (calm[:, 32] - calm[:, 27]).mean() > 0.9


def test_holes_and_specks():
    mask = np.zeros((20, 20), bool)
    mask[2:12, 2:12] = True
    mask[4, 4] = mask[7:10, 7:10] = False
    mask[17, 17] = True
    assert fill_holes(mask, largest=4).sum() == mask.sum() + 1
    assert fill_holes(mask).sum() == 101
    assert remove_small(mask, 2).sum() == mask.sum() - 1


@pytest.mark.parametrize(("steps", "words"), [
    ([{"do": "smoth"}], "step 1.*smooth"),
    ([{"do": "smooth", "sigm": 1}], "no parameter 'sigm'.*sigma"),
    ([{"do": "smooth"}], "ends in an image"),
    ([{"do": "fill_holes"}], "takes mask, but gets image"),
    ([{"do": "threshold"}, {"do": "smooth"}], "step 2.*takes image, but gets mask"),
    ([{"do": "threshold"}, {"do": "union", "with": "spots"}], "nothing is called 'spots'"),
    ([{"do": "threshold", "with": "image"}], "no second input"),
    ([{"sigma": 1}], "do: NAME"),
])  # fmt: skip
def test_a_pipeline_is_checked_before_it_runs(steps, words):
    with pytest.raises(ConfigError, match=words):
        check_steps(steps)


def test_nothing_is_found_in_a_flat_image():
    assert run_pipeline("nuclei", np.full((4, 4), 7.0)).tolist() == np.zeros((4, 4)).tolist()
    assert run_pipeline([{"do": "threshold"}], np.zeros((4, 4))).dtype == bool


def test_wrong_images_and_names(tmp_path):
    for image, words in ((np.full((4, 4), np.nan), "NaN"), (np.zeros(4), "one channel")):
        with pytest.raises(DataError, match=words):
            run_pipeline("nuclei", image)
    with pytest.raises(ConfigError, match="nuclei"):
        run_pipeline("nuclie", np.eye(4))
    (tmp_path / "broken.yaml").write_text("- {do: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        read_pipeline(tmp_path / "broken.yaml")


def test_a_named_pipeline_survives_yaml(tmp_path):
    import yaml

    image, _ = blobs(5, 6.0)
    steps = [dict(step) for step in PIPELINES["nuclei"].steps]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"steps": steps}))
    again = run_pipeline(read_pipeline(tmp_path / "mine.yaml"), image)
    np.testing.assert_array_equal(again, run_pipeline("nuclei", image))
