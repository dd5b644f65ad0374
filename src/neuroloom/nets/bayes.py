"""A convolutional net that knows how sure it is: dropout as approximate inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from neuroloom.nets.tokens import Tokens


class BayesCNN(nn.Module):
    """Monte Carlo dropout of Gal & Ghahramani 2016 (arXiv:1506.02142) in a convolutional net.

    Dropout stands before every layer with weights behind the first and stays on in evaluation:
    each of `passes` thinned nets is a draw from the approximate posterior, and their mean
    probability is the prediction. The draws are made once and stored, so the same window always
    gets the same answer, alone or in a batch.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; lengths are in seconds. None stands for 100 Hz.
    filters, layers
        Mixtures of channels and filters of every convolution; convolutions over tokens.
    dropout
        Share dropped; the wider, the wider the posterior.
    passes
        Thinned nets in evaluation.
    power
        Decode the power of the mixtures (True) or their sign-keeping mean (False).

    Raises
    ------
    ConfigError
        If a window is shorter than one token.

    Examples
    --------
    >>> net = BayesCNN(22, 300, 4, rate=100).eval()
    >>> net(torch.zeros(2, 22, 300)).exp().sum(1).round(decimals=4).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 16,
        layers: int = 2,
        dropout: float = 0.25,
        passes: int = 32,
        power: bool = True,
    ) -> None:
        super().__init__()
        self.stem = Tokens("BayesCNN", n_channels, n_times, filters, rate, power=power)
        self.layers = nn.ModuleList(_layer(filters) for _ in range(layers))
        self.output = nn.Linear(filters, n_outputs)
        self.dropout = nn.Dropout(dropout)
        shapes = [(filters, self.stem.count)] * layers + [(filters,)]
        for k, shape in enumerate(shapes):
            kept = torch.rand(passes, 1, *shape) >= dropout
            self.register_buffer(f"mask_{k}", kept.float() / (1 - dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits; in evaluation to mean log-probabilities."""
        if self.training:
            return self._think(self.stem(x), [self.dropout] * (len(self.layers) + 1))
        drawn = self.draws(x)
        if drawn.shape[2] == 1:
            return drawn.mean(0)
        return log_softmax(drawn, 2).logsumexp(0) - torch.tensor(float(len(drawn))).log()

    def draws(self, x: Tensor) -> Tensor:
        """Return the outputs of every thinned net, (pass, n, n_outputs)."""
        passes, n = len(self.mask_0), len(x)
        masks = [getattr(self, f"mask_{k}") for k in range(len(self.layers) + 1)]

        def drop(mask: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda h: (h.unflatten(0, (passes, n)) * mask).flatten(0, 1)

        tokens = self.stem(x).repeat(passes, 1, 1)
        return self._think(tokens, [drop(mask) for mask in masks]).unflatten(0, (passes, n))

    def doubt(self, x: Tensor) -> Tensor:
        """Return how far the thinned nets disagree about each window, nats (n,).

        The mutual information of class and weights (Houlsby et al. 2011, arXiv:1112.5745): entropy
        of the mean prediction less the mean entropy.
        """
        each = log_softmax(self.draws(x), 2)
        mean = each.logsumexp(0) - torch.tensor(float(len(each))).log()
        return _entropy(mean) - _entropy(each).mean(0)

    def _think(self, tokens: Tensor, drops: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        for drop, layer in zip(drops, self.layers, strict=False):
            tokens = layer(drop(tokens))
        return self.output(drops[-1](tokens.mean(2)))


def _layer(width: int) -> nn.Sequential:
    conv = nn.Conv1d(width, width, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(width), nn.ReLU())


def _entropy(log_p: Tensor) -> Tensor:
    return -(log_p.exp() * log_p).sum(-1)
