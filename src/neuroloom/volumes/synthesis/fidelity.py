"""How near made images are to real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.dataset import Dataset
from neuroloom.learn.scoring.scores import mean_known
from neuroloom.volumes.synthesis.data import inside
from neuroloom.volumes.synthesis.novelty import nearest

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 7
ROUNDING = 1e-5  # of the largest value: what a flat channel in float32 varies by on a new grid


def psnr(real: np.ndarray, made: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio, dB: squared range of the real image over the error.

    NaN where the real image is flat, infinite where the two are equal.

    Examples
    --------
    >>> psnr(np.array([0.0, 10.0]), np.array([1.0, 9.0]))
    20.0
    """
    error = float(np.mean((np.asarray(real, np.float64) - made) ** 2))
    span = float(np.ptp(real))
    if span == 0:
        return float("nan")
    return float(10 * np.log10(span**2 / error)) if error else float("inf")


def ssim(real: np.ndarray, made: np.ndarray) -> float:
    """Return the structural similarity (Wang et al. 2004) in windows of 7, or smaller.

    Examples
    --------
    >>> image = np.arange(100.0).reshape(10, 10)
    >>> ssim(image, image)
    1.0
    """
    from skimage.metrics import structural_similarity

    window = min(WINDOW, *real.shape)
    window -= 1 - window % 2
    span = float(np.ptp(real))
    if window < 3 or span == 0 or np.isnan(span):
        return float("nan")
    return float(structural_similarity(real, made, win_size=window, data_range=span))


def rows_of_images(dataset: Dataset, rows: np.ndarray, made: np.ndarray) -> pd.DataFrame:
    """Return a row for each made image: whose it is, PSNR and SSIM (`nearness`).

    Padding is left out. `y_true` and `y_pred` are the SDs of the real and the made image: what is
    made too smooth has less.
    """
    table = dataset.table.iloc[rows].reset_index(drop=True)
    out = table[["path", "subject", "session", "run"]].copy()
    out.insert(0, "example", rows)
    pairs = zip(rows, paired(dataset, rows, made), strict=False)
    found = [_of_one(dataset, int(row), one) for row, one in pairs]
    for k, name in enumerate(("y_true", "y_pred", "psnr", "ssim")):
        out[name] = np.array([values[k] for values in found], dtype=float)
    return out


def real_image(dataset: Dataset, row: int) -> np.ndarray:
    """Return the real image of a row: what was to be made, or, of noise, the image itself."""
    of_noise = dataset.truth is None or np.ndim(dataset.truth) == 1
    return np.asarray(dataset.x[row] if of_noise else dataset.truth[row])  # type: ignore[index]


def paired(dataset: Dataset, rows: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Return the made image that belongs to each row; of noise, the one that is nearest to it."""
    if dataset.truth is None or np.ndim(dataset.truth) != 1 or len(rows) == 0:
        return made
    return made[nearest(np.asarray(dataset.x[rows]), made)]


def _of_one(dataset: Dataset, row: int, made: np.ndarray) -> tuple[float, float, float, float]:
    extent = str(dataset.table["extent"].iloc[row])
    real, made = inside(real_image(dataset, row), extent), inside(made, extent)
    return float(real.std()), float(made.std()), *nearness(real, made)


def nearness(real: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """Return PSNR and SSIM of (channel, *axes), means over the channels that are not flat.

    A channel that is flat in the real image tells nothing; NaN where all are.

    Examples
    --------
    >>> real = np.array([[0.0, 10.0], [3.0, 3.0]])
    >>> nearness(real, real + [[1.0, -1.0], [0.1, 0.1]])[0]
    20.0
    """
    wide = zip(real.astype(np.float64), made.astype(np.float64), strict=True)
    pairs = [(a, b) for a, b in wide if np.ptp(a) > ROUNDING * np.abs(a).max()]
    return (
        mean_known([psnr(a, b) for a, b in pairs]),
        mean_known([ssim(a, b) for a, b in pairs]),
    )
