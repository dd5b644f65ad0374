"""Point at a folder: what is in it, whose it is, and what a reader should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neuroloom.core import registry
from neuroloom.core.errors import NeuroloomError

MOST_FILES = 20_000
LISTED = 500
TABLES = (".csv", ".tsv", ".parquet")
GRAPHS = (".graphml", ".gml")
VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".mgz", ".dcm")
FLAT, SOLID = {"microscopy"}, {"mri", "mr", "ct", "pet", "volumes"}
# What a recipe's `data_kind` says where it reads such files.
WORDS = {
    "signal": ("eeg", "meg", "emg", "lfp", "psg"),
    "image": ("mri", "mr", "ct", "pet", "volumes", "images", "microscopy"),
    "video": ("video",),
    "labels": ("labelled",),
    "tracks": ("pose",),
}


@dataclass(frozen=True)
class Item:
    """One file that something can be done with.

    `name` is its path below what was looked at; `kind` is "signal", "image", "video", "tracks",
    "labels", "table" or "graph"; `keys` are subject, session and run where they are known.
    """

    name: str
    path: str
    kind: str
    size: int
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What was recognised under a path.

    Attributes
    ----------
    path
        As it was given.
    layout
        A sentence that names what was recognised.
    counts
        How many files there are of each kind.
    subjects, sessions, labels
        Names; labels with how often each occurs, where events were found.
    items
        The first `LISTED` usable files.
    notes
        What a careful reader should know, or would object to.
    recipes
        Names of the recipes that read such data.
    """

    path: str
    layout: str
    counts: dict[str, int]
    subjects: list[str]
    sessions: list[str]
    labels: dict[str, int]
    items: list[Item]
    notes: list[str]
    recipes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def look(path: Path, shown: Callable[[Path], str]) -> Look:
    r"""Recognise a file or a folder; `shown` says how paths are named to the user.

    Raises
    ------
    DataError
        If it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "ages.csv").write_text("subject,age\\n1,30\\n")
    >>> look(folder, str).counts
    {'table': 1}
    """
    files = list(_files(path))
    project = _project(path)
    kinds = {file: kind_of(file, bool(project)) for file in files}
    signals = [file for file, kind in kinds.items() if kind == "signal"]
    found, layout, notes = _whose(path, signals)
    counts = Counter(kind for kind in kinds.values() if kind)
    pictured = counts["image"] and not signals and not project
    cases = _cases(path) if pictured else ("", [], {}, [])
    if project:
        counts["labels"] += 1
        layout = layout or f"A labelled project, format {project}"
    labels, more = _labels(signals)
    labels, notes, layout = labels | cases[2], [*notes, *cases[3]], layout or cases[0]
    root = path if path.is_dir() else path.parent
    items = [_item(file, kind, found, shown, root) for file, kind in kinds.items() if kind]
    return Look(
        path=shown(path),
        layout=layout or _plain_layout(counts),
        counts=dict(counts),
        subjects=sorted({keys["subject"] for keys in found.values() if "subject" in keys})
        or cases[1],
        sessions=sorted({keys["session"] for keys in found.values() if "session" in keys}),
        labels=labels,
        items=items[:LISTED],
        notes=[*notes, *more, *_too_many(files, items)],
        recipes=_recipes(set(counts), any(file.name.lower().endswith(VOLUMES) for file in kinds)),
    )


def _files(path: Path) -> Iterator[Path]:
    """Yield the files below, without hidden ones and what lies in run folders of ours."""
    if path.is_file():
        yield path
        return
    count, waiting = 0, [path]
    while waiting and count <= MOST_FILES:
        for item in _inside(waiting.pop()):
            if item.is_dir() and item.suffix != ".zarr":
                waiting += [] if item.is_symlink() else [item]
            else:
                count += 1
                yield item


def _inside(folder: Path) -> list[Path]:
    """List a folder; of a run of ours, only the recordings that it may have made."""
    if (folder / "recipe.yaml").is_file() and (folder / "status.json").is_file():
        return [made for made in (folder / "recordings",) if made.is_dir()]
    try:
        return sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    except OSError:
        return []


def kind_of(file: Path, in_project: bool = False) -> str:
    """Return the kind of a file ("signal", "image", …), "" if neuroloom does not read it."""
    from neuroloom.io.images import is_image
    from neuroloom.io.recordings.reader import is_readable, is_recording, suffix
    from neuroloom.io.video import SUFFIXES

    ending = suffix(file)
    if file.suffix.lower() in SUFFIXES:
        return "video"
    if file.suffix.lower() in GRAPHS:
        return "graph"
    if _claims("track", file):
        return "tracks"
    if ending in TABLES and not (is_readable(file) and _safely(is_recording, file)):
        return "table"
    if is_image(file):
        return "frame" if in_project else "image"
    if is_readable(file) and _safely(is_recording, file):
        return "signal"
    return ""


def _claims(table: str, path: Path) -> str:
    """Return the name of the format that claims a path, if one does."""
    if path.suffix.lower() not in (".h5", ".csv", ".slp", ".nwb", ".nc") and table == "track":
        return ""
    for name in registry.table(table):
        if _safely(registry.load(table, name).claims, path):
            return name
    return ""


def _project(path: Path) -> str:
    return _claims("label", path)


def _safely(ask: Callable[[Path], Any], path: Path) -> bool:
    """Ask; a file that cannot even be looked at is none of the kind."""
    try:
        return bool(ask(path))
    except Exception:
        return False


def _whose(path: Path, signals: list[Path]) -> tuple[dict[Path, dict[str, str]], str, list[str]]:
    """Return subject, session and run of each recording, the layout, and what was noted."""
    from neuroloom.io.recordings.find import KEYS, find

    if not signals:
        return {}, "", []
    try:
        found = find(path)
    except NeuroloomError as error:
        return {}, "", [str(error)]
    rows = found.table.to_dict("records")
    keys = {found.root / row["path"]: {k: str(row[k]) for k in KEYS} for row in rows}
    return keys, found.layout, list(found.notes)


def _cases(path: Path) -> tuple[str, list[str], dict[str, int], list[str]]:
    """Return layout, subjects, labels with their number of cases, and notes, of images."""
    from neuroloom.io.cases import find_cases

    try:
        found = find_cases(path, incomplete=True)
    except NeuroloomError as error:
        return "", [], {}, [str(error)]
    labelled = int(found.table["label"].notna().sum())
    named = found.classes or {}
    labels = {name: labelled for number, name in named.items() if number} if labelled else {}
    layout = f"{found.layout}: {len(found.table)} cases, {labelled} with a mask"
    subjects = sorted(found.table["subject"].astype(str).unique())
    noticed = [*found.notes, *found.doubts]
    return layout, subjects if len(subjects) > 1 else [], labels, noticed


def _labels(signals: list[Path], most: int = 24) -> tuple[dict[str, int], list[str]]:
    """Count the events in the headers of the first recordings; note what is odd about them."""
    from neuroloom.io.recordings.reader import peek

    counts: Counter[str] = Counter()
    notes: list[str] = []
    for file in signals[:most]:
        try:
            header = peek(file)
        except NeuroloomError as error:
            notes.append(str(error))
            continue
        counts.update(map(str, header.annotations["label"]))
        notes += [f"{file.name}: {note}" for note in header.notes]
    if len(signals) > most:
        notes.append(f"Events were counted in the first {most} of {len(signals)} recordings.")
    return dict(counts.most_common(40)), list(dict.fromkeys(notes))[:40]


def _item(file: Path, kind: str, found: dict[Path, dict[str, str]], shown: Any, root: Path) -> Item:
    size = file.stat().st_size if file.is_file() else 0
    name = file.relative_to(root).as_posix()
    return Item(name, shown(file), kind, size, found.get(file, {}))


def _plain_layout(counts: Counter[str]) -> str:
    if not counts:
        return "Nothing here that neuroloom reads"
    named = [
        f"{n} {kind}{'s' if n != 1 and kind != 'tracks' else ''}" for kind, n in counts.items()
    ]
    return f"Found {', '.join(named)}"


def _too_many(files: list[Path], items: list[Item]) -> list[str]:
    if len(files) > MOST_FILES:
        return [f"Only the first {MOST_FILES} files were looked at; point at a folder inside."]
    return [f"The first {LISTED} of {len(items)} files are listed."] if len(items) > LISTED else []


def _recipes(kinds: set[str], volumes: bool) -> list[str]:
    """Return the recipes whose kind of data is among those that were found, the best fit first."""
    wanted = {word for kind in kinds for word in WORDS.get(kind, ())}
    near = wanted - (FLAT if volumes else SOLID)
    fit = []
    for name in registry.names("recipe"):
        recipe = registry.load("recipe", name)
        said = set(recipe.data_kind.lower().replace(",", " ").split())
        if recipe.needs_data and said & wanted:
            fit.append((-len(said & near), name))
    return [name for _, name in sorted(fit)]
