"""A net for one epoch, read by a recurrent layer over its neighbours: sleep stages in context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError


class Sequence(nn.Module):
    """An encoder shared by all epochs of a stretch, and a bidirectional GRU over them.

    The scheme of SeqSleepNet (Phan et al. 2019, IEEE TNSRE 27:400): what an epoch is depends on
    those around it. The encoder's own features go to the output beside those in context, as in
    DeepSleepNet, so that context can only be learnt as something added.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a stretch, all its epochs in a row, and number of classes.
    rate
        Hz, passed on to the encoder.
    encoder
        Makes the net of one epoch: `encoder(n_channels, epoch, features, rate=…, **options)`.
    places
        Epochs in a stretch.
    dense
        True: one label an epoch, (n, n_outputs, places); False: that of the epoch in the middle.
    features, hidden
        Outputs of the encoder, and units of the GRU in each direction.
    dropout
        Share of the features dropped before the GRU and before the output.
    options
        Further arguments of the encoder.

    Raises
    ------
    ConfigError
        If the epochs do not divide the stretch, or are too short for the encoder.

    Examples
    --------
    >>> from neuroloom.signals.nets.chambon2018 import Chambon2018
    >>> net = Sequence(2, 5 * 3000, 4, 100, encoder=Chambon2018, places=5, dense=True)
    >>> net(torch.zeros(3, 2, 15000)).shape
    torch.Size([3, 4, 5])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        encoder: Callable[..., nn.Module],
        places: int = 1,
        dense: bool = False,
        features: int = 32,
        hidden: int = 32,
        dropout: float = 0.25,
        **options: Any,
    ) -> None:
        super().__init__()
        self.epoch, self.dense = epoch_of("Sequence", n_times, places), dense
        self.encoder = encoder(n_channels, self.epoch, features, rate=rate, **options)
        self.context = nn.GRU(features, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(features + 2 * hidden, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, epochs in a row) to logits (n, n_outputs, epoch) or (n, n_outputs)."""
        epochs = split_epochs(x, self.epoch)
        features = self.encoder(epochs.flatten(0, 1)).unflatten(0, epochs.shape[:2])
        features = self.dropout(features.relu())
        both = torch.cat([features, self.dropout(self.context(features)[0])], 2)
        return labels_of(self.output(both).mT, self.dense)

    def constrain(self) -> None:
        """Apply the encoder's own limits."""
        if hasattr(self.encoder, "constrain"):
            self.encoder.constrain()


def epoch_of(net: str, n_times: int, places: int) -> int:
    """Return the samples of an epoch when `places` of them fill `n_times`.

    Raises
    ------
    ConfigError
        If they do not.
    """
    if places < 1 or n_times % places:
        raise ConfigError(
            f"{net} needs a whole number of samples in each epoch: {n_times} samples do not divide "
            f"into {places} epochs. Cut stretches of whole epochs."
        )
    return n_times // places


def split_epochs(x: Tensor, epoch: int) -> Tensor:
    """Cut (n, channel, time) into (n, place, channel, epoch)."""
    return x.unflatten(-1, (-1, epoch)).transpose(1, 2)


def labels_of(logits: Tensor, dense: bool) -> Tensor:
    """Return logits (n, class, place) as they are, or those of the place in the middle."""
    return logits if dense else logits[..., logits.shape[-1] // 2]
