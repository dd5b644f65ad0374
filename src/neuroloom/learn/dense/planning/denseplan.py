"""The plan of a dense study: plain data that say all about preprocessing, net and patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.learn.dense.nets.build import divisor_of_net
from neuroloom.learn.dense.planning.resample import SCHEMES
from neuroloom.learn.dense.planning.topology import Ints, divisor_of, round_near, round_up

Floats = tuple[float, ...]
MAX_FEATURES = {2: 512, 3: 320}
OWN_GRID = ("spacing", "median_shape", "configuration", "previous")
CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres")
FOR_ALL = (
    "spacing", "patch", "median_shape", "features", "blocks", "decoder_blocks", "normalisation",
    "use_nonzero_mask",
)  # fmt: skip
POSITIVE = ("spacing", "median_shape", "budget_s", "lr")
POSITIVE_WHOLE = ("patch", "features", "blocks", "decoder_blocks", "batch", "strides", "kernels")
CHOICES: dict[str, Sequence[Any]] = {
    "dims": (2, 3),
    "configuration": CONFIGURATIONS,
    "normalisation": SCHEMES,
    "vary": ("full", "light"),
    "optimiser": ("muon", "adamw"),
    "image_order": range(6),
    "label_order": range(6),
    "probability_order": range(6),
}
# What a key of such a type is, and how the command line writes it where that is not plain.
WRITTEN = {
    "str": "a word",
    "bool": "true or false",
    "int": "a whole number",
    "int | None": "a whole number, or none",
    "float": "a number",
    "float | None": "a number, or none",
    "Ints": "whole numbers, such as '32,48,32'",
    "Floats": "numbers, such as '1,0.5,0.5'",
    "dict[str, Any]": "names with values, such as '{dropout: 0.1}'",
    "tuple[str, ...]": "words, one for each channel",
    "tuple[bool, ...]": "true or false for each channel",
    "tuple[Ints, ...]": "whole numbers for each stage, such as '1,1;2,2'",
    "tuple[tuple[float, float, float, int], ...]": "(until, zoom, share, patches) for each stage, "
    "such as '0.85,1,0.8,1;1,1,1,1'",
}


@dataclass(frozen=True)
class DensePlan:
    """What is done to the images and which net sees what; every key can be overridden.

    Parameters
    ----------
    configuration
        "2d", "3d_fullres", "3d_lowres" or "3d_cascade_fullres".
    preset, net
        The planner, and the name of the net: "dynunet", "resenc-m", …
    dims
        Axes of the patch: 2 or 3. A volume with dims 2 is worked on slice by slice.
    spacing, patch, median_shape
        Target spacing, size of a patch, and of the median image at that spacing, along `dims` axes
        in the transposed order.
    transpose
        Order of the array's axes in which the net sees them; the coarsest comes first.
    batch
        Patches in a step.
    strides, kernels, features, blocks, decoder_blocks
        Of every stage of the net, the finest first; the decoder has one stage less, the lowest
        first.
    normalisation, use_nonzero_mask, intensity
        Of every channel: a name of `resample.SCHEMES`, whether only what is not zero counts, and
        the statistics of the foreground that "CT" needs.
    stages
        How training goes from coarse to fine: (share of the steps until which it lasts, zoom, share
        of the patch's edges, patches a case). With zoom 2 every second voxel is looked at.
    vary
        How much patches are changed in training: "full" as nnU-Net does, "light" where the time is
        too short to learn from much changed ones.
    batch_dice
        Whether the Dice loss pools the batch before dividing.
    foreground_share
        Share of a batch that must hold foreground.
    optimiser, lr, weight_decay
        "muon" for the weights of hidden layers and AdamW for the rest, or "adamw" for all; peak
        learning rate and decay of AdamW.
    options
        Of the net, by name: dropout, …
    image_order, label_order, probability_order
        Order of the splines that resample.
    channels, classes, regions, ignore
        Names of channels; names of label values; overlapping unions of labels to learn instead; the
        value of a label that is not to be learnt from.
    thickness
        Of the things of each class but the background, or of each region: area to length of the
        outline, in pixels of the plan. Measured for 2-D nets that look for the size of new images.
    cases
        How many cases were measured.
    device, budget_s
        Where it trains, and for how many seconds; None: not limited.
    previous
        The plan whose output joins the channels (cascade).
    reasons
        One sentence for each key that says why it has its value.

    Examples
    --------
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> wider = plan.override(features=16, patch=(33, 32))
    >>> wider.features, wider.patch
    ((16, 32), (34, 32))
    >>> DensePlan.from_dict(wider.as_dict()) == wider
    True
    """

    configuration: str
    preset: str
    net: str
    dims: int
    spacing: Floats
    transpose: Ints
    median_shape: Floats
    patch: Ints
    batch: int
    strides: tuple[Ints, ...]
    kernels: tuple[Ints, ...]
    features: Ints
    blocks: Ints
    decoder_blocks: Ints
    normalisation: tuple[str, ...] = ("zscore",)
    use_nonzero_mask: tuple[bool, ...] = (False,)
    intensity: tuple[dict[str, float], ...] = ({},)
    stages: tuple[tuple[float, float, float, int], ...] = ((1.0, 1.0, 1.0, 1),)
    vary: str = "full"
    batch_dice: bool = False
    foreground_share: float = 0.33
    optimiser: str = "muon"
    lr: float = 3e-3
    weight_decay: float = 1e-2
    options: dict[str, Any] = field(default_factory=dict)
    image_order: int = 3
    label_order: int = 1
    probability_order: int = 1
    channels: tuple[str, ...] = ("image",)
    classes: dict[int, str] = field(default_factory=lambda: {0: "background", 1: "foreground"})
    regions: dict[str, Ints] | None = None
    ignore: int | None = None
    thickness: Floats = ()
    cases: int = 0
    device: str = "cpu"
    budget_s: float | None = None
    previous: DensePlan | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def divisor(self) -> Ints:
        """What a patch must be a multiple of."""
        return divisor_of_net(self.net, self.strides)

    @property
    def pools(self) -> Ints:
        """How often every axis is halved."""
        return tuple(sum(s > 1 for s in axis) for axis in zip(*self.strides, strict=True))

    def patch_of(self, stage: int) -> Ints:
        """Return the size of the patches of a stage, in voxels as it sees them."""
        _, zoom, share, _ = self.stages[stage]
        edges = tuple(max(1, round(n * share / zoom)) for n in self.patch)
        usual = divisor_of(self.strides)
        if usual == self.divisor or round_up(self.patch, self.divisor) != self.patch:
            return round_up(edges, usual)
        # A net with a divisor of its own, which is large: rounded up, a part would be the whole.
        return round_near(edges, self.divisor)

    @property
    def inputs(self) -> int:
        """Channels that the net sees: those of the image, and of the stage before it."""
        return len(self.channels) + (self.previous.outputs_of_stage if self.previous else 0)

    @property
    def outputs(self) -> int:
        """Channels that the net puts out: regions, or classes with the background."""
        return len(self.regions) if self.regions else len(self.classes)

    @property
    def outputs_of_stage(self) -> int:
        """Channels that it adds to the stage after it: no background, which is what is left."""
        return len(self.regions) if self.regions else len(self.classes) - 1

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as dicts, lists, numbers and words: fit for YAML and JSON."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DensePlan:
        """Rebuild a plan from `as_dict`, also after YAML or JSON.

        Raises
        ------
        ConfigError
            If a key is unknown or missing.
        """
        _known(values)
        typed = {key: _typed(key, value) for key, value in values.items()}
        if isinstance(typed.get("previous"), Mapping):
            typed["previous"] = cls.from_dict(typed["previous"])
        try:
            return cls(**typed)
        except TypeError as error:
            raise ConfigError(f"The plan is not whole: {error}.") from None

    def override(self, **keys: Any) -> DensePlan:
        """Return the plan with other values; each is checked, and said in `reasons`.

        One value stands for every axis, stage or channel; of `features` it is the first, which
        every stage doubles. A patch that the net cannot halve evenly is rounded up.

        Raises
        ------
        ConfigError
            If a key is unknown (the nearest is named) or a value cannot be.
        """
        typed = check_keys(keys)
        frame = {key: typed[key] for key in ("dims", "strides", "channels") if key in typed}
        typed = _for_all(replace(self, **frame), typed)
        said = {key: "given by the user" for key in typed if key != "reasons"}
        made = replace(self, **typed, **({} if "reasons" in typed else _said(self, said)))
        check(made)
        patch = round_up(made.patch, made.divisor)
        if patch == made.patch:
            return made
        note = f"{made.patch} rounded up to multiples of {shortly(made.divisor)}"
        return replace(made, patch=patch, **_said(made, {"patch": note}))

    def describe(self) -> str:
        """Return a table for people: every key, its value and why."""
        why = self.reasons
        rows = [(key, shortly(value), why.get(key, "")) for key, value in rows_of_plan(self)]
        wide = [min(max(len(row[i]) for row in rows), limit) for i, limit in ((0, 24), (1, 56))]
        return "\n".join(
            f"{key:<{wide[0]}}  {value:<{wide[1]}}  {why}".rstrip() for key, value, why in rows
        )


def override_both(plan: DensePlan, keys: Mapping[str, Any]) -> DensePlan:
    """Return a plan with keys set by hand; a stage before it takes all but those of its own grid.

    Examples
    --------
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> both = override_both(replace(plan, previous=plan), {"batch": 4, "spacing": (2.0, 2.0)})
    >>> both.previous.batch, both.previous.spacing
    (4, (1.0, 1.0))
    """
    made = plan.override(**keys) if keys else plan
    if made.previous is None:
        return made
    shared = {key: value for key, value in keys.items() if key not in OWN_GRID}
    return replace(made, previous=override_both(made.previous, shared))


def widths(base: int, depth: int, dims: int, most: int | None = None) -> Ints:
    """Return the features of every stage: doubled from `base` on, up to 320 in 3-D, 512 in 2-D.

    Examples
    --------
    >>> widths(32, 6, 3)
    (32, 64, 128, 256, 320, 320)
    """
    return tuple(min(most or MAX_FEATURES[dims], base * 2**i) for i in range(depth))


def check_keys(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return keys of a plan with values of their types, whatever the data are.

    Raises
    ------
    ConfigError
        If a key is unknown (the nearest is named), or no plan can have such a value.

    Examples
    --------
    >>> check_keys({"patch": [32, 48], "normalisation": "zscore"})
    {'patch': (32, 48), 'normalisation': 'zscore'}
    """
    _known(keys)
    typed = {key: _typed(key, value) for key, value in keys.items()}
    for key, value in typed.items():
        _check_value(key, value)
    return typed


def check(plan: DensePlan) -> None:
    """Raise a ConfigError that names the first key whose value cannot be."""
    for one in fields(plan):
        _check_value(one.name, getattr(plan, one.name))
    for key, (count, of) in _counts(plan).items():
        _check_length(key, getattr(plan, key), count, of)
    for key in ("strides", "kernels"):
        for stage in getattr(plan, key):
            _check_length(key, stage, plan.dims, "axis of the patch")


def _counts(plan: DensePlan) -> dict[str, tuple[int, str]]:
    """Return key -> how many values it has, and what each of them is for."""
    depth = len(plan.strides)
    counts: dict[str, tuple[int, str]] = {}
    for key in ("spacing", "patch", "median_shape"):
        counts[key] = (plan.dims, "axis of the patch")
    for key in ("kernels", "features", "blocks"):
        counts[key] = (depth, "stage")
    counts["decoder_blocks"] = (depth - 1, "stage of the decoder")
    for key in ("normalisation", "use_nonzero_mask", "intensity"):
        counts[key] = (len(plan.channels), "channel")
    return counts


def _check_value(key: str, value: Any) -> None:
    """Refuse a value that this key cannot have in any plan."""
    values = value if isinstance(value, tuple) else (value,)
    if key in CHOICES and (odd := [one for one in values if one not in CHOICES[key]]):
        known = ", ".join(map(str, CHOICES[key]))
        hint = nearest(str(odd[0]), [str(one) for one in CHOICES[key]])
        raise ConfigError(f"{key} is {odd[0]!r}, expected one of {known}.{hint}")
    if key in POSITIVE or key in POSITIVE_WHOLE:
        _check_positive(key, values)
    if key == "transpose" and sorted(values) != list(range(len(values))):
        raise ConfigError(f"transpose is {value}, expected an order of the axes.")
    if key == "foreground_share" and not 0 <= value <= 1:
        raise ConfigError(f"foreground_share is {value}, expected a share between 0 and 1.")
    if key == "weight_decay" and not value >= 0:
        raise ConfigError(f"weight_decay is {value}, expected 0 or more.")
    if key == "stages" and (not values or values[-1][0] != 1):
        raise ConfigError(f"stages is {value}, expected the last stage to last until 1.")


def _check_length(key: str, value: Any, expected: int, of: str) -> None:
    if not isinstance(value, tuple) or len(value) != expected:
        raise ConfigError(f"{key} is {value}, expected {expected} values, one for each {of}.")


def _check_positive(key: str, values: Sequence[Any]) -> None:
    for value in values:
        if isinstance(value, tuple):
            _check_positive(key, value)
        elif value is not None and not value > 0:
            kind = "numbers" if key in POSITIVE else "whole numbers"
            raise ConfigError(f"{key} holds {value}, expected {kind} larger than 0.")


def _known(keys: Mapping[str, Any]) -> None:
    names = [f.name for f in fields(DensePlan)]
    for key in keys:
        if key not in names:
            raise ConfigError(f"A plan has no key '{key}'.{nearest(key, names)}")


def _said(plan: DensePlan, sentences: Mapping[str, str]) -> dict[str, Any]:
    return {"reasons": {**plan.reasons, **sentences}}


def rows_of_plan(plan: DensePlan) -> list[tuple[str, Any]]:
    """Return the keys and values that people look at."""
    left_out = ("reasons", "previous", "intensity")
    rows = [(f.name, getattr(plan, f.name)) for f in fields(plan) if f.name not in left_out]
    return [*rows, ("previous", plan.previous.configuration if plan.previous else None)]


def shortly(value: Any) -> str:
    """Return a value of a plan as people write it: 40×56×40.

    Examples
    --------
    >>> shortly((1.0, 0.5)), shortly({"a": 1})
    ('1×0.5', 'a: 1')
    """
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shortly(part)}" for key, part in value.items())
    if isinstance(value, tuple):
        numbers = all(isinstance(part, int | float) for part in value)
        return ("×" if numbers else ", ").join(shortly(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _typed(key: str, value: Any) -> Any:
    """Return the value as the key's type: lists become tuples, names of numbers numbers.

    One value is let through where a key has one for each axis, stage or channel.
    """
    if key == "previous":
        return value
    plain = _plain(value)
    alone = key in FOR_ALL and not isinstance(plain, list)
    try:
        made = _types()[key].validate_python([plain] if alone else plain)
    except ValidationError:
        kind = {one.name: str(one.type) for one in fields(DensePlan)}[key]
        expected = WRITTEN.get(kind, "names with values")
        raise ConfigError(f"{key} is {value!r}, expected {expected}.") from None
    return made[0] if alone else made


@cache
def _types() -> dict[str, TypeAdapter[Any]]:
    """Return what checks and converts a value of each key, by the types of `DensePlan`."""
    hints = get_type_hints(DensePlan)
    lenient = ConfigDict(coerce_numbers_to_str=True)
    return {
        key: TypeAdapter(hint, config=lenient) for key, hint in hints.items() if key != "previous"
    }


def _for_all(plan: DensePlan, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with a single one said for every axis, stage or channel of the plan."""
    found = dict(typed)
    for key in FOR_ALL:
        if key in found and not isinstance(found[key], tuple):
            count = _counts(plan)[key][0]
            alike = (found[key],) * count
            found[key] = widths(found[key], count, plan.dims) if key == "features" else alike
    return found
