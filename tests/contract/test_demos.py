"""Every recipe is a page that renders; its demo, started as the page does it, runs to the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

pytest.importorskip("nicegui")

from neuroloom.apps.studio.form import fields_of
from neuroloom.core import registry
from tests.apps.studio.browsing import Server
from tests.apps.studio.conftest import wait

RECIPES = {name: registry.load("recipe", name) for name in registry.names("recipe")}
NEEDY = [name for name, recipe in RECIPES.items() if recipe.needs_data]
PATIENCE = 1800.0  # s; a demo asks for a minute, on a machine that may be busy
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("studio") / "workspace")
    yield made
    made.stop()


@pytest.mark.parametrize("name", NEEDY)
def test_it_brings_a_demo(name):
    # That the recipe takes it is checked in tests/apps/studio/test_demo.py.
    assert hasattr(RECIPES[name], "demo"), f"give {name} a classmethod demo(folder, fetch)"


@pytest.mark.parametrize("name", RECIPES)
def test_its_form_renders(name, server):
    """Each basic setting is a control of the page, or a button; the rest is folded."""
    with urlopen(f"{server.address}/recipe/{name}") as answer:
        page = answer.read().decode()
    fields = fields_of(RECIPES[name])
    for field in fields:
        pairs = f"Add a row to {field.label}"
        assert not field.basic or (pairs if field.kind == "pairs" else f"in-{field.name}") in page
    folded = sum(not field.basic for field in fields)
    assert f"{folded} more settings" in page or not folded


def wanted(server: Server, name: str) -> dict[str, Any]:
    """Return what the page sends when Run is pressed on its demo, or on the untouched form."""
    if RECIPES[name].needs_data:
        made = server.ask(f"recipes/{name}/demo", {})
        assert made["what"].endswith(".")
        return {"recipe": name, "data": made["data"], "fields": made["fields"]}
    short = {"budget": "60s", "steps": 20}
    known = RECIPES[name].model_fields
    return {"recipe": name, "fields": {key: short[key] for key in short if key in known}}


@pytest.mark.long
@pytest.mark.parametrize("name", RECIPES)
def test_its_demo_runs_from_the_form(name, server):
    asked = wanted(server, name)
    said = server.ask(f"recipes/{name}/check", {k: v for k, v in asked.items() if k != "recipe"})
    assert said["problems"] == {}
    assert said["command"].startswith(f"neuroloom run {name}")
    id = server.ask("runs", asked)["id"]
    wait(lambda: server.state(id) not in ("waiting", "running"), PATIENCE)
    run = server.ask(f"runs/{id}")
    assert (run["state"], run["message"]) == ("done", "")
    assert run["metrics"] or not RECIPES[name].needs_data
    with urlopen(f"{server.address}/api/runs/{id}/report") as answer:
        report = answer.read()
    assert len(report) > 1000
    assert run["artifacts"], "a result can be looked at"
