"""The form with which a piece of labelling begins: few questions, each with a good answer."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from neuroloom.apps.studio.pages.pieces import Tag, aside, attend, box, button
from neuroloom.apps.studio.service import Studio
from neuroloom.io.video import is_video

# Per kind: (name of the option, label, help, value at first).
QUESTIONS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "video": (
        ("keypoints", "Keypoints", "names with commas: nose, left ear, right ear, tail base", ""),
        ("bones", "Bones", "pairs with commas: nose-left ear, nose-right ear", ""),
        ("individuals", "Animals", "names with commas if there are several", ""),
        ("count", "Frames", "how many to begin with", "20"),
        ("numbers", "Frame numbers", "only if chosen by hand: 0, 120, 240", ""),
    ),
    "keypoints": (),
    "masks": (
        ("labels", "Structures", "names with commas, in the order of their numbers", "structure"),
        ("mask", "Begin with a mask", "a path in the workspace, on the same grid", ""),
    ),
    "bouts": (
        ("behaviours", "Behaviours", "with commas; (p) marks a point event: rearing, call (p)",
         ""),
        ("subjects", "Subjects", "names with commas if there are several", ""),
        ("events", "Begin with a file", "a path in the workspace: BORIS, .annot, events.tsv, CSV",
         ""),
    ),
    "classes": (("classes", "Classes", "names with commas: healthy, lesion", ""),),
}  # fmt: skip
HOW = (
    ("suggest", "those that stand for all"),
    ("even", "evenly spaced"),
    ("hand", "by number"),
)


def begin_form(studio: Studio, data: str, kind: str) -> None:
    """Build the form; sending it opens the bench."""
    video = kind == "keypoints" and is_video(studio.workspace.locate(data))
    given: dict[str, Any] = {"name": data.rpartition("/")[2], "how": "suggest"}

    async def send() -> None:
        options = {k: _value(k, v) for k, v in given.items() if k != "name" and v != ""}
        line = await aside(studio.desk.begin, kind, data, given["name"], options)
        ui.navigate.to(f"/label/{line['id']}")

    with box("card", "section"), box("fields"):
        _field("name", "Name", "how it is called in the list", given["name"], given)
        for name, label, text, value in QUESTIONS["video" if video else kind]:
            _field(name, label, text, value, given)
        if video:
            _how(given)
        with box("wide row"):
            made = button("Begin", send, "main", id="begin-button")
            attend(made, aria_describedby="begin-told")
            told = "A copy is labelled; the source is not changed."
            Tag("span", told, "small quiet", id="begin-told")


def _value(name: str, text: str) -> Any:
    if name == "count":
        return int(text) if text.strip().isdigit() else 20
    if name == "numbers":
        return [int(part) for part in text.replace(",", " ").split() if part.isdigit()]
    return text


def _field(name: str, label: str, text: str, value: str, given: dict[str, Any]) -> None:
    given[name] = value
    with box("field"):
        Tag("label", label, for_=f"new-{name}")
        field = Tag("input", "", type="text", id=f"new-{name}", value=value, autocomplete="off")
        attend(field, aria_describedby=f"new-{name}-help")
        Tag("span", text, "help", id=f"new-{name}-help")

    def take(event: Any) -> None:
        given[name] = str(event.args)

    field.on("input", take, js_handler="(e) => emit(e.target.value)")


def _how(given: dict[str, Any]) -> None:
    with box("field"):
        Tag("label", "Which frames", for_="new-how")
        with box("", "select") as choice:
            attend(choice, id="new-how")
            for value, text in HOW:
                Tag("option", text, value=value)

    def take(event: Any) -> None:
        given["how"] = str(event.args)

    choice.on("change", take, js_handler="(e) => emit(e.target.value)")
