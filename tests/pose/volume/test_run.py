"""A run from films to points in space, and what can be done with it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.io.tracks import read_tracks
from neuroloom.io.video import write_video
from neuroloom.learn.training.fit import own_threads
from neuroloom.pose.rig import write_rig
from neuroloom.pose.volume.kept import load
from neuroloom.pose.volume.predict import films_of
from neuroloom.pose.volumetric import Volumetric
from tests.pose.rig.scenes import small_scene, write_scene


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run and the project it learnt from."""
    place = tmp_path_factory.mktemp("volume")
    data = write_scene(place / "scene")
    with own_threads(1):
        recipe = Volumetric(budget="80 steps", grid=8, batch=2, shrink=1)
        return recipe.run(data, place / "run"), data


def test_the_animal_is_found_and_its_points_judged(made):
    run, _ = made
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["found"]["value"] == 1
    # The animals lie some 14 mm round the middle of the scene: finding must beat that.
    assert metrics["com_error"]["value"] < 7
    rows = run.predictions
    assert len(rows) == 2 * 22
    told = np.linalg.norm(rows[["x", "y", "z"]].to_numpy() - rows[["x_true", "y_true", "z_true"]]
                          .to_numpy(), axis=1)  # fmt: skip
    np.testing.assert_allclose(metrics["mean_error_mm"]["value"], told.mean())
    assert metrics["mean_error_mm"]["baseline"] == pytest.approx(rows["two_step"].mean())


def test_new_films_become_tracks(made, tmp_path):
    run, data = made
    table = run.predict(data, out=tmp_path / "p")
    assert table["frame"].nunique() == 8
    tracks = read_tracks(tmp_path / "p/scene/tracks.nc")
    assert tracks.attrs["unit"] == "mm"
    assert tracks.attrs["rate"] == 50
    places = table[["x", "y", "z"]].to_numpy().reshape(8, 22, 3)
    np.testing.assert_allclose(tracks.values[..., 0], places.transpose(0, 2, 1))
    held = loadmat(tmp_path / "p/scene/save_data_AVG.mat")
    np.testing.assert_allclose(held["pred"], places.transpose(0, 2, 1))
    assert held["p_max"].shape == (8, 22)
    truth = small_scene(8)[1].points.mean(1)
    assert np.median(np.linalg.norm(held["com"] - truth, axis=1)) < 7


def test_an_interrupted_prediction_goes_on(made, tmp_path):
    run, data = made
    whole = run.predict(data, out=tmp_path / "p")
    (tmp_path / "p/status.json").unlink()
    (tmp_path / "p/predictions.parquet").unlink()
    part = next((tmp_path / "p/scans/scene").glob("part-*.npz"))
    before = part.stat().st_mtime_ns
    pd.testing.assert_frame_equal(run.predict(data, out=tmp_path / "p"), whole)
    assert part.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="not empty"):
        run.predict(data, out=tmp_path / "p")


def test_a_frame_that_cannot_be_decoded_costs_its_rows(made, tmp_path):
    run, data = made
    shutil.copytree(data, tmp_path / "torn")
    film = sorted((tmp_path / "torn/videos").rglob("*.mp4"))[1]
    content = bytearray(film.read_bytes())
    middle, length = len(content) // 2, len(content) // 8
    content[middle : middle + length] = bytes(length)
    film.write_bytes(content)
    table = run.predict(tmp_path / "torn", out=tmp_path / "p")
    lost = table.groupby("frame")["x"].apply(lambda column: column.isna().all())
    assert 1 <= lost.sum() < 8
    assert (table.loc[table["frame"].map(lost), "confidence"] == 0).all()
    (note,) = read_json(tmp_path / "p/status.json")["notes"]
    assert f"{lost.sum()} moments have a frame that cannot be decoded" in note


def test_films_without_a_calibration_are_seen_by_the_cameras_of_the_run(made, tmp_path):
    run, data = made
    shutil.copytree(data / "videos", tmp_path / "bare/videos")
    pd.testing.assert_frame_equal(
        run.predict(tmp_path / "bare").drop(columns="films"),
        run.predict(data).drop(columns="films"),
        rtol=1e-3,
        atol=1e-3,
    )


def test_where_no_animal_is_nothing_is_said(made, tmp_path):
    run, _ = made
    kept = load(run.folder)
    rng = np.random.default_rng(0)
    for camera in kept.rig:
        frames = rng.integers(60, 130, (3, camera.size[1], camera.size[0], 1), dtype=np.uint8)
        place = tmp_path / "empty/videos" / camera.name
        place.mkdir(parents=True)
        write_video(place / "0.mp4", frames, 50.0)
    table = run.predict(tmp_path / "empty")
    assert table["x"].isna().all()
    assert (table["confidence"] == 0).all()


def test_other_labels_are_scored(made, tmp_path):
    run, data = made
    table = run.evaluate(data, tmp_path / "e")
    assert table.attrs == {"labelled": 8, "unlabelled": 0}
    metrics = read_json(tmp_path / "e/metrics.json")
    rows = pd.read_parquet(tmp_path / "e/predictions.parquet")
    assert metrics["com_error"]["value"] == pytest.approx(
        rows.groupby("frame")["com"].first().mean()
    )


def test_a_calibration_without_a_unit_is_in_that_of_the_run(made, tmp_path):
    run, data = made
    kept = load(run.folder)
    shutil.copytree(data / "videos", tmp_path / "s/videos")
    file = write_rig(kept.rig, tmp_path / "s/calibration.toml")
    file.write_text(file.read_text().replace('"mm"', '""'))
    assert films_of(tmp_path / "s", kept)[1].unit == "mm"
    write_rig(replace(kept.rig, unit="m"), file)
    with pytest.raises(DataError, match="in m, expected was mm"):
        films_of(tmp_path / "s", kept)


def test_films_that_do_not_fit_are_named(made, tmp_path):
    run, data = made
    kept = load(run.folder)
    shutil.copytree(data, tmp_path / "s")
    film = tmp_path / "s/videos/cam1/0.mp4"
    write_video(film, np.zeros((8, 96, 128, 1), np.uint8), 25.0)
    with pytest.raises(DataError, match="25 frames a second"):
        films_of(tmp_path / "s", kept)
    write_video(film, np.zeros((6, 96, 128, 1), np.uint8), 50.0)
    films, _ = films_of(tmp_path / "s", kept)
    assert len(films) == 6
    assert "shortest" in films.notes[0]
    write_video(film, np.zeros((8, 64, 64, 1), np.uint8), 50.0)
    with pytest.raises(DataError, match="64 x 64 px"):
        films_of(tmp_path / "s", kept)
    write_video(film.with_name("100.mp4"), np.zeros((8, 64, 64, 1), np.uint8), 50.0)
    with pytest.raises(DataError, match="has 2 films"):
        films_of(tmp_path / "s", kept)
