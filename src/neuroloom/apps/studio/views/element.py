"""The place of a viewer in a page: an element of `static/viewers.js`, which asks the HTTP API."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from nicegui import ui

SCRIPT = Path(__file__).resolve().parents[1] / "static" / "viewers.js"
_LOAD = """if (!document.querySelector("script[data-viewers]")) {
  const script = document.createElement("script");
  script.src = "%s";
  script.dataset.viewers = "";
  document.head.append(script);
}"""


@cache
def _mark() -> str:
    return hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:10]


def place(kind: str, data: str, name: str, **more: Any) -> None:
    """Put the viewer of a kind where the page is now.

    Parameters
    ----------
    kind
        "signal", "volume", "video" or "graph".
    data
        Path of the file, as the user names it.
    name
        What a screen reader says.
    more
        Plain data for the viewer.
    """
    # A page may be on the screen already when its viewer comes: only a made script is then run.
    ui.run_javascript(_LOAD % f"/static/viewers.js?{_mark()}")
    made = ui.element(f"studio-{kind}").classes("viewer")
    made.props["data-path"] = data
    made.props["data-more"] = json.dumps(more)
    made.props["role"] = "region"
    made.props["aria-label"] = name
