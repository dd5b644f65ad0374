"""Graph convolutional nets: channels are nodes, correlated channels are neighbours."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from neuroloom.nets.blocks import glorot_, require_positive
from neuroloom.nets.recurrent import Attention
from neuroloom.nets.tokens import LogPower, in_samples


class _OnGraph(nn.Module):
    """A net with a graph of its channels, complete until the training examples are seen."""

    basis: Tensor

    def __init__(self, n_channels: int, order: int) -> None:
        super().__init__()
        complete = torch.ones(n_channels, n_channels) - torch.eye(n_channels)
        self.register_buffer("basis", chebyshev_basis(complete, order))

    @torch.no_grad()
    def adapt(self, x: Tensor, y: Tensor) -> None:
        """Measure the graph on the training windows (n, channel, time)."""
        basis = chebyshev_basis(pearson_graph(x), len(self.basis))
        self.basis.copy_(basis)


class GCN(_OnGraph):
    """Graph convolutional net with Chebyshev filters (Defferrard et al. 2016, arXiv:1606.09375).

    The graph is |Pearson| between channels, measured on the training windows (as in GCNs-Net, Hou
    et al. 2022, arXiv:2006.08924). Filters of the graph act twice: on the signals, where a
    polynomial of the Laplacian is a spatial filter, and on the log power of what they let through.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; lengths are in seconds. None stands for 100 Hz.
    filters
        Graph filters of the signals, each with a temporal filter of its own.
    hidden
        Features of a node after each graph convolution.
    layers
        Graph convolutions of the power.
    order
        Number of Chebyshev polynomials, 1 or more; a filter reaches order - 1 steps far.
    dropout
        Share dropped before each layer.
    residual
        Add to what a graph convolution gives what it was given.

    Raises
    ------
    ConfigError
        If a window is too short.

    Examples
    --------
    >>> GCN(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 8,
        hidden: int = 8,
        layers: int = 1,
        order: int = 4,
        dropout: float = 0.5,
        residual: bool = False,
    ) -> None:
        super().__init__(n_channels, order)
        self.stem = GraphPower("GCN", n_times, filters, order, rate)
        widths = [filters] + [hidden] * layers
        self.layers = nn.ModuleList(
            GraphLayer(given, made, order, residual=residual) for given, made in pairwise(widths)
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(n_channels * widths[-1], n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        nodes = self.stem(x, self.basis).mean(3).mT
        for layer in self.layers:
            nodes = layer(nodes, self.basis)
        return self.output(self.dropout(nodes.flatten(1)))


class BiLSTMGCN(_OnGraph):
    """A BiLSTM with attention reads each channel, graph convolutions join the channels.

    The order of layers is that of Hou et al. 2022 (Front. Bioeng. Biotechnol. 9:706229).

    Parameters
    ----------
    n_channels, n_times, n_outputs, rate, filters, order, dropout
        As of `GCN`; here the power keeps its course over time.
    hidden
        State of the LSTM in each direction; a node has twice as many features.

    Raises
    ------
    ConfigError
        If a window is too short.

    Examples
    --------
    >>> BiLSTMGCN(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 8,
        hidden: int = 8,
        order: int = 4,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(n_channels, order)
        self.stem = GraphPower("BiLSTM+GCN", n_times, filters, order, rate)
        self.cell = nn.LSTM(filters, hidden, batch_first=True, bidirectional=True)
        self.attention = Attention(2 * hidden)
        self.layer = GraphLayer(2 * hidden, hidden, order)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(n_channels * hidden, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        tokens = self.stem(x, self.basis).permute(0, 2, 3, 1)
        states, _ = self.cell(tokens.flatten(0, 1))
        nodes = self.attention(states).unflatten(0, tokens.shape[:2])
        nodes = self.layer(nodes, self.basis)
        return self.output(self.dropout(nodes.flatten(1)))


class GraphPower(nn.Module):
    """Log power of temporally and graph-filtered signals, for every node.

    Parameters
    ----------
    net
        Name of the net for messages.
    n_times, filters, order, rate
        Samples of a window, number of filters, of polynomials, Hz.
    kernel, window, step
        Length of the temporal filters, of the stretch over which power is averaged, and the
        distance of two stretches, s.
    """

    def __init__(
        self,
        net: str,
        n_times: int,
        filters: int,
        order: int,
        rate: float | None,
        *,
        kernel: float = 0.2,
        window: float = 0.5,
        step: float = 0.25,
    ) -> None:
        super().__init__()
        taps, wide, stride = (in_samples(s, rate) for s in (kernel, window, step))
        require_positive(net, n_times - taps - wide + 2, n_times, taps + wide - 1, rate)
        self.filter = nn.Parameter(torch.empty(filters, 1, taps))
        self.graph = nn.Parameter(torch.empty(filters, order))
        glorot_(self.filter, taps, taps)
        glorot_(self.graph, order, order)
        self.power = LogPower(wide, stride)
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor, basis: Tensor) -> Tensor:
        """Map (n, channel, time) and the graph's basis to (n, filter, channel, token)."""
        mixing = torch.einsum("fk,kcd->fcd", self.graph, basis)
        bands = nn.functional.conv1d(x.flatten(0, 1)[:, None], self.filter)
        maps = mixing @ bands.unflatten(0, x.shape[:2]).transpose(1, 2)
        power = self.power(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        return self.norm(power)


class ChebConv(nn.Module):
    """Graph convolution by Chebyshev polynomials (Defferrard et al. 2016, eq. 4-5).

    Parameters
    ----------
    given, made
        Features of a node before and after.
    order
        Number of polynomials.

    Examples
    --------
    >>> basis = chebyshev_basis(torch.ones(5, 5), 3)
    >>> ChebConv(2, 4, 3)(torch.zeros(1, 5, 2), basis).shape
    torch.Size([1, 5, 4])
    """

    def __init__(self, given: int, made: int, order: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(order, given, made))
        self.bias = nn.Parameter(torch.zeros(made))
        glorot_(self.weight, order * given, made)

    def forward(self, x: Tensor, basis: Tensor) -> Tensor:
        """Map (n, node, given) and polynomials (order, node, node) to (n, node, made)."""
        return torch.einsum("kuv,nvi,kio->nuo", basis, x, self.weight) + self.bias


class GraphLayer(nn.Module):
    """A Chebyshev convolution, batch normalisation and a rectifier; residual if asked for."""

    def __init__(self, given: int, made: int, order: int, *, residual: bool = False) -> None:
        super().__init__()
        self.conv = ChebConv(given, made, order)
        self.norm = nn.BatchNorm1d(made)
        self.residual = residual and given == made

    def forward(self, x: Tensor, basis: Tensor) -> Tensor:
        """Map (n, node, given) to (n, node, made)."""
        made = self.norm(self.conv(x, basis).mT).mT.relu()
        return x + made if self.residual else made


def pearson_graph(x: Tensor) -> Tensor:
    """Return |Pearson| between channels over all samples of all windows, with a zero diagonal.

    Parameters
    ----------
    x
        Shape (n, channel, time).

    Examples
    --------
    >>> pearson_graph(torch.tensor([[[0.0, 1.0], [0.0, -2.0]]])).round().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    flat = x.double().transpose(0, 1).flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    unit = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return (unit @ unit.T).abs().fill_diagonal_(0)


def chebyshev_basis(adjacency: Tensor, order: int) -> Tensor:
    """Return the first Chebyshev polynomials of the graph's scaled Laplacian.

    The normalised Laplacian `1 - D^-1/2 A D^-1/2` is scaled to eigenvalues in [-1, 1].

    Parameters
    ----------
    adjacency
        Symmetric weights (node, node), none negative.
    order
        How many polynomials, from T0 = 1 on.

    Returns
    -------
    Tensor
        Shape (order, node, node), float32.
    """
    weights, eye = adjacency.double(), torch.eye(len(adjacency), dtype=torch.float64)
    degree = weights.sum(1)
    root = torch.where(degree > 0, degree.clamp_min(1e-12).rsqrt(), 0)
    laplacian = eye - root[:, None] * weights * root
    scaled = 2 * laplacian / torch.linalg.eigvalsh(laplacian)[-1].clamp_min(1e-12) - eye
    found = [eye, scaled]
    while len(found) < order:
        found.append(2 * scaled @ found[-1] - found[-2])
    return torch.stack(found[:order]).float()
