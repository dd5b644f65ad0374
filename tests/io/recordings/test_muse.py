"""Muse CSV: what the stamps say of rate and gaps, and what the marker says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroloom import io
from neuroloom.core.errors import DataError
from neuroloom.io.recordings.find import find
from tests.io.makers import make_mind_monitor, make_muse


def rows_of(path: Path) -> list[str]:
    make_muse(path)
    return path.read_text().splitlines()


def test_lost_samples_become_a_marked_gap_and_later_events_keep_their_time(tmp_path: Path) -> None:
    path = tmp_path / "muse.csv"
    rows = rows_of(path)
    whole = io.read(path)
    path.write_text("\n".join(rows[:513] + rows[641:]) + "\n")  # 0.5 s from 2 s on
    recording = io.read(path)
    assert recording.sizes["time"] == pytest.approx(whole.sizes["time"], abs=4)
    table = recording.attrs["annotations"].set_index("label")
    assert table.loc["BAD_gap", "onset"] == pytest.approx(2.0, abs=0.02)
    assert table.loc["BAD_gap", "duration"] == pytest.approx(0.5, abs=0.03)
    assert table.loc["2", "onset"] == pytest.approx(3.25, abs=0.02)
    assert "1 gaps, 0.49 s in all, the first at 2.00 s" in recording.attrs["notes"][0]
    gap = recording.sel(channel="TP9").values[514:636]
    np.testing.assert_allclose(np.diff(gap, 2), 0, atol=1e-12)  # a straight line


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda rows: [*rows[:50], rows[50].rsplit(",", 1)[0], *rows[51:]], "row 51: expected 7"),
        (lambda rows: [*rows[:9], "a" + rows[9], *rows[10:]], "row 10, column 'timestamps'.*'a148"),
        (lambda rows: rows[:1] + rows[400:] + rows[1:400], "time runs backwards"),
        (lambda rows: rows[:1] + rows[1::2], "give 128 Hz"),
        (lambda rows: [row.replace("AF7", "AF77") for row in rows], "Did you mean 'AF77'"),
        (
            lambda rows: [*rows[:9], rows[9].rsplit(",", 1)[0] + ",0.5", *rows[10:]],
            "expected a whole number",
        ),
        (lambda rows: rows[:1], "no row of numbers"),
    ],
    ids=["ragged", "text", "backwards", "rate", "name", "marker", "head"],
)
def test_what_is_wrong_is_named(tmp_path: Path, spoil, says: str) -> None:
    path = tmp_path / "muse.csv"
    path.write_text("\n".join(spoil(rows_of(path))) + "\n")
    with pytest.raises(DataError, match=says):
        io.read(path)


def test_mind_monitor_names_its_elements(tmp_path: Path) -> None:
    path = tmp_path / "mm.csv"
    make_mind_monitor(path)
    text = path.read_text().replace("/Marker/2", "/muse/elements/blink")
    path.write_text(text)
    assert io.peek(path).annotations["label"].tolist() == ["1", "blink"]


def test_real_recordings(test_data: Path) -> None:
    found = find(test_data / "eeg" / "muse", include=["P300*", "N170*"])
    assert found.table["run"].is_unique
    assert set(found.table["subject"]) == {"1"}
    counts: dict[str, dict[str, int]] = {"N170": {"1": 0, "2": 0}, "P300": {"1": 0, "2": 0}}
    for path in found.table["path"]:
        recording = io.read(found.root / path)
        assert recording.attrs["rate"] == 256
        assert recording.attrs["notes"] == []
        for label, count in recording.attrs["annotations"]["label"].value_counts().items():
            counts[path[:4]][label] += count
    # Counted in the files with `zcat FILE | cut -d, -f7 | sort | uniq -c`.
    assert counts == {"N170": {"1": 400, "2": 381}, "P300": {"1": 644, "2": 131}}
