"""Overlays: what the legend names has the colour that it is drawn in."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from neuroloom.learn.dense.figures import overlays, shades_of
from neuroloom.learn.figures import colour

BRATS = {"enhancing": [4], "whole": [1, 2, 4], "core": [1, 4]}


def drawn(parts, label, truth=None) -> tuple[dict[str, str], set[str]]:
    """Return name -> colour of the legend, and the colours of the filled planes."""
    truth = label if truth is None else truth
    figure = overlays([(label * 1.0, truth, label, (1, 1, 1), "one")], parts)
    legend = figure.legends[0]
    pairs = zip(legend.get_texts(), legend.get_patches(), strict=True)
    fills = [np.asarray(image.get_array()) for ax in figure.axes for image in ax.images]
    colours = [fill[fill[..., 3] > 0] for fill in fills if fill.ndim == 3]
    return {text.get_text(): to_hex(patch.get_facecolor()) for text, patch in pairs}, {
        to_hex(own[0]) for own in colours if len(own)
    }


@pytest.mark.parametrize(
    ("parts", "values"),
    [({"left": [17], "right": [53]}, (17, 53)), ({"a": [1], "b": [2], "c": [4]}, (1, 2, 4)),
     (BRATS, (2, 1, 4))],
)  # fmt: skip
def test_the_legend_has_the_colours_of_the_picture(parts, values):
    label = np.zeros((6, 7, 8), int)
    for k, value in enumerate(values):
        label[2 * k : 2 * k + 2, 1:6, 1:7] = value
    legend, seen = drawn(parts, label)
    assert seen == set(legend.values())
    for k, value in enumerate(values):
        one = np.where(label == value, value, 0)
        name = list(parts)[k] if parts is not BRATS else ("whole", "core", "enhancing")[k]
        assert drawn(parts, one)[1] == {legend[name]}


def test_the_order_in_which_a_data_set_paints_its_regions_gives_the_colours():
    assert shades_of({"core": [2], "whole": [1, 2]}, [2, 1]) == {2: colour(0), 1: colour(1)}
    assert shades_of(BRATS) == {4: colour(0), 2: colour(1), 1: colour(2)}


def test_a_label_left_open_is_no_class():
    truth = np.full((6, 7, 8), 255)
    label = np.zeros((6, 7, 8), int)
    truth[2:4, 1:6, 1:6] = label[2:4, 1:6, 1:6] = 1
    assert drawn({"cell": [1]}, label, truth)[1] == {colour(0)}


def test_more_classes_than_colours_are_counted():
    label = np.zeros((4, 5, 6), int)
    label[1:3, 1:4, 1:5] = 9
    legend, _ = drawn({f"c{k}": [k] for k in range(1, 10)}, label)
    assert list(legend)[-1] == "2 more in these colours"
