"""Compare two runs on the examples that both scored, pair by pair."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.pieces import (
    Tag,
    attend,
    box,
    empty,
    later,
    link,
    note,
    number,
    table,
    title,
)
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio


def register(studio: Studio, page: Site) -> None:
    """Make the page."""

    @page("/compare")
    def compare(first: str = "", second: str = "") -> None:
        with frame(studio, "Compare", "/runs"):
            title(
                "Compare two runs",
                "On the examples that both have scored, with an interval of the difference.",
            )
            done = [run for run in studio.runs() if run["state"] == "done"]
            if len(done) < 2:
                empty(
                    "Two finished runs are needed",
                    f"There {'is one' if done else 'are none'} so far.",
                    ("Find a recipe", "/"),
                )
                return
            _choose(done, first, second)
            if first and second:
                says = "Comparing; resampling takes some seconds."
                later(says, lambda: studio.compare(first, second), _show, _refused)


def _choose(done: list[dict[str, Any]], first: str, second: str) -> None:
    with box("card", "form") as form:
        attend(form, method="get", action="/compare")
        with box("fields"):
            for name, label, chosen in (("first", "One run", first), ("second", "Another", second)):
                with box("field"):
                    attend(Tag("label", label), **{"for": f"in-{name}"})
                    with Tag("select", "", id=f"in-{name}", name=name):
                        for run in done:
                            id = run["id"]
                            Tag("option", id, value=id, selected="" if id == chosen else None)
        with box("row"):
            Tag("button", "Compare", "main", type="submit")


def _show(found: dict[str, Any]) -> None:
    with box("row"):
        link(found["first"], f"/runs/{quote(found['first'])}")
        Tag("span", "and", "quiet")
        link(found["second"], f"/runs/{quote(found['second'])}")
    note(found["text"], head=f"{found['n_examples']} examples, paired")
    with box("card", "section"):
        Tag("h2", "Measure by measure")
        _table(found["table"])
    with box("card", "section"):
        Tag("h2", "Unit by unit")
        head = ("unit", "examples", "first", "second", "difference")
        rows = [
            (str(row["unit"]), str(row["examples"]), *(number(row[key]) for key in head[2:]))
            for row in found["units"]
        ]
        table(head, rows, "The main measure in each unit of the split", range(1, 5))


def _refused(message: str) -> None:
    note(message, "wrong", "These two cannot be compared")


def _table(rows: list[dict[str, Any]]) -> None:
    head = ("measure", "first", "second", "difference", "95 % interval", "p", "better")
    cells = [
        (
            row["metric"].replace("_", " "),
            number(row["first"]),
            number(row["second"]),
            number(row["difference"]),
            f"{number(row['low'])} to {number(row['high'])}",
            number(row["p"]),
            row["better"] or "no difference shown",
        )
        for row in rows
    ]
    table(head, cells, "Differences are second minus first", range(1, 6))
