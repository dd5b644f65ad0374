"""Pictures of eyes and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuroloom.eye.find.ellipse import fit_ellipse
from neuroloom.eye.render.optics import Geometry, Hit, gaze_vector, outline, set_up, trace
from neuroloom.eye.render.ranges import Eyes
from neuroloom.eye.render.surface import (
    Lids,
    Look,
    add_glints,
    hair_layer,
    lash_layer,
    look_of,
    paint_iris,
    paint_skin,
    smooth,
)

SEEN = 0.3
BATCH = 8  # what stays in the cache
RIM = 32


@dataclass(frozen=True)
class Frames:
    """Pictures and their truth.

    Attributes
    ----------
    image
        Grey, (n, y, x) uint8.
    pupil, iris, eye
        Masks (n, y, x) of what is to be seen between the lids: the pupil, the disc within the
        limbus (pupil included), the opening. Glints and lashes do not count as holes.
    ellipse
        The pupil's whole rim, lids or no lids, (n, 5): x, y, half axes, angle; NaN without an eye.
    gaze
        Unit vectors (n, 3): to the right, down, away from the camera.
    blink
        Where lids leave less than 30 % of the pupil, (n,).
    present
        Where there is an eye at all, open or shut.
    focal
        Focal length, px, (n,).
    centre
        Centre of the eyeball in the camera's coordinates, mm, (n, 3).
    pupil_mm
        Radius of the pupil, mm, (n,).
    eyes
        All that was drawn.
    """

    image: np.ndarray
    pupil: np.ndarray
    iris: np.ndarray
    eye: np.ndarray
    ellipse: np.ndarray
    gaze: np.ndarray
    blink: np.ndarray
    present: np.ndarray
    focal: np.ndarray
    centre: np.ndarray
    pupil_mm: np.ndarray
    eyes: Eyes


def render(eyes: Eyes, shape: tuple[int, int], rng: np.random.Generator) -> Frames:
    """Render eyes as a camera sees them.

    Parameters
    ----------
    eyes
        From `draw_eyes` or `draw_scene`.
    shape
        Height and width, px.
    rng
        Source of the camera's noise.

    Examples
    --------
    >>> from neuroloom.eye.render import HUMAN, draw_eyes
    >>> rng = np.random.default_rng(0)
    >>> render(draw_eyes(2, HUMAN, rng), (60, 80), rng).image.shape
    (2, 60, 80)
    """
    with torch.no_grad():
        starts = range(0, len(eyes), BATCH)
        parts = [_render(eyes.take(slice(k, k + BATCH)), shape, rng) for k in starts]
        geometry = set_up(eyes, shape)
        rim = outline(geometry, RIM)
        share = _share(Lids(eyes, geometry), rim).numpy()
    ellipse = fit_ellipse(rim.numpy())
    ellipse[~eyes.present] = np.nan
    image, pupil, iris, eye = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Frames(
        image, pupil, iris, eye, ellipse, gaze_vector(eyes.yaw, eyes.pitch),
        eyes.present & (share < SEEN), eyes.present, geometry.focal.numpy(),
        geometry.centre.numpy(), geometry.pupil.numpy(), eyes,
    )  # fmt: skip


def _render(eyes: Eyes, shape: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    geometry, look = set_up(eyes, shape), look_of(eyes)
    lids = Lids(eyes, geometry)
    y = torch.arange(shape[0], dtype=torch.float32)[None, :, None]
    x = torch.arange(shape[1], dtype=torch.float32)[None, None, :]
    hit = trace(geometry, x, y)
    u, v = lids.to_slit(x, y)
    upper, lower = lids.edges(u)
    unit = lids.unit[:, None, None]
    gap = torch.minimum(v - upper, lower - v) * unit
    scale = geometry.scale.float()[:, None, None]
    cover = {
        "open": (gap + 0.5).clamp(0, 1) * (hit.ball * scale + 0.5).clamp(0, 1),
        "pupil": ((hit.edge - hit.far) * scale + 0.5).clamp(0, 1),
        "iris": (geometry.iris.float()[:, None, None] - hit.far) * scale,
    }
    ball = _paint_eye(eyes, look, hit, geometry, cover)
    shade = _number(0.75 * look.whole[:, 8]) * (1 - (v - upper) * 4).clamp(0, 1)
    skin = paint_skin(eyes, look, shape)
    skin = skin * (1 + 0.8 * hair_layer(eyes, look, lids, shape)).clamp(0.1, 3)
    rim = (1 - gap.abs() / (0.05 * unit)).clamp(0, 1) * _number(1.2 * look.whole[:, 9] - 0.6)
    skin = skin * (1 - rim)
    picture = skin + cover["open"] * (ball * (1 - shade) - skin)
    lashes = lash_layer(eyes, look, lids, shape)
    picture = picture * torch.exp(-_number(1.2 * look.whole[:, 10]) * lashes)
    picture = add_glints(eyes, look, geometry, lids, picture, cover["open"])
    image = _photograph(eyes, look, picture, rng)
    opened = cover["open"] > 0.5
    pupil, iris = opened & (cover["pupil"] > 0.5), opened & (cover["iris"] > 0)
    return [image, pupil.numpy(), iris.numpy(), opened.numpy()]


def _share(lids: Lids, rim: Tensor) -> Tensor:
    """Return the share of the pupil's disc that lids leave, (n,), inside or outside the frame."""
    middle = rim.mean(dim=1, keepdim=True)
    rings = torch.sqrt((torch.arange(6) + 0.5) / 6)[None, :, None, None]
    inner = middle[:, None] + rings * (rim - middle)[:, None]
    u, v = lids.to_slit(inner[..., 0].float(), inner[..., 1].float())
    upper, lower = lids.edges(u)
    return ((v > upper) & (v < lower)).float().mean(dim=(1, 2))


def _number(values: Tensor) -> Tensor:
    return values.float()[:, None, None]


def _paint_eye(
    eyes: Eyes, look: Look, hit: Hit, geometry: Geometry, cover: dict[str, Tensor]
) -> Tensor:
    """Return sclera, iris and pupil as if there were no lids, (n, y, x)."""
    depth = (hit.ball / _number(geometry.radius)).clamp(0, 1)
    sclera = _number(torch.as_tensor(eyes.sclera_level)) * (0.7 + 0.3 * depth)
    share = (hit.far / _number(geometry.iris)).clamp(max=1.5)
    # the limbus is a soft border, anything from sharp to a fifth of the iris
    soft = _number(0.02 + 0.2 * look.whole[:, 11]) * _number(geometry.iris)
    within = (cover["iris"] / (_number(geometry.scale) * soft) + 0.5).clamp(0, 1)
    ball = sclera + within * (paint_iris(eyes, look, share, hit.angle) - sclera)
    pupil = _number(torch.as_tensor(eyes.pupil_level)) * (
        1 + 0.15 * torch.cos(hit.angle + 6 * _number(look.whole[:, 12])) * share
    )
    return ball + cover["pupil"] * (pupil - ball)


def _photograph(eyes: Eyes, look: Look, picture: Tensor, rng: np.random.Generator) -> np.ndarray:
    """Light the scene unevenly, expose, blur, add noise and digitise, (n, y, x) uint8."""
    n, height, width = picture.shape
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)
    turn = 2 * torch.pi * look.whole[:, 13]
    fall = _number(turn.cos()) * x + _number(turn.sin()) * y + 0.5 * (x * x + y * y - 0.7)
    light = torch.exp(_number(torch.as_tensor(eyes.exposure))
                      - _number(torch.as_tensor(eyes.light)) * fall)  # fmt: skip
    picture = (picture.clamp(min=0) * light * 0.75).clamp(0, 1)
    picture = picture ** _number(torch.as_tensor(eyes.gamma))
    picture = smooth(picture, torch.as_tensor(eyes.blur).float())
    grain = torch.as_tensor(rng.standard_normal((n, height, width), dtype=np.float32))
    picture = picture + grain * _number(torch.as_tensor(eyes.noise)) * (0.3 + picture)
    return (picture.clamp(0, 1) * 255).round().byte().numpy()
