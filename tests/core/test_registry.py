"""What exists, by name."""

from __future__ import annotations

import pytest

from neuroloom.core import registry
from neuroloom.core.errors import ConfigError


@pytest.mark.parametrize("kind", ["recipe", "model", "format", "augmentation", "label", "track"])
def test_everything_registered_can_be_loaded(kind):
    for name in registry.names(kind):
        assert registry.load(kind, name) is not None


@pytest.mark.parametrize("kind", ["recipe", "model"])
def test_what_is_loaded_carries_its_name(kind):
    plain = {name: name.rpartition("/")[2] for name in registry.names(kind)}
    assert all(registry.load(kind, name).name == short for name, short in plain.items())


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [("model", "egnet", "eegnet"), ("recipe", "signal.decode", "signals.decode")],
)
def test_a_slip_of_the_pen_gets_the_nearest_name(kind, name, near):
    with pytest.raises(ConfigError, match=rf"No {kind} is called '{name}'.*'{near}'"):
        registry.load(kind, name)


def test_other_packages_add_theirs(monkeypatch):
    class Point:
        name, value = "theirs.count", "collections:Counter"

    monkeypatch.setattr(
        registry, "entry_points", lambda group: [Point] if "recipe" in group else []
    )
    registry.table.cache_clear()
    try:
        assert registry.load("recipe", "theirs.count").__name__ == "Counter"
    finally:
        registry.table.cache_clear()
