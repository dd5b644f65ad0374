"""The page of a table: a window of rows, turned and sorted by the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.apps.studio.pages.pieces import Tag, attend, box, button, number

if TYPE_CHECKING:
    from neuroloom.apps.studio.service import Studio
    from neuroloom.apps.studio.views.table import TableView

ROWS = 25


def show(view: TableView, studio: Studio, data: str) -> None:
    """Build the table of `data` where the page is now."""
    path = studio.file(data)
    head = view.header(path)
    Page(view, path, head)


class Page:
    """One visitor's place in a table."""

    def __init__(self, view: TableView, path: Path, head: dict[str, Any]) -> None:
        self.view, self.path, self.head = view, path, head
        self.start, self.sort = 0, ""
        with box("row between"):
            self.where = Tag("p", "", "small quiet", role="status")
            with box("row"):
                self.back = button("Earlier rows", lambda: self.turn(-ROWS), "plain")
                self.on = button("Later rows", lambda: self.turn(ROWS), "plain")
        self.place = box("scroll")
        attend(self.place, tabindex="0", role="region", aria_label=f"Table {path.name}")
        self.draw()

    def turn(self, by: int) -> None:
        """Show other rows."""
        last = max(0, (self.head["rows"] - 1) // ROWS * ROWS)
        self.start = min(max(0, self.start + by), last)
        self.draw()

    def sort_by(self, name: str) -> None:
        """Sort by a column, rising first, then falling, then not."""
        self.sort = {name: f"-{name}", f"-{name}": ""}.get(self.sort, name)
        self.start = 0
        self.draw()

    def draw(self) -> None:
        """Fetch the window and show it."""
        asked = {"start": str(self.start), "count": str(ROWS), "sort": self.sort}
        rows = json.loads(self.view.window(self.path, asked).content)["rows"]
        total = self.head["rows"]
        self.where.set_text(
            f"Rows {self.start + 1} to {self.start + len(rows)} of {total}" if total else "No rows"
        )
        attend(self.back, disabled="disabled" if self.start == 0 else None)
        attend(self.on, disabled="disabled" if self.start + ROWS >= total else None)
        self.place.clear()
        with self.place, box("plain", "table"):
            with box("", "thead"), box("", "tr"):
                for column in self.head["columns"]:
                    self._head(column)
            with box("", "tbody"):
                for row in rows:
                    with box("", "tr"):
                        for value in row.values():
                            figure = isinstance(value, int | float)
                            Tag("td", number(value) if isinstance(value, float) else _said(value),
                                "number" if figure else "")  # fmt: skip

    def _head(self, column: dict[str, str]) -> None:
        name = column["name"]
        order = {name: "ascending", f"-{name}": "descending"}.get(self.sort)
        kind = "number" if column["type"].startswith(("float", "int")) else ""
        with Tag("th", "", kind, scope="col", aria_sort=order, title=column["says"]):
            button(name, lambda: self.sort_by(name), aria_label=f"Sort by {name}")


def _said(value: Any) -> str:
    return "" if value is None else str(value)
