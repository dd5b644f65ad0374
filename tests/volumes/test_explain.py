"""Maps of where models of whole images look: on the grids of the images, and checked."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import image, volume
from neuroloom.io.cases import find_cases
from neuroloom.io.images import read_image, write_image
from neuroloom.learn.store import Ensemble
from neuroloom.volumes.classify import Classify
from neuroloom.volumes.whole.data import Wish, read_whole
from neuroloom.volumes.whole.explain import Look, nets_of, sanity_of_looks, write_map
from tests.grids import OBLIQUE, ring, write_slices


def test_a_map_lies_on_the_grid_of_its_image(tmp_path):
    turned = OBLIQUE @ np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1.0]])
    for place, (subject, affine) in enumerate((("a", OBLIQUE), ("b", turned)), start=1):
        voxels = np.zeros((6, 8, 10), np.float32)
        voxels[place, 6, 2] = 50
        write_image(tmp_path / subject / "1.nii.gz", volume(voxels, affine))
    dataset = read_whole(find_cases(tmp_path), Wish("classification", "folder"))
    for row in range(2):
        image = dataset.x[row, 0]
        look = Look(f"map_{row}", None, "a", image, image == image.max(), image)
        path = write_map(tmp_path / "where", look, dataset, row)
        written, source = read_image(path), read_image(dataset.extra["cases"][row].images[0])
        np.testing.assert_allclose(written.attrs["affine"], source.attrs["affine"], atol=1e-5)
        assert written.values.argmax() == source.values.argmax()


def test_flat_maps_are_like_nothing():
    flat, steps = np.zeros((2, 2)), np.arange(4.0).reshape(2, 2)
    looks = [Look("a", None, 1.0, flat, where, steps) for where in (flat, steps)]
    assert np.isnan(looks[0].alike)
    assert looks[1].alike == pytest.approx(1)
    sanity = sanity_of_looks([look.alike for look in looks])
    assert not sanity.passed
    assert sanity_of_looks([float("nan")]) is None


def test_only_nets_have_maps():
    with pytest.raises(ConfigError, match="model=pca is no net"):
        nets_of(Ensemble("grid/pca", {"": [object()]}))


def test_every_image_of_a_run_and_new_ones_are_mapped(tmp_path):
    data = write_slices(tmp_path / "data", subjects=4, slices=1)
    fields = {"pattern": "{subject}_{slice}", "folds": 0, "budget": "1 epochs", "size": 16}
    run = Classify(**fields, width=4).run(data, tmp_path / "run")
    shelf = run.folder / "artifacts"
    assert (shelf / "where.png").is_file()
    assert any(
        "learnt from all images" in line for line in read_json(run.folder / "facts.json")["where"]
    )
    table = run.explain()
    assert table["label"].tolist() == ["disc", "disc", "ring", "ring"]
    assert [read_image(shelf / file).shape[1:] for file in table["map"]] == [(20, 20)] * 4
    said = read_json(run.folder / "facts.json")["where"]
    assert sum(line.startswith("The final model: 4 maps") for line in said) == 1
    new = run.explain(data / "ring", out=tmp_path / "new")
    assert new["label"].isna().all()
    np.testing.assert_allclose(new["like_random"], table["like_random"][2:], atol=1e-5)
    assert (tmp_path / "new" / "explained.png").is_file()
    for folder, whose in ((shelf, "4 images of the run"), (tmp_path / "new", "2 new images")):
        assert Shelf(folder).get("explained").caption.startswith(f"Some of {whose}.")


def test_images_that_joined_the_data_later_are_not_explained_as_the_run_s(tmp_path):
    data = write_slices(tmp_path / "data", subjects=4, slices=1)
    fields = {"pattern": "{subject}_{slice}", "folds": 0, "budget": "1 epochs", "size": 16}
    run = Classify(**fields, width=4).run(data, tmp_path / "run")
    report = (run.folder / "report.html").read_bytes()
    (data / "square").mkdir()
    write_image(data / "square" / "s9_0.png", image(ring(9, 0, "disc")))
    with pytest.raises(
        DataError, match=r"square/s9_0\.png is new in the data since this run began"
    ):
        run.explain()
    assert (run.folder / "report.html").read_bytes() == report
