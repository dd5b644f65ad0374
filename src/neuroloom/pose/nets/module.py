"""What a fit of one stage trains: a net, the views it draws, and its loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor, nn

from neuroloom.learn.dense.training.module import on_cpu
from neuroloom.learn.training.modules import in_float32, settle_norms
from neuroloom.pose.nets.maps import map_loss
from neuroloom.pose.nets.plan import Stage
from neuroloom.pose.nets.vary import moved, relit, standardised
from neuroloom.pose.nets.views import look, pyramid_level
from neuroloom.pose.nets.who import who_loss


class PoseModule(nn.Module):
    """A net that draws its own batches: an example of `fit.fit` is the number of an animal.

    Parameters
    ----------
    net
        From views (n, channel, v, u) to maps; it has a `stride`.
    stage
        Size of the views, and how far they are moved.
    frames
        Pictures (channel, y, x), halved as the stage's scale asks for.
    views
        Shape (animal, 2, 3), float64: the view that each animal is seen in, before it is moved.
    frame_of
        Number of the frame of each animal.
    points
        Shape (animal, keypoint, 2), px of the frame, float64; NaN where unknown.
    mirror
        For each keypoint its other side; None: views are never mirrored.
    light
        How strongly brightness, noise and so on vary; 1: the usual.
    who
        Number of the name of each animal, which further maps of the net tell; None: nobody's.
    """

    def __init__(
        self,
        net: nn.Module,
        stage: Stage,
        frames: Sequence[Tensor],
        views: Tensor,
        frame_of: Sequence[int],
        points: Tensor,
        mirror: Sequence[int] | None,
        light: float = 1.0,
        who: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        # A third quicker on a processor; weights and pictures must lie alike.
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.stage, self.light = stage, light
        self.frames, self.frame_of = list(frames), list(frame_of)
        self.views, self.points = views, points
        self.mirror = None if mirror is None else torch.as_tensor(list(mirror))
        self.who = None if who is None else torch.as_tensor(list(who))
        self.level = pyramid_level(stage.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map standardised views to maps."""
        found: Tensor = self.net(x)
        return found

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean loss of changed views of the animals numbered `x` (n,); `y` is not used."""
        own = on_cpu(generator or torch.Generator().manual_seed(0))
        with in_float32():
            pictures, points = self.draw(x.tolist(), own)
        maps = self.net(pictures)
        with in_float32():
            return self.loss_of(maps.float(), points, x)

    def loss_of(self, maps: Tensor, points: Tensor, x: Tensor) -> Tensor:
        """Mean loss of maps of the animals numbered `x` (n,), keypoints at `points` (n, k, 2)."""
        stride, count = int(self.net.stride), points.shape[1]  # type: ignore[arg-type]
        loss = map_loss(maps[:, :count], points, stride, self.stage.spread)
        if self.who is None:
            return loss
        who = self.who[x.cpu()].to(points.device)
        return loss + who_loss(maps[:, count:], points, who, stride)

    def draw(self, rows: Sequence[int], generator: Generator) -> tuple[Tensor, Tensor]:
        """Return changed views of some animals, and where their keypoints then are."""
        n = len(rows)
        flip = torch.rand(n, generator=generator) < (0.0 if self.mirror is None else 0.5)
        sign = torch.where(flip, -1.0, 1.0)
        views = moved(self.views[rows], self.stage.size, self.stage.jitter, sign, generator)
        points = self.points[rows]
        if self.mirror is not None:
            points = torch.where(flip[:, None, None], points[:, self.mirror], points)
        x = relit(self.look(rows, views), self.light, generator)
        x = standardised(x).contiguous(memory_format=torch.channels_last)
        return x, in_view(views, points).float().to(x.device)

    def look(self, rows: Sequence[int], views: Tensor) -> Tensor:
        """Return views of the frames of some animals, 0 to 255."""
        frames = [self.frames[self.frame_of[row]] for row in rows]
        return look_at(frames, views, self.stage.size, self.level)

    def constrain(self) -> None:
        """Nothing: these nets have no limits on their weights."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Measure the moments of batch norms on views that are moved, not relit."""
        generator = torch.Generator().manual_seed(0)
        still = torch.ones(1)

        def run(batch: Tensor) -> None:
            rows = batch.tolist()
            views = moved(
                self.views[rows], self.stage.size, self.stage.jitter, still.expand(len(rows)),
                generator,
            )  # fmt: skip
            self.net(standardised(self.look(rows, views)))

        with torch.no_grad():
            settle_norms(self, batches, run)


def look_at(
    frames: Sequence[Tensor] | Tensor, views: Tensor, size: tuple[int, int], level: int
) -> Tensor:
    """Read a view off each frame; frames of one shape are read together."""
    if isinstance(frames, Tensor):
        return look(frames, views, size, level)
    if len({frame.shape for frame in frames}) == 1:
        return look(torch.stack(list(frames)), views, size, level)
    parts = [
        look(frame[None], view[None], size, level)
        for frame, view in zip(frames, views, strict=True)
    ]
    return torch.cat(parts)


def in_view(views: Tensor, points: Tensor) -> Tensor:
    """Map points (n, k, 2) of frames to views (n, 2, 3), float64."""
    back = torch.linalg.inv(views[:, :, :2])
    return torch.einsum("nij,nkj->nki", back, points - views[:, None, :, 2])
