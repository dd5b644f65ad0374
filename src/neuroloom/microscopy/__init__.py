"""Microscopy: axons and myelin measured one by one, classic segmentation as named pipelines.

    from neuroloom.microscopy import Measure, Threshold
    from neuroloom.microscopy.morphometry import morphometry
    table = morphometry(axon, myelin, pixel_size_um=0.07)

`morphometry` measures axons, `measures` sums them up; `pipelines` are thresholding workflows as
data (recipe `Threshold`); `instances` turns probability maps into objects; `curate` corrects masks
by hand.
"""

from __future__ import annotations

from typing import Any

RECIPES = {"Measure": "measure", "Threshold": "threshold"}
__all__ = ["Measure", "Threshold"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.microscopy.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.microscopy' has no attribute '{name}'")
