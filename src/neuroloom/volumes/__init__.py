"""Volumes and images, medical and microscopic: segment, classify, regress, synthesize, measure.

One command each, from a folder of images::

    neuroloom run volumes.segment DATA --budget 10min
    neuroloom run volumes.classify DATA --target sex
    neuroloom run volumes.regress DATA --target label:volume

`segment` plans a net by the data, the device and the time (its engine is `learn.dense`); `whole` is
what `classify` and `regress` share; `measures` scores predictions against the truth, `radiomics`
measures regions, `synthesize` makes images, `augment` changes them, `fuse` joins several labels.
"""

from __future__ import annotations

from typing import Any

RECIPES = {
    "Augment": "augment",
    "Classify": "classify",
    "Measure": "measure",
    "Radiomics": "radiomics.recipe",
    "Regress": "regress",
    "Segment": "segment",
    "Synthesize": "synthesize",
}
__all__ = ["Augment", "Classify", "Measure", "Radiomics", "Regress", "Segment", "Synthesize"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.volumes.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.volumes' has no attribute '{name}'")
