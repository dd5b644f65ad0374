"""What every format must do: round trip, and one clear sentence about a broken file.

A new format is covered once it has a maker in `tests/io/makers.py`; without one a test fails.
"""

from __future__ import annotations

import contextlib
import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from neuroloom import io
from neuroloom.core.errors import DataError
from neuroloom.core.recording import check
from neuroloom.core.registry import FORMATS
from neuroloom.io.recordings.text.door import KINDS
from tests.io.makers import MAKERS, Made

# These keep their samples in a partner file, which a .gz would have to hold too.
NO_GZ = {".vhdr"}


# Flipped bytes can crash SciPy's MATLAB reader.
NO_DAMAGE = {".set", ".mat"}


@pytest.fixture(params=sorted(MAKERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def place(folder: Path, kind: str) -> Path:
    """Name a file of a kind, which is a suffix or a whole name."""
    return folder / (f"a_eeg{kind}" if kind.startswith(".") else kind)


def make(folder: Path, kind: str) -> tuple[Path, Made]:
    path = place(folder, kind)
    return path, MAKERS[kind](path)


def test_every_format_has_a_maker() -> None:
    assert {kind if kind.startswith(".") else Path(kind).suffix for kind in MAKERS} == set(FORMATS)
    assert sum(kind.endswith((".csv", ".txt")) for kind in MAKERS) == len(KINDS)


def test_round_trip(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, made = make(tmp_path, kind)
    capfd.readouterr()
    recording = check(io.read(path), "signal")
    count = len(made.names)
    assert tuple(recording.channel.values[:count]) == made.names
    assert tuple(recording.type.values[:count]) == made.kinds[:count]
    assert recording.attrs["rate"] == made.rate
    assert recording.values.dtype == np.float64
    np.testing.assert_allclose(recording.values, made.volts, atol=made.step)
    if "emg" not in made.kinds[:1]:
        assert np.isfinite(recording.x.values[:2]).all()
    assert recording.attrs["source"] == path.name
    table = recording.attrs["annotations"]
    assert table["label"].tolist() == list(made.labels)
    near = 0.5 / made.rate
    np.testing.assert_allclose(table["onset"] + made.late / made.rate, made.onsets, atol=near)
    if made.durations is not None:
        np.testing.assert_allclose(table["duration"], made.durations, atol=near)
    assert capfd.readouterr() == ("", "")


def test_peek_says_what_read_gives(kind: str, tmp_path: Path) -> None:
    path, made = make(tmp_path, kind)
    header, recording = io.peek(path), io.read(path)
    assert header.channels == tuple(recording.channel.values)
    assert header.types == tuple(recording.type.values)
    assert (header.rate, header.duration) == (made.rate, made.volts.shape[1] / made.rate)
    assert header.annotations.equals(recording.attrs["annotations"])
    assert list(header.notes) == recording.attrs["notes"]
    assert header.source == path.name
    trial = header.trial and round(header.trial * header.rate)
    assert recording.attrs.get("trials") == trial


def test_window(kind: str, tmp_path: Path) -> None:
    path, made = make(tmp_path, kind)
    whole, part = io.read(path), io.read(path, 3.0, 6.0)
    first, last = round(3 * made.rate), round(6 * made.rate)
    np.testing.assert_array_equal(part.values, whole.values[:, first:last])
    onset = part.attrs["annotations"]["onset"] + made.late / made.rate
    inside = [at - 3 for at in made.onsets if 3 <= at < 6]
    np.testing.assert_allclose(onset, inside, atol=0.5 / made.rate)


def test_gz(kind: str, tmp_path: Path) -> None:
    path, _ = make(tmp_path, kind)
    whole = io.read(path)
    packed = tmp_path / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    if kind in NO_GZ:
        with pytest.raises(DataError, match="is not beside it"):
            io.read(packed)
        return
    recording = io.read(packed)
    np.testing.assert_array_equal(recording.values, whole.values)
    assert recording.attrs["annotations"].equals(whole.attrs["annotations"])
    assert recording.attrs["source"] == packed.name
    assert io.peek(packed).source == packed.name


def test_a_cut_gz(kind: str, tmp_path: Path) -> None:
    path, _ = make(tmp_path, kind)
    packed = tmp_path / f"{path.name}.gz"
    content = gzip.compress(path.read_bytes(), 1)
    packed.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match=rf"{packed.name}: not a whole gzip file"):
        io.read(packed)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated(kind: str, share: float, tmp_path: Path) -> None:
    path, _ = make(tmp_path, kind)
    bulk = path.with_suffix(".eeg") if kind == ".vhdr" else path
    content = bulk.read_bytes()
    content = content[: int(len(content) * share) - 1]
    if kind.endswith((".csv", ".txt")):
        # A number whose last digits are gone is still one: the cut must take a field along.
        content = re.split(rb"[,\t][^,\t]*$", content)[0]
    bulk.write_bytes(content)
    for door in (io.peek, io.read):
        with pytest.raises(DataError, match=rf"{path.name}: .*(cut|cannot be read)"):
            door(path)


def test_empty(kind: str, tmp_path: Path) -> None:
    path = place(tmp_path, kind)
    path.touch()
    with pytest.raises(DataError, match=r"empty \(0 bytes\)"):
        io.peek(path)


NO_RECORDINGS = [b"Dear diary,\nthe cap was wet.\n" * 40, b"\x7fELF" + bytes(2000)]


@pytest.mark.parametrize("content", NO_RECORDINGS)
def test_wrong_extension(kind: str, content: bytes, tmp_path: Path) -> None:
    path = place(tmp_path, kind)
    path.write_bytes(content)
    for door in (io.peek, io.read):
        with pytest.raises(DataError, match=rf"{path.name}: is no .*begin") as caught:
            door(path)
        assert len(str(caught.value)) < 500


def test_any_damage_is_an_error_of_ours_or_none(kind: str, tmp_path: Path) -> None:
    if kind in NO_DAMAGE:
        pytest.skip("SciPy's MATLAB reader can crash on flipped bytes; cuts are tested above")
    path, _ = make(tmp_path, kind)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(12):
        damaged = bytearray(content)
        for at in rng.integers(0, min(len(content), 1500), 4):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            io.peek(path)


def test_brainvision_without_its_data(tmp_path: Path) -> None:
    path = tmp_path / "a.vhdr"
    MAKERS[".vhdr"](path)
    (tmp_path / "a.eeg").rename(tmp_path / "b.eeg")
    with pytest.raises(DataError, match=r"DataFile 'a\.eeg' is not beside it.*'b\.eeg'"):
        io.peek(path)


def test_brainvision_cut_between_two_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.vhdr"
    MAKERS[".vhdr"](path)
    data = tmp_path / "a.eeg"
    data.write_bytes(data.read_bytes()[: 8 * 200])
    with pytest.raises(DataError, match="has 200 samples, its last marker stands at sample 326"):
        io.peek(path)


@pytest.mark.parametrize("name", ["a.set", "a-epo.fif"])
def test_epochs_are_trials_end_to_end(name: str, tmp_path: Path) -> None:
    import mne

    x = np.random.default_rng(0).normal(0, 1e-5, (4, 2, 70))
    events = np.column_stack([np.arange(4) * 100, np.zeros(4, int), [1, 2, 2, 1]])
    info = mne.create_info(["Cz", "Pz"], 100, "eeg")
    epochs = mne.EpochsArray(x, info, events, -0.2, {"face": 1, "house": 2}, verbose="ERROR")
    if name == "a.set":
        mne.export.export_epochs(tmp_path / name, epochs, verbose="ERROR")
    else:
        epochs.save(tmp_path / name, verbose="ERROR")
    recording = io.read(tmp_path / name)
    assert recording.attrs["trials"] == 70
    laid = recording.values.reshape(2, 4, 70).transpose(1, 0, 2)
    np.testing.assert_allclose(laid, x, atol=1e-9)
    table = recording.attrs["annotations"]
    assert table["label"].tolist() == ["face", "house", "house", "face"]
    np.testing.assert_allclose(table["onset"], [0.2, 0.9, 1.6, 2.3])
    np.testing.assert_allclose(table["duration"], 0.5)


def test_fif_counts_onsets_from_its_first_sample(tmp_path: Path) -> None:
    import mne

    MAKERS[".fif"](tmp_path / "a_raw.fif")
    raw = mne.io.read_raw_fif(tmp_path / "a_raw.fif", preload=True, verbose="ERROR")
    raw.set_meas_date(1e9).crop(2.0).save(tmp_path / "b_raw.fif", verbose="ERROR")
    table = io.read(tmp_path / "b_raw.fif").attrs["annotations"]
    np.testing.assert_allclose(table["onset"], [1.25])


@pytest.mark.parametrize(
    ("name", "shape", "rate"),
    [
        ("test.edf", (16, 15360), 256),
        ("test.bdf", (17, 15360), 256),
        ("test.cnt", (2, 25605), 200),
        ("test.xdf", (8, 9520), 1000),
        ("testbva.vhdr", (32, 2112), 200),
    ],
)
def test_real_samples(name: str, shape: tuple[int, int], rate: int, test_data: Path) -> None:
    path = test_data / "eeg" / "formats" / name
    recording = io.read(path)
    assert recording.shape == shape
    assert recording.attrs["rate"] == rate
    eeg = recording.values[np.isin(recording.type.values, ["eeg", "eog"])]
    assert 1e-8 < np.median(np.abs(eeg - eeg.mean(axis=1, keepdims=True))) < 1e-2
    assert io.peek(path).duration == shape[1] / rate
