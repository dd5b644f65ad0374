"""Every recipe that needs data brings some to try it on; it takes them, and its run ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuroloom.apps.studio.demo import make
from neuroloom.core import registry
from neuroloom.core.files import read_json
from neuroloom.learn.fit import own_threads

RECIPES = {name: registry.load("recipe", name) for name in registry.names("recipe")}
NEEDY = [name for name, recipe in RECIPES.items() if recipe.needs_data]


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with own_threads(1):
        yield


def demo_of(name: str, folder: Path) -> tuple[Any, Path]:
    """The recipe with its demo's fields, and the demo's data."""
    made = read_json(make(name, folder))
    assert made["what"].endswith(".")
    return RECIPES[name](**made["fields"]), folder / made["data"]


@pytest.mark.parametrize("name", NEEDY)
def test_it_brings_a_demo(name):
    # That the recipe takes it is checked in tests/apps/studio/test_demo.py.
    assert hasattr(RECIPES[name], "demo"), f"give {name} a classmethod demo(folder, fetch)"


@pytest.mark.long
@pytest.mark.parametrize("name", NEEDY)
def test_its_demo_runs_to_the_end(name, tmp_path):
    recipe, data = demo_of(name, tmp_path / "demo")
    run = recipe.run(data, tmp_path / "run")
    assert read_json(run.folder / "status.json")["state"] == "done"
    assert read_json(run.folder / "metrics.json")
    assert (run.folder / "report.html").stat().st_size > 1000
