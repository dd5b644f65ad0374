"""Overlays: what the legend names has the colour that it is drawn in."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from neuroloom.learn.dense.figures import only_parts, overlays, planes, shades_of
from neuroloom.learn.figures import colour

BRATS = {"enhancing": [4], "whole": [1, 2, 4], "core": [1, 4]}


def drawn(parts, label, truth=None) -> tuple[dict[str, str], set[str]]:
    """Return name -> colour of the legend, and the colours of the filled planes."""
    truth = label if truth is None else truth
    labels = [only_parts(truth, parts), label]
    figure = overlays([(planes(label * 1.0, labels, (1, 1, 1)), "one")], parts)
    legend = figure.legends[0]
    pairs = zip(legend.get_texts(), legend.get_patches(), strict=True)
    fills = [np.asarray(image.get_array()) for ax in figure.axes for image in ax.images]
    seen = np.concatenate([fill[fill[..., 3] > 0] for fill in fills if fill.ndim == 3])
    return {text.get_text(): to_hex(patch.get_facecolor()) for text, patch in pairs}, {
        to_hex(own / 255) for own in np.unique(seen[:, :3], axis=0)
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


def test_large_images_are_drawn_small_with_their_labels_in_place():
    label = np.zeros((5000, 6001), np.int16)
    label[1500:3000, 3000:4500] = 1
    (plane,) = planes(label.astype(np.float32), [label, label], (0.5, 0.5))
    assert plane.image.shape == (1250, 1501)
    assert plane.size == (2.0, 2.0)
    assert (plane.labels[0] == np.round(plane.image)).all()
    figure = overlays([([plane], "one")], {"cell": [1]})
    held = sum(np.asarray(image.get_array()).nbytes for image in figure.axes[0].images)
    assert held < 2000 * 2000 * 8


def test_pixels_of_a_large_stack_become_as_square_as_they_can():
    label = np.zeros((20, 2500, 1200), np.int8)
    label[5:9, 100:900, 300:700] = 1
    seen = planes(label * 1.0, [label], (1.5, 0.5, 1.0))
    assert [plane.image.shape for plane in seen] == [(1250, 1200), (20, 1200), (20, 1250)]
    assert [plane.size for plane in seen] == [(1.0, 1.0), (1.5, 1.0), (1.5, 1.0)]
