"""What every page has around it: navigation, skip link, theme, and how busy the studio is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nicegui import context, ui

from neuroloom.apps.studio.pages.pieces import Tag, attend, box, link
from neuroloom.apps.studio.service import Studio

STATIC = Path(__file__).resolve().parents[1] / "static"
# Path and name of what stands in the navigation.
NAVIGATION = (
    ("/", "Find"), ("/data", "Data"), ("/label", "Label"), ("/runs", "Runs"), ("/models", "Models"),
)  # fmt: skip


@cache
def _head() -> str:
    marks = {
        name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
        for name in ("studio.css", "studio.js")
    }
    return (
        f'<script src="/static/studio.js?{marks["studio.js"]}"></script>'
        f'<link rel="stylesheet" href="/static/studio.css?{marks["studio.css"]}">'
    )


class Navigation(Tag):
    """The ways to the pages; the one that is open is marked."""

    def __init__(self) -> None:
        super().__init__("nav", "", "main", aria_label="Main")
        with self:
            self._links = {path: link(word, path) for path, word in NAVIGATION}

    def point(self, here: str) -> None:
        """Mark the page at this path."""
        for path, one in self._links.items():
            attend(one, aria_current="page" if path == here else None)


@contextmanager
def shell(studio: Studio) -> Iterator[None]:
    """Build what stays while pages change: navigation, skip link, theme, how busy it is."""
    ui.add_head_html(_head())
    with ui.header(wrap=False).classes("top"), box("top-inner"):
        link("neuroloom studio", "/", "brand")
        Navigation()
        busy = Tag("span", "", "small quiet busy", role="status")
        theme = Tag("button", "Theme", "plain", type="button", onclick="studioTheme()")
        attend(theme, aria_label="Theme: light or dark")
    with box("content") as content:
        yield
    ui.skip_link(target=content)

    def tell() -> None:
        jobs = studio.queue.all()
        running = sum(job.state in ("running", "stopping") for job in jobs)
        waiting = sum(job.state == "waiting" for job in jobs)
        said = [f"{n} {word}" for n, word in ((running, "running"), (waiting, "waiting")) if n]
        busy.set_text(", ".join(said))

    tell()
    ui.timer(2.0, tell)


@contextmanager
def frame(studio: Studio, name: str, here: str) -> Iterator[None]:
    """Build the content of a page called `name` under the navigation's path `here`."""
    client = context.client
    ui.page_title(f"{name} · neuroloom studio")
    for one in list(client.elements.values()):
        if isinstance(one, Navigation):
            one.point(here)
            break
    with box("page"):
        yield
    if client.has_socket_connection:  # a link was followed: readers and keys begin at its content
        client.run_javascript("studioArrived()")
