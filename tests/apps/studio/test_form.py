"""Contract: every registered recipe is a form that round-trips, and says the same in every door."""

from __future__ import annotations

import json
import shlex
from typing import get_args

import pytest
from cyclopts import App

from neuroloom.apps.cli import jobs
from neuroloom.apps.studio import form
from neuroloom.apps.studio.pages.inputs import emptied, parsed, parsed_list
from neuroloom.core import registry
from neuroloom.core.recipe import MOST_BASIC_FIELDS, Recipe, describe, from_yaml
from tests.contract.test_recipes import SMALL, value_for

RECIPES = registry.names("recipe")
KINDS = {"switch", "number", "choice", "text", "list", "numbers", "pairs"}


def plain(value):
    return json.loads(json.dumps(value))


@pytest.fixture
def typed(monkeypatch):
    """Return the recipe that a command line becomes."""

    apps, seen = {}, []
    monkeypatch.setattr(Recipe, "run", lambda self, data, out, watch: seen.append(self))
    monkeypatch.setattr(jobs, "announce", lambda *_, **__: None)

    def parse(line: str) -> Recipe:
        words = shlex.split(line)
        if words[2] not in apps:
            apps[words[2]] = App()
            apps[words[2]].default(jobs.run_command(words[2]))
        apps[words[2]](words[3:], exit_on_error=False, result_action="return_value")
        return seen[-1]

    return parse


@pytest.mark.parametrize("name", RECIPES)
def test_its_form_round_trips_its_defaults(name):
    recipe = registry.load("recipe", name)
    fields = form.fields_of(recipe)
    assert {field.kind for field in fields} <= KINDS
    assert sum(field.basic for field in fields) <= MOST_BASIC_FIELDS
    given = {field.name: plain(field.default) for field in fields if not field.required}
    needed = {i.name: plain(value_for(i.type)) for i in describe(recipe) if i.required}
    assert recipe(**(given | needed)) == recipe(**needed)
    assert form.check(recipe, given | needed, "data", "").good


@pytest.mark.parametrize("name", RECIPES)
def test_every_value_of_a_form_is_the_same_on_the_command_line_and_in_yaml(name, typed):
    recipe = registry.load("recipe", name)
    samples = SMALL[name].samples if name in SMALL else {}
    infos = describe(recipe)
    values = {info.name: plain(samples.get(info.name, value_for(info.type))) for info in infos}
    alone = [{field: value} for field, value in values.items()]
    good = [one for one in alone if form.check(recipe, one, "data", "").good]
    assert good
    together = {field: value for one in good for field, value in one.items()}
    tried = [together] if form.check(recipe, together, "data", "").good else good
    for fields in tried:
        found, made = form.check(recipe, fields, "data", ""), recipe(**fields)
        assert typed(found.command) == made, fields
        assert from_yaml(found.yaml)[0] == made, fields


@pytest.mark.parametrize("name", RECIPES)
def test_a_wrong_value_is_told_at_its_field_in_the_commands_words(name):
    recipe = registry.load("recipe", name)
    field = next(f for f in form.fields_of(recipe) if f.kind == "number")
    found = form.check(recipe, {field.name: "many"}, "data", "")
    assert list(found.problems) == [field.name]
    assert "'many'" in found.problems[field.name]


def test_what_is_typed_becomes_plain_data():
    fields = {f.name: f for f in form.fields_of(registry.load("recipe", "signals.artifacts"))}
    assert parsed_list("50, 100", fields["notch"]) == [50, 100]
    assert parsed_list("C3,C4 ", fields["picks"]) == ["C3", "C4"]
    assert parsed_list(" ", fields["picks"]) == []
    assert parsed("1e-3", fields["notch"]) == 0.001


MAY_BE_NONE = [
    (name, info.name)
    for name in RECIPES
    for info in describe(registry.load("recipe", name))
    if info.default is not None and type(None) in get_args(info.type)
]


@pytest.mark.parametrize(("name", "field"), MAY_BE_NONE)
def test_none_is_none_in_every_door_where_the_default_is_something(name, field, typed):
    recipe = registry.load("recipe", name)
    shown = next(one for one in form.fields_of(recipe) if one.name == field)
    assert emptied(shown) is None
    needed = {i.name: plain(value_for(i.type)) for i in describe(recipe) if i.required}
    found = form.check(recipe, needed | {field: emptied(shown)}, "data", "")
    made = recipe(**needed, **{field: None})
    assert found.good
    assert f"--{field}=none" in found.command
    assert getattr(typed(found.command), field) is None
    assert typed(found.command) == typed(found.command.replace("=none", " none")) == made
    assert from_yaml(found.yaml)[0] == made


def test_an_emptied_control_is_the_default_where_a_setting_cannot_be_none():
    fields = {f.name: f for f in form.fields_of(registry.load("recipe", "signals.detect"))}
    assert parsed("", fields["iou"]) == fields["iou"].default
    assert parsed("", fields["threshold"]) is None
    assert parsed("0.3", fields["threshold"]) == 0.3


def test_the_help_of_a_field_is_one_sentence_with_its_unit():
    fields = {f.name: f for f in form.fields_of(registry.load("recipe", "signals.simulate"))}
    assert fields["rate"].unit == "Hz"
    assert fields["rate"].low == 110
    assert fields["experiment"].choices == ("motor", "oddball")
    assert fields["effect"].optional
