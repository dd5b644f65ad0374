"""Intensities of a region: peaks, statistics, histogram, volume curve (IBSI 3.2 to 3.5)."""

from __future__ import annotations

import numpy as np

from neuroloom.volumes.radiomics.features.levels import bounding_box

PEAK_RADIUS = 10 * (3 / (4 * np.pi)) ** (1 / 3)
MOST_REACH = 64  # voxels of the radius of a ball; finer ones are joined to blocks
Spacing = tuple[float, float, float]


def local_peaks(image: np.ndarray, mask: np.ndarray, spacing: Spacing) -> dict[str, float]:
    """Return the mean in a ball of 1 cm3 about the brightest voxel, and the highest such mean.

    The ball may reach out of the region, not out of the image (Frank et al. 2008; IBSI 3.2). Of
    voxels finer than 0.1 mm, blocks of at most 0.2 mm are looked at: the transform of all of them
    would take tens of gigabytes.

    Examples
    --------
    >>> flat = np.ones((9, 9, 9))
    >>> round(local_peaks(flat, flat > 0, (2.0, 2.0, 2.0))["loc_peak_glob"], 6)
    1.0
    """
    from scipy.signal import oaconvolve
    from skimage.measure import block_reduce

    reach = [int(PEAK_RADIUS // step) for step in spacing]
    box = bounding_box(mask, margin=max(reach))
    x, inside = image[box].astype(float), mask[box]
    # No two voxels of the box are further apart: of fine voxels a whole ball would fill the memory.
    reach = [min(n, length - 1) for n, length in zip(reach, x.shape, strict=True)]
    edges = tuple(max(1, -(-n // MOST_REACH)) for n in reach)
    far = _squares(reach, edges, spacing)
    ball = (far <= PEAK_RADIUS**2).astype(float)
    # Convolving the deviations from the mean keeps the rounding of the transform small.
    mean, known = float(x[inside].mean()), np.isfinite(x)
    sums = block_reduce(np.where(known, x - mean, 0.0), edges, np.sum)
    total = oaconvolve(sums, ball, mode="same")
    count = oaconvolve(block_reduce(known.astype(float), edges, np.sum), ball, mode="same").round()
    local = mean + total / np.maximum(count, 1)
    brightest = inside & (x == x[inside].max())
    return {
        "loc_peak_loc": float(local[block_reduce(brightest, edges, np.max)].max()),
        "loc_peak_glob": float(local[block_reduce(inside, edges, np.max)].max()),
    }


def _squares(reach: list[int], edges: tuple[int, ...], spacing: Spacing) -> np.ndarray:
    """Return the squared distances of blocks from one of them, mm2."""
    axes = []
    for n, edge, step in zip(reach, edges, spacing, strict=True):
        most = -(-n // edge)
        axes.append((np.arange(-most, most + 1) * edge * step) ** 2)
    return axes[0][:, None, None] + axes[1][:, None] + axes[2]


def moments(x: np.ndarray, prefix: str) -> dict[str, float]:
    """Return what statistics and histogram share, of the values of a region (n,).

    Examples
    --------
    >>> moments(np.array([1.0, 1, 2, 4]), "stat")["stat_mean"]
    2.0
    """
    mean = float(x.mean())
    variance = float(((x - mean) ** 2).mean())
    p10, p25, median, p75, p90 = (float(q) for q in np.percentile(x, (10, 25, 50, 75, 90)))
    # In a handful of values none may lie between the interpolated percentiles.
    middle = x[(x >= p10) & (x <= p90)] if x.size > 2 else x
    nan = float("nan")
    third, fourth = ((x - mean) ** 3).mean(), ((x - mean) ** 4).mean()
    found = {
        "mean": mean,
        "var": variance,
        "skew": float(third / variance**1.5) if variance > 0 else nan,
        "kurt": float(fourth / variance**2 - 3) if variance > 0 else nan,
        "median": median,
        "min": float(x.min()),
        "p10": p10,
        "p90": p90,
        "max": float(x.max()),
        "iqr": p75 - p25,
        "range": float(np.ptp(x)),
        "mad": float(np.abs(x - mean).mean()),
        "rmad": float(np.abs(middle - middle.mean()).mean()),
        "medad": float(np.abs(x - median).mean()),
        "cov": float(np.sqrt(variance) / mean) if mean else nan,
        "qcod": (p75 - p25) / (p75 + p25) if p75 + p25 else nan,
    }
    return {f"{prefix}_{name}": value for name, value in found.items()}


def statistics(x: np.ndarray) -> dict[str, float]:
    """Return the 18 statistics of a region's intensities (n,) (IBSI 3.3).

    Examples
    --------
    >>> statistics(np.array([3.0, 4.0]))["stat_energy"]
    25.0
    """
    x = x.astype(float)
    power = float((x**2).mean())
    return moments(x, "stat") | {"stat_energy": power * x.size, "stat_rms": power**0.5}


def histogram(levels: np.ndarray) -> dict[str, float]:
    """Return the 23 features of the histogram of a region's levels (n,), from 1 (IBSI 3.4).

    Examples
    --------
    >>> histogram(np.array([1, 1, 1, 2]))["ih_mode"]
    1.0
    """
    counts = np.bincount(levels)[1:].astype(float)
    p = counts[counts > 0] / levels.size
    most = np.flatnonzero(counts == counts.max()) + 1
    found = moments(levels.astype(float), "ih")
    # Of several modes, the one nearest to the mean.
    mode = most[np.abs(most - found["ih_mean"]).argmin()]
    slope = np.gradient(counts) if counts.size > 1 else np.array([np.nan])
    found |= {
        "ih_mode": float(mode),
        "ih_entropy": float(-(p * np.log2(p)).sum()),
        "ih_uniformity": float((p**2).sum()),
        "ih_max_grad": float(slope.max()),
        "ih_max_grad_g": float(slope.argmax() + 1),
        "ih_min_grad": float(slope.min()),
        "ih_min_grad_g": float(slope.argmin() + 1),
    }
    if counts.size == 1:
        found |= {"ih_max_grad_g": float("nan"), "ih_min_grad_g": float("nan")}
    return found


def volume_curve(x: np.ndarray, low: float, high: float, step: float) -> dict[str, float]:
    """Return the 7 features of the curve: volume with at least an intensity (El Naqa et al. 2009).

    Parameters
    ----------
    x
        Intensities of the region (n,).
    low, high, step
        The curve's intensities.

    Returns
    -------
    Volume fractions at 10 and 90 % of the range, intensities at 10 and 90 % of the volume, their
    differences, and the area under the curve (IBSI 3.5).

    Examples
    --------
    >>> volume_curve(np.array([1.0, 2, 3, 4]), 1, 4, 1)["ivh_v90"]
    0.25
    """
    names = ("v10", "v90", "i10", "i90", "diff_v10_v90", "diff_i10_i90", "auc")
    if not high > low:
        return {f"ivh_{name}": float("nan") for name in names}
    at = low + step * np.arange(round((high - low) / step) + 1)
    below = np.searchsorted(np.sort(x), at - 1e-9 * step, side="left")
    volume = 1 - below / x.size
    fraction = (at - low) / (high - low)
    v10, v90 = (float(volume[fraction >= f - 1e-12].max(initial=0)) for f in (0.1, 0.9))
    i10, i90 = (_lowest(at, volume <= f, step) for f in (0.1, 0.9))
    area = float(np.trapezoid(volume, fraction))
    values = (v10, v90, i10, i90, v10 - v90, i10 - i90, area)
    return {f"ivh_{name}": value for name, value in zip(names, values, strict=True)}


def _lowest(at: np.ndarray, low_enough: np.ndarray, step: float) -> float:
    """Return the lowest intensity whose volume is small enough; one step above the last if none."""
    return float(at[low_enough][0]) if low_enough.any() else float(at[-1] + step)
