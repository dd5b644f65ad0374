"""Representations: what nets and brains make of stimuli, and how alike it is.

    from neuroloom.representation import Compare, Extract, extract_features
    features = extract_features(net, "pictures/", ["layer3"])
    run = Extract(model="grid/resnet18").run("pictures/")

`features` goes from stimuli to features, `layers` and `sources` know nets; `rsa` has RDMs, CKA,
ceilings and tests, `mapping` encoding, decoding, probing and alignment, `seeing` saliency,
receptive fields and preferred stimuli.
"""

from __future__ import annotations

from typing import Any

PLACES = {
    "Compare": "compare",
    "Extract": "extract",
    "extract_features": "features",
    "rdm": "rsa.rdm",
}
__all__ = ["Compare", "Extract", "extract_features", "rdm"]


def __getattr__(name: str) -> Any:
    if name in PLACES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.representation.{PLACES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.representation' has no attribute '{name}'")
