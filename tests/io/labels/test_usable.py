"""What cannot teach is left out by name; what is wrong stops with one clear error."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.io.labels import Skeleton, guess_swaps, read_labels
from neuroloom.io.labels.pictures import where_all
from neuroloom.io.video import write_video
from tests.io.labels.makers import dlc_project


def changed(project, change):
    file = project / "labeled-data/a/CollectedData_me.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(change(lines)) + "\n")
    return project


def cells(line, values):
    return ",".join([*line.split(",")[:3], *map(str, values)])


def test_a_missing_and_a_broken_picture_are_named(tmp_path):
    project = dlc_project(tmp_path, files=(".csv",))
    (project / "labeled-data/a/img0002.png").unlink()
    (project / "labeled-data/a/img0003.png").write_bytes(b"no picture")
    labels = read_labels(project)
    assert list(labels.frames["frame"]) == [0, 1]
    assert any("2 of 4" in note and "img0002.png" in note for note in labels.notes)
    assert len(read_labels(project, usable=False)) == 4


def test_without_any_picture_the_points_are_still_read(tmp_path):
    project = dlc_project(tmp_path, files=(".csv",))
    for picture in (project / "labeled-data/a").glob("*.png"):
        picture.unlink()
    labels = read_labels(project)
    assert len(labels) == 4
    assert any("No picture" in note for note in labels.notes)
    with pytest.raises(DataError, match=r"img0001\.png: the picture of a labelled frame is gone"):
        labels.image(1)


def test_a_point_outside_its_picture_is_named(tmp_path):
    def change(lines):
        return [*lines[:4], cells(lines[4], [70.0, 10.0, 5, 5, 64.2, 47.9]), *lines[5:]]

    labels = read_labels(changed(dlc_project(tmp_path, files=(".csv",)), change))
    assert np.isnan(labels.points[1, 0, 0]).all()
    np.testing.assert_array_equal(labels.points[1, 0, 2], [64.2, 47.9])  # a click on the border
    assert any("img0001.png nose (70, 10) of 64 x 48" in note for note in labels.notes)


def test_blank_and_repeated_rows_are_named(tmp_path):
    def change(lines):
        return [*lines[:3], cells(lines[3], [""] * 6), *lines[4:], lines[5]]

    labels = read_labels(changed(dlc_project(tmp_path, files=(".csv",)), change))
    assert list(labels.frames["frame"]) == [1, 2, 3]
    said = " ".join(labels.notes)
    assert "nothing is labelled in them: labeled-data/a/img0000.png" in said
    assert "they stand twice, the first counts: labeled-data/a/img0002.png" in said


def test_a_point_that_nobody_labels_is_named(tmp_path):
    def change(lines):
        return [*lines[:3], *(cells(line, [1, 2, "", "", 3, 4]) for line in lines[3:])]

    labels = read_labels(changed(dlc_project(tmp_path, files=(".csv",)), change))
    assert "ear_l: labelled in no frame." in labels.notes


def test_one_labelled_frame_is_read(tmp_path):
    labels = read_labels(changed(dlc_project(tmp_path, files=(".csv",)), lambda rows: rows[:4]))
    assert labels.points.shape == (1, 1, 3, 2)


def test_nothing_usable_is_an_error(tmp_path):
    def change(lines):
        return [*lines[:3], *(cells(line, [""] * 6) for line in lines[3:])]

    with pytest.raises(DataError, match="none of 4 labelled frames"):
        read_labels(changed(dlc_project(tmp_path, files=(".csv",)), change))


def test_what_is_no_project_is_said(tmp_path):
    with pytest.raises(DataError, match="no project of labelled frames"):
        read_labels(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        read_labels(tmp_path / "gone")


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("leftear", "rightear", "nose"), ((0, 1),)),
        (("Ear_L", "Ear_R", "Shoulder_left", "Shoulder_right"), ((0, 1), (2, 3))),
        (("eyeL", "eyeR", "wingL", "wingR", "legL2", "legR2"), ((0, 1), (2, 3), (4, 5))),
        (("paw1LH_top", "paw4RH_top", "paw2LF_top", "paw3RF_top", "tail"), ((0, 1), (2, 3))),
        (("l_hip", "r_hip", "tail", "ball", "rear"), ((0, 1),)),
        (("L1A", "R1A", "L1B"), ((0, 1),)),
        (("nose", "tail"), ()),
    ],
)
def test_left_and_right_are_read_from_names(names, pairs):
    assert guess_swaps(names) == pairs


@pytest.mark.parametrize(
    "parts",
    [
        {"keypoints": ()},
        {"keypoints": ("a", "a")},
        {"keypoints": ("a", "b"), "edges": ((0, 2),)},
        {"keypoints": ("a", "b", "c"), "swaps": ((0, 1), (1, 2))},
    ],
)
def test_a_skeleton_that_cannot_be_is_refused(parts):
    with pytest.raises(DataError):
        Skeleton(**parts)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    import sys

    (tmp_path / "a.slp").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    with pytest.raises(ConfigError, match=r"sleap-io.*pip install"):
        read_labels(tmp_path / "a.slp")


def test_windows_paths_and_another_place_of_the_project(tmp_path):
    project = dlc_project(tmp_path / "w", cells=1, files=(".csv",))
    labels = read_labels(changed(project, lambda rows: [row.replace("/", "\\") for row in rows]))
    assert list(labels.frames["image"])[2] == "labeled-data/a/img0002.png"
    assert labels.image(2).max() == 3


def test_a_label_beyond_the_end_of_its_film_is_named(tmp_path):
    sleap_io = pytest.importorskip("sleap_io")
    write_video(tmp_path / "cam.mp4", np.zeros((5, 48, 64, 1), np.uint8), 25)
    write_slp(tmp_path, {"cam.mp4": [4, 5]}, sleap_io)
    labels = read_labels(tmp_path / "a.slp")
    assert list(labels.frames["image"]) == ["cam.mp4::4"]
    assert any("1 of 2 frames left out" in note and "cam.mp4::5" in note for note in labels.notes)


def write_slp(folder, frames, package):
    """Write a.slp with a point in frames of films by their names."""
    skeleton = package.Skeleton(["nose"])
    point = package.Instance.from_numpy(np.array([[3.0, 4.0]]), skeleton=skeleton)
    films = {name: package.Video(filename=name, open_backend=False) for name in frames}
    labelled = [
        package.LabeledFrame(video=films[name], frame_idx=number, instances=[point])
        for name, numbers in frames.items()
        for number in numbers
    ]
    held = package.Labels(labelled, videos=list(films.values()), skeletons=[skeleton])
    package.save_slp(held, str(folder / "a.slp"), verbose=False, embed=False)


def test_one_film_is_not_taken_for_two_of_a_moved_project(tmp_path):
    sleap_io = pytest.importorskip("sleap_io")
    write_video(tmp_path / "cam.mp4", np.zeros((5, 48, 64, 1), np.uint8), 25)
    days = {f"D:\\day{day}\\cam.mp4": [day] for day in (1, 2)}
    write_slp(tmp_path, days, sleap_io)
    labels = read_labels(tmp_path / "a.slp")
    assert list(labels.frames["image"]) == ["", ""]
    assert any("taken for none of them" in note and "day2" in note for note in labels.notes)
    (tmp_path / "day1").mkdir()
    (tmp_path / "cam.mp4").rename(tmp_path / "day1/cam.mp4")
    labels = read_labels(tmp_path / "a.slp")
    assert list(labels.frames["image"]) == ["day1/cam.mp4::1"]


def test_a_film_in_its_place_is_taken_for_that_path_only(tmp_path):
    (tmp_path / "cam.mp4").touch()
    given = ["cam.mp4", "D:\\day2\\cam.mp4", "D:/day2/gone.mp4"]
    found, doubtful = where_all(given, tmp_path)
    assert found == dict(zip(given, ["cam.mp4", "", ""], strict=True))
    assert doubtful == given[1:2]
    assert where_all(["D:\\a\\cam.mp4", "D:/a/cam.mp4"], tmp_path)[1] == []
