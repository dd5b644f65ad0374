"""How far off the points of labelled moments are: rows, metrics and what a spread means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.learn.scoring.intervals import interval
from neuroloom.pose.confidence import Calibration, calibrate, cross_fitted, slope
from neuroloom.pose.rig.triangulate import triangulate
from neuroloom.pose.volume.find import predict_views
from neuroloom.pose.volume.kept import Found, Kept, find, find_around
from neuroloom.pose.volume.views import Views, centres_of

Floats = NDArray[np.float64]
RESAMPLES, TAIL = 1000, 0.025
PARTS = 5  # stretches of moments; what spreads mean is learnt from the others
METRICS = (
    "mean_error_mm", "median_error_mm", "mean_error_mm/centre_known", "com_error", "found",
    "expectation_slope",
)  # fmt: skip


def judge(kept: Kept, views: Views, frames: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Return a row a moment and keypoint: where it is, where it was found, and errors.

    Errors are in the rig's unit. `error` is that of the volume net where the animal had to be found
    first, `error_centre_known` where the cube is laid round the labelled points; `two_step` is each
    camera alone by the same 2-D net in the same crops, then linear triangulation, `two_step_robust`
    leaves views out that do not fit; `mean_pose` is the mean pose round the centre found. `com` is
    the error of that centre.
    """
    truth = centres_of(views.points)
    found = find(kept, views)
    others = {
        "error_centre_known": find_around(kept, views, truth)[0],
        "mean_pose": found.centres[:, None] + kept.mean,
    }
    for name, method in (("two_step", "linear"), ("two_step_robust", "robust")):
        others[name] = two_step(kept, views, found, method)
    moment, keypoint = (a.ravel() for a in np.indices(found.spread.shape))
    table: dict[str, Any] = {
        "frame": frames[moment], "keypoint": np.array(names, object)[keypoint]
    }  # fmt: skip
    for axis, letter in enumerate("xyz"):
        table[letter] = found.places[..., axis].ravel()
        table[f"{letter}_true"] = views.points[..., axis].ravel()
    table["spread"] = found.spread.ravel()
    for name, places in ({"error": found.places} | others).items():
        table[name] = np.linalg.norm(places - views.points, axis=-1).ravel()
    table["com"] = np.linalg.norm(found.centres - truth, axis=-1)[moment]
    rows = pd.DataFrame(table)
    rows["known"] = np.isfinite(views.points).all(-1).ravel()
    return rows


def two_step(kept: Kept, views: Views, found: Found, method: Any) -> Floats:
    """Return the places by each camera alone, then triangulation: what a volume must beat."""
    out = np.full_like(found.places, np.nan)
    rows = np.flatnonzero(np.isfinite(found.cubes).all(-1))
    if not len(rows):
        return out
    own, around = views.take(rows), found.cubes[rows]
    done = [predict_views(net, own, around, kept.shape) for net in kept.nets]
    trust = [sure if method == "robust" else None for _, sure in done]
    places = [
        triangulate(views.rig, pixels, own_trust, method)
        for (pixels, _), own_trust in zip(done, trust, strict=True)
    ]
    out[rows] = np.mean(places, axis=0)
    return out


def with_expectation(rows: pd.DataFrame, reach: float) -> pd.DataFrame:
    """Return rows with the expected error and the confidence that other stretches taught."""
    spread, error = rows["spread"].to_numpy(float), rows["error"].to_numpy(float)
    place = pd.factorize(rows["frame"])[0]
    part = (place * PARTS // (place.max() + 1)).astype(np.int64)
    there, sure = np.full(len(rows), np.nan), np.zeros(len(rows))
    for own, known in cross_fitted(spread, error, part, reach):
        there[own], sure[own] = expect(known, spread[own])
    return rows.assign(expected_error=there, confidence=sure)


def expect(known: Calibration | None, spread: Floats) -> tuple[Floats, Floats]:
    """Return expected error and confidence; without a calibration the spread is expected."""
    if known is None:
        return spread, np.where(np.isfinite(spread), np.exp(-spread), 0.0)
    return known.errors(spread), np.where(np.isfinite(spread), known.confidence(spread), 0.0)


def calibration_of(rows: pd.DataFrame, reach: float) -> Calibration | None:
    """Return what spreads meant in moments held out; None if nothing was found."""
    if not rows["error"].notna().any():
        return None
    return calibrate(rows["spread"].to_numpy(float), rows["error"].to_numpy(float), reach)


def summarise(rows: pd.DataFrame, seed: int) -> dict[str, dict[str, float | None]]:
    """Return the metrics with intervals over moments; None where nothing was found."""
    rows = rows[rows["known"]].assign(there=rows["error"].notna().astype(float))
    parts = [part for _, part in rows.groupby("frame")]
    drawn = np.random.default_rng(seed).integers(len(parts), size=(RESAMPLES, len(parts)))
    score = partial(_entry, rows, parts, drawn)
    made = (
        score("error", np.mean, ("two_step", "mean_pose")),
        score("error", np.median, ("two_step", "mean_pose")),
        score("error_centre_known", np.mean),
        score("com", np.mean),
        score("there", np.mean),
        _numbers(
            float(slope(rows["expected_error"].to_numpy(float), rows["error"].to_numpy(float)))
        ),
    )
    return dict(zip(METRICS, made, strict=True))


def _entry(
    rows: pd.DataFrame, parts: list[pd.DataFrame], drawn: np.ndarray, name: str,
    of: Callable[..., Any], beside: tuple[str, ...] = (),
) -> dict[str, float | None]:  # fmt: skip
    """Return value, low, high, baseline and chance of a column."""
    values = [part[name].dropna().to_numpy(float) for part in parts]
    draws = [_score(np.concatenate([values[i] for i in row]), of) for row in drawn]
    value = _score(np.concatenate(values), of)
    others = [_score(rows[column].dropna().to_numpy(float), of) for column in beside]
    return _numbers(value, *interval(draws, value, TAIL), *others)


def _numbers(*said: float) -> dict[str, float | None]:
    keys = ("value", "low", "high", "baseline", "chance")
    whole = [*said, *[np.nan] * (len(keys) - len(said))]
    return {k: float(v) if np.isfinite(v) else None for k, v in zip(keys, whole, strict=True)}


def _score(values: Floats, of: Callable[..., Any]) -> float:
    return float(of(values)) if values.size else float("nan")
