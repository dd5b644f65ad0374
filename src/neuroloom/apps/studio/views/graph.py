"""Graphs as a matrix and as a drawing of nodes and links."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.apps.studio.views import View, Window
from neuroloom.apps.studio.views.asked import changed, choice, picture, whole
from neuroloom.core.errors import DataError
from neuroloom.core.files import to_json

if TYPE_CHECKING:
    from neuroloom.apps.studio.service import Studio

MOST_NODES = 3000
DRAWN = 400  # nodes up to which links are drawn
MOST_LINKS = 3000


class GraphView(View):
    """Who is connected to whom."""

    kind = "graph"

    def header(self, path: Path) -> dict[str, Any]:
        """Return nodes, links, whether links have a direction, and the range of weights."""
        names, weights, directed = read_graph(path, *changed(path))
        there = weights[weights != 0]
        return {
            "nodes": names,
            "links": int(len(there) if directed else np.count_nonzero(np.triu(weights))),
            "directed": directed,
            "low": float(there.min(initial=0.0)),
            "high": float(there.max(initial=0.0)),
            "drawn": len(names) <= DRAWN,
        }

    def window(self, path: Path, asked: dict[str, str]) -> Window:
        """Return the matrix as PNG (rows are sources), or with `what=drawing` places and links."""
        names, weights, directed = read_graph(path, *changed(path))
        if choice(asked, "what", ("matrix", "drawing")) == "matrix":
            most = whole(asked, "size", 720, 32, 2000)
            return picture(_as_grey(weights, most))
        if len(names) > DRAWN:
            raise DataError(f"{path.name}: {len(names)} nodes are too many to be drawn as links.")
        rows, columns = np.nonzero(weights if directed else np.triu(weights))
        strength = np.abs(weights[rows, columns])
        strongest = np.argsort(-strength)[:MOST_LINKS]
        links = [[int(rows[k]), int(columns[k]), float(weights[rows[k], columns[k]])]
                 for k in strongest]  # fmt: skip
        places = _places(path, *changed(path)).round(4).tolist()
        return Window(to_json({"places": places, "links": links}).encode())

    def show(self, studio: Studio, data: str, over: str = "") -> None:
        """Build the viewer."""
        from neuroloom.apps.studio.views.element import place

        self.header(studio.file(data))
        place("graph", data, f"Graph {data.rpartition('/')[2]}")


@lru_cache(maxsize=4)
def read_graph(path: Path, when: int, size: int) -> tuple[list[str], np.ndarray, bool]:
    """Return names of nodes, weights (node, node_to), and whether links have a direction.

    Raises
    ------
    DataError
        If it cannot be read or has too many nodes to be looked at.
    """
    import networkx as nx

    try:
        graph = (
            nx.read_graphml(path) if path.suffix == ".graphml" else nx.read_gml(path, label=None)
        )
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name} cannot be read as a graph ({said}).") from None
    if not 0 < len(graph) <= MOST_NODES:
        raise DataError(f"{path.name} has {len(graph)} nodes; 1 to {MOST_NODES} are shown here.")
    names = [str(graph.nodes[node].get("name", node)) for node in graph]
    return names, np.nan_to_num(nx.to_numpy_array(graph)), bool(graph.is_directed())


@lru_cache(maxsize=4)
def _places(path: Path, when: int, size: int) -> np.ndarray:
    """Return where nodes are drawn, (node, 2), 0 to 1: near to whom they are linked."""
    import networkx as nx

    _, weights, _ = read_graph(path, when, size)
    graph = nx.from_numpy_array(np.abs(weights) + np.abs(weights.T))
    found = nx.spring_layout(graph, seed=0, iterations=40)
    places = np.array([found[k] for k in range(len(weights))])
    low, high = places.min(0), places.max(0)
    return (places - low) / np.maximum(high - low, 1e-9)


def _as_grey(weights: np.ndarray, most: int) -> np.ndarray:
    """Return a matrix as a picture, dark is strong, each cell a square of whole pixels."""
    strength = np.abs(weights)
    top = np.quantile(strength[strength > 0], 0.98) if (strength > 0).any() else 1.0
    grey = 255 - (255 * np.clip(strength / max(float(top), 1e-12), 0, 1)).astype(np.uint8)
    times = max(1, most // len(weights))
    return np.repeat(np.repeat(grey, times, 0), times, 1)
