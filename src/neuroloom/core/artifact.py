"""Artifacts: the named results that lie in a run, and the shelf that keeps them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import RunError, nearest
from neuroloom.core.files import read_json, write_atomic, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KINDS = ("table", "figure", "signal", "volume", "movie", "tracks", "graph", "text", "model")
SECTIONS = ("data", "split", "result", "training", "where", "audit", "method")
DPI = 160
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True)
class Artifact:
    """One result of a run, as it stands in `artifacts/index.json`.

    Parameters
    ----------
    name
        Lower-case letters, digits, `-` and `_`; unique in its run.
    kind
        One of `KINDS`.
    title, caption
        What it shows, and how to read it, in plain sentences.
    section
        The part of the report that shows it, one of `SECTIONS`.
    file
        The file's name inside the shelf's folder.
    alt
        What a figure says, for those who cannot see it; the title if empty.

    Raises
    ------
    RunError
        If the name, the kind, the section or the file does not fit.

    Examples
    --------
    >>> Artifact("confusion", "figure", "Confusion matrix", file="confusion.png").section
    'result'
    """

    name: str
    kind: str
    title: str
    caption: str = ""
    section: str = "result"
    file: str = ""
    alt: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RunError(
                f"Artifact '{self.name}': a name has lower-case letters, digits, '-' and '_' only."
            )
        _one_of("kind", self.kind, KINDS, self.name)
        _one_of("section", self.section, SECTIONS, self.name)
        if not self.file or Path(self.file).name != self.file:
            raise RunError(
                f"Artifact '{self.name}': its file must lie directly in the artifacts folder, "
                f"got '{self.file}'."
            )


class Shelf:
    """The artifacts of one run: files in a folder, listed in its `index.json`.

    An artifact added under a name that is taken replaces the older one.

    Examples
    --------
    >>> import tempfile
    >>> shelf = Shelf(Path(tempfile.mkdtemp()) / "artifacts")
    >>> _ = shelf.add_text("note", "Three runs.", title="Note", section="data")
    >>> shelf.read("note")
    'Three runs.'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def __iter__(self) -> Iterator[Artifact]:
        """Yield the artifacts in the order in which they were first added."""
        index = self.folder / "index.json"
        rows = read_json(index) if index.exists() else []
        try:
            return iter([Artifact(**row) for row in rows])
        except TypeError as error:
            raise RunError(f"{index.name}: a row is no artifact ({error}).") from error

    def add_table(self, name: str, table: pd.DataFrame, **words: str) -> Artifact:
        """Keep a table as parquet, and as CSV beside it for those who open it by hand.

        Parameters
        ----------
        name
            The artifact's name.
        table
            Any data frame; its index is not kept.
        **words
            `title` (needed), `caption`, `section`, `alt` of the artifact.
        """
        artifact = Artifact(name, "table", file=f"{name}.parquet", **words)
        write_atomic(self.path(artifact), lambda path: table.to_parquet(path, index=False))
        csv = self.path(artifact).with_suffix(".csv")
        write_atomic(csv, lambda path: table.to_csv(path, index=False))
        return self._list(artifact)

    def add_figure(
        self, name: str, figure: Figure, *, vector: bool = False, **words: str
    ) -> Artifact:
        """Draw a Matplotlib figure to PNG (160 dpi) or, if `vector`, to SVG, and close it.

        The file carries no date and no version, so that equal figures are equal files.
        """
        import matplotlib as mpl

        artifact = Artifact(name, "figure", file=f"{name}.{'svg' if vector else 'png'}", **words)
        empty = {"Date": None, "Creator": None} if vector else {"Software": None}
        with mpl.rc_context({"svg.hashsalt": name}):
            write_atomic(
                self.path(artifact), lambda path: figure.savefig(path, dpi=DPI, metadata=empty)
            )
        _close(figure)
        return self._list(artifact)

    def add_text(self, name: str, text: str, **words: str) -> Artifact:
        """Keep a plain text (UTF-8)."""
        artifact = Artifact(name, "text", file=f"{name}.txt", **words)
        write_text(self.path(artifact), text)
        return self._list(artifact)

    def add_file(self, name: str, kind: str, file: str, **words: str) -> Artifact:
        """List a file that was already written into the shelf's folder.

        Raises
        ------
        RunError
            If the file is not there.
        """
        artifact = Artifact(name, kind, file=file, **words)
        if not self.path(artifact).exists():
            raise RunError(f"Artifact '{name}': '{file}' is not in {self.folder.name}/.")
        return self._list(artifact)

    def get(self, name: str) -> Artifact:
        """Return the artifact called `name`.

        Raises
        ------
        RunError
            If the run has none of that name; the message suggests the nearest.
        """
        known = {artifact.name: artifact for artifact in self}
        if name not in known:
            listed = ", ".join(known) or "none"
            raise RunError(
                f"No artifact is called '{name}'.{nearest(name, known)} This run has: {listed}."
            )
        return known[name]

    def path(self, artifact: Artifact) -> Path:
        """Return where the artifact's file lies."""
        return self.folder / artifact.file

    def read(self, name: str) -> Any:
        """Return a table as a data frame, a text as str, anything else as the path of its file.

        Raises
        ------
        RunError
            If there is no such artifact, or its file is gone.
        """
        artifact = self.get(name)
        path = self.path(artifact)
        if not path.exists():
            raise RunError(
                f"Artifact '{name}': its file '{artifact.file}' is gone from {self.folder.name}/."
            )
        if artifact.kind == "table":
            import pandas as pd

            return pd.read_parquet(path)
        return path.read_text(encoding="utf-8") if artifact.kind == "text" else path

    def _list(self, artifact: Artifact) -> Artifact:
        rows = {known.name: known for known in self} | {artifact.name: artifact}
        write_json(self.folder / "index.json", [asdict(row) for row in rows.values()])
        return artifact


def _one_of(what: str, value: str, choices: tuple[str, ...], name: str) -> None:
    if value not in choices:
        raise RunError(
            f"Artifact '{name}': no {what} is called '{value}'.{nearest(value, choices)} "
            f"Known: {', '.join(choices)}."
        )


def _close(figure: Figure) -> None:
    # A figure that pyplot made is also held by pyplot; importing pyplot here only to let go of
    # one that it never saw would cost half a second.
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)
    figure.clear()
