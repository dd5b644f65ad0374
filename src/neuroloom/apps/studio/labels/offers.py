"""What can be labelled under a path: projects, videos, images, signals, and what runs suggest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import NeuroloomError

if TYPE_CHECKING:
    from neuroloom.apps.studio.workspace import Workspace

# Kind of file that `look` recognises -> kinds of labelling.
FITS = {"video": ("keypoints", "bouts"), "image": ("masks",), "signal": ("bouts",)}
OURS = ("labels", "predictions", "runs")
SUFFIXES = (".slp", ".json", ".h5", ".nwb")  # of projects that are one file
DEEP, MOST = 3, 400


def offers(workspace: Workspace, path: str, items: list[Any]) -> list[dict[str, Any]]:
    """Return path, name, kinds of labelling that fit, and what it is; projects come first.

    Parameters
    ----------
    workspace
        Where the path lies.
    path
        As the user names it.
    items
        What `look` found there.
    """
    root = workspace.locate(path)
    known = list(projects(root, workspace.root))
    if root == workspace.root:
        for made_by_run in sorted(workspace.runs.glob("*/artifacts/to-label")):
            known += projects(made_by_run, workspace.root)
    known = [one for one in known if not _suggested(one) or _opens(one)]
    made = [_offer(workspace.shown(one), ["keypoints"], _what(one)) for one in known]
    inside = tuple(f"{workspace.shown(one)}/" for one in known)
    folders: dict[str, int] = {}
    for item in items:
        if item.path.startswith(("labels/", "predictions/", *inside)) or root in known:
            continue
        if item.kind in FITS:
            made.append(_offer(item.path, list(FITS[item.kind]), item.kind))
        if item.kind == "image":
            parent = item.path.rpartition("/")[0] or "."
            folders[parent] = folders.get(parent, 0) + 1
    several = [(parent, count) for parent, count in folders.items() if count > 1]
    folder = [_offer(p, ["masks", "classes"], f"folder of {n} images") for p, n in several]
    projects_first = made[: len(known)]
    return [*projects_first, *folder, *made[len(known) :]]


def projects(root: Path, workspace: Path) -> Iterator[Path]:
    """Yield projects of labelled frames, at most three folders deep, none inside another."""
    waiting, looked = [(root, 0)], 0
    while waiting and looked < MOST:
        path, depth = waiting.pop(0)
        looked += 1
        if is_project(path):
            yield path
        elif path.is_dir() and depth < DEEP:
            waiting += [(one, depth + 1) for one in _inside(path, workspace)]


def is_project(path: Path) -> bool:
    """Tell whether labelled frames can be read there; a damaged file is none."""
    from neuroloom.io.labels.door import recognise

    try:
        return bool(recognise(path))
    except NeuroloomError:
        return False


def _opens(project: Path) -> bool:
    """Tell whether frames can be read there: SLEAP's and COCO's may have none that is labelled."""
    from neuroloom.io.labels import read_labels

    try:
        return len(read_labels(project, usable=False)) > 0
    except NeuroloomError:
        return False


def _suggested(project: Path) -> bool:
    return "to-label" in project.parts


def _inside(folder: Path, workspace: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    return [
        path
        for path in found
        if not path.name.startswith(".")
        and not (folder == workspace and path.name in OURS)
        and not path.is_symlink()
        and (path.is_dir() or path.suffix.lower() in SUFFIXES)
    ]


def _what(project: Path) -> str:
    return "suggested by a run" if _suggested(project) else "project"


def _offer(path: str, kinds: list[str], what: str) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    if name == "to-label":  # its run has a better one
        name = path.split("/")[-3]
    return {"path": path, "name": name, "kinds": kinds, "is": what}
