"""Label3D files of DANNCE (.mat): points of one animal in each of several cameras, at moments.

A row is one camera at one moment. MATLAB counts pixels from 1, so 1 is taken off here and put back
when writing; the 3-D points, cameras and tables of synchrony stay as they are (cameras are read by
`pose.rig`). The file names no points: they are keypoint_0, keypoint_1, … in its order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps
from neuroloom.io.video import SUFFIXES

_FIRST = 1.0  # MATLAB's number of the first pixel


def claims(path: Path) -> bool:
    """Say whether `path` is such a file, or a folder with just one."""
    return len(_files(path)) == 1


def read(path: Path) -> Labels:
    """Read the labels of all cameras."""
    import pandas as pd

    file = _files(path)[0]
    held = _load(file)
    names = (
        [str(np.ravel(name)[0]) for name in np.ravel(held["camnames"])]
        if "camnames" in held
        else []
    )
    cameras = [_first(camera) for camera in np.ravel(held["labelData"])]
    names = names or [f"Camera{number + 1}" for number in range(len(cameras))]
    if len(names) != len(cameras):
        raise DataError(
            f"{file}: has {len(names)} names of cameras for {len(cameras)} with labels."
        )
    records, parts = [], []
    for name, camera in zip(names, cameras, strict=True):
        points, numbers = _camera(file, name, camera)
        parts.append(points)
        pieces = _pieces(file.parent, name)
        for moment, number in enumerate(numbers):
            image = _frame_of(pieces, int(number))
            records.append({"video": name, "frame": int(number), "image": image, "moment": moment})
    if len({part.shape for part in parts}) > 1:
        sizes = (f"{one}: {len(p)} x {p.shape[1]}" for one, p in zip(names, parts, strict=True))
        raise DataError(
            f"{file}: every camera needs labels of the same moments and points, there are "
            f"{', '.join(sizes)}."
        )
    stacked = np.concatenate(parts)[:, None]
    keypoints = _point_names(held, stacked.shape[2])
    skeleton = Skeleton(keypoints, _bones(held, len(keypoints)), guess_swaps(keypoints))
    extra = {"mat": held, "file": file.name, "cameras": tuple(names)}
    frames = pd.DataFrame(records)
    return Labels(skeleton, frames, stacked, ("individual_0",), file.parent, "label3d", (), extra)


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write the file again with these points; what it says of cameras and synchrony stays.

    Raises
    ------
    DataError
        If the labels come from another format: there are no cameras to write.
    """
    from scipy.io import savemat

    if "mat" not in labels.extra:
        raise DataError(
            f"{path}: a Label3D file needs calibrated cameras, which '{labels.source}' has not; "
            "write 'dlc' or 'slp'."
        )
    file = path if path.suffix == ".mat" else path / str(labels.extra["file"])
    held = dict(labels.extra["mat"])
    cells = np.array(held["labelData"], dtype=object, copy=True)
    for index, name in enumerate(labels.extra["cameras"]):
        rows = np.flatnonzero(labels.frames["video"] == name)
        camera = _as_dict(_first(cells.flat[index]))
        flat = np.full(camera["data_2d"].shape, np.nan)
        moments = labels.frames["moment"].to_numpy(int)[rows]
        flat[moments] = labels.points[rows, 0].reshape(len(rows), -1) + _FIRST
        cells.flat[index] = camera | {"data_2d": flat}
    held["labelData"] = cells
    file.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: value for name, value in held.items() if not name.startswith("__")}
    return [write_atomic(file, lambda part: savemat(str(part), plain, do_compression=True))]


def _files(path: Path) -> list[Path]:
    candidates = sorted(path.glob("*.mat")) if path.is_dir() else [path]
    return [file for file in candidates if file.suffix.lower() == ".mat" and _is_label3d(file)]


def _is_label3d(file: Path) -> bool:
    from scipy.io import whosmat

    try:
        return "labelData" in {name for name, _, _ in whosmat(str(file))}
    except NotImplementedError:  # version 7.3 is HDF5
        return _holds_labels(file)
    except (OSError, ValueError, TypeError):
        return False


def _holds_labels(file: Path) -> bool:
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return "labelData" in opened
    except OSError:
        return False


def _load(file: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        found: dict[str, Any] = loadmat(str(file), struct_as_record=False)
    except NotImplementedError:
        raise DataError(
            f"{file}: is a .mat of version 7.3; save it with -v7 (MATLAB: save)."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file}: the .mat file is damaged: {error}.") from error
    return found


def _first(cell: Any) -> Any:
    """Return the struct in a cell."""
    return np.ravel(cell)[0] if isinstance(cell, np.ndarray) else cell


def _as_dict(struct: Any) -> dict[str, Any]:
    fields = getattr(struct, "_fieldnames", [])
    return {name: getattr(struct, name) for name in fields}


def _camera(file: Path, name: str, camera: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return points (moment, keypoint, 2) and the frames of a camera."""
    held = _as_dict(camera)
    if "data_2d" not in held or "data_frame" not in held:
        raise DataError(f"{file}: camera '{name}' has no data_2d with data_frame; label it first.")
    flat, numbers = np.asarray(held["data_2d"], float), np.ravel(held["data_frame"])
    if flat.ndim != 2 or flat.shape[1] % 2 or len(flat) != len(numbers) or not flat.size:
        raise DataError(
            f"{file}: camera '{name}': expected a row of x, y for each of {len(numbers)} frames, "
            f"got {flat.shape}."
        )
    return flat.reshape(len(flat), -1, 2) - _FIRST, numbers


def _point_names(held: dict[str, Any], count: int) -> tuple[str, ...]:
    """Return the names of a skeleton struct, which newer files have."""
    given = getattr(_first(held.get("skeleton", [None])), "joint_names", None)
    if given is not None and np.size(given) == count:
        return tuple(str(np.ravel(name)[0]) for name in np.ravel(given))
    return tuple(f"keypoint_{number}" for number in range(count))


def _bones(held: dict[str, Any], count: int) -> tuple[tuple[int, int], ...]:
    given = getattr(_first(held.get("skeleton", [None])), "joints_idx", None)
    pairs = np.zeros((0, 2), int) if given is None else np.asarray(given, int).reshape(-1, 2) - 1
    return tuple((int(a), int(b)) for a, b in pairs if 0 <= a < count and 0 <= b < count)


def _pieces(root: Path, camera: str) -> list[tuple[int, str]]:
    """Return the films of a camera in DANNCE's folder, and the first frame of each, its name.

    A film in pieces is videos/<camera>/0.mp4, 3500.mp4 and so on.
    """
    for folder in ("videos", "Videos"):
        place = root / folder / camera
        found = [
            (int(film.stem), f"{folder}/{camera}/{film.name}")
            for film in (place.iterdir() if place.is_dir() else ())
            if film.stem.isdecimal() and film.suffix.lower() in SUFFIXES
        ]
        if found:
            return sorted(found)
    return []


def _frame_of(pieces: list[tuple[int, str]], number: int) -> str:
    """Return the address of a frame in the last piece that begins with it or before; "" if none."""
    before = [piece for piece in pieces if piece[0] <= number]
    return f"{before[-1][1]}::{number - before[-1][0]}" if before else ""
