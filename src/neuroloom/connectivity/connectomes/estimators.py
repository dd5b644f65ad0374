"""Learners without epochs: of whole graphs (ridge on edges or degrees), and of nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.connectivity.connectomes import features
from neuroloom.connectivity.connectomes.linear import fit_ridge, sharpen
from neuroloom.connectivity.connectomes.nodes import Nodes
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.training.solved import Solved, one_thread

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob

Arrays = dict[str, np.ndarray]
ROUNDS = 2
SMALLEST = 1e-6


class Estimator(ABC):
    """A learner with the verbs of every other, whose state is named arrays.

    Parameters
    ----------
    name
        Of the model.
    settings
        Plain data that rebuild it: `task`, `n_outputs`, `directed`.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        self.name, self.settings = name, settings
        self._arrays: Arrays = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Name and constructor arguments."""
        return {"name": self.name, **self.settings}

    def fit(self, x: Any, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Learn from graphs (n, node, node_to), or `Nodes`, and their targets (n,).

        Raises
        ------
        DataError
            If all training examples are of one class.
        """
        y = np.asarray(y)
        if self.settings["task"] == "classification" and len(np.unique(y)) < 2:
            raise DataError(f"{self.name}: the {len(y)} training examples are all of one class.")
        with one_thread():
            self._arrays = self.solve(x, y, 0 if job is None else job.seed)
        return Solved()

    def predict_scores(self, x: Any) -> np.ndarray:
        """Return log-probabilities (n, class), or numbers (n,)."""
        if not self._arrays:
            raise ConfigError(f"{self.name} is not fitted yet; call fit or load first.")
        with one_thread():
            return self.scores(x, self._arrays)

    def state(self) -> Arrays:
        """Return what was learnt as named arrays."""
        return dict(self._arrays)

    def load(self, state: Arrays) -> None:
        """Take back what `state` gave."""
        self._arrays = {name: np.asarray(array) for name, array in state.items()}

    @abstractmethod
    def solve(self, x: Any, y: np.ndarray, seed: int) -> Arrays:
        """Learn, and return what was learnt."""

    @abstractmethod
    def scores(self, x: Any, arrays: Arrays) -> np.ndarray:
        """Score examples."""


class EdgeRidge(Estimator):
    """Ridge on all edges: for classes on their indicators, sharpened to probabilities.

    As connectome-based prediction without choice of edges; its penalty and its sharpness come from
    exact leave-one-out scores of the training examples.
    """

    def features(self, x: Any) -> np.ndarray:
        """Return the edges (n, edge)."""
        places = features.edge_places(x.shape[1], self.settings["directed"])
        return np.asarray(x[:, *places], float)

    def solve(self, x: Any, y: np.ndarray, seed: int) -> Arrays:
        """Fit the ridge."""
        classify = self.settings["task"] == "classification"
        wanted = np.eye(self.settings["n_outputs"])[y] if classify else y[:, None].astype(float)
        found = fit_ridge(self.features(x), wanted)
        factor = sharpen(found.left_out, y) if classify else 1.0
        return {
            "mean": found.mean,
            "scale": found.scale,
            "weights": found.weights * factor,
            "bias": found.bias * factor,
        }

    def scores(self, x: Any, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities, or numbers."""
        z = (self.features(x) - arrays["mean"]) / arrays["scale"]
        values = z @ arrays["weights"] + arrays["bias"]
        return _log_softmax(values) if self.settings["task"] == "classification" else values[:, 0]


class DegreeRidge(EdgeRidge):
    """Ridge on strengths and degrees of the nodes alone."""

    def features(self, x: Any) -> np.ndarray:
        """Return strengths and degrees (n, 4 * node)."""
        return features.degrees(np.asarray(x, float))


class NodeEstimator(Estimator):
    """Base of the learners of nodes: they see profiles, not names."""

    def describe(self, nodes: Nodes) -> np.ndarray:
        """Return the features (n, p) of nodes."""
        return nodes.of_each(features.node_profiles)


class Discriminant(NodeEstimator):
    """Linear discriminant with a shrunk covariance; every type counts alike, however rare.

    Shrinkage of Ledoit & Wolf (2004), J. Multivar. Anal. 88(2), 365-411.
    """

    def solve(self, x: Nodes, y: np.ndarray, seed: int) -> Arrays:
        """Fit to profiles."""
        weights, bias = discriminant(self.describe(x), y, self.settings["n_outputs"])
        return {"weights": weights, "bias": bias}

    def scores(self, x: Nodes, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities."""
        return _log_softmax(self.describe(x) @ arrays["weights"] + arrays["bias"])


class NodeDegrees(Discriminant):
    """The discriminant on degree and strength alone."""

    def describe(self, nodes: Nodes) -> np.ndarray:
        """Return four numbers a node."""
        return nodes.of_each(lambda one: features.standardise(features.node_degrees(one)))


class Types(NodeEstimator):
    """Types told by the types of those a node talks to, in rounds.

    A discriminant on profiles gives every node of a graph its likely types; how a node connects to
    each of them are further features, and the next discriminant reads both (iterative
    classification: Neville & Jensen 2000, AAAI workshop). In training a node's type is
    guessed by a fit without it, as it will be in a graph that has no labels. The rounds vote.
    """

    def solve(self, x: Nodes, y: np.ndarray, seed: int) -> Arrays:
        """Fit a discriminant a round."""
        rng = np.random.default_rng(seed)
        k, shares = self.settings["n_outputs"], None
        arrays: Arrays = {}
        for number in range(ROUNDS + 1):
            seen = self._features(x, shares)
            every = self._features(x.all_nodes(), shares)
            weights, bias = discriminant(seen, y, k)
            arrays |= {f"weights{number}": weights, f"bias{number}": bias}
            guessed = _softmax(every @ weights + bias)
            guessed[x.places()] = _guessed_without(seen, y, k, rng)
            shares = x.all_nodes().split(guessed)
        return arrays

    def _features(self, x: Nodes, shares: list[np.ndarray] | None) -> np.ndarray:
        own = self.describe(x)
        if shares is None:
            return own
        more = [features.type_profiles(g, s) for g, s in zip(x.graphs, shares, strict=True)]
        return np.concatenate([own, x.pick(more)], 1)

    def scores(self, x: Nodes, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities: the mean of the rounds'."""
        shares, votes, every = None, [], x.all_nodes()
        for number in range(ROUNDS + 1):
            logits = self._features(every, shares) @ arrays[f"weights{number}"]
            guessed = _softmax(logits + arrays[f"bias{number}"])
            shares = every.split(guessed)
            votes.append(x.pick(shares))
        return np.log(np.maximum(np.mean(votes[1:], 0), SMALLEST))


class Neighbours(NodeEstimator):
    """The five nearest training nodes vote; its state are the nodes themselves."""

    def solve(self, x: Nodes, y: np.ndarray, seed: int) -> Arrays:
        """Keep the profiles."""
        return {"x": self.describe(x), "y": y.astype(np.int64), "seed": np.array(seed)}

    def scores(self, x: Nodes, arrays: Arrays) -> np.ndarray:
        """Return log shares of the votes; nobody is ruled out."""
        from sklearn.neighbors import KNeighborsClassifier

        found = KNeighborsClassifier(min(5, len(arrays["y"])), algorithm="brute")
        return self._shares(found.fit(arrays["x"], arrays["y"]), self.describe(x))

    def _shares(self, model: Any, x: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(x), self.settings["n_outputs"]))
        whole[:, model.classes_] = model.predict_proba(x)
        return np.log((whole + 0.01) / (whole + 0.01).sum(1, keepdims=True))


class Forest(Neighbours):
    """Extremely randomised trees, grown anew from the kept nodes whenever they are needed.

    Geurts et al. (2006), Mach. Learn. 63, 3-42.
    """

    def scores(self, x: Nodes, arrays: Arrays) -> np.ndarray:
        """Return log shares of the trees."""
        from sklearn.ensemble import ExtraTreesClassifier

        trees = ExtraTreesClassifier(
            300, class_weight="balanced", min_samples_leaf=2, random_state=int(arrays["seed"])
        )
        return self._shares(trees.fit(arrays["x"], arrays["y"]), self.describe(x))


def discriminant(x: np.ndarray, y: np.ndarray, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a linear discriminant with equal priors; return weights (p, class) and bias (class,).

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> weights, bias = discriminant(x, np.array([0, 0, 1, 1]), 2)
    >>> (x @ weights + bias).argmax(1).tolist()
    [0, 0, 1, 1]
    """
    from sklearn.covariance import ledoit_wolf

    present = np.unique(y)
    means = np.array([x[y == k].mean(0) for k in present])
    inside = x - means[np.searchsorted(present, y)]
    spread = inside.std(0)
    scale = np.where(spread > 1e-9, spread, np.inf)
    covariance = ledoit_wolf(inside / scale, assume_centered=True)[0]
    covariance += 1e-6 * np.eye(len(covariance))
    scaled = means / scale
    solved = np.linalg.solve(covariance, scaled.T)
    weights = np.zeros((x.shape[1], n_outputs))
    bias = np.full(n_outputs, np.log(SMALLEST) * 100)
    weights[:, present] = solved / scale[:, None]
    bias[present] = -0.5 * (scaled.T * solved).sum(0)
    return weights, bias


def _guessed_without(
    x: np.ndarray, y: np.ndarray, n_outputs: int, rng: np.random.Generator, folds: int = 5
) -> np.ndarray:
    """Return shares of types for each node from a fit to four fifths without it."""
    dealt = np.empty(len(y), int)
    for k in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == k))
        dealt[rows] = np.arange(len(rows)) % folds
    found = np.zeros((len(y), n_outputs))
    for fold in range(folds):
        held = dealt == fold
        if held.any() and not held.all():
            weights, bias = discriminant(x[~held], y[~held], n_outputs)
            found[held] = _softmax(x[held] @ weights + bias)
    return found


def _softmax(values: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    return np.asarray(softmax(values, axis=1))


def _log_softmax(values: np.ndarray) -> np.ndarray:
    from scipy.special import log_softmax

    return np.maximum(log_softmax(values, axis=1), np.log(SMALLEST))
