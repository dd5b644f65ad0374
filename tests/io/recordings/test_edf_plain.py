"""What is read of plain EDF without MNE, against MNE; and that anything else is left to MNE."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom import io
from neuroloom.io.recordings.formats import edf
from tests.io import makers

RANGES = {"uV": (-500, 500), "mV": (-3.5, 7), "V": (0.25, -0.5), "": (-1, 1)}
MARKS = (
    (0.0, 0.0, "start"), (2.3456789, 0.5, "T1"), (2.3456789, 0.25, "T2"), (2.5, 0, "möve, ↯"),
    (2.5, 0, "möve, ↯"), (5.9, 2.1, "T1"), (1 / 3, 7.0, "long"),
)  # fmt: skip


def write(path: Path, *, marks=MARKS, rates=(100,) * 5, labels=None, length=8, **more) -> Path:
    """Five channels in four units, each of its own range, two of their own digital range."""
    import edfio

    rng, units = np.random.default_rng(0), ["uV", "mV", "V", "", "uV"]
    labels = labels or ["C3", "EEG Cz-REF", "Fp1", "EOG left", "C4."]
    signals = []
    for k, (unit, rate, label) in enumerate(zip(units, rates, labels, strict=True)):
        low, high = RANGES[unit]
        data = rng.uniform(min(low, high), max(low, high), rate * length)
        digits = (-2048, 2047) if k % 2 else (-32768, 32767)
        signals.append(
            edfio.EdfSignal(
                data, rate, label=label, physical_dimension=unit, digital_range=digits,
                physical_range=(min(low, high), max(low, high)),
            )
        )  # fmt: skip
    notes = None if marks is None else [edfio.EdfAnnotation(*mark) for mark in marks]
    edfio.Edf(signals, annotations=notes, **more).write(path)
    return path


def plain(path: Path):
    return edf._plain(path, edf._layout(path))


def both_ways(path: Path, monkeypatch, *window):
    """Read a file directly and through MNE."""
    assert plain(path) is not None
    mine = io.read(path, *window), io.peek(path)
    with monkeypatch.context() as patch:
        patch.setattr(edf, "_plain", lambda path, layout: None)
        return mine, (io.read(path, *window), io.peek(path))


def require_equal(mine, theirs):
    (recording, header), (reference, its_header) = mine, theirs
    np.testing.assert_array_equal(recording.values, reference.values)
    assert recording.dtype == reference.dtype
    assert recording.coords.equals(reference.coords)
    tables = [recording.attrs.pop("annotations"), reference.attrs.pop("annotations")]
    assert recording.attrs == reference.attrs
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    pd.testing.assert_frame_equal(header.annotations, its_header.annotations, check_exact=True)
    for name in ("source", "channels", "types", "rate", "duration", "notes", "trial"):
        assert getattr(header, name) == getattr(its_header, name)


@pytest.mark.parametrize("marks", [MARKS, (), None])
def test_equals_mne(tmp_path, monkeypatch, marks):
    require_equal(*both_ways(write(tmp_path / "a.edf", marks=marks), monkeypatch))


@pytest.mark.parametrize("window", [(None, 3.0), (2.5, 5.07), (7.99, None), (3.0, 4.0)])
def test_window_equals_mne(tmp_path, monkeypatch, window):
    require_equal(*both_ways(write(tmp_path / "a.edf"), monkeypatch, *window))


@pytest.mark.parametrize("record", [0.1, 0.5, 8])
def test_records_of_any_length_equal_mne(tmp_path, monkeypatch, record):
    path = write(tmp_path / "a.edf", data_record_duration=record)
    require_equal(*both_ways(path, monkeypatch, 0.3, 7.7))


def test_a_start_within_a_second_equals_mne(tmp_path, monkeypatch):
    from datetime import time

    path = write(tmp_path / "a.edf", starttime=time(10, 11, 12, 345678))
    require_equal(*both_ways(path, monkeypatch))


def test_makers_file_equals_mne_also_packed(tmp_path, monkeypatch):
    makers.make_edf(tmp_path / "a.edf", patient="Zacharias_Quill")
    require_equal(*both_ways(tmp_path / "a.edf", monkeypatch))
    (tmp_path / "a.edf.gz").write_bytes(gzip.compress((tmp_path / "a.edf").read_bytes()))
    packed, whole = io.read(tmp_path / "a.edf.gz"), io.read(tmp_path / "a.edf")
    np.testing.assert_array_equal(packed.values, whole.values)


def changed(path: Path, *changes: tuple[bytes, bytes]) -> Path:
    """Replace bytes by as many others, each where it comes first."""
    content = path.read_bytes()
    for old, new in changes:
        assert len(old) == len(new)
        assert old in content
        content = content.replace(old, new, 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "change",
    [
        (b"EDF+C", b"EDF+D"),
        (b"-3.5    ", b"9.5     "),
        (b"-2048   ", b"-9999   "),
    ],
    ids=["EDF+D without a gap", "ranges upside down", "other digits"],
)
def test_odd_headers_equal_mne(tmp_path, monkeypatch, change):
    path = changed(write(tmp_path / "a.edf"), change)
    require_equal(*both_ways(path, monkeypatch))


def test_annotations_between_the_signals_equal_mne(tmp_path, monkeypatch):
    """The annotation channel moved to the front: labels, samples and all."""
    path = write(tmp_path / "a.edf")
    layout, content = edf._layout(path), path.read_bytes()
    count, widths = len(layout.labels), (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    order, table, at = [count - 1, *range(count - 1)], b"", 256
    for width in widths:
        fields = [content[at + k * width : at + (k + 1) * width] for k in range(count)]
        table += b"".join(fields[k] for k in order)
        at += count * width
    ends = 2 * np.cumsum([0, *layout.samples])
    records = [
        content[at + r * layout.record_bytes : at + (r + 1) * layout.record_bytes]
        for r in range(layout.records)
    ]
    moved = b"".join(record[ends[k] : ends[k + 1]] for record in records for k in order)
    path.write_bytes(content[:256] + table + moved)
    assert edf._layout(path).labels[0] == "EDF Annotations"
    require_equal(*both_ways(path, monkeypatch))


def test_what_is_not_plain_is_left_to_mne(tmp_path):
    others = {
        "two rates": write(tmp_path / "a.edf", rates=(100, 100, 50, 100, 100)),
        "markers": write(tmp_path / "b.edf", labels=["C3", "Cz", "Status", "C4", "Pz"]),
        "one name twice": write(tmp_path / "c.edf", labels=["C3", "Cz", "C3", "C4", "Pz"]),
        "beyond the end": write(tmp_path / "d.edf", marks=[(7.5, 1.0, "T1")]),
        "of one channel": write(tmp_path / "e.edf", marks=[(1.0, 1.0, "T1@@C3")]),
        "over two lines": write(tmp_path / "f.edf", marks=[(1.0, 1.0, "T1\nT2")]),
        "another unit": changed(write(tmp_path / "g.edf"), (b"mV      ", b"degC    ")),
        "a comma": changed(write(tmp_path / "h.edf"), (b"-3.5    ", b"-3,5    ")),
        "a zero byte": changed(write(tmp_path / "i.edf"), (b"Fp1   ", b"Fp1\0  ")),
        "no range": changed(write(tmp_path / "j.edf"), (b"-3.5    ", b"7       ")),
        "no list": changed(write(tmp_path / "k.edf"), (b"+2\x14\x14", b"?2\x14\x14")),
        "records open": changed(write(tmp_path / "l.edf"), (b"8       1     ", b"-1      1     ")),
    }
    assert {what: plain(path) for what, path in others.items()} == dict.fromkeys(others)


def test_real_recordings_equal_mne(test_data, monkeypatch):
    files = [test_data / "eeg/eegmmidb/S001R06.edf", test_data / "eeg/formats/test.edf"]
    for path in files:
        require_equal(*both_ways(path, monkeypatch))
