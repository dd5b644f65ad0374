"""A net of nodes as the training loop wants it: examples are places, graphs go through whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy


class WholeGraphs(nn.Module):
    """Graphs with their net.

    Parameters
    ----------
    net
        Maps features (node, feature) and weights (node, node_to) to (node, type).
    features, weights
        Of each graph.
    balance
        Weight of each type in the loss.
    """

    def __init__(
        self,
        net: nn.Module,
        features: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
        balance: np.ndarray,
    ) -> None:
        super().__init__()
        self.net, self.count = net, len(features)
        for k, (own, graph) in enumerate(zip(features, weights, strict=True)):
            self.register_buffer(f"features{k}", torch.as_tensor(own), persistent=False)
            self.register_buffer(f"weights{k}", torch.as_tensor(graph), persistent=False)
        balance = torch.as_tensor(balance, dtype=torch.float32)
        self.register_buffer("balance", balance, persistent=False)

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Return the mean loss of nodes (graph, place)."""
        made, wanted = [], []
        for k in range(self.count):
            rows = x[:, 0] == k
            if rows.any():
                graph = self.net(getattr(self, f"features{k}"), getattr(self, f"weights{k}"))
                made.append(graph[x[rows, 1]])
                wanted.append(y[rows])
        return cross_entropy(torch.cat(made), torch.cat(wanted), weight=self.balance)

    def constrain(self) -> None:
        """Do nothing: these nets have no limits."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Turn to evaluation mode; there are no moments to measure."""
        self.eval()
