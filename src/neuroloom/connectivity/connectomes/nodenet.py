"""Nets that tell the types of nodes: a whole graph goes through, the nodes asked for count."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.connectivity.connectomes.features import node_profiles
from neuroloom.connectivity.connectomes.nodes import Nodes
from neuroloom.core.errors import ConfigError
from neuroloom.learn.training.fit import FitJob, History, Training, fit, own_randomness

if TYPE_CHECKING:
    from torch import nn

FEATURES = 135
TRAINING: dict[str, Any] = {
    "epochs": 200, "batch": 1024, "lr": 5e-3, "weight_decay": 0.05, "warmup": 0.1,
    "validate": False,
}  # fmt: skip


class NodeNet:
    """A message-passing net on profiles of nodes; types count alike, however rare.

    Parameters
    ----------
    name, kind
        Of the model, and its layers: "gcn", "gat" or "gin".
    n_outputs
        Number of types.
    training
        How it is trained.
    """

    validates = False

    def __init__(
        self, name: str, *, kind: str, n_outputs: int, training: dict[str, Any] | None = None
    ) -> None:
        self.name, self.kind, self.n_outputs = name, kind, n_outputs
        self.training = Training(**(TRAINING | (training or {})))
        with own_randomness(0):
            self.net = self._build()

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again."""
        return {
            "name": self.name,
            "kind": self.kind,
            "n_outputs": self.n_outputs,
            "training": dataclasses.asdict(self.training),
        }

    def fresh(self) -> NodeNet:
        """Return an untrained learner of the same kind."""
        return NodeNet(**self.spec)

    def _build(self) -> nn.Module:
        from neuroloom.connectivity.nets.connectome import NodeMessages

        return NodeMessages(FEATURES, self.n_outputs, kind=self.kind)

    def fit(self, x: Nodes, y: np.ndarray, *, job: FitJob | None = None) -> History:
        """Train on nodes and their types (n,)."""
        from neuroloom.connectivity.nets.whole import WholeGraphs

        job = job or FitJob()
        counts = np.bincount(y, minlength=self.n_outputs)
        weight = len(y) / (np.maximum(counts, 1) * max(1, (counts > 0).sum()))
        with own_randomness(job.seed):
            self.net = self._build()
        module = WholeGraphs(self.net, *_tensors(x.graphs), weight)
        history = fit(module, x.where, np.asarray(y, np.int64), self.training, job)
        self.net = module.net.to("cpu").eval()
        return history

    def predict_scores(self, x: Nodes) -> np.ndarray:
        """Return log-probabilities (n, type)."""
        import torch

        if len(x) == 0:
            return np.empty((0, self.n_outputs))
        self.net.eval()
        with torch.inference_mode():
            made = [
                self.net(torch.as_tensor(features), torch.as_tensor(graph)).log_softmax(1)
                for features, graph in zip(*_tensors(x.graphs), strict=True)
            ]
        return x.pick([one.double().numpy() for one in made])

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights as named arrays."""
        return {
            name: value.detach().numpy().copy() for name, value in self.net.state_dict().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave.

        Raises
        ------
        ConfigError
            If the weights are another net's.
        """
        import torch

        try:
            self.net.load_state_dict({name: torch.as_tensor(v) for name, v in state.items()})
        except RuntimeError as error:
            raise ConfigError(f"{self.name}: these weights are another net's ({error}).") from None


def _tensors(graphs: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return profiles and log weights, without a diagonal, of each graph."""
    features, weights = [], []
    for graph in graphs:
        size = np.log1p(np.abs(np.asarray(graph, float)))
        np.fill_diagonal(size, 0)
        features.append(node_profiles(graph).astype(np.float32))
        weights.append(size.astype(np.float32))
    return features, weights
