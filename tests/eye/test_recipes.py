import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.eye import Gaze, Pupil
from neuroloom.eye.labelled import find_labelled, read_labelled
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


def test_the_tables_have_the_names_of_meye(pupils):
    table = pd.read_csv(pupils.folder / "artifacts" / "eye_meye.csv")
    assert {"frame", "pupil-area", "pupil-x", "pupil-y", "eye", "blink"} <= set(table)
    assert len(table) == 40
    assert (pupils.folder / "artifacts" / "eye_overlay.mp4").stat().st_size > 0


def test_gaze_in_batches_skips_what_fails(tmp_path):
    write_scene(tmp_path)
    (tmp_path / "torn.mp4").write_bytes(b"no video")
    rows = [
        ("fit", "eye.mp4", "", "model.json", "", "y"),
        ("infer", "", "eye.mp4", "model.json", "gaze.csv", "y"),
        ("infer", "", "eye.mp4", "", "plain.csv", "n"),
        ("both", "torn.mp4", "torn.mp4", "x.json", "x.csv", "y"),
        ("guess", "eye.mp4", "", "", "", ""),
    ]
    names = ["operation", "fit_vid", "infer_vid", "eyeball_model", "result", "with_gaze"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "jobs.csv", index=False)
    run = Gaze(focal=204.8, overlay=False).run(tmp_path / "jobs.csv", tmp_path / "run")
    told = [row["detail"] for row in read_json(run.folder / "audit.json")]
    assert any("torn.mp4" in text for text in told)
    assert any("guess" in text for text in told)
    found = pd.read_csv(run.folder / "artifacts" / "gaze.csv")
    assert {"pupil2D_x", "gaze_x", "gaze_y", "confidence", "consistence"} <= set(found)
    assert "gaze_x" not in pd.read_csv(run.folder / "artifacts" / "plain.csv")
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


def test_own_masks_are_read(tmp_path):
    from PIL import Image

    truth = scene(2)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for k in range(2):
        label = truth.eye[k] * 3
        label[truth.iris[k]], label[truth.pupil[k]] = 2, 1
        Image.fromarray(truth.image[k]).save(tmp_path / "images" / f"{k}.png")
        Image.fromarray(label.astype(np.uint8)).save(tmp_path / "masks" / f"{k}.png")
    bank = read_labelled(find_labelled(tmp_path), 96)
    assert bank.known.min() == 1
    share = bank.masks.float().mean((2, 3)).numpy()
    np.testing.assert_allclose(share[0, 0], truth.pupil[0].mean(), atol=0.01)
    np.testing.assert_allclose(share[1, 2], truth.eye[1].mean(), atol=0.01)
    (tmp_path / "masks" / "1.png").unlink()
    with pytest.raises(DataError, match="1 has no mask"):
        find_labelled(tmp_path)


def test_training_goes_by_command_line(tmp_path, capsys):
    from neuroloom.apps.cli import main

    words = ["run", "eye.train", "--steps", "2", "--judged", "2", "--tune"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert "from the shipped net" in capsys.readouterr().err
