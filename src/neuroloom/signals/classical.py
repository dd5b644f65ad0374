"""The two classical decoders that stand beside every net: CSP + LDA, and Riemannian tangent space.

Both whiten the channels by the pooled training covariance first and drop directions without
variance, so average references, interpolated or flat channels and few trials do no harm. Both keep
what they learnt as named arrays and are rebuilt from these alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from neuroloom.learn.fit import FitJob

CHUNK = 256
RANK_TOLERANCE = 1e-9
SMALLEST_PROBABILITY = 1e-12


@dataclass
class Solved:
    """How a fit went that has no epochs: what a net's history is to a net."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = "solved in one step"


class CspLda:
    """Common spatial patterns, log-variance, and linear discriminant analysis without shrinkage.

    Its own band is 8-30 Hz. Two classes: generalised eigenvectors, taken from both ends; more
    classes: approximate joint diagonalisation, ranked by mutual information.

    Parameters
    ----------
    n_components
        Number of spatial filters; fewer where the data have a lower rank.
    n_outputs
        Number of classes; None for as many as the training labels name.

    References
    ----------
    Blankertz et al. (2008), IEEE Signal Process. Mag. 25(1), 41-56; Grosse-Wentrup & Buss (2008),
    IEEE Trans. Biomed. Eng. 55(8), 1991-2000 (several classes).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(40, 4, 200)), np.arange(40) % 2
    >>> x[y == 1, 0] *= 3
    >>> learner = CspLda(n_components=2)
    >>> _ = learner.fit(x, y)
    >>> bool((learner.predict_scores(x).argmax(1) == y).mean() > 0.95)
    True
    """

    name = "csp-lda"

    def __init__(self, n_components: int = 6, n_outputs: int | None = None) -> None:
        if n_components < 1:
            raise ConfigError(f"csp-lda needs at least one spatial filter, got {n_components}.")
        self.n_components, self.n_outputs = n_components, n_outputs
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Name and constructor arguments: enough, with `state`, to rebuild the learner."""
        return {"name": self.name, "n_components": self.n_components, "n_outputs": self.n_outputs}

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Fit to trials `x`, shape (trial, channel, time), and class indices `y`.

        Raises
        ------
        ConfigError
            If `y` is continuous.
        DataError
            If there is one class only, too few trials, no variance, or a value that is not finite.
        """
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        y = np.asarray(y)
        if is_regression(y):
            raise ConfigError(
                "csp-lda tells classes apart, but the target is continuous. Use model=riemann "
                "(tangent space + ridge) or a net, or make classes of the target."
            )
        check_classes(y, self.name)
        with one_thread():
            covariances = trial_covariances(x)
            filters, patterns = _csp(covariances, y, self.n_components)
            lda = LinearDiscriminantAnalysis().fit(_log_variance(covariances, filters), y)
        self._arrays = {"filters": filters, "patterns": patterns}
        self._arrays |= linear_classes(lda, self.n_outputs)
        return Solved()

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities, shape (trial, class)."""
        arrays = _fitted(self)
        with one_thread():
            features = _chunked(x, lambda part: _log_variance(part, arrays["filters"]))
            return class_scores(features, arrays)

    def patterns(self) -> np.ndarray:
        """Return activation patterns, shape (component, channel), in the unit of the data.

        The pattern, not the filter, shows where a source projects to (Haufe et al. 2014,
        NeuroImage 87, 96-110, equation 6).
        """
        return _fitted(self)["patterns"]

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learnt as named arrays."""
        return dict(_fitted(self))

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        self._arrays = {name: np.asarray(array) for name, array in state.items()}


class Riemann:
    """Covariances in Riemannian tangent space, then logistic regression, or ridge for numbers.

    Its own band is 8-30 Hz. Covariances are taken of the whitened channels and shrunk (OAS), so
    they shrink to the mean covariance instead of to equal, independent sensors. The tangent space
    is taken at the Riemannian mean of the training trials.

    Parameters
    ----------
    penalty
        Inverse strength C of the logistic regression's L2 penalty.
    n_outputs
        Number of classes; None for as many as the training labels name.

    References
    ----------
    Barachant et al. (2012), IEEE Trans. Biomed. Eng. 59(4), 920-928; Chen et al. (2010), IEEE
    Trans. Signal Process. 58(10), 5016-5029 (OAS).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(40, 4, 200)), np.arange(40) % 2
    >>> x[y == 1, 0] *= 3
    >>> learner = Riemann()
    >>> _ = learner.fit(x, y)
    >>> bool((learner.predict_scores(x).argmax(1) == y).mean() > 0.95)
    True
    """

    name = "riemann"

    def __init__(self, penalty: float = 1.0, n_outputs: int | None = None) -> None:
        if not penalty > 0:
            raise ConfigError(f"riemann needs a penalty above 0, got {penalty}.")
        self.penalty, self.n_outputs = penalty, n_outputs
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Name and constructor arguments: enough, with `state`, to rebuild the learner."""
        return {"name": self.name, "penalty": self.penalty, "n_outputs": self.n_outputs}

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Fit to trials `x`, shape (trial, channel, time), and class indices or numbers `y`.

        Raises
        ------
        DataError
            If there is one class only, too few trials, no variance, or a value that is not finite.
        """
        from pyriemann.geometry.mean import mean_riemann

        y = np.asarray(y)
        regression = is_regression(y)
        check_numbers(y, self.name) if regression else check_classes(y, self.name)
        with one_thread():
            covariances = trial_covariances(x)
            arrays = {"whitener": whitener(covariances)}
            whitened = _whiten(covariances, arrays["whitener"], x.shape[2])
            arrays["reference"] = mean_riemann(whitened, tol=1e-6)
            features = _tangent(whitened, arrays["reference"])
            self._arrays = arrays | self._fit_linear(features, y, regression)
        return Solved()

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities, shape (trial, class), or predictions, shape (trial,)."""
        arrays = _fitted(self)
        white, reference = arrays["whitener"], arrays["reference"]
        with one_thread():
            features = _chunked(
                x, lambda part: _tangent(_whiten(part, white, x.shape[2]), reference)
            )
            if "classes" in arrays:
                return class_scores(features, arrays)
            return (features @ arrays["weights"].T + arrays["bias"])[:, 0]

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learnt as named arrays."""
        return dict(_fitted(self))

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        self._arrays = {name: np.asarray(array) for name, array in state.items()}

    def _fit_linear(
        self, features: np.ndarray, y: np.ndarray, regression: bool
    ) -> dict[str, np.ndarray]:
        from sklearn.linear_model import LogisticRegression, RidgeCV

        if not regression:
            model = LogisticRegression(C=self.penalty, max_iter=1000).fit(features, y)
            return linear_classes(model, self.n_outputs)
        ridge = RidgeCV(alphas=np.logspace(-2, 5, 15)).fit(features, y)
        return {"weights": ridge.coef_[None], "bias": np.array([ridge.intercept_])}


def one_thread() -> AbstractContextManager[Any]:
    """Keep linear algebra on one thread for a while.

    The matrices are small: threads gain nothing, cost seconds where processes compete for cores,
    and make the last bits depend on the machine.
    """
    import scipy.linalg  # noqa: F401  (its own BLAS has to be loaded before it can be limited)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


def is_regression(y: np.ndarray) -> bool:
    """Return whether `y` holds numbers to predict (floats), not class indices (integers)."""
    return np.issubdtype(np.asarray(y).dtype, np.floating)


def check_classes(y: np.ndarray, name: str) -> None:
    """Raise a DataError unless `y` has two classes and more trials than classes."""
    classes = np.unique(y)
    if len(classes) < 2:
        only = ", ".join(map(str, classes))
        raise DataError(
            f"{name}: the {len(y)} training trials are all of one class ({only}); two are needed. "
            "Check `events`, and that each fold trains on every class."
        )
    if len(y) <= len(classes):
        raise DataError(
            f"{name}: {len(y)} training trials are too few for {len(classes)} classes; "
            "at least one more than classes is needed."
        )


def check_numbers(y: np.ndarray, name: str) -> None:
    """Raise a DataError unless `y` has three finite values that vary."""
    if len(y) < 3 or not np.isfinite(y).all() or np.ptp(y) == 0:
        raise DataError(
            f"{name}: regression needs three or more finite targets that differ; got {len(y)} "
            f"from {np.min(y, initial=np.inf):g} to {np.max(y, initial=-np.inf):g}."
        )


def trial_covariances(x: np.ndarray) -> np.ndarray:
    """Return the covariance of each trial over time, in float64.

    Parameters
    ----------
    x
        Shape (trial, channel, time).

    Returns
    -------
    Shape (trial, channel, channel), squared unit of `x`.

    Raises
    ------
    DataError
        If `x` has another shape, or a value that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> trial_covariances(np.array([[[1.0, -1.0]]])).ravel().tolist()
    [1.0]
    """
    if x.ndim != 3 or 0 in x.shape:
        raise DataError(f"Expected trials of shape (trial, channel, time), got {x.shape}.")
    covariances = np.empty((len(x), x.shape[1], x.shape[1]))
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK].astype(np.float64)
        part -= part.mean(axis=2, keepdims=True)
        covariances[start : start + CHUNK] = part @ part.swapaxes(1, 2) / x.shape[2]
    _check_finite(covariances)
    return covariances


def shrink_oas(covariance: np.ndarray, samples: int) -> np.ndarray:
    """Shrink covariances towards a multiple of the identity by oracle approximating shrinkage.

    Parameters
    ----------
    covariance
        Shape (…, channel, channel).
    samples
        Number of samples behind each.

    References
    ----------
    Chen et al. (2010), equation 23, without the `2 / p` terms, as scikit-learn has it.

    Examples
    --------
    >>> import numpy as np
    >>> shrink_oas(np.diag([2.0, 0.0]), samples=1).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    size = covariance.shape[-1]
    level = np.trace(covariance, axis1=-2, axis2=-1) / size
    power = np.mean(covariance**2, axis=(-2, -1))
    excess = (samples + 1) * (power - level**2 / size)
    amount = np.divide(power + level**2, excess, out=np.ones_like(power), where=excess > 0)
    amount = np.minimum(amount, 1.0)[..., None, None]
    return (1 - amount) * covariance + amount * level[..., None, None] * np.eye(size)


def whitener(covariances: np.ndarray) -> np.ndarray:
    """Return W, shape (channel, rank), such that W' C W = I for the mean covariance C.

    Channels are brought to one scale first, so a weak unit (T beside V) does not count as no
    variance; directions below `RANK_TOLERANCE` of the strongest are left out.

    Raises
    ------
    DataError
        If no channel varies.
    """
    mean = covariances.mean(axis=0)
    scale = np.sqrt(np.diag(mean))
    if not scale.max() > 0:
        raise DataError(
            f"All {len(scale)} channels are flat in the training trials: nothing to learn. "
            "Check the file, the units and the reference."
        )
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(mean * inverse * inverse[:, None])
    keep = values > values.max() * RANK_TOLERANCE
    return inverse[:, None] * vectors[:, keep] / np.sqrt(values[keep])


def linear_classes(model: Any, n_outputs: int | None) -> dict[str, np.ndarray]:
    """Return a fitted scikit-learn linear classifier as arrays: weights, bias, classes, n_outputs.

    Two classes become two rows, the first zero, so that a softmax serves any number of classes.
    """
    weights, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if len(model.classes_) == 2:
        weights = np.concatenate([np.zeros_like(weights), weights])
        bias = np.concatenate([np.zeros_like(bias), bias])
    classes = np.asarray(model.classes_, dtype=np.int64)
    count = np.array([max(n_outputs or 0, classes.max() + 1)])
    return {"weights": weights, "bias": bias, "classes": classes, "n_outputs": count}


def class_scores(features: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return log-probabilities, shape (trial, n_outputs); classes never seen get log(1e-12)."""
    from scipy.special import log_softmax

    seen = log_softmax(features @ arrays["weights"].T + arrays["bias"], axis=1)
    scores = np.full((len(features), arrays["n_outputs"].item()), np.log(SMALLEST_PROBABILITY))
    scores[:, arrays["classes"]] = np.maximum(seen, np.log(SMALLEST_PROBABILITY))
    return scores


def _csp(
    covariances: np.ndarray, y: np.ndarray, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return spatial filters and activation patterns, both of shape (component, channel)."""
    from pyriemann.spatialfilters import CSP

    white = whitener(covariances)
    inside = white.T @ covariances @ white
    if len(np.unique(y)) > 2:
        # Joint diagonalisation takes logarithms of each class mean: keep these off singularity.
        inside = 0.999 * inside + 0.001 * np.eye(inside.shape[1])
    csp = CSP(nfilter=min(n_components, inside.shape[1])).fit(inside, y)
    filters = csp.filters_ @ white.T
    mean = covariances.mean(axis=0)
    patterns = np.linalg.solve(filters @ mean @ filters.T, filters @ mean)
    return filters, patterns


def _log_variance(covariances: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Return the log-variance of each component; a flat trial gets a small one, not -inf."""
    variance = np.einsum("kc,ncd,kd->nk", filters, covariances, filters, optimize=True)
    return np.log(np.maximum(variance, SMALLEST_PROBABILITY))


def _whiten(covariances: np.ndarray, white: np.ndarray, samples: int) -> np.ndarray:
    shrunk = shrink_oas(white.T @ covariances @ white, samples)
    # A trial that is flat has no logarithm; this floor lies far below any real trial.
    return shrunk + SMALLEST_PROBABILITY * np.eye(white.shape[1])


def _tangent(covariances: np.ndarray, reference: np.ndarray) -> np.ndarray:
    from pyriemann.geometry.tangentspace import tangent_space

    return tangent_space(covariances, reference, metric="riemann")


def _chunked(x: np.ndarray, features: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return `features(covariances)` of all trials, a chunk at a time."""
    parts = [features(trial_covariances(x[i : i + CHUNK])) for i in range(0, len(x), CHUNK)]
    return np.concatenate(parts)


def _fitted(learner: CspLda | Riemann) -> dict[str, np.ndarray]:
    if not learner._arrays:
        raise ConfigError(f"{learner.name} is not fitted yet; call fit or load first.")
    return learner._arrays


def _check_finite(covariances: np.ndarray) -> None:
    bad = ~np.isfinite(np.diagonal(covariances, axis1=1, axis2=2))
    if bad.any():
        trial, channel = np.argwhere(bad)[0]
        raise DataError(
            f"Trial {trial}, channel {channel} (counted from 0) holds NaN or infinite values; "
            f"{bad.any(axis=1).sum()} of {len(bad)} trials do. Reject them, or drop the channel."
        )
