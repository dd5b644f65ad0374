"""One page for all addresses: a link changes what it shows, so that a click loads nothing anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from nicegui import ui
from nicegui.elements.sub_pages import SubPages

from neuroloom.apps.studio.pages.frame import frame, shell
from neuroloom.apps.studio.pages.pieces import missing
from neuroloom.apps.studio.service import Studio

Builder = Callable[..., Any]


class Site:
    """The pages by their addresses.

    Used as the pages' decorator: `@page("/runs/{id}")`; what stands in braces, and what follows the
    question mark of an address, are the builder's arguments.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.builders: dict[str, Builder] = {}

    def __call__(self, address: str) -> Callable[[Builder], Builder]:
        """Return the decorator of the page at an address."""

        def keep(builder: Builder) -> Builder:
            self.builders[address] = builder
            return builder

        return keep

    def serve(self) -> None:
        """Let NiceGUI answer at every address with the same page."""

        def site() -> None:
            with shell(self.studio):
                Content(self.studio, self.builders)

        for address in self.builders:
            ui.page(address)(site)


class Content(SubPages):
    """What the page shows at the present address."""

    def __init__(self, studio: Studio, builders: dict[str, Builder]) -> None:
        self._studio = studio
        super().__init__(builders)

    @staticmethod
    def _match_path(pattern: str, path: str) -> dict[str, str] | None:
        found = SubPages._match_path(pattern, path)
        return None if found is None else {name: unquote(text) for name, text in found.items()}

    def _render_404(self) -> None:
        with frame(self._studio, "Not found", ""):
            where = f"Nothing is at {self._router.current_path}."
            missing("There is no such page", where, ("Find", "/"))

    def _render_error(self, error: Exception) -> None:
        with self, frame(self._studio, "Failed", ""):
            failed(error)


def failed(error: Exception) -> None:
    """Say that a page failed, and a way on."""
    said = f"A fault of neuroloom itself: {type(error).__name__}: {error}. Runs go on."
    missing("This page failed", said, ("Runs", "/runs"))
