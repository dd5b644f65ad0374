"""What can be compared: RDMs and features in files and run folders, with names and subjects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.files import check_there, read_json
from neuroloom.representation.matfile import read_mat
from neuroloom.representation.rsa.rdm import rdm, stimuli_of, to_pairs
from neuroloom.representation.store import open_array

Floats = NDArray[np.float64]
SUFFIXES = (".npy", ".npz", ".mat", ".h5", ".hdf5", ".zarr", ".csv", ".tsv")
INDEX = "features.json"  # of the features of a run
_SESSION = re.compile(r"^(ses|session|run)\b|^(ses|run)-", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """An RDM or features.

    Attributes
    ----------
    name
        As its file says it.
    data
        RDM: shape (pair,). Features: (stimulus, …), on disk where the file allows it.
    is_rdm
        Which of the two.
    stimuli
        Names of the stimuli in their order, where known.
    group, subject
        What the name says: "hIT | BE | Session: 1" is of the group hIT, the subject BE.
    """

    name: str
    data: Any
    is_rdm: bool
    stimuli: tuple[str, ...] = ()
    group: str = ""
    subject: str = ""

    @property
    def count(self) -> int:
        """How many stimuli it knows."""
        return stimuli_of(len(self.data)) if self.is_rdm else int(self.data.shape[0])


@dataclass(frozen=True)
class Group:
    """The same thing in one or more subjects; sessions of a subject are averaged."""

    name: str
    items: list[Item]

    @property
    def subjects(self) -> list[str]:
        """Names of the subjects; the group's own where it has none."""
        return [item.subject or item.group for item in self.items]

    @property
    def has_features(self) -> bool:
        """Whether it is more than an RDM."""
        return not any(item.is_rdm for item in self.items)

    def rdms(self, distance: str) -> Floats:
        """Return the RDM of each subject, shape (subject, pair)."""
        rows = [item.data if item.is_rdm else rdm(item.data, distance) for item in self.items]
        return np.stack(rows)


def parse_name(name: str) -> tuple[str, str]:
    """Return the group and the subject that a name tells.

    Examples
    --------
    >>> parse_name("hIT | BE | Session: 1"), parse_name("sub-01_task-see_it"), parse_name("HMAX")
    (('hIT', 'BE'), ('task-see_it', '01'), ('HMAX', ''))
    """
    if "|" in name:
        parts = [part.strip() for part in name.split("|")]
        kept = [part for part in parts if not _SESSION.match(part)]
        return kept[0], " | ".join(kept[1:])
    if match := re.match(r"sub-([A-Za-z0-9]+)[_-]?(.*)$", name):
        rest = [part for part in match.group(2).split("_") if part and not _SESSION.match(part)]
        return "_".join(rest) or "subjects", match.group(1)
    return name, ""


def read_items(path: str | Path, layers: Sequence[str] = ()) -> list[Item]:
    """Return all RDMs and features of a file, a folder or a run.

    Parameters
    ----------
    path
        `.npy`, `.npz`, `.mat` (arrays, or structs with `RDM` and `name`), HDF5, Zarr, `.csv`; a run
        of `representation.extract` or `.compare`; a folder of those. A square symmetric matrix with
        a zero diagonal is an RDM, and so is a vector of its upper triangle; all else is features
        (stimulus, …).
    layers
        Globs on the names of features.

    Raises
    ------
    DataError
        If nothing of the kind is there.
    """
    path = Path(path)
    check_there(path)
    every = (item for source in sources_of(path) for item in _read(source))
    found = [item for item in every if _chosen(item, layers)]
    if not found:
        which = f" that fit {', '.join(layers)}" if layers else ""
        raise DataError(
            f"{path}: holds no RDMs or features{which}; expected {', '.join(SUFFIXES)}, a run of "
            "representation.extract, or a folder of those."
        )
    return [_named(item) for item in found]


def _chosen(item: Item, layers: Sequence[str]) -> bool:
    if item.is_rdm or not layers:
        return True
    ends = (item.name, item.name.rpartition(":")[2], item.name.rpartition(".")[2])
    return any(fnmatchcase(end, glob) for end in ends for glob in layers)


def _named(item: Item) -> Item:
    group, subject = parse_name(item.name)
    return replace(item, group=group, subject=subject)


def sources_of(path: Path) -> list[Path]:
    """Return what is read of a file, a folder or a run: files, and folders of Zarr or features.

    Examples
    --------
    >>> [file.name for file in sources_of(Path("rdms.npz"))], sources_of(Path("notes.txt"))
    (['rdms.npz'], [])
    """
    features, rdms = path / "artifacts" / "features", path / "artifacts" / "rdms.npz"
    if path.suffix == ".zarr":
        return [path]
    if (features / INDEX).is_file():
        return [features]
    if rdms.is_file():
        return [rdms]
    if path.is_dir():
        inside = [
            one
            for one in sorted(path.iterdir())
            if (one / "recipe.yaml").is_file() or one.suffix.lower() in SUFFIXES
        ]
        return [source for one in inside for source in sources_of(one)]
    return [path] if path.suffix.lower() in SUFFIXES else []


def _read(source: Path) -> Iterator[Item]:
    if (source / INDEX).is_file():
        yield from _from_extract(source)
    elif source.suffix == ".zarr":
        yield from _from_container(source)
    else:
        yield from _from_file(source)


def _from_extract(folder: Path) -> Iterator[Item]:
    index = read_json(folder / INDEX)
    net = str(index["net"]).rpartition("/")[2]
    for layer, file in index["layers"].items():
        name, _, key = file.partition("::")
        features = open_array(folder / name, key)
        features = features if len(features.shape) > 1 else np.asarray(features)[:, None]
        yield Item(f"{net}:{layer}", features, False, tuple(index["stimuli"]))


def _from_file(path: Path) -> Iterator[Item]:
    suffix, stem = path.suffix.lower(), path.name.partition(".")[0]
    try:
        if suffix == ".npy":
            yield from _classified(stem, np.load(path, mmap_mode="r", allow_pickle=False))
        elif suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                for key in file.files:
                    if file[key].dtype.kind in "iufb":
                        yield from _classified(key, file[key])
        elif suffix == ".mat":
            yield from _from_mat(read_mat(path))
        elif suffix in (".h5", ".hdf5"):
            yield from _from_container(path)
        else:
            yield from _from_table(path)
    except (ValueError, OSError, KeyError) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]}).") from error


def _from_container(path: Path) -> Iterator[Item]:
    if path.suffix == ".zarr":
        import zarr

        for key, array in sorted(zarr.open_group(str(path), mode="r").arrays()):
            yield from _classified(key, array)
        return
    import h5py

    # Stays open as long as its arrays are held.
    file = h5py.File(path, "r")
    found: dict[str, Any] = {}
    file.visititems(lambda key, one: found.update({key: one}) if hasattr(one, "dtype") else None)
    for key, array in found.items():
        if array.dtype.kind in "iufb" and array.size > 1:
            yield from _classified(key, array)


def _from_table(path: Path) -> Iterator[Item]:
    import pandas as pd

    from neuroloom.representation.targets import read_table

    table = read_table(path, header=False)
    head = pd.to_numeric(table.iloc[0], errors="coerce").notna()
    if not head.iloc[1:].all():
        table = read_table(path)
    stimuli: tuple[str, ...] = ()
    first = table.columns[0]
    if not pd.api.types.is_numeric_dtype(table[first]):
        stimuli = tuple(table[first].astype(str))
        table = table.drop(columns=first)
    numbers = table.select_dtypes("number").to_numpy(float)
    for item in _classified(path.name.partition(".")[0], numbers):
        yield replace(item, stimuli=stimuli)


def _from_mat(variables: dict[str, Any]) -> Iterator[Item]:
    structs = list(_structs(variables.values()))
    for number, one in enumerate(structs):
        name = str(one.get("name", f"RDM {number + 1}"))
        yield from _classified(name, np.asarray(one["RDM"]), surely=True)
    if not structs:
        for name, value in variables.items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "iufb" and value.size > 1:
                yield from _classified(name, value)


def _structs(values: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for value in values:
        if isinstance(value, dict) and "RDM" in value:
            yield value
        elif isinstance(value, list):
            yield from _structs(value)


def _classified(name: str, array: Any, surely: bool = False) -> Iterator[Item]:
    """Tell RDMs from features by their shape, and by zeros on a diagonal."""
    shape = tuple(int(size) for size in array.shape)
    says_so = surely or "rdm" in name.lower()
    if _is_square(array):
        yield Item(name, to_pairs(array), True)
    elif len(shape) == 3 and shape[1] == shape[2] and _is_square(array[0]):
        for number, one in enumerate(np.asarray(array)):
            yield Item(f"{name} | {number + 1}", to_pairs(one), True)
    elif len(shape) == 1 and stimuli_of(shape[0]) > 2:
        yield Item(name, np.asarray(array, dtype=float), True)
    elif says_so and len(shape) == 2 and stimuli_of(shape[1]) > 2:
        for number, one in enumerate(np.asarray(array, dtype=float)):
            yield Item(f"{name} | {number + 1}", one, True)
    elif len(shape) > 1:
        yield Item(name, array, False)


def _is_square(array: Any) -> bool:
    if len(array.shape) != 2 or array.shape[0] != array.shape[1] or array.shape[0] < 3:
        return False
    square = np.asarray(array, dtype=float)
    diagonal, size = np.diag(square), np.nanmax(np.abs(square))
    return bool(
        size > 0
        and (np.abs(diagonal) <= 1e-6 * size).all()
        and np.allclose(square, square.T, equal_nan=True, atol=1e-6 * size)
    )


def grouped(items: Sequence[Item]) -> list[Group]:
    """Put items of one name together, in the order in which they come.

    RDMs of several sessions of a subject are averaged; features of several are refused.

    Raises
    ------
    DataError
        If a subject has several sets of features under one name.

    Examples
    --------
    >>> a, b = Item("x", np.zeros(3), True, (), "x", "1"), Item("x", np.ones(3), True, (), "x", "1")
    >>> grouped([a, b])[0].items[0].data
    array([0.5, 0.5, 0.5])
    """
    sets: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        sets.setdefault(item.group, {}).setdefault(item.subject, []).append(item)
    return [
        Group(name, [_averaged(same) for same in people.values()]) for name, people in sets.items()
    ]


def _averaged(same: list[Item]) -> Item:
    if len(same) == 1:
        return same[0]
    if not all(item.is_rdm for item in same) or len({len(item.data) for item in same}) > 1:
        names = ", ".join(item.name for item in same[:4])
        raise DataError(
            f"{names}: several sets of one name and subject, which cannot be averaged; give their "
            "files different names, or narrow them with `layers`."
        )
    return replace(same[0], data=np.mean([item.data for item in same], axis=0))


def select(groups: Sequence[Group], globs: Sequence[str]) -> tuple[list[Group], list[Group]]:
    """Return the groups whose names fit one of the globs, and the others.

    Raises
    ------
    ConfigError
        If none fits.
    """
    mine = [group for group in groups if any(fnmatchcase(group.name, glob) for glob in globs)]
    if not mine:
        known = [group.name for group in groups]
        raise ConfigError(
            f"reference: none fits '{', '.join(globs)}'.{nearest(globs[0], known)} There are "
            f"{', '.join(known)}."
        )
    return mine, [group for group in groups if group not in mine]


def same_stimuli(groups: Sequence[Group]) -> list[Group]:
    """Return groups with their stimuli in one order, that of the first with names.

    Raises
    ------
    DataError
        If counts differ, or a set knows other stimuli.
    """
    counts = {item.name: item.count for group in groups for item in group.items}
    if len(set(counts.values())) > 1:
        first, usual = next(iter(counts.items()))
        odd = next(name for name, count in counts.items() if count != usual)
        raise DataError(
            f"'{odd}' has {counts[odd]} stimuli, '{first}' has {usual}; all must be of the same "
            "stimuli, in the same order."
        )
    every = [item for group in groups for item in group.items]
    order = next((item.stimuli for item in every if item.stimuli), ())
    return [Group(group.name, [_ordered(item, order) for item in group.items]) for group in groups]


def _ordered(item: Item, order: tuple[str, ...]) -> Item:
    if not order or not item.stimuli or item.stimuli == order:
        return item
    lacking = [name for name in order if name not in set(item.stimuli)]
    if lacking:
        raise DataError(
            f"'{item.name}' lacks the stimulus '{lacking[0]}'.{nearest(lacking[0], item.stimuli)}"
        )
    place = {name: row for row, name in enumerate(item.stimuli)}
    rows = [place[name] for name in order]
    if item.is_rdm:
        from neuroloom.representation.rsa.rdm import to_square

        data = to_pairs(to_square(item.data)[np.ix_(rows, rows)])
    else:
        data = np.asarray(item.data)[rows]
    return replace(item, data=data, stimuli=order)
