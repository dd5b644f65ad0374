"""From stimuli through a net to features, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.representation.activations import Activity, choose_tokens, mask, pool
from neuroloom.representation.layers import find_layers, list_layers, record
from neuroloom.representation.seeing.top import TopStimuli
from neuroloom.representation.sources import Net, open_net
from neuroloom.representation.stimuli import Stimuli, from_array, open_stimuli
from neuroloom.representation.store import FeatureWriter

Places = Mapping[str, Sequence[Sequence[int] | None]]


@dataclass(frozen=True)
class Choice:
    """What is kept of a layer's answer: tokens, units, one number a channel.

    Parameters
    ----------
    tokens
        As `activations.choose_tokens` has it.
    pool
        "none", or one of `activations.POOLS`.
    places
        Layer -> units to keep of each axis.
    """

    tokens: str = "all"
    pool: str = "none"
    places: Places = field(default_factory=dict)

    def __call__(self, layer: str, values: np.ndarray) -> np.ndarray:
        """Return what is kept of a layer (stimulus, …)."""
        values = choose_tokens(values, self.tokens)
        if layer in self.places:
            values = mask(values, self.places[layer])
        return pool(values, self.pool)


@dataclass(frozen=True)
class Extracted:
    """Where the features of each layer lie, and what was seen on the way."""

    files: dict[str, str]
    activity: dict[str, Activity]
    top: dict[str, TopStimuli]


def extract_features(
    model: Any,
    data: Any,
    layers: Sequence[str] | str = (),
    *,
    tokens: str = "all",
    pool: str = "none",
    batch: int = 32,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Return features of stimuli at layers of a net, in memory: layer -> (stimulus, …).

    Parameters
    ----------
    model
        As `open_net` takes it: a torch module, a name, a run, an ONNX file.
    data
        As `open_stimuli` takes it; or an array (stimulus, channel, …).
    layers
        Names, ends of names, globs; the net's outermost blocks if none are given.
    tokens, pool, batch
        As the recipe has them.
    **options
        Of `open_net`: size, weights, seed, rate.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv1d(2, 4, 3), torch.nn.ReLU())
    >>> extract_features(net, np.zeros((5, 2, 20), np.float32), "1")["1"].shape
    (5, 4, 18)
    """
    stimuli = open_stimuli(data) if isinstance(data, str | Path) else from_array(data)
    net = open_net(model, shape_of(stimuli), **options)
    wanted = [layers] if isinstance(layers, str) else list(layers)
    table = list_layers(net.module, stimuli.batch([0], net.transform))
    names = find_layers(wanted, table)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for _, answers in answer(net, stimuli, names, Choice(tokens, pool), batch):
        for name, values in answers.items():
            parts[name].append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def shape_of(stimuli: Stimuli) -> tuple[int, ...] | None:
    """Return the shape of one stimulus (channel, …), or None for pictures."""
    return None if stimuli.pictures else tuple(np.shape(stimuli.raw(0)))


def answer(
    net: Net, stimuli: Stimuli, layers: Sequence[str], choice: Choice, batch: int = 32
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Yield rows, and what is kept of the layers' answers to them.

    The next batch is read while the net computes; two batches are held at a time.
    """
    starts = list(range(0, len(stimuli), batch))
    shown = [slice(start, min(start + batch, len(stimuli))) for start in starts]
    answers = record(net.module, layers, _ahead(net, stimuli, shown))
    for rows, found in zip(shown, answers, strict=True):
        yield rows, {layer: choice(layer, values) for layer, values in found.items()}


def _ahead(net: Net, stimuli: Stimuli, shown: list[slice]) -> Iterator[np.ndarray]:
    def read(rows: slice) -> np.ndarray:
        return stimuli.batch(range(rows.start, rows.stop), net.transform)

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, shown[0])
        for after in [*shown[1:], None]:
            batch = coming.result()
            if after is not None:
                coming = reader.submit(read, after)
            yield batch


def extract_to(
    folder: Path,
    net: Net,
    stimuli: Stimuli,
    layers: Sequence[str],
    *,
    choice: Choice | None = None,
    batch: int = 32,
    format: str = "npy",
    top: int = 5,
    progress: Callable[[int], None] = lambda _: None,
) -> Extracted:
    """Write features of layers into a folder as they come.

    Parameters
    ----------
    folder
        Where to; see `store.FeatureWriter`.
    net, stimuli, layers
        From `open_net`, `open_stimuli` and `find_layers`.
    choice
        What is kept of each layer.
    batch
        Stimuli at a time.
    format
        "npy", "hdf5" or "zarr".
    top
        How many stimuli to remember that drive each channel most.
    progress
        Called with the number of stimuli done.
    """
    activity = {layer: Activity() for layer in layers}
    best = {layer: TopStimuli(top) for layer in layers}
    with FeatureWriter(folder, len(stimuli), format) as writer:
        for rows, answers in answer(net, stimuli, layers, choice or Choice(), batch):
            writer.write(answers)
            for layer, values in answers.items():
                activity[layer].update(values)
                best[layer].update(values, rows.start)
            progress(rows.stop)
    return Extracted(writer.files, activity, best)
