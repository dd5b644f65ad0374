"""Pieces of one event vote: from predictions of windows to predictions of what they were cut from.

A gesture of two seconds is decoded in ten windows; how often a window is right and how often the
gesture is are two questions.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

WHOLE = "piece_of"
METRICS = ("accuracy", "balanced_accuracy", "auc")


def has_pieces(predictions: pd.DataFrame) -> bool:
    """Return whether some examples of a predictions table are pieces of one event."""
    if WHOLE not in predictions or predictions[WHOLE].isna().any():
        return False
    keys = [name for name in ("role", "seed") if name in predictions]
    return bool(predictions.duplicated([*keys, WHOLE]).any())


def voted(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return one row for each event, role and seed: the mean probabilities of its pieces.

    Parameters
    ----------
    predictions
        With a column `piece_of`: the name of the event that the row was cut from.
    classes
        Class names in the order of the columns p_<class>.

    Examples
    --------
    >>> rows = pd.DataFrame({"piece_of": list("aab"), "y_true": list("xxy"), "unit": "1",
    ...     "p_x": [0.9, 0.4, 0.2], "p_y": [0.1, 0.6, 0.8]})
    >>> voted(rows, ["x", "y"])["y_pred"].tolist()
    ['x', 'y']
    """
    keys = [name for name in ("role", "seed") if name in predictions]
    scores = [f"p_{name}" for name in classes]
    how = {name: "mean" if name in scores else "first" for name in predictions.columns}
    groups = predictions.groupby([*keys, WHOLE], sort=False, dropna=False)
    table = groups.agg({name: how[name] for name in how if name not in (*keys, WHOLE)})
    table = table.reset_index()
    table["example"] = pd.factorize(table[WHOLE])[0]
    best = table[scores].to_numpy().argmax(axis=1)
    table["y_pred"] = [classes[k] for k in best]
    return table
