"""Odd-one-out judgements: how well features agree with people, and features turned towards them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Triplets = NDArray[np.int64]


@dataclass(frozen=True)
class Alignment:
    """A map of features: `(x - mean) / scale @ weight + bias`.

    Attributes
    ----------
    mean, bias
        Shape (feature,).
    scale
        One number, so that no feature gains by its unit.
    weight
        Shape (feature, feature).
    loss
        At the end.
    """

    mean: Floats
    scale: float
    weight: Floats
    bias: Floats
    loss: float

    def __call__(self, features: ArrayLike) -> Floats:
        """Return aligned features (stimulus, feature)."""
        standard = (np.asarray(features, dtype=float) - self.mean) / self.scale
        return np.asarray(standard @ self.weight + self.bias)


def read_triplets(values: ArrayLike, count: int) -> Triplets:
    """Check judgements: (judgement, 3) numbers of stimuli, the odd one last.

    Raises
    ------
    DataError
        With the row that does not fit.
    """
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        raise DataError(
            f"Judgements have the shape {rows.shape}; expected (judgement, 3), the odd one last."
        )
    whole = rows.astype(np.int64)
    alike = (np.diff(np.sort(whole, 1), axis=1) == 0).any(1)
    beyond = ((whole != rows) | (whole < 0) | (whole >= count)).any(1)
    bad = np.flatnonzero(alike | beyond)
    if bad.size:
        raise DataError(
            f"Judgement {bad[0]}: {rows[bad[0]].tolist()}; expected three different stimuli, from "
            f"0 to {count - 1}."
        )
    return whole


def odd_one_out(features: ArrayLike, triplets: Triplets, cosine: bool = False) -> NDArray[np.bool_]:
    """Return for each judgement whether features choose the same odd one.

    The two most similar of three belong together; the third is odd. Chance is 1/3.

    Parameters
    ----------
    features
        Shape (stimulus, feature).
    cosine
        Compare by cosine, not inner product.

    Examples
    --------
    >>> odd_one_out([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]], np.array([[0, 1, 2]]))
    array([ True])
    """
    x = np.asarray(features, dtype=float)
    if cosine:
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
    alike = (x @ x.T)[triplets[:, [0, 0, 1]], triplets[:, [1, 2, 2]]]
    return np.asarray(alike[:, 0] > alike[:, 1:].max(1))


def align(
    features: ArrayLike,
    triplets: Triplets,
    *,
    penalty: float = 0.1,
    local: float = 0.1,
    temperature: float = 0.1,
    steps: int = 100,
) -> Alignment:
    """Turn features so that they choose the odd ones that people chose, and keep their locality.

    Parameters
    ----------
    features
        Shape (stimulus, feature).
    triplets
        Of `read_triplets`; only their stimuli are learnt from.
    penalty
        Weight of the distance of the map from a multiple of the identity.
    local
        Weight of the loss that keeps each stimulus's neighbours as they were (0: global only).
    temperature
        Of the neighbours.
    steps
        Iterations of L-BFGS, at most.

    References
    ----------
    Muttenthaler et al. (2023), NeurIPS 36 (gLocal), eq. 1-5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(30, 6))
    >>> drawn = np.array([rng.permutation(30)[:3] for _ in range(400)])
    >>> truth = x * [3, 0, 0, 0, 0, 0]
    >>> judged = np.array([t if odd_one_out(truth, t[None])[0] else t[[0, 2, 1]] for t in drawn])
    >>> judged = judged[odd_one_out(truth, judged)]
    >>> found = align(x, judged, penalty=0.01)
    >>> bool(odd_one_out(found(x), judged).mean() > odd_one_out(x, judged).mean() + 0.1)
    True
    """
    import torch

    x = np.asarray(features, dtype=float)
    used = np.unique(triplets)
    mean = x[used].mean(0)
    scale = float(np.sqrt(((x[used] - mean) ** 2).sum(1).mean())) or 1.0
    inner = torch.as_tensor((x[used] - mean) / scale)
    rows = torch.as_tensor(np.searchsorted(used, triplets))
    size = x.shape[1]
    weight = torch.eye(size, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    before = _neighbours(inner, temperature)
    climber = torch.optim.LBFGS(
        [weight, bias], max_iter=steps, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        climber.zero_grad()
        turned = inner @ weight + bias
        alike = turned @ turned.T
        first, second = rows[:, [0, 0, 1]], rows[:, [1, 2, 2]]
        chosen = -torch.log_softmax(alike[first, second], 1)[:, 0].mean()
        after = torch.log_softmax(_scaled(turned, temperature), 1)
        kept = -(before * after).sum(1).mean()
        identity = torch.eye(size, dtype=torch.float64) * weight.diagonal().mean()
        far = ((weight - identity) ** 2).sum()
        total = (1 - local) * chosen + local * kept + penalty * far
        total.backward()
        return total

    with torch.enable_grad():
        climber.step(loss)
        end = float(loss().detach())
    return Alignment(mean, scale, weight.detach().numpy(), bias.detach().numpy(), end)


def _scaled(x: Tensor, temperature: float) -> Tensor:
    """Return cosines over temperature; a stimulus is no neighbour of its own."""
    import torch

    unit = torch.nn.functional.normalize(x, dim=1)
    alike = unit @ unit.T / temperature
    return alike.masked_fill(torch.eye(len(x), dtype=torch.bool), -1e9)


def _neighbours(x: Tensor, temperature: float) -> Tensor:
    import torch

    return torch.softmax(_scaled(x, temperature), 1).detach()


def cross_align(
    features: ArrayLike,
    triplets: Triplets,
    folds: int = 3,
    *,
    rng: np.random.Generator | None = None,
    penalty: float = 0.1,
    local: float = 0.1,
) -> tuple[NDArray[np.bool_], Triplets]:
    """Return whether aligned features choose the odd one, for stimuli that were not learnt from.

    Stimuli, not judgements, are held out: a judgement counts where all three of its stimuli are
    new, and is learnt from where none of them is held out.

    Returns
    -------
    Right or wrong, and the judgements that were tested.

    Raises
    ------
    DataError
        If too few judgements lie inside the folds.
    """
    rng = rng or np.random.default_rng(0)
    x = np.asarray(features, dtype=float)
    stimuli = np.unique(triplets)
    fold = np.full(len(x), -1)
    fold[stimuli] = rng.permutation(np.arange(len(stimuli)) % folds)
    right, tested = [], []
    for number in range(folds):
        new = fold[triplets] == number
        train, test = triplets[~new.any(1)], triplets[new.all(1)]
        if len(train) < 10 or not len(test):
            continue
        found = align(x, train, penalty=penalty, local=local)
        right.append(odd_one_out(found(x), test))
        tested.append(test)
    if sum(map(len, right)) < 10:
        raise DataError(
            f"{len(triplets)} judgements of {len(stimuli)} stimuli are too few: where stimuli are "
            f"held out in {folds} folds, fewer than ten judgements are left to test on."
        )
    return np.concatenate(right), np.concatenate(tested)
