"""Every format there and back, and each into the others; their own readers open ours."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.io.labels import Labels, Skeleton, read_labels, write_labels
from neuroloom.io.tracks import read_tracks
from neuroloom.io.video import write_video
from tests.io.labels.makers import NAMES, dlc_frame, dlc_project, pictures, points_of

sleap_io = pytest.importorskip("sleap_io")
pytest.importorskip("ndx_pose")

PLACES = {
    "dlc": "p", "lightning-pose": "p", "deepposekit": "p", "slp": "a.slp", "coco": "a.json",
    "nwb": "a.nwb",
}  # fmt: skip


def made(root, animals=1) -> Labels:
    names = pictures(root / "labeled-data/a", 4)
    frames = pd.DataFrame(
        {"video": "a", "frame": range(4), "image": [f"labeled-data/a/{name}" for name in names]}
    )
    skeleton = Skeleton(NAMES, ((0, 1), (0, 2)), ((1, 2),))
    who = tuple(f"individual_{number}" for number in range(animals))
    return Labels(skeleton, frames, points_of(animals=animals), who, root, "made")


@pytest.mark.parametrize("name", PLACES)
def test_there_and_back(tmp_path, name):
    labels = made(tmp_path)
    once = read_labels(
        write_labels(labels, tmp_path / "x" / PLACES[name], name)[0].parent
        / (PLACES[name] if "." in PLACES[name] else "")
    )
    twice = read_labels(write_labels(once, tmp_path / "y" / PLACES[name])[0])
    for read in (once, twice):
        np.testing.assert_allclose(read.points, labels.points, atol=1e-9, rtol=0)
        assert read.skeleton.keypoints == NAMES
        assert read.source == name
        assert list(read.frames["frame"]) == [0, 1, 2, 3]
        if name != "nwb":
            assert [read.image(row).max() for row in range(4)] == [1, 2, 3, 4]
        if name not in ("lightning-pose",):
            assert set(read.skeleton.edges) == {(0, 1), (0, 2)}


@pytest.mark.parametrize("name", ["dlc", "slp", "coco", "nwb"])
def test_two_animals_there_and_back(tmp_path, name):
    labels = made(tmp_path, animals=2)
    write_labels(labels, tmp_path / "x" / PLACES[name], name)
    read = read_labels(tmp_path / "x" / PLACES[name])
    np.testing.assert_allclose(read.points, labels.points, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["lightning-pose", "deepposekit", "label3d"])
def test_what_a_format_cannot_hold_is_said(tmp_path, name):
    with pytest.raises(DataError, match="write 'dlc' or 'slp'"):
        write_labels(made(tmp_path, animals=2), tmp_path / "x", name)


def test_sleap_opens_ours_and_shows_the_pictures(tmp_path):
    labels = made(tmp_path, animals=2)
    write_labels(labels, tmp_path / "x/a.pkg.slp", "slp")
    theirs = sleap_io.load_slp(str(tmp_path / "x/a.pkg.slp"))
    for row, frame in enumerate(theirs.labeled_frames):
        points = np.stack([one.numpy() for one in frame.instances])
        np.testing.assert_allclose(points, labels.points[row], atol=1e-9, rtol=0)
        assert frame.image.max() == row + 1
    assert [tuple(pair) for pair in theirs.skeletons[0].edge_inds] == [(0, 1), (0, 2)]
    ours = read_labels(tmp_path / "x/a.pkg.slp")
    assert [ours.image(row).max() for row in range(4)] == [1, 2, 3, 4]


def test_pictures_of_a_sleap_package_stay_in_it(tmp_path):
    """The film is elsewhere, as a rule: what the package shows of it is all there is."""
    write_labels(made(tmp_path), tmp_path / "x/a.pkg.slp", "slp")
    labels = read_labels(tmp_path / "x/a.pkg.slp")
    for moved in (1, 2):  # the second time over itself
        moved_by = replace(labels, points=labels.points + moved)
        (file,) = write_labels(moved_by, tmp_path / "y", images=False)
        assert file == tmp_path / "y/a.pkg.slp"
        labels, before = read_labels(tmp_path / "y"), labels
        np.testing.assert_allclose(labels.points, before.points + moved)
        assert [labels.image(row).max() for row in range(4)] == [1, 2, 3, 4]
        assert list(labels.frames["video"]) == list(before.frames["video"])


def test_colours_of_an_old_sleap_package_stay(tmp_path):
    """Before format 1.4 blue was first, and files did not say so."""
    labels = made(tmp_path)
    for name in labels.frames["image"]:
        Image.new("RGB", (64, 48), (200, 100, 0)).save(tmp_path / name)
    write_labels(labels, tmp_path / "x/a.pkg.slp", "slp")
    with h5py.File(tmp_path / "x/a.pkg.slp", "r+") as file:
        del file["video0/video"].attrs["channel_order"]
        file["metadata"].attrs["format_id"] = 1.2
    old = read_labels(tmp_path / "x/a.pkg.slp")
    seen = [0, 100, 200]
    assert old.image(0)[0, 0].tolist() == seen
    write_labels(old, tmp_path / "y/a.pkg.slp")
    assert read_labels(tmp_path / "y/a.pkg.slp").image(0)[0, 0].tolist() == seen
    theirs = sleap_io.load_slp(str(tmp_path / "y/a.pkg.slp"))
    assert theirs.labeled_frames[0].image[0, 0].tolist() == seen


def in_crops(folder):
    """Two animals, each placed in a virtual crop of its half of a film; one of them twice."""
    shades = (np.full((64, 96, 3), 9 * number, np.uint8) for number in range(8))
    film = sleap_io.Video.from_filename(str(write_video(folder / "cam.mp4", shades, 25)))
    halves = [film.crop((x, 0, x + 48, 64)) for x in (0, 48)]
    skeleton, points = sleap_io.Skeleton(["a", "b"]), np.array([[5.0, 6.0], [20.0, 30.0]])
    frames = []
    for side, number in ((0, 3), (1, 3), (1, 7)):
        animal = sleap_io.Instance.from_numpy(points + number, skeleton=skeleton)
        frames.append(sleap_io.LabeledFrame(halves[side], number, [animal]))
    return sleap_io.Labels(frames), points


def test_crops_of_a_sleap_film_are_places_in_its_whole_frames(tmp_path):
    held, points = in_crops(tmp_path)
    sleap_io.save_slp(held, str(tmp_path / "a.slp"), embed=False, verbose=False)
    labels = read_labels(tmp_path / "a.slp")
    assert labels.frames[["video", "frame"]].values.tolist() == [["cam", 3], ["cam", 7]]
    assert not labels.notes
    np.testing.assert_allclose(labels.points[0], [points + 3, points + 3 + [48, 0]])
    np.testing.assert_allclose(labels.points[1, 0], points + 7 + [48, 0])
    write_labels(labels, tmp_path / "out/b.slp", "slp")
    theirs = sleap_io.load_slp(str(tmp_path / "out/b.slp"))
    assert theirs.videos[0].shape[1:3] == (64, 96)
    assert [len(frame.instances) for frame in theirs.labeled_frames] == [2, 1]
    again = read_labels(tmp_path / "out/b.slp")
    np.testing.assert_allclose(again.points, labels.points)
    tracked = read_tracks(tmp_path / "a.slp")
    assert tracked.attrs["video"] == str(tmp_path / "cam.mp4")
    assert list(tracked.frame.values) == [3, 7]
    np.testing.assert_allclose(tracked.values[0].transpose(2, 1, 0), labels.points[0])


def test_pictures_of_a_crop_are_whole_frames_and_of_several_are_refused(tmp_path):
    held, points = in_crops(tmp_path)
    one = sleap_io.Labels(held.labeled_frames[1:])
    sleap_io.save_slp(one, str(tmp_path / "one.pkg.slp"), embed=True, verbose=False)
    labels = read_labels(tmp_path / "one.pkg.slp")
    expected = points + np.array([[[51, 3]], [[55, 7]]])
    np.testing.assert_allclose(labels.points[:, 0], expected)
    assert labels.image(0).shape[:2] == (64, 96)
    sleap_io.save_slp(held, str(tmp_path / "two.pkg.slp"), embed=True, verbose=False)
    with pytest.raises(DataError, match=r"two\.pkg\.slp: holds pictures of several crops of .*cam"):
        read_labels(tmp_path / "two.pkg.slp")


def test_sleap_opens_our_nwb(tmp_path):
    labels = made(tmp_path)
    write_labels(labels, tmp_path / "a.nwb", "nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        frames = file["processing/behavior/PoseTraining/training_frames"]
        assert len(frames) == 4
    from pynwb import NWBHDF5IO, validate

    with NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        assert not validate(io=io)
        training = io.read().processing["behavior"]["PoseTraining"]
        first = training.training_frames.training_frames["frame_000000"]
        one = first.skeleton_instances.skeleton_instances["individual_0"]
        np.testing.assert_allclose(one.node_locations[()], labels.points[0, 0], atol=1e-9)
    theirs = sleap_io.load_nwb(str(tmp_path / "a.nwb"))
    assert theirs.skeletons[0].node_names == list(NAMES)
    for row, frame in enumerate(theirs.labeled_frames):
        np.testing.assert_allclose(frame.instances[0].numpy(), labels.points[row, 0], atol=1e-9)
        assert (frame.video.filename, frame.frame_idx) == ("a.mp4", row)


def test_nwb_of_sleap_keeps_every_picture_of_every_video(tmp_path):
    skeleton = sleap_io.Skeleton([*NAMES])
    frames, points = [], points_of(frames=8)[:, 0]
    for video in range(2):
        folder = tmp_path / f"s{video}/cam"
        film = sleap_io.Video.from_filename([str(folder / name) for name in pictures(folder, 4)])
        for number in range(4):
            animal = sleap_io.Instance.from_numpy(points[4 * video + number], skeleton=skeleton)
            frames.append(sleap_io.LabeledFrame(film, number, [animal]))
    sleap_io.save_nwb(sleap_io.Labels(frames), str(tmp_path / "b.nwb"))
    read = read_labels(tmp_path / "b.nwb")
    assert list(read.frames["video"]) == ["s0_cam"] * 4 + ["s1_cam"] * 4
    assert list(read.frames["frame"]) == [0, 1, 2, 3] * 2
    assert [read.image(row).max() for row in range(8)] == [1, 2, 3, 4] * 2
    np.testing.assert_allclose(read.points[:, 0], points, atol=1e-9, rtol=0)
    (tmp_path / "s1/cam/img0002.png").unlink()
    assert len(read_labels(tmp_path / "b.nwb")) == 7


def test_nwb_with_films_that_do_not_say_where_they_begin(tmp_path):
    write_labels(made(tmp_path), tmp_path / "a.nwb", "nwb")
    (tmp_path / "b.mp4").write_bytes(b"0")
    with h5py.File(tmp_path / "a.nwb", "r+") as file:
        entry = file["processing/behavior/PoseTraining/source_videos/a"]
        del entry["external_file"]
        films = entry.create_dataset("external_file", data=["a.mp4", "b.mp4"])
        films.attrs["starting_frame"] = [0]
    with pytest.raises(DataError, match=r"2 films \(a.mp4, b.mp4\) and does not say"):
        read_labels(tmp_path / "a.nwb", usable=False)
    with h5py.File(tmp_path / "a.nwb", "r+") as file:
        films = file["processing/behavior/PoseTraining/source_videos/a/external_file"]
        films.attrs["starting_frame"] = [0, 2]
    read = read_labels(tmp_path / "a.nwb", usable=False)
    assert list(read.frames["image"]) == ["", "", "b.mp4::0", "b.mp4::1"]


def test_coco_says_who_is_hidden(tmp_path):
    pictures(tmp_path / "images", 2)
    held = {
        "images": [{"id": 7, "file_name": "img0000.png"}, {"id": 9, "file_name": "img0001.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "keypoints": [1.5, 2, 2, 9, 9, 0, 3, 4, 1]}
        ],
        "categories": [{"id": 3, "name": "rat", "keypoints": [*NAMES], "skeleton": [[1, 2]]}],
    }
    (tmp_path / "set.json").write_text(json.dumps(held))
    labels = read_labels(tmp_path / "set.json")
    np.testing.assert_array_equal(labels.points[0, 0], [[1.5, 2], [np.nan, np.nan], [3, 4]])
    assert labels.skeleton.edges == ((0, 1),)
    assert any("1 pictures have no annotation" in note for note in labels.notes)
    write_labels(labels, tmp_path / "new/set.json")
    again = json.loads((tmp_path / "new/set.json").read_text())
    assert again["annotations"][0]["keypoints"] == [1.5, 2, 2, 0, 0, 0, 3, 4, 1]
    assert again["categories"][0]["name"] == "rat"
    held["annotations"][0]["keypoints"] = [1, 2, 2]
    (tmp_path / "set.json").write_text(json.dumps(held))
    with pytest.raises(DataError, match="annotation 1: expected 9 numbers"):
        read_labels(tmp_path / "set.json")


def test_what_else_coco_says_is_kept(tmp_path):
    pictures(tmp_path / "images", 2)
    head = {"image_id": 7, "iscrowd": 0}
    held = {
        "info": {"year": 2024},
        "images": [{"id": n, "file_name": f"images/img000{i}.png", "height": 48, "width": 64}
                   for i, n in enumerate((7, 9))],
        "annotations": [
            head | {"id": 4, "category_id": 3, "keypoints": [1, 2, 2, 9, 9, 2, 3, 4, 1],
                    "num_keypoints": 3, "bbox": [0, 1, 20, 30], "area": 333.5, "iscrowd": 1},
            head | {"id": 5, "category_id": 8, "keypoints": [5, 6, 2], "num_keypoints": 1,
                    "bbox": [4, 5, 2, 2], "area": 4, "track": "b"},
            head | {"id": 6, "image_id": 9, "category_id": 8, "keypoints": [7, 7, 2],
                    "num_keypoints": 1},
        ],
        "categories": [
            {"id": 3, "name": "rat", "keypoints": [*NAMES], "skeleton": [[1, 2]]},
            {"id": 8, "name": "ball", "keypoints": ["middle"], "skeleton": []},
            {"id": 9, "name": "box"},
        ],
    }  # fmt: skip
    (tmp_path / "set.json").write_text(json.dumps(held))
    labels = read_labels(tmp_path / "set.json")
    write_labels(labels, tmp_path / "new/set.json")
    again = json.loads((tmp_path / "new/set.json").read_text())
    lone = again["annotations"].pop()
    # As wide as animals are: the rat is 8 px across and 7 high.
    assert lone["bbox"] == [3.25, 3.25, 7.5, 7.5]
    assert lone["id"] == 6
    assert again == held | {"annotations": held["annotations"][:2]}
    labels.points[0, 0, 1] = [40, 9]
    write_labels(labels, tmp_path / "moved/set.json")
    moved = json.loads((tmp_path / "moved/set.json").read_text())["annotations"]
    assert moved[0]["bbox"] == [0, 1, 40, 30]
    assert moved[1] == held["annotations"][1]


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [], None])
def test_an_empty_box_of_coco_is_none(tmp_path, box):
    pictures(tmp_path / "images", 1)
    about = {"image_id": 1, "category_id": 1, "num_keypoints": 2}
    held = {
        "images": [{"id": 1, "file_name": "images/img0000.png"}],
        "annotations": [
            about | {"id": 1, "keypoints": [10, 20, 2, 19, 29, 2], "bbox": box},
            about | {"id": 2, "keypoints": [30, 20, 2, 39, 26, 2], "bbox": [29, 18, 12, 10]},
        ],
        "categories": [{"id": 1, "name": "rat", "keypoints": [*NAMES[:2]]}],
    }
    (tmp_path / "set.json").write_text(json.dumps(held))
    labels = read_labels(tmp_path / "set.json")
    labels.points[0, 0, 1] = [20, 30]
    write_labels(labels, tmp_path / "new/set.json")
    one, other = json.loads((tmp_path / "new/set.json").read_text())["annotations"]
    assert (one["bbox"], one["area"]) == ([10, 20, 10, 10], 100)
    assert (other["bbox"], other["area"]) == ([29, 18, 12, 10], 120)


def test_coco_annotations_with_nothing_labelled_are_no_animals(tmp_path):
    pictures(tmp_path / "images", 2)
    about = {"image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [1, 1, 9, 9], "area": 81}
    held = {
        "images": [{"id": n, "file_name": f"images/img000{n}.png", "height": 48, "width": 64}
                   for n in (0, 1)],
        "annotations": [
            about | {"id": 3, "keypoints": [0] * 6, "num_keypoints": 0},
            about | {"id": 4, "keypoints": [2, 3, 2, 4, 5, 2], "num_keypoints": 2},
            about | {"id": 5, "image_id": 0, "keypoints": [0] * 6, "num_keypoints": 0},
        ],
        "categories": [{"id": 1, "name": "rat", "keypoints": [*NAMES[:2]], "skeleton": []}],
    }  # fmt: skip
    (tmp_path / "set.json").write_text(json.dumps(held))
    labels = read_labels(tmp_path / "set.json")
    assert labels.points.shape == (1, 1, 2, 2)
    assert any("2 annotations have no labelled point" in note for note in labels.notes)
    write_labels(read_labels(tmp_path / "set.json", usable=False), tmp_path / "new/set.json")
    again = json.loads((tmp_path / "new/set.json").read_text())
    again["annotations"].sort(key=lambda one: one["id"])
    assert again == held


def test_an_animal_placed_in_a_blank_box_of_coco_is_that_annotation(tmp_path):
    pictures(tmp_path / "images", 2)
    blank = {"category_id": 1, "keypoints": [0] * 6, "num_keypoints": 0, "bbox": [10, 10, 20, 20]}
    held = {
        "images": [{"id": n, "file_name": f"images/img000{n}.png"} for n in (0, 1)],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "keypoints": [2, 3, 2, 4, 5, 2]},
            blank | {"id": 2, "image_id": 1},
            blank | {"id": 7, "image_id": 1, "bbox": [40, 30, 9, 9]},
        ],
        "categories": [{"id": 1, "name": "rat", "keypoints": [*NAMES[:2]]}],
    }
    (tmp_path / "set.json").write_text(json.dumps(held))
    labels = read_labels(tmp_path / "set.json", usable=False)
    two = np.concatenate([labels.points, np.full_like(labels.points, np.nan)], 1)
    two[1, 0], two[1, 1] = [[12, 12], [20, 20]], [[2, 2], [4, 4]]
    write_labels(replace(labels, points=two, individuals=("a", "b")), tmp_path / "new/set.json")
    again = json.loads((tmp_path / "new/set.json").read_text())["annotations"]
    assert [(one["id"], one["num_keypoints"]) for one in again] == [(1, 2), (2, 2), (8, 2), (7, 0)]
    assert again[1]["bbox"] == [10, 10, 20, 20]


def deepposekit(root, ticked):
    pixels = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 48, 64, 1), np.uint8)
    with h5py.File(root / "set.h5", "w") as file:
        file["images"] = pixels
        file["annotations"] = np.nan_to_num(points_of()[:, 0])
        file["annotated"] = np.broadcast_to(np.asarray(ticked, bool)[:, None], (4, 3)).copy()
        file["skeleton"] = np.array([[-1, -1], [0, 2], [0, 1]], np.int32)
    return root / "set.h5"


def test_deepposekit_ticks_count_if_anybody_ticked(tmp_path):
    everything = read_labels(deepposekit(tmp_path, [0, 0, 0, 0]))
    assert len(everything) == 4
    assert any("no point is marked" in note for note in everything.notes)
    some = read_labels(deepposekit(tmp_path, [1, 0, 1, 1]))
    assert list(some.frames["frame"]) == [0, 2, 3]
    assert some.skeleton.swaps == ((1, 2),)
    assert some.skeleton.edges == ((0, 1), (0, 2))
    assert some.image(1).max() == 2


def test_deepposekit_points_that_nobody_checked_begin_where_they_did(tmp_path):
    old = deepposekit(tmp_path, [1, 0, 0, 1])
    labels = read_labels(old, usable=False)
    labels.points[0, 0, 0] = [7, 8]
    write_labels(labels.take([3, 0, 1]), tmp_path / "new.h5")
    with h5py.File(old) as was, h5py.File(tmp_path / "new.h5") as now:
        wanted = was["annotations"][()][[3, 0, 1]]
        wanted[1, 0] = [7, 8]
        np.testing.assert_array_equal(now["annotations"], wanted)
        np.testing.assert_array_equal(now["annotated"], was["annotated"][()][[3, 0, 1]])


def test_a_point_of_deepposekit_that_was_deleted_stays_away(tmp_path):
    labels = read_labels(deepposekit(tmp_path, [0, 0, 0, 0]), usable=False)
    labels.points[1, 0, 0] = np.nan
    write_labels(labels, tmp_path / "new.h5")
    again = read_labels(tmp_path / "new.h5", usable=False)
    np.testing.assert_array_equal(again.points, labels.points)


def test_frames_that_lightning_pose_tests_on_are_not_learnt_from(tmp_path):
    for name, start in (("CollectedData", 0), ("CollectedData_new", 4)):
        shown = pictures(tmp_path / "labeled-data" / name, 4, start=start)
        places = [f"labeled-data/{name}/{one}" for one in shown]
        dlc_frame(points_of(seed=start), places).to_csv(tmp_path / f"{name}.csv")
    labels = read_labels(tmp_path)
    assert set(labels.frames["table"]) == {"CollectedData.csv"}
    (note,) = labels.notes
    assert "CollectedData_new.csv: left out" in note
    assert "CollectedData.csv is learnt from" in note
    tested_on = read_labels(tmp_path / "CollectedData_new.csv")
    assert tested_on.frames["image"][0] == "labeled-data/CollectedData_new/img0004.png"
    assert not tested_on.notes
    (tmp_path / "CollectedData.csv").unlink()
    assert len(read_labels(tmp_path)) == 4


def test_tables_of_two_views_are_one_project(tmp_path):
    project = dlc_project(tmp_path / "dlc", ("top", "side"), cells=1, files=(".csv",))
    (tmp_path / "lp").mkdir()
    for view in ("top", "side"):
        table = project / f"labeled-data/{view}/CollectedData_me.csv"
        table.rename(tmp_path / f"lp/CollectedData_{view}.csv")
    (project / "labeled-data").rename(tmp_path / "lp/labeled-data")
    labels = read_labels(tmp_path / "lp")
    assert labels.source == "lightning-pose"
    assert sorted(set(labels.frames["video"])) == ["side", "top"]
    assert len(labels) == 8
    write_labels(labels, tmp_path / "new")
    for view in ("top", "side"):
        name = f"CollectedData_{view}.csv"
        assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "lp" / name).read_bytes()


def test_one_folder_of_a_project_opened_alone(tmp_path):
    project = dlc_project(tmp_path / "old", ("a", "b"), cells=1, files=(".csv",))
    for place in ("labeled-data/b", "labeled-data/b/CollectedData_me.csv"):
        labels = read_labels(project / place)
        assert labels.image(2).max() == 3
        assert set(labels.frames["video"]) == {"b"}
        write_labels(labels, tmp_path / "new")
    name = "labeled-data/b/CollectedData_me.csv"
    assert (tmp_path / "new/CollectedData_me.csv").read_bytes() == (project / name).read_bytes()
    assert len(list((tmp_path / "new/labeled-data/b").glob("*.png"))) == 4


def test_a_sleap_file_that_is_none(tmp_path):
    file = tmp_path / "a.slp"
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.slp: is no HDF5 file"):
        read_labels(file)
    with h5py.File(file, "w") as empty:
        empty["x"] = 1
    with pytest.raises(DataError, match="no sound SLEAP file"):
        read_labels(file)


def test_label3d_there_and_back(tmp_path):
    from scipy.io import loadmat, savemat

    generator = np.random.default_rng(0)
    cells = np.empty((2, 1), object)
    for camera in range(2):
        cells[camera, 0] = {
            "data_2d": generator.uniform(1, 500, (3, 8)),
            "data_3d": generator.normal(size=(3, 12)),
            "data_frame": np.array([[4, 9, 30]], np.uint16),
            "data_sampleID": np.array([[41, 91, 301]]),
        }
    names = np.array([["left"], ["right"]], object)
    savemat(tmp_path / "a.mat", {"labelData": cells, "camnames": names, "params": cells})
    labels = read_labels(tmp_path / "a.mat")
    assert labels.points.shape == (6, 1, 4, 2)
    assert list(labels.frames["frame"]) == [4, 9, 30] * 2
    flat = cells[1, 0]["data_2d"]
    np.testing.assert_allclose(labels.points[4, 0].ravel(), flat[1] - 1)  # MATLAB's first is 1
    write_labels(labels, tmp_path / "b.mat")
    theirs = loadmat(tmp_path / "b.mat")["labelData"][1, 0]
    np.testing.assert_allclose(theirs["data_2d"][0, 0], flat, atol=1e-9, rtol=0)
    np.testing.assert_array_equal(theirs["data_3d"][0, 0], cells[1, 0]["data_3d"])


def test_films_of_label3d_in_pieces(tmp_path):
    from scipy.io import savemat

    for place in ("videos/left/0.mp4", "videos/left/3500.mp4", "videos/right/0.avi"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    numbers = np.array([[4, 3500, 7000]], np.uint16)
    cell = {"data_2d": np.ones((3, 8)), "data_frame": numbers}
    names = np.array([["left"], ["right"]], object)
    savemat(
        tmp_path / "a.mat", {"labelData": np.array([[cell], [cell]], object), "camnames": names}
    )
    labels = read_labels(tmp_path / "a.mat", usable=False)
    assert list(labels.frames["image"])[:4] == [
        "videos/left/0.mp4::4", "videos/left/3500.mp4::0", "videos/left/3500.mp4::3500",
        "videos/right/0.avi::4",
    ]  # fmt: skip


def test_a_label3d_file_of_a_newer_matlab_says_how_to_save_it(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["labelData"] = np.zeros((2, 1))
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    for place in (tmp_path / "a.mat", tmp_path):
        with pytest.raises(
            DataError, match=r"a\.mat: is a \.mat of version 7\.3; save it with -v7"
        ):
            read_labels(place)


@pytest.mark.parametrize(
    ("place", "name", "shape"),
    [
        ("lp-mirror-mouse", "CollectedData.csv", (78, 1, 17, 2)),
        ("dpk-fly", "set.h5", (100, 1, 32, 2)),
        ("sleap/minimal_instance.pkg.slp", "a.pkg.slp", (1, 2, 2, 2)),
        ("sleap/small_robot_minimal.slp", "a.slp", (2, 1, 2, 2)),
        ("dannce/mm1_label3d_dannce.mat", "a.mat", (486, 1, 22, 2)),
    ],
)
def test_real_projects_come_back(test_data, tmp_path, place, name, shape):
    labels = read_labels(test_data / "pose" / place)
    assert labels.points.shape == shape
    folder = tmp_path if labels.source == "lightning-pose" else tmp_path / name
    first = write_labels(labels, folder, images=labels.source != "lightning-pose")[0]
    again = read_labels(first)
    np.testing.assert_allclose(again.points, labels.points, atol=1e-9, rtol=0)
    assert again.skeleton == labels.skeleton
    assert list(again.frames["frame"]) == list(labels.frames["frame"])
    if name == "CollectedData.csv":
        assert first.read_bytes() == (test_data / "pose" / place / name).read_bytes()
    if name == "set.h5":
        with (
            h5py.File(first) as ours,
            h5py.File(test_data / "pose/dpk-fly/example_annotation_set.h5") as theirs,
        ):
            for part in ("images", "annotations", "annotated", "skeleton"):
                np.testing.assert_array_equal(ours[part][()], theirs[part][()])
        assert (tmp_path / "skeleton.csv").read_bytes() == (
            test_data / "pose/dpk-fly/skeleton.csv"
        ).read_bytes()


def test_the_minimal_package_has_the_known_points(test_data):
    """The values are those that SLEAP's own documentation of this file gives."""
    labels = read_labels(test_data / "pose/sleap/minimal_instance.pkg.slp")
    np.testing.assert_allclose(labels.points[0, 0, 0], [92.65220773, 202.72597774], atol=1e-8)
    theirs = sleap_io.load_slp(str(test_data / "pose/sleap/minimal_instance.pkg.slp"))
    np.testing.assert_array_equal(labels.image(0), theirs[0].image)


@pytest.mark.parametrize("name", ["slp", "coco", "nwb", "deepposekit"])
def test_wrong_bytes_give_one_clear_error_or_none(tmp_path, name):
    """Cut off or overwritten at places drawn by chance: never another kind of error."""
    first = write_labels(made(tmp_path), tmp_path / "x" / PLACES[name], name)[0]
    whole, generator = first.read_bytes(), np.random.default_rng(0)
    (tmp_path / "y").mkdir()
    file, said = tmp_path / "y" / first.name, []
    for turn in range(24):
        content = bytearray(whole)
        if turn % 2:
            content = content[: generator.integers(0, len(content))]
        else:
            for place in generator.integers(0, len(content), 20):
                content[place] = generator.integers(0, 256)
        file.write_bytes(content)
        try:
            read_labels(file)
        except DataError as error:
            said.append(str(error))
    assert len(said) >= 10
    assert all(file.name in message for message in said)
