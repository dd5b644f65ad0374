"""FBCNet: a filter bank, spatial filters for each band, log variance in pieces of the window."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from neuroloom.core.errors import ConfigError
from neuroloom.signals.nets.blocks import affine, fast_length, limit_norm_, require_positive
from neuroloom.signals.nets.eegnet import update_running

PAPER_RATE = 250.0
LOW, WIDTH, BANDS, EDGE = 4.0, 4.0, 9, 2.0


class FBCNet(nn.Module):
    """FBCNet of Mane et al. 2021 (arXiv:2104.01233, figure 2).

    11,812 trainable parameters for 22 channels and 4 classes, at any length.

    The nine bands of 4 Hz from 4 to 40 Hz are made in the net, so that it takes plain windows. Up
    to the swish all of it is linear: a band is a few bins of the window's spectrum, the channels
    are weighed there, and the batch normalisation, whose moments follow from the same bins, is
    folded into the weights. The edges of a band are raised cosines 2 Hz wide, as wide as the
    transitions of the paper's filters; the phase is zero.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz, at least 82, as the highest band ends at 41 Hz. None stands for 250 Hz.
    filters
        Spatial filters of each band (m).
    pieces
        Pieces of the window whose variance is taken; the few samples that are left over are not
        seen.
    max_norm
        Limit of the norm of each spatial filter and, a quarter of it, of each output's weights
        (2 and 0.5 in the paper); 0 sets none.

    Raises
    ------
    ConfigError
        If the rate is too low for the bands, or a piece has fewer than two samples.

    Examples
    --------
    >>> import torch
    >>> FBCNet(22, 1000, 4)(torch.zeros(2, 22, 1000)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 32,
        pieces: int = 4,
        max_norm: float = 2.0,
    ) -> None:
        super().__init__()
        require_positive("FBCNet", n_times // pieces // 2, n_times, 2 * pieces, rate)
        self.max_norm, self.pieces = max_norm, pieces
        self.bank = FilterBank(n_times, rate or PAPER_RATE)
        self.spatial = nn.Parameter(torch.empty(BANDS, filters, n_channels))
        self.bias = nn.Parameter(torch.zeros(BANDS * filters))
        self.norm = nn.BatchNorm1d(BANDS * filters)
        self.output = nn.Linear(BANDS * filters * pieces, n_outputs)
        nn.init.uniform_(self.spatial, -(n_channels**-0.5), n_channels**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        bins = self.spatial[:, None] @ self.bank.analyse(x)
        gain, offset = self._normalisation(bins, x.shape[-1])
        maps = self.bank.synthesise(bins * gain, offset)
        kept = maps.shape[-1] // self.pieces * self.pieces
        spread = silu(maps[..., :kept]).unflatten(-1, (self.pieces, -1)).var(-1)
        features = spread.clamp(1e-6, 1e6).log().transpose(0, 1)
        return self.output(features.flatten(1))

    def _normalisation(self, bins: Tensor, n_times: int) -> tuple[Tensor, Tensor]:
        """Return factor and offset (band, 1, filter, 1) that stand for batch normalisation."""
        norm = self.norm
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            mean, variance = self.bank.moments(bins)
            mean = mean.flatten() + self.bias
            variance = variance.flatten()
            update_running(norm, mean, variance, bins.shape[1] * n_times)
        gain, shift = affine(norm, mean, variance)
        shape = (len(bins), 1, bins.shape[2], 1)
        return gain.reshape(shape), (shift + gain * self.bias).reshape(shape)

    def constrain(self) -> None:
        """Apply the norm limits; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.spatial, self.max_norm, (2,))
            limit_norm_(self.output.weight, self.max_norm / 4, (1,))


class FilterBank(nn.Module):
    """Nine bands of 4 Hz from 4 to 40 Hz, as spectra that become signals by a product.

    A window is padded with a second of zeros, so that its end does not reach its beginning.

    Parameters
    ----------
    n_times, rate
        Samples of a window, and Hz.

    Raises
    ------
    ConfigError
        If the rate is too low for the highest band.
    """

    index: Tensor
    response: Tensor
    waves: Tensor
    overlap: Tensor
    wave_mean: Tensor

    def __init__(self, n_times: int, rate: float) -> None:
        super().__init__()
        top = LOW + BANDS * WIDTH + EDGE / 2
        if rate < 2 * top:
            raise ConfigError(
                f"FBCNet's bands reach {top:g} Hz, which needs a rate of at least {2 * top:g} Hz; "
                f"these windows have {rate:g} Hz. Keep a higher rate."
            )
        self.n_fft = fast_length(n_times + round(rate))
        count = math.ceil((WIDTH + EDGE) * self.n_fft / rate) + 1
        edges = LOW + WIDTH * torch.arange(BANDS, dtype=torch.float64)
        first = ((edges - EDGE / 2) * self.n_fft / rate).floor().long()
        index = (first[:, None] + torch.arange(count)).clamp(max=self.n_fft // 2)
        frequency = (first[:, None] + torch.arange(count)) * rate / self.n_fft
        angle = 2 * torch.pi * index[..., None] * torch.arange(n_times) / self.n_fft
        waves = torch.cat([angle.cos(), -angle.sin()], 1) * 2 / self.n_fft
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("response", _pass(frequency - edges[:, None]).float(), False)
        self.register_buffer("waves", waves.float(), persistent=False)
        self.register_buffer("overlap", (waves @ waves.mT / n_times).float(), persistent=False)
        self.register_buffer("wave_mean", waves.mean(2).float(), persistent=False)

    def analyse(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to bins (band, n, channel, 2 x bin), the real parts first."""
        spectrum = torch.fft.rfft(x, self.n_fft)[..., self.index] * self.response
        return torch.cat([spectrum.real, spectrum.imag], -1).permute(2, 0, 1, 3)

    def synthesise(self, bins: Tensor, offset: Tensor) -> Tensor:
        """Map bins (band, n, map, 2 x bin) to signals (band, n, map, time), plus `offset`."""
        wide = torch.cat([bins, offset.expand(*bins.shape[:-1], 1)], -1)
        waves = torch.cat([self.waves, torch.ones_like(self.waves[:, :1])], 1)
        return torch.bmm(wide.flatten(1, 2), waves).unflatten(1, bins.shape[1:3])

    def moments(self, bins: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (band, map) over windows and time of what `synthesise` would return."""
        mean = (bins.mean(1) @ self.wave_mean[..., None])[..., 0]
        energy = (bins @ self.overlap[:, None] * bins).sum(-1).mean(1)
        return mean, (energy - mean.square()).clamp_min(0)


def _pass(above: Tensor) -> Tensor:
    """Gain of a band at frequencies (Hz) above its lower edge: half at both edges."""
    rise = ((above + EDGE / 2) / EDGE).clamp(0, 1)
    fall = ((WIDTH + EDGE / 2 - above) / EDGE).clamp(0, 1)
    return torch.sin(torch.pi / 2 * rise).square() * torch.sin(torch.pi / 2 * fall).square()
