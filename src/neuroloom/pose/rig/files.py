"""Calibrations as files: anipose's calibration.toml, DANNCE's label3d .mat, and plain JSON.

DANNCE's are in mm, by its rules. The others may state a unit; those of anipose do not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError, NeuroloomError, nearest
from neuroloom.core.files import check_there, write_atomic, write_json, write_text
from neuroloom.io.tracks.units import known_unit
from neuroloom.pose.rig.cameras import Camera, Rig

NAMES = ("calibration.toml", "calibration.json", "*calib*.toml", "*calib*.json", "*dannce*.mat")


Stated = tuple[tuple[Camera, ...], str]  # cameras, and the unit as it is spelt


def read_rig(path: str | Path, unit: str | None = None) -> Rig:
    """Read the cameras of a calibration file, or of the one that a folder holds.

    Parameters
    ----------
    unit
        Of the world, where the file states none that we know.

    Raises
    ------
    DataError
        If there is none or several, a camera in it cannot be one, or it states another unit; the
        file is named.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "calibration.toml"
    >>> _ = write_rig(Rig((Camera("top", np.diag([800.0, 800, 1])),)), file)
    >>> read_rig(file).names
    ('top',)
    """
    file = find_rig(Path(path))
    cameras, stated = _read(file)
    try:
        return Rig(cameras, _unit(stated, unit))
    except NeuroloomError as error:
        raise DataError(f"{file.name}: {error}") from None


def stated_unit(path: str | Path) -> str:
    """Return the unit of a calibration as it is spelt there; "" where none is stated."""
    return _read(find_rig(Path(path)))[1]


def _read(file: Path) -> Stated:
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise DataError(
            f"{file.name}: no calibration ends in '{file.suffix}'.{nearest(file.suffix, READERS)} "
            f"Known are {', '.join(READERS)}."
        )
    try:
        return reader(file)
    except NeuroloomError as error:
        raise DataError(f"{file.name}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError) as error:
        raise DataError(
            f"{file.name} is no calibration that can be read ({type(error).__name__}: {error}); "
            "expected anipose's TOML, DANNCE's label3d .mat, or JSON with 'cameras'."
        ) from None


def write_rig(rig: Rig, path: str | Path, **metadata: Any) -> Path:
    """Write the cameras as TOML, JSON or .mat, told by the file's ending.

    Parameters
    ----------
    metadata
        Kept in TOML's [metadata] and in JSON.

    Raises
    ------
    ConfigError
        If the ending is none of these.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".toml":
        return write_text(path, _to_toml(rig, metadata))
    if suffix == ".json":
        cameras = [_plain(camera) for camera in rig]
        return write_json(path, {"unit": rig.unit, "cameras": cameras, "metadata": metadata})
    if suffix == ".mat":
        return _write_mat(rig, path)
    raise ConfigError(f"{path.name}: a calibration ends in .toml, .json or .mat.")


def find_rig(path: Path) -> Path:
    """Return the calibration file: the path itself, or the only one of its folder.

    Raises
    ------
    DataError
        If there is none, or there are several of one kind.
    """
    check_there(path)
    if path.is_file():
        return path
    for name in NAMES:
        found = sorted(path.glob(name))
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(file.name for file in found)
            raise DataError(f"{path.name} holds several calibrations ({listed}); name one.")
    raise DataError(
        f"{path}: no calibration is there. Expected a file such as calibration.toml (anipose), "
        "*_label3d_dannce.mat (DANNCE) or calibration.json; `neuroloom run pose.calibrate` makes "
        "one from clips of a board."
    )


def _read_toml(file: Path) -> Stated:
    import tomllib

    try:
        known = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"it is no TOML ({error}).") from None
    cameras = [part for part in known.values() if isinstance(part, dict) and "matrix" in part]
    return tuple(map(_camera, cameras)), str(known.get("metadata", {}).get("unit", ""))


def _read_json(file: Path) -> Stated:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"it is no JSON ({error}).") from None
    return tuple(map(_camera, known["cameras"])), str(known.get("unit", ""))


def _unit(stated: str, wanted: str | None) -> str:
    """Return the unit that is stated, or the wanted one, or "units" where nobody knows."""
    known = known_unit(stated) or "units"
    wanted = wanted or known
    if "units" not in (known, wanted) and known != wanted:
        raise DataError(
            f"states that it is in {known}, expected was {wanted}; nothing is converted. Go by its "
            f"own unit, or write its cameras' places in {wanted}."
        )
    return known if known != "units" else wanted


def _camera(part: dict[str, Any]) -> Camera:
    """Make a camera of anipose's words, which JSON shares."""
    from scipy.spatial.transform import Rotation

    name = str(part.get("name", "camera"))
    if part.get("fisheye"):
        raise DataError(
            f"camera '{name}' has a fisheye lens, which is not modelled; undistort its images "
            "first, or calibrate it with k1 to k6."
        )
    if "skew" in part and not np.array(part["matrix"])[0][1]:
        part["matrix"][0][1] = part["skew"]
    return Camera(
        name,
        np.array(part["matrix"], float),
        np.array(part.get("distortions", []), float),
        Rotation.from_rotvec(np.array(part["rotation"], float)).as_matrix(),
        np.array(part["translation"], float),
        tuple(part.get("size") or (0, 0)),
    )


def _plain(camera: Camera) -> dict[str, Any]:
    from scipy.spatial.transform import Rotation

    last = 8 if camera.distortion[5:].any() else 5
    return {
        "name": camera.name,
        "size": list(camera.size),
        "matrix": camera.K.tolist(),
        "distortions": camera.distortion[:last].tolist(),
        "rotation": Rotation.from_matrix(camera.R).as_rotvec().tolist(),
        "translation": camera.t.tolist(),
    }


def _to_toml(rig: Rig, metadata: dict[str, Any]) -> str:
    lines = []
    for number, camera in enumerate(rig):
        lines.append(f"[cam_{number}]")
        # JSON writes strings and lists of numbers as TOML has them.
        lines += [f"{key} = {json.dumps(value)}" for key, value in _plain(camera).items()]
        lines.append("")
    lines.append("[metadata]")
    lines += [f"{key} = {json.dumps(value)}" for key, value in
              {"unit": rig.unit, **metadata}.items()]  # fmt: skip
    return "\n".join(lines) + "\n"


def load_mat(file: Path) -> dict[str, Any]:
    """Read a .mat file of version 5 with its structs as objects.

    Raises
    ------
    DataError
        If it is none, or one of version 7.3.
    """
    from scipy.io import loadmat

    try:
        return loadmat(file, squeeze_me=True, struct_as_record=False)
    except NotImplementedError:
        raise DataError("it is a .mat of version 7.3; save it with -v7 (MATLAB: save).") from None
    except Exception as error:
        raise DataError(f"it is no .mat file ({error}).") from None


def labelled_places(file: Path, camera: Any, moments: int, points: int) -> np.ndarray:
    """Return the places of a camera's struct in `labelData`, shape (moment, point, 3), mm.

    NaN where none is stored.

    Raises
    ------
    DataError
        If they are of other moments or points than the pixels.
    """
    flat = np.asarray(getattr(camera, "data_3d", np.zeros(0)), float)
    if flat.size not in (0, 3 * moments * points):
        raise DataError(
            f"{file.name}: data_3d is of the shape {flat.shape}; expected x, y, z of {points} "
            f"points at {moments} moments, as data_2d has them."
        )
    return flat.reshape(moments, points, 3) if flat.size else np.full((moments, points, 3), np.nan)


def _read_mat(file: Path) -> Stated:
    known = load_mat(file)
    if "params" not in known:
        held = ", ".join(name for name in known if not name.startswith("__")) or "nothing"
        raise DataError(f"expected 'params' with one struct a camera, it holds {held}.")
    parts = np.atleast_1d(known["params"])
    names = np.atleast_1d(known.get("camnames", [f"Camera{i + 1}" for i in range(len(parts))]))
    pairs = zip(names, parts, strict=True)
    return tuple(_from_matlab(str(name), part) for name, part in pairs), "mm"


def _from_matlab(name: str, part: Any) -> Camera:
    """Turn MATLAB's row vectors (x K, X R + t) and its first pixel (1, 1) into ours."""
    matrix = np.array(part.K, float).T
    matrix[:2, 2] -= 1
    radial = np.zeros(3)
    given = np.atleast_1d(part.RDistort).astype(float)
    radial[: given.size] = given
    sideways = np.atleast_1d(part.TDistort).astype(float)
    rotation = np.array(getattr(part, "r", getattr(part, "R", None)), float)
    lens = np.array([radial[0], radial[1], sideways[0], sideways[1], radial[2]])
    size = np.atleast_1d(getattr(part, "ImageSize", [0, 0])).astype(int)
    return Camera(name, matrix, lens, rotation.T, np.atleast_1d(part.t), (size[1], size[0]))


def _write_mat(rig: Rig, path: Path) -> Path:
    from scipy.io import savemat

    params, names = np.empty((len(rig), 1), object), np.empty((1, len(rig)), object)
    for number, camera in enumerate(rig):
        k1, k2, p1, p2, k3 = camera.distortion[:5]
        if camera.distortion[5:].any():
            raise ConfigError(f"camera '{camera.name}': DANNCE's files have no k4 to k6.")
        matrix = camera.K.copy()
        matrix[:2, 2] += 1
        params[number, 0] = {
            "K": matrix.T, "RDistort": [[k1, k2, k3]], "TDistort": [[p1, p2]], "r": camera.R.T,
            "t": camera.t[None], "ImageSize": [[camera.size[1], camera.size[0]]],
        }  # fmt: skip
        names[0, number] = camera.name
    known = {"params": params, "camnames": names}
    return write_atomic(path, lambda part: savemat(str(part), known, appendmat=False))


READERS: dict[str, Callable[[Path], Stated]] = {
    ".toml": _read_toml, ".json": _read_json, ".mat": _read_mat,
}  # fmt: skip
