"""What a careful reader would object to in images that are learnt whole."""

from __future__ import annotations

import numpy as np

from neuroloom.core.audit import Finding, tell_tale
from neuroloom.core.dataset import Dataset


def audit_whole(dataset: Dataset) -> list[Finding]:
    """Look for targets that something trivial gives away, and for images without content.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"name": ["a", "b"], "label": [1.0, 2.0]})
    >>> [f.title for f in audit_whole(Dataset(rows, np.zeros((2, 1, 4, 4)), "regression",
    ...     facts={"channels": ["image"], "n_table": 0}))]
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
    """Notice columns of the table that tell the classes apart alone."""
    n_table = int(dataset.facts["n_table"])
    if dataset.task != "classification" or n_table == 0:
        return []
    table = dataset.x[:, -n_table:].reshape(len(dataset), n_table, -1)[:, :, 0]
    names = [
        name if len(levels) < 3 else f"{name}={level}"
        for name, levels in dataset.facts["columns"]
        for level in (levels[1:] or [""])
    ]
    known = np.nan_to_num(np.asarray(table, dtype=float))
    return [
        Finding(
            "warning",
            f"The column {name} gives the answer away",
            f"It alone tells the classes apart almost perfectly (AUC {auc:.3f}). Is it known "
            "before the image is? If not, leave it out of `tabular`.",
        )
        for name, auc in tell_tale(known, dataset.y, names)
    ]
