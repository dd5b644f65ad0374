"""One run: how far it is, its curves, its numbers, its report and everything that it left."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import quote

from nicegui import ui

from neuroloom.apps.studio import views
from neuroloom.apps.studio.pages import chart, outcome
from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.pieces import (
    Bar,
    Copyable,
    Tag,
    aside,
    attend,
    badge,
    box,
    button,
    facts,
    link,
    missing,
    note,
    number,
    table,
    title,
)
from neuroloom.apps.studio.pages.runs import about, run_buttons, stage_of
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import readable
from neuroloom.core.errors import NeuroloomError

EVERY = 1.0
WORKING = ("running", "stopping", "waiting")
PICTURES = (".png", ".svg", ".jpg", ".jpeg")


def register(studio: Studio, page: Site) -> None:
    """Make the page."""

    @page("/runs/{id}")
    def run(id: str) -> None:
        with frame(studio, id, "/runs"):
            try:
                line = studio.run(id)
            except NeuroloomError as error:
                missing("There is no such run", str(error), ("All runs", "/runs"))
                return
            title(id)
            page = RunPage(studio, id)
            page.draw(line)
            ui.timer(EVERY, page.refresh)


class RunPage:
    """One visitor's view of a run; drawn anew when its state changes."""

    def __init__(self, studio: Studio, id: str) -> None:
        self.studio, self.id, self._state = studio, id, ""
        self._about = Tag("p", "", "lead")
        with box("row between"):
            self._badge = box("row")
            self._buttons = box("row")
        with box("card", "section") as self._work:
            self._bar = Bar("Progress")
            self._stage = Tag("p", "")
        self._curves = box("stack")
        self._place = box("stack")
        self._drawn = ""

    async def refresh(self) -> None:
        """Show the newest; nothing is asked for any more once the run is over."""
        if self._state not in WORKING and self._state:
            line = self.studio.queue.find(self.id)
            if line is None or line.state == self._state:
                return
        try:
            self.draw(await aside(self.studio.run, self.id))
        except NeuroloomError:
            self._state = "gone"

    def draw(self, line: dict[str, Any]) -> None:
        """Show a run."""
        working = line["state"] in WORKING
        self._about.set_text(about(line))
        self._work.set_visibility(working)
        if working:
            self._bar.set(line["share"] if line["state"] != "waiting" else 0.0)
            self._stage.set_text(stage_of(line) or about(line))
        self._draw_curves(line)
        if line["state"] == self._state:
            return
        self._state = line["state"]
        for place in (self._badge, self._buttons, self._place):
            place.clear()
        with self._badge:
            badge(line["state"])
        with self._buttons:
            run_buttons(self.studio, line, after="/runs")
        with self._place:
            self._body(line)

    def _draw_curves(self, line: dict[str, Any]) -> None:
        drawn = _curves(line)
        self._curves.set_visibility(line["state"] in WORKING)
        if drawn == self._drawn or line["state"] not in WORKING:
            return
        if not self._drawn:
            with self._curves, box("card", "section"):
                Tag("h2", "Learning curves")
                self._svg = ui.html(drawn, sanitize=False).classes("stack")
        else:
            self._svg.set_content(drawn)
        self._drawn = drawn

    def _body(self, line: dict[str, Any]) -> None:
        if line["message"]:
            note(line["message"], "wrong", "What went wrong")
        if line["metrics"]:
            with box("card", "section"):
                Tag("h2", "Result")
                metrics_table(line["metrics"])
        for found in line["notes"]:
            if found["severity"] != "note":
                note(found["detail"], found["severity"], found["title"])
        if line["shown"]:
            text = "What a net that had not seen the case says, on the case itself."
            outcome.ways(line["shown"], "Predictions of held-out cases", self.id, text)
        if line["has_report"]:
            self._report()
        drawn = _curves(line)
        if drawn and line["state"] not in WORKING:
            with box("card", "section"):
                Tag("h2", "Learning curves")
                ui.html(drawn, sanitize=False).classes("stack")
        if line["artifacts"]:
            self._artifacts(line["artifacts"])
        self._how(line)

    def _report(self) -> None:
        address = f"/api/runs/{quote(self.id)}/report"
        with box("card", "section"):
            with box("row between"):
                Tag("h2", "Report")
                link("Open in a tab of its own", address, target_="_blank", rel="noopener")
            frame = Tag("iframe", "", "report", src=address, title=f"Report of {self.id}")
            attend(frame, sandbox="allow-popups", loading="lazy")

    def _artifacts(self, rows: list[dict[str, Any]]) -> None:
        pictures = [row for row in rows if row["file"].lower().endswith(PICTURES)]
        others = [row for row in rows if row not in pictures]
        with box("card", "section"):
            Tag("h2", "What it left")
            with box("", "details"):
                Tag("summary", f"{len(pictures)} figures")
                with box("cards"):
                    for row in pictures:
                        self._picture(row)
            if others:
                with box("plain stack", "ul"):
                    for row in others:
                        with box("row between", "li"):
                            Tag("span", row["title"])
                            with box("row small"):
                                self._open(row)

    def _picture(self, row: dict[str, Any]) -> None:
        address = f"/api/runs/{quote(self.id)}/artifacts/{quote(row['file'])}"
        with box("art", "figure"):
            Tag("img", "", src=address, alt=row["alt"] or row["title"], loading="lazy")
            Tag("figcaption", row["title"], "small")

    def _open(self, row: dict[str, Any]) -> None:
        path = f"runs/{self.id}/artifacts/{row['file']}"
        if views.view_of(row["kind"]):
            link("Look", f"/view?path={quote(path)}", aria_label=f"Look at {row['title']}")
        address = f"/api/runs/{quote(self.id)}/artifacts/{quote(row['file'])}"
        link(f"Download ({readable(row['size'])})", address, download=row["file"])

    def _how(self, line: dict[str, Any]) -> None:
        with box("card", "section"):
            Tag("h2", "How it was made")
            rows = [("recipe", line["recipe"]), ("data", line["data"] or "none")]
            facts(rows + [(name, _said(value)) for name, value in line["settings"].items()])
            Copyable("Command line", line["command"])
            with box("", "details") as place:
                Tag("summary", "Log")
                shown = Tag("pre", "", "code", tabindex="0", role="region", aria_label="Log")

            async def read() -> None:
                text = await aside(self.studio.log, self.id)
                shown.set_text(text[-40_000:] or "Nothing was logged yet.")

            place.on("toggle", read)
            button("Read the log again", read, "plain")


def _curves(line: dict[str, Any]) -> str:
    """Return the charts of a run's curves as HTML, every name in it escaped."""
    return "".join(
        f"<h3>{html.escape(name)}</h3>{chart.lines(curves, name)}"
        for name, curves in list(line["curves"].items())[:4]
        if any(len(curve) > 1 for curve in curves.values())
    )


def metrics_table(rows: list[dict[str, Any]]) -> None:
    """Build the table of a run's metrics: value, interval, baseline, chance."""
    cells = [
        (
            row["label"],
            number(row["value"], row["percent"]),
            _interval(row),
            number(row["baseline"], row["percent"]),
            number(row["chance"], row["percent"]),
        )
        for row in rows
    ]
    head = ("measure", "value", "95 % interval", "baseline", "chance")
    table(head, cells, "Metrics on examples that the model had not seen", range(1, 5))


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return "–"
    return f"{number(row['low'], row['percent'])} to {number(row['high'], row['percent'])}"


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
