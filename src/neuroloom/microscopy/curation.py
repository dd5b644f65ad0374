"""Curation by a person: sort results, merge two versions, exclude, edit; every change is logged.

Each function takes masks and gives a new one; a `Log` beside it keeps what was decided, where, and
how many voxels changed. The outcome is a training set: images, labels, and voxels to ignore.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.files import read_json, write_json
from neuroloom.io.names import named_channels

if TYPE_CHECKING:
    import xarray as xr

Labels = NDArray[Any]
Mask = NDArray[np.bool_]

IGNORE = 255
LOG = "curation.json"


@dataclass
class Log:
    """What was decided, in order; `save` writes `curation.json`.

    Examples
    --------
    >>> log = Log()
    >>> _ = exclude(np.ones((2, 2), np.uint8), np.eye(2, dtype=bool), case="a", log=log)
    >>> log.entries[0]["do"], log.entries[0]["changed"]
    ('exclude', 2)
    """

    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, do: str, case: str, **details: Any) -> None:
        """Append a decision."""
        self.entries.append({"do": do, "case": case} | details)

    def save(self, folder: str | Path) -> Path:
        """Write the log into a folder."""
        return write_json(Path(folder) / LOG, {"version": 1, "entries": self.entries})

    @classmethod
    def load(cls, folder: str | Path) -> Log:
        """Read the log of a folder; an empty one if there is none."""
        path = Path(folder) / LOG
        return cls(read_json(path)["entries"]) if path.is_file() else cls()


def sort_cases(
    names: Iterable[str], good: Iterable[str], log: Log | None = None, bad: Iterable[str] = ()
) -> list[str]:
    """Keep the cases that a person called good.

    Parameters
    ----------
    names
        All cases.
    good, bad
        The verdicts. Cases without one are left out, as if bad, and logged as unjudged.
    log
        Where the verdicts are kept.

    Raises
    ------
    ConfigError
        If a verdict names no case, or a case is both.

    Examples
    --------
    >>> sort_cases(["a", "b", "c"], good=["c", "a"], bad=["b"])
    ['a', 'c']
    """
    known, yes, no = list(names), set(good), set(bad)
    for name in [*sorted(yes), *sorted(no)]:
        if name not in known:
            raise ConfigError(f"No case is called '{name}'.{nearest(name, known)}")
    if both := sorted(yes & no):
        raise ConfigError(f"Case '{both[0]}' is in the good and in the bad list; keep it in one.")
    for name in known if log is not None else ():
        verdict = "good" if name in yes else "bad" if name in no else "unjudged"
        log.add("sort", name, verdict=verdict)  # type: ignore[union-attr]
    return [name for name in known if name in yes]


def draw_region(shape: Sequence[int], outline: ArrayLike, slices: slice = slice(None)) -> Mask:
    """Return the pixels inside an outline drawn by hand.

    Parameters
    ----------
    shape
        (y, x) or (z, y, x).
    outline
        Corners (y, x) in order, shape (corner, 2).
    slices
        In 3-D: the slices that the outline goes through; all by default.

    Examples
    --------
    >>> int(draw_region((6, 6), [[1, 1], [1, 4], [4, 4], [4, 1]]).sum())
    16
    """
    from skimage.draw import polygon

    corners = np.asarray(outline, float)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ConfigError(f"An outline needs three or more corners (y, x), got {corners.shape}.")
    region = np.zeros(tuple(shape), bool)
    y, x = polygon(corners[:, 0], corners[:, 1], tuple(shape)[-2:])
    flat = np.zeros(tuple(shape)[-2:], bool)
    flat[y, x] = True
    region[slices if region.ndim == 3 else ...] = flat
    return region


def merge(
    base: ArrayLike, other: ArrayLike, region: ArrayLike, *, case: str = "", log: Log | None = None
) -> Labels:
    """Take the `other` version inside a region and the base elsewhere.

    The type is that of the base, or one that holds both where the base's is too narrow.

    Examples
    --------
    >>> merge([1, 1, 1], [2, 2, 2], [False, True, False]).tolist()
    [1, 2, 1]
    """
    first, second, where = _same_grid(base, other, region)
    wide = np.where(where, second, first)
    narrow = wide.astype(first.dtype)
    new = narrow if np.array_equal(narrow, wide) else wide
    return _changed(first, new, where, "merge", case, log)


def exclude(
    labels: ArrayLike, region: ArrayLike, *, ignore: int = IGNORE, case: str = "",
    log: Log | None = None,
) -> Labels:  # fmt: skip
    """Mark a region as neither learnt from nor scored.

    Examples
    --------
    >>> exclude(np.zeros(3, np.uint8), [True, False, False]).tolist()
    [255, 0, 0]
    """
    first, _, where = _same_grid(labels, labels, region)
    new = np.where(where, _fitting(ignore, first, "ignore"), first)
    return _changed(first, new, where, "exclude", case, log, ignore=ignore)


def edit(
    labels: ArrayLike, region: ArrayLike, value: int, *, only: int | None = None, case: str = "",
    log: Log | None = None,
) -> Labels:  # fmt: skip
    """Paint a class (or 0, to erase) into a region.

    Parameters
    ----------
    labels
        Shape (*axes).
    region
        Where to paint, shape (*axes).
    value
        The class.
    only
        Paint only over voxels of this class.
    case, log
        Where the change is kept.

    Examples
    --------
    >>> edit([0, 1, 2], [True, True, True], 3, only=1).tolist()
    [0, 3, 2]
    """
    first, _, where = _same_grid(labels, labels, region)
    if only is not None:
        where = where & (first == only)
    new = np.where(where, _fitting(value, first, "value"), first)
    return _changed(first, new, where, "edit", case, log, value=int(value))


def _same_grid(base: ArrayLike, other: ArrayLike, region: ArrayLike) -> tuple[Labels, Labels, Mask]:
    first, second, where = np.asarray(base), np.asarray(other), np.asarray(region, bool)
    if not first.shape == second.shape == where.shape:
        raise DataError(
            f"Versions and region must be on one grid, got {first.shape}, {second.shape} and "
            f"{where.shape}."
        )
    return first, second, where


def _fitting(number: int, labels: Labels, name: str) -> Labels:
    """Return a label in the type of the others."""
    if not np.can_cast(np.min_scalar_type(number), labels.dtype):
        raise ConfigError(f"{name}: {number} does not fit labels of type {labels.dtype}.")
    return np.asarray(number, labels.dtype)


def _changed(
    old: Labels, new: Labels, region: Mask, do: str, case: str, log: Log | None, **details: Any
) -> Labels:
    if log is not None:
        at = np.argwhere(region)
        box = [at.min(axis=0).tolist(), (at.max(axis=0) + 1).tolist()] if len(at) else []
        counts = {"region": len(at), "box": box, "changed": int((old != new).sum())}
        log.add(do, case, **counts, **details)
    return new


def write_training_set(
    folder: str | Path,
    cases: Mapping[str, tuple[xr.DataArray, ArrayLike]],
    classes: Sequence[str],
    log: Log | None = None,
    ignore: int | None = IGNORE,
    suffix: str = ".tif",
) -> Path:
    """Write curated cases as a data set that segmentation recipes read: images/ and labels/.

    Parameters
    ----------
    folder
        Made if it is not there.
    cases
        Name -> (recording, labels); all recordings have the same channels, each of which becomes
        a file; labels are in array order, (y, x) or (z, y, x).
    classes
        Names of the classes 1 … n.
    log
        Saved beside them as `curation.json`.
    ignore
        The label of voxels that are excluded; it becomes the number after the last class, as
        nnU-Net's `dataset.json`, written beside, declares it.
    suffix
        Of the images' format.

    Raises
    ------
    DataError
        If there is no case, or a label holds a number that no class was declared for.

    Examples
    --------
    >>> import tempfile
    >>> from neuroloom.core.recording import image
    >>> one = {"a": (image(np.zeros((4, 4), np.uint8)), np.eye(4, dtype=np.uint8))}
    >>> made = write_training_set(tempfile.mkdtemp(), one, ["cell"])
    >>> sorted(path.name for path in made.iterdir())
    ['curation.json', 'dataset.json', 'imagesTr', 'labelsTr']
    """
    if not cases:
        raise DataError("No case was left to learn from: call at least one good.")
    for name, (recording, labels) in cases.items():
        write_case(folder, name, recording, labels, len(classes), ignore, suffix)
    first, _ = next(iter(cases.values()))
    names = named_channels(len(first), map(str, first.channel.values))
    declare(folder, len(cases), classes, ignore, suffix, names)
    (log or Log()).save(folder)
    return Path(folder)


def write_case(
    folder: str | Path,
    name: str,
    recording: xr.DataArray,
    labels: ArrayLike,
    n_classes: int,
    ignore: int | None = IGNORE,
    suffix: str = ".tif",
) -> None:
    """Write one case of a training set, a file a channel; see `write_training_set`."""
    from neuroloom.io.images import write_image

    numbers = _numbered(np.asarray(labels), name, n_classes, ignore)
    for number in range(len(recording)):
        file = Path(folder) / "imagesTr" / f"{name}_{number:04d}{suffix}"
        write_image(file, recording.isel(channel=[number]))
    write_image(Path(folder) / "labelsTr" / f"{name}{suffix}", numbers, like=recording)


def declare(
    folder: str | Path,
    count: int,
    classes: Sequence[str],
    ignore: int | None = IGNORE,
    suffix: str = ".tif",
    channels: Sequence[str] = ("image",),
) -> Path:
    """Write the `dataset.json` of a training set of `count` cases; see `write_training_set`."""
    names = {"background": 0} | {name: i for i, name in enumerate(classes, start=1)}
    names |= {"ignore": len(classes) + 1} if ignore is not None else {}
    declared = {"channel_names": {str(k): name for k, name in enumerate(channels)}, "labels": names,
                "numTraining": count, "file_ending": suffix}  # fmt: skip
    return write_json(Path(folder) / "dataset.json", declared)


def require_declared(labels: Labels, name: str, last: int, ignore: int | None = None) -> None:
    """Refuse labels with a number beyond the `last` class, but for the one that is ignored.

    Raises
    ------
    DataError
        If there is one; the message names `name`.
    """
    odd = labels[(labels < 0) | (labels > last)]
    odd = odd[odd != ignore] if ignore is not None else odd
    if odd.size:
        raise DataError(f"{name}: holds label {odd[0]}, but only {last} classes are declared.")


def _numbered(labels: Labels, name: str, last: int, ignore: int | None) -> NDArray[np.uint8]:
    require_declared(labels, name, last, ignore)
    out = labels.astype(np.int64)
    return (out if ignore is None else np.where(out == ignore, last + 1, out)).astype(np.uint8)
