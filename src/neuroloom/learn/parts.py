"""What a prediction found of each example, one file each, so that it goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import digest, read_json, write_json, write_text
from neuroloom.core.run import check_out

if TYPE_CHECKING:
    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run

PARTS, SCANS = "parts", "scans"
_ABOUT = "about.json"


def can_go_on(out: Path, kept: str) -> bool:
    """Tell whether a folder holds a prediction that was interrupted.

    Parameters
    ----------
    kept
        The folder in it with what was found: `PARTS` of examples, `SCANS` of films.
    """
    return (out / kept).is_dir() and not (out / "status.json").is_file()


def is_interrupted(out: Path) -> bool:
    """Tell whether a folder holds a prediction of any kind that was interrupted."""
    return can_go_on(out, PARTS) or can_go_on(out, SCANS)


def check_out_or_go_on(out: Path, kept: str) -> None:
    """Refuse an output folder that holds something else than an interrupted prediction.

    Raises
    ------
    ConfigError
        Naming the folder and what to do.
    """
    if not can_go_on(out, kept):
        check_out(out)


class Parts:
    """What was found of each example, kept in a folder until the prediction is done.

    Parameters
    ----------
    out
        Folder of the prediction; an interrupted one is gone on with. None: nothing is kept.
    about
        What the results follow from.

    Raises
    ------
    ConfigError
        If the folder holds something else, or the results of another prediction.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first, again = (Parts(Path(folder), {"run": "a"}) for _ in range(2))
    ...     first.of(0, lambda: [1.5]), again.of(0, lambda: [2.5])
    ([1.5], [1.5])
    """

    def __init__(self, out: Path | None, about: dict[str, str]) -> None:
        self._folder = None if out is None else out / PARTS
        if out is None or self._folder is None:
            return
        check_out_or_go_on(out, PARTS)
        file = self._folder / _ABOUT
        if file.is_file() and read_json(file) != about:
            raise ConfigError(
                f"--out {out} holds an interrupted prediction of other images or by another run; "
                "give these to go on with it, or name a new folder."
            )
        write_json(file, about)

    def of(self, number: int, make: Callable[[], Any]) -> Any:
        """Return what is kept of an example; else what `make` finds, as JSON can keep it."""
        if self._folder is None:
            return make()
        file = self._folder / f"{number:06d}.json"
        if not file.is_file():
            write_text(file, json.dumps(make(), default=_plain))
        return read_json(file)

    def close(self) -> None:
        """Remove what was kept: the tables of the prediction hold it."""
        if self._folder is not None:
            shutil.rmtree(self._folder)


def about(run: Run, datasets: Iterable[Dataset]) -> dict[str, str]:
    """Return what the results of a prediction follow from: the model and the files, in order."""
    files = [[list(each.table["name"]), list(each.extra["hashes"].items())] for each in datasets]
    model = digest(run.folder / "model.safetensors")[:16]
    return {"model": model, "files": hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]}


def _plain(value: Any) -> Any:
    """Return a number of numpy as one of Python."""
    return value.item()
