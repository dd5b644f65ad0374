"""Common spatial patterns, in one band and in a bank of bands."""

from __future__ import annotations

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.signals.classical.base import Arrays, Estimator, Features, inner_folds
from neuroloom.signals.classical.covariance import FLOOR, trial_covariances, whitener
from neuroloom.signals.classical.linear import LinearDiscriminant

BANK = tuple((low, low + 4.0) for low in range(4, 40, 4))
PAIRS, CHOSEN = 2, 4


class CommonSpatialPatterns(Features):
    """Log-variance of spatially filtered trials.

    Parameters
    ----------
    n_components
        Number of filters; fewer where the data have a lower rank.
    """

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return `filters` and `patterns`, both of shape (component, channel)."""
        filters, patterns = find_patterns(trial_covariances(x), y, self.n_components)
        return {"filters": filters, "patterns": patterns}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the log-variances, shape (trial, component)."""
        return log_variance(trial_covariances(x), arrays["filters"])


class CspLda(Estimator):
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
        parts = CommonSpatialPatterns(n_components), LinearDiscriminant()
        super().__init__(self.name, *parts, n_outputs, {"n_components": n_components})

    def patterns(self) -> np.ndarray:
        """Return activation patterns, shape (component, channel), in the unit of the data.

        The pattern, not the filter, shows where a source projects to (Haufe et al. 2014,
        NeuroImage 87, 96-110, equation 6).
        """
        return self.state()["patterns"]


class FilterBank(Features):
    """Log-variances after spatial filters in each of several bands, the most telling kept.

    A band's covariance is taken from the trial's Hann-tapered Fourier coefficients in the band.
    The filters whose log-variance shares most information with the class are kept, each with
    its partner from the other end of the same eigenvalues. The information is measured on inner
    folds: filters fitted to few trials of many channels part these perfectly in any band.

    Parameters
    ----------
    rate
        Of the trials, Hz.
    bank
        Bands, Hz; those that the trials cannot resolve or the rate cannot hold are left out.

    References
    ----------
    Ang et al. (2008), IJCNN, 2390-2397 (nine bands of 4 Hz from 4 to 40 Hz, two pairs of filters a
    band and class against the rest, the four best features and their partners).
    """

    def __init__(self, rate: float, bank: tuple[tuple[float, float], ...] = BANK) -> None:
        self.rate, self.bank = rate, bank

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return `filters` (feature, channel) of the chosen features and the `band` of each."""
        bands = self._inside(x.shape[2])
        if not bands:
            raise ConfigError(
                f"fbcsp: trials of {x.shape[2] / self.rate:g} s at {self.rate:g} Hz resolve none "
                "of its bands from 4 to 40 Hz. Use longer trials or a higher rate."
            )
        covariances = [_band_covariances(_spectra(x), inside) for _, inside in bands]
        filters = [_contrasts(of_band, y) for of_band in covariances]
        told = np.concatenate([_inner_information(of_band, y) for of_band in covariances])
        best = np.argsort(-told, kind="stable")[:CHOSEN]
        # Two pairs are four neighbours, from one end of the eigenvalues to the other.
        partner = best // (2 * PAIRS) * (2 * PAIRS) + 2 * PAIRS - 1 - best % (2 * PAIRS)
        chosen = np.unique([*best, *partner])
        number = np.repeat([k for k, _ in bands], [len(own) for own in filters])
        return {"filters": np.concatenate(filters)[chosen], "band": number[chosen]}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the log-variances, shape (trial, feature)."""
        spectra = _spectra(x)
        powers = np.empty((len(x), len(arrays["band"])))
        for number, inside in self._inside(x.shape[2]):
            mine = arrays["band"] == number
            if mine.any():
                covariances = _band_covariances(spectra, inside)
                powers[:, mine] = log_variance(covariances, arrays["filters"][mine])
        return powers

    def _inside(self, n_times: int) -> list[tuple[int, np.ndarray]]:
        """Return number and Fourier coefficients of every band that has two or more."""
        frequency = np.fft.rfftfreq(n_times // 2 * 2, 1 / self.rate)
        pairs = [(k, (frequency >= a) & (frequency < b)) for k, (a, b) in enumerate(self.bank)]
        return [(k, inside) for k, inside in pairs if inside.sum() > 1]


def _contrasts(covariances: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return filters (filter, channel): for each class against the rest, pairs from both ends."""
    classes = np.unique(y)
    white = whitener(covariances)
    ends = np.r_[:PAIRS, -PAIRS:0] % white.shape[1]
    filters = []
    for label in classes[1:] if len(classes) == 2 else classes:
        own = white.T @ covariances[y == label].mean(axis=0) @ white
        filters.append((white @ np.linalg.eigh(own)[1][:, ends]).T)
    return np.concatenate(filters)


def _inner_information(covariances: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what the features of one band tell of trials that their filters have not seen."""
    features = log_variance(covariances, _contrasts(covariances, y))
    fold = inner_folds(y)
    for k in np.unique(fold):
        rest = fold != k
        if len(np.unique(y[rest])) == len(np.unique(y)):
            filters = _contrasts(covariances[rest], y[rest])
            features[~rest] = log_variance(covariances[~rest], filters)
    return mutual_information(features, y)


def _spectra(x: np.ndarray) -> np.ndarray:
    """Return Fourier coefficients (trial, channel, frequency) of an even number of samples."""
    even = x[..., : x.shape[-1] // 2 * 2].astype(np.float64)
    even -= even.mean(axis=2, keepdims=True)
    return np.fft.rfft(even * np.hanning(even.shape[-1]), axis=2) / np.sqrt(even.shape[-1])


def _band_covariances(spectra: np.ndarray, inside: np.ndarray) -> np.ndarray:
    part = spectra[..., inside]
    return np.real(part @ part.conj().swapaxes(1, 2))


def mutual_information(features: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the mutual information of each feature with the class, nats.

    The densities are estimated by Parzen windows with Gaussian kernels of the width that is best
    for normal data (Ang et al. 2008, section III.C).

    Parameters
    ----------
    features
        Shape (trial, feature).
    y
        Class index, shape (trial,).

    Examples
    --------
    >>> import numpy as np
    >>> y = np.repeat([0, 1], 50)
    >>> told = mutual_information(np.stack([100.0 * y, np.arange(100) % 50], axis=1), y)
    >>> bool(abs(told[0] - np.log(2)) < 0.01), bool(told[1] < 0.01)
    (True, True)
    """
    classes, counts = np.unique(y, return_counts=True)
    prior = counts / len(y)
    joint = np.stack([_density(features, y == c) * p for c, p in zip(classes, prior, strict=True)])
    posterior = joint / np.maximum(joint.sum(axis=0), np.finfo(float).tiny)
    doubt = -np.sum(posterior * np.log(np.maximum(posterior, np.finfo(float).tiny)), axis=0)
    return float(-np.sum(prior * np.log(prior))) - doubt.mean(axis=0)


def _density(features: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the Parzen estimate of the members' density at every trial, per feature."""
    own = features[members]
    width = own.std(axis=0) * (4 / (3 * len(own))) ** 0.2
    width = np.maximum(width, 1e-3 * features.std(axis=0) + np.finfo(float).tiny)
    distance = (features[:, None] - own[None]) / width
    return np.exp(-(distance**2) / 2).mean(axis=1) / width


def find_patterns(
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


def log_variance(covariances: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Return the log-variance of each component; a flat trial gets a small one, not -inf."""
    variance = np.einsum("kc,ncd,kd->nk", filters, covariances, filters, optimize=True)
    return np.log(np.maximum(variance, FLOOR))
