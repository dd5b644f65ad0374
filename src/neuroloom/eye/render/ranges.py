"""What an eye, its camera and its light may be, and how a batch of them is drawn."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError

Range = tuple[float, float]
AQUEOUS = 1.336
RESTING = ("closing", "bright", "empty")


@dataclass(frozen=True)
class Ranges:
    """From where to where each property is drawn, evenly.

    Lengths of the eye are shares of the eyeball's radius, levels are grey values from 0 to 1,
    places and sizes in the picture are shares of its width (height for `y`).

    Attributes
    ----------
    radius
        Eyeball, mm.
    cornea, offset, plane, iris, pupil
        Radius of the cornea; distance of its centre, and of the pupil's plane, from the eyeball's
        centre; radius of iris and pupil.
    index
        Refractive index behind the cornea; 1 is no refraction.
    ragged
        How far the rim of the pupil departs from a circle, share of its radius.
    focal, size, x, y
        Focal length, apparent radius of the eyeball, and where its centre is seen.
    yaw, pitch, roll
        Gaze to the right and down as the camera sees it, and tilt of the lids, degrees.
    upper, lower, width, power, skew
        Lids above and below the centre, half the length of the slit, form of its edge (0.5 is an
        ellipse), place of its highest point.
    closing, bright, empty
        Chance that lids are closing, that the pupil is brighter than the iris, and that there is
        no eye.
    lashes, hairs, glints, specks
        How many.

    Examples
    --------
    >>> Ranges(yaw=(-10, 10)).yaw
    (-10, 10)
    """

    radius: Range = (11.2, 12.8)
    cornea: Range = (0.62, 0.67)
    offset: Range = (0.45, 0.49)
    plane: Range = (0.80, 0.84)
    iris: Range = (0.46, 0.51)
    pupil: Range = (0.09, 0.36)
    index: Range = (AQUEOUS, AQUEOUS)
    ragged: Range = (0.0, 0.025)
    focal: Range = (1.0, 3.5)
    size: Range = (0.2, 0.62)
    x: Range = (0.25, 0.75)
    y: Range = (0.25, 0.75)
    yaw: Range = (-30.0, 30.0)
    pitch: Range = (-24.0, 24.0)
    roll: Range = (-20.0, 20.0)
    upper: Range = (0.34, 0.68)
    lower: Range = (0.26, 0.55)
    width: Range = (0.95, 1.35)
    power: Range = (0.7, 1.4)
    skew: Range = (-0.3, 0.3)
    closing: float = 0.16
    bright: float = 0.15
    empty: float = 0.0
    iris_level: Range = (0.22, 0.8)
    sclera_level: Range = (0.6, 1.05)
    skin_level: Range = (0.3, 0.95)
    texture: Range = (0.02, 0.2)
    lashes: Range = (0, 70)
    hairs: Range = (0, 40)
    glints: Range = (0, 4)
    specks: Range = (0, 10)
    light: Range = (0.0, 0.5)
    exposure: Range = (-0.7, 0.7)
    gamma: Range = (0.7, 1.4)
    noise: Range = (0.0, 0.06)
    blur: Range = (0.3, 1.3)


HUMAN = Ranges()
MOUSE = Ranges(
    radius=(1.5, 1.8), cornea=(0.84, 0.9), offset=(0.17, 0.24), plane=(0.56, 0.68),
    iris=(0.66, 0.76), pupil=(0.14, 0.56), focal=(2.0, 6.0), size=(0.07, 0.5),
    yaw=(-22.0, 22.0), pitch=(-20.0, 20.0), roll=(-90.0, 90.0), upper=(0.6, 0.95),
    lower=(0.6, 0.95), width=(0.85, 1.15), power=(0.45, 0.8), bright=0.5,
    iris_level=(0.06, 0.5), sclera_level=(0.1, 0.6), skin_level=(0.03, 0.6), lashes=(0, 15),
    hairs=(60, 400), glints=(0, 3), specks=(0, 3), exposure=(-0.5, 0.6),
)  # fmt: skip


@dataclass(frozen=True)
class Eyes:
    """A batch of eyes: a number each, shape (n,), in the units of `Ranges`.

    Attributes
    ----------
    shut
        How far the lids are closed, 0 to 1.
    pupil_level
        Grey value of the pupil.
    present
        False where the picture shows no eye.
    look
        Seed of the texture of skin and iris: equal for one subject.
    """

    radius: np.ndarray
    cornea: np.ndarray
    offset: np.ndarray
    plane: np.ndarray
    iris: np.ndarray
    pupil: np.ndarray
    index: np.ndarray
    ragged: np.ndarray
    focal: np.ndarray
    size: np.ndarray
    x: np.ndarray
    y: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    width: np.ndarray
    power: np.ndarray
    skew: np.ndarray
    iris_level: np.ndarray
    sclera_level: np.ndarray
    skin_level: np.ndarray
    texture: np.ndarray
    lashes: np.ndarray
    hairs: np.ndarray
    glints: np.ndarray
    specks: np.ndarray
    light: np.ndarray
    exposure: np.ndarray
    gamma: np.ndarray
    noise: np.ndarray
    blur: np.ndarray
    pupil_level: np.ndarray
    shut: np.ndarray
    present: np.ndarray
    look: np.ndarray

    def __len__(self) -> int:
        return len(self.radius)

    def take(self, rows: Any) -> Eyes:
        """Return the eyes of some rows, in that order."""
        return Eyes(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def change(self, **values: Any) -> Eyes:
        """Return the same eyes with some properties replaced; a number holds for all."""
        whole = {
            name: np.broadcast_to(np.asarray(value), (len(self),)).copy()
            for name, value in values.items()
        }
        return replace(self, **whole)


def draw_eyes(n: int, ranges: Ranges, rng: np.random.Generator) -> Eyes:
    """Draw `n` eyes that have nothing to do with each other.

    Raises
    ------
    ConfigError
        If a range is upside down.

    Examples
    --------
    >>> len(draw_eyes(3, HUMAN, np.random.default_rng(0)))
    3
    """
    drawn: dict[str, np.ndarray] = {}
    for field in fields(ranges):
        if field.name in RESTING:
            continue
        low, high = getattr(ranges, field.name)
        if low > high:
            raise ConfigError(f"{field.name}: from {low} to {high} is no range; put the low first.")
        drawn[field.name] = rng.uniform(low, high, n)
    drawn["pupil"] = np.minimum(drawn["pupil"], 0.9 * drawn["iris"])
    drawn["pupil_level"] = _pupil_levels(drawn["iris_level"], ranges.bright, rng)
    drawn["shut"] = _closing(n, ranges.closing, rng)
    drawn["present"] = rng.random(n) >= ranges.empty
    drawn["look"] = rng.integers(0, 2**31, n)
    return Eyes(**drawn)


def draw_scene(
    n: int, ranges: Ranges, rng: np.random.Generator, *, spread: float = 20.0, closing: float = 0.0
) -> Eyes:
    """Draw one subject before one camera, whose gaze, pupil size and lids change.

    Parameters
    ----------
    n
        Frames.
    ranges
        What the subject is drawn from.
    rng
        Source of randomness.
    spread
        Gaze is drawn within this angle of the camera's axis, degrees, evenly over the disc.
    closing
        Chance of a frame in which the lids are closing.

    Examples
    --------
    >>> eyes = draw_scene(9, HUMAN, np.random.default_rng(0))
    >>> len(set(eyes.radius)), len(set(eyes.yaw))
    (1, 9)
    """
    subject = draw_eyes(1, replace(ranges, closing=0.0, empty=0.0), rng)
    far, way = spread * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    low, high = ranges.pupil
    middle = float(np.clip(subject.pupil[0], 1.15 * low, 0.87 * high))
    sizes = np.minimum(middle * rng.uniform(0.87, 1.15, n), 0.9 * subject.iris)
    return subject.take(np.zeros(n, int)).change(
        yaw=far * np.cos(way), pitch=far * np.sin(way), pupil=sizes,
        shut=_closing(n, closing, rng),
    )  # fmt: skip


def _pupil_levels(iris: np.ndarray, bright: float, rng: np.random.Generator) -> np.ndarray:
    dark = iris * rng.uniform(0.05, 0.6, len(iris)) ** 1.3
    light = iris + rng.uniform(0.18, 0.6, len(iris))
    return np.where(rng.random(len(iris)) < bright, light, dark)


def _closing(n: int, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Draw how far lids are closed: a little as a rule, and anything up to shut in a blink."""
    shut = np.where(rng.random(n) < 0.5, 1.0, rng.random(n))
    return np.where(rng.random(n) < chance, shut, 0.12 * rng.random(n))
