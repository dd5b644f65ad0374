"""What stands where no page is, or where one failed: what happened, and a way on."""

from __future__ import annotations

from fastapi import Request, Response
from nicegui import Client, app, ui

from neuroloom.apps.studio.pages.frame import frame, shell
from neuroloom.apps.studio.pages.pieces import missing
from neuroloom.apps.studio.pages.site import failed
from neuroloom.apps.studio.service import Studio


def register(studio: Studio) -> None:
    """Replace NiceGUI's own pages for both."""

    @app.exception_handler(404)
    async def nothing(request: Request, error: Exception) -> Response:
        with (
            Client(ui.page(""), request=request) as client,
            shell(studio),
            frame(studio, "Not found", ""),
        ):
            missing("There is no such page", f"Nothing is at {request.url.path}.", ("Find", "/"))
        return client.build_response(request, 404)

    @app.on_page_exception
    def broken(error: Exception) -> None:
        with shell(studio), frame(studio, "Failed", ""):
            failed(error)
