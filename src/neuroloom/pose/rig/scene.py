"""A painted animal before real cameras: pictures whose points in space are known exactly.

Poses are real ones, turned and moved; each bone is a capsule in a shade of its own, painted by
depth over a cluttered ground, and boards stand before some of the cameras. What is here makes data
only: no recipe imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroloom.pose.rig.cameras import Camera, Rig

Floats = NDArray[np.float64]

# The 22 points of DANNCE's mouse, in its order, as their distances tell.
MOUSE = (
    "ear_left", "ear_right", "snout", "spine_front", "spine_middle", "tail_base", "tail_middle",
    "tail_tip", "forepaw_left", "wrist_left", "elbow_left", "shoulder_left", "forepaw_right",
    "wrist_right", "elbow_right", "shoulder_right", "hindpaw_left", "ankle_left", "knee_left",
    "hindpaw_right", "ankle_right", "knee_right",
)  # fmt: skip
BONES = (
    (0, 3), (1, 3), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (11, 3),
    (12, 13), (13, 14), (14, 15), (15, 3), (16, 17), (17, 18), (18, 5), (19, 20), (20, 21), (21, 5),
)  # fmt: skip
THICK = {(2, 3): 8.0, (3, 4): 12.0, (4, 5): 13.0, (5, 6): 3.0, (6, 7): 2.0}
THIN = 3.5


@dataclass(frozen=True, eq=False)
class Painted:
    """Pictures of one animal at moments.

    Attributes
    ----------
    images
        Shape (frame, camera, y, x), uint8.
    points
        Shape (frame, keypoint, 3), in the rig's unit.
    covered
        Shape (frame, camera), True where a board stands before the camera.
    """

    images: NDArray[np.uint8]
    points: Floats
    covered: NDArray[np.bool_]


def whole_poses(points: np.ndarray) -> Floats:
    """Fill missing points of poses (frame, keypoint, 3) by the mean pose, turned to the animal.

    Examples
    --------
    >>> poses = np.random.default_rng(0).normal(size=(4, 22, 3))
    >>> poses[0, 16] = np.nan
    >>> bool(np.isfinite(whole_poses(poses)).all())
    True
    """
    facing, centre = _facing(points), points[:, 4]
    own = np.einsum("nij,nkj->nki", facing, points - centre[:, None])
    mean = np.nanmean(own, axis=0)
    back = np.einsum("nji,kj->nki", facing, mean) + centre[:, None]
    return np.where(np.isfinite(points), points, back)


def _facing(points: Floats) -> Floats:
    """Return the rotations about the vertical that turn each animal along x."""
    ahead = points[:, 3, :2] - points[:, 5, :2]
    c, s = (ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)).T
    out = np.zeros((len(points), 3, 3))
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1], out[:, 2, 2] = c, s, -s, c, 1
    return out


def vary_poses(poses: np.ndarray, n: int, rng: np.random.Generator) -> Floats:
    """Draw `n` poses: one of those given, turned about the vertical and moved a little.

    Examples
    --------
    >>> vary_poses(np.zeros((3, 22, 3)), 5, np.random.default_rng(0)).shape
    (5, 22, 3)
    """
    drawn = poses[rng.integers(len(poses), size=n)]
    centre = drawn.mean(1, keepdims=True)
    angle = rng.uniform(-np.pi, np.pi, n)
    turn = np.zeros((n, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
    turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = -np.sin(angle), np.sin(angle), 1
    shift = np.column_stack([rng.uniform(-12, 12, (n, 2)), np.zeros(n)])[:, None]
    return np.einsum("nij,nkj->nki", turn, drawn - centre) + centre + shift


def paint(
    rig: Rig, points: np.ndarray, rng: np.random.Generator, boards: tuple[int, int] = (1, 2)
) -> Painted:
    """Paint poses as the rig's cameras see them.

    Parameters
    ----------
    rig
        Cameras with sizes; `Rig.scaled` makes small images.
    points
        Shape (frame, 22, 3).
    boards
        Fewest and most cameras that a board stands before, each frame.

    Examples
    --------
    >>> K = np.array([[60.0, 0, 31.5], [0, 60, 31.5], [0, 0, 1]])
    >>> rig = Rig((Camera("a", K, t=np.array([0.0, 0, 150]), size=(64, 64)),))
    >>> poses = np.random.default_rng(0).normal(0, 20, (2, 22, 3))
    >>> paint(rig, poses, np.random.default_rng(1), (0, 1)).images.shape
    (2, 1, 64, 64)
    """
    grounds = [_clutter(camera.size, rng, 6.0, (60, 130)) for camera in rig]
    shades = np.random.default_rng(11).uniform(120, 250, len(BONES))
    covered = np.zeros((len(points), len(rig)), bool)
    frames = []
    for number, pose in enumerate(points):
        count = int(rng.integers(boards[0], boards[1] + 1))
        covered[number, rng.permutation(len(rig))[:count]] = True
        views = []
        for camera, ground, hidden in zip(rig, grounds, covered[number], strict=True):
            image = _animal(camera, ground, pose, shades)
            if hidden:
                image = _board(camera, image, pose, rng)
            noisy = image * rng.uniform(0.9, 1.1) + rng.normal(0, 4, image.shape)
            views.append(noisy.clip(0, 255).astype(np.uint8))
        frames.append(np.stack(views))
    return Painted(np.stack(frames), np.asarray(points, float), covered)


def _clutter(
    size: tuple[int, int], rng: np.random.Generator, grain: float, levels: tuple[int, int]
) -> Floats:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=size[::-1]), grain) * grain
    noise += gaussian_filter(rng.normal(size=size[::-1]), grain / 4) * grain / 6
    low, high = levels
    rank = (noise - noise.min()) / np.ptp(noise)
    return low + (high - low) * rank


def _animal(camera: Camera, ground: Floats, pose: Floats, shades: Floats) -> Floats:
    """Paint the bones; of two at one pixel the nearer is seen."""
    whole, pixels = ground.copy(), camera.project(pose)
    depth = (pose @ camera.R.T + camera.t)[:, 2]
    reach = 1.5 * max(THICK.values()) * camera.K[0, 0] / depth.min() + 2
    left, top = np.maximum(np.nanmin(pixels, axis=0) - reach, 0).astype(int)
    right, low = np.maximum(np.nanmax(pixels, axis=0) + reach, 0).astype(int)
    image = whole[top:low, left:right]
    nearest = np.full(image.shape, np.inf)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    pixels = pixels - [left, top]
    for bone, shade in zip(BONES, shades, strict=True):
        (a, b), (near, far) = pixels[list(bone)], depth[list(bone)]
        if not np.isfinite([a, b]).all():
            continue
        along = b - a
        share = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / max(along @ along, 1e-9)
        share = share.clip(0, 1)
        away = np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1])
        behind = near + share * (far - near)
        radius = THICK.get(bone, THIN) * camera.K[0, 0] / behind
        front = behind - np.sqrt((1 - (away / radius) ** 2).clip(0)) * THICK.get(bone, THIN)
        # A soft edge half a pixel wide, and a round body: darker towards its rim.
        inside = (radius - away + 0.5).clip(0, 1)
        lit = shade * (0.55 + 0.45 * np.sqrt((1 - (away / radius) ** 2).clip(0)))
        shown = (inside > 0) & (front < nearest)
        image = np.where(shown, inside * lit + (1 - inside) * image, image)
        nearest = np.where(shown & (inside > 0.5), front, nearest)
    whole[top:low, left:right] = image
    return whole


def _board(camera: Camera, image: Floats, pose: Floats, rng: np.random.Generator) -> Floats:
    """Put a cluttered board before most of the animal."""
    seen = camera.project(pose)
    low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
    share = rng.uniform(0.6, 1.0, 2)
    start = low + rng.uniform(0, 1, 2) * (1 - share) * (high - low) - 4
    stop = start + share * (high - low) + 8
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    tilt = rng.uniform(-0.3, 0.3)
    across, down = x + tilt * (y - y.mean()), y - tilt * (x - x.mean())
    middle, half = (start + stop) / 2, (stop - start) / 2
    inside = (abs(across - middle[0]) < half[0]) & (abs(down - middle[1]) < half[1])
    return np.where(inside, _clutter(camera.size, rng, 3.0, (70, 230)), image)


def write_project(folder: Path, rig: Rig, painted: Painted) -> Path:
    """Write pictures, cameras and points as a DANNCE project: a label3d .mat and a film a camera.

    The first picture of a film is frame 0 of `data_frame`.
    """
    from scipy.io import loadmat, savemat

    from neuroloom.io.video import write_video
    from neuroloom.pose.rig.files import write_rig

    folder.mkdir(parents=True, exist_ok=True)
    n, k = painted.points.shape[:2]
    pixels = rig.project(painted.points) + 1
    labels = np.empty((len(rig), 1), object)
    for number, camera in enumerate(rig):
        labels[number, 0] = {
            "data_2d": pixels[number].reshape(n, 2 * k),
            "data_3d": painted.points.reshape(n, 3 * k),
            "data_frame": np.arange(n)[:, None],
            "data_sampleID": np.arange(n)[:, None],
        }
        place = folder / "videos" / camera.name
        place.mkdir(parents=True, exist_ok=True)
        frames = (np.repeat(image[..., None], 3, -1) for image in painted.images[:, number])
        write_video(place / "0.mp4", frames, 50.0)
    file = write_rig(rig, folder / "scene_dannce.mat")
    known = {name: value for name, value in loadmat(file).items() if not name.startswith("__")}
    savemat(str(file), known | {"labelData": labels}, do_compression=True)
    return folder
