"""One connectome of one file: a matrix, a list of edges, GraphML, or time series of regions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import graph

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES = (
    ".csv", ".tsv", ".txt", ".edgelist", ".edges", ".npy", ".npz", ".mat", ".graphml", ".1d",
)  # fmt: skip
HEADS = ("source", "target", "from", "to", "i", "j", "node1", "node2", "node_1", "node_2")


def read_connectome(path: Path) -> xr.DataArray:
    r"""Read a connectome as a `graph` recording.

    A square table is a matrix (a head and a first column of names are allowed), two or three
    columns are edges (`i j weight`), `.1D` are time series (time, region), of which Fisher's z of
    the correlations is taken. A diagonal is not read: it is 0.

    Raises
    ------
    DataError
        If it is none of these, a weight is no number, or only a pickle could be read.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.txt"
    >>> _ = file.write_text("0 1 2\n3 0 4\n5 6 0\n")
    >>> read_connectome(file).values[0].tolist()
    [0.0, 1.0, 2.0]
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise DataError(f"{path.name}: a connectome is one of {', '.join(SUFFIXES)}.")
    if not path.is_file() or path.stat().st_size == 0:
        raise DataError(f"{path.name}: there is no such file, or it is empty.")
    if kind == ".graphml":
        weights, names = _graphml(path)
    elif kind in (".npy", ".npz", ".mat"):
        weights, names = _only_matrix(path, read_arrays(path)), None
    else:
        weights, names = _text(path)
    return graph(_emptied(weights), names, source=path.name)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npy`, `.npz` or `.mat` by name; never through a pickle.

    Raises
    ------
    DataError
        If the file holds Python objects, as BrainGB's `abide.npy` does, or is damaged.
    """
    try:
        if path.suffix.lower() == ".mat":
            return _matlab(path)
        found = np.load(path, allow_pickle=False)
        return {"": found} if isinstance(found, np.ndarray) else dict(found)
    except ValueError as error:
        if "pickle" not in str(error).lower() and "Object arrays" not in str(error):
            raise DataError(f"{path.name}: is damaged or no NumPy file ({error}).") from error
        raise DataError(
            f"{path.name}: holds Python objects (a pickle), which can run code when opened, so it "
            "is not read. Where you trust the file, write its arrays out once: d = np.load(file, "
            "allow_pickle=True).item(); np.savez('connectomes.npz', corr=d['corr'], "
            "label=d['label'], site=d['site'])."
        ) from error
    except (OSError, EOFError, KeyError) as error:
        raise DataError(f"{path.name}: cannot be read ({error}).") from error


def _matlab(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    try:
        found = loadmat(path)
    except NotImplementedError:
        import h5py

        with h5py.File(path) as file:
            found = {k: v[()].T for k, v in file.items() if isinstance(v, h5py.Dataset)}
    except Exception as error:  # SciPy raises whatever its parser meets
        raise DataError(f"{path.name}: cannot be read as a MATLAB file ({error}).") from error
    arrays = {k: v for k, v in found.items() if not k.startswith("__")}
    return {k: v for k, v in arrays.items() if isinstance(v, np.ndarray) and v.dtype.kind in "fiub"}


def _only_matrix(path: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    square = {n: a for n, a in arrays.items() if a.ndim == 2 and a.shape[0] == a.shape[1] > 1}
    if len(square) != 1:
        shapes = ", ".join(f"{name or 'array'} {array.shape}" for name, array in arrays.items())
        raise DataError(
            f"{path.name}: expected one square matrix (node, node_to), got {shapes or 'nothing'}."
        )
    return np.asarray(next(iter(square.values())), float)


def _graphml(path: Path) -> tuple[np.ndarray, list[str]]:
    import networkx as nx

    try:
        found = nx.read_graphml(path)
    except Exception as error:  # whatever the XML parser meets
        raise DataError(f"{path.name}: is no GraphML that can be read ({error}).") from error
    names = [str(node) for node in found.nodes]
    if len(names) < 2:
        raise DataError(f"{path.name}: has {len(names)} nodes, two or more are needed.")
    return nx.to_numpy_array(found, weight="weight"), names


def cells_of(path: Path) -> list[list[str]]:
    """Return a text file as rows of cells, split at tabs, commas, semicolons or spaces."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: is no text in UTF-8.") from None
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        raise DataError(f"{path.name}: holds no line of data.")
    mark = next((mark for mark in ("\t", ",", ";") if mark in lines[0]), None)
    split = (lambda line: line.split(mark)) if mark else str.split
    return [[cell.strip().strip("\"'") for cell in split(line)] for line in lines]


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number; `nan` counts, an empty cell does not."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _text(path: Path) -> tuple[np.ndarray, list[str] | None]:
    rows = cells_of(path)
    if path.suffix.lower() == ".1d":
        return correlations(_numbers(path, rows, 0)), None
    named = not all(map(is_number, rows[0]))
    body, head = rows[named:], rows[0] if named else None
    if _is_edges(body, head):
        return _edges(path, body, int(named))
    words = named or not all(is_number(row[0]) for row in body)
    first = bool(body) and words and len(body[0]) == len(body) + 1
    names = [row[0] for row in body] if first else (head if named else None)
    numbers = _numbers(path, [row[first:] for row in body], int(named))
    if numbers.shape[0] != numbers.shape[1]:
        raise DataError(
            f"{path.name}: a connectome is a square matrix or a list of edges in two or three "
            f"columns, got {numbers.shape[0]} rows and {numbers.shape[1]} columns."
        )
    return numbers, names


def _is_edges(body: list[list[str]], head: list[str] | None) -> bool:
    if head and len(head) in (2, 3) and {cell.lower() for cell in head[:2]} <= set(HEADS):
        return True
    return bool(body) and len(body[0]) in (2, 3) and len(body) != len(body[0])


def _edges(path: Path, body: list[list[str]], skipped: int) -> tuple[np.ndarray, list[str]]:
    for number, row in enumerate(body):
        if len(row) != len(body[0]) or (len(row) == 3 and not is_number(row[2])):
            raise DataError(
                f"{path.name}: row {number + 1 + skipped}: expected 'from to weight', got "
                f"'{' '.join(row)}'."
            )
    whole = all(re.fullmatch(r"\d+", cell) for row in body for cell in row[:2])
    named = {cell for row in body for cell in row[:2]}
    names = [str(k) for k in range(max(map(int, named)) + 1)] if whole else sorted(named)
    if whole and "0" not in named:
        names = names[1:]
    if len(names) > 20000:
        raise DataError(f"{path.name}: names {len(names)} nodes; more than 20,000 are not read.")
    place = {name: k for k, name in enumerate(names)}
    weights = np.zeros((len(names), len(names)))
    for row in body:
        a, b = (str(int(c)) if whole else c for c in row[:2])
        weights[place[a], place[b]] = float(row[2]) if len(row) == 3 else 1.0
    # An undirected list has each edge once.
    if not (weights * weights.T).any():
        weights = weights + weights.T
    return weights, names


def _numbers(path: Path, rows: list[list[str]], skipped: int) -> np.ndarray:
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{path.name}: row {number + 1 + skipped}: expected {len(rows[0])} fields like the "
                f"first, got {len(row)}."
            )
        wrong = next((k for k, cell in enumerate(row) if not is_number(cell)), None)
        if wrong is not None:
            raise DataError(
                f"{path.name}: row {number + 1 + skipped}, column {wrong + 1}: expected a number, "
                f"got '{row[wrong]}'."
            )
    return np.array(rows, float)


def _emptied(weights: np.ndarray) -> np.ndarray:
    out = np.array(weights, float)
    np.fill_diagonal(out, 0.0)
    return out


def correlations(series: np.ndarray) -> np.ndarray:
    """Return Fisher's z of the correlations of time series (time, region); constant ones have 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> correlations(rng.normal(size=(50, 3))).shape
    (3, 3)
    """
    if len(series) < 4 or series.shape[1] < 2:
        raise DataError(
            f"Time series (time, region) of at least 4 x 2 are needed, got {series.shape}."
        )
    centred = series - series.mean(0)
    norm = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(norm > 0, norm, 1)
    found: Any = np.arctanh(np.clip(unit.T @ unit, -0.999999, 0.999999))
    return _emptied(found)
