"""DeepConvNet (Deep4): four blocks of convolution and max pooling."""

from __future__ import annotations

from torch import Tensor, nn

from neuroloom.signals.nets.blocks import (
    TimeSpaceConv,
    glorot_,
    limit_norm_,
    require_positive,
    samples,
)

PAPER_RATE = 250.0
KERNEL, POOL = 10, 3


class DeepConvNet(nn.Module):
    """DeepConvNet of Schirrmeister et al. 2017 (Human Brain Mapping 38:5391, figure 1).

    282,879 trainable parameters for 22 channels, 4 classes and 1000 samples.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; every kernel and pool keeps the paper's length in seconds (the paper's net runs at 250
        Hz and divides the rate by three in each block). None takes the paper's samples as they are.
    filters
        Filters of the four blocks.
    dropout
        Share of the maps' values dropped before the second, third and fourth block.
    max_norm
        Limit of the norm of each filter and, a quarter of it, of each output's weights (2 and 0.5
        in the paper); 0 sets none.

    Raises
    ------
    ConfigError
        If a window is too short for four blocks.

    Examples
    --------
    >>> import torch
    >>> DeepConvNet(22, 1000, 4)(torch.zeros(2, 22, 1000)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: tuple[int, int, int, int] = (25, 50, 100, 200),
        dropout: float = 0.5,
        max_norm: float = 2.0,
    ) -> None:
        super().__init__()
        plan = plan_blocks(rate or PAPER_RATE)
        length = length_after(n_times, plan)
        require_positive("DeepConvNet", length, n_times, shortest(plan), rate)
        self.max_norm = max_norm
        first, pool = plan[0]
        stages = [nn.BatchNorm1d(filters[0]), nn.ELU(), nn.MaxPool1d(pool)]
        for (kernel, pool), n_in, n_out in zip(plan[1:], filters, filters[1:], strict=False):
            stages += _block(n_in, n_out, kernel, pool, dropout)
        self.filter = TimeSpaceConv(n_channels, filters[0], first)
        self.blocks = nn.Sequential(*stages)
        self.output = nn.Linear(filters[-1] * length, n_outputs)
        glorot_(self.output.weight, filters[-1] * length, n_outputs * length)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        return self.output(self.blocks(self.filter(x)).flatten(1))

    def constrain(self) -> None:
        """Apply the norm limits; the training loop calls this after every step."""
        if not self.max_norm:
            return
        limit_norm_(self.filter.spatial, self.max_norm, (1, 2))
        limit_norm_(self.output.weight, self.max_norm / 4, (1,))
        for layer in self.blocks:
            if isinstance(layer, nn.Conv1d):
                limit_norm_(layer.weight, self.max_norm, (1, 2))


def plan_blocks(rate: float) -> list[tuple[int, int]]:
    """Return (kernel, pool) of the four blocks in samples, for recordings at `rate` Hz.

    Examples
    --------
    >>> plan_blocks(250)
    [(10, 3), (10, 3), (10, 3), (10, 3)]
    """
    plan, target = [], PAPER_RATE
    for _ in range(4):
        kernel = samples(KERNEL, target, rate)
        target /= POOL
        pool = max(1, round(rate / target))
        plan.append((kernel, pool))
        rate /= pool
    return plan


def length_after(n_times: int, plan: list[tuple[int, int]]) -> int:
    """Return how many samples the blocks of `plan` leave of `n_times`; 0 if none."""
    for kernel, pool in plan:
        n_times = max(0, n_times - kernel + 1) // pool
    return n_times


def shortest(plan: list[tuple[int, int]]) -> int:
    """Return the shortest window, in samples, that `plan` can take."""
    needed = 1
    for kernel, pool in reversed(plan):
        needed = needed * pool + kernel - 1
    return needed


def _block(n_in: int, n_out: int, kernel: int, pool: int, dropout: float) -> list[nn.Module]:
    conv = nn.Conv1d(n_in, n_out, kernel, bias=False)
    glorot_(conv.weight, n_in * kernel, n_out * kernel)
    return [nn.Dropout(dropout), conv, nn.BatchNorm1d(n_out), nn.ELU(), nn.MaxPool1d(pool)]
