"""The rate network: leaky units, constrained weights, noise, plastic synapses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from neuroloom.cognition.nets.connection import (
    Connection,
    area_mask,
    area_of,
    cell_types,
    recurrent_mask,
    recurrent_start,
)
from neuroloom.cognition.nets.scan import RATES, leaky_scan
from neuroloom.core.errors import ConfigError, nearest

# Mongillo et al. 2008 as used by Masse et al. 2019: recovery of resources (s), decay of
# utilisation (s), its rest value; facilitating and depressing units alternate.
SYNAPSES = ((0.2, 1.5, 0.15), (1.5, 0.2, 0.45))
BETWEEN = (0.2, 0.05)  # shares of the connections to the next area, and back
FULL_RATE = 1.0  # a rate of 1 uses up what a cell firing at this many times 1000 / s would


class Activity(NamedTuple):
    """What a net did in a batch of trials; time first.

    `states` are currents (time, trial, unit), `rates` the firing (time, trial, unit), `outputs` the
    read-out (time, trial, output).
    """

    states: Tensor
    rates: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class RateSpec:
    """All that a rate network is, apart from its weights; plain data.

    Attributes
    ----------
    inputs, units, outputs
        Sizes.
    tau
        Time constant of the units, ms.
    rate
        Name of the function from current to rate, see `scan.RATES`.
    dale
        Share of excitatory units; None: free signs. With it, inputs excite and only excitatory
        units are read out.
    rule
        How weights are kept to their sign: "abs" or "relu".
    density
        Share of the recurrent connections that exist.
    autapses
        True lets units connect to themselves.
    noise
        SD of the current that noise alone would cause, times sqrt(2 alpha) a step.
    plasticity
        Short-term plasticity of the recurrent synapses.
    train_start
        True learns the state in which trials begin.
    radius
        Spectral radius of the first recurrent weights; None: 1.1, with Dale's law 1.0.
    areas
        In a row: the first gets the inputs, the last is read out, neighbours are sparsely
        connected by excitatory units.
    """

    inputs: int
    units: int
    outputs: int
    tau: float = 100.0
    rate: str = "relu"
    dale: float | None = None
    rule: str = "abs"
    density: float = 1.0
    autapses: bool = True
    noise: float = 0.05
    plasticity: bool = False
    train_start: bool = True
    radius: float | None = None
    areas: int = 1

    def __post_init__(self) -> None:
        if self.rate not in RATES:
            known = ", ".join(RATES)
            raise ConfigError(
                f"No rate function is called '{self.rate}'.{nearest(self.rate, RATES)} "
                f"Known: {known}."
            )


class RateRNN(nn.Module):
    """A recurrent network of leaky rate units (Song et al. 2016, eq. 2-4; Ehrlich et al. 2021).

    x_t = (1 - a) x_(t-1) + a (W f(x_(t-1)) + W_in u_t + b) + sqrt(2 a) noise, with a = dt / tau;
    the read-out is W_out f(x_t) + b_out. Weights belong to the net, dt to the trial: a trained net
    can be run at another dt.

    Parameters
    ----------
    spec
        What it is.
    generator
        Of its first weights; None: seeded by 0.

    Examples
    --------
    >>> net = RateRNN(RateSpec(2, 10, 2, dale=0.8, autapses=False))
    >>> net(torch.zeros(30, 4, 2), dt=20.0).outputs.shape
    torch.Size([30, 4, 2])
    """

    def __init__(self, spec: RateSpec, generator: torch.Generator | None = None) -> None:
        super().__init__()
        draw = generator or torch.Generator().manual_seed(0)
        self.spec, n = spec, spec.units
        signs = cell_types(n, spec.dale)
        mask = None
        if spec.density < 1 or not spec.autapses:
            mask = recurrent_mask(n, spec.density, draw, autapses=spec.autapses)
        area = area_of(n, spec.areas, signs)
        if spec.areas > 1:
            mask = (1.0 if mask is None else mask) * area_mask(area, signs, BETWEEN, draw)
        first = None if spec.areas == 1 else (area == 0).float()[:, None].expand(n, spec.inputs)
        last = None if spec.areas == 1 else (area == spec.areas - 1).float().expand(spec.outputs, n)
        radius = spec.radius or (1.0 if signs is not None else 1.1)
        start = recurrent_start(n, draw, signs=signs, mask=mask, radius=radius)
        self.recurrent = Connection(start, signs=signs, mask=mask, rule=spec.rule)
        scale = 1 / max(1, spec.inputs) ** 0.5
        into = scale * torch.randn(n, spec.inputs, generator=draw)
        inward = None if signs is None else torch.ones(spec.inputs)
        self.input = Connection(into, signs=inward, mask=first)
        readers = None if signs is None else (signs > 0).float()
        out = torch.randn(spec.outputs, n, generator=draw) / n**0.5
        self.readout = Connection(out, signs=readers, mask=last)
        self.bias = nn.Parameter(torch.zeros(n))
        self.out_bias = nn.Parameter(torch.zeros(spec.outputs))
        self.start = nn.Parameter(torch.full((n,), 0.1), requires_grad=spec.train_start)

    @property
    def kind(self) -> str:
        """The name of its family in a stored run."""
        return "rate"

    def forward(
        self,
        inputs: Tensor,
        dt: float,
        *,
        generator: torch.Generator | None = None,
        start: Tensor | None = None,
    ) -> Activity:
        """Run a batch of trials.

        Parameters
        ----------
        inputs
            Shape (time, trial, input).
        dt
            Step, ms.
        generator
            Of the noise; None: without noise.
        start
            Shape (trial, unit): the states to begin with; None: the net's own.
        """
        alpha = self.alpha(dt)
        drive = self.drive(inputs, alpha, generator)
        first = self.start.expand(inputs.shape[1], -1) if start is None else start
        if self.spec.plasticity:
            return self.read(self._plastic(drive, first, alpha, dt))
        rate = RATES[self.spec.rate]
        states, rates = leaky_scan(drive, first, self.recurrent(), alpha, rate)
        return Activity(states, rates, self._outputs(rates))

    def read(self, states: Tensor) -> Activity:
        """Return the activity that goes with states, shape (…, unit)."""
        rates = RATES[self.spec.rate].apply(states)
        return Activity(states, rates, self._outputs(rates))

    def _outputs(self, rates: Tensor) -> Tensor:
        return torch.nn.functional.linear(rates, self.readout(), self.out_bias)

    def alpha(self, dt: float) -> float:
        """Return dt / tau.

        Raises
        ------
        ConfigError
            If the step is no fraction of the time constant.
        """
        alpha = dt / self.spec.tau
        if not 0 < alpha <= 1:
            raise ConfigError(
                f"dt: a step of {dt} ms does not suit units of tau {self.spec.tau} ms; it must be "
                "above 0 and at most tau."
            )
        return alpha

    def drive(self, inputs: Tensor, alpha: float, generator: torch.Generator | None) -> Tensor:
        """Return alpha times the input current plus noise, (time, trial, unit)."""
        into, bias = alpha * self.input(), alpha * self.bias
        current = torch.nn.functional.linear(inputs, into, bias)
        if generator is None or self.spec.noise == 0:
            return current
        scale = (2 * alpha) ** 0.5 * self.spec.noise
        return current + torch.empty_like(current).normal_(0, scale, generator=generator)

    def step(self, state: Tensor, current: Tensor, weight: Tensor, alpha: float) -> Tensor:
        """Return the state (…, unit) after one step, with given recurrent weights and no noise."""
        rates = RATES[self.spec.rate].apply(state)
        return (1 - alpha) * state + current + alpha * rates @ weight.t()

    def _plastic(self, drive: Tensor, state: Tensor, alpha: float, dt: float) -> Tensor:
        """Run with synapses whose resources are used up and whose use facilitates."""
        kinds = torch.tensor(SYNAPSES, device=drive.device).repeat(-(-self.spec.units // 2), 1)
        recover, decay, rest = kinds[: self.spec.units].T
        seconds, weight = dt / 1000, self.recurrent()
        apply = RATES[self.spec.rate].apply
        left, use, states = torch.ones_like(state), rest.expand_as(state), []
        for now in drive.unbind(0):
            fired = apply(state)
            spent = seconds * FULL_RATE * use * left * fired
            gain = seconds * FULL_RATE * rest * (1 - use) * fired
            state = (1 - alpha) * state + now + alpha * (use * left * fired) @ weight.t()
            left = (left + seconds / recover * (1 - left) - spent).clamp(0, 1)
            use = (use + seconds / decay * (rest - use) + gain).clamp(0, 1)
            states.append(state)
        return torch.stack(states)

    def describe(self) -> dict[str, Any]:
        """Return the spec as plain data, for `rebuild`."""
        return {"kind": self.kind, **asdict(self.spec)}
