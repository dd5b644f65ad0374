"""Recipes: YAML there and back, every field type, mistakes in plain words."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import VERSION, Recipe, check_type, describe, from_yaml, setting, to_yaml


class Every(Recipe):
    """One field of every type that the doors carry."""

    name: ClassVar[str] = "test.every"
    summary: ClassVar[str] = "has every type of field"

    needed: str = setting(..., "must be given", basic=True)
    number: int = setting(3, "a count", ge=1)
    size: float = setting(1.5, "a length", unit="s", gt=0)
    on: bool = setting(False, "a switch")
    word: Literal["run", "time"] | None = setting(None, "one of two")
    names: list[str] = setting([], "several")
    band: tuple[float, float] | None = setting(None, "two", unit="Hz")
    events: dict[str, str] = setting({}, "a mapping")
    model: str = setting("eegnet", "what is trained", kind="model")


GIVEN: dict[str, Any] = {
    "needed": "ja: 'nein'",
    "number": 7,
    "size": 0.25,
    "on": True,
    "word": "time",
    "names": ["a*", "!b", "01", "no", "ö"],
    "band": (8.0, 30.5),
    "events": {"T1": "fists", "2": "on"},
    "model": "shallow",
}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(registry.table("recipe"), "test.every", f"{__name__}:Every")
    load = registry.load
    monkeypatch.setattr(
        registry, "load", lambda kind, name: Every if name == "test.every" else load(kind, name)
    )


@pytest.mark.parametrize("name", list(GIVEN))
def test_every_type_of_field_survives_yaml(name):
    recipe = Every(**({"needed": "x"} | {name: GIVEN[name]}))
    again, data = from_yaml(to_yaml(recipe, "my data/"))
    assert (again, data) == (recipe, "my data/")
    assert getattr(again, name) == GIVEN[name]


def test_yaml_says_only_what_differs_from_the_defaults():
    text = to_yaml(Every(needed="x", number=3, size=2.0), "d")
    assert text == f"recipe: test.every\nversion: {VERSION}\ndata: d\nneeded: x\nsize: 2.0\n"


def test_numbers_serve_where_yaml_means_words():
    recipe, _ = from_yaml("recipe: test.every\nneeded: 1\nevents: {1: left, 2: right}")
    assert (recipe.needed, recipe.events) == ("1", {"1": "left", "2": "right"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recipe: [", "study is not valid YAML"),
        ("- a", "must be a mapping"),
        ("needed: x", "'recipe: NAME'"),
        ("recipe: test.every\nversion: 99\nneeded: x", "version 99; this neuroloom reads up to"),
        ("recipe: test.every\nneeded: x\nnubmer: 4", "no setting 'nubmer'.*'number'"),
        ("recipe: test.every\nneeded: x\n3: 4", "no setting '3'"),
        ("recipe: test.every", "test.every needs the setting 'needed'"),
        ("recipe: signals.decod", "'signals.decode'"),
    ],
)
def test_a_study_that_is_none_is_refused_in_one_sentence(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        from_yaml(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"number": 0}, "number: .*greater than or equal to 1, got 0"),
        ({"number": "many"}, "number: .*integer.*got 'many'"),
        ({"size": -1}, "size: .*greater than 0, got -1"),
        ({"word": "tine"}, "word: .*got 'tine'.*Did you mean 'time'"),
        ({"band": (1, 2, 3)}, "band"),
        ({"events": "T1"}, "events: .*got 'T1'"),
    ],
)
def test_a_value_that_does_not_fit_is_named(fields, said):
    with pytest.raises(ConfigError, match=said):
        Every(needed="x", **fields)


def test_a_recipe_is_described_by_its_types():
    infos = {info.name: info for info in describe(Every)}
    assert infos["needed"].required
    assert infos["needed"].basic
    assert (infos["size"].default, infos["size"].unit, infos["size"].help) == (1.5, "s", "a length")
    assert infos["word"].choices == ("run", "time")
    assert "eegnet" in infos["model"].choices


@pytest.mark.parametrize("annotation", [Any, object, set[str], dict[int, str], list[Any], bytes])
def test_a_type_that_no_door_can_show_is_refused(annotation):
    with pytest.raises(TypeError, match=r"field 'x': no door can show"):
        check_type("x", annotation)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(Exception, match=r"frozen"):
        Every(needed="x").number = 4


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("signals.decode", "init"),
        ("eye.pupil", "weights"),
        ("eye.gaze", "eyeball"),
        ("eye.train", "labelled"),
        ("pose.calibrate", "board"),
        ("pose.triangulate", "calibration"),
        ("pose.track", "video"),
        ("pose.suggest", "labels"),
        ("cognition.train", "weights"),
        ("cognition.tasks", "answers"),
        ("representation.extract", "weights"),
        ("representation.extract", "mask"),
    ],
)
def test_a_path_is_kept_as_it_holds_from_any_folder(name, field, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for given in ("runs/pre", "~/runs/pre", "elsewhere/../runs/pre"):
        made, _ = from_yaml(f"recipe: {name}\n{field}: {given}\n")
        assert made.settings()[field] == str(tmp_path / "runs" / "pre")
    assert from_yaml(f"recipe: {name}\n{field}: null\n")[0].settings() == {}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("signals.decode", {"init": "random"}),
        ("representation.extract", {"weights": "pretrained"}),
        ("representation.extract", {"model": "timm/resnet18"}),
        ("microscopy.threshold", {"pipeline": "cells"}),
        ("representation.compare", {"models": ["timm/*.npy"]}),
        ("pose.suggest", {"tracks": ["beside.h5"]}),
    ],
)
def test_a_word_stays_one_beside_a_folder_of_that_name(name, fields, tmp_path, monkeypatch):
    for folder in ("random", "pretrained", "timm/resnet18", "cells"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert registry.load("recipe", name)(**fields).settings() == fields


def test_what_may_lie_here_or_beside_the_data_is_kept_whole_where_it_lies_here(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for file in ("a.h5", "net.onnx", "mine.yaml"):
        (tmp_path / file).touch()
    for name, field, file, given in (
        ("pose.suggest", "tracks", "a.h5", ["a.h5"]),
        ("representation.compare", "models", "a.h5", ["a.h5"]),
        ("representation.extract", "model", "net.onnx", "net.onnx"),
        ("microscopy.threshold", "pipeline", "mine.yaml", "mine.yaml"),
    ):
        whole = str(tmp_path / file)
        kept = registry.load("recipe", name)(**{field: given}).settings()[field]
        assert kept == ([whole] if isinstance(given, list) else whole)
