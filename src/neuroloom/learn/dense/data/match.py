"""Which classes and channels of new data are which of a run's: by name, where names tell them.

A number or a place means nothing by itself: another data set may have myelin first, or FLAIR
before T1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.io.names import plain, tells

if TYPE_CHECKING:
    from neuroloom.io.cases import FoundCases


def match_classes(own: Mapping[int, str], known: Mapping[int, str]) -> dict[int, int]:
    """Return the number of each class of new labels -> its number in the run.

    Numbers without a name stay as they are, and so do all where the run's classes have none.

    Parameters
    ----------
    own, known
        Number to name, of the new data and of the run; 0 is passed over.

    Raises
    ------
    DataError
        If the run does not know a class, or one of the run's is not drawn.

    Examples
    --------
    >>> match_classes({1: "myelin", 2: "axon"}, {0: "background", 1: "axon", 2: "myelin"})
    {1: 2, 2: 1}
    """
    places = {plain(name): number for number, name in known.items() if number and tells(name)}
    named = {number: name for number, name in own.items() if number and tells(name)}
    if not places or not named:
        return {}
    found = {k: places.get(plain(name), -1 if tells(name) else k) for k, name in own.items() if k}
    strange = [own[number] for number, other in found.items() if other not in known]
    drawn = {plain(name) for name in named.values()}
    undrawn = [name for name in known.values() if plain(name) in places.keys() - drawn]
    if strange or undrawn:
        raise DataError(
            f"The labels are of {_listed(own)}, the run learnt {_listed(known)}: "
            + _and(
                f"it does not know {', '.join(strange)}" if strange else "",
                f"nothing says where {', '.join(undrawn)} would be" if undrawn else "",
            )
            + ". Name classes as the run does, and give an empty mask of one that is on no image."
        )
    if len(set(found.values())) < len(found):
        raise DataError(
            f"The labels are of {_listed(own)}, the run learnt {_listed(known)}: two of them would "
            "become one. Name all classes as the run does."
        )
    return found


def match_channels(
    own: Sequence[str], trained: Mapping[str, Any], *, incomplete: bool = False
) -> tuple[int, ...]:
    """Return the places of new channels in the order of the run's, -1 for one that is not there.

    Nothing is returned where channels go by their place: names do not tell them, or they are in
    order.

    Parameters
    ----------
    own
        Names of the new channels; empty where nothing says them.
    trained
        Facts of the run: `channels`, and as `called` what they were called in its data.
    incomplete
        Whether the run learnt to bear channels that are not there.

    Raises
    ------
    DataError
        If the run does not know a channel, or one of the run's is not there.

    Examples
    --------
    >>> match_channels(["FLAIR", "T1"], {"channels": ["T1", "FLAIR"], "called": []})
    (1, 0)
    >>> match_channels(["T2"], {"channels": ["T1", "T2"], "called": []}, incomplete=True)
    (-1, 0)
    """
    if "called" not in trained:  # a run that did not note what its own data call them
        return ()
    names = [trained["channels"], trained["called"]]
    known = [list(each) for each in names if _tell_apart(each)]
    if not known or not _tell_apart(own):
        return ()
    called = known[-1]
    places = {plain(name): k for each in known for k, name in enumerate(each)}
    found = {places.get(plain(name), -1): k for k, name in enumerate(own)}
    strange = [name for name in own if plain(name) not in places]
    lacking = [name for k, name in enumerate(called) if k not in found]
    if strange or (lacking and not incomplete):
        raise DataError(
            f"The channels are {', '.join(own)}, the run learnt {', '.join(called)}: it "
            + _and(
                f"does not know {', '.join(strange)}" if strange else "",
                f"misses {', '.join(lacking)}" if lacking else "",
            )
            + ". Name channels as the run does, and give those that it learnt from."
        )
    order = tuple(found.get(k, -1) for k in range(len(called)))
    return () if order == tuple(range(len(own))) else order


def ordered_by(found: FoundCases, names: Sequence[str]) -> FoundCases:
    """Return cases with their channels in the order of `names`, where the data call them the same.

    Where the data have no names, or others, `names` are new ones for channels in their places.

    Raises
    ------
    DataError
        If a name is that of another channel in the data, and not all of them are.
    """
    own = list(found.channels)
    if len(own) != len(names) or not (_tell_apart(own) and _tell_apart(names)):
        return found
    known, asked = [plain(name) for name in own], [plain(name) for name in names]
    if known == asked:
        return found
    if set(known) == set(asked):
        order = tuple(known.index(name) for name in asked)
        return replace(found.changed(order=order), channels=[own[place] for place in order])
    moved = [name for k, name in enumerate(names) if asked[k] in known and asked[k] != known[k]]
    if moved:
        raise DataError(
            f"`channels` says {', '.join(names)}, the data call their channels {', '.join(own)}: "
            f"{', '.join(moved)} would be the name of another one. Give all names of the data in "
            "the order that is wanted, or new names in the order of the data."
        )
    return found


def of_learnt_contrasts(
    found: FoundCases, learnt: Sequence[str], advice: str
) -> tuple[FoundCases, list[Finding]]:
    """Return the new cases whose contrast a run learnt; those of which nothing says it stay.

    Where none was learnt, all stay, with a warning.

    Parameters
    ----------
    learnt
        Contrasts that the run learnt; empty for one that bears any.
    advice
        What to do where none was learnt, a sentence without its capital.
    """
    if not learnt or not found.tells_contrasts:
        return found, []
    own = found.table["contrast"].fillna("").astype(str)
    known = match_contrasts(own.tolist(), learnt)
    if known.all():
        return found, []
    others = ", ".join(sorted(set(own[~known])))
    if not known.any():
        said = f"The images are of {others}, the run learnt {', '.join(learnt)}: {advice}"
        return found, [Finding("warning", "Contrasts that the run did not learn", said)]
    note = "Images of contrasts that the run did not learn were passed over: "
    note += f"{np.count_nonzero(~known)} of {others}."
    return found.part(np.flatnonzero(known)).noted(note), []


def of_drawn_contrasts(found: FoundCases) -> FoundCases:
    """Return the labelled cases, and of the others those of a contrast that somebody drew on.

    Films and diffusion beside drawn anatomy are no examples, and need not be like it.
    """
    drawn = found.table["label"].notna().to_numpy()
    learnt = contrasts_of(found, drawn)
    if not learnt:
        return found
    own = found.table["contrast"].fillna("").astype(str)
    kept = drawn | match_contrasts(own.tolist(), learnt)
    if kept.all():
        return found
    note = "Images without a label, of contrasts on which none is drawn, were passed over: "
    note += f"{np.count_nonzero(~kept)} of {', '.join(sorted(set(own[~kept])))}."
    return found.part(np.flatnonzero(kept)).noted(note)


def contrasts_of(found: FoundCases, among: np.ndarray | None = None) -> list[str]:
    """Return the contrasts of cases, a bool each in `among`; none where they are channels."""
    if not found.tells_contrasts or len(found.channels) > 1:
        return []
    rows = found.table if among is None else found.table[among]
    return sorted({str(name) for name in rows["contrast"].dropna()})


def match_contrasts(own: Sequence[str], learnt: Sequence[str]) -> np.ndarray:
    """Return for the contrast of each new image whether the run learnt it, a bool array.

    One without a name may have been learnt.

    Examples
    --------
    >>> match_contrasts(["T1w", "FLAIR", ""], ["t1w", "T2w"]).tolist()
    [True, False, True]
    """
    names = {"", *map(plain, learnt)}
    return np.array([plain(name) in names for name in own], bool)


def _tell_apart(names: Sequence[str]) -> bool:
    different = {plain(name) for name in names}
    return bool(names) and len(different) == len(names) and all(map(tells, names))


def _listed(classes: Mapping[int, str]) -> str:
    return ", ".join(name for number, name in classes.items() if number)


def _and(*parts: str) -> str:
    return " and ".join(part for part in parts if part)
