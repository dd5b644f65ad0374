"""Where nets come from: yours, the house's by name, a run, timm, transformers, an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.files import at_home
from neuroloom.representation.stimuli import Transform

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = ("timm", "torchvision", "transformers")
FETCH = "pretrained"


@dataclass(frozen=True)
class Net:
    """A net that can be looked into.

    Attributes
    ----------
    module
        A torch module in evaluation mode, or an `OnnxNet`.
    name
        What it is called in tables and reports.
    transform
        How a picture becomes its input; None for arrays, which go in as they are.
    weights
        Where its weights come from, in words.
    facts
        More to report: label -> value.
    """

    module: Any
    name: str
    transform: Transform | None = None
    weights: str = "as given"
    facts: dict[str, str] = field(default_factory=dict)


def open_net(
    model: str | Path | nn.Module,
    shape: Sequence[int] | None = None,
    *,
    size: int | None = None,
    weights: str | None = None,
    seed: int = 1,
    rate: float = 100.0,
) -> Net:
    """Return the net that a name, a file, a run or a module stands for.

    Parameters
    ----------
    model
        A torch module; a model of the house ("grid/resnet18", "eegnet": see `neuroloom models`);
        the folder of a run that trained a net; an `.onnx` file; a folder with a model of
        transformers (`config.json`); "timm/NAME", "torchvision/NAME" or "transformers/NAME", where
        those packages are installed.
    shape
        (channel, *axes) of one stimulus; None for pictures.
    size
        Side of pictures in pixels; what the net asks for, or 224, if None.
    weights
        A file of weights (`.safetensors`, or `.pt`/`.pth` with tensors alone); "pretrained" lets
        timm, torchvision or transformers fetch theirs. Without it, nets of the house and of those
        packages have random weights of `seed`; a run, an ONNX file or a folder has its own.
    rate
        Samples a second, for nets of signals.

    Raises
    ------
    ConfigError, DataError
        If there is no such net, or the weights do not fit; the message says what is nearest.

    Examples
    --------
    >>> open_net("grid/resnet18", size=64).weights
    'random, seed 1'
    """
    if not isinstance(model, str | Path):
        module = model.eval()
        net = Net(module, type(module).__name__, _usual(size, shape))
    elif str(model).lower().endswith(".onnx"):
        net = _from_onnx(Path(model), shape, size)
    elif (Path(model) / "recipe.yaml").is_file():
        net = _from_run(Path(model), shape)
    elif (Path(model) / "config.json").is_file():
        net = _from_transformers(str(model), weights, seed, size, shape)
    else:
        net = _from_name(str(model), shape, size, weights, seed, rate)
    if weights and weights != FETCH:
        load_weights(net.module, Path(weights))
        net = Net(net.module, net.name, net.transform, Path(weights).name, net.facts)
    return net


def is_own(model: str) -> bool:
    """Tell whether a net is one of the user's own files or folders, not one known by its name."""
    folder = at_home(model)
    marks = (folder / name for name in ("recipe.yaml", "config.json"))
    return model.lower().endswith(".onnx") or any(mark.is_file() for mark in marks)


def _usual(size: int | None, shape: Sequence[int] | None, **more: Any) -> Transform | None:
    return None if shape is not None else Transform((size or 224, size or 224), **more)


def _from_name(
    model: str, shape: Sequence[int] | None, size: int | None, weights: str | None, seed: int,
    rate: float,
) -> Net:  # fmt: skip
    library, _, name = model.partition("/")
    if library in LIBRARIES and name:
        if find_spec(library) is None:
            raise ConfigError(
                f"model={model}: the package {library} is not installed here; `pip install "
                f"{library}`, or export the net as ONNX and name that file."
            )
        makers: dict[str, Callable[..., Net]] = {
            "timm": _from_timm, "torchvision": _from_vision, "transformers": _from_transformers,
        }  # fmt: skip
        return makers[library](name, weights, seed, size, shape)
    return _from_house(model, shape, size, seed, rate)


def _from_house(
    model: str, shape: Sequence[int] | None, size: int | None, seed: int, rate: float
) -> Net:
    from neuroloom.learn.explain import reinitialise
    from neuroloom.learn.model import find_model

    known = registry.names("model")
    if model not in known:
        alike = [name for name in known if name.rpartition("/")[2] == model]
        hint = f" Did you mean '{alike[0]}'?" if alike else nearest(model, known)
        raise ConfigError(
            f"No model, run or file is called '{model}'.{hint} `neuroloom models` lists the nets "
            f"of the house; others are timm/NAME, torchvision/NAME, transformers/NAME, a run, or "
            "an .onnx file."
        )
    found = find_model(model)
    if not found.is_net:
        raise ConfigError(f"model={model} is no net: it has no layers to look at.")
    transform = _usual(size, shape)
    channels, *axes = shape or (3, *(transform.size if transform else ()))
    names = [str(k) for k in range(channels)]
    facts = {"channels": names, "shape": tuple(axes), "n_times": axes[-1], "rate": rate}
    # Nets of signals are else made for crops of the trace.
    whole: dict[str, Any] = {} if "/" in model else {"crop": 1.0, "crops": 1}
    try:
        learner = found.make(facts, "classification", 2, **whole)
        module = reinitialise(learner.model.nets[0], seed).eval()
    except (KeyError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"model={model} cannot be built from the shape of stimuli alone ({error}); train it "
            "with its recipe, and name the run."
        ) from error
    return Net(module, model, transform, f"random, seed {seed}", {"Source": found.source})


def _from_run(folder: Path, shape: Sequence[int] | None) -> Net:
    from neuroloom.learn.store import load_ensemble

    file = folder / "model.safetensors"
    if not file.is_file():
        raise ConfigError(f"{folder} trained no net: it has no model.safetensors.")
    ensemble = load_ensemble(file)
    learners = [learner for members in ensemble.members.values() for learner in members]
    learner = learners[0]
    if not hasattr(learner, "as_module"):
        raise ConfigError(f"{folder}: {ensemble.model} is no net; it has no layers to look at.")
    wanted = tuple(getattr(learner, "shape", ()))
    transform = None
    if shape is None and len(wanted) == 2:
        # Trained on images that were standardised one by one.
        channels = int(getattr(learner, "n_channels", 3))
        size = (int(wanted[0]), int(wanted[1]))
        transform = Transform(size, channels, (0.0,) * channels, (1.0,) * channels, None, True)
    kind = f"first of {len(learners)} fits" if len(learners) > 1 else "the only fit"
    facts = {"Run": folder.name, "Member": kind}
    return Net(learner.as_module(), ensemble.model, transform, f"trained in {folder.name}", facts)


def _from_timm(
    name: str, weights: str | None, seed: int, size: int | None, shape: Sequence[int] | None
) -> Net:
    from neuroloom.learn.training.fit import own_randomness
    from neuroloom.nets.timm import library

    timm = library(name)
    with own_randomness(seed):
        module = timm.create_model(name, pretrained=weights == FETCH).eval()
    config = module.pretrained_cfg
    side = size or int(config.get("input_size", (3, 224, 224))[-1])
    transform = _usual(
        side, shape, mean=tuple(config["mean"]), spread=tuple(config["std"]),
        crop=float(config.get("crop_pct", 0.875)),
    )  # fmt: skip
    return Net(module, f"timm/{name}", transform, _told(weights, seed))


def _from_vision(
    name: str, weights: str | None, seed: int, size: int | None, shape: Sequence[int] | None
) -> Net:
    from neuroloom.learn.training.fit import own_randomness

    # The user asked for it by name; nothing of ours needs it.
    models = import_module("torchvision.models")
    if name not in models.list_models():
        raise ConfigError(f"torchvision has no '{name}'.{nearest(name, models.list_models())}")
    with own_randomness(seed):
        module = models.get_model(name, weights="DEFAULT" if weights == FETCH else None).eval()
    return Net(module, f"torchvision/{name}", _usual(size, shape), _told(weights, seed))


def _from_transformers(
    name: str, weights: str | None, seed: int, size: int | None, shape: Sequence[int] | None
) -> Net:
    from neuroloom.learn.training.fit import own_randomness

    if find_spec("transformers") is None:
        raise ConfigError(f"{name} needs the package transformers: pip install transformers.")
    library = import_module("transformers")
    local = weights != FETCH
    try:
        config = library.AutoConfig.from_pretrained(name, local_files_only=local)
        here = not Path(name).is_dir() or any(Path(name).glob("*.safetensors"))
        with own_randomness(seed):
            if here:
                whole = library.AutoModel.from_pretrained(
                    name, local_files_only=local, use_safetensors=True
                )
            else:
                whole = library.AutoModel.from_config(config)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"transformers cannot open '{name}' ({str(error).splitlines()[0]}). Name a folder with "
            "config.json, or say weights=pretrained to let it fetch."
        ) from error
    # Of models of pictures and words, what sees the pictures.
    module = getattr(whole, "vision_model", whole).eval()
    vision = getattr(config, "vision_config", config)
    side = size or int(getattr(vision, "image_size", 224))
    transform = _usual(side, shape, **_processing(Path(name)))
    source = "from its folder" if here and Path(name).is_dir() else _told(weights, seed)
    return Net(module, f"transformers/{Path(name).name}", transform, source)


def _processing(folder: Path) -> dict[str, Any]:
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        return {}
    known = json.loads(file.read_text(encoding="utf-8"))
    pairs = (("mean", "image_mean"), ("spread", "image_std"))
    found: dict[str, Any] = {ours: tuple(known[key]) for ours, key in pairs if key in known}
    return found | {"crop": 1.0 if known.get("do_center_crop") else None}


def _from_onnx(path: Path, shape: Sequence[int] | None, size: int | None) -> Net:
    from neuroloom.representation.onnxfile import OnnxNet

    net = OnnxNet(path)
    wanted = net.shape[1:]
    transform = None
    if shape is None and len(wanted) == 3:
        channels = wanted[0] or 3
        tall, wide = (side or size or 224 for side in wanted[1:])
        transform = Transform((tall, wide), 1 if channels == 1 else 3)
    return Net(net, path.name, transform, "in the file", {"Opset": str(net.opset)})


def _told(weights: str | None, seed: int) -> str:
    return "as published" if weights == FETCH else f"random, seed {seed}"


def load_weights(module: Any, path: Path) -> None:
    """Load a file of weights into a torch module.

    Raises
    ------
    DataError
        If the file is no file of tensors, or names and shapes do not fit.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ConfigError("weights: an ONNX file has its own; leave `weights` out.")
    state = read_weights(path)
    mine = module.state_dict()
    lacking = [name for name in mine if name not in state]
    odd = [
        name for name, value in state.items() if name in mine and mine[name].shape != value.shape
    ]
    if lacking or odd:
        name = (lacking or odd)[0]
        hint = nearest(name, state) if lacking else f" Its shape is {tuple(state[name].shape)}."
        raise DataError(
            f"{path.name} does not fit the net: {len(lacking)} weights are missing and {len(odd)} "
            f"have another shape; '{name}' is expected as {tuple(mine[name].shape)}.{hint}"
        )
    module.load_state_dict({name: state[name] for name in mine})


def read_weights(path: Path) -> dict[str, Any]:
    """Return the tensors of a `.safetensors`, or of a `.pt`/`.pth` that holds tensors alone.

    Raises
    ------
    DataError
        If it cannot be read without running code of the file.
    """
    import torch

    if not path.is_file():
        raise ConfigError(f"weights: there is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path.name}: is no file of tensors alone ({reason}).") from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict):
        raise DataError(f"{path.name}: holds a {type(found).__name__}, expected named tensors.")
    return {
        name.removeprefix("module."): value
        for name, value in found.items()
        if isinstance(value, torch.Tensor | np.ndarray)
    }
