"""Which recordings there are under DATA, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.files import check_there
from neuroloom.io import bids
from neuroloom.io.recordings.reader import is_readable, is_recognised, is_recording, suffix
from neuroloom.io.recordings.sidecar import SHARED, example

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("subject", "session", "run")
_MANIFESTS = (".csv", ".tsv")
_SIDE_FOLDERS = ("derivatives", "sourcedata", "__MACOSX")
_NO_LAYOUT = (
    "no layout was recognised: all files count as runs of one subject; give `pattern` to say "
    "which part of a name is the subject"
)
# What MNE keeps in FIF files beside recordings, by the ends of names that it asks for.
_DERIVED = re.compile(r"[-_](epo|ave|cov|fwd|inv|ica|src|trans|proj|eve|bem|sol|tfr)\.fif")
_EPOCHS = re.compile(r"[-_]epo\.fif")
# Sentence and the regex that a file name must match; the first that all files match is taken.
LAYOUTS: tuple[tuple[str, str], ...] = (
    (
        "PhysioNet eegmmidb, subject and run (S001R06)",
        r"^(?P<subject>S\d{3})R(?P<run>\d{2})(?=[._]|$)",
    ),
    (
        "BCI Competition IV, subject and session (A01T)",
        r"^(?P<subject>[AB]\d{2})(?P<session>(?:\d{2})?[TE])(?=\.|$)",
    ),
    (
        "Muse notebooks, subject, session and time of recording",
        r"_subject(?P<subject>\d+)_session(?P<session>\d+)_.*?(?P<run>\d{4}-\d\d-\d\d[-_\d.]*\d)",
    ),
    (
        "EEG-DL, a training and a test set",
        r"^(?P<run>training|train|test)_set(?=\.csv)",
    ),
    (
        "Sleep-EDF, subject and night (SC4001E0-PSG)",
        r"^(?P<subject>S[CT][47]\d{2})(?P<session>\d)[A-Z]\d-PSG(?=\.)",
    ),
    (
        "DREAMS sleep spindles, every excerpt a subject",
        r"^excerpt(?P<subject>\d+)(?=\.)",
    ),
    (
        "BIDS-like names (sub-, ses-, run-) outside a BIDS folder",
        r"(?:^|_)sub-(?P<subject>[A-Za-z0-9]+)(?:_ses-(?P<session>[A-Za-z0-9]+))?"
        r"(?:_(?!run-)[a-z]+-[A-Za-z0-9]+)*(?:_run-(?P<run>[A-Za-z0-9]+))?(?=[_.]|$)",
    ),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Found:
    """The recordings under DATA.

    Attributes
    ----------
    table
        One row a recording: `path` (POSIX, relative to `root`), `subject`, `session`, `run`
        (str), then what BIDS, the pattern or the manifest add.
    root
        The folder that the paths are relative to.
    layout
        A sentence that names what was recognised.
    notes
        What was passed over, one sentence each.
    """

    table: pd.DataFrame
    root: Path
    layout: str
    notes: tuple[str, ...] = ()


def find(data: Path | str, include: Sequence[str] = (), pattern: str | None = None) -> Found:
    """List the recordings of a file, a folder (searched through), or a manifest.

    Parameters
    ----------
    data
        A recording, a folder, or a CSV/TSV with a column `path` relative to the CSV.
    include
        Globs on the file name, or on the path relative to `data` where they contain "/".
    pattern
        Names with keys in braces, "{subject}R{run}.edf"; with "/" it matches the relative path.

    Raises
    ------
    DataError
        If `data` is missing or holds nothing readable that `include` matches.
    ConfigError
        If `pattern` has no key or fits a file not at all.

    Examples
    --------
    >>> find("eegmmidb", include=["S001R0*"]).table["subject"]  # doctest: +SKIP
    """
    data = Path(data)
    check_there(data)
    if data.is_file() and suffix(data) in _MANIFESTS and not is_recognised(data):
        return _from_manifest(data, include, pattern)
    root = data if data.is_dir() else data.parent
    files, notes = _listed(data, root, include) if data.is_dir() else ([data.name], [])
    if data.is_file() and not is_readable(data):
        raise DataError(f"{data}: no reader for '{suffix(data)}' files. {_readable()}")
    return _with_keys(files, root, pattern, notes)


def _with_keys(files: list[str], root: Path, pattern: str | None, notes: list[str]) -> Found:
    import pandas as pd

    top = bids.root_of(root) if pattern is None else None
    named = [file for file in files if "subject" in bids.entities(file)]
    if top is None or not named:
        rows, layout = _keys_of(files, pattern)
        table = pd.DataFrame([{"path": f, **keys} for f, keys in zip(files, rows, strict=True)])
        return Found(_completed(table), root, layout, tuple(notes))
    if len(named) < len(files):
        strays = _few([file for file in files if file not in named])
        notes = [*notes, f"Names without a BIDS subject were passed over: {strays}."]
    table = pd.DataFrame([{"path": file, **bids.entities(file)} for file in named])
    table = _with_participants(table, top)
    return Found(_completed(table), root, "BIDS, keys from the file names", tuple(notes))


def _with_participants(table: pd.DataFrame, top: Path) -> pd.DataFrame:
    people = bids.participants(top)
    if people is None:
        return table
    new = [name for name in people if name == "subject" or name not in table]
    return table.merge(people[new], on="subject", how="left")


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    """Add the keys that are missing: one subject, one session, every file a run of its own."""
    taken = table.get("subject") is not None
    if "subject" not in table:
        table["subject"] = "1"
    if "session" not in table:
        table["session"] = "1"
    if "run" not in table:
        groups = table.groupby(["subject", "session"], sort=False, dropna=False).cumcount() + 1
        stems = [Path(path).name.split(".")[0] for path in table["path"]]
        table["run"] = groups.astype(str) if taken or len(set(stems)) < len(stems) else stems
    for key in KEYS:
        table[key] = table[key].fillna("1").astype(str)
    order = ["path", *KEYS]
    return table[order + [name for name in table if name not in order]]


def _keys_of(files: list[str], pattern: str | None) -> tuple[list[dict[str, str]], str]:
    if pattern is not None:
        return _by_pattern(files, pattern), f"pattern {pattern}"
    for sentence, regex in LAYOUTS:
        matches = [re.search(regex, Path(file).name) for file in files]
        if all(matches):
            return [_given(match) for match in matches if match], sentence
    return [{} for _ in files], _NO_LAYOUT


def _given(match: re.Match[str]) -> dict[str, str]:
    return {key: value for key, value in match.groupdict().items() if value is not None}


def _by_pattern(files: list[str], pattern: str) -> list[dict[str, str]]:
    regex = compile_pattern(pattern)
    names = [file if "/" in pattern else Path(file).name for file in files]
    if not is_readable(pattern):
        names = [name.removesuffix(".gz").removesuffix(suffix(name)) for name in names]
    matches = [regex.fullmatch(name) for name in names]
    misfits = [name for name, match in zip(names, matches, strict=True) if not match]
    if misfits:
        share = (
            "no file" if len(misfits) == len(names) else f"{len(misfits)} of {len(names)} files not"
        )
        raise ConfigError(
            f"pattern '{pattern}' matches {share}; one that it misses is '{misfits[0]}'. Write it "
            "like the names, with the parts that vary in braces, or narrow `include`."
        )
    return [match.groupdict() for match in matches if match]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Turn "{subject}R{run}.edf" into a regex; a key is as short as fits and crosses no "/".

    Examples
    --------
    >>> compile_pattern("{subject}R{run}.edf").fullmatch("S001R06.edf.gz").groupdict()
    {'subject': 'S001', 'run': '06'}
    """
    pieces = re.split(r"\{(\w+)\}", pattern.removesuffix(".gz"))
    keys = pieces[1::2]
    bad = [key for key in keys if not key.isidentifier() or keys.count(key) > 1]
    if not keys or bad:
        raise ConfigError(
            f"pattern '{pattern}': expected keys in braces, each once, like "
            f"'{{subject}}R{{run}}.edf'" + (f"; '{bad[0]}' is not one." if bad else ".")
        )
    literal = [re.escape(piece).replace(r"\*", "[^/]*") for piece in pieces[::2]]
    tail = [f"(?P<{key}>[^/]+?){text}" for key, text in zip(keys, literal[1:], strict=True)]
    return re.compile(literal[0] + "".join(tail) + r"(?:\.gz)?")


def _listed(data: Path, root: Path, include: Sequence[str]) -> tuple[list[str], list[str]]:
    """Relative POSIX paths of the readable, included files, and notes on what was passed over."""
    every = sorted(_walk(data, root))
    wanted = [file for file in every if _included(file, include)]
    readable = [file for file in wanted if is_readable(file)]
    empty = [file for file in readable if _is_empty(root / file)]
    files = [file for file in readable if file not in empty and is_recording(root / file)]
    files = [file for file in files if not _is_part(file, readable)]
    kept = [file for file in files if not _DERIVED.search(file)]
    # Epochs are what a folder is about where nothing continuous lies beside them.
    files = kept or [file for file in files if _EPOCHS.search(file)]
    if not files:
        raise DataError(_nothing(data, every, include, empty))
    notes = [f"Empty files were passed over: {_few(empty)}."] if empty else []
    return files, notes


def _walk(folder: Path, root: Path) -> list[str]:
    """All files below, without hidden ones, run folders and BIDS's own side folders."""
    try:
        items = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be opened ({error.strerror}).") from error
    found = []
    for item in items:
        if item.name.startswith("."):
            continue
        if not item.is_dir():
            found.append(item.relative_to(root).as_posix())
        elif not _is_passed_over(item):
            found += _walk(item, root)
    return found


def _is_passed_over(folder: Path) -> bool:
    """Side folders of BIDS, runs of ours, and links that lead back up."""
    if folder.name in _SIDE_FOLDERS:
        return True
    if folder.is_symlink() and folder.resolve() in folder.absolute().parents:
        return True
    return (folder / "recipe.yaml").is_file() and (folder / "status.json").is_file()


def _is_empty(path: Path) -> bool:
    """Nothing in it, or (a link of git-annex whose content was not fetched) nothing behind it."""
    return not path.is_file() or path.stat().st_size == 0


def _is_part(file: str, files: Sequence[str]) -> bool:
    """Later parts of a split FIF are read with the first: x-1.fif after x.fif, split-02."""
    later = re.fullmatch(r"(.*)-\d+\.fif", file)
    if later and f"{later[1]}.fif" in files:
        return True
    split = bids.entities(file).get("split", "1") if suffix(file) == ".fif" else "1"
    return split.isdigit() and int(split) > 1


def _included(file: str, include: Sequence[str]) -> bool:
    name = file.rsplit("/", 1)[-1]
    return not include or any(fnmatchcase(file if "/" in glob else name, glob) for glob in include)


def _nothing(data: Path, every: list[str], include: Sequence[str], empty: list[str]) -> str:
    if not every:
        return f"{data}: the folder is empty. {_readable()}"
    if empty:
        return f"{data}: only empty files or links to nothing: {_few(empty)}; copy them again."
    readable = [file for file in every if is_recognised(data / file)]
    mute = [file for file in readable if _included(file, include)]
    if mute:
        return (
            f"{data}: no recording among its {len(every)} files: {_few(mute)} hold numbers or text "
            "that no format is told from. Where they are signals, write their sampling rate into "
            f"'{SHARED[0]}' in their folder: {example()}."
        )
    if include and readable:
        close = nearest(include[0], readable)
        return (
            f"{data}: no file matches include {', '.join(include)}; there are "
            f"{_few(readable)}.{close}"
        )
    return f"{data}: no recording among its {len(every)} files ({_few(every)}). {_readable()}"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _readable() -> str:
    return f"Readable are {', '.join(registry.names('format'))}, each also as .gz."


def _from_manifest(data: Path, include: Sequence[str], pattern: str | None) -> Found:
    import pandas as pd

    table = _manifest(data)
    root = data.parent
    columns = list(table.columns)
    table["path"] = [_inside(Path(str(path)), root) for path in table["path"]]
    absent = [path for path in table["path"] if not (root / path).is_file()]
    if absent:
        row = table["path"].tolist().index(absent[0]) + 2
        raise DataError(
            f"{data}: row {row}: there is no file '{absent[0]}' (relative to the table)."
        )
    strange = [path for path in table["path"] if not is_readable(path)]
    if strange:
        raise DataError(f"{data}: no reader for '{strange[0]}'. {_readable()}")
    twice = table["path"].duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        raise DataError(
            f"{data}: row {row + 2}: '{table['path'][row]}' is there a second time; a recording "
            "counts once."
        )
    if table.empty:
        raise DataError(f"{data}: the manifest has a head and no rows; name a recording a row.")
    table = table[[_included(path, include) for path in table["path"]]].reset_index(drop=True)
    if table.empty:
        raise DataError(f"{data}: no row matches include {', '.join(include)}.")
    files = list(table["path"])
    rows, layout = _keys_of(files, pattern)
    keys = pd.DataFrame(rows, index=table.index)
    # What the table says itself counts, unless a pattern was asked for.
    new = [key for key in keys if pattern is not None or key not in table]
    table = table.drop(columns=[key for key in new if key in table]).join(keys[new])
    said = f"manifest {data.name} with the columns {', '.join(columns)}"
    if pattern is not None or new or "subject" not in columns:
        said += f"; {layout}"
    return Found(_completed(table), root, said)


def _manifest(data: Path) -> pd.DataFrame:
    import pandas as pd

    as_text: dict[str, type | Callable[[str], str]] = dict.fromkeys(("path", *KEYS), str)
    try:
        table = pd.read_csv(data, sep="\t" if suffix(data) == ".tsv" else ",", dtype=as_text)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{data}: cannot be read as a table: {str(error).rstrip('.')}.") from error
    if "path" not in table:
        raise DataError(
            f"{data}: a manifest needs a column 'path', this one has "
            f"{', '.join(map(str, table.columns))}.{nearest('path', table.columns)}"
        )
    if table["path"].isna().any():
        raise DataError(f"{data}: row {int(table['path'].isna().argmax()) + 2}: the path is empty.")
    return table


def _inside(path: Path, root: Path) -> str:
    """Relative to `root` where the file lies below it, else as the manifest gives it."""
    if path.is_absolute() and path.is_relative_to(root.resolve()):
        return path.relative_to(root.resolve()).as_posix()
    return path.as_posix()
