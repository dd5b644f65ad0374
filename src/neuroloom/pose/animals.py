"""Which animals and points of a project a net learns, and in which places new ones belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.labels.model import listed

if TYPE_CHECKING:
    from neuroloom.io.labels import Labels

NOBODY = "single"  # DeepLabCut's name of the animal that unique points belong to


def to_learn(labels: Labels, identity: bool) -> tuple[Labels, list[str]]:
    """Return labels without what no net can learn, and what was changed, a sentence each.

    Points that belong to no animal are left out, and so are points and animals that are labelled in
    no frame: projects declare animals ahead of labelling. Where animals are not told apart, names
    of tracks say nothing: there are as many animals as a frame has at most.

    Parameters
    ----------
    labels
        Of a project.
    identity
        Whether a net is to learn who is who.
    """
    labels, told = _without_unique(labels)
    labels = _without_unseen(labels)
    fewer = _without_unused if identity or "tracks" not in labels.extra else _as_slots
    labels, more = fewer(labels)
    return labels, told + more


def _without_unique(labels: Labels) -> tuple[Labels, list[str]]:
    """Leave out the unique points of DeepLabCut: a body cannot be put together with them."""
    unique = set(labels.kept("dlc", "unique", ()))
    names = labels.skeleton.keypoints
    left = [place for place, name in enumerate(names) if name not in unique]
    animals = [place for place, name in enumerate(labels.individuals) if name != NOBODY]
    if not unique or not left or not animals:
        return labels, []
    labels = _of_animals(labels, animals).with_points(left)
    shown = np.isfinite(labels.points).all(-1).any((1, 2))
    told = f"Points that belong to no animal are not learnt: {listed(sorted(unique))}."
    return labels.take(shown), [told]


def _of_animals(labels: Labels, places: Sequence[int]) -> Labels:
    """Return the labels of some animals, by their places."""
    own = list(places)
    who = tuple(labels.individuals[place] for place in own)
    classes = None if labels.classes is None else labels.classes[:, own]
    return replace(labels, individuals=who, points=labels.points[:, own], classes=classes)


def _without_unused(labels: Labels) -> tuple[Labels, list[str]]:
    """Leave out the animals that no frame shows; all stay where nothing is labelled."""
    shown = labelled_animals(labels)
    if len(shown) in (0, len(labels.individuals)):
        return labels, []
    lacking = [name for place, name in enumerate(labels.individuals) if place not in shown]
    told = f"Animals that are labelled in no frame are not learnt: {listed(lacking)}."
    return _of_animals(labels, shown), [told]


def labelled_animals(labels: Labels) -> list[int]:
    """Return the places of the animals that are labelled in some frame."""
    seen = np.isfinite(labels.points).all(-1).any((0, 2))
    return [int(place) for place in np.flatnonzero(seen)]


def _without_unseen(labels: Labels) -> Labels:
    """Leave out what no frame shows, which reading has noted."""
    seen = np.isfinite(labels.points).all(-1).any((0, 1))
    return labels if seen.all() else labels.with_points(np.flatnonzero(seen).tolist())


def _as_slots(labels: Labels) -> tuple[Labels, list[str]]:
    """Give the animals of each frame the first places, where tracks are more than animals."""
    there = np.isfinite(labels.points).all(-1).any(-1)
    most = max(1, int(there.sum(1).max(initial=0)))
    if most == len(labels.individuals):
        return labels, []
    points = _first_places(labels.points, there)[:, :most]
    classes = labels.classes
    classes = None if classes is None else _first_places(classes, there)[:, :most]
    told = f"{len(labels.individuals)} tracks, at most {most} in a frame: so many animals."
    names = tuple(f"individual_{number}" for number in range(most))
    return replace(labels, individuals=names, points=points, classes=classes), [told]


def _first_places(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return values (frame, individual, ...) with the animals that are `there` in front."""
    order = np.argsort(~there, axis=1, kind="stable")
    order = order.reshape(*order.shape, *(1 for _ in values.shape[2:]))
    out: np.ndarray = np.take_along_axis(values, order, axis=1)
    return out


def classes_of(labels: Labels) -> list[str]:
    """Return what the labelled animals are, in order; nothing where all are alike or unnamed."""
    if labels.classes is None:
        return []
    there = np.isfinite(labels.points).all(-1).any(-1)
    found = sorted({str(name) for name in labels.classes[there]} - {""})
    return found if len(found) > 1 else []


def taken_for(found: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return the likeliest class of each animal that was found (...,), "" where there is none.

    Parameters
    ----------
    found
        Shape (..., keypoint, 4 + class), as `nets.who.with_classes` gives it.
    classes
        Names.

    Examples
    --------
    >>> found = np.array([[[1, 1, 1, 1, 0.2, 0.8]], [[np.nan] * 6]])
    >>> taken_for(found, ["mouse", "rat"]).tolist()
    ['rat', '']
    """
    chances = np.nan_to_num(found[..., 4:]).sum(-2)
    if not chances.shape[-1]:
        return np.full(chances.shape[:-1], "", dtype=object)
    best: np.ndarray = np.asarray(classes, dtype=object)[chances.argmax(-1)]
    return np.where(chances.any(-1), best, "")


def as_trained(labels: Labels, trained: dict[str, Any], data: Path) -> tuple[Labels, list[str]]:
    """Return labels with the run's keypoints in its order, and the names of the animals' places.

    Where the run tells animals apart each has the place of its name; animals that it does not know,
    or more of them than it finds, have places of their own behind.

    Parameters
    ----------
    labels
        Of a project.
    trained
        Facts of the run.
    data
        Where the project lies.

    Raises
    ------
    DataError
        If one of the keypoints is missing.
    """
    have, wanted = list(labels.skeleton.keypoints), list(trained["keypoints"])
    missing = [name for name in wanted if name not in have]
    if missing:
        raise DataError(
            f"{data}: lacks the keypoint{'s' * (len(missing) > 1)} {', '.join(missing)} that the "
            f"model finds; it has {', '.join(have)}. Were they renamed?"
        )
    labels = labels.with_points([have.index(name) for name in wanted])
    there = np.isfinite(labels.points).all(-1).any(-1)
    places = list(trained["individuals"])
    if not trained.get("identity"):
        most = int(there.sum(1).max(initial=0))
        places += [f"individual_{number}" for number in range(len(places), most)]
        order = np.argsort(~there, axis=1, kind="stable")[:, : len(places)]
        own = list(range(order.shape[1]))
    else:
        # DeepLabCut declares animals that nobody labelled, and one for unique body parts.
        shown = {name: k for k, name in enumerate(labels.individuals) if there[:, k].any()}
        places += [name for name in shown if name not in places]
        order = np.tile(np.array(list(shown.values()), int), (len(labels), 1))
        own = [places.index(name) for name in shown]
    return _in_places(labels, order, own, places), places


def _in_places(labels: Labels, order: np.ndarray, own: list[int], places: list[str]) -> Labels:
    """Return labels whose animals, taken in an order (frame, animal), have `own` of the places."""
    points = np.full((len(labels), len(places), *labels.points.shape[2:]), np.nan)
    points[:, own] = np.take_along_axis(labels.points, order[..., None, None], axis=1)
    classes = labels.classes
    if classes is not None:
        classes = np.full(points.shape[:2], "", dtype=object)
        classes[:, own] = np.take_along_axis(labels.classes, order, axis=1)
    return replace(labels, individuals=tuple(places), points=points, classes=classes)
