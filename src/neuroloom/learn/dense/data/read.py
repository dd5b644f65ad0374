"""From files to the data set of a dense study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.io.cases.layouts import few, unlike_channels
from neuroloom.io.names import plain
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.data.match import (
    contrasts_of,
    match_channels,
    match_classes,
    of_drawn_contrasts,
    of_learnt_contrasts,
    ordered_by,
)

if TYPE_CHECKING:
    from neuroloom.io.cases import FoundCases
    from neuroloom.learn.dense.study import DenseStudy

MEND = "mend these files, or predict the others without them"
_OTHERS = "look at what it draws. A run with `contrasts=any` bears other contrasts."


def read_cases(
    study: DenseStudy,
    data: Path,
    include: list[str],
    trained: dict[str, Any] | None = None,
    *,
    labelled: bool = True,
) -> Dataset:
    """Find the cases under `data`, check all of them, and return them as a data set.

    Parameters
    ----------
    trained
        Facts of the run that is to be applied; its channels and classes then hold, and those of
        the data become them by name.
    labelled
        Whether labels are read; without, nothing but the images is asked for and checked.

    Raises
    ------
    DataError
        One, that lists everything that is wrong with the cases.
    """
    from neuroloom.io.cases.check import check_cases, findings_of_problems, require_sound

    findings: list[Finding] = []
    if trained is None:
        found = find(study, data, include)
        _require_labels(found, data)
        found = of_drawn_contrasts(found)
    else:
        found = find_new(study, data, include, trained["channels"], labelled=labelled)
        learnt = [] if study.contrasts == "any" else trained.get("contrasts", [])
        found, findings = of_learnt_contrasts(found, learnt, _OTHERS)
    ignore = _ignored(study, found, trained)
    if ignore == 0:
        raise ConfigError(
            "ignore is 0, which is the background in every label. Write 0 where nothing is, and "
            "what was not looked at, as outside of scribbles, as a number of its own, such as 255."
        )
    if trained and found.classes:
        found = replace(found, classes={k: v for k, v in found.classes.items() if k != ignore})
    allowed = _allowed(found, trained)
    problems = check_cases(found.cases, allowed, ignore, "model" if labelled else "image")
    problems = require_sound(problems, *(() if labelled else (MEND,)), whole=trained is not None)
    unit = str(trained["unit"]) if trained else found.usual_unit
    found = found.named().upright().in_unit(unit)
    count = found.cases[0].channel_count
    require_names(count, found.channels, "the data set says")
    if trained:
        found, facts = _as_trained(study, found, trained, ignore)
        cases = DenseCases(found.cases)
    else:
        require_names(count, study.channels, "`channels` says")
        found = ordered_by(found, study.channels)
        cases = DenseCases(found.cases)
        facts = {"unit": unit} | _facts(study, found, cases, ignore)
    _refuse_unlike(found, facts)
    if not study.guesses_sizes:
        _refuse_other_units(found, unit)
    table = found.table.drop(columns=["image"]).copy()
    table["label"] = [None if case.label is None else "mask" for case in found.cases]
    table["example"] = np.arange(len(table))
    extra = {"hashes": found.hashes(), "found": found}
    findings.append(Finding("note", "How the files were read", _sentence(found)))
    findings += found.passed_over()
    findings += findings_of_problems(problems)
    return Dataset(table, cases, "segmentation", [], facts, findings, extra)  # type: ignore[arg-type]


def find(
    study: DenseStudy,
    data: Path,
    include: list[str],
    trained: Sequence[str] = (),
    *,
    labelled: bool = True,
) -> FoundCases:
    """Find cases as the study's settings say; `trained` are the channels of a finished run."""
    from neuroloom.io.cases import find_cases

    labels: Any = study.labels
    if list(labels) == ["label"]:
        labels = list(labels.values())
    images: Any = list(study.images.values()) if len(study.images) == 1 else study.images
    return find_cases(
        data, include, images, labels, study.pattern, study.values or None, study.classes,
        channels=trained or study.channels, incomplete=study.missing != "none",
        n_channels=len(trained), labelled=labelled, ignore=study.ignore,
    )  # fmt: skip


def find_new(
    study: DenseStudy, data: Path, include: list[str], trained: Sequence[str], *, labelled: bool
) -> FoundCases:
    """Find new cases by the run's globs or, where these match nothing, by the layout there.

    Parameters
    ----------
    trained
        Channels of the run.
    labelled
        Whether labels are wanted. Without, neither labels nor keys of names are looked for.
    """
    from neuroloom.io.cases.layouts import NothingMatchesError

    given = bool(study.classes or study.values)
    bare = study.model_copy(update={"classes": [], "values": {}})
    if not labelled:
        study = bare = bare.model_copy(update={"pattern": None})
    try:
        found = find(bare, data, include, trained, labelled=labelled)
        # What the data say of their classes counts before what was said of those learnt from.
        if found.classes or not given or not labelled:
            return found
        return find(study, data, include, trained)
    except NothingMatchesError:
        plain = study.model_copy(update={"images": {}, "labels": {}})
        found = find(plain, data, include, trained, labelled=labelled)
        if labelled and not found.table["label"].notna().any():
            raise
        return found


def _require_labels(found: FoundCases, data: Path) -> None:
    """Refuse to learn where no label was paired, and say which lie there."""
    if found.table["label"].notna().any():
        return
    there = f" There are labels such as {few(found.alone)}." if found.alone else ""
    raise DataError(
        f"{data}: no label belongs to any image, so nothing can be learnt; what was found is "
        f"{found.layout}.{there} Say which belong together: by globs, --images.image 'raw_*.tif' "
        "--labels.label 'mask_*.tif' (or with folders, '*/mri/T1.mgz'), or in a table with the "
        "columns image and label."
    )


def _sentence(found: FoundCases) -> str:
    layout = found.layout[:1].upper() + found.layout[1:]
    return " ".join([f"{layout}.", *found.notes])


def _ignored(study: DenseStudy, found: FoundCases, trained: dict[str, Any] | None) -> int | None:
    """Return the number that labels have where they are left open.

    Of new data it is the one that they declare, else the one that is called as in the run; numbers
    without names are the run's.
    """
    if trained is None:
        return found.ignore if study.ignore is None else study.ignore
    if found.ignore is not None or study.ignore is None or not found.classes:
        return found.ignore if found.ignore is not None else study.ignore
    if name := trained.get("left_open"):
        return next((k for k, own in found.classes.items() if own == name), None)
    return None if study.ignore in found.classes else study.ignore


def _allowed(found: FoundCases, trained: dict[str, Any] | None) -> dict[int, str] | None:
    """Return what labels may hold: the data's numbers where their names count, else the run's."""
    if trained is None or trained["classes_of"] is None:
        return None if trained else found.classes
    known = _classes_of(trained)
    own = _named(found, known)
    if own and match_classes(own, known):
        return own
    return known | ({1: found.kind} if found.kind else {})


def _named(found: FoundCases, known: dict[int, str]) -> dict[int, str]:
    """Return number -> name as new data declare them, or as a table names what the run knows."""
    if found.classes:
        return found.classes
    names = set(map(plain, known.values()))
    return {k: name for k, name in found.names.items() if plain(name) in names}


def _classes_of(facts: dict[str, Any]) -> dict[int, str]:
    return {int(number): str(name) for number, name in facts["classes_of"].items()}


def _as_trained(
    study: DenseStudy, found: FoundCases, trained: dict[str, Any], ignore: int | None
) -> tuple[FoundCases, dict[str, Any]]:
    """Return new cases with the run's classes and channels, and the facts that hold for them."""
    another = study.contrasts == "any" and len(found.channels) == len(trained["channels"]) == 1
    own = [] if another else found.channels
    order = match_channels(own, trained, incomplete=study.missing != "none")
    if trained["classes_of"] is None:
        return found.changed(order=order), trained | {"ignore": ignore}
    known = _classes_of(trained)
    numbering = match_classes(_named(found, known), known)
    if ignore is not None:
        left_out = trained["ignore"] if trained["ignore"] is not None else max(known) + 1
        numbering[ignore] = left_out
        trained = trained | {"ignore": left_out}
    return found.changed(order=order, numbering=numbering), trained


def _facts(
    study: DenseStudy, found: FoundCases, cases: DenseCases, ignore: int | None
) -> dict[str, Any]:
    """Return what the net and the scores must know of channels and classes."""
    declared = found.classes
    labelled = np.array([case.label is not None for case in found.cases])
    if declared is None:
        seen: set[int] = set()
        for facts in cases[labelled].facts():
            seen |= set(facts.labels)
        declared = {value: found.names.get(value, str(value)) for value in sorted(seen - {0})}
    classes = {0: "background"} | {k: v for k, v in declared.items() if k not in (0, ignore)}
    if len(classes) < 2:
        raise DataError(
            "The labels hold nothing but background: at least one class is needed. Are these the "
            "right label files, or do `values` say which grey is which class?"
        )
    regions = _regions(study.regions, classes) or dict(found.regions) or None
    painted = () if study.regions else found.painted
    first = found.cases[0]
    channels = study.channels or found.channels or _numbered(len(first.image()))
    parts: dict[str, Any] = {name: [value] for value, name in classes.items() if value}
    if regions:
        parts = {name: list(values) for name, values in regions.items()}
    return {
        "classes_of": {str(k): v for k, v in classes.items()},
        "channels": list(channels),
        "called": list(found.channels),
        "contrasts": contrasts_of(found, found.table["label"].notna().to_numpy()),
        "regions": regions and {name: list(values) for name, values in regions.items()},
        "painted": list(painted),
        "ignore": ignore,
        "left_open": None if ignore is None else declared.get(ignore),
        "parts": parts,
        "mirror": _mirror(study, found, classes, regions or {}, ignore),
        "dims": len(first.shape),
    }


def _mirror(
    study: DenseStudy, found: FoundCases, classes: Mapping[int, str], regions: Mapping[str, Any],
    ignore: int | None,
) -> list[int] | None:  # fmt: skip
    """Return the axes that may be mirrored: none where numbers without names have a side each."""
    from neuroloom.io.cases.sides import lie_on_sides

    numbers = {value: name for value, name in classes.items() if value}
    axes = study.mirrored(found.cases[0], [*classes.values(), *regions, found.kind])
    several = len(numbers) > 1
    return [] if axes and several and lie_on_sides(found.cases, numbers, ignore) else axes


def _numbered(count: int) -> list[str]:
    return ["image"] if count == 1 else [f"channel {k}" for k in range(count)]


def _regions(given: Mapping[str, str], classes: dict[int, str]) -> dict[str, tuple[int, ...]]:
    """Return name -> label values of regions written as '1,2' or by the names of classes."""
    values = {name: value for value, name in classes.items()}
    found = {}
    for name, text in given.items():
        parts = [part.strip() for part in text.split(",")]
        known = [values.get(part, int(part) if part.isdigit() else -1) for part in parts]
        if not set(known) <= set(classes) - {0}:
            listed = ", ".join(f"{k} ({v})" for k, v in classes.items() if k)
            raise ConfigError(f"regions: '{name}' is '{text}', expected some of {listed}.")
        found[name] = tuple(known)
    return found


def require_names(count: int, names: list[str], who: str) -> None:
    """Compare how many channels there are with how many are named, where any are."""
    if names and len(names) != count:
        raise DataError(
            f"The images have {unlike_channels(count, len(names), names)}, as {who}. Each channel "
            "needs one name, and each name a channel."
        )


def _refuse_other_units(found: FoundCases, unit: str) -> None:
    """Refuse pixels without a size where others have one, and the other way round."""
    wrong = [case for case in found.cases if case.unit != unit]
    if wrong:
        raise DataError(
            f"{few([case.images[0].name for case in wrong])}: their pixels are in {wrong[0].unit}, "
            f"those that are learnt from in {unit}; pixels and lengths cannot be compared. Write "
            "the size into all files or into none, or leave these out."
        )


def _refuse_unlike(found: FoundCases, facts: dict[str, Any]) -> None:
    """Refuse cases with other axes or channels than the net is for."""
    wanted, dims = len(facts["channels"]), facts["dims"]
    wrong = []
    for case in found.cases:
        given = case.channel_count
        if len(case.shape) != dims:
            wrong.append(f"{case.name}: has {len(case.shape)} axes, expected {dims}.")
        elif given != wanted:
            unlike = unlike_channels(given, wanted, facts["channels"])
            wrong.append(f"{case.name}: has {unlike}.")
    if wrong:
        more = f"\nAnd {len(wrong) - 10} more." if len(wrong) > 10 else ""
        raise DataError("\n".join(wrong[:10]) + more)


def keys_of(plan: Mapping[str, str]) -> dict[str, Any]:
    """Read keys of a plan as the command line writes them: '32,48,32', '1,1;2,2', '16'.

    Examples
    --------
    >>> keys_of({"patch": "32,48", "strides": "1,1;2,2", "batch": "4", "batch_dice": "true"})
    {'patch': (32, 48), 'strides': ((1, 1), (2, 2)), 'batch': 4, 'batch_dice': True}
    >>> keys_of({"options": "{dropout: 0.1, up: linear}"})
    {'options': {'dropout': 0.1, 'up': 'linear'}}
    """
    return {key: _value(str(text)) for key, text in plan.items()}


def _value(text: str) -> Any:
    import yaml

    for mark in "" if text.startswith("{") else ";,":
        if mark in text:
            return tuple(_value(part.strip()) for part in text.split(mark) if part.strip())
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
