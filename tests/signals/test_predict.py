"""A trained run on new recordings: the table, the annotated copy, what is refused."""

from __future__ import annotations

import mne
import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.signals import Decode
from tests import makers

FIELDS = makers.FIELDS | {"model": "csp-lda"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = makers.write_runs(folder / "data", runs=2)
    return Decode(**FIELDS).run(data, folder / "out")


@pytest.fixture
def new(tmp_path):
    return makers.write(makers.recording(99), tmp_path / "new.edf")


def test_the_table_says_where_what_and_how_sure(run, new, tmp_path):
    table = run.predict(new, out=tmp_path / "p")
    truth = makers.recording(99).attrs["annotations"]
    assert list(table) == ["path", "onset", "stop", "label", "decoded", "p_left", "p_right"]
    np.testing.assert_allclose(table["onset"], truth["onset"])
    assert table["label"].tolist() == truth["label"].tolist()
    assert (table["decoded"] == table["label"]).mean() >= 0.9
    np.testing.assert_allclose(table[["p_left", "p_right"]].sum(axis=1), 1)


def test_parquet_and_csv_hold_the_same(run, new, tmp_path):
    table = run.predict(new, out=tmp_path / "p")
    for stored in (
        pd.read_parquet(tmp_path / "p/predictions.parquet"),
        pd.read_csv(tmp_path / "p/predictions.csv"),
    ):
        pd.testing.assert_frame_equal(table, stored, check_dtype=False)


def test_mne_opens_the_annotated_copy(run, new, tmp_path):
    table = run.predict(new, out=tmp_path / "p")
    raw = mne.io.read_raw_fif(tmp_path / "p/new_decoded_raw.fif", verbose="ERROR")
    assert raw.annotations.description.tolist() == table["decoded"].tolist()
    np.testing.assert_allclose(raw.annotations.onset, table["onset"], atol=1 / makers.RATE)
    np.testing.assert_allclose(raw.annotations.duration, 1.0, atol=1 / makers.RATE)
    np.testing.assert_allclose(raw.get_data(), makers.recording(99).values[:, : raw.n_times],
                               atol=1e-8)  # fmt: skip


def test_a_recording_without_events_is_decoded_in_neighbouring_windows(run, tmp_path):
    made = makers.recording(99)
    made.attrs["annotations"] = made.attrs["annotations"].iloc[:0]
    table = run.predict(makers.write(made, tmp_path / "silent.edf"), out=tmp_path / "p")
    assert table["onset"].tolist() == list(np.arange(34.0))
    assert table["label"].isna().all()
    raw = mne.io.read_raw_fif(tmp_path / "p/silent_decoded_raw.fif", verbose="ERROR")
    assert len(raw.annotations) == 34


def test_events_with_other_names_are_decoded_in_windows_too(run, tmp_path):
    made = makers.recording(99, labels=("flash", "beep"))
    table = run.predict(makers.write(made, tmp_path / "other.edf"))
    assert table["label"].isna().all()
    assert len(table) > 0


def test_several_files_of_the_same_name_keep_their_copies(run, tmp_path):
    for k in "ab":
        makers.write(makers.recording(ord(k)), tmp_path / k / "new.edf")
    table = run.predict(tmp_path / "a/new.edf", tmp_path / "b/new.edf", out=tmp_path / "p")
    assert len(table) == 32
    assert len(list((tmp_path / "p").glob("*_decoded_raw.fif"))) == 2


def test_a_folder_gives_one_copy_a_recording(run, tmp_path):
    makers.write_runs(tmp_path / "more/deep", runs=2, trials=4)
    run.predict(tmp_path / "more", out=tmp_path / "p")
    names = {file.name for file in (tmp_path / "p").glob("*.fif")}
    assert names == {f"deep_sub-1_run-{k}_eeg_decoded_raw.fif" for k in (1, 2)}
    assert read_json(tmp_path / "p/status.json")["examples"] == 8


def test_another_rate_is_brought_to_that_of_the_model(run, tmp_path):
    made = makers.recording(99, trials=16, rate=256.0)
    table = run.predict(makers.write(made, tmp_path / "fast.edf"))
    assert (table["decoded"] == table["label"]).mean() >= 0.85


def test_channels_in_another_order_and_more_of_them_change_nothing(run, new, tmp_path):
    made = makers.recording(99)
    names = list(makers.CHANNELS)[::-1]
    shuffled = makers.recording(99, channels=[*names, "F7"])
    shuffled.values[:6] = made.sel(channel=names).values
    shuffled.attrs["annotations"] = made.attrs["annotations"]
    other = makers.write(shuffled.isel(time=slice(0, made.sizes["time"])), tmp_path / "other.fif")
    same = makers.write(made, tmp_path / "same.fif")
    a, b = run.predict(other)["p_left"], run.predict(same)["p_left"]
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_missing_channel_is_named(run, tmp_path):
    made = makers.recording(0, channels=makers.CHANNELS[1:])
    file = makers.write(made, tmp_path / "new.edf")
    with pytest.raises(DataError, match=r"new\.edf lacks 1 of the 6 channels.*C3"):
        run.predict(file, out=tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_it_refuses_to_overwrite_and_to_do_nothing(run, new, tmp_path):
    with pytest.raises(ConfigError, match=r"is not empty"):
        run.predict(new, out=tmp_path)
    with pytest.raises(ConfigError, match=r"needs a file"):
        run.predict()


def test_the_run_predicts_its_own_recordings_as_it_was_trained(run):
    data = run.study[1]
    table = run.predict(data)
    assert len(table) == 32
    assert (table["decoded"] == table["label"]).mean() >= 0.95


def test_a_model_of_whole_recordings_decodes_windows(tmp_path):
    for k, effect in enumerate((0.0, 12.0)):
        made = makers.recording(k, effect=effect, labels=("left", "left"))
        makers.write(made, tmp_path / f"d/{'off' if k == 0 else 'on'}.edf")
    run = Decode(
        target="state", pattern="{state}.edf", window=2.0, split="time", model="csp-lda"
    ).run(tmp_path / "d", tmp_path / "r")
    table = run.predict(tmp_path / "d/on.edf", out=tmp_path / "p")
    assert table["onset"].tolist() == list(np.arange(0.0, 34.0, 2.0))
    assert (table["decoded"] == "on").mean() > 0.8
