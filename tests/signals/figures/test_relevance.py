"""Figures of relevance: what is highest is drawn highest, named, and on its side of the head."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import mne
import numpy as np
import pandas as pd
import pytest

from neuroloom.core.artifact import Shelf
from neuroloom.signals.figures.relevance import (
    add_relevance,
    attributions,
    evoked_relevance,
    kernel_maps,
    kernel_spectra,
    moments,
    relevance,
)

NAMES = ["Fz", "C3", "Cz", "C4", "Pz", "Oz", "T7", "T8"]
UNKNOWN = np.full((len(NAMES), 3), np.nan)
BANDS = pd.DataFrame({"low": [8.0, 10], "high": [10.0, 12], "a": [0.1, 0.2], "b": [0.3, 0.6]})
BANDS["relevance"] = [0.2, 0.4]
TIMES = pd.DataFrame({"start": [0.0, 0.1, 0.2, 0.3], "stop": [0.09, 0.19, 0.29, 0.4]})
TIMES = TIMES.assign(a=[0.0, 0, 1, 2], b=[0.0, 0, 1, 2], relevance=[0.0, 0, 1, 2])


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


def test_left_is_left_on_the_map(places: np.ndarray) -> None:
    scores = np.zeros(len(NAMES))
    scores[NAMES.index("C3")] = 1.0
    figure = relevance(scores, NAMES, places)
    note = next(text for text in figure.axes[0].texts if text.get_text() == "C3")
    assert note.xy[0] < 0


def test_without_positions_relevance_is_a_list_of_sensors() -> None:
    scores = np.arange(len(NAMES), dtype=float)
    figure = relevance(scores, NAMES, UNKNOWN, BANDS)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == NAMES[::-1]


def test_bands_stand_at_their_frequencies_a_line_a_class(places: np.ndarray) -> None:
    axes = relevance(np.ones(len(NAMES)), NAMES, places, BANDS).axes[-1]
    area, first, second = (patch.get_data() for patch in axes.patches)
    assert area.edges.tolist() == [8, 10, 12]
    assert area.values.tolist() == [0.2, 0.4]
    assert first.values.tolist() == [0.1, 0.2]
    assert second.values.tolist() == [0.3, 0.6]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_the_shelf_says_which_sensors_are_highest(tmp_path: Path, places: np.ndarray) -> None:
    add_relevance(Shelf(tmp_path), np.arange(8.0), NAMES, places, BANDS)
    (artifact,) = Shelf(tmp_path)
    assert "highest at T8, T7" in artifact.alt


@pytest.mark.parametrize("count", [2, 8, 40])
def test_sensors_over_time(count: int) -> None:
    maps = np.linspace(-0.2, 0.8, count * 4).reshape(count, 4)
    figure = evoked_relevance(TIMES, maps, [f"E{k}" for k in range(count)], "b")
    above, below = figure.axes[:2]
    np.testing.assert_allclose(above.patches[0].get_data().edges, [0, 0.095, 0.195, 0.295, 0.4])
    mesh = below.collections[0]
    assert mesh.get_clim() == (-0.8, 0.8)
    np.testing.assert_array_equal(mesh.get_array(), maps)
    assert below.yaxis_inverted()


def test_moments_are_the_windows_that_matter_in_order(places: np.ndarray) -> None:
    maps = np.random.default_rng(0).uniform(-1, 1, (8, 4, 2))
    figure = moments(TIMES, maps, places, ["a", "b"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles[1:] == ["245 ms", "350 ms"]
    assert len(titles) == 3
    assert [text.get_text() for text in figure.texts] == ["b"]


def test_attributions_have_a_row_a_method(places: np.ndarray) -> None:
    signed = np.random.default_rng(0).uniform(-1, 1, (2, 8))
    figure = attributions({"Gradient": abs(signed), "Occlusion": signed}, places, ["a", "b"])
    assert [text.get_text() for text in figure.texts] == ["Gradient", "Occlusion"]
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert images[0].get_clim()[0] == 0
    assert images[2].get_clim()[0] == -images[2].get_clim()[1]


def test_kernels_are_sorted_by_their_peak() -> None:
    hertz = np.arange(20.0)
    gain = np.exp(-((hertz - np.array([[15.0], [3], [9]])) ** 2))
    figure = kernel_spectra(hertz, gain)
    shown = np.asarray(figure.axes[1].collections[0].get_array())
    assert shown.argmax(1).tolist() == [3, 9, 15]


@pytest.mark.parametrize("drawn", [0, 1])
def test_each_filter_fills_its_scale(places: np.ndarray, drawn: int) -> None:
    weights = np.eye(8)[:2] * np.array([[5.0], [-1e-6]])
    figure = kernel_maps(weights, weights, places, ["10 Hz", "20 Hz"])
    image = [axes.images[0] for axes in figure.axes if axes.images][drawn]
    assert image.get_clim() == (-1, 1)


@pytest.mark.parametrize("draw", [
    lambda: kernel_maps(np.ones((1, 8)), np.ones((1, 8)), UNKNOWN, ["a"]),
    lambda: attributions({"Gradient": np.ones((1, 8))}, UNKNOWN, ["a"]),
    lambda: moments(TIMES, np.ones((8, 4, 1)), UNKNOWN, ["a"]),
])  # fmt: skip
def test_without_positions_a_note_stands_in(draw) -> None:  # type: ignore[no-untyped-def]
    (axes,) = draw().axes
    assert "No map" in axes.texts[0].get_text()
