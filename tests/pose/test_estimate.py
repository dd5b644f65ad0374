"""`pose.estimate` as a user has it: refused input, held-out rows, expectations, videos."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.split import Fold
from neuroloom.io.tracks import read_tracks
from neuroloom.io.video import Video, write_video
from neuroloom.io.videos import video_of
from neuroloom.learn.scoring import points
from neuroloom.learn.training.fit import own_threads
from neuroloom.pose import predict as prediction
from neuroloom.pose.alike import body_sizes
from neuroloom.pose.confidence import Calibration, calibrate, cross_calibrated, slope
from neuroloom.pose.estimate import Estimate
from neuroloom.pose.held_out import (
    calibrated,
    calibration_of,
    paired,
    score_of_expectation,
    together,
    units_in_blocks,
)
from tests.animals import write_herd
from tests.critters import NAMES, paint, place, points_of, write_project

QUICK = {"budget": "3 steps", "plan": {"batch": "4", "widths": "8,8,8,8"}}


@pytest.fixture(autouse=True)
def _one_thread():
    with own_threads(1):
        yield


def test_one_labelled_frame_is_too_few(tmp_path):
    project = write_project(tmp_path / "p", 1, 1)
    with pytest.raises(DataError, match="1 labelled frame only"):
        Estimate(**QUICK).run(project, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_missing_picture_is_left_out_and_said(tmp_path):
    project = write_project(tmp_path / "p", 1, 6)
    (project / "labeled-data/vid0/img002.png").unlink()
    run = Estimate(**QUICK).run(project, tmp_path / "r")
    assert read_json(run.folder / "dataset.json")["labelled"] == 5
    assert "img002.png" in (run.folder / "audit.json").read_text()


def test_pictures_that_are_gone_altogether_are_an_error(tmp_path):
    project = write_project(tmp_path / "p", 1, 4)
    for picture in project.rglob("*.png"):
        picture.unlink()
    with pytest.raises(DataError, match="is gone|no pictures"):
        Estimate(**QUICK).run(project, tmp_path / "r")


def test_renamed_keypoints_are_refused_by_evaluate(tmp_path):
    run = Estimate(**QUICK).run(write_project(tmp_path / "p", 1, 6), tmp_path / "r")
    other = write_project(tmp_path / "q", 1, 4)
    for file in (other / "config.yaml", *other.rglob("*.csv")):
        file.write_text(file.read_text().replace("nose", "snout"))
    with pytest.raises(DataError, match=r"lacks the keypoint nose.*renamed"):
        run.evaluate(other)


def test_a_fit_on_everything_judges_nothing_and_predicts(tmp_path):
    run = Estimate(**QUICK, folds=0).run(write_project(tmp_path / "p", 1, 6), tmp_path / "r")
    assert read_json(run.folder / "metrics.json") == {}
    assert (run.folder / "report.html").is_file()
    found = run.evaluate(write_project(tmp_path / "q", 1, 5, seed=9))
    assert "mean_error_px" in set(found["metric"])
    Image.new("L", (80, 64), 180).save(tmp_path / "one.png")
    assert run.predict(tmp_path / "one.png")["expected_px"].gt(0).all()


def test_settings_that_mean_nothing_are_refused(tmp_path):
    project = write_project(tmp_path / "p", 1, 4)
    with pytest.raises(ConfigError, match="shuffle means nothing"):
        Estimate(shuffle=True).run(project, tmp_path / "r")
    with pytest.raises(ConfigError, match="light"):
        Estimate(model="mean-pose", light=0.5).run(project, tmp_path / "r")


def test_other_labelled_frames_are_scored(tmp_path):
    run = Estimate(**QUICK).run(write_project(tmp_path / "p", 1, 8), tmp_path / "r")
    found = run.evaluate(write_project(tmp_path / "q", 1, 5, seed=9), tmp_path / "e")
    assert found.attrs["labelled"] == 5
    metrics = read_json(tmp_path / "e/metrics.json")
    rows = pd.read_parquet(tmp_path / "e/predictions.parquet")
    mine = rows[rows["role"] == "model"]
    assert len(mine) == 5 * len(NAMES)
    away = np.hypot(mine["x"] - mine["true_x"], mine["y"] - mine["true_y"])
    assert metrics["mean_error_px"]["value"] == pytest.approx(away.mean())
    assert metrics["median_error_px"]["value"] == pytest.approx(np.median(away))
    assert "expectation_slope" in metrics
    assert "expectation_slope" in set(found["metric"])


def test_a_video_gets_a_row_a_frame_and_tracks_in_the_projects_format(tmp_path):
    run = Estimate(**QUICK).run(write_project(tmp_path / "p", 1, 6), tmp_path / "r")
    rng = np.random.default_rng(0)
    pictures = [paint(points_of(*place(rng)), rng)[..., None] for _ in range(9)]
    clip = write_video(tmp_path / "clip.mp4", pictures, 25.0)
    lines = []
    told = run.predict(clip, out=tmp_path / "out", watch=lines.append)
    assert [(line["name"], line["total"]) for line in lines] == [("clip", 9)] * len(lines)
    assert lines[-1]["done"] == 9
    table = pd.read_parquet(tmp_path / "out/predictions.parquet")
    assert told[["video", "frames", "rows"]].values.tolist() == [["clip.mp4", 9, len(table)]]
    assert len(table) == 9 * len(NAMES)
    assert table["confidence"].between(0, 1).all()
    tracks = pd.read_hdf(tmp_path / "out/clip.h5")
    assert tracks.shape == (9, 3 * len(NAMES))
    x = tracks.xs("x", axis=1, level="coords").to_numpy().ravel()
    np.testing.assert_allclose(x, table["x"].to_numpy(), atol=1e-6)
    assert (tmp_path / "out/clip_labelled.mp4").stat().st_size > 0


def test_videos_of_one_name_keep_their_own_results_and_a_killed_prediction_goes_on(
    tmp_path, monkeypatch
):
    run = Estimate(**QUICK).run(write_project(tmp_path / "p", 1, 6), tmp_path / "r")
    rng = np.random.default_rng(0)
    for session in ("s1", "s2"):
        pictures = [paint(points_of(*place(rng)), rng)[..., None] for _ in range(5)]
        write_video(tmp_path / session / "cam0.mp4", pictures, 25.0)
    Image.new("L", (8, 8)).save(tmp_path / "s1/stray.png")
    (tmp_path / "s1/broken.mp4").write_bytes(b"no video" * 99)
    run.predict(tmp_path / "s1", tmp_path / "s2", out=tmp_path / "out")
    both = pd.read_parquet(tmp_path / "out/predictions.parquet")
    assert list(both["video"].cat.categories) == ["s1_cam0.mp4", "s2_cam0.mp4"]
    for session in ("s1", "s2"):
        alone = run.predict(tmp_path / session / "cam0.mp4")
        own = both[both["video"] == f"{session}_cam0.mp4"]
        np.testing.assert_array_equal(own["x"], alone["x"])
        x = pd.read_hdf(tmp_path / f"out/{session}_cam0.h5").xs("x", axis=1, level="coords")
        np.testing.assert_allclose(x.to_numpy().ravel(), own["x"], atol=1e-6)
    told = (tmp_path / "out/audit.json").read_text()
    assert "s1: 1 pictures beside videos" in told
    assert "1 of 3 videos cannot be read and are left out." in told
    assert "broken.mp4" in told
    finders = iter([prediction.found_by, lambda _: _killed])
    monkeypatch.setattr(prediction, "found_by", lambda ensemble: next(finders)(ensemble))
    with pytest.raises(KeyboardInterrupt):
        run.predict(tmp_path / "s1", tmp_path / "s2", out=tmp_path / "killed")
    monkeypatch.undo()
    (part,) = (tmp_path / "killed/scans").glob("*/part-*")
    before = part.stat().st_mtime_ns
    run.predict(tmp_path / "s1", tmp_path / "s2", out=tmp_path / "killed")
    again = pd.read_parquet(tmp_path / "killed/predictions.parquet")
    pd.testing.assert_frame_equal(again, both)
    assert part.stat().st_mtime_ns == before


def _killed(frames):
    raise KeyboardInterrupt


def test_a_point_that_is_never_labelled_is_not_found(tmp_path):
    project = write_project(tmp_path / "p", 1, 6)
    for file in project.rglob("*.csv"):
        rows = [line.split(",") for line in file.read_text().splitlines()]
        blank = [[*row[:7], "", ""] if row[0].endswith(".png") else row for row in rows]
        file.write_text("\n".join(",".join(row) for row in blank))
    run = Estimate(**QUICK, folds=0).run(project, tmp_path / "r")
    Image.new("L", (80, 64), 180).save(tmp_path / "one.png")
    assert list(run.predict(tmp_path / "one.png")["keypoint"]) == ["nose", "earL", "earR"]
    assert "tail: labelled in no frame" in (run.folder / "audit.json").read_text()


def test_frames_of_more_animals_than_were_learnt_can_be_scored(tmp_path):
    run = Estimate(**QUICK, folds=0).run(write_herd(tmp_path / "one", 8, 1), tmp_path / "r")
    run.evaluate(write_herd(tmp_path / "two", 6, 2), tmp_path / "e")
    rows = pd.read_parquet(tmp_path / "e/predictions.parquet")
    mine = rows[(rows["role"] == "model") & (rows["there"] > 0)]
    assert mine.groupby("example")["individual"].nunique().max() == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DataError("no room for it"), "tracks failed: no room for it"),
        (MemoryError(), "tracks failed: out of memory"),
        (ValueError("could not open encoder"), "tracks failed: ValueError: could not open encoder"),
    ],
)
def test_tracks_that_fail_do_not_cost_the_table(tmp_path, monkeypatch, error, told):
    job = _writes_and_fails(tmp_path, monkeypatch, error)
    assert "a.mp4: has rows in the table" in job.findings[0].detail
    assert told in job.findings[0].detail


def test_a_full_disk_ends_a_prediction(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="No space left"):
        _writes_and_fails(tmp_path, monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(RuntimeError, match="No space left"):  # as HDF5 says it
        _writes_and_fails(tmp_path, monkeypatch, RuntimeError("errno = 28, 'No space left on …'"))


def test_frames_are_read_in_blocks_that_memory_holds(tmp_path, monkeypatch):
    sizes = []

    def look(frames):
        sizes.append(len(frames))
        return {"found": np.zeros((n := len(frames), 1, 1, 4)), "apart": np.zeros((n, 1, 1))}

    monkeypatch.setattr(prediction, "found_by", lambda _: look)
    monkeypatch.setattr("neuroloom.io.video._BLOCK", 4 * 32 * 48 * 3)
    axes = {"keypoints": ["nose"], "individuals": ["a"]}
    job = prediction.Job(SimpleNamespace(facts={"axes": axes}), None)
    frames = (np.full((32, 48, 1), 20 * i, np.uint8) for i in range(10))
    clip = write_video(tmp_path / "a.mp4", frames, 6.0)
    assert sum(map(len, job.of(clip, "a"))) == 10
    assert sizes == [4, 4, 2]


def _writes_and_fails(tmp_path, monkeypatch, error):
    """Return a job whose files of tracks end with an error."""

    def fail(*_):
        raise error

    monkeypatch.setattr(prediction, "write_results", fail)
    axes = {"keypoints": ["nose"], "individuals": ["a"]}
    job = prediction.Job(SimpleNamespace(facts={"axes": axes}), tmp_path)
    frames = (np.full((32, 48, 1), 40 * i, np.uint8) for i in range(3))
    with Video(write_video(tmp_path / "a.mp4", frames, 6.0)) as video:
        job._write(video, "a", np.zeros((3, 3)), np.full((3, 1), ""))
    return job


def test_tracks_know_their_film_from_any_folder(tmp_path, monkeypatch):
    """The film is named from the folder that the shell is in; tracks go elsewhere."""
    monkeypatch.chdir(tmp_path)
    Path("films").mkdir()
    frames = (np.full((32, 48, 1), 40 * i, np.uint8) for i in range(3))
    film = write_video(Path("films/a.mp4"), frames, 6.0)
    axes = {"keypoints": ["nose"], "individuals": ["a"], "source": "slp"}
    job = prediction.Job(SimpleNamespace(facts={"axes": axes}), tmp_path / "out")
    job.folder.mkdir()
    with Video(film) as video:
        job._write(video, "a", np.ones((3, 3)), np.full((3, 1), ""))
    assert not job.findings
    monkeypatch.chdir("/")
    file = tmp_path / "out/a.slp"
    assert video_of(file, read_tracks(file).attrs["video"]) == tmp_path / "films/a.mp4"


def test_a_picture_can_be_predicted_and_text_cannot(tmp_path):
    run = Estimate(**QUICK).run(write_project(tmp_path / "p", 1, 6), tmp_path / "r")
    Image.new("L", (80, 64), 180).save(tmp_path / "one.png")
    assert len(run.predict(tmp_path / "one.png")) == len(NAMES)
    (tmp_path / "notes.txt").write_text("no video")
    with pytest.raises(DataError, match="no video, picture"):
        run.predict(tmp_path / "notes.txt")


def test_neighbouring_held_out_frames_are_one_unit():
    table = pd.DataFrame({"onset": np.arange(20.0), "path": "v"})
    fold = Fold("the last fifth", np.arange(8), np.arange(8, 20), ["the last fifth"] * 12)
    units = units_in_blocks([fold], table)[0].units
    assert [units.count(name) for name in dict.fromkeys(units)] == [5, 5, 2]


def test_frames_of_one_new_video_are_judged_in_blocks(tmp_path):
    run = Estimate(**QUICK).run(write_project(tmp_path / "p", 1, 8), tmp_path / "r")
    run.evaluate(write_project(tmp_path / "new", 1, 7), out=tmp_path / "e")
    table = pd.read_parquet(tmp_path / "e" / "predictions.parquet")
    assert table.drop_duplicates("example")["unit"].value_counts().tolist() == [5, 2]


def test_whole_videos_are_the_units_where_there_are_several(tmp_path):
    recipe = Estimate(**QUICK, folds=3)
    folds = recipe.prepare(write_project(tmp_path / "p", 3, 6)).folds
    assert [len(set(fold.units)) for fold in folds] == [1, 1, 1]
    assert len({unit for fold in folds for unit in fold.units}) == 3


def test_animals_are_matched_whatever_their_order():
    truth = np.stack([np.array([[0, 0], [10, 0]]), np.array([[50, 50], [60, 50]])]).astype(float)
    found = np.concatenate([truth[::-1] + 1, np.ones((2, 2, 2))], -1)
    for name, (true, own, alike, _) in paired(truth, found, ["a", "b"], 10.0).items():
        np.testing.assert_allclose(own[:, :2] - true, 1.0)
        assert alike > 0.5, name


def test_a_false_animal_and_a_missed_one_are_told():
    truth = np.full((2, 2, 2), np.nan)
    truth[0] = [[0, 0], [10, 0]]
    found = np.full((2, 2, 4), np.nan)
    found[0, :, :2], found[1, :, :2] = [[0, 1], [10, 1]], [[90, 90], [99, 90]]
    names = list(paired(truth, found, ["a", "b"], 10.0))
    assert names == ["a", "no animal 1"]
    assert list(paired(truth, np.full((2, 2, 4), np.nan), ["a", "b"], 10.0)) == ["a"]


def test_a_small_animal_is_judged_by_its_own_size():
    truth = np.array([[[0.0, 0.0], [9.0, 9.0]], [[50.0, 50.0], [90.0, 90.0]]])
    found = np.concatenate([truth + 2.0, np.ones_like(truth)], -1)
    alike = [one[2] for one in paired(truth, found, ["a", "b"], body_sizes(truth, 1.0)).values()]
    assert alike[0] == pytest.approx(np.exp(-8 / (2 * (0.2 * 9) ** 2)))
    assert alike[1] == pytest.approx(np.exp(-8 / (2 * (0.2 * 40) ** 2)))


def test_each_keypoint_has_a_median():
    assert "median_error_px/tail" in points.metrics(["nose", "tail"])


def test_the_surer_of_two_nets_counts_more():
    one = np.array([[[[0.0, 0.0, 1.0, 0.5]]]])
    two = np.array([[[[10.0, 0.0, 1.0, 5.0]]]])
    mean, apart = (values[0, 0, 0] for values in together([one, two]))
    assert mean[0] == pytest.approx(10 * 0.04 / 4.04)
    assert mean[3] == pytest.approx((0.5 * 4 + 5 * 0.04) / 4.04)
    assert apart == pytest.approx((mean[0] * 4 + (10 - mean[0]) * 0.04) / 4.04)
    missing = np.full((1, 1, 1, 4), np.nan)
    mean, apart = together([one, missing])
    np.testing.assert_allclose(mean[0, 0, 0, :2], [0, 0])
    assert apart.tolist() == [[[0.0]]]


def test_the_scatter_of_nets_is_counted_once():
    """The error of one net holds it already: that of their mean is not expected to be larger."""
    rng = np.random.default_rng(0)
    size = rng.uniform(0.5, 4, 3000)
    off = rng.normal(size=(5, 3000, 2)) * size[:, None]
    nets = np.full((5, 3000, 1, 1, 4), 1.0)
    nets[..., 0, 0, :2], nets[..., 0, 0, 3] = off, size
    alone = calibrate(size, np.linalg.norm(off[0], axis=-1))
    mean, apart = together(list(nets))
    said = _said(alone, mean, apart)
    error = np.linalg.norm(mean[:, 0, 0, :2], axis=-1)
    assert error.mean() < said["expected_px"].mean() < 1.1 * alone.errors(size).mean()
    assert said["confidence"].mean() > alone.confidence(size).mean() - 0.03


def test_nets_that_see_a_point_in_two_places_are_not_sure_of_it():
    rng = np.random.default_rng(1)
    size = rng.uniform(0.5, 4, 1000)
    known = calibrate(size, size * rng.uniform(0, 2, 1000))
    one, two = np.ones((2, 1, 1, 1, 4))
    two[..., 0] += 40
    both, alone = (_said(known, *together(nets)).iloc[0] for nets in ([one, two], [one]))
    assert both["expected_px"] == pytest.approx(20)
    assert both["confidence"] < 0.2 < 0.9 < alone["confidence"]


def _said(known, mean, apart):
    columns = {"raw_px": mean[..., 3].ravel(), "apart_px": apart.ravel()}
    return calibrated(pd.DataFrame(columns), known.as_dict())


def test_the_seeds_of_a_fold_are_calibrated_together():
    """The mean of two nets that err to opposite sides is right, so that 2 px expected mean 0."""
    truth = np.zeros((30, 1, 1, 2))
    table = pd.DataFrame({"name": [str(number) for number in range(30)], "onset": np.arange(30.0)})
    facts = {"keypoints": ["nose"], "individuals": ["a"]}
    dataset = SimpleNamespace(truth=truth, table=table, facts=facts)
    folds = [SimpleNamespace(test=np.arange(30))]
    scores = np.full((2, 30, 1, 1, 4), 2.0)
    scores[..., 0], scores[..., 1] = np.array([-2.0, 2.0])[:, None, None, None], 0.0
    fits = [SimpleNamespace(job=SimpleNamespace(fold=0), scores=one) for one in scores]
    prepared = SimpleNamespace(dataset=dataset, folds=folds)
    assert max(calibration_of(prepared, fits)["calibration"]["error"]) == pytest.approx(0)
    assert min(calibration_of(prepared, fits[:1])["calibration"]["error"]) == pytest.approx(2)


def test_two_nets_that_list_animals_in_other_orders_agree():
    rng = np.random.default_rng(0)
    one = rng.uniform(0, 20, (6, 2, 4, 4))
    one[:, 1, :, :2] += 100
    other = one[:, ::-1] + 0.25
    mean, _ = together([one, other])
    np.testing.assert_allclose(mean[..., :2], one[..., :2] + 0.125, atol=0.2)
    only_first, only_second = one.copy(), one.copy()
    only_first[:, 1], only_second[:, 0] = np.nan, np.nan
    both, _ = together([only_first, only_second[:, ::-1]])
    np.testing.assert_allclose(both[..., :2], one[..., :2])


def test_nets_that_saw_nothing_do_not_let_the_others_mix_two_animals():
    one = np.zeros((1, 2, 3, 4))
    one[..., 2:] = 1.0
    one[0, :, :, 0] = [[0.0, 5.0, 10.0], [100.0, 105.0, 110.0]]
    mean, _ = together([np.full_like(one, np.nan), one, one[:, ::-1]])
    np.testing.assert_allclose(mean[..., :2], one[..., :2])


def test_an_animal_that_one_net_alone_saw_keeps_its_name():
    nobody, second = np.full((1, 2, 3, 4), np.nan), np.full((1, 2, 3, 4), np.nan)
    second[0, 1] = 1.0
    mean, _ = together([nobody, second])
    assert np.isnan(mean[0, 0]).all()
    np.testing.assert_allclose(mean[0, 1, :, :2], 1.0)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_expectations_become_true_on_points_they_were_not_made_of(factor):
    rng = np.random.default_rng(1)
    said = rng.gamma(2.0, 1.5, 4000)
    off = factor * said * rng.gamma(4.0, 0.25, 4000)
    there = cross_calibrated(said, off, np.arange(4000) % 5)
    assert slope(there, off) == pytest.approx(1.0, abs=0.15)


def test_expectations_without_meaning_are_flattened():
    rng = np.random.default_rng(2)
    found = calibrate(rng.uniform(1, 9, 200), rng.gamma(2, 1, 200))
    assert np.ptp(found.error) < 1.0
    assert Calibration.from_dict(found.as_dict()) == found


def test_a_slope_of_expectations_that_are_all_one_is_not_given():
    rows = pd.DataFrame(
        {"role": "model", "unit": list("aabbcc"), "expected_px": 2.0, "error_px": np.arange(6.0)}
    )
    assert score_of_expectation(rows)["expectation_slope"]["value"] is None


def test_one_error_that_is_far_off_makes_the_slope_unsure():
    rng = np.random.default_rng(3)
    said = rng.gamma(2.0, 1.5, 60)
    rows = pd.DataFrame(
        {"role": "model", "unit": np.arange(60) // 5, "expected_px": said, "error_px": said}
    )
    calm = score_of_expectation(rows)["expectation_slope"]
    assert calm["low"] == pytest.approx(1.0)
    assert calm["high"] == pytest.approx(1.0)
    rows.loc[int(np.argmax(said)), "error_px"] = 90.0
    wild = score_of_expectation(rows)["expectation_slope"]
    assert wild["low"] < 1.1 < wild["value"] < wild["high"]
