"""Recurrent nets: plain, LSTM and GRU, in one or both directions, with or without attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.nets.tokens import Tokens

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """A recurrent net over tokens of a window, read at its end or by attention.

    Cells: Elman 1990 (Cogn. Sci. 14:179), LSTM of Hochreiter & Schmidhuber 1997 (Neural Comput.
    9:1735), GRU of Cho et al. 2014 (arXiv:1406.1078); both directions as in Schuster & Paliwal 1997
    (IEEE Trans. Signal Process. 45:2673); attention as in Zhou et al. 2016 (ACL, P16-2034).

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; lengths are in seconds. None stands for 100 Hz.
    cell
        "rnn", "lstm" or "gru".
    bidirectional
        Also read the window from its end to its begin.
    attention
        Weigh the states of all tokens; else take the last state of each direction.
    filters, hidden
        Features of a token; state of the cell in each direction.
    dropout
        Share dropped of the tokens' features and of what is read.
    power
        Tokens of log power (True) or of sign-keeping means (False).
    tokens
        Other `kernel`, `window` or `step` of `Tokens`, s.

    Raises
    ------
    ConfigError
        If a window is shorter than one token or the cell unknown.

    Examples
    --------
    >>> net = Recurrent(22, 300, 4, rate=100, cell="gru", bidirectional=True, attention=True)
    >>> net(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        cell: Literal["rnn", "lstm", "gru"] = "lstm",
        bidirectional: bool = False,
        attention: bool = False,
        filters: int = 16,
        hidden: int = 16,
        dropout: float = 0.25,
        power: bool = True,
        tokens: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ConfigError(
                f"No recurrent cell is called {cell!r}.{nearest(cell, CELLS)} "
                f"Known: {', '.join(CELLS)}."
            )
        name = f"The {cell.upper()} net"
        self.stem = Tokens(name, n_channels, n_times, filters, rate, power=power, **(tokens or {}))
        self.dropout = nn.Dropout(dropout)
        self.cell = CELLS[cell](filters, hidden, batch_first=True, bidirectional=bidirectional)
        width = hidden * (1 + bidirectional)
        self.attention = Attention(width) if attention else None
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        states, _ = self.cell(self.dropout(self.stem(x).mT))
        read = self.attention(states) if self.attention else last(states, self.cell)
        return self.output(self.dropout(read))


class Attention(nn.Module):
    """The mean of the states of a sequence, weighed by what they hold (Zhou et al. 2016, eq. 9-12).

    Examples
    --------
    >>> Attention(8)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 8])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, 1, bias=False)

    def weights(self, states: Tensor) -> Tensor:
        """Return the weight of each state (n, token), which sum to one."""
        return self.query(states.tanh())[..., 0].softmax(1)

    def forward(self, states: Tensor) -> Tensor:
        """Map (n, token, width) to (n, width)."""
        return (self.weights(states)[:, None] @ states)[:, 0].tanh()


def last(states: Tensor, cell: nn.RNNBase) -> Tensor:
    """Return the state in which each direction ends, (n, width)."""
    if not cell.bidirectional:
        return states[:, -1]
    hidden = cell.hidden_size
    return torch.cat([states[:, -1, :hidden], states[:, 0, hidden:]], 1)
