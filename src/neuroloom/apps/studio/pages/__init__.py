"""The pages; each is a file here, made of `pieces` in a `frame`, and asks `Studio` for everything.

A new page: a file with `register(studio, page)`, its name in `register` below, and, to stand in the
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
    from neuroloom.apps.studio.pages.site import Site

    site = Site(studio)
    for each in (find, recipe, runs, run, compare, models, label):
        each.register(studio, site)
    data.register(studio, site, may_add_folders=may_add_folders)
    site.serve()
    lost.register(studio)
