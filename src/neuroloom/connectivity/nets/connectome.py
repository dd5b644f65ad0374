"""Nets on whole connectomes, each (node, node_to): message passing, convolution, attention."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

NEIGHBOURS = 0.1


class Blend(nn.Module):
    """A net beside a linear path on the edges, joined after training.

    While it trains, the net is alone. What share of the outcome it gets is then set by whoever
    trained it (`blend`), 1 being the net, 0 the linear path: on connectomes message passing alone
    often loses to a linear model (Han et al. 2025, arXiv:2501.17207).

    Parameters
    ----------
    net
        Maps (n, node, node_to) to (n, output).
    n_nodes, n_outputs
        Sizes of the linear path.

    Examples
    --------
    >>> Blend(Messages(5, 2, kind="gcn"), 5, 2).eval()(torch.zeros(3, 5, 5)).shape
    torch.Size([3, 2])
    """

    linear: Tensor
    bias: Tensor
    share: Tensor

    def __init__(self, net: nn.Module, n_nodes: int, n_outputs: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("linear", torch.zeros(n_outputs, n_nodes, n_nodes))
        self.register_buffer("bias", torch.zeros(n_outputs))
        self.register_buffer("share", torch.ones(()))

    def see(self, graph: Tensor) -> None:
        """Take the mean training connectome, whose strongest edges are the paths of messages."""
        for part in self.net.modules():
            if isinstance(part, _OnGraph):
                part.graph.copy_(strongest(graph))

    @torch.no_grad()
    def blend(self, linear: Tensor, bias: Tensor, share: float) -> None:
        """Set the linear path and the net's share of the outcome."""
        self.linear.copy_(linear)
        self.bias.copy_(bias)
        self.share.fill_(share)

    def forward(self, x: Tensor) -> Tensor:
        """Map standardised connectomes (n, node, node_to) to (n, output)."""
        made = self.net(x)
        if self.training:
            return made
        straight = torch.einsum("nij,oij->no", x, self.linear) + self.bias
        return straight + self.share * (made - straight)


def strongest(graph: Tensor, share: float = NEIGHBOURS) -> Tensor:
    """Return which edges are among a node's strongest, either way round.

    Examples
    --------
    >>> strongest(torch.tensor([[0.0, 3, 1], [3, 0, 0], [1, 0, 0]]), 0.3).sum().item()
    4.0
    """
    size = (graph.abs() + graph.abs().mT).fill_diagonal_(0)
    count = max(1, min(len(size) - 1, round(share * len(size))))
    kept = torch.zeros_like(size).scatter_(1, size.topk(count).indices, 1.0) * (size > 0)
    return torch.maximum(kept, kept.mT)


class _OnGraph(nn.Module):
    """A net whose messages go along a graph of the group."""

    graph: Tensor

    def __init__(self, n_nodes: int) -> None:
        super().__init__()
        self.register_buffer("graph", torch.ones(n_nodes, n_nodes) - torch.eye(n_nodes))


def _layer(kind: str, given: int, made: int) -> nn.Module:
    from torch_geometric.nn import DenseGATConv, DenseGCNConv, DenseGINConv

    if kind == "gcn":
        return DenseGCNConv(given, made)
    if kind == "gat":
        return DenseGATConv(given, made // 2, heads=2)
    inner = nn.Sequential(nn.Linear(given, made), nn.ReLU(), nn.Linear(made, made))
    return DenseGINConv(inner, train_eps=True)


class Messages(_OnGraph):
    """Messages along the group's strongest edges; a node begins as its connection profile.

    Layers are torch-geometric's dense ones: GCN (Kipf & Welling 2017, arXiv:1609.02907; here as
    neighbours' mean and own part), GAT (Velickovic et al. 2018, arXiv:1710.10903), GIN (Xu et al.
    2019, arXiv:1810.00826). The read-out keeps nodes apart, for they mean the same in everyone.

    Parameters
    ----------
    n_nodes, n_outputs
        Sizes.
    kind
        "gcn", "gat" or "gin".
    hidden, layers, dropout
        Features of a node, number of layers, share dropped.

    Examples
    --------
    >>> Messages(6, 2, kind="gin")(torch.zeros(4, 6, 6)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        n_nodes: int,
        n_outputs: int,
        *,
        kind: str,
        hidden: int = 16,
        layers: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(n_nodes)
        widths = [n_nodes] + [hidden] * layers
        self.kind = kind
        self.layers = nn.ModuleList(_layer(kind, a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(n_nodes * hidden * layers, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, node, node_to) to (n, output)."""
        graph = self.graph[None]
        if self.kind == "gat":
            graph = graph.expand(len(x), -1, -1).clone()  # its layer writes self-loops into it
        seen = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x, graph).mT).mT.relu()
            seen.append(x)
            x = self.dropout(x)
        return self.output(self.dropout(torch.cat(seen, 2).flatten(1)))


class BrainNetCNN(nn.Module):
    """Edge-to-edge, edge-to-node and node-to-graph filters (Kawahara et al. 2017, NeuroImage 146).

    Parameters
    ----------
    n_nodes, n_outputs
        Sizes.
    filters
        Of the three layers.
    dropout
        Share dropped.

    Examples
    --------
    >>> BrainNetCNN(6, 3)(torch.zeros(2, 6, 6)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        n_nodes: int,
        n_outputs: int,
        filters: tuple[int, int, int] = (4, 8, 32),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        edge, node, whole = filters
        self.rows = nn.Conv2d(1, edge, (1, n_nodes))
        self.columns = nn.Conv2d(1, edge, (n_nodes, 1))
        self.to_node = nn.Conv2d(edge, node, (1, n_nodes))
        self.to_graph = nn.Conv2d(node, whole, (n_nodes, 1))
        self.norm = nn.BatchNorm2d(node)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(whole, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, node, node_to) to (n, output)."""
        image = x[:, None]
        cross = leaky_relu(self.rows(image) + self.columns(image), 0.33)
        nodes = leaky_relu(self.norm(self.to_node(cross)), 0.33)
        whole = leaky_relu(self.to_graph(self.dropout(nodes)), 0.33).flatten(1)
        return self.output(self.dropout(whole))


class BrainGNN(_OnGraph):
    """Convolution that knows regions, and pooling that keeps the most telling ones.

    As Li et al. (2021), Med. Image Anal. 74, 102233: the weights of a region are a mix of those of
    a few communities, nodes are scored by a projection, the upper half goes on, and both levels
    are read out by mean and maximum.

    Parameters
    ----------
    n_nodes, n_outputs
        Sizes.
    hidden, communities, ratio, dropout
        Features of a node, communities, share of nodes kept, share dropped.

    Examples
    --------
    >>> BrainGNN(6, 2)(torch.zeros(2, 6, 6)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_nodes: int,
        n_outputs: int,
        *,
        hidden: int = 16,
        communities: int = 7,
        ratio: float = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(n_nodes)
        self.kept = max(1, round(ratio * n_nodes))
        self.member = nn.Parameter(torch.rand(n_nodes, communities) / communities)
        self.basis = nn.Parameter(torch.randn(communities, n_nodes, hidden) / n_nodes**0.5)
        self.second = nn.Linear(hidden, hidden)
        self.score = nn.Parameter(torch.randn(hidden))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(4 * hidden, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, node, node_to) to (n, output)."""
        own = torch.einsum("nij,kjh,ik->nih", x, self.basis, self.member.relu())
        pass_on = self.graph / self.graph.sum(1, keepdim=True).clamp_min(1)
        nodes = self.norms[0]((own + pass_on @ own).mT).mT.relu()
        score = nodes @ self.score / self.score.norm().clamp_min(1e-6)
        best = score.topk(self.kept, dim=1).indices
        gate = score.gather(1, best).sigmoid()[..., None]
        kept = nodes.gather(1, best[..., None].expand(-1, -1, nodes.shape[2])) * gate
        paths = pass_on[best[:, :, None], best[:, None, :]]
        deeper = self.norms[1](self.second(kept + paths @ kept).mT).mT.relu()
        parts = [part for level in (kept, deeper) for part in (level.mean(1), level.amax(1))]
        return self.output(self.dropout(torch.cat(parts, 1)))


class Transformer(nn.Module):
    """Attention between regions, read out through clusters that nodes share in.

    As Kan et al. (2022), NeurIPS (arXiv:2210.06681): profiles are tokens, and soft clusters with
    orthonormal centres pool them.

    Parameters
    ----------
    n_nodes, n_outputs
        Sizes.
    width, heads, clusters, dropout
        Features of a token, heads of attention, clusters, share dropped.

    Examples
    --------
    >>> Transformer(6, 2)(torch.zeros(2, 6, 6)).shape
    torch.Size([2, 2])
    """

    centres: Tensor

    def __init__(
        self,
        n_nodes: int,
        n_outputs: int,
        *,
        width: int = 32,
        heads: int = 4,
        clusters: int = 8,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(n_nodes, width)
        self.place = nn.Parameter(0.02 * torch.randn(n_nodes, width))
        self.attend = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.mix = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        centres = torch.linalg.qr(torch.randn(width, clusters)).Q.T
        self.register_buffer("centres", centres.contiguous())
        self.squeeze = nn.Linear(width, 8)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(clusters * 8, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, node, node_to) to (n, output)."""
        tokens = self.norms[0](self.embed(x) + self.place)
        tokens = tokens + self.attend(tokens, tokens, tokens, need_weights=False)[0]
        tokens = tokens + self.mix(self.norms[1](tokens))
        share = (tokens @ self.centres.T).softmax(2)
        pooled = share.mT @ self.squeeze(tokens)
        return self.output(self.dropout(pooled.flatten(1)))


class Dual(nn.Module):
    """Attention along the group's edges and a linear map of all edges, trained as one.

    After Han et al. (2025), arXiv:2501.17207.

    Examples
    --------
    >>> Dual(6, 2)(torch.zeros(2, 6, 6)).shape
    torch.Size([2, 2])
    """

    def __init__(self, n_nodes: int, n_outputs: int, **options: Any) -> None:
        super().__init__()
        self.attention = Messages(n_nodes, n_outputs, kind="gat", **options)
        self.straight = nn.Linear(n_nodes * n_nodes, n_outputs)
        nn.init.zeros_(self.straight.weight)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, node, node_to) to (n, output)."""
        return self.attention(x) + self.straight(self.dropout(x.flatten(1)))


class NodeMessages(nn.Module):
    """Messages between the nodes of one graph at a time, for types that no name tells.

    Parameters
    ----------
    given, n_outputs
        Features of a node, number of types.
    kind
        "gcn", "gat" or "gin".
    hidden, dropout
        As of `Messages`.

    Examples
    --------
    >>> NodeMessages(3, 2, kind="gcn")(torch.zeros(5, 3), torch.ones(5, 5)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self, given: int, n_outputs: int, *, kind: str, hidden: int = 32, dropout: float = 0.4
    ) -> None:
        super().__init__()
        self.kind = kind
        self.ahead, self.back = (_layer(kind, given, hidden) for _ in range(2))
        self.own = nn.Linear(given, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(3 * hidden, n_outputs)

    def forward(self, features: Tensor, graph: Tensor) -> Tensor:
        """Map features (node, given) and weights (node, node_to) to (node, output)."""
        x = self.dropout(features)[None]
        parts = [self.own(x)]
        for layer, way in ((self.ahead, graph), (self.back, graph.T)):
            # GIN sums: scaled, a graph that is denser sends no louder messages.
            scaled = way / way.sum(1, keepdim=True).clamp_min(1e-6) if self.kind != "gat" else way
            parts.append(layer(x, scaled[None].clone()))
        return self.output(self.dropout(torch.cat(parts, 2).relu()))[0]
