"""A pose net as a learner: it plans, trains both stages, and finds animals in frames."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError, RunError
from neuroloom.learn.training.epochs import device_name, whole_epoch
from neuroloom.learn.training.fit import FitJob, History, Training, fit, own_randomness
from neuroloom.learn.training.parts import joined, named, part_of
from neuroloom.pose.nets.agree import Structure
from neuroloom.pose.nets.align import Floats, pose_of
from neuroloom.pose.nets.frames import PoseFrames
from neuroloom.pose.nets.plan import PosePlan, Stage, make_plan, with_enough
from neuroloom.pose.nets.views import pyramid_level, similarity, to_view, whole_frame

if TYPE_CHECKING:
    from torch import nn

    from neuroloom.pose.nets.module import PoseModule

PREDICT_BATCH = 16
PREDICT_PIXELS = 2**27  # values of the pictures looked at together, float32: 0.5 GB
POLISH = 0.4  # of the fine steps, on frames of clips too
RARE = -4.0  # logit of a peak before anything is learnt
LOOKS = 2  # at videos without labels: before what they teach, and after
SEEDS_APART = 10_000  # between the seeds of nets that learn alike


@dataclass(frozen=True)
class PoseWishes:
    """What the user or the recipe wants of a pose net; plain data.

    Attributes
    ----------
    keypoints, mirror
        Names, and for each the index of its other side.
    individuals
        How many animals a frame has, at most.
    edges
        Bones, as pairs of indices.
    keys
        Keys of the plan that are set by hand.
    light
        How strongly brightness, noise and so on vary in training; 1: the usual.
    training
        Fields of `fit.Training` that differ from the usual.
    options
        Options of the net.
    identity
        Whether names of animals say who they are, to be told by their looks.
    classes
        What animals are, told by their looks too: any number of a frame may be of one class.
    """

    keypoints: tuple[str, ...]
    mirror: tuple[int, ...]
    individuals: int = 1
    edges: tuple[tuple[int, int], ...] = ()
    keys: dict[str, Any] = field(default_factory=dict)
    light: float = 1.0
    training: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    identity: bool = False
    classes: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PoseWishes:
        """Rebuild wishes from JSON, which knows no tuples."""
        plain = dict(values)
        plain |= {name: tuple(plain.get(name, ())) for name in ("keypoints", "mirror", "classes")}
        plain["edges"] = tuple((int(a), int(b)) for a, b in plain.get("edges", ()))
        return cls(**plain)


class PoseLearner:
    """Nets that say where the keypoints of an animal are, with the plan by which they look.

    Parameters
    ----------
    name
        Of the model, which is that of the net.
    wishes
        What it learns, and what was asked for.
    plan
        The plan, once it is known: it is made of the training frames.
    """

    validates = False

    def __init__(self, name: str, wishes: PoseWishes, plan: PosePlan | None = None) -> None:
        self.name, self.wishes, self.plan = name, wishes, plan
        self.nets: dict[str, nn.Module] = {}
        self._quick: dict[str, tuple[nn.Module, nn.Module]] = {}
        self.structure: Structure | None = None
        self.rehearsed: PoseLearner = self
        self.overhead_s = 0.0  # of a fit, for what is neither a step nor a prediction
        if plan is not None:
            with own_randomness(0):
                self.nets = {key: self._nets(plan, one) for key, one in stages(plan).items()}

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again, as JSON can hold it."""
        plan = None if self.plan is None else self.plan.as_dict()
        return {"name": self.name, "wishes": dataclasses.asdict(self.wishes), "plan": plan}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> PoseLearner:
        """Build the learner that `spec` describes; its weights come with `load`."""
        plan = None if spec["plan"] is None else PosePlan.from_dict(spec["plan"])
        return cls(spec["name"], PoseWishes.from_dict(spec["wishes"]), plan)

    def fresh(self) -> PoseLearner:
        """Return an untrained learner of the same kind."""
        return PoseLearner(self.name, self.wishes)

    def training(self, plan: PosePlan) -> Training:
        """Return how a net of this plan is trained."""
        usual: dict[str, Any] = {
            "epochs": 2_000, "batch": plan.batch, "lr": 3e-3, "weight_decay": 1e-2, "warmup": 0.05,
            "average": 0.99, "clip": 12.0, "muon": 25.0,
        }  # fmt: skip
        return Training(**(usual | self.wishes.training))

    def make_plan(self, x: PoseFrames) -> PosePlan:
        """Return the plan for these training frames."""
        animals, _, _ = animals_of(x.points)
        keys = {"net": self.name} | self.wishes.keys
        plan = make_plan(
            animals, x.shapes(), self.wishes.keypoints, self.wishes.mirror, x.channels(), keys,
            self.wishes.options, self.wishes.individuals,
        )  # fmt: skip
        names = self.wishes.individuals if self.wishes.identity else 0
        return dataclasses.replace(plan, names=names, classes=len(self.wishes.classes))

    def fit(self, x: PoseFrames, y: Any = None, *, job: FitJob | None = None) -> History:
        """Plan, then train each stage from new initial weights, drawn with `job.seed`.

        Parameters
        ----------
        x
            Labelled frames.
        y
            Not used: a frame has its points with it.
        job
            Seed, length, checkpoint and so on; the steps are shared between the stages.
        """
        job = job or FitJob()
        self.plan = self.make_plan(x)
        if "nets" not in self.wishes.keys:
            self.plan = with_enough(self.plan, job.steps or 0)
        history = History()
        for key, stage in stages(self.plan).items():
            share = stage.share * (1 - POLISH if key == "fine" and x.clips else 1)
            one = self.fit_stage(key, stage, x, job, key, share)
            history = joined(history, one) if history.epochs else one
        self.structure = self._structure(x)
        if self.structure is not None and self.plan.agree:
            said = self.structure.ties.named(self.plan.keypoints)
            self.plan = dataclasses.replace(self.plan, reason=self.plan.reason + said)
        return joined(history, self._polish(x, job)) if x.clips else history

    def _polish(self, x: PoseFrames, job: FitJob) -> History:
        """Learn on, from frames of clips whose points time confirmed, beside the labelled ones."""
        from neuroloom.pose.nets.students import leap_rate, look_through, taught

        assert self.plan is not None
        both, before, leap = taught(self, x)
        fine = self.plan.fine
        history = self.fit_stage("fine", fine, both, job, "polish", fine.share * POLISH, len(x))
        after = leap_rate([found for _, found in look_through(self, x.clips, x.depth)], leap)
        said = (
            f" It also learnt from {len(both) - len(x)} frames of {len(x.clips)} unlabelled "
            f"video{'s' * (len(x.clips) > 1)}: of 1,000 points, {before:.1f} leapt more than "
            f"{leap:.0f} px away from their neighbours in time before, {after:.1f} after."
        )
        self.plan = dataclasses.replace(self.plan, reason=self.plan.reason + said)
        return history

    def _structure(self, x: PoseFrames) -> Structure | None:
        """Learn how places of keypoints differ in the views of the fine stage."""
        from neuroloom.pose.nets.agree import learn_structure

        assert self.plan is not None
        if len(self.plan.keypoints) < 3 or self.plan.grouping == "fine":
            return None
        points, frame_of, _ = animals_of(x.points)
        shapes = x.shapes()
        views = self._views("fine", self.plan.fine, points, [shapes[row] for row in frame_of])
        return learn_structure(to_view(views, points))

    def fit_stage(
        self,
        key: str,
        stage: Stage,
        x: PoseFrames,
        job: FitJob,
        part: str,
        share: float = 1.0,
        labelled: int | None = None,
    ) -> History:
        """Train the nets of one stage, one after the other.

        Parameters
        ----------
        part
            What the history and the checkpoints call this part of the fit.
        share
            Of the job's steps, for all nets of the stage.
        labelled
            How many of the frames come first and were labelled by hand: the nets that there are
            learn on, at half the rate, and half of what they see are these. None: from new weights.
        """
        from neuroloom.pose.nets.quick import stored
        from neuroloom.pose.nets.unet import as_one, members

        assert self.plan is not None
        training = self.training(self.plan)
        if labelled is not None:
            training = dataclasses.replace(training, lr=training.lr / 2)
        history, nets = History(), []
        for number in range(stage.nets):
            name = part if stage.nets == 1 else f"{part}-{number + 1}"
            own = part_of(job, name, share / stage.nets)
            own = dataclasses.replace(own, seed=job.seed + SEEDS_APART * number)
            module = self.module(key, stage, x, own.seed)
            if labelled is None:
                rows = whole_epoch(len(module.frame_of), training.batch)
            else:
                module.net.load_state_dict(members(self.nets[key])[number].state_dict())
                by_hand = np.flatnonzero(np.asarray(module.frame_of) < labelled)
                rows = _half_and_half(len(module.frame_of), by_hand, training.batch)
            one = named(fit(module, rows, np.zeros(len(rows), np.float32), training, own), name)
            history = joined(history, one) if history.epochs else one
            nets.append(stored(module.net))
        self.nets[key] = as_one(nets, len(self.plan.keypoints))
        return history

    def module(self, key: str, stage: Stage, x: PoseFrames, seed: int) -> PoseModule:
        """Return what trains a stage, with new weights."""
        import torch

        from neuroloom.pose.nets.module import PoseModule

        plan, device = self.plan, device_name()
        assert plan is not None
        if key == plan.grouping:
            return self._module_of_several(stage, x, seed)
        points, frame_of, place = animals_of(x.points)
        shapes = x.shapes()
        views = self._views(key, stage, points, [shapes[row] for row in frame_of])
        frames = x.tensors(plan.channels, pyramid_level(stage.scale))
        with own_randomness(seed):
            net = self._net(plan, stage)
        mirror = plan.mirror if plan.mirrored else None
        return PoseModule(
            net, stage, [frame.to(device) for frame in frames], torch.as_tensor(views),
            frame_of.tolist(), torch.as_tensor(points), mirror, self.wishes.light,
            self._who(x, frame_of, place) if key == "fine" else None,
        )  # fmt: skip

    def _who(self, x: PoseFrames, frame_of: np.ndarray, place: np.ndarray) -> list[int] | None:
        """Return the number of each animal's name, or of its class, -1 where nobody said it."""
        assert self.plan is not None
        if self.plan.names:
            return place.tolist()
        if not self.plan.classes or x.classes is None:
            return None
        number = {name: k for k, name in enumerate(self.wishes.classes)}
        return [number.get(str(name), -1) for name in x.classes[frame_of, place]]

    def _module_of_several(self, stage: Stage, x: PoseFrames, seed: int) -> PoseModule:
        """Return what trains the net whose peaks are put together into animals."""
        import torch

        from neuroloom.pose.nets.many import ManyModule

        plan, device = self.plan, device_name()
        assert plan is not None
        count, points = len(plan.keypoints), np.asarray(x.points, float)
        views = np.stack([whole_frame(shape, stage.size) for shape in x.shapes()])
        frames = x.tensors(plan.channels, pyramid_level(stage.scale))
        with own_randomness(seed):
            net = self._net(plan, stage)
        several = range(points.shape[1])
        mirror = [own * count + other for own in several for other in plan.mirror]
        module = ManyModule(
            net, stage, [frame.to(device) for frame in frames], torch.as_tensor(views),
            range(len(points)), torch.as_tensor(points.reshape(len(points), -1, 2)),
            mirror if plan.mirrored else None, self.wishes.light,
        )  # fmt: skip
        module.edges, module.keypoints = plan.edges, count
        return module

    def _views(
        self, key: str, stage: Stage, points: Floats, shapes: Sequence[Sequence[int]]
    ) -> Floats:
        """Return the view (animal, 2, 3) in which each animal is learnt, before it is moved."""
        plan = self.plan
        assert plan is not None
        if key == "coarse" or plan.coarse is None:
            return np.stack([whole_frame(shape, stage.size) for shape in shapes])
        centre, angle = pose_of(points, plan.mean_shape)
        angle = angle if plan.turned else np.zeros_like(angle)
        return similarity(centre, np.full(len(centre), stage.scale), angle, stage.size)

    def seconds_per_step(
        self, x: PoseFrames, at_least: float = 4.0, precision: str = "32-true"
    ) -> float:
        """Measure a mean step of training on throwaway copies: each stage by its quicker steps."""
        probe = self.fresh()
        probe.plan = self.make_plan(x)
        mean = 0.0
        for key, stage in stages(probe.plan).items():
            job = FitJob(steps=3, precision=precision)
            first = probe.fit_stage(key, stage, x, job, key).step_seconds
            steps = max(4, min(40, int(at_least / 2 / max(first, 1e-3))))
            job = FitJob(steps=steps, precision=precision)
            quick = probe.fit_stage(key, stage, x, job, key).step_seconds
            mean += stage.share * min(first, quick)
        self.rehearsed = probe
        self.overhead_s = probe.seconds_of_looking(x)
        return mean

    def seconds_of_looking(self, x: PoseFrames) -> float:
        """Measure how long a fit looks through the videos without labels, before and after."""
        from neuroloom.pose.nets.students import count_frames

        if not x.clips:
            return 0.0
        some = [x[row] for row in range(min(len(x), PREDICT_BATCH))]
        self.find_in(some)
        began = time.perf_counter()
        self.find_in(some)
        return (time.perf_counter() - began) / len(some) * LOOKS * count_frames(x.clips)

    def predict_scores(self, x: PoseFrames) -> Floats:
        """Return what is found in each frame.

        Returns
        -------
        np.ndarray
            Shape (n, individual, keypoint, 4): x and y in px of the frame, the probability near
            the peak of the map, and the error that the map expects, px.
        """
        parts = []
        for start in range(0, len(x), PREDICT_BATCH):
            rows = np.arange(start, min(start + PREDICT_BATCH, len(x)))
            parts.append(self.find_in([x[int(row)] for row in rows]))
        width = 4 + len(self.wishes.classes)
        size = (0, self.wishes.individuals, len(self.wishes.keypoints), width)
        return np.concatenate(parts) if parts else np.zeros(size)

    def quick(self, key: str) -> nn.Module:
        """Return a stage's net as it predicts: the norms are folded into the convolutions."""
        from neuroloom.pose.nets.quick import folded

        if key not in self._quick or self._quick[key][0] is not self.nets[key]:
            self._quick[key] = (self.nets[key], folded(self.nets[key]))
        return self._quick[key][1]

    def find_in(self, pictures: Sequence[np.ndarray]) -> Floats:
        """Return what is found in pictures (y, x, channel) uint8; as `predict_scores`."""
        from neuroloom.pose.nets.find import find_one
        from neuroloom.pose.nets.many import find_many

        assert self.plan is not None
        several = self.plan.individuals > 1
        largest = max(math.prod(one.shape[:2]) for one in pictures) * self.plan.channels
        # More at once is slower: what is worked on no longer fits into the processor's caches.
        batch = max(1, min(PREDICT_BATCH, PREDICT_PIXELS // largest))
        parts = []
        for k in range(0, len(pictures), batch):
            some = pictures[k : k + batch]
            parts.append(find_many(self, some) if several else find_one(self, some)[:, None])
        return np.concatenate(parts)

    def state(self) -> dict[str, np.ndarray]:
        """Return weights and plan as named arrays."""
        assert self.plan is not None
        arrays = {
            f"{key}.{name}": value.detach().cpu().numpy()
            for key, net in self.nets.items()
            for name, value in net.state_dict().items()
        }
        plan = json.dumps(self.plan.as_dict(), sort_keys=True).encode()
        if self.structure is not None:
            known = self.structure.as_arrays()
            arrays |= {f"structure.{name}": array for name, array in known.items()}
        return arrays | {"plan": np.frombuffer(plan, np.uint8)}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned.

        Raises
        ------
        RunError
            If the weights do not fit the plan they came with.
        """
        import torch

        self.plan = PosePlan.from_dict(json.loads(np.asarray(state["plan"]).tobytes()))
        with own_randomness(0):
            self.nets = {key: self._nets(self.plan, one) for key, one in stages(self.plan).items()}
        own = {name[10:]: array for name, array in state.items() if name.startswith("structure.")}
        self.structure = Structure.from_arrays(own) if own else None
        for key, net in self.nets.items():
            weights = {
                name[len(key) + 1 :]: torch.as_tensor(np.array(value))
                for name, value in state.items()
                if name.startswith(f"{key}.")
            }
            try:
                net.load_state_dict(weights)
            except RuntimeError as error:
                raise RunError(
                    f"The saved state does not fit the model '{self.name}': {error}"
                ) from error
            net.eval()

    def _nets(self, plan: PosePlan, stage: Stage) -> nn.Module:
        """Return the nets of a stage, as one, whose weights a file will bring."""
        from neuroloom.pose.nets.unet import as_one

        every = [self._net(plan, stage, weights=False) for _ in range(stage.nets)]
        return as_one(every, len(plan.keypoints))

    def _net(self, plan: PosePlan, stage: Stage, weights: bool = True) -> nn.Module:
        from neuroloom.pose.nets.unet import build_net

        # The coarse stage is a plain small net whatever the fine one is.
        name = plan.net if stage is plan.fine else "unet"
        options = plan.options if stage is plan.fine else {}
        grouping = plan.grouping != "" and stage is (plan.coarse or plan.fine)
        named = plan.names + plan.classes if stage is plan.fine else 0
        more = 2 * len(plan.edges) if grouping else named
        outputs = len(plan.keypoints) + more
        net = build_net(name, plan.channels, outputs, stage.widths, options, weights)
        if grouping and hasattr(net, "head"):
            # Peaks are rare: a net that begins with none learns sooner (Lin et al. 2017).
            net.head.bias.data[: len(plan.keypoints)] = RARE  # type: ignore[union-attr,operator]
        return net


def stages(plan: PosePlan) -> dict[str, Stage]:
    """Return the stages of a plan, in the order in which they are trained."""
    coarse = {} if plan.coarse is None else {"coarse": plan.coarse}
    return coarse | {"fine": plan.fine}


def animals_of(y: Floats) -> tuple[Floats, np.ndarray, np.ndarray]:
    """Return the labelled animals (animal, keypoint, 2), the frame of each, and which it is there.

    Raises
    ------
    DataError
        If no frame has two labelled keypoints of one animal.

    Examples
    --------
    >>> y = np.full((2, 2, 3, 2), np.nan); y[1, 0] = 1.0
    >>> [part.tolist() for part in animals_of(y)][1:]
    [[1], [0]]
    """
    known = np.isfinite(y).all(-1).sum(-1) >= min(2, y.shape[2])
    frame, individual = np.nonzero(known)
    if len(frame) == 0:
        raise DataError("No frame to learn from has two labelled keypoints of one animal.")
    return y[frame, individual].astype(float), frame, individual


def _half_and_half(animals: int, labelled: np.ndarray, batch: int) -> np.ndarray:
    """Return the numbers of all animals, the labelled ones so often that they are half."""
    rest = np.setdiff1d(np.arange(animals), labelled)
    times = max(1, round(len(rest) / max(len(labelled), 1)))
    return whole_epoch(np.concatenate([np.tile(labelled, times), rest]), batch)
