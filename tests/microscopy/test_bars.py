"""What a net of microscopy does on real images in a short time; minutes each."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroloom.learn.dense.apply.infer import best_size
from neuroloom.microscopy import Axon, Segment
from parity.crops import laid_out

pytestmark = pytest.mark.long


def sizes(study: Segment, train: Path, test: Path, out: Path) -> list[float]:
    """Learn from some images, and return the sizes at which others are looked at."""
    run = study.run(train, out)
    ensemble = study.load_model(run)
    (learner,) = ensemble.members[""]
    dataset = study.read_like(ensemble.facts, test, [])
    seen = [done.x for done in learner.inputs(dataset.x)]
    return [best_size(learner.model, x, learner.plan, learner.wishes) for x in seen]


def test_the_same_tissue_is_looked_at_as_large_as_it_is(test_data, tmp_path):
    """Nets are surer of some of these sections at .7 of their size, and worse there."""
    study = Segment(folds=0, budget="90s")
    found = sizes(study, *laid_out(test_data, "cord"), tmp_path / "run")
    assert set(found) == {1.0}


def test_a_rat_with_axons_twice_as_large_is_made_smaller(test_data, tmp_path):
    study = Axon(folds=0, budget="2min", varied=True)
    (found,) = sizes(study, *laid_out(test_data, "rats"), tmp_path / "run")
    assert found <= 0.7
