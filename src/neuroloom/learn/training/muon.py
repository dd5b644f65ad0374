"""Muon: steps whose matrices are made orthogonal, so that every direction is learnt as fast.

Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks". PyTorch has it for
matrices; the weights of convolutions are more often four or five axes, and are taken here as
(output, all the rest). What is no such weight (biases, gains, first and last layers) is stepped by
AdamW, in the same optimiser, so that a fit has one state to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Five turns of a quintic that pulls singular values towards 1 (Jordan et al. 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)
TURNS = 5
WIDE = 2  # columns a row from which turns on the Gram matrix are cheaper
FEW = 3  # channels of an input image, at most, whose layer is left to AdamW


class Muon(torch.optim.Optimizer):
    """Muon for the weights of hidden layers, AdamW for all else.

    Parameters
    ----------
    groups
        Dicts of `params`, and `muon`, True for groups that are stepped by Muon; `weight_decay`.
    lr
        Peak rate of AdamW; a schedule writes it into `group["lr"]`.
    rate
        Rate of Muon as a multiple of `lr`: an orthogonal step has another size.
    momentum, betas, eps
        Of Muon, and of AdamW.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3))
    >>> optimiser = Muon([{"params": [weight], "muon": True}], lr=1e-3, rate=10.0)
    >>> weight.sum().backward()
    >>> optimiser.step()
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        rate: float,
        *,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        usual = {"lr": lr, "muon": False, "weight_decay": 0.0, "rate": rate}
        super().__init__(list(groups), usual | {"momentum": momentum, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; what `closure` returns is handed back."""
        said = None
        if closure is not None:
            with torch.enable_grad():
                said = closure()
        for group in self.param_groups:
            known = [p for p in group["params"] if p.grad is not None]
            for parameter in known:
                (self._orthogonal if group["muon"] else self._adaptive)(parameter, group)
        return said

    def _orthogonal(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        mean, beta = state["momentum"], group["momentum"]
        mean.lerp_(gradient, 1 - beta)
        ahead = gradient.lerp(mean, beta).flatten(1)
        rows, columns = ahead.shape
        size = group["lr"] * group["rate"]
        parameter.mul_(1 - size * group["weight_decay"])
        turned = orthogonal(ahead) * max(1.0, rows / columns) ** 0.5
        parameter.sub_(turned.view_as(parameter), alpha=size)

    def _adaptive(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["step"] = torch.zeros(())
            state["mean"] = torch.zeros_like(gradient)
            state["square"] = torch.zeros_like(gradient)
        first, second = group["betas"]
        state["step"] += 1
        count = float(state["step"])
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        spread = (state["square"] / (1 - second**count)).sqrt_().add_(group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(state["mean"], spread, value=-group["lr"] / (1 - first**count))


def orthogonal(matrix: Tensor) -> Tensor:
    """Return the matrix with singular values near 1 (0.7 to 1.2), by Newton-Schulz iteration.

    Parameters
    ----------
    matrix
        (rows, columns).

    Examples
    --------
    >>> values = torch.linalg.svdvals(orthogonal(torch.randn(8, 30)))
    >>> bool(values.min() > 0.5), bool(values.max() < 1.3)
    (True, True)
    """
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = _by_gram(x) if x.shape[1] >= WIDE * x.shape[0] else _by_turns(x)
    return x.T if tall else x


def _by_turns(x: Tensor) -> Tensor:
    """Return the matrix after `TURNS` turns, each applied to it."""
    a, b, c = QUINTIC
    for _ in range(TURNS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def _by_gram(x: Tensor) -> Tensor:
    """Return the same, with all turns made on the small Gram matrix and applied at once.

    A turn multiplies x by a polynomial p of its Gram matrix, which becomes p gram p: a wide matrix
    is read twice instead of ten times.
    """
    a, b, c = QUINTIC
    gram = x @ x.T
    turned: Tensor | None = None
    for turn in range(TURNS):
        p = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        p.diagonal().add_(a)
        turned = p if turned is None else turned @ p
        if turn < TURNS - 1:
            gram = p @ gram @ p
    assert turned is not None
    return turned @ x


def muon_groups(module: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the groups of a net: hidden weights to Muon, the first and last layers to AdamW.

    A first layer is one of the image's few channels; a last one has "head" in its name.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 8, 3))
    >>> [len(group["params"]) for group in muon_groups(net, 0.01)]
    [1, 1, 2]
    """
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    hidden = [p for name, p in named if p.ndim > 2 and p.shape[1] > FEW and "head" not in name]
    known = {id(p) for p in hidden}
    rest = [p for _, p in named if id(p) not in known]
    return [
        {"params": hidden, "muon": True, "weight_decay": weight_decay},
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
