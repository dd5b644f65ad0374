"""A dense net as a learner: it plans, trains on patches and predicts whole images."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import RunError
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.planning.denseplan import DensePlan, override_both
from neuroloom.learn.training.epochs import (
    device_memory,
    device_name,
    where_it_fits,
    whole_epoch,
)
from neuroloom.learn.training.fit import FitJob, History, Training, fit, own_randomness

if TYPE_CHECKING:
    from torch import nn

    from neuroloom.learn.dense.data.bank import Bank
    from neuroloom.learn.dense.training.module import DenseModule

REHEARSED = 64  # cases that a step is measured on, at most
FEWEST_REHEARSED = 4
PRESET_NETS = ("resenc-m", "resenc-l", "resenc-xl")
MUON = 25.0  # its rate, as a multiple of that of AdamW
HIDDEN = 0.3  # share of channels hidden in training, where some may be missing


@dataclass(frozen=True)
class Wishes:
    """What the user or the recipe wants of a dense learner; plain data.

    Attributes
    ----------
    classes
        Label value -> name, the background among them.
    channels
        Names of the channels; "CT" and such say how they are normalised.
    regions, ignore
        Overlapping unions of labels; the label that is not learnt from.
    configuration, preset
        As in `plan.plan`.
    keys
        Keys of the plan that are set by hand.
    budget_s
        Wall seconds of one fit, which the plan fits itself to; None: not limited.
    augment
        Names of augmentations, or None for the usual ones.
    mirror
        Axes of the file's array that may be mirrored; None: all. See `usual.mirrored`.
    loss
        A name of `losses`.
    views
        From how many sides a 2-D net looks at a volume: "one", "three", "twelve", "sixteen".
    training
        Fields of `fit.Training` that differ from the usual.
    jitter
        Voxels by which a patch may reach beyond an image that it covers.
    slab
        How many neighbouring slices a 2-D net sees of a volume.
    turns
        Whether the mean over mirror images is also taken over transposed ones (2-D).
    tissue
        Least Dice that every class must keep on coarser pixels (`planning.tissue`); 0: pixels stay.
    missing
        How the net bears channels that a case lacks: "none", "hemis" or "film".
    contrasts
        "any" changes the contrast at random in training, for images of contrasts never seen.
    sizes
        At how many times its size a 2-D net may look at a new image: it takes the one at which
        things are as thick as those learnt. Empty: images are as large as they are.
    """

    classes: dict[int, str]
    channels: tuple[str, ...] = ("image",)
    regions: dict[str, tuple[int, ...]] | None = None
    ignore: int | None = None
    configuration: str = "auto"
    preset: str = "default"
    keys: dict[str, Any] = field(default_factory=dict)
    budget_s: float | None = None
    augment: tuple[str, ...] | None = None
    mirror: tuple[int, ...] | None = None
    loss: str = "dice-ce"
    views: str = "one"
    training: dict[str, Any] = field(default_factory=dict)
    jitter: int = 3
    slab: int = 1
    turns: bool = False
    tissue: float = 0.0
    missing: str = "none"
    contrasts: str = "as-they-are"
    sizes: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Wishes:
        """Rebuild wishes from JSON, which knows neither tuples nor numbers as names."""
        plain = {key: value for key, value in values.items() if key != "options"}  # of old runs
        plain["classes"] = {int(k): str(v) for k, v in plain["classes"].items()}
        if plain.get("regions"):
            plain["regions"] = {k: tuple(v) for k, v in plain["regions"].items()}
        for name in ("channels", "augment", "mirror"):
            plain[name] = None if plain.get(name) is None else tuple(plain[name])
        plain["sizes"] = tuple(plain.get("sizes", ()))
        return cls(**plain)


class DenseLearner:
    """A net that labels every voxel, with the plan by which it sees the images.

    Parameters
    ----------
    name
        Of the model, which is that of the net.
    wishes
        What it learns, and what was asked for.
    plan
        The plan, once it is known: it is made of the training cases.

    Notes
    -----
    The plan is part of the state: what is learnt of the training cases, intensities included, is
    learnt inside the training fold.
    """

    validates = False
    bears_bf16 = True  # labels of voxels do; places finer than a pixel were not tried

    def __init__(self, name: str, wishes: Wishes, plan: DensePlan | None = None) -> None:
        self.name, self.wishes, self.plan = name, wishes, plan
        self.model: nn.Module | None = None
        self.rehearsed: DenseLearner = self
        self.given: DensePlan | None = None  # a plan that is settled already
        self.coarse: DenseLearner | None = None  # the stage before, of a cascade
        self.overhead_s = 0.0  # of a fit, beside its steps
        self.laid_s = 0.0  # for laying out a case that was preprocessed
        if plan is not None:
            with own_randomness(0):
                self.model = self.net_of(plan)
            self.coarse = self._stage_before()

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again, as JSON can hold it."""
        plan = None if self.plan is None else self.plan.as_dict()
        return {"name": self.name, "wishes": dataclasses.asdict(self.wishes), "plan": plan}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> DenseLearner:
        """Build the learner that `spec` describes; its weights come with `load`."""
        plan = None if spec["plan"] is None else DensePlan.from_dict(spec["plan"])
        return cls(spec["name"], Wishes.from_dict(spec["wishes"]), plan)

    @property
    def dearest(self) -> float:
        """How many times as long as one image another of the same shape may take to predict."""
        from neuroloom.learn.dense.apply.views import ALL_SIDES

        if self.plan is None or self.plan.dims != 2:
            return 1.0
        axes = 3 if self.wishes.views in ALL_SIDES else 2
        return max([1.0, *self.wishes.sizes]) ** axes

    def fresh(self) -> DenseLearner:
        """Return an untrained learner of the same kind."""
        return DenseLearner(self.name, self.wishes)

    def training(self, plan: DensePlan) -> Training:
        """Return how a net of this plan is trained."""
        usual: dict[str, Any] = {
            "epochs": 10_000, "batch": plan.batch, "lr": plan.lr, "warmup": 0.1,
            "weight_decay": plan.weight_decay, "average": 0.99, "clip": 12.0,
            "muon": MUON if plan.optimiser == "muon" else 0.0,
        }  # fmt: skip
        return Training(**(usual | self.wishes.training))

    def settle_plan(
        self, cases: DenseCases, stored: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Settle the plan of the next fit, as stored or for these cases; return it as data."""
        self.given = self.make_plan(cases) if stored is None else DensePlan.from_dict(stored)
        return self.given.as_dict()

    def make_plan(self, cases: DenseCases) -> DensePlan:
        """Return the plan for these training cases."""
        if self.given is not None:
            return self.given
        from neuroloom.learn.dense.apply.views import TURNED
        from neuroloom.learn.dense.planning.plan import plan, squared
        from neuroloom.learn.dense.planning.tissue import plan_tissue

        wishes = self.wishes
        made = plan(
            cases.fingerprint(wishes.channels),
            wishes.budget_s,
            device_name(),
            os.cpu_count() or 1,
            device_memory(),
            configuration=wishes.configuration,
            preset=self.name if self.name in PRESET_NETS else wishes.preset,
            net=self.name,
            classes=wishes.classes,
            regions=wishes.regions,
            ignore=wishes.ignore,
        )
        few = _Few(cases)
        if wishes.tissue and made.dims == 2:
            made = plan_tissue(made, few.labels(made), wishes.tissue)
        if wishes.views in TURNED and made.dims == 2:
            made = squared(made)
        made = override_both(made, wishes.keys)
        if wishes.sizes and made.dims == 2 and "thickness" not in wishes.keys:
            made = dataclasses.replace(made, thickness=few.thickness(made))
        return made

    def fit(self, x: DenseCases, y: Any = None, *, job: FitJob | None = None) -> History:
        """Plan, then train from new initial weights, drawn with `job.seed`.

        Parameters
        ----------
        x
            Labelled cases.
        y
            Not used: a case has its label with it.
        job
            Seed, length, checkpoint and so on.
        """
        job = job or FitJob()
        self.plan = self.make_plan(x)
        if self.plan.previous is None:
            return self.fit_stage(x, job)
        from neuroloom.learn.dense.training.twostage import fit_in_two

        return fit_in_two(self, x, job)

    def fit_stage(self, x: DenseCases, job: FitJob, before: Any = None) -> History:
        """Train this stage alone; `before` is what a coarse one says of each case."""
        module, bank = self.begin(x, job, before)
        training = self.training(bank.plan)
        numbers = whole_epoch(len(bank), training.batch)
        try:
            history = fit(module, numbers, np.zeros(len(numbers), np.float32), training, job)
        finally:
            bank.close()
        module.net.to("cpu")
        self.model = module.net.eval()
        return history

    def begin(self, x: DenseCases, job: FitJob, before: Any = None) -> tuple[DenseModule, Bank]:
        """Return the module with new weights, and the bank that it draws patches from."""
        from neuroloom.learn.dense.apply.views import ALL_SIDES
        from neuroloom.learn.dense.data.bank import Bank

        self.plan = self.make_plan(x)
        folder = None if job.checkpoint is None else job.checkpoint.with_suffix(".cases")
        done, jitter = x.preprocessed(self.plan), self.wishes.jitter
        began = time.monotonic() - x.seconds_of_making(self.plan)
        bank = Bank(done, self.plan, jitter, device_name(), folder, before=before)
        laying = time.monotonic() - x.seconds_of_making(self.plan) - began
        self.laid_s = laying / max(1, len(bank))
        bank.slab, bank.sides = self.wishes.slab, 3 if self.wishes.views in ALL_SIDES else 1
        with own_randomness(job.seed):
            module = self._module(self.plan)
        module.bank = bank
        return module, bank

    def seconds_per_step(
        self, x: DenseCases, seed: int = 0, at_least: float = 4.0, precision: str = "32-true"
    ) -> float:
        """Measure a mean step of training on throwaway copies: each stage by its quicker steps."""
        plan = self.make_plan(x)
        if plan.previous is not None:
            from neuroloom.learn.dense.training.twostage import rehearse

            return rehearse(self, x, plan, seed, at_least, precision)
        return self.seconds_of_stage(x, plan, seed, at_least, precision)

    def seconds_of_stage(
        self, x: DenseCases, plan: DensePlan, seed: int, at_least: float, precision: str = "32-true"
    ) -> float:
        """Measure a mean step of this stage alone, on throwaway copies."""
        x = rehearsal(x, plan, at_least)
        before, mean = 0.0, 0.0
        for until, zoom, share, copies in plan.stages:
            probe = self.fresh()
            probe.given = dataclasses.replace(plan, stages=((1.0, zoom, share, copies),))
            mean += (until - before) * probe._quick_step(
                x, seed, at_least / len(plan.stages), precision
            )
            before = until
        self.rehearsed = probe
        return mean

    def _quick_step(self, x: DenseCases, seed: int, at_least: float, precision: str) -> float:
        """Return the time of a quick step, s, of a fit of some seconds."""
        seconds: list[float] = []
        began, steps = time.monotonic(), 3
        while not seconds or (time.monotonic() - began < at_least and len(seconds) < 6):
            history = self.fit_stage(x, FitJob(seed=seed, steps=steps, precision=precision))
            seconds.append(history.step_seconds)
            steps = max(3, min(40, int(at_least / 3 / max(history.step_seconds, 1e-3))))
        return float(np.mean(seconds[1:] or seconds))

    def seconds_to_lay(self, x: DenseCases, fits: int) -> float:
        """Return how long so many fits will take to lay out their cases, by the rehearsal, s."""
        found, stage = 0.0, self.rehearsed
        for one in (stage, stage.coarse):
            if one is not None and one.plan is not None:
                found += x.seconds_to_make(one.plan, fits) + one.laid_s * len(x) * fits
        return found

    def predict_scores(self, x: DenseCases) -> Iterator[np.ndarray]:
        """Return an iterator over the probabilities of cases, (class, *axes), on their own grids.

        Regions are not exclusive: theirs need not sum to one, and there is no background.
        """
        return map(self.predict_array, self.inputs(x))

    def inputs(self, x: DenseCases) -> Iterator[Any]:
        """Yield each case preprocessed, with what a stage before says of it among its channels."""
        assert self.plan is not None
        for row, done in enumerate(x.preprocessed(self.plan, labelled=False)):
            if self.plan.previous is not None:
                from neuroloom.learn.dense.training.twostage import before_case, with_masks

                said = before_case(self, x[np.array([row])], done.properties)
                done = with_masks(done, said, self.plan)
            yield done

    def predict_array(self, done: Any) -> np.ndarray:
        """Return the probabilities of a preprocessed case on the grid of its file."""
        from neuroloom.learn.dense.apply.infer import probabilities
        from neuroloom.learn.dense.planning.resample import restore

        assert self.plan is not None
        assert self.model is not None
        model, plan, wishes = self.model, self.plan, self.wishes
        found = where_it_fits(model, lambda: probabilities(model, done.x, plan, wishes))
        background = None if plan.regions else 0
        return restore(found, done.properties, plan.probability_order, background)

    def state(self) -> dict[str, np.ndarray]:
        """Return weights and plan as named arrays."""
        assert self.plan is not None
        assert self.model is not None
        arrays = {f"net.{k}": v.detach().cpu().numpy() for k, v in self.model.state_dict().items()}
        plan = json.dumps(self.plan.as_dict(), sort_keys=True).encode()
        before = {} if self.coarse is None else self.coarse.state()
        arrays |= {f"coarse.{name}": array for name, array in before.items()}
        return arrays | {"plan": np.frombuffer(plan, np.uint8)}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned.

        Raises
        ------
        RunError
            If the weights do not fit the plan they came with.
        """
        import torch

        self.plan = DensePlan.from_dict(json.loads(np.asarray(state["plan"]).tobytes()))
        with own_randomness(0):
            self.model = self.net_of(self.plan)
        weights = {k[4:]: torch.as_tensor(np.array(v)) for k, v in state.items() if k[:4] == "net."}
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise RunError(f"The saved state does not fit the model '{self.name}': {error}") from (
                error
            )
        self.model.eval()
        self.coarse = self._stage_before()
        if self.coarse is not None:
            self.coarse.load({k[7:]: v for k, v in state.items() if k[:7] == "coarse."})

    def _stage_before(self) -> DenseLearner | None:
        """Return the untrained learner of the stage before, if the plan has one."""
        from neuroloom.learn.dense.training.twostage import coarse_of

        assert self.plan is not None
        return None if self.plan.previous is None else coarse_of(self, self.plan)

    def _module(self, plan: DensePlan) -> DenseModule:
        from neuroloom.learn.dense.apply.views import TURNED
        from neuroloom.learn.dense.training.module import DenseModule
        from neuroloom.learn.dense.training.usual import (
            any_contrast,
            criterion,
            mirrored,
            transforms,
        )

        turned = self.wishes.views in TURNED
        axes = mirrored(plan, self.wishes)
        chain = transforms(plan, self.wishes.augment, axes, turned=turned)
        if self.wishes.contrasts == "any":
            chain = any_contrast(chain)
        module = DenseModule(self.net_of(plan), criterion(plan, self.wishes.loss), chain, plan)
        module.hides = 0.0 if self.wishes.missing == "none" else HIDDEN
        return module

    def net_of(self, plan: DensePlan) -> nn.Module:
        """Return an untrained net of a plan."""
        from neuroloom.learn.dense.nets.conditioning import build_bearing

        return build_bearing(
            self.wishes.missing,
            plan.net,
            dims=plan.dims,
            in_channels=plan.inputs * self.wishes.slab,
            out_channels=plan.outputs,
            patch=plan.patch,
            strides=plan.strides,
            kernels=plan.kernels,
            features=plan.features,
            blocks=plan.blocks,
            decoder_blocks=plan.decoder_blocks,
            options=plan.options,
        )


def rehearsal(x: DenseCases, plan: DensePlan, seconds: float) -> DenseCases:
    """Return the cases that a step is measured on: as many as can be made in so many seconds.

    Each short fit lays its cases out anew, so these must also be kept; a part of a large set says
    the same.
    """
    some = x[np.unique(np.linspace(0, len(x) - 1, min(len(x), REHEARSED)).astype(int))]
    order, began = np.random.default_rng(0).permutation(len(some)), time.monotonic()
    count = 0
    for count, _ in enumerate(some[order].preprocessed(plan), start=1):
        late = time.monotonic() - began > seconds
        if count >= FEWEST_REHEARSED and (late or len(some[order[:count]].kept(plan)) < count):
            break
    return some[np.sort(order[:count])]


class _Few:
    """Some labelled cases, evenly among all, whose labels are read once where a plan needs them."""

    def __init__(self, cases: DenseCases) -> None:
        self.cases = cases

    @cached_property
    def read(self) -> list[tuple[Any, np.ndarray]]:
        """Cases with their labels, in the order of their files' axes."""
        from neuroloom.learn.dense.planning.tissue import LOOKED_AT

        many = len(self.cases)
        rows = np.unique(np.linspace(0, many - 1, min(many, LOOKED_AT)).round().astype(int))
        some = [self.cases[int(row)] for row in rows]
        return [(case, case.truth()) for case in some if case.label is not None]

    def labels(self, plan: DensePlan) -> list[np.ndarray]:
        """Return the labels in the plan's order of axes."""
        return [label.transpose(plan.transpose) for _, label in self.read]

    def thickness(self, plan: DensePlan) -> tuple[float, ...]:
        """Return how thick the things of every class or region are, in pixels of a 2-D plan."""
        from neuroloom.learn.dense.apply.size import thickness_of

        single = [(value,) for value in plan.classes if value not in (0, plan.ignore)]
        groups = list(plan.regions.values()) if plan.regions else single
        masks, scales = [], []
        for (case, _), label in zip(self.read, self.labels(plan), strict=True):
            flat = [self.cases.spacing(case)[axis] for axis in plan.transpose][-2:]
            masks.append(np.stack([np.isin(label, group) for group in groups]))
            scales.append(float(np.sqrt(np.prod(np.divide(flat, plan.spacing)))))
        return tuple(thickness_of(masks, scales)) if masks else ()
