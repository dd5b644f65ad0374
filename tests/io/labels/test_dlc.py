"""DeepLabCut projects: read as pandas reads them, written so that pandas reads them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

from neuroloom.core.errors import DataError
from neuroloom.io.labels import Labels, Skeleton, read_labels, write_labels
from tests.io.labels.makers import NAMES, dlc_frame, dlc_project, pictures, points_of

MANY = ("anna", "bert")


@pytest.mark.parametrize("cells", [1, 3])
@pytest.mark.parametrize("files", [(".csv",), (".h5",), (".csv", ".h5")])
def test_every_layout_is_read(tmp_path, cells, files):
    labels = read_labels(dlc_project(tmp_path, ("a", "b"), cells, files))
    assert labels.source == "dlc"
    assert labels.skeleton.keypoints == NAMES
    assert labels.skeleton.swaps == ((1, 2),)
    np.testing.assert_array_equal(labels.points[:4], points_of())
    np.testing.assert_array_equal(labels.points[4:], points_of(seed=1))
    assert list(labels.frames["video"]) == ["a"] * 4 + ["b"] * 4
    assert list(labels.frames["frame"]) == [0, 1, 2, 3] * 2
    assert labels.image(6).shape == (48, 64, 1)
    assert labels.image(6).max() == 3
    assert labels.notes == ()


@pytest.mark.parametrize("cells", [1, 3])
def test_what_is_written_is_what_pandas_wrote(tmp_path, cells):
    project = dlc_project(tmp_path / "old", ("a", "b"), cells)
    written = write_labels(read_labels(project), tmp_path / "new")
    for video in "ab":
        name = f"labeled-data/{video}/CollectedData_me"
        old, new = project / name, tmp_path / "new" / name
        assert new.with_suffix(".csv").read_bytes() == old.with_suffix(".csv").read_bytes()
        theirs = pd.read_hdf(new.with_suffix(".h5"))
        pd.testing.assert_frame_equal(theirs, pd.read_hdf(old.with_suffix(".h5")))
    assert (tmp_path / "new/config.yaml").read_bytes() == (project / "config.yaml").read_bytes()
    assert sum(file.suffix == ".png" for file in written) == 8


def several(root):
    """Two animals, and a corner that belongs to neither."""
    folder = root / "labeled-data" / "a"
    rows = [("labeled-data", "a", name) for name in pictures(folder, 4)]
    points = points_of(animals=2)
    left = dlc_frame(points, rows, individuals=MANY)
    corner = dlc_frame(points[:, :1, :1] / 2, rows, names=("corner",), individuals=("single",))
    pd.concat([left, corner], axis=1).to_csv(folder / "CollectedData_me.csv")
    (root / "config.yaml").write_text(
        "scorer: me\nmultianimalproject: true\nindividuals: [anna, bert]\nvideo_sets: {}\n"
        "multianimalbodyparts: [nose, ear_l, ear_r]\nuniquebodyparts: [corner]\nbodyparts: MULTI!\n"
        "skeleton: [[nose, ear_l, ear_r], [nose, horn]]\n"
    )
    return points


def test_several_animals_and_unique_points(tmp_path):
    points = several(tmp_path / "old")
    labels = read_labels(tmp_path / "old")
    assert labels.individuals == (*MANY, "single")
    assert labels.skeleton.keypoints == (*NAMES, "corner")
    assert labels.skeleton.edges == ((0, 1), (1, 2))
    np.testing.assert_array_equal(labels.points[:, :2, :3], points)
    np.testing.assert_array_equal(labels.points[:, 2, 3], points[:, 0, 0] / 2)
    assert np.isnan(labels.points[:, :2, 3]).all()
    assert any("horn" in note for note in labels.notes)
    write_labels(labels, tmp_path / "new")
    name = "labeled-data/a/CollectedData_me.csv"
    assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "old" / name).read_bytes()


def test_a_renamed_point_is_named(tmp_path):
    project = dlc_project(tmp_path, ("a", "b"), files=(".csv",))
    file = project / "labeled-data/b/CollectedData_me.csv"
    file.write_text(file.read_text().replace("nose", "snout"))
    with pytest.raises(DataError, match=r"labeled-data/b.*snout.*lacks\s+nose"):
        read_labels(project)


def test_a_broken_h5_beside_a_sound_csv_is_noted(tmp_path):
    project = dlc_project(tmp_path)
    file = project / "labeled-data/a/CollectedData_me.h5"
    file.write_bytes(file.read_bytes()[:3000])
    labels = read_labels(project)
    assert len(labels) == 4
    assert any("CollectedData_me.h5 cannot be read" in note for note in labels.notes)
    file.with_suffix(".csv").unlink()
    with pytest.raises(DataError, match=r"CollectedData_me\.h5"):
        read_labels(project)


def test_files_that_differ_are_noted(tmp_path):
    project = dlc_project(tmp_path)
    frame = dlc_frame(points_of(seed=5), [f"labeled-data/a/img{i:04d}.png" for i in range(4)])
    frame.to_csv(project / "labeled-data/a/CollectedData_me.csv")
    labels = read_labels(project)
    np.testing.assert_array_equal(labels.points, points_of())
    assert any("differ" in note for note in labels.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table of points"),
        ("scorer,me\nbodyparts,nose\n", "no table of points"),
        ("scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\n", "no rows"),
        ("scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\nimg0000.png,1,two\n", "line 4.*'two'"),
        ("scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\nimg0000.png,1\n", "3 columns"),
        ("scorer,me,me\nbodyparts,nose,nose\ncoords,x,x\nimg0000.png,1,2\n", "stands twice"),
        ("scorer,me,me\nbodyparts,nose,nose\ncoords,x,q\nimg0000.png,1,2\n", "'nose' lacks x or y"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, text, said):
    folder = tmp_path / "labeled-data/a"
    pictures(folder, 1)
    (folder / "CollectedData_me.csv").write_text(text)
    with pytest.raises(DataError, match=rf"(?s)CollectedData_me\.csv.*{said}"):
        read_labels(tmp_path)


def test_names_stored_as_objects_are_not_loaded(tmp_path):
    project = dlc_project(tmp_path, files=(".h5",))
    import h5py

    with h5py.File(project / "labeled-data/a/CollectedData_me.h5", "r+") as file:
        level = file["df_with_missing"]
        del level["axis0_level1"]
        level.create_dataset("axis0_level1", data=np.zeros(3, dtype="V8"))
    with pytest.raises(DataError, match="names as objects"):
        read_labels(project)


@pytest.mark.parametrize("name", ["dlc-openfield"])
def test_the_real_project_comes_back_byte_by_byte(test_data, tmp_path, name):
    project = test_data / "pose" / name
    labels = read_labels(project)
    written = write_labels(labels, tmp_path, images=False)
    table = "labeled-data/m4s1/CollectedData_Pranav"
    assert (tmp_path / f"{table}.csv").read_bytes() == (project / f"{table}.csv").read_bytes()
    theirs = pd.read_hdf(tmp_path / f"{table}.h5")
    pd.testing.assert_frame_equal(theirs, pd.read_hdf(project / f"{table}.h5"))
    by_pandas = pd.read_csv(project / f"{table}.csv", header=[0, 1, 2], index_col=0)
    np.testing.assert_allclose(labels.points.reshape(len(labels), -1), by_pandas, atol=1e-9)
    assert len(written) == 3
    assert labels.image(0).shape == (480, 640, 1)


def test_videos_of_one_name_have_folders_of_their_own(tmp_path):
    pictures(tmp_path, 4)
    videos = ["s1/cam", "s2/cam", "s1_cam", "cam_labeled"]
    frames = pd.DataFrame(
        {"video": videos, "frame": 0, "image": [f"img000{i}.png" for i in range(4)]}
    )
    labels = Labels(Skeleton(NAMES), frames, points_of(), ("individual_0",), tmp_path, "slp")
    write_labels(labels, tmp_path / "new", "dlc")
    again = read_labels(tmp_path / "new").frames["video"]
    assert sorted(again) == ["cam_labeled_", "s1_cam", "s1_cam_", "s2_cam"]


@pytest.mark.parametrize("animals", [1, 2])
def test_a_new_project_has_every_setting_of_deeplabcuts(tmp_path, animals):
    pictures(tmp_path, 4)
    frames = pd.DataFrame(
        {"video": "cam", "frame": range(4), "image": [f"img000{i}.png" for i in range(4)]}
    )
    skeleton = Skeleton(NAMES, ((0, 1),), ((1, 2),))
    labels = Labels(skeleton, frames, points_of(4, animals), MANY[:animals], tmp_path, "slp")
    write_labels(labels, tmp_path / "new", "dlc")
    config = yaml.safe_load((tmp_path / "new/config.yaml").read_text())
    # Of `create_config_template` in DeepLabCut 3.0.2, less its table for SuperAnimal models.
    several = {"individuals", "uniquebodyparts", "multianimalbodyparts", "default_track_method"}
    assert set(config) == (several if animals > 1 else set()) | {
        "Task", "scorer", "date", "multianimalproject", "identity", "project_path", "engine",
        "video_sets", "bodyparts", "start", "stop", "numframes2pick", "skeleton", "skeleton_color",
        "pcutoff", "dotsize", "alphavalue", "colormap", "TrainingFraction", "iteration",
        "default_net_type", "default_augmenter", "snapshotindex", "detector_snapshotindex",
        "batch_size", "detector_batch_size", "cropping", "x1", "x2", "y1", "y2", "corner2move2",
        "move2corner",
    }  # fmt: skip
    assert config["skeleton"] == [["nose", "ear_l"]]
    assert read_labels(tmp_path / "new").skeleton == labels.skeleton
