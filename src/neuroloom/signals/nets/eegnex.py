"""EEGNeX: two layers of temporal filters, spatial filters, dilated convolutions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, elu, pad

from neuroloom.signals.nets.blocks import affine, glorot_, limit_norm_, require_positive, samples
from neuroloom.signals.nets.eegnet import (
    filter_spectrally,
    map_moments,
    same_padding,
    update_running,
)

PAPER_RATE = 128.0


class EEGNeX(nn.Module):
    """EEGNeX-8,32 of Chen et al. 2024 (Biomed Signal Process Control 87:105475, table 4).

    55,940 trainable parameters for 22 channels, 4 classes and 500 samples. As in the paper, and
    unlike the authors' code, the norms are of the batch and the first two layers have no
    activation. The pools drop what is left over; braindecode 1.8.1 pads them with a zero on both
    sides.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels and pools keep the length in seconds that they have at 128 Hz (64 samples are
        0.5 s). None takes the paper's samples as they are.
    dropout
        Share dropped after each pool.
    max_norm
        Limit of the norm of each spatial filter and, a quarter of it, of each output's weights;
        0 sets none.

    Raises
    ------
    ConfigError
        If a window is shorter than the two pools or the temporal kernel.

    Examples
    --------
    >>> import torch
    >>> EEGNeX(22, 500, 4)(torch.zeros(2, 22, 500)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        dropout: float = 0.5,
        max_norm: float = 1.0,
    ) -> None:
        super().__init__()
        given, rate = rate, rate or PAPER_RATE
        kernel, first = samples(64, PAPER_RATE, rate), samples(4, PAPER_RATE, rate)
        second = samples(8, PAPER_RATE / 4, rate / first)
        dilated = samples(16, PAPER_RATE / 4, rate / first)
        length = n_times // first // second
        needed = max(first * second, kernel)
        require_positive("EEGNeX", n_times - needed + 1, n_times, needed, given)
        self.max_norm = max_norm
        self.sources = TwiceFilteredSources(n_channels, (8, 32), 2, kernel)
        self.spatial_norm = nn.BatchNorm1d(64)
        self.pool = nn.AvgPool1d(first)
        self.dropout = nn.Dropout(dropout)
        self.dilated = nn.Sequential(*_dilated(64, 32, dilated, 2), *_dilated(32, 8, dilated, 4))
        self.last_pool = nn.AvgPool1d(second)
        self.output = nn.Linear(8 * length, n_outputs)
        glorot_(self.output.weight, 8 * length, n_outputs)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        x = self.dropout(self.pool(elu(self.spatial_norm(self.sources(x)))))
        x = self.dropout(self.last_pool(elu(self.dilated(x))))
        return self.output(x.flatten(1))

    def constrain(self) -> None:
        """Apply the norm limits; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.sources.spatial, self.max_norm, (2,))
            limit_norm_(self.output.weight, self.max_norm / 4, (1,))


class TwiceFilteredSources(nn.Module):
    """Temporal filters, a second layer over their maps, then spatial filters; normalised twice.

    The paper filters every channel, mixes and filters the maps of every channel again, and weighs
    the channels last. All of it is linear once the moments of both batch normalisations are known,
    so the channels are weighed first and the few sums are filtered once, with the product of both
    layers. Two things keep it the same net. The moments follow from the spectrum of the batch (see
    `map_moments`). And near the ends of a window, where the second layer of the paper sees zeros
    in place of maps that would lie outside, what the product adds is taken away (see `Ends`).

    Parameters
    ----------
    n_channels, filters, depth, kernel
        Input channels, filters of both layers, spatial filters for each of the second, samples of
        a kernel.
    """

    def __init__(self, n_channels: int, filters: tuple[int, int], depth: int, kernel: int) -> None:
        super().__init__()
        inner, outer = filters
        self.first = nn.Parameter(torch.empty(inner, kernel))
        self.first_norm = nn.BatchNorm1d(inner)
        self.second = nn.Parameter(torch.empty(outer, inner, kernel))
        self.second_norm = nn.BatchNorm1d(outer)
        self.spatial = nn.Parameter(torch.empty(outer, depth, n_channels))
        glorot_(self.first, kernel, inner * kernel)
        glorot_(self.second, inner * kernel, outer * kernel)
        glorot_(self.spatial, n_channels, depth * n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to (n, filters of the second layer * depth, time)."""
        gain, shift = self._affine(self.first_norm, x, lambda: map_moments(x, self.first))
        first = self.first * gain[:, None]
        product, ends = compose(first, self.second), Ends(first, self.second)
        constant = _same(shift[None, :, None].expand(1, -1, x.shape[-1]), self.second)[0]

        def moments() -> tuple[Tensor, Tensor]:
            return self._outer_moments(x, product, ends, constant)

        gain, shift = self._affine(self.second_norm, x, moments)
        depth = self.spatial.shape[1]
        sources = (self.spatial * gain[:, None, None]).flatten(0, 1) @ x
        outer = self._correlate(sources, product.repeat_interleave(depth, 0))
        outer = ends.subtract(outer.unflatten(1, (-1, depth)), sources.unflatten(1, (-1, depth)))
        level = constant * gain[:, None] + shift[:, None]
        return (outer + self.spatial.sum(2)[..., None] * level[:, None]).flatten(1, 2)

    def _affine(
        self, norm: nn.BatchNorm1d, x: Tensor, moments: Callable[[], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Return factor and shift of `norm`; in training by the moments of this batch."""
        if not self.training:
            return affine(norm, norm.running_mean, norm.running_var)
        mean, variance = moments()
        update_running(norm, mean, variance, x.numel())
        return affine(norm, mean, variance)

    def _correlate(self, x: Tensor, kernels: Tensor) -> Tensor:
        """Filter each map with its own kernel; in training through the spectrum, as in EEGNet."""
        if self.training:
            return filter_spectrally(x, kernels)
        return _same(x, kernels[:, None], groups=len(kernels))

    def _outer_moments(
        self, x: Tensor, product: Tensor, ends: Ends, constant: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance of the maps of the second layer, over windows, channels and time."""
        mean, variance = map_moments(x, product)
        energy = variance + mean.square() + ends.energy(x, product) / x.numel()
        average = x.mean((0, 1))[None, None].expand(1, len(product), -1)
        course = ends.subtract(filter_spectrally(average, product)[:, :, None], average[:, :, None])
        course = course[0, :, 0]
        total = course + constant
        mean = total.mean(1)
        variance = energy + (total.square() - course.square()).mean(1) - mean.square()
        return mean, variance.clamp_min(0)


class Ends:
    """What the product of two layers adds near the ends of a window, where each alone sees zeros.

    The first layer's maps before and after the window are zeros to the second layer, while the
    product of both kernels goes on with what they would be.

    Parameters
    ----------
    first, second
        Kernels (inner, k) and (outer, inner, k).
    """

    def __init__(self, first: Tensor, second: Tensor) -> None:
        size = first.shape[1]
        before, after = same_padding(size)
        self.size, self.before, self.after = size, before, after
        lag = torch.arange(size, device=first.device)
        early, late = lag[:before], lag[:after]
        seen = _taps(second, early[None] - early[:, None])
        made = _taps(first, late[None] - early[:, None] + 2 * before)
        self.start = torch.einsum("oits,isu->otu", seen, made)
        seen = _taps(second, late[None] - late[:, None] + size - 1)
        made = _taps(first, early[None] - late[:, None])
        self.end = torch.einsum("oits,isu->otu", seen, made)

    def subtract(self, maps: Tensor, sources: Tensor) -> Tensor:
        """Correct maps (n, outer, depth, time) that the product made of `sources`."""
        n_times = maps.shape[-1]
        start = torch.einsum("otu,nodu->nodt", self.start, sources[..., : self.after])
        end = torch.einsum("otu,nodu->nodt", self.end, sources[..., n_times - self.before :])
        middle = maps.new_zeros(*maps.shape[:-1], n_times - self.before - self.after)
        return maps - torch.cat([start, middle, end], -1)

    def energy(self, x: Tensor, product: Tensor) -> Tensor:
        """Energy (outer,) of corrected maps of `x` (n, channel, time), less that of the others."""
        n_times, rows = x.shape[-1], x.flatten(0, 1).double()
        reach = min(n_times, 2 * self.size)
        head, tail = rows[:, :reach], rows[:, n_times - reach :]
        offset = same_padding(product.shape[1])[0]
        column = torch.arange(reach, device=x.device)
        early, late = column[: self.before], column[: self.after]
        kept = _taps(product.double(), column[None] - early[:, None] + offset)
        change = self._change(self.start, kept, head.T @ head, slice(0, self.after))
        kept = _taps(product.double(), column[None] - late[:, None] - reach + self.after + offset)
        own = slice(reach - self.before, reach)
        return change + self._change(self.end, kept, tail.T @ tail, own)

    @staticmethod
    def _change(taken: Tensor, kept: Tensor, gram: Tensor, own: slice) -> Tensor:
        """Energy of (kept - taken) less that of kept, for data with the products `gram`."""
        taken = taken.double()
        cross = torch.einsum("otu,uv,otv->o", taken, gram[own], kept)
        square = torch.einsum("otu,uv,otv->o", taken, gram[own, own], taken)
        return (square - 2 * cross).to(torch.float32)


def compose(first: Tensor, second: Tensor) -> Tensor:
    """Return the kernels that do at once what two layers do one after the other.

    Parameters
    ----------
    first, second
        Kernels (inner, k) and (outer, inner, k), each applied with `same_padding`.

    Returns
    -------
    Tensor
        Shape (outer, 2 k - 1), or 2 k with a leading zero where k is even, so that `same_padding`
        is that of both together.
    """
    size = first.shape[1]
    product = conv1d(second, first.flip(1)[None], padding=size - 1)[:, 0]
    return pad(product, (1 - size % 2, 0))


def _same(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    return conv1d(pad(x, same_padding(weight.shape[-1])), weight, groups=groups)


def _taps(kernels: Tensor, lag: Tensor) -> Tensor:
    """Return kernels (…, k) at `lag`, zero where there is no tap."""
    size = kernels.shape[-1]
    return kernels[..., lag.clamp(0, size - 1)] * ((lag >= 0) & (lag < size))


def _dilated(n_in: int, n_out: int, size: int, dilation: int) -> list[nn.Module]:
    conv = nn.Conv1d(n_in, n_out, size, dilation=dilation, bias=False)
    glorot_(conv.weight, n_in * size, n_out * size)
    reach = (size - 1) * dilation
    zeros = nn.ConstantPad1d((reach // 2, reach - reach // 2), 0.0)
    return [zeros, conv, nn.BatchNorm1d(n_out)]
