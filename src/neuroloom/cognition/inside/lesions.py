"""What a trained rate network does when connections or cells are taken away for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from neuroloom.cognition.nets.rate import Activity, RateRNN

PARTS = ("input", "recurrent", "readout")


@dataclass(frozen=True)
class Lesion:
    """Connections that are scaled for a part of the trial.

    Attributes
    ----------
    senders, receivers
        Numbers of the units (of the inputs, for `part` "input"; of the outputs, for "readout")
        between which connections are touched; empty: all.
    start, stop
        When, ms; None: from the beginning, to the end.
    factor
        What the weights are multiplied by; 0 cuts them.
    part
        "input", "recurrent" or "readout".

    Examples
    --------
    >>> Lesion(senders=(3, 4), start=500.0).factor
    0.0
    """

    senders: tuple[int, ...] = field(default_factory=tuple)
    receivers: tuple[int, ...] = field(default_factory=tuple)
    start: float | None = None
    stop: float | None = None
    factor: float = 0.0
    part: str = "recurrent"

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ConfigError(f"part: a lesion is of {', '.join(PARTS)}, not of '{self.part}'.")

    def holds(self, ms: float) -> bool:
        """Tell whether it is there at a time of the trial."""
        late = self.start is None or ms >= self.start
        return late and (self.stop is None or ms < self.stop)


def run_lesioned(
    net: RateRNN,
    inputs: Tensor,
    dt: float,
    lesions: Sequence[Lesion],
    generator: torch.Generator | None = None,
) -> Activity:
    """Run trials with connections that change over time.

    Parameters
    ----------
    net
        A rate network without plastic synapses.
    inputs
        Shape (time, trial, input).
    dt
        Step, ms.
    lesions
        What is taken away, and when; they multiply.
    generator
        Of the noise; None: without.

    Examples
    --------
    >>> import torch
    >>> from neuroloom.cognition.nets.rate import RateRNN, RateSpec
    >>> net = RateRNN(RateSpec(1, 5, 1))
    >>> run_lesioned(net, torch.ones(9, 2, 1), 20.0, [Lesion(senders=(0,))]).outputs.shape
    torch.Size([9, 2, 1])
    """
    import torch

    from neuroloom.cognition.nets.rate import Activity

    if net.spec.plasticity:
        raise ConfigError("Lesions are for nets without plastic synapses.")
    alpha = net.alpha(dt)
    with torch.no_grad():
        whole = {part: getattr(net, part)() for part in PARTS}
        silent = net.drive(torch.zeros_like(inputs), alpha, generator)
        state = net.start.expand(inputs.shape[1], -1)
        states, rates, outputs = [], [], []
        cut: dict[tuple[bool, ...], dict[str, Tensor]] = {}
        for step, now in enumerate(inputs):
            held = tuple(lesion.holds(step * dt) for lesion in lesions)
            if held not in cut:
                cut[held] = _scaled(whole, [x for x, on in zip(lesions, held, strict=True) if on])
            own = cut[held]
            current = alpha * now @ own["input"].t() + silent[step]
            state = net.step(state, current, own["recurrent"], alpha)
            states.append(state)
            rates.append(net.read(state).rates)
            outputs.append(rates[-1] @ own["readout"].t() + net.out_bias)
    return Activity(torch.stack(states), torch.stack(rates), torch.stack(outputs))


def _scaled(whole: dict[str, Tensor], lesions: list[Lesion]) -> dict[str, Tensor]:
    own = {part: weight.clone() for part, weight in whole.items()}
    for lesion in lesions:
        weight = own[lesion.part]
        rows = list(lesion.receivers) or list(range(weight.shape[0]))
        columns = list(lesion.senders) or list(range(weight.shape[1]))
        for name, numbers, size in (
            ("receivers", rows, weight.shape[0]), ("senders", columns, weight.shape[1]),
        ):  # fmt: skip
            if min(numbers) < 0 or max(numbers) >= size:
                raise ConfigError(
                    f"{name}: {lesion.part} weights have numbers 0 to {size - 1}, got {numbers}."
                )
        weight[[[row] for row in rows], columns] *= lesion.factor
    return own
