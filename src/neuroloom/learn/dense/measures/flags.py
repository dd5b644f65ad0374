"""Whether a segmented case should be looked at: held against what is usual, its truth unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ODD_SPREADS = 4.0  # robust deviations from the usual doubt that raise the flag
LEAST_SPREAD = 0.02  # of doubts: those of few cases may agree by chance
ODD_VOLUME = 1.5  # times the largest, or parts of the smallest, volume that was learnt from
COMMON = 0.9  # share of the learnt cases with a class, from which on it is odd to find none of it
MISSED = 2.0  # oddness of a class that is found nowhere
POOR = 0.8  # of the median Dice of held-out cases: a case with no more should have been flagged
NOT_JUDGED = "not judged: no case was held out that would say what is usual"

Volumes = Mapping[str, float]
Entry = dict[str, float | None]


def usual_of(
    doubts: Sequence[float], volumes: Sequence[Volumes], learnt: Sequence[Volumes]
) -> dict[str, Any]:
    """Return what a new case is held against.

    Parameters
    ----------
    doubts
        Of held-out cases in which something was found.
    volumes
        Class -> volume of each case that says which volumes are usual; none where no volume is.
    learnt
        Class -> volume in the label of each case that was learnt from.

    Returns
    -------
    dict
        `doubt`: median and robust deviation, None where nothing was held out. `volumes`: class ->
        smallest and largest of the cases that have it. `present`: class -> share of the learnt
        cases that have it. `anything`: share of them that have any.

    Examples
    --------
    >>> seen = [{"a": 4.0, "b": 0.0}, {"a": 9.0, "b": 2.0}]
    >>> found = usual_of([0.2, 0.2], seen, seen)
    >>> found["doubt"], found["volumes"], found["present"]
    ([0.2, 0.0], {'a': [4.0, 9.0], 'b': [2.0, 2.0]}, {'a': 1.0, 'b': 0.5})
    """
    middle = float(np.median(doubts)) if len(doubts) else None
    spread = 1.4826 * float(np.median(np.abs(np.array(doubts) - middle))) if len(doubts) else None
    columns = {name: [one[name] for one in volumes if one[name] > 0] for name in _names(volumes)}
    return {
        "doubt": [middle, spread],
        "volumes": {name: [min(own), max(own)] for name, own in columns.items() if own},
        "present": {
            name: float(np.mean([one[name] > 0 for one in learnt])) for name in _names(learnt)
        },
        "anything": float(np.mean([any(one.values()) for one in learnt])) if learnt else 0.0,
    }


def _names(volumes: Sequence[Volumes]) -> list[str]:
    return list(volumes[0]) if volumes else []


def flag_of(usually: Mapping[str, Any], sure: float, volumes: Volumes) -> dict[str, Any]:
    """Return how odd a prediction is, whether it should be looked at, and why.

    Parameters
    ----------
    usually
        As `usual_of` gives it; without `present` and `anything`, nothing is said of lacking ones.
    sure
        Mean entropy near the border, the mean over the nets that vote.
    volumes
        Found, of each class, in the unit of the training data.

    Returns
    -------
    dict
        `oddness`: odd above 1. `flag`: None where it is not odd and neither usual doubts nor usual
        volumes are known. `why`: empty where it is not odd.

    Examples
    --------
    >>> usually = usual_of([0.2, 0.2], [{"a": 5.0}, {"a": 9.0}], [{"a": 5.0}, {"a": 9.0}])
    >>> flag_of(usually, 0.4, {"a": 6.0})["why"]
    'the net is less sure than usual (0.40, usually 0.20)'
    >>> flag_of(usually, 0.0, {"a": 0.0})["why"]
    'a is found nowhere, though 100 % of the learnt cases have it'
    """
    found = [*_of_doubt(usually, sure, volumes), *_of_lack(usually, volumes)]
    found += _of_volumes(usually, volumes)
    number = max((number for number, _ in found), default=0.0)
    why = "; ".join(words for number, words in found if number > 1)
    judged = usually["doubt"][0] is not None or bool(usually["volumes"])
    return {
        "oddness": number,
        "flag": True if why else False if judged else None,
        "why": why if why or judged else NOT_JUDGED,
    }


def _of_doubt(
    usually: Mapping[str, Any], sure: float, volumes: Volumes
) -> Iterator[tuple[float, str]]:
    """Yield how far the doubt is above the usual one; without a border there is no such doubt."""
    middle, spread = usually["doubt"]
    if middle is not None and any(volumes.values()):
        far = (sure - middle) / (ODD_SPREADS * max(spread, LEAST_SPREAD))
        yield far, f"the net is less sure than usual ({sure:.2f}, usually {middle:.2f})"


def _of_lack(usually: Mapping[str, Any], volumes: Volumes) -> Iterator[tuple[float, str]]:
    """Yield what is found nowhere though nearly all learnt cases have it."""
    lacking = {
        name: share
        for name, share in usually.get("present", {}).items()
        if share >= COMMON and not volumes[name]
    }
    for name, share in lacking.items():
        words = f"{100 * share:.0f} % of the learnt cases have it"
        yield MISSED, f"{name} is found nowhere, though {words}"
    anything = usually.get("anything", 0.0)
    if anything >= COMMON and not lacking and not any(volumes.values()):
        words = f"{100 * anything:.0f} % of the learnt cases have some class"
        yield MISSED, f"nothing is found, though {words}"


def _of_volumes(usually: Mapping[str, Any], volumes: Volumes) -> Iterator[tuple[float, str]]:
    """Yield how far volumes lie outside of those that are usual."""
    for name, (least, most) in usually["volumes"].items():
        own = volumes[name]
        if own > 0 and most > 0 and not least <= own <= most:
            far = abs(np.log(own / (most if own > most else least))) / np.log(ODD_VOLUME)
            yield float(far), f"{name} measures {own:.4g}, learnt were {least:.4g} to {most:.4g}"


def with_flags(
    rows: pd.DataFrame, usually: Mapping[str, Any], middle: float | None
) -> pd.DataFrame:
    """Return rows of cases with the columns oddness, flag, why and poor; a case has one of each.

    Parameters
    ----------
    rows
        Of one model and seed, with example, class, doubt, volume_pred (or volume_found, where the
        truth leaves parts open), tp, fp, fn.
    usually
        As `usual_of` gives it: of other cases.
    middle
        Median Dice of held-out cases: a case with no more than `POOR` of it is poor, and so is one
        with a Dice of 0 whatever the others have. None: nobody knows.
    """
    from neuroloom.learn.dense.measures.judge import dice_of_cases

    doubts, scores = rows.groupby("example")["doubt"].first(), dice_of_cases(rows)
    said = {
        name: flag_of(usually, float(doubts[name]), volumes)
        | {"poor": None if middle is None else bool(scores[name] <= POOR * middle)}
        for name, volumes in volumes_by_case(rows).items()
    }
    out = rows.copy()
    for column in ("oddness", "flag", "why", "poor"):
        out[column] = [said[name][column] for name in rows["example"]]
    return out.astype({"flag": "boolean", "poor": "boolean"})


def volumes_by_case(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return example -> class -> volume found, in the whole image also where its truth is open."""
    column = "volume_found" if "volume_found" in rows else "volume_pred"
    cases = rows.groupby("example", sort=False)
    return {name: dict(zip(own["class"], own[column], strict=True)) for name, own in cases}


def cases_of(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return a row a role and case: unit, oddness (mean over seeds), flag, why, poor.

    A case is flagged if it is with any seed, and poor if it is with half of them.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"role": "model", "example": "a", "unit": "a", "oddness": [0.5, 1.5],
    ...     "flag": [False, True], "why": ["", "large"], "poor": [False, True]})
    >>> cases_of(rows).reset_index().astype(str).values.tolist()
    [['model', 'a', 'a', '1.0', 'True', 'large', 'True']]
    """
    known = predictions[predictions["oddness"].notna()]
    own = known.assign(poor=known["poor"].astype("boolean").astype("Float64"))
    own["flag"] = own["flag"].astype("boolean")
    cases = own.groupby(["role", "example"], sort=False).agg(
        unit=("unit", "first"), oddness=("oddness", "mean"), flag=("flag", "max"),
        why=("why", "max"), poor=("poor", "mean"),
    )  # fmt: skip
    return cases.assign(poor=cases["poor"] >= 0.5)


def score_of_flag(predictions: pd.DataFrame, seed: int = 0) -> dict[str, Entry]:
    """Return "flag_auroc" as a metric: how often a poor case is odder than another one.

    Parameters
    ----------
    predictions
        Rows with role, example, unit and the columns of `with_flags`.
    seed
        Of the bootstrap over split units.

    Returns
    -------
    Its value is None where no case is poor, or all are. Nothing, where nobody knows what is poor.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"role": "model", "example": list("abc"), "unit": list("abc"),
    ...     "oddness": [0.1, 0.3, 2.0], "flag": [False, False, True], "why": ["", "", "lost"],
    ...     "poor": [False, False, True]})
    >>> score_of_flag(rows)["flag_auroc"]["value"]
    1.0
    """
    from neuroloom.learn.scoring.intervals import bounds

    known = cases_of(predictions).dropna(subset="poor")
    roles = known.index.get_level_values("role")
    own, beside = known[roles == "model"], known[roles == "baseline"]
    if not len(own):
        return {}
    value, baseline = _auroc(own), _auroc(beside)
    entry: Entry = {"value": None, "low": None, "high": None}
    if np.isfinite(value):
        low, high = bounds(partial(_with_pseudo, own, seed), value, own["unit"], seed)
        entry = {"value": float(value), "low": low, "high": high}
    entry |= {"baseline": float(baseline) if np.isfinite(baseline) else None, "chance": 0.5}
    return {"flag_auroc": entry}


def _with_pseudo(cases: pd.DataFrame, seed: int, weights: Any) -> Any:
    """Return the AUROC of resamples that pseudo-cases join, so that a perfect one is not sure."""
    import pandas as pd

    from neuroloom.learn.scoring.intervals import PSEUDO, add_pseudo

    whole = pd.concat([cases, cases.assign(poor=True), cases.assign(poor=False)])
    rng = np.random.default_rng([seed, len(cases)])
    return _auroc(whole, add_pseudo(weights, 2 * len(cases), PSEUDO, rng))


def _auroc(cases: pd.DataFrame, weights: Any = None) -> Any:
    """Return the AUROC of the oddness for poor cases, NaN where there are none, or only such."""
    from neuroloom.learn.scoring.scores import auc

    odd, poor = cases["oddness"].to_numpy(float), cases["poor"].to_numpy(int)
    return auc(poor, np.stack([-odd, odd], 1), weights) if len(cases) else np.nan
