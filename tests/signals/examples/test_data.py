"""From files to examples: channels picked, windows cut to the sample, what is dropped and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.heap import Heap
from neuroloom.core.recording import signal
from neuroloom.io.recordings.find import find
from neuroloom.signals import Decode
from neuroloom.signals.examples import data
from neuroloom.signals.examples.cut import Cut, pick_channels
from neuroloom.signals.examples.data import cut_windows, peek_all, read_examples
from tests import makers

TRIAL = Cut(start=0.0, stop=1.0)


def count(path, seconds=10, rate=100.0, marks=((2.0, 0.0, "a"), (5.0, 0.0, "b")), n=2, **more):
    """A file whose every sample is its own number in µV, the second channel negative."""
    numbers = np.arange(seconds * rate) * 1e-6 * np.array([[1], [-1]] + [[0.5]] * (n - 2))
    names = more.pop("names", ["C3", "Cz", "C4", "Oz"][:n])
    table = pd.DataFrame(marks, columns=["onset", "duration", "label"])
    return makers.write(signal(numbers, names, rate, annotations=table, **more), path)


def examples(path, cut=TRIAL, include=(), pattern=None, **more):
    return read_examples(find(path, include, pattern), cut, **more)


def first_samples(dataset):
    """The number of the first sample of each window."""
    return np.round(dataset.x[:, 0, 0] * 1e6).astype(int).tolist()


# -- where windows lie ------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "stop"), [(0.0, 1.0), (0.5, 2.0), (-1.0, 0.25)])
def test_a_trial_begins_and_ends_at_its_sample(tmp_path, start, stop):
    dataset = examples(count(tmp_path / "a_raw.fif"), Cut(start=start, stop=stop))
    assert first_samples(dataset) == [round(200 + 100 * start), round(500 + 100 * start)]
    assert dataset.x.shape == (2, 2, round(100 * (stop - start)))
    np.testing.assert_allclose(np.diff(dataset.x[0, 0]) * 1e6, 1, rtol=1e-2)
    assert dataset.table["onset"].tolist() == [2 + start, 5 + start]


def test_onsets_between_samples_go_to_the_nearest():
    recording = signal(np.arange(50.0)[None], ["C3"], 10.0)
    windows, _ = cut_windows(recording, np.array([1.04, 1.06]), 0.5)
    assert windows[:, 0, 0].tolist() == [10.0, 11.0]


def test_the_last_sample_of_a_recording_belongs_to_it():
    recording = signal(np.arange(50.0)[None], ["C3"], 10.0)
    windows, inside = cut_windows(recording, np.array([-0.1, 0.0, 4.0, 4.1]), 1.0)
    assert inside.tolist() == [False, True, True, False]
    assert windows[2, 0, -1] == 49.0
    assert not windows[~inside].any()


def test_without_stop_trials_last_as_long_as_the_shortest_event(tmp_path):
    marks = ((1.0, 1.5, "a"), (4.0, 2.0, "b"))
    dataset = examples(count(tmp_path / "a_raw.fif", marks=marks), Cut())
    assert dataset.x.shape[2] == 150
    assert dataset.facts["cut"]["stop"] == 1.5


def test_events_without_duration_give_one_second(tmp_path):
    assert examples(count(tmp_path / "a_raw.fif"), Cut(start=0.5)).x.shape[2] == 100


def test_a_window_cuts_the_duration_of_events(tmp_path):
    marks = ((1.0, 3.0, "a"), (6.0, 2.5, "b"))
    dataset = examples(count(tmp_path / "a_raw.fif", marks=marks), Cut(window=1.0))
    assert first_samples(dataset) == [100, 200, 300, 600, 700]
    assert dataset.table["label"].tolist() == ["a"] * 3 + ["b"] * 2


def test_a_target_cuts_whole_recordings(tmp_path):
    for run in "12":
        count(tmp_path / f"r{run}_raw.fif", seconds=9 + int(run) % 2, marks=())
    dataset = examples(tmp_path, Cut(target="run", window=3.0), pattern="r{run}_raw.fif")
    assert first_samples(dataset) == [0, 300, 600, 0, 300, 600]
    assert dataset.table["label"].tolist() == ["1"] * 3 + ["2"] * 3
    assert (dataset.task, dataset.classes) == ("classification", ["1", "2"])


def test_a_numeric_column_is_a_regression_and_an_empty_cell_is_unlabelled(tmp_path):
    for k, name in enumerate("abc"):
        count(tmp_path / f"{name}_raw.fif", seconds=10 + k, marks=())
    (tmp_path / "list.csv").write_text("path,age\na_raw.fif,31.5\nb_raw.fif,\nc_raw.fif,50\n")
    dataset = examples(tmp_path / "list.csv", Cut(target="age", window=5.0))
    assert dataset.task == "regression"
    assert dataset.labelled().y.tolist() == [31.5, 31.5, 50.0, 50.0]
    assert len(dataset) == 6


def test_events_are_named_as_asked_and_others_left_out(tmp_path):
    marks = ((1.0, 0, "a"), (3.0, 0, "b"), (5.0, 0, "c"), (7.0, 0, "b"))
    cut = replace(TRIAL, events={"b": "feet", "a": "fists"})
    dataset = examples(count(tmp_path / "a_raw.fif", marks=marks), cut)
    assert dataset.table["label"].tolist() == ["fists", "feet", "feet"]
    assert dataset.classes == ["feet", "fists"]


def test_two_events_may_be_one_class(tmp_path):
    marks = ((1.0, 0, "a"), (3.0, 0, "b"), (5.0, 0, "c"))
    cut = replace(TRIAL, events={"a": "hand", "b": "hand", "c": "foot"})
    assert examples(count(tmp_path / "a_raw.fif", marks=marks), cut).y.tolist() == [0, 0, 1]


def test_the_rate_and_band_of_the_model_are_taken(tmp_path):
    headers = peek_all(find(makers.write_runs(tmp_path, runs=2, trials=4, rate=200.0)))
    net, classical = Decode(model="eegnet").cut(headers), Decode(model="csp-lda").cut(headers)
    assert (net.band, net.rate) == ((4.0, 38.0), 100.0)
    assert (classical.band, classical.rate) == ((8.0, 30.0), None)
    assert Decode(model="eegnet", band=(1, 20), rate=64).cut(headers).rate == 64
    assert examples(tmp_path, net).x.shape[2] == 100


def test_recordings_at_two_rates_meet_at_the_lower(tmp_path):
    count(tmp_path / "a_raw.fif", rate=100.0)
    count(tmp_path / "b_raw.fif", rate=250.0)
    dataset = examples(tmp_path)
    assert dataset.x.shape == (4, 2, 100)
    assert dataset.facts["rate"] == 100.0
    slope = np.diff(dataset.x[2, 0, 20:80]) * 1e6
    np.testing.assert_allclose(slope, 2.5, rtol=0.05)


# -- channels ---------------------------------------------------------------------------------

NAMES = ["FC5", "C3", "Cz", "EMG1", "VEOG", "STI"]
TYPES = ["eeg", "eeg", "eeg", "emg", "eog", "stim"]


@pytest.mark.parametrize(
    ("picks", "kept"),
    [
        ([], ["FC5", "C3", "Cz"]),
        (["C3"], ["C3"]),
        (["cz", "c3"], ["C3", "Cz"]),
        (["C*"], ["C3", "Cz"]),
        (["F*", "emg"], ["FC5", "EMG1"]),
        (["EOG"], ["VEOG"]),
        (["!c3"], ["FC5", "Cz"]),
        (["eeg", "!F*"], ["C3", "Cz"]),
        (["*", "!stim", "!M1"], NAMES[:5]),
    ],
)
def test_channels_are_picked_by_name_type_and_glob(picks, kept):
    assert pick_channels(NAMES, TYPES, picks) == kept


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (["mag", "grad", "stim"], ["mag", "grad"]),
        (["seeg", "emg", "eog"], ["seeg"]),
        (["emg", "ecg", "misc"], ["emg"]),
        (["csd", "stim", "misc"], ["csd"]),
    ],
)
def test_without_picks_the_first_kind_of_signal_is_taken(types, kind):
    assert pick_channels(types, types, []) == kind


@pytest.mark.parametrize(
    ("picks", "said"),
    [(["C33"], r"called 'C33'.*'C3'"), (["C3", "!C3"], "leaves no channel of 6")],
)
def test_picks_that_leave_nothing_are_refused(picks, said):
    with pytest.raises(ConfigError, match=said):
        pick_channels(NAMES, TYPES, picks)


def test_files_with_different_channels_are_refused_and_named(tmp_path):
    count(tmp_path / "a_raw.fif", n=3)
    count(tmp_path / "b_raw.fif", n=2)
    with pytest.raises(DataError, match=r"b_raw\.fif and a_raw\.fif.*lacks C4"):
        examples(tmp_path)


def test_channels_that_all_files_share_can_be_picked(tmp_path):
    count(tmp_path / "a_raw.fif", n=3)
    count(tmp_path / "b_raw.fif", n=2)
    assert examples(tmp_path, replace(TRIAL, picks=("C3", "Cz"))).x.shape == (4, 2, 100)


def test_the_order_of_channels_in_a_file_does_not_matter(tmp_path):
    count(tmp_path / "a_raw.fif", names=["C3", "Cz"])
    count(tmp_path / "b_raw.fif", names=["Cz", "C3"])
    dataset = examples(tmp_path)
    assert (dataset.x[:2, 0] > 0).all()
    assert (dataset.x[2:, 0] < 0).all()


def test_the_reference_may_lie_outside_the_picks(tmp_path):
    made = makers.recording(0, channels=("C3", "Cz", "C4", "M1"))
    dataset = examples(
        makers.write(made, tmp_path / "a_raw.fif"),
        replace(TRIAL, picks=("C*",), reference=("M1",)),
    )
    plain = made.sel(channel=["C3", "Cz", "C4"]).values - made.sel(channel="M1").values
    assert dataset.facts["channels"] == ["C3", "Cz", "C4"]
    np.testing.assert_allclose(dataset.x[0], plain[:, 128:256], rtol=1e-4, atol=1e-9)


def test_the_average_reference_is_of_all_eeg_channels(tmp_path):
    made = makers.recording(0)
    cut = replace(TRIAL, picks=("C3", "C4"), reference=("average",))
    dataset = examples(makers.write(made, tmp_path / "a_raw.fif"), cut)
    plain = (made - made.mean("channel")).sel(channel=["C3", "C4"]).values
    np.testing.assert_allclose(dataset.x[0], plain[:, 128:256], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "not a number"), (0.0, "flat")])
def test_a_bad_channel_is_named_with_the_way_out(tmp_path, value, said):
    made = makers.recording(0)
    made.values[2] = value
    makers.write(made, tmp_path / "a_raw.fif")
    with pytest.raises(DataError, match=rf"a_raw\.fif: channel C4 is {said}.*--picks '!C4'"):
        examples(tmp_path)
    assert examples(tmp_path, replace(TRIAL, picks=("!C4",))).x.shape[1] == 5


# -- what is dropped --------------------------------------------------------------------------


def test_loud_trials_are_dropped_by_amplitude_alone_and_counted_by_class(tmp_path):
    made = makers.recording(0, effect=0.0)
    for trial in (0, 3, 7):
        made.values[1, 128 * (1 + 2 * trial) + 30] = 900e-6
    loud = made.attrs["annotations"]["label"].iloc[[0, 3, 7]].tolist()
    dataset = examples(makers.write(made, tmp_path / "a_raw.fif"), replace(TRIAL, reject=300.0))
    rejected = dataset.extra["rejected"]
    assert len(dataset) == 13
    assert rejected["label"].tolist() == loud
    assert set(rejected["reason"]) == {"above 300 µV"}


def test_the_labels_do_not_change_what_is_rejected(tmp_path):
    kept = []
    for k, labels in enumerate((("left", "right"), ("right", "left"))):
        made = makers.recording(4, labels=labels, effect=0.0)
        path = makers.write(made, tmp_path / f"{k}_raw.fif")
        kept.append(examples(path, replace(TRIAL, reject=65.0)).table["onset"].tolist())
    assert kept[0] == kept[1]
    assert 0 < len(kept[0]) < 16


def test_trials_in_a_bad_stretch_are_dropped(tmp_path):
    marks = ((1.0, 0, "a"), (3.0, 0, "b"), (5.0, 0, "a"), (3.5, 2.0, "BAD_jump"), (8.0, 0, "b"))
    dataset = examples(count(tmp_path / "a_raw.fif", marks=marks))
    assert dataset.table["onset"].tolist() == [1.0, 8.0]
    assert dataset.extra["rejected"]["reason"].tolist() == ["marked bad"] * 2
    assert dataset.classes == ["a", "b"]


def test_trials_beyond_the_recording_are_counted(tmp_path):
    marks = ((1.0, 0, "a"), (3.0, 0, "b"), (9.5, 0, "b"))
    rejected = examples(count(tmp_path / "a_raw.fif", marks=marks)).extra["rejected"]
    assert rejected[["label", "reason"]].to_numpy().tolist() == [["b", "beyond the recording"]]


def test_a_stop_beyond_the_recording_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"stop: an example of 50 s is longer .*10 s"):
        examples(count(tmp_path / "a_raw.fif"), Cut(stop=50.0))


def test_events_that_all_come_too_late_are_refused(tmp_path):
    marks = ((8.0, 0, "a"), (9.0, 0, "b"))
    with pytest.raises(DataError, match=r"a_raw\.fif: no example from 0 to 5 s.*lasts 10\.0 s"):
        examples(count(tmp_path / "a_raw.fif", marks=marks), Cut(stop=5.0))


def test_when_everything_is_rejected_it_says_so(tmp_path):
    with pytest.raises(DataError, match=r"2 above 1 µV. Raise `reject`"):
        examples(count(tmp_path / "a_raw.fif"), replace(TRIAL, reject=1.0))


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cut", "error", "said"),
    [
        (Cut(stop=1.0, events={"c": "x"}), ConfigError, "no recording has an event 'c'"),
        (Cut(stop=1.0, events={"a": "x"}), DataError, "only 'x'"),
        (Cut(target="sex", window=1.0), ConfigError, "target='sex' is no column"),
        (Cut(target="run"), ConfigError, "say by `window`"),
        (Cut(start=2.0, stop=1.0), ConfigError, "must come after start"),
        (Cut(stop=1.0, band=(8.0, 60.0)), ConfigError, "Nyquist"),
        (Cut(stop=1.0, reference=("M1",)), ConfigError, "'M1' is not among the channels"),
    ],
)
def test_a_request_that_the_data_cannot_meet_is_named(tmp_path, cut, error, said):
    with pytest.raises(error, match=said):
        examples(count(tmp_path / "a_raw.fif"), cut)


def test_recordings_without_any_event_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a_raw\.fif: there are no annotations"):
        examples(count(tmp_path / "a_raw.fif", marks=()))


def test_copies_are_refused_for_learning_but_not_for_prediction(tmp_path):
    for name in "ab":
        count(tmp_path / f"{name}_raw.fif")
    with pytest.raises(DataError, match=r"b_raw\.fif is a copy of a_raw\.fif"):
        examples(tmp_path)
    assert len(examples(tmp_path, replace(TRIAL, picks=("C3",)), needed=["C3"])) == 4


# -- memory -----------------------------------------------------------------------------------


def test_a_heap_on_disk_equals_one_in_memory():
    rng = np.random.default_rng(0)
    small, large = Heap(most_bytes=1000), Heap(most_bytes=1e9)
    for n in (0, 7, 0, 30, 5):
        part = rng.normal(size=(n, 3, 4)).astype(np.float32)
        small.add(part)
        large.add(part)
    assert isinstance(small.whole(), np.memmap)
    np.testing.assert_array_equal(small.whole(), large.whole())


def test_examples_that_do_not_fit_are_mapped_from_disk(tmp_path, monkeypatch):
    folder = makers.write_runs(tmp_path, runs=2)
    inside = examples(folder)
    monkeypatch.setattr(data, "memory", lambda: 1e4)
    mapped = examples(folder)
    assert isinstance(mapped.x, np.memmap)
    np.testing.assert_array_equal(mapped.x, inside.x)


# -- what is noticed --------------------------------------------------------------------------


def titles(dataset):
    return {finding.title for finding in dataset.findings}


def test_a_wrong_unit_is_suspected(tmp_path):
    made = makers.recording(0)
    assert "Is the unit right?" not in titles(examples(makers.write(made, tmp_path / "a_raw.fif")))
    made.values[:] *= 1e6
    assert "Is the unit right?" in titles(examples(makers.write(made, tmp_path / "b_raw.fif")))


def test_alignment_is_confessed(tmp_path):
    dataset = examples(makers.write_runs(tmp_path, runs=2), replace(TRIAL, align="euclidean"))
    assert "Alignment sees the whole test run" in titles(dataset)


def test_the_layout_is_named(tmp_path):
    dataset = examples(count(tmp_path / "a_raw.fif"))
    assert any("no layout was recognised" in finding.detail for finding in dataset.findings)
