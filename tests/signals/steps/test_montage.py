"""Mapping onto fixed places against known fields and MNE's interpolation."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import signal
from neuroloom.io.recordings.electrodes import template_positions
from neuroloom.signals.steps.montage import TEN_TEN, MapMontage

CAP = "Fp1 Fp2 F7 F3 Fz F4 F8 T3 C3 Cz C4 T4 T5 P3 Pz P4 T6 O1 O2"
TEN_TWENTY = CAP.split()


def field(names):
    """Return a smooth field over the head, volts."""
    x, y, z = template_positions(names).T
    return 1e-5 * (3 * x + 5 * y * z / 0.1 - 2 * z) / 0.1


def recorded(names, values=None, **kwargs):
    values = field(names) if values is None else values
    return signal(np.outer(values, [1.0, -2.0, 0.5] * 20), names, 50.0, source="b.edf", **kwargs)


def test_named_electrodes_come_through_and_old_names_are_known():
    mapped = MapMontage().apply(recorded(TEN_TWENTY))
    assert mapped.channel.values.tolist() == list(TEN_TEN)
    new = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
    for name in TEN_TWENTY:
        got = mapped.sel(channel=new.get(name, name)).values
        np.testing.assert_array_equal(got, recorded(TEN_TWENTY).sel(channel=name).values)


def test_missing_places_are_interpolated():
    mapped = MapMontage().apply(recorded(TEN_TWENTY)).values[:, 0]
    missing = [k for k, name in enumerate(TEN_TEN) if name not in TEN_TWENTY]
    expected = field(list(TEN_TEN))
    inner = [k for k in missing if TEN_TEN[k] not in ("Iz", "T9", "T10")]
    assert np.corrcoef(mapped[inner], expected[inner])[0, 1] > 0.99
    assert np.abs(mapped[inner] - expected[inner]).max() < 0.15 * np.abs(expected).max()


def test_interpolation_equals_mne():
    import mne

    names = [name for name in TEN_TEN if name not in ("C3", "POz")]
    positions = template_positions(TEN_TEN)
    info = mne.create_info(list(TEN_TEN), 50.0, "eeg")
    info.set_montage(mne.channels.make_dig_montage(
        dict(zip(TEN_TEN, positions, strict=True)), coord_frame="head"))  # fmt: skip
    data = np.random.default_rng(0).normal(size=(64, 60))
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.info["bads"] = ["C3", "POz"]
    raw.interpolate_bads(reset_bads=True, verbose="ERROR")
    kept = [k for k, name in enumerate(TEN_TEN) if name in names]
    ours = MapMontage().apply(signal(data[kept], names, 50.0, positions=template_positions(names)))
    theirs = raw.get_data(["C3", "POz"])
    error = np.abs(ours.sel(channel=["C3", "POz"]).values - theirs).max()
    # The centre of the sphere is fitted to other electrodes, so the angles differ slightly.
    assert error < 0.05 * np.abs(theirs).max()


def test_a_place_far_from_any_electrode_is_zero():
    few = ["TP9", "AF7", "AF8", "TP10"]
    mapped = MapMontage().apply(recorded(few))
    assert (mapped.sel(channel=["Cz", "Oz"]).values == 0).all()
    assert (mapped.sel(channel=["AF7", "T9", "TP7"]).values != 0).all()


def test_positions_serve_where_names_do_not():
    names = [f"E{k}" for k in range(1, 20)]
    positions = template_positions([{"T3": "T7"}.get(n, n) for n in TEN_TWENTY])
    mapped = MapMontage().apply(recorded(names, field(TEN_TWENTY), positions=positions))
    named = MapMontage().apply(recorded(TEN_TWENTY))
    inner = ["C3", "Cz", "C4", "FCz"]
    np.testing.assert_allclose(
        mapped.sel(channel=inner).values, named.sel(channel=inner).values, atol=1e-6
    )


def test_other_channels_go_and_facts_stay():
    recording = recorded(["C3", "Cz", "STI"], [1, 2, 3], types=["eeg", "eeg", "stim"])
    mapped = MapMontage(("Cz", "C4")).apply(recording)
    assert mapped.coords["type"].values.tolist() == ["eeg", "eeg"]
    assert mapped.attrs["source"] == "b.edf"
    assert (mapped.sel(channel="C4").values == 0).all()


def test_what_cannot_be_mapped_is_refused():
    with pytest.raises(DataError, match=r"b\.edf: none of its 2 EEG channels \(X1, X2\)"):
        MapMontage().apply(recorded(["X1", "X2"], [1, 2]))
    with pytest.raises(ConfigError, match="no place 'CZ3'"):
        MapMontage(("CZ3",))
