"""Classic segmentation as named pipelines, no training.

    from neuroloom.microscopy.pipelines import PIPELINES, run_pipeline
    labels = run_pipeline("nuclei", image)

A pipeline is a list of steps with parameters (`engine`); `named` has one for each of many
structures; `smooth`, `filters`, `masks` and `objects` hold what steps do, as pure functions.
"""

from __future__ import annotations

from neuroloom.microscopy.pipelines.engine import STEPS, check_steps, read_pipeline, run_pipeline
from neuroloom.microscopy.pipelines.named import PIPELINES, steps_of

__all__ = ["PIPELINES", "STEPS", "check_steps", "read_pipeline", "run_pipeline", "steps_of"]
