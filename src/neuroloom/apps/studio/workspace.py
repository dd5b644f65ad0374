"""The folder that a studio works in: where data may be read, and where anything may be written.

```
FOLDER/runs/<run>/            run folders, as `neuroloom run` leaves them
FOLDER/uploads/<folder>/      what came through the browser
FOLDER/predictions/<name>/    what models said of new files
FOLDER/labels/<name>/         labelling, and what runs learn from of it
FOLDER/.studio/               jobs, settings, the lock of the server
```
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.core.files import read_json, write_json

GIB = 1024**3
KEEP_FREE = GIB // 2
MOST_UPLOAD = 4 * GIB
LISTED = 2000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')
_RESERVED = {"con", "prn", "aux", "nul", *(f"{k}{n}" for k in ("com", "lpt") for n in range(1, 10))}


class MissingError(ConfigError):
    """What was asked for is not there (HTTP 404)."""


class BusyError(ConfigError):
    """It is there, and cannot be done now (HTTP 409)."""


class TooLargeError(ConfigError):
    """More than the studio takes at once (HTTP 413)."""


@dataclass(frozen=True)
class Entry:
    """One file or folder of a listing; `size` in bytes, None for folders."""

    name: str
    path: str
    folder: bool
    size: int | None


@dataclass(frozen=True)
class Disk:
    """Use of the disk under the workspace, bytes; `low` when new runs are refused."""

    free: int
    total: int
    runs: int
    uploads: int
    labels: int
    low: bool


class Workspace:
    """A folder, the data folders beside it that may be read, and nothing else.

    Parameters
    ----------
    root
        The workspace; made if absent.
    data
        Further folders that may be read.
    keep_free
        Bytes of disk below which nothing new is started.
    most_upload
        Bytes that one upload may have.

    Raises
    ------
    ConfigError
        If the folder cannot be written, or a data folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> place = Workspace(Path(tempfile.mkdtemp()))
    >>> place.shown(place.runs)
    'runs'
    """

    def __init__(
        self,
        root: Path | str,
        data: Sequence[Path | str] = (),
        *,
        keep_free: int = KEEP_FREE,
        most_upload: int = MOST_UPLOAD,
    ) -> None:
        self.root = Path(root).expanduser().resolve()
        self.keep_free, self.most_upload = keep_free, most_upload
        try:
            for folder in (self.runs, self.uploads, self.predictions, self.private / "jobs"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{root} cannot serve as workspace ({error.strerror}); name a folder that you may "
                "write to."
            ) from None
        self._given = [_existing_folder(folder) for folder in data]

    @property
    def runs(self) -> Path:
        """Where the run folders lie."""
        return self.root / "runs"

    @property
    def uploads(self) -> Path:
        """Where uploaded files lie."""
        return self.root / "uploads"

    @property
    def predictions(self) -> Path:
        """Where predictions for new files lie."""
        return self.root / "predictions"

    @property
    def labels(self) -> Path:
        """Where pieces of labelling lie."""
        return self.root / "labels"

    @property
    def private(self) -> Path:
        """What the studio itself remembers."""
        return self.root / ".studio"

    @property
    def roots(self) -> list[Path]:
        """Every folder that may be read: the workspace, then the data folders."""
        added = [Path(folder) for folder in self._settings().get("data", [])]
        return list(dict.fromkeys([self.root, *self._given, *added]))

    def add_data(self, folder: str) -> Path:
        """Let a further folder of this machine be read, now and after a restart."""
        found = _existing_folder(folder)
        if found not in self.roots:
            known = self._settings()
            known["data"] = [*known.get("data", []), str(found)]
            write_json(self.private / "settings.json", known)
        return found

    def _settings(self) -> dict[str, Any]:
        file = self.private / "settings.json"
        return read_json(file) if file.is_file() else {}

    def locate(self, text: str) -> Path:
        """Return the existing file or folder that `text` names, relative to the workspace.

        Raises
        ------
        MissingError
            If there is none, or it lies outside of what may be read.
        """
        if not text.strip() or _CONTROL.search(text):
            raise MissingError("Name a file or a folder of the workspace.")
        try:
            found = (self.root / Path(text).expanduser()).resolve()
            inside = any(found.is_relative_to(root) for root in self.roots)
            there = inside and found.exists()
        except (OSError, ValueError, RuntimeError):
            inside = there = False
        if not inside or _within(found, self.private):
            raise MissingError(
                f"'{text}' does not lie in the workspace or in one of its data folders. Start "
                "the studio with --data FOLDER to read another one."
            )
        if not there:
            raise MissingError(f"There is no '{text}'.{self._nearest(found)}")
        return found

    def _nearest(self, path: Path) -> str:
        try:
            beside = [self.shown(other) for other in path.parent.iterdir()][:LISTED]
        except OSError:
            return ""
        return nearest(self.shown(path), beside)

    def shown(self, path: Path) -> str:
        """Return a path as the user names it: relative to the workspace where it lies inside."""
        if path == self.root:
            return "."
        inside = path.is_relative_to(self.root)
        return (path.relative_to(self.root) if inside else path).as_posix()

    def browse(self, text: str = ".") -> list[Entry]:
        """List a folder: folders first, then files, by name; what begins with a dot is left out.

        Raises
        ------
        MissingError
            If `text` names no folder that may be read.
        """
        folder = self.locate(text)
        if not folder.is_dir():
            raise MissingError(f"'{text}' is a file, no folder.")
        try:
            inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        except OSError as error:
            raise MissingError(f"'{text}' cannot be opened ({error.strerror}).") from None
        inside.sort(key=lambda path: (not path.is_dir(), path.name.lower()))
        return [entry for path in inside[:LISTED] if (entry := self._entry(path))]

    def _entry(self, path: Path) -> Entry | None:
        try:
            size = None if path.is_dir() else path.stat().st_size
        except OSError:  # a link that leads nowhere
            return None
        return Entry(path.name, self.shown(path), size is None, size)

    def child(self, parent: Path, name: str, what: str) -> Path:
        """Return the folder called `name` directly in `parent`; a name is no path.

        Raises
        ------
        MissingError
            If it does not exist; the message suggests the nearest.
        """
        known = [path.name for path in parent.iterdir() if path.is_dir() and path.name[0] != "."]
        if name not in known:
            raise MissingError(f"There is no {what} '{name}'.{nearest(name, known)}")
        return parent / name

    def file_in(self, folder: Path, name: str) -> Path:
        """Return the file at the relative path `name` inside `folder`.

        Raises
        ------
        MissingError
            If it is not there or would lie outside.
        """
        try:
            found = (folder / name).resolve()
            good = found.is_relative_to(folder.resolve()) and found.is_file()
        except (OSError, ValueError):
            good = False
        if not good or _CONTROL.search(name):
            raise MissingError(f"There is no file '{name}' here.")
        return found

    def place_for_upload(self, name: str, folder: str = "") -> Path:
        """Return where an uploaded file goes: `uploads/<folder>/<name>`, nowhere else.

        Raises
        ------
        ConfigError
            If a name is no plain name.
        BusyError
            If such a file is there, or the disk is nearly full.
        """
        self.refuse_full_disk()
        path = self.uploads / plain_name(folder or "files") / plain_name(name)
        if path.exists():
            raise BusyError(f"{self.shown(path)} is there already; give it another name.")
        return path

    def receive(self, path: Path, chunks: Iterable[bytes]) -> Path:
        """Write what arrives to `path`, whole or not at all.

        Raises
        ------
        TooLargeError
            If more arrives than an upload may have.
        """
        partial = path.with_name(f".{path.name}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        try:
            with partial.open("wb") as handle:
                for chunk in chunks:
                    size += len(chunk)
                    self.refuse_large(size)
                    handle.write(chunk)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def refuse_large(self, size: int) -> None:
        """Raise TooLargeError if an upload of `size` bytes is more than is taken at once."""
        if size > self.most_upload:
            raise TooLargeError(
                f"An upload may have {readable(self.most_upload)}; put larger files into "
                f"{self.root} (or a folder given with --data) yourself."
            )

    def refuse_full_disk(self) -> None:
        """Raise BusyError if the disk is too full to start anything."""
        free = shutil.disk_usage(self.root).free
        if free < self.keep_free:
            raise BusyError(
                f"Only {readable(free)} of disk are free at {self.root}, and "
                f"{readable(self.keep_free)} are kept free. Delete runs or uploads first."
            )

    def disk(self) -> Disk:
        """Return how full the disk is, and what of it is ours."""
        total, _, free = shutil.disk_usage(self.root)
        held = (folder_size(folder) for folder in (self.runs, self.uploads, self.labels))
        runs, uploads, labels = held
        return Disk(free, total, runs, uploads, labels, free < self.keep_free)


def plain_name(name: str) -> str:
    """Return `name` if every file system can carry it as one name.

    Raises
    ------
    ConfigError
        If it holds a separator or another odd character, or is reserved.

    Examples
    --------
    >>> plain_name("sub-01_eeg.edf")
    'sub-01_eeg.edf'
    """
    odd = _NOT_IN_NAMES.search(name) or name != name.strip() or name.strip(".") == ""
    if odd or name.startswith(".") or len(name.encode()) > 200:
        raise ConfigError(f"'{_CONTROL.sub('?', name)}' is no plain file name; rename the file.")
    if name.split(".")[0].lower() in _RESERVED:
        raise ConfigError(f"'{name}' is a name that Windows reserves; rename the file.")
    return name


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below `folder`; what vanishes meanwhile counts nothing.

    A file of several names counts once.
    """
    sizes = {}
    for file in folder.rglob("*"):
        try:
            if not file.is_symlink() and not file.is_dir():
                held = file.stat()
                sizes[held.st_dev, held.st_ino] = held.st_size
        except OSError:
            continue
    return sum(sizes.values())


def readable(size: float) -> str:
    """Return bytes in the unit that people say.

    Examples
    --------
    >>> readable(3_500_000)
    '3.3 MB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def _within(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder)


def _existing_folder(folder: Path | str) -> Path:
    try:
        found = Path(folder).expanduser().resolve()
        good = found.is_dir()
    except (OSError, ValueError, RuntimeError):
        good = False
    if not good:
        raise ConfigError(f"There is no folder {folder}.")
    return found
