"""What steps the weights of a net."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import Training


def make_optimiser(module: Any, training: Training) -> Any:
    """Return the optimiser of a net: AdamW, or Muon with AdamW for what is no hidden weight."""
    import torch

    if training.muon:
        from neuroloom.learn.training.muon import Muon, muon_groups

        groups = muon_groups(module, training.weight_decay)
        return Muon([group for group in groups if group["params"]], training.lr, training.muon)
    groups = decay_groups(module, training.weight_decay)
    return torch.optim.AdamW(groups, lr=training.lr, fused=True)


def decay_groups(module: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Return the optimiser's groups: weights decay, biases and gains of normalisation do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
