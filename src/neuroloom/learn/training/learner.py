"""Nets as learners: windows and labels in, scores out, state as named arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, RunError
from neuroloom.learn.training.augment import resolve
from neuroloom.learn.training.fit import FitJob, History, Training, fit, own_randomness

if TYPE_CHECKING:
    from torch import nn

PREDICT_BATCH = 128
TASKS = ("classification", "regression", "dense")


class NetLearner:
    """A net, how it is trained, and the standardisation of its input and target.

    Parameters
    ----------
    name
        What the model is called; kept in `spec` so that it can be built again.
    net
        Builds the module: `net(n_channels, n_times, n_outputs, rate=…, **options)`, mapping
        (n, channel, time) to (n, n_outputs).
    n_channels, n_times
        Shape of a window.
    n_outputs
        Number of classes; 1 for a number (`task="regression"`).
    rate
        Hz, or None for the kernels of the paper in samples.
    training
        How the net wants to be trained.
    task
        "classification" (cross entropy), "regression" (squared error of the standardised target),
        or "dense" (cross entropy at each place: the net maps to (n, n_outputs, place)).
    options
        Further arguments of `net`.
    facts
        Facts of the dataset for the augmentations (`augment.FACTS`); those that none of them needs
        are not kept.

    Raises
    ------
    ConfigError
        If the window is too short for the net.

    Examples
    --------
    >>> import numpy as np
    >>> from neuroloom.signals.nets.eegnet import EEGNet
    >>> x = np.random.default_rng(0).normal(size=(8, 3, 128)).astype("float32")
    >>> learner = NetLearner("eegnet", EEGNet, n_channels=3, n_times=128, n_outputs=2)
    >>> history = learner.fit(x, np.arange(8) % 2, job=FitJob(epochs=1))
    >>> learner.predict_scores(x).shape
    (8, 2)
    """

    predict_batch = PREDICT_BATCH

    def __init__(
        self,
        name: str,
        net: Callable[..., nn.Module],
        *,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        training: Training | None = None,
        task: str = "classification",
        options: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        if task not in TASKS:
            raise ConfigError(f"A task is one of {', '.join(TASKS)}, not {task!r}.")
        self.name, self.net, self.task, self.rate = name, net, task, rate
        self.n_channels, self.n_times, self.n_outputs = n_channels, n_times, n_outputs
        self.training, self.options = training or Training(), dict(options or {})
        needed = {need for one in resolve(self.training.augment) for need in one.needs}
        self.facts = {name: fact for name, fact in (facts or {}).items() if name in needed}
        self.crop_times = max(1, round(self.training.crop * n_times))
        self.input = {"mean": np.zeros((n_channels, 1)), "scale": np.ones((n_channels, 1))}
        self.target = {"mean": np.zeros(1), "scale": np.ones(1)}
        with own_randomness(0):
            self.model = self._build()
            self.model.rehearse(n_channels)  # type: ignore[operator]

    @property
    def validates(self) -> bool:
        """Whether units may be set aside to stop early by."""
        return self.training.validate

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again, as JSON can hold it."""
        return {
            "name": self.name,
            "n_channels": self.n_channels,
            "n_times": self.n_times,
            "n_outputs": self.n_outputs,
            "rate": self.rate,
            "task": self.task,
            "training": dataclasses.asdict(self.training),
            "options": self.options,
            "facts": self.facts,
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any], net: Callable[..., nn.Module]) -> NetLearner:
        """Build the learner that `spec` describes; its weights come with `load`."""
        rest = {key: value for key, value in spec.items() if key not in ("name", "training")}
        return cls(spec["name"], net, training=Training(**spec["training"]), **rest)

    def fresh(self) -> NetLearner:
        """Return an untrained learner of the same kind."""
        return NetLearner.from_spec(self.spec, self.net)

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> History:
        """Train from new initial weights, drawn with `job.seed`.

        Parameters
        ----------
        x
            Windows (n, channel, time), in any unit.
        y
            Class index (n,), a number each, or class index (n, place), -1 where unknown.
        job
            Seed, length, checkpoint and so on.
        """
        job = job or FitJob()
        examples = self.begin(x, y, job)
        if job.validation:
            job = dataclasses.replace(job, validation=self._tensors(*job.validation))
        self._tell("adapt", examples)
        history = fit(self.model, *examples, self.training, job)
        self.model.to("cpu")
        self._tell("conclude", examples)
        return history

    def begin(self, x: np.ndarray, y: np.ndarray, job: FitJob) -> tuple[np.ndarray, np.ndarray]:
        """Take new initial weights, and return the examples as the training loop wants them."""
        self._measure(x, y)
        with own_randomness(job.seed):
            self.model = self._build()
        examples = self._tensors(x, y)
        self._weigh_classes(examples[1])
        return examples

    def _tell(self, hook: str, examples: tuple[np.ndarray, np.ndarray]) -> None:
        import torch

        self.model.tell(hook, *(torch.as_tensor(part) for part in examples))

    def _weigh_classes(self, y: np.ndarray) -> None:
        """Give every class the same say in the loss, if the training asks for it."""
        import torch

        if self.training.balance and self.task != "regression":
            counts = np.bincount(y[y >= 0], minlength=self.n_outputs)
            weight = counts.sum() / (self.n_outputs * np.maximum(counts, 1))
            self.model.class_weight = torch.as_tensor(weight, dtype=torch.float32)

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Score windows (n, channel, time).

        Returns
        -------
        np.ndarray
            Log-probabilities (n, n_outputs), or (n, n_outputs, place) of a dense task, float64; or
            numbers (n,) in the unit of the target.
        """
        import torch

        module, batch = self.as_module(), self.predict_batch
        with torch.inference_mode():
            parts = [
                module(torch.as_tensor(np.asarray(x[i : i + batch], dtype=np.float32)))
                for i in range(0, len(x), batch)
            ]
        return torch.cat(parts).double().numpy() if parts else np.empty((0, self.n_outputs))

    def as_module(self) -> nn.Module:
        """Return the whole prediction as one differentiable module, from raw windows to scores.

        Standardisation, crops and members included; in evaluation mode. For attribution, export
        and streams.
        """
        from neuroloom.learn.training.modules import Predictor

        return Predictor(self.model, self.input, self.target).eval()

    def state(self) -> dict[str, np.ndarray]:
        """Return weights and standardisation as named arrays."""
        arrays = {f"net.{k}": v.detach().numpy().copy() for k, v in self.model.state_dict().items()}
        arrays |= {f"input.{key}": value.copy() for key, value in self.input.items()}
        return arrays | {f"target.{key}": value.copy() for key, value in self.target.items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` of a learner with the same `spec` returned.

        Raises
        ------
        RunError
            If names or shapes differ from this learner's.
        """
        import torch

        mine = {name: array.shape for name, array in self.state().items()}
        for name in mine.keys() | state.keys():
            theirs = np.shape(state[name]) if name in state else None
            if mine.get(name) != theirs:
                raise RunError(
                    f"The saved state does not fit the model '{self.name}': '{name}' has the shape "
                    f"{theirs}, expected {mine.get(name)}. Was the file made for other settings?"
                )
        weights = {k[4:]: torch.as_tensor(v) for k, v in state.items() if k.startswith("net.")}
        self.model.load_state_dict(weights)
        self.input = {key: np.array(state[f"input.{key}"]) for key in self.input}
        self.target = {key: np.array(state[f"target.{key}"]) for key in self.target}

    def _build(self) -> nn.Module:
        from neuroloom.learn.training.modules import Members

        def build() -> nn.Module:
            size = (self.n_channels, self.crop_times, self.n_outputs)
            return self.net(*size, rate=self.rate, **self.options)

        known = self.facts | {"rate": self.rate, "n_outputs": self.n_outputs}
        return Members(build, self.training, self.crop_times, self.task, known)

    def _measure(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take mean and SD of the input, and of a numeric target, from the training examples."""
        wide = np.asarray(x, dtype=np.float64)
        mean = wide.mean(axis=(0, 2))[:, None]
        spread = wide.std(axis=(0, 2))[:, None]
        if self.training.standardise == "all":
            spread = np.full_like(spread, np.sqrt(np.mean(spread**2)))
        self.input = {"mean": mean, "scale": np.where(spread > 0, spread, 1.0)}
        if self.task == "regression":
            spread = float(np.std(y)) or 1.0
            self.target = {"mean": np.array([np.mean(y)]), "scale": np.array([spread])}

    def _tensors(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised float32 windows and targets as the loss wants them."""
        standard = (x - self.input["mean"]) / self.input["scale"]
        windows = np.ascontiguousarray(standard, dtype=np.float32)
        if self.task != "regression":
            return windows, np.asarray(y, dtype=np.int64)
        return windows, ((y - self.target["mean"]) / self.target["scale"]).astype(np.float32)
