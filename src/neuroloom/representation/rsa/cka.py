"""Centred kernel alignment: how alike two representations are, whatever their axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.representation.rsa.rdm import BLOCK, check_stimuli, gram, upper_gram

Floats = NDArray[np.float64]
KERNELS = ("linear", "rbf")


def cka(
    first: Any,
    second: Any,
    *,
    kernel: str = "linear",
    unbiased: bool = False,
    sigma: float | None = None,
    block: int = BLOCK,
) -> float:
    """Return the centred kernel alignment of two sets of features of the same stimuli.

    Parameters
    ----------
    first, second
        Shapes (stimulus, …); they may be on disk.
    kernel
        "linear" or "rbf" (Gaussian).
    unbiased
        Take the unbiased estimate of HSIC (Song et al. 2012), which does not grow as features
        outnumber stimuli.
    sigma
        Width of the Gaussian; the square root of the median squared distance if None.

    Returns
    -------
    1 for representations that are the same up to rotation and scale, 0 for unrelated ones.

    References
    ----------
    Kornblith et al. (2019), ICML, eq. 3-4.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(20, 5))
    >>> turned = x @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    >>> round(cka(x, turned), 6)
    1.0
    """
    if first.shape[0] != second.shape[0]:
        raise DataError(
            f"The features have {first.shape[0]} and {second.shape[0]} stimuli; CKA compares the "
            "same stimuli in the same order."
        )
    if kernel == "linear" and not unbiased:
        # Of centred features the kernel is centred already, and half of it tells all.
        halves = [upper_gram(x, "column", block) for x in (first, second)]
        pairs = ((0, 1), (0, 0), (1, 1))
        both, *own = (_whole_product(halves[i], halves[j]) for i, j in pairs)
        return both / float(np.sqrt(own[0] * own[1])) if own[0] * own[1] > 0 else float("nan")
    kernels = [kernel_of(x, kernel, sigma=sigma, block=block) for x in (first, second)]
    return align_kernels(*kernels, unbiased=unbiased)


def _whole_product(first: Floats, second: Floats) -> float:
    """Return the inner product of two symmetric matrices, zero below their diagonals."""
    return 2 * float(np.vdot(first, second)) - float(np.diag(first) @ np.diag(second))


def kernel_of(
    features: Any, kernel: str = "linear", *, sigma: float | None = None, block: int = BLOCK
) -> Floats:
    """Return the kernel between stimuli, shape (stimulus, stimulus).

    Examples
    --------
    >>> kernel_of(np.eye(2), "rbf").round(3)
    array([[1.   , 0.607],
           [0.607, 1.   ]])
    """
    if kernel not in KERNELS:
        known = ", ".join(KERNELS)
        raise ConfigError(f"No kernel is '{kernel}'.{nearest(kernel, KERNELS)} Known: {known}.")
    check_stimuli(features)
    # Features may be moved freely: both kernels are centred, or see differences alone.
    product = gram(features, centre="column", block=block)
    if kernel == "linear":
        return product
    own = np.diag(product)
    squared = np.maximum(own[:, None] + own[None] - 2 * product, 0.0)
    np.fill_diagonal(squared, 0.0)
    width = float(np.median(squared[squared != 0])) if sigma is None else sigma**2
    return np.exp(-0.5 * squared / width)


def align_kernels(first: Floats, second: Floats, *, unbiased: bool = False) -> float:
    """Return the alignment of two kernels (stimulus, stimulus).

    Raises
    ------
    DataError
        If the unbiased estimate has too few stimuli.
    """
    a, b = (centre_kernel(k, unbiased=unbiased) for k in (first, second))
    both = float(np.vdot(a, b))
    own = float(np.vdot(a, a)) * float(np.vdot(b, b))
    return both / float(np.sqrt(own)) if own > 0 else float("nan")


def centre_kernel(kernel: Floats, *, unbiased: bool = False) -> Floats:
    """Return a kernel whose features have no mean.

    The unbiased form has a zero diagonal (Szekely & Rizzo 2014, "U-centring"): the inner product of
    two such matrices, over n (n - 3), is the unbiased HSIC.
    """
    n = len(kernel)
    if not unbiased:
        mean = kernel.mean(0)
        return kernel - mean - mean[:, None] + mean.mean()
    if n < 4:
        raise DataError(f"The unbiased estimate needs four stimuli or more, got {n}.")
    bare = kernel - np.diag(np.diag(kernel))
    sums = bare.sum(0) / (n - 2)
    centred = bare - sums - sums[:, None] + bare.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred
