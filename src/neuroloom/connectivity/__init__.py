"""Networks: graphs out of signals, and nets on graphs.

    from neuroloom.connectivity import Causal
    run = Causal().run("roi_signals/", out="runs/causal")
    run.metrics

`reading` brings signals from .mat, text and NIfTI with an atlas; `choose` lets unseen frames decide
for a family, lag and penalty; `methods` draws graphs by name (`linear`, `static`, `nets`);
`evidence` tests their edges; `measures` scores them against a known graph; `simulate` makes
networks whose graph is known.
"""

from __future__ import annotations

from typing import Any

RECIPES = {"Causal": "causal", "Graphs": "graphs"}
__all__ = ["Causal", "Graphs"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.connectivity.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.connectivity' has no attribute '{name}'")
