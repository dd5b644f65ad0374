"""The parity harness: bars hold as written, rows of other tools stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroloom.catalogue.parity import load_parity
from neuroloom.catalogue.search import find_tool
from parity import harness
from parity.__main__ import FILES, main
from parity.harness import COLUMNS, Check, holds, measure, merge, read


@pytest.mark.parametrize(
    ("figure", "bar", "expected"),
    [
        (0.93, ">= 0.93", True),
        (0.929, ">= 0.93", False),
        (2484, "== 2484", True),
        (0.71, "<= 0.7", False),
        (float("nan"), ">= 0.1", False),
    ],
)
def test_bars(figure: float, bar: str, expected: bool) -> None:
    assert holds(figure, bar) is expected


def test_rows_of_a_tool_replace_its_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    old = [
        measure(Check(tool, "claim", ">= 0", lambda _: 0.5), tmp_path) for tool in ("DN3", "gumpy")
    ]
    merge(old, path)
    merge([measure(Check("gumpy", "other", "<= 0", lambda _: 1.0), tmp_path)], path)
    assert [(row["tool"], row["passed"]) for row in read(path)] == [
        ("DN3", "true"),
        ("gumpy", "false"),
    ]
    assert tuple(read(path)[0]) == COLUMNS
    assert [row.tool for row in load_parity(path)] == ["DN3", "gumpy"]


def test_a_failing_check_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROLOOM_TEST_DATA", str(tmp_path))
    stored: list[dict[str, str]] = []
    monkeypatch.setattr(harness, "merge", stored.extend)
    checks = [Check("braindecode", "never", ">= 1", lambda _: 0.5)]
    monkeypatch.setattr("parity.braindecode.CHECKS", checks)
    assert main(["braindecode"]) == 1
    assert "FAILED  braindecode: never: 0.5 (>= 1)" in capsys.readouterr().out
    assert stored[0]["passed"] == "false"


def test_a_wrong_name_is_the_users_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["braindecod"]) == 2
    assert "Did you mean 'braindecode'" in capsys.readouterr().err


def test_every_file_is_listed_under_a_tool_of_the_catalogue() -> None:
    here = Path(harness.__file__).parent
    helpers = {"__init__", "__main__", "crops", "doors", "harness", "hippocampus", "players",
               "studies"}  # fmt: skip
    files = {file.stem for file in here.glob("*.py")} - helpers
    assert files == {module.removeprefix("parity.") for module in FILES.values()}
    assert all(find_tool(tool).name == tool for tool in FILES)


@pytest.mark.parametrize(
    ("cores", "budget", "said"),
    [(1, "10min", "10 minutes on one core"), (2, "5min", "5 minutes, 2 cores")],
)
def test_minutes_are_of_two_cores(
    cores: int, budget: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "cores", lambda: cores)
    assert (harness.minutes(5), harness.spent(5)) == (budget, said)
