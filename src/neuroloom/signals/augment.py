"""Augmentations that know the sampling rate, the electrodes or the classes of signals.

The contract is that of `neuroloom.learn.training.augment`; arguments such as `rate` and `positions`
are facts of the dataset.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.learn.training.augment import between, chosen, uniform
from neuroloom.signals.splines import directions, solve_spline, spline_matrix

if TYPE_CHECKING:
    from torch import Generator, Tensor

FEWEST_ROTATED = 4
SINGLE_PRECISION_TERMS = 12
MIRROR_REACH = 0.02
SIDES = {"left": "right", "right": "left", "links": "rechts", "rechts": "links"}


def shift_frequency(x: Tensor, generator: Generator, span: float = 2.0, *, rate: float) -> Tensor:
    """Move all frequencies of a window by the same number of Hz, up to `span` up or down.

    The analytic signal is multiplied by a turning phase; what would fall below 0 Hz comes back as a
    mirror image (Rommel et al. 2022, J. Neural Eng. 19, 066020, after CADDA, arXiv:2106.13695).
    """
    import torch

    shift = between(x, generator, span)
    times = torch.arange(x.shape[-1], device=x.device, dtype=x.dtype) / rate
    angle = 2 * torch.pi * shift * times
    return x * angle.cos() - hilbert(x) * angle.sin()


def hilbert(x: Tensor) -> Tensor:
    """Return the Hilbert transform, the imaginary part of the analytic signal of `x`."""
    import torch

    return torch.fft.irfft(-1j * torch.fft.rfft(x), n=x.shape[-1])


def stop_band(x: Tensor, generator: Generator, width: float = 2.0, *, rate: float) -> Tensor:
    """Remove a band of `width` Hz, elsewhere in each window, alike in all channels.

    At least one frequency of the window's resolution goes (Mohsenvand et al. 2020, PMLR 136,
    238-253; Cheng et al. 2020, arXiv:2007.04871).
    """
    import torch

    freqs = torch.fft.rfftfreq(x.shape[-1], 1 / rate, device=x.device, dtype=x.dtype)
    resolution = rate / x.shape[-1]
    half = max(width, resolution) / 2
    middle = uniform(x, generator, len(x), 1, 1) * max(rate / 2 - 2 * half, 0.0) + half
    kept = ((freqs - middle).abs() > half).to(x.dtype)
    return torch.fft.irfft(torch.fft.rfft(x) * kept, n=x.shape[-1])


def rereference(x: Tensor, generator: Generator, share: float = 0.5) -> Tensor:
    """Take one channel, drawn anew for each of a share of the windows, as the reference.

    It is subtracted from the others, and stands for the old reference itself (with its sign
    turned). Exact where the channels share one scale (`standardise: all`) (Mohsenvand et al. 2020,
    PMLR 136, 238-253).
    """
    import torch

    turned = chosen(x, generator, share)
    index = torch.randint(x.shape[1], (len(x), 1, 1), generator=generator, device=x.device)
    reference = x.gather(1, index.expand(-1, 1, x.shape[-1]))
    own = torch.arange(x.shape[1], device=x.device)[:, None] == index
    return x.where(~turned, torch.where(own, -reference, x - reference))


def swap_sides(
    x: Tensor,
    generator: Generator,
    y: Tensor,
    share: float = 0.5,
    *,
    positions: Sequence[Sequence[float]],
    classes: Sequence[str] = (),
) -> tuple[Tensor, Tensor]:
    """Swap left and right electrodes of a share of the windows.

    Electrodes are paired by their positions (x to the right); those without a partner stay. Where
    the names of two classes differ by "left" and "right" alone, their labels are swapped, too; for
    classes that are told apart by side under other names, leave this out (Deiss et al. 2018,
    arXiv:1803.05428).
    """
    import torch

    turned = chosen(x, generator, share)
    order = torch.as_tensor(_mirrored(np.asarray(positions, float).tobytes()), device=x.device)
    swap = torch.as_tensor(mirrored_classes(classes) or range(1), device=x.device)
    if len(classes) and y.is_floating_point() and y.ndim == 2:
        y = y.where(~turned[:, 0], y[:, swap])
    elif len(classes):
        other = swap[y.clamp_min(0)].where(y >= 0, y)
        y = y.where(~turned.view(-1, *(1 for _ in y.shape[1:])), other)
    return x.where(~turned, x[:, order]), y


def mirrored(positions: np.ndarray) -> list[int]:
    """Return for each electrode (n, 3), in head coordinates (m), its partner on the other side.

    Two electrodes are partners if each is the nearest to the other's mirror image and no more than
    2 cm away from it; an electrode without partner is its own.

    Raises
    ------
    ConfigError
        If there is not a single pair.

    Examples
    --------
    >>> mirrored(np.array([[-0.05, 0, 0.1], [0, 0, 0.13], [0.05, 0, 0.1]]))
    [2, 1, 0]
    """
    known = np.flatnonzero(np.isfinite(positions).all(1))
    own = list(range(len(positions)))
    if len(known):
        there = positions[known]
        gaps = np.linalg.norm(there[:, None] - there * [-1, 1, 1], axis=2)
        nearest = gaps.argmin(1)
        for k, partner in enumerate(nearest):
            if nearest[partner] == k and gaps[k, partner] <= MIRROR_REACH:
                own[known[k]] = int(known[partner])
    if own == list(range(len(positions))):
        raise ConfigError(
            "augment: 'symmetry' needs electrodes on both sides with known positions; "
            f"{len(known)} of {len(positions)} are known and no two are partners. Leave it out."
        )
    return own


@lru_cache(maxsize=8)
def _mirrored(packed: bytes) -> list[int]:
    return mirrored(np.frombuffer(packed).reshape(-1, 3))


def mirrored_classes(classes: Sequence[str]) -> list[int]:
    """Return for each class the one that a mirrored head would show.

    Examples
    --------
    >>> mirrored_classes(["left hand", "right hand", "feet"])
    [1, 0, 2]
    """
    swapped = [
        re.sub("|".join(SIDES), lambda hit: _like(SIDES[hit[0].lower()], hit[0]), name, flags=re.I)
        for name in classes
    ]
    names = list(classes)
    return [names.index(new) if new in names else k for k, new in enumerate(swapped)]


def _like(word: str, given: str) -> str:
    """Write a word in capitals as another one is."""
    return word.upper() if given.isupper() else word.capitalize() if given[0].isupper() else word


def rotate_x(
    x: Tensor, generator: Generator, degrees: float = 15.0, *, positions: Sequence[Sequence[float]]
) -> Tensor:
    """Turn the cap about the axis through the ears (nodding); see `rotate`."""
    return rotate(x, generator, degrees, 0, positions)


def rotate_y(
    x: Tensor, generator: Generator, degrees: float = 15.0, *, positions: Sequence[Sequence[float]]
) -> Tensor:
    """Turn the cap about the axis from back to front (to a shoulder); see `rotate`."""
    return rotate(x, generator, degrees, 1, positions)


def rotate_z(
    x: Tensor, generator: Generator, degrees: float = 15.0, *, positions: Sequence[Sequence[float]]
) -> Tensor:
    """Turn the cap about the vertical axis (looking aside); see `rotate`."""
    return rotate(x, generator, degrees, 2, positions)


def rotate(
    x: Tensor,
    generator: Generator,
    degrees: float,
    axis: int,
    positions: Sequence[Sequence[float]],
) -> Tensor:
    """Measure each window where the electrodes were if the cap sat askew.

    The angle is drawn between plus and minus `degrees`; between electrodes, potentials are
    interpolated by spherical splines. Channels without a position stay (Krell & Kim 2017, IEEE
    EMBC, 471-474).

    Raises
    ------
    ConfigError
        If fewer than four electrodes have positions.
    """
    import torch

    known, units, solution = _cap(np.asarray(positions, float).tobytes())
    here = torch.as_tensor(known, device=x.device)
    at, solved = (torch.as_tensor(part, device=x.device).to(x.dtype) for part in (units, solution))
    angle = between(x, generator, np.deg2rad(degrees))[:, 0, 0]
    matrix = spline_matrix(at @ _turns(angle, axis), at, solved, terms=SINGLE_PRECISION_TERMS)
    return x.index_copy(1, here, matrix @ x[:, here])


@lru_cache(maxsize=8)
def _cap(packed: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which electrodes have a position, their directions, and the spline through them."""
    positions = np.frombuffer(packed).reshape(-1, 3)
    known = np.flatnonzero(np.isfinite(positions).all(1))
    if len(known) < FEWEST_ROTATED:
        raise ConfigError(
            f"augment: a rotation needs {FEWEST_ROTATED} electrodes with known positions, "
            f"{len(known)} of {len(positions)} have one. Leave it out."
        )
    units = directions(positions[known])
    return known, units, solve_spline(units)


def _turns(angle: Tensor, axis: int) -> Tensor:
    """Return one rotation matrix for each angle, transposed, shape (n, 3, 3)."""
    import torch

    first, second = (axis + 1) % 3, (axis + 2) % 3
    turns = torch.eye(3, device=angle.device, dtype=angle.dtype).repeat(len(angle), 1, 1)
    turns[:, first, first] = turns[:, second, second] = angle.cos()
    turns[:, first, second] = angle.sin()
    turns[:, second, first] = -angle.sin()
    return turns


def turn_bands(
    x: Tensor, generator: Generator, steps: float = 1, *, channels: Sequence[str]
) -> Tensor:
    """Turn bracelets of EMG electrodes by up to `steps` places, each bracelet by its own number.

    A bracelet is a ring of channels whose names differ by their numbers alone ("EMG1" to "EMG8"),
    in the order of the numbers; others stay (emg2qwerty: Sivakumar et al. 2024, NeurIPS Datasets
    and Benchmarks).
    """
    import torch

    source = torch.arange(x.shape[1], device=x.device).repeat(len(x), 1)
    most = int(steps)
    for ring in rings(channels):
        place = torch.as_tensor(ring, device=x.device)
        drawn = torch.randint(-most, most + 1, (len(x), 1), generator=generator, device=x.device)
        source[:, place] = place[(torch.arange(len(ring), device=x.device) + drawn) % len(ring)]
    return x.gather(1, source[..., None].expand_as(x))


def rings(channels: Sequence[str]) -> list[list[int]]:
    """Return the channels of each bracelet, in the order of their numbers.

    Raises
    ------
    ConfigError
        If no two channels differ by their numbers alone.

    Examples
    --------
    >>> rings(["L1", "L2", "R2", "R1", "ACC"])
    [[0, 1], [3, 2]]
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for k, name in enumerate(channels):
        if hit := re.fullmatch(r"(.*?)(\d+)", name):
            found.setdefault(hit[1], []).append((int(hit[2]), k))
    rings = [[k for _, k in sorted(ring)] for ring in found.values() if len(ring) > 1]
    if not rings:
        raise ConfigError(
            "augment: 'band-rotation' needs numbered electrodes of a bracelet, such as EMG1, EMG2, "
            f"…; the channels are {', '.join(list(channels)[:8])}. Leave it out."
        )
    return rings
