"""From what was found in held-out frames to the rows that judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.dataset import ENTITIES
from neuroloom.core.split import Fold
from neuroloom.pose.alike import body_scale, body_sizes, distance_between, oks_between
from neuroloom.pose.animals import taken_for
from neuroloom.pose.confidence import Calibration, calibrate, cross_fitted, slope
from neuroloom.pose.measures import distances

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from neuroloom.core.dataset import Dataset
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.pose.estimate import Estimate

    Floats = NDArray[np.float64]

BLOCK = 5  # neighbouring held-out frames that count as one unit of an interval
HALF = 0.5  # of a body's length: what two nets see nearer than that is one animal
PARTS = 5  # of the held-out frames, where there is one fold, to cross-fit the calibration


def units_in_blocks(folds: list[Fold], table: pd.DataFrame) -> list[Fold]:
    """Return folds whose units are a few neighbouring frames, not whole stretches.

    Frames of one video resemble their neighbours: an interval resamples blocks of them.
    """
    return [
        replace(fold, units=blocks(table.iloc[fold.test], fold.name), by="block")
        if len(fold.test)
        else fold
        for fold in folds
    ]


def blocks(frames: pd.DataFrame, name: str) -> list[str]:
    """Return the block of neighbouring moments that each frame belongs to, called after `name`."""
    place = np.unique(frames["onset"].to_numpy(), return_inverse=True)[1]
    path = frames["path"].astype(str)
    return [f"{own}: {name}, {k // BLOCK + 1}" for own, k in zip(path, place, strict=True)]


def tabulate(study: Estimate, prepared: Prepared, fits: Sequence[Fitted]) -> pd.DataFrame:
    """Return `predictions.parquet` of a pose run."""
    import pandas as pd

    roles = study.roles(prepared.dataset.task)
    parts = []
    for fit in fits:
        fold = prepared.folds[fit.job.fold]
        head = {"fold": fit.job.fold, "unit": fold.units, "seed": fit.job.seed}
        head |= {"model": roles[fit.job.role], "role": fit.job.role}
        parts.append(rows_of_frames(prepared.dataset, fold.test, np.asarray(fit.scores), head))
    if not parts:
        none = np.zeros((0, *prepared.dataset.y.shape[1:3], 4))
        head = {name: [] for name in ("fold", "unit", "seed", "model", "role")}
        return with_confidence(rows_of_frames(prepared.dataset, np.arange(0), none, head))
    table = pd.concat(parts, ignore_index=True)
    return with_confidence(table)


def rows_of_new(ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]) -> pd.DataFrame:
    """Return rows of new labelled frames, calibrated as the run was; of one video, in blocks."""
    if len(set(head["unit"])) == 1:
        head = head | {"unit": blocks(dataset.table, "new")}
    members = [one for group in ensemble.members.values() for one in group]
    found, apart = together([member.predict_scores(dataset.x) for member in members])
    table = rows_of_frames(dataset, np.arange(len(dataset)), found, head, apart)
    return calibrated(table, ensemble.facts.get("calibration"))


def together(found: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return the mean of several nets' places, each weighted by how sure it is, and their scatter.

    Where they disagree, the surer ones count: weights are the squared inverse of the expected
    error. What is expected of the mean is the weighted mean of what each expects: a bound from
    above, as the error of a mean is at most the mean of the errors.

    Parameters
    ----------
    found
        Each (n, individual, keypoint, 4).

    Returns
    -------
    mean
        Shape (n, individual, keypoint, 4).
    apart
        Shape (n, individual, keypoint): weighted mean distance of the nets from their mean, px; 0
        of one net, and where nothing was found.

    Examples
    --------
    >>> one = np.array([[[[0.0, 0.0, 1.0, 1.0]]]]); two = np.array([[[[9.0, 0.0, 1.0, 3.0]]]])
    >>> mean, apart = together([one, two])
    >>> mean[0, 0, 0].round(2).tolist(), apart.round(2).tolist()
    ([0.9, 0.0, 1.0, 1.2], [[[1.62]]])
    """
    if len(found) == 1:
        return found[0], np.zeros(found[0].shape[:-1])
    placed, known = [found[0]], found[0]
    for other in found[1:]:
        placed.append(in_order_of(known, other))
        known = np.where(np.isnan(known), placed[-1], known)
    every = np.stack(placed)
    weight = 1 / np.maximum(np.nan_to_num(every[..., 3], nan=1e6), 0.05) ** 2
    weight = np.where(np.isfinite(every[..., :2]).all(-1), weight, 0.0)
    total = weight.sum(0)
    share = weight / np.where(total > 0, total, np.nan)
    mean = np.nansum(np.nan_to_num(every) * share[..., None], 0)
    mean[total == 0] = np.nan
    apart = np.linalg.norm(every[..., :2] - mean[..., :2], axis=-1)
    return mean, np.nansum(np.nan_to_num(apart) * share, 0)


def in_order_of(first: Floats, other: Floats) -> Floats:
    """Return what another net found with each animal in the place that it has in `first`.

    Nets list animals in orders of their own. Bodies less than half a body apart are one animal; one
    that only the other net sees takes a place that is free, its own if it can, or is left out where
    none is.

    Parameters
    ----------
    first, other
        Shape (n, individual, keypoint, 4).

    Examples
    --------
    >>> first = np.zeros((1, 2, 2, 4)); first[0, :, 1, 0] = 10; first[0, 1, :, 1] = 50
    >>> other = first[:, ::-1]
    >>> np.array_equal(in_order_of(first, other), first)
    True
    """
    if first.shape[1] == 1:
        return other
    out = np.full_like(other, np.nan)
    for frame, (one, two) in enumerate(zip(first[..., :2], other[..., :2], strict=True)):
        for place, own in _places(one, two):
            out[frame, place] = other[frame, own]
    return out


def _places(one: Floats, two: Floats) -> list[tuple[int, int]]:
    """Return (place in `one`, number in `two`) of the animals (individual, keypoint, 2) of both."""
    from scipy.optimize import linear_sum_assignment

    here, seen = (np.isfinite(own).all(-1).any(-1) for own in (one, two))
    near = np.full(len(one), 0.0)
    near[here] = HALF * np.linalg.norm(np.ptp(np.nan_to_num(one[here]), axis=1), axis=-1) + 1
    apart = np.nan_to_num(distance_between(one, two), nan=np.inf)
    pairs = zip(*linear_sum_assignment(np.minimum(apart, near[:, None])), strict=True)
    sure = [(int(i), int(j)) for i, j in pairs if apart[i, j] < near[i]]
    free = set(np.flatnonzero(~here).tolist())
    alone = set(np.flatnonzero(seen).tolist()) - {j for _, j in sure}
    own = sorted(free & alone)
    others = zip(sorted(free - alone), sorted(alone - free), strict=False)
    return [*sure, *zip(own, own, strict=True), *others]


def rows_of_frames(
    dataset: Dataset,
    rows: np.ndarray,
    found: Floats,
    head: dict[str, Any],
    apart: Floats | None = None,
) -> pd.DataFrame:
    """Return a row for each keypoint of each animal, true or found.

    Parameters
    ----------
    found
        Shape (n, individual, keypoint, 4).
    head
        Columns fold, unit (one a frame), seed, model and role.
    apart
        Shape (n, individual, keypoint): how far several nets lie from their mean, px; None of one.
    """
    import pandas as pd

    assert dataset.truth is not None
    apart = np.zeros(found.shape[:-1]) if apart is None else apart
    found = np.concatenate([found, apart[..., None]], -1)
    sizes = body_sizes(dataset.truth, body_scale(dataset.truth))
    names = np.asarray(dataset.facts["keypoints"], dtype=object)
    frames = dataset.table.iloc[rows].reset_index(drop=True)
    keep = [name for name in ("name", *ENTITIES, "onset") if name in frames]
    parts = []
    for k, row in enumerate(rows):
        for name, (true, own, alike, called) in paired(
            dataset.truth[row], found[k], dataset.facts["individuals"], sizes[row]
        ).items():
            parts.append(_animal(k, (name, called), true, own, alike, names))
            parts[-1] = parts[-1].assign(**_classes(dataset, row, name, own[:, :-1]))
    columns = ["at", "individual", "called", "keypoint", "true_x", "true_y", "x", "y", "near",
               "raw_px", "apart_px", "error_px", "known", "oks", "score", "there",
               "found"]  # fmt: skip
    columns += ["true_class", "class"] if dataset.facts.get("kinds") else []
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    at = table.pop("at").to_numpy(dtype=int)
    out = frames[keep].iloc[at].reset_index(drop=True)
    out.insert(0, "example", frames["name"].to_numpy()[at])
    for name, values in head.items():
        out[name] = np.asarray(values, dtype=object)[at] if isinstance(values, list) else values
    out = pd.concat([out, table], axis=1)
    out["y_true"], out["y_pred"] = 0.0, out["error_px"]
    return out


def _classes(dataset: Dataset, row: int, name: str, own: Floats) -> dict[str, str]:
    """Return what an animal is, and what it was taken for; nothing where that is not learnt."""
    known, names = dataset.facts.get("kinds"), dataset.facts["individuals"]
    if not known:
        return {}
    frames: Any = dataset.x
    said = name in names and frames.classes is not None
    true = str(frames.classes[row, names.index(name)]) if said else ""
    return {"true_class": true if true in known else "", "class": str(taken_for(own, known))}


def paired(
    truth: Floats, found: Floats, names: Sequence[str], sizes: Floats | float
) -> dict[str, tuple[Floats, Floats, float, str]]:
    """Return animal -> (true points, found points, similarity, name in whose place it was found).

    Animals are matched to be most alike, whatever they are called.

    Parameters
    ----------
    truth, found
        Shape (individual, keypoint, 2) and (individual, keypoint, 4).
    sizes
        Of the true animals, px: one, or (individual,).
    """
    from scipy.optimize import linear_sum_assignment

    here = np.flatnonzero(np.isfinite(truth).all(-1).any(-1))
    seen = np.flatnonzero(np.isfinite(found[..., :2]).all(-1).any(-1))
    own = np.broadcast_to(sizes, len(truth))[here]
    alike = oks_between(truth[here], found[seen, :, :2], own)
    # Where nothing is alike the nearer one is the pair: its error is to be told.
    far = np.nan_to_num(distance_between(truth[here], found[seen, :, :2]), nan=1e6)
    left, right = linear_sum_assignment(-alike + 1e-6 * far)
    pair = dict(zip(left.tolist(), right.tolist(), strict=True))
    nothing = np.full_like(found[0], np.nan)
    out = {}
    for k, who in enumerate(here.tolist()):
        out[str(names[who])] = (truth[who], nothing, 0.0, "")
        if k in pair:
            place, like = int(seen[pair[k]]), float(alike[k, pair[k]])
            out[str(names[who])] = (truth[who], found[place], like, str(names[place]))
    for number, one in enumerate(sorted(set(range(len(seen))) - set(pair.values()))):
        place, none = int(seen[one]), np.full_like(truth[0], np.nan)
        out[f"no animal {number + 1}"] = (none, found[place], 0.0, str(names[place]))
    return out


def _animal(
    at: int, called: tuple[str, str], true: Floats, own: Floats, alike: float, names: np.ndarray
) -> pd.DataFrame:
    """Return the rows of an animal: `own` is (keypoint, ...), how far nets lie apart comes last."""
    import pandas as pd

    known = np.isfinite(true).all(-1)
    seen = np.isfinite(own[:, :2]).all(-1)
    sure = float(np.nanmean(own[seen, 2])) if seen.any() else np.nan
    return pd.DataFrame(
        {
            "at": at, "individual": called[0], "called": called[1], "keypoint": names,
            "true_x": true[:, 0],
            "true_y": true[:, 1], "x": own[:, 0], "y": own[:, 1], "near": own[:, 2],
            "raw_px": own[:, 3], "apart_px": own[:, -1],
            "error_px": distances(true, own[:, :2]),
            "known": known.astype(float), "oks": alike, "score": sure,
            "there": float(known.any()), "found": float(seen.any()),
        }
    )  # fmt: skip


def with_confidence(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows with expected errors that other folds, or other stretches, have calibrated."""
    table = table.copy()
    table["expected_px"], table["confidence"] = np.nan, np.nan
    for _, own in table.groupby(["role", "seed"], sort=False):
        raw, error = own["raw_px"].to_numpy(float), own["error_px"].to_numpy(float)
        there, sure = np.full(len(own), np.nan), np.zeros(len(own))
        for mine, found in cross_fitted(raw, error, _parts(own)):
            there[mine] = found.errors(raw[mine])
            sure[mine] = np.where(np.isfinite(raw[mine]), found.confidence(raw[mine]), 0.0)
        table.loc[own.index, "expected_px"], table.loc[own.index, "confidence"] = there, sure
    return table


def _parts(rows: pd.DataFrame) -> np.ndarray:
    """Return the part of each row: its fold, or a stretch of frames where there is one fold."""
    import pandas as pd

    if rows["fold"].nunique() > 1:
        return pd.factorize(rows["fold"])[0].astype(np.int64)
    frame = pd.factorize(rows["example"])[0]
    return (frame * PARTS // (frame.max() + 1)).astype(np.int64)


def calibration_of(prepared: Prepared, fits: Sequence[Fitted]) -> dict[str, Any]:
    """Return what expectations meant on all held-out frames, as facts of the stored model.

    The nets of one fold, of several seeds, are judged together: no other nets have not learnt its
    frames.
    """
    if not fits:
        return {"calibration": None}
    by_fold: dict[int, list[Floats]] = {}
    for fit in fits:
        by_fold.setdefault(fit.job.fold, []).append(np.asarray(fit.scores))
    raw, error = [], []
    for fold, scores in by_fold.items():
        rows = prepared.folds[fold].test
        table = rows_of_frames(prepared.dataset, rows, together(scores)[0], {})
        raw.append(table["raw_px"].to_numpy(float))
        error.append(table["error_px"].to_numpy(float))
    return {"calibration": calibrate(np.concatenate(raw), np.concatenate(error)).as_dict()}


def calibrated(table: pd.DataFrame, facts: dict[str, list[float]] | None) -> pd.DataFrame:
    """Return rows with the expected error and the confidence that a stored calibration gives."""
    raw, apart = (table[name].to_numpy(float) for name in ("raw_px", "apart_px"))
    if facts is None:
        # Nothing was held out: the maps' own words, said to be so in the card.
        sure = table["near"].to_numpy(float)
        return table.assign(expected_px=np.maximum(raw, apart), confidence=sure)
    known = Calibration.from_dict(facts)
    sure = np.where(np.isfinite(raw), known.confidence(raw, apart), 0.0)
    return table.assign(expected_px=known.errors(raw, apart), confidence=sure)


def score_of_expectation(table: pd.DataFrame, seed: int = 0) -> dict[str, dict[str, float | None]]:
    """Return `expectation_slope`: real over expected error, 1 where expectations are true.

    The interval resamples units: one point that was far off may make the slope of a few frames.
    """
    from neuroloom.learn.scoring.intervals import bounds

    mine = table[table["role"] == "model"]
    said, off = (mine[name].to_numpy(float) for name in ("expected_px", "error_px"))
    value, none = float(slope(said, off)), {"baseline": None, "chance": None}
    if not np.isfinite(value):
        return {"expectation_slope": {"value": None, "low": None, "high": None, **none}}
    low, high = bounds(lambda w: slope(said, off, w), value, mine["unit"], seed)
    return {"expectation_slope": {"value": value, "low": low, "high": high, **none}}


def score_of_identity(
    table: pd.DataFrame, names: int, seed: int = 0
) -> dict[str, dict[str, float | None]]:
    """Return `identity_accuracy`: the share of animals found that were called by their own name.

    Parameters
    ----------
    table
        Rows as `tabulate` gives them.
    names
        How many animals there are; one name in so many is right by chance.
    seed
        Of the bootstrap over units.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"role": "model", "seed": 0, "example": list("aabb"),
    ...     "individual": ["m", "f"] * 2, "called": ["m", "f", "f", "m"], "there": 1.0,
    ...     "found": 1.0, "unit": list("aabb")})
    >>> score_of_identity(rows, 2)["identity_accuracy"]["value"]
    0.5
    """
    from neuroloom.learn.scoring.intervals import bounds

    seen = table[(table["role"] == "model") & (table["there"] > 0) & (table["found"] > 0)]
    one = seen.drop_duplicates(["seed", "example", "individual"])
    if not len(one):
        return {}
    right = (one["individual"] == one["called"]).to_numpy(float)
    value = float(right.mean())
    low, high = bounds(lambda w: w @ right / w.sum(1), value, one["unit"], seed)
    row = {"value": value, "low": low, "high": high, "baseline": None, "chance": 1 / names}
    return {"identity_accuracy": row}


def score_of_class(table: pd.DataFrame, seed: int = 0) -> dict[str, dict[str, float | None]]:
    """Return `class_accuracy`: the share of animals found that were given their own class.

    The chance is the share of the class that most of them are of.

    Parameters
    ----------
    table
        Rows as `tabulate` gives them.
    seed
        Of the bootstrap over units.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"role": "model", "seed": 0, "example": list("aabb"),
    ...     "individual": ["1", "2"] * 2, "true_class": ["rat", "rat", "rat", "mouse"],
    ...     "class": "rat", "there": 1.0, "found": 1.0, "unit": list("aabb")})
    >>> row = score_of_class(rows)["class_accuracy"]
    >>> row["value"], row["chance"]
    (0.75, 0.75)
    """
    from neuroloom.learn.scoring.intervals import bounds

    seen = table[(table["role"] == "model") & (table["there"] > 0) & (table["found"] > 0)]
    one = seen[seen["true_class"] != ""].drop_duplicates(["seed", "example", "individual"])
    if not len(one):
        return {}
    right = (one["true_class"] == one["class"]).to_numpy(float)
    value, chance = float(right.mean()), float(one["true_class"].value_counts(normalize=True).max())
    low, high = bounds(lambda w: w @ right / w.sum(1), value, one["unit"], seed)
    row = {"value": value, "low": low, "high": high, "baseline": None, "chance": chance}
    return {"class_accuracy": row}
