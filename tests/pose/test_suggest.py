"""Frames to label next: the doubtful ones, unlike each other, written as pictures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.io.labels import Labels, Skeleton, read_labels, write_labels
from neuroloom.io.tracks import read_tracks, write_tracks
from neuroloom.io.video import Video, pictures_beside, write_video
from neuroloom.pose.data import find_clips
from neuroloom.pose.doubt.choose import (
    choose_frames,
    coverage,
    features_of,
    rank_doubts,
    small_frames,
)
from neuroloom.pose.doubt.videos import beside, find_videos, read_doubts
from neuroloom.pose.link.pairs import to_detections
from neuroloom.pose.predict import videos_of
from neuroloom.pose.story.suggest import write_projects
from neuroloom.pose.suggest import Suggest
from tests.animals import write_clip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suggest")
    return Suggest(frames=5, apart=4).run(write_clip(folder / "data"), folder / "run")


def test_the_frame_astray_is_chosen_and_said_why(run):
    table = Shelf(run.folder / "artifacts").read("suggestions")
    assert len(table) == 5
    assert {19, 20, 21} & set(table["frame"])
    assert (np.diff(sorted(table["frame"])) >= 4).all()
    assert table["reason"].isin(["jump", "length", "unsure", "missing"]).any()


def test_the_pictures_are_the_frames(run):
    frames = Shelf(run.folder / "artifacts").read("suggestions")["frame"]
    with Video(run.study[1] / "arena.mp4") as video:
        for number in frames:
            file = run.folder / f"artifacts/frames/arena/img{number:02d}.png"
            picture = np.asarray(Image.open(file))
            assert np.array_equal(picture, video.read([int(number)])[0])


def test_a_project_to_correct_holds_what_the_net_found(run):
    labels = read_labels(run.folder / "artifacts" / "to-label", usable=False)
    chosen = Shelf(run.folder / "artifacts").read("suggestions")["frame"]
    tracks, _ = to_detections(read_tracks(run.study[1] / "arenaDLC_net.h5"))
    assert len(labels) == len(chosen)
    for row, number in enumerate(sorted(chosen)):
        np.testing.assert_allclose(labels.points[row], tracks[number], atol=1e-9)
    with Video(run.study[1] / "arena.mp4") as video:
        assert np.array_equal(labels.image(0), video.read([min(chosen)])[0])


def project_of(folder, source, names=("snout", "left", "right", "back", "tail")):
    """A project of one frame, as its program has it."""
    folder.mkdir()
    Image.new("L", (32, 32)).save(folder / "img7.png")
    frames = pd.DataFrame({"video": ["v"], "frame": [7], "image": ["img7.png"]})
    points = np.arange(10.0).reshape(1, 1, 5, 2)
    labels = Labels(Skeleton(names, ((0, 4),)), frames, points, ("individual_0",), folder, "made")
    if source == "dlc":
        frames["table"] = "labeled-data/v/CollectedData_ann"
        labels = replace(labels, source="dlc", extra={"scorer": "ann"})
    return write_labels(labels, folder / source / {"slp": "a.slp"}.get(source, ""), source)[0]


@pytest.mark.parametrize("tracks", [True, False])
@pytest.mark.parametrize("source", ["dlc", "slp", "coco", "nwb"])
def test_what_is_to_be_labelled_is_of_the_programs_own_format(tmp_path, source, tracks):
    data, project = write_clip(tmp_path / "data"), project_of(tmp_path / "p", source)
    project = project.parent if source == "dlc" else project
    recipe = Suggest(frames=3, labels=str(project))
    if not tracks:
        (data / "arenaDLC_net.h5").unlink()
    (one,) = recipe.prepare(data).videos
    chosen = pd.DataFrame({"name": "arena", "frame": [5, 9, 20]})
    written = write_projects(recipe, [one], chosen, tmp_path / "out")
    if not tracks and source in ("dlc", "nwb"):
        assert not written
        return
    made = tmp_path / "out/to-label"
    if source == "slp":
        held = pytest.importorskip("sleap_io").load_slp(str(made / "to-label.slp"))
        assert [one.frame_idx for one in held.suggestions] == [5, 9, 20]
        assert Path(held.videos[0].filename) == data / "arena.mp4"
        assert not any(frame.user_instances for frame in held.labeled_frames)
        found = [frame.predicted_instances[0].numpy() for frame in held.labeled_frames]
        assert held.skeletons[0].edge_inds == [(0, 4)]
    elif source == "coco":
        held = read_json(made / "coco.json")
        assert [one["id"] for one in held["images"]] == [2, 3, 4]
        assert all((made / one["file_name"]).is_file() for one in held["images"])
        assert held["categories"] == read_json(project)["categories"]
        found = [np.reshape(one["keypoints"], (5, 3))[:, :2] for one in held["annotations"]]
    else:
        place = made if source == "dlc" else written[0]
        found = list(read_labels(place, usable=False).points[:, 0])
    if source == "dlc":
        assert (made / "labeled-data/arena/CollectedData_ann.h5").is_file()
    assert len(found) == (3 if tracks else 0)
    for points, number in zip(found, (5, 9, 20), strict=False):
        np.testing.assert_allclose(points, one.points[number, 0], atol=1e-6)


def test_tracks_belong_to_the_video_that_they_are_called_after(tmp_path):
    for name in ("mouse1.mp4", "mouse1_left.mp4", "mouse1DLC_net.h5", "mouse10.h5",
                 "mouse1_leftDLC_net.h5", "mouse1.csv"):  # fmt: skip
        (tmp_path / name).touch()
    assert [file.name for file in beside(tmp_path / "mouse1.mp4")] == [
        "mouse1.csv",
        "mouse1DLC_net.h5",
    ]
    assert [file.name for file in beside(tmp_path / "mouse1_left.mp4")] == ["mouse1_leftDLC_net.h5"]


def test_tracks_and_labels_are_among_the_files_of_a_run(tmp_path):
    data, project = write_clip(tmp_path / "data"), project_of(tmp_path / "p", "dlc").parent
    files = Suggest(frames=3, labels=str(project)).prepare(data).files
    assert {"arena.mp4", "arena: arenaDLC_net.h5"} < set(files)
    assert "labels: labeled-data/v/CollectedData_ann.csv" in files


def test_videos_of_one_name_have_suggestions_of_their_own(tmp_path):
    for place in ("s1", "s2"):
        write_clip(tmp_path / "data" / place)
    run = Suggest(frames=3, apart=4).run(tmp_path / "data", tmp_path / "run")
    table = Shelf(run.folder / "artifacts").read("suggestions")
    assert table["name"].value_counts().to_dict() == {"s1_arena": 3, "s2_arena": 3}
    assert len(list((run.folder / "artifacts/frames").glob("s*_arena/*.png"))) == 6


def test_without_tracks_frames_stand_for_all(tmp_path):
    data = write_clip(tmp_path / "data")
    (data / "arenaDLC_net.h5").unlink()
    run = Suggest(frames=6, apart=2).run(data / "arena.mp4", tmp_path / "run")
    cover = read_json(run.folder / "metrics.json")["coverage"]
    assert cover["value"] > 0.2
    assert set(Shelf(run.folder / "artifacts").read("suggestions")["reason"]) == {"diversity"}


def test_long_videos_are_thinned_and_spans_are_kept(tmp_path):
    data = write_clip(tmp_path / "data")
    run = Suggest(frames=3, most=10, start=10, stop=50).run(data, tmp_path / "run")
    frames = run.predictions["frame"]
    assert len(frames) == 10
    assert frames.min() >= 10
    assert frames.max() < 50
    assert "Every 4th of 60 frames" in (run.folder / "report.html").read_text()


def test_bad_settings_are_named(tmp_path):
    data = write_clip(tmp_path / "data")
    with pytest.raises((DataError, ConfigError), match="weights: there is no 'speed'"):
        Suggest(weights={"speed": 2.0}).run(data, tmp_path / "a")
    with pytest.raises(DataError, match="there is no file 'nets.h5'"):
        Suggest(tracks=["nets.h5"]).run(data, tmp_path / "a")
    with pytest.raises(DataError, match="none from 90"):
        Suggest(start=90).run(data, tmp_path / "a")
    with pytest.raises(DataError, match="there is no video"):
        find_videos(data / "arenaDLC_net.h5")


def test_chosen_frames_cover_every_group():
    rng = np.random.default_rng(0)
    groups = np.repeat(rng.normal(0, 20, (6, 4)), [100, 5, 5, 5, 5, 5], axis=0)
    features = groups + rng.normal(0, 0.5, groups.shape)
    chosen = choose_frames(features, np.zeros(125), 6, np.random.default_rng(1))
    even = np.linspace(0, 124, 6).round().astype(int)
    assert coverage(features, chosen) > coverage(features, even)
    assert len(np.unique(groups[chosen], axis=0)) == 6


def test_frames_like_those_labelled_are_chosen_less():
    features = np.repeat([[0.0, 0.0], [10.0, 0.0]], 20, 0)
    features += np.random.default_rng(0).normal(0, 0.5, features.shape)
    options = {"known": features[:5]}
    chosen = choose_frames(features, np.zeros(40), 6, np.random.default_rng(0), **options)
    assert (chosen >= 20).sum() >= 4


def test_only_the_upper_end_of_a_reason_counts():
    doubt, _ = rank_doubts({"jump": np.arange(101.0)}, {"jump": 2.0})
    assert doubt[-1] == 1.0
    assert doubt[50] < 0.1


def test_small_frames_are_those_asked_for(tmp_path):
    with Video(write_clip(tmp_path / "d") / "arena.mp4") as video:
        few = small_frames(video, np.array([3, 30, 59]))
        every = small_frames(video, np.arange(60))
    assert np.allclose(few, every[[3, 30, 59]])
    assert features_of(every, 5).shape == (60, 5)


def test_nets_are_told_apart_from_other_files_and_matched_by_name(tmp_path):
    data = write_clip(tmp_path / "data")
    net = read_tracks(data / "arenaDLC_net.h5")
    write_tracks(net, data / "arenaDLC_net.csv")
    write_tracks(net + 2.0, data / "arenaDLC_net_filtered.h5")
    write_tracks(net.isel(keypoints=[4, 3, 2, 1, 0]), data / "arenaDLC_other.h5")
    (data / "arena_timestamps.csv").write_text("frame,time\n0,0.0\n")
    span = (0, None, 3000)
    doubted, told = read_doubts((data / "arena.mp4", "arena"), [], data, span)
    assert np.nanmax(doubted.doubts["spread"]) == 0
    notes = [note.detail for note in told]
    assert notes == [
        "No tracks, or the same ones again: arenaDLC_net.csv, arenaDLC_net_filtered.h5, "
        "arena_timestamps.csv.",
        "Tracks: arenaDLC_net.h5, arenaDLC_other.h5.",
    ]
    write_tracks(net.isel(keypoints=[0, 1]), data / "arenaDLC_other.h5")
    with pytest.raises(DataError, match="arenaDLC_other.h5: has no keypoint 'right'"):
        read_doubts((data / "arena.mp4", "arena"), [], data, span)


def test_the_animals_of_two_nets_are_matched_by_where_they_are(tmp_path):
    data = write_clip(tmp_path / "data")
    net = read_tracks(data / "arenaDLC_net.h5")
    both = xr.concat([net, net + 400.0], "individuals", combine_attrs="override")
    both = both.transpose(*net.dims).assign_coords(individuals=["ind1", "ind2"])
    span = (0, None, 3000)
    write_tracks(both, data / "arenaDLC_net.h5")
    sound, _ = read_doubts((data / "arena.mp4", "arena"), [], data, span)
    mixed = both.copy()
    mixed[1::2] = both[1::2].values[..., ::-1]  # slots are exchanged in every second frame
    for names in (["ind1", "ind2"], ["track_0", "track_1"]):
        write_tracks(mixed.assign_coords(individuals=names), data / "arena_other.h5")
        doubted, _ = read_doubts((data / "arena.mp4", "arena"), [], data, span)
        assert np.nanmax(doubted.doubts["spread"]) == 0
    (data / "arena_other.h5").rename(data / "arenaDLC_net.h5")
    doubted, _ = read_doubts((data / "arena.mp4", "arena"), [], data, span)
    np.testing.assert_allclose(doubted.doubts["jump"], sound.doubts["jump"], atol=1e-9)


def test_hidden_files_and_results_are_no_videos(tmp_path):
    for name in ("a.mp4", "._a.mp4", "b_labelled.mp4", "a_labelled.mp4", "a.h5", ".trash/c.mp4",
                 "out/predictions.parquet", "out/status.json", "out/d.mp4"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in videos_of(tmp_path)] == ["a.mp4", "b_labelled.mp4"]
    assert [path.name for path in find_videos(tmp_path)] == ["a.mp4", "b_labelled.mp4"]
    assert videos_of(tmp_path / "out/d.mp4") == [tmp_path / "out/d.mp4"]


@pytest.mark.parametrize(
    ("drawn", "beside"),
    [
        ("aDLC_resnet50_xOct1shuffle1_50_labeled.mp4", "aDLC_resnet50_xOct1shuffle1_50.h5"),
        ("aDLC_resnet50_xOct1shuffle1_50_p60_labeled.mp4", "aDLC_resnet50_xOct1shuffle1_50.csv"),
        ("aDLC_net_50filtered_labeled.mp4", "aDLC_net_50_filtered.h5"),
        ("aDLC_net_50_el_filtered_id_p60_labeled.mp4", "aDLC_net_50_el_filtered.h5"),
        ("aDLC_net_50_el_bp_labeled.mp4", "aDLC_net_50_el.h5"),
        ("a_labeled.mp4", "a.csv"),
        ("c_p3_labelled.mp4", "c_p3.h5"),
        ("aDLC_net_50_labeled.mp4", "notes.txt"),  # its tracks are elsewhere, its video is here
    ],
)
def test_films_that_were_drawn_are_no_videos(tmp_path, drawn, beside):
    for name in ("a.mp4", drawn, beside, "mouse_labeled.mp4", "b_DLC_tests_labeled.mp4"):
        (tmp_path / name).touch()
    kept = ["a.mp4", "b_DLC_tests_labeled.mp4", "mouse_labeled.mp4"]
    assert [path.name for path in videos_of(tmp_path)] == kept
    assert [path.name for path in find_videos(tmp_path)] == kept


def test_a_video_that_cannot_be_read_is_left_out_by_name(tmp_path):
    data = write_clip(tmp_path / "data")
    (data / "torn.mp4").write_bytes(b"no video")
    found = Suggest().prepare(data)
    assert [one.name for one in found.videos] == ["arena"]
    assert any("torn.mp4" in one.detail for one in found.findings if one.severity == "objection")
    (data / "arena.mp4").unlink()
    with pytest.raises(DataError, match=r"torn\.mp4"):
        Suggest().prepare(data)


def test_frames_that_cannot_be_decoded_are_not_chosen_and_told(tmp_path, monkeypatch):
    data, whole = write_clip(tmp_path / "data"), Video._frame
    torn = range(10, 30)  # frame 20 is the one most in doubt

    def broken(self, reader, number, before=None):
        if number not in torn:
            return whole(self, reader, number, before)
        self.damaged[number] = True
        return np.zeros(self.shape, np.uint8) if before is None else before

    monkeypatch.setattr(Video, "_frame", broken)
    run = Suggest(frames=8, apart=2).run(data, tmp_path / "run")
    assert set(run.predictions["frame"]) == set(range(60)) - set(torn)
    chosen = Shelf(run.folder / "artifacts").read("suggestions")["frame"]
    assert len(chosen) == 8
    assert not set(chosen) & set(torn)
    detail = "arena.mp4: 20 of 60 frames looked at cannot be decoded, the first is 10"
    assert any(detail in found["detail"] for found in read_json(run.folder / "audit.json"))
    assert detail in (run.folder / "report.html").read_text()
    with pytest.raises(DataError, match="none of the 5 frames looked at can be decoded"):
        Suggest(start=12, stop=17).run(data, tmp_path / "no")


def test_a_video_of_which_no_frame_can_be_decoded_is_left_out_by_name(tmp_path, monkeypatch):
    data, whole = write_clip(tmp_path / "data"), Video._frame
    for name in ("a_torn", "z_torn"):
        shutil.copy(data / "arena.mp4", data / f"{name}.mp4")

    def broken(self, reader, number, before=None):
        if "torn" not in self.path.name:
            return whole(self, reader, number, before)
        self.damaged[number] = True
        return np.zeros(self.shape, np.uint8)

    monkeypatch.setattr(Video, "_frame", broken)
    run = Suggest(frames=3, apart=2).run(data, tmp_path / "run")
    assert set(run.predictions["name"]) == {"arena"}
    told = {one["title"]: one for one in read_json(run.folder / "audit.json")}
    for name in ("a_torn", "z_torn"):
        assert told[name]["severity"] == "objection"
        assert "none of the 60 frames looked at can be decoded" in told[name]["detail"]
    assert "a_torn.mp4: none of the 60 frames" in (run.folder / "report.html").read_text()
    with pytest.raises(DataError, match="z_torn.mp4: none of the 60 frames"):
        Suggest(frames=3, include=["*torn*"]).run(data, tmp_path / "no")


def test_what_is_odd_about_a_video_is_told(tmp_path):
    times = np.r_[np.arange(30) / 30, 1 + np.arange(30) / 10]
    frames = np.zeros((60, 32, 32, 1), np.uint8)
    write_video(tmp_path / "uneven.mp4", frames, 30.0, times)
    told = Suggest().prepare(tmp_path / "uneven.mp4").findings
    assert any("the frame rate changes" in found.detail for found in told)
    videos, noticed = find_clips(tmp_path, ["*.mp4", "uneven.mp4"])
    assert videos == [tmp_path / "uneven.mp4"]
    assert ["the frame rate changes" in found.detail for found in noticed] == [True]


def test_pictures_beside_videos_are_told(tmp_path):
    data = write_clip(tmp_path / "data")
    for number in range(3):
        Image.new("L", (32, 32)).save(data / f"{number}.png")
    told = Suggest().prepare(data).findings
    assert any("data: 3 pictures beside videos were passed over" in one.detail for one in told)
    assert not pictures_beside(data / "arena.mp4", videos_of(data / "arena.mp4"))
    assert not pictures_beside(tmp_path, [])
