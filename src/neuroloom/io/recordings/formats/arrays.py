"""Arrays without a format of their own: a matrix of channels by time, or trials with labels.

`.npy` and `.npz`, and what `.mat` and `.csv` have in common with them. Trials are laid end to end
with one annotation each, and `trials` (samples a trial) keeps steps from working across borders.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError, nearest
from neuroloom.io.recordings.columns import annotation_rows, recording_of
from neuroloom.io.recordings.electrodes import guess_type, normalise
from neuroloom.io.recordings.reader import Header
from neuroloom.io.recordings.sidecar import Facts, example, facts_beside, names_beside

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

RATE_KEYS = ("fs", "srate", "sfreq", "rate", "samplingfrequency", "samplingrate", "sampling_rate")
NAME_KEYS = ("ch_names", "ch_name", "channels", "channelnames", "channel_names", "chan_names")
SETS = (("x_train", "y_train", "train"), ("x_test", "y_test", "test"))
ONE_SET = (("x", "data", "eeg", "trials"), ("y", "labels", "label", "y_true", "target"))
_LABELS = re.compile(r"^(y|labels?)([_-].*)?$|.*[_-](y|labels?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Trials:
    """One set of trials: shape (trial, channel, time), labels ("" unknown), and its run."""

    x: np.ndarray
    labels: Sequence[str]
    run: str


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read an array; what it does not say of itself comes from a JSON file beside it.

    One dimension is one channel, two are channels by time (the longer is time), three are trials
    by channels by time. `.npz` and `.mat` may name x_train, y_train, x_test, y_test, or x and y;
    an empty array stands for one that is not given. Without a unit it is taken as microvolts.
    """
    header, data = _load(path)
    return recording_of(header, data, path, start, stop)


def peek(path: Path) -> Header:
    """Read all of an array but its samples."""
    return _load(path)[0]


def is_recording(path: Path) -> bool:
    """Tell whether an array in a folder is a recording: it, or a JSON beside it, says so."""
    name = path.name.removesuffix(".gz")
    return not _LABELS.match(Path(name).stem) and any(p.is_file() for p in names_beside(path))


def partners(path: Path) -> list[Path]:
    """Return where the labels of the trials in a `.npy` may stand."""
    name = path.name.removesuffix(".gz")
    stem, suffix = Path(name).stem, Path(name).suffix
    places = [path.with_name(f"{stem}_labels{suffix}")]
    if stem[:1] in "xX":
        places += [path.with_name(f"{letter}{stem[1:]}{suffix}") for letter in "yY"]
    return places


def _load(path: Path) -> tuple[Header, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if path.suffix.lower() == ".npz":
            arrays = {name: loaded[name] for name in loaded.files}
        else:
            arrays = {"": loaded}
    except (ValueError, EOFError, OSError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        begins = path.open("rb").read(6)
        known = begins.startswith((b"\x93NUMPY", b"PK"))
        what = "cut in its data" if known else f"is no NumPy file, it begins with {begins!r}"
        raise DataError(f"{path}: {what} ({str(error).splitlines()[0].rstrip('.')}).") from error
    if path.suffix.lower() == ".npz":
        return from_named(path, arrays)
    labels = next((place for place in partners(path) if place.is_file()), None)
    if loaded.ndim == 3:
        y = np.load(labels, allow_pickle=False) if labels else np.zeros(0)
        return lay_out(path, [trials_of(path, loaded, y, "1")], facts_beside(path))
    return from_matrix(path, loaded, facts_beside(path))


def from_named(path: Path, arrays: Mapping[str, Any]) -> tuple[Header, np.ndarray]:
    """Find the trials, or the matrix, among named arrays, with the rate and names that are there.

    Raises
    ------
    DataError
        If no array is a signal, two could be, or labels and trials do not fit.
    """
    given = {str(name).lower(): value for name, value in arrays.items()}
    facts = _with(facts_beside(path), _number(given, RATE_KEYS), _texts(given, NAME_KEYS))
    sets = [
        trials_of(path, given[x], given.get(y, np.zeros(0)), run, x, y)
        for x, y, run in SETS
        if np.size(given.get(x, ())) > 0
    ]
    for x, y, run in SETS:
        if np.size(given.get(y, ())) > 0 and run not in [one.run for one in sets]:
            others = [name for name in arrays if name.lower() not in (x, y)]
            raise DataError(
                f"{path}: has {np.size(given[y])} labels in '{y}' and no trials in '{x}'."
                f"{nearest(x, others)}"
            )
    if sets:
        return lay_out(path, sets, facts)
    cube = next((key for key in ONE_SET[0] if np.ndim(given.get(key, ())) == 3), None)
    said = next((key for key in ONE_SET[1] if np.size(given.get(key, ())) > 0), None)
    if cube is not None:
        labels = given[said] if said else np.zeros(0)
        return lay_out(path, [trials_of(path, given[cube], labels, "1", cube, said or "y")], facts)
    return from_matrix(path, _only_matrix(path, arrays), facts)


def _only_matrix(path: Path, arrays: Mapping[str, Any]) -> np.ndarray:
    """Return the one array that can be a recording."""
    known = [key for pair in SETS for key in pair[:2]]
    fit = {
        name: np.asarray(value)
        for name, value in arrays.items()
        if np.ndim(value) in (1, 2) and np.size(value) > 1 and np.asarray(value).dtype.kind in "iuf"
    }
    if len(fit) == 1 or any(name.lower() in ONE_SET[0] for name in fit):
        chosen = next((name for name in fit if name.lower() in ONE_SET[0]), next(iter(fit)))
        close = nearest(chosen, known)
        if not (close and chosen.lower()[:1] in "xy" and len(chosen) > 3):
            return fit[chosen]
    listed = ", ".join(f"{name} {_shape(value)}" for name, value in arrays.items()) or "nothing"
    odd = next((name for name in arrays if nearest(name, known)), "")
    raise DataError(
        f"{path}: holds {listed}; expected trials (x_train and y_train, or x and y) or one matrix "
        f"of channels by time.{nearest(odd, known) if odd else ''}"
    )


def _shape(value: Any) -> str:
    return "x".join(map(str, np.shape(value))) or "(one value)"


def trials_of(path: Path, x: Any, y: Any, run: str, x_name: str = "x", y_name: str = "y") -> Trials:
    """Return trials first, whichever axis the number of labels says they are on.

    Parameters
    ----------
    x
        Shape (trial, channel, time), or (channel, time, trial) as MATLAB users keep it.
    y
        One label a trial; empty: unlabelled.
    """
    x, y = np.asarray(x), np.asarray(y).squeeze()
    if x.dtype.kind not in "iufb" or x.ndim not in (2, 3):
        raise DataError(
            f"{path}: '{x_name}' holds {x.dtype.name} of shape {_shape(x)}; expected numbers of "
            "shape trials x channels x time."
        )
    y = y.reshape(-1) if y.ndim < 2 else _from_one_hot(path, y, y_name)
    if y.size and len(y) != len(x) and x.ndim == 3 and len(y) == x.shape[2]:
        x = np.moveaxis(x, 2, 0)
    if y.size and len(y) != len(x):
        raise DataError(
            f"{path}: '{y_name}' holds {len(y)} labels, '{x_name}' of shape {_shape(x)} holds "
            f"{len(x)} trials; expected a label a trial. Was one of them cut?"
        )
    labels = [_label(value) for value in y] if y.size else [""] * len(x)
    return Trials(x, labels, run)


def _from_one_hot(path: Path, y: np.ndarray, name: str) -> np.ndarray:
    if y.ndim == 2 and np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1):
        return np.argmax(y, axis=1)
    raise DataError(
        f"{path}: '{name}' has the shape {_shape(y)}; expected a label a trial, or one "
        "column a class."
    )


def _label(value: Any) -> str:
    """Name a class by its text or its number; what is no number is unknown."""
    if isinstance(value, str | np.str_):
        return str(value).strip()
    if isinstance(value, np.ndarray):
        return _label(value.reshape(-1)[0]) if value.size else ""
    return f"{value:g}" if np.isfinite(value) else ""


def lay_out(path: Path, sets: Sequence[Trials], facts: Facts) -> tuple[Header, np.ndarray]:
    """Lay trials end to end: one annotation a labelled trial, with its run.

    Raises
    ------
    DataError
        If the rate is unknown, or sets differ in channels or length.
    """
    rate = require_rate(path, facts)
    cubes = [_unfolded(path, one.x, facts) for one in sets]
    shapes = {cube.shape[1:] for cube in cubes}
    if len(shapes) > 1:
        raise DataError(
            f"{path}: its sets differ in channels x time: "
            f"{' and '.join(_shape(cube[0]) for cube in cubes)}; give them one shape."
        )
    x = np.concatenate(cubes)
    n_channels, n_times = x.shape[1:]
    data = x.transpose(1, 0, 2).reshape(n_channels, -1)
    labels = [label for one in sets for label in one.labels]
    runs = [one.run for one in sets for _ in one.labels]
    length = n_times / rate
    rows = [(k * length, length, label) for k, label in enumerate(labels)]
    table = annotation_rows(rows)
    if len(sets) > 1:
        table["run"] = runs
    table = table[table["label"] != ""].reset_index(drop=True)
    header = _header(path, data, facts, rate, table, trial=length)
    return header, data * _scale(facts)


def _unfolded(path: Path, x: np.ndarray, facts: Facts) -> np.ndarray:
    """Return (trial, channel, time); rows of a table hold channel after channel."""
    if x.ndim == 3:
        return x
    n_channels = len(facts.channels) if facts.channels else 1
    if x.shape[1] % n_channels:
        raise DataError(
            f"{path}: its rows of {x.shape[1]} values do not divide into {n_channels} channels; "
            "check ChannelNames."
        )
    if facts.order == "time":
        return x.reshape(len(x), -1, n_channels).transpose(0, 2, 1)
    return x.reshape(len(x), n_channels, -1)


def from_matrix(path: Path, matrix: np.ndarray, facts: Facts) -> tuple[Header, np.ndarray]:
    """Return a continuous recording of a matrix, the longer axis of which is time."""
    data = np.atleast_2d(np.asarray(matrix))
    if data.dtype.kind not in "iuf" or data.ndim != 2 or data.size == 0:
        raise DataError(
            f"{path}: holds {data.dtype.name} of shape {_shape(matrix)}; expected numbers of shape "
            "channels x time, or trials x channels x time."
        )
    named = len(facts.channels) if facts.channels else None
    turned = named != len(data) and (data.shape[1] < len(data) or named == data.shape[1])
    data = np.ascontiguousarray(data.T if turned else data)
    notes = ("Its rows were taken as time: there are more of them than columns.",) if turned else ()
    rate = require_rate(path, facts)
    return _header(path, data, facts, rate, annotation_rows([]), notes), data * _scale(facts)


def _header(
    path: Path,
    data: np.ndarray,
    facts: Facts,
    rate: float,
    table: pd.DataFrame,
    notes: tuple[str, ...] = (),
    trial: float | None = None,
) -> Header:
    names = _names(path, facts, len(data))
    given = facts.types or ("eeg",)
    if len(given) not in (1, len(data)):
        raise DataError(f"{path}: {len(given)} ChannelTypes are given for {len(data)} channels.")
    given = given * len(data) if len(given) == 1 else given
    types = given if facts.types else tuple(map(guess_type, names))
    unit = "No unit is given; microvolts were assumed."
    notes += () if facts.scale is not None else (unit,)
    return Header(path.name, names, types, rate, data.shape[1] / rate, table, notes, trial)


def _names(path: Path, facts: Facts, count: int) -> tuple[str, ...]:
    if facts.channels is None:
        return tuple(f"Ch{i + 1}" for i in range(count))
    if len(facts.channels) != count:
        raise DataError(
            f"{path}: {len(facts.channels)} channel names are given for data of {count} channels."
        )
    return tuple(normalise(facts.channels))


def require_rate(path: Path, facts: Facts) -> float:
    """Return the rate, or say where to write it.

    Raises
    ------
    DataError
        If neither the file nor a JSON beside it gives one.
    """
    if facts.rate is not None:
        return facts.rate
    raise DataError(
        f"{path}: the file does not say its sampling rate. Write '{names_beside(path)[0].name}' "
        f"beside it (or '{names_beside(path)[1].name}' for all files of the folder) with "
        f"{example()}."
    )


def _scale(facts: Facts) -> float:
    return 1e-6 if facts.scale is None else facts.scale


def _with(facts: Facts, rate: float | None, names: tuple[str, ...] | None) -> Facts:
    """Fill in from the file what the sidecar leaves open."""
    from dataclasses import replace

    return replace(facts, rate=facts.rate or rate, channels=facts.channels or names)


def _number(given: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    for key in keys:
        value = np.asarray(given.get(key, ()))
        if value.size == 1 and value.dtype.kind in "iuf" and float(value.reshape(-1)[0]) > 0:
            return float(value.reshape(-1)[0])
    return None


def _texts(given: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...] | None:
    for key in keys:
        value = np.asarray(given.get(key, ()))
        if value.size and value.dtype.kind in "OUS":
            return tuple(_label(item) for item in value.reshape(-1))
    return None
