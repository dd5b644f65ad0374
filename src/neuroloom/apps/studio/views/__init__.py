"""Viewers of data, one a kind of file: signal, volume, stack, video, table, graph.

A viewer never reads a whole file: `header` says what there is, `window` returns the part that is on
the screen, and `show` builds the page's elements around the two. The HTTP API offers the first two
of every viewer (`GET /api/view/KIND?path=…` and `GET /api/view/KIND/window?path=…&…`), so that
a page can show nothing that a program could not get. To add one: a file here with a class made
without arguments, and a line in `VIEWS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.apps.studio.workspace import MissingError
from neuroloom.core.errors import nearest

if TYPE_CHECKING:
    from neuroloom.apps.studio.service import Studio

VIEWS: dict[str, str] = {
    "table": "neuroloom.apps.studio.views.table:TableView",
    "signal": "neuroloom.apps.studio.views.signal:SignalView",
    "volume": "neuroloom.apps.studio.views.volume:VolumeView",
    "video": "neuroloom.apps.studio.views.video:VideoView",
    "graph": "neuroloom.apps.studio.views.graph:GraphView",
}
# Words of a query that name a second file: whether it may be read is settled before a viewer looks.
FILES = frozenset({"overlay", "tracks"})
# Which viewer opens a file of a kind that `look` recognised.
VIEW_OF = {
    "table": "table",
    "signal": "signal",
    "image": "volume",
    "video": "video",
    "tracks": "video",
    "labels": "video",
    "graph": "graph",
}


@dataclass(frozen=True)
class Window:
    """A part of a file, ready to be sent."""

    content: bytes
    media_type: str = "application/json"


class View:
    """Base of the viewers; they keep no state of a user, so that two tabs do not meet."""

    kind: str = ""

    def header(self, path: Path) -> dict[str, Any]:
        """Return what a page needs before it asks for windows: sizes, names, units; plain data.

        Raises
        ------
        DataError
            If the file cannot be read; the message names it.
        """
        raise NotImplementedError

    def window(self, path: Path, asked: dict[str, str]) -> Window:
        """Return one part, quickly (30 ms or less); `asked` are the query's words.

        Raises
        ------
        ConfigError
            If what is asked for cannot be understood.
        """
        raise NotImplementedError

    def show(self, studio: Studio, data: str, over: str = "") -> None:
        """Build the viewer of `data` where the page is now, with the file `over` drawn on it.

        Both are paths as the user names them; a viewer that draws nothing on top ignores `over`.
        """
        raise NotImplementedError


def load(kind: str) -> View:
    """Return the viewer of a kind.

    Raises
    ------
    MissingError
        If there is none.
    """
    if kind not in VIEWS:
        raise MissingError(f"There is no viewer '{kind}'.{nearest(kind, VIEWS)}")
    module, _, name = VIEWS[kind].partition(":")
    found: View = getattr(import_module(module), name)()
    return found


def nothing_shows(path: str) -> MissingError:
    """Return the error of a file that no viewer shows."""
    return MissingError(f"There is no viewer for {path}; it can be downloaded.")


def view_of(kind: str) -> str:
    """Return the name of the viewer for files of a kind, "" while there is none.

    Examples
    --------
    >>> view_of("table")
    'table'
    """
    name = VIEW_OF.get(kind, "")
    return name if name in VIEWS else ""
