"""pose.calibrate on clips whose cameras are known."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.files import read_json
from neuroloom.pose.calibrate import Calibrate
from neuroloom.pose.rig import Camera, Rig, read_rig, write_rig
from neuroloom.pose.rig.board import find_clips
from tests.pose.rig.boards import write_session
from tests.pose.rig.rigs import look_at


def small_rig() -> Rig:
    """Three small cameras with round pixels."""
    places = np.array([[60.0, 20, 330], [-90, 60, 300], [20, -120, 310]])
    middle = np.array([[420.0, 0, 159.5], [0, 420, 119.5], [0, 0, 1]])
    cameras = []
    for name, place in zip("abc", places, strict=True):
        camera = look_at(name, place)
        cameras.append(Camera(name, middle, R=camera.R, t=camera.t, size=(320, 240)))
    return Rig(tuple(cameras))


def write_clips(folder):
    """Clips of the small rig, with a calibration beside them in which c is a copy of b."""
    rig = small_rig()
    write_session(folder, rig, frames=10)
    b = rig.cameras[1]
    copy = Camera("c", b.K, R=b.R, t=b.t, size=b.size)
    write_rig(Rig((*rig.cameras[:2], copy)), folder / "calibration.toml")
    return folder


def test_clips_give_their_cameras_and_the_older_calibrations_fault(tmp_path):
    run = Calibrate(lens="f k1 k2", starts=2).run(write_clips(tmp_path / "s"), tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["median_px"]["value"] < 0.2
    assert metrics["held_out_px"]["value"] < 0.2
    assert metrics["starts_apart_px"]["value"] < 0.005
    found = read_rig(run.folder / "artifacts/calibration.toml")
    for mine, theirs in zip(small_rig(), found, strict=True):
        assert theirs.K[0, 0] == pytest.approx(mine.K[0, 0], rel=0.03)
    told = [row["detail"] for row in read_json(run.folder / "audit.json")
            if row["title"] == "The older calibration: a faulty camera"]  # fmt: skip
    assert len(told) == 1
    assert "camera 'c' does not fit" in told[0]


def test_clips_are_named_by_folder_or_by_what_differs(tmp_path):
    for name in ("one/calib.avi", "two/calib.avi", "two/mouse.avi"):
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).touch()
    assert list(find_clips(tmp_path / "a")) == ["one", "two"]
    (tmp_path / "b").mkdir()
    for name in ("calib-camA-day1.mp4", "calib-camB-day1.mp4"):
        (tmp_path / "b" / name).touch()
    assert list(find_clips(tmp_path / "b")) == ["A", "B"]
    with pytest.raises(DataError, match="two cameras or more"):
        find_clips(tmp_path / "b", ["*A*"])


def test_a_board_must_be_described(tmp_path):
    with pytest.raises(DataError, match=r"neither board\.toml nor config\.toml"):
        Calibrate().prepare(tmp_path)
