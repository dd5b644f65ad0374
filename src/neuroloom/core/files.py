"""Files that are either whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError, nearest

PREDICTION = "predict"  # a prediction or an evaluation, where others are called by their recipe


def write_atomic(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary neighbour of `path`, then move it into place.

    A reader, or a run that resumes after a power cut, never sees half a file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        write(partial)
        with partial.open("r+b") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """Write `text` as UTF-8, whole or not at all."""
    return write_atomic(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> Path:
    """Write `value` as indented JSON, whole or not at all; NaN becomes null."""
    return write_text(path, to_json(value) + "\n")


def write_json_lists(path: Path, lists: Mapping[str, Iterable[Any]]) -> Path:
    """Write an object of lists as JSON, an item a line, whole or not at all; NaN becomes null.

    Memory holds one item at a time of those that are made on the way.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     squares = ({"square": number**2} for number in range(3))
    ...     read_json(write_json_lists(Path(folder) / "a.json", {"held": squares, "none": []}))
    {'held': [{'square': 0}, {'square': 1}, {'square': 4}], 'none': []}
    """

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8") as handle:
            for place, (name, items) in enumerate(lists.items()):
                handle.write(("," if place else "{") + f"\n{json.dumps(name)}: [")
                for number, item in enumerate(items):
                    text = json.dumps(_plain(item), ensure_ascii=False)
                    handle.write(("," if number else "") + f"\n{text}")
                handle.write("]")
            handle.write("\n}\n" if lists else "{}\n")

    return write_atomic(path, write)


def to_json(value: Any) -> str:
    r"""Return `value` as indented JSON; NaN becomes null.

    Examples
    --------
    >>> to_json({"p": float("nan")})
    '{\n "p": null\n}'
    """
    return json.dumps(_plain(value), indent=1, ensure_ascii=False)


def read_json(path: Path) -> Any:
    """Read a JSON file written by `write_json`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def text_of(content: bytes) -> str:
    r"""Return the text of a file: of UTF-8, of what a byte-order mark names, else of Windows.

    Raises
    ------
    ValueError
        If it is no text.

    Examples
    --------
    >>> text_of("größe".encode("cp1252")), text_of("a\tb".encode("utf-16"))
    ('größe', 'a\tb')
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("it is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits, or of all files of a folder in order."""
    if Path(path).is_dir():
        inside = sorted(file for file in Path(path).rglob("*") if file.is_file())
        joined = "".join(f"{file.relative_to(path)}{digest(file)}" for file in inside)
        return hashlib.sha256(joined.encode()).hexdigest()
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_there(path: Path) -> None:
    """Refuse a path at which there is nothing.

    Raises
    ------
    DataError
        With the nearest name beside it.
    """
    if path.exists():
        return
    around = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError(f"{path}: there is no such file or folder.{nearest(path.name, around)}")


def paths_inside(folder: Path, data: Collection[str] = ()) -> list[Path]:
    """Return what lies below a folder, sorted, without what hides and what runs of ours left there.

    A run, or a prediction, is told by its `status.json`; the folder itself may be one.

    Parameters
    ----------
    data
        Whose results are read here as data: `PREDICTION`, or names of recipes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     for made in ("run/recipe.yaml", "said/predictions.parquet"):
    ...         (folder / made).parent.mkdir()
    ...         for file in ("status.json", "c.csv", Path(made).name):
    ...             (folder / made).with_name(file).touch()
    ...     (folder / "a.csv").touch()
    ...     (folder / ".b.csv").touch()
    ...     plain = [path.name for path in paths_inside(folder)]
    ...     plain, [p.name for p in paths_inside(folder, [PREDICTION]) if p.suffix == ".csv"]
    (['a.csv'], ['a.csv', 'c.csv'])
    """
    ours = set(results_inside(folder, data))
    return sorted(
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and ours.isdisjoint([path, *path.parents])
    )


def results_inside(folder: Path, data: Collection[str] = ()) -> list[Path]:
    """Return the folders below a folder that hold results of ours, sorted, without those of `data`.

    Parameters
    ----------
    data
        As `paths_inside` has it.
    """
    found = {file.parent for file in folder.rglob("status.json")} - {folder}
    return sorted(path for path in found if (maker := _maker_of(path)) and maker not in data)


def told_results(folder: Path, data: Collection[str] = ()) -> str:
    """Return " Results … were passed over: a, b." of what `paths_inside` leaves out, or ""."""
    names = [path.relative_to(folder).as_posix() for path in results_inside(folder, data)]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f" Results of runs were passed over: {', '.join(names[:5])}{more}." if names else ""


def _maker_of(folder: Path) -> str:
    """Return the recipe of the run that a folder is, `PREDICTION`, or "" for neither."""
    if not (folder / "recipe.yaml").is_file():
        return PREDICTION if (folder / "predictions.parquet").is_file() else ""
    try:
        return str(read_json(folder / "status.json")["recipe"])
    except (OSError, ValueError, LookupError, TypeError):
        return "a run"


def at_home(path: str | Path) -> Path:
    """Return a path whose leading `~` is the user's home, as a shell would have it.

    Examples
    --------
    >>> at_home("~/grey") == Path.home() / "grey"
    True
    """
    return Path(os.path.expanduser(path))


def whole_path(path: str | None) -> str | None:
    """Return a path that means the same from any folder: home and all its folders written out.

    Examples
    --------
    >>> whole_path("runs/pre") == str(Path.cwd() / "runs" / "pre"), whole_path(None)
    (True, None)
    """
    return path and os.path.abspath(at_home(path))


def whole_if_there(path: str) -> str:
    """Return the whole path of what is there from this folder, and any other name as it is.

    Examples
    --------
    >>> whole_if_there("no/such*")
    'no/such*'
    """
    found = os.path.abspath(at_home(path))
    return found if path and os.path.exists(found) else path


def names_apart(paths: Sequence[Path], names: Sequence[str] | None = None) -> list[str]:
    """Return a name of its own for each path: its stem, and of its folders as many as are needed.

    Folders count from the one that holds all paths, so that it does not matter how they are
    written, or from the root of each disk. Files of one folder are told apart by their endings.

    Parameters
    ----------
    names
        What stands for the stems; folders that such a name begins with are not repeated.

    Examples
    --------
    >>> names_apart([Path("d/s1/cam0.mp4"), Path("d/s2/cam0.mp4"), Path("d/cam1.mp4")])
    ['s1_cam0', 's2_cam0', 'cam1']
    >>> names_apart([Path("d/a.mp4"), Path("d/a.avi"), Path("d/s/a.mp4")])
    ['a_mp4', 'a_avi', 's_a']
    >>> names_apart([Path("d/a/s1/t1.nii.gz"), Path("d/b/s1/t1.nii.gz")], ["s1_t1", "s1_t1"])
    ['a_s1_t1', 'b_s1_t1']
    """
    if not paths:
        return []
    whole = [Path(os.path.abspath(path)) for path in paths]
    if len({path.anchor for path in whole}) == 1:
        base = os.path.commonpath([path.parent for path in whole])
        inside = [path.relative_to(base) for path in whole]
    else:
        inside = [path.relative_to(path.anchor) for path in whole]
    own = [path.stem for path in inside] if names is None else list(names)
    held = [0] * len(own) if names is None else list(map(_held, own, inside))
    names = list(own)
    for depth in range(2, max(len(path.parts) for path in inside) + 1):
        for place in _twice(names):
            if len(inside[place].parts) >= depth:
                before = inside[place].parts[-depth : -1 - held[place]]
                names[place] = "_".join([*before, own[place]])
    for place in _twice(names):
        names[place] += inside[place].suffix.replace(".", "_")
    for place in _twice(names):
        names[place] += f"_{place + 1}"
    return names


def _held(name: str, path: Path) -> int:
    """Return how many of a path's nearest folders a name begins with."""
    folders = path.parts[:-1]
    counts = range(len(folders), 0, -1)
    return next((k for k in counts if name.startswith("_".join([*folders[-k:], ""]))), 0)


def _twice(names: Sequence[str]) -> list[int]:
    """Return the places of the names that are not the only ones of their kind."""
    count = Counter(names)
    return [place for place, name in enumerate(names) if count[name] > 1]


def _plain(value: Any) -> Any:
    """Reduce NumPy scalars, paths and non-finite numbers to what JSON can say."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Path):
        return value.as_posix()
    return value
