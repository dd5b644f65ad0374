"""The tasks of the field, written anew from their papers: name -> file and object.

Nothing is imported before a task is asked for.
"""

from __future__ import annotations

TASKS: dict[str, str] = {
    "perceptual-discrimination": "psychrnn:perceptual_discrimination",
}
