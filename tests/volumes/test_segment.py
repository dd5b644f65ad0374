"""Which axes a segmenter may mirror: none where classes have a side."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.core.recording import volume
from neuroloom.io.images import write_image
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


@pytest.mark.parametrize("halves", [True, False])
def test_numbers_with_a_side_each_are_not_mirrored_either(halves, tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for case in range(6):
        label = np.zeros((12, 10, 10), np.uint8)
        at = 2 + case % 2
        first, second = (label[at : at + 2], label[at + 5 : at + 7]) if halves else (
            label[4:8, 1:4], label[4:8, 6:9]
        )  # fmt: skip
        first[...], second[...] = 17, 53
        label[at + 7 if halves else 5, 0, case] = 53
        for folder, x in (("images", rng.normal(label, 5.0)), ("labels", label)):
            write_image(tmp_path / folder / f"c{case}.nii.gz", volume(x, np.eye(4)))
    prepared = Segment(folds=2).prepare(tmp_path)
    assert prepared.dataset.facts["mirror"] == ([] if halves else [2])
