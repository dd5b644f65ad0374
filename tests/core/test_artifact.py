"""The shelf of artifacts: what is kept comes back, and equal figures are equal files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from neuroloom.core.artifact import Artifact, Shelf
from neuroloom.core.errors import RunError
from neuroloom.core.files import read_json, write_text

pytestmark = pytest.mark.usefixtures("drawn")


def draw() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2, 3])
    return figure


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "artifacts")


def test_table_comes_back_and_lies_beside_as_csv(shelf: Shelf) -> None:
    table = pd.DataFrame({"channel": ["C3", "Cz"], "weight": [0.1, np.nan]})
    shelf.add_table("weights", table, title="Weights", section="where")
    pd.testing.assert_frame_equal(shelf.read("weights"), table)
    assert (shelf.folder / "weights.csv").read_text().splitlines() == [
        "channel,weight",
        "C3,0.1",
        "Cz,",
    ]


@pytest.mark.parametrize("vector", [False, True])
def test_equal_figures_are_equal_files(tmp_path: Path, vector: bool) -> None:
    files = []
    for name in ("a", "b"):
        shelf = Shelf(tmp_path / name)
        shelf.add_figure("line", draw(), vector=vector, title="Line")
        files.append(shelf.read("line").read_bytes())
    assert files[0] == files[1]


def test_figures_of_pyplot_are_let_go(shelf: Shelf) -> None:
    from matplotlib import pyplot

    figure = pyplot.figure()
    shelf.add_figure("line", figure, title="Line")
    assert not pyplot.fignum_exists(figure.number)


def test_index_keeps_the_order_and_replaces_by_name(shelf: Shelf) -> None:
    shelf.add_text("one", "first", title="One")
    shelf.add_text("two", "second", title="Two")
    shelf.add_text("one", "third", title="One again")
    assert [artifact.title for artifact in shelf] == ["One again", "Two"]
    assert shelf.read("one") == "third"
    assert {"name", "kind", "title", "caption", "file", "section"} <= set(
        read_json(shelf.folder / "index.json")[0]
    )


def test_file_that_is_not_there_is_refused(shelf: Shelf) -> None:
    with pytest.raises(RunError, match=r"clean.fif"):
        shelf.add_file("clean", "signal", "clean.fif", title="Cleaned")
    write_text(shelf.folder / "clean.fif", "")
    assert shelf.add_file("clean", "signal", "clean.fif", title="Cleaned").kind == "signal"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "figur"}, "Did you mean 'figure'"),
        ({"section": "results"}, "Did you mean 'result'"),
        ({"name": "A b"}, "lower-case"),
        ({"name": "../up"}, "lower-case"),
        ({"file": "../../etc/passwd"}, "directly in the artifacts folder"),
        ({"file": ""}, "directly in the artifacts folder"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, str], says: str) -> None:
    fine = {"name": "a", "kind": "figure", "title": "A", "file": "a.png"}
    with pytest.raises(RunError, match=says):
        Artifact(**(fine | change))


def test_unknown_name_suggests_the_nearest(shelf: Shelf) -> None:
    shelf.add_text("confusion", "x", title="Confusion")
    with pytest.raises(RunError, match="Did you mean 'confusion'"):
        shelf.read("confuson")


def test_lost_file_is_named(shelf: Shelf) -> None:
    artifact = shelf.add_text("note", "x", title="Note")
    shelf.path(artifact).unlink()
    with pytest.raises(RunError, match=r"note\.txt"):
        shelf.read("note")
