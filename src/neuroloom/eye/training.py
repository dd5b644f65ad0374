"""How the net learns: from rendered eyes, ever new ones, and from a user's own masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, binary_cross_entropy_with_logits, grid_sample

from neuroloom.eye.nets import EyeNet, normalise
from neuroloom.eye.render import HUMAN, MOUSE, Frames, Ranges, draw_eyes, render

SIDE = 96
BATCH = 16
POOL = 1024
FRESH = 4
KINDS: tuple[tuple[float, Ranges], ...] = (
    (0.55, HUMAN),
    (0.37, MOUSE),
    (0.08, replace(HUMAN, empty=1.0, hairs=(0, 400), exposure=(-4.0, 3.0), noise=(0.0, 0.1))),
)


@dataclass
class Bank:
    """Pictures and what is known of them, side by side; rows are replaced as training goes on.

    Attributes
    ----------
    image
        (n, y, x), 0 to 255.
    masks
        Pupil, iris, eye, (n, 3, y, x), 0 to 1.
    inside
        1 where the picture is, 0 where a square was filled up beside it, (n, y, x).
    tags
        Eye present, blink, (n, 2).
    known
        1 where a mask or tag was labelled, (n, 5); the loss leaves out the rest.
    """

    image: Tensor
    masks: Tensor
    inside: Tensor
    tags: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def put(self, rows: Tensor, other: Bank) -> None:
        """Replace rows by those of another bank."""
        for part in fields(self):
            getattr(self, part.name)[rows] = getattr(other, part.name)

    def take(self, rows: Tensor) -> Bank:
        """Return some rows."""
        return Bank(*(getattr(self, part.name)[rows] for part in fields(self)))


def render_bank(n: int, rng: np.random.Generator, side: int = SIDE) -> Bank:
    """Render `n` eyes of all kinds for training.

    Examples
    --------
    >>> render_bank(3, np.random.default_rng(0), 32).masks.shape
    torch.Size([3, 3, 32, 32])
    """
    kinds = rng.choice(len(KINDS), n, p=[share for share, _ in KINDS])
    parts = [
        _as_bank(render(draw_eyes(count, ranges, rng), (side, side), rng))
        for (_, ranges), count in zip(KINDS, np.bincount(kinds, minlength=len(KINDS)), strict=True)
        if count
    ]
    return Bank(*(torch.cat([getattr(part, one.name) for part in parts]) for one in fields(Bank)))


def _as_bank(frames: Frames) -> Bank:
    masks = np.stack([frames.pupil, frames.iris, frames.eye], axis=1)
    tags = np.stack([frames.present, frames.blink], axis=1).astype(np.float32)
    image = torch.from_numpy(frames.image).float()
    return Bank(
        image, torch.from_numpy(masks).to(torch.uint8), torch.ones_like(image, dtype=torch.uint8),
        torch.from_numpy(tags), torch.ones(len(image), 5),
    )  # fmt: skip


def vary(bank: Bank, generator: Generator, strength: float = 1.0) -> Bank:
    """Turn, stretch, move, relight, invert and cover pictures at random; masks go along."""
    n = len(bank)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    turn, zoom = uniform(-0.5, 0.5) * strength, torch.exp(uniform(-0.3, 0.3) * strength)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    upside = torch.where(uniform(0, 1) < 0.2 * strength, -1.0, 1.0)
    stretch = torch.exp(uniform(-0.12, 0.12) * strength)
    across = torch.stack([turn.cos() * stretch, turn.sin()], dim=1) * (zoom * flip)[:, None]
    down = torch.stack([-turn.sin(), turn.cos()], dim=1) * (zoom * upside)[:, None]
    shift = torch.stack([uniform(-0.25, 0.25), uniform(-0.25, 0.25)], dim=1) * strength
    theta = torch.stack([across, down, shift], dim=2)
    whole = torch.cat(
        [bank.image[:, None], 255.0 * bank.masks, 255.0 * bank.inside[:, None]], dim=1
    )
    grid = affine_grid(theta, list(whole.shape), align_corners=False)
    whole = grid_sample(whole, grid, padding_mode="border", align_corners=False)
    image = _cover(_relight(whole[:, 0], uniform, strength), generator)
    return replace(bank, image=image, masks=whole[:, 1:4] / 255.0, inside=whole[:, 4] / 255.0)


def _relight(image: Tensor, uniform: Callable[[float, float], Tensor], strength: float) -> Tensor:
    def lift(values: Tensor) -> Tensor:
        return values[:, None, None]

    image = torch.where(lift(uniform(0, 1) < 0.12 * strength**2), 255.0 - image, image)
    image = image * lift(torch.exp(uniform(-0.4, 0.4))) + lift(uniform(-25, 25))
    return image.clamp(0, 255)


def _cover(image: Tensor, generator: Generator) -> Tensor:
    """Put a plain rectangle over some pictures: an edge of a mask, a spout, a cable."""
    n, height, width = image.shape
    drawn = torch.rand(n, 6, generator=generator)
    top, left = drawn[:, :1] * height, drawn[:, 1:2] * width
    y, x = torch.arange(height)[None], torch.arange(width)[None]
    rows = (y >= top) & (y < top + 0.3 * drawn[:, 2:3] * height)
    columns = (x >= left) & (x < left + 0.3 * drawn[:, 3:4] * width)
    where = rows[:, :, None] & columns[:, None, :] & (drawn[:, 4] < 0.15)[:, None, None]
    return torch.where(where, 255 * drawn[:, 5, None, None], image)


def loss_of(maps: Tensor, tags: Tensor, truth: Bank) -> Tensor:
    """Return cross entropy and soft Dice of the masks, the pupil's twice, and of the tags.

    What was not labelled (`known` 0) counts nothing, nor does what lies beside the picture.

    Parameters
    ----------
    maps, tags
        Logits (n, 3, y, x) and (n, 2).
    truth
        From `vary`.
    """
    masks, inside = truth.masks, truth.inside[:, None]
    weight = truth.known[:, :3] * torch.tensor([2.0, 1.0, 1.0])
    every = binary_cross_entropy_with_logits(maps, masks, reduction="none") * inside
    cross = every.sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)
    share = torch.sigmoid(maps) * inside
    both = (share * masks).sum(dim=(2, 3))
    dice = 1 - (2 * both + 20) / (share.sum(dim=(2, 3)) + masks.sum(dim=(2, 3)) + 20)
    tag = binary_cross_entropy_with_logits(tags, truth.tags, reduction="none") * truth.known[:, 3:]
    return (weight * (2 * cross + dice)).mean() + 0.3 * tag.mean()


@dataclass(frozen=True)
class Leg:
    """A part of a training: how many steps, how much pictures are varied, and by what steps."""

    steps: int
    strength: float
    muon: bool
    rate: float


LEGS = (Leg(7333, 1.0, False, 3e-3), Leg(1667, 0.4, True, 2e-3))
STEPS = sum(leg.steps for leg in LEGS)


def _optimiser(net: EyeNet, rate: float, muon: bool) -> torch.optim.Optimizer:
    from neuroloom.learn.training.muon import Muon

    if not muon:
        return torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    weights = [part for part in net.parameters() if part.ndim == 4]
    hidden = weights[1:-1]
    held = {id(part) for part in hidden}
    rest = [part for part in net.parameters() if id(part) not in held]
    groups = [{"params": hidden, "muon": True}, {"params": rest, "muon": False}]
    return Muon(groups, rate, rate=8.0)


def train_legs(
    steps: int,
    seed: int,
    own: Bank | None = None,
    tell: Callable[[int, float], None] | None = None,
) -> EyeNet:
    """Train a net from scratch as the shipped one was, leg after leg, in `steps` steps altogether.

    Examples
    --------
    >>> train_legs(3, seed=0).training
    False
    """
    torch.manual_seed(seed)
    net, first = EyeNet(), 0
    whole = sum(leg.steps for leg in LEGS)
    for number, leg in enumerate(LEGS):
        own_steps = max(1, round(steps * leg.steps / whole))
        train_net(
            net, own_steps, seed + number, own=own, rate=leg.rate, strength=leg.strength,
            muon=leg.muon, tell=_counted(tell, first),
        )  # fmt: skip
        first += own_steps
    return net


def _counted(
    tell: Callable[[int, float], None] | None, first: int
) -> Callable[[int, float], None] | None:
    return None if tell is None else lambda step, loss: tell(first + step, loss)


def train_net(
    net: EyeNet,
    steps: int,
    seed: int,
    *,
    own: Bank | None = None,
    rate: float = 3e-3,
    strength: float = 1.0,
    muon: bool = False,
    tell: Callable[[int, float], None] | None = None,
) -> EyeNet:
    """Train a net on rendered eyes, and on labelled pictures where there are some.

    Parameters
    ----------
    net
        Trained in place.
    steps
        Of 16 pictures each.
    seed
        The same seed gives the same weights.
    own
        Labelled pictures; half of every batch is drawn from them.
    rate
        Highest learning rate (AdamW, one cycle).
    strength
        Of what `vary` does.
    muon
        Step hidden layers by Muon, the rest by AdamW.
    tell
        Called with the step and the loss.

    Examples
    --------
    >>> trained = train_net(EyeNet(4), 2, seed=0)
    >>> trained.training
    False
    """
    rng, generator = np.random.default_rng(seed), Generator().manual_seed(seed)
    bank = render_bank(min(POOL, BATCH * steps), rng)
    net = net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = _optimiser(net, rate, muon)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, max(steps, 4), pct_start=0.15)
    for step in range(steps):
        if step:
            bank.put(torch.arange(FRESH * step, FRESH * (step + 1)) % len(bank),
                     render_bank(FRESH, rng))  # fmt: skip
        batch = bank.take(torch.randint(len(bank), (BATCH,), generator=generator))
        if own is not None:
            rows = torch.randint(len(own), (BATCH // 2,), generator=generator)
            batch.put(torch.arange(BATCH // 2), own.take(rows))
        seen = vary(batch, generator, strength)
        maps, tags = net(normalise(seen.image).contiguous(memory_format=torch.channels_last))
        loss = loss_of(maps, tags, seen)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        cycle.step()
        if tell is not None:
            tell(step, float(loss.detach()))
    return net.eval()
