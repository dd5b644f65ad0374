"""Which prediction belongs to which truth, and whether they lie on one grid."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import at_home, check_there, names_apart
from neuroloom.core.recording import affine_gap
from neuroloom.io.cases.layouts import LABEL_WORDS, few, included, listed
from neuroloom.io.cases.truth import Coding, read_drawn
from neuroloom.io.images import image_stem, image_suffix, is_image, peek_image
from neuroloom.io.recordings.find import compile_pattern
from neuroloom.io.sheet import numbers_or_words, read_sheet

if TYPE_CHECKING:
    from neuroloom.io.images import ImageHeader

FOUND_WORDS = (
    "predictions", "prediction", "predicted", "preds", "pred", "output", "outputs", "results",
)  # fmt: skip
TRUE_WORDS = (*LABEL_WORDS, "reference", "manual", "labelsts")
MOST_LISTED = 20
NEAR = 1e-3


@dataclass(frozen=True)
class LabelPair:
    """A true and a predicted label, or image.

    Attributes
    ----------
    name
        What the two share of their names, or the name in the table; else that of the truth, with
        as many of its folders as it takes to tell it from the others.
    truth, predicted
        Files; `predicted` is None where there is none.
    keys
        What `pattern` or the table says of it: subject, site …
    unit
        The name of the first pair with this truth: several predictions of one are no more evidence.
    """

    name: str
    truth: Path
    predicted: Path | None
    keys: dict[str, Any] = field(default_factory=dict)
    unit: str = ""

    @property
    def header(self) -> ImageHeader:
        """The grid of the truth."""
        return peek_image(self.truth)

    def arrays(self, ignore: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Read both labels as whole numbers (*axes); a missing prediction is empty.

        Parameters
        ----------
        ignore
            The value of what the truth leaves open, where it stays what it is; 0 in a prediction.
        """
        truth = _numbers(self.truth, Coding(ignore=ignore))
        if self.predicted is None:
            return truth, np.zeros_like(truth)
        predicted = _numbers(self.predicted, Coding(ignore=ignore))
        return truth, predicted if ignore is None else np.where(predicted == ignore, 0, predicted)


def _numbers(file: Path, coding: Coding) -> np.ndarray:
    drawn = read_drawn(file)
    return coding.numbers(drawn.values, file.name, indexed=drawn.indexed)


def find_pairs(
    data: Path,
    truth: str | None = None,
    predicted: str | None = None,
    include: Sequence[str] = (),
    pattern: str | None = None,
    words: tuple[Sequence[str], Sequence[str]] = (TRUE_WORDS, FOUND_WORDS),
) -> tuple[list[LabelPair], list[str]]:
    """Pair files of two folders by name, or the columns truth and prediction of a table.

    Parameters
    ----------
    data
        A folder, or a CSV with those columns and any others.
    truth, predicted
        A folder or a glob, below `data` or absolute; None: a folder with a usual name, as
        truth/, labels/ … and prediction/, pred/, output/ …
    include
        Globs on the names of the truths.
    pattern
        Keys in the names, "{subject}_{visit}".
    words
        Usual names of either folder, which names of files may begin or end with.

    Returns
    -------
    The pairs by name, and notes on what was passed over.

    Raises
    ------
    DataError
        If there is nothing to pair.
    """
    check_there(data)
    if data.is_file() and data.suffix.lower() in (".csv", ".tsv"):
        return _from_table(data), []
    if not data.is_dir():
        raise DataError(f"{data}: expected a folder with truth/ and prediction/, or a CSV.")
    one, other = (
        _files(data, truth, words[0], "truth"),
        _files(data, predicted, words[1], "prediction"),
    )
    one = [file for file in one if included(file.name, include)]
    found = {_key(file, words[1]): file for file in other}
    keyed = {_key(file, words[0]): file for file in one}
    if len(found) < len(other) or len(keyed) < len(one):
        raise DataError(
            f"{data}: two files are called alike but for their ending or folder, so that they "
            "cannot be told apart; name one of the folders in `truth` and `prediction`."
        )
    pairs = [
        LabelPair(key, file, found.get(key), _keys(file, pattern), key)
        for key, file in sorted(keyed.items())
    ]
    if not any(pair.predicted for pair in pairs):
        raise DataError(
            f"{data}: no prediction is called as a truth is. Truths: "
            f"{few([f.name for f in one]) or 'none'}; predictions: "
            f"{few([f.name for f in other]) or 'none'}."
        )
    alone = sorted(set(found) - set(keyed))
    return pairs, [f"Predictions without a truth were passed over: {few(alone)}."] if alone else []


def _files(data: Path, where: str | None, words: Sequence[str], what: str) -> list[Path]:
    """List the images of one side."""
    if where is None:
        inside = {item.name.lower(): item for item in sorted(data.iterdir()) if item.is_dir()}
        folder = next((inside[word] for word in words if word in inside), None)
        if folder is None:
            there = few([item.name for item in inside.values()]) or "no folder"
            raise DataError(
                f"{data}: no folder is called {what}/ (or {', '.join(words[:4])}); there is "
                f"{there}. Name the folder, or a glob, in `{what}`."
            )
        return [folder / name for name in listed(folder)]
    place = data / at_home(where)
    if place.is_dir():
        return [place / name for name in listed(place)]
    root, glob = _split_glob(place)
    if not root.is_dir():
        raise DataError(f"{what}: {where} is neither a folder nor a glob that matches files.")
    return [file for file in sorted(root.glob(glob)) if is_image(file)]


def _split_glob(place: Path) -> tuple[Path, str]:
    """Return the part without wildcards, and the rest."""
    parts = place.parts
    first = next((k for k, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts) - 1)
    return Path(*parts[:first]), "/".join(parts[first:])


def _key(file: Path, words: Sequence[str]) -> str:
    """Return the stem without words such as _pred or _seg at its ends."""
    stem = image_stem(file)
    either = "|".join(sorted(words, key=len, reverse=True))
    return re.sub(rf"(?i)(^({either})[-_.])|([-_.]({either})$)", "", stem) or stem


def _keys(file: Path, pattern: str | None) -> dict[str, Any]:
    if pattern is None:
        return {}
    match = compile_pattern(pattern).fullmatch(image_stem(file))
    match = match or compile_pattern(pattern).fullmatch(file.name)
    if match is None:
        raise ConfigError(f"pattern '{pattern}' does not fit the name '{file.name}'.")
    return match.groupdict()


def _from_table(file: Path) -> list[LabelPair]:
    import pandas as pd

    table = read_sheet(file)
    table = table.set_axis([name.strip() for name in table], axis=1)
    lacking = [name for name in ("truth", "prediction") if name not in table]
    if lacking:
        held = ", ".join(table.columns)
        raise DataError(f"{file}: has no column '{lacking[0]}'; it has {held}.")
    paths = ("truth", "prediction", "name")
    columns = {
        name: table[name].str.strip() if name in paths else numbers_or_words(table[name])
        for name in table
    }
    pairs = []
    for number, row in enumerate(pd.DataFrame(columns, dtype=object).to_dict("records"), start=2):
        truth, found = row.pop("truth"), row.pop("prediction")
        if not truth or not (file.parent / truth).exists():
            raise DataError(f"{file}, line {number}: there is no truth '{truth}'.")
        there = file.parent / found if found else None
        if there is not None and not there.exists():
            raise DataError(f"{file}, line {number}: there is no prediction '{found}'.")
        name = row.pop("name", "")
        own = Path(os.path.normpath(file.parent / truth))
        pairs.append(LabelPair(name, own, there, {str(k): row[k] for k in row}))
    return _named(pairs)


def _named(pairs: Sequence[LabelPair]) -> list[LabelPair]:
    """Return pairs with names and units; those without a name are called as their truth."""
    truths = list(dict.fromkeys(pair.truth for pair in pairs))
    own = dict(zip(truths, _names(truths), strict=True))
    named = [replace(pair, name=pair.name or own[pair.truth]) for pair in pairs]
    first = {pair.truth: pair.name for pair in reversed(named)}
    return [replace(pair, unit=first[pair.truth]) for pair in named]


def _names(files: Sequence[Path]) -> list[str]:
    """Return a name of its own for each file, without its ending."""
    endings = (image_suffix(file).replace(".", "") or "dcm" for file in files)
    return names_apart(
        [
            file.with_name(f"{image_stem(file)}.{end}")
            for file, end in zip(files, endings, strict=True)
        ]
    )


def check_grids(pairs: Sequence[LabelPair]) -> None:
    """Compare the grids of all pairs, by their headers.

    Raises
    ------
    DataError
        One message that lists every pair whose shape, voxel size or place in space differ.
    """
    wrong = [f"{pair.name}: {text}" for pair in pairs if (text := _differs(pair))]
    if wrong:
        more = f"\n… and {len(wrong) - MOST_LISTED} more" if len(wrong) > MOST_LISTED else ""
        raise DataError(
            f"{len(wrong)} of {len(pairs)} predictions do not lie on the grid of their truth; "
            "resample them first:\n" + "\n".join(wrong[:MOST_LISTED]) + more
        )


def _differs(pair: LabelPair) -> str:
    if pair.predicted is None:
        return ""
    a, b = pair.header, peek_image(pair.predicted)
    if a.shape != b.shape:
        return f"truth has {_by(a.shape)} voxels, the prediction {_by(b.shape)}"
    if a.unit == b.unit and not np.allclose(a.spacing, b.spacing, rtol=NEAR):
        return (
            f"voxels of the truth are {_by(a.spacing)} {a.unit}, the prediction's {_by(b.spacing)}"
        )
    if a.affine is None or b.affine is None:
        return ""
    far = affine_gap(a.affine, b.affine, a.unit).max()
    return f"the two lie apart in space (affines differ by {far:.3g})" if far > 10 * NEAR else ""


def _by(sizes: Sequence[float]) -> str:
    return " × ".join(f"{size:g}" for size in sizes)
