"""What a careful reader would object to in images that are learnt whole."""

from __future__ import annotations

import numpy as np

from neuroloom.core.audit import ALMOST, ENOUGH, Finding, auc_alone, rank_correlation
from neuroloom.core.dataset import Dataset
from neuroloom.volumes.whole.columns import Column


def audit_whole(dataset: Dataset) -> list[Finding]:
    """Look for targets that something trivial gives away, and for images without content.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"name": ["a", "b"], "label": [1.0, 2.0]})
    >>> [f.title for f in audit_whole(Dataset(rows, np.zeros((2, 1, 4, 4)), "regression",
    ...     facts={"channels": ["image"], "columns": []}))]
    ['Flat images']
    """
    return [*_flat(dataset), *_tell_tales(dataset)]


def _flat(dataset: Dataset) -> list[Finding]:
    images = len(dataset.facts["channels"])
    spread = np.array([np.std(one[:images]) for one in dataset.x])
    names = dataset.table["name"].astype(str).to_numpy()[spread < 1e-6].tolist()
    if not names:
        return []
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    what = f"{len(names)} of {len(dataset)} images have one value only: {shown}."
    return [Finding("warning", "Flat images", what)]


def _tell_tales(dataset: Dataset) -> list[Finding]:
    """Notice columns of the table that give the target away alone."""
    found, start = [], len(dataset.facts["channels"])
    for name, levels in dataset.facts["columns"]:
        stop = start + Column(name, tuple(levels)).width
        values = np.asarray(dataset.x[:, start:stop]).reshape(len(dataset), stop - start, -1)
        found += _tell_tale(name, np.asarray(values[:, :, 0], float), dataset)
        start = stop
    return found


def _tell_tale(name: str, values: np.ndarray, dataset: Dataset) -> list[Finding]:
    """Judge a column by the numbers that it became (example, width), NaN where unknown."""
    classes = dataset.task == "classification"
    known = np.isfinite(values).all(1) | classes  # that nothing is known may tell classes apart
    if known.sum() < ENOUGH:
        return []
    values, y = np.nan_to_num(values[known]), dataset.y[known]
    if classes:
        reached = auc_alone(values, y).max()
        how = f"tells the classes apart almost perfectly (AUC {reached:.3f})"
    else:
        reached = np.abs(rank_correlation(values, y)).max()
        how = f"follows the target almost perfectly (rank correlation {reached:.3f})"
    if reached < ALMOST:
        return []
    said = f"It alone {how}. Is it known before the image is? If not, leave it out of `tabular`."
    return [Finding("warning", f"The column {name} gives the answer away", said)]
