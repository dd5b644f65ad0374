"""A rig of known cameras, and the real one of DANNCE with its points."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from neuroloom.pose.rig import Camera, Rig


def look_at(name: str, place: np.ndarray, lens: tuple[float, ...] = (), size=(640, 480)) -> Camera:
    """A camera at `place` that looks at the origin."""
    ahead = -place / np.linalg.norm(place)
    side = np.cross(ahead, [0.0, 0.1, 1.0])
    side /= np.linalg.norm(side)
    R = np.stack([side, np.cross(ahead, side), ahead])
    K = np.array([[700.0, 2.5, 318], [0, 705, 243], [0, 0, 1]])
    return Camera(name, K, np.array(lens), R, -R @ place, size)


def ring(n: int = 4, far: float = 300.0, lens: tuple[float, ...] = (-0.2, 0.05)) -> Rig:
    """`n` cameras on a circle above the origin."""
    angles = 2 * np.pi * np.arange(n) / n
    places = np.stack([np.cos(angles), np.sin(angles), 0.6 + 0 * angles], -1) * far
    return Rig(tuple(look_at(f"cam{i}", place, lens) for i, place in enumerate(places)))


@cache
def dannce(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (camera, 81, 22, 2) from (0, 0) on, and stored points (81, 22, 3)."""
    from scipy.io import loadmat

    known = loadmat(
        folder / "pose/dannce/mm1_label3d_dannce.mat", squeeze_me=True, struct_as_record=False
    )
    pixels = np.stack([part.data_2d.reshape(81, 22, 2) for part in known["labelData"]]) - 1
    return pixels, known["labelData"][0].data_3d.reshape(81, 22, 3)


def write_views(folder: Path, n: int = 24) -> Path:
    """Write the cameras and a track for each of three, in DeepLabCut's csv."""
    from neuroloom.core.recording import tracks
    from neuroloom.io.tracks import write_tracks
    from neuroloom.pose.rig import write_rig

    folder.mkdir(parents=True, exist_ok=True)
    rig, rng = ring(3), np.random.default_rng(0)
    path = rng.normal(0, 30, (1, 4, 3)) + rng.normal(0, 1, (n, 4, 3)).cumsum(0)
    write_rig(rig, folder / "calibration.toml")
    for camera in rig:
        seen = camera.project(path) + rng.normal(0, 0.5, (n, 4, 2))
        points = seen.transpose(0, 2, 1)[..., None]
        names = ["nose", "head", "back", "tail"]
        made = tracks(points, names, rate=30.0, confidence=np.ones((n, 4, 1)))
        write_tracks(made, folder / f"mouse_{camera.name}.csv", "dlc")
    return folder
