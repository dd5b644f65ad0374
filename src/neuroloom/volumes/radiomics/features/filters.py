"""Filters whose responses are measured like images: mean, LoG, Laws, Gabor, wavelets (IBSI 2).

A filter is named in one word with its numbers: `mean:5` (voxels), `log:3` (sigma, mm),
`laws:L5E5S5` (kernels along x, y, z; `laws:L5E5S5:energy` averages its size), `gabor:5,4,1,45`
(sigma and wavelength in mm, aspect, angle in degrees; modulus, in each slice), `wavelet:db2:LLH:1`
(filters along x, y, z; level). Borders are mirrored.

Whybra et al. (2024), Radiology 310(2), e231319; reference manual, arXiv:2006.05470.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from neuroloom.core.errors import ConfigError

LAWS = {
    "L5": (1, 4, 6, 4, 1), "E5": (-1, -2, 0, 2, 1), "S5": (-1, 0, 2, 0, -1),
    "W5": (-1, 2, 0, -2, 1), "R5": (1, -4, 6, -4, 1),
    "L3": (1, 2, 1), "E3": (-1, 0, 1), "S3": (-1, 2, -1),
}  # fmt: skip
CUT, ENERGY = 4.0, 7
Spacing = tuple[float, float, float]
Response = Callable[[np.ndarray, Spacing], np.ndarray]


def respond(image: np.ndarray, name: str, spacing: Spacing, mode: str = "reflect") -> np.ndarray:
    """Return the response (z, y, x) of a named filter.

    Parameters
    ----------
    image
        Intensities (z, y, x).
    name
        See the module's text.
    spacing
        Voxel size (z, y, x), mm.
    mode
        What lies beyond the border, as `scipy.ndimage` names it.

    Raises
    ------
    ConfigError
        If there is no such filter.

    Examples
    --------
    >>> respond(np.ones((3, 3, 3)), "mean:3", (1.0, 1.0, 1.0)).round(6).max()
    np.float64(1.0)
    """
    kind, numbers = parse(name)
    return FILTERS[kind](image.astype(float), numbers, spacing, mode)


def parse(name: str) -> tuple[str, list[str]]:
    """Split a filter's name into its kind and its numbers.

    Raises
    ------
    ConfigError
        If the kind or the numbers do not fit.

    Examples
    --------
    >>> parse("gabor:5,4,1,45")
    ('gabor', ['5', '4', '1', '45'])
    """
    kind, _, rest = name.partition(":")
    parts = [part for part in rest.replace(":", ",").split(",") if part]
    if kind not in FILTERS or not CHECKS[kind](parts):
        raise ConfigError(
            f"filters: '{name}' is no filter. Known: mean:5, log:3, laws:L5E5S5 (or :energy), "
            "gabor:5,4,1,45, wavelet:db2:LLH:1."
        )
    return kind, parts


def _along(image: np.ndarray, kernels: Sequence[np.ndarray], mode: str) -> np.ndarray:
    """Correlate with a kernel along x, y and z."""
    from scipy.ndimage import correlate1d

    for axis, kernel in zip((2, 1, 0), kernels, strict=True):
        image = correlate1d(image, kernel, axis=axis, mode=mode)
    return image


def _mean(image: np.ndarray, parts: list[str], spacing: Spacing, mode: str) -> np.ndarray:
    count = int(parts[0])
    return _along(image, [np.full(count, 1 / count)] * 3, mode)


def log_kernel(sigma: float, spacing: Spacing) -> np.ndarray:
    """Return the Laplacian of a Gaussian (z, y, x), cut at four sigma; its middle is negative.

    Examples
    --------
    >>> log_kernel(1.0, (1.0, 1.0, 1.0)).shape
    (9, 9, 9)
    """
    reach = [math.floor(CUT * sigma / step + 0.5) for step in spacing]
    axes = [(np.arange(-n, n + 1) * s / sigma) ** 2 for n, s in zip(reach, spacing, strict=True)]
    far = axes[0][:, None, None] + axes[1][:, None] + axes[2]
    size = float(np.prod(spacing))
    height = size / (math.sqrt(2 * math.pi) * sigma) ** 3 * (size ** (1 / 3) / sigma) ** 2
    return -height * (3 - far) * np.exp(-far / 2)


def _log(image: np.ndarray, parts: list[str], spacing: Spacing, mode: str) -> np.ndarray:
    """Split into a Gaussian along two axes and its second derivative along the third, summed."""
    sigma = float(parts[0])
    plain, curved = zip(*(_gaussians(sigma, step) for step in spacing[::-1]), strict=True)
    scale = float(np.prod(spacing)) ** (2 / 3) / sigma**2
    found = np.zeros_like(image)
    for bent in range(3):
        kernels = [curved[k] if k == bent else plain[k] for k in range(3)]
        found += _along(image, kernels, mode)
    return scale * found


def _gaussians(sigma: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    reach = math.floor(CUT * sigma / step + 0.5)
    far = (np.arange(-reach, reach + 1) * step / sigma) ** 2
    plain = step / (math.sqrt(2 * math.pi) * sigma) * np.exp(-far / 2)
    return plain, (far - 1) * plain


def _laws(image: np.ndarray, parts: list[str], spacing: Spacing, mode: str) -> np.ndarray:
    names = [parts[0][k : k + 2] for k in (0, 2, 4)]
    kernels = [np.array(LAWS[n], float) / np.linalg.norm(LAWS[n]) for n in names]
    found = _along(image, kernels, mode)
    if len(parts) == 1:
        return found
    return _along(np.abs(found), [np.full(2 * ENERGY + 1, 1 / (2 * ENERGY + 1))] * 3, mode)


def gabor_kernel(
    sigma: float, wavelength: float, aspect: float, angle: float, spacing: Spacing
) -> np.ndarray:
    """Return the complex kernel (y, x) of a Gabor filter.

    Parameters
    ----------
    sigma, wavelength
        Of the Gaussian and the wave, mm.
    aspect
        How much narrower it is across the wave.
    angle
        Of the wave, degrees from x towards y.

    Examples
    --------
    >>> gabor_kernel(1.0, 2.0, 1.0, 0.0, (1.0, 1.0, 1.0))[4, 4]
    np.complex128(1+0j)
    """
    reach = [math.floor(CUT * sigma / min(1.0, aspect) / step + 0.5) for step in spacing[1:]]
    y, x = (np.arange(-n, n + 1) * s for n, s in zip(reach, spacing[1:], strict=True))
    turn = math.radians(angle)
    along = x * math.cos(turn) + y[:, None] * math.sin(turn)
    across = -x * math.sin(turn) + y[:, None] * math.cos(turn)
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * sigma**2))
    return envelope * np.exp(2j * math.pi * along / wavelength)


def _gabor(image: np.ndarray, parts: list[str], spacing: Spacing, mode: str) -> np.ndarray:
    from scipy.signal import oaconvolve

    sigma, wavelength, aspect, angle = (float(part) for part in parts)
    kernel = gabor_kernel(sigma, wavelength, aspect, angle, spacing)
    high, wide = (n // 2 for n in kernel.shape)
    frame = ((0, 0), (high, high), (wide, wide))
    wrap = {"reflect": "symmetric", "constant": "constant"}.get(mode, "symmetric")
    padded = np.pad(image, frame, mode=wrap)  # type: ignore[call-overload]
    return np.abs(oaconvolve(padded, kernel[None], mode="valid", axes=(1, 2)))


def daubechies(order: int) -> np.ndarray:
    """Return the low-pass filter with `order` vanishing moments, its squares summing to 1.

    By spectral factorisation, the zeros inside the unit circle (Daubechies 1992, section 6.1).

    Examples
    --------
    >>> daubechies(1).round(4).tolist(), len(daubechies(3))
    ([0.7071, 0.7071], 6)
    """
    powers = [math.comb(order - 1 + k, k) for k in range(order)]
    zeros: list[complex] = []
    for root in np.roots(powers[::-1]) if order > 1 else []:
        both = np.roots([1, 4 * root - 2, 1])
        zeros.append(both[np.abs(both).argmin()])
    kernel = np.real(np.poly([*([-1.0] * order), *zeros]))
    return kernel / kernel.sum() * math.sqrt(2)


def _wavelet(image: np.ndarray, parts: list[str], spacing: Spacing, mode: str) -> np.ndarray:
    """Filter without decimation: at each level the kernels' taps lie twice as far apart."""
    low = daubechies(1 if parts[0] == "haar" else int(parts[0][2:]))
    high = low[::-1] * (-1.0) ** np.arange(len(low))
    level = int(parts[2]) if len(parts) > 2 else 1
    for step in range(level):
        chosen = parts[1] if step == level - 1 else "LLL"
        kernels = [_apart(low if side == "L" else high, 2**step) for side in chosen]
        image = _along(image, kernels, mode)
    return image


def _apart(kernel: np.ndarray, by: int) -> np.ndarray:
    wide = np.zeros((len(kernel) - 1) * by + 1)
    wide[::by] = kernel
    return wide


def _is_number(word: str, whole: bool = False) -> bool:
    try:
        return float(word) > 0 and (not whole or float(word).is_integer())
    except ValueError:
        return False


def _is_wavelet(parts: list[str]) -> bool:
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("1", "2", "3", "4")):
        return False
    family = parts[0] == "haar" or (parts[0][:2] == "db" and parts[0][2:] in "12345678")
    return family and parts[0] != "db" and len(parts[1]) == 3 and set(parts[1]) <= set("LH")


def _is_laws(parts: list[str]) -> bool:
    if not parts or len(parts) > 2 or len(parts[0]) != 6 or parts[1:] not in ([], ["energy"]):
        return False
    return all(parts[0][k : k + 2] in LAWS for k in (0, 2, 4))


FILTERS: dict[str, Callable[[np.ndarray, list[str], Spacing, str], np.ndarray]] = {
    "mean": _mean, "log": _log, "laws": _laws, "gabor": _gabor, "wavelet": _wavelet,
}  # fmt: skip
CHECKS: dict[str, Callable[[list[str]], bool]] = {
    "mean": lambda parts: len(parts) == 1 and _is_number(parts[0], whole=True),
    "log": lambda parts: len(parts) == 1 and _is_number(parts[0]),
    "laws": _is_laws,
    "gabor": lambda parts: len(parts) == 4 and all(map(_is_number, parts[:3])) and (
        _is_number(parts[3]) or float(parts[3] or "nan") <= 0),
    "wavelet": _is_wavelet,
}  # fmt: skip
