"""From a fingerprint to a plan: nnU-Net's rules exactly, then what a clock and a device change.

Rules: Isensee et al. 2021 (Nature Methods 18:203), as nnU-Net 2.8.1 carries them out
(`default_experiment_planner.py`); residual nets: Isensee et al. 2024, "nnU-Net revisited".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.learn.dense.planning.denseplan import (
    CONFIGURATIONS,
    DensePlan,
    Floats,
    shortly,
    widths,
)
from neuroloom.learn.dense.planning.fingerprint import Fingerprint
from neuroloom.learn.dense.planning.resample import new_shape, scheme_of
from neuroloom.learn.dense.planning.topology import (
    Topology,
    footprint,
    round_near,
    round_up,
    shrink,
    topology,
)

__all__ = ["PRESETS", "DensePlan", "Preset", "plan", "plan_like_nnunet", "plans_like_nnunet"]

ANISOTROPY = 3.0
LARGEST = {2: 2048.0**2, 3: 256.0**3}
LOWRES_SHARE = 0.25
LOWRES_STEP = 1.03
LOWRES_GAIN = 2.0
MASKED_BELOW = 0.75
MIN_BATCH = 2
REFERENCE_BATCH = {2: 12, 3: 2}

# What the clock and a CPU change. Features: (up to so many core seconds, those of the first stage).
CPU_BATCH = {2: 4, 3: 2}
CPU_BASE_FEATURES = ((1800.0, 16), (5400.0, 24), (math.inf, 32))
CPU_STEP_VOXELS = {2: 262_144, 3: 200_000}
LIGHT_UP_TO = 7200.0  # core seconds
# A patch that covers the median image is cut to four fifths of its edges for most of the time: half
# the voxels, twice the steps; at its full size the net then meets what it will predict.
CROPPED = ((0.85, 1.0, 0.8, 1), (1.0, 1.0, 1.0, 1))
CASCADE_FROM_S = {"cpu": 4 * 3600.0, "cuda": 1800.0}


@dataclass(frozen=True)
class Preset:
    """What one planner of nnU-Net assumes.

    Parameters
    ----------
    net
        The net's name.
    reference
        Footprint of 2-D and 3-D nets that fills `memory_gb`.
    covered
        Share of the data set's voxels that one batch may see.
    blocks, decoder_blocks
        Of every stage, the last number repeated.
    """

    net: str
    reference: dict[int, float]
    memory_gb: float
    covered: float
    blocks: tuple[int, ...]
    decoder_blocks: int
    residual: bool


_RESIDUAL = (1, 3, 4, 6)
PRESETS = {
    "default": Preset("dynunet", {2: 85e6, 3: 560e6}, 8, 0.05, (2,), 2, False),
    "resenc-m": Preset("resenc-m", {2: 135e6, 3: 680e6}, 8, 1.0, _RESIDUAL, 1, True),
    "resenc-l": Preset("resenc-l", {2: 380e6, 3: 2100e6}, 24, 1.0, _RESIDUAL, 1, True),
    "resenc-xl": Preset("resenc-xl", {2: 560e6, 3: 3600e6}, 40, 1.0, _RESIDUAL, 1, True),
}


def plan_like_nnunet(
    fingerprint: Fingerprint,
    configuration: str = "3d_fullres",
    preset: str = "default",
    memory_gb: float | None = None,
    **task: Any,
) -> DensePlan:
    """Return the plan that nnU-Net makes of these cases.

    Parameters
    ----------
    configuration
        "2d", "3d_fullres", "3d_lowres" or "3d_cascade_fullres".
    preset
        A name of `PRESETS`.
    memory_gb
        Of the device; None: what the preset was made for.
    task
        `classes`, `regions` and `ignore`, as in `DensePlan`; without `classes`, the labels seen.

    Raises
    ------
    ConfigError
        If there is no such preset or configuration, or none of that name for these data.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.fingerprint import CaseFacts
    >>> seen = Fingerprint(["MRI"])
    >>> for _ in range(260):
    ...     seen.update(CaseFacts((1, 1, 1), (36, 50, 35), (36, 50, 35), np.ones((1, 1), "f4")))
    >>> made = plan_like_nnunet(seen, classes={0: "background", 1: "anterior", 2: "posterior"})
    >>> made.patch, made.batch, made.pools, made.features
    ((40, 56, 40), 9, (3, 3, 3), (32, 64, 128, 256))
    """
    if configuration not in CONFIGURATIONS:
        hint = nearest(configuration, CONFIGURATIONS)
        known = ", ".join(CONFIGURATIONS)
        raise ConfigError(f"No configuration is called '{configuration}'. Known: {known}.{hint}")
    plans = plans_like_nnunet(fingerprint, preset, memory_gb, **task)
    if configuration not in plans:
        raise ConfigError(
            f"nnU-Net makes no '{configuration}' of these data, only {', '.join(plans)}: the patch "
            "covers enough of the median image, or the images have two axes."
        )
    return plans[configuration]


def plans_like_nnunet(
    fingerprint: Fingerprint,
    preset: str = "default",
    memory_gb: float | None = None,
    **task: Any,
) -> dict[str, DensePlan]:
    """Return every configuration that nnU-Net makes of these cases; see `plan_like_nnunet`."""
    if preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise ConfigError(
            f"No preset is called '{preset}'. Known: {known}.{nearest(preset, PRESETS)}"
        )
    if not len(fingerprint):
        raise DataError("The fingerprint holds no case; measure at least one before planning.")
    draft = _Draft(fingerprint.finalize(), PRESETS[preset], preset, memory_gb, task)
    return draft.plans()


def target_spacing(spacings: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Return the spacing that all cases are resampled to.

    The median along every axis; but where one axis is more than three times coarser and three times
    smaller than the others, the 10th percentile of that axis, not finer than the others.

    Examples
    --------
    >>> spacings = np.array([[5.0, 1, 1], [10, 1, 1], [10, 1, 1]])
    >>> target_spacing(spacings, np.array([[10, 200, 200]] * 3)).tolist()
    [6.0, 1.0, 1.0]
    """
    target, size = np.percentile(spacings, 50, 0), np.percentile(shapes, 50, 0)
    if target.size < 3:
        return target
    worst = int(np.argmax(target))
    coarsest, smallest = np.delete(target, worst).max(), np.delete(size, worst).min()
    if target[worst] > ANISOTROPY * coarsest and size[worst] * ANISOTROPY < smallest:
        low = np.percentile(spacings[:, worst], 10)
        target[worst] = coarsest + 1e-5 if low < coarsest else low
    return target


class _Draft:
    """The steps from facts to plans, with what they share."""

    def __init__(
        self,
        facts: Mapping[str, Any],
        preset: Preset,
        name: str,
        memory_gb: float | None,
        task: Mapping[str, Any],
    ) -> None:
        self.facts, self.preset, self.name = facts, preset, name
        self.memory_gb = preset.memory_gb if memory_gb is None else memory_gb
        if self.memory_gb <= 0:
            raise ConfigError(f"memory_gb is {self.memory_gb}, expected more than 0.")
        self.task = dict(task)
        self.task.setdefault("classes", _classes(facts["labels"]))
        shapes = facts["shapes_after_crop"]
        spacing = target_spacing(facts["spacings"], shapes)
        self.transpose = _transpose(spacing)
        pairs = zip(shapes, facts["spacings"], strict=True)
        resampled = [new_shape(n, s, list(spacing)) for n, s in pairs]
        order = list(self.transpose)
        self.spacing = spacing[order]
        self.median = np.median(resampled, 0)[order]

    def plans(self) -> dict[str, DensePlan]:
        """Return the configurations that these data allow."""
        voxels = float(np.prod(self.median)) * self.facts["n"]
        flat = self.spacing[-2:], self.median[-2:]
        reasons = {"batch_dice": "a slice alone often holds few classes, so the batch is pooled"}
        plans = {"2d": self.make("2d", *flat, voxels, batch_dice=True, reasons=reasons)}
        if self.median.size == 2 or self.median[0] == 1:
            return plans
        full = self.make("3d_fullres", self.spacing, self.median, voxels)
        low = self.lowres(full)
        if low is None:
            return plans | {"3d_fullres": full}
        why = {"batch_dice": "patches are small beside the image, so the batch is pooled"}
        full = replace(full, batch_dice=True, reasons=full.reasons | why)
        cascade = replace(full, configuration="3d_cascade_fullres", previous=low)
        return plans | {"3d_fullres": full, "3d_lowres": low, "3d_cascade_fullres": cascade}

    def lowres(self, full: DensePlan) -> DensePlan | None:
        """Return the plan at a coarser spacing, if a full patch sees too little of an image."""
        low, spacing, voxels = None, self.spacing.copy(), float(np.prod(self.median))
        share = np.prod(full.patch, dtype=float) / voxels
        while share < LOWRES_SHARE:
            finer = spacing.max() / spacing > 2
            spacing[finer if finer.any() else slice(None)] *= LOWRES_STEP
            size = self.spacing / spacing * self.median
            voxels = float(np.prod(size))
            rounded = np.array([round(n) for n in size], dtype=float)
            low = self.make("3d_lowres", spacing, rounded, voxels * self.facts["n"])
            share = np.prod(low.patch, dtype=float) / voxels
        return low if np.prod(self.median) / voxels >= LOWRES_GAIN else None

    def make(
        self,
        configuration: str,
        spacing: np.ndarray,
        median: np.ndarray,
        voxels: float,
        *,
        batch_dice: bool = False,
        reasons: Mapping[str, str] | None = None,
    ) -> DensePlan:
        """Return one configuration; `voxels` is how many the whole data set has."""
        dims = len(spacing)
        reference = self.preset.reference[dims] * self.memory_gb / self.preset.memory_gb
        made = topology(list(spacing), _largest(spacing, median))
        while self.cost(made) > reference * self.slack(dims):
            made = shrink(list(spacing), made, list(median))
        batch = round(reference / self.cost(made) * REFERENCE_BATCH[dims])
        cap = round(voxels * self.preset.covered / np.prod(made.patch, dtype=float))
        plain = DensePlan(
            configuration=configuration,
            preset=self.name,
            net=self.preset.net,
            dims=dims,
            spacing=_floats(spacing),
            transpose=self.transpose,
            median_shape=_floats(median),
            patch=made.patch,
            batch=max(min(batch, cap), MIN_BATCH),
            strides=made.strides,
            kernels=made.kernels,
            batch_dice=batch_dice,
            cases=self.facts["n"],
            device="cuda",
            **self.width(made),
            **self.intensities(),
            **self.task,
        )
        return replace(
            plain, reasons=_reasons(self, plain, capped=cap < batch) | dict(reasons or {})
        )

    def slack(self, dims: int) -> float:
        """Return by how much one patch may exceed the reference: batches of two must fit."""
        return 1.0 if self.preset.residual else REFERENCE_BATCH[dims] / 2

    def width(self, made: Topology) -> dict[str, Any]:
        """Return features and blocks of every stage."""
        depth, blocks = len(made.strides), self.preset.blocks
        return {
            "features": widths(32, depth, len(made.patch)),
            "blocks": (*blocks, *[blocks[-1]] * depth)[:depth],
            "decoder_blocks": (self.preset.decoder_blocks,) * (depth - 1),
        }

    def cost(self, made: Topology) -> int:
        """Return the footprint of a net of this preset."""
        classes = len(self.task["classes"]) + (self.task.get("ignore") is not None)
        return footprint(made, **self.width(made), classes=classes, residual=self.preset.residual)

    def intensities(self) -> dict[str, Any]:
        """Return names, normalisation and statistics of the channels."""
        names = self.facts["channels"]
        schemes = tuple(scheme_of(name) for name in names)
        masked = self.facts["relative_size"] < MASKED_BELOW
        return {
            "channels": names,
            "normalisation": schemes,
            "use_nonzero_mask": tuple(masked and scheme == "zscore" for scheme in schemes),
            "intensity": tuple(self.facts["intensity"]),
        }


def _classes(labels: Mapping[int, int]) -> dict[int, str]:
    seen = sorted(label for label in labels if label > 0)
    return {0: "background", **{label: f"label {label}" for label in seen or [1]}}


def _transpose(spacing: np.ndarray) -> tuple[int, ...]:
    if spacing.size < 3:
        return tuple(range(spacing.size))
    coarsest = int(np.argmax(spacing))
    return (coarsest, *(axis for axis in range(spacing.size) if axis != coarsest))


def _largest(spacing: np.ndarray, median: np.ndarray) -> list[float]:
    fine = 1 / spacing
    scale = (LARGEST[fine.size] / np.prod(fine)) ** (1 / fine.size)
    return [min(float(round(n)), float(m)) for n, m in zip(fine * scale, median, strict=True)]


def _floats(values: np.ndarray) -> Floats:
    return tuple(float(value) for value in values)


def _reasons(draft: _Draft, made: DensePlan, *, capped: bool) -> dict[str, str]:
    relative = draft.facts["relative_size"]
    return {
        "spacing": "the median of the cases, a coarse axis by its finest tenth",
        "transpose": "the coarsest axis first",
        "patch": f"the largest of the images' shape that fits {draft.memory_gb:g} GB",
        "batch": "what one step may see: "
        + (f"{draft.preset.covered:.0%} of all voxels" if capped else f"{draft.memory_gb:g} GB"),
        "strides": "halved until an edge would have fewer than four voxels",
        "features": "doubled every stage from 32 on",
        "normalisation": "by the names of the channels",
        "use_nonzero_mask": f"the median image keeps {relative:.0%} after cropping zeros",
        "net": f"the preset '{draft.name}'",
    }


def plan(
    fingerprint: Fingerprint,
    budget_s: float | None = None,
    device: str = "cpu",
    cores: int = 1,
    memory_gb: float | None = None,
    configuration: str = "auto",
    preset: str = "default",
    net: str | None = None,
    **task: Any,
) -> DensePlan:
    """Return nnU-Net's plan, fitted to the time, the device and the net there is.

    Whatever departs from nnU-Net is said in `reasons`.

    Parameters
    ----------
    budget_s
        Seconds of wall clock for one fit; None: as long as it takes.
    device
        "cpu" or "cuda".
    cores
        How many the CPU may use.
    memory_gb
        Of the device; None: what the preset was made for. More than that changes nothing.
    configuration
        A name as in `plan_like_nnunet`, or "auto": "2d" for images; for volumes "3d_fullres", or
        where a patch sees too little of them "3d_cascade_fullres", or "3d_lowres" in a short time.
    net
        By name; None: the preset's.
    task
        `classes`, `regions` and `ignore`, as in `DensePlan`.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.fingerprint import CaseFacts
    >>> seen = Fingerprint(["MRI"])
    >>> seen.update(CaseFacts((1, 1, 1), (36, 50, 35), (36, 50, 35), np.ones((1, 1), "f4")))
    >>> made = plan(seen, budget_s=600, device="cpu", cores=2)
    >>> made.patch, made.batch, made.features
    ((40, 56, 40), 2, (16, 32, 64, 128))
    """
    kind = _kind(device)
    if budget_s is not None and budget_s <= 0:
        raise ConfigError(f"budget_s is {budget_s}, expected seconds larger than 0, or none.")
    standard = PRESETS[preset].memory_gb if preset in PRESETS else None
    memory = (
        standard if memory_gb is None or kind == "cpu" else min(memory_gb, standard or math.inf)
    )
    if configuration == "auto":
        plans = plans_like_nnunet(fingerprint, preset, memory, **task)
        made, why = _choose(plans, budget_s, kind)
    else:
        made = plan_like_nnunet(fingerprint, configuration, preset, memory, **task)
        why = "given by the user"
    made = _with_net(_said(made, configuration=why), net)
    return _fitted(made, budget_s, device, cores)


def _kind(device: str) -> str:
    kind = device.split(":")[0]
    if kind not in CASCADE_FROM_S:
        raise ConfigError(f"device is '{device}', expected 'cpu' or 'cuda'.")
    return kind


def _choose(
    plans: Mapping[str, DensePlan], budget_s: float | None, kind: str
) -> tuple[DensePlan, str]:
    if "3d_fullres" not in plans:
        return plans["2d"], "the images have two axes"
    if "3d_lowres" not in plans:
        return plans["3d_fullres"], "a patch sees a quarter of the median image or more"
    enough = CASCADE_FROM_S[kind]
    few = "a full patch sees less than a quarter of the median image"
    if budget_s is not None and budget_s < enough:
        why = f"{few}, and {budget_s:g} s are too short for two stages ({enough:g} s on {kind})"
        return plans["3d_lowres"], why
    return plans["3d_cascade_fullres"], f"{few}: a coarse stage shows the whole to a fine one"


def _with_net(made: DensePlan, net: str | None) -> DensePlan:
    if net is None or net == made.net:
        return made
    before = None if made.previous is None else _with_net(made.previous, net)
    return _said(replace(made, net=net, previous=before), net="asked for by name")


def _fitted(made: DensePlan, budget_s: float | None, device: str, cores: int) -> DensePlan:
    """Return the plan, and the one before it, with the clock and the device in it."""
    made = replace(made, device=device, budget_s=budget_s)
    if _kind(device) == "cuda":
        made = _halvable(made)
        return made if made.previous is None else _with_previous(made, budget_s, device, cores)
    seconds = math.inf if budget_s is None else budget_s * max(1, cores)
    made = _halvable(_small_patch(_small_batch(_narrow(made, seconds))))
    made = _cropped(_light(made, seconds), seconds)
    return made if made.previous is None else _with_previous(made, budget_s, device, cores)


def _with_previous(made: DensePlan, budget_s: float | None, device: str, cores: int) -> DensePlan:
    assert made.previous is not None
    half = None if budget_s is None else budget_s / 2
    before = _fitted(made.previous, half, device, cores)
    said = _said(made, budget_s="half of it for each stage")
    return replace(said, previous=before, budget_s=half)


def _narrow(made: DensePlan, core_seconds: float) -> DensePlan:
    base = next(width for limit, width in CPU_BASE_FEATURES if core_seconds <= limit)
    if base >= made.features[0]:
        return made
    most = made.features[-1] * base // made.features[0]
    narrow = widths(base, len(made.features), made.dims, most)
    why = (
        f"nnU-Net's {made.features[0]} first features cut to {base}: {core_seconds:g} core seconds"
    )
    return _said(replace(made, features=narrow), features=why)


def _light(made: DensePlan, core_seconds: float) -> DensePlan:
    if core_seconds > LIGHT_UP_TO:
        return made
    why = f"{core_seconds:g} core seconds are too few to learn from much changed patches"
    return _said(replace(made, vary="light"), vary=why)


def _halvable(made: DensePlan) -> DensePlan:
    """Return the plan with a patch that its net need not pad: padding is no tissue to its norms."""
    patch = round_near(made.patch, made.divisor)
    if patch == made.patch:
        return made
    why = f"{made.patch} brought to multiples of {shortly(made.divisor)}, which {made.net} halves"
    return _said(replace(made, patch=patch), patch=why)


def _cropped(made: DensePlan, core_seconds: float) -> DensePlan:
    covers = all(p >= n for p, n in zip(made.patch, made.median_shape, strict=True))
    if made.dims < 3 or not covers or core_seconds > LIGHT_UP_TO:
        return made
    why = "a patch covers the whole image: four fifths of its edges, at last all of it"
    return _said(replace(made, stages=CROPPED), stages=why)


def _small_batch(made: DensePlan) -> DensePlan:
    batch = min(made.batch, CPU_BATCH[made.dims])
    if batch == made.batch:
        return made
    why = f"nnU-Net's {made.batch} cut to {batch}: on a CPU more steps teach more than larger ones"
    return _said(replace(made, batch=batch), batch=why)


def _small_patch(made: DensePlan) -> DensePlan:
    limit = CPU_STEP_VOXELS[made.dims]
    small = Topology(made.patch, made.strides, made.kernels)
    while math.prod(small.patch) * made.batch > limit and max(small.patch) > 8:
        small = shrink(made.spacing, small, made.median_shape)
    if small.patch == made.patch:
        return made
    depth = len(small.strides)
    cut = replace(
        made,
        patch=small.patch,
        strides=small.strides,
        kernels=small.kernels,
        features=made.features[:depth],
        blocks=made.blocks[:depth],
        decoder_blocks=made.decoder_blocks[: depth - 1],
    )
    why = f"nnU-Net's {made.patch} cut so that a step has at most {limit} voxels on a CPU"
    return _said(cut, patch=why, strides=f"those of the smaller patch {small.patch}")


def squared(made: DensePlan) -> DensePlan:
    """Return the plan with a patch that is as long along every axis, and about as large."""
    edge = math.prod(made.patch) ** (1 / made.dims)
    patch = round_up((edge,) * made.dims, (max(made.divisor),) * made.dims)
    if patch == made.patch:
        return made
    return _said(replace(made, patch=patch), patch=f"a square for {made.patch}: slices are turned")


def _said(made: DensePlan, **sentences: str) -> DensePlan:
    return replace(made, reasons=made.reasons | sentences)
