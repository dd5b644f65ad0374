"""What a person said of each result: good or bad, in a table or by sorting pictures in folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroloom.core.errors import DataError, nearest

WORDS = ("good", "bad")


@dataclass(frozen=True)
class Marks:
    """The names of images whose results were called good, and bad.

    Examples
    --------
    >>> Marks(("a",), ("b",)).of("c")
    'unjudged'
    """

    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()

    def of(self, name: str) -> str:
        """Return "good", "bad" or "unjudged"."""
        return "good" if name in self.good else "bad" if name in self.bad else "unjudged"


def read_marks(path: Path, names: Sequence[str]) -> Marks:
    r"""Read marks from a CSV (columns name, mark) or from what lies in the folders good/ and bad/.

    Parameters
    ----------
    names
        Of all images; an empty mark leaves one unjudged.

    Raises
    ------
    DataError
        If there are no marks, one is another word, or a name is no image's.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "marks.csv"
    >>> _ = file.write_text("name,mark\na,good\nb,\n")
    >>> read_marks(file, ["a", "b"])
    Marks(good=('a',), bad=())
    """
    pairs = _sorted_by_hand(path) if path.is_dir() else _from_table(path)
    for name, mark in pairs:
        if name not in names:
            raise DataError(f"{path}: no image is called '{name}'.{nearest(name, names)}")
        if mark and mark not in WORDS:
            raise DataError(f"{path}: {name} is marked '{mark}'; expected good, bad, or nothing.")
    marked = dict(pairs)
    if len(marked) < len(pairs):
        twice = next(name for name in marked if [one for one, _ in pairs].count(name) > 1)
        raise DataError(f"{path}: '{twice}' is marked twice; keep one mark.")
    good, bad = (tuple(name for name in names if marked.get(name) == word) for word in WORDS)
    return Marks(good, bad)


def _from_table(path: Path) -> list[tuple[str, str]]:
    from neuroloom.io.sheet import read_sheet

    if not path.is_file():
        raise DataError(f"{path}: there are no such marks; name a CSV, or a folder with good/.")
    table = read_sheet(path)
    if not {"name", "mark"} <= set(table.columns):
        raise DataError(
            f"{path}: has the columns {', '.join(table.columns)}; name and mark are needed."
        )
    marks = table["mark"].str.strip().str.lower()
    return list(zip(table["name"].str.strip(), marks, strict=True))


def _sorted_by_hand(folder: Path) -> list[tuple[str, str]]:
    from neuroloom.io.cases.layouts import listed
    from neuroloom.io.images import image_stem

    found = [word for word in WORDS if (folder / word).is_dir()]
    if not found:
        raise DataError(f"{folder}: has no folder good/ or bad/ with pictures that were sorted.")
    return [(image_stem(file), word) for word in found for file in listed(folder / word)]
