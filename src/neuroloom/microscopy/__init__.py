"""Microscopy: segmented by nets or by named pipelines; axons and myelin measured one by one.

    from neuroloom.microscopy import Axon, Measure, Segment, Threshold
    run = Segment(budget="5min").run("em/")
    from neuroloom.microscopy.morphometry import morphometry
    table = morphometry(axon, myelin, pixel_size_um=0.07)

`segment` learns any structure, `axon` axons and myelin; `morphometry` measures axons, `measures`
sums them up; `pipelines` are thresholding workflows as data (recipe `Threshold`); `instances` turns
probability maps into objects; `curation` corrects masks by hand (recipe `Curate`).
"""

from __future__ import annotations

from typing import Any

RECIPES = {
    "Axon": "axon", "Curate": "curate", "Measure": "measure", "Segment": "segment",
    "Threshold": "threshold",
}  # fmt: skip
__all__ = ["Axon", "Curate", "Measure", "Segment", "Threshold"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.microscopy.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.microscopy' has no attribute '{name}'")
