"""Changes of training windows that keep their label, made on whole batches on their device.

Every function takes a batch (n, channel, time), standardised to about unit variance, and the one
seeded generator of the fit, so a fit with the same seed sees the same windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from neuroloom.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from torch import Generator, Tensor


def uniform(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    """Draw numbers in [0, 1) on the device of `x`."""
    import torch

    return torch.rand(*shape, generator=generator, device=x.device, dtype=x.dtype)


def chosen(x: Tensor, generator: Generator, share: float = 0.5) -> Tensor:
    """Draw which windows change, shape (n, 1, 1)."""
    return uniform(x, generator, len(x), 1, 1) < share


def add_noise(x: Tensor, generator: Generator, size: float = 0.1) -> Tensor:
    """Add white noise with a standard deviation of `size`."""
    import torch

    noise = torch.empty_like(x).normal_(generator=generator)
    return x + size * noise


def scale(x: Tensor, generator: Generator, span: float = 0.3) -> Tensor:
    """Multiply each window by a factor of 1 ± `span`."""
    return x * (1 + span * (2 * uniform(x, generator, len(x), 1, 1) - 1))


def flip_sign(x: Tensor, generator: Generator) -> Tensor:
    """Turn the polarity of half of the windows; only for power, never for evoked responses."""
    return x.where(~chosen(x, generator), -x)


def reverse_time(x: Tensor, generator: Generator) -> Tensor:
    """Play half of the windows backwards; only for power, never for evoked responses."""
    return x.where(~chosen(x, generator), x.flip(-1))


def drop_channels(x: Tensor, generator: Generator, share: float = 0.1) -> Tensor:
    """Set channels to zero, each with the probability `share`, as if they had come loose."""
    return x * (uniform(x, generator, len(x), x.shape[1], 1) >= share)


def mask_time(x: Tensor, generator: Generator, share: float = 0.2) -> Tensor:
    """Set a stretch of `share` of the time to zero, somewhere else in each window."""
    import torch

    n_times = x.shape[-1]
    length = round(share * n_times)
    start = uniform(x, generator, len(x), 1, 1) * (n_times - length)
    index = torch.arange(n_times, device=x.device)
    return x * ((index < start) | (index >= start + length))


def shuffle_phase(x: Tensor, generator: Generator, span: float = 1.0) -> Tensor:
    """Turn the phase of each frequency by up to `span` x 180 degrees, alike in all channels.

    Spectra and the relations between channels stay (Schwabedal et al. 2018, arXiv:1806.08675).
    """
    import torch

    spectrum = torch.fft.rfft(x)
    angle = span * torch.pi * (2 * uniform(x, generator, len(x), 1, spectrum.shape[-1]) - 1)
    angle[..., 0] = 0
    return torch.fft.irfft(spectrum * torch.polar(torch.ones_like(angle), angle), n=x.shape[-1])


Augmentation = Callable[["Tensor", "Generator"], "Tensor"]
AUGMENTATIONS: dict[str, Augmentation] = {
    "noise": add_noise,
    "scale": scale,
    "sign": flip_sign,
    "reverse": reverse_time,
    "channels": drop_channels,
    "mask": mask_time,
    "phase": shuffle_phase,
}


def resolve(names: Iterable[str]) -> list[Augmentation]:
    """Return the functions called `names`.

    Raises
    ------
    ConfigError
        If a name is unknown; the message suggests the nearest.

    Examples
    --------
    >>> [function.__name__ for function in resolve(["noise", "mask"])]
    ['add_noise', 'mask_time']
    """
    names = list(names)
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        hint = nearest(unknown[0], AUGMENTATIONS)
        raise ConfigError(
            f"No augmentation is called '{unknown[0]}'.{hint} Known: {', '.join(AUGMENTATIONS)}."
        )
    return [AUGMENTATIONS[name] for name in names]


def crop_randomly(x: Tensor, length: int, generator: Generator) -> Tensor:
    """Cut one piece of `length` samples out of each window, at a random place."""
    import torch

    places = x.shape[-1] - length + 1
    if places <= 1:
        return x
    starts = torch.randint(places, (len(x),), generator=generator, device=x.device)
    rows = torch.arange(len(x), device=x.device)
    return x.unfold(-1, length, 1)[rows, :, starts]


def crop_evenly(x: Tensor, length: int, count: int) -> Tensor:
    """Cut `count` evenly spaced, overlapping pieces out of each window.

    Returns
    -------
    Tensor
        Shape (count, n, channel, length); the first piece starts at 0, the last one ends with the
        window; a single piece is taken from the middle.
    """
    import torch

    free = x.shape[-1] - length
    if free <= 0:
        return x[None]
    places = [free / 2] if count == 1 else [free * i / (count - 1) for i in range(count)]
    return torch.stack([x[..., round(place) : round(place) + length] for place in places])
