"""Poses of animals: from some labelled frames to tracks, in two dimensions and in three.

    from neuroloom.pose import Estimate, Track
    run = Estimate(budget="10min").run("my-dlc-project/")
    run.predict("session.mp4", out="tracked/")

`nets` find keypoints in frames, `predict` in videos; `link` follows animals over time; `suggest`
and `doubt` say which frames to label or to look at again; `rig` calibrates cameras and lifts points
into space. `measures` has the numbers of a paper, `confidence` makes expected errors true.
"""

from __future__ import annotations

from typing import Any

RECIPES = {
    "Calibrate": "calibrate",
    "Estimate": "estimate",
    "Suggest": "suggest",
    "Track": "track",
    "Triangulate": "triangulate",
    "Volumetric": "volumetric",
}
__all__ = ["Calibrate", "Estimate", "Suggest", "Track", "Triangulate", "Volumetric"]


def __getattr__(name: str) -> Any:
    if name in RECIPES:
        from importlib import import_module

        return getattr(import_module(f"neuroloom.pose.{RECIPES[name]}"), name)
    raise AttributeError(f"module 'neuroloom.pose' has no attribute '{name}'")
