"""The training loop: short, seeded, and able to go on after the power was cut.

`fit` trains a module that can say its `loss`; examples lie on the device as one tensor, a batch is
an index. A checkpoint holds all that the next step depends on, so a fit that was killed and
resumed ends, on CPU, with the same bits as one that was not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from neuroloom.core.errors import ConfigError, RunError
from neuroloom.core.files import write_atomic
from neuroloom.core.heap import kept_memory
from neuroloom.learn.training.epochs import device_name
from neuroloom.learn.training.optimiser import make_optimiser
from neuroloom.learn.training.pace import LEAST, Pace

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Training:
    """How a net wants to be trained; plain data that goes into the run's files.

    Attributes
    ----------
    epochs
        Passes over the training examples, if the job sets no other number.
    batch
        Examples in a step, at most; an epoch is cut into equal batches.
    lr, weight_decay
        Peak learning rate and decay of AdamW.
    warmup
        Share of the steps in which the rate rises to `lr`; then it falls to 0 along a cosine.
    smoothing
        Label smoothing of the cross entropy.
    crop
        Length of the pieces the net sees, as a share of the window; 1 is trialwise.
    crops
        How many evenly spaced pieces vote in a prediction.
    augment
        Registered augmentations, "name" or "name=strength", applied in this order.
    average
        Decay, per step, of the running mean of the weights that is kept as the result; 0: none.
    members
        Nets with different initial weights that are trained side by side and vote.
    standardise
        "channel": each channel to mean 0 and SD 1; "all": one SD for all, which keeps the
        relation of their amplitudes.
    balance
        True weighs every class alike in the loss, however often it occurs.
    together
        True trains the fits of a small net on all folds and seeds as one batched fit (see
        `together.fit_together`), where examples are few and neither cropped nor augmented.
    threads
        CPU threads that serve the net best: a small one runs as fast on one, does not wait for a
        busy machine, and gives the same bits on machines with more; None takes all.
    muon
        Rate of Muon, as a multiple of `lr`, for the weights of hidden layers; 0: AdamW for all.
    precision
        "32-true", or "bf16-mixed" where that was measured to be faster and as good.
    clip
        Largest norm of the gradient of all weights; 0: not limited.
    flat
        True keeps the rate after its rise: for fits that end when a goal is reached.
    validate
        True sets a fifth of the training units aside, where there are enough, to stop early by;
        False learns from all of them for the whole time.
    """

    epochs: int = 200
    batch: int = 32
    lr: float = 5e-3
    weight_decay: float = 1e-2
    warmup: float = 0.25
    smoothing: float = 0.0
    crop: float = 1.0
    crops: int = 1
    augment: tuple[str, ...] = ()
    average: float = 0.0
    members: int = 1
    standardise: str = "channel"
    balance: bool = False
    together: bool = False
    threads: int | None = None
    validate: bool = True
    precision: str = "32-true"
    clip: float = 0.0
    muon: float = 0.0
    flat: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "augment", tuple(self.augment))
        _require(self.epochs >= 1, "epochs", "at least 1", self.epochs)
        _require(self.batch >= 1, "batch", "at least 1", self.batch)
        _require(self.lr > 0, "lr", "above 0", self.lr)
        _require(0 < self.crop <= 1, "crop", "in (0, 1]", self.crop)
        _require(self.crops >= 1, "crops", "at least 1", self.crops)
        _require(0 <= self.average < 1, "average", "in [0, 1)", self.average)
        _require(self.members >= 1, "members", "at least 1", self.members)
        known = ("channel", "all")
        _require(self.standardise in known, "standardise", " or ".join(known), self.standardise)


def _require(holds: bool, name: str, wanted: str, value: object) -> None:
    if not holds:
        raise ConfigError(f"Training.{name} must be {wanted}, it is {value!r}.")


@dataclass
class FitJob:
    """One fit: what does not belong to the net but to the occasion.

    Attributes
    ----------
    seed
        Of initial weights, order, augmentation and dropout.
    epochs, steps
        Length of the fit; `steps` wins; None takes the net's own `Training.epochs`.
    checkpoint
        File to write to and, if it is there, to go on from.
    every_s
        Seconds between two checkpoints.
    progress
        Called after each epoch with its entry of the history.
    validation
        Examples (x, y) on which the loss is watched; the weights of the best epoch are kept.
    patience
        Epochs without a better validation loss after which the fit stops.
    threads, precision
        CPU threads and number format of this fit; None takes what the net wants.
    seconds
        Wall time that the steps may take: a fit that gets slower leaves some out (`pace.Pace`).
    all_seconds
        Whether a fit that turns out quicker than planned takes more steps, until its time is over.
    turns
        Part of the fit ("" if it has one) -> the turns of pace that another fit took, to follow.
    held_out
        How many examples are predicted when it is done.
    """

    seed: int = 0
    epochs: int | None = None
    steps: int | None = None
    checkpoint: Path | None = None
    every_s: float = 5.0
    progress: Callable[[dict[str, Any]], None] | None = None
    validation: tuple[np.ndarray, np.ndarray] | None = None
    patience: int = 50
    threads: int | None = None
    precision: str | None = None
    seconds: float | None = None
    all_seconds: bool = False
    turns: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    held_out: int = 0


@dataclass
class History:
    """What happened in a fit.

    Attributes
    ----------
    epochs
        One entry each: epoch, step, loss, lr and, with a validation set, val_loss.
    stopped
        Why the fit ended.
    step_seconds
        Wall time that a quarter of the steps stay below: what a step costs when the machine is not
        doing something else. A measurement, so it differs from run to run.
    all_step_seconds
        Wall time of all steps.
    turns
        Part of the fit -> where its pace changed, if it did (`pace.Pace.turns`).
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""
    step_seconds: float = float("nan")
    all_step_seconds: float = 0.0
    turns: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


class Trainable(Protocol):
    """What `fit` needs of a module, apart from being an `nn.Module`."""

    def loss(self, x: Tensor, y: Tensor, generator: torch.Generator | None) -> Tensor:
        """Mean loss of a batch; with a generator the batch is cropped and augmented first."""

    def constrain(self) -> None:
        """Bring the weights back into the net's limits after a step."""

    # And, if it has them, `counts(y)`: what the mean loss of a batch is divided by, if it is not
    # the number of its examples; `at(share)`: told before each step what share of the fit is done;
    # `effort(share)`: the share of the time that this share of the steps takes;
    # `review(epochs)`: told after each epoch, may add to the last entry of the history, and
    # returns why the fit shall end, or "".

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Make the module ready for evaluation with the weights as they are now."""


def fit(module: Any, x: np.ndarray, y: np.ndarray, training: Training, job: FitJob) -> History:
    """Train `module` in place, or go on from `job.checkpoint`.

    Parameters
    ----------
    module
        An `nn.Module` that is also `Trainable`.
    x, y
        Examples along the first axis; `y` is int64 (classes) or float32.
    training, job
        How, and how long.

    Raises
    ------
    RunError
        If the checkpoint belongs to another fit or cannot be read.

    Notes
    -----
    The global generator of torch, which dropout uses, is seeded inside and put back at the end.
    """
    threads = own_threads(job.threads or training.threads)
    with own_randomness(job.seed), threads, kept_memory():
        return _Fit(module, x, y, training, job).run()


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed torch for a while and leave its global generator as it was found."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def own_threads(threads: int | None) -> Iterator[None]:
    """Let torch use `threads` CPU threads for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def count_steps(n: int, training: Training, job: FitJob) -> tuple[int, int]:
    """Return the steps of the whole fit and of one epoch, for `n` examples.

    Examples
    --------
    >>> count_steps(75, Training(batch=32, epochs=10), FitJob())
    (30, 3)
    """
    per_epoch = -(-n // training.batch)
    total = job.steps if job.steps is not None else (job.epochs or training.epochs) * per_epoch
    return max(1, total), per_epoch


def learning_rate(step: float, total: int, training: Training) -> float:
    """Return the rate of a step: a rise along a cosine to the peak, then a fall to zero.

    One cycle as of Smith 2018 (arXiv:1803.09820), as a function of the step, so it has no state.
    `Training.flat` leaves the fall out.
    """
    rise = max(1.0, training.warmup * total)
    if step < rise:
        share = 0.5 - 0.5 * np.cos(np.pi * (step + 1) / (rise + 1))
    elif training.flat:
        share = 1.0
    else:
        share = 0.5 + 0.5 * np.cos(np.pi * (step - rise) / max(1.0, total - rise))
    return float(training.lr * share)


class _Fit:
    """The state of one fit and the pieces of its loop."""

    def __init__(
        self, module: Any, x: np.ndarray, y: np.ndarray, training: Training, job: FitJob
    ) -> None:
        import torch
        from lightning_fabric import Fabric

        self.training, self.job, self.net = training, job, module
        self.fabric = Fabric(
            accelerator=device_name(), devices=1, precision=job.precision or training.precision
        )
        self.device = self.fabric.device
        optimiser = make_optimiser(module, training)
        _, self.optimiser = self.fabric.setup(module, optimiser)
        self.x, self.y = (torch.as_tensor(part).to(self.device) for part in (x, y))
        self.validation = self._parts_of(job.validation) if job.validation else []
        self.generator = torch.Generator(self.device).manual_seed(job.seed)
        self.total, self.per_epoch = count_steps(len(x), training, job)
        self.pace = Pace(
            self.total, job.seconds, getattr(module, "effort", None), list(job.turns.get("", [])),
            LEAST if job.all_seconds else 1.0,
        )  # fmt: skip
        self.loss_sum, self.history = 0.0, History()
        self.seconds: list[float] = []  # of each step
        self.order = torch.empty(0, dtype=torch.int64)
        self.best: dict[str, Tensor] = {}
        self.best_loss, self.best_epoch = float("inf"), 0
        self.live = [parameter.detach() for parameter in module.parameters()]
        self.mean = [value.clone() for value in self.live] if training.average else []
        self.identity = _identity(module, x, training, job, self.total)

    def run(self) -> History:
        self._resume()
        saved = time.monotonic()
        self.ended = time.perf_counter()
        while not self.pace.done and not self.history.stopped:
            self._train_step()
            if self.step % self.per_epoch == 0 or self.pace.done:
                self._end_epoch()
            if self.job.checkpoint and time.monotonic() - saved > self.job.every_s:
                self.save(self.job.checkpoint)
                saved = time.monotonic()
        if not self.history.stopped:
            self.history.stopped = self._all_done()
        self.history.turns = {"": self.pace.turns} if self.pace.turns else {}
        if self.job.checkpoint:
            self.save(self.job.checkpoint)
        self._keep_result()
        if self.seconds:
            self.history.step_seconds = float(np.quantile(self.seconds, 0.25))
            self.history.all_step_seconds = float(np.sum(self.seconds))
        return self.history

    @property
    def step(self) -> int:
        """Steps that were taken."""
        return self.pace.steps

    def _all_done(self) -> str:
        if self.pace.steps == self.total:
            return f"all {self.total} steps done"
        if self.pace.steps > self.total:
            return f"{self.pace.steps} steps done: quicker than planned, and the time was used"
        return (
            f"{self.pace.steps} of {self.total} steps done: they took longer than planned, and the "
            "time was kept"
        )

    def _train_step(self) -> None:
        import torch

        within = self.step % self.per_epoch
        if within == 0:
            self.order = torch.randperm(len(self.x), generator=self.generator, device=self.device)
            self.loss_sum = 0.0
        index = self.order.tensor_split(self.per_epoch)[within]
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.pace.at, self.total, self.training)
        self.net.train()
        if hasattr(self.net, "at"):
            self.net.at(self.pace.share)
        self.optimiser.zero_grad()
        with self.fabric.autocast():
            loss = self.net.loss(self.x[index], self.y[index], self.generator)
        self.fabric.backward(loss)
        if self.training.clip:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.training.clip)
        self.optimiser.step()
        self.net.constrain()
        self._average()
        self.loss_sum += float(loss.detach()) * len(index)
        self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        """Note how long the step took, with all that came between it and the one before."""
        now = time.perf_counter()
        self.seconds.append(now - self.ended)
        self.pace.step(self.seconds[-1])
        self.ended = now

    def _average(self) -> None:
        """Move the running mean; it starts as a plain mean so that early weights fade soon."""
        import torch

        if not self.mean:
            return
        decay = min(self.training.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, self.live, 1 - decay)

    def _end_epoch(self) -> None:
        seen = self.step % self.per_epoch or self.per_epoch
        count = sum(len(part) for part in self.order.tensor_split(self.per_epoch)[:seen])
        entry = {
            "epoch": -(-self.step // self.per_epoch),
            "step": self.step,
            "loss": self.loss_sum / count,
            "lr": self.optimiser.param_groups[0]["lr"],
        }
        if self.validation:
            entry["val_loss"] = self._validate(entry["epoch"])
        self.history.epochs.append(entry)
        if hasattr(self.net, "review"):
            self.history.stopped = self.net.review(self.history.epochs) or self.history.stopped
        if self.job.progress:
            self.job.progress(entry | {"steps": self.pace.expected})

    def _parts_of(
        self, validation: tuple[np.ndarray, np.ndarray]
    ) -> list[tuple[Tensor, Tensor, float]]:
        """Cut the validation set into equal batches, so that it needs no more room than a step.

        Returns
        -------
        list
            Examples, targets, and their share in the mean loss; those of which no target is known
            are left out.
        """
        import torch

        count = -(-len(validation[0]) // self.training.batch)
        x, y = (torch.as_tensor(part).to(self.device).tensor_split(count) for part in validation)
        weights = [float(getattr(self.net, "counts", len)(part)) for part in y]
        parts = zip(x, y, weights, strict=True)
        return [(one, own, weight / sum(weights)) for one, own, weight in parts if weight]

    def _validate(self, epoch: int) -> float:
        """Measure the loss on the validation set and keep the weights if it is the lowest."""
        import torch

        with torch.no_grad(), self._averaged():
            self._settle()
            loss = sum(share * float(self.net.loss(x, y, None)) for x, y, share in self.validation)
            if loss < self.best_loss:
                self.best_loss, self.best_epoch = loss, epoch
                self.best = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        if epoch - self.best_epoch >= self.job.patience:
            self.history.stopped = f"validation flat since epoch {self.best_epoch}"
        return loss

    def _settle(self) -> None:
        self.net.settle(self.x.split(self.training.batch))

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the running mean of the weights into the net for a while."""
        if not self.mean:
            yield
            return
        trained = [value.clone() for value in self.live]
        self._copy(self.mean)
        try:
            yield
        finally:
            self._copy(trained)

    def _copy(self, values: list[Tensor]) -> None:
        import torch

        with torch.no_grad():
            torch._foreach_copy_(self.live, values)

    def _keep_result(self) -> None:
        if self.best:
            self.net.load_state_dict(self.best)
            self.net.eval()
            return
        if self.mean:
            self._copy(self.mean)
        self._settle()

    def save(self, path: Path) -> None:
        """Write all that the next step depends on; whole or not at all."""
        from safetensors.torch import save

        facts = {
            "identity": self.identity,
            "pace": self.pace.as_dict(),
            "loss_sum": self.loss_sum,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "epochs": self.history.epochs,
            "stopped": self.history.stopped,
        }
        tensors = {name: value.contiguous() for name, value in self._tensors().items()}
        metadata = {"fit": json.dumps(facts)}
        # Written by ourselves, so that a full disk is an OSError like any other.
        write_atomic(path, lambda partial: partial.write_bytes(save(tensors, metadata)))

    def _tensors(self) -> dict[str, Tensor]:
        import torch

        found = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        found |= {f"best.{name}": value for name, value in self.best.items()}
        found |= {f"mean.{i}": value for i, value in enumerate(self.mean)}
        for i, parameter in enumerate(self._parameters()):
            state = self.optimiser.optimizer.state.get(parameter, {})
            found |= {f"optimiser.{i}.{key}": value for key, value in state.items()}
        found |= {"order": self.order, "rng.torch": torch.get_rng_state()}
        found["rng.fit"] = self.generator.get_state()
        if self.device.type == "cuda":
            found["rng.cuda"] = torch.cuda.get_rng_state(self.device)
        return found

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]

    def _resume(self) -> None:
        if not (self.job.checkpoint and Path(self.job.checkpoint).exists()):
            return
        tensors, facts = read_checkpoint(self.job.checkpoint)
        if facts["identity"] != self.identity:
            raise RunError(
                f"{self.job.checkpoint}: this checkpoint is of another fit (other data, seed, net, "
                "length or training). Delete it to start afresh."
            )
        self.pace.restore(facts["pace"])
        self.loss_sum = facts["loss_sum"]
        self.best_loss, self.best_epoch = facts["best_loss"], facts["best_epoch"]
        self.history = History(facts["epochs"], facts["stopped"])
        self._restore(tensors)

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        import torch

        def part(prefix: str) -> dict[str, Tensor]:
            names = [name for name in tensors if name.startswith(prefix)]
            return {name.removeprefix(prefix): tensors[name].to(self.device) for name in names}

        self.net.load_state_dict(part("net."))
        self.best = part("best.")
        self.mean = [value for _, value in sorted(part("mean.").items(), key=lambda kv: int(kv[0]))]
        for i, parameter in enumerate(self._parameters()):
            state = part(f"optimiser.{i}.")
            if state:
                laid = {key: _laid_like(parameter, value) for key, value in state.items()}
                self.optimiser.optimizer.state[parameter] = laid
        self.order = tensors["order"].to(self.device)
        torch.set_rng_state(tensors["rng.torch"])
        self.generator.set_state(tensors["rng.fit"])
        if "rng.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng.cuda"], self.device)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the facts of a checkpoint.

    Raises
    ------
    RunError
        If the file is not a whole checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["fit"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path}: not a whole checkpoint ({error}). Delete it to start afresh."
        ) from error


def _identity(module: Any, x: np.ndarray, training: Training, job: FitJob, total: int) -> str:
    """Return a digest of what makes two fits the same."""
    layers = {name: list(value.shape) for name, value in module.state_dict().items()}
    facts = [layers, list(x.shape), dataclasses.asdict(training), job.seed, total]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(np.ascontiguousarray(x[:1]).tobytes())
    return digest.hexdigest()


def _laid_like(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a moment that lies in memory as its weights do: fused optimisers pair them so."""
    import torch

    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
