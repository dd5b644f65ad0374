"""Cognitive tasks, and networks that learn them.

    from neuroloom.cognition import Tasks, Train
    run = Train(task=["pycog-mante"], units=100, dale=0.8).run(out="runs/context")

`task` gives tasks of the library, `declare` makes new ones, `environment` turns any of them into a
Gymnasium environment. `nets` holds the networks, `learning` how they learn (curricula, rewards,
several tasks at once), `inside` what they do (fixed points, paths, lesions), `curves` psychometric
and chronometric curves.
"""

from __future__ import annotations

from typing import Any

RECIPES = {"Tasks": "tasks", "Train": "train"}
__all__ = ["Tasks", "Train"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.cognition.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.cognition' has no attribute '{name}'")
