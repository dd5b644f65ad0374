import shutil
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.eye import Gaze, Pupil
from neuroloom.eye.eyeball.jobs import find_jobs
from neuroloom.eye.eyeball.model import Eyeball, read_eyeball, write_eyeball
from neuroloom.eye.find.pupils import SHIPPED, load_net
from neuroloom.eye.labelled import find_labelled, how_drawn, open_labelled, read_labelled
from neuroloom.eye.pupil import Seen
from neuroloom.eye.story.gaze import draw_gaze
from neuroloom.eye.story.pupil import _notes, events_of, summarise
from neuroloom.eye.story.train import own_dice
from neuroloom.eye.train import Labelled, Train
from neuroloom.eye.training import loss_of
from neuroloom.eye.videos import View, find_videos, scan_pupils
from neuroloom.io.video import Video, write_video
from tests.eyes import scene, write_scene


@pytest.fixture(scope="module")
def pupils(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pupils")
    return Pupil().run(write_scene(folder / "data"), folder / "run")


def test_pupils_of_a_video_lie_where_they_were_rendered(pupils):
    truth, table = scene(), pupils.predictions
    open_ = ~truth.blink
    off = np.hypot(table["x_px"] - truth.ellipse[:, 0], table["y_px"] - truth.ellipse[:, 1])
    assert np.median(off[open_]) < 1
    wide = table["diameter_px"][open_] / (2 * truth.ellipse[open_, 2])
    assert abs(np.median(wide) - 1) < 0.05
    assert (table["confidence"][truth.blink] < 0.5).all()


def test_it_is_told_what_a_diameter_is_measured_in(pupils):
    assert "ellipse) in those frames, px." in (pupils.folder / "report.html").read_text()
    table = pd.DataFrame(
        {"time_s": np.arange(9) / 9, "blink": 0.0, "confidence": 1.0, "x_px": 0.0, "y_px": 0.0}
    )
    for unit in ("px", "mm"):
        measured = table.assign(**{f"diameter_{unit}": 4.0})
        found = events_of(measured, Pupil(stimuli=[0.5]))["reflexes"]
        assert found["unit"].tolist() == [unit] * len(found)
        assert "unit" in found


def test_the_tables_have_the_names_of_meye(pupils):
    table = pd.read_csv(pupils.folder / "artifacts" / "eye_meye.csv")
    assert {"frame", "pupil-area", "pupil-x", "pupil-y", "eye", "blink"} <= set(table)
    assert len(table) == 40
    assert (pupils.folder / "artifacts" / "eye_overlay.mp4").stat().st_size > 0


def write_jobs(folder, rows):
    names = ["operation", "fit_vid", "infer_vid", "eyeball_model", "result", "with_gaze"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "jobs.csv", index=False)
    return folder / "jobs.csv"


def write_blank(file, width, height):
    return write_video(file, np.zeros((2, height, width, 1), np.uint8), 25)


def test_eyeballs_of_a_table_are_known_by_their_whole_path(tmp_path):
    write_blank(tmp_path / "a.mp4", 64, 48)
    rows = [
        ("fit", "a.mp4", "", "s1/eye.json", "", ""),
        ("fit", "a.mp4", "", "s2/eye.json", "", ""),
        ("infer", "", "a.mp4", "s1/eye.json", "one", ""),
    ]
    found = find_jobs(write_jobs(tmp_path, rows), None, [])
    assert [job.model for job in found.jobs] == ["s1_eye", "s2_eye", "s1_eye"]
    with pytest.raises(ConfigError, match=r"eyeball: the rows of jobs\.csv"):
        find_jobs(tmp_path / "jobs.csv", "eye.json", [])


def test_results_of_a_table_are_known_by_their_whole_path(tmp_path):
    for folder in ("s1", "s2"):
        (tmp_path / folder).mkdir()
        write_blank(tmp_path / folder / "eye.mp4", 64, 48)
    rows = [
        ("both", "s1/eye.mp4", "s1/eye.mp4", "m.json", "s1/gaze.csv", ""),
        ("infer", "", "s2/eye.mp4", "m.json", "s2/gaze.csv", ""),
        ("infer", "", "s1/eye.mp4", "m.json", "", ""),
        ("infer", "", "s2/eye.mp4", "m.json", "", ""),
        ("infer", "", "s2/eye.mp4", "m.json", "s1/gaze.csv", ""),
    ]
    found = find_jobs(write_jobs(tmp_path, rows), None, [])
    assert [job.name for job in found.jobs] == ["s1_gaze", "s2_gaze", "s1_eye", "s2_eye"]
    assert {job.model for job in found.jobs} == {"m"}
    told = [one.detail for one in found.findings if one.severity == "objection"]
    assert len(told) == 1
    assert "Line 6 was skipped: the result 's1/gaze.csv' is that of a line above" in told[0]


def test_an_eyeball_goes_with_frames_of_its_own_size(tmp_path):
    write_blank(tmp_path / "a.mp4", 64, 48)
    write_blank(tmp_path / "b.mp4", 32, 24)
    model = Eyeball(80.0, (31.5, 23.5), (0.0, 0.0, 50.0), size=(64, 48))
    eyeball = str(write_eyeball(tmp_path / "eye.json", model))
    found = find_jobs(tmp_path, eyeball, [])
    assert [job.name for job in found.jobs] == ["a"]
    assert "b.mp4 is of 32 x 24 px" in found.findings[-1].detail
    rows = [("both", "a.mp4", "b.mp4", "x", "", ""), ("infer", "", "a.mp4", "eye.json", "", "")]
    found = find_jobs(write_jobs(tmp_path, rows), None, [])
    assert [job.name for job in found.jobs] == ["a"]
    with pytest.raises(DataError, match="frames of 64 x 48 px"):
        Gaze(eyeball=eyeball).prepare(tmp_path / "b.mp4")
    for idle in ({"focal": 300.0}, {"radius": 11.0}, {"refraction": False}):
        with pytest.raises(ConfigError, match=f"{next(iter(idle))}: the eyeball"):
            Gaze(eyeball=eyeball, **idle).prepare(tmp_path / "a.mp4")


def test_a_region_that_lies_beyond_one_video_is_told_beforehand(tmp_path):
    write_blank(tmp_path / "a.mp4", 64, 48)
    write_blank(tmp_path / "b.mp4", 32, 24)
    roi = [20, 8, 40, 32]
    with pytest.raises(DataError, match=r"reaches beyond b\.mp4, which is 32 x 24 px"):
        Pupil(roi=roi).run(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert Pupil(roi=roi, include=["a*"]).prepare(tmp_path).sizes
    rows = [("both", "a.mp4", "a.mp4", "a", "", ""), ("both", "b.mp4", "b.mp4", "b", "", "")]
    table = write_jobs(tmp_path, rows)
    for data in (tmp_path, table):
        found = Gaze(roi=roi).prepare(data)
        assert [job.name for job in found.jobs] == ["a"]
        assert any("reaches beyond b.mp4" in one.detail for one in found.findings)
    with pytest.raises(DataError, match="reaches beyond"):
        Gaze(roi=roi).prepare(tmp_path / "b.mp4")


def test_what_an_earlier_run_drew_is_no_eye(tmp_path):
    for name in ("a.mp4", ".trash/c.mp4", "run1/artifacts/a_overlay.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_blank(tmp_path / name, 64, 48)
    for name in ("recipe.yaml", "status.json"):
        (tmp_path / "run1" / name).touch()
    assert list(find_videos(tmp_path, []).files) == ["a"]
    assert list(find_videos(tmp_path / "run1", []).files) == ["a_overlay"]


@pytest.mark.parametrize("recipe", [Pupil, Gaze])
def test_a_folder_without_a_video_is_refused_before_the_net_is_made(tmp_path, monkeypatch, recipe):
    monkeypatch.setattr("neuroloom.eye.videos.net_of", lambda *_: pytest.fail("the net was made"))
    for name in ("a.nii.gz", "b.nii.gz", "dataset.json"):
        (tmp_path / name).touch()
    said = r"no video among its 3 files \(2 \.nii\.gz, 1 \.json\)\. .*`neuroloom recipes`"
    with pytest.raises(DataError, match=said):
        recipe().prepare(tmp_path)


def test_pictures_of_a_microscope_are_told_from_frames_of_an_eye(tmp_path):
    (tmp_path / "sem").mkdir()
    for k in range(2):
        Image.new("L", (2400, 1800)).save(tmp_path / f"sem/{k}.png")
    told = find_videos(tmp_path, []).findings
    assert any("sem: is a folder of pictures of 2400 x 1800 px" in one.detail for one in told)


def test_gaze_in_batches_skips_what_fails(tmp_path):
    write_scene(tmp_path)
    (tmp_path / "torn.mp4").write_bytes(b"no video")
    write_video(tmp_path / "dark.mp4", np.zeros((3, 96, 128, 1), np.uint8), 25)
    rows = [
        ("fit", "eye.mp4", "", "model.json", "", "y"),
        ("infer", "", "eye.mp4", "model.json", "gaze.csv", "y"),
        ("infer", "", "eye.mp4", "", "plain.csv", "n"),
        ("both", "torn.mp4", "torn.mp4", "x.json", "x.csv", "y"),
        ("guess", "eye.mp4", "", "", "", ""),
        ("both", "dark.mp4", "dark.mp4", "dark.json", "dark.csv", "y"),
    ]
    write_jobs(tmp_path, rows)
    run = Gaze(focal=204.8, overlay=False).run(tmp_path / "jobs.csv", tmp_path / "run")
    told = [row["detail"] for row in read_json(run.folder / "audit.json")]
    assert any("torn.mp4" in text for text in told)
    assert any("guess" in text for text in told)
    assert any(text.startswith("dark: ") for text in told)
    assert "dark: " in (run.folder / "report.html").read_text()
    assert read_eyeball(run.folder / "artifacts" / "model_eyeball.json").size == (128, 96)
    found = pd.read_csv(run.folder / "artifacts" / "gaze_deepvog.csv")
    assert {"pupil2D_x", "gaze_x", "gaze_y", "confidence", "consistence"} <= set(found)
    assert "gaze_x" not in pd.read_csv(run.folder / "artifacts" / "plain_deepvog.csv")
    truth = scene()
    yaw = truth.eyes.yaw[~truth.blink]
    assert np.nanmedian(np.abs(found["gaze_x"][~truth.blink] - yaw)) < 1.5


def test_what_a_user_can_mend_is_said(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Pupil().run(tmp_path / "none", tmp_path / "a")
    (tmp_path / "x.mp4").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x\.mp4"):
        Pupil().run(tmp_path / "x.mp4", tmp_path / "a")
    write_scene(tmp_path / "v", frames=3)
    with pytest.raises(ConfigError, match="roi"):
        Pupil(roi=[1, 2, 3]).run(tmp_path / "v", tmp_path / "a")
    with pytest.raises(DataError, match="weights"):
        Pupil(weights=str(tmp_path / "none.safetensors")).run(tmp_path / "v", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_where_no_speed_is_known_is_noted(tmp_path):
    table = pd.DataFrame({"confidence": np.ones(9)})
    seen = [Seen(name, tmp_path, View(), table) for name in "ab"]
    events = [{"saccades": pd.DataFrame()} for _ in seen]
    events[1]["saccades"].attrs["unknown"] = 0.25
    (note,) = _notes(Pupil(), seen, events)
    assert note.startswith("No speed is known in 25% of the frames of b,")


def test_another_net_or_eyeball_is_another_run(tmp_path):
    data = write_scene(tmp_path / "v", frames=3)
    weights = tmp_path / "net.safetensors"
    shutil.copy(SHIPPED, weights)
    run = Pupil(weights=str(weights), overlay=False).run(data, tmp_path / "run")
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(DataError, match="weights changed since this run began"):
        run.replay(tmp_path / "again")
    model = Eyeball(80.0, (31.5, 23.5), (0.0, 0.0, 50.0), size=(128, 96))
    eyeball = write_eyeball(tmp_path / "own.json", model)
    assert find_jobs(data, str(eyeball), []).files == {"eyeball/own": eyeball}
    rows = [
        ("fit", "v/eye.mp4", "", "x.json", "", ""),
        ("infer", "", "v/eye.mp4", "own.json", "", ""),
    ]
    table = write_jobs(tmp_path, rows)
    assert find_jobs(table, None, []).files == {"eyeball/own": eyeball, "table": table}


def test_a_scan_goes_on_with_the_net_that_began_it(tmp_path):
    data, other = write_scene(tmp_path, frames=3), deepcopy(load_net())
    with Video(data / "eye.mp4", grey=True, patch=True) as video:
        for _ in range(2):
            scan_pupils(video, View(), load_net(), tmp_path / "scan")
        with torch.no_grad():
            next(other.parameters()).mul_(1.01)
        with pytest.raises(DataError, match="holds the parts of another scan"):
            scan_pupils(video, View(), other, tmp_path / "scan")


def test_pictures_beside_a_video_are_told(tmp_path):
    data = write_scene(tmp_path / "v", frames=3)
    Image.new("L", (32, 32)).save(data / "frame.png")
    told = Pupil().prepare(data).findings
    assert any("v: 1 pictures beside videos were passed over" in one.detail for one in told)


def test_own_masks_are_read(tmp_path):
    truth = scene(2)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for k in range(2):
        label = truth.eye[k] * 3
        label[truth.iris[k]], label[truth.pupil[k]] = 2, 1
        Image.fromarray(truth.image[k]).save(tmp_path / "images" / f"{k}.png")
        Image.fromarray(label.astype(np.uint8)).save(tmp_path / "masks" / f"{k}.png")
    pairs = find_labelled(tmp_path)
    bank = read_labelled(pairs, 96, how_drawn(pairs))
    assert bank.known.min() == 1
    share = bank.masks.float().sum((2, 3)).numpy() / (72 * 96)
    np.testing.assert_allclose(share[0, 0], truth.pupil[0].mean(), atol=0.01)
    np.testing.assert_allclose(share[1, 2], truth.eye[1].mean(), atol=0.01)
    (tmp_path / "masks" / "1.png").unlink()
    with pytest.raises(DataError, match="1 has no mask"):
        find_labelled(tmp_path)


def save(folder, half, name, pixels):
    (folder / half).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / half / name)


def write_round(folder, names="a"):
    """A round pupil of 40 px radius at the right edge of pictures of 160 x 320 px."""
    y, x = np.mgrid[:160, :320]
    pupil = np.hypot(x - 279, y - 80) < 40
    for name in names:
        save(folder, "images", f"{name}.png", np.where(pupil, 30, 150 + x // 10).astype(np.uint8))
        save(folder, "masks", f"{name}.png", 255 * pupil.astype(np.uint8))
    return find_labelled(folder), pupil


def test_a_picture_keeps_its_proportions_and_nothing_is_learnt_beside_it(tmp_path):
    pairs, _ = write_round(tmp_path)
    bank = read_labelled(pairs, 96, how_drawn(pairs))
    pupil = bank.masks[0, 0].numpy()
    assert abs(int(pupil.any(0).sum()) - int(pupil.any(1).sum())) <= 1
    assert bank.inside[0].any(1).nonzero().flatten().tolist() == list(range(24, 72))
    assert (bank.image[0, :24] == bank.image[0, 24]).all()
    seen = replace(bank, masks=bank.masks.float(), inside=bank.inside.float())
    maps = torch.zeros(1, 3, 96, 96, requires_grad=True)
    loss_of(maps, torch.zeros(1, 2), seen).backward()
    assert not maps.grad[0, :, :24].any()
    assert maps.grad[0, 0, 24:72].all()


def test_held_out_pupils_are_compared_in_their_own_proportions(tmp_path, monkeypatch):
    pairs, pupil = write_round(tmp_path, "ab")
    shapes = []

    def perfect(frames, net):
        shapes.append(frames.shape)
        small = pupil[None, None, 1::2, 1::2].astype(np.float32)
        return np.repeat(small, 3, 1), np.ones((1, 2))

    monkeypatch.setattr("neuroloom.eye.find.pupils.maps_of", perfect)
    prepared = Labelled(test=pairs, drawing=how_drawn(pairs))
    assert own_dice(prepared, None) > 0.97
    assert shapes == [(1, 160, 320)] * 2


def test_masks_in_colours_and_pictures_of_sixteen_bits(tmp_path):
    pupil = np.zeros((20, 30), bool)
    pupil[5:12, 8:18] = True
    ramp = np.tile(np.linspace(0, 65535, 30), (20, 1)).astype(np.uint16)
    green = np.zeros((20, 30, 3), np.uint8)
    green[pupil, 1] = 255
    save(tmp_path, "images", "a.png", ramp)
    save(tmp_path, "masks", "a.png", green)
    grey, label = open_labelled(*find_labelled(tmp_path)[0])
    assert np.array_equal(label > 0, pupil)
    assert np.array_equal(grey, ramp >> 8)
    green[:3, :, 2] = 255
    save(tmp_path, "masks", "a.png", green)
    with pytest.raises(DataError, match=r"a\.png is drawn in several colours"):
        Train(labelled=str(tmp_path)).prepare(tmp_path)


def test_all_masks_tell_what_one_value_means(tmp_path):
    eye = np.zeros((20, 30), np.uint8)
    eye[2:18, 3:27] = 3
    open_eye = eye.copy()
    open_eye[6:14, 10:20] = 1
    for name, mask in (("covered", eye), ("open", open_eye), ("shut", 0 * eye)):
        save(tmp_path, "images", f"{name}.png", np.full((20, 30), 90, np.uint8))
        save(tmp_path, "masks", f"{name}.png", mask)
    pairs = find_labelled(tmp_path)
    bank = read_labelled(pairs, 32, how_drawn(pairs))
    assert bank.masks.amax((2, 3)).tolist() == [[0, 0, 1], [1, 1, 1], [0, 0, 0]]
    assert bank.tags[:, 1].tolist() == [1, 0, 1]
    assert bank.known.tolist() == [[1] * 5, [1] * 5, [1, 1, 1, 0, 1]]
    alone = read_labelled(pairs[:1], 32, how_drawn(pairs[:1]))
    assert alone.masks.amax((2, 3)).all()
    assert alone.known.tolist() == [[1, 0, 0, 1, 1]]
    save(tmp_path, "masks", "shut.png", np.full_like(eye, 255))
    with pytest.raises(DataError, match=r"shut\.png holds \[255\], other masks 1 pupil"):
        how_drawn(pairs)


def test_a_bad_held_out_mask_is_told_before_training(tmp_path):
    for number in range(5):
        save(tmp_path, "images", f"{number}.png", np.zeros((8, 9), np.uint8))
        save(tmp_path, "masks", f"{number}.png", np.eye(8, 9, dtype=np.uint8))
    (tmp_path / "images" / "._0.png").write_bytes(b"what macOS leaves beside files")
    recipe = Train(labelled=str(tmp_path))
    assert len(recipe.prepare(tmp_path).test) == 1
    save(tmp_path, "masks", "4.png", np.arange(72, dtype=np.uint8).reshape(8, 9))
    with pytest.raises(DataError, match=r"4\.png holds .*expected 1 pupil"):
        recipe.prepare(tmp_path)
    (tmp_path / "masks" / "4.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"4\.png cannot be read"):
        recipe.prepare(tmp_path)


def test_globs_that_choose_nothing_are_said(tmp_path):
    with pytest.raises(ConfigError, match="include: picks among pictures of `labelled`"):
        Train(include=["*.png"]).prepare(tmp_path)
    for part in ("images", "masks"):
        save(tmp_path, part, "0.png", np.eye(8, 9, dtype=np.uint8))
    with pytest.raises(DataError, match="no picture in images/ matches include"):
        Train(labelled=str(tmp_path), include=["eye*"]).prepare(tmp_path)
    (tmp_path / "jobs.csv").write_text("operation")
    with pytest.raises(ConfigError, match="include: the rows of jobs.csv name the videos"):
        Gaze(include=["*.mp4"]).prepare(tmp_path / "jobs.csv")


def test_pupils_that_are_not_sure_are_not_drawn():
    row = pd.Series({"x_px": 20.0, "y_px": 20.0, "major_px": 16.0, "minor_px": 16.0,
                     "angle_deg": 0.0, "confidence": 0.4})  # fmt: skip
    frame = np.full((40, 40, 3), 90, np.uint8)
    assert (draw_gaze(frame, row, None, 0.5) == frame).all()
    assert (draw_gaze(frame, row, None, 0.3) != frame).any()


def test_training_goes_by_command_line(tmp_path, capsys):
    from neuroloom.apps.cli import main

    words = ["run", "eye.train", "--steps", "2", "--judged", "2", "--tune"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert "from the shipped net" in capsys.readouterr().err


def test_blocks_of_videos_whose_names_run_on_stay_apart():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "name": np.repeat(["rec", "rec1"], 200), "frame": np.tile(np.arange(200), 2),
        "time_s": np.tile(np.arange(200) / 30, 2), "confidence": rng.uniform(0, 1, 400),
        "diameter_px": rng.normal(30, 3, 400), "blink": 0.0,
    })  # fmt: skip
    apart = table.assign(name=table["name"].replace("rec1", "other"))
    assert summarise(table, 0.5, 0) == summarise(apart, 0.5, 0)
