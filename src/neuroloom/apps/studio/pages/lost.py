"""What stands where no page is, or where one failed: what happened, and a way on."""

from __future__ import annotations

from fastapi import Request, Response
from nicegui import Client, app, ui

from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.pieces import missing
from neuroloom.apps.studio.service import Studio


def register(studio: Studio) -> None:
    """Replace NiceGUI's own pages for both."""

    @app.exception_handler(404)
    async def nothing(request: Request, error: Exception) -> Response:
        with Client(ui.page(""), request=request) as client, frame(studio, "Not found", ""):
            missing("There is no such page", f"Nothing is at {request.url.path}.", ("Find", "/"))
        return client.build_response(request, 404)

    @app.on_page_exception
    def failed(error: Exception) -> None:
        with frame(studio, "Failed", ""):
            missing(
                "This page failed",
                f"A fault of neuroloom itself: {type(error).__name__}: {error}. Runs go on.",
                ("Runs", "/runs"),
            )
