"""Label: what can be labelled here, what has begun, and a bench for each kind."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any
from urllib.parse import quote

from nicegui import ui

from neuroloom.apps.studio.labels.desk import KINDS
from neuroloom.apps.studio.pages.frame import STATIC, frame
from neuroloom.apps.studio.pages.label_begin import begin_form
from neuroloom.apps.studio.pages.pieces import (
    Bar,
    Tag,
    attend,
    box,
    button,
    confirmed,
    empty,
    later,
    link,
    missing,
    say,
    title,
)
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio

WORDS = {
    "keypoints": "Keypoints on frames",
    "masks": "Masks on slices",
    "bouts": "Events and bouts",
    "classes": "Classes of images",
}
SCRIPTS = ("label.js", "label-keypoints.js", "label-masks.js", "label-bouts.js", "label-classes.js")
LEAD = (
    "Keypoints on frames, masks on slices, behaviour over time, classes of images. Sources stay as "
    "they are; every correction is saved at once and logged."
)


def register(studio: Studio, page: Site) -> None:
    """Make the pages."""

    @page("/label")
    def label(path: str = ".") -> None:
        with frame(studio, "Label", "/label"):
            title("Label", LEAD)
            begun = later("Looking for labelling that has begun", studio.desk.all, _show_begun)
            attend(begun, role="region", aria_label="Begun")
            _choose(path)
            later("Looking for what can be labelled", lambda: studio.desk.offers(path), _offers)

    def _show_begun(lines: list[dict[str, Any]]) -> None:
        if not lines:
            return
        Tag("h2", "Begun")
        with box("cards"):
            for line in lines[:60]:
                _card(studio, line)

    @page("/label/new")
    def new(data: str = "", kind: str = "") -> None:
        with frame(studio, "New labelling", "/label"):
            title(f"Label {data.rpartition('/')[2]}", WORDS.get(kind, ""))
            Tag("p", data, "mono quiet")
            begin_form(studio, data, kind)

    @page("/label/{id}")
    def bench(id: str) -> None:
        with frame(studio, id, "/label"):
            later("Opening", lambda: studio.desk.header(id), _bench, _not_there)


def _not_there(message: str) -> None:
    missing("This labelling cannot be opened", message, ("Label", "/label"))


def _bench(line: dict[str, Any]) -> None:
    with box("row between"):
        Tag("h1", line["name"])
        link("All labelling", "/label")
    place(line["kind"], line["id"], f"{WORDS.get(line['kind'], '')} of {line['name']}")


def _card(studio: Studio, line: dict[str, Any]) -> None:
    async def delete() -> None:
        told = f"{line['name']} and its log go; the source stays."
        if await confirmed("Delete this labelling?", told, "Delete"):
            studio.desk.delete(line["id"])
            say("Deleted")
            ui.navigate.to("/label")

    with box("card", "section"):
        Tag("h3", line["name"])
        Tag("div", f"{WORDS.get(line['kind'], line['kind'])} · {line['source']}", "small quiet")
        if line["problem"]:
            Tag("div", line["problem"], "note wrong")
        elif line["total"]:
            Bar(f"Progress of {line['name']}").set(line["done"] / line["total"])
            Tag("div", f"{line['done']} of {line['total']} {line['unit']}", "small")
        else:
            unit = line["unit"] if line["done"] != 1 else line["unit"].removesuffix("s")
            Tag("div", f"{line['done']} {unit}", "small")
        with box("row foot"):
            if not line["problem"]:
                link("Go on", f"/label/{line['id']}", "button main",
                     aria_label=f"Go on with {line['name']}")  # fmt: skip
            button("Delete", delete, "plain", aria_label=f"Delete {line['name']}")


def _choose(path: str) -> None:
    with box("card", "section"):
        Tag("h2", "Label something new")
        with box("search", "form") as form:
            attend(form, method="get", action="/label")
            typed = Tag("input", "", type="text", name="path", value=path, autocomplete="off")
            attend(typed, aria_label="File or folder", placeholder="a path in the workspace")
            Tag("button", "Look", "main", type="submit")


def _offers(found: list[dict[str, Any]]) -> None:
    if not found:
        empty(
            "Nothing to label here",
            "Videos, projects of labelled frames, images, volumes and recordings of signals can be "
            "labelled. Bring some to the workspace, or name the folder they lie in.",
            ("Bring data", "/data"),
        )
        return
    Tag("h2", "Can be labelled")
    with box("scroll") as scroll, box("plain", "table"):
        Tag("caption", "What can be labelled", "hidden-text")
        with box("", "thead"), box("", "tr"):
            for name in ("what", "where", "how"):
                Tag("th", name, scope="col")
        with box("", "tbody"):
            for offer in found[:80]:
                with box("", "tr"):
                    Tag("th", f"{offer['name']} ({offer['is']})", "row-head", scope="row")
                    Tag("td", offer["path"], "mono")
                    with box("", "td"), box("row"):
                        for kind in offer["kinds"]:
                            target = f"/label/new?data={quote(offer['path'])}&kind={kind}"
                            named = f"{WORDS[kind]}: {offer['name']}"
                            link(WORDS[kind], target, aria_label=named)
    attend(scroll, tabindex="0", role="region", aria_label="What can be labelled")
    if len(found) > 80:
        Tag("p", f"80 of {len(found)} are shown; name a folder inside.", "small quiet")


_LOAD = """for (const source of %s) {
  if (document.querySelector(`script[src="${source}"]`)) continue;
  const script = document.createElement("script");
  script.src = source;
  script.async = false;
  document.head.append(script);
}"""


@cache
def _sources() -> str:
    files = [STATIC / name for name in SCRIPTS if (STATIC / name).is_file()]
    marks = [hashlib.sha256(file.read_bytes()).hexdigest()[:10] for file in files]
    return json.dumps([f"/static/{f.name}?{mark}" for f, mark in zip(files, marks, strict=True)])


def place(kind: str, id: str, name: str) -> None:
    """Put the bench of a kind where the page is now: an element that asks the HTTP API."""
    assert kind in KINDS
    ui.run_javascript(_LOAD % _sources())
    made = ui.element(f"studio-label-{kind}").classes("viewer")
    attend(made, data_id=id, role="region", aria_label=name)
