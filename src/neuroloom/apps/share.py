"""How much of a job is done, by one line of its log: for the terminal and for the studio."""

from __future__ import annotations

from typing import Any


def share_of(line: dict[str, Any], epochs: int) -> float | None:
    """Return the share (0 to 1) that a line of progress, or of a finished fit, stands for.

    Parameters
    ----------
    line
        With `done` of `total`, or `fit` of `fits` and, inside one, `step` of `steps` or `epoch`.
    epochs
        Of a fit, as planned; 0 if that is not known.

    Returns
    -------
    float or None
        None if the line does not tell.

    Examples
    --------
    >>> fit = {"event": "progress", "fit": 2, "fits": 4}
    >>> share_of(fit | {"step": 30, "steps": 60}, 0), share_of(fit | {"epoch": 4}, 8)
    (0.375, 0.375)
    """
    if line.get("total"):
        return min(1.0, float(line["done"]) / line["total"])
    if not line.get("fits"):
        return None
    inside = 1.0
    if line["event"] == "progress":
        whole = line.get("steps") or epochs
        at = line.get("step") if line.get("steps") else line.get("epoch")
        inside = min(1.0, (at or 0) / whole) if whole else 0.0
    return float(line["fit"] - 1 + inside) / line["fits"]
