"""An encoder that is pretrained without labels: sources of a fixed montage, and their log power."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from neuroloom.core.errors import ConfigError

PLACES = 64
SECONDS, HOP = 1.0, 0.5
FLOOR, NOTHING = 1e-3, 1e-6
LOWEST, HIGHEST = 5.0, 0.85


class PowerTokens(nn.Module):
    """Spatial filters of the 10-10 places, spectral filters of their sources, log power: tokens.

    A token is what one source does in one band during 1 s, every 0.5 s. Places that a recording
    lacks hold zeros; the others are weighed up for them.

    Parameters
    ----------
    n_places
        Of the montage.
    rate
        Hz.
    band
        Pass-band of the recordings, Hz; the spectral filters look no further.
    sources, bands
        Number of spatial and of spectral filters; every source is seen in every band.

    Examples
    --------
    >>> PowerTokens(rate=100.0)(torch.randn(2, 64, 300)).shape
    torch.Size([2, 192, 5])
    """

    inside: Tensor
    taper: Tensor

    def __init__(
        self,
        n_places: int = PLACES,
        rate: float = 100.0,
        band: tuple[float, float] = (2.0, 40.0),
        sources: int = 32,
        bands: int = 6,
    ) -> None:
        super().__init__()
        self.n_sources, self.n_bands, self.rate = sources, bands, rate
        self.length, self.hop = round(SECONDS * rate), round(HOP * rate)
        self.spatial = nn.Parameter(torch.randn(sources, n_places) / n_places**0.5)
        bins = torch.fft.rfftfreq(self.length, 1 / rate)
        middle = np.geomspace(max(band[0], LOWEST), HIGHEST * band[1], bands)
        middle = torch.as_tensor(middle, dtype=torch.float32)[:, None]
        hills = -(((bins - middle) / (0.25 * middle)) ** 2) / 2
        self.spectral = nn.Parameter(hills.clamp_min(-12.0))
        inside = ((bins >= band[0]) & (bins <= band[1])).float()
        self.register_buffer("inside", (inside + NOTHING).log(), persistent=False)
        taper = torch.hann_window(self.length, periodic=True)
        self.register_buffer("taper", taper, persistent=False)

    @property
    def n_features(self) -> int:
        """Features of a window: sources times bands."""
        return self.n_sources * self.n_bands

    def sources(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Map windows (n, place, time) to sources (n, source, time).

        Parameters
        ----------
        seen
            Shape (n, place), 1 where a place is shown; default: where the window is not flat.
        """
        seen = there(x) if seen is None else seen
        share = seen.mean(1, keepdim=True).clamp_min(1 / seen.shape[1])
        unit = self.spatial / self.spatial.norm(dim=1, keepdim=True)
        return torch.einsum("sp,npt->nst", unit, x * (seen / share.sqrt())[:, :, None])

    def power(self, sources: Tensor) -> Tensor:
        """Return the log power (n, source, band, token) of sources (n, source, time)."""
        pieces = torch.fft.rfft(sources.unfold(2, self.length, self.hop) * self.taper)
        spectra = pieces.real.square() + pieces.imag.square()
        weight = torch.softmax(self.spectral + self.inside, 1)
        return (torch.einsum("nstf,bf->nsbt", spectra, weight) + FLOOR).log()

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, place, time), unit amplitude, to tokens (n, feature, token)."""
        return self.power(self.sources(x)).flatten(1, 2)


class MaskedPlaces(nn.Module):
    """What the encoder learns by: hidden places are reconstructed, sources fall apart.

    Some places of every window are hidden, and their signal is put together from the sources of the
    others; reconstruction alone leaves the sources free to turn into mixtures of each other. The
    second term, the mean log power of the tokens relative to each source's own, is what remains of
    the likelihood of Gaussian sources whose power differs between times and bands (after Pham &
    Cardoso 2001, IEEE Trans. Signal Process. 49(9), 1837-1848; the reconstruction stands in for
    their determinant): it pulls each filter towards one source.

    Parameters
    ----------
    encoder
        Sizes of `PowerTokens`.
    hide
        Share of the places that is hidden.
    separate
        Weight of the second term.
    recordings
        How many there are; each has a usual power of its own.
    """

    def __init__(
        self, encoder: dict[str, Any], hide: float = 0.3, separate: float = 0.0, recordings: int = 1
    ) -> None:
        super().__init__()
        self.encoder = PowerTokens(**encoder)
        places = self.encoder.spatial.shape[1]
        self.decoder = nn.Parameter(0.05 * torch.randn(places, self.encoder.n_sources))
        self.hide, self.separate, self.recordings = hide, separate, recordings

    def reconstruct(self, x: Tensor, seen: Tensor) -> Tensor:
        """Put windows (n, place, time) together from the places that are `seen` (n, place)."""
        return torch.einsum("ps,nst->npt", self.decoder, self.encoder.sources(x, seen))

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean loss of windows (n, place, time); `y` says of which recording each is."""
        generator = generator or Generator(x.device).manual_seed(0)
        own = there(x)
        drawn = torch.rand(own.shape, generator=generator, device=x.device)
        # One place always stays: that with the luckiest draw.
        kept = torch.nn.functional.one_hot((drawn * own).argmax(1), own.shape[1])
        seen = own * torch.maximum((drawn > self.hide).float(), kept)
        hidden = (own - seen)[:, :, None]
        wrong = ((self.reconstruct(x, seen) - x).square() * hidden).sum()
        missed = wrong / (x.square() * hidden).sum().clamp_min(NOTHING)
        return missed + self.separate * self._mixed(x, y)

    def _mixed(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean log power over the log of the mean, 0 (it never varies) and below."""
        power = self.encoder.power(self.encoder.sources(x))
        of = torch.nn.functional.one_hot(y, self.recordings).float()
        of = of / of.sum(0).clamp_min(1)
        usual = torch.einsum("nr,ns->rs", of, power.exp().mean((2, 3))).clamp_min(FLOOR).log()
        # A window of few places says little of filters over all: it counts by how many it has.
        weight = there(x).sum(1)
        mixed = (power.mean((2, 3)) - usual[y]).mean(1)
        return (mixed * weight).sum() / weight.sum().clamp_min(1)

    def constrain(self) -> None:
        """Nothing is limited."""

    def settle(self, batches: Any) -> None:
        """Nothing lags behind the weights."""
        self.eval()


class PretrainedNet(nn.Module):
    """The encoder with a linear output, all of it trained further on labelled windows.

    Parameters
    ----------
    n_channels, n_times, n_outputs, rate
        As of any net.
    encoder
        Sizes of `PowerTokens`.
    places
        Matrix (place, channel) that takes the channels to the montage.
    weights
        Arrays of a pretrained encoder; None starts from random ones.

    Raises
    ------
    ConfigError
        If the windows have another rate than the encoder, or are shorter than a token.

    Examples
    --------
    >>> PretrainedNet(64, 300, 2, 100.0)(torch.randn(4, 64, 300)).shape
    torch.Size([4, 2])
    """

    places: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        encoder: dict[str, Any] | None = None,
        places: list[list[float]] | None = None,
        weights: dict[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = PowerTokens(**(encoder or {}))
        check_windows(encoder or {}, n_times, rate)
        if weights is not None:
            load_encoder(self.encoder, weights)
        matrix = torch.eye(n_channels) if places is None else torch.tensor(places)
        self.register_buffer("places", matrix.float())
        self.register_buffer("mean", torch.zeros(self.encoder.n_features))
        self.register_buffer("scale", torch.ones(self.encoder.n_features))
        self.output = nn.Linear(self.encoder.n_features, n_outputs)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean token (n, feature) of windows (n, channel, time)."""
        return self.encoder(torch.einsum("pc,nct->npt", self.places, x)).mean(2)

    @torch.no_grad()
    def adapt(self, x: Tensor, y: Tensor) -> None:
        """Measure mean and deviation of the features on the training windows."""
        found = self.features(x)
        self.mean.copy_(found.mean(0))
        self.scale.copy_(found.std(0, correction=0).clamp_min(NOTHING))

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        return self.output((self.features(x) - self.mean) / self.scale)


def there(x: Tensor) -> Tensor:
    """Return 1 for each place of each window (n, place, time) that is not flat, else 0."""
    return (x.abs().amax(2) > 0).float()


def check_windows(encoder: dict[str, Any], n_times: int, rate: float | None) -> None:
    """Refuse windows that the encoder was not made for.

    Raises
    ------
    ConfigError
        Naming the rate or the length that would do.
    """
    own = encoder.get("rate", 100.0)
    if rate is not None and rate != own:
        raise ConfigError(
            f"The encoder was pretrained at {own:g} Hz, the windows come at {rate:g} Hz: leave "
            f"`rate` out, or say {own:g}."
        )
    if n_times < round(SECONDS * own):
        raise ConfigError(
            f"A window of {n_times / own:g} s is shorter than one token of the encoder "
            f"({SECONDS:g} s). Raise `stop` or `window`."
        )


def load_encoder(encoder: PowerTokens, weights: dict[str, np.ndarray]) -> None:
    """Take over the arrays of a pretrained encoder."""
    encoder.load_state_dict({name: torch.as_tensor(a) for name, a in weights.items()})
