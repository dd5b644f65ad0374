"""Signals: EEG, MEG, EMG and field potentials.

    from neuroloom.signals import Decode
    run = Decode(model="eegnet", events={"T1": "fists", "T2": "feet"}, split="run").run("bids/")

`decode`, `detect` (events), `stage` (sleep) and `pretrain` are recipes; `examples` cuts recordings
into trials or reads them whole; `steps` filter and reference them; `mending` finds and fills
artefacts; `explanation` says what a net looks at; `pretraining` is what a net without labels needs;
`measures` are what papers report; `models` names the nets and classical decoders; `simulate` makes
recordings with known sources.
"""

from __future__ import annotations

from typing import Any

RECIPES = {"Decode": "decode", "Detect": "detect", "Pretrain": "pretrain", "Stage": "stage"}
__all__ = ["Decode", "Detect", "Pretrain", "Stage"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.signals.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.signals' has no attribute '{name}'")
