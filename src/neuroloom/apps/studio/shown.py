"""What of a result is looked at, and what it lies on: a mask on its scan, points on their video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroloom.apps.studio.look import kind_of
from neuroloom.apps.studio.workspace import MissingError, Workspace
from neuroloom.core.files import read_json

MOST = 200
TABLES = ("predictions.csv", "predictions.parquet")


@dataclass(frozen=True)
class Shown:
    """One thing to look at.

    Attributes
    ----------
    name
        What it is called.
    path
        The file that is opened, as the user names it.
    over
        What is drawn on top of it, "" for nothing.
    names
        Names of the numbers of a mask.
    """

    name: str
    path: str
    over: str = ""
    names: dict[str, str] = field(default_factory=dict)


def table_in(folder: Path) -> Path | None:
    """Return the table of a prediction, if it has one."""
    return next((folder / name for name in TABLES if (folder / name).is_file()), None)


def of_prediction(place: Workspace, folder: Path, data: Path, run: Path) -> list[Shown]:
    """Return what a prediction made of `data` with the model of a run.

    Parameters
    ----------
    place
        Says what may be read, and how paths are named.
    folder
        Of the prediction.
    data
        The file or folder that the model was applied to.
    run
        Folder of the model's run; it knows the names of classes.
    """
    masks = list(_masks(folder, data))
    if masks:
        names = {} if objects_of(run) else class_names(run)
        return [_laid(place, source, file, names) for file, source in masks[:MOST]]
    files = [file for file in sorted(folder.iterdir()) if _is_own(file)]
    return [one for file in files[:MOST] if (one := _one(place, file, data))]


def of_run(place: Workspace, run: Path, data: Path) -> list[Shown]:
    """Return the masks that a run gave the cases it had held out, each on its scan."""
    from neuroloom.io.images import image_stem
    from neuroloom.learn.dense.story import HELD_OUT

    folder = run / "artifacts" / HELD_OUT
    if not folder.is_dir():
        return []
    names, base = class_names(run), _base(data)
    paths = {str(row["name"]): base / _file(row["path"]) for row in _facts(run)["rows"]}
    files = sorted(file for file in folder.iterdir() if image_stem(file) in paths)
    return [_laid(place, paths[image_stem(file)], file, names) for file in files[:MOST]]


def class_names(run: Path) -> dict[str, str]:
    """Return the names of a run's classes by their numbers, without the background."""
    known = _facts(run).get("axes", {}).get("classes_of", {})
    return {str(number): str(name) for number, name in known.items() if str(number) != "0"}


def objects_of(run: Path) -> str:
    """Return what a run's masks number one by one, such as cells; "" where numbers are classes."""
    return str(_facts(run).get("axes", {}).get("objects") or "")


def _facts(run: Path) -> dict[str, Any]:
    try:
        found = read_json(run / "dataset.json")
    except (OSError, ValueError):
        return {"rows": []}
    return {"rows": []} | found if isinstance(found, dict) else {"rows": []}


def _masks(folder: Path, data: Path) -> Iterator[tuple[Path, Path]]:
    """Yield (mask, scan) of each case that the prediction's table names a file for."""
    from neuroloom.apps.studio.views.table import read_table

    file = table_in(folder)
    table = None if file is None else read_table(file)
    if table is None or not {"path", "file"} <= set(table.columns):
        return
    for path, name in table[["path", "file"]].drop_duplicates().itertuples(index=False):
        if (folder / str(name)).is_file():
            yield folder / str(name), _base(data) / _file(path)


def _base(data: Path) -> Path:
    return data if data.is_dir() else data.parent


def _file(path: Any) -> str:
    from neuroloom.io.images import split_address

    return str(split_address(str(path))[0])


def _laid(place: Workspace, below: Path, above: Path, names: dict[str, str]) -> Shown:
    """Return a file on another; alone where the other may not be read, or is gone."""
    name = below.name
    try:
        return Shown(name, place.shown(place.locate(str(below))), place.shown(above), names)
    except MissingError:
        return Shown(above.name, place.shown(above))


def _is_own(file: Path) -> bool:
    return file.is_file() and not file.name.startswith("predictions.")


def _one(place: Workspace, file: Path, data: Path) -> Shown | None:
    """Return points on their video, or a recording or an image as it is."""
    kind = kind_of(file)
    if kind == "tracks":
        video = _video_of(file, data)
        return _laid(place, video, file, {}) if video else Shown(file.name, place.shown(file))
    return Shown(file.name, place.shown(file)) if kind in ("signal", "image") else None


def _video_of(tracks: Path, data: Path) -> Path | None:
    """Return the video among the data whose name begins that of the tracks, the longest such."""
    from neuroloom.io.video import is_video

    inside = data.rglob("*") if data.is_dir() else [data]
    fits = [file for file in inside if is_video(file) and tracks.name.startswith(file.stem)]
    return max(fits, key=lambda file: len(file.stem), default=None)
