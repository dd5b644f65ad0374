"""The pages; each is a file here, made of `pieces` in a `frame`, and asks `Studio` for everything.

A new page: a file with `register(studio)`, a line in `register` below, and, to stand in the
navigation, one in `frame.NAVIGATION`.
"""

from __future__ import annotations

from neuroloom.apps.studio.service import Studio


def register(studio: Studio, *, may_add_folders: bool) -> None:
    """Let NiceGUI know every page."""
    from neuroloom.apps.studio.pages import (
        compare,
        data,
        find,
        label,
        lost,
        models,
        recipe,
        run,
        runs,
    )

    for page in (find, recipe, runs, run, compare, models, label):
        page.register(studio)
    data.register(studio, may_add_folders=may_add_folders)
    lost.register(studio)
