"""Reading: windows, EDF's own ways of being broken, privacy, silence."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuroloom import io
from neuroloom.core.errors import DataError
from neuroloom.core.recording import bad_channels, check, require_sound, signal


def test_edf_is_read_in_volts_with_ten_ten_names(tmp_path: Path, make_edf: Callable) -> None:
    made = make_edf(tmp_path / "a.edf")
    recording = check(io.read(tmp_path / "a.edf"), "signal")
    assert list(recording.channel.values) == ["FC5", "Cz", "Fp1", "EMG chin"]
    assert list(recording.type.values) == ["eeg", "eeg", "eeg", "emg"]
    np.testing.assert_allclose(recording.values, made.volts, atol=made.step)
    assert recording.attrs["source"] == "a.edf"
    assert recording.attrs["notes"] == []
    assert recording.attrs["annotations"].values.tolist() == [[1.0, 0.5, "T1"], [3.25, 1.0, "T2"]]


def test_window_is_the_cut_of_the_whole(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    whole, part = io.read(tmp_path / "a.edf"), io.read(tmp_path / "a.edf", 3.0, 5.0)
    np.testing.assert_array_equal(part.values, whole.values[:, 300:500])
    assert part.attrs["offset"] == 3.0
    assert part.time.values[0] == 0.0
    assert part.attrs["annotations"].values.tolist() == [[0.25, 1.0, "T2"]]
    with pytest.raises(DataError, match=r"inside the recording of 8 s"):
        io.read(tmp_path / "a.edf", 3.0, 50.0)


def test_header_cut(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    for length in (100, 256, 700):
        (tmp_path / "b.edf").write_bytes((tmp_path / "a.edf").read_bytes()[:length])
        for door in (io.peek, io.read):
            with pytest.raises(DataError, match=r"b\.edf: cut in its header"):
                door(tmp_path / "b.edf")


def test_data_cut_names_records(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    (tmp_path / "b.edf").write_bytes((tmp_path / "a.edf").read_bytes()[:-1500])
    with pytest.raises(DataError, match=r"promises 8 records of 1 s, 6 are there"):
        io.peek(tmp_path / "b.edf")


def test_open_number_of_records_is_legal(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    content = bytearray((tmp_path / "a.edf").read_bytes())
    content[236:244] = b"-1      "
    (tmp_path / "b.edf").write_bytes(content)
    assert io.read(tmp_path / "b.edf").sizes["time"] == 800
    assert "open" in io.peek(tmp_path / "b.edf").notes[0]


def test_damaged_number_in_the_header(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    content = bytearray((tmp_path / "a.edf").read_bytes())
    content[236:244] = b"many    "
    (tmp_path / "b.edf").write_bytes(content)
    with pytest.raises(DataError, match="header is damaged"):
        io.peek(tmp_path / "b.edf")


def test_gaps_of_edf_d(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    content = bytearray((tmp_path / "a.edf").read_bytes())
    content[192:197] = b"EDF+D"
    (tmp_path / "b.edf").write_bytes(content)
    assert io.read(tmp_path / "b.edf").sizes["time"] == 800
    at = content.index(b"+5\x14\x14")
    content[at : at + 4] = b"+9\x14\x14"
    (tmp_path / "c.edf").write_bytes(content)
    with pytest.raises(DataError, match=r"2 gaps \(EDF\+D\), the first after 5 s"):
        io.peek(tmp_path / "c.edf")


def test_bdf_with_edf_suffix_is_told_apart(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.bdf")
    (tmp_path / "a.bdf").rename(tmp_path / "a.edf")
    with pytest.raises(DataError, match=r"is a \.bdf file by its content"):
        io.peek(tmp_path / "a.edf")


def test_marker_channel_becomes_annotations(tmp_path: Path) -> None:
    import edfio

    rng = np.random.default_rng(1)
    marks = np.zeros(1000)
    marks[200:210], marks[500:510], marks[510:520] = 1, 2, 7
    made = [
        edfio.EdfSignal(rng.normal(0, 9, 1000), 100, label="Cz", physical_dimension="uV"),
        edfio.EdfSignal(
            marks, 100, label="Status", physical_range=(-32768, 32767),
            digital_range=(-32768, 32767),
        ),
    ]  # fmt: skip
    edfio.Edf(made).write(tmp_path / "a.edf")
    for table in (
        io.peek(tmp_path / "a.edf").annotations,
        io.read(tmp_path / "a.edf").attrs["annotations"],
    ):
        assert table.values.tolist() == [[2.0, 0.1, "1"], [5.0, 0.1, "2"], [5.1, 0.1, "7"]]
    assert io.peek(tmp_path / "a.edf").types == ("eeg", "stim")


def test_gz_cut_and_gz_not(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf")
    packed = gzip.compress((tmp_path / "a.edf").read_bytes())
    (tmp_path / "b.edf.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "c.edf.gz").write_bytes(b"not gzip at all")
    for name in ("b.edf.gz", "c.edf.gz"):
        with pytest.raises(DataError, match=rf"{name}: not a whole gzip file"):
            io.peek(tmp_path / name)
    (tmp_path / "d.edf.gz").write_bytes(gzip.compress((tmp_path / "a.edf").read_bytes()[:-999]))
    with pytest.raises(DataError, match=r"d\.edf\.gz: cut in its data"):
        io.peek(tmp_path / "d.edf.gz")


def test_missing_folder_unknown_unreadable(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "S001R06.edf")
    with pytest.raises(DataError, match=r"no such file.*Did you mean 'S001R06\.edf'"):
        io.read(tmp_path / "S001R6.edf")
    with pytest.raises(DataError, match="is a folder"):
        io.read(tmp_path)
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(DataError, match=r"no reader for '\.docx' files.*\.edf"):
        io.read(tmp_path / "notes.docx")
    (tmp_path / "S001R06.edf").chmod(0)
    if not os.access(tmp_path / "S001R06.edf", os.R_OK):
        with pytest.raises(DataError, match="cannot be opened"):
            io.read(tmp_path / "S001R06.edf")


def test_bad_channels_and_how_to_leave_them_out() -> None:
    data = np.random.default_rng(0).normal(size=(4, 100))
    data[1, 40:] = np.nan
    data[2] = 3.0
    data[3] = 0.0
    recording = signal(
        data, ["C3", "Cz", "C4", "STI"], 10.0, types=["eeg"] * 3 + ["stim"], source="a.edf"
    )
    assert bad_channels(recording) == {
        "Cz": "not a number from 4 s on (60 of 100 samples)",
        "C4": "flat (constant) for the whole recording",
    }
    with pytest.raises(DataError, match=r"a\.edf: channel Cz.*--picks '!Cz' --picks '!C4'"):
        require_sound(recording)
    require_sound(recording.isel(channel=[0]))


def test_patient_stays_in_the_file(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "a.edf", patient="Zacharias_Quill")
    recording, header = io.read(tmp_path / "a.edf"), io.peek(tmp_path / "a.edf")
    told = f"{recording.attrs} {recording.coords} {header}"
    assert b"Quill" in (tmp_path / "a.edf").read_bytes()
    assert "Quill" not in told
    assert "4711" not in told


def test_nothing_on_the_terminal(
    tmp_path: Path, make_edf: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    make_edf(tmp_path / "a.edf")
    (tmp_path / "a.edf").open("ab").write(b"\0" * 50)
    recording = io.read(tmp_path / "a.edf")
    assert capfd.readouterr() == ("", "")
    assert "longer than" in recording.attrs["notes"][0]


def test_import_is_cheap() -> None:
    code = (
        "import sys, neuroloom.io, neuroloom.io.recordings.find, neuroloom.io.recordings.fetch;"
        "print([m for m in ('mne', 'pandas', 'scipy', 'xarray', 'torch') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_real_recording(test_data: Path) -> None:
    recording = io.read(test_data / "eeg/eegmmidb/S001R06.edf")
    assert recording.shape == (64, 20000)
    assert recording.attrs["rate"] == 160
    assert isinstance(recording, xr.DataArray)
    assert np.isfinite(recording.x.values).all()
    labels = recording.attrs["annotations"]["label"].value_counts()
    assert labels["T0"] == 15
    assert labels["T1"] + labels["T2"] == 15
    packed = io.peek(test_data / "eeg/eegmmidb/S001R04.edf.gz")
    assert packed.source == "S001R04.edf.gz"
    assert packed.duration == 125.0
