"""What a preprocessing step declares, so that rates, lengths and leaks can be checked beforehand.

Two families exist. A `RecordingStep` maps one recording to another and looks at nothing else. A
`FittedStep` learns arrays from the training examples of a fold and then maps any examples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


class Step(ABC):
    """The declarations that both families share.

    Attributes
    ----------
    causal
        True if an output sample depends on no later input sample, so that the step may run on a
        stream; a contract test proves it (chunked equals whole).
    sees_whole
        True if the step measures something on the whole recording, without labels, before it
        changes a sample, as an ICA does; a report says so.
    """

    causal: ClassVar[bool] = False
    sees_whole: ClassVar[bool] = False

    def out_rate(self, rate: float) -> float:
        """Return the sampling rate (Hz) after the step, given the rate before it."""
        return rate

    def out_channels(self, channels: Sequence[str]) -> list[str]:
        """Return the channel names after the step, given those before it."""
        return list(channels)

    def out_length(self, length: int, rate: float) -> int:
        """Return the number of samples after the step, given number and rate (Hz) before it."""
        return length

    def span(self, rate: float) -> float:
        """Return how many seconds of input one output sample draws on.

        A split by time leaves at least this much between training and test.
        """
        return 0.0

    @abstractmethod
    def describe(self, rate: float) -> str:
        """Return one sentence for the report, for data that come at `rate` (Hz)."""


class RecordingStep(Step):
    """A step on one recording, the same whatever else is in the dataset."""

    @abstractmethod
    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the recording after the step; the one given stays as it was.

        Raises
        ------
        ConfigError, DataError
            If the step cannot do its work on this recording; the message names its file.
        """


class FittedStep(Step):
    """A step that is fitted inside the training fold, and only there."""

    @abstractmethod
    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> FittedStep:
        """Learn from the training examples `x`, shape (example, channel, time)."""

    @abstractmethod
    def transform(self, x: np.ndarray) -> np.ndarray:
        """Map examples, seen or unseen; each is mapped on its own."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Return what was learnt as named arrays."""

    @abstractmethod
    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave."""


def apply_all(steps: Iterable[RecordingStep], recording: xr.DataArray) -> xr.DataArray:
    """Apply recording steps in order, to trials that lie end to end one by one.

    A recording with `attrs["trials"]`, samples a trial, is such a row of trials: a step that
    mixes neighbouring samples sees a single one at a time, so nothing leaks over a border.

    Examples
    --------
    >>> import numpy as np
    >>> from neuroloom.core.recording import signal
    >>> apply_all([], signal(np.ones((2, 50)), ["C3", "C4"], rate=50.0)).shape
    (2, 50)
    """
    for step in steps:
        recording = _apply(step, recording)
    return recording


def _apply(step: RecordingStep, recording: xr.DataArray) -> xr.DataArray:
    length, rate = recording.attrs.get("trials"), recording.attrs["rate"]
    if length is None or (step.span(rate) == 0 and step.out_length(length, rate) == length):
        return step.apply(recording)
    starts = range(0, recording.sizes["time"], length)
    return _joined([step.apply(recording.isel(time=slice(at, at + length))) for at in starts])


def _joined(trials: list[xr.DataArray]) -> xr.DataArray:
    """Lay trials of one length end to end."""
    import xarray as xr

    first = trials[0]
    data = np.concatenate([trial.values for trial in trials], axis=1)
    coords = {name: coord for name, coord in first.coords.items() if name != "time"}
    coords["time"] = ("time", np.arange(data.shape[1]) / first.attrs["rate"])
    attrs = first.attrs | {"trials": first.sizes["time"]}
    return xr.DataArray(data, dims=first.dims, coords=coords, attrs=attrs)


def describe_all(steps: Iterable[Step], rate: float) -> list[str]:
    """Return one sentence a step that does something, told for the rate (Hz) that reaches it."""
    sentences = []
    for step in steps:
        sentences.append(step.describe(rate))
        rate = step.out_rate(rate)
    return [sentence for sentence in sentences if sentence]


def span_all(steps: Iterable[Step], rate: float) -> float:
    """Return how many seconds of raw input one output sample of the whole chain draws on."""
    total = 0.0
    for step in steps:
        total += step.span(rate)
        rate = step.out_rate(rate)
    return total
