"""Choose a file or folder of the workspace, or bring files from the browser's machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from neuroloom.apps.studio.pages.pieces import Tag, answer_of, attend, box, button, guarded, loading
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import readable


async def pick(studio: Studio, start: str = ".") -> str | None:
    """Let the user browse; return the path as the workspace names it, None if given up."""
    with ui.dialog() as dialog, box("sheet"):
        attend(dialog, aria_label="Choose data")
        Tag("h2", "Choose data")
        with box("row"):
            for root in studio.workspace.roots:
                path = studio.workspace.shown(root)
                name = "Workspace" if path == "." else root.name
                button(name, lambda path=path: show(path), "plain")
        where = Tag("p", "", "mono")
        place = box("list")
        with box("row between"):
            button("Cancel", lambda: dialog.submit(None))
            use = Tag("button", "Use this folder", "main", type="button")
    here = {"path": "."}
    use.on("click", lambda: dialog.submit(here["path"]))

    def show(path: str) -> None:
        here["path"] = path
        entries = studio.workspace.browse(path)
        where.set_text("Workspace" if path == "." else path)
        place.clear()
        with place:
            above = _above(studio, path)
            if above is not None:
                with box("entry"):
                    button("One folder up", lambda: show(above), "plain")
            for entry in entries:
                with box("entry"):
                    if entry.folder:
                        button(f"{entry.name}/", lambda p=entry.path: show(p), "plain")
                    else:
                        Tag("span", entry.name)
                        button(
                            "Use", lambda p=entry.path: dialog.submit(p), "plain",
                            aria_label=f"Use {entry.name}",
                        )  # fmt: skip
            if not entries:
                Tag("p", "This folder is empty.", "quiet")

    await guarded(show, start)
    answer = await answer_of(dialog)
    return answer if answer is None else str(answer)


def _above(studio: Studio, path: str) -> str | None:
    found = studio.workspace.locate(path)
    if found in studio.workspace.roots:
        return None
    return studio.workspace.shown(found.parent)


def dropzone(
    studio: Studio, text: str, done: Callable[[str], Any], *, folders: bool = False
) -> None:
    """Build a place to drop files on; `done` gets the path of the file, or of their folder.

    The browser sends them to `POST /api/uploads`, which refuses what it must; folders, and files
    that are too large, are not sent.
    """
    most = readable(studio.workspace.most_upload)
    with box("drop") as zone:
        Tag("strong", text)
        chosen = Tag("input", "", type="file", multiple="multiple")
        attend(chosen, aria_label=text, webkitdirectory="" if folders else None)
        Tag("span", f"Up to {most} a file; it stays on the machine that runs the studio.", "small")
        told = box("stack")

    def tell(event: Any) -> Any:
        said = event.args
        told.clear()
        with told:
            if said["state"] == "sending":
                loading(f"{said['name']} ({said['at']} of {said['of']})")
            elif said["state"] == "refused":
                Tag("p", said["message"], "note wrong", role="alert")
            else:
                Tag("p", f"{said['of']} file{'s' if said['of'] > 1 else ''} received.", "small")
                return guarded(done, said["path"] if said["of"] == 1 else said["folder"])
        return None

    send = (
        "const folder = 'drop-' + new Date().toISOString().replace(/[^0-9]/g, '').slice(0, 17);"
        f"studioUpload(%s, folder, {studio.workspace.most_upload}, emit)"
    )
    chosen.on("change", tell, js_handler=f"(e) => {{ {send % 'e.target'} }}")
    dropped = send % "e.dataTransfer"
    off = "e.currentTarget.classList.remove('over');"
    zone.on("drop", tell, js_handler=f"(e) => {{ e.preventDefault(); {off} {dropped} }}")
    zone.on(
        "dragover",
        js_handler="(e) => { e.preventDefault(); e.currentTarget.classList.add('over') }",
    )
    zone.on("dragleave", js_handler=f"(e) => {{ {off} }}")
