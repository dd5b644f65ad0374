"""Densities, calibres, fascicles: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.microscopy.measures import calibre_table, density_table, nerve_morphometry
from neuroloom.microscopy.morphometry import morphometry


def squares():
    """Two sheathed axons of 4x4 in 8x8 and loose myelin, in 40x50 pixels."""
    axon, myelin = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    for y, x in ((8, 8), (25, 30)):
        myelin[y - 2 : y + 6, x - 2 : x + 6] = True
        axon[y : y + 4, x : x + 4] = True
    myelin[35:37, 45:47] = True
    return axon, myelin & ~axon


def test_densities_by_hand():
    axon, myelin = squares()
    table = morphometry(axon, myelin, 0.5)
    found = density_table(table, axon, myelin, 0.5).set_index("measure")["value"]
    assert found["axons"] == 2
    assert found["axon density"] == pytest.approx(2 / (2000 * 0.25e-6))
    assert found["axon area fraction"] == 32 / 2000
    assert found["myelin area fraction"] == 100 / 2000
    assert found["myelin without axon"] == pytest.approx(4 * 0.25)
    assert found["aggregate g-ratio"] == pytest.approx(np.sqrt(1 / (1 + 100 / 32)))
    assert found["median g-ratio"] == pytest.approx(0.5)
    assert found["bare axons"] == 0


def test_calibres_sum_to_all():
    axon, myelin = squares()
    axon[0:2, 40:42] = True
    table = morphometry(axon, myelin, 0.25)
    found = calibre_table(table)
    assert found["axons"].sum() == 3
    assert found["axons"].tolist() == [0, 1, 2, 0, 0, 0]
    assert found["gratio mean"][2] == pytest.approx(0.5)


def test_fascicles_and_axons_outside():
    axon, myelin = squares()
    table = morphometry(axon, myelin, 0.5)
    nerve = np.zeros(axon.shape, np.uint8)
    nerve[:20, :20] = 255
    nerve[:10, 40:] = 255
    found, inside = nerve_morphometry(table, nerve, 0.5)
    assert len(inside) == 1
    first, second = found["fascicle_areas"]["0"], found["fascicle_areas"]["1"]
    assert (first["value"], second["value"]) == (100.0, 25.0)
    assert first["axon_density"] == {"value": 0.01, "unit": "axon/um^2"}
    assert second["axon_density"]["value"] == 0
    assert found["total_area"] == {"value": 125.0, "unit": "um^2"}
    assert found["total_axon_density"]["value"] == pytest.approx(1 / 125)


def test_masks_of_another_image_are_refused():
    axon, myelin = squares()
    table = morphometry(axon, myelin, 0.5)
    with pytest.raises(DataError, match="empty"):
        nerve_morphometry(table, np.zeros((40, 50)), 0.5)
    with pytest.raises(DataError, match="same image"):
        nerve_morphometry(table, np.ones((20, 20)), 0.5)


def test_with_fascicles_all_else_is_no_part_of_the_image():
    axon, myelin = squares()
    nerve = np.zeros(axon.shape, bool)
    nerve[:20] = True
    _, inside = nerve_morphometry(morphometry(axon, myelin, 0.5), nerve, 0.5)
    found = density_table(inside, axon, myelin, 0.5, nerve).set_index("measure")["value"]
    assert found["axon density"] == pytest.approx(1 / (1000 * 0.25e-6))
    assert found["axon area fraction"] == 16 / 1000
    assert found["myelin area fraction"] == 48 / 1000
    assert found["myelin without axon"] == 0


def test_an_image_of_which_nothing_is_known_has_no_densities():
    axon, myelin = (np.zeros_like(mask) for mask in squares())
    found = density_table(morphometry(axon, myelin, 0.5), axon, myelin, 0.5, nerve=axon)
    values = found.set_index("measure")["value"]
    assert values["axons"] == 0
    assert values[["axon density", "axon area fraction", "aggregate g-ratio"]].isna().all()
