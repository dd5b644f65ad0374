"""LSTM and GRU behind the same door as the rate network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neuroloom.cognition.nets.rate import Activity, RateRNN, RateSpec
from neuroloom.core.errors import ConfigError, nearest

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class GatedSpec:
    """Kind ("lstm" or "gru") and sizes of a gated network; plain data."""

    gates: str
    inputs: int
    units: int
    outputs: int


class GatedRNN(nn.Module):
    """An LSTM (Hochreiter & Schmidhuber 1997) or a GRU (Cho et al. 2014) with a linear read-out.

    Time is counted in steps: `dt` is taken and means nothing to it. Its rates are its hidden units.

    Examples
    --------
    >>> net = GatedRNN(GatedSpec("gru", 2, 8, 3))
    >>> net(torch.zeros(5, 4, 2), dt=20.0).outputs.shape
    torch.Size([5, 4, 3])
    """

    def __init__(self, spec: GatedSpec, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if spec.gates not in KINDS:
            raise ConfigError(f"No gated net is called '{spec.gates}'.{nearest(spec.gates, KINDS)}")
        self.spec = spec
        self.body = KINDS[spec.gates](spec.inputs, spec.units)
        self.readout = nn.Linear(spec.units, spec.outputs)
        draw = generator or torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.parameters():
                weight.uniform_(-1, 1, generator=draw).mul_(spec.units**-0.5)

    @property
    def kind(self) -> str:
        """The name of its family in a stored run."""
        return "gated"

    def forward(
        self,
        inputs: Tensor,
        dt: float,
        *,
        generator: torch.Generator | None = None,
        start: Tensor | None = None,
    ) -> Activity:
        """Run a batch (time, trial, input); an LSTM's cells begin at 0 whatever `start` is."""
        first: Any = None if start is None else start[None].contiguous()
        if first is not None and self.spec.gates == "lstm":
            first = (first, torch.zeros_like(first))
        hidden, _ = self.body(inputs, first)
        return Activity(hidden, hidden, self.readout(hidden))

    def describe(self) -> dict[str, Any]:
        """Return the spec as plain data, for `rebuild`."""
        return {"kind": self.kind, **asdict(self.spec)}


Net = RateRNN | GatedRNN


def rebuild(facts: dict[str, Any], generator: torch.Generator | None = None) -> Net:
    """Return the net that `describe` told of, with fresh weights.

    Examples
    --------
    >>> rebuild(RateRNN(RateSpec(1, 4, 1)).describe()).spec.units
    4
    """
    rest = {name: value for name, value in facts.items() if name != "kind"}
    if facts["kind"] == "rate":
        return RateRNN(RateSpec(**rest), generator)
    return GatedRNN(GatedSpec(**rest), generator)
