"""pose.calibrate on clips whose cameras are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.files import read_json
from neuroloom.io.video import Video, write_video
from neuroloom.pose.calibrate import Calibrate
from neuroloom.pose.rig import Camera, Rig, read_rig, write_rig
from neuroloom.pose.rig.board import find_clips
from neuroloom.pose.rig.lift import _camera_of
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


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_clips_are_named_by_the_nearest_folders_that_differ(tmp_path):
    cameras = ("back", "mid", "side")
    kept = touch(
        tmp_path / "a", *(f"{name}/calibration_images/{name}_calibration.MOV" for name in cameras)
    )
    assert list(find_clips(kept)) == list(cameras)
    days = touch(tmp_path / "b", *(f"day{day}/cam{n}/calib.mp4" for day in (1, 2) for n in (1, 2)))
    with pytest.raises(DataError, match=r"one camera \(day1/cam1/calib\.mp4, day1/cam2/calib"):
        find_clips(days)
    clips = find_clips(days, ["day2/*"])
    assert clips == {f"cam{n}": days / f"day2/cam{n}/calib.mp4" for n in (1, 2)}
    beside = touch(tmp_path / "top", "calibration.mp4", "side/calibration.mp4")
    assert list(find_clips(beside)) == ["top", "side"]
    worded = touch(tmp_path / "c", "calib_left.mp4", "more/calib_right.mp4")
    assert list(find_clips(worded)) == ["left", "right"]


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (("calib_left", "calib_right"), ["left", "right"]),
        (("left-calib", "right-calib"), ["left", "right"]),
        (("cam1_calib", "cam2_calib", "cam10_calib"), ["10", "1", "2"]),
        (("camera-A calib", "camera-B calib"), ["A", "B"]),
        (("camleft", "camright"), ["camleft", "camright"]),
    ],
)
def test_names_of_clips_are_cut_between_words_and_found_in_those_of_tracks(tmp_path, stems, names):
    clips = find_clips(touch(tmp_path, *(f"{stem}.mp4" for stem in stems)))
    assert list(clips) == names
    rig = Rig(tuple(Camera(name, np.diag([800.0, 800, 1])) for name in names))
    for name, file in clips.items():
        word = file.stem.replace("calib", "").strip("-_ ")
        assert _camera_of(Path(f"trial_1_{word}DLC_resnet50_1.h5"), rig) == name
        assert _camera_of(Path(word) / "trial_1.csv", rig) == name


def test_clips_have_one_rate_and_what_they_differ_in_is_told(tmp_path):
    session = write_session(tmp_path, small_rig(), frames=4)
    recipe = Calibrate(frames=5)
    assert recipe.prepare(session).findings == []
    clip = session / "b/calibration.mkv"
    with Video(clip, grey=True) as video:
        frames = video.read(range(4))
    times = [0.0, 0.1, 0.2, 0.35, 0.4, 0.5]
    write_video(clip.with_suffix(".mp4"), [*frames, *frames[:2]], 10.0, times)
    clip.unlink()
    told = [found.detail for found in recipe.prepare(session).findings]
    assert len(told) == 2
    assert "the frame rate changes" in told[0]
    assert told[1].startswith("Frames by camera: a: 4, b: 6, c: 4.")
    write_video(clip.with_suffix(".mp4"), frames, 25.0)
    with pytest.raises(DataError, match=r"a/.*mkv has 10 .*, b/calibration.mp4 has 25: cameras"):
        recipe.prepare(session)


def test_a_board_must_be_described(tmp_path):
    with pytest.raises(DataError, match=r"neither board\.toml nor config\.toml"):
        Calibrate().prepare(tmp_path)
