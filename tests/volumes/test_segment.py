"""Which axes a segmenter may mirror: none where classes have a side."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.volumes.segment import Segment, has_sides


@pytest.mark.parametrize(
    "names",
    [
        ["left lung", "right lung"], ["Left-Hippocampus"], ["ctx-lh-insula"], ["LeftHippocampus"],
        ["hippocampusLeft"], ["HippL", "HippR"], ["LHipp", "RHipp"], ["lung_l", "lung_r"],
        ["L", "R"], ["lunglefT", "lungright"], ["lt lung", "rt lung"], ["kidney.RIGHT"],
        ["hippocampus_l"], ["L_amygdala"], ["kidney-R"], ["Kidney_Lt"], ["HippL"], ["RHipp"],
        ["lung", "vessel_l"], ["ctx-r-insula"], ["R nerve 2"], ["L", "L_lung"],
    ],
)  # fmt: skip
def test_classes_of_a_side_are_found(names):
    assert has_sides(["background", *names])


@pytest.mark.parametrize(
    "names",
    [
        ["cell"], ["L"], ["L1", "L2", "R3"], ["cleft", "bright"], ["upright"], ["vertebra L5"],
        ["L4-L5", "L5_disc"], ["anterior", "posterior"], ["LV", "RV"], ["layer 2", "R 3"],
    ],
)  # fmt: skip
def test_other_names_have_none(names):
    assert not has_sides(["background", *names])


@pytest.mark.parametrize(
    ("names", "flat", "deep"), [(["lung"], None, [2]), (["LungL", "LungR"], [], [])]
)
def test_images_with_sides_are_not_mirrored_either(names, flat, deep):
    header = SimpleNamespace(affine=np.eye(4))
    image, volume = (SimpleNamespace(shape=shape, header=header) for shape in ((8, 8), (8, 8, 8)))
    assert Segment().mirrored(image, names) == flat
    assert Segment().mirrored(volume, names) == deep
