"""Axon morphometry: the peer's own table, rings of known size, tiles, and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.microscopy.morphometry import (
    AXON_COLUMNS,
    label_axons,
    label_fibres,
    morphometry,
    tiles,
    write_tables,
)

ROOT = Path(__file__).resolve().parents[2]


def ring(size=400, inner=60.0, outer=100.0, tilt=0.0, turn=0.3, at=(0.3, -0.2)):
    """Axon and myelin of a fibre cut at `tilt` radians: ellipses with a known g-ratio."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    y, x = y - at[0], x - at[1]
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    far = np.hypot(along * np.cos(tilt), across)
    return far < inner, (far >= inner) & (far < outer)


@pytest.mark.parametrize("shape", ["circle", "ellipse"])
@pytest.mark.parametrize("tilt", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("g", [0.4, 0.6, 0.8])
def test_the_g_ratio_of_a_tilted_ring_is_known(shape, tilt, g):
    axon, myelin = ring(inner=100 * g, outer=100.0, tilt=tilt)
    table = morphometry(axon, myelin, 0.1, shape)
    assert len(table) == 1
    assert abs(table["gratio"][0] - g) <= 0.01
    stretch = 1.0 if shape == "ellipse" else np.cos(tilt) ** -0.5
    assert table["axon_diam (um)"][0] == pytest.approx(20 * g * stretch, rel=0.01)
    assert table["myelin_thickness (um)"][0] == pytest.approx(10 * (1 - g) * stretch, rel=0.03)


@pytest.mark.parametrize("outer", [8.0, 12.0, 25.0])
def test_small_rings_are_unbiased_on_average(outer):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        axon, myelin = ring(64, 0.6 * outer, outer, tilt=0.4, turn=rng.uniform(0, 3),
                            at=rng.uniform(-0.5, 0.5, 2))  # fmt: skip
        found.append(morphometry(axon, myelin, 0.1)["gratio"][0])
    assert abs(np.mean(found) - 0.6) <= 0.01


def test_geometry_by_hand():
    axon = np.zeros((20, 30), bool)
    axon[5:9, 6:12] = True
    myelin = np.zeros_like(axon)
    myelin[3:11, 4:14] = True
    myelin &= ~axon
    (row,) = morphometry(axon, myelin, 0.5).to_dict("records")
    assert (row["x0 (px)"], row["y0 (px)"]) == (8.5, 6.5)
    assert row["axon_area (um^2)"] == 24 / 4
    assert row["myelin_area (um^2)"] == 56 / 4
    assert row["axonmyelin_area (um^2)"] == 80 / 4
    assert row["gratio"] == pytest.approx(np.sqrt(24 / 80))
    assert row["orientation"] == pytest.approx(np.pi / 2)
    assert [row[f"bbox_{e}_{a}"] for e in ("min", "max") for a in "yx"] == [3, 4, 11, 14]
    assert not row["image_border_touching"]


def test_border_bare_axons_and_myelin_without_axon():
    axon, myelin = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    myelin[0:10, 0:10] = True
    axon[3:7, 3:7] = True  # sheathed, at the border
    axon[30:36, 30:36] = True  # bare
    myelin[45:50, 45:50] = True  # of no axon
    myelin &= ~axon
    axons = label_axons(axon)
    fibres = label_fibres(axon, myelin, axons)
    assert not fibres[45:50, 45:50].any()
    table = morphometry(axon, myelin, 1.0)
    assert table["image_border_touching"].tolist() == [True, False]
    assert table["gratio"].tolist() == pytest.approx([0.4, 1.0])
    assert table["myelin_area (um^2)"].tolist() == [84, 0]


def test_without_myelin_corners_do_not_connect():
    axon = np.eye(4, dtype=bool)
    table = morphometry(axon, None, 1.0)
    assert len(table) == 4
    assert list(table.columns) == list(AXON_COLUMNS)
    assert table["gratio"].isna().all()
    assert table["image_border_touching"].tolist() == [True, False, False, True]
    assert len(morphometry(axon, ~axon, 1.0)) == 1


def test_a_bent_axon_whose_centroid_lies_outside_keeps_its_fibre():
    y, x = np.mgrid[:80, :80] - 40.0
    far = np.hypot(y, x)
    axon = (far > 20) & (far < 26) & (x > 0)
    myelin = (far > 16) & (far < 30) & (x > -3) & ~axon
    table = morphometry(axon, myelin, 1.0)
    assert table["axonmyelin_area (um^2)"][0] == (axon | myelin).sum()


def test_nothing_gives_an_empty_table():
    table = morphometry(np.zeros((9, 9), bool), np.ones((9, 9), bool), 1.0)
    assert list(table.columns) == list(AXON_COLUMNS)
    assert table.empty


@pytest.mark.parametrize(
    ("axon", "myelin", "pixel", "error", "words"),
    [
        (np.zeros((3, 3)), np.zeros((3, 4)), 1.0, DataError, r"\(3, 4\)"),
        (np.zeros((3, 3, 3)), None, 1.0, DataError, "2-D"),
        (np.full((3, 3), np.nan), None, 1.0, DataError, "NaN"),
        (np.zeros((3, 3)), None, 0.0, ConfigError, "above 0"),
        (np.zeros((3, 3)), None, float("nan"), ConfigError, "above 0"),
    ],
)
def test_bad_input_is_named(axon, myelin, pixel, error, words):
    with pytest.raises(error, match=words):
        morphometry(axon, myelin, pixel)


def test_an_unknown_shape_is_refused():
    with pytest.raises(ConfigError, match="ellipse"):
        morphometry(np.ones((3, 3), bool), None, 1.0, "square")


def crowd(size, seed=0, spread=9.0):
    """A dense crowd of touching fibres: one connected piece of myelin."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, size, (int((size / 28) ** 2), 2))
    y, x = np.mgrid[:size, :size]
    far, _ = cKDTree(centres).query(np.column_stack([y.ravel(), x.ravel()]))
    far = far.reshape(size, size)
    return far < spread, (far >= spread) & (far < 2 * spread)


def test_tiles_give_what_the_whole_gives():
    axon, myelin = crowd(700)
    axons = label_axons(axon)
    whole = label_fibres(axon, myelin, axons, tile=700)
    assert len(list(tiles(axon.shape, 256, 256))) == 9
    differs = label_fibres(axon, myelin, axons, tile=256) != whole
    assert differs.mean() < 1e-4  # ties: seeds of equal depth are taken in no stated order


def test_tables_are_written_with_the_peers_headings(tmp_path):
    axon, myelin = ring(100, 20, 30)
    table = morphometry(axon, myelin, 0.1)
    for name, read in (("t.xlsx", pd.read_excel), ("t.csv", pd.read_csv)):
        back = read(write_tables(table, tmp_path / name), index_col=0)
        assert list(back.columns) == list(AXON_COLUMNS)
        pd.testing.assert_frame_equal(back, table, check_dtype=False, rtol=1e-12)
    with pytest.raises(ConfigError, match=r"\.xlsx or \.csv"):
        write_tables(table, tmp_path / "t.txt")


@pytest.mark.long
def test_every_column_of_the_peers_table(test_data):
    from PIL import Image

    folder = test_data / "microscopy" / "axon"
    axon, myelin = (
        np.asarray(Image.open(folder / f"subj2_seg-{kind}.png")) for kind in ("axon", "myelin")
    )
    peer = pd.read_excel(folder / "subj2_axon_morphometrics.xlsx", index_col=0)
    ours = morphometry(axon, myelin, 0.01)
    assert list(ours.columns) == list(peer.columns)
    assert len(ours) == len(peer) == 244
    for column in peer.columns:
        np.testing.assert_allclose(
            ours[column].astype(float), peer[column].astype(float), rtol=1e-9, err_msg=column
        )


BIG = """
import resource, numpy as np
from neuroloom.microscopy.morphometry import morphometry
from tests.microscopy.test_morphometry import crowd
axon, myelin = (np.tile(part, (10, 10)) for part in crowd(1000))
table = morphometry(axon, myelin, 0.1)
print(len(table), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="resource is of POSIX")
def test_ten_thousand_pixels_a_side_in_two_gigabytes():
    done = subprocess.run(
        [sys.executable, "-c", BIG], cwd=ROOT, capture_output=True, text=True, check=True
    )
    axons, gigabytes = done.stdout.split()
    assert int(axons) > 50_000
    assert float(gigabytes) < 2.0
