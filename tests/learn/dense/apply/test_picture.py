"""The picture shows the tissue in its proportions, and the label where it lies."""

import numpy as np
import pytest

from neuroloom.learn.dense.apply.picture import picture, write_picture
from neuroloom.learn.figures import colour


def ball(shape, spacing, radius):
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)),
                       indexing="ij")  # fmt: skip
    far = sum((a - a.mean()) ** 2 for a in axes)
    return (far <= radius**2).astype(int)


SHADES = {17: colour(0)}


def rim(made):
    from matplotlib.colors import to_rgb

    shade = np.round(255 * np.array(to_rgb(colour(0)))).astype(int)
    return (np.abs(made.astype(int) - shade) <= 1).all(-1)


def test_a_ball_is_round_on_thick_slices():
    label = 17 * ball((12, 40, 40), (4.0, 1.0, 1.0), 12)
    made = picture(100.0 * label, label, (4.0, 1.0, 1.0), SHADES)
    widths = []
    for part in np.array_split(rim(made), 3, axis=1):
        rows, columns = np.nonzero(part)
        widths.append((np.ptp(rows) + 1) / (np.ptp(columns) + 1))
    assert widths == pytest.approx([1, 1, 1], abs=0.25)


def test_head_is_up():
    label = np.zeros((20, 10, 10), int)
    label[15:, 4:6, 4:6] = 17
    made = rim(picture(np.zeros(label.shape), label, (1, 1, 1), SHADES))
    front = np.nonzero(made[:, made.shape[1] // 2 - 60 : made.shape[1] // 2 + 60])[0]
    assert front.mean() < made.shape[0] / 2


@pytest.mark.parametrize("shape", [(30, 20), (6, 7, 8)])
def test_an_empty_label_and_nan_are_shown(shape, tmp_path):
    image = np.full(shape, np.nan)
    image[0] = 1
    write_picture(tmp_path / "p.png", image, np.zeros(shape, int), (1,) * len(shape), SHADES)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_large_image_becomes_no_larger_picture_than_a_page_shows():
    label = np.zeros((5000, 6000), np.int16)
    label[2000:3000, 2400:3600] = 17
    made = picture(np.zeros(label.shape, np.float32), label, (1.0, 1.0), SHADES)
    assert made.shape == (1667, 2000, 3)
    assert made.dtype == np.uint8
    rows, columns = np.nonzero(rim(made))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == pytest.approx((1000 / 3, 400), abs=1)
