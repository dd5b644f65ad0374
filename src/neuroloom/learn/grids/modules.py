"""The module around an encoder: its members, augmentation on the device, and losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, l1_loss, normalize, pairwise_distance

from neuroloom.core.errors import ConfigError
from neuroloom.learn.grids.vary import augmenter
from neuroloom.learn.training.fit import Training
from neuroloom.learn.training.modules import Members
from neuroloom.nets.layers.lean_conv import lay_last

SETTLED = 4_000_000  # places that say enough of the moments of a batch norm
FEWEST = 48  # images, however many places they have
LOSSES = ("ce", "focal", "triplet", "contrastive", "mse", "mae")


@dataclass(frozen=True)
class Learning:
    """What an encoder learns by, beside `Training`.

    Attributes
    ----------
    loss
        "ce" (cross entropy), "focal" (Lin et al. 2017, gamma 2), "triplet" or "contrastive" (cross
        entropy, and a loss that draws examples of a class together), "mse" or "mae" of a number.
    augment
        How strongly images are varied in training; see `learn.grids.vary`.
    n_table
        Trailing channels that hold one number each; they are never varied.
    resize
        False where size is what is learnt: images are then not made larger or smaller.

    Examples
    --------
    >>> Learning("focal").augment
    'light'
    """

    loss: str = "ce"
    augment: str = "light"
    n_table: int = 0
    resize: bool = True

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ConfigError(f"loss is one of {', '.join(LOSSES)}, not {self.loss!r}.")


class GridMembers(Members):
    """One encoder, or several that vote, with the losses and the augmentation of images.

    Parameters
    ----------
    build
        Makes one net from (n, channel, *axes) to (n, output).
    training
        Members, smoothing and so on.
    task
        "classification" or "regression".
    learning
        Loss and augmentation.

    Examples
    --------
    >>> from neuroloom.nets.encoders.resnet import ResNet
    >>> members = GridMembers(lambda: ResNet(1, (8, 8), 2, width=4), Training(), "classification")
    >>> members.loss(torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]), None).ndim
    0
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        training: Training,
        task: str,
        learning: Learning | None = None,
    ) -> None:
        # There is no crop: a piece as long as any axis is the whole image.
        super().__init__(build, training, 2**30, task)
        self.learning = learning or Learning()
        lay_last(self)

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Measure the moments of batch norms anew; of large images, on some of them.

        A map has a value at each of its places: few images hold enough of them, but images differ.
        """
        known = list(batches)
        images = len(known[0])
        places = images * prod(known[0].shape[2:])
        wanted = max(-(-SETTLED // places), -(-FEWEST // images))
        super().settle(known[:: max(1, len(known) // wanted)])

    def outputs(self, x: Tensor) -> Tensor:
        """Return the outputs of each member (member, n, output)."""
        return self(x)

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean loss of a batch; with a generator the images are varied first.

        Parameters
        ----------
        x
            Images (n, channel, *axes), trailing channels of the table included.
        y
            Class index or standardised number (n,), or maps (n, *axes) whose sum is the number.
        """
        if generator is not None:
            x, y = self._varied(x, y, generator)
        if hasattr(self.nets[0], "loss"):
            return torch.stack([net.loss(x, y, generator) for net in self.nets]).mean()
        kind = self.learning.loss
        if kind in ("triplet", "contrastive"):
            return torch.stack([self._drawn_together(net, x, y) for net in self.nets]).mean()
        return self._plain(self(x), y)

    def _varied(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        images = x.shape[1] - self.learning.n_table
        resize = self.learning.resize and self.task != "regression"
        change = augmenter(self.learning.augment, images, x.shape[2:], resize=resize)
        if change is None:
            return x, y
        varied, maps = change(x[:, :images], y if y.ndim > 1 else None, generator)
        return torch.cat([varied, x[:, images:]], 1), y if maps is None else maps

    def _plain(self, outputs: Tensor, y: Tensor) -> Tensor:
        if self.learning.loss == "focal":
            flat = outputs.flatten(0, 1)
            return focal(flat, y.repeat(len(outputs)), self.class_weight)
        if self.learning.loss == "mae":
            return l1_loss(outputs[..., 0], y.expand(len(outputs), -1))
        return self.loss_of(outputs, y, self.class_weight)

    def _drawn_together(self, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        features = net.embed(x)  # type: ignore[operator]
        head = net.output(features)  # type: ignore[operator]
        weight = None if self.class_weight is None else self.class_weight.to(head)
        both = triplet if self.learning.loss == "triplet" else contrastive
        return cross_entropy(head, y, weight=weight) + 0.5 * both(features, y)


def focal(logits: Tensor, y: Tensor, weight: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Cross entropy in which what is already right counts little (Lin et al. 2017, eq. 4).

    Parameters
    ----------
    logits, y
        Shapes (n, class) and (n,).
    weight
        Of each class.

    Examples
    --------
    >>> float(focal(torch.tensor([[9.0, 0.0]]), torch.tensor([0]))) < 1e-6
    True
    """
    each = cross_entropy(logits, y, reduction="none")
    share = (1 - torch.exp(-each)) ** gamma
    scale = torch.ones_like(each) if weight is None else weight.to(each)[y]
    return (scale * share * each).sum() / scale.sum()


def triplet(features: Tensor, y: Tensor, margin: float = 0.3) -> Tensor:
    """Hardest positive against hardest negative in the batch (Hermans et al. 2017, eq. 5).

    Examples
    --------
    >>> apart = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    >>> float(triplet(apart, torch.tensor([0, 0, 1, 1])))
    0.0
    """
    distance, same = _distances(features, y)
    positive = distance.masked_fill(~same, -1.0).amax(1)
    negative = distance.masked_fill(same | torch.eye(len(y), device=y.device, dtype=torch.bool),
                                    torch.inf).amin(1)  # fmt: skip
    both = (positive >= 0) & torch.isfinite(negative)
    if not bool(both.any()):
        return features.sum() * 0
    return (positive - negative + margin)[both].clamp_min(0).mean()


def contrastive(features: Tensor, y: Tensor, margin: float = 1.0) -> Tensor:
    """Pairs of a class near, other pairs at least `margin` apart (Hadsell et al. 2006, eq. 4).

    Examples
    --------
    >>> apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    >>> round(float(contrastive(apart, torch.tensor([0, 0, 1, 1]))), 3)
    0.0
    """
    distance, same = _distances(features, y)
    other = ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    near = distance.square()[same & other]
    far = (margin - distance).clamp_min(0).square()[~same]
    return 0.5 * torch.cat([near, far]).mean() if len(near) + len(far) else features.sum() * 0


def _distances(features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    flat = normalize(features, dim=1)
    distance = pairwise_distance(flat[:, None], flat[None], eps=1e-6)
    return distance, y[:, None] == y[None]
