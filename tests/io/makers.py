"""Files of every format with a known signal; what no package writes is written here."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NAMES = ["Fc5.", "CZ..", "EEG Fp1-REF", "EMG chin"]
RATE, SECONDS = 100, 8
MARKS = ((1.0, 0.5, "T1"), (3.25, 1.0, "T2"))


@dataclass(frozen=True)
class Made:
    """What a file holds: samples in volts, the step between two values, and its labels.

    MNE counts the events of CNT from one sample later than the file's offsets: `late`.
    """

    volts: np.ndarray
    step: float
    labels: tuple[str, ...] = ("T1", "T2")
    durations: bool = True
    late: int = 0


def microvolts(n_channels: int = 4) -> np.ndarray:
    """The known signal, shape (channel, time), µV."""
    return np.random.default_rng(0).normal(0, 20, (n_channels, RATE * SECONDS))


def make_edf(path: Path, marks: tuple = MARKS, patient: str | None = None) -> Made:
    """Write EDF+, or BDF+ by suffix, with edfio."""
    import edfio

    bdf = path.suffix == ".bdf"
    make_signal = edfio.BdfSignal if bdf else edfio.EdfSignal
    data = microvolts()
    signals = [
        make_signal(row, RATE, label=name, physical_dimension="uV", physical_range=(-500, 500))
        for row, name in zip(data, NAMES, strict=True)
    ]
    who = edfio.Patient(name=patient, code="MRN-4711") if patient else None
    what = edfio.Recording(investigator_technician_code=patient) if patient else None
    notes = [edfio.EdfAnnotation(*mark) for mark in marks]
    path.parent.mkdir(parents=True, exist_ok=True)
    make_file = edfio.Bdf if bdf else edfio.Edf
    make_file(signals, annotations=notes, patient=who, recording=what).write(path)
    return Made(data * 1e-6, 1000e-6 / (2**24 if bdf else 2**16))


def make_brainvision(path: Path) -> Made:
    """Write the three BrainVision files with pybv."""
    from pybv import write_brainvision

    data = microvolts() * 1e-6
    events = [
        {"onset": round(onset * RATE), "duration": round(duration * RATE), "description": code}
        for (onset, duration, _), code in zip(MARKS, (1, 2), strict=True)
    ]
    write_brainvision(
        data=data, sfreq=RATE, ch_names=NAMES, fname_base=path.stem, folder_out=path.parent,
        events=events, resolution=0.1, unit="µV", fmt="binary_int16",
    )  # fmt: skip
    return Made(data, 0.1e-6, ("Stimulus/S  1", "Stimulus/S  2"))


def _mne_raw(names: list[str] = NAMES):
    import mne

    info = mne.create_info(names, RATE, ["eeg"] * 3 + ["emg"], verbose="ERROR")
    raw = mne.io.RawArray(microvolts() * 1e-6, info, verbose="ERROR")
    onset, duration, label = zip(*MARKS, strict=True)
    return raw.set_annotations(mne.Annotations(onset, duration, label), verbose="ERROR")


def make_fif(path: Path) -> Made:
    """Write raw FIF with MNE."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _mne_raw().save(path, fmt="double", overwrite=True, verbose="ERROR")
    return Made(microvolts() * 1e-6, 1e-15)


def make_eeglab(path: Path) -> Made:
    """Write EEGLAB .set with eeglabio, through MNE's export."""
    import mne

    mne.export.export_raw(path, _mne_raw(), fmt="eeglab", overwrite=True, verbose="ERROR")
    return Made(microvolts() * 1e-6, 1e-10)


def make_gdf(path: Path) -> Made:
    """Write GDF 1.25, float64, one record a second, with an event table of mode 3."""
    data = microvolts()
    n = len(data)
    fixed = b"GDF 1.25" + b"X".ljust(160) + b"2020010112000000"
    fixed += struct.pack("<q", 256 * (n + 1)) + bytes(24) + bytes(20)
    fixed += struct.pack("<qIII", SECONDS, 1, 1, n)
    table = b"".join(name.encode().ljust(16, b"\0") for name in NAMES) + b" " * 80 * n
    table += b"uV".ljust(8, b"\0") * n
    table += struct.pack(f"<{2 * n}d", *[-500.0] * n, *[500.0] * n)
    table += struct.pack(f"<{2 * n}q", *[-500] * n, *[500] * n)
    table += b"\0" * 80 * n + struct.pack(f"<{2 * n}i", *[RATE] * n, *[17] * n) + bytes(32 * n)
    records = data.reshape(n, SECONDS, RATE).transpose(1, 0, 2).astype("<f8").tobytes()
    onsets = [round(onset * RATE) + 1 for onset, _, _ in MARKS]
    lengths = [round(duration * RATE) for _, duration, _ in MARKS]
    events = struct.pack("<B3sI", 3, RATE.to_bytes(3, "little"), 2)
    events += struct.pack("<2I2H2H2I", *onsets, 769, 770, 0, 0, *lengths)
    path.write_bytes(fixed + table + records + events)
    return Made(data * 1e-6, 1e-15, ("769", "770"))


def make_cnt(path: Path) -> Made:
    """Write Neuroscan CNT: int16, 0.01 µV a bit, an event table of type 1."""
    data = microvolts()
    n, length = data.shape
    start, events_at = 900 + 75 * n, 900 + 75 * n + 2 * n * length
    head = bytearray(start)
    head[:11] = b"Version 3.0"
    for form, at, value in (
        ("<H", 370, n), ("<H", 376, RATE), ("<I", 864, length), ("<I", 886, events_at),
    ):  # fmt: skip
        struct.pack_into(form, head, at, value)
    for i, name in enumerate(NAMES):
        head[900 + 75 * i : 910 + 75 * i] = name.encode().ljust(10, b"\0")[:10]
        struct.pack_into("<f", head, 900 + 75 * i + 59, 1.0)
        struct.pack_into("<f", head, 900 + 75 * i + 71, 2.048)
    digits = np.round(data * 100).astype("<i2").T.tobytes()
    rows = [
        struct.pack("<HBBi", code, 0, 0, start + 2 * n * round(onset * RATE))
        for code, (onset, _, _) in zip((1, 2), MARKS, strict=True)
    ]
    path.write_bytes(bytes(head) + digits + struct.pack("<Bii", 1, 16, 0) + b"".join(rows))
    return Made(data * 1e-6, 0.02e-6, ("1", "2"), durations=False, late=1)


def _chunk(tag: int, content: bytes) -> bytes:
    body = struct.pack("<H", tag) + content
    return b"\4" + struct.pack("<I", len(body)) + body


def _stream(number: int, kind: str, form: str, rate: float, labels: list[str]) -> bytes:
    channels = "".join(
        f"<channel><label>{label}</label><unit>microvolts</unit></channel>" for label in labels
    )
    text = (
        f"<?xml version='1.0'?><info><name>{kind}</name><type>{kind}</type>"
        f"<channel_count>{max(len(labels), 1)}</channel_count><channel_format>{form}"
        f"</channel_format><nominal_srate>{rate}</nominal_srate>"
        f"<desc><channels>{channels}</channels></desc></info>"
    )
    return _chunk(2, struct.pack("<I", number) + text.encode())


def make_xdf(path: Path) -> Made:
    """Write XDF with an EEG stream of floats and a marker stream of strings."""
    data, began = microvolts().astype("<f4"), 500.0
    samples = b"".join(
        b"\x08" + struct.pack("<d", began + i / RATE) + column.tobytes()
        for i, column in enumerate(data.T)
    )
    marks = b"".join(
        b"\x08" + struct.pack("<d", began + onset) + b"\x01" + bytes([len(label)]) + label.encode()
        for onset, _, label in MARKS
    )
    path.write_bytes(
        b"XDF:"
        + _chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
        + _stream(1, "EEG", "float32", RATE, NAMES)
        + _stream(2, "Markers", "string", 0, [])
        + _chunk(3, struct.pack("<I", 1) + b"\4" + struct.pack("<I", data.shape[1]) + samples)
        + _chunk(3, struct.pack("<I", 2) + b"\4" + struct.pack("<I", len(MARKS)) + marks)
    )
    return Made(data * 1e-6, 1e-10, durations=False)


MAKERS = {
    ".edf": make_edf,
    ".bdf": make_edf,
    ".vhdr": make_brainvision,
    ".fif": make_fif,
    ".set": make_eeglab,
    ".gdf": make_gdf,
    ".cnt": make_cnt,
    ".xdf": make_xdf,
}
