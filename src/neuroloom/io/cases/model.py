"""A case, which is one image with its label, and the cases of a data set.

Nothing but headers is read until a case is asked for its voxels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError, nearest
from neuroloom.core.files import digest
from neuroloom.io.cases.colours import Colours
from neuroloom.io.cases.nested import outermost_first
from neuroloom.io.cases.truth import (
    Coding,
    closed,
    is_inside,
    left_open_in,
    merged,
    opened,
    raw_label,
    read_drawn,
)
from neuroloom.io.cases.upright import Turn
from neuroloom.io.images import (
    ImageHeader,
    peek_image,
    read_image,
    read_window,
    split_address,
    to_array,
)
from neuroloom.io.names import plain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from neuroloom.io.cases.nested import outermost_first
from neuroloom.io.cases.painted import Colour

# Names of channels that say no more than their places or their colours.
_PLAIN_NAMES = ("grey", "red", "green", "blue", "alpha")
_APART = 0.1  # of a voxel: channels that lie farther apart are on two grids


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
        One file with class numbers, or one file a class, or one an object; None: nobody drew it.
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
    colours
        The channels that a picture is given in.
    names
        What the numbers of its label are called, where a table of its own says it.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | dict[str, Path] | tuple[Path, ...] | None = None
    subject: str = "1"
    coding: Coding = field(default_factory=Coding)
    pixel: tuple[tuple[float, ...], str] | None = None
    missing: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    numbering: Mapping[int, int] = field(default_factory=dict)
    upright: bool = False
    lengths: str | None = None
    colours: Colours = field(default_factory=Colours)
    names: Mapping[int, str] = field(default_factory=dict)

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
        header = self._as_stored if len(self.images) > 1 else self.colours.header(self._as_stored)
        if self.pixel is None:
            return header
        return replace(header, spacing=self._own_spacing(header), unit=self.pixel[1])

    @cached_property
    def _as_stored(self) -> ImageHeader:
        return peek_image(self.images[0])

    @property
    def channel_names(self) -> tuple[str, ...]:
        """What its one file calls its channels; empty where it is silent, or each has a file."""
        names = self._as_stored.channels if len(self.images) == 1 else ()
        silent = len(names) < 2 or any(name.isdigit() or name in _PLAIN_NAMES for name in names)
        return () if silent else names

    @property
    def channel_count(self) -> int:
        """How many channels `image` returns."""
        files = len(self.images) + len(self.missing)
        return len(self.order) or (files if files > 1 else len(self.header.channels))

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
    def lacking(self) -> tuple[int, ...]:
        """Places of the channels that are not there, in the order that is asked for."""
        if not self.order:
            return self.missing
        gone = (-1, *self.missing)
        return tuple(k for k, place in enumerate(self.order) if place in gone)

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

        Of several files the classes are numbered as declared, else in their order, and objects
        in the order of their files; where they overlap the later counts.

        Raises
        ------
        DataError
            If the files do not agree in shape, or hold greys that no class was declared for.
        """
        return self.truth_and_colours()[0]

    def truth_and_colours(self) -> tuple[np.ndarray | None, dict[int, Colour]]:
        """Read the label as `truth` does; of one file also which value has which colour in it."""
        if self.label is None:
            return None, {}
        if isinstance(self.label, dict):
            return self._there(_renumbered(self._merged(self.label), self.numbering)), {}
        if isinstance(self.label, tuple):
            return self._there(self._objects(self.label)), {}
        drawn = read_drawn(self.label, self.coding.painted)
        found = self.coding.numbers(drawn.values, str(self.label), indexed=drawn.indexed)
        return self._there(_renumbered(found, self.numbering)), drawn.colours

    def _merged(self, label: dict[str, Path]) -> np.ndarray:
        """Join one mask a class, in the order of the classes; what is left open where none is.

        Where masks overlap that which lies in the other counts, else the later one.
        """
        masks, left_open = self._class_masks(label)
        found = merged(masks, outermost_first(masks))
        anywhere = left_open & (found == 0)
        if self.coding.ignore is None or not anywhere.any():
            return found
        return opened(found, anywhere, self.coding.ignore)

    def class_masks(self) -> list[np.ndarray]:
        """Return what lies in each mask of a class, in the order of the classes, as files have it.

        Empty where one file holds all classes.
        """
        return self._class_masks(self.label)[0] if isinstance(self.label, dict) else []

    def _class_masks(self, label: dict[str, Path]) -> tuple[list[np.ndarray], np.ndarray]:
        """Return one boolean mask a class, and what any of the files leaves open."""
        classes = list(dict.fromkeys([*(self.coding.classes or {}).values(), *label]))
        lacking = set(classes) - set(label)
        if lacking:
            raise DataError(
                f"{self.name}: lacks a mask of {', '.join(sorted(lacking))}, it has "
                f"{', '.join(label)}; an empty mask says that there is none on the image."
            )
        raws = self._of_one_shape([label[name] for name in classes])
        left_open = [left_open_in(raw, self.coding.ignore, of_one_class=True) for raw in raws]
        files = [str(label[name]) for name in classes]
        masks = [*map(is_inside, map(closed, raws, left_open), files)]
        return masks, np.logical_or.reduce(left_open)

    def _objects(self, files: Sequence[Path]) -> np.ndarray:
        """Join one mask an object, numbered in the order of their files."""
        return merged([*map(is_inside, self._of_one_shape(files), map(str, files))])

    def _of_one_shape(self, files: Sequence[Path]) -> list[np.ndarray]:
        raws = [*map(raw_label, files)]
        if len(shapes := {raw.shape for raw in raws}) > 1:
            raise DataError(f"{self.name}: its masks have the shapes {sorted(shapes)}.")
        return raws

    def in_file_order(self, values: np.ndarray) -> np.ndarray:
        """Return values of this case's grid, shape (..., *axes), in the order of its file."""
        return values if self._turn is None else np.ascontiguousarray(self._turn.back(values))

    def _there(self, values: np.ndarray) -> np.ndarray:
        return _turned(values, self._turn)

    def masks(self) -> dict[str, np.ndarray]:
        """Read the label files with the values they hold, by class; one is called "label".

        Objects of a file each are joined to one, with their numbers.
        """
        if self.label is None:
            return {}
        if isinstance(self.label, tuple):
            return {"label": self._there(self._objects(self.label))}
        if self.coding.painted and isinstance(self.label, Path):
            return {"label": self._there(read_drawn(self.label, self.coding.painted).values)}
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
        alone = len(parts) == 1
        joined = self.colours.array(parts[0], self._as_stored) if alone else np.concatenate(parts)
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
        (relative paths, one a channel), `label` (a relative path, class -> path, a path an object,
        or None), and the columns of BIDS tables, pattern or manifest.
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
    alone
        Labels that belong to no image, relative to `root`.
    names
        Number to name of an atlas, of which labels may hold a part (`dseg.tsv` of BIDS), or of the
        segments in the header of the first label (3D Slicer).
    tells_contrasts
        Whether the column `contrast` is what the names in BIDS say.
    doubts
        Sentences that warn of images that were passed over.
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
    alone: tuple[str, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    tells_contrasts: bool = False
    doubts: tuple[str, ...] = ()

    def passed_over(self) -> list[Finding]:
        """Return a warning for each of the `doubts`."""
        return [Finding("warning", "Images passed over", text) for text in self.doubts]

    def noticed(self) -> list[Finding]:
        """Return how the cases were read, and what was noticed on the way."""
        read = Finding("note", "How the data were read", self.layout.rstrip(".") + ".")
        notes = [Finding("note", "Noticed while reading", note) for note in self.notes]
        return [read, *notes, *self.passed_over()]

    def numbers_called(self, wanted: str) -> tuple[int, ...]:
        """Return the numbers in labels of a region or class, by its name or number.

        Raises
        ------
        DataError
            If there is no such class.
        """
        singles = [*(self.classes or {}).items(), *self.names.items()]
        # Of one name the region counts, then the class that is declared.
        known = {name: (number,) for number, name in reversed(singles)} | dict(self.regions)
        found = {plain(name): numbers for name, numbers in known.items()}
        if wanted in known or plain(wanted) in found:
            return known.get(wanted) or found[plain(wanted)]
        if wanted.isdigit():
            return (int(wanted),)
        raise DataError(
            f"The label has no class '{wanted}'.{nearest(wanted, known)} "
            + (f"There are {', '.join(known)}." if known else "Its classes have numbers only.")
        )

    def part(self, rows: np.ndarray) -> FoundCases:
        """Return the cases at `rows` (positions) alone."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return replace(self, table=table, cases=self.cases[rows])

    def noted(self, note: str) -> FoundCases:
        """Return the same with one more sentence of what was passed over or assumed."""
        return replace(self, notes=(*self.notes, note))

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
            paths += [*images, *label_paths(label)]
        files = {path: split_address(path)[0] for path in dict.fromkeys(paths)}
        return {path: digest(self.root / file) for path, file in files.items()}


def label_paths(label: str | dict[str, str] | tuple[str, ...] | None) -> list[str]:
    """List the files of a label as the table has it: one, one a class or an object, or none."""
    if label is None:
        return []
    if isinstance(label, str):
        return [label]
    return list(label.values() if isinstance(label, dict) else label)
