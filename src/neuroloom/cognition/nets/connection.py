"""Weights under biological constraints: signs, masks, fixed entries; kept by how they are made."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError, nearest

RULES = ("abs", "relu")


class Connection(nn.Module):
    """A matrix of weights whose effective values obey their constraints at every moment.

    effective = mask * (plastic * signs * |w|  + (1 - plastic) * fixed), or with relu(w) for |w|;
    without signs the plain w. No constraint is ever repaired after a step: there is none to break.

    Parameters
    ----------
    value
        Shape (to, from): the first effective weights.
    signs
        Shape (from,): +1 excitatory, -1 inhibitory, 0 silent (inhibitory cells that do not
        project out); None: free signs.
    mask
        Shape (to, from), 1 where a connection exists; None: everywhere.
    plastic
        Shape (to, from), 1 where training may change the weight; None: everywhere.
    rule
        "abs": |w| (PsychRNN; Ehrlich et al. 2021), "relu": max(w, 0) (PyCog; Song et al. 2016).

    Examples
    --------
    >>> signs = torch.tensor([1.0, -1.0])
    >>> Connection(torch.ones(2, 2), signs=signs)().tolist()
    [[1.0, -1.0], [1.0, -1.0]]
    """

    value: Tensor
    signs: Tensor | None
    mask: Tensor | None
    fixed: Tensor | None
    plastic: Tensor | None

    def __init__(
        self,
        value: Tensor,
        *,
        signs: Tensor | None = None,
        mask: Tensor | None = None,
        plastic: Tensor | None = None,
        rule: str = "abs",
    ) -> None:
        super().__init__()
        if rule not in RULES:
            raise ConfigError(f"No rule of signs is called '{rule}'.{nearest(rule, RULES)}")
        _check_shape("signs", signs, value.shape[1:])
        _check_shape("mask", mask, value.shape)
        _check_shape("plastic", plastic, value.shape)
        self.rule = rule
        self.weight = nn.Parameter(value.abs() if signs is not None else value.clone())
        self.register_buffer("signs", signs)
        self.register_buffer("mask", mask)
        self.register_buffer("plastic", plastic)
        whole = value if signs is None else value.abs() * signs
        self.register_buffer("fixed", None if plastic is None else whole.clone())

    def forward(self) -> Tensor:
        """Return the effective weights, shape (to, from)."""
        weight = self.weight
        if self.signs is not None:
            weight = (weight.abs() if self.rule == "abs" else torch.relu(weight)) * self.signs
        if self.plastic is not None and self.fixed is not None:
            weight = self.plastic * weight + (1 - self.plastic) * self.fixed
        return weight if self.mask is None else weight * self.mask

    @torch.no_grad()
    def set(self, value: Tensor) -> None:
        """Make `value`, shape (to, from), the effective weights.

        Raises
        ------
        ConfigError
            If its shape or its signs do not fit.
        """
        _check_shape("weights", value, self.weight.shape)
        wrong = count_violations(value, self.signs, self.mask)
        if wrong:
            raise ConfigError(f"{wrong} of the given weights break the signs or the mask.")
        self.weight.copy_(value.abs() if self.signs is not None else value)
        if self.fixed is not None:
            self.fixed.copy_(value)


def count_violations(weight: Tensor, signs: Tensor | None, mask: Tensor | None) -> int:
    """Count effective weights of a forbidden sign or where there is no connection.

    Examples
    --------
    >>> count_violations(torch.tensor([[1.0, 1.0]]), torch.tensor([1.0, -1.0]), None)
    1
    """
    wrong = torch.zeros_like(weight, dtype=torch.bool)
    if signs is not None:
        wrong |= (weight * signs < 0) | ((signs == 0) & (weight != 0))
    if mask is not None:
        wrong |= (mask == 0) & (weight != 0)
    return int(wrong.sum())


def cell_types(units: int, dale: float | None) -> Tensor | None:
    """Return +1 for the first `dale` share of units, -1 for the rest; None without Dale's law.

    Raises
    ------
    ConfigError
        If one of the two kinds would be empty.

    Examples
    --------
    >>> cell_types(5, 0.8).tolist()
    [1.0, 1.0, 1.0, 1.0, -1.0]
    """
    if dale is None:
        return None
    excitatory = round(dale * units)
    if not 0 < excitatory < units:
        raise ConfigError(
            f"dale: {dale} of {units} units leaves {excitatory} excitatory and "
            f"{units - excitatory} inhibitory; both kinds are needed."
        )
    signs = torch.ones(units)
    signs[excitatory:] = -1
    return signs


def recurrent_mask(
    units: int, density: float, generator: torch.Generator, *, autapses: bool = False
) -> Tensor:
    """Return a mask with that share of the connections, drawn at random; the diagonal is free.

    Examples
    --------
    >>> mask = recurrent_mask(10, 0.8, torch.Generator().manual_seed(0))
    >>> int(mask.sum()), int(mask.diag().sum())
    (72, 0)
    """
    mask = torch.ones(units, units) if autapses else 1 - torch.eye(units)
    places = mask.flatten().nonzero().flatten()
    order = torch.randperm(len(places), generator=generator)
    mask.view(-1)[places[order[round(density * len(places)) :]]] = 0
    return mask


def area_of(units: int, areas: int, signs: Tensor | None) -> Tensor:
    """Return the area of each unit, from 0; every area has its share of each kind of cell.

    Examples
    --------
    >>> area_of(5, 2, cell_types(5, 0.8)).tolist()
    [0, 0, 1, 1, 0]
    """
    place = torch.zeros(units, dtype=torch.int64)
    kinds = torch.ones(units) if signs is None else signs
    for kind in kinds.unique():
        own = (kinds == kind).nonzero().flatten()
        place[own] = torch.arange(len(own)) * areas // len(own)
    return place


def area_mask(
    area: Tensor, signs: Tensor | None, shares: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Return a mask (to, from) between areas in a row: all inside, few to neighbours.

    Parameters
    ----------
    area
        Shape (unit,): its area.
    signs
        Only excitatory units project out of their area.
    shares
        Of the connections forward to the next area, and back to the one before.
    """
    apart = area[:, None] - area[None]
    chance = (apart == 0).float() + shares[0] * (apart == 1) + shares[1] * (apart == -1)
    mask = (torch.rand(chance.shape, generator=generator) < chance).float()
    if signs is not None:
        mask = mask * ((apart == 0) | (signs[None] > 0))
    return mask


def recurrent_start(
    units: int,
    generator: torch.Generator,
    *,
    signs: Tensor | None = None,
    mask: Tensor | None = None,
    radius: float = 1.1,
) -> Tensor:
    """Return first recurrent weights of a given spectral radius.

    With signs: gamma of shape 2 (Song et al. 2016), inhibition scaled up to balance excitation.
    Without: Gaussian. The mask is taken into account.
    """
    if signs is None:
        weight = torch.randn(units, units, generator=generator) / units**0.5
    else:
        # The sum of two exponentials is gamma of shape 2, and obeys the generator.
        draws = torch.rand(2, units, units, generator=generator).clamp_min(1e-7)
        weight = -draws.log().sum(0) / units
        excitatory = int((signs > 0).sum())
        weight[:, signs < 0] *= excitatory / (units - excitatory)
        weight = weight * signs
    if mask is not None:
        weight = weight * mask
    largest = float(torch.linalg.eigvals(weight.double()).abs().max())
    return weight * (radius / largest) if largest > 0 else weight


def _check_shape(name: str, given: Tensor | None, wanted: Any) -> None:
    if given is not None and tuple(given.shape) != tuple(wanted):
        raise ConfigError(f"{name}: expected shape {tuple(wanted)}, got {tuple(given.shape)}.")
