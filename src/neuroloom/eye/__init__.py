"""Eyes in videos: pupils measured, blinks and light reflexes found, gaze by a model of the eyeball.

    from neuroloom.eye import Gaze, Pupil
    run = Pupil().run("eye.mp4")
    run = Gaze(focal=400).run("eye.mp4")

`render` makes eyes with exact truth; `nets` and `training` learn from them, `weights` holds what
they learnt; `ellipse` fits rims, `pupils` turns maps into ellipses, `eyeball` ellipses into gaze,
`measures` finds blinks, reflexes and saccades in the table of frames.
"""

from __future__ import annotations

from typing import Any

RECIPES = {"Gaze": "gaze", "Pupil": "pupil", "Train": "train"}
__all__ = ["Gaze", "Pupil", "Train"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.eye.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.eye' has no attribute '{name}'")
