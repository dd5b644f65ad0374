"""What is shown to a net: pictures, frames of videos, arrays, volumes, tables of stimuli."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.core.errors import DataError, nearest
from neuroloom.core.files import check_there, paths_inside

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp")
VOLUMES = (".nii", ".nii.gz", ".mgz", ".nrrd", ".mha")
ARRAYS = (".npy", ".npz", ".h5", ".hdf5", ".mat")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv")
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


@dataclass(frozen=True)
class Transform:
    """How a picture becomes what a net wants.

    Parameters
    ----------
    size
        (y, x) in pixels.
    channels
        1 (brightness) or 3.
    mean, spread
        Of each channel, on the scale from 0 to 1.
    crop
        Scale the shorter side to `size / crop` and cut the middle out; None stretches the picture.
    each
        Give every picture a mean of 0 and a deviation of 1 instead.

    Examples
    --------
    >>> Transform((8, 8))(np.zeros((20, 30, 3), np.uint8)).shape
    (3, 8, 8)
    """

    size: tuple[int, int] = (224, 224)
    channels: int = 3
    mean: tuple[float, ...] = MEAN
    spread: tuple[float, ...] = SPREAD
    crop: float | None = 0.875
    each: bool = False

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture (y, x, channel) or (y, x), uint8, as float32 (channel, y, x)."""
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(picture))
        image = image.convert("L" if self.channels == 1 else "RGB")
        small = np.asarray(self._resized(image), dtype=np.float32) / 255
        planes = small[None] if small.ndim == 2 else small.transpose(2, 0, 1)
        if self.each:
            return np.ascontiguousarray((planes - planes.mean()) / (planes.std() or 1.0))
        mean, spread = (
            np.asarray(x[: self.channels], dtype=np.float32)[:, None, None]
            for x in (self.mean, self.spread)
        )
        return np.ascontiguousarray((planes - mean) / spread)

    def _resized(self, image: Any) -> Any:
        from PIL import Image

        tall, wide = self.size
        if self.crop is None:
            return image.resize((wide, tall), Image.Resampling.BILINEAR)
        scale = max(tall / image.height, wide / image.width) / self.crop
        whole = (max(wide, round(image.width * scale)), max(tall, round(image.height * scale)))
        image = image.resize(whole, Image.Resampling.BILINEAR)
        left, top = round((whole[0] - wide) / 2), round((whole[1] - tall) / 2)
        return image.crop((left, top, left + wide, top + tall))


@dataclass(frozen=True)
class Stimuli:
    """Stimuli in their order, read when asked for.

    Attributes
    ----------
    names
        Of each stimulus, unique.
    table
        A row each: name, and what else a table of stimuli says (condition, onset, duration …).
    sources
        A file each, (video, frame number), or an array's row.
    kind
        "image", "video", "volume" or "array" (8-bit arrays of pictures are turned like images).
    array
        Shape (stimulus, …) where stimuli are an array.
    """

    names: list[str]
    table: pd.DataFrame
    sources: list[Any]
    kind: str
    array: Any = None
    files: list[Path] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the count of stimuli."""
        return len(self.names)

    @property
    def pictures(self) -> bool:
        """Whether they are 8-bit pictures that a net's transform turns into its input."""
        return self.kind in ("image", "video") or looks_like_pictures(self)

    def picture(self, row: int) -> np.ndarray:
        """Return a stimulus as a picture (y, x) or (y, x, channel), uint8, to be looked at."""
        if self.kind == "image":
            return read_picture(self.sources[row])
        if self.kind == "video":
            return _frame(*self.sources[row])
        return _seen(np.asarray(self.raw(row)))

    def raw(self, row: int) -> np.ndarray:
        """Return a stimulus as it is kept: (channel, …)."""
        if self.kind == "array":
            return np.asarray(self.array[self.sources[row]])
        if self.kind == "volume":
            from neuroloom.io.images import read_image

            volume = np.asarray(read_image(self.sources[row]), dtype=np.float32)
            return volume if volume.ndim == 4 else volume[None]
        return self.picture(row)

    def batch(self, rows: Sequence[int], transform: Transform | None = None) -> np.ndarray:
        """Return stimuli as a net sees them, float32 (stimulus, channel, …).

        Raises
        ------
        DataError
            If they differ in shape.
        """
        if self.pictures:
            change = transform or Transform()
            return np.stack([change(self.picture(row)) for row in rows])
        parts = [np.asarray(self.raw(row), dtype=np.float32) for row in rows]
        shapes = {part.shape for part in parts}
        if len(shapes) > 1:
            raise DataError(
                f"Stimuli differ in shape: {sorted(shapes)[:4]}; a net wants them all alike. "
                "Resample them to one grid first."
            )
        return np.stack(parts)


def open_stimuli(data: str | Path, include: Sequence[str] = ()) -> Stimuli:
    """Find the stimuli of a path.

    Parameters
    ----------
    data
        A folder of pictures or volumes (searched through, in the order of their paths), one of
        them, a video (a stimulus a frame), an array (`.npy`, `.npz`, `.h5`, `.mat`: stimulus
        first), or a table of stimuli (`.stim.csv` of DNNBrain, or a CSV with a column of files).
    include
        Globs on file names.

    Raises
    ------
    DataError
        Saying what was expected.
    """
    path = Path(data)
    check_there(path)
    if path.is_dir():
        return _folder(path, include)
    name = path.name.lower()
    if name.endswith((".csv", ".tsv")):
        return _table(path)
    if name.endswith(VIDEOS):
        return _video(path)
    if name.endswith(VOLUMES):
        return _files([path], path.parent, "volume")
    if name.endswith(PICTURES):
        return _files([path], path.parent, "image")
    if name.endswith(ARRAYS):
        return from_array(*read_stimulus_array(path), files=[path])
    raise DataError(
        f"{path}: no stimuli are kept in such a file; expected pictures, volumes, a video, an "
        f"array ({', '.join(ARRAYS)}) or a table (.stim.csv, .csv)."
    )


def from_array(
    array: Any,
    names: Sequence[str] | None = None,
    table: pd.DataFrame | None = None,
    files: Sequence[Path] = (),
) -> Stimuli:
    """Return an array (stimulus, …) as stimuli.

    Examples
    --------
    >>> len(from_array(np.zeros((5, 1, 8, 8))))
    5
    """
    if len(array.shape) < 2 or not array.shape[0]:
        raise DataError(f"Stimuli have the shape {tuple(array.shape)}; expected (stimulus, …).")
    width = len(str(array.shape[0] - 1))
    known = list(names) if names is not None else [f"{k:0{width}d}" for k in range(array.shape[0])]
    rows = pd.DataFrame({"name": known}) if table is None else table.assign(name=known)
    return Stimuli(known, rows, list(range(len(known))), "array", array, list(files))


def read_stimulus_array(path: Path) -> tuple[Any, list[str] | None]:
    """Return the array of stimuli that a file holds, and their names where it has them.

    Of several arrays the one called `stimuli`, `images`, `x` or `data` is taken, else the largest.
    The 92 pictures of Kriegeskorte et al. (2008) are read from their `.mat` as they are.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False), None
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    elif suffix == ".mat":
        arrays = _mat_arrays(path)
    else:
        import h5py

        # Stays open: rows are read when asked for.
        file = h5py.File(path, "r")
        found: dict[str, Any] = {}
        file.visititems(lambda key, x: found.update({key: x}) if hasattr(x, "dtype") else None)
        arrays = found
    return _main_array(path, arrays)


def _main_array(path: Path, arrays: dict[str, Any]) -> tuple[Any, list[str] | None]:
    numeric = {k: v for k, v in arrays.items() if v.dtype.kind in "iufb" and len(v.shape) > 1}
    if not numeric:
        raise DataError(f"{path}: holds no array of stimuli (stimulus, …); it has {list(arrays)}.")
    usual = [key for key in ("stimuli", "images", "x", "data") if key in numeric]
    chosen = numeric[usual[0] if usual else max(numeric, key=lambda key: numeric[key].size)]
    names = arrays.get("names")
    if names is None or len(names) != len(chosen):
        return chosen, None
    return chosen, [str(name) for name in np.asarray(names).tolist()]


def _mat_arrays(path: Path) -> dict[str, Any]:
    from neuroloom.representation.matfile import read_mat

    found = read_mat(path)
    arrays = {key: value for key, value in found.items() if isinstance(value, np.ndarray)}
    for key, value in found.items():
        # A list of structs with a picture each.
        if isinstance(value, list) and value and all(_has_picture(one) for one in value):
            arrays[key] = np.stack([np.asarray(one["image"]) for one in value])
            arrays["names"] = np.array(
                [f"{k:03d} {one.get('category', '')}".strip() for k, one in enumerate(value)]
            )
            # Pictures of one size: kept as they are shown, and turned by the net's transform.
            arrays = {"images": arrays[key], "names": arrays["names"]}
            break
    return arrays


def _has_picture(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("image"), np.ndarray)


def looks_like_pictures(stimuli: Stimuli) -> bool:
    """Tell whether an array holds 8-bit pictures (stimulus, y, x[, channel])."""
    if stimuli.kind != "array" or stimuli.array.dtype != np.uint8:
        return False
    shape = stimuli.array.shape
    return len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3))


def read_picture(path: Path) -> np.ndarray:
    """Return a picture as (y, x) or (y, x, 3), uint8.

    Raises
    ------
    DataError
        If it cannot be decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.load()
            grey = image.mode in ("L", "1")
            return np.asarray(image.convert("L" if grey else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: is no picture that can be read ({error}).") from error


def read_stim_csv(path: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """Read DNNBrain's `.stim.csv`: lines `key=value`, then a table under `data=column,…`.

    Returns
    -------
    The header (type, path, …), and the table.

    Raises
    ------
    DataError
        If there is no `data=` line, or a row has another number of columns.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    # A `=` may stand in a name below; the header ends with `data=`.
    ends = [number for number, line in enumerate(lines) if line.startswith("data=")]
    if not ends:
        raise DataError(
            f"{path}: expected a line 'data=stimID,…' above the stimuli; there is none."
        )
    pairs = (line.partition("=") for line in lines[: ends[0]] if "=" in line)
    header = {key.strip(): value.strip() for key, _, value in pairs}
    columns = [name.strip() for name in lines[ends[0]].removeprefix("data=").split(",")]
    rows = [row for row in csv.reader(lines[ends[0] + 1 :]) if row]
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise DataError(
                f"{path}, row {ends[0] + 2 + number}: has {len(row)} values, expected "
                f"{len(columns)} ({', '.join(columns)})."
            )
    table = pd.DataFrame(rows, columns=columns)
    for name in table.columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        if name != "stimID" and numbers.notna().all():
            table[name] = numbers
    return header, table


def write_stim_csv(file: Path, table: pd.DataFrame, **header: str) -> Path:
    """Write a table with a column `stimID` as DNNBrain's `.stim.csv`."""
    from neuroloom.core.files import write_text

    lines = [f"{key}={value}" for key, value in header.items()]
    lines.append("data=" + ",".join(map(str, table.columns)))
    body = table.to_csv(index=False, header=False, lineterminator="\n")
    return write_text(file, "\n".join(lines) + "\n" + body)


def _table(path: Path) -> Stimuli:
    if path.name.lower().endswith(".stim.csv"):
        header, table = read_stim_csv(path)
        kind, column = header.get("type", "image"), "stimID"
        place = Path(header.get("path", "."))
        place = place if place.is_absolute() else path.parent / place
        if kind == "video":
            return _frames(path, place, table)
        if kind != "image":
            raise DataError(f"{path}: type={kind}; expected image or video.")
    else:
        from neuroloom.representation.targets import read_table

        table = read_table(path)
        place = path.parent
        known = ("stimID", "path", "file", "image", "stimulus")
        columns = [name for name in known if name in table]
        if not columns:
            raise DataError(
                f"{path}: expected a column of files ({', '.join(known)}); it has "
                f"{', '.join(map(str, table.columns))}."
            )
        column = columns[0]
    files = [place / str(name) for name in table[column]]
    lacking = [file.name for file in files if not file.is_file()]
    if lacking:
        there = [file.name for file in place.iterdir()] if place.is_dir() else []
        raise DataError(
            f"{path}: {len(lacking)} of {len(files)} stimuli are not there: {lacking[0]}."
            f"{nearest(lacking[0], there)} They are looked for in {place.name}/."
        )
    kind = "volume" if files[0].name.lower().endswith(VOLUMES) else "image"
    names = _unique([str(name) for name in table[column]])
    return Stimuli(names, table.assign(name=names), list(files), kind, None, [path, *files])


def _frames(path: Path, video: Path, table: pd.DataFrame) -> Stimuli:
    try:
        numbers = [int(number) for number in table["stimID"]]
    except ValueError as error:
        raise DataError(f"{path}: stimID of a video are numbers of frames ({error}).") from error
    names = _unique([str(number) for number in numbers])
    sources = [(video, number) for number in numbers]
    return Stimuli(names, table.assign(name=names), sources, "video", None, [path, video])


def _video(path: Path) -> Stimuli:
    from neuroloom.io.video import Video

    with Video(path) as video:
        count, times = len(video), np.asarray(video.times)
    names = [f"{k:0{len(str(count - 1))}d}" for k in range(count)]
    table = pd.DataFrame({"name": names, "onset": times})
    return Stimuli(names, table, [(path, k) for k in range(count)], "video", None, [path])


def _frame(path: Path, number: int) -> np.ndarray:
    from neuroloom.io.video import Video

    with Video(path) as video:
        frame = np.asarray(video.read([number])[0])
    return frame[..., 0] if frame.shape[-1] == 1 else frame


def _folder(path: Path, include: Sequence[str]) -> Stimuli:
    every = [file for file in paths_inside(path) if file.is_file()]
    wanted = [f for f in every if not include or any(f.match(glob) for glob in include)]
    tables = [f for f in wanted if f.name.lower().endswith(".stim.csv")]
    if len(tables) == 1:
        return _table(tables[0])
    for kind, suffixes in (("image", PICTURES), ("volume", VOLUMES)):
        found = [file for file in wanted if file.name.lower().endswith(suffixes)]
        if found:
            return _files(found, path, kind)
    raise DataError(
        f"{path}: holds no stimuli; expected pictures ({', '.join(PICTURES[:4])} …), volumes "
        f"({', '.join(VOLUMES[:2])} …) or one .stim.csv; it has {len(every)} other files."
    )


def _files(files: list[Path], root: Path, kind: str) -> Stimuli:
    names = [file.relative_to(root).as_posix() for file in files]
    table = pd.DataFrame({"name": names})
    folders = [Path(name).parent.as_posix() for name in names]
    if len(set(folders)) > 1:
        table["condition"] = folders
    return Stimuli(names, table, list(files), kind, None, list(files))


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out


def _seen(array: np.ndarray) -> np.ndarray:
    """Return an array as a grey picture: channels averaged, the middle of a volume."""
    if array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)):
        return array
    if array.ndim == 1:
        array = array[None]
    while array.ndim > 3:
        array = array[..., array.shape[-1] // 2]
    if array.ndim == 3:
        array = array.mean(0)
    low, high = np.nanmin(array), np.nanmax(array)
    scaled = 255 * np.nan_to_num((array - low) / max(float(high - low), 1e-12))
    return np.asarray(scaled, dtype=np.uint8)
