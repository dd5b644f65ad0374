"""What a model made of its data: a file in its viewer with the result on top, and links."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from neuroloom.apps.studio import views
from neuroloom.apps.studio.look import kind_of
from neuroloom.apps.studio.pages.pieces import Tag, box, later, link, note
from neuroloom.apps.studio.service import Studio
from neuroloom.core.errors import NeuroloomError

LINKED = 60


def address(one: dict[str, Any], of: str) -> str:
    """Return the page that shows a thing to look at; `of` is the run whose classes it has."""
    words = {"path": one["path"], "over": one["over"], "of": of}
    return f"/view?{urlencode({key: word for key, word in words.items() if word})}"


def first_shown(studio: Studio, rows: list[dict[str, Any]], head: str) -> None:
    """Build the viewer of the first of several, under a headline."""
    one = rows[0]
    with box("card", "section"):
        Tag("h2", head)
        Tag("p", one["name"], "mono small quiet")
        later("Opening", lambda: opened(studio, one["path"], one["over"]),
              lambda kind: show(studio, kind, one["path"], one["over"], one["names"]))  # fmt: skip


def opened(studio: Studio, path: str, over: str = "", kind: str = "") -> str:
    """Return the name of the viewer for a file, which it can show.

    Raises
    ------
    NeuroloomError
        If none shows it, or one of the files cannot be read.
    """
    file = studio.workspace.locate(path)
    name = kind or views.view_of(kind_of(file))
    if not name:
        raise views.nothing_shows(path)
    views.load(name).header(file)
    if over:
        studio.workspace.locate(over)
    return name


def show(studio: Studio, kind: str, path: str, over: str, names: dict[str, str]) -> None:
    """Build a viewer, and what the colours on top mean."""
    try:
        views.load(kind).show(studio, path, over)
    except NeuroloomError as error:
        note(str(error), "wrong")
        return
    if over and names:
        _legend(names)


def _legend(names: dict[str, str]) -> None:
    from neuroloom.learn.overlay import colours

    palette = colours(max(map(int, names)))
    with box("legend") as legend:
        legend.props["aria-label"] = "Colours"
        for number, name in names.items():
            red, green, blue = palette[int(number) - 1]
            with Tag("span", ""):
                Tag("i", "").style(f"background: rgb({red}, {green}, {blue}); height: 0.75rem")
                Tag("span", name)


def ways(rows: list[dict[str, Any]], head: str, of: str, text: str = "") -> None:
    """Build a list of things to look at, each with a way to its viewer."""
    with box("card", "section"):
        Tag("h2", head)
        if text:
            Tag("p", text, "small quiet")
        with box("plain stack", "ul"):
            for one in rows[:LINKED]:
                with box("row between", "li"):
                    Tag("span", one["name"], "mono")
                    link("Look", address(one, of), aria_label=f"Look at {one['name']}")
        if len(rows) > LINKED:
            Tag("p", f"{LINKED} of {len(rows)} are listed.", "small quiet")
