"""The layers of a net by name, and what they answer, batch by batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.representation.onnxfile import OnnxNet

if TYPE_CHECKING:
    from torch import Tensor, nn


PLAIN = ("Norm", "ReLU", "ELU", "SiLU", "Pool", "Flatten", "Sigmoid", "Tanh", "Softmax")


def list_layers(module: Any, example: np.ndarray) -> pd.DataFrame:
    """Return the layers of a net in the order in which they first answer.

    Parameters
    ----------
    module
        A torch module or an `OnnxNet`.
    example
        Shape (n, …): a stimulus or two.

    Returns
    -------
    A row a layer: layer, kind, shape (of one stimulus), units, weights, calls.

    Raises
    ------
    DataError
        If the net cannot take the stimulus.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    >>> list_layers(net, np.zeros((1, 3), np.float32))["layer"].tolist()
    ['0', '1']
    """
    if isinstance(module, OnnxNet):
        found = module.run(_repeated(example, module.fixed_batch), list(module.layers))
        rows = [_row(name, module.kinds[name], value, 0, 1) for name, value in found.items()]
        return pd.DataFrame(rows)
    answers: dict[str, list[Any]] = {}
    hooks = [
        inner.register_forward_hook(_keep(answers, name))
        for name, inner in module.named_modules()
        if name and "parametrizations" not in name
    ]
    try:
        forward(module, example)
    finally:
        for hook in hooks:
            hook.remove()
    rows = []
    for name, inner in module.named_modules():
        if answers.get(name):
            weights = sum(weight.numel() for weight in inner.parameters())
            value, calls = answers[name][0], len(answers[name])
            rows.append(_row(name, type(inner).__name__, value, weights, calls))
    return pd.DataFrame(rows)


def _row(name: str, kind: str, value: Any, weights: int, calls: int) -> dict[str, Any]:
    shape = tuple(value.shape[1:])
    text = " x ".join(map(str, shape)) or "1"
    units = int(np.prod(shape)) if shape else 1
    row = {"layer": name, "kind": kind, "shape": text, "units": units}
    return row | {"weights": weights, "calls": calls}


def _keep(answers: dict[str, list[Any]], name: str) -> Callable[..., None]:
    def hook(_: Any, __: Any, output: Any) -> None:
        value = tensor_of(output)
        if value is not None and value.ndim:
            answers.setdefault(name, []).append(value)

    return hook


def tensor_of(output: Any) -> Tensor | None:
    """Return the tensor in what a layer gives: itself, the first of several, a named state."""
    import torch

    if isinstance(output, torch.Tensor):
        return output
    for key in ("last_hidden_state", "logits", "pooler_output"):
        if getattr(output, key, None) is not None:
            return tensor_of(getattr(output, key))
    inside: Iterable[Any] = ()
    if isinstance(output, dict):
        inside = output.values()
    elif isinstance(output, tuple | list):
        inside = output
    return next((found for x in inside if (found := tensor_of(x)) is not None), None)


def forward(module: nn.Module, x: np.ndarray) -> Any:
    """Return what a net gives for stimuli (n, …), without gradients.

    Raises
    ------
    DataError
        If they do not fit; the message has their shape.
    """
    import torch

    tensor = torch.as_tensor(np.ascontiguousarray(x)).to(_place(module))
    try:
        with torch.inference_mode():
            return module(tensor)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise DataError(
            f"The net cannot take stimuli of the shape {tuple(x.shape)}: "
            f"{str(error).splitlines()[0]}."
        ) from error


def _place(module: nn.Module) -> Any:
    import torch

    first = next(iter(module.parameters()), None)
    return first.device if first is not None else torch.device("cpu")


def find_layers(wanted: Sequence[str], layers: pd.DataFrame) -> list[str]:
    """Return the full names of layers.

    Parameters
    ----------
    wanted
        Names, ends of names that fit one layer ("layer3" for "encoder.layer3"), or globs
        ("layer?", "*.conv1"). None given: `usual_layers`.
    layers
        Of `list_layers`.

    Raises
    ------
    ConfigError
        If a name fits none, or several; with the nearest.

    Examples
    --------
    >>> table = pd.DataFrame({"layer": ["encoder.conv1", "encoder.layer3"]})
    >>> find_layers(["layer3"], table)
    ['encoder.layer3']
    """
    known = layers["layer"].tolist()
    if not wanted:
        return usual_layers(layers)
    found: list[str] = []
    for name in wanted:
        found += _fitting(name, known)
    return list(dict.fromkeys(found))


def _fitting(name: str, known: list[str]) -> list[str]:
    if name in known:
        return [name]
    if any(sign in name for sign in "*?["):
        if fitting := [one for one in known if fnmatchcase(one, name)]:
            return fitting
        raise ConfigError(f"layers: '{name}' fits none of the net's {len(known)} layers.")
    ends = [one for one in known if one.endswith((f".{name}", f"/{name}"))]
    if len(ends) == 1:
        return ends
    if ends:
        raise ConfigError(f"layers: '{name}' may be {', '.join(ends[:6])}; name one of them.")
    short = {one.rpartition(".")[2]: one for one in reversed(known)} | {one: one for one in known}
    hint = nearest(name, short)
    some = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
    raise ConfigError(f"layers: the net has no '{name}'.{hint} It has {len(known)}: {some}.")


def usual_layers(layers: pd.DataFrame, most: int = 8) -> list[str]:
    """Return layers that stand for the depth of a net: at most `most`, the last one included.

    The outermost ones; while there are fewer than four, or one has nearly all weights, the one with
    most weights is replaced by what it is made of. Dropout and identities are left out; so are
    norms, pools and nonlinearities where three others are left.
    """
    rows = layers[~layers["kind"].str.contains("Dropout|Identity")]
    weight = dict(zip(rows["layer"], rows["weights"], strict=True))
    inside: dict[str, list[str]] = {}
    for name in weight:
        above = [one for one in weight if name.startswith(f"{one}.")]
        inside.setdefault(max(above, key=len, default=""), []).append(name)
    names = inside.get("", list(weight))
    while open_ones := [one for one in names if one in inside]:
        widest = max(open_ones, key=lambda one: weight[one])
        if len(names) >= 4 and weight[widest] < 0.9 * sum(weight[one] for one in names):
            break
        place = names.index(widest)
        names = [*names[:place], *inside[widest], *names[place + 1 :]]
    kinds = dict(zip(rows["layer"], rows["kind"], strict=True))
    working = [name for name in names if not any(word in kinds[name] for word in PLAIN)]
    names = working if len(working) >= 3 else names
    steps = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[step] for step in dict.fromkeys(steps.tolist())]


class _EnoughError(Exception):
    """Raised once all layers have answered: what follows is not computed."""


def record(
    module: Any, layers: Sequence[str], batches: Iterable[np.ndarray]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield what layers answer to each batch: layer -> (n, …), as a plain forward hook has it.

    A layer that is called several times gives its last answer. Once the last of the layers has
    answered, the rest of the net is not computed.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    >>> next(record(net, ["1"], [np.ones((2, 3), np.float32)]))["1"].shape
    (2, 4)
    """
    if isinstance(module, OnnxNet):
        for x in batches:
            yield _padded_run(module, x, layers)
        return
    inner = dict(module.named_modules())
    answers: dict[str, list[Any]] = {}
    calls: dict[str, int] = {}
    hooks = [inner[name].register_forward_hook(_count(answers, calls, name)) for name in layers]
    try:
        for x in batches:
            answers.clear()
            with contextlib.suppress(_EnoughError):
                forward(module, x)
            # Only layers that are called once tell by their answer that they are done.
            if not calls and all(len(answers.get(name, ())) == 1 for name in layers):
                calls |= dict.fromkeys(layers, 1)
            yield {name: _to_array(name, answers) for name in layers}
    finally:
        for hook in hooks:
            hook.remove()


def _count(answers: dict[str, list[Any]], calls: dict[str, int], name: str) -> Callable[..., None]:
    def hook(_: Any, __: Any, output: Any) -> None:
        value = tensor_of(output)
        # A copy: what follows may change the layer's answer in place (ReLU often does).
        copied = None if value is None else value.detach().to("cpu", copy=True)
        answers.setdefault(name, []).append(copied)
        if calls and all(key in answers for key in calls):
            raise _EnoughError

    return hook


def _to_array(name: str, answers: dict[str, list[Any]]) -> np.ndarray:
    value = answers[name][-1] if answers.get(name) else None
    if value is None:
        raise DataError(f"Layer '{name}' gave no tensor; choose another.")
    return (value.float() if value.is_floating_point() and value.itemsize < 4 else value).numpy()


def _repeated(x: np.ndarray, size: int) -> np.ndarray:
    return x if not size else np.resize(x, (size, *x.shape[1:]))


def _padded_run(net: OnnxNet, x: np.ndarray, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """Run a file that insists on so many stimuli at a time."""
    size = net.fixed_batch
    if not size:
        return net.run(x, layers)
    parts = []
    for start in range(0, len(x), size):
        piece = x[start : start + size]
        found = net.run(_repeated(piece, size), layers)
        parts.append({name: value[: len(piece)] for name, value in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in layers}
