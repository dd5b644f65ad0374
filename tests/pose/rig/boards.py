"""A board moved before known cameras: corners as numbers, or clips that show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from neuroloom.pose.rig import Rig
from neuroloom.pose.rig.board import Board, Detections

BOARD = Board(5, 7, 20.0, 15.0)


def moves(frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and places of a board that faces cameras above it."""
    turn = Rotation.from_rotvec(np.pi * np.array([1.0, 0, 0])).as_matrix()
    off = Rotation.from_rotvec(rng.uniform(-0.35, 0.35, (frames, 3))).as_matrix()
    middle = BOARD.corners.mean(0)
    turns = off @ turn
    return turns, rng.uniform(-40, 40, (frames, 3)) - turns @ middle


def seen_by(rig: Rig, frames: int = 12, noise: float = 0.0, seed: int = 0) -> Detections:
    """What the cameras of a rig see of a board, to the pixel's fraction."""
    rng = np.random.default_rng(seed)
    turns, shifts = moves(frames, rng)
    places = BOARD.corners @ turns.transpose(0, 2, 1) + shifts[:, None]
    corners = rig.project(places) + rng.normal(0, noise, (len(rig), frames, 24, 2))
    inside = ((corners >= 0) & (corners < np.array(rig.cameras[0].size))).all(-1)
    corners[~inside] = np.nan
    sizes = tuple(camera.size for camera in rig)
    return Detections(BOARD, rig.names, sizes, corners, np.arange(frames))


def write_session(folder: Path, rig: Rig, frames: int = 6, seed: int = 0) -> Path:
    """Write a clip a camera, which shows the board, and board.toml."""
    import av
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    known = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    size = (BOARD.columns, BOARD.rows)
    drawn = cv2.aruco.CharucoBoard(size, BOARD.square, BOARD.marker, known)
    picture = drawn.generateImage((40 * BOARD.columns, 40 * BOARD.rows), marginSize=0)
    outer = np.array([[0.0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]) * BOARD.square
    turns, shifts = moves(frames, np.random.default_rng(seed))
    for camera in rig:
        (folder / camera.name).mkdir()
        with av.open(str(folder / camera.name / "calibration.mkv"), "w") as out:
            stream = out.add_stream("ffv1", rate=10)
            stream.width, stream.height = camera.size
            stream.pix_fmt = "gray"
            for turn, shift in zip(turns, shifts, strict=True):
                places = np.column_stack([outer, np.zeros(4)]) @ turn.T + shift
                # The picture's outer edge is half a pixel from the centre of its first one.
                corners = np.array([[0.0, 0], [200, 0], [200, 280], [0, 280]]) - 0.5
                warp = cv2.getPerspectiveTransform(
                    corners.astype(np.float32), camera.project(places).astype(np.float32)
                )
                image = cv2.warpPerspective(picture, warp, camera.size, borderValue=128)
                frame = av.VideoFrame.from_ndarray(image, format="gray")
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
    (folder / "board.toml").write_text(
        f"board_x = {size[0]}\nboard_y = {size[1]}\nsquare_length = {BOARD.square}\n"
        f"marker_length = {BOARD.marker}\nmarker_bits = 4\ndict_size = 1000\n"
    )
    return folder
