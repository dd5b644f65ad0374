"""Tracks of other programs, there and back; their own readers open ours."""

from __future__ import annotations

import json
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.core.recording import tracks
from neuroloom.io.labels import read_labels
from neuroloom.io.tracks import read_each_video, read_tracks, write_own, write_tracks

sleap_io = pytest.importorskip("sleap_io")
pytest.importorskip("ndx_pose")

NAMES = ("nose", "ear_l", "tail")
ENDINGS = (".h5", ".csv", ".slp", ".analysis.h5", ".nc", ".nwb")


def made(animals=2, space=2, frames=None, seed=0):
    generator = np.random.default_rng(seed)
    points = generator.uniform(0, 300, (7, space, 3, animals))
    points[2, :, 1, 0] = np.nan
    sure = generator.uniform(0, 1, (7, 3, animals))
    who = [f"animal{number}" for number in range(animals)] if animals > 1 else ["individual_0"]
    return tracks(points, NAMES, who, 25.0, sure, source="clip.mp4", frames=frames)


def same(read, recording, sure=1e-9):
    read = read.sel(individuals=recording.individuals.values, keypoints=list(NAMES))
    np.testing.assert_allclose(read.values, recording.values, atol=1e-9, rtol=0)
    known = np.isfinite(recording.values).all(1)
    ours, theirs = recording.confidence.values[known], read.confidence.values[known]
    np.testing.assert_allclose(theirs, ours, atol=sure, rtol=0)
    np.testing.assert_allclose(read.time.values, recording.time.values, atol=1e-9, rtol=0)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("animals", [1, 2])
def test_there_and_back(tmp_path, ending, animals):
    recording = made(animals)
    file = write_tracks(recording, tmp_path / f"a{ending}")
    read = read_tracks(file, rate=25.0)
    assert read.sizes == recording.sizes
    same(read, recording)
    same(read_tracks(write_tracks(read, tmp_path / f"b{ending}"), rate=25.0), recording)


@pytest.mark.parametrize("ending", [".h5", ".csv", ".slp", ".nc", ".nwb"])
def test_frames_that_are_left_out_stay_so(tmp_path, ending):
    recording = made(frames=np.array([3, 4, 5, 9, 20, 21, 40]))
    read = read_tracks(write_tracks(recording, tmp_path / f"a{ending}"), rate=25.0)
    same(read, recording)
    assert read.frame.values.tolist() == [3, 4, 5, 9, 20, 21, 40]
    assert read.attrs["rate"] == pytest.approx(25.0)


def test_an_analysis_file_has_every_frame(tmp_path):
    recording = made(frames=np.array([0, 1, 2, 3, 5, 6, 8]))
    read = read_tracks(write_tracks(recording, tmp_path / "a.analysis.h5"), rate=25.0)
    assert read.sizes["time"] == 9
    assert np.isnan(read.values[4]).all()
    same(read.isel(time=recording.frame.values), recording)


@pytest.mark.parametrize("ending", [".nc", ".nwb"])
@pytest.mark.parametrize("unit", ["mm", "cm", "units"])
def test_three_axes_in_their_unit(tmp_path, ending, unit):
    recording = made(space=3).assign_attrs(unit=unit)
    read = read_tracks(write_tracks(recording, tmp_path / f"a{ending}"))
    assert read.attrs["unit"] == unit
    same(read, recording)


@pytest.mark.parametrize("ending", [".h5", ".slp", ".analysis.h5"])
def test_three_axes_have_no_place(tmp_path, ending):
    with pytest.raises(DataError, match=r"\.nc or \.nwb"):
        write_tracks(made(space=3), tmp_path / f"a{ending}")


def test_pandas_reads_ours_as_deeplabcut_does(tmp_path):
    recording = made()
    write_tracks(recording, tmp_path / "a.h5")
    write_tracks(recording, tmp_path / "a.csv")
    frame = pd.read_hdf(tmp_path / "a.h5", "df_with_missing")
    assert list(frame.columns.names) == ["scorer", "individuals", "bodyparts", "coords"]
    tail = frame["neuroloom"]["animal1"]["tail"]
    np.testing.assert_array_equal(tail[["x", "y"]], recording.values[:, :, 2, 1])
    np.testing.assert_array_equal(tail["likelihood"], recording.confidence.values[:, 2, 1])
    text = pd.read_csv(tmp_path / "a.csv", header=[0, 1, 2, 3], index_col=0)
    np.testing.assert_allclose(text, frame, atol=1e-9)
    single = pd.read_csv(write_tracks(made(1), tmp_path / "b.csv"), header=[0, 1, 2], index_col=0)
    assert single.shape == (7, 9)


def test_what_pandas_writes_for_deeplabcut_is_read(tmp_path):
    columns = pd.MultiIndex.from_product(
        [["DLC_net"], NAMES, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    values = np.random.default_rng(1).uniform(0, 1, (5, 9))
    for layout in ("fixed", "table"):
        file = tmp_path / f"{layout}.h5"
        pd.DataFrame(values, columns=columns).to_hdf(file, key="df_with_missing", format=layout)
        read = read_tracks(file)
        np.testing.assert_array_equal(read.values[:, 1, 2, 0], values[:, 7])
        assert read.attrs["scorer"] == "DLC_net"


@pytest.mark.parametrize(
    ("rows", "frames", "x"),
    [
        (["d/v/img9.png", "d/v/img10.png"], [9, 10], [0, 1]),
        (["d/v/img10.png", "d/v/img9.png"], [9, 10], [1, 0]),
        (["d\\v\\img3.png", "d\\v\\img7.png"], [3, 7], [0, 1]),
        (["d/v/left.png", "d/v/img7.png"], [0, 1], [0, 1]),
        (["d/v/img7.png", "d/w/img7.png"], [0, 1], [0, 1]),
        (["d/v/20240131093000123.png", "d/v/20240131093000456.png"], [0, 1], [0, 1]),
    ],
)
def test_rows_named_by_pictures_are_of_their_frames(tmp_path, rows, frames, x):
    lines = ["scorer,n,n", "bodyparts,a,a", "coords,x,y"]
    lines += [f"{row},{place},2" for place, row in enumerate(rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    read = read_tracks(tmp_path / "a.csv")
    assert read.frame.values.tolist() == frames
    assert read.values[:, 0].ravel().tolist() == x


def test_a_table_of_pictures_of_several_folders_is_of_several_videos(tmp_path):
    rows = ["scorer,n,n", "bodyparts,a,a", "coords,x,y"]
    rows += [f"labeled-data/{video}/img{number}.png,{number},2"
             for video, number in (("v", 3), ("v", 8), ("w", 5))]  # fmt: skip
    (tmp_path / "a.csv").write_text("\n".join(rows))
    found = read_each_video(tmp_path / "a.csv")
    assert {name: one.frame.values.tolist() for name, one in found.items()} == {
        "labeled-data/v": [3, 8], "labeled-data/w": [5],
    }  # fmt: skip


def test_further_columns_of_ensembles_are_passed_over(tmp_path):
    rows = "s,n,n,n,n", "bodyparts,a,a,a,a", "coords,x,y,likelihood,x_ens_var", "0,1,2,0.5,9"
    (tmp_path / "a.csv").write_text("\n".join(rows).replace("s,n", "scorer,n", 1))
    read = read_tracks(tmp_path / "a.csv")
    assert read.values.ravel().tolist() == [1, 2]
    assert float(read.confidence.squeeze()) == 0.5


def test_sleap_reads_ours(tmp_path):
    recording = made()
    theirs = sleap_io.load_slp(str(write_tracks(recording, tmp_path / "a.slp")))
    assert [track.name for track in theirs.tracks] == ["animal0", "animal1"]
    for row, frame in enumerate(theirs.labeled_frames):
        found = np.stack([one.numpy() for one in frame.instances])  # (individual, keypoint, 2)
        np.testing.assert_allclose(
            found.transpose(2, 1, 0), recording.values[row], atol=1e-9, rtol=0
        )
    analysis = write_tracks(recording, tmp_path / "a.analysis.h5")
    loaded = sleap_io.load_analysis_h5(str(analysis))  # its arrays are of 32 bits
    np.testing.assert_allclose(
        loaded.numpy().transpose(0, 3, 2, 1), recording.values, atol=1e-4, rtol=0
    )


def test_xarray_opens_our_netcdf_as_movement_does(tmp_path):
    import xarray as xr

    recording = made()
    with xr.open_dataset(write_tracks(recording, tmp_path / "a.nc"), decode_times=False) as held:
        assert held["position"].dims == ("time", "space", "keypoints", "individuals")
        assert held.attrs["ds_type"] == "poses"
        assert held.attrs["fps"] == 25.0
        np.testing.assert_array_equal(held["position"].values, recording.values)
        assert [str(name) for name in held.keypoints.values] == list(NAMES)


def test_netcdf_4_of_movement_is_read(tmp_path):
    """The layout that netCDF 4 has inside HDF5: variables that point at their dimensions."""
    recording = made()
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs["fps"], file.attrs["time_unit"] = 25.0, "seconds"
        file["time"] = recording.time.values
        for dim in ("space", "keypoint", "individual"):
            words = recording.coords[dim if dim == "space" else f"{dim}s"].values
            file[dim] = np.asarray([str(word) for word in words], dtype=object)
        file["position"] = recording.values
        file["confidence"] = recording.confidence.values
        for name in ("time", "space", "keypoint", "individual"):
            file[name].make_scale(name)
        for name, dims in (
            ("position", ("time", "space", "keypoint", "individual")),
            ("confidence", ("time", "keypoint", "individual")),
        ):
            for place, dim in enumerate(dims):
                file[name].dims[place].attach_scale(file[dim])
    same(read_tracks(tmp_path / "a.nc"), recording)


def test_our_nwb_is_valid(tmp_path):
    from pynwb import NWBHDF5IO, validate

    with NWBHDF5IO(str(write_tracks(made(), tmp_path / "a.nwb")), "r") as io:
        assert not validate(io=io)
        animal = io.read().processing["behavior"]["animal1"]
        tail = animal.pose_estimation_series["tail"]
        np.testing.assert_array_equal(tail.data[()], made().values[:, :, 2, 1])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "no tracks that are known"),
        ("a.h5", b"", "no tracks that are known"),
        ("a.slp", b"", "is no HDF5 file"),
        ("a.nwb", b"x" * 90, "is no HDF5 file"),
        ("a.nc", b"CDF\x02" + b"x" * 30, "is no netCDF"),
        ("a.txt", b"x", "no tracks that are known"),
        ("b.csv", b"scorer,n,n\nbodyparts,a,a\ncoords,x,y\n1,2,3\n1,3,4\n", "row 1 is frame 1"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}.*{said}"):
        read_tracks(tmp_path / name)


@pytest.mark.parametrize("ending", [".h5", ".slp", ".analysis.h5", ".nwb"])
def test_what_is_cut_off_is_named(tmp_path, ending):
    file = write_tracks(made(), tmp_path / f"a{ending}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match="a"):
        read_tracks(file)


@pytest.mark.parametrize(
    ("place", "sizes"),
    [
        ("pose/anipose-minimal/top/minimal_top_proofread.analysis.h5", (120, 2, 15, 1)),
        ("pose/anipose-minimal/top/minimal_top_proofread.slp", (120, 2, 15, 1)),
        ("behavior/vfa_chick/chick1_dlc.csv", (1285, 2, 3, 1)),
        ("behavior/ethome_social/sample_sleap.analysis.h5", (3000, 2, 13, 2)),
        ("behavior/ethome_social/sample_ndx_pose.nwb", (2330, 2, 4, 1)),
    ],
)
def test_real_files_are_read_and_come_back(test_data, tmp_path, place, sizes):
    recording = read_tracks(test_data / place)
    assert recording.shape == sizes
    ending = ".analysis.h5" if place.endswith(".analysis.h5") else "." + place.rsplit(".", 1)[1]
    again = read_tracks(write_tracks(recording, tmp_path / f"a{ending}"))
    np.testing.assert_allclose(again.values, recording.values, atol=1e-9, rtol=0)
    np.testing.assert_allclose(again.confidence, recording.confidence, atol=1e-9, rtol=0)


def test_the_two_files_of_one_session_agree(test_data):
    folder = test_data / "pose/anipose-minimal/top"
    first = read_tracks(folder / "minimal_top_proofread.slp")
    second = read_tracks(folder / "minimal_top_proofread.analysis.h5")
    np.testing.assert_allclose(first.values, second.values, atol=1e-9, rtol=0)


@pytest.mark.parametrize("ending", [".nwb", ".nc"])
def test_a_varying_rate_keeps_frames_and_times(ending, tmp_path):
    """Frames that a camera dropped: times jump, numbers go on."""
    times = np.delete(np.arange(20) / 30.0, [5, 6, 11])
    points = np.random.default_rng(0).uniform(0, 9, (17, 2, 2, 1))
    made = tracks(points, ["nose", "tail"], rate=28.0, frames=np.arange(7, 24), times=times)
    again = read_tracks(write_tracks(made, tmp_path / f"a{ending}"))
    assert again.frame.values.tolist() == list(range(7, 24))
    np.testing.assert_allclose(again.time.values, times, atol=1e-9)
    np.testing.assert_allclose(again.values, points, atol=1e-6)


@pytest.mark.parametrize("stamps", [True, False])
def test_times_of_an_experiment_are_no_numbers_of_frames(stamps, tmp_path):
    """Another program's file: the camera runs from 12.5 s on, its clock tells milliseconds."""
    times = (12.5 + np.arange(1010) / 30).round(3)
    made = tracks(np.ones((1010, 2, 1, 1)), ["nose"], rate=30.0, times=times)
    file = write_tracks(made, tmp_path / "a.nwb")
    with h5py.File(file, "a") as held:
        series = held["processing/behavior/individual_0/nose"]
        series.attrs["comments"] = "no comments"
        if not stamps:
            del series["timestamps"]
            series["starting_time"] = 12.5
            series["starting_time"].attrs["rate"] = 30.0
    read = read_tracks(file)
    assert read.frame.values.tolist() == list(range(1010))
    assert read.attrs["rate"] == pytest.approx(30.0, rel=1e-4)
    np.testing.assert_allclose(read.time.values, times, atol=6e-4)


def test_results_of_coco_come_back_and_sleap_opens_them(tmp_path):
    recording = made(animals=2)
    recording.attrs["edges"] = [[0, 2]]
    (file,) = write_own(recording, tmp_path / "clip", "coco")
    held = json.loads(file.read_text())
    assert all({"image_id", "category_id", "keypoints", "score"} <= set(one)
               for one in held["annotations"])  # fmt: skip
    assert held["annotations"][0]["score"] == pytest.approx(
        float(recording.confidence[0, :, 0].mean())
    )
    labels = read_labels(file, usable=False)
    wanted = recording.transpose("time", "individuals", "keypoints", "space").values
    np.testing.assert_allclose(labels.points, wanted, atol=1e-9, rtol=0)
    assert labels.skeleton.edges == ((0, 2),)
    (tmp_path / "clip").mkdir()
    for one in held["images"]:  # SLEAP passes over frames that nobody wrote
        Image.new("L", (32, 32)).save(tmp_path / one["file_name"])
    theirs = sleap_io.load_file(str(file), format="coco")
    assert len(theirs.labeled_frames) == 7
    np.testing.assert_allclose(theirs[0].instances[1].numpy(), wanted[0, 1])


def test_results_of_coco_are_in_the_categories_of_the_project(tmp_path):
    recording = made(animals=2)
    recording.attrs["categories"] = [
        {"id": 3, "name": "mouse", "keypoints": ["tail", "nose", "ear_l"], "skeleton": [[1, 2]]},
        {"id": 7, "name": "rat", "keypoints": ["nose", "whisker"], "skeleton": []},
    ]
    (file,) = write_own(recording, tmp_path / "untold", "coco")
    held = json.loads(file.read_text())
    assert held["categories"] == recording.attrs["categories"]
    assert {one["category_id"] for one in held["annotations"]} == {3}
    kinds = np.tile(["mouse", "rat"], (7, 1))
    told = recording.assign_coords({"class": (("time", "individuals"), kinds)})
    (file,) = write_own(told, tmp_path / "told", "coco")
    mouse, rat = json.loads(file.read_text())["annotations"][:2]
    assert (mouse["category_id"], rat["category_id"]) == (3, 7)
    np.testing.assert_allclose(mouse["keypoints"][:2], recording[0, :, 2, 0])
    np.testing.assert_allclose(rat["keypoints"], [*recording[0, :, 0, 1], 2, 0, 0, 0])
    recording.attrs["categories"].pop(0)
    (file,) = write_own(recording, tmp_path / "few", "coco")
    assert json.loads(file.read_text())["categories"][0]["keypoints"] == list(NAMES)


def test_results_of_coco_are_written_as_they_are_made(tmp_path):
    points = np.random.default_rng(0).uniform(0, 300, (4000, 2, 3, 2))
    recording = tracks(points, NAMES, ["a", "b"], 25.0)
    tracemalloc.start()
    (file,) = write_own(recording, tmp_path / "clip", "coco")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(json.loads(file.read_text())["annotations"]) == 8000
    assert peak < 6e6


def test_results_of_deepposekit_are_those_of_its_predict(tmp_path):
    recording = made(animals=1)
    (file,) = write_own(recording, tmp_path / "clip", "deepposekit")
    x, y, sure = np.split(np.load(file), 3, -1)
    np.testing.assert_array_equal(x[..., 0], recording.sel(space="x")[..., 0])
    np.testing.assert_array_equal(y[..., 0], recording.sel(space="y")[..., 0])
    np.testing.assert_array_equal(sure[..., 0], recording.confidence[..., 0])
    assert write_own(made(animals=2), tmp_path / "two", "deepposekit") == []


def test_results_of_label3d_come_back(tmp_path):
    recording = made(animals=1)
    (file,) = write_own(recording, tmp_path / "clip", "label3d")
    labels = read_labels(file, usable=False)
    np.testing.assert_allclose(labels.points[:, 0], recording[..., 0].transpose(
        "time", "keypoints", "space"), atol=1e-9)  # fmt: skip
    assert labels.skeleton.keypoints == NAMES
    assert list(labels.frames["frame"]) == list(range(7))
