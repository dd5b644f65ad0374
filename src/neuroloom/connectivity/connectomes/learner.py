"""Nets on connectomes as learners: a net and a linear path, joined by what held-out graphs say."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from neuroloom.connectivity.connectomes.features import edge_places
from neuroloom.connectivity.connectomes.linear import cross_entropies, fit_ridge, sharpen
from neuroloom.learn.training.fit import FitJob, History
from neuroloom.learn.training.learner import NetLearner

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
STRENGTHS = 0.5  # what strengths count beside edges, which count 1
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

        def losses(share: float) -> np.ndarray:
            mixed = straight + share * (made - straight)
            if self.task == "classification":
                return cross_entropies(mixed, y[held])
            return np.asarray((mixed - wanted)[:, 0] ** 2)

        return choose_share({share: losses(share) for share in SHARES})

    def _linear(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fit the linear path; its weights (output, node, node_to) are for standardised edges."""
        from neuroloom.learn.training.solved import one_thread

        sharp = y if self.task == "classification" else None
        directed = bool(self.options.get("directed"))
        with one_thread():
            slope, bias = linear_path(np.asarray(x, float), self._wanted(y), directed, sharp)
        size = np.where(np.isfinite(self.input["scale"]), self.input["scale"], 0.0)
        moved = np.einsum("ij,ijo->o", self.input["mean"], slope)
        return np.moveaxis(slope * size[..., None], 2, 0), bias + moved


def choose_share(losses: dict[float, np.ndarray]) -> float:
    """Return the net's share with the least loss, or 0 where the gain is within its error.

    Parameters
    ----------
    losses
        Share -> loss of each held graph.

    Examples
    --------
    >>> choose_share({0.0: np.array([1.0, 1.1, 0.9]), 1.0: np.array([0.5, 0.6, 0.3])})
    1.0
    """
    best = min(losses, key=lambda share: float(losses[share].mean()))
    gain = losses[0.0] - losses[best]
    return best if gain.mean() > gain.std() / np.sqrt(len(gain)) else 0.0


def linear_path(
    x: np.ndarray, wanted: np.ndarray, directed: bool, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit ridge on the edges and ridge on the strengths of the nodes, and join them two to one.

    What spreads over many edges of a node shows in its strength before it shows in any edge; what
    is in single edges does not. Strengths are sums of edges, so the whole is still linear in them.

    Parameters
    ----------
    x
        Graphs (n, node, node_to).
    wanted
        Targets (n, output).
    classes
        Class of each graph, by which either part is sharpened to logits; None for numbers.

    Returns
    -------
    tuple
        Slopes (node, node_to, output) of the raw edges, and bias (output,).
    """
    places, nodes = edge_places(x.shape[1], directed), x.shape[1]
    strengths = np.concatenate([x.sum(2), x.sum(1)] if directed else [x.sum(2)], 1)
    total = 1.0 if classes is not None else 1 + STRENGTHS
    edge, bias = _slopes(x[:, *places], wanted, classes, 1 / total)
    node, more = _slopes(strengths, wanted, classes, STRENGTHS / total)
    whole = np.zeros((nodes, nodes, wanted.shape[1]))
    whole[places] = edge
    whole += node[:nodes, None] + (node[None, nodes:] if directed else 0)
    return whole, bias + more


def _slopes(
    features: np.ndarray, wanted: np.ndarray, classes: np.ndarray | None, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    found = fit_ridge(features, wanted)
    factor = weight * (1.0 if classes is None else sharpen(found.left_out, classes))
    slopes = found.weights / found.scale[:, None]
    return factor * slopes, factor * (found.bias - found.mean @ slopes)


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
