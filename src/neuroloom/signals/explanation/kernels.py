"""The first filters of a net: which frequencies they pass, and which sensors they weigh.

No net has to be known here. Everything a net does before its first nonlinearity is one linear map,
whatever it is written with (merged kernels, spectra, graphs), so the gradient of a value there by
the input *is* the filter. A filter over sensors and time is split into one kernel in time and one
over sensors, by its first singular pair; nets that apply the two one after the other are of rank
one, and get back exactly what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_FILTERS = 96
# Float32 errors of a long sum stay below it; the mildest nonlinearity of a net lies far above.
AFFINE_TOLERANCE = 1e-3
NOTHING = 1e-5


@dataclass(frozen=True)
class Kernels:
    """The first filters of a net.

    Attributes
    ----------
    temporal
        Shape (kernel, sample), applied as a correlation; (0, 1) if the net has none.
    spatial
        Shape (filter, channel); (0, channel) if the net has none.
    follows
        Shape (filter,): the temporal kernel that each spatial filter goes with; -1 if it is not
        one, as where a nonlinearity stands between the two.
    """

    temporal: np.ndarray
    spatial: np.ndarray
    follows: np.ndarray


def read_kernels(net: nn.Module, n_channels: int, n_times: int) -> Kernels | None:
    """Return the first temporal and spatial filters of any net, or None if it has no convolution.

    Parameters
    ----------
    net
        Maps (n, channel, time) to outputs. One that knows better has a method `kernels()` that
        returns `temporal` (k, sample) and `spatial` (k, channel).
    n_channels, n_times
        Shape of its window.

    Notes
    -----
    What is linear is found by trying: values inside the net at inputs a, b, a + b and 0. Where no
    filter over time stands before the first nonlinearity, the weights of the first convolution, and
    of the first parameter that has a weight for each channel, are taken as they are.

    Examples
    --------
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv1d(3, 4, 11), nn.ELU(), nn.Flatten(), nn.Linear(120, 2))
    >>> found = read_kernels(net, 3, 40)
    >>> found.temporal.shape, found.spatial.shape
    ((4, 11), (4, 3))
    >>> read_kernels(nn.Sequential(nn.Flatten(), nn.Linear(120, 2)), 3, 40) is None
    True
    """
    declared = getattr(net, "kernels", None)
    if callable(declared) and not hasattr(declared, "parameters"):  # a list of weights is no method
        temporal, spatial = (np.asarray(_numpy(part), float) for part in declared())
        return Kernels(temporal, spatial, np.arange(len(spatial)))
    found = _first_filters(net, n_channels, n_times)
    if found is None:
        return _from_weights(net, n_channels)
    filters, of_one_sensor = found
    if not of_one_sensor:
        return _split(filters)
    touched = np.abs(filters).max(axis=2).argmax(axis=1)
    spatial = _spatial_weights(net, n_channels)
    temporal = _trimmed(filters[np.arange(len(filters)), touched])
    return Kernels(temporal, spatial, np.full(len(spatial), -1))


def learner_kernels(learner: Any) -> Kernels | None:
    """Return the filters of all members of a trained net, weights per unit of the raw signal.

    Parameters
    ----------
    learner
        A `NetLearner`; anything else has none.
    """
    if not hasattr(learner, "as_module"):
        return None
    found = [
        read_kernels(net, learner.n_channels, learner.crop_times) for net in learner.model.nets
    ]
    kept = [kernels for kernels in found if kernels is not None]
    if not kept:
        return None
    counts = np.cumsum([0, *(len(kernels.temporal) for kernels in kept)])
    follows = [
        np.where(kernels.follows < 0, -1, kernels.follows + first)
        for kernels, first in zip(kept, counts, strict=False)
    ]
    length = max(kernels.temporal.shape[1] for kernels in kept)
    temporal = [
        np.pad(kernels.temporal, ((0, 0), (0, length - kernels.temporal.shape[1])))
        for kernels in kept
    ]
    spatial = np.concatenate([kernels.spatial for kernels in kept]) / learner.input["scale"].T
    return Kernels(np.concatenate(temporal), spatial, np.concatenate(follows))


def frequency_response(
    temporal: np.ndarray, rate: float, n_fft: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies (Hz) and the gain of each kernel there, its highest set to 1.

    Parameters
    ----------
    temporal
        Shape (kernel, sample).
    rate
        Of the net's input, Hz.
    n_fft
        Length of the transform; zeros fill it up, for a smooth curve of steps below 0.25 Hz.

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * 10 * np.arange(50) / 100) * np.hanning(50)
    >>> hertz, gain = frequency_response(wave[None], 100.0)
    >>> bool(abs(hertz[gain[0].argmax()] - 10) < 0.3)
    True
    """
    n_fft = n_fft or max(temporal.shape[1], 2 ** int(np.ceil(np.log2(4 * rate))))
    gain = np.abs(np.fft.rfft(temporal, n_fft, axis=1))
    highest = gain.max(axis=1, keepdims=True)
    return np.fft.rfftfreq(n_fft, 1 / rate), np.divide(
        gain, highest, out=np.zeros_like(gain), where=highest > 0
    )


def filter_power(kernels: Kernels, x: np.ndarray) -> np.ndarray:
    """Return the mean square of each spatial filter's signal in each trial, shape (trial, filter).

    Parameters
    ----------
    kernels
        Of a net that reads `x`.
    x
        Trials, shape (trial, channel, time).
    """
    spectrum = np.fft.rfft(x, axis=2)
    gain = _gains(kernels, x.shape[2])
    power = np.abs(np.einsum("mc,ncf->nmf", kernels.spatial, spectrum, optimize=True)) ** 2
    # Half of the spectrum stands for both sides, all but its first value.
    gain[:, 1:] *= np.sqrt(2)
    return np.einsum("nmf,mf->nm", power, gain**2, optimize=True) / x.shape[2] ** 2


def activation_patterns(kernels: Kernels, x: np.ndarray) -> np.ndarray:
    """Return how the source that each filter extracts projects to the sensors.

    Weights may be large where a sensor only cancels noise; the pattern, the covariance of the
    sensors with the filter's signal over its variance, shows where the signal comes from.

    Parameters
    ----------
    kernels
        `follows` says in which band the covariance is taken.
    x
        Trials, shape (trial, channel, time).

    Returns
    -------
    Shape (filter, channel), in the unit of `x` per unit of the filter's signal.

    References
    ----------
    Haufe et al. (2014), NeuroImage 87, 96-110, equation 6, for one source at a time.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> source, noise = rng.normal(size=(2, 5, 1, 400))
    >>> x = np.concatenate([source + noise, noise], axis=1)
    >>> kernels = Kernels(np.ones((1, 1)), np.array([[1.0, -1.0]]), np.zeros(1, int))
    >>> abs(activation_patterns(kernels, x)).round(1).tolist()
    [[1.0, 0.0]]
    """
    centred = x - x.mean(axis=2, keepdims=True)
    spectrum = np.fft.rfft(centred, axis=2)
    cross = np.einsum("ncf,ndf->fcd", spectrum, spectrum.conj(), optimize=True).real
    weighed = np.einsum("mf,fcd,md->mc", _gains(kernels, x.shape[2]) ** 2, cross,
                        kernels.spatial, optimize=True)  # fmt: skip
    variance = np.einsum("mc,mc->m", weighed, kernels.spatial)[:, None]
    return np.divide(weighed, variance, out=np.zeros_like(weighed), where=variance > 0)


def _gains(kernels: Kernels, n_times: int) -> np.ndarray:
    """Return the gain over frequency of the kernel that each spatial filter goes with."""
    n_freqs = n_times // 2 + 1
    flat = np.ones((len(kernels.spatial), n_freqs))
    with_kernel = kernels.follows >= 0
    if with_kernel.any():
        temporal = kernels.temporal[kernels.follows[with_kernel]][:, :n_times]
        flat[with_kernel] = frequency_response(temporal, 1.0, n_times)[1]
    return flat


def _first_filters(net: nn.Module, n_channels: int, n_times: int) -> tuple[np.ndarray, bool] | None:
    """Return the filters (filter, channel, time) of the last linear values that run over time.

    And whether each of them sees one sensor only, because the sensors are not yet weighed.
    """
    import copy

    import torch

    net = copy.deepcopy(net).cpu().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 1, n_channels, n_times, generator=generator)
    points = [part.clone().requires_grad_() for part in (a, b, a + b, 0 * a)]
    traces = [_values_inside(net, point) for point in points]
    for values in reversed(_affine(traces)):
        found = _filters_of(values, points[0])
        if found is not None:
            return found
    return None


def _values_inside(net: nn.Module, x: Tensor) -> list[Tensor]:
    """Return what every function called inside the net gives, as far as it depends on `x`."""
    import torch
    from torch.overrides import TorchFunctionMode

    seen: list[Tensor] = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]  # noqa: ANN204
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.requires_grad and out.is_floating_point():
                # A copy: layers that work in place would change what was seen.
                seen.append(out.clone())
            return out

    with Watch():
        net(x)
    return seen


def _affine(traces: list[list[Tensor]]) -> list[Tensor]:
    """Return the values at the first input, in order, until the first that is not affine."""
    kept = []
    for each in zip(*traces, strict=False):
        a, b, both, zero = (values.detach() for values in each)
        if not a.shape == b.shape == both.shape == zero.shape:
            break
        size = float(both.abs().max())
        if float((both - a - b + zero).abs().max()) > AFFINE_TOLERANCE * size:
            break
        if float((a - b).abs().max()) > AFFINE_TOLERANCE * size:
            kept.append(each[0])
    return kept


def _filters_of(values: Tensor, x: Tensor) -> tuple[np.ndarray, bool] | None:
    """Return the filter behind each map of `values`, in the middle of the window, or None.

    Along which axis of `values` time runs is seen from where in the input a value looks.
    """
    middle = [size // 2 for size in values.shape]
    here = _looks(values, middle, x)
    axes = [axis for axis in range(values.ndim) if values.shape[axis] > 1]
    moves = {axis: _moves(values, middle, axis, x) for axis in axes}
    fixed = [axis for axis in axes if moves[axis][0] > x.shape[2] / 8 or moves[axis][1]]
    if not any(moves[axis][0] > x.shape[2] / 8 for axis in axes):
        return None
    over_time = np.abs(here).max(axis=0) > NOTHING * np.abs(here).max()
    if over_time.sum() < 2 or np.abs(here).max() == 0:
        return None
    free = [axis for axis in axes if axis not in fixed]
    places = list(np.ndindex(*(values.shape[axis] for axis in free)))
    kept = np.linspace(0, len(places) - 1, min(len(places), MOST_FILTERS)).astype(int)
    filters = []
    for k in kept:
        place = list(middle)
        for axis, index in zip(free, places[k], strict=True):
            place[axis] = index
        filters.append(_looks(values, place, x))
    return np.stack(filters), any(moves[axis][1] for axis in axes)


def _looks(values: Tensor, place: list[int], x: Tensor) -> np.ndarray:
    """Return the weight of every sample of the input in one of the values: (channel, time)."""
    import torch

    (weights,) = torch.autograd.grad(values[tuple(place)], x, retain_graph=True)
    return weights[0].double().numpy()


def _moves(values: Tensor, middle: list[int], axis: int, x: Tensor) -> tuple[float, bool]:
    """Return how far in time one looks on along an axis, and whether the axis is the sensors."""
    size = values.shape[axis]
    places = (size // 4, 3 * size // 4)
    seen = []
    for index in places:
        place = list(middle)
        place[axis] = index
        seen.append(_looks(values, place, x) ** 2)
    at = np.arange(x.shape[2])
    centres = [float(power.sum(0) @ at / max(power.sum(), 1e-30)) for power in seen]
    touched = [np.flatnonzero(power.max(1) > NOTHING**2 * power.max()).tolist() for power in seen]
    sensors = size == x.shape[1] and touched == [[index] for index in places]
    return abs(centres[1] - centres[0]), sensors


def _split(filters: np.ndarray) -> Kernels:
    """Split filters (filter, channel, time) into kernels in time and weights of the sensors."""
    u, s, v = np.linalg.svd(filters, full_matrices=False)
    temporal, spatial = v[:, 0], u[:, :, 0] * s[:, :1]
    # The sign of a pair is free: the highest peak of a kernel points up.
    peak = np.take_along_axis(temporal, np.abs(temporal).argmax(1)[:, None], 1)
    temporal, spatial = temporal * np.sign(peak), spatial * np.sign(peak)
    spatial = spatial if filters.shape[1] > 1 else spatial[:0]
    return Kernels(_trimmed(temporal), spatial, np.arange(len(spatial)))


def _trimmed(temporal: np.ndarray) -> np.ndarray:
    """Cut the samples off that no kernel reaches."""
    reached = np.flatnonzero(np.abs(temporal).max(axis=0) > NOTHING * np.abs(temporal).max())
    return temporal[:, reached[0] : reached[-1] + 1]


def _from_weights(net: nn.Module, n_channels: int) -> Kernels | None:
    """Return the weights of the first convolution over time as they are, or None without one."""
    from torch import nn

    for layer in net.modules():
        if not isinstance(layer, nn.Conv1d | nn.Conv2d):
            continue
        weight = _numpy(layer.weight)
        axis = 2 + int(np.argmax(weight.shape[2:]))
        if weight.shape[axis] < 2 or weight.shape[axis] == n_channels:
            continue
        if weight.ndim == 3 and weight.shape[1] == n_channels > 1:
            return _split(weight.astype(float))
        temporal = np.moveaxis(weight, axis, -1).reshape(-1, weight.shape[axis])
        spatial = _spatial_weights(net, n_channels)
        return Kernels(temporal[:MOST_FILTERS], spatial, np.full(len(spatial), -1))
    return None


def _spatial_weights(net: nn.Module, n_channels: int) -> np.ndarray:
    """Return the first parameter with a weight for each channel, one row a filter."""
    for parameter in net.parameters() if n_channels > 1 else ():
        axes = [axis for axis, size in enumerate(parameter.shape) if size == n_channels]
        if parameter.ndim > 1 and axes:
            rows = np.moveaxis(_numpy(parameter), axes[-1], -1).reshape(-1, n_channels)
            return rows[:MOST_FILTERS].astype(float)
    return np.zeros((0, n_channels))


def _numpy(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
