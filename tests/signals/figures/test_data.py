"""Figures of trials: units, sensors and classes are what they were given, and nothing leaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mne
import numpy as np
import pytest
from matplotlib.figure import Figure

from neuroloom.core.artifact import Shelf
from neuroloom.signals.figures.data import (
    add_data_figures,
    band_power,
    evoked,
    evoked_maps,
    find_peaks,
    shown_bands,
    spectra,
    topomaps,
    trial_counts,
)
from neuroloom.signals.figures.trials import Trials, choose_sensors

NAMES = ["Fz", "C3", "Cz", "C4", "Pz", "Oz", "T7", "T8"]
UNKNOWN = np.full((len(NAMES), 3), np.nan)
RATE = 128.0


@pytest.fixture(autouse=True)
def no_trace() -> Iterator[None]:
    """Fail a test whose figure changes global settings or stays in pyplot."""
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    assert not pyplot.get_fignums()


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    montage = mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]
    return np.array([montage[name] for name in NAMES])


def made(positions: np.ndarray, classes: int = 2, **options: Any) -> Trials:
    """Trials with 10 Hz at C3 in class "a" that is twice as high as elsewhere."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1e-6, (10 * classes, len(NAMES), int(3 * RATE)))
    y = np.array(["abcd"[k % classes] for k in range(len(x))])
    wave = 10e-6 * np.sin(2 * np.pi * 10 * np.arange(x.shape[-1]) / RATE)
    x += wave
    x[y == "a", NAMES.index("C3")] += wave
    return Trials(x, options.pop("y", y), NAMES, positions, RATE, start=-1.0, **options)


def lines(figure: Figure, panel: int = 0) -> dict[str, Any]:
    return {line.get_label(): line for line in figure.axes[panel].lines}


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_sensors_by_name_need_no_positions() -> None:
    assert choose_sensors(NAMES, UNKNOWN) == [1, 2, 3]


def test_sensors_by_place_where_names_say_nothing(places: np.ndarray) -> None:
    assert choose_sensors([f"MEG{k}" for k in range(len(NAMES))], places) == [1, 2, 3]


def test_sensors_without_names_and_positions_are_the_first() -> None:
    assert choose_sensors(["A1", "A2"], UNKNOWN[:2]) == [0, 1]


def test_evoked_is_in_microvolts_from_the_baseline(places: np.ndarray) -> None:
    x = np.zeros((4, len(NAMES), int(3 * RATE)))
    x[..., int(1.5 * RATE) :] = 5e-6
    figure = evoked(Trials(x + 3e-6, list("abab"), NAMES, places, RATE, start=-1.0))
    at, mean = lines(figure)["a"].get_data()
    assert mean[at < -0.2] == pytest.approx(0, abs=0.01)
    assert mean[at > 1.5] == pytest.approx(5, abs=0.05)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["C3", "Cz", "C4"]


def test_the_noise_of_the_last_sample_does_not_end_a_response(places: np.ndarray) -> None:
    """Hum that ends on its crest would bend the end, if the extension turned about that sample."""
    at = np.arange(int(2 * RATE)) / RATE
    hum = 50e-6 * np.cos(2 * np.pi * 60 * (at - at[-1]))
    x = np.broadcast_to(hum, (4, len(NAMES), len(at)))
    mean = lines(evoked(Trials(x, list("aabb"), NAMES, places, RATE)))["a"].get_ydata()
    assert np.abs(mean).max() < 3


def test_spectrum_of_a_known_wave(places: np.ndarray) -> None:
    figure = spectra(made(places), (8, 30))
    hertz, power = lines(figure)["b"].get_data()
    assert hertz[np.argmax(power)] == 10
    # A sine of 10 µV has the power 50 µV²; a Hann window spreads it over 1.5 bins of 1 Hz.
    assert power.max() == pytest.approx(10 * np.log10(50 / 1.5), abs=0.2)
    assert lines(figure)["a"].get_ydata().max() - power.max() == pytest.approx(6.02, abs=0.2)


def test_band_power_differs_where_it_was_planted(places: np.ndarray) -> None:
    trials = made(places)
    power = band_power(trials, (8, 12))
    gain = power[trials.labels == "a"].mean(0) - power[trials.labels == "b"].mean(0)
    assert NAMES[np.argmax(gain)] == "C3"
    assert gain[NAMES.index("C3")] == pytest.approx(6.02, abs=0.2)


def test_band_narrower_than_the_resolution_takes_the_nearest_bin(places: np.ndarray) -> None:
    assert np.isfinite(band_power(made(places), (10.2, 10.4))).all()


@pytest.mark.parametrize(("classes", "maps"), [(1, 1), (2, 3), (3, 6), (4, 8)])
def test_maps_of_classes_and_their_differences(places: np.ndarray, classes: int, maps: int) -> None:
    figure = topomaps(made(places, classes), (8, 12))
    assert sum(bool(axes.get_title()) for axes in figure.axes) == maps


@pytest.mark.parametrize("known", [0, 3])
def test_without_positions_a_note_stands_in_for_the_map(places: np.ndarray, known: int) -> None:
    positions = UNKNOWN.copy()
    positions[:known] = places[:known]
    said = words(topomaps(made(positions), (8, 12)))
    assert f"{known} of the sensors have a position" in said


def test_two_sensors_at_one_place_are_no_error(places: np.ndarray) -> None:
    twice = places.copy()
    twice[0] = twice[1]
    assert not words(topomaps(made(twice), (8, 12)))


def test_sensors_on_a_circle_make_a_map_and_in_a_row_a_note() -> None:
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    circle = np.column_stack([0.08 * np.cos(turn), 0.08 * np.sin(turn), np.full(8, 0.05)])
    assert not words(topomaps(made(circle), (8, 12)))
    circle[:, 0] = 0
    assert "not all in a row" in words(topomaps(made(circle), (8, 12)))


def test_numbers_are_shown_as_two_halves(places: np.ndarray) -> None:
    trials = made(places, y=np.linspace(0, 1, 20))
    assert trials.names == ["lower half", "upper half"]
    assert {"lower half", "upper half"} <= set(lines(evoked(trials)))


def test_order_of_classes_is_kept_and_empty_ones_left_out(places: np.ndarray) -> None:
    trials = Trials(np.zeros((2, 8, 9)), ["a", "b"], NAMES, places, RATE, classes=["c", "b", "a"])
    assert trials.names == ["b", "a"]


def test_many_trials_are_thinned_evenly(places: np.ndarray) -> None:
    trials = Trials(np.zeros((1001, 1, 9)), ["a"] * 1001, ["C3"], places[:1], RATE)
    assert len(trials.few(100).x) == len(trials.few(100).labels) == 100


def test_short_and_slow_trials_still_make_figures(places: np.ndarray) -> None:
    trials = Trials(np.ones((4, 8, 12)), list("abab"), NAMES, places, 20.0)
    evoked(trials)
    spectra(trials)
    topomaps(trials, (4, 8))


def test_counts_say_how_many_were_rejected() -> None:
    said = words(trial_counts({"fists": 20, "feet": 22}, {"fists": 3}))
    assert "20 kept, 3 rejected" in said
    assert "22 kept" in said


def test_all_figures_of_the_data_quickly_and_without_a_word(
    tmp_path: Path, places: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    began = time.process_time()
    add_data_figures(shelf, made(places), (8, 30))
    assert time.process_time() - began < 12  # 2 s alone; tests share their cores
    assert [artifact.name for artifact in shelf] == ["evoked", "evoked-maps", "spectra", "topomaps"]
    assert capsys.readouterr() == ("", "")


def test_windows_have_no_evoked_response(tmp_path: Path, places: np.ndarray) -> None:
    add_data_figures(Shelf(tmp_path), made(places), (20, 60), what="EMG", events=False)
    assert [artifact.name for artifact in Shelf(tmp_path)] == ["spectra", "topomaps"]


def test_rhythms_are_mapped_as_far_as_the_band_holds_them() -> None:
    assert shown_bands((4, 38), "EEG") == [(4, 8), (8, 13), (13, 30)]
    assert shown_bands((1, 12), "MEG") == [(4, 8), (8, 13)]
    assert shown_bands(None, "EEG") == [(8, 13), (13, 30)]
    assert shown_bands((10, 12), "EEG") == [(10, 12)]


def test_peaks_of_the_field_are_found_after_the_event_and_in_order() -> None:
    times = np.arange(-50, 100) / 100
    waves = [h * np.exp(-(((times - at) / 0.04) ** 2)) for at, h in ((-0.2, 9), (0.1, 2), (0.5, 3))]
    shape = np.array([[1.0], [-1.0], [0.5]])
    assert find_peaks(sum(waves) * shape, times) == [60, 100]
    assert find_peaks(sum(waves) * shape, times, most=1) == [100]
    assert find_peaks(np.zeros((3, 150)), times) == [0]


@pytest.mark.parametrize(("classes", "maps"), [(1, 1), (2, 3), (3, 6)])
def test_evoked_maps_show_the_planted_wave(places: np.ndarray, classes: int, maps: int) -> None:
    x = np.zeros((4 * classes, len(NAMES), int(3 * RATE)))
    y = np.array(["abc"[k % classes] for k in range(len(x))])
    at = np.arange(x.shape[-1]) / RATE - 1.0
    x[y == "a", NAMES.index("C3")] += 8e-6 * np.exp(-(((at - 0.4) / 0.06) ** 2))
    figure = evoked_maps(Trials(x, y, NAMES, places, RATE, start=-1.0))
    assert sum(bool(axes.get_title()) for axes in figure.axes) == maps
    assert any(text.get_text() == "398 ms" for text in figure.texts)


def test_evoked_maps_without_positions_are_a_note() -> None:
    assert "0 of the sensors have a position" in words(evoked_maps(made(UNKNOWN)))
