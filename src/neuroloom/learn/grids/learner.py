"""Encoders as learners: images and targets in, scores out, state as named arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.training.fit import Training, own_randomness
from neuroloom.learn.training.learner import NetLearner

if TYPE_CHECKING:
    from torch import nn

PLACES_AT_ONCE = 4_000_000
FULL = 255


class GridLearner(NetLearner):
    """An encoder of images or volumes, how it is trained, and the unit of its target.

    Images come standardised one by one (see `volumes.whole`); numbers of the table, in trailing
    channels, are standardised by those of the training examples.

    Parameters
    ----------
    name
        What the model is called.
    net
        Builds the module: `net(n_channels, shape, n_outputs, **options)`.
    n_channels, shape
        Of an example (channel, *axes); `n_channels` counts those of the table.
    n_outputs
        Classes; 1 for a number.
    training
        How the net wants to be trained.
    task
        "classification" or "regression".
    options
        Further arguments of `net`.
    learning
        Fields of `modules.Learning` that differ from its defaults.
    unit
        What one place of a map is worth where the target is a sum over places (mm³ of a voxel).

    Examples
    --------
    >>> from neuroloom.learn.training.fit import FitJob
    >>> from neuroloom.nets.encoders.resnet import ResNet
    >>> x = np.random.default_rng(0).normal(size=(8, 1, 12, 12)).astype("float32")
    >>> learner = GridLearner("resnet", ResNet, n_channels=1, shape=(12, 12), n_outputs=2)
    >>> history = learner.fit(x, np.arange(8) % 2, job=FitJob(epochs=1))
    >>> learner.predict_scores(x).shape
    (8, 2)
    """

    def __init__(
        self,
        name: str,
        net: Callable[..., nn.Module],
        *,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        training: Training | None = None,
        task: str = "classification",
        options: dict[str, Any] | None = None,
        learning: dict[str, Any] | None = None,
        unit: float = 1.0,
    ) -> None:
        self.name, self.net, self.task, self.unit = name, net, task, unit
        self.n_channels, self.shape, self.n_outputs = n_channels, tuple(shape), n_outputs
        self.training, self.options = training or Training(), dict(options or {})
        self.learning = dict(learning or {})
        self.predict_batch = max(1, PLACES_AT_ONCE // int(np.prod(self.shape)) // 8)
        one = (n_channels, *(1 for _ in self.shape))
        self.input = {"mean": np.zeros(one), "scale": np.ones(one)}
        self.target = {"mean": np.zeros(1), "scale": np.ones(1)}
        with own_randomness(0):
            self.model = self._build()

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again, as JSON can hold it."""
        return {
            "name": self.name,
            "n_channels": self.n_channels,
            "shape": list(self.shape),
            "n_outputs": self.n_outputs,
            "task": self.task,
            "training": dataclasses.asdict(self.training),
            "options": self.options,
            "learning": self.learning,
            "unit": self.unit,
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any], net: Callable[..., nn.Module]) -> GridLearner:
        """Build the learner that `spec` describes; its weights come with `load`."""
        rest = {key: value for key, value in spec.items() if key not in ("name", "training")}
        return cls(spec["name"], net, training=Training(**spec["training"]), **rest)

    def fresh(self) -> GridLearner:
        """Return an untrained learner of the same kind."""
        return GridLearner.from_spec(self.spec, self.net)

    def _build(self) -> nn.Module:
        from neuroloom.learn.grids.modules import GridMembers, Learning

        def build() -> nn.Module:
            return self.net(self.n_channels, self.shape, self.n_outputs, **self.options)

        return GridMembers(build, self.training, self.task, Learning(**self.learning))

    def _measure(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take mean and SD of the table's numbers and of the target from the training examples."""
        n_table = self.learning.get("n_table", 0)
        images = self.n_channels - n_table
        for channel in range(images, self.n_channels):
            values = np.asarray(x[:, channel].reshape(len(x), -1)[:, 0], dtype=np.float64)
            known = values[np.isfinite(values)]
            self.input["mean"][channel] = known.mean() if len(known) else 0.0
            self.input["scale"][channel] = (known.std() if len(known) else 0.0) or 1.0
        if self.task == "regression":
            numbers = amounts(y, self.unit)
            spread = float(np.std(numbers)) or 1.0
            self.target = {"mean": np.array([np.mean(numbers)]), "scale": np.array([spread])}

    def _tensors(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised float32 images, and targets as the loss wants them."""
        n_table = self.learning.get("n_table", 0)
        images = np.array(x, np.float32, order="C", copy=True if n_table else None)
        if n_table:
            mean, scale = self.input["mean"][-n_table:], self.input["scale"][-n_table:]
            # One by one: all at once takes room for the whole set in 64 bits, twice.
            for columns in images[:, -n_table:]:
                columns[:] = (columns - mean) / scale
        if y.ndim > 1 and learns_from_maps(self.model):
            return images, y
        if self.task != "regression":
            return images, np.asarray(y, dtype=np.int64)
        numbers = (amounts(y, self.unit) - self.target["mean"]) / self.target["scale"]
        return images, numbers.astype(np.float32)


def learns_from_maps(model: Any) -> bool:
    """Return whether a net has a use for where the target is, beside how much there is."""
    return hasattr(model.nets[0], "shares")


def amounts(y: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Return the target as numbers (n,): as they are, or summed over maps (n, *axes).

    A map holds the share of each place in 255ths; a full place is worth `unit`.

    Examples
    --------
    >>> amounts(np.full((2, 3, 4), FULL, dtype=np.uint8), unit=0.5).tolist()
    [6.0, 6.0]
    """
    if y.ndim == 1:
        return np.asarray(y, dtype=np.float64)
    return y.reshape(len(y), -1).sum(1, dtype=np.float64) * (unit / FULL)
