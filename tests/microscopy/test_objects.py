"""Objects as a net learns them: sizes, rims, and back to numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from neuroloom.microscopy.data import as_seen
from neuroloom.microscopy.instances import boundary_targets
from neuroloom.microscopy.objects import (
    BLUR,
    Objects,
    counts_of_objects,
    image_diameter,
    label_diameter,
    look_numbered,
    numbered,
)
from neuroloom.microscopy.segment import Segment


@dataclass
class SimpleDataset:
    """What `as_seen` asks of a data set."""

    x: Any
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Any] = field(default_factory=list)


def discs(radius: float, size: int = 160, step: float = 3.2) -> np.ndarray:
    """Numbered discs on a lattice."""
    y, x = np.mgrid[:size, :size]
    found = np.zeros((size, size), int)
    gap = step * radius
    for number, (cy, cx) in enumerate(
        ((a, b) for a in np.arange(gap, size - radius, gap) for b in np.arange(gap, size, gap)), 1
    ):
        found[np.hypot(y - cy, x - cx) < radius] = number
    return found


@pytest.mark.parametrize("radius", [5.0, 11.5])
def test_image_and_label_tell_nearly_the_same_diameter(radius):
    label = discs(radius)
    rng = np.random.default_rng(0)
    image = 20 + 100 * (label > 0) + rng.normal(0, 3, label.shape)
    assert label_diameter(label) == pytest.approx(2 * radius, rel=0.1)
    assert image_diameter(image) == pytest.approx(2 * radius, rel=0.3)


def test_the_ratio_of_two_images_is_that_of_their_objects():
    small, large = discs(5.0), discs(11.5)
    ratio = image_diameter(20 + 100.0 * (large > 0)) / image_diameter(20 + 100.0 * (small > 0))
    assert ratio == pytest.approx(2.3, rel=0.15)


def test_numbers_are_told_from_classes():
    assert look_numbered(discs(6.0)) is True
    assert look_numbered(np.random.default_rng(0).integers(0, 12, (60, 60))) is False
    assert look_numbered(np.minimum(discs(6.0), 3)) is None


def labelled(*labels: np.ndarray) -> SimpleDataset:
    """A new data set of labels without names, in pixels."""
    cases = [
        SimpleNamespace(unit="px", spacing=(1.0, 1.0), name=str(number), label="mask.tif",
                        masks=lambda own=own: {"label": own})
        for number, own in enumerate(labels)
    ]  # fmt: skip
    numbers = sorted({int(value) for label in labels for value in np.unique(label)} - {0})
    classes = {"0": "background"} | {str(number): str(number) for number in numbers}
    return SimpleDataset(cases, {"unit": "px", "classes_of": classes})


def test_sparse_labels_do_not_make_classes_of_objects():
    crowd = discs(11.5)
    two, none = crowd * (crowd <= 2), crowd * 0
    assert as_seen(Segment(), labelled(none, two, two, none, two, crowd)).facts["objects"]
    pieces = np.random.default_rng(0).integers(0, 12, crowd.shape)
    assert not as_seen(Segment(), labelled(two, pieces)).facts["objects"]


def test_numbers_of_single_pieces_that_stay_classes_are_pointed_at():
    crowd = discs(11.5)
    two, stripes = crowd * (crowd <= 2), np.indices(crowd.shape)[0] // 8 % 3

    def titles(study: Segment, label: np.ndarray) -> list[str]:
        seen = as_seen(study, labelled(label, crowd * 0))
        return [found.title for found in seen.findings if not seen.facts["objects"]]

    assert titles(Segment(), two) == ["Classes that may be objects"]
    assert titles(Segment(target="semantic"), two) == []
    assert titles(Segment(), stripes) == titles(Segment(), np.minimum(two, 1)) == []


def test_what_was_made_of_numbers_is_found_again():
    truth = discs(7.0, step=2.05)
    target = boundary_targets(truth, 1)
    p = np.stack([target == value for value in range(3)]).astype(float)
    counts = counts_of_objects(truth, numbered(p))
    assert counts["objects_true"] == counts["objects_pred"]
    assert counts["objects_matched@0.9"] == counts["objects_true"]


def test_a_region_left_open_makes_no_object_of_a_mask():
    mask = (discs(11.5) > 0).astype(np.uint8)
    left_open = np.zeros(mask.shape, bool)
    left_open[:60] = True
    mask[left_open] = 2
    case = SimpleNamespace(name="a", label="mask.tif", masks=lambda: {"label": mask})
    objects = Objects(case, ignore=2)
    numbers = objects.numbers()
    assert objects.are_pieces
    assert ((numbers == -1) == left_open).all()
    assert ((objects.truth() == 3) == left_open).all()
    whole = discs(11.5)
    counts = counts_of_objects(numbers, whole)
    assert counts["objects_true"] == len(np.unique(whole[60:])) - 1
    assert counts["objects_matched@0.9"] == counts["objects_pred"] == counts["objects_true"]


def test_a_region_left_open_is_no_number_that_tells_objects_from_classes():
    crowd = discs(11.5)
    eight = np.where(crowd <= 8, crowd, 0)
    eight[:9, :9] = 255
    dataset = labelled(eight)
    dataset.facts |= {"ignore": 255}
    dataset.facts["classes_of"].pop("255")
    assert not as_seen(Segment(), dataset).facts["objects"]
    dataset.facts["ignore"] = None
    dataset.facts["classes_of"]["255"] = "255"
    assert as_seen(Segment(), dataset).facts["objects"]


def test_counts_by_hand():
    counts = counts_of_objects([1, 1, 1, 1, 0, 2], [4, 4, 4, 0, 0, 5])
    assert counts["objects_matched@0.5"] == 2
    assert counts["objects_matched@0.8"] == 1


def test_images_are_as_smooth_as_their_objects_are_large():
    label, rng = np.pad(discs(11.5), ((0, 0), (0, 240))), np.random.default_rng(0)
    alone = np.zeros(label.shape, bool)
    alone[20:-20, 200:-20] = True  # nothing is near
    noise = rng.normal(0, 6, label.shape)
    case = SimpleNamespace(image=lambda: (60 + 200 * (label > 0) + noise)[None], spacing=(1.0, 1.0))
    rough = Objects(case, 23.0, blur=0.0).image()[0][alone].std()
    assert Objects(case).diameter == pytest.approx(23, rel=0.3)
    for diameter in (23.0, 60.0):
        left = Objects(case, diameter).image()[0][alone].std()
        # A Gaussian of s pixels leaves 1 / (2 s sqrt(pi)) of white noise.
        assert left / rough == pytest.approx(1 / (2 * BLUR * diameter * np.pi**0.5), rel=0.25)


def test_a_run_of_before_sees_images_as_it_learnt_them():
    facts = {"axes": {"objects": "nuclei", "unit": "px", "pixel": 1.0}}
    dataset = SimpleDataset([SimpleNamespace(unit="px", spacing=(1.0, 1.0), name="a")])
    assert as_seen(Segment(), dataset, facts).x[0].blur == 0.0
    facts["axes"]["blur"] = 0.03
    assert as_seen(Segment(), dataset, facts).x[0].blur == 0.03


def test_balls_of_a_stack_of_thick_slices_are_parted():
    z, y, x = np.mgrid[:12, :84, :84].astype(float)
    truth = np.zeros(z.shape, int)
    for number, (cy, cx) in enumerate((a, b) for a in (11, 32, 53, 74) for b in (11, 32, 53, 74)):
        ball = np.sqrt((5 * (z - 5.5)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) < 10.5
        truth[ball] = number + 1
    p = np.stack([truth == 0, truth > 0, np.zeros_like(truth)]).astype(float)
    found = counts_of_objects(truth, numbered(p, 21.0, (5.0, 1.0, 1.0)))
    assert found["objects_pred"] == found["objects_matched@0.9"] == 16


def test_what_a_net_is_to_learn_from_follows_the_target():
    recipes = [Segment(), Segment(varied=True), Segment(sizes="kept"), Segment(target="instances")]
    found = [recipe.options() for recipe in recipes]
    kinds = ["tissue", "tissue-strong", "tissue", "objects"]
    assert [own["augment"] for own in found] == [(kind,) for kind in kinds]
    assert [bool(own["sizes"]) for own in found] == [True, True, False, False]


def test_pixels_that_are_not_believed_are_squares_of_objects_too():
    case = SimpleNamespace(
        unit="um", spacing=(0.1, 0.2), name="a", image=lambda: np.ones((1, 9, 9))
    )
    facts = {"axes": {"objects": "nuclei", "unit": "um", "pixel": 0.1, "blur": BLUR}}
    seen = as_seen(Segment(diameter=10.0), SimpleDataset([case]), facts)
    assert seen.x[0].steps == (0.1, 0.1)
    assert seen.x.spacing(seen.x[0]) == pytest.approx((0.1, 0.1))
