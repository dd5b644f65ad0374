"""Signals: EEG, MEG, EMG and field potentials.

    from neuroloom.signals import Decode
    run = Decode(model="eegnet", events={"T1": "fists", "T2": "feet"}, split="run").run("bids/")

`decode` is the recipe; `data` cuts recordings into examples; `steps` filter and reference them;
`models` names the nets and classical decoders; `simulate` makes recordings with known sources.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Decode"]


def __getattr__(name: str) -> Any:
    if name == "Decode":
        from neuroloom.signals.decode import Decode

        return Decode
    raise AttributeError(f"module 'neuroloom.signals' has no attribute '{name}'")
