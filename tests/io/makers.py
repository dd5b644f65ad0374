"""Files of every format with a known signal; what no package writes is written here."""

from __future__ import annotations

import json
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
    durations: tuple[float, ...] | None = (0.5, 1.0)
    late: int = 0
    names: tuple[str, ...] = ("FC5", "Cz", "Fp1", "EMG chin")
    kinds: tuple[str, ...] = ("eeg", "eeg", "eeg", "emg")
    rate: float = 100
    onsets: tuple[float, ...] = (1.0, 3.25)


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
    return Made(data * 1e-6, 0.02e-6, ("1", "2"), durations=None, late=1, names=("FC5", "Cz"))


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
    return Made(data * 1e-6, 1e-10, durations=None)


def _csv(path: Path, head: str, columns: list[np.ndarray], form: str = "%.3f") -> None:
    np.savetxt(path, np.column_stack(columns), form, ",", header=head, comments="")


def make_muse(path: Path) -> Made:
    """Write a Muse CSV: 256 Hz, stamps that jitter by 8 ms, markers of one sample."""
    rng = np.random.default_rng(0)
    data = rng.normal(0, 20, (5, 256 * SECONDS))
    stamps = (
        1486223115.483 + np.arange(data.shape[1]) / 256 + rng.uniform(-0.008, 0.008, data.shape[1])
    )
    marker = np.zeros(data.shape[1])
    marker[[256, 832]] = 1, 2
    head = "timestamps,TP9,AF7,AF8,TP10,Right AUX,Marker"
    _csv(path, head, [stamps, *data, marker], "%.6f")
    names = ("TP9", "AF7", "AF8", "TP10", "Right AUX")
    return Made(data * 1e-6, 1e-12, ("1", "2"), (0, 0), 0, names, ("eeg",) * 4 + ("misc",), 256)


def make_mind_monitor(path: Path) -> Made:
    """Write a Mind Monitor CSV: rows in bursts, the last field only where there is an element."""
    data = 800 + np.random.default_rng(0).normal(0, 20, (4, 256 * SECONDS))
    head = "TimeStamp,Delta_TP9,RAW_TP9,RAW_AF7,RAW_AF8,RAW_TP10,AUX_RIGHT,Battery,Elements"
    rows = [head, "2025-07-01 14:56:05.000,,,,,,,,/muse/event/connected MuseS-84AC"]
    for k, values in enumerate(data.T):
        burst = k // 12 * 12 / 256
        stamp = f"2025-07-01 14:56:{6 + burst:06.3f}"
        if k in (252, 828):
            rows.append(f"{stamp},,,,,,,,/Marker/{1 if k == 252 else 2}")
        rows.append(f"{stamp},0.1,{','.join(f'{value:.4f}' for value in values)},,54.17")
    path.write_text("\n".join(rows) + "\n")
    names = ("TP9", "AF7", "AF8", "TP10")
    at = (252 / 256, 828 / 256)
    return Made(data * 1e-6, 1e-10, ("1", "2"), (0, 0), 0, names, ("eeg",) * 4, 256, at)


def make_myo(path: Path) -> Made:
    """Write the text of a Myo: a row a millisecond, but every tenth is missing."""
    data = np.round(np.random.default_rng(0).normal(0, 20, (8, 1000 * SECONDS))) * 1e-5
    kept = np.arange(data.shape[1]) % 10 != 9
    classes = np.zeros(data.shape[1], int)
    classes[1000:1500], classes[3250:4250] = 1, 2
    held = data[
        :, np.arange(data.shape[1]) // 10 * 10 + np.minimum(np.arange(data.shape[1]) % 10, 8)
    ]
    rows = ["time\t" + "\t".join(f"channel{i}" for i in range(1, 9)) + "\tclass"]
    for k in [*np.flatnonzero(kept), data.shape[1] - 1]:
        values = held[:, k]
        rows.append("\t".join([str(k + 1), *(f"{value:g}" for value in values), str(classes[k])]))
    path.write_text("\n".join(rows) + "\n")
    names = tuple(f"channel{i}" for i in range(1, 9))
    return Made(held, 1e-12, ("1", "2"), (0.5, 1.0), 0, names, ("emg",) * 8, 1000)


def make_dreams(path: Path) -> Made:
    """Write an excerpt of DREAMS: 10 s at 100 Hz, two stages and two spindles of one expert."""
    data = np.random.default_rng(0).normal(0, 20, (1, 1000))
    path.write_text("[C3-A1]\r\n" + "".join(f"{value:9.4f}\r\n" for value in data[0]))
    stem = path.name.removesuffix(".txt")
    (path.parent / f"Hypnogram_{stem}.txt").write_text("[Hypnogram]\r\n5\r\n0\r\n")
    scoring = "[vis1_Spindles/C3-A1]\r\n  1.0000\t  0.5000\r\n  3.2500\t  1.0000\r\n"
    (path.parent / f"Visual_scoring1_{stem}.txt").write_text(scoring)
    spindle = "spindle/expert 1"
    return Made(
        data * 1e-6, 1e-10, ("W", spindle, spindle, "N3"), (5, 0.5, 1, 5), 0, ("C3-A1",), ("eeg",),
        100, (0, 1, 3.25, 5),
    )  # fmt: skip


def _sidecar(path: Path) -> None:
    said = {"SamplingFrequency": 100, "Units": "uV", "ChannelNames": NAMES}
    (path.parent / f"{path.name.split('.')[0]}.json").write_text(json.dumps(said))


def make_matrix(path: Path) -> Made:
    """Write a CSV with a column of time and one for each channel, the unit beside it."""
    data = microvolts()
    _csv(path, "time," + ",".join(NAMES), [np.arange(data.shape[1]) / RATE, *data], "%.6f")
    path.with_suffix(".json").write_text('{"Units": "uV"}')
    return Made(data * 1e-6, 1e-10, (), (), onsets=())


def make_npy(path: Path) -> Made:
    """Write an array of channels by time, the rest beside it."""
    np.save(path, microvolts())
    _sidecar(path)
    return Made(microvolts() * 1e-6, 1e-15, (), (), onsets=())


TRIAL_LABELS = ("1", "0", "1", "0")


def _trials() -> tuple[np.ndarray, Made]:
    """Four trials of 2 s each, and what they are once laid end to end."""
    x = microvolts().reshape(4, 4, 200).transpose(1, 0, 2)
    return x, Made(microvolts() * 1e-6, 1e-10, TRIAL_LABELS, (2,) * 4, onsets=(0, 2, 4, 6))


def make_trials_csv(path: Path) -> Made:
    """Write the trials as EEG-DL does: a trial a row, labels in a table of their own."""
    x, made = _trials()
    np.savetxt(path, x.reshape(4, -1), "%.6f", ",")
    (path.parent / "training_label.csv").write_text("1\n0\n1\n0\n")
    _sidecar(path)
    return made


def _named_trials() -> dict[str, np.ndarray]:
    x, _ = _trials()
    y = np.array(TRIAL_LABELS, int)
    return {"x_train": x[:3], "y_train": y[:3], "x_test": x[3:], "y_test": y[3:]}


def make_npz(path: Path) -> Made:
    """Write training and test trials under their names."""
    np.savez(path, **_named_trials())
    _sidecar(path)
    return _trials()[1]


def make_mat(path: Path) -> Made:
    """Write training and test trials as ExBrainable takes them, with rate and names inside."""
    from scipy.io import savemat

    names = np.array([["FC5"], ["Cz"], ["Fp1"], ["EMG chin"]], dtype=object)
    savemat(path, _named_trials() | {"fs": 100.0, "ch_names": names})
    return _trials()[1]


# By the name of a file, or by a suffix where the name does not matter.
MAKERS = {
    ".edf": make_edf,
    ".bdf": make_edf,
    ".vhdr": make_brainvision,
    ".fif": make_fif,
    ".set": make_eeglab,
    ".gdf": make_gdf,
    ".cnt": make_cnt,
    ".xdf": make_xdf,
    ".mat": make_mat,
    ".npy": make_npy,
    ".npz": make_npz,
    "muse.csv": make_muse,
    "mindmonitor.csv": make_mind_monitor,
    "matrix.csv": make_matrix,
    "training_set.csv": make_trials_csv,
    "myo.txt": make_myo,
    "excerpt1.txt": make_dreams,
}
