"""Bundle adjustment: lenses, poses of cameras and of a board, all at once.

Levenberg-Marquardt with the exact derivative; the normal equations are sparse, since a camera and a
board meet only where one saw the other (Triggs et al. 2000, "Bundle adjustment: a modern
synthesis"). Gross errors are held off by a smooth L1 loss, through reweighting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.pose.rig.cameras import Camera, Rig
from neuroloom.pose.rig.lens import distort

Floats = NDArray[np.float64]

LENS = ("f", "k1", "k2")
KNOWN = ("f", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4")
_PLACE = {"k1": 0, "k2": 1, "p1": 2, "p2": 3, "k3": 4, "k4": 5}


@dataclass(frozen=True, eq=False)
class Scene:
    """What is adjusted: a rig, and where the board was in each frame.

    Attributes
    ----------
    turn
        Rotations of the board, shape (frame, 3, 3).
    shift
        Its place, shape (frame, 3).
    """

    rig: Rig
    turn: Floats
    shift: Floats

    def corners(self, board: np.ndarray) -> Floats:
        """Return where the board's corners (corner, 3) are, shape (frame, corner, 3)."""
        return board @ self.turn.transpose(0, 2, 1) + self.shift[:, None]


@dataclass(frozen=True)
class Adjusted:
    """What came out: the scene, its cost and how many steps it took."""

    scene: Scene
    cost: float
    steps: int


def adjust(
    scene: Scene,
    board: np.ndarray,
    seen: np.ndarray,
    lens: tuple[str, ...] = LENS,
    loss_px: float = 1.0,
    steps: int = 200,
    hold: bool = False,
) -> Adjusted:
    """Move cameras and boards until what the cameras saw fits best.

    Parameters
    ----------
    scene
        Where to start; the first camera stays where it is.
    board
        Corners, shape (corner, 3).
    seen
        Shape (camera, frame, corner, 2), px; NaN where a corner was not seen.
    lens
        Which numbers of each lens are free, of `KNOWN`; none leaves the cameras' lenses as they
        are.
    loss_px
        The loss of a distance d is 2 s^2 (sqrt(1 + (d / s)^2) - 1), s = `loss_px`: squared below s,
        straight above.
    steps
        At most so many.
    hold
        All cameras stay as they are, and only the board's poses move.

    Examples
    --------
    >>> K = np.diag([800.0, 800, 1])
    >>> rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    >>> board = np.array([[x, y, 0.0] for x in range(4) for y in range(4)]) * 10
    >>> scene = Scene(rig, np.eye(3)[None], np.array([[0.0, 0, 200]]))
    >>> seen = rig.project(scene.corners(board))
    >>> start = Scene(rig, np.eye(3)[None], np.array([[5.0, 2, 190]]))
    >>> bool(np.allclose(adjust(start, board, seen, hold=True).scene.shift, [[0, 0, 200]]))
    True
    """
    lens = () if hold else lens
    fixed = 6 * len(scene.rig) if hold else len(lens) + 6
    damping, tries, taken = 1e-4, 0, 0
    cost, normal, slope = _linearise(scene, board, seen, lens, loss_px, fixed)
    while taken < steps and tries < 12:
        moved = _apply(scene, _solve(normal, slope, damping), lens)
        value = _cost(moved, board, seen, loss_px)
        taken += 1
        if not value < cost:
            damping, tries = damping * 10, tries + 1
            continue
        flat = cost - value <= 1e-12 * cost
        scene, damping, tries = moved, max(damping / 10, 1e-12), 0
        cost, normal, slope = _linearise(scene, board, seen, lens, loss_px, fixed)
        if flat:
            break
    return Adjusted(scene, cost, taken)


def _solve(normal: Any, slope: Floats, damping: float) -> Floats:
    from scipy.sparse import diags
    from scipy.sparse.linalg import spsolve

    size = normal.diagonal()
    return spsolve((normal + diags(damping * size + 1e-12 * size.max())).tocsc(), slope)


def _cost(scene: Scene, board: Floats, seen: Floats, s: float) -> float:
    gap = seen - scene.rig.project(scene.corners(board))
    there = np.isfinite(seen).all(-1)
    far = (gap[there] ** 2).sum(-1)
    # A point behind its camera has no pixel; such a step is never taken.
    return float((2 * s**2 * (np.sqrt(1 + far / s**2) - 1)).sum())


def _linearise(
    scene: Scene, board: Floats, seen: Floats, lens: tuple[str, ...], s: float, fixed: int
) -> tuple[float, Any, Floats]:
    """Return cost, sparse normal matrix and right-hand side at the scene.

    The numbers up to `fixed` stand still, but for the first camera's lens.
    """
    from scipy.sparse import coo_matrix

    width, cameras = len(lens) + 6, len(scene.rig)
    n = cameras * width + 6 * len(scene.turn)
    places = scene.corners(board)
    slope, cost = np.zeros(n), 0.0
    parts: list[tuple[Floats, Any, Any]] = []
    for number, camera in enumerate(scene.rig):
        gap, jac, rows = _rows(camera, scene, places, seen[number], lens)
        far = (gap**2).sum(-1)
        cost += float((2 * s**2 * (np.sqrt(1 + far / s**2) - 1)).sum())
        weight = 1 / np.sqrt(1 + far / s**2)
        own = np.arange(number * width, (number + 1) * width)
        for frame in np.unique(rows):
            here = rows == frame
            columns = np.r_[own, cameras * width + 6 * frame + np.arange(6)]
            part = jac[here].reshape(-1, width + 6)
            weighted = part * np.repeat(weight[here], 2)[:, None]
            slope[columns] += weighted.T @ gap[here].ravel()
            parts.append((weighted.T @ part, *np.meshgrid(columns, columns, indexing="ij")))
    values, down, across = (np.concatenate([p[i].ravel() for p in parts]) for i in range(3))
    still = np.arange(n) < fixed
    still[: len(lens)] = False
    values = np.where(still[down] | still[across], 0, values)
    slope[still] = 0
    rest = np.flatnonzero(still)
    down, across = np.r_[down, rest], np.r_[across, rest]
    values = np.r_[values, np.ones(len(rest))]
    return cost, coo_matrix((values, (down, across)), shape=(n, n)).tocsc(), slope


def _rows(
    camera: Camera, scene: Scene, places: Floats, seen: Floats, lens: tuple[str, ...]
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return gaps (n, 2), their derivatives (n, 2, lens + camera 6 + board 6) and frames (n,)."""
    frame, corner = np.nonzero(np.isfinite(seen).all(-1))
    world = places[frame, corner]
    local = world @ camera.R.T + camera.t
    gap = seen[frame, corner] - camera.project(world)
    by_point = camera.local_slope(local)
    turned = world - scene.shift[frame]
    jac = np.concatenate(
        [
            _by_lens(camera, local, lens),
            -by_point @ _cross(world @ camera.R.T),
            by_point,
            -by_point @ camera.R @ _cross(turned),
            by_point @ camera.R,
        ],
        axis=-1,
    )
    return gap, jac, frame


def _by_lens(camera: Camera, local: Floats, lens: tuple[str, ...]) -> Floats:
    """Return how pixels move with each free number of the lens, shape (n, 2, number)."""
    ideal = local[:, :2] / local[:, 2:]
    x, y = ideal.T
    r = (ideal**2).sum(-1)
    nil, one = np.zeros_like(r), np.ones_like(r)
    seen = distort(ideal, camera.distortion)
    k1, k2, _, _, k3, k4, k5, k6 = camera.distortion
    below = 1 + r * (k4 + r * (k5 + r * k6))
    radial = (1 + r * (k1 + r * (k2 + r * k3))) / below
    lenses = {
        "k1": ideal.T * r / below,
        "k2": ideal.T * r**2 / below,
        "k3": ideal.T * r**3 / below,
        "k4": -ideal.T * radial * r / below,
        "p1": (2 * x * y, r + 2 * y**2),
        "p2": (r + 2 * x**2, 2 * x * y),
    }
    grown = seen @ camera.K[:2, :2].T / camera.K[0, 0]
    plain = {"cx": (one, nil), "cy": (nil, one), "f": (grown[:, 0], grown[:, 1])}
    columns = [
        np.stack(lenses[name], -1) @ camera.K[:2, :2].T if name in lenses
        else np.stack(plain[name], -1)
        for name in lens
    ]  # fmt: skip
    return np.stack(columns, -1) if columns else np.zeros((len(local), 2, 0))


def _cross(v: Floats) -> Floats:
    """Return the matrices (n, 3, 3) that take the cross product with v (n, 3)."""
    out = np.zeros((len(v), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    return out - out.transpose(0, 2, 1)


def _apply(scene: Scene, step: Floats, lens: tuple[str, ...]) -> Scene:
    from scipy.spatial.transform import Rotation

    width = len(lens) + 6
    cameras = [
        _moved(camera, step[i * width : (i + 1) * width], lens)
        for i, camera in enumerate(scene.rig)
    ]
    boards = step[len(cameras) * width :].reshape(-1, 6)
    turn = Rotation.from_rotvec(boards[:, :3]).as_matrix() @ scene.turn
    return Scene(Rig(tuple(cameras), scene.rig.unit), turn, scene.shift + boards[:, 3:])


def _moved(camera: Camera, step: Floats, lens: tuple[str, ...]) -> Camera:
    from scipy.spatial.transform import Rotation

    matrix, bent = camera.K.copy(), camera.distortion.copy()
    for name, value in zip(lens, step, strict=False):
        if name in _PLACE:
            bent[_PLACE[name]] += value
        elif name == "f":
            # A step that would turn the lens inside out is shortened.
            scale = max(1 + value / matrix[0, 0], 0.2)
            matrix[:2, :2] *= scale
        else:
            matrix[["cx", "cy"].index(name), 2] += value
    turn = Rotation.from_rotvec(step[len(lens) : len(lens) + 3]).as_matrix()
    shift = camera.t + step[len(lens) + 3 :]
    return replace(camera, K=matrix, distortion=bent, R=turn @ camera.R, t=shift)
