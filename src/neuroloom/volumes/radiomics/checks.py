"""What a reader would object to in a study of features."""

from __future__ import annotations

import numpy as np

from neuroloom.core.audit import ALMOST, ENOUGH, Finding, rank_correlation, tell_tale
from neuroloom.core.dataset import Dataset
from neuroloom.volumes.radiomics.outcome.models import is_volume, volume_columns

EVENTS_EACH = 10
TIED = 0.9
SHOWN = 5


def audit_features(dataset: Dataset) -> list[Finding]:
    """Look for features that are the outcome, that are the volume, and for too few cases."""
    return [*_answers(dataset), *_volumes(dataset), *_too_many(dataset), _no_retest()]


def _answers(dataset: Dataset) -> list[Finding]:
    """Name features that give the outcome away alone."""
    names, x = dataset.facts["features"], dataset.x
    filled = np.where(np.isfinite(x), x, np.nanmedian(np.where(np.isfinite(x), x, np.nan), axis=0))
    filled = np.nan_to_num(filled)
    if dataset.task == "classification":
        hits = [f"{name} (AUC {auc:.3f})" for name, auc in tell_tale(filled, dataset.y, names)]
    else:
        y = dataset.truth[:, 0] if dataset.truth is not None else dataset.y
        rho = np.abs(rank_correlation(filled, y))
        rows = np.flatnonzero((rho >= ALMOST) & (len(y) >= ENOUGH))
        hits = [f"{names[k]} (rank correlation {rho[k]:.3f})" for k in rows]
    if not hits:
        return []
    return [
        Finding(
            "warning",
            "A feature gives the answer away",
            f"Alone, it tells the outcome almost perfectly: {', '.join(hits[:SHOWN])}. Was it "
            "measured after the outcome, or made from it? If so, leave it out.",
        )
    ]


def _volumes(dataset: Dataset) -> list[Finding]:
    """Say how many features are a volume in disguise, or that there is no volume."""
    names = dataset.facts["features"]
    columns = volume_columns(names)
    if not columns:
        return [_no_volume()]
    if len(dataset) < 10:
        return []
    x = np.where(np.isfinite(dataset.x), dataset.x, 0)
    rho = np.max([np.abs(rank_correlation(x, x[:, column])) for column in columns], axis=0)
    tied = [names[k] for k in np.argsort(-rho) if rho[k] >= TIED and not is_volume(names[k])]
    if not tied:
        return []
    return [
        Finding(
            "warning" if len(tied) > len(names) / 4 else "note",
            "Features that are the volume",
            f"{len(tied)} of {len(names)} features follow the volume of a region (rank correlation "
            f"{TIED} or more): {', '.join(tied[:SHOWN])}{', …' if len(tied) > SHOWN else ''}. What "
            "they add to the volume is the distance to the baseline.",
        )
    ]


def _no_volume() -> Finding:
    return Finding(
        "warning",
        "No volume among the features",
        "No feature is the volume of a region, so what stands beside the model (`volume`) is one "
        "prediction for all: whether the features say more than the size does is not known. "
        "Measure the family morph, too, or add a column `volume`.",
    )


def _too_many(dataset: Dataset) -> list[Finding]:
    """Compare the events, or the rarer class, with the number of features."""
    if dataset.task == "survival" and dataset.truth is not None:
        events, what = int(dataset.truth[:, 1].sum()), "events"
    elif dataset.task == "classification":
        events = int(np.bincount(dataset.y).min())
        what = "cases of the rarest class"
    else:
        events, what = len(dataset), "cases"
    features = dataset.x.shape[1]
    if events >= EVENTS_EACH * features:
        return []
    return [
        Finding(
            "warning",
            "Few events for so many features",
            f"{events} {what} stand against {features} features: fewer than {EVENTS_EACH} each. "
            "Features are chosen and penalised inside the training folds; the names of those "
            "chosen will differ in other data.",
        )
    ]


def _no_retest() -> Finding:
    return Finding(
        "note",
        "No test-retest",
        "Each region was measured once: how far a feature changes with a second scan, or another "
        "outline, is not known. Unstable features only add noise; where two scans exist, leave "
        "those out that differ.",
    )
