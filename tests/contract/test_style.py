"""House style: what is a fact fails, what is a feel for size only warns."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "neuroloom"
FILES = sorted(SOURCE.rglob("*.py"))
BANNER = re.compile(r"^\s*#\s*([-=#*_~─━═])\1{3,}|^\s*#.*([-=#*~─━═])\2{5,}\s*$")
EMOJI = re.compile("[\U0001f000-\U0001faff\u2705\u274c\u26a0\ufe0f]")
LONG_FUNCTION, LONG_FILE, FULL_FOLDER = 40, 400, 16

in_every_file = pytest.mark.parametrize(
    "file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix()
)


def definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield the module, its classes, functions and methods with their dotted names."""
    yield "module", tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{part.name}", part) for part in methods(node))


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [part for part in node.body if isinstance(part, ast.FunctionDef)]


@in_every_file
def test_no_banners_and_no_emojis(file: Path) -> None:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        assert not BANNER.search(line), f"{file.name}:{number}: a banner says nothing: {line}"
        assert not EMOJI.search(line), f"{file.name}:{number}: {line}"


@in_every_file
def test_only_apps_print(file: Path) -> None:
    if file.relative_to(SOURCE).parts[0] in ("apps", "__main__.py"):
        return
    calls = (node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    lines = [
        node.lineno
        for node in calls
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not lines, f"{file.name}: print in lines {lines}; a library logs or returns"


@in_every_file
def test_public_names_have_docstrings(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    bare = [
        name
        for name, node in definitions(ast.parse(text))
        if not any(part.startswith("_") for part in name.split(".")) and not ast.get_docstring(node)
    ]
    assert not text.strip() or not bare, f"{file.name}: no docstring on {', '.join(bare)}"


def test_sizes() -> None:
    """What grows long is named in a warning, never forbidden."""
    if grown := [*_long_files(), *_full_folders()]:
        warnings.warn("worth a look: " + "; ".join(grown), stacklevel=1)


def _long_files() -> Iterator[str]:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        where = file.relative_to(SOURCE).as_posix()
        if (lines := text.count("\n")) > LONG_FILE:
            yield f"{where} has {lines} lines"
        for name, length in _bodies(ast.parse(text)):
            if length > LONG_FUNCTION:
                yield f"{where}: {name} has {length} lines"


def _full_folders() -> Iterator[str]:
    for folder in sorted({file.parent for file in FILES}):
        if (count := len(list(folder.glob("*.py")))) > FULL_FOLDER:
            yield f"{folder.relative_to(SOURCE)} has {count} files"


def _bodies(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each function with the lines of its body, its docstring not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            documented = isinstance(node.body[0], ast.Expr) and ast.get_docstring(node)
            first = node.body[min(1, len(node.body) - 1)] if documented else node.body[0]
            yield node.name, (node.end_lineno or 0) - first.lineno + 1
