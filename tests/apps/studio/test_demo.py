"""Demo data: made offline, inside their folder, and taken by the recipe that brings them."""

from __future__ import annotations

import pytest

from neuroloom.apps.studio.demo import make
from neuroloom.core import registry
from neuroloom.core.files import read_json

RECIPES = {name: registry.load("recipe", name) for name in registry.names("recipe")}
DEMOS = [name for name, recipe in RECIPES.items() if hasattr(recipe, "demo")]


@pytest.mark.parametrize("name", DEMOS)
def test_a_recipe_takes_its_own_demo_data(name, tmp_path):
    made = read_json(make(name, tmp_path / "demo"))
    recipe = RECIPES[name]
    data = tmp_path / "demo" / made["data"]
    assert data.exists()
    assert made["what"].endswith(".")
    recipe(**made["fields"]).prepare(data)
