"""A net that fills a gap from the signal on both of its sides."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn

SMALLEST_SPREAD = 1e-6
NOISE = 0.02


class GapNet(nn.Module):
    """Linear two-sided prediction, corrected by a small perceptron; several members vote.

    The linear part is ridge regression, solved at once; the perceptron learns what it leaves over,
    for signals whose rhythms are neither sinusoidal nor steady. Context and gap are measured in
    standard deviations of the context, so that a loud and a quiet stretch are alike. Their
    level is left alone: after a high-pass filter the gap makes up for what the context's mean
    lacks, so a trace must be centred in the same way wherever the net is used. The gap is
    predicted whole, not sample by sample, so errors do not pile up.

    Parameters
    ----------
    context, gap
        Samples on each side, and between.
    members, hidden, dropout
        Of the perceptrons: how many, how wide, and the share dropped.
    penalty
        Of the ridge regression, in variances of the context times this number of examples.

    Examples
    --------
    >>> GapNet(50, 5)(torch.randn(2, 100)).shape
    torch.Size([2, 5])
    """

    linear: Tensor

    def __init__(
        self,
        context: int,
        gap: int,
        *,
        members: int = 2,
        hidden: int = 256,
        dropout: float = 0.5,
        penalty: float = 200.0,
    ) -> None:
        super().__init__()
        self.context, self.gap, self.penalty = context, gap, penalty
        self.register_buffer("linear", torch.zeros(2 * context, gap))
        self.nets = nn.ModuleList(
            nn.Sequential(
                nn.Linear(2 * context, hidden), nn.GELU(), nn.Dropout(dropout),
                nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(dropout),
                nn.Linear(hidden, gap),
            )
            for _ in range(members)
        )  # fmt: skip

    def forward(self, sides: Tensor) -> Tensor:
        """Map both sides (n, 2 * context) to the gap (n, gap), in the same unit."""
        return self._each(sides).mean(0)

    def _each(self, sides: Tensor) -> Tensor:
        spread = sides.std(1, keepdim=True).clamp_min(SMALLEST_SPREAD)
        x = sides / spread
        straight = x @ self.linear
        if self.training:
            x = x + NOISE * torch.randn_like(x)
        return torch.stack([straight + net(x) for net in self.nets]) * spread

    def solve(self, stretches: Tensor) -> None:
        """Fit the linear part to stretches (n, 2 * context + gap), also played backwards."""
        both = torch.cat([stretches, stretches.flip(1)]).double()
        sides, inside = self.split(both)
        gram = sides.T @ sides
        ridge = self.penalty * sides.var() * torch.eye(len(gram), dtype=gram.dtype)
        self.linear.copy_(torch.linalg.solve(gram + ridge, sides.T @ inside).float())

    def split(self, stretches: Tensor) -> tuple[Tensor, Tensor]:
        """Return both sides (n, 2 * context) and what is between them (n, gap)."""
        c, g = self.context, self.gap
        return torch.cat([stretches[:, :c], stretches[:, c + g :]], 1), stretches[:, c : c + g]

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean squared error of every member; in training half the stretches run backwards."""
        if generator is not None:
            flipped = torch.rand(len(x), 1, generator=generator, device=x.device) < 0.5
            x = torch.where(flipped, x.flip(1), x)
        sides, inside = self.split(x)
        return (self._each(sides) - inside).square().mean()

    def constrain(self) -> None:
        """Leave the weights as they are."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Make ready for evaluation."""
        self.eval()
