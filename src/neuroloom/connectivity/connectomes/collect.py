"""From DATA to connectomes, and the table of what is known of each or of each of their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neuroloom.connectivity.connectomes.files import (
    SUFFIXES,
    cells_of,
    is_number,
    read_arrays,
    read_connectome,
)
from neuroloom.core.errors import DataError
from neuroloom.core.files import check_there, digest

if TYPE_CHECKING:
    import pandas as pd

Level = Literal["graph", "node"]
TABLES = (".csv", ".tsv")
WHO = ("participant_id", "subject", "subject_id", "sub_id", "id", "name")
STACKS = ("corr", "connectomes", "matrices", "graphs", "x", "fc", "sc")
UNKNOWN = ("", "n/a", "nan", "na", "none", "unknown", "-")


@dataclass(frozen=True)
class Connectomes:
    """All connectomes of DATA.

    Attributes
    ----------
    graphs
        One a file, (node, node_to) float32.
    names, files
        Of each: its name and its relative path.
    nodes
        Names of the nodes of each.
    table
        One row a connectome: what a table beside them knows; may have no column.
    labels
        Per connectome, a type for each node ("" unknown); None where there are none.
    hashes
        Of the files that were read.
    layout
        How the data were recognised, in words.
    """

    graphs: list[np.ndarray]
    names: list[str]
    files: list[str]
    nodes: list[list[str]]
    table: pd.DataFrame
    labels: list[list[str] | None]
    hashes: dict[str, str]
    layout: str
    notes: list[str] = field(default_factory=list)

    @property
    def level(self) -> Level:
        """What there is to learn: types of nodes where they are known, else whole graphs."""
        return "node" if any(one is not None for one in self.labels) else "graph"


def collect(data: Path, include: Sequence[str] = (), target: str | None = None) -> Connectomes:
    """Read every connectome of a folder, a table with a column `path`, a stack, or one file.

    Parameters
    ----------
    include
        Globs on names, or on relative paths where they contain "/".
    target
        Column to learn; in a table of nodes it is the type of a node.

    Raises
    ------
    DataError
        If there is none, or the tables do not fit.
    """
    check_there(data)
    if data.is_file() and (stack := _stack(data)) is not None:
        return stack
    if data.is_file() and data.suffix.lower() in TABLES and "path" in cells_of(data)[0]:
        return _manifest(data, include)
    root = data if data.is_dir() else data.parent
    files = _listed(data, include)
    stacks = [file for file in files if file.suffix.lower() == ".npz"]
    if len(files) == 1 and stacks and (stack := _stack(stacks[0])) is not None:
        return stack
    return _folder(root, files, target)


def _listed(data: Path, include: Sequence[str]) -> list[Path]:
    if data.is_file():
        return [data]
    every = [
        path for path in sorted(data.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts[len(data.parts):])
        and not (path.parent / "recipe.yaml").is_file() and path.parent.name != "artifacts"
    ]  # fmt: skip
    readable = [path for path in every if path.suffix.lower() in SUFFIXES]
    chosen = [p for p in readable if not include or _fits(p.relative_to(data).as_posix(), include)]
    if not chosen:
        few = ", ".join(path.name for path in every[:5]) or "nothing"
        raise DataError(
            f"{data}: no connectome among its {len(every)} files ({few}); they are "
            f"{', '.join(SUFFIXES)}" + (f" and match {', '.join(include)}." if include else ".")
        )
    return chosen


def _fits(path: str, include: Sequence[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    return any(fnmatch(path if "/" in glob else name, glob) for glob in include)


def _folder(root: Path, files: list[Path], target: str | None) -> Connectomes:
    """Tell matrices from tables: what is square or a list of edges is a connectome."""
    import pandas as pd

    graphs, wrong = {}, {}
    for path in files:
        if _is_table(path):
            continue
        try:
            graphs[path] = read_connectome(path)
        except DataError as error:
            wrong[path] = error
    used = list(graphs)
    rest = [path for path in files if path not in graphs and path not in wrong] + list(wrong)
    labels, tables = _labels_beside(graphs, rest, target)
    bad = {path: error for path, error in wrong.items() if path not in tables}
    if bad:
        raise next(iter(bad.values()))
    if not graphs:
        raise DataError(f"{root}: no connectome among {', '.join(p.name for p in files[:5])}.")
    people = [path for path in rest if path not in tables and _is_table(path)]
    names = _names(used)
    table, said = _people(root, people, names, used)
    whole = [*used, *tables, *(people if said else [])]
    return Connectomes(
        [graphs[path].values.astype(np.float32) for path in used],
        names,
        [path.relative_to(root).as_posix() for path in used],
        [list(map(str, graphs[path].node.values)) for path in used],
        table if table is not None else pd.DataFrame(index=range(len(used))),
        [labels.get(path) for path in used],
        {path.relative_to(root).as_posix(): digest(path) for path in whole},
        f"{len(used)} connectomes in files of their own" + said
        + (", with the type of every node in a file beside" if labels else ""),
    )  # fmt: skip


def _is_table(path: Path) -> bool:
    """Tell a table of words or of many columns with a head from a matrix."""
    if path.suffix.lower() not in (*TABLES, ".txt"):
        return False
    rows = cells_of(path)
    head = [cell.lower() for cell in rows[0]]
    if head[0] in WHO or "participant_id" in head or "path" in head:
        return len(rows[0]) != len(rows) - 1 or not is_number(rows[-1][-1])
    return len(rows[0]) == 1


def _names(files: list[Path]) -> list[str]:
    """Name connectomes by what is not common to their file names."""
    stems = [file.name.split(".")[0] for file in files]
    if len(set(stems)) < len(stems):
        stems = ["/".join(file.with_suffix("").parts[-2:]) for file in files]
    if len(files) == 1:
        return stems
    parts = [stem.split("_") for stem in stems]
    if len({len(part) for part in parts}) == 1:
        kept = [k for k in range(len(parts[0])) if len({part[k] for part in parts}) > 1]
        short = ["_".join(part[k] for k in kept) for part in parts]
        if len(set(short)) == len(short) and all(short):
            stems = short
    return [stem.removeprefix("sub-") for stem in stems]


def _labels_beside(
    graphs: dict[Path, Any], rest: list[Path], target: str | None
) -> tuple[dict[Path, list[str]], list[Path]]:
    """Find, for each connectome, the file with a type for each of its nodes."""
    found: dict[Path, list[str]] = {}
    used: list[Path] = []
    for file in rest:
        if file.suffix.lower() not in (*TABLES, ".txt"):
            continue
        rows = cells_of(file)
        near = sorted(graphs, key=lambda path: -_shared(path, file))
        for path in near[:1] if len(graphs) > 1 else near:
            if _shared(path, file) == 0 and len(graphs) > 1:
                continue
            types = _types(rows, list(map(str, graphs[path].node.values)), target)
            if types is not None and path not in found:
                found[path] = types
                used.append(file)
    return found, used


def _shared(a: Path, b: Path) -> int:
    """Count the leading characters that two names share, if they lie in one folder."""
    if a.parent != b.parent:
        return 0
    same = next((k for k, (x, y) in enumerate(zip(a.name, b.name, strict=False)) if x != y), None)
    return min(len(a.name), len(b.name)) if same is None else same


def _types(rows: list[list[str]], nodes: list[str], target: str | None) -> list[str] | None:
    """Return the type of each node from a bare column, or a table with a head; None if neither."""
    if len(rows) == len(nodes) and len(rows[0]) == 1:  # it has no name: none can be asked for
        return [_known(row[0]) for row in rows] if target in (None, "type") else None
    head = rows[0]
    if len(rows) != len(nodes) + 1:
        return None
    if target is None:
        usual = [k for k, n in enumerate(head) if n.lower() in ("type", "label", "class", "cell")]
        column = usual[0] if usual else (0 if len(head) == 1 else None)
    else:
        column = head.index(target) if target in head else None
    if column is None:
        return None
    named = [k for k, name in enumerate(head) if name.lower() in ("node", "name", "id", "neuron")]
    body = rows[1:]
    if named and {row[named[0]] for row in body} == set(nodes):
        place = {row[named[0]]: row for row in body}
        body = [place[node] for node in nodes]
    return [_known(row[column]) if column < len(row) else "" for row in body]


def _known(cell: str) -> str:
    return "" if cell.lower() in UNKNOWN else cell


def _people(
    root: Path, tables: list[Path], names: list[str], files: list[Path]
) -> tuple[pd.DataFrame | None, str]:
    """Return a row a connectome from the table whose first matching column names them all."""
    for path in tables:
        table = _read_table(path)
        column = next((c for c in table if str(c).lower() in WHO), None)
        if column is None:
            continue
        keys = table[column].astype(str).str.removeprefix("sub-")
        rows = [_row_of(name, file, keys.tolist()) for name, file in zip(names, files, strict=True)]
        if all(row is None for row in rows):
            continue
        empty: Any = dict.fromkeys(table)
        found = [empty if row is None else table.iloc[row].to_dict() for row in rows]
        import pandas as pd

        whole = pd.DataFrame(found, columns=list(table))
        whole["subject"] = [n if r is None else keys[r] for n, r in zip(names, rows, strict=True)]
        said = f", described by {path.relative_to(root).as_posix()}"
        missing = sum(row is None for row in rows)
        return whole, said + (f" ({missing} are not in it)" if missing else "")
    return None, ""


def _row_of(name: str, file: Path, keys: list[str]) -> int | None:
    """Find the row of a connectome: its name, or a key that its file name begins with."""
    if name in keys:
        return keys.index(name)
    stem = file.name.removeprefix("sub-")
    hits = [k for k, key in enumerate(keys) if stem.startswith(key) and stem[len(key)] in "_.-"]
    return hits[0] if len(hits) == 1 else None


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    mark = "\t" if path.suffix.lower() == ".tsv" else ","
    texts = dict.fromkeys([*WHO, *(w.upper() for w in WHO), "path", "session", "run"], str)
    try:
        return pd.read_csv(path, sep=mark, dtype=texts)  # type: ignore[arg-type]
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: cannot be read as a table ({error}).") from error


def _manifest(data: Path, include: Sequence[str]) -> Connectomes:
    """Read the connectomes that a table names in its column `path`."""
    table = _read_table(data)
    keep = [not include or _fits(str(path), include) for path in table["path"]]
    table = table[keep].reset_index(drop=True)
    if table.empty:
        raise DataError(f"{data.name}: no row is left; the table needs one a connectome.")
    files = [data.parent / str(path) for path in table["path"]]
    gone = next((k for k, file in enumerate(files) if not file.is_file()), None)
    if gone is not None:
        raise DataError(f"{data.name}: row {gone + 2}: there is no file '{table['path'][gone]}'.")
    graphs = [read_connectome(file) for file in files]
    paths = [str(path) for path in table["path"]]
    return Connectomes(
        [one.values.astype(np.float32) for one in graphs],
        _names(files),
        paths,
        [list(map(str, one.node.values)) for one in graphs],
        table.drop(columns="path"),
        [None] * len(graphs),
        {p: digest(f) for p, f in zip(paths, files, strict=True)} | {data.name: digest(data)},
        f"manifest {data.name} with the columns {', '.join(map(str, table))}",
    )


def _stack(path: Path) -> Connectomes | None:
    """Read one file with all connectomes (n, node, node_to) and a value each of other arrays."""
    import pandas as pd

    if path.suffix.lower() not in (".npz", ".npy", ".mat"):
        return None
    arrays = read_arrays(path)
    lower = {name.lower(): name for name in arrays}
    cubes = [lower[name] for name in STACKS if name in lower and arrays[lower[name]].ndim == 3]
    cubes += [name for name, array in arrays.items() if array.ndim == 3]
    if not cubes:
        return None
    cube = np.asarray(arrays[cubes[0]], np.float32)
    if cube.shape[1] != cube.shape[2]:
        raise DataError(
            f"{path.name}: expected connectomes (n, node, node_to), '{cubes[0]}' is {cube.shape}."
        )
    from neuroloom.core.recording import graph

    cube = cube * (1 - np.eye(cube.shape[1], dtype=np.float32))
    for number, one in enumerate(cube):
        graph(one, source=f"{path.name}, connectome {number + 1}")
    flat = {n: a.ravel() for n, a in arrays.items() if n != cubes[0] and a.size == len(cube)}
    names = [f"{k:0{len(str(len(cube)))}d}" for k in range(len(cube))]
    regions = [str(k) for k in range(cube.shape[1])]
    return Connectomes(
        list(cube),
        names,
        [f"{path.name}#{name}" for name in names],
        [regions] * len(cube),
        pd.DataFrame(flat, index=range(len(cube))),
        [None] * len(cube),
        {path.name: digest(path)},
        f"{len(cube)} connectomes of {cube.shape[1]} nodes in {path.name}",
    )
