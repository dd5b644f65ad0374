"""Calibration: known cameras come back, whatever the start; the real rig to the bar."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.io.video import Video, write_video
from neuroloom.pose.calibrate import Calibrate
from neuroloom.pose.rig import Rig, read_rig, triangulate
from neuroloom.pose.rig.board import Board, Detections, board_finder, detect_board, read_board
from neuroloom.pose.rig.bundle import Scene, adjust
from neuroloom.pose.rig.calibrate import calibrate, choose_lens, held_out_errors
from neuroloom.pose.rig.check import check_rig, require_possible
from tests.pose.rig.boards import BOARD, seen_by, write_session
from tests.pose.rig.rigs import look_at, ring

ROUND = np.array([[720.0, 0, 319.5], [0, 720, 239.5], [0, 0, 1]])


@pytest.fixture(scope="module")
def rig() -> Rig:
    """Three cameras with round pixels, which a calibration can find."""
    places = np.array([[60.0, 20, 330], [-90, 60, 300], [20, -120, 310]])
    cameras = []
    for name, place in zip("abc", places, strict=True):
        camera = look_at(name, place, (-0.21, 0.06))
        cameras.append(replace(camera, K=ROUND))
    return Rig(tuple(cameras))


def relative(rig: Rig) -> list[np.ndarray]:
    first = rig.cameras[0]
    return [np.r_[c.R @ first.R.T @ [1, 2, 3], c.t - c.R @ first.R.T @ first.t] for c in rig]


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_known_cameras_come_back_from_any_start(rig, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    found = calibrate(seen_by(rig), rng=rng).rig
    for mine, theirs in zip(rig, found, strict=True):
        np.testing.assert_allclose(theirs.K, mine.K, rtol=1e-6)
        np.testing.assert_allclose(theirs.distortion, mine.distortion, atol=1e-6)
    np.testing.assert_allclose(relative(found), relative(rig), atol=1e-4)


def test_it_finds_the_minimum_that_scipy_finds(rig):
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    seen = seen_by(rig, frames=4, noise=0.4)
    fitted = calibrate(seen, loss_px=0.5)
    scene, board = fitted.scene, BOARD.corners

    def unpack(x):
        cameras = []
        for camera, own in zip(scene.rig, x[: 9 * 3].reshape(3, 9), strict=True):
            f = camera.K[0, 0] + own[0]
            bent = camera.distortion + np.r_[own[1:3], np.zeros(6)]
            still = camera is scene.rig.cameras[0]
            turn = Rotation.from_rotvec(own[3:6] * (not still)).as_matrix() @ camera.R
            K = np.array([[f, 0, camera.K[0, 2]], [0, f, camera.K[1, 2]], [0, 0, 1]])
            shift = camera.t + own[6:] * (not still)
            cameras.append(replace(camera, K=K, distortion=bent, R=turn, t=shift))
        boards = x[27:].reshape(-1, 6)
        turn = Rotation.from_rotvec(boards[:, :3]).as_matrix() @ scene.turn
        return Scene(Rig(tuple(cameras)), turn, scene.shift + boards[:, 3:])

    def loss(x):
        moved = unpack(x)
        gap = moved.rig.project(moved.corners(board)) - fitted.seen
        far = (gap[np.isfinite(gap).all(-1)] ** 2).sum(-1)
        return np.sqrt(2 * 0.25 * (np.sqrt(1 + far / 0.25) - 1))

    rng = np.random.default_rng(0)
    start = rng.normal(0, 1e-3, 27 + 24) * np.r_[np.tile([100.0, 1, 1, *[1] * 6], 3), [1] * 24]
    theirs = least_squares(loss, start, x_scale="jac", max_nfev=8)
    assert (loss(np.zeros(51)) ** 2).sum() <= (theirs.fun**2).sum() * (1 + 1e-6)


def test_held_frames_leave_the_cameras_alone(rig):
    seen = seen_by(rig, noise=0.2)
    fitted = calibrate(seen)
    held = adjust(fitted.scene, BOARD.corners, fitted.seen, hold=True).scene
    assert all(
        np.array_equal(a.R, b.R) and np.array_equal(a.K, b.K)
        for a, b in zip(held.rig, fitted.rig, strict=True)
    )
    errors = held_out_errors(fitted.rig, seen_by(rig, noise=0.2, seed=5))
    assert 0.15 < np.nanmedian(errors) < 0.4


def test_flipped_views_are_left_out_and_named(rig):
    seen = seen_by(rig, noise=0.1)
    seen.corners[1, 3] = seen.corners[1, 3, ::-1]
    seen.corners[2, 7] = seen.corners[2, 7, ::-1]
    fitted = calibrate(seen)
    assert fitted.left_out == (("b", 3), ("c", 7))
    told = [found.detail for found in check_rig(fitted.rig, seen).findings
            if found.title == "A flipped board"]  # fmt: skip
    assert len(told) == 2
    assert "'b'" in told[0]
    assert "frame 3" in told[0]
    mirrored = seen_by(rig)
    mirrored.corners[0, ..., 0] = 639 - mirrored.corners[0, ..., 0]
    assert any("mirrored" in found.detail for found in check_rig(rig, mirrored).findings)


def test_the_faulty_camera_is_named(rig):
    seen = seen_by(rig, noise=0.1)
    assert check_rig(rig, seen).sound
    moved = list(rig.cameras)
    moved[1] = replace(moved[1], t=moved[1].t + np.array([15.0, 0, 0]))
    assert check_rig(Rig(tuple(moved)), seen).faulty == ("b",)
    copied = [*rig.cameras[:2], replace(rig.cameras[1], name="c")]
    report = check_rig(Rig(tuple(copied)), seen)
    assert report.faulty == ("c",)
    assert not report.sound


def test_too_little_of_the_board_is_told(rig):
    seen = seen_by(rig)
    titles = [found.title for found in check_rig(rig, seen.take(np.arange(4))).findings]
    assert titles.count("Too little of the board") == 3
    few = Detections(BOARD, seen.names, seen.sizes, seen.corners.copy(), seen.frames)
    few.corners[1, 2:] = np.nan
    with pytest.raises(DataError, match="camera 'b' saw 6 corners of the board or more in 2"):
        calibrate(few)
    apart = Detections(BOARD, seen.names, seen.sizes, seen.corners.copy(), seen.frames)
    apart.corners[2, :6] = np.nan
    apart.corners[:2, 6:] = np.nan
    with pytest.raises(DataError, match="camera 'c' shares no frame"):
        calibrate(apart)


def only(seen: Detections, camera: int, frame: int, corners: list[int]) -> None:
    """Hide all corners of a view but some."""
    kept = seen.corners[camera, frame, corners].copy()
    seen.corners[camera, frame] = np.nan
    seen.corners[camera, frame, corners] = kept


COLUMN = [*range(0, 24, 4)]


@pytest.fixture(scope="module")
def in_turn() -> Detections:
    """The board shown to four cameras in turn, to two at a time."""
    rig = ring(4, lens=(-0.2, 0.05))
    seen = seen_by(Rig(tuple(replace(one, K=ROUND) for one in rig)), frames=24, noise=0.1)
    for camera, shown in enumerate([range(8), range(16), range(8, 24), range(16, 24)]):
        seen.corners[camera, np.setdiff1d(np.arange(24), shown)] = np.nan
    return seen


def test_the_lens_is_chosen_where_the_board_is_shown_to_cameras_in_turn(in_turn):
    lens, scores = choose_lens(in_turn)
    assert len(scores) == 3
    assert scores[" ".join(lens)] == min(scores.values()) < 0.3
    assert choose_lens(in_turn.take(np.arange(0, 24, 4))) == (("f", "k1", "k2"), {})


def test_a_board_that_is_not_seen_is_not_flipped(in_turn):
    report = check_rig(calibrate(in_turn).rig, in_turn)
    assert report.sound
    assert "A flipped board" not in [found.title for found in report.findings]


def test_frames_that_cannot_be_done_without_are_not_held_out(in_turn):
    recipe = Calibrate(lens="f k1 k2", starts=1)
    assert len(recipe.fit(in_turn).judged.held) == 5
    done = recipe.model_copy(update={"held_out": 0.3}).fit(in_turn)
    assert len(done.judged.held) == done.judged.posed.shape[1] == 0
    assert "without the last 7 frames" in done.findings[0].detail
    assert "camera 'cam3' saw 6 corners" in done.findings[0].detail
    assert len(done.whole.rig) == 4


def test_views_that_tell_no_pose_are_known(rig):
    seen = seen_by(rig)
    views = [COLUMN, [*COLUMN, 9], [*COLUMN, 9, 13], [*COLUMN, 9, 10], [0, 1, 2, 4, 5], []]
    for frame, corners in enumerate(views):
        only(seen, 1, frame, corners)
    assert seen.telling[1, :6].tolist() == [False, False, True, True, False, False]
    assert seen.telling[0].all()


def test_a_single_row_of_corners_costs_its_view(rig):
    seen = seen_by(rig)
    seen.corners[:2, 4] = np.nan
    only(seen, 2, 4, COLUMN)  # the only view of its moment
    only(seen, 0, 7, COLUMN)
    fitted = calibrate(seen)
    np.testing.assert_allclose(relative(fitted.rig), relative(rig), atol=1e-4)
    assert 4 not in fitted.frames
    told = held_out_errors(rig, seen)
    assert np.isnan(told[:, 4]).all()
    assert np.isnan(told[0, 7]).all()
    assert np.nanmax(told) < 1e-6
    titles = [found.title for found in check_rig(fitted.rig, seen).findings]
    assert "A flipped board" not in titles


def test_views_that_tell_no_pose_are_not_judged(rig):
    seen = seen_by(rig, noise=0.3)
    for frame in range(2, 8):
        only(seen, 0, frame, COLUMN)
    report = check_rig(rig, seen)
    assert report.sound
    assert report.views["frames"].tolist() == [6, 12, 12]
    assert report.pairs["frames"].tolist() == [6, 6, 12]


def test_impossible_rigs_are_refused(rig):
    assert require_possible(rig) == []
    back = np.diag([1.0, -1, -1]) @ rig.cameras[2].R
    away = replace(rig.cameras[2], R=back, t=-back @ rig.cameras[2].centre)
    with pytest.raises(DataError, match="camera 'c' sees no place"):
        require_possible(Rig((*rig.cameras[:2], away)))
    copy = replace(rig.cameras[0], name="d")
    with pytest.raises(DataError, match="'a' and 'd' are 0 mm apart"):
        require_possible(Rig((*rig.cameras, copy)))


def test_a_board_is_found_to_a_fraction_of_a_pixel(tmp_path):
    places = np.array([[60.0, 20, 330], [-90, 60, 300]])
    rig = Rig(tuple(look_at(name, place) for name, place in zip("ab", places, strict=True)))
    folder = write_session(tmp_path / "s", rig, frames=3)
    board = read_board(folder / "board.toml")
    clips = {name: folder / name / "calibration.mkv" for name in rig.names}
    seen, truth = detect_board(clips, board), seen_by(rig, frames=3)
    assert (seen.seen >= 20).all()
    assert np.nanmedian(np.linalg.norm(seen.corners - truth.corners, axis=-1)) < 0.15
    with pytest.raises(DataError, match="never sees the board"):
        detect_board(clips, Board(5, 7, 20.0, 15.0, bits=6, dictionary=250))


def test_a_picture_of_a_board_that_is_torn_costs_itself(tmp_path):
    clip = write_session(tmp_path / "s", Rig((look_at("a", np.array([60.0, 20, 330])),)), frames=2)
    with Video(clip / "a/calibration.mkv", grey=True) as video:
        for number, image in enumerate(video.read([0, 1])):
            Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"torn")
    seen = detect_board({"a": tmp_path}, BOARD)
    assert (seen.seen[0] > 0).tolist() == [True, False]
    assert seen.damaged == {"a": 1}


def test_a_board_is_found_in_the_image_as_it_is_shown(tmp_path):
    rig = Rig((look_at("a", np.array([60.0, 20, 330])),))
    clip = write_session(tmp_path / "s", rig, frames=1) / "a/calibration.mkv"
    with Video(clip, grey=True) as video:
        image = video.read([0])[0]
    plain, turned = (write_video(tmp_path / f"{name}.mp4", [image], 10) for name in "pt")
    content = turned.read_bytes()
    unit = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    at = content.index(unit, content.index(b"tkhd"))
    turned.write_bytes(content[:at] + quarter + content[at + len(unit) :])
    upright, lying = (detect_board({"a": file}, BOARD) for file in (plain, turned))
    assert lying.sizes == (image.shape[:2],)
    x, y = upright.corners[0, 0].T
    shown = np.column_stack([image.shape[0] - 1 - y, x])
    assert np.nanmax(np.abs(lying.corners[0, 0] - shown)) < 0.5


def test_files_that_are_no_board_and_no_clip(tmp_path):
    (tmp_path / "board.toml").write_text("board_x = 8")
    with pytest.raises(DataError, match="board_y, square_length, marker_length are missing"):
        read_board(tmp_path / "board.toml")
    (tmp_path / "board.toml").write_text(
        '[calibration]\nboard_type = "checkerboard"\nboard_size = [8, 6]'
    )
    with pytest.raises(DataError, match="only 'charuco'"):
        read_board(tmp_path / "board.toml")
    (tmp_path / "a.mov").write_bytes(b"no film")
    with pytest.raises(DataError, match=r"a\.mov: cannot be read as a video"):
        detect_board({"a": tmp_path / "a.mov"}, BOARD)
    assert np.isnan(board_finder(BOARD)(np.full((200, 200), 128, np.uint8))).all()


@pytest.fixture(scope="session")
def session(test_data) -> Detections:
    """The board of anipose-minimal as its four cameras saw it."""
    folder = test_data / "pose/anipose-minimal"
    clips = {name: folder / name / "calibration.MOV" for name in ("back", "mid", "side", "top")}
    return detect_board(clips, read_board(folder / "board.toml"))


@pytest.mark.long
def test_the_real_rig_to_the_bar(session):
    board = session.board.corners
    figures = []
    for seed in (None, 1, 2):
        rng = None if seed is None else np.random.default_rng(seed)
        errors = calibrate(session, rng=rng).errors(board)
        figures.append([np.nanmedian(errors), np.nanmean(errors), np.nanpercentile(errors, 95)])
    assert (np.max(figures, axis=0) <= [0.30, 0.36, 0.80]).all()
    assert np.ptp(figures, axis=0).max() <= 0.005


@pytest.mark.long
def test_held_out_frames_of_the_real_rig(session):
    frames = np.arange(len(session.frames))
    for held in np.array_split(frames, 5)[::2]:
        rest = session.take(np.setdiff1d(frames, held))
        rig = calibrate(rest, choose_lens(rest)[0]).rig
        new = session.take(held).corners
        points = triangulate(rig, new)
        assert np.nanmedian(np.linalg.norm(rig.project(points) - new, axis=-1)) <= 0.20


@pytest.mark.long
def test_the_shipped_calibration_is_faulty(session, test_data):
    shipped = read_rig(test_data / "pose/anipose-minimal")
    report = check_rig(shipped, session)
    assert report.faulty == ("side",)
    good = report.pairs.set_index(["camera", "other"])["sound"]
    assert good.sum() == 3
    with pytest.raises(DataError, match="'side' and 'top' are 0 units apart"):
        require_possible(shipped)
    assert check_rig(calibrate(session).rig, session).faulty == ()
