"""Calibration of a rig from what its cameras saw of a board.

Each camera alone first (focal length from a ladder of guesses, so that nothing depends on luck),
then the cameras to each other over shared frames, then everything together (`bundle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError
from neuroloom.pose.rig.board import FEWEST_CORNERS, Detections
from neuroloom.pose.rig.bundle import LENS, Scene, adjust
from neuroloom.pose.rig.cameras import Camera, Rig

Floats = NDArray[np.float64]

FEWEST_VIEWS = 3
LADDER = (0.4, 0.55, 0.75, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0)
ALONE = 24
ODD_VIEW = (3.0, 6.0)
GROSS = 50.0
FOLDS, BLOCKS = 3, 4  # of frames that choose the lens; blocks of each, all over the clips
# k1 and k4 bend as k1, k2 and k3 do, and go on sensibly where no board was seen.
LENSES = (LENS, ("f", "k1", "k4"), ("f", "cx", "cy", "k1", "k4"))


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibrated rig and how well it fits.

    Attributes
    ----------
    rig
        In mm; the first camera is the world's origin.
    scene
        The same with the place of the board in each frame used.
    seen
        What was fitted (camera, frame, corner, 2), px; NaN where nothing was seen or left out.
    frames
        Number of each frame in the clips.
    left_out
        Views that fit nowhere: (camera, number of the frame in the clips).
    """

    rig: Rig
    scene: Scene
    seen: Floats
    frames: NDArray[np.int64]
    left_out: tuple[tuple[str, int], ...] = ()

    def errors(self, board: np.ndarray) -> Floats:
        """Return the distances (camera, frame, corner) of seen from projected corners, px."""
        return corner_errors(self.scene, board, self.seen)


def corner_errors(scene: Scene, board: np.ndarray, seen: np.ndarray) -> Floats:
    """Return the distances (camera, frame, corner) of seen corners from the scene's, px.

    Examples
    --------
    >>> rig = Rig((Camera("a", np.diag([800.0, 800, 1])),))
    >>> scene = Scene(rig, np.eye(3)[None], np.array([[0.0, 0, 80]]))
    >>> corner_errors(scene, np.zeros((1, 3)), np.array([[[[3.0, 4.0]]]])).item()
    5.0
    """
    return np.linalg.norm(seen - scene.rig.project(scene.corners(board)), axis=-1)


def calibrate(
    detections: Detections,
    lens: tuple[str, ...] = LENS,
    loss_px: float = 1.0,
    rng: np.random.Generator | None = None,
) -> Calibration:
    """Calibrate the cameras that saw a board.

    Parameters
    ----------
    detections
        Of two cameras or more.
    lens
        Numbers of each lens that are fitted, of `bundle.KNOWN`.
    loss_px
        Distance from which a gap counts as gross, px.
    rng
        Shakes the start: other guesses of the lenses, cameras turned and moved. None: no shaking.

    Raises
    ------
    DataError
        If a camera saw too little of the board, or the cameras do not hang together by frames in
        which two of them saw it.
    """
    seen, rows = _usable(detections)
    board = detections.board.corners
    cameras, poses = [], []
    for name, size, own in zip(detections.names, detections.sizes, seen, strict=True):
        camera, pose = _alone(name, size, board, own, lens, rng)
        cameras.append(camera)
        poses.append(pose)
    seen, posed = _with_pose(seen, np.stack(poses))
    seen, rows = seen[:, posed], rows[posed]
    scene = _join(cameras, np.stack(poses)[:, posed], seen, board, rng)
    scene = adjust(scene, board, seen, lens, loss_px).scene
    kept, odd = _without_odd(scene, board, seen)
    if odd:
        scene = adjust(scene, board, kept, lens, loss_px).scene
    frames = detections.frames[rows]
    left_out = tuple((detections.names[c], int(frames[f])) for c, f in odd)
    return Calibration(scene.rig, scene, kept, frames, left_out)


def held_out_errors(rig: Rig, detections: Detections) -> Floats:
    """Return the distances (camera, frame, corner) in frames that the rig was not fitted to, px.

    Only the board's pose is fitted there, once a frame for all cameras.
    """
    seen, rows = _usable(detections, strict=False)
    out = np.full(detections.corners.shape[:3], np.nan)
    board = detections.board.corners
    poses = np.stack(
        [board_poses(camera, board, own) for camera, own in zip(rig, seen, strict=True)]
    )
    seen, posed = _with_pose(seen, poses)
    if len(posed):
        seen = seen[:, posed]
        start = _place_boards(rig, poses[:, posed], seen, board)
        scene = adjust(start, board, seen, hold=True).scene
        out[:, rows[posed]] = corner_errors(scene, board, seen)
    return out


def _usable(detections: Detections, strict: bool = True) -> tuple[Floats, NDArray[np.int64]]:
    """Return corners of views that tell the board's pose, and the frames that have any."""
    kept = detections.only_telling()
    enough = kept.seen > 0
    for name, views in zip(detections.names, enough.sum(1), strict=True):
        if strict and views < FEWEST_VIEWS:
            raise DataError(
                f"camera '{name}' saw {FEWEST_CORNERS} corners of the board or more in {views} "
                f"frames (a single row does not count); at least {FEWEST_VIEWS} are needed. Show "
                "it the board longer."
            )
    rows = np.flatnonzero(enough.any(0))
    return kept.corners[:, rows], rows


def _with_pose(seen: Floats, poses: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return corners without the views that no pose was found for, and the frames that have any."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(poses).all((2, 3)))
    return np.where(known[..., None, None], seen, np.nan), np.flatnonzero(known.any(0))


def _alone(
    name: str, size: tuple[int, int], board: Floats, seen: Floats, lens: Sequence[str],
    rng: np.random.Generator | None,
) -> tuple[Camera, Floats]:  # fmt: skip
    """Return one camera with its lens fitted, and the board's poses (frame, 3, 4) before it."""
    views = np.flatnonzero(np.isfinite(seen).any((1, 2)))
    if rng is None:
        some = views[np.linspace(0, len(views) - 1, min(ALONE, len(views))).round().astype(int)]
        shake = 1.0
    else:
        some = np.sort(rng.permutation(views)[: max(FEWEST_VIEWS, min(ALONE, len(views) * 2 // 3))])
        shake = float(np.exp(rng.normal(0, 0.15)))
    best, camera = np.inf, _guess(name, size, 1.0)
    for step in LADDER:
        tried = _guess(name, size, step * shake)
        error = _fit_error(tried, board, seen[some])
        if error < best:
            best, camera = error, tried
    pose = board_poses(camera, board, seen[some])
    own, posed = _with_pose(seen[None, some], pose[None])
    if not len(posed):
        raise DataError(f"camera '{name}': in none of its views can the board's pose be told.")
    scene = Scene(Rig((camera,)), pose[posed, :, :3], pose[posed, :, 3])
    free = tuple(part for part in lens if part in ("f", "k1"))
    camera = adjust(scene, board, own[:, posed], free, steps=15).scene.rig.cameras[0]
    return camera, board_poses(camera, board, seen)


def _guess(name: str, size: tuple[int, int], focal: float) -> Camera:
    width, height = size
    f = focal * width
    middle = np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])
    return Camera(name, middle, size=size)


def _fit_error(camera: Camera, board: Floats, seen: Floats) -> float:
    pose = board_poses(camera, board, seen)
    scene = Scene(Rig((camera,)), pose[..., :3], pose[..., 3])
    gap = corner_errors(scene, board, seen[None])
    return float(np.nanmedian(gap)) if np.isfinite(gap).any() else np.inf


def board_poses(camera: Camera, board: Floats, seen: Floats) -> Floats:
    """Return the board's pose [R | t] before the camera in each frame, NaN where not seen."""
    import cv2

    out = np.full((len(seen), 3, 4), np.nan)
    ideal = camera.undistort(seen)
    there: NDArray[np.bool_] = np.asarray(np.isfinite(ideal).all(-1))
    for frame in np.flatnonzero(there.sum(-1) >= FEWEST_CORNERS):
        own = there[frame]
        found, turn, shift = cv2.solvePnP(
            board[own], ideal[frame, own][:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
        if found and shift[2] > 0:
            out[frame] = np.column_stack([cv2.Rodrigues(turn)[0], shift])
    return out


def _join(
    cameras: list[Camera],
    poses: Floats,
    seen: Floats,
    board: Floats,
    rng: np.random.Generator | None,
) -> Scene:
    """Put the cameras into one world, along the pairs that share most frames."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(poses).all((2, 3)))
    shared = (known[:, None] & known[None]).sum(-1)
    placed = {0: replace(cameras[0], R=np.eye(3), t=np.zeros(3))}
    while len(placed) < len(cameras):
        open_ = [(shared[a, b], -a, -b) for a in placed for b in range(len(cameras))
                 if b not in placed]  # fmt: skip
        count, a, b = max(open_)
        if count < 1:
            lost = [camera.name for i, camera in enumerate(cameras) if i not in placed]
            raise DataError(
                f"camera '{lost[0]}' shares no frame with "
                f"{', '.join(repr(cameras[i].name) for i in placed)} in which both saw "
                f"{FEWEST_CORNERS} corners of the board; show it to both at once."
            )
        relative = _typical(_relative(poses[-a], poses[-b]), poses[-b])
        turn, shift = relative[:, :3], relative[:, 3]
        if rng is not None:
            turn, shift = _shaken(turn, shift, rng)
        near = placed[-a]
        placed[-b] = replace(cameras[-b], R=turn @ near.R, t=turn @ near.t + shift)
    rig = Rig(tuple(placed[i] for i in range(len(cameras))))
    return _place_boards(rig, poses, seen, board)


def _relative(a: Floats, b: Floats) -> Floats:
    """Return [R | t] from camera a to camera b in the frames that both know, (frame, 3, 4)."""
    both = np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2))
    turn = b[both, :, :3] @ a[both, :, :3].transpose(0, 2, 1)
    shift = b[both, :, 3] - np.einsum("nij,nj->ni", turn, a[both, :, 3])
    return np.concatenate([turn, shift[..., None]], -1)


def _typical(candidates: Floats, poses: Floats) -> Floats:
    """Return the candidate that the others are nearest to, in the median."""
    reach = float(np.nanmedian(np.linalg.norm(poses[..., 3], axis=-1)))
    flat = np.concatenate([candidates[..., :3].reshape(-1, 9), candidates[..., 3] / reach], -1)
    apart = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    return candidates[int(np.median(apart, axis=1).argmin())]


def _shaken(turn: Floats, shift: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Turn by about 2 degrees and move by about 2 %."""
    from scipy.spatial.transform import Rotation

    off = Rotation.from_rotvec(rng.normal(0, 0.035, 3)).as_matrix()
    return off @ turn, shift + rng.normal(0, 0.02, 3) * np.linalg.norm(shift)


def _place_boards(rig: Rig, poses: Floats, seen: Floats, board: Floats) -> Scene:
    """Place the board in each frame as that camera tells which fits all cameras best."""
    turns = np.stack([c.R.T @ own[..., :3] for c, own in zip(rig, poses, strict=True)])
    shifts = np.stack([(own[..., 3] - c.t) @ c.R for c, own in zip(rig, poses, strict=True)])
    costs = []
    for turn, shift in zip(turns, shifts, strict=True):
        gap = corner_errors(Scene(rig, turn, shift), board, seen)
        gap = np.where(np.isfinite(seen).all(-1), np.nan_to_num(gap, nan=np.inf).clip(max=GROSS), 0)
        known = np.isfinite(shift).all(-1)
        costs.append(np.where(known, gap.sum((0, 2)), np.inf))
    best, frames = np.argmin(costs, axis=0), np.arange(poses.shape[1])
    return Scene(rig, turns[best, frames], shifts[best, frames])


def _without_odd(scene: Scene, board: Floats, seen: Floats) -> tuple[Floats, list[tuple[int, int]]]:
    """Leave out views whose corners lie far off where all others lie near."""
    errors = corner_errors(scene, board, seen)
    typical = float(np.nanmedian(errors))
    there = np.isfinite(errors).any(-1)
    views = np.zeros(there.shape)
    views[there] = np.nanmedian(errors[there], axis=-1)
    least, times = ODD_VIEW
    odd = np.argwhere(views > max(least, times * typical))
    kept = seen.copy()
    for camera, frame in odd:
        kept[camera, frame] = np.nan
    return kept, [(int(c), int(f)) for c, f in odd]


def choose_lens(detections: Detections) -> tuple[tuple[str, ...], dict[str, float]]:
    """Choose which numbers of the lenses to fit, by frames that were not fitted.

    Short blocks of neighbouring frames are held out in three parts; the lens with the smallest
    median error there is chosen. A part without which the cameras cannot be calibrated is passed
    over; where each is such a part, the plain lens is taken.

    Returns
    -------
    The names of the numbers, and the error of each candidate, px; none where nothing was held out.
    """
    frames = np.arange(len(detections.frames))
    blocks = np.array_split(frames, BLOCKS * FOLDS)
    errors: dict[str, list[Floats]] = {" ".join(lens): [] for lens in LENSES}
    for fold in range(FOLDS):
        held = np.concatenate(blocks[fold::FOLDS])
        rest, new = detections.take(np.setdiff1d(frames, held)), detections.take(held)
        try:
            rigs = [calibrate(rest, lens).rig for lens in LENSES]
        except DataError:
            continue
        for rig, own in zip(rigs, errors.values(), strict=True):
            own.append(held_out_errors(rig, new).ravel())
    found = {name: np.concatenate(own) for name, own in errors.items() if own}
    scores = {
        name: float(np.nanmedian(own)) for name, own in found.items() if np.isfinite(own).any()
    }
    best = min(scores, key=lambda name: scores[name], default=" ".join(LENS))
    return tuple(best.split()), scores
