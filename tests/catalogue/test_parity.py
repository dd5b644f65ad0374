"""What the scoreboard says is what its rows say."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroloom.catalogue.parity import load_parity, state
from neuroloom.catalogue.search import find_tool
from parity.harness import holds

HEADER = "tool,claim,figure,bar,passed,data,commit,date,seconds\n"
GOOD = "braindecode,count,2484,== 2484,true,none,abc,2026-11-20,0.1\n"
LATER = "braindecode,accuracy,0.956,>= 0.93,true,S001,abc,2026-11-22,9.0\n"
BAD = "DN3,accuracy,0.5,>= 0.93,false,S001,abc,2026-11-22,9.0\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(HEADER + GOOD + LATER + BAD, encoding="utf-8")
    return path


def test_all_checks_must_pass(results: Path) -> None:
    assert state("braindecode", results) == "passed (2026-11-22, 2484, 0.956)"
    assert state("DN3", results) == "not yet"
    assert state("gumpy", results) == "not yet"


def test_a_new_table_is_read_again(results: Path) -> None:
    assert len(load_parity(results)) == 3
    results.write_text(HEADER, encoding="utf-8")
    assert load_parity(results) == []
    assert load_parity(results.with_name("none.csv")) == []


def test_the_committed_table_names_tools_of_the_catalogue() -> None:
    for row in load_parity():
        assert find_tool(row.tool).name == row.tool


def test_the_committed_table_says_of_every_row_what_its_figure_says() -> None:
    """A check that fails stays in the table and is called a failure."""
    for row in load_parity():
        said = f"{row.tool}: {row.claim}: {row.figure} against {row.bar}"
        assert row.passed == holds(float(row.figure), row.bar), said
