"""Convolutional nets on pictures of a window: spectrograms, and films of the scalp."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError
from neuroloom.nets.blocks import require_positive
from neuroloom.nets.tokens import USUAL_RATE, LogPower, in_samples


class SpectrogramCNN(nn.Module):
    """Two-dimensional convolutions over time and frequency; each channel is a plane of the picture.

    The short-time Fourier transform is the net's first layer, made on the whole batch; each of its
    bins is normalised over windows, which takes out the spectrum's slope.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; None stands for 100.
    window, step
        Length of a spectrum and distance of two, s.
    band
        Lowest and highest frequency of the picture, Hz.
    filters
        Of the two convolutions.
    dropout
        Share dropped before the second convolution and before the output.

    Raises
    ------
    ConfigError
        If a window is shorter than two spectra, or the band holds no bin.

    Examples
    --------
    >>> SpectrogramCNN(22, 300, 4, rate=100)(torch.randn(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        window: float = 0.5,
        step: float = 0.125,
        band: tuple[float, float] = (4.0, 40.0),
        filters: tuple[int, int] = (16, 16),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        wide, stride = in_samples(window, rate), in_samples(step, rate)
        count = (n_times - wide) // stride + 1
        require_positive("SpectrogramCNN", count - 1, n_times, wide + stride, rate)
        self.spectrogram = Spectrogram(wide, stride, band, rate or USUAL_RATE)
        bins = len(self.spectrogram.kept)
        self.norm = nn.BatchNorm1d(n_channels * bins)
        self.layers = nn.Sequential(
            _flat(n_channels, filters[0]),
            nn.AvgPool2d((1, 2)),
            nn.Dropout(dropout),
            _flat(filters[0], filters[1]),
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters[1] * bins, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        picture = self.spectrogram(x)
        normal = self.norm(picture.flatten(1, 2)).unflatten(1, picture.shape[1:3])
        features = self.layers(normal).mean(3).flatten(1)
        return self.output(self.dropout(features))


class Spectrogram(nn.Module):
    """Log power of a batch in time and frequency; a Hann window, no padding.

    Parameters
    ----------
    window, step
        Samples.
    band
        Lowest and highest frequency kept, Hz.
    rate
        Hz.

    Attributes
    ----------
    kept
        Indices of the bins kept.

    Examples
    --------
    >>> Spectrogram(50, 10, (4, 40), 100)(torch.randn(2, 3, 100)).shape
    torch.Size([2, 3, 19, 6])
    """

    hann: Tensor

    def __init__(self, window: int, step: int, band: tuple[float, float], rate: float) -> None:
        super().__init__()
        bins = torch.arange(window // 2 + 1)
        frequency = bins * rate / window
        self.kept = bins[(frequency >= band[0]) & (frequency <= band[1])].tolist()
        if not self.kept:
            raise ConfigError(
                f"No bin of a spectrum of {window} samples at {rate:g} Hz lies between {band[0]:g} "
                f"and {band[1]:g} Hz (bins are {rate / window:.3g} Hz apart). Widen the band or "
                "take longer spectra."
            )
        self.step = step
        self.register_buffer("hann", torch.hann_window(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to (n, channel, frequency, time)."""
        spectra = torch.stft(
            x.flatten(0, 1), len(self.hann), self.step, window=self.hann, center=False,
            return_complex=True,
        )[:, self.kept[0] : self.kept[-1] + 1]  # fmt: skip
        power = torch.view_as_real(spectra).square().sum(-1) / self.hann.sum()
        return (power + 1e-6).log().unflatten(0, x.shape[:2])


class CNN3D(nn.Module):
    """Three-dimensional convolutions over a film of the scalp: time x height x width.

    Channels are interpolated to a grid by a fixed matrix (`scalp_maps`), filtered in space and
    time, pooled as log power and convolved again.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; lengths are in seconds. None stands for 100 Hz.
    positions
        Place of each channel's electrode (channel, 3), m, x to the right, y to the front; NaN where
        unknown. Such channels do not appear in the maps.
    size
        Points of the grid on each side.
    filters
        Of the two convolutions.
    dropout
        Share dropped before the second convolution and before the output.

    Raises
    ------
    ConfigError
        If fewer than four places are known, or a window is too short.

    Examples
    --------
    >>> places = np.random.default_rng(0).normal(size=(22, 3))
    >>> net = CNN3D(22, 300, 4, rate=100, positions=places)
    >>> net(torch.randn(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    maps: Tensor

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        positions: Sequence[Sequence[float]] | np.ndarray | None = None,
        size: int = 7,
        filters: tuple[int, int] = (8, 16),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        wide, stride = in_samples(0.5, rate), in_samples(0.25, rate)
        require_positive("CNN3D", n_times - wide - 1, n_times, wide + 2, rate)
        places = np.full((n_channels, 3), np.nan) if positions is None else np.asarray(positions)
        matrix, inside = scalp_maps(places, size)
        self.size = size
        self.register_buffer("maps", torch.as_tensor(matrix * inside[:, None], dtype=torch.float32))
        self.filter = nn.Conv3d(1, filters[0], 3, padding=(0, 1, 1), bias=False)
        self.power = LogPower(wide, stride)
        self.norm = nn.BatchNorm3d(filters[0])
        self.conv = nn.Conv3d(filters[0], filters[1], 3, stride=(1, 2, 2), padding=1, bias=False)
        self.conv_norm = nn.BatchNorm3d(filters[1])
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters[1] * (-(-size // 2)) ** 2, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        film = (self.maps @ x).mT.unflatten(2, (self.size, self.size))
        filtered = self.filter(film[:, None]).movedim(2, 4)
        power = self.power(filtered.flatten(1, 3)).unflatten(1, filtered.shape[1:4])
        normal = self.norm(power.movedim(4, 2))
        features = self.conv_norm(self.conv(self.dropout(normal))).relu().mean(2)
        return self.output(self.dropout(features.flatten(1)))


def scalp_maps(positions: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix that interpolates channels to a square grid over the scalp.

    Electrodes are laid flat, each as far from the vertex as it is along the head (azimuthal
    equidistant), and a thin-plate spline goes through their values exactly.

    Parameters
    ----------
    positions
        Shape (channel, 3), m; NaN where unknown.
    size
        Points on each side; the first row is the front, the first column the left.

    Returns
    -------
    matrix
        Shape (size * size, channel).
    inside
        Shape (size * size,): whether a point lies within the outermost electrode.

    Raises
    ------
    ConfigError
        If fewer than four places are known, or all lie in a line.
    """
    known = np.isfinite(positions).all(1)
    flat = flatten_head(positions[known])
    if known.sum() < 4 or np.linalg.matrix_rank(flat - flat.mean(0), tol=1e-3) < 2:
        raise ConfigError(
            f"A map of the scalp needs the places of at least four electrodes that do not lie in a "
            f"line; {int(known.sum())} of {len(known)} are known. Name the channels as in the "
            "10-10 system, add a montage to the files, or take a net without maps."
        )
    radius = np.linalg.norm(flat, axis=1).max()
    axis = np.linspace(-radius, radius, size)
    grid = np.stack(np.meshgrid(axis, -axis), axis=-1).reshape(-1, 2)
    matrix = np.zeros((size * size, len(positions)))
    matrix[:, known] = thin_plate(flat, grid)
    return matrix, np.linalg.norm(grid, axis=1) <= radius * (1 + 1e-6)


def flatten_head(positions: np.ndarray) -> np.ndarray:
    """Lay points of a head flat: the same azimuth, and the angle from the vertex as the radius.

    Parameters
    ----------
    positions
        Shape (point, 3), x to the right, y to the front, z up.

    Returns
    -------
    np.ndarray
        Shape (point, 2), radians.

    Examples
    --------
    >>> flatten_head(np.array([[0.0, 0.0, 0.1], [0.1, 0.0, 0.0]])).round(3).tolist()
    [[0.0, 0.0], [1.571, 0.0]]
    """
    across = np.linalg.norm(positions[:, :2], axis=1)
    angle = np.arctan2(across, positions[:, 2])
    return positions[:, :2] * (angle / np.maximum(across, 1e-12))[:, None]


def thin_plate(points: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the matrix of thin-plate interpolation (Duchon 1977) from `points` to `grid`.

    Parameters
    ----------
    points, grid
        Shapes (point, 2) and (place, 2).

    Returns
    -------
    np.ndarray
        Shape (place, point).
    """
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bending(points, points)
    system[:count, count:] = np.c_[np.ones(count), points]
    system[count:, :count] = system[:count, count:].T
    reading = np.c_[_bending(grid, points), np.ones(len(grid)), grid]
    return (reading @ np.linalg.pinv(system))[:, :count]


def _bending(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b) ** 2).sum(2)
    return squared * np.log(np.maximum(squared, 1e-24))


def _flat(given: int, made: int) -> nn.Sequential:
    conv = nn.Conv2d(given, made, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(made), nn.ReLU())
