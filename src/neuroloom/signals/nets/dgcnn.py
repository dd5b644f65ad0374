"""DGCNN: a graph among the channels, learnt with the classifier, over their power in bands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from neuroloom.signals.nets.blocks import glorot_, require_positive

PAPER_RATE = 200.0
SMALLEST_VARIANCE = 1e-8
BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 14.0), (14.0, 31.0), (31.0, 50.0))


class DGCNN(nn.Module):
    """Dynamical graph convolutional net of Song et al. 2018 (IEEE Trans Affect Comput 11:532).

    The authors feed the differential entropy of each channel in five bands; here the net computes
    it from the window. The adjacency of the channels is a weight like any other; a Chebyshev
    filter over its Laplacian mixes them, and two linear layers classify. The Laplacian is scaled as
    in the paper (braindecode takes it as it is), with 2, the bound of its eigenvalues, for the
    largest of them; the adjacency is made symmetric, as that of an undirected graph is.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; None stands for 200, that of SEED.
    bands
        Pass-bands, Hz; those whose middle lies above half the rate are left out.
    order
        Terms of the Chebyshev filter (K, 2).
    filters, hidden
        Features of a channel after the filter, and units of the classifier.
    dropout
        Share of the features dropped before each linear layer.

    Raises
    ------
    ConfigError
        If a window is too short to resolve one of the bands.

    Examples
    --------
    >>> DGCNN(62, 200, 3)(torch.randn(2, 62, 200)).shape
    torch.Size([2, 3])
    """

    pass_bands: Tensor

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        bands: tuple[tuple[float, float], ...] = BANDS,
        order: int = 2,
        filters: int = 64,
        hidden: int = 256,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        given = rate or PAPER_RATE
        held = [(low, high) for low, high in bands if low + high < given]
        needed = -int(-given // min(high - low for low, high in held))
        require_positive("DGCNN", int(n_times >= needed), n_times, needed, rate)
        self.order = order
        self.register_buffer("pass_bands", band_gains(n_times, given, held), persistent=False)
        self.norm = nn.BatchNorm1d(len(held), affine=False)
        self.adjacency = nn.Parameter(torch.empty(n_channels, n_channels))
        self.adjacency_bias = nn.Parameter(torch.zeros(()))
        self.filter = nn.Parameter(torch.empty(order * len(held), filters))
        self.filter_bias = nn.Parameter(torch.zeros(filters))
        self.classify = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(n_channels * filters, hidden), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(hidden, n_outputs),
        )  # fmt: skip
        nn.init.uniform_(self.adjacency, 0.0, 2.0 / n_channels)
        glorot_(self.filter, order * len(held), filters)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        entropy = differential_entropy(x, self.pass_bands)
        features = self.norm(entropy.mT).mT
        laplacian = scaled_laplacian(relu(self.adjacency + self.adjacency_bias))
        terms = [features, laplacian @ features]
        while len(terms) < self.order:
            terms.append(2 * laplacian @ terms[-1] - terms[-2])
        mixed = torch.cat(terms[: self.order], 2) @ self.filter + self.filter_bias
        return self.classify(relu(mixed).flatten(1))


def band_gains(n_times: int, rate: float, bands: Sequence[tuple[float, float]]) -> Tensor:
    """Return what turns a power spectrum into the variance in each band, shape (bin, band).

    The variances of bands that cover a spectrum without its mean sum to that of the signal.
    """
    freqs = torch.fft.rfftfreq(n_times, 1 / rate)
    inside = [(freqs >= low) & (freqs < high) for low, high in bands]
    twice = torch.full_like(freqs, 2.0)
    if n_times % 2 == 0:
        twice[-1] = 1.0
    return torch.stack(inside, 1) * (twice / n_times**2)[:, None]


def differential_entropy(x: Tensor, gains: Tensor) -> Tensor:
    """Return the entropy of a normal distribution with the variance of each band, in nats.

    Equation 2 of Duan et al. 2013 (IEEE EMBS NER, p. 81), which Song et al. take as features.

    Parameters
    ----------
    x, gains
        Windows (n, channel, time) and `band_gains` for their length.

    Returns
    -------
    Tensor
        Shape (n, channel, band).

    Examples
    --------
    >>> x = torch.sin(2 * torch.pi * 10 * torch.arange(200) / 200)[None, None]
    >>> entropy = differential_entropy(x, band_gains(200, 200, [(8, 14)]))
    >>> round(float(entropy), 4)  # half the log of 2 pi e / 2
    1.0724
    """
    variance = torch.fft.rfft(x).abs().square() @ gains
    return 0.5 * (2 * math.pi * math.e * variance.clamp_min(SMALLEST_VARIANCE)).log()


def scaled_laplacian(weights: Tensor) -> Tensor:
    """Return the normalised Laplacian of a graph, minus one, so that it lies in [-1, 1].

    Parameters
    ----------
    weights
        Adjacency (channel, channel), none negative; averaged with its transpose.
    """
    weights = (weights + weights.T) / 2
    root = weights.sum(1).clamp_min(1e-6).rsqrt()
    return -root[:, None] * weights * root
