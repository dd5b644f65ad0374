"""The recipe that gives animals their names, from files to files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import tracks
from neuroloom.core.run import Run
from neuroloom.io.labels.table import read_table, write_table
from neuroloom.io.tracks import format_of, read_tracks, write_tracks
from neuroloom.io.video import Video, write_video
from neuroloom.pose.link.looks import body_colour
from neuroloom.pose.link.measures import score_identities
from neuroloom.pose.link.names import animals_of
from neuroloom.pose.link.pairs import TrackPair, find_track_pairs, to_detections
from neuroloom.pose.link.spans import at_frames
from neuroloom.pose.track import Track, within
from tests.animals import as_recording, write_clip, write_crossings
from tests.pose.crossings import simulate


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("track")
    return Track().run(write_crossings(folder / "data"), folder / "run")


def test_names_are_kept_and_beat_the_baseline(run):
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["idf1"]["value"] >= 0.98
    assert metrics["idf1"]["value"] >= metrics["idf1"]["baseline"]
    assert metrics["switches_per_1000"]["value"] <= metrics["switches_per_1000"]["baseline"]


def test_the_written_tracks_score_what_the_metrics_say(run):
    truths = found = right = 0
    for number in range(2):
        written = read_tracks(run.folder / "artifacts" / f"clip{number}.tracked.h5")
        truth = to_detections(read_tracks(run.study[1] / "truth" / f"clip{number}.h5"))[0]
        scores = score_identities(truth, to_detections(written)[0])
        truths, found, right = truths + scores.truths, found + scores.found, right + scores.idtp
    stated = read_json(run.folder / "metrics.json")["idf1"]["value"]
    assert stated == pytest.approx(2 * right / (truths + found))


def test_the_tables_name_files_and_animals(run):
    shelf = Shelf(run.folder / "artifacts")
    animals = shelf.read("animals")
    assert list(animals["name"]) == ["clip0"] * 2 + ["clip1"] * 2
    assert (animals["found"] > 100).all()
    assert list(shelf.read("suspects")) == [
        "name", "frame", "seconds", "one", "other", "p_swap", "kind",
    ]  # fmt: skip


def test_without_a_truth_nothing_is_scored(tmp_path):
    data = write_crossings(tmp_path / "data", files=1)
    run = Track(animals=2, format="movement").run(data / "clip0.h5", tmp_path / "run")
    told = read_json(run.folder / "metrics.json")
    assert told  # truth/ lies beside the file
    alone = tmp_path / "alone"
    alone.mkdir()
    (data / "clip0.h5").rename(alone / "clip0.h5")
    run = Track(format="movement").run(alone, tmp_path / "other")
    assert read_json(run.folder / "metrics.json") == {}
    assert "nothing is scored" in (run.folder / "report.html").read_text()
    assert read_tracks(run.folder / "artifacts/clip0.tracked.nc").sizes["individuals"] == 2


def test_unsure_keypoints_count_as_missing(tmp_path):
    case = simulate(2, 60, 0)
    recording = as_recording(case.found, list("abc"))
    recording.coords["confidence"].values[:, 4] = 0.2
    write_tracks(recording, tmp_path / "clip.h5", "dlc")
    run = Track(least=0.5, fill=0).run(tmp_path / "clip.h5", tmp_path / "run")
    written = read_tracks(run.folder / "artifacts/clip.tracked.h5")
    assert np.isnan(written.sel(keypoints="tail")).all()
    assert np.isfinite(written.sel(keypoints="snout")).mean() > 0.8


def test_files_and_truths_are_paired_by_name(tmp_path):
    data = write_crossings(tmp_path / "data")
    pairs = find_track_pairs(data)
    assert [(p.name, p.truth.name) for p in pairs] == [
        ("clip0", "clip0.h5"), ("clip1", "clip1.h5"),
    ]  # fmt: skip
    assert [p.name for p in find_track_pairs(data, include=["*1*"])] == ["clip1"]
    with pytest.raises(DataError, match="there is no 'gold'"):
        find_track_pairs(data, "gold")
    with pytest.raises(DataError, match="no file of tracks"):
        find_track_pairs(data, include=["x*"])


def test_colour_is_read_from_the_video(tmp_path):
    from neuroloom.io.video import Video

    data = write_clip(tmp_path / "clip")
    points = to_detections(read_tracks(data / "arenaDLC_net.h5"))[0]
    points = np.concatenate([points, points * 0 + [[5.0, 5.0]]], 1)
    with Video(data / "arena.mp4") as video:
        colour = body_colour(video, points)
    assert np.nanmedian(colour[:, 0]) < 90
    assert np.nanmedian(colour[:, 1]) > 150


def test_a_row_a_frame_and_model(run):
    table = pd.read_parquet(run.folder / "predictions.parquet")
    assert len(table) == 2 * 2 * 120
    assert table.groupby("role")["truths"].sum().nunique() == 1


def test_a_video_alone_is_tracked_before_its_background(tmp_path):
    data = write_clip(tmp_path / "clip")
    with pytest.raises(ConfigError, match="animals: say how many"):
        Track().run(data / "arena.mp4", tmp_path / "no")
    run = Track(animals=1).run(data / "arena.mp4", tmp_path / "run")
    written = to_detections(read_tracks(run.folder / "artifacts/arena.tracked.h5"))[0]
    truth = to_detections(read_tracks(data / "arenaDLC_net.h5"))[0]
    # The clip's keypoint "back" is the middle of its body.
    off = np.linalg.norm(written[:, 0, 1] - truth[:, 0, 3], axis=-1)
    assert np.nanmedian(off) < 1.5


def test_a_film_of_high_speed_has_the_rate_that_is_stated(tmp_path):
    film = write_clip(tmp_path / "clip", frames=30) / "arena.mp4"
    (found,) = Track(animals=1, rate=500).prepare(film).recordings
    assert found.attrs["rate"] == 500
    np.testing.assert_allclose(found.time, np.arange(30) / 500)
    (plain,) = Track(animals=1).prepare(film).recordings
    np.testing.assert_allclose(plain.time, np.arange(30) / 30)


def test_frames_that_a_file_leaves_out_are_no_neighbours(tmp_path):
    case = simulate(2, 120, seed=3)
    whole = as_recording(case.found, [f"slot_{i}" for i in range(case.found.shape[1])])
    gap = [*range(20, 60), *range(100, 120)]
    (tmp_path / "data").mkdir()
    write_tracks(whole.isel(time=gap), tmp_path / "data/clip.h5", "dlc")
    run = Track(animals=2, fill=10).run(tmp_path / "data", tmp_path / "run")
    written = read_tracks(run.folder / "artifacts/clip.tracked.h5")
    assert written.frame.values.tolist() == list(range(20, 120))
    inside = written.sel(time=written.frame.isin(range(60, 100)))
    assert np.isnan(inside.values).all()
    assert "40 frames are not in the file" in (run.folder / "audit.json").read_text()
    swaps = Shelf(run.folder / "artifacts").read("suspects")
    assert swaps["frame"].between(20, 119).all()


def test_files_of_one_name_keep_their_own_tracks(tmp_path):
    for number, place in enumerate(("s1", "s2")):
        write_crossings(tmp_path / place, files=1, frames=40 + 20 * number)
        (tmp_path / "data" / place).mkdir(parents=True)
        (tmp_path / place / "clip0.h5").rename(tmp_path / "data" / place / "clip0.h5")
        (tmp_path / "data/truth" / place).mkdir(parents=True)
        target = tmp_path / "data/truth" / place / "clip0.h5"
        (tmp_path / place / "truth/clip0.h5").rename(target)
    pairs = find_track_pairs(tmp_path / "data")
    assert [pair.name for pair in pairs] == ["s1_clip0", "s2_clip0"]
    assert [pair.truth.parent.name for pair in pairs] == ["s1", "s2"]
    run = Track(animals=2).run(tmp_path / "data", tmp_path / "run")
    lengths = [
        read_tracks(run.folder / f"artifacts/{pair.name}.tracked.h5").sizes["time"]
        for pair in pairs
    ]
    assert lengths == [40, 60]


def test_the_rate_is_stated_or_time_counts_frames(tmp_path):
    data = write_crossings(tmp_path / "data", files=1) / "clip0.h5"
    plain = Track(animals=2, format="movement").run(data, tmp_path / "plain")
    timed = Track(animals=2, format="movement", rate=50).run(data, tmp_path / "timed")
    import xarray as xr

    units, last = [], []
    for run in (plain, timed):
        with xr.open_dataset(run.folder / "artifacts/clip0.tracked.nc", decode_times=False) as held:
            units.append((held.attrs["time_unit"], held.attrs.get("fps")))
            last.append(float(held.time[-1]))
    assert units == [("frames", None), ("seconds", 50.0)]
    assert last == [119.0, 119 / 50]


def test_smooth_tracks_are_nearer_the_truth(tmp_path):
    data = write_crossings(tmp_path / "data", files=1)
    truth = to_detections(read_tracks(data / "truth/clip0.h5"))[0]
    off = []
    for smooth in (False, True):
        run = Track(animals=2, smooth=smooth).run(data, tmp_path / f"run{smooth}")
        found = to_detections(read_tracks(run.folder / "artifacts/clip0.tracked.h5"))[0]
        order = min(
            ([0, 1], [1, 0]), key=lambda o: np.nanmean(np.abs(found[:, o] - truth))
        )  # fmt: skip
        off.append(np.nanmean(np.linalg.norm(found[:, order] - truth, axis=-1)))
    assert off[1] < 0.8 * off[0]


def test_a_truth_of_a_part_judges_that_part(tmp_path):
    data = write_crossings(tmp_path / "data", files=1)
    whole = Track(animals=2).run(data, tmp_path / "whole")
    truth = read_tracks(data / "truth/clip0.h5")
    write_tracks(truth.isel(time=slice(30, 70)), data / "truth/clip0.h5", "dlc")
    run = Track(animals=2).run(data, tmp_path / "part")
    rows = pd.read_parquet(run.folder / "predictions.parquet")
    assert rows["frame"].min() == 30
    assert rows["frame"].max() == 69
    assert read_json(run.folder / "metrics.json")["idf1"]["value"] >= 0.98
    assert "of the frames 30 to 69" in (run.folder / "audit.json").read_text()
    every = [read_tracks(one.folder / "artifacts/clip0.tracked.h5") for one in (whole, run)]
    assert every[0].sizes == every[1].sizes


def two_mice(frames=200):
    """Two mice (time, individual, keypoint, 2) that never meet, the first unseen at first."""
    body = np.array([[0.0, 0.0], [20.0, 0.0], [np.nan, np.nan]])
    path = np.arange(frames)[:, None, None, None] * np.array([1.0, 0.0]) + body
    points = np.concatenate([path, path + np.array([0.0, 90.0])], 1)
    points[:20, 0] = np.nan
    return points


def test_animals_keep_the_names_that_came_in_and_unique_points_stay(tmp_path):
    points = two_mice()
    alone = np.full((len(points), 1, 3, 2), np.nan)
    alone[:, :, 2] = 300.0
    came = tracks(
        np.concatenate([points, alone], 1).transpose(0, 3, 2, 1),
        ["snout", "tail", "corner"],
        ["mouseA", "mouseB", "single"],
    )
    write_tracks(came, tmp_path / "clip.h5")
    run = Track(fill=0).run(tmp_path / "clip.h5", tmp_path / "run")
    written = read_tracks(run.folder / "artifacts/clip.tracked.h5")
    assert written.individuals.values.tolist() == ["mouseA", "mouseB", "single"]
    assert written.keypoints.values.tolist() == ["snout", "tail", "corner"]
    np.testing.assert_array_equal(written.values, came.values)


def test_hundreds_of_tracklets_are_linked_as_the_few_animals_that_they_are(tmp_path, monkeypatch):
    from neuroloom.pose.link import track

    points, slots = two_mice(60), []
    spread = np.full((60, 300, 3, 2), np.nan)
    for start in range(0, 60, 10):  # a new name for each mouse every ten frames
        spread[start : start + 10, [4 * start + 5, 4 * start]] = points[start : start + 10]
    motion = track.estimate_motion
    monkeypatch.setattr(
        track, "estimate_motion", lambda points: slots.append(points.shape[1]) or motion(points)
    )
    came = as_recording(spread[:, :, [0, 1, 0, 1, 0]], [f"track_{k}" for k in range(300)])
    done = Track(fill=0).track(TrackPair("clip", tmp_path / "clip.slp"), came)
    assert slots == [2]
    own = [name[-1] for name in done.names]  # those of the first mouse end in 5
    order = [own.index("5"), own.index("0")]
    np.testing.assert_array_equal(done.points[:, order], points[:, :, [0, 1, 0, 1, 0]])


@pytest.mark.parametrize(
    ("kind", "came", "left"),
    [
        ("analysis", "tracks.h5", "tracks.tracked.analysis.h5"),
        ("dlc", "tracks.csv", "tracks.tracked.csv"),
    ],
)
def test_tracks_leave_in_the_format_that_they_came_in(kind, came, left, tmp_path):
    recording = as_recording(two_mice(40)[:, :, [0, 1, 0, 1, 0]], ["a", "b"])
    write_tracks(recording, tmp_path / came, kind)
    run = Track(fill=0).run(tmp_path / came, tmp_path / "run")
    assert format_of(run.folder / "artifacts" / left) == kind


def test_an_animal_may_be_called_single():
    came = as_recording(two_mice()[:, :, [0, 1, 0, 1, 0]], ["mouse", "single"])
    assert animals_of(came) is came


def test_a_truth_is_matched_by_the_names_of_keypoints(tmp_path):
    case = simulate(2, 60, 0, noise=0.0, misses=0.0, lost_keypoints=0.0)
    write_tracks(as_recording(case.truth, ["a", "b"]), tmp_path / "data/clip.h5")
    other = as_recording(case.truth, ["a", "b"]).isel(keypoints=[4, 3, 2, 1, 0])
    write_tracks(other, tmp_path / "data/truth/clip.h5")
    run = Track(animals=2).run(tmp_path / "data", tmp_path / "run")
    assert read_json(run.folder / "metrics.json")["idf1"]["value"] == 1.0
    write_tracks(other.isel(keypoints=slice(4)), tmp_path / "data/truth/clip.h5")
    with pytest.raises(DataError, match="has no keypoint 'snout'"):
        Track(animals=2).run(tmp_path / "data", tmp_path / "no")


def test_gaps_of_a_body_that_was_seen_the_wrong_way_round_are_filled_along_it():
    body = np.array([[20.0, 0.0], [0.0, 0.0], [-20.0, 0.0]])
    path = np.arange(40.0)[:, None, None, None] * [2.0, 0.0] + body
    path[10:] = path[10:, :, ::-1]
    path[8:12] = np.nan
    for smooth in (False, True):
        drawn = Track().paths(path, np.array(["front", "middle", "back"]), smooth)
        np.testing.assert_allclose(drawn[:, 0, 0, 0] - drawn[:, 0, 2, 0], 40.0, atol=0.1)


def test_what_is_filled_in_has_no_confidence(tmp_path):
    recording = as_recording(two_mice(60)[:, 1:, [0, 1, 0, 1, 0]] + np.eye(5, 2) * 9, ["a"])
    recording.coords["confidence"].values[30, 2] = 0.2
    write_tracks(recording, tmp_path / "clip.h5")
    run = Track(least=0.5).run(tmp_path / "clip.h5", tmp_path / "run")
    written = read_tracks(run.folder / "artifacts/clip.tracked.h5")
    assert np.isfinite(written.values[30, :, 2]).all()
    assert written.confidence.values[29:32, 2, 0].tolist() == [0.9, 0.0, 0.9]


def test_each_video_of_a_sleap_file_is_tracked(tmp_path):
    sleap_io = pytest.importorskip("sleap_io")
    skeleton, name = sleap_io.Skeleton(["a", "b"]), sleap_io.Track("t")
    videos = [sleap_io.Video(filename=f"s{k}/cam.mp4", open_backend=False) for k in range(2)]
    frames = [
        sleap_io.LabeledFrame(video, number, [
            sleap_io.PredictedInstance.from_numpy(
                np.array([[number, 5.0], [9.0, 9.0 + number]]) + 50 * place, skeleton=skeleton,
                point_scores=np.ones(2), score=1.0, track=name)
        ])
        for place, video in enumerate(videos) for number in range(4 + place)
    ]  # fmt: skip
    held = sleap_io.Labels(frames, videos=videos, skeletons=[skeleton], tracks=[name])
    sleap_io.save_slp(held, str(tmp_path / "two.slp"), embed=False, verbose=False)
    with pytest.raises(DataError, match=r"it has 2 \(s0/cam, s1/cam\)"):
        read_tracks(tmp_path / "two.slp")
    found = Track().prepare(tmp_path / "two.slp")
    assert [pair.name for pair in found.pairs] == ["two_s0_cam", "two_s1_cam"]
    assert [one.sizes["time"] for one in found.recordings] == [4, 5]
    assert float(found.recordings[1].sel(space="x", keypoints="a")[2, 0]) == 52
    assert [one.attrs["video"] for one in found.recordings] == ["s0/cam.mp4", "s1/cam.mp4"]


def test_the_video_is_drawn_with_a_colour_for_each_animal(tmp_path):
    points = np.full((4, 2, 5, 2), 10.0)
    points[:, 1] = 40
    points[2:] = points[2:, ::-1]
    write_tracks(as_recording(points, ["a", "b"]), tmp_path / "clipDLC.h5")
    recipe = Track(overlay=True, animals=2)
    with pytest.raises(DataError, match="the video of 'clipDLC' is not beside"):
        recipe.prepare(tmp_path)
    write_video(tmp_path / "clip.mp4", np.zeros((4, 48, 64, 1), np.uint8), 30.0)
    found = recipe.prepare(tmp_path)
    done = recipe.track(found.pairs[0], found.recordings[0])
    with Video(recipe.draw(done, tmp_path / "out")) as video:
        frames = video.read(range(4)).astype(int)
    one, other = frames[:, 10, 10], frames[:, 40, 40]
    assert (np.ptp(one, 0) < 30).all()
    assert (np.ptp(other, 0) < 30).all()
    assert abs(one[0] - other[0]).max() > 100


def test_animals_of_one_keypoint_have_a_colour_and_no_size(tmp_path):
    path = np.arange(40.0)[:, None, None, None] * [1.0, 0.0] + [10.0, 10.0]
    points = np.concatenate([path, path + np.array([0.0, 30.0])], 1)
    came = tracks(points.transpose(0, 3, 2, 1), ["centroid"], ["a", "b"])
    write_tracks(came, tmp_path / "clip.h5")
    frames = np.full((40, 64, 64, 3), 60, np.uint8)
    frames[:, 30:] = 200
    write_video(tmp_path / "clip.mp4", frames, 30.0)
    with Video(tmp_path / "clip.mp4") as video:
        colour = body_colour(video, points)
    assert np.abs(colour - np.array([60, 200])[:, None]).max() < 20
    done = Track(video=str(tmp_path / "clip.mp4")).run(tmp_path / "clip.h5", tmp_path / "run")
    written = to_detections(read_tracks(done.folder / "artifacts/clip.tracked.h5"))[0]
    np.testing.assert_array_equal(written, points)
    bare = Track().run(tmp_path / "clip.h5", tmp_path / "bare")  # one keypoint has no proportions
    assert bare.state == "done"


@pytest.mark.parametrize("kind", ["slp", "analysis", "pictures"])
def test_a_truth_of_labelled_frames_judges_these_alone(tmp_path, kind):
    case = simulate(2, 200, 0, noise=0.0, misses=0.0, lost_keypoints=0.0)
    whole, labelled = as_recording(case.truth, ["a", "b"]), [3, 40, 41, 90, 123]
    write_tracks(whole, tmp_path / "clip.h5")
    few = whole.isel(time=labelled)
    if kind == "slp":
        place = write_tracks(few, tmp_path / "truth/labels.slp")
    elif kind == "analysis":  # has a row for every frame
        place = write_tracks(at_frames(few, np.arange(124)), tmp_path / "truth/a.analysis.h5")
    else:
        table = read_table(write_tracks(few, tmp_path / "few.h5", "dlc"))
        rows = tuple(f"labeled-data/clip/img{number}.png" for number in labelled)
        place = tmp_path / "truth/CollectedData_me.csv"
        place.parent.mkdir()
        write_table(place, replace(table, rows=rows))
    run = Track(truth=str(place), animals=2).run(tmp_path / "clip.h5", tmp_path / "run")
    rows = pd.read_parquet(run.folder / "predictions.parquet")
    assert sorted(set(rows["frame"])) == labelled
    metrics = read_json(run.folder / "metrics.json")
    assert [metrics[name]["value"] for name in ("mota", "idf1")] == [1.0, 1.0]
    told = (run.folder / "audit.json").read_text()
    assert "the truth is of 5 of the frames 3 to 123; only these are judged" in told
    assert "nobody was there" not in told
    assert ("In 119 others it shows nobody" in told) == (kind == "analysis")


@pytest.mark.parametrize("ending", [".slp", ".h5", ".analysis.h5"])
def test_ghosts_in_empty_frames_of_a_full_truth_are_judged(tmp_path, ending):
    case = simulate(2, 200, 0, noise=0.0, misses=0.0, lost_keypoints=0.0)
    found, true = as_recording(case.truth, ["a", "b"]), case.truth.copy()
    true[80:] = np.nan  # the animals are out of view
    write_tracks(found, tmp_path / "clip.h5")
    place = write_tracks(as_recording(true, ["a", "b"]), tmp_path / f"truth/clip{ending}")
    told = []
    kept = within(read_tracks(place), read_tracks(tmp_path / "clip.h5"), "clip", told)
    if ending == ".analysis.h5":  # may as well be of frames that nobody labelled
        assert kept.sizes["time"] == 80
        assert "In 120 others it shows nobody" in told[0].detail
        return
    assert kept.sizes["time"] == 200
    assert not told


def test_results_of_runs_and_other_tables_in_the_data_are_no_tracks(tmp_path):
    data = write_crossings(tmp_path / "data")
    (data / "timestamps.csv").write_text("frame,seconds\n0,0.0\n1,0.04\n")
    Track(animals=2, fill=0).run(data, data / "runs/first")
    run = Track(animals=2, fill=0).run(data, data / "runs/second")
    written = sorted(p.name for p in (run.folder / "artifacts").glob("*.tracked.h5"))
    assert written == ["clip0.tracked.h5", "clip1.tracked.h5"]
    told = (run.folder / "audit.json").read_text()
    assert "Tables without tracks were passed over: timestamps.csv." in told
    assert run.replay(tmp_path / "again").metrics.equals(run.metrics)
    with pytest.raises(DataError, match=r"no file of tracks; .*passed over: timestamps\.csv"):
        find_track_pairs(data, include=["time*"])
    bones = pd.DataFrame(1.0, [0, 1], pd.MultiIndex.from_tuples([("nose_head", "length")]))
    bones.to_hdf(data / "clip0_skeleton.h5", key="df_with_missing", format="table")
    assert [pair.name for pair in find_track_pairs(data)] == ["clip0", "clip1"]


def test_predictions_in_the_data_are_tracks_and_runs_are_named(tmp_path):
    data = write_crossings(tmp_path / "data")
    said = data / "said"
    said.mkdir()
    for file in ("status.json", "predictions.parquet"):
        (said / file).write_text("{}")
    for file in sorted(data.glob("clip*")):
        file.rename(said / file.name)
    assert {pair.file.parent for pair in find_track_pairs(data)} == {said}
    (said / "recipe.yaml").write_text("recipe: pose.track")
    with pytest.raises(DataError, match=r"no file of tracks; .* were passed over: said\."):
        find_track_pairs(data)


def test_a_run_in_its_own_data_is_resumed(tmp_path, monkeypatch):
    data = write_crossings(tmp_path / "data")
    whole = Track.write

    def stop(*given):
        whole(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Track, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            Track(animals=2, fill=0).run(data, data / "run")
    assert (data / "run/artifacts/clip0.tracked.h5").is_file()
    assert Run(data / "run").resume().status["state"] == "done"
