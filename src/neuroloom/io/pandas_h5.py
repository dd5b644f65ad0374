"""Tables that pandas wrote to HDF5 (`to_hdf`, both layouts), read without unpickling anything.

PyTables keeps the names of columns as pickles, and to load a stranger's pickle is to run his code.
Here the few opcodes that build lists, tuples, words and whole numbers are followed by hand; any
other is refused. DeepLabCut writes its labels in the layout "fixed" and its tracks in "table".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# What h5py raises on wrong bytes.
_BROKEN = (
    KeyError, OSError, ValueError, IndexError, RuntimeError, AttributeError, TypeError, MemoryError,
    OverflowError,
)  # fmt: skip


def open_h5(path: Path) -> Any:
    """Open an HDF5 file for reading.

    Raises
    ------
    DataError
        If it is missing, empty, cut off or no HDF5 file.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    with path.open("rb") as handle:
        if handle.read(8) != _SIGNATURE:
            raise DataError(f"{path}: is no HDF5 file, it begins otherwise; was it copied whole?")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: the HDF5 file is damaged or cut off ({error}).") from error


def read_frame(path: Path, key: str | None = None) -> pd.DataFrame:
    """Read the table `key`, or the only one, of a file that `DataFrame.to_hdf` wrote.

    Parameters
    ----------
    path
        The file.
    key
        Name of the table; needed only if there are several.

    Raises
    ------
    DataError
        If the file is damaged, holds no such table, or a name is stored as an object.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.h5"
    ...     pd.DataFrame({"x": [1.0, 2.0]}).to_hdf(path, key="df", mode="w")
    ...     list(read_frame(path)["x"])
    [1.0, 2.0]
    """
    with open_h5(path) as file:
        try:
            group = _group(file, key)
            layout = _text(group.attrs.get("pandas_type", b""))
            if layout not in _LAYOUTS:
                raise DataError(f"'{group.name}' is a pandas '{layout}', expected a table.")
            return _LAYOUTS[layout](group)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except _BROKEN as error:
            raise DataError(f"{path}: the table is damaged: {error}.") from error


def column_levels(path: Path) -> int | None:
    """Return how many levels the columns of such a table have; None if it cannot be told.

    Raises
    ------
    DataError
        If the file is missing or no HDF5 file.
    """
    with open_h5(path) as file:
        try:
            group = _group(file, None)
            if _text(group.attrs["pandas_type"]) == "frame_table":
                ((_, names),) = plain_value(bytes(group.attrs["non_index_axes"]))
                return len(names[0]) if isinstance(names[0], tuple) else 1
            several = _text(group.attrs["axis0_variety"]) == "multi"
            return int(group.attrs["axis0_nlevels"]) if several else 1
        except (DataError, *_BROKEN):
            return None


def plain_value(pickled: bytes) -> Any:
    r"""Return what a pickle of nested lists, tuples, words and whole numbers holds.

    Nothing is executed.

    Raises
    ------
    DataError
        If it holds anything else.

    Examples
    --------
    >>> plain_value(b"(lp0\n(I1\nVindex\np1\ntp2\na.")
    [(1, 'index')]
    """
    import pickletools

    state: dict[str, Any] = {"stack": [], "memo": {}}
    try:
        for opcode, value, _ in pickletools.genops(pickled):
            _follow(opcode.name, value, state)
        (result,) = state["stack"]
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"names of columns are stored in a damaged form ({error}).") from error
    return result


_MARK = object()


def _follow(name: str, value: Any, state: dict[str, Any]) -> None:
    """Carry out one opcode on the stack."""
    stack, memo = state["stack"], state["memo"]
    if name in ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "INT", "BININT", "BININT1", "BININT2"):
        stack.append(value)
    elif name == "MARK":
        stack.append(_MARK)
    elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
        memo[len(memo) if value is None else value] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[value])
    elif name in _BUILD:
        _BUILD[name](stack)
    elif name not in ("PROTO", "FRAME", "STOP"):
        raise DataError(
            f"names of columns are stored as objects ({name}), which are not loaded since that "
            "could run foreign code; write the table again with text as names, or as .csv."
        )


def _since_mark(stack: list[Any]) -> list[Any]:
    at = len(stack) - 1 - stack[::-1].index(_MARK)
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _take(stack: list[Any], count: int) -> tuple[Any, ...]:
    items = tuple(stack[len(stack) - count :])
    del stack[len(stack) - count :]
    return items


def _append(stack: list[Any]) -> None:
    (item,) = _take(stack, 1)
    stack[-1].append(item)


def _extend(stack: list[Any]) -> None:
    items = _since_mark(stack)
    stack[-1].extend(items)


_BUILD: dict[str, Any] = {
    "LIST": lambda stack: stack.append(_since_mark(stack)),
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "EMPTY_LIST": lambda stack: stack.append([]),
    "EMPTY_TUPLE": lambda stack: stack.append(()),
    "TUPLE1": lambda stack: stack.append(_take(stack, 1)),
    "TUPLE2": lambda stack: stack.append(_take(stack, 2)),
    "TUPLE3": lambda stack: stack.append(_take(stack, 3)),
    "APPEND": _append,
    "APPENDS": _extend,
    "NONE": lambda stack: stack.append(None),
}


def _group(file: Any, key: str | None) -> Any:
    """Return the group that holds the table."""
    held = [name for name, item in file.items() if "pandas_type" in item.attrs]
    name = key if key is not None else held[0] if len(held) == 1 else None
    if name is None or name not in held:
        wanted = f"the table '{key}'" if key else "one table of pandas"
        raise DataError(
            f"expected {wanted}, found {', '.join(held) or 'none'}"
            f" among {', '.join(file) or 'nothing'}."
        )
    return file[name]


def _fixed(group: Any) -> pd.DataFrame:
    """Read the layout that `to_hdf` writes by default: axes and blocks as arrays."""
    import pandas as pd

    columns, index = _axis(group, "axis0"), _axis(group, "axis1")
    values = pd.DataFrame(index=index, columns=columns, dtype=float)
    parts = []
    for number in range(int(group.attrs["nblocks"])):
        items = _axis(group, f"block{number}_items")
        block = _matrix(group[f"block{number}_values"], len(index), len(items))
        parts.append(pd.DataFrame(block, index=index, columns=items))
    if not parts:
        return values
    joined = parts[0] if len(parts) == 1 else pd.concat(parts, axis=1)
    return joined if joined.columns.equals(columns) else joined.reindex(columns=columns)


def _matrix(dataset: Any, rows: int, columns: int) -> np.ndarray:
    if dataset.dtype.kind not in "fiu":
        raise DataError(f"'{dataset.name}' holds no numbers but {dataset.dtype}.")
    block = np.asarray(dataset[()], float)
    if block.shape != (rows, columns):
        raise DataError(
            f"'{dataset.name}' has the shape {block.shape}, its axes say {(rows, columns)}."
        )
    return block


def _axis(group: Any, name: str) -> pd.Index:
    """Read names of rows or columns, of one level or several."""
    import pandas as pd

    if _text(group.attrs[f"{name}_variety"]) != "multi":
        return pd.Index(_words(group[name]))
    levels = range(int(group.attrs[f"{name}_nlevels"]))
    words = [_words(group[f"{name}_level{level}"]) for level in levels]
    codes = [np.asarray(group[f"{name}_label{level}"][()]) for level in levels]
    called = [_text(group[f"{name}_level{level}"].attrs.get("name", b"")) for level in levels]
    names = [None if one in ("", "N.") else one for one in called]
    return pd.MultiIndex.from_arrays(
        [np.asarray(word)[code] for word, code in zip(words, codes, strict=True)], names=names
    )


def _words(dataset: Any) -> np.ndarray:
    kind = dataset.dtype.kind
    if kind == "S":
        decoded = [_text(word) for word in dataset[()]]
        return np.asarray(decoded, dtype=object)
    if kind in "iuf":
        return np.asarray(dataset[()])
    raise DataError(f"'{dataset.name}' stores names as objects; write the table again, or as .csv.")


def _table(group: Any) -> pd.DataFrame:
    """Read the layout `format="table"`: one record a row, names of columns beside it."""
    import pandas as pd

    records = group["table"]
    ((_, names),) = plain_value(bytes(group.attrs["non_index_axes"]))
    info_names = _level_names(records, names)
    blocks, labels = [], []
    for field in records.dtype.names:
        if field.startswith("values_block_"):
            blocks.append(np.asarray(records[field], float).reshape(len(records), -1))
            labels += plain_value(bytes(records.attrs[f"{field}_kind"]))
    values = np.concatenate(blocks, axis=1)
    multi = bool(names) and isinstance(names[0], tuple)
    columns = pd.MultiIndex.from_tuples(labels, names=info_names) if multi else pd.Index(labels)
    index = _table_index(records)
    frame = pd.DataFrame(values, index=index, columns=columns)
    wanted = pd.MultiIndex.from_tuples(names, names=info_names) if multi else pd.Index(names)
    return frame if columns.equals(wanted) else frame.reindex(columns=wanted)


def _level_names(records: Any, names: list[Any]) -> list[str] | None:
    """Return the names of DeepLabCut's levels; pandas hides them in a pickle of its own."""
    depth = len(names[0]) if names and isinstance(names[0], tuple) else 0
    known = {
        3: ["scorer", "bodyparts", "coords"],
        4: ["scorer", "individuals", "bodyparts", "coords"],
    }
    return known.get(depth)


def _table_index(records: Any) -> np.ndarray:
    stored = records["index"]
    return (
        np.asarray([_text(word) for word in stored], object) if stored.dtype.kind == "S" else stored
    )


def _text(value: Any) -> str:
    """Return what PyTables stored as bytes, also as its `numpy.bytes_`."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


_LAYOUTS = {"frame": _fixed, "frame_table": _table}
