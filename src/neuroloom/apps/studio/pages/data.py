"""Data: point at a folder, see what was recognised and what is odd, look inside."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import ui

from neuroloom.apps.studio import views
from neuroloom.apps.studio.look import Item, Look
from neuroloom.apps.studio.pages import outcome
from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.picker import dropzone, pick
from neuroloom.apps.studio.pages.pieces import (
    Tag,
    attend,
    box,
    button,
    empty,
    facts,
    later,
    link,
    note,
    title,
)
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import readable
from neuroloom.core import registry

LISTED = 60


def register(studio: Studio, page: Site, *, may_add_folders: bool) -> None:
    """Make the pages."""

    @page("/data")
    def data(path: str = "") -> None:
        with frame(studio, "Data", "/data"):
            title("Data", "Point at a file or folder; nothing in it is changed.")
            _choose(studio, path, may_add_folders)
            if path:
                later("Looking", lambda: studio.look(path), _show, _no_data)
            else:
                _start(studio)

    @page("/view")
    def view(path: str = "", kind: str = "", over: str = "", of: str = "") -> None:
        with frame(studio, path.rpartition("/")[2], "/data"):
            title(path.rpartition("/")[2])
            Tag("p", path, "mono quiet")

            def open_it(found: str) -> None:
                outcome.show(studio, found, path, over, studio.class_names(of) if of else {})

            later("Opening", lambda: outcome.opened(studio, path, over, kind), open_it, _not_shown)


def _not_shown(message: str) -> None:
    empty("This cannot be shown here", message, ("Back to the data", "/data"))


def _choose(studio: Studio, path: str, may_add_folders: bool) -> None:
    with box("card", "section"):
        with box("search", "form") as form:
            attend(form, method="get", action="/data")
            typed = Tag("input", "", type="text", name="path", value=path, autocomplete="off")
            attend(typed, aria_label="File or folder", placeholder="a path in the workspace")
            Tag("button", "Look", "main", type="submit")

        async def browse() -> None:
            chosen = await pick(studio)
            if chosen:
                ui.navigate.to(f"/data?path={quote(chosen)}")

        def add(folder: str) -> None:
            added = studio.workspace.add_data(folder)
            ui.navigate.to(f"/data?path={quote(studio.workspace.shown(added))}")

        with box("row"):
            button("Browse", browse)
            if may_add_folders:
                _adder(add)


def _adder(add: object) -> None:
    """Build the field that lets another folder of this machine be read."""
    typed = {"text": ""}
    with box("", "details"):
        Tag("summary", "Add a folder of this computer")
        with box("row"):
            with box("grow"):
                field = Tag("input", "", type="text", autocomplete="off")
                attend(field, aria_label="Folder to add", placeholder="/data/recordings")
            field.on(
                "input", lambda e: typed.update(text=str(e.args)),
                js_handler="(e) => emit(e.target.value)",
            )  # fmt: skip
            button("Add", lambda: add(typed["text"]))  # type: ignore[operator]


def _start(studio: Studio) -> None:
    with box("two"):
        with box("card", "section"):
            Tag("h2", "Folders that may be read")
            with box("plain stack", "ul"):
                for root in studio.workspace.roots:
                    path = studio.workspace.shown(root)
                    with box("", "li"):
                        link(str(root), f"/data?path={quote(path)}", "mono")
        with box("card", "section"):
            Tag("h2", "Bring files")

            def show(path: str) -> None:
                ui.navigate.to(f"/data?path={quote(path)}")

            dropzone(studio, "Drop files here", show)


def _no_data(message: str) -> None:
    empty("Nothing to see there", message, ("Data", "/data"))


def _show(found: Look) -> None:
    if not found.counts:
        empty(
            "Nothing here that neuroloom reads",
            "It reads EEG and other signals (EDF, BrainVision, FIF, …), images and volumes "
            "(NIfTI, DICOM, TIFF, …), videos, labelled projects, tracks and tables.",
        )
        return
    with box("two"):
        with box("card", "section"):
            Tag("h2", "What was recognised")
            counts = ", ".join(f"{n} {kind}" for kind, n in found.counts.items())
            rows = [("layout", found.layout), ("files", counts)]
            rows += [("subjects", _some(found.subjects))] if found.subjects else []
            rows += [("sessions", _some(found.sessions))] if found.sessions else []
            labels = [f"{name} ({n})" for name, n in found.labels.items()]
            rows += [("events", _some(labels))] if labels else []
            facts(rows)
        with box("card", "section"):
            Tag("h2", "What you can do with it")
            said = {name: _summary(name) for name in found.recipes}
            with box("plain stack", "ul"):
                for name in found.recipes:
                    with box("", "li"):
                        link(said[name], f"/recipe/{name}?data={quote(found.path)}")
                if {"image", "video", "signal", "labels"} & set(found.counts):
                    with box("", "li"):
                        link("Label them by hand", f"/label?path={quote(found.path)}")
            if not found.recipes:
                Tag("p", "No recipe reads such files.", "quiet")
    for text in found.notes[:12]:
        note(text, "warning")
    _files(found)


def _summary(name: str) -> str:
    text = str(registry.load("recipe", name).summary)
    return f"{text[:1].upper()}{text[1:]}"


def _files(found: Look) -> None:
    if not found.items:
        return
    with box("card", "section"):
        Tag("h2", "Files")
        with box("scroll") as scroll, box("plain", "table"):
            Tag("caption", "Files that were recognised", "hidden-text")
            with box("", "thead"), box("", "tr"):
                for name in ("file", "kind", "subject", "session", "size", ""):
                    Tag("th", name or " ", scope="col")
            with box("", "tbody"):
                for item in found.items[:LISTED]:
                    with box("", "tr"):
                        _file_cells(item)
        attend(scroll, tabindex="0", role="region", aria_label="Files")
        if len(found.items) > LISTED:
            Tag("p", f"{LISTED} of {len(found.items)} files are shown.", "small quiet")


def _file_cells(item: Item) -> None:
    keys = (item.keys.get("subject", ""), item.keys.get("session", ""))
    Tag("th", item.name, "row-head", scope="row")
    for cell in (item.kind, *keys, readable(item.size)):
        Tag("td", cell)
    with box("", "td"):
        if views.view_of(item.kind):
            link("Look", f"/view?path={quote(item.path)}", aria_label=f"Look at {item.name}")


def _some(words: list[str], most: int = 20) -> str:
    shown = ", ".join(words[:most])
    return f"{shown} and {len(words) - most} more" if len(words) > most else shown
