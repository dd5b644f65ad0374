"""Nodes as examples: each is a place in a graph, and the graph comes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Nodes:
    """Nodes of graphs, indexed like the first axis of an array.

    A learner gets the graph around its nodes whole, whether their types are known or not; which
    graphs these are never crosses a split by graph, for `where` holds only the nodes asked for.

    Parameters
    ----------
    graphs
        Matrices (node, node_to).
    where
        Graph and place in it of each node, (n, 2).

    Examples
    --------
    >>> two = Nodes([np.zeros((3, 3)), np.zeros((2, 2))], np.array([[0, 1], [1, 0], [1, 1]]))
    >>> len(two), len(two[np.array([1, 2])].graphs)
    (3, 1)
    """

    def __init__(self, graphs: Sequence[np.ndarray], where: np.ndarray) -> None:
        used, first = np.unique(where[:, 0], return_inverse=True)
        self.graphs = [graphs[int(k)] for k in used]
        self.where = np.stack([first.ravel(), where[:, 1]], 1).astype(np.int64)

    def __len__(self) -> int:
        return len(self.where)

    def __getitem__(self, rows: Any) -> Nodes:
        return Nodes(self.graphs, self.where[rows])

    @property
    def shape(self) -> tuple[int, int]:
        """As an array would have it: nodes, and the most that a graph has."""
        return len(self), max((len(graph) for graph in self.graphs), default=0)

    def all_nodes(self) -> Nodes:
        """Return every node of these graphs."""
        where = [(g, k) for g, graph in enumerate(self.graphs) for k in range(len(graph))]
        return Nodes(self.graphs, np.array(where).reshape(-1, 2))

    def pick(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Return the rows of these nodes from one array (node, …) a graph."""
        return np.array([values[g][k] for g, k in self.where])

    def of_each(self, describe: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return what `describe` says of these nodes, given a whole graph at a time."""
        return self.pick([describe(graph) for graph in self.graphs])

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows of all nodes as one array a graph."""
        return np.split(rows, np.cumsum([len(graph) for graph in self.graphs])[:-1])

    def places(self) -> np.ndarray:
        """Return where these nodes stand among all nodes of their graphs, (n,)."""
        start = np.concatenate([[0], np.cumsum([len(graph) for graph in self.graphs])[:-1]])
        return start[self.where[:, 0]] + self.where[:, 1]
