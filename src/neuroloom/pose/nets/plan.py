"""How a pose net looks at its frames: measured from the labels, fixed before training.

Two stages. The coarse one sees the whole frame, small, and says where the animal is and which way
it points; the fine one sees a crop in which every animal lies alike. Where the animal fills the
frame and always points the same way (head-fixed), the fine stage sees the whole frame and there is
no coarse one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.pose.alike import body_scale
from neuroloom.pose.group import choose_edges
from neuroloom.pose.nets.align import Floats, mean_shape, placed, pose_of, upright
from neuroloom.pose.nets.vary import Jitter

STEP = 16  # sides of views are multiples of it, as the deepest stage needs
SAME_WAY = 0.95  # mean resultant length of directions from which on animals point one way
FILLS = 0.5  # share of the frame from which on a crop saves nothing
MARGIN = 1.25
AGREE = 1.0
UNEVEN = 0.15  # of the animal's size: how far a mirrored mean shape may lie from itself
ALONE_PX, SEVERAL_PX = 24, 36  # length of an animal that the coarse net sees, at least
COARSE_SIDE, FINE_SIDE, WHOLE_SIDE = 112, 176, 240
NETS, ENOUGH = 2, 450  # nets that share the steps where whole frames are seen; the steps of each
COARSE_WIDTHS, FINE_WIDTHS = (16, 24, 32, 48, 64), (16, 32, 48, 64, 96)


@dataclass(frozen=True)
class Stage:
    """What one net sees and how it is trained.

    Attributes
    ----------
    size
        Of its view (v, u), px.
    scale
        Px of the frame that a pixel of the view covers.
    widths
        Channels of the net at strides 2, 4, 8, …
    spread
        SD of the Gaussian that a map is to be, px of the view.
    jitter
        How far views are moved in training.
    share
        Of the steps of a fit.
    nets
        How many share these steps and learn alike from weights of their own; their maps are
        averaged.
    """

    size: tuple[int, int]
    scale: float
    widths: tuple[int, ...]
    jitter: Jitter
    spread: float = 2.0
    share: float = 1.0
    nets: int = 1


@dataclass(frozen=True)
class PosePlan:
    """The plan of one fit; plain data, printed in the report.

    Attributes
    ----------
    keypoints, mirror
        Names, and for each the index of its other side.
    channels
        1 of grey frames, 3 of coloured ones.
    fine, coarse
        The stages; `coarse` is None where the fine one sees whole frames.
    shape
        Mean shape (keypoint, 2) of the animal, px, pointing along x; only with a coarse stage.
    turned
        Whether animals point any way; then crops are turned, and the coarse net learns all angles.
    mirrored
        Whether views are mirrored in training: where the mean shape is its own mirror image once
        left and right have changed places.
    agree
        How much it counts, where a map has several peaks, that keypoints fit each other; 0: not,
        and places are not drawn to their ties, either.
    batch
        Views in a step.
    reason
        In sentences, what was measured.
    options
        Of the fine net.
    individuals
        How many animals a frame has, at most.
    edges
        Pairs of keypoints along which the coarse net of several animals learns a field.
    names
        How many animals are told apart by their looks; 0: an animal is anyone.
    classes
        How many classes animals are of, each of as many in a frame as there are; 0: of one.
    """

    keypoints: tuple[str, ...]
    mirror: tuple[int, ...]
    channels: int
    fine: Stage
    coarse: Stage | None = None
    shape: tuple[tuple[float, float], ...] = ()
    turned: bool = False
    mirrored: bool = False
    agree: float = 1.0
    batch: int = 16
    net: str = "unet"
    reason: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    individuals: int = 1
    edges: tuple[tuple[int, int], ...] = ()
    names: int = 0
    classes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PosePlan:
        """Rebuild a plan from JSON."""
        plain = dict(values)
        plain["fine"] = _stage(plain["fine"])
        plain["coarse"] = None if plain["coarse"] is None else _stage(plain["coarse"])
        plain["shape"] = tuple((float(x), float(y)) for x, y in plain["shape"])
        plain["edges"] = tuple((int(i), int(j)) for i, j in plain.get("edges", ()))
        return cls(**plain | {name: tuple(plain[name]) for name in ("keypoints", "mirror")})

    @property
    def mean_shape(self) -> Floats:
        """The mean shape as an array (keypoint, 2)."""
        return np.asarray(self.shape, float).reshape(-1, 2)

    @property
    def body(self) -> float:
        """Size of an animal, px; of one keypoint, what its crop or its peak leaves of it."""
        if len(self.keypoints) > 1:
            return body_scale(self.mean_shape[None])
        if self.coarse is None:
            return 4 * self.fine.spread * self.fine.scale
        return self.fine.scale * min(self.fine.size) / (2 * MARGIN)

    @property
    def grouping(self) -> str:
        """The stage whose peaks are put together into animals; "" where there is one animal."""
        if self.individuals == 1:
            return ""
        return "fine" if self.coarse is None else "coarse"


def _stage(values: dict[str, Any]) -> Stage:
    plain = dict(values) | {"jitter": Jitter(**values["jitter"])}
    return Stage(**plain | {name: tuple(plain[name]) for name in ("size", "widths")})


def make_plan(
    points: Floats,
    shapes: Sequence[Sequence[int]],
    keypoints: Sequence[str],
    mirror: Sequence[int],
    channels: int = 1,
    keys: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    individuals: int = 1,
) -> PosePlan:
    """Measure labelled animals and say how they are best looked at.

    Parameters
    ----------
    points
        Shape (animal, keypoint, 2), px, one entry an animal of a frame; NaN where unknown.
    shapes
        Of the frames (y, x), one or more.
    keypoints, mirror, channels
        As in `PosePlan`.
    keys
        Set by hand: "batch", "net", "size" (longer side of the fine view, px), "widths", "crop",
        "turn", "mirror" ("yes" or "no"), "spread", "share" (of the steps, for the coarse
        stage), "agree", "nets" (that see the fine view).
    options
        Of the fine net.
    individuals
        How many animals a frame has, at most; several are seen in crops, unless "crop" is "no":
        then they are put together from peaks and fields of whole frames alone (bottom-up).

    Raises
    ------
    ConfigError
        If a key is unknown, or not the number that it must be.
    """
    keys = dict(keys or {})
    _require_known(keys)
    _require_numbers(keys)
    largest = np.max([shape[:2] for shape in shapes], axis=0)
    shape = mean_shape(points)
    centre, angle = pose_of(points, shape)
    known = np.isfinite(centre[:, 0])
    alike = float(np.abs(np.exp(1j * angle[known]).mean())) if known.any() else 1.0
    turned = said_yes(keys["turn"]) if "turn" in keys else bool(alike < SAME_WAY)
    if not turned:
        # The animal's own axes are those of the frame.
        typical = float(np.angle(np.exp(1j * angle[known]).mean())) if known.any() else 0.0
        shape = upright(shape[None], np.zeros((1, 2)), np.array([-typical]))[0]
        centre, angle = pose_of(points, shape)[0], np.zeros(len(points))
    reach = _reach(upright(points, centre, angle)[known])
    if len(keypoints) == 1:
        reach = np.full(2, body_scale(points) / 2)
    filled = float(np.prod(2 * MARGIN * reach / largest[::-1]))
    wanted = turned or filled < FILLS or individuals > 1
    crop = said_yes(keys["crop"]) if "crop" in keys else wanted
    said = (
        f"{len(points)} animals of up to {2 * reach[0]:.0f} x {2 * reach[1]:.0f} px in frames of "
        f"{largest[1]} x {largest[0]} px; they point {'any' if turned else 'one'} way "
        f"(concentration {alike:.2f})"
    )
    common = (tuple(keypoints), tuple(mirror), channels)
    even = said_yes(keys["mirror"]) if "mirror" in keys else is_even(shape, mirror)
    said += f", {'and are' if even else 'not'} their own mirror image"
    rest: dict[str, Any] = {"mirrored": even, "options": dict(options or {})}
    rest |= _as_said(keys)
    flat = tuple((float(x), float(y)) for x, y in np.nan_to_num(shape))
    if individuals > 1:
        edges = choose_edges(points, extra=len(keypoints) // 2)
        rest |= {"individuals": individuals, "edges": edges}
    if not crop and individuals > 1:
        fine = _together(largest, turned, keys)
        reason = f"{said}: one net sees whole frames, its peaks and fields are put together."
        return PosePlan(*common, fine, None, flat, turned, reason=reason, **rest)
    if not crop:
        fine = _whole(largest, keys)
        return PosePlan(*common, fine, reason=f"{said}: the net sees whole frames.", **rest)
    fine, coarse = _fine(reach, turned, keys), _coarse(largest, reach, turned, individuals)
    reason = f"{said}: a coarse net finds them, a fine one sees crops."
    return PosePlan(*common, fine, coarse, flat, turned, reason=reason, **rest)


KEYS = (
    "batch", "net", "size", "widths", "crop", "turn", "mirror", "spread", "share", "agree", "nets",
)  # fmt: skip
NUMBERS = {
    "batch": int,
    "nets": int,
    "size": float,
    "spread": float,
    "share": float,
    "agree": float,
}


def _as_said(keys: dict[str, Any]) -> dict[str, Any]:
    """Return what of a plan is not measured but said, or usual."""
    return {
        "agree": float(keys.get("agree", AGREE)),
        "batch": int(keys.get("batch", 16)),
        "net": str(keys.get("net", "unet")),
    }


def said_yes(value: object) -> bool:
    """Say whether a key is "yes", as it was written or as it was read.

    Examples
    --------
    >>> said_yes("yes"), said_yes(True), said_yes("no"), said_yes(False)
    (True, True, False, False)
    """
    return str(value).lower() in ("yes", "true")


def with_enough(plan: PosePlan, steps: float) -> PosePlan:
    """Return a plan whose fine stage has no more nets than learn well in the steps of a fit.

    Two nets that learnt half as long each are better than one only where half is enough.
    """
    fine = plan.fine
    nets = max(1, min(fine.nets, int(steps * fine.share / ENOUGH)))
    return replace(plan, fine=replace(fine, nets=nets))


def _require_known(keys: dict[str, Any]) -> None:
    for name in keys:
        if name not in KEYS:
            raise ConfigError(
                f"plan: no key is called '{name}'.{nearest(name, KEYS)} Known: {', '.join(KEYS)}."
            )


def _require_numbers(keys: dict[str, Any]) -> None:
    for name, kind in NUMBERS.items():
        try:
            value = kind(keys.get(name, 1))
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise ConfigError(f"plan: {name} must be {wanted}, got '{keys[name]}'.") from None
        if kind is int and value < 1:
            raise ConfigError(f"plan: {name} must be at least 1, got {value}.")


def is_even(shape: Floats, mirror: Sequence[int]) -> bool:
    """Tell whether a mean shape is its own mirror image, left and right exchanged.

    Examples
    --------
    >>> top = np.array([[9.0, 0.0], [0.0, 3.0], [0.0, -3.2]])
    >>> is_even(top, (0, 2, 1)), is_even(top, (0, 1, 2))
    (True, False)
    """
    known = np.nan_to_num(shape)
    image = known[list(mirror)] * [1.0, -1.0]
    centre, angle = pose_of(image[None], known)
    off = np.linalg.norm(image - placed(known, centre, angle)[0], axis=1)
    size = np.linalg.norm(known - known.mean(0), axis=1)
    return bool(np.sqrt((off**2).mean()) < UNEVEN * np.sqrt((size**2).mean()))


def _reach(own: Floats) -> Floats:
    """Return how far points lie from the middle along both axes, all but a few, px."""
    if not np.isfinite(own).any():
        return np.full(2, 8.0)
    away = np.abs(own).reshape(-1, 2)
    reach: Floats = np.nanquantile(away, 0.995, axis=0)
    return np.maximum(reach, 0.15 * reach.max() + 2)


def rounded(side: float, step: int = STEP) -> int:
    """Return a side as a multiple of `step`, not smaller, at least two of them."""
    return max(2, int(np.ceil(side / step - 1e-6))) * step


def _fine(reach: Floats, turned: bool, keys: dict[str, Any]) -> Stage:
    needed = 2 * MARGIN * reach
    scale = max(1.0, float(needed.max()) / float(keys.get("size", FINE_SIDE)))
    size = (rounded(needed[1] / scale + 6), rounded(needed[0] / scale + 6))
    jitter = Jitter(3.0, 0.12, 0.08, 0.35 if turned else 0.2)
    widths = tuple(keys.get("widths", FINE_WIDTHS))
    share, nets = 1 - float(keys.get("share", 0.35)), int(keys.get("nets", 1))
    return Stage(size, scale, widths, jitter, float(keys.get("spread", 2.0)), share, nets)


def _coarse(largest: Floats, reach: Floats, turned: bool, individuals: int = 1) -> Stage:
    # An animal that is small in its frame must not vanish: some 24 px long at least; of several
    # that touch, each keypoint must have a peak of its own.
    least = SEVERAL_PX if individuals > 1 else ALONE_PX
    side = max(COARSE_SIDE, least * largest.max() / (2 * float(reach.max())))
    scale = max(1.0, float(largest.max()) / side)
    size = (rounded(largest[0] / scale), rounded(largest[1] / scale))
    jitter = Jitter(4.0, 0.15, 0.1, float(np.pi) if turned else 0.3)
    return Stage(size, scale, COARSE_WIDTHS, jitter, 2.0, 0.35)


def _whole(largest: Floats, keys: dict[str, Any]) -> Stage:
    scale = max(1.0, float(largest.max()) / float(keys.get("size", WHOLE_SIDE)))
    size = (rounded(largest[0] / scale), rounded(largest[1] / scale))
    jitter = Jitter(10.0, 0.2, 0.15, 0.3)
    widths, nets = tuple(keys.get("widths", FINE_WIDTHS)), int(keys.get("nets", NETS))
    return Stage(size, scale, widths, jitter, float(keys.get("spread", 2.0)), nets=nets)


def _together(largest: Floats, turned: bool, keys: dict[str, Any]) -> Stage:
    """Return the one stage of several animals that no crops are taken of."""
    jitter = Jitter(4.0, 0.15, 0.1, float(np.pi) if turned else 0.3)
    return replace(_whole(largest, keys), jitter=jitter, nets=1)
