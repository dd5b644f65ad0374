"""Nets on connectomes as learners: a net and a linear path, joined by what held-out graphs say."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from neuroloom.connectivity.connectomes.features import edge_places
from neuroloom.connectivity.connectomes.linear import cross_entropy, fit_ridge, sharpen
from neuroloom.learn.fit import FitJob, History
from neuroloom.learn.learner import NetLearner

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
FEWEST = 30
UNSURE = 0.25  # share of a net that nothing could be set aside for
PATIENCE = 15


class GraphLearner(NetLearner):
    """A net on whole graphs (n, node, node_to), each edge standardised over the training graphs.

    A fifth of the training graphs is set aside: by it the best epoch is kept, and the share of the
    net beside the linear path is chosen. The linear path is then fitted to all of them. With fewer
    than 30 graphs nothing is set aside, and the net counts a quarter.

    Parameters
    ----------
    options
        Of the net; `directed` says which edges the linear path has, `linear=False` leaves the
        net alone.
    """

    def __init__(self, name: str, net: Any, **settings: Any) -> None:
        super().__init__(name, net, **settings)
        square = (self.n_channels, self.n_channels)
        self.input = {"mean": np.zeros(square), "scale": np.ones(square)}

    @property
    def validates(self) -> bool:
        """False: it sets graphs aside by itself."""
        return False

    def fresh(self) -> NetLearner:
        """Return an untrained learner of the same kind."""
        return type(self).from_spec(self.spec, self.net)

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> History:
        """Train the net, choose its share, fit the linear path."""
        job = job or FitJob()
        learnt, held = set_aside(y, self.task, job.seed)
        if len(held):
            job = dataclasses.replace(
                job, validation=(x[held], np.asarray(y)[held]), patience=PATIENCE
            )
        history = super().fit(x[learnt], np.asarray(y)[learnt], job=job)
        if self.options.get("linear", True):
            self._blend(x, np.asarray(y), learnt, held)
        return history

    def begin(self, x: np.ndarray, y: np.ndarray, job: FitJob) -> tuple[np.ndarray, np.ndarray]:
        """Take new weights, and show every net the mean of the training graphs."""
        import torch

        examples = super().begin(x, y, job)
        mean = torch.as_tensor(self.input["mean"], dtype=torch.float32)
        for net in self.model.nets:  # type: ignore[union-attr]
            net.see(mean)  # type: ignore[operator]
        return examples

    def _measure(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take mean and SD of every edge, and of a numeric target."""
        super()._measure(x, y)
        mean, spread = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
        self.input = {"mean": mean, "scale": np.where(spread > 1e-9, spread, np.inf)}

    def _wanted(self, y: np.ndarray) -> np.ndarray:
        if self.task == "classification":
            return np.eye(self.n_outputs)[y]
        return ((y - self.target["mean"]) / self.target["scale"])[:, None]

    def _blend(self, x: np.ndarray, y: np.ndarray, learnt: np.ndarray, held: np.ndarray) -> None:
        import torch

        share = self._share(x, y, learnt, held) if len(held) else UNSURE
        weights, bias = self._linear(x, y)
        for net in self.model.nets:  # type: ignore[union-attr]
            parts = (torch.as_tensor(part, dtype=torch.float32) for part in (weights, bias))
            net.blend(*parts, share)  # type: ignore[operator]

    def _share(self, x: np.ndarray, y: np.ndarray, learnt: np.ndarray, held: np.ndarray) -> float:
        """Return the net's share with the least loss on graphs that neither path has seen."""
        import torch

        weights, bias = self._linear(x[learnt], y[learnt])
        windows, _ = self._tensors(x[held], y[held])
        straight = np.einsum("nij,oij->no", windows, weights) + bias
        with torch.inference_mode():
            made = self.model.outputs(torch.as_tensor(windows)).mean(0).double().numpy()  # type: ignore[operator]
        wanted = self._wanted(y[held])

        def loss(share: float) -> float:
            mixed = straight + share * (made - straight)
            if self.task == "classification":
                return cross_entropy(mixed, y[held])
            return float(((mixed - wanted) ** 2).mean())

        return min(SHARES, key=loss)

    def _linear(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fit the linear path; its weights (output, node, node_to) are for standardised edges."""
        from neuroloom.connectivity.connectomes.estimators import one_thread

        wanted, directed = self._wanted(y), bool(self.options.get("directed"))
        with one_thread():
            slope, bias, left = linear_path(np.asarray(x, float), wanted, directed)
        factor = sharpen(left, y) if self.task == "classification" else 1.0
        size = np.where(np.isfinite(self.input["scale"]), self.input["scale"], 0.0)
        moved = np.einsum("ij,ijo->o", self.input["mean"], slope)
        return factor * np.moveaxis(slope * size[..., None], 2, 0), factor * (bias + moved)


def linear_path(
    x: np.ndarray, wanted: np.ndarray, directed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit ridge on the edges, on the strengths of the nodes, or on both, whichever errs least.

    What errs least is told by leaving out each training graph in turn.

    Parameters
    ----------
    x
        Graphs (n, node, node_to).
    wanted
        Targets (n, output).

    Returns
    -------
    tuple
        Slopes (node, node_to, output) of the raw edges, bias (output,), left-out scores.
    """
    places = edge_places(x.shape[1], directed)
    edges = x[:, *places]
    nodes = np.concatenate([x.sum(2), x.sum(1)] if directed else [x.sum(2)], 1)
    parts = {"edges": edges, "nodes": nodes, "both": np.concatenate([edges, nodes], 1)}
    balance = np.sqrt(edges.shape[1] / nodes.shape[1])
    gains = {"both": np.r_[np.ones(edges.shape[1]), np.full(nodes.shape[1], balance)]}
    fits = {name: fit_ridge(part, wanted, gains.get(name)) for name, part in parts.items()}
    name = min(fits, key=lambda one: float(((fits[one].left_out - wanted) ** 2).mean()))
    found = fits[name]
    slopes = found.weights / found.scale[:, None]
    whole = np.zeros((x.shape[1], x.shape[1], wanted.shape[1]))
    if name != "nodes":
        whole[places] = slopes[: edges.shape[1]]
    if name != "edges":
        last = slopes[-nodes.shape[1] :]
        whole += last[: x.shape[1], None] + (last[None, x.shape[1] :] if directed else 0)
    return whole, found.bias - found.mean @ slopes, found.left_out


def set_aside(y: np.ndarray, task: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which examples are learnt from and which are held: a fifth of each class.

    Examples
    --------
    >>> learnt, held = set_aside(np.arange(40) % 2, "classification", 0)
    >>> len(learnt), len(held)
    (32, 8)
    """
    everyone = np.arange(len(y))
    if len(y) < FEWEST:
        return everyone, everyone[:0]
    rng = np.random.default_rng([seed, 5])
    groups = np.asarray(y) if task == "classification" else np.zeros(len(y))
    parts = [rng.permutation(np.flatnonzero(groups == k)) for k in np.unique(groups)]
    held = np.sort(np.concatenate([part[: len(part) // 5] for part in parts]))
    return np.setdiff1d(everyone, held), held
