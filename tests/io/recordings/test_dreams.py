"""DREAMS: the rate from the hypnogram, stages in AASM terms, spindles by who scored them."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroloom import io
from neuroloom.core.errors import DataError
from neuroloom.io.recordings.find import find
from tests.io.makers import make_dreams


@pytest.fixture
def excerpt(tmp_path: Path) -> Path:
    make_dreams(tmp_path / "excerpt1.txt")
    return tmp_path / "excerpt1.txt"


def test_sidecars_are_no_recordings_and_every_excerpt_is_a_subject(excerpt: Path) -> None:
    make_dreams(excerpt.with_name("excerpt12.txt"))
    (excerpt.parent / "licence.txt").write_text("Read this first.\n")
    found = find(excerpt.parent)
    assert found.table[["path", "subject"]].to_numpy().tolist() == [
        ["excerpt1.txt", "1"],
        ["excerpt12.txt", "12"],
    ]
    assert "every excerpt a subject" in found.layout


def test_movement_and_unknown_have_no_stage(excerpt: Path) -> None:
    excerpt.with_name("Hypnogram_excerpt1.txt").write_text("[Hypnogram]\n-1\n4\n")
    table = io.peek(excerpt).annotations
    assert table[~table["label"].str.startswith("spindle")].to_numpy().tolist() == [[5.0, 5.0, "R"]]


def test_without_a_hypnogram_the_way_out_is_named(excerpt: Path) -> None:
    excerpt.with_name("Hypnogram_excerpt1.txt").unlink()
    with pytest.raises(DataError, match=r"no hypnogram .*Hypnogram_excerpt1.txt.*excerpt1\.json"):
        io.peek(excerpt)
    excerpt.with_suffix(".json").write_text('{"SamplingFrequency": 200}')
    assert (io.peek(excerpt).rate, io.peek(excerpt).duration) == (200, 5)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("Hypnogram", "[Hypnogram]\n5\nawake\n", "row 3: expected 1 numbers, got 'awake'"),
        ("Hypnogram", "[Hypnogram]\n5\n5\n5\n", "cut in its data, or of another hypnogram"),
        ("Visual_scoring1", "[vis1]\n3.0\n", "row 2: expected 2 numbers, got '3.0'"),
        ("Visual_scoring1", "[vis1]\n900 1\n", "at 900 s lies outside the recording of 10 s"),
    ],
)
def test_a_broken_sidecar_is_named(excerpt: Path, name: str, text: str, says: str) -> None:
    excerpt.with_name(f"{name}_excerpt1.txt").write_text(text)
    with pytest.raises(DataError, match=says):
        io.read(excerpt)


def test_real_excerpts(test_data: Path) -> None:
    found = find(test_data / "eeg" / "dreams")
    headers = [io.peek(found.root / path) for path in found.table["path"]]
    # Rates and lengths as the distributor's SOURCES.md states them.
    assert [header.rate for header in headers] == [100, 200, 50, 200, 200, 200]
    first = headers[0].annotations.groupby("label")["duration"].agg(["size", "sum"])
    assert first["sum"][["W", "N1", "N2", "N3"]].tolist() == [280, 60, 1100, 360]
    assert first["size"]["spindle/expert 1"] == 52
    assert first["size"]["spindle/expert 2"] == 115
