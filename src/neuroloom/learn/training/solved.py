"""What learners without epochs share: how their fit went, and linear algebra on one thread."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Solved:
    """How a fit went that has no epochs: what a net's history is to a net.

    Examples
    --------
    >>> Solved().epochs
    []
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = "solved in one step"
    turns: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # of pace: none


def one_thread() -> AbstractContextManager[Any]:
    """Keep linear algebra on one thread for a while.

    The matrices are small: threads gain nothing, cost seconds where processes compete for cores,
    and make the last bits depend on the machine.

    Examples
    --------
    >>> with one_thread():
    ...     pass
    """
    import scipy.linalg  # noqa: F401  (its own BLAS has to be loaded before it can be limited)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")
