"""Changed copies: the grid they lie on, the same files again, labels back, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recording import image, volume
from neuroloom.core.run import Run
from neuroloom.io.cases import find_cases
from neuroloom.io.images import read_image, to_array, write_image
from neuroloom.volumes.augment import Augment, summarise_dice
from neuroloom.volumes.copies import Source, canonical, draw_copy, make_copy
from neuroloom.volumes.segment import Segment
from tests.grids import write_blobs, write_case, write_contrasts

pytest.importorskip("torch")

AFFINE = np.array([[0, 0, 2.0, -7], [-1.5, 0, 0, 4], [0, 1.0, 0, 9], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("copies")
    recipe = Augment(transforms=["flip", "rotate=8", "noise", "lookup"], copies=2, seed=4)
    return recipe.run(write_blobs(folder / "data", cases=3), folder / "run")


def test_a_replay_writes_the_same_files(run, tmp_path):
    again = run.replay(tmp_path / "again")
    files = sorted((run.folder / "artifacts").rglob("*.nii.gz"))
    assert len(files) == 3 * 3 * 2
    for file in files:
        other = again.folder / file.relative_to(run.folder)
        assert other.read_bytes() == file.read_bytes()
    drawn = "transforms.json"
    assert (again.folder / drawn).read_bytes() == (run.folder / drawn).read_bytes()


def test_a_copy_follows_from_what_was_drawn(run):
    from neuroloom.learn.dense.augment import Drawn, parse_augment

    found = find_cases(run.study[1])
    (row,) = [r for r in read_json(run.folder / "transforms.json")
              if (r["name"], r["copy"]) == ("case_01", 2)]  # fmt: skip
    case = found.cases[1]
    source = Source(case.name, case.image(), case.truth(), case.recording())
    made = make_copy(
        source, parse_augment(run.recipe.transforms), Drawn.from_plain(row["drawn"]), back=True
    )
    written = read_image(run.folder / "artifacts/images/case_01_copy-2.nii.gz")
    np.testing.assert_allclose(to_array(written), made.x, rtol=1e-6)
    np.testing.assert_allclose(written.attrs["affine"], source.grid.attrs["affine"])


def test_labels_come_back_and_are_scored(run):
    table = run.predictions
    assert len(table) == 6
    for row in table.itertuples():
        truth = to_array(read_image(run.study[1] / "labels" / f"{row.name}.nii.gz"))[0]
        name = f"{row.name}_copy-{row.copy}.nii.gz"
        back = to_array(read_image(run.folder / "artifacts/restored" / name))[0]
        overlap = 2 * np.sum((back == 1) & (truth == 1)) / (np.sum(back == 1) + np.sum(truth == 1))
        assert row.dice == pytest.approx(overlap)
    entry = read_json(run.folder / "metrics.json")["label_dice"]
    assert entry["value"] == pytest.approx(table["dice"].mean())
    assert entry["value"] >= 0.97  # balls of four voxels' radius: a fringe counts for much


def test_the_copies_are_a_data_set(run):

    found = find_cases(run.folder / "artifacts")
    assert len(found.cases) == 6
    assert all(case.label is not None for case in found.cases)
    whose = found.table.groupby("subject")["name"].apply(list)
    assert whose["case_01"] == ["case_01_copy-1", "case_01_copy-2"]
    assert len(whose) == 3
    assert "cases.csv does not name were passed over" in " ".join(found.notes)


def test_copies_keep_the_names_of_their_classes(tmp_path):
    data = write_blobs(tmp_path / "data", cases=2)
    facts = {"labels": {"background": 0, "all": [1, 2], "core": 2, "ignore": 3},
             "regions_class_order": [1, 2], "channel_names": {"0": "T1"}}  # fmt: skip
    write_json(data / "dataset.json", facts)
    (data / "images").rename(data / "imagesTr")
    (data / "labels").rename(data / "labelsTr")
    for file in sorted((data / "imagesTr").iterdir()):
        file.rename(file.with_name(file.name.replace(".nii.gz", "_0000.nii.gz")))
    run = Augment(transforms=["noise"]).run(data, tmp_path / "run")
    told, copied = find_cases(data), find_cases(run.folder / "artifacts")
    assert told.regions == {"all": (1, 2), "core": (2,)}
    for name in ("classes", "regions", "ignore", "painted", "channels"):
        assert getattr(copied, name) == getattr(told, name), name


def world(grid, places):
    """Values of a volume at places in the world, from the nearest voxel."""
    affine = np.asarray(grid.attrs["affine"])
    voxels = np.linalg.inv(affine) @ np.c_[places, np.ones(len(places))].T
    index = tuple(np.rint(voxels[:3]).astype(int))
    return grid.values[(0, *index)]


def ramp(shape=(6, 7, 8)):
    x, y, z = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return (x + 10.0 * y + 100 * z).astype(np.float32)


def test_canonical_axes_keep_their_place():
    grid = volume(ramp(), AFFINE)
    source = Source("a", to_array(grid).astype(np.float32), to_array(grid)[0].astype(int), grid)
    turned = canonical(source)
    directions = turned.grid.attrs["affine"][:3, :3]
    assert (np.diag(directions) > 0).all()
    assert np.count_nonzero(directions) == 3
    places = (AFFINE @ np.c_[np.indices((6, 7, 8)).reshape(3, -1).T, np.ones(336)].T)[:3].T
    np.testing.assert_array_equal(world(turned.grid, places), world(grid, places))
    np.testing.assert_array_equal(turned.y, turned.x[0].astype(int))


@pytest.mark.parametrize("name", ["resample=1.0", "crop-pad=9"])
def test_a_changed_grid_keeps_its_place(name):
    from neuroloom.learn.dense.augment import parse_augment

    grid = volume(ramp((9, 10, 11)), AFFINE)
    source = Source("a", to_array(grid).astype(np.float32), None, grid)
    transforms = parse_augment([name])
    made = make_copy(source, transforms, draw_copy(source, transforms, 0), back=False)
    # The ramp is linear, so a voxel's value tells where in the source it lies.
    inside = tuple(slice(n // 3, 2 * n // 3) for n in made.grid.shape[1:])
    index = np.indices(made.grid.shape[1:])[(slice(None), *inside)].reshape(3, -1)
    place = np.asarray(made.grid.attrs["affine"]) @ np.r_[index, np.ones((1, index.shape[1]))]
    x, y, z, _ = np.linalg.inv(AFFINE) @ place
    np.testing.assert_allclose(made.grid.values[0][inside].ravel(), x + 10 * y + 100 * z, atol=0.02)


def test_images_of_a_microscope(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.tif", image(rng.random((3, 20, 24)), (0.5, 0.5), "um"))
    run = Augment(transforms=["resample=1", "gamma"]).run(tmp_path, tmp_path / "run")
    copy = read_image(run.folder / "artifacts/images/a_copy-1.tif")
    assert copy.shape == (3, 10, 12)
    assert copy.attrs["spacing"] == pytest.approx((1.0, 1.0))
    assert read_json(run.folder / "metrics.json") == {}


def write_halves(folder, cases, first=1):
    """Write volumes with a class to the left and one to the right, numbered from `first`."""
    for half in ("images", "labels"):
        (folder / half).mkdir(parents=True)
    for case in range(cases):
        label = np.zeros((12, 10, 8), np.uint8)
        label[2:5, 3:7, 2:6], label[7:10, 3:7, 2:6] = first, first + 1
        label[5, case % 10, 0] = first
        for half in ("images", "labels"):
            write_image(folder / half / f"c{case}.nii.gz", volume(label, np.eye(4)))
    return folder


def declare(data, labels):
    """Write a `dataset.json` of two cases of `write_halves` beside them."""
    training = [
        {"image": f"images/c{case}.nii.gz", "label": f"labels/c{case}.nii.gz"} for case in range(2)
    ]
    (data / "dataset.json").write_text(json.dumps({"labels": labels, "training": training}))


def flips(data):
    return "flip" in [own.name for own in Augment().prepare(data).transforms]


def test_regions_of_a_side_stay_on_theirs(tmp_path):
    data = write_halves(tmp_path / "data", cases=2)
    for sides, mirrored in ((("left kidney", "right kidney"), False), (("whole", "core"), True)):
        declare(data, {"background": 0} | dict(zip(sides, ([1, 2], [2, 3]), strict=True)))
        assert flips(data) is mirrored


@pytest.mark.parametrize(("kind", "mirrored"), [("leftHippocampus", False), ("lesion", True)])
@pytest.mark.parametrize("most", [1, 2])
def test_the_only_mask_of_a_side_stays_on_it(kind, mirrored, most, tmp_path):
    write_contrasts(tmp_path, 2, lacking=("sub-0_T2w", "sub-1_T2w"))
    for mask in [*tmp_path.rglob("*_mask.nii.gz")]:
        drawn = read_image(mask).copy()
        drawn.values.flat[np.flatnonzero(drawn.values)[:9]] = most
        write_image(mask, drawn)
        mask.rename(mask.with_name(mask.name.replace("lesion", kind)))
    assert find_cases(tmp_path).kind == kind
    assert flips(tmp_path) is mirrored
    facts = Segment(folds=0).read(tmp_path).facts
    assert facts["mirror"] == ([2] if mirrored else [])


@pytest.mark.parametrize(("drawn", "mirrored"), [(1, False), (5, True)])
def test_an_atlas_of_more_than_the_labels_hold_has_no_side_by_itself(drawn, mirrored, tmp_path):
    for case in range(2):
        stem = f"sub-{case}/anat/sub-{case}_T1w"
        label = tmp_path / "derivatives/labels" / f"{stem}_dseg.nii.gz"
        write_case(tmp_path / f"{stem}.nii.gz", label, case)
        mask = read_image(label)
        write_image(label, mask.copy(data=drawn * (mask.values > 0).astype(np.uint8)))
    names = "index\tname\n1\tLeft-Thalamus\n2\tRight-Thalamus\n5\tBrain-Stem\n"
    (tmp_path / "derivatives/labels/dseg.tsv").write_text(names)
    assert flips(tmp_path) is mirrored


@pytest.mark.parametrize("named", [True, False])
def test_classes_of_a_side_stay_on_theirs(named, tmp_path):
    data = write_halves(tmp_path / "data", cases=2 if named else 6)
    if named:
        declare(data, {"0": "background", "1": "LeftHippocampus", "2": "RightHippocampus"})
    prepared = Augment().prepare(data)
    assert "flip" not in [own.name for own in prepared.transforms]
    assert [own.title for own in prepared.findings] == ["Copies are not mirrored"]
    with pytest.raises(ConfigError, match="Leave 'flip' out"):
        Augment(transforms=["flip"]).prepare(data)
    blobs = write_blobs(tmp_path / "blobs", cases=6)
    assert "flip" in [own.name for own in Augment().prepare(blobs).transforms]


@pytest.mark.parametrize(
    ("transforms", "told"),
    [
        (["mixup"], "blends cases"), (["none"], "nothing to do"), (["afine"], "Did you mean"),
    ],
)  # fmt: skip
def test_what_is_refused(transforms, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        Augment(transforms=transforms).run(write_blobs(tmp_path / "d", cases=1), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_histograms_are_brought_to_one_scale(tmp_path):
    data = write_blobs(tmp_path / "data", cases=3)
    path = data / "images/case_00.nii.gz"
    bright = read_image(path)
    write_image(path, bright * 30 + 500, like=bright)
    run = Augment(transforms=["histogram"]).run(data, tmp_path / "run")
    copies = sorted((run.folder / "artifacts/images").glob("*"))
    medians = [float(np.median(read_image(file).values)) for file in copies]
    assert max(medians) - min(medians) < 10


def test_no_labels_no_score():
    import pandas as pd

    assert summarise_dice(pd.DataFrame({"name": []}), 0) == {}


@pytest.mark.long
def test_hippocampus_labels_come_back(tmp_path, test_data):
    data = test_data / "volumes" / "msd_hippocampus"
    for transforms in (["affine"], ["elastic"], ["flip"]):
        run = Augment(transforms=transforms, include=["hippocampus_0*"]).run(
            data, tmp_path / transforms[0]
        )
        assert read_json(run.folder / "metrics.json")["label_dice"]["value"] >= 0.99


def test_labels_above_sixteen_bits_stay_what_they_are():
    from neuroloom.learn.dense.augment import parse_augment

    y = np.zeros((16, 18), np.int32)
    y[3:7, 3:7], y[9:14, 9:14] = 40_000, 70_000
    source = Source("a", (y > 0)[None].astype(np.float32), y, image((y > 0).astype(np.uint8)))
    transforms = parse_augment(["flip", "rotate=8"])
    made = make_copy(source, transforms, draw_copy(source, transforms, 3), back=True)
    assert set(np.unique(made.y)) == set(np.unique(made.restored)) == {0, 40_000, 70_000}
