"""Painted clips of a calibration board before cameras that are known, to try recipes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.pose.rig.cameras import Camera, Rig
from neuroloom.pose.story.demo import Demo, looking

COLUMNS, ROWS, SQUARE, MARKER = 5, 7, 20.0, 15.0  # mm
PLACES = {"a": (60.0, 20.0, 330.0), "b": (-90.0, 60.0, 300.0), "c": (20.0, -120.0, 310.0)}
SIZE, PIXELS = (320, 240), 40  # px of a picture; px of a square as drawn


def boards(folder: Path, fields: dict[str, Any], frames: int = 10) -> Demo:
    """Write a clip for each of three cameras, in which a board is turned, and `board.toml`."""
    from neuroloom.io.video import write_video

    place = Path(folder) / "boards"
    for camera in _rig():
        (place / camera.name).mkdir(parents=True, exist_ok=True)
        write_video(place / camera.name / "calibration.mp4", _pictures(camera, frames), 10.0)
    (place / "board.toml").write_text(
        f"board_x = {COLUMNS}\nboard_y = {ROWS}\nsquare_length = {SQUARE}\n"
        f"marker_length = {MARKER}\nmarker_bits = 4\ndict_size = 1000\n"
    )
    return place, fields, "Painted clips of a board, turned before three cameras of focal 420 px."


def _rig() -> Rig:
    lens = np.array([[420.0, 0, 159.5], [0, 420, 119.5], [0, 0, 1]])
    return Rig(tuple(looking(name, np.array(at), lens, SIZE) for name, at in PLACES.items()))


def _pictures(camera: Camera, frames: int) -> Iterator[np.ndarray]:
    """Yield what a camera sees of the board as it is turned, (y, x, 1) uint8."""
    import cv2
    from scipy.spatial.transform import Rotation

    known = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    drawn = cv2.aruco.CharucoBoard((COLUMNS, ROWS), SQUARE, MARKER, known)
    size = (PIXELS * COLUMNS, PIXELS * ROWS)
    picture = drawn.generateImage(size, marginSize=0)
    unit = np.array([[0.0, 0], [COLUMNS, 0], [COLUMNS, ROWS], [0, ROWS]])
    outer = np.column_stack([SQUARE * (unit - [COLUMNS / 2, ROWS / 2]), np.zeros(4)])
    # The picture's outer edge is half a pixel from the centre of its first one.
    corners = (PIXELS * unit - 0.5).astype(np.float32)
    over = Rotation.from_rotvec([np.pi, 0, 0])
    rng = np.random.default_rng(0)
    for tilt, shift in zip(rng.uniform(-0.35, 0.35, (frames, 3)),
                           rng.uniform(-40, 40, (frames, 3)), strict=True):  # fmt: skip
        space = (Rotation.from_rotvec(tilt) * over).apply(outer) + shift
        warp = cv2.getPerspectiveTransform(corners, camera.project(space).astype(np.float32))
        yield cv2.warpPerspective(picture, warp, SIZE, borderValue=(128,))[..., None]
