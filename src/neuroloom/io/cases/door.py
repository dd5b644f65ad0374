"""Which images there are under DATA, which labels belong to them, and whose they are.

What `io.recordings.find` is for signals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.core.files import check_there
from neuroloom.io.cases.colours import Colours
from neuroloom.io.cases.layouts import (
    Layout,
    Row,
    by_globs,
    few,
    images_only,
    included,
    single,
)
from neuroloom.io.cases.layouts_beside import by_mask_folders, by_names
from neuroloom.io.cases.layouts_bids import by_bids
from neuroloom.io.cases.layouts_json import by_dataset_json, by_new_images
from neuroloom.io.cases.layouts_names import by_folders
from neuroloom.io.cases.layouts_table import by_cases_csv, by_manifest
from neuroloom.io.cases.model import Case, Cases, FoundCases, label_paths
from neuroloom.io.cases.nested import regions_of
from neuroloom.io.cases.truth import Coding
from neuroloom.io.cases.whose import completed, keys_in, tell_people_by_name
from neuroloom.io.images import image_suffix, is_image, peek_image, split_address

if TYPE_CHECKING:
    import pandas as pd

_MANIFESTS = (".csv", ".tsv")
_UNKNOWN = (
    "Nothing says whose the images are: all count as one subject's; give `pattern` to say which "
    "part of a name is the subject, or a table with a column subject."
)


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
    ignore: int | None = None,
) -> FoundCases:
    """List the cases of a data set: nnU-Net, MSD, BIDS, a table, folders, pairs of names, a file.

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
        Contrasts (T1w, flair …) that are the channels of one case, or "*" for all. In BIDS each
        image of a subject is a case without; beside a label that all share, all are channels.
        Other layouts say themselves which files are channels.
    incomplete
        Whether cases may lack channels: a file of their own, or a cell of the table.
    n_channels
        How many each case must have, where that is known: tells NAME_0000 and NAME_0001 of one
        case from two cases in a folder that says no more, and a blank picture that has colours in
        its file from a grey one.
    labelled
        Whether labels are wanted; without, they are passed over, and need not be there. Of a
        data set with new images in imagesTs only these are then taken.
    ignore
        The value in labels of what is left open; it stays what it is, and tells of no class.

    Raises
    ------
    DataError
        If `data` is missing or holds nothing that was asked for.

    Examples
    --------
    >>> find_cases("vnc", images=["raw_*.tif"], labels={"cell": "c_*.png"})  # doctest: +SKIP
    """
    data = Path(data)
    check_there(split_address(data)[0])
    layout, root = _recognised(
        data, images, labels, channels, n_channels, include, labelled=labelled,
        incomplete=incomplete,
    )  # fmt: skip
    if not labelled:
        layout = layout.unlabelled()
    layout.rows = [row for row in layout.rows if any(included(p, include) for p in row.images)]
    if not layout.rows:
        raise DataError(f"{data}: no image matches include {', '.join(include)}.")
    for glob in include or ["*"] if labelled else ():
        _require_one_set(
            [r for r in layout.rows if any(included(p, [glob]) for p in r.images)], data
        )
    _require_one_each(layout, data)
    if not n_channels:
        _require_each(layout, data)
    if not incomplete:
        _require_complete(layout, data)
    if layout.alone:
        layout.notes.append(f"Labels without an image were passed over: {few(layout.alone)}.")
    _name_subjects(layout, pattern)
    _make_unique(layout.rows, data)
    numbers = _classes(layout, values or {}, classes)
    files = tuple(root / path for row in layout.rows for path in label_paths(row.label))
    coding = Coding(numbers, layout.strict, dict(values or {}), files, ignore, layout.colours)
    single_files = [root / row.images[0] for row in layout.rows if len(row.images) == 1]
    colours = Colours(tuple(single_files), n_channels, "alpha" in channels)
    cases = Cases([_case(row, root, coding, colours) for row in layout.rows])
    layout.channels = layout.channels or _own_channels(cases)
    if numbers and not layout.regions and (nested := regions_of(cases, numbers)):
        layout.regions = nested
        layout.notes.append(_told_nested(nested, numbers))
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
        alone=tuple(layout.alone),
        names=layout.names or _names_inside(files[:1]),
        tells_contrasts=layout.tells_contrasts,
        doubts=tuple(layout.doubts),
    )


def _recognised(
    data: Path,
    images: Sequence[str] | Mapping[str, str],
    labels: Sequence[str] | Mapping[str, str],
    channels: Sequence[str],
    n_channels: int,
    include: Sequence[str],
    *,
    labelled: bool,
    incomplete: bool,
) -> tuple[Layout, Path]:
    """Return the layout and the folder that its paths are relative to."""
    file, _ = split_address(data)
    if file.is_file() and file.suffix.lower() in _MANIFESTS:
        return by_manifest(file), file.parent
    if is_image(data):
        return single(data), data.parent
    if file.is_file():
        raise DataError(f"{data}: no reader for '{data.suffix}' files, and it is no CSV or TSV.")
    # What is learnt from must be there once; new data may lack a channel altogether.
    incomplete = incomplete and n_channels > 0
    if images:
        return by_globs(data, images, labels, labelled=labelled, incomplete=incomplete), data
    if not labelled and (new := by_new_images(data, n_channels, incomplete=incomplete)):
        return new, data
    if labels:
        option = "--images.image" if isinstance(labels, Mapping) else "--images"
        raise DataError(
            f"{data}: globs of labels need globs of the images that they belong to, too, as in "
            f"{option} 'raw_*.tif'; a star stands for the part of the name that both have."
        )
    layout = by_dataset_json(data, incomplete=incomplete) or by_bids(data, channels)
    if layout := layout or by_cases_csv(data):
        return layout, data
    if layout := by_mask_folders(data) or by_folders(data) or by_names(data, channels):
        return completed(layout, data, include, labelled=labelled), data
    return images_only(data, n_channels, incomplete=incomplete), data


def _require_one_set(rows: list[Row], data: Path) -> None:
    """Refuse pairs of folders that lie at unlike depths and are called otherwise.

    Sites, sides of a split and folders of subjects agree in one of the two.
    """
    counts = Counter(row.place for row in rows if row.place)
    depths = {len(PurePosixPath(place).parts) for place in counts}
    if len(depths) < 2 or len({row.folders for row in rows if row.place}) < 2:
        return
    named = [f"{place} ({n} case{'s' * (n != 1)})" for place, n in counts.most_common()]
    first = next(row for row in rows if row.place == counts.most_common(1)[0][0])
    glob = first.images[0].split("/")[0] if first.place == "." else first.place
    raise DataError(
        f"{data}: holds several data sets: {few(named)}. Give one of them as DATA, or say which is "
        f"meant: --include '{glob}/*'. A glob for each takes several of them as one."
    )


def _require_one_each(layout: Layout, data: Path) -> None:
    """Refuse two labels of one image, of which either may be the true one."""
    used = [file for row in layout.rows for file in label_paths(row.label)]
    if clashes := [layout.clashes[file] for file in used if file in layout.clashes]:
        raise DataError(
            f"{data}: {few(clashes)}. Move away the one that is not meant, or say which is: in a "
            "table with the columns image and label (label_<class>, if each has a class) or, "
            "outside of derivatives, with globs (`images`, `labels`)."
        )


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
        "`channels`. Segmentation can also learn from what is there: `missing=hemis` or "
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
    tell_people_by_name(layout)
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
    """Return the keys in a case's file name, or in its own where that has none."""
    path = row.images[0]
    name = path if "/" in pattern else path.rsplit("/", 1)[-1]
    keys, own = keys_in(name, pattern), keys_in(row.name, pattern)
    if keys and own and row.named and keys != own:
        raise DataError(
            f"pattern '{pattern}' reads {keys} from the file '{name}', and {own} from the case "
            f"'{row.name}'. Write it with the ending {image_suffix(path)} if the file is meant, or "
            "give the table a column subject."
        )
    if not keys and not own:
        raise DataError(
            f"pattern '{pattern}' does not match '{name}'. Write it like the names, with the parts "
            "that vary in braces, or narrow `include`."
        )
    return keys or own


def _make_unique(rows: list[Row], data: Path) -> None:
    """Put the folders before names that come up twice."""
    names = Counter(row.name for row in rows)
    for row in rows:
        if names[row.name] > 1:
            folder = row.images[0].rpartition("/")[0]
            row.name = f"{folder}/{row.name}".strip("/").replace("/", "_")
    names = Counter(row.name for row in rows)
    if twice := sorted(name for name, times in names.items() if times > 1):
        raise DataError(f"{data}: several cases are called {few(twice)}; a case counts once.")


def _own_channels(cases: Cases) -> list[str]:
    """Return what all files call their channels; empty where one is silent or says otherwise."""
    try:
        names = cases[0].channel_names
        alike = names and all(case.channel_names == names for case in cases)
    except DataError:  # the audit names the file
        return []
    return list(names) if alike else []


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


def _told_nested(regions: Mapping[str, Sequence[int]], classes: Mapping[int, str]) -> str:
    said = [
        f"the masks of {name} hold those of {', '.join(classes[k] for k in inner)}"
        for name, (_, *inner) in regions.items()
        if inner
    ]
    return f"Classes lie in one another, and are regions: {'; '.join(said)}."


def _names_inside(files: Sequence[Path]) -> Mapping[int, str]:
    """Return what the header of a label calls its numbers; what cannot be read the audit names."""
    for file in files:
        with suppress(DataError):
            return peek_image(file).segments
    return {}


def _case(row: Row, root: Path, coding: Coding, colours: Colours) -> Case:
    label: Path | dict[str, Path] | tuple[Path, ...] | None = None
    if isinstance(row.label, dict):
        label = {name: root / path for name, path in row.label.items()}
    elif isinstance(row.label, tuple):
        label = tuple(root / path for path in row.label)
    elif row.label is not None:
        label = root / row.label
    images = tuple(root / path for path in row.images)
    subject = row.keys["subject"]
    return Case(row.name, images, label, subject, coding, row.pixel, row.missing, colours=colours,
                names=row.names)  # fmt: skip


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
