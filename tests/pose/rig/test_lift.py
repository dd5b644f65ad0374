"""Tracks in space: the smoother against dense least squares, cameras told by others, limbs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import write_json
from neuroloom.io.tracks import read_tracks, write_tracks
from neuroloom.pose.rig import Rig, read_rig, triangulate, triangulate_robust
from neuroloom.pose.rig.choose import choose_smooth
from neuroloom.pose.rig.lift import Seen, agreement, find_seen, left_out, lift, parse_limbs
from neuroloom.pose.rig.limbs import hold_lengths, limb_lengths
from neuroloom.pose.rig.networks import _tell_trials, _unlike
from neuroloom.pose.rig.smooth import combine, smooth_tracks
from neuroloom.pose.triangulate import Triangulate
from tests.pose.rig.rigs import ring, write_views


def walk(rng: np.random.Generator, n: int = 80, points: int = 2) -> np.ndarray:
    return rng.normal(0, 20, (1, points, 3)) + rng.normal(0, 0.4, (n, points, 3)).cumsum(0)


def test_the_smoother_is_the_least_squares_of_the_whole_path():
    from scipy.optimize import least_squares

    rig, rng = ring(3), np.random.default_rng(0)
    path = walk(rng, 12, 1)
    pixels = rig.project(path) + rng.normal(0, 1, (3, 12, 1, 2))
    pixels[:2, 5] = np.nan
    pixels[:, 8] = np.nan
    found = smooth_tracks(rig, pixels, 1.0, ratio=0.05, tail=np.inf).points[:, 0]
    # What a step may be is a share of the variance of a place that two cameras or more see.
    slopes = [camera.slope(triangulate(rig, pixels)[:, 0]) for camera in rig]
    whole = [t for t in range(12) if t not in (5, 8)]
    places = [np.linalg.inv(sum(s[t].T @ s[t] for s in slopes)) for t in whole]
    step = 0.05 * np.median([np.trace(place) / 3 for place in places])

    def gaps(flat):
        points = flat.reshape(12, 3)
        seen = (rig.project(points) - pixels[:, :, 0]).ravel()
        return np.r_[seen[np.isfinite(seen)], np.diff(points, axis=0).ravel() / np.sqrt(step)]

    theirs = least_squares(gaps, path.ravel(), xtol=1e-12, ftol=1e-12).x.reshape(12, 3)
    np.testing.assert_allclose(found, theirs, atol=0.02)


def test_smoothing_is_nearer_the_truth_and_gross_errors_do_no_harm():
    rig, rng = ring(3), np.random.default_rng(1)
    path = walk(rng, 200, 4) * [0.3, 0.3, 0.3]
    pixels = rig.project(path) + rng.normal(0, 2, (3, 200, 4, 2))
    plain = np.linalg.norm(triangulate(rig, pixels) - path, axis=-1)
    calm = np.linalg.norm(smooth_tracks(rig, pixels, 2.0, 0.05).points - path, axis=-1)
    assert np.median(calm) < 0.7 * np.median(plain)
    wrong = rng.random((3, 200, 4)) < 0.05
    pixels = pixels + np.where(wrong[..., None], rng.uniform(-150, 150, (3, 200, 4, 2)), 0)
    held = np.linalg.norm(smooth_tracks(rig, pixels, 2.0, 0.05).points - path, axis=-1)
    assert np.quantile(held, 0.95) < 1.3 * np.quantile(calm, 0.95)
    assert np.quantile(np.linalg.norm(triangulate(rig, pixels) - path, axis=-1), 0.95) > 5


def curve(frames: int = 90) -> np.ndarray:
    """Paths (time, 3, 3) without any noise, mm."""
    bend = np.arange(frames)[:, None, None] / 10 + np.arange(3)
    return np.array([[[0.0, 5, 9]], [[20, -9, 4]], [[-15, 3, -8]]]).transpose(
        1, 0, 2
    ) + 20 * np.sin(bend)


@pytest.mark.parametrize(
    ("cameras", "noise"),
    [
        (2, 8.0),
        *(pytest.param(*one, marks=pytest.mark.long) for one in ((2, 0.5), (4, 8.0), (4, 0.5))),
    ],
)
def test_the_chosen_smoothness_is_near_the_best_for_the_truth(cameras, noise):
    rig, rng, path = ring(cameras), np.random.default_rng(5), curve()
    pixels = rig.project(path) + rng.normal(0, noise, (cameras, 90, 3, 2))
    names = tuple(("mouse", str(k)) for k in range(3))
    seen = Seen(rig, pixels[:, None], np.ones((cameras, 1, 90, 3)), names, np.arange(90))

    def off(ratio: float) -> float:
        return float(np.linalg.norm(lift(seen, smooth=ratio).places - path, axis=-1).mean())

    best = min(off(ratio) for ratio in (0.003, 0.03, 0.3, 3.0))
    assert off(choose_smooth(seen)) < 1.5 * best
    assert off(0.003) > 3 * best


def test_a_point_at_rest_is_smoothed_more_than_a_moving_one():
    rig, rng = ring(3), np.random.default_rng(6)
    pixels = rig.project(np.zeros((80, 2, 3))) + rng.normal(0, 2, (3, 80, 2, 2))
    names = (("mouse", "nose"), ("mouse", "tail"))
    seen = Seen(rig, pixels[:, None], np.ones((3, 1, 80, 2)), names, np.arange(80))
    assert choose_smooth(seen) <= 0.1
    moving = replace(seen, pixels=seen.pixels + 4.0 * np.arange(80)[:, None, None])
    assert choose_smooth(moving) >= 0.3


def test_the_deviation_covers_the_error():
    rig, rng = ring(4), np.random.default_rng(2)
    path = walk(rng, 300, 3)
    done = smooth_tracks(rig, rig.project(path) + rng.normal(0, 1, (4, 300, 3, 2)), 1.0, 1.0)
    inside = np.abs(done.points - path) < 2 * done.deviation
    assert 0.85 < inside.mean() <= 1


def hidden() -> tuple[Seen, np.ndarray]:
    """A curve that three cameras see but for gaps: of one camera's view, of 3 and 30 frames."""
    rig, path = ring(3), curve()
    pixels = rig.project(path)
    pixels[1:, :8] = np.nan  # one camera alone sees the first frames
    pixels[:, 20:23] = np.nan
    pixels[1:, 40:70] = np.nan
    pixels[2, 75] = np.nan
    names = tuple(("mouse", str(k)) for k in range(3))
    return Seen(rig, pixels[:, None], np.ones((3, 1, 90, 3)), names, np.arange(90)), path


def test_a_place_that_two_cameras_do_not_see_is_not_made_up():
    seen, path = hidden()
    done = lift(seen, smooth=1.0)
    without = np.isnan(done.places).all((1, 2))
    assert np.flatnonzero(without).tolist() == [*range(8), *range(40, 70)]
    assert np.isnan(done.deviation[without]).all()
    assert np.flatnonzero(done.bridged.all(1)).tolist() == [20, 21, 22]
    assert np.linalg.norm(done.places - path, axis=-1)[20:23].max() < 4
    assert np.isnan(lift(seen, smooth=1.0, fill=2).places[20:23]).all()
    assert np.isfinite(lift(seen, smooth=1.0, fill=30).places[8:]).all()


def test_a_camera_is_told_where_two_others_see():
    seen, _ = hidden()
    told, gap = left_out(seen, smooth=1.0, fill=40)
    known = np.isfinite(told).all((-1, -2))
    assert np.flatnonzero(~known[2]).tolist() == [*range(8), *range(20, 23), *range(40, 70)]
    assert np.flatnonzero(~known[0]).tolist() == [*range(8), *range(20, 23), *range(40, 70), 75]
    assert np.nanmedian(gap) < 5


def test_networks_are_joined_by_their_median():
    rng = np.random.default_rng(0)
    where, off = combine(rng.normal(0, 3, (5, 400, 2)), least=0.1)
    assert np.abs(where).max() < 12
    assert 1 < np.median(off) < 4
    lone, sure = combine(np.ones((1, 3, 2)), least=0.5)
    assert (lone == 1).all()
    assert (sure == 0.5).all()


@pytest.mark.parametrize("method", ["robust", "linear"])
def test_the_tolerance_is_that_of_the_path_which_smoothing_begins_with(method, monkeypatch):
    told = []

    def robust(rig, pixels, weights, tolerance):
        told.append(tolerance)
        return triangulate_robust(rig, pixels, weights, tolerance)

    monkeypatch.setattr("neuroloom.pose.rig.smooth.triangulate_robust", robust)
    lift(hidden()[0], method, tolerance=2.5, smooth=1.0)
    assert told == [2.5]


def test_nothing_to_lift_is_told():
    pixels = np.full((3, 5, 2, 2), np.nan)
    with pytest.raises(ConfigError, match="seen by two cameras"):
        smooth_tracks(ring(3), pixels)


def test_limbs_keep_their_length(monkeypatch):
    rng = np.random.default_rng(0)
    bones = np.array([[0.0, 0, 0], [10, 0, 0], [10, 8, 0]])
    truth = bones + rng.normal(0, 30, (200, 1, 3))
    noisy = truth + rng.normal(0, 1, (200, 3, 3))
    noisy[3, 1] = np.nan
    limbs = [(0, 1), (1, 2)]
    held = hold_lengths(noisy, np.ones_like(noisy), limbs, np.array([10.0, 8.0]), 0.01)
    far = np.linalg.norm(held[:, 0] - held[:, 1], axis=-1)
    assert np.nanstd(far) < 0.3
    monkeypatch.setattr("neuroloom.pose.rig.limbs.CHUNK", 7 * 9**2)  # seven frames at once
    parts = hold_lengths(noisy, np.ones_like(noisy), limbs, np.array([10.0, 8.0]), 0.01)
    np.testing.assert_allclose(parts, held)
    assert np.isnan(held[3, 1]).all()
    assert np.nanmean(np.linalg.norm(held - truth, axis=-1)) < np.nanmean(
        np.linalg.norm(noisy - truth, axis=-1)
    )
    np.testing.assert_allclose(limb_lengths(truth, limbs), [10, 8])


def test_files_find_their_cameras(tmp_path):
    folder = write_views(tmp_path / "s")
    rig = read_rig(folder)
    seen = find_seen(folder, rig)
    assert seen.pixels.shape == (3, 1, 24, 4, 2)
    assert seen.follows
    assert parse_limbs(["nose-head"], seen) == [(0, 1)]
    with pytest.raises(ConfigError, match="'nose-hed'"):
        parse_limbs(["nose-hed"], seen)
    (folder / "mouse_cam2.csv").unlink()
    assert find_seen(folder, rig).findings[0].detail == "camera 'cam2' is left out."
    (folder / "mouse_cam1.csv").unlink()
    with pytest.raises(DataError, match="no tracks were found for camera 'cam1'"):
        find_seen(folder, rig)


@pytest.mark.parametrize(
    ("made", "status"),
    [("predictions.parquet", {"recipe": "predict"}), ("recipe.yaml", {"recipe": "pose.track"})],
)
def test_predictions_and_linked_tracks_are_lifted_and_runs_are_named(tmp_path, made, status):
    folder = write_views(tmp_path / "s")
    whole, rig = find_seen(folder, read_rig(folder)), read_rig(folder)
    (folder / "tracks").mkdir()
    for file in folder.glob("mouse*"):
        file.rename(folder / "tracks" / file.name)
    (folder / "tracks" / made).touch()
    write_json(folder / "tracks/status.json", status)
    np.testing.assert_array_equal(find_seen(folder, rig).pixels, whole.pixels)
    (folder / "tracks/recipe.yaml").touch()
    write_json(folder / "tracks/status.json", {"recipe": "pose.triangulate"})
    with pytest.raises(DataError, match=r"for camera 'cam0'.* were passed over: tracks\."):
        find_seen(folder, rig)


@pytest.mark.parametrize("net", ["DLC_resnet50", "DLC_Cam0net", "DeepCut_resnet50"])
def test_files_find_their_cameras_by_the_names_that_deeplabcut_gives(tmp_path, net):
    folder = write_views(tmp_path / "s")
    whole = find_seen(folder, read_rig(folder))
    for number in range(3):
        named = f"trial1_cam{number}{net}_cam2-reachJan1shuffle1_100000.csv"
        (folder / f"mouse_cam{number}.csv").rename(folder / named)
    seen = find_seen(folder, read_rig(folder))
    np.testing.assert_array_equal(seen.pixels, whole.pixels)


def test_a_camera_named_behind_the_scorer_is_found_too(tmp_path):
    folder = write_views(tmp_path / "s")
    for number in range(3):
        (folder / f"mouse_cam{number}.csv").rename(folder / f"trialDLC_net_cam{number}.csv")
    assert len(find_seen(folder, read_rig(folder)).pixels) == 3


def test_filtered_tracks_and_tables_of_bones_are_no_networks(tmp_path):
    folder = write_views(tmp_path / "s")
    whole = find_seen(folder, read_rig(folder))
    for file in sorted(folder.glob("mouse_*.csv")):
        write_tracks(read_tracks(file) + 3.0, folder / f"{file.stem}_filtered.csv")
    (folder / "cam1_times.csv").write_text("frame,time\n0,0.0\n")
    columns = pd.MultiIndex.from_product([["nose_head"], ["length", "orientation"]])
    bones = pd.DataFrame(np.ones((24, 2)), columns=columns)
    bones.to_hdf(folder / "mouse_cam1_skeleton.h5", key="df_with_missing", format="table")
    bones.to_hdf(folder / "mouse_cam2_skeleton.h5", key="df_with_missing", format="fixed")
    seen = find_seen(folder, read_rig(folder))
    np.testing.assert_array_equal(seen.pixels, whole.pixels)
    (told,) = [found.detail for found in seen.findings if found.title == "Files left out"]
    assert "cam1_times.csv, mouse_cam1_skeleton.h5, mouse_cam2_skeleton.h5" in told


def test_files_of_cameras_that_are_not_used_are_not_those_of_others(tmp_path):
    folder = write_views(tmp_path / "s")
    rig = read_rig(folder)
    names = {"cam0": "top", "cam1": "side", "cam2": "top-left"}
    rig = Rig(tuple(replace(one, name=names[one.name]) for one in rig), rig.unit)
    for old, new in names.items():
        (folder / f"mouse_{old}.csv").rename(folder / f"mouse_{new}.csv")
    whole = find_seen(folder, rig)
    np.testing.assert_array_equal(
        find_seen(folder, rig, cameras=["top", "side"]).pixels, whole.pixels[:2]
    )


def test_a_label3d_whose_parts_do_not_fit_together_is_named(tmp_path):
    rig = ring(3)
    for keypoints, moments, said in (
        ((4, 4, 4), 7, r"data_3d is of the shape \(7, 12\)"),
        ((4, 4, 3), 5, "cam0: 5 x 4, cam1: 5 x 4, cam2: 5 x 3"),
    ):
        cells, names = np.empty((3, 1), object), np.empty((1, 3), object)
        for place, (camera, count) in enumerate(zip(rig, keypoints, strict=True)):
            numbers, places = np.arange(5.0)[:, None], np.ones((moments, 12))
            cells[place, 0] = {"data_2d": np.ones((5, 2 * count)), "data_frame": numbers,
                               "data_3d": places}  # fmt: skip
            names[0, place] = camera.name
        savemat(tmp_path / "x_label3d.mat", {"labelData": cells, "camnames": names})
        with pytest.raises(DataError, match=said):
            find_seen(tmp_path / "x_label3d.mat", rig)


def test_keypoints_must_be_the_same(tmp_path):
    folder = write_views(tmp_path / "s")
    file = folder / "mouse_cam1.csv"
    file.write_text(file.read_text().replace("nose", "snout"))
    with pytest.raises(DataError, match=r"mouse_cam1\.csv: has no keypoint 'nose'"):
        find_seen(folder, read_rig(folder))


def test_places_are_in_the_unit_that_is_known(tmp_path):
    folder = write_views(tmp_path / "s")
    file = folder / "calibration.toml"
    with pytest.raises(DataError, match=r"in mm, expected was m; nothing is converted"):
        Triangulate(unit="m", smooth=0).prepare(folder)
    file.write_text(file.read_text().replace('"mm"', '"inch"'))
    told = Triangulate(smooth=0).prepare(folder).findings[0].detail
    assert "states 'inch', which is not known" in told
    file.write_text(file.read_text().replace("unit =", "length ="))
    assert Triangulate(unit="cm", smooth=0).prepare(folder).seen.rig.unit == "cm"
    recipe = Triangulate(smooth=0)
    assert "states none" in recipe.prepare(folder).findings[0].detail
    run = recipe.run(folder, tmp_path / "run")
    assert read_tracks(run.folder / "artifacts/points3d.nc").attrs["unit"] == "units"


def test_points_that_the_first_camera_lacks_are_named(tmp_path):
    folder = write_views(tmp_path / "s")
    file = folder / "mouse_cam0.csv"
    write_tracks(read_tracks(file).isel(keypoints=slice(3)), file)
    seen = find_seen(folder, read_rig(folder))
    assert seen.pixels.shape[3] == 3
    assert [one.detail for one in seen.findings] == [
        "The first camera lacks tail; nothing of them is lifted."
    ]


def test_cameras_have_one_rate(tmp_path):
    folder = write_views(tmp_path / "s")
    for number, rate in enumerate((30.0, 30.1, 60.0)):
        file = folder / f"mouse_cam{number}.csv"
        write_tracks(read_tracks(file, rate), file.with_suffix(".nc"))
        file.unlink()
    with pytest.raises(DataError, match=r"cam0\.nc has 30 frames a second, mouse_cam2\.nc has 60"):
        find_seen(folder, read_rig(folder))
    write_tracks(read_tracks(file.with_suffix(".nc")).assign_attrs(rate=30.0), file)
    file.with_suffix(".nc").unlink()
    assert find_seen(folder, read_rig(folder)).rate == pytest.approx(30.0)


def test_networks_are_named_and_trials_are_no_networks(tmp_path):
    folder = write_views(tmp_path / "s")
    rig = read_rig(folder)
    for number in range(3):
        file = folder / f"mouse_cam{number}.csv"
        own = read_tracks(file)
        write_tracks(own + 1.0, folder / f"mouse_cam{number}_net2.csv")
    told = find_seen(folder, rig).findings[0].detail
    assert told.startswith("Joined by their median: cam0: mouse_cam0.csv, mouse_cam0_net2.csv;")
    for number in range(3):
        other = read_tracks(folder / f"mouse_cam{number}.csv") + 80.0
        write_tracks(other, folder / f"mouse_cam{number}_net2.csv")
    assert "are they of one film?" in find_seen(folder, rig).findings[1].detail
    for number in range(3):
        for trial, name in enumerate((f"mouse_cam{number}.csv", f"mouse_cam{number}_net2.csv")):
            (folder / f"trial{trial}").mkdir(exist_ok=True)
            (folder / name).rename(folder / f"trial{trial}/cam{number}.csv")
    with pytest.raises(DataError, match=r"trials apart.*--include '\*trial0/\*\.csv'"):
        find_seen(folder, rig)
    assert find_seen(folder, rig, ["*trial0/*.csv"]).pixels.shape[1] == 1


def test_snapshots_of_a_net_are_no_trials():
    net = "camADLC_resnet50_reachJan1shuffle1"
    names = [f"{net}_{steps}.h5" for steps in (100000, 200000, 1030000)]
    names += [f"{net}_snapshot{which}.h5" for which in ("-200", "_best-70", "_050")]
    assert not _tell_trials(names, "camA")
    assert not _tell_trials(["camA_50000.csv", "camA_100000.csv"], "camA")
    for days in (("20240131", "20240201"), ("240131", "240201"), ("01312024", "02012024")):
        assert _tell_trials([f"{net}_100000_{day}.h5" for day in days], "camA")


def test_a_resting_animal_says_nothing_by_its_other_times():
    still = np.random.default_rng(0).normal(100, 1, (1, 60, 4, 2))
    assert not _unlike(np.concatenate([still, still + 12]))
    assert _unlike(np.concatenate([still, still + 200]))
    moving = still + 5 * np.arange(60.0)[:, None, None]
    assert not _unlike(np.concatenate([moving, moving + 12]))
    assert _unlike(np.concatenate([moving, moving[:, ::-1]]))


@pytest.mark.long
def test_a_camera_told_by_the_others_of_the_fly(test_data):
    seen = find_seen(test_data / "pose/eks/fly", read_rig(test_data / "pose/eks/fly"))
    own, _ = seen.combined()
    told, gap = left_out(seen, smooth=choose_smooth(seen))
    assert (np.median(gap, axis=(1, 2)) <= [2.50, 1.55, 4.50]).all()
    assert (agreement(told, own) >= [0.55, 0.58, 0.36]).all()


@pytest.mark.long
def test_gross_errors_of_the_fly_do_no_harm(test_data):
    seen = find_seen(test_data / "pose/eks/fly", read_rig(test_data / "pose/eks/fly"))
    own, _ = seen.combined()
    rng = np.random.default_rng(3)
    wrong = rng.random(own.shape[:-1]) < 0.05
    off = np.where(wrong[..., None], rng.uniform(-200, 200, own.shape), 0)
    spoilt = replace(seen, pixels=seen.pixels + off[:, None])
    told, _ = left_out(spoilt, smooth=choose_smooth(spoilt))
    gap = np.linalg.norm(told - own, axis=-1)
    assert (np.quantile(gap, 0.95, axis=(1, 2)) <= [6.5, 4.3, 13]).all()


def test_the_recipe_refuses_the_shipped_calibration(test_data):
    with pytest.raises(DataError, match="'side' and 'top' are 0 units apart"):
        Triangulate().prepare(test_data / "pose/anipose-minimal")


def test_labels_of_moments_are_not_smoothed(test_data):
    prepared = Triangulate().prepare(test_data / "pose/dannce")
    how = Triangulate().how(prepared)
    assert how["smooth"] == 0
    found = lift(prepared.seen, **how).places
    assert np.nanmax(np.linalg.norm(found - prepared.seen.truth, axis=-1)) < 1e-5


def test_cameras_are_brought_together_by_their_frames(tmp_path):
    folder = write_views(tmp_path / "s", n=24)
    rig = read_rig(folder)
    whole = find_seen(folder, rig)
    rows = (folder / "mouse_cam1.csv").read_text().splitlines()
    left_out = {5, 6, 7, 23}
    kept = [row for row in rows if row.split(",")[0] not in map(str, left_out)]
    (folder / "mouse_cam1.csv").write_text("\n".join(kept) + "\n")
    seen = find_seen(folder, rig)
    assert seen.frames.tolist() == list(range(24))
    assert np.isnan(seen.pixels[1][:, sorted(left_out)]).all()
    there = [k for k in range(24) if k not in left_out]
    np.testing.assert_array_equal(seen.pixels[:, :, there], whole.pixels[:, :, there])
    assert "cam1: 20" in seen.findings[0].detail
