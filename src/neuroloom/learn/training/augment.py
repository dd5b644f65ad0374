"""Changes of training windows, made on whole batches on their device.

An augmentation takes a batch (n, channel, time), standardised to about unit variance, and the one
seeded generator of the fit, so a fit with the same seed sees the same windows; it returns the
changed batch. It may name further arguments: `y`, the targets, then it returns both, `(x, y)`; and
the facts `FACTS` of the data, which the net's learner hands over. Its first argument with a default
is its strength, which a user sets by "name=strength".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Generator, Tensor

FACTS = ("rate", "channels", "positions", "classes", "n_outputs", "task")


def uniform(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    """Draw numbers in [0, 1) on the device of `x`."""
    import torch

    return torch.rand(*shape, generator=generator, device=x.device, dtype=x.dtype)


def between(x: Tensor, generator: Generator, span: float) -> Tensor:
    """Draw a number in [-span, span) for each window, shape (n, 1, 1)."""
    return span * (2 * uniform(x, generator, len(x), 1, 1) - 1)


def chosen(x: Tensor, generator: Generator, share: float = 0.5) -> Tensor:
    """Draw which windows change, shape (n, 1, 1)."""
    return uniform(x, generator, len(x), 1, 1) < share


def add_noise(x: Tensor, generator: Generator, size: float = 0.1) -> Tensor:
    """Add white noise with a standard deviation of `size` (Wang et al. 2018, MMM, 82-93)."""
    import torch

    noise = torch.empty_like(x).normal_(generator=generator)
    return x + size * noise


def scale(x: Tensor, generator: Generator, span: float = 0.3) -> Tensor:
    """Multiply each window by a factor of 1 ± `span` (Mohsenvand et al. 2020, PMLR 136)."""
    return x * (1 + between(x, generator, span))


def flip_sign(x: Tensor, generator: Generator, share: float = 0.5) -> Tensor:
    """Turn the polarity of a share of the windows; only for power, never for evoked responses.

    Rommel et al. (2022), J. Neural Eng. 19, 066020.
    """
    return x.where(~chosen(x, generator, share), -x)


def reverse_time(
    x: Tensor, generator: Generator, y: Tensor, share: float = 0.5, *, task: str = "classification"
) -> tuple[Tensor, Tensor]:
    """Play a share of the windows backwards; only for power, never for evoked responses.

    The labels of a dense task turn with them (Rommel et al. 2022, J. Neural Eng. 19, 066020).
    """
    turned = chosen(x, generator, share)
    if task == "dense":
        y = y.where(~turned[:, 0], y.flip(-1))
    return x.where(~turned, x.flip(-1)), y


def drop_channels(x: Tensor, generator: Generator, share: float = 0.1) -> Tensor:
    """Set channels to zero, each with the probability `share`, as if they had come loose.

    Saeed et al. (2020), arXiv:2010.13694.
    """
    return x * (uniform(x, generator, len(x), x.shape[1], 1) >= share)


def shuffle_channels(x: Tensor, generator: Generator, share: float = 0.2) -> Tensor:
    """Permute some channels among themselves, each taking part with the probability `share`.

    A net that survives this does not lean on the order of the electrodes, so it suits montages
    that differ, not decoders that live by place (Saeed et al. 2020, arXiv:2010.13694).
    """
    import torch

    moved = uniform(x, generator, len(x), x.shape[1]) < share
    keys = uniform(x, generator, len(x), x.shape[1])
    seats = moved.logical_not().to(torch.uint8).argsort(dim=1, stable=True)
    takers = keys.masked_fill(~moved, 2.0).argsort(dim=1, stable=True)
    source = torch.empty_like(seats).scatter_(1, seats, takers)
    return x.gather(1, source[..., None].expand_as(x))


def mask_time(x: Tensor, generator: Generator, share: float = 0.2) -> Tensor:
    """Set a stretch of `share` of the time to zero, somewhere else in each window."""
    import torch

    n_times = x.shape[-1]
    length = round(share * n_times)
    start = uniform(x, generator, len(x), 1, 1) * (n_times - length)
    index = torch.arange(n_times, device=x.device)
    return x * ((index < start) | (index >= start + length))


def mask_smoothly(x: Tensor, generator: Generator, share: float = 0.2) -> Tensor:
    """Fade a stretch of `share` of the time out and in again, somewhere else in each window.

    The flanks are logistic and a tenth of the stretch wide, so that no step is left to learn from
    (Mohsenvand et al. 2020, PMLR 136).
    """
    import torch

    n_times = x.shape[-1]
    length = share * n_times
    start = uniform(x, generator, len(x), 1, 1) * (n_times - length)
    index = torch.arange(n_times, device=x.device, dtype=x.dtype)
    slope = 10 / max(length, 1.0)
    inside = torch.sigmoid(slope * (index - start)) * torch.sigmoid(
        slope * (start + length - index)
    )
    return x * (1 - inside)


def mask_pieces(x: Tensor, generator: Generator, share: float = 0.1, *, pieces: int = 4) -> Tensor:
    """Set several short stretches to zero, together `share` of the time; they may overlap.

    Mask encoding: Ding et al. (2024), IEEE Trans. Neural Syst. Rehabil. Eng. 32, 875-886.
    """
    import torch

    n_times = x.shape[-1]
    length = max(1, round(share * n_times / pieces))
    start = uniform(x, generator, len(x), pieces, 1) * (n_times - length + 1)
    index = torch.arange(n_times, device=x.device)
    start = start.floor()
    hidden = ((index >= start) & (index < start + length)).any(1, keepdim=True)
    return x * ~hidden


def shuffle_phase(x: Tensor, generator: Generator, span: float = 1.0) -> Tensor:
    """Turn the phase of each frequency by up to `span` x 180 degrees, alike in all channels.

    Spectra and the relations between channels stay: a Fourier surrogate (Schwabedal et al. 2018,
    arXiv:1806.08675).
    """
    import torch

    spectrum = torch.fft.rfft(x)
    angle = span * torch.pi * (2 * uniform(x, generator, len(x), 1, spectrum.shape[-1]) - 1)
    angle[..., 0] = 0
    if x.shape[-1] % 2 == 0:
        # The Nyquist frequency is real: any other angle would make it smaller.
        angle[..., -1] = 0
    return torch.fft.irfft(spectrum * torch.polar(torch.ones_like(angle), angle), n=x.shape[-1])


def mix_up(
    x: Tensor,
    generator: Generator,
    y: Tensor,
    alpha: float = 0.2,
    *,
    n_outputs: int = 1,
    task: str = "classification",
) -> tuple[Tensor, Tensor]:
    """Blend each window, and its target, with another one of the batch.

    The share of the first is drawn from Beta(alpha, alpha). Classes become shares of classes
    (n, n_outputs), so that the loss is the blend of both losses; numbers are blended themselves.
    Zhang et al. (2018), arXiv:1710.09412.
    """
    import torch
    from torch.nn.functional import one_hot

    if task == "dense":
        raise ConfigError(
            "augment: 'mixup' blends windows that have one label each; the labels of this task "
            "change within a window. Leave it out."
        )
    share = _draw_beta(uniform(x, generator, len(x)), alpha)
    partner = torch.randperm(len(x), generator=generator, device=x.device)
    if task == "classification" and y.ndim == 1:
        y = one_hot(y, n_outputs).to(x.dtype)
    part = share[:, None] if y.ndim == 2 else share
    mixed = part * y + (1 - part) * y[partner]
    share = share[:, None, None]
    return share * x + (1 - share) * x[partner], mixed


def recombine(
    x: Tensor, generator: Generator, y: Tensor, pieces: int = 8, *, task: str = "classification"
) -> tuple[Tensor, Tensor]:
    """Make each window anew from pieces of windows of the same class in the batch.

    Every window is cut in `pieces` equal parts; each part is taken from a window that is drawn
    among those with the same label. Segmentation and reconstruction in time: Lotte (2015), Proc.
    IEEE 103(6), 871-890.
    """
    import torch

    if task != "classification" or y.is_floating_point():
        raise ConfigError(
            "augment: 'segmentation-reconstruction' joins windows of one class, so it needs whole "
            "classes: no numbers, no labels within a window, and no 'mixup' before it."
        )
    if (pieces := int(pieces)) < 1:
        raise ConfigError(
            f"augment: 'segmentation-reconstruction' needs 1 piece or more, got {pieces}."
        )
    same = (y[:, None] == y[None]).to(x.dtype)
    source = torch.multinomial(same, pieces, replacement=True, generator=generator)
    index = torch.arange(x.shape[-1], device=x.device) * pieces // x.shape[-1]
    times = torch.arange(x.shape[-1], device=x.device)
    # Advanced indices on both sides of a slice come out in front: (n, time, channel).
    return x[source[:, index], :, times].transpose(1, 2), y


def _draw_beta(uniform: Tensor, alpha: float) -> Tensor:
    """Turn uniform numbers into draws from Beta(alpha, alpha), by its quantile function."""
    import torch
    from scipy.special import betaincinv

    if not alpha > 0:
        raise ConfigError(f"augment: 'mixup' needs an alpha above 0, got {alpha:g}.")
    drawn = betaincinv(alpha, alpha, uniform.double().cpu().numpy())
    return torch.as_tensor(drawn, dtype=uniform.dtype, device=uniform.device)


Change = Callable[["Tensor", "Tensor", "Generator"], "tuple[Tensor, Tensor]"]


@dataclass(frozen=True)
class Augmentation:
    """One augmentation as asked for: its function, its strength, and what it needs to know.

    Attributes
    ----------
    name
        As it is registered.
    function
        See the module's docstring.
    strength
        Takes the place of the first default of the function; None leaves it.
    """

    name: str
    function: Callable[..., Any]
    strength: float | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The facts that the function names, and "y" if it names the targets."""
        return tuple(name for name in self._parameters if name in (*FACTS, "y"))

    def bind(self, facts: Mapping[str, Any]) -> Change:
        """Return `(x, y, generator) -> (x, y)` with the facts and the strength filled in.

        Raises
        ------
        ConfigError
            If a fact that the augmentation needs is not known of these data.
        """
        given = {name: self._fact(name, facts) for name in self.needs if name != "y"}
        if self.strength is not None:
            given[self._strength()] = self.strength
        function = partial(self.function, **given)

        def change(x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
            if "y" in self.needs:
                return function(x, generator, y)
            return function(x, generator), y

        return change

    @property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters

    def _fact(self, name: str, facts: Mapping[str, Any]) -> Any:
        if facts.get(name) is None and self._parameters[name].default is inspect.Parameter.empty:
            raise ConfigError(
                f"augment: '{self.name}' needs the {name} of the data, which are not known here. "
                "Leave it out."
            )
        return facts.get(name, self._parameters[name].default)

    def _strength(self) -> str:
        free = [
            name
            for name, parameter in self._parameters.items()
            if parameter.default is not inspect.Parameter.empty and name not in FACTS
        ]
        if not free:
            raise ConfigError(
                f"augment: '{self.name}' has no strength to set; write the bare name."
            )
        return free[0]


def resolve(names: Iterable[str]) -> list[Augmentation]:
    """Return the augmentations called `names`, each a registered name or "name=strength".

    Raises
    ------
    ConfigError
        If a name is unknown, the message suggests the nearest; or a strength is no number.

    Examples
    --------
    >>> [(one.name, one.strength) for one in resolve(["noise", "mask=0.3"])]
    [('noise', None), ('mask', 0.3)]
    """
    return [_resolve(name) for name in names]


def _resolve(request: str) -> Augmentation:
    name, equals, number = request.partition("=")
    function = registry.load("augmentation", name)
    try:
        strength = float(number) if equals else None
    except ValueError:
        raise ConfigError(
            f"augment: the strength in '{request}' must be a number, such as '{name}=0.2'."
        ) from None
    found = Augmentation(name, function, strength)
    if strength is not None:
        found._strength()
    return found


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
