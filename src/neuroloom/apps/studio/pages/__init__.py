"""The pages; each is a file here, made of pieces of `frame`, and asks `Studio` for everything."""

from __future__ import annotations

from neuroloom.apps.studio.service import Studio


def register(studio: Studio, *, may_add_folders: bool) -> None:
    """Let NiceGUI know every page."""
