"""Signals of a network from files: .mat, text with or without header, NIfTI with an atlas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.connectivity.data import SUFFIXES, Signals, is_aside, suffix_of
from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.files import at_home, check_there, paths_inside

_EDGE = re.compile(r"\s*\d+\.\s+(\S+)\s+(\S+)\s+(\S+)")
_SPLIT = re.compile(r"[,;\t]|\s+")


@dataclass(frozen=True)
class Beside:
    """Files that the user names beside the recordings; paths relative to DATA or absolute.

    Attributes
    ----------
    atlas
        Image of labels or of maps.
    inputs
        Text, (input, time).
    control, input_control, truth
        Text, matrices with targets in rows.
    places
        Table with columns name, x, y, z.
    confounds
        Columns of the confounds table to take out of images; None for the usual ones.
    """

    atlas: str | None = None
    inputs: str | None = None
    control: str | None = None
    input_control: str | None = None
    truth: str | None = None
    places: str | None = None
    confounds: list[str] | None = None


@dataclass(frozen=True)
class Read:
    """Recordings, the files they came from, and what a reader should know."""

    recordings: list[Signals]
    files: list[Path]
    findings: list[Finding] = field(default_factory=list)


def find_files(data: Path, include: Sequence[str] = ()) -> list[Path]:
    """List the files of recordings under DATA.

    Raises
    ------
    DataError
        If there are none.
    """
    check_there(data)
    if data.is_file():
        if not suffix_of(data):
            ends = ", ".join(SUFFIXES)
            raise DataError(f"{data.name}: no reader for such files; signals come as {ends}.")
        return [data]
    every = [p for p in paths_inside(data) if p.is_file() and suffix_of(p)]
    found = [p for p in every if not is_aside(p)]
    if include:
        found = [p for p in found if any(_matches(p, data, glob) for glob in include)]
    images = [p for p in found if ".nii" in suffix_of(p)]
    if (data / "dataset_description.json").is_file() or any(
        "_desc-preproc" in p.name for p in images
    ):
        # Of what a BIDS pipeline wrote, only the cleaned series of whole brains or of regions.
        found = [p for p in found if re.search(r"(_desc-preproc_bold|_bold|_timeseries)\.", p.name)]
    if not found:
        told = f" that match {', '.join(include)}" if include else ""
        raise DataError(f"{data}: there are no signals{told}; they come as {', '.join(SUFFIXES)}.")
    return found


def _matches(path: Path, root: Path, glob: str) -> bool:
    return fnmatchcase(path.relative_to(root).as_posix() if "/" in glob else path.name, glob)


def read_all(
    data: Path,
    include: Sequence[str] = (),
    beside: Beside | None = None,
    pattern: str | None = None,
) -> Read:
    """Read every recording under DATA, with what lies beside it.

    Parameters
    ----------
    data
        A file or a folder, which is searched through.
    include
        Globs on names.
    beside
        Files that belong to all recordings.
    pattern
        Keys in the names, "{subject}_{run}.csv".

    Raises
    ------
    DataError, ConfigError
        Naming the file and what is wrong with it.
    """
    beside = beside or Beside()
    root = data if data.is_dir() else data.parent
    paths = find_files(data, include)
    named = {_there(root, name) for name in _named(beside) if name}
    paths = [p for p in paths if p.resolve() not in named]
    read, files, passed = [], [], []
    for path in paths:
        one = read_one(path, root, beside)
        if data.is_dir() and not include and _is_matrix(path, one):
            passed.append(path.name)
            continue
        read.append(_with_truth(one, path))
        files.append(path)
    if not read:
        raise DataError(f"{data}: the files there are square matrices, not signals over time.")
    told = [_files_finding(read)]
    if passed:
        told.append(Finding("note", "Passed over", f"Square matrices: {', '.join(passed[:5])}."))
    read, note = _with_keys(read, root, pattern)
    return Read(read, files, [*told, *note])


def _named(beside: Beside) -> tuple[str | None, ...]:
    return (beside.atlas, beside.inputs, beside.control, beside.input_control, beside.truth,
            beside.places)  # fmt: skip


def _files_finding(read: list[Signals]) -> Finding:
    sizes = sorted({one.values.shape for one in read})
    shown = ", ".join(f"{n} nodes x {t} time points" for n, t in sizes[:4])
    more = " and others" if len(sizes) > 4 else ""
    return Finding("note", "Files", f"{len(read)} recordings: {shown}{more}.")


def _is_matrix(path: Path, one: Signals) -> bool:
    square = one.values.shape[0] == one.values.shape[1]
    return square and suffix_of(path) in (".csv", ".tsv", ".txt")


def read_one(path: Path, root: Path, beside: Beside | None = None) -> Signals:
    """Read one recording; `beside` adds inputs, control matrices, truth and places."""
    beside = beside or Beside()
    ends = suffix_of(path)
    name = path.relative_to(root).as_posix()
    if ends == ".mat":
        signals = read_mat(path)
    elif ".nii" in ends:
        from neuroloom.connectivity.images import read_image

        atlas = None if beside.atlas is None else _there(root, beside.atlas)
        signals = read_image(path, atlas, beside.confounds)
    else:
        signals = read_text(path)
    given: dict[str, Any] = {"name": name}
    if beside.inputs:
        given["inputs"] = read_matrix(_there(root, beside.inputs))
    for key in ("control", "input_control", "truth"):
        if file := getattr(beside, key):
            matrix = read_matrix(_there(root, file))
            given[key] = matrix if key == "truth" else _mask(matrix)
    signals = replace(signals, **given)
    return _with_places(signals, beside.places, path, root)


def _there(root: Path, name: str) -> Path:
    path = at_home(name)
    found = next((p for p in (root / path, path) if p.exists()), None)
    if found is None:
        beside = [p.name for p in root.iterdir()] if root.is_dir() else []
        raise ConfigError(f"{name} does not exist, beside the data or here.{nearest(name, beside)}")
    return found.resolve()


def _mask(matrix: np.ndarray) -> np.ndarray | None:
    return None if matrix.size == 0 else matrix != 0


def read_mat(path: Path) -> Signals:
    """Read a MATLAB file: X (node, time), exSignal, nodeControl, exControl, groundTruth.

    An array of 0 x 0 means "not given". A file of one matrix alone is taken as (node, time) or
    (time, node), whichever makes time the longer axis.

    Raises
    ------
    DataError
        If it cannot be read, or there is no matrix of signals in it.
    """
    found = _mat_arrays(path)
    x = found.get("X")
    if x is None:
        others = [k for k in found if found[k].size > 1 and k not in _MAT_KEYS]
        if len(others) != 1:
            raise DataError(
                f"{path.name}: expected the signals as 'X' (nodes in rows), got "
                f"{', '.join(sorted(found)) or 'no matrix'}."
            )
        x = found[others[0]]
        x = x if x.shape[0] <= x.shape[1] else x.T
    given: dict[str, Any] = {
        new: found[old] for old, new in _MAT_KEYS.items() if found.get(old, _NONE).size
    }
    for key in ("control", "input_control"):
        if key in given:
            given[key] = given[key] != 0
    return Signals(x.astype(float), _numbered(len(x)), **given)


_NONE = np.zeros((0, 0))
_MAT_KEYS = {
    "exSignal": "inputs", "nodeControl": "control", "exControl": "input_control",
    "groundTruth": "truth",
}  # fmt: skip


def _mat_arrays(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    try:
        found = loadmat(path)
    except NotImplementedError:
        import h5py

        with h5py.File(path) as handle:
            found = {k: v[()].T for k, v in handle.items() if isinstance(v, h5py.Dataset)}
    except Exception as error:
        raise DataError(f"{path.name} cannot be read as a MATLAB file ({error}).") from None
    return {
        k: v for k, v in found.items()
        if not k.startswith("__") and isinstance(v, np.ndarray) and v.ndim == 2
        and v.dtype.kind in "fiub"
    }  # fmt: skip


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"X{k + 1}" for k in range(count))


def read_text(path: Path) -> Signals:
    """Read a table of numbers: with a header, a column is a node; without, the longer axis is time.

    Separated by commas, semicolons, tabs or blanks.

    Raises
    ------
    DataError
        Naming the row that does not fit.
    """
    lines = _lines(path)
    first = _cells(lines[0])
    if all(_is_number(cell) for cell in first):
        values = _numbers(path, lines, 1)
        values = values if values.shape[0] <= values.shape[1] else values.T
        return Signals(values, _numbered(len(values)))
    values = _numbers(path, lines[1:], 2)
    if values.shape[1] != len(first):
        raise DataError(
            f"{path.name}: the header names {len(first)} columns, the rows have {values.shape[1]}."
        )
    names = [cell.strip('"') for cell in first]
    clock = [
        k for k, n in enumerate(names) if n.lower() in ("time", "t", "frame", "index", "tr", "")
    ]
    kept = [k for k in range(len(names)) if k not in clock]
    return Signals(values.T[kept], tuple(names[k] for k in kept))


def read_matrix(path: Path) -> np.ndarray:
    """Read a matrix as it stands in a text file, without header."""
    return _numbers(path, _lines(path), 1)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path.name} cannot be read as text ({error}).") from None
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise DataError(f"{path.name} is empty; expected numbers, a column or a row a node.")
    return lines


def _cells(line: str) -> list[str]:
    line = line.strip("\r\n ")
    mark = next((m for m in (",", ";", "\t") if m in line), None)
    return [cell.strip() for cell in (line.split(mark) if mark else line.split())]


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _numbers(path: Path, lines: list[str], start: int) -> np.ndarray:
    width = len(_cells(lines[0])) if lines else 0
    rows = []
    for number, line in enumerate(lines, start):
        cells = _cells(line)
        if len(cells) != width:
            raise DataError(
                f"{path.name}, row {number}: {len(cells)} values, the first row has {width}."
            )
        cells = ["nan" if cell.lower() in ("", "n/a", "na", "nan") else cell for cell in cells]
        bad = next((cell for cell in cells if not _is_number(cell)), None)
        if bad is not None:
            raise DataError(f"{path.name}, row {number}: '{bad}' is no number.")
        rows.append([float(cell) for cell in cells])
    if not rows:
        raise DataError(f"{path.name} has a header and no rows of numbers.")
    return np.array(rows)


def _with_truth(signals: Signals, path: Path) -> Signals:
    file = path.parent / "ground_truth.txt"
    if signals.truth is not None or not file.is_file():
        return signals
    return replace(signals, truth=read_truth(file, signals.names))


def read_truth(path: Path, names: Sequence[str]) -> np.ndarray:
    r"""Read a list of edges as Tetrad writes them ("1. X1 --> X3"), (target, source).

    Raises
    ------
    DataError
        If an edge has no direction, or names a node that is not among `names`.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "ground_truth.txt"
    >>> _ = file.write_text("Graph Edges:\n1. A --> B\n")
    >>> read_truth(file, ["A", "B"]).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    truth = np.zeros((len(names), len(names)))
    for line in _lines(path):
        match = _EDGE.match(line)
        if match is None:
            continue
        ends = match[1], match[3]
        for end in ends:
            if end not in names:
                known = nearest(end, names)
                raise DataError(f"{path.name}: '{line.strip()}' names no node of the data.{known}")
        if match[2] not in ("-->", "<--"):
            raise DataError(f"{path.name}: '{line.strip()}' has no direction; expected A --> B.")
        source, target = ends if match[2] == "-->" else ends[::-1]
        truth[list(names).index(target), list(names).index(source)] = 1
    return truth


def _with_places(signals: Signals, given: str | None, path: Path, root: Path) -> Signals:
    files = [path.parent / "coordinates.csv", path.parent / "coordinates.tsv"]
    if given:
        files.insert(0, _there(root, given))
    file = next((f for f in files if f.is_file()), None)
    if file is None:
        return signals
    rows = [_cells(line) for line in _lines(file)]
    head = [cell.lower() for cell in rows[0]]
    if not {"name", "x", "y", "z"} <= set(head):
        raise DataError(f"{file.name}: expected the columns name, x, y, z, got {', '.join(head)}.")
    table = {row[head.index("name")]: row for row in rows[1:]}
    lacking = [name for name in signals.names if name not in table]
    if lacking:
        raise DataError(f"{file.name}: there is no place of node '{lacking[0]}'.")
    axes = [head.index(axis) for axis in "xyz"]
    places = [[float(table[name][k]) for k in axes] for name in signals.names]
    return replace(signals, places=np.array(places))


def _with_keys(
    read: list[Signals], root: Path, pattern: str | None
) -> tuple[list[Signals], list[Finding]]:
    from neuroloom.io import bids
    from neuroloom.io.recordings.find import compile_pattern

    keys: list[dict[str, str]] = []
    for one in read:
        name = one.name if pattern and "/" in pattern else Path(one.name).name
        if pattern:
            match = compile_pattern(pattern).fullmatch(name)
            if match is None:
                raise ConfigError(f"pattern '{pattern}' does not match '{name}'.")
            keys.append(match.groupdict())
        else:
            keys.append(bids.entities(Path(one.name)))
    people = bids.participants(root)
    if people is not None:
        table = people.astype(str).set_index("subject").to_dict("index")
        keys = [
            k | {str(a): b for a, b in table.get(k.get("subject", ""), {}).items()} for k in keys
        ]
    told = []
    if len(read) > 1 and not all("subject" in k for k in keys):
        told = [Finding("note", "Subjects", "No subjects in the names: every file counts as a "
                        "recording of its own in means, intervals and stability. Say `pattern` "
                        "if some are of one subject.")]  # fmt: skip
    return [replace(one, keys=k) for one, k in zip(read, keys, strict=True)], told
