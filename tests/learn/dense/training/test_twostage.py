"""A cascade: what a coarse stage sees of the whole helps a fine one that sees little."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.measures.overlap import counts_of, dice
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.planning.resample import preprocess
from neuroloom.learn.dense.training.learner import DenseLearner, Wishes
from neuroloom.learn.dense.training.twostage import masks_of, packed, spoilt, unpacked
from neuroloom.learn.training.fit import FitJob

FINE = DensePlan(
    "3d_cascade_fullres", "default", "dynunet", 3, (1.0,) * 3, (0, 1, 2), (24.0,) * 3, (8, 8, 8),
    16, ((1, 1, 1), (2, 2, 2)), ((3, 3, 3),) * 2, (8, 16), (1, 1), (1,),
    classes={0: "background", 1: "left", 2: "right"},
)  # fmt: skip
# The coarse net sees the whole image in one patch, and its voxels see far.
COARSE = dataclasses.replace(
    FINE, configuration="3d_lowres", spacing=(2.0,) * 3, median_shape=(12.0,) * 3,
    patch=(12, 12, 12), strides=((1,) * 3, (2,) * 3, (2,) * 3), kernels=((3,) * 3,) * 3,
    features=(8, 16, 32), blocks=(1, 1, 1), decoder_blocks=(1, 1), batch=2,
)  # fmt: skip
CASCADE = dataclasses.replace(FINE, previous=COARSE)
WISHES = Wishes(dict(FINE.classes), augment=("none",), mirror=())


class Toy:
    """Two like balls; which is class 1 tells a bright wall far away, at either end of the image."""

    spacing = (1.0, 1.0, 1.0)

    def __init__(self, seed: int) -> None:
        self.name, self.seed = f"toy{seed}", seed

    def both(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        axes = np.indices((24, 24, 24))
        label = np.zeros((24, 24, 24), int)
        turned = self.seed % 2
        for k, x in enumerate((8, 16)):
            centre = np.array([12, 12, x]) + rng.uniform(-1, 1, 3)
            far = np.sqrt(((axes - centre[:, None, None, None]) ** 2).sum(0))
            label[far < 3.2] = 1 + (k if not turned else 1 - k)
        image = (label > 0) + rng.normal(0, 0.1, label.shape)
        image[..., slice(0, 2) if turned else slice(22, 24)] += 2
        return image[None].astype(np.float32), label

    def image(self) -> np.ndarray:
        return self.both()[0]

    def truth(self) -> np.ndarray:
        return self.both()[1]


def fitted(plan: DensePlan, steps: int, cases: int = 8, **job) -> DenseLearner:
    learner = DenseLearner("dynunet", WISHES)
    learner.given = plan
    learner.fit(DenseCases([Toy(k) for k in range(cases)]), job=FitJob(steps=steps, **job))
    return learner


def score(learner: DenseLearner, seeds: range) -> float:
    cases = DenseCases([Toy(seed) for seed in seeds])
    found = []
    for case, p in zip(cases, learner.predict_scores(cases), strict=True):
        found.append(dice(*counts_of(case.truth(), p.argmax(0), {"l": 1, "r": 2})).mean())
    return float(np.mean(found))


def test_what_travels_with_the_label_comes_back():
    rng = np.random.default_rng(0)
    label, said = rng.integers(-1, 3, (5, 6)), rng.integers(0, 3, (5, 6))
    both = packed(label, said, CASCADE)
    assert both.min() >= 0
    back = unpacked(torch.as_tensor(both), CASCADE)
    assert (back[0].numpy() == label).all()
    assert (back[1].numpy() == said).all()
    assert [int(part) for part in unpacked(torch.tensor(0), CASCADE)] == [0, 0]


def test_regions_overlap_in_what_travels():
    plan = dataclasses.replace(CASCADE, regions={"whole": (1, 2), "core": (2,)})
    assert masks_of(np.array([0, 1, 3]), plan).tolist() == [[0, 1, 1], [0, 0, 1]]


def test_a_patch_has_the_masks_of_its_own_place():
    """Turned and mirrored as the image is: the mask lies on the ball wherever that came to lie."""
    wishes = dataclasses.replace(WISHES, augment=("rotate=40",), mirror=None)
    learner = DenseLearner("dynunet", wishes)
    learner.given = CASCADE
    cases = DenseCases([Toy(k) for k in range(2)])
    before = (preprocess(c.image(), c.truth(), c.spacing, CASCADE).label for c in cases)
    module, _ = learner.begin(cases, FitJob(), before)
    x, y = module.draw([0, 1] * 20, torch.Generator().manual_seed(0))
    assert x.shape == (40, 3, 8, 8, 8)
    assert y.max() == 2
    truth = torch.stack([y == 1, y == 2], 1)
    same = (x[:, 1:] == truth).all((1, 2, 3, 4)).float().mean()
    assert 0.3 < same < 0.9  # the rest is spoilt on purpose
    spoiling = spoilt(y, CASCADE, torch.Generator().manual_seed(0))
    assert spoiling.shape == (40, 2, 8, 8, 8)


def test_a_stage_is_stored_and_goes_on_with_the_other(tmp_path):
    whole = fitted(CASCADE, 9, cases=2)
    state = whole.state()
    assert {name.split(".")[0] for name in state} == {"net", "coarse", "plan"}
    again = DenseLearner.from_spec(whole.spec)
    again.load(state)
    cases = DenseCases([Toy(9)])
    pair = [next(iter(one.predict_scores(cases))) for one in (whole, again)]
    assert (pair[0] == pair[1]).all()
    part = fitted(CASCADE, 9, cases=2, checkpoint=tmp_path / "a.safetensors")
    assert (tmp_path / "coarse-a.safetensors").is_file()
    resumed = fitted(CASCADE, 9, cases=2, checkpoint=tmp_path / "a.safetensors")
    for name, array in state.items():
        assert (part.state()[name] == array).all(), name
        assert (resumed.state()[name] == array).all(), name


def test_its_time_counts_both_stages():
    learner = DenseLearner("dynunet", WISHES)
    learner.given = CASCADE
    cases = DenseCases([Toy(k) for k in range(3)])
    assert learner.seconds_per_step(cases, at_least=0.2) > 0
    assert learner.overhead_s > 0
    assert next(iter(learner.rehearsed.predict_scores(cases))).shape == (3, 24, 24, 24)


@pytest.mark.long
def test_context_that_a_patch_lacks_comes_from_the_coarse_stage():
    """Alone, a fine net of 8 voxels cannot know left from right: half of its guesses are wrong."""
    plain = dataclasses.replace(FINE, configuration="3d_fullres")
    alone = score(fitted(plain, 150, cases=24), range(40, 48))
    both = score(fitted(CASCADE, 300, cases=24), range(40, 48))
    assert alone < 0.75
    assert both > 0.85
