"""Runs: what works, what waits, what is done; stop, resume, compare, delete; and the disk."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from nicegui import ui

from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.pieces import (
    Bar,
    Tag,
    aside,
    attend,
    badge,
    box,
    button,
    confirmed,
    empty,
    guarded,
    link,
    note,
    number,
    say,
    span_of,
    title,
)
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import readable

EVERY = 1.0
WORKING = ("running", "stopping")
FIRST, MORE = 10, 40  # rows that are drawn at once, and with each wish for more


def register(studio: Studio, page: Site) -> None:
    """Make the page."""

    @page("/runs")
    def runs() -> None:
        with frame(studio, "Runs", "/runs"):
            title("Runs", "Each is a folder of its own. Closing the browser stops nothing.")
            page = Runs(studio)
            page.refresh()
            ui.timer(EVERY, page.refresh)
            ui.timer(0.01, page.tell_disk, once=True)


class Runs:
    """The list of runs on one visitor's page; only what changed is drawn anew."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._chosen: set[str] = set()
        self._rows: dict[str, Row] = {}
        self._most = FIRST
        with box("row between"):
            self._disk = Tag("p", "", "small quiet")
            self._compare = button("Compare the chosen two", self._go, disabled="disabled")
        self._low = box("stack")
        self._place = box("stack")
        with self._place:
            self._empty = empty(
                "No runs yet", "Find a recipe and start it; its run appears here.", ("Find", "/")
            )
        self._older = button("Show older runs", self._show_more)

    def refresh(self) -> None:
        """Draw what changed."""
        found = self.studio.runs()
        lines = found[: self._most]
        self._older.set_visibility(len(found) > len(lines))
        self._empty.set_visibility(not lines)
        for gone in set(self._rows) - {line["id"] for line in lines}:
            self._rows.pop(gone).frame.delete()
            self._chosen.discard(gone)
        for k, line in enumerate(lines):
            row = self._rows.get(line["id"])
            if row is None:
                with self._place:
                    row = self._rows[line["id"]] = Row(self.studio, line["id"], self._choose)
                row.frame.move(target_index=k)
            row.update(line)

    def _show_more(self) -> None:
        self._most += MORE
        self.refresh()

    async def tell_disk(self) -> None:
        """Say how full the disk is."""
        disk = await aside(self.studio.workspace.disk)
        held = f"Runs take {readable(disk.runs)}, labelling {readable(disk.labels)}"
        self._disk.set_text(f"{held}; {readable(disk.free)} of disk are free.")
        if disk.low:
            with self._low:
                note("Nothing new is started until runs or uploads are deleted.", "warning",
                     "The disk is nearly full")  # fmt: skip

    def _choose(self, id: str, chosen: bool) -> None:
        (self._chosen.add if chosen else self._chosen.discard)(id)
        attend(self._compare, disabled=None if len(self._chosen) == 2 else "disabled")

    def _go(self) -> None:
        first, second = sorted(self._chosen)
        ui.navigate.to(f"/compare?first={quote(first)}&second={quote(second)}")


class Row:
    """One run of the list."""

    def __init__(self, studio: Studio, id: str, choose: Any) -> None:
        self.studio, self.id, self._state = studio, id, ""
        with box("card", "article") as self.frame:
            with box("row between"):
                with box("row"):
                    self._box = Tag("input", "", type="checkbox")
                    attend(self._box, aria_label=f"Choose {id} for comparing")
                    give = "(e) => emit(e.target.checked)"
                    self._box.on("change", lambda e: choose(id, bool(e.args)), js_handler=give)
                    with Tag("h2", ""):
                        link(id, f"/runs/{quote(id)}")
                self._badge = box("row")
            self._about = Tag("p", "", "small quiet")
            self._message = box("stack")
            self._work = box("stack")
            self._headline = Tag("p", "")
            self._buttons = box("row")

    def update(self, line: dict[str, Any]) -> None:
        """Show the newest about this run."""
        if line["state"] != self._state:
            self._state = line["state"]
            self._redraw(line)
        if line["state"] in WORKING:
            self._bar.set(line["share"])
            self._stage.set_text(stage_of(line))
        self._about.set_text(about(line))
        self._headline.set_text(headline(line))
        self._headline.set_visibility(bool(line["headline"]))

    def _redraw(self, line: dict[str, Any]) -> None:
        """Draw what depends on the state; there is no element for what the state does not have."""
        working = line["state"] in WORKING
        for place, used in ((self._message, line["message"]), (self._work, working)):
            place.clear()
            place.set_visibility(bool(used))
        if line["message"]:
            with self._message:
                Tag("p", line["message"], "note wrong")
        if working:
            with self._work:
                self._bar = Bar(f"Progress of {self.id}")
                self._stage = Tag("p", "", "small")
        self._badge.clear()
        with self._badge:
            badge(line["state"])
        self._box.set_visibility(line["state"] == "done")
        self._buttons.clear()
        with self._buttons:
            run_buttons(self.studio, line)


def run_buttons(studio: Studio, line: dict[str, Any], after: str = "") -> None:
    """Build the buttons that fit the state of a run; `after` is where deleting it leads."""
    id = line["id"]
    if line["can_stop"]:
        button("Stop", lambda: studio.stop(id), aria_label=f"Stop {id}")
    if line["can_resume"]:
        word = "Try again" if line["state"] == "refused" else "Resume"
        button(word, lambda: studio.resume(id), "main", aria_label=f"{word} {id}")
    link(
        "Run again with changes", f"/recipe/{line['recipe']}?like={quote(id)}", "button",
        aria_label=f"Run again with changes: {id}",
    )  # fmt: skip
    if line["can_delete"]:
        button("Delete", lambda: _delete(studio, id, after), "plain", aria_label=f"Delete {id}")


async def _delete(studio: Studio, id: str, after: str) -> None:
    text = f"Its folder runs/{id} goes with everything in it: model, figures, report."
    if await confirmed("Delete this run?", text, "Delete it"):
        await guarded(studio.delete, id)
        say(f"{id} is deleted.")
        if after:
            ui.navigate.to(after)


def about(line: dict[str, Any]) -> str:
    """Say what a run is, when it began and how long it took."""
    when = (line["started"] or line["queued"])[:16].replace("T", " ")
    took = f"took {span_of(line['seconds'])}" if line["seconds"] is not None else ""
    place = f"{line['place'] + 1}. in the queue" if line["state"] == "waiting" else ""
    return " · ".join(part for part in (line["recipe"], line["data"], when, took, place) if part)


def stage_of(line: dict[str, Any]) -> str:
    """Say what a run is doing and how long it still takes."""
    left = f"about {span_of(line['left'])} left" if line["left"] else ""
    share = f"{100 * line['share']:.0f} %" if line["share"] is not None else ""
    stage = "finishing the step" if line["state"] == "stopping" else line["stage"]
    return " · ".join(part for part in (stage, share, left) if part)


def headline(line: dict[str, Any]) -> str:
    """Say a run's first metric with interval, baseline and chance."""
    row = line["headline"]
    if not row:
        return ""
    percent = row["percent"]
    said = f"{row['label']} {number(row['value'], percent)}"
    if row["low"] is not None:
        said += f" ({number(row['low'], percent)} to {number(row['high'], percent)})"
    beside = [
        f"{w} {number(row[w], percent)}" for w in ("baseline", "chance") if row[w] is not None
    ]
    return f"{said}; {', '.join(beside)}" if beside else said
