"""Standardising channels: by the training examples, or by what went before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.core.step import FittedStep, RecordingStep
from neuroloom.signals.steps.filters import NOT_FILTERED

if TYPE_CHECKING:
    import xarray as xr

TIME_CONSTANT = 4.0
# What is older than five time constants has less than 1 % of the weight.
MEMORY_IN_TIME_CONSTANTS = 5.0
ROUNDING = 1e-12


class Standardize(FittedStep):
    """Bring every channel to mean 0 and standard deviation 1 of the training examples.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(5, 3, (10, 2, 100))
    >>> bool(abs(Standardize().fit(x).transform(x).std() - 1) < 0.01)
    True
    """

    causal = True

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> Standardize:
        """Learn mean and standard deviation of each channel over examples and time."""
        mean = x.mean(axis=(0, 2), dtype=np.float64)
        deviation = x.std(axis=(0, 2), dtype=np.float64)
        self.load({"mean": mean, "deviation": np.where(deviation > 0, deviation, 1.0)})
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled examples in the precision they came in."""
        return ((x - self.mean[:, None]) / self.deviation[:, None]).astype(x.dtype)

    def state(self) -> dict[str, np.ndarray]:
        """Return `mean` and `deviation`, each of shape (channel,)."""
        return {"mean": self.mean, "deviation": self.deviation}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back `mean` and `deviation`."""
        self.mean, self.deviation = state["mean"], state["deviation"]

    def describe(self, rate: float) -> str:
        """Return the scaling in one sentence."""
        return "Each channel scaled to mean 0 and standard deviation 1 of the training examples."


@dataclass(frozen=True)
class MovingStandardize(RecordingStep):
    """Subtract each channel's moving mean and divide by its moving standard deviation.

    Both are exponential and look back only. At the start, where there is little to look back on,
    they are weighted means of what there is. The result has no unit.

    Parameters
    ----------
    seconds
        Time constant; 4 s is the paper's decay of 0.999 a sample at 250 Hz.

    References
    ----------
    Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420, section 2.4.1.

    Examples
    --------
    >>> MovingStandardize().span(250.0)
    20.0
    """

    causal: ClassVar[bool] = True
    seconds: float = TIME_CONSTANT

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"The time constant must be above 0 s, got {self.seconds:g}.")

    def span(self, rate: float) -> float:
        """Return after how many seconds a sample has less than 1 % of the weight left."""
        return MEMORY_IN_TIME_CONSTANTS * self.seconds

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the standardised recording; stimulus channels and the like stay as they are."""
        data = recording.values.copy()
        rows = ~np.isin(recording.coords["type"].values, NOT_FILTERED)
        data[rows], _ = moving_standardise(data[rows], recording.attrs["rate"], self.seconds)
        return recording.copy(data=data)

    def describe(self, rate: float) -> str:
        """Return the time constant in one sentence."""
        return (
            "Each channel standardised by its exponential moving mean and standard deviation "
            f"(time constant {self.seconds:g} s, looking back only)."
        )


@dataclass(frozen=True)
class Memory:
    """What a moving standardisation remembers between two chunks of a stream.

    Attributes
    ----------
    count
        Samples seen.
    mean, variance
        Sums of what was seen, weighted by age, shape (channel,).
    """

    count: int
    mean: np.ndarray
    variance: np.ndarray


def moving_standardise(
    x: np.ndarray, rate: float, seconds: float = TIME_CONSTANT, memory: Memory | None = None
) -> tuple[np.ndarray, Memory]:
    """Standardise a stretch of a stream by its exponential moving moments.

    Parameters
    ----------
    x
        Shape (channel, time), any unit.
    rate
        Hz.
    seconds
        Time constant.
    memory
        What the stretch before returned; None at the start.

    Returns
    -------
    tuple
        Standardised samples in the precision of `x`, without unit, and the memory to go on with.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (2, 400))
    >>> whole, _ = moving_standardise(x, 100)
    >>> first, memory = moving_standardise(x[:, :150], 100)
    >>> second, _ = moving_standardise(x[:, 150:], 100, memory=memory)
    >>> bool(np.allclose(np.hstack([first, second]), whole))
    True
    """
    from scipy.signal import lfilter

    new = min(1.0, 1 / (seconds * rate))
    memory = memory or Memory(0, np.zeros(len(x)), np.zeros(len(x)))
    wide = x.astype(np.float64)
    age = memory.count + np.arange(1, x.shape[1] + 1)
    weight = -np.expm1(age * np.log1p(-new)) if new < 1 else np.ones(len(age))

    def blend(values: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kept = ((1 - new) * before)[:, None]
        sums, after = lfilter([new], [1, new - 1], values, axis=1, zi=kept)
        return sums, after[:, 0] / (1 - new) if new < 1 else np.zeros(len(values))

    sums, mean = blend(wide, memory.mean)
    centred = wide - sums / weight
    squares, variance = blend(centred**2, memory.variance)
    spread = np.sqrt(squares / weight)
    # What rounding leaves of a flat channel is no signal.
    standard = centred / np.where(spread > ROUNDING * np.abs(sums / weight), spread, np.inf)
    return standard.astype(x.dtype), Memory(int(memory.count + x.shape[1]), mean, variance)
