"""What a trained model's answers rest on: attribution, permutation, patterns, and a sanity check.

Three questions, three tools. *Which input values moved this answer?* `attribute`, for nets. *What
does the model need?* `permutation_relevance`, for any model. *What in the data goes with the
answer?* `pattern`, for any model. The second and third differ wherever inputs are correlated: a
sensor that only cancels noise is needed, yet holds nothing of the source (Haufe et al. 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

Scorer = Callable[[np.ndarray], np.ndarray]
METHODS = {
    "integrated-gradients": "IntegratedGradients",
    "saliency": "Saliency",
    "input-x-gradient": "InputXGradient",
    "occlusion": "Occlusion",
}
ALIKE = 0.5


@dataclass(frozen=True)
class Sanity:
    """Whether an attribution depends on what the net has learnt.

    Attributes
    ----------
    correlation
        Spearman correlation of the absolute maps of the trained and a re-initialised net, mean
        over examples. Methods that multiply by the input keep some, whatever was learnt.
    passed
        True if `correlation` is below `ALIKE`.
    verdict
        One sentence for the report.
    """

    correlation: float
    passed: bool
    verdict: str


def attribute(
    module: nn.Module,
    x: np.ndarray,
    target: np.ndarray | None = None,
    *,
    method: str = "integrated-gradients",
    steps: int = 32,
    batch: int = 16,
) -> np.ndarray:
    """Share the score of each example out among its input values, by captum.

    Parameters
    ----------
    module
        Differentiable, from raw input to scores: `learner.as_module()`.
    x
        Examples, shape (n, …).
    target
        Class index of each example, shape (n,); None for a module that returns one number each.
    method
        One of `METHODS`. Integrated gradients start from zeros; occlusion puts zeros in the place
        of one row (a sensor) at a time, and gives each of its values the loss.
    steps
        Points on the path of integrated gradients.
    batch
        Examples at a time.

    Returns
    -------
    Same shape as `x`, float64. Integrated gradients sum to score minus score of zeros.

    Raises
    ------
    ConfigError
        If the method is unknown.

    References
    ----------
    Sundararajan, Taly & Yan (2017), ICML (integrated gradients); Simonyan et al. (2014) (saliency).
    DeepLIFT is left out: captum's acts on activation modules only, and gives plain input times
    gradient, silently, for nets that call activations as functions.

    Examples
    --------
    >>> import numpy as np, torch
    >>> net = torch.nn.Linear(3, 2).double()
    >>> x = np.eye(3)
    >>> given = attribute(net, x, np.zeros(3, int))
    >>> bool(np.allclose(np.diag(given), net.weight[0].detach()))
    True
    """
    import captum.attr
    import torch

    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ConfigError(
            f"No attribution is '{method}'.{nearest(method, METHODS)} Known: {known}."
        )
    explainer = getattr(captum.attr, METHODS[method])(module.eval())
    options = _captum_options(method, x, steps)
    parts = []
    for start in range(0, len(x), batch):
        part = torch.as_tensor(x[start : start + batch])
        goal = None if target is None else torch.as_tensor(target[start : start + batch]).long()
        given = explainer.attribute(part.requires_grad_(), target=goal, **options)
        parts.append(given.detach().double().numpy())
    return np.concatenate(parts)


def _captum_options(method: str, x: np.ndarray, steps: int) -> dict[str, Any]:
    if method == "integrated-gradients":
        return {"n_steps": steps}
    if method == "occlusion":
        return {"sliding_window_shapes": (*(1 for _ in x.shape[1:-1]), x.shape[-1])}
    return {}


def log_odds(module: nn.Module) -> nn.Module:
    """Return `module` with its log-probabilities (n, class) turned into log-odds.

    A net that is sure has a probability near 1 whose gradient is near 0, and rounding then decides
    what an attribution shows; log-odds keep their slope.

    Examples
    --------
    >>> import torch
    >>> odds = log_odds(torch.nn.LogSoftmax(1))(torch.tensor([[3.0, 1.0]]))
    >>> [round(float(value), 4) for value in odds[0]]
    [2.0, -2.0]
    """
    import torch

    class LogOdds(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = self.module(x)
            others = torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)
            rest = scores[:, None, :].masked_fill(others, -torch.inf)
            return scores - rest.logsumexp(2)

    return LogOdds()


def reinitialise(module: nn.Module, seed: int = 20180913) -> nn.Module:
    """Return a copy of `module` whose every layer has new random weights.

    Layers are reset by their own `reset_parameters`; weights that a layer without it holds itself
    are put in random order. Buffers such as the standardisation of the input stay, running
    statistics of normalisation start again.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Linear(3, 2)
    >>> bool((reinitialise(net).weight == net.weight).any())
    False
    """
    import copy

    import torch

    new = copy.deepcopy(module)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for layer in new.modules():
            if callable(reset := getattr(layer, "reset_parameters", None)):
                reset()
                continue
            for weight in layer.parameters(recurse=False):
                order = torch.randperm(weight.numel())
                weight.copy_(weight.flatten()[order].reshape(weight.shape))
    return new


def sanity_check(
    module: nn.Module,
    x: np.ndarray,
    target: np.ndarray | None = None,
    *,
    method: str = "integrated-gradients",
    **options: Any,
) -> Sanity:
    """Compare the attribution of a trained net with that of the same net before it learnt.

    A map that stays the same when the weights are replaced shows the input, not the model.

    Parameters
    ----------
    module, x, target, method, options
        As for `attribute`.

    References
    ----------
    Adebayo et al. (2018), Sanity checks for saliency maps, NeurIPS, model parameter randomisation.
    """
    trained = attribute(module, x, target, method=method, **options)
    random = attribute(reinitialise(module), x, target, method=method, **options)
    return sanity_of(map_similarity(trained, random))


def sanity_of(alike: float) -> Sanity:
    """Judge a map by its rank correlation with that of a net with random weights.

    Examples
    --------
    >>> sanity_of(0.1).verdict
    'The map differs from that of a net with random weights (Spearman 0.10).'
    """
    passed = bool(alike < ALIKE)
    words = "differs from" if passed else "looks like"
    advice = "" if passed else " It shows the input more than what was learnt: do not read it."
    verdict = f"The map {words} that of a net with random weights (Spearman {alike:.2f}).{advice}"
    return Sanity(alike, passed, verdict)


def map_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean over examples of the Spearman correlation of two sets of absolute maps.

    Examples
    --------
    >>> import numpy as np
    >>> round(map_similarity(np.array([[1.0, -2, 3]]), np.array([[-1.0, 2, 4]])), 6)
    1.0
    """
    ranks = [_ranks(np.abs(maps).reshape(len(maps), -1)) for maps in (first, second)]
    return float(np.mean(np.sum(ranks[0] * ranks[1], axis=1)))


def truth_scores(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how well each example is told: log-probability of its class, or minus squared error.

    Examples
    --------
    >>> import numpy as np
    >>> truth_scores(np.log([[0.25, 0.75]]), np.array([1])).round(3).tolist()
    [-0.288]
    """
    if scores.ndim == 1:
        return -((scores - y) ** 2)
    return scores[np.arange(len(y)), y]


def permutation_relevance(
    score: Scorer,
    x: np.ndarray,
    y: np.ndarray,
    parts: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    *,
    repeats: int = 2,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure how much worse examples are told when a part of them is swapped between examples.

    Swapping, unlike zeroing, keeps each part's distribution, so a model does not answer for a kind
    of input that it never saw.

    Parameters
    ----------
    score
        `learner.predict_scores`, or anything that maps examples to scores.
    x, y
        Examples, shape (n, …), better not those of training, and their truth.
    parts
        Name -> function that returns the part of `x` to be swapped (same shape; parts add up).
    repeats
        Permutations, averaged.
    seed
        Of the permutations, which are the same for each part.

    Returns
    -------
    One row a part: `part`, one column a class (its name is the index), and `relevance`, the mean:
    drop of the log-probability of the truth (nats), or rise of the squared error.

    References
    ----------
    Breiman (2001), Mach. Learn. 45, 5-32; Fisher, Rudin & Dominici (2019), JMLR 20(177).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> only = {str(k): lambda x, k=k: x * (np.arange(2) == k) for k in range(2)}
    >>> table = permutation_relevance(lambda x: x[:, 0], x, x[:, 0], only)
    >>> (table.relevance > 0.5).tolist()
    [True, False]
    """
    import pandas as pd

    whole = truth_scores(score(x), y)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(x)) for _ in range(repeats)]
    rows = []
    for name, take in parts.items():
        part = take(x)
        swapped = [truth_scores(score(x - part + part[order]), y) for order in orders]
        drop = whole - np.mean(swapped, axis=0)
        rows.append({"part": name} | _by_class(drop, y) | {"relevance": drop.mean()})
    return pd.DataFrame(rows)


def pattern(features: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the rank correlation of each feature with each score over examples.

    This is Haufe's activation pattern, the covariance of data and model output, on ranks, so that
    units and a few extreme scores do not matter; unlike weights or occlusion it does not light up
    where the model merely cancels noise.

    Parameters
    ----------
    features
        Shape (n, …).
    scores
        Log-probabilities, shape (n, class), or numbers, shape (n,).

    Returns
    -------
    Shape (…, class), or (…, 1); -1 to 1, 0 for a feature or score that never changes.

    References
    ----------
    Haufe et al. (2014), NeuroImage 87, 96-110, equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> pattern(np.array([[1.0, 5], [2, 5], [3, 5]]), np.array([0.1, 0.2, 0.9])).round(6).tolist()
    [[1.0], [0.0]]
    """
    told = scores[:, None] if scores.ndim == 1 else scores - scores.mean(axis=1, keepdims=True)
    flat = _ranks(features.reshape(len(features), -1).T)
    return (flat @ _ranks(told.T).T).reshape(*features.shape[1:], told.shape[1])


def select_parts(count: int, axis: int = 1, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return parts for `permutation_relevance`: each slice of `x` along an axis, alone.

    Examples
    --------
    >>> import numpy as np
    >>> select_parts(2, names=["C3", "C4"])["C4"](np.ones((1, 2))).tolist()
    [[0.0, 1.0]]
    """

    def only(place: int) -> Callable[[np.ndarray], np.ndarray]:
        def take(x: np.ndarray) -> np.ndarray:
            part = np.zeros_like(x)
            slot = (slice(None),) * axis + (place,)
            part[slot] = x[slot]
            return part

        return take

    return {name: only(k) for k, name in enumerate(names or map(str, range(count)))}


def _by_class(drop: np.ndarray, y: np.ndarray) -> dict[str, float]:
    if np.issubdtype(np.asarray(y).dtype, np.floating):
        return {}
    return {str(k): float(drop[y == k].mean()) for k in np.unique(y)}


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, centred and scaled to length 1; zeros where all tie."""
    from scipy.stats import rankdata

    ranks = rankdata(rows, axis=-1)
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)


def in_units_of(module: nn.Module, scale: np.ndarray) -> nn.Module:
    """Return `module` fed with `z * scale`: gradients by z are then comparable between inputs.

    A gradient by volts is large where a channel is quiet, whatever the net has learnt; a gradient
    by standard deviations is not.

    Parameters
    ----------
    module
        From raw input to scores.
    scale
        Broadcasts against an example, such as the SD of each channel, shape (channel, 1).
    """
    import torch

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module
            self.register_buffer("scale", torch.as_tensor(np.array(scale, dtype=np.float32)))

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.module(z * self.scale)

    return Scaled()
