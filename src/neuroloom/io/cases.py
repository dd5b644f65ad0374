"""Which images there are under DATA, which labels belong to them, and whose they are.

What `io.find` is for signals. Nothing but headers is read until a case is asked for its voxels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from neuroloom.core.errors import DataError, nearest
from neuroloom.core.files import digest
from neuroloom.io.find import compile_pattern
from neuroloom.io.images import (
    ImageHeader,
    image_suffix,
    is_image,
    peek_image,
    read_image,
    read_window,
    split_address,
    to_array,
)
from neuroloom.io.layouts import (
    Layout,
    Row,
    by_folders,
    by_globs,
    by_words,
    few,
    images_only,
    included,
    single,
)
from neuroloom.io.layouts_json import by_dataset_json
from neuroloom.io.layouts_table import by_bids, by_manifest
from neuroloom.io.truth import Coding, is_inside, merged, raw_label
from neuroloom.io.upright import Turn

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_MANIFESTS = (".csv", ".tsv")
_APART = 0.1  # of a voxel: channels that lie farther apart are on two grids
_UNKNOWN = (
    "Nothing says whose the images are: all count as one subject's; give `pattern` to say which "
    "part of a name is the subject, or a table with a column subject."
)


@dataclass(frozen=True, eq=False)
class Case:
    """One image, of one or several files, and its label if there is one.

    Attributes
    ----------
    name, subject
        Unique in its data set; whose it is.
    images
        One file a channel, or one file with all channels.
    label
        One file with class numbers, or one file a class; None: nobody drew it.
    coding
        How the values of the label are classes.
    pixel
        (dy, dx) or (dz, dy, dx) and their unit where a file beside the image says so.
    missing
        Places of the channels that no file holds; the image is NaN there.
    order
        Places of the channels in the order that is asked for, -1 for one that is not there; empty:
        all as they come.
    numbering
        Number of a class in its files -> the number that is asked for; others stay.
    upright
        Whether voxels of a volume are given with x to the right, y to the front and z up, instead
        of in the order of its first file; shape, spacing and header are then of the turned grid.
        The other files are turned to it by their own affines.
    lengths
        Unit that sizes are given in; None: that of the file.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | dict[str, Path] | None = None
    subject: str = "1"
    coding: Coding = field(default_factory=Coding)
    pixel: tuple[tuple[float, ...], str] | None = None
    missing: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    numbering: Mapping[int, int] = field(default_factory=dict)
    upright: bool = False
    lengths: str | None = None

    @cached_property
    def header(self) -> ImageHeader:
        """What the first file says about its grid; the pixel size from beside it counts first."""
        header, turn = self._in_file, self._turn
        if turn is not None:
            header = replace(
                header,
                shape=turn.shape_there,
                spacing=turn.moved(header.spacing),
                affine=turn.affine_there,
            )
        return header.given_in(self.lengths or header.unit)

    @cached_property
    def _in_file(self) -> ImageHeader:
        header = peek_image(self.images[0])
        if self.pixel is None:
            return header
        return replace(header, spacing=self._own_spacing(header), unit=self.pixel[1])

    @cached_property
    def _turn(self) -> Turn | None:
        """How the first file is turned, and with it the label."""
        if not self.upright or self._in_file.affine is None:
            return None
        turn = Turn(self._in_file.affine, self._in_file.shape)
        return None if turn.is_none else turn

    @cached_property
    def _turns(self) -> tuple[Turn | None, ...]:
        """How each file is turned, by its own affine, to lie as the case does.

        Raises
        ------
        DataError
            If a file then lies elsewhere than the first.
        """
        return (self._turn, *(self._turn_of(file) for file in self.images[1:]))

    def _turn_of(self, file: Path) -> Turn | None:
        own, first = peek_image(file), self.header
        own = own if "px" in (own.unit, first.unit) else own.given_in(first.unit)
        if own.affine is None or first.affine is None or "px" in (own.unit, first.unit):
            return None
        turn = Turn(np.linalg.solve(first.affine, own.affine), own.shape)
        place = turn.affine if turn.is_none else turn.affine_there
        corners = np.array([*product(*((0, size) for size in first.shape[::-1]))])
        off = np.abs(corners @ (place - np.eye(4))[:3, :3].T + place[:3, 3]).max()
        if off > _APART:
            raise DataError(
                f"{file}: lies elsewhere than {self.images[0].name}, by {off:.3g} voxels where it "
                "is most; channels of a case share one grid: resample it."
            )
        return None if turn.is_none else turn

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the grid in array order, (y, x) or (z, y, x)."""
        return self.header.shape

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a pixel or voxel in array order, in `unit`."""
        return self.header.spacing

    @property
    def unit(self) -> str:
        """Unit of the spacing: "mm", "um" or "px"."""
        return self.header.unit

    def in_unit(self, unit: str) -> Case:
        """Return the same with its sizes in a unit of length; pixels stay pixels."""
        if unit == self.unit or "px" in (unit, self.unit):
            return self
        return replace(self, lengths=unit)

    def image(self) -> np.ndarray:
        """Read the image, float32, shape (channel, *axes), axes (y, x) or (z, y, x)."""
        arrays = [to_array(read_image(file)) for file in self.images]
        return self._stacked([_turned(*pair) for pair in zip(arrays, self._turns, strict=True)])

    def window(self, window: Sequence[slice]) -> np.ndarray:
        """Read a part of the image, as `image` does; from disk only that where the format allows.

        Parameters
        ----------
        window
            One slice an axis, in array order.
        """
        parts = []
        for file, turn in zip(self.images, self._turns, strict=True):
            part = window if turn is None else turn.window(window)
            parts.append(_turned(read_window(file, part), turn))
        return self._stacked(parts)

    def truth(self) -> np.ndarray | None:
        """Read the label as class numbers, 0 for none, shape (*axes); None without a label.

        Of several files the classes are numbered as declared, else in their order; where they
        overlap the later counts.

        Raises
        ------
        DataError
            If the files do not agree in shape, or hold greys that no class was declared for.
        """
        if self.label is None:
            return None
        if isinstance(self.label, Path):
            found = self.coding.numbers(raw_label(self.label), str(self.label))
        else:
            found = self._merged(self.label)
        return self._there(_renumbered(found, self.numbering))

    def _merged(self, label: dict[str, Path]) -> np.ndarray:
        """Join one mask a class, in the order of the classes."""
        classes = list(dict.fromkeys([*(self.coding.classes or {}).values(), *label]))
        lacking = set(classes) - set(label)
        if lacking:
            raise DataError(
                f"{self.name}: lacks a mask of {', '.join(sorted(lacking))}, it has "
                f"{', '.join(label)}; an empty mask says that there is none on the image."
            )
        masks = [is_inside(raw_label(label[name]), str(label[name])) for name in classes]
        if len(shapes := {mask.shape for mask in masks}) > 1:
            raise DataError(f"{self.name}: its masks have the shapes {sorted(shapes)}.")
        return merged(masks)

    def in_file_order(self, values: np.ndarray) -> np.ndarray:
        """Return values of this case's grid, shape (..., *axes), in the order of its file."""
        return values if self._turn is None else np.ascontiguousarray(self._turn.back(values))

    def _there(self, values: np.ndarray) -> np.ndarray:
        return _turned(values, self._turn)

    def masks(self) -> dict[str, np.ndarray]:
        """Read the label files with the values they hold, by class; one is called "label"."""
        if self.label is None:
            return {}
        files = self.label if isinstance(self.label, dict) else {"label": self.label}
        return {name: self._there(raw_label(path)) for name, path in files.items()}

    def recording(self) -> xr.DataArray:
        """Read the first image as its file has it: on its grid results are written."""
        found = read_image(self.images[0])
        if self.pixel is not None and found.attrs["kind"] == "image":
            found.attrs |= {"spacing": self._in_file.spacing, "unit": self.pixel[1]}
        return found

    def _own_spacing(self, header: ImageHeader) -> tuple[float, ...]:
        assert self.pixel is not None
        sizes = self.pixel[0]
        if len(sizes) < len(header.shape):
            raise DataError(
                f"{self.images[0]}: has {len(header.shape)} axes, the size of its pixels is given "
                f"for {len(sizes)}."
            )
        return sizes[-len(header.shape) :]

    def _stacked(self, parts: list[np.ndarray]) -> np.ndarray:
        """Join the channels of all files as float32 in one piece."""
        for file, part in zip(self.images, parts, strict=True):
            if part.shape[1:] != parts[0].shape[1:]:
                raise DataError(
                    f"{file}: its grid is {part.shape[1:]}, that of {self.images[0].name} is "
                    f"{parts[0].shape[1:]}; channels of a case share one grid."
                )
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        joined = np.ascontiguousarray(joined, dtype=np.float32)
        for place in self.missing:
            joined = np.insert(joined, place, np.nan, axis=0)
        if not self.order:
            return joined
        lacking = np.full_like(joined[0], np.nan)
        return np.stack([lacking if place < 0 else joined[place] for place in self.order])


def _turned(values: np.ndarray, turn: Turn | None) -> np.ndarray:
    return values if turn is None else np.ascontiguousarray(turn.there(values))


def _renumbered(truth: np.ndarray, numbering: Mapping[int, int]) -> np.ndarray:
    changes = {old: new for old, new in numbering.items() if old != new}
    if not changes:
        return truth
    found = truth.astype(np.result_type(truth, np.min_scalar_type(max(changes.values()))))
    for old, new in changes.items():
        found[truth == old] = new
    return found


class Cases(Sequence[Case]):
    """Cases that are read when they are asked for; an array of rows gives the cases of a part.

    Examples
    --------
    >>> cases = Cases([Case("a", (Path("a.png"),)), Case("b", (Path("b.png"),))])
    >>> len(cases), cases[1].name, len(cases[np.array([0])])
    (2, 'b', 1)
    """

    def __init__(self, items: Sequence[Case]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, rows: int) -> Case: ...
    @overload
    def __getitem__(self, rows: slice | np.ndarray | list[int]) -> Cases: ...
    def __getitem__(self, rows: Any) -> Case | Cases:
        """Return one case for a number, `Cases` for a slice, rows, or a mask of all rows."""
        if isinstance(rows, (int, np.integer)):
            return self._items[int(rows)]
        return Cases([self._items[i] for i in np.arange(len(self))[rows]])

    def __iter__(self) -> Iterator[Case]:
        return iter(self._items)

    def __repr__(self) -> str:
        return f"Cases({len(self)})"


@dataclass(frozen=True, eq=False)
class FoundCases:
    """The cases under DATA.

    Attributes
    ----------
    table
        One row a case: `name`, `subject`, `session`, `run`, `path` (its first image), `image`
        (relative paths, one a channel), `label` (a relative path, class -> path, or None), and
        the columns of BIDS tables, pattern or manifest.
    root
        The folder that the paths are relative to.
    layout
        A sentence that names what was recognised.
    notes
        What was passed over or assumed, one sentence each.
    channels
        Their names where something says them, else empty.
    classes
        Number to name as declared, None where nothing says it.
    kind
        What the only kind of masks is called; they may hold one class or several.
    cases
        The cases themselves, in the order of the table.
    regions
        Name to the numbers it unites, of nnU-Net's region-based labels.
    ignore
        The number that is neither learned nor scored, where one is declared.
    painted
        The number that each region is painted with, the later over the earlier; empty where the
        data set does not say it.
    """

    table: pd.DataFrame
    root: Path
    layout: str
    notes: tuple[str, ...]
    channels: list[str]
    classes: dict[int, str] | None
    cases: Cases
    kind: str = ""
    regions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ignore: int | None = None
    painted: tuple[int, ...] = ()

    def changed(self, **fields: Any) -> FoundCases:
        """Return the same with these fields of every case, such as its order or numbering."""
        return replace(self, cases=Cases([replace(case, **fields) for case in self.cases]))

    def upright(self) -> FoundCases:
        """Return the same with all volumes turned one way; see `Case.upright`."""
        return self.changed(upright=True)

    def named(self) -> FoundCases:
        """Return the same with class 1 called as its masks are, if they hold no other class."""
        if self.classes or not self.kind:
            return self
        truths = (case.truth() for case in self.cases)
        if any(truth is not None and truth.max(initial=0) > 1 for truth in truths):
            return self
        return replace(self, classes={1: self.kind})

    def in_unit(self, unit: str) -> FoundCases:
        """Return the same with all lengths in one unit; where one is in pixels, it stays so."""
        return replace(self, cases=Cases([case.in_unit(unit) for case in self.cases]))

    @property
    def usual_unit(self) -> str:
        """The unit that most cases have."""
        return Counter(case.unit for case in self.cases).most_common(1)[0][0]

    def hashes(self) -> dict[str, str]:
        """Return relative path -> SHA-256 of every image and label."""
        paths: list[str] = []
        for images, label in zip(self.table["image"], self.table["label"], strict=True):
            paths += [*images, *_paths(label)]
        files = {path: split_address(path)[0] for path in dict.fromkeys(paths)}
        return {path: digest(self.root / file) for path, file in files.items()}


def find_cases(
    data: Path | str,
    include: Sequence[str] = (),
    images: Sequence[str] | Mapping[str, str] = (),
    labels: Sequence[str] | Mapping[str, str] = (),
    pattern: str | None = None,
    values: Mapping[str, float] | None = None,
    classes: Sequence[str] = (),
    *,
    channels: Sequence[str] = (),
    incomplete: bool = False,
    n_channels: int = 0,
    labelled: bool = True,
) -> FoundCases:
    """List the cases of a data set: nnU-Net, MSD, BIDS, folders, pairs of names, a table, a file.

    Parameters
    ----------
    data
        A folder, a CSV or TSV with a column `image`, or one image.
    include
        Globs on the names of images, or on their relative paths where they contain "/".
    images, labels
        Globs that pair files by the part that varies; lists are alternatives. A mapping of
        images names channels, one of labels has a file for each class.
    pattern
        Names with keys in braces, "{subject}_{session}"; with "/" it matches the relative path.
    values
        Class to grey value, for labels drawn in greys: {"myelin": 128, "axon": 255}.
    classes
        Names of the classes 1..K; greys are then numbered by their size.
    channels
        Contrasts of BIDS (T1w, T2w …) that are the channels of one case, or "*" for all; else each
        image of a subject is a case. Other layouts say themselves which files are channels.
    incomplete
        Whether cases may lack channels: a file of their own, or a cell of the table.
    n_channels
        How many each case must have, where that is known: tells NAME_0000 and NAME_0001 of one
        case from two cases in a folder that says no more.
    labelled
        Whether labels are wanted; without, they are passed over, and need not be there.

    Raises
    ------
    DataError
        If `data` is missing or holds nothing that was asked for.

    Examples
    --------
    >>> find_cases("vnc", images=["raw_*.tif"], labels={"cell": "c_*.png"})  # doctest: +SKIP
    """
    data = Path(data)
    _check_there(data)
    layout, root = _recognised(data, images, labels, channels, n_channels, labelled=labelled)
    if not labelled:
        layout = layout.unlabelled()
    layout.rows = [row for row in layout.rows if any(included(p, include) for p in row.images)]
    if not layout.rows:
        raise DataError(f"{data}: no image matches include {', '.join(include)}.")
    if not n_channels:
        _require_each(layout, data)
    if not incomplete:
        _require_complete(layout, data)
    _name_subjects(layout, pattern)
    _make_unique(layout.rows, data)
    numbers = _classes(layout, values or {}, classes)
    files = tuple(root / path for row in layout.rows for path in _paths(row.label))
    coding = Coding(numbers, layout.strict, dict(values or {}), files)
    cases = Cases([_case(row, root, coding) for row in layout.rows])
    return FoundCases(
        table=_table(layout.rows),
        root=root,
        layout=layout.sentence,
        notes=tuple(layout.notes),
        channels=layout.channels,
        classes=numbers,
        cases=cases,
        kind=layout.kind,
        regions=layout.regions,
        ignore=layout.ignore,
        painted=layout.painted,
    )


def _recognised(
    data: Path,
    images: Sequence[str] | Mapping[str, str],
    labels: Sequence[str] | Mapping[str, str],
    channels: Sequence[str],
    n_channels: int,
    *,
    labelled: bool,
) -> tuple[Layout, Path]:
    """Return the layout and the folder that its paths are relative to."""
    file, _ = split_address(data)
    if file.is_file() and file.suffix.lower() in _MANIFESTS:
        return by_manifest(file), file.parent
    if is_image(data):
        return single(data), data.parent
    if file.is_file():
        raise DataError(f"{data}: no reader for '{data.suffix}' files, and it is no CSV or TSV.")
    if images:
        return by_globs(data, images, labels, labelled=labelled), data
    if labels:
        raise DataError(f"{data}: globs of labels need globs of images, images=['raw_*.tif'].")
    bids = partial(by_bids, channels=channels)
    for recognise in (by_dataset_json, bids, by_folders, by_words):
        layout = recognise(data)
        if layout is not None:
            return layout, data
    return images_only(data, n_channels), data


def _check_there(data: Path) -> None:
    file, _ = split_address(data)
    if file.exists():
        return
    around = [item.name for item in file.parent.iterdir()] if file.parent.is_dir() else []
    raise DataError(f"{data}: there is no such file or folder.{nearest(file.name, around)}")


def _require_complete(layout: Layout, data: Path) -> None:
    short = [row for row in layout.rows if row.missing]
    if not short:
        return
    wanted = len(short[0].images) + len(short[0].missing)
    names = layout.channels or [f"channel {k}" for k in range(wanted)]
    lacked = sorted({names[k] for row in short for k in row.missing if k < len(names)})
    raise DataError(
        f"{data}: {few([row.name for row in short])} have fewer than the {wanted} channels of the "
        f"others ({', '.join(lacked)}); add the missing files, take the case out, or name fewer "
        "`channels` of BIDS. Segmentation can also learn from what is there: `missing=hemis` or "
        "`film`."
    )


def _require_each(layout: Layout, data: Path) -> None:
    """Refuse a channel that no case has: it cannot be learnt from, and may be misspelt."""
    nowhere = set.intersection(*(set(row.missing) for row in layout.rows))
    if nowhere and layout.channels:
        names = ", ".join(layout.channels[k] for k in sorted(nowhere))
        raise DataError(f"{data}: no case has the channel {names}; correct it or leave it out.")


def _name_subjects(layout: Layout, pattern: str | None) -> None:
    """Fill subject, session and run: from the pattern, what the layout said, or the case."""
    rows = layout.rows
    if pattern is not None:
        for row in rows:
            row.keys |= _by_pattern(row, pattern)
        layout.sentence += f"; keys by the pattern {pattern}"
    known = all(row.keys.get("subject") not in (None, "") for row in rows)
    if not known and not layout.each_a_subject and len(rows) > 1:
        layout.notes.append(_UNKNOWN)
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        subject = row.keys.get("subject")
        fallback = row.name if layout.each_a_subject else "1"
        row.keys["subject"] = str(subject) if subject not in (None, "") else fallback
        row.keys["session"] = str(row.keys.get("session") or "1")
        place = (row.keys["subject"], row.keys["session"])
        counts[place] = counts.get(place, 0) + 1
        row.keys["run"] = str(row.keys.get("run") or counts[place])


def _by_pattern(row: Row, pattern: str) -> dict[str, str]:
    path = row.images[0]
    name = path if "/" in pattern else path.rsplit("/", 1)[-1]
    if not image_suffix(pattern):
        name = name.removesuffix(image_suffix(path))
    match = compile_pattern(pattern).fullmatch(name)
    match = match or compile_pattern(pattern).fullmatch(row.name)
    if not match:
        raise DataError(
            f"pattern '{pattern}' does not match '{name}'. Write it like the names, with the parts "
            "that vary in braces, or narrow `include`."
        )
    return match.groupdict()


def _make_unique(rows: list[Row], data: Path) -> None:
    """Put the folders before names that come up twice."""
    names = [row.name for row in rows]
    for row in rows:
        if names.count(row.name) > 1:
            folder = row.images[0].rpartition("/")[0]
            row.name = f"{folder}/{row.name}".strip("/").replace("/", "_")
    names = [row.name for row in rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{data}: several cases are called {few(twice)}; a case counts once.")


def _classes(
    layout: Layout, values: Mapping[str, float], classes: Sequence[str]
) -> dict[int, str] | None:
    """Return number -> name: what the user says counts before what the data set says."""
    if values:
        return dict(enumerate(values, start=1))
    if classes and layout.classes is None:
        return dict(enumerate(classes, start=1))
    if classes and list(classes) != list((layout.classes or {}).values()):
        raise DataError(
            f"classes {', '.join(classes)} were asked for, the data set declares "
            f"{', '.join((layout.classes or {}).values())}; leave one of them out."
        )
    return layout.classes


def _case(row: Row, root: Path, coding: Coding) -> Case:
    label: Path | dict[str, Path] | None = None
    if isinstance(row.label, dict):
        label = {name: root / path for name, path in row.label.items()}
    elif row.label is not None:
        label = root / row.label
    images = tuple(root / path for path in row.images)
    return Case(row.name, images, label, row.keys["subject"], coding, row.pixel, row.missing)


def _table(rows: list[Row]) -> pd.DataFrame:
    import pandas as pd

    first = [
        {
            "name": row.name,
            **{key: row.keys[key] for key in ("subject", "session", "run")},
            "path": row.images[0],
            "image": row.images,
            "label": row.label,
        }
        for row in rows
    ]
    more = [{k: v for k, v in row.keys.items() if k not in first[0]} for row in rows]
    table = pd.DataFrame([{**one, **other} for one, other in zip(first, more, strict=True)])
    # None and not NaN where there is no label.
    return table.assign(label=pd.Series([row.label for row in rows], dtype=object))


def _paths(label: str | dict[str, str] | None) -> list[str]:
    if label is None:
        return []
    return list(label.values()) if isinstance(label, dict) else [label]
