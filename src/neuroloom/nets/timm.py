"""Nets of timm by name, where that package is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from neuroloom.core.errors import ConfigError, nearest

PREFIX = "timm/"
SOURCE = "Wightman 2019, doi:10.5281/zenodo.4414861"


def library(name: str, instead: str = "") -> Any:
    """Return timm, having looked up a net there.

    Parameters
    ----------
    name
        As timm has it, "resnet50" or with the weights meant, "resnet50.a1_in1k".
    instead
        What else serves where timm is not installed, a half-sentence.

    Raises
    ------
    ConfigError
        If timm is not installed, or knows no such net or weights.
    """
    if find_spec("timm") is None:
        other = f", or {instead}" if instead else ""
        said = f"model={PREFIX}{name} needs the package timm: pip install timm{other}."
        raise ConfigError(said)
    timm = import_module("timm")
    plain, _, tag = name.partition(".")
    if not timm.is_model(plain):
        raise ConfigError(f"timm has no '{plain}'.{nearest(plain, timm.list_models())}")
    known = timm.list_models(f"{plain}*", pretrained=True) if tag else []
    if tag and name not in known:
        raise ConfigError(f"timm has no weights '{tag}' of {plain}.{nearest(name, known)}")
    return timm
