"""What every format must do: round trip, and one clear sentence about a broken file.

A new format is covered once it has a maker in `tests/io/makers.py`; without one a test fails.
"""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import numpy as np
import pytest

from neuroloom import io
from neuroloom.core.errors import DataError
from neuroloom.core.recording import check
from neuroloom.core.registry import FORMATS
from tests.io.makers import MAKERS, RATE, SECONDS

# These keep their samples in a partner file, which a .gz would have to hold too.
NO_GZ = {".vhdr"}


@pytest.fixture(params=sorted(FORMATS))
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_format_has_a_maker() -> None:
    assert set(MAKERS) == set(FORMATS)


def test_round_trip(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"a_eeg{suffix}"
    made = MAKERS[suffix](path)
    capfd.readouterr()
    recording = check(io.read(path), "signal")
    assert list(recording.channel.values) == ["FC5", "Cz", "Fp1", "EMG chin"] or suffix == ".cnt"
    assert list(recording.channel.values[:2]) == ["FC5", "Cz"]
    assert list(recording.type.values[:2]) == ["eeg", "eeg"]
    assert recording.attrs["rate"] == RATE
    assert recording.values.dtype == np.float64
    np.testing.assert_allclose(recording.values, made.volts, atol=made.step)
    assert np.isfinite(recording.x.values[:2]).all()
    assert recording.attrs["source"] == path.name
    table = recording.attrs["annotations"]
    assert table["label"].tolist() == list(made.labels)
    np.testing.assert_allclose(table["onset"] + made.late / RATE, [1.0, 3.25], atol=0.5 / RATE)
    if made.durations:
        np.testing.assert_allclose(table["duration"], [0.5, 1.0], atol=0.5 / RATE)
    assert capfd.readouterr() == ("", "")


def test_peek_says_what_read_gives(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a_eeg{suffix}"
    MAKERS[suffix](path)
    header, recording = io.peek(path), io.read(path)
    assert header.channels == tuple(recording.channel.values)
    assert header.types == tuple(recording.type.values)
    assert (header.rate, header.duration) == (RATE, SECONDS)
    assert header.annotations.equals(recording.attrs["annotations"])
    assert list(header.notes) == recording.attrs["notes"]
    assert header.source == path.name


def test_window(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a_eeg{suffix}"
    made = MAKERS[suffix](path)
    whole, part = io.read(path), io.read(path, 3.0, 6.0)
    np.testing.assert_array_equal(part.values, whole.values[:, 300:600])
    onset = part.attrs["annotations"]["onset"] + made.late / RATE
    np.testing.assert_allclose(onset, [0.25], atol=0.5 / RATE)


def test_gz(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a_eeg{suffix}"
    MAKERS[suffix](path)
    whole = io.read(path)
    packed = tmp_path / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    if suffix in NO_GZ:
        with pytest.raises(DataError, match="is not beside it"):
            io.read(packed)
        return
    recording = io.read(packed)
    np.testing.assert_array_equal(recording.values, whole.values)
    assert recording.attrs["source"] == packed.name
    assert io.peek(packed).source == packed.name


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"a_eeg{suffix}"
    MAKERS[suffix](path)
    bulk = path.with_suffix(".eeg") if suffix == ".vhdr" else path
    content = bulk.read_bytes()
    bulk.write_bytes(content[: int(len(content) * share) - 1])
    for door in (io.peek, io.read):
        with pytest.raises(DataError, match=rf"{path.name}: .*(cut|cannot be read)"):
            door(path)


def test_empty(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a_eeg{suffix}"
    path.touch()
    with pytest.raises(DataError, match=r"empty \(0 bytes\)"):
        io.peek(path)


@pytest.mark.parametrize("content", [b"time,Fp1,Fp2\n0,1.5,2.5\n" * 40, b"\x7fELF" + bytes(2000)])
def test_wrong_extension(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a_eeg{suffix}"
    path.write_bytes(content)
    for door in (io.peek, io.read):
        with pytest.raises(DataError, match=rf"{path.name}: is no .*begin") as caught:
            door(path)
        assert len(str(caught.value)) < 400


def test_any_damage_is_an_error_of_ours_or_none(suffix: str, tmp_path: Path) -> None:
    if suffix == ".set":
        pytest.skip("SciPy's MATLAB reader can crash on flipped bytes; cuts are tested above")
    path = tmp_path / f"a_eeg{suffix}"
    MAKERS[suffix](path)
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


def test_eeglab_epochs_are_told(tmp_path: Path) -> None:
    import mne

    info = mne.create_info(["Cz", "Pz"], 100, "eeg")
    epochs = mne.EpochsArray(np.zeros((3, 2, 50)), info, verbose="ERROR")
    mne.export.export_epochs(tmp_path / "a.set", epochs, verbose="ERROR")
    with pytest.raises(DataError, match="holds EEGLAB epochs, expected a continuous recording"):
        io.read(tmp_path / "a.set")


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
