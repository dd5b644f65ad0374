"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real test recordings, or a skip that says how to point at it."""
    folder = Path(os.environ.get("NEUROLOOM_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real test data at {folder}; set NEUROLOOM_TEST_DATA")
    return folder.resolve()


@pytest.fixture(scope="session", autouse=True)
def _figures(request) -> Iterator[dict[str, bool]]:
    """Leave figures blank, as drawing them takes half of a tiny run.

    They are drawn in the long tests, where a test asks for `drawn`, and once for every recipe
    (`tests/contract/test_recipes.py`).
    """
    from matplotlib.figure import Figure
    from PIL import Image

    state = {"drawn": "long" in (request.config.getoption("-m") or "")}
    draw, blank = Figure.savefig, Image.new("RGB", (1, 1))

    def savefig(figure: Figure, file: Any, **words: Any) -> None:
        if state["drawn"]:
            draw(figure, file, **words)
        else:
            blank.save(file, "png")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        yield state


@contextmanager
def drawing(figures: dict[str, bool]) -> Iterator[None]:
    """Draw figures meanwhile."""
    before, figures["drawn"] = figures["drawn"], True
    try:
        yield
    finally:
        figures["drawn"] = before


@pytest.fixture(scope="module")
def drawn(_figures) -> Iterator[None]:
    """Draw figures in this module."""
    with drawing(_figures):
        yield
