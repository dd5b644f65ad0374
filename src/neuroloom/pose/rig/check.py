"""Is a rig possible, and is it the rig that saw the board? Faulty cameras are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.pose.rig.board import Detections
from neuroloom.pose.rig.calibrate import board_poses
from neuroloom.pose.rig.cameras import Camera, Rig
from neuroloom.pose.rig.triangulate import reprojection_error, triangulate

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

SAME_PLACE = 1e-4
PAIR_PX = 5.0
PAIR_SQUARE = 0.05
COVERED = 0.25
CELLS = 6
TILTED = 10.0
TURNED = 60.0
FEW_FRAMES = 10
FOLDED = 0.8


@dataclass(frozen=True, eq=False)
class RigReport:
    """What a check found.

    Attributes
    ----------
    faulty
        Cameras whose calibration does not fit the others.
    findings
        Each in words; an objection means that the rig should not be used as it is.
    pairs
        A row a pair of cameras: camera, other, baseline, and with a board frames, error_px,
        square_mm and sound.
    views
        A row a camera: camera, and with a board frames, covered (share of the image), tilt (deg).
    """

    faulty: tuple[str, ...]
    findings: list[Finding]
    pairs: pd.DataFrame
    views: pd.DataFrame = field(repr=False)

    @property
    def sound(self) -> bool:
        """True if nothing was objected to."""
        return not any(found.severity == "objection" for found in self.findings)


def check_rig(rig: Rig, detections: Detections | None = None) -> RigReport:
    """Check a rig by itself and, where a board was seen, against what its cameras saw.

    Pairs of cameras must place the board's corners where both see them, a square apart; the cameras
    outside the largest set that agrees among itself are faulty. Views that do not tell the board's
    pose, of a single row for example, are passed over, as a calibration does.

    Parameters
    ----------
    rig
        The cameras to be judged.
    detections
        What they saw of a board; its cameras are matched by name.

    Examples
    --------
    >>> K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    >>> a, b = (Camera(name, K, size=(640, 480)) for name in "ab")
    >>> check_rig(Rig((a, b))).findings[0].title
    'Two cameras in one place'
    """
    import pandas as pd

    pairs = pd.DataFrame([_pair(a, b) for a, b in combinations(rig, 2)])
    findings = _alone(rig) + _coinciding(rig) + _apart(rig)
    views = pd.DataFrame({"camera": rig.names})
    if detections is None:
        return RigReport((), findings, pairs, views)
    rig = rig.take(name for name in rig.names if name in detections.names)
    detections = detections.of(rig.names).only_telling()
    pairs = pd.DataFrame([_judged(rig, detections, a, b) for a, b in combinations(rig.names, 2)])
    faulty, more = _outside(rig.names, pairs)
    views = pd.DataFrame([_view(camera, detections) for camera in rig])
    findings += more + _thin(views) + _flipped(rig, detections, faulty)
    return RigReport(faulty, findings, pairs, views)


def require_possible(rig: Rig) -> list[Finding]:
    """Return the findings about a rig that can be used.

    Raises
    ------
    DataError
        If it cannot, saying which cameras are at fault and what to do.
    """
    report = check_rig(rig)
    objections = [found for found in report.findings if found.severity == "objection"]
    if objections:
        told = " ".join(found.detail for found in objections)
        raise DataError(f"The calibration describes an impossible rig. {told}")
    return report.findings


def _reach(rig: Rig | tuple[Camera, ...]) -> float:
    """Return how far the cameras stand from each other and from the world's origin, at most."""
    places = np.stack([camera.centre for camera in rig])
    return float(np.linalg.norm(places[:, None] - places[None], axis=-1).max())


def _pair(a: Camera, b: Camera) -> dict[str, object]:
    angle = np.degrees(np.arccos(np.clip(a.direction @ b.direction, -1, 1)))
    baseline = float(np.linalg.norm(a.centre - b.centre))
    return {"camera": a.name, "other": b.name, "baseline": baseline, "angle_deg": float(angle)}


def _alone(rig: Rig) -> list[Finding]:
    """Say which camera's lens cannot have made its images."""
    found = []
    for camera in rig:
        width, height = camera.size
        if not width:
            continue
        y, x = np.mgrid[0 : height - 1 : 9j, 0 : width - 1 : 9j]  # type: ignore[misc]
        lost = np.isnan(camera.undistort(np.stack([x, y], -1))).any(-1).mean()
        if lost > 0:
            found.append(Finding(
                "objection" if lost > FOLDED else "warning", "A lens folds back",
                f"camera '{camera.name}': its distortion ({camera.distortion[:5].round(3)}) has no "
                f"ray for {lost:.0%} of its image, where points get lost; a board shown near the "
                "edges mends it.",
            ))  # fmt: skip
        middle = camera.K[:2, 2]
        if ((middle < 0) | (middle > np.array(camera.size))).any():
            found.append(Finding(
                "warning", "A principal point outside its image",
                f"camera '{camera.name}': {middle.round(1).tolist()} px is outside its image of "
                f"{width} x {height}; is the image cropped, or the size another's?",
            ))  # fmt: skip
    return found


def _coinciding(rig: Rig) -> list[Finding]:
    """Say which cameras stand in one place."""
    reach = max(_reach(rig), 1e-12)
    found = []
    for a, b in combinations(rig, 2):
        apart = float(np.linalg.norm(a.centre - b.centre))
        if apart > SAME_PLACE * reach and apart > 1e-9:
            continue
        copied = np.allclose(a.R, b.R, atol=1e-6) and np.allclose(a.K, b.K, rtol=1e-6)
        why = (
            "and are alike in lens and direction: one is a copy of the other"
            if copied else "so that no depth can be told from them"
        )  # fmt: skip
        found.append(Finding(
            "objection", "Two cameras in one place",
            f"cameras '{a.name}' and '{b.name}' are {apart:.3g} {rig.unit} apart {why}. Calibrate "
            "again, or leave the wrong one out; a check with clips of a board tells which.",
        ))  # fmt: skip
    return found


def _apart(rig: Rig) -> list[Finding]:
    """Say which camera sees nothing that another one sees."""
    if len(rig) < 2 or not all(camera.size[0] for camera in rig):
        return []
    lonely = [a.name for a in rig if not any(_share(a, b) for b in rig if b is not a)]
    return [
        Finding("objection", "A camera without company",
                f"camera '{name}' sees no place that any other camera sees; its direction or place "
                "is wrong, or it belongs to another rig.")
        for name in lonely
    ]  # fmt: skip


def _share(a: Camera, b: Camera) -> bool:
    """Tell whether some place lies on a ray of `a`, nearest to one of `b`, in both images."""
    rays, others = _rays(a), _rays(b)
    if not (len(rays) and len(others)):
        return False
    between = b.centre - a.centre
    along = rays @ others.T
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = ((rays @ between)[:, None] - along * (others @ between)) / (1 - along**2)
    places = a.centre + np.where(depth > 0, depth, np.nan)[..., None] * rays[:, None]
    seen = b.project(places)
    return bool(((seen >= 0) & (seen <= np.array(b.size))).all(-1).any())


def _rays(camera: Camera) -> Floats:
    """Return unit directions of a grid of pixels, shape (ray, 3)."""
    width, height = camera.size
    y, x = np.mgrid[0 : height - 1 : 7j, 0 : width - 1 : 7j]  # type: ignore[misc]
    away = camera.unproject(np.stack([x.ravel(), y.ravel()], -1)) - camera.centre
    away = away[np.isfinite(away).all(-1)]
    return away / np.linalg.norm(away, axis=-1, keepdims=True)


def _judged(rig: Rig, detections: Detections, a: str, b: str) -> dict[str, object]:
    """Judge a pair by corners that both saw: error of reprojection and length of a square."""
    two, seen = rig.take([a, b]), detections.of([a, b]).corners
    row = _pair(*two.cameras)
    both = (detections.of([a, b]).seen > 0).all(0)
    row |= {"frames": int(both.sum()), "error_px": np.nan, "square_mm": np.nan, "sound": False}
    if not both.any() or float(row["baseline"]) <= SAME_PLACE * max(_reach(rig), 1e-12):  # type: ignore[arg-type]
        return row
    points = triangulate(two, seen[:, both])
    first, second = detections.board.neighbours().T
    sides = np.linalg.norm(points[:, first] - points[:, second], axis=-1)
    with np.errstate(all="ignore"):
        error = float(np.nanmedian(reprojection_error(two, points, seen[:, both])))
    square = float(np.nanmedian(sides)) if np.isfinite(sides).any() else np.nan
    wrong = abs(square / detections.board.square - 1)
    sound = bool(error <= PAIR_PX and wrong <= PAIR_SQUARE)
    return row | {"error_px": error, "square_mm": square, "sound": sound}


def _outside(names: tuple[str, ...], pairs: pd.DataFrame) -> tuple[tuple[str, ...], list[Finding]]:
    """Name the cameras outside the largest set whose pairs are all sound."""
    known = pairs[pairs["frames"] > 0]
    sound = {frozenset(two) for two in zip(*(known.loc[known["sound"], c] for c in
                                             ("camera", "other")), strict=True)}  # fmt: skip
    unknown = {frozenset(two) for two in zip(*(pairs.loc[pairs["frames"] == 0, c] for c in
                                               ("camera", "other")), strict=True)}  # fmt: skip
    best = _largest(names, sound | unknown)
    if len(best) < 2:
        worst = known.sort_values("error_px").iloc[-1] if len(known) else None
        told = "" if worst is None else f" (median error {worst['error_px']:.3g} px at worst)"
        return tuple(names), [Finding(
            "objection", "No two cameras agree",
            f"cameras {', '.join(repr(n) for n in names)}: no pair places the board's corners "
            f"where both see them{told}; calibrate again.",
        )]  # fmt: skip
    faulty = tuple(name for name in names if name not in best)
    return faulty, [_told(name, best, known) for name in faulty]


def _largest(names: tuple[str, ...], sound: set[frozenset[str]]) -> tuple[str, ...]:
    for size in range(len(names), 1, -1):
        for some in combinations(names, size):
            if all(frozenset(two) in sound for two in combinations(some, 2)):
                return some
    return names[:1]


def _told(name: str, best: Iterable[str], pairs: pd.DataFrame) -> Finding:
    rows = pairs[(pairs["camera"] == name) | (pairs["other"] == name)]
    listed = []
    for row in rows.itertuples():
        other = row.other if row.camera == name else row.camera
        if np.isnan(row.error_px):
            listed.append(f"'{other}' stands in the same place ({row.baseline:.3g} apart)")
        else:
            listed.append(f"with '{other}' {row.error_px:.3g} px and squares of "
                          f"{row.square_mm:.3g} mm")  # fmt: skip
    return Finding(
        "objection", "A faulty camera",
        f"camera '{name}' does not fit the others ({', '.join(best)}), which agree among "
        f"themselves: {'; '.join(listed)}. Calibrate it again, or leave it out.",
    )  # fmt: skip


def _view(camera: Camera, detections: Detections) -> dict[str, object]:
    """Return how much of its image a camera saw the board in, and how far the board tilted."""
    number = detections.names.index(camera.name)
    corners = detections.corners[number]
    size = np.array(detections.sizes[number], float)
    there = corners[np.isfinite(corners).all(-1)]
    cells = np.unique((there / size * CELLS).astype(int).clip(0, CELLS - 1), axis=0)
    poses = board_poses(camera, detections.board.corners, corners)
    tilt = np.degrees(np.arccos(np.abs(poses[:, 2, 2]).clip(0, 1)))
    known = tilt[np.isfinite(tilt)]
    return {
        "camera": camera.name,
        "frames": int((detections.seen[number] > 0).sum()),
        "covered": len(cells) / CELLS**2,
        "tilt_deg": float(np.ptp(known)) if known.size else np.nan,
    }


def _thin(views: pd.DataFrame) -> list[Finding]:
    """Say which cameras saw too little of the board."""
    found = []
    for row in views.itertuples():
        lacks = []
        if row.frames < FEW_FRAMES:
            lacks.append(f"saw the board in {row.frames} frames only")
        if row.covered < COVERED:
            lacks.append(f"saw it in {row.covered:.0%} of its image only")
        if not row.tilt_deg >= TILTED:
            lacks.append("never saw it tilted, so that its focal length is a guess")
        if lacks:
            found.append(Finding("warning", "Too little of the board",
                                 f"camera '{row.camera}' {', '.join(lacks)}."))  # fmt: skip
    return found


def _flipped(rig: Rig, detections: Detections, faulty: tuple[str, ...]) -> list[Finding]:
    """Say which views have the board turned, or mirrored, against what other cameras saw."""
    mirrored = _mirrored(detections)
    good = [camera for camera in rig if camera.name not in faulty]
    turns = np.stack([
        camera.R.T @ board_poses(camera, detections.board.corners,
                                 detections.of([camera.name]).corners[0])[..., :3]
        for camera in good
    ])  # fmt: skip
    trace = np.einsum("afij,bfij->abf", turns, turns)
    angle = np.degrees(np.arccos(((trace - 1) / 2).clip(-1, 1)))
    known = np.isfinite(angle)
    # A view is turned if most of the other views of the moment are far from it.
    others = np.maximum(known.sum(1) - 1, 0)
    far = ((angle > TURNED) & known).sum(1) > others / 2
    found = []
    for name, frames in zip([camera.name for camera in good], far, strict=True):
        if frames.any():
            found.append(_flip(name, detections.frames[frames], "turned against what other cameras"
                               " saw"))  # fmt: skip
    return found + [_flip(name, frames, "mirrored") for name, frames in mirrored.items()]


def _flip(name: str, frames: np.ndarray, how: str) -> Finding:
    listed = ", ".join(map(str, frames[:9])) + (" …" if len(frames) > 9 else "")
    return Finding(
        "objection", "A flipped board",
        f"camera '{name}': the board is {how} in frame {listed}. Leave these frames out, or check "
        "whether the image is mirrored or the board was shown from behind.",
    )  # fmt: skip


def _mirrored(detections: Detections) -> dict[str, NDArray[np.int64]]:
    """Return the frames in which corners run the wrong way round, by camera."""
    board = detections.board.corners[:, :2]
    board = board - board.mean(0)
    out = {}
    for name, corners, seen in zip(
        detections.names, detections.corners, detections.seen > 0, strict=True
    ):
        rows = []
        for frame, own in zip(detections.frames[seen], corners[seen], strict=True):
            there = np.isfinite(own).all(-1)
            plane = np.column_stack([board[there], np.ones(there.sum())])
            fit = np.linalg.lstsq(plane, own[there], rcond=None)[0][:2]
            rows += [frame] if np.linalg.det(fit) < 0 else []
        if rows:
            out[name] = np.array(rows)
    return out
