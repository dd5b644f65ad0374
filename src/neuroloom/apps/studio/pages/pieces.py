"""Small pieces that every page is made of.

They are plain HTML elements, so that keyboards and screen readers find what they know.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from neuroloom.core.errors import NeuroloomError

Handler = Callable[[], Any] | Callable[[], Awaitable[Any]]
STATES = {
    "waiting": "waiting",
    "running": "running",
    "stopping": "stopping",
    "done": "done",
    "stopped": "stopped",
    "failed": "failed",
    "refused": "not started",
    "interrupted": "interrupted",
}


class Tag(TextElement):
    """An HTML element with a text, which is always text and never markup."""

    def __init__(self, tag: str, text: str = "", classes: str = "", **attributes: Any) -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)
        attend(self, **attributes)


def attend(element: Element, **attributes: Any) -> None:
    """Set attributes; None takes one away, `_` in names stands for `-`.

    The `value` of an input is what it begins with. As a property, Vue would write it again with
    every change of the page, over what was typed since; `^` makes it an attribute, which it leaves.
    """
    for name, value in attributes.items():
        key = name.strip("_").replace("_", "-")
        key = "^value" if key == "value" and element.tag == "input" else key
        if value is None:
            element.props.pop(key, None)
        else:
            element.props[key] = value
    element.update()


def box(classes: str = "stack", tag: str = "div") -> Element:
    """Return a container."""
    return ui.element(tag).classes(classes)


def title(text: str, lead: str = "") -> None:
    """Write a page's headline and what the page is for."""
    with box("stack"):
        Tag("h1", text)
        if lead:
            Tag("p", lead, "lead")


def button(text: str, on_click: Handler, kind: str = "", **attributes: Any) -> Tag:
    """Return a button; what goes wrong in `on_click` is told to the user."""
    made = Tag("button", text, kind, type="button", **attributes)
    made.on("click", lambda: guarded(on_click))
    return made


def link(text: str, target: str, classes: str = "", **attributes: Any) -> Tag:
    """Return a link inside the studio."""
    return Tag("a", text, classes, href=target, **attributes)


async def guarded(action: Callable[..., Any], *arguments: Any) -> Any:
    """Do something; a refusal is shown to the user in its own words."""
    try:
        made = action(*arguments)
        return await made if inspect.isawaitable(made) else made
    except NeuroloomError as error:
        complain(str(error))
        return None


async def aside(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do something slow in a thread; pages stay quick. Refusals are raised here."""
    return await asyncio.to_thread(work, *arguments)


def later(
    says: str,
    work: Callable[[], Any],
    show: Callable[[Any], Any],
    refused: Callable[[str], Any] | None = None,
) -> Element:
    """Send the page first, then fetch something slow and show it in its place.

    Parameters
    ----------
    says
        What stands there meanwhile.
    work
        Fetches, in a thread.
    show
        Builds what was fetched.
    refused
        Builds what stands there instead, given the refusal's own words.
    """
    with box("stack") as place:
        loading(says)

    async def fetch() -> None:
        try:
            found, problem = await aside(work), ""
        except NeuroloomError as error:
            found, problem = None, str(error)
        if place.is_deleted:
            return
        place.clear()
        with place:
            if problem:
                (refused or (lambda text: note(text, "wrong")))(problem)
            else:
                show(found)

    ui.timer(0.01, fetch, once=True)
    return place


def complain(message: str) -> None:
    """Tell the user what was refused, until it is closed."""
    ui.notify(
        message, type="negative", multi_line=True, timeout=12000, close_button="Close",
        position="bottom",
    )  # fmt: skip


def say(message: str) -> None:
    """Tell the user that something was done."""
    ui.notify(message, type="positive", position="bottom", timeout=4000)


def badge(state: str) -> Tag:
    """Return a run's state as a coloured word."""
    return Tag("span", STATES.get(state, state), f"badge {state}")


def note(text: str, kind: str = "", head: str = "") -> Element:
    """Return a remark: kind "", "warning", "objection", "wrong" or "good"."""
    with box(f"note {kind}") as made:
        if head:
            Tag("strong", head)
        Tag("div", text)
    if kind == "wrong":
        attend(made, role="alert")
    return made


def empty(
    head: str, text: str, action: tuple[str, str] | None = None, level: str = "h2"
) -> Element:
    """Return what stands where nothing is yet: what belongs here, and the way to it."""
    with box("empty") as made:
        Tag(level, head)
        Tag("p", text)
        if action:
            link(*action, classes="button main")
    return made


def missing(head: str, text: str, action: tuple[str, str]) -> Element:
    """Return a whole page's content where the page has none."""
    return empty(head, text, action, "h1")


def loading(text: str) -> Element:
    """Return what stands while something is fetched."""
    return Tag("div", text, "loading", role="status")


def facts(rows: Iterable[tuple[str, str]]) -> Element:
    """Return a list of names with values."""
    with box("facts", "dl") as made:
        for name, value in rows:
            Tag("dt", name)
            Tag("dd", value)
    return made


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    numbers: Iterable[int] = (),
) -> Element:
    """Return a table; columns `numbers` stand to the right. Scrolls by itself where it is wide."""
    right = set(numbers)
    with box("scroll") as made, box("plain", "table"):
        Tag("caption", caption, "hidden-text")
        with box("", "thead"), box("", "tr"):
            for k, name in enumerate(head):
                Tag("th", name, "number" if k in right else "", scope="col")
        with box("", "tbody"):
            for row in rows:
                with box("", "tr"):
                    for k, cell in enumerate(row):
                        kind = "number" if k in right else ""
                        if k:
                            Tag("td", cell, kind)
                        else:
                            Tag("th", cell, "row-head", scope="row")
    attend(made, tabindex="0", role="region", aria_label=caption)
    return made


class Copyable:
    """A text in a box, with a button that copies it."""

    def __init__(self, head: str, text: str = "") -> None:
        with box("stack"):
            with box("row between"):
                Tag("h3", head)
                self._button = Tag("button", "Copy", "plain", type="button")
                attend(self._button, aria_label=f"Copy: {head}")
            self._shown = Tag("pre", "", "code", tabindex="0", role="region", aria_label=head)
        self.set(text)

    def set(self, text: str) -> None:
        """Show another text."""
        self._shown.set_text(text)
        attend(self._button, onclick=f"studioCopy({json.dumps(text)}, this)")


class Bar:
    """A bar that fills."""

    def __init__(self, name: str) -> None:
        with box("bar") as self._frame:
            self._inside = ui.element("div")
        attend(self._frame, role="progressbar", aria_label=name, aria_valuemin=0, aria_valuemax=100)

    def set(self, share: float | None) -> None:
        """Show a share from 0 to 1; None while it is unknown."""
        unknown = share is None
        self._frame.classes(add="unknown" if unknown else "", remove="" if unknown else "unknown")
        self._inside.style(f"width: {100 * (share or 0.0):.1f}%")
        attend(self._frame, aria_valuenow=None if unknown else round(100 * (share or 0.0)))


async def confirmed(question: str, text: str, yes: str) -> bool:
    """Ask before something is lost."""
    with ui.dialog() as dialog, box("sheet"):
        attend(dialog, aria_label=question)
        Tag("h2", question)
        Tag("p", text)
        with box("row"):
            button("Keep it", lambda: dialog.submit(False))
            button(yes, lambda: dialog.submit(True), "bad")
    return bool(await answer_of(dialog))


async def answer_of(dialog: ui.dialog) -> Any:
    """Return what a dialog was closed with, and take it away; None if the visitor left."""
    answer = await dialog
    if dialog.client.has_socket_connection:
        dialog.delete()
    return answer


def number(value: float | None, percent: bool = False) -> str:
    """Return a number as a report prints it."""
    if value is None:
        return "–"
    return (
        f"{100 * value:.1f} %"
        if percent
        else f"{value:.3g}"
        if abs(value) >= 1000
        else f"{value:.3f}"
    )


def span_of(seconds: float | None) -> str:
    """Return a time span in words.

    Examples
    --------
    >>> span_of(75), span_of(3)
    ('1 min 15 s', '3 s')
    """
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
