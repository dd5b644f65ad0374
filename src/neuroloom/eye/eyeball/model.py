"""The eyeball before a camera, found from many pupils, and the gaze in each frame.

Rays through the rim of a pupil are followed back through the cornea to the plane in which the pupil
must lie. If eyeball and gaze are right, they meet it on a circle around the eye's axis. The model
is the eyeball for which that is so in all frames.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import read_json, write_json
from neuroloom.eye.eyeball.circles import middle_of, rays, unproject

POINTS = 16
STEP = 1e-5
FEWEST = 12
MOST_OVAL = 0.05
DEPTHS = (2.5, 3.5, 5.0, 7.0, 10.0, 15.0, 25.0)  # radii of the eyeball
Pair = tuple[float, float]


@dataclass(frozen=True)
class Eyeball:
    """An eyeball and the camera that sees it.

    Attributes
    ----------
    focal
        Focal length, px.
    origin
        Where the camera's axis meets the picture, px.
    centre
        Of the eyeball, in the camera's coordinates, mm. Size and distance go together: it is right
        for an eyeball of the given radius.
    radius
        Of the eyeball, mm.
    plane, cornea, offset
        Distance of the pupil, radius of the cornea and distance of its centre, shares of `radius`.
    index
        Refractive index behind the cornea; 1 for none.
    oval
        How far the pupil itself is from a circle: shares of its radius along its axes and between
        them, (second harmonic, cosine and sine).
    frames, residual
        How many frames it was fitted to, and how well, px (median).
    size
        Width and height of these frames, px; None where they are not known.

    Examples
    --------
    >>> Eyeball(400.0, (160.0, 120.0), (0.0, 0.0, 50.0)).radius
    12.0
    """

    focal: float
    origin: Pair
    centre: tuple[float, float, float]
    radius: float = 12.0
    plane: float = 0.82
    cornea: float = 0.645
    offset: float = 0.47
    index: float = 1.336
    oval: Pair = (0.0, 0.0)
    frames: int = 0
    residual: float = float("nan")
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Gazes:
    """Where an eye looks in n frames.

    Attributes
    ----------
    vector
        Unit vectors (n, 3) along the eye's axis: right, down, away from the camera; NaN if unknown.
    angles
        To the right and down, as the camera sees it, degrees, (n, 2).
    pupil_mm
        Radius of the pupil, mm, (n,).
    residual
        How far the rim is from what the model says, px (root mean square), (n,).
    """

    vector: np.ndarray
    angles: np.ndarray
    pupil_mm: np.ndarray
    residual: np.ndarray


def angles_of(vector: np.ndarray) -> np.ndarray:
    """Return the angles to the right and down (…, 2), degrees, of unit vectors (…, 3).

    Examples
    --------
    >>> angles_of(np.array([0.5, 0.0, -0.75**0.5])).round(3).tolist()
    [30.0, 0.0]
    """
    right = np.arctan2(vector[..., 0], -vector[..., 2])
    down = np.arcsin(np.clip(vector[..., 1], -1, 1))
    return np.rad2deg(np.stack([right, down], axis=-1))


def gaze_of(ellipses: np.ndarray, eyeball: Eyeball) -> Gazes:
    """Return the gaze that explains each ellipse (n, 5), given the eyeball.

    Rows with NaN stay NaN.
    """
    known = np.isfinite(ellipses).all(axis=1)
    vector = np.full((len(ellipses), 3), np.nan)
    size, residual = np.full(len(ellipses), np.nan), np.full(len(ellipses), np.nan)
    if known.any():
        lines = rays(ellipses[known], eyeball.focal, eyeball.origin, POINTS)
        centre = np.array(eyeball.centre)
        turned, _ = _settle(lines, eyeball, centre, _start(ellipses[known], eyeball, centre))
        off, far = _miss(lines, eyeball, centre, turned)
        vector[known], size[known] = turned, far
        residual[known] = np.sqrt((off**2).mean(axis=1))
    return Gazes(vector, angles_of(vector), size, residual)


def fit_eyeball(
    ellipses: np.ndarray,
    focal: float,
    origin: Pair,
    *,
    weights: np.ndarray | None = None,
    like: Eyeball | None = None,
) -> Eyeball:
    """Find the eyeball from the pupils of many frames with different gaze.

    The image of the eyeball's centre is first taken from where the short axes of all ellipses meet,
    its distance from a few guesses; then centre and all gazes are refined together, robustly.

    Parameters
    ----------
    ellipses
        (n, 5), px; rows with NaN are left out.
    focal, origin
        The camera, px.
    weights
        Trust in each, (n,).
    like
        Radius, cornea and index to assume; default: a human eye, with refraction.

    Raises
    ------
    DataError
        If there are fewer than twelve ellipses, or the eye hardly moves.

    References
    ----------
    Swirski & Dodgson (2013), ECEM (pupils on a sphere); Dierkes, Kassner & Bulling (2018), ETRA
    (refraction, and the error without it).
    """
    weights = np.ones(len(ellipses)) if weights is None else np.asarray(weights, float)
    used = np.isfinite(ellipses).all(axis=1) & (weights > 0)
    ellipses, weights = ellipses[used], weights[used] / max(weights[used].max(initial=0), 1e-9)
    _check(ellipses)
    eyeball = replace(like or Eyeball(focal, origin, (0, 0, 1)), focal=focal, origin=origin)
    lines = rays(ellipses, focal, origin, POINTS)
    middle = np.append((middle_of(ellipses, weights) - origin) / focal, 1.0)
    best: tuple[float, np.ndarray, np.ndarray, Eyeball] | None = None
    for depth in DEPTHS:
        centre = middle * depth * eyeball.radius
        found = _adjust(lines, eyeball, centre, _start(ellipses, eyeball, centre), weights, 6)
        if best is None or found[0] < best[0]:
            best = found
    assert best is not None
    _, centre, gaze, eyeball = _adjust(lines, best[3], best[1], best[2], weights, 40)
    off = _miss(lines, eyeball, centre, gaze)[0]
    x, y, z = (float(part) for part in centre)
    residual = float(np.median(np.sqrt((off**2).mean(axis=1))))
    return replace(eyeball, centre=(x, y, z), frames=len(ellipses), residual=residual)


def _check(ellipses: np.ndarray) -> None:
    if len(ellipses) < FEWEST:
        raise DataError(
            f"An eyeball needs {FEWEST} frames with a clear pupil or more, got {len(ellipses)}."
        )
    moved = np.ptp(np.percentile(ellipses[:, :2], (5, 95), axis=0), axis=0).max()
    size = float(np.median(ellipses[:, 2]))
    if moved < 0.25 * size:
        raise DataError(
            f"The eye hardly moves: the pupil's centre by {moved:.1f} px, at a radius of "
            f"{size:.1f} px. An eyeball can be found only where gaze changes; fit it on another "
            "video of the same eye and camera."
        )


def _start(ellipses: np.ndarray, eyeball: Eyeball, centre: np.ndarray) -> np.ndarray:
    """Return first gazes: where the ray of the pupil's middle meets its sphere.

    Where it passes by the sphere, that of the two circles which looks away from the middle.
    """
    ray = np.append(
        (ellipses[:, :2] - eyeball.origin) / eyeball.focal, np.ones((len(ellipses), 1)), axis=1
    )
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    ahead = ray @ centre
    reach = eyeball.radius * eyeball.plane
    under = ahead**2 - centre @ centre + reach**2
    place = (ahead - np.sqrt(np.maximum(under, 0)))[:, None] * ray
    gaze = place - centre
    _, normals = unproject(ellipses, eyeball.focal, eyeball.origin)
    outward = np.einsum("nkj,nj->nk", normals, gaze)
    circle = np.take_along_axis(normals, outward.argmax(1)[:, None, None], 1)[:, 0]
    gaze = np.where((under > 0)[:, None], gaze, circle)
    return gaze / np.linalg.norm(gaze, axis=1, keepdims=True)


def _settle(
    lines: np.ndarray, eyeball: Eyeball, centre: np.ndarray, gaze: np.ndarray, rounds: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Turn each gaze until its rim is a circle around the axis (Levenberg-Marquardt)."""
    damp = np.full(len(gaze), 1e-3)
    off = _miss(lines, eyeball, centre, gaze)[0]
    for _ in range(rounds):
        slope = _slopes(lines, eyeball, centre, gaze, off)
        square = np.einsum("nki,nkj->nij", slope, slope)
        square += (damp * np.trace(square, axis1=1, axis2=2))[:, None, None] * np.eye(2)
        down = np.linalg.solve(
            square + 1e-9 * np.eye(2), -np.einsum("nki,nk->ni", slope, off)[..., None]
        )
        tried = _turn(gaze, np.clip(down[..., 0], -0.3, 0.3))
        again = _miss(lines, eyeball, centre, tried)[0]
        better = (again**2).sum(1) < (off**2).sum(1)
        gaze = np.where(better[:, None], tried, gaze)
        off = np.where(better[:, None], again, off)
        damp = np.where(better, damp / 5, damp * 10)
    return gaze, off


def _adjust(
    lines: np.ndarray, eyeball: Eyeball, centre: np.ndarray, gaze: np.ndarray,
    weights: np.ndarray, rounds: int,
) -> tuple[float, np.ndarray, np.ndarray, Eyeball]:  # fmt: skip
    """Refine centre and oval together with all gazes; return cost, centre, gazes, eyeball.

    Each gaze only matters to its own frame, so that the normal equations are solved frame by frame
    for the gaze and once for the centre (Schur complement). Frames that fit badly count less
    (Geman-McClure).
    """
    gaze, off = _settle(lines, eyeball, centre, gaze)
    damp, kept = 1e-3, _trust(off, weights)
    cost = _cost(off, weights)
    for _ in range(rounds):
        own = _slopes(lines, eyeball, centre, gaze, off)
        shared = _slopes_shared(lines, eyeball, centre, gaze, off)
        move = _schur(own, shared, off, kept, damp)
        moved = centre + move[:3]
        oval = np.clip(np.array(eyeball.oval) + move[3:], -MOST_OVAL, MOST_OVAL)
        other = replace(eyeball, oval=(float(oval[0]), float(oval[1])))
        tried, again = _settle(lines, other, moved, gaze, 4)
        new = _cost(again, weights)
        if moved[2] > 1.3 * eyeball.radius and new < cost:
            small = abs(cost - new) < 1e-9 * cost
            centre, gaze, off, cost, damp = moved, tried, again, new, damp / 4
            eyeball = other
            kept = _trust(off, weights)
            if small:
                break
        else:
            damp *= 8
            if damp > 1e8:
                break
    return cost, centre, gaze, eyeball


def _schur(
    own: np.ndarray, shared: np.ndarray, off: np.ndarray, kept: np.ndarray, damp: float
) -> np.ndarray:
    """Return the step of centre and oval (5,), gazes eliminated."""
    square = np.einsum("nki,nkj->nij", own, own) + 1e-9 * np.eye(2)
    cross = np.einsum("nki,nkj->nij", own, shared)
    down = np.einsum("nki,nk->ni", own, off)
    solved = np.linalg.solve(square, np.concatenate([cross, down[..., None]], axis=2))
    left = np.einsum("n,nki,nkj->ij", kept, shared, shared)
    left -= np.einsum("n,nki,nkj->ij", kept, cross, solved[..., :-1])
    right = np.einsum("n,nki,nk->i", kept, shared, off)
    right -= np.einsum("n,nki,nk->i", kept, cross, solved[..., -1])
    left += damp * np.diag(np.diag(left)) + 1e-12 * np.eye(len(left))
    return -np.linalg.solve(left, right)


def _trust(off: np.ndarray, weights: np.ndarray) -> np.ndarray:
    square = (off**2).mean(axis=1)
    scale = 6 * np.median(square) + 1e-6
    return weights / (1 + square / scale) ** 2


def _cost(off: np.ndarray, weights: np.ndarray) -> float:
    """Return a mean of squares that a few bad frames cannot rule (px²)."""
    square = (off**2).mean(axis=1)
    limit = 9.0
    return float((weights * square * limit / (square + limit)).sum() / weights.sum())


def _slopes(
    lines: np.ndarray, eyeball: Eyeball, centre: np.ndarray, gaze: np.ndarray, off: np.ndarray
) -> np.ndarray:
    """Return how misses change with the two turns of each gaze, (n, points, 2)."""
    steps = [_turn(gaze, np.tile(step, (len(gaze), 1))) for step in np.eye(2) * STEP]
    return np.stack(
        [(_miss(lines, eyeball, centre, turned)[0] - off) / STEP for turned in steps], axis=-1
    )


def _slopes_shared(
    lines: np.ndarray, eyeball: Eyeball, centre: np.ndarray, gaze: np.ndarray, off: np.ndarray
) -> np.ndarray:
    """Return how misses change with the centre and the pupil's oval, (n, points, 5)."""
    step = STEP * eyeball.radius
    columns = [
        (_miss(lines, eyeball, centre + move, gaze)[0] - off) / step for move in np.eye(3) * step
    ]
    a, b = eyeball.oval
    for oval in ((a + STEP, b), (a, b + STEP)):
        other = replace(eyeball, oval=oval)
        columns.append((_miss(lines, other, centre, gaze)[0] - off) / STEP)
    return np.stack(columns, axis=-1)


def _basis(gaze: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    right = np.cross(gaze, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return right, np.cross(gaze, right)


def _turn(gaze: np.ndarray, by: np.ndarray) -> np.ndarray:
    right, down = _basis(gaze)
    turned = gaze + by[:, :1] * right + by[:, 1:] * down
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)


def _miss(
    lines: np.ndarray, eyeball: Eyeball, centre: np.ndarray, gaze: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follow rays to the plane of the pupil.

    Returns
    -------
    tuple
        How far each is off the circle of their mean radius, px, (n, points); that radius, mm, (n,).
    """
    axis = gaze[:, None]
    entry, ray = _bend(lines, eyeball, centre + eyeball.offset * eyeball.radius * axis)
    pupil = centre + eyeball.plane * eyeball.radius * axis
    slope = (ray * axis).sum(-1)
    slope = np.where(slope < -1e-2, slope, -1e-2)
    way = ((pupil - entry) * axis).sum(-1) / slope
    place = entry + way[..., None] * ray - pupil
    far = np.linalg.norm(place, axis=-1)
    right, down = _basis(gaze)
    turn = 2 * np.arctan2((place * down[:, None]).sum(-1), (place * right[:, None]).sum(-1))
    form = 1 + eyeball.oval[0] * np.cos(turn) + eyeball.oval[1] * np.sin(turn)
    far = far / form
    size = far.mean(axis=1)
    scale = eyeball.focal / np.maximum(pupil[..., 2], 1e-3)
    return (far - size[:, None]) * scale, size


def _bend(
    lines: np.ndarray, eyeball: Eyeball, corneal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where rays enter the cornea, and their direction behind it (Snell)."""
    if eyeball.index == 1:
        return np.zeros_like(lines), lines
    size = eyeball.cornea * eyeball.radius
    ahead = (lines * corneal).sum(-1)
    under = ahead**2 - (corneal**2).sum(-1) + size**2
    entry = (ahead - np.sqrt(np.maximum(under, 0)))[..., None] * lines
    normal = entry - corneal
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    facing, ratio = -(lines * normal).sum(-1), 1 / eyeball.index
    inner = np.sqrt(np.maximum(1 - ratio**2 * (1 - facing**2), 0))
    return entry, ratio * lines + (ratio * facing - inner)[..., None] * normal


def write_eyeball(path: Path, eyeball: Eyeball) -> Path:
    """Write an eyeball as JSON."""
    return write_json(path, asdict(eyeball))


def read_eyeball(path: Path) -> Eyeball:
    """Read an eyeball that `write_eyeball` wrote.

    Raises
    ------
    DataError
        If the file is missing or no eyeball.
    """
    try:
        held: dict[str, Any] = read_json(path)
        held |= {name: tuple(held[name]) for name in ("origin", "centre", "oval")}
        if held.get("size") is not None:
            held["size"] = tuple(held["size"])
        if held.get("residual") is None:
            held["residual"] = float("nan")
        return Eyeball(**held)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: no eyeball model ({type(error).__name__}: {error}); `eye.gaze` writes one as "
            "artifacts/eyeball.json."
        ) from None
