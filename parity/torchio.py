"""TorchIO: its transforms on batches, drawn from a seed, replayed, undone; labels stay labels."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.files import read_json
from parity.harness import Check
from parity.studies import study

if TYPE_CHECKING:
    from neuroloom.core.run import Run

TOOL = "TorchIO"
# Mixup joins cases of a training batch and needs the classes; histograms need landmarks first.
TRANSFORMS = (
    "affine", "anisotropy", "bias-field", "blur", "crop-pad", "elastic", "flip", "gamma",
    "ghosting", "low-resolution", "motion", "noise", "resample", "rescale", "rician", "spike",
    "swap", "znormalise",
)  # fmt: skip
DATA, MORE = "MSD hippocampus, 20 cases", "MSD hippocampus, 51 cases"
CASES = {"include": ["hippocampus_0*"]}
FEW = 20


@cache
def batch(data: Path) -> tuple[Any, Any]:
    """Return images and labels of some cases, cut to one grid."""
    import torch

    from neuroloom.io.cases import find_cases
    from neuroloom.learn.dense.augment import cut_patch

    pairs = []
    for case in list(find_cases(data / "volumes" / "msd_hippocampus").cases)[:FEW]:
        x, y = (
            torch.from_numpy(case.image()),
            torch.from_numpy(np.asarray(case.truth(), dtype=np.uint8)),
        )
        start = [(n - p) // 2 for n, p in zip(y.shape, (40, 56, 40), strict=True)]
        pairs.append(cut_patch((x - x.mean()) / x.std(), y, start, (40, 56, 40)))
    return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])


def alike(data: Path) -> float:
    """Return the share of transforms that a seed, and what was drawn, give again to the bit."""
    import torch

    from neuroloom.learn.dense.augment import Augmenter, Canvas, Drawn, parse_augment

    x, y = batch(data)
    right = []
    for name in TRANSFORMS:
        augmenter = Augmenter(parse_augment([name]), Canvas.of(x))
        first, again = (augmenter(x, y, torch.Generator().manual_seed(7)) for _ in range(2))
        drawn = augmenter.draw(len(x), torch.Generator().manual_seed(7)).to_plain()
        replayed = augmenter.apply(x, y, Drawn.from_plain(json.loads(json.dumps(drawn))))
        right.append(all(torch.equal(a, b) for other in (again, replayed)
                         for a, b in zip(first, other, strict=True)))  # fmt: skip
    return float(np.mean(right))


def invented(data: Path) -> float:
    """Return how many label values come out of any transform that did not go in."""
    import torch

    from neuroloom.learn.dense.augment import Augmenter, Canvas, parse_augment

    x, y = batch(data)
    known = {0, *y.unique().tolist()}
    new = 0
    for name in TRANSFORMS:
        labels = Augmenter(parse_augment([name]), Canvas.of(x))(
            x, y, torch.Generator().manual_seed(3)
        )[1]
        new += len(set(np.unique(np.asarray(labels)).tolist()) - known)
    return float(new)


def restored(data: Path, *transforms: str) -> float:
    """Return the Dice of labels that were changed and brought back by the recipe."""
    run = copies(data, transforms)
    return float(read_json(run.folder / "metrics.json")["label_dice"]["value"])


def copies(data: Path, transforms: tuple[str, ...]) -> Run:
    """Make changed copies of the cases."""
    place = data / "volumes" / "msd_hippocampus"
    return study("volumes.augment", place, transforms=list(transforms), **CASES)


def same_files(data: Path) -> float:
    """Return the share of written images that a replay of the run writes again, byte for byte."""
    import tempfile

    run = copies(data, ("affine", "motion", "noise"))
    with tempfile.TemporaryDirectory() as folder:
        again = run.replay(Path(folder) / "again").folder / "artifacts"
        files = sorted((run.folder / "artifacts" / "images").glob("*.nii.gz"))
        same = [f.read_bytes() == (again / "images" / f.name).read_bytes() for f in files]
    return float(np.mean(same))


CHECKS = [
    Check(TOOL, "transforms that a seed and a stored draw repeat to the bit", "== 1", alike, DATA),
    Check(TOOL, "label values invented by any transform", "== 0", invented, DATA),
    Check(
        TOOL, "Dice of labels turned and scaled, then brought back", ">= 0.99",
        lambda data: restored(data, "affine"), MORE,
    ),
    Check(
        TOOL, "Dice of labels bent, then brought back", ">= 0.99",
        lambda data: restored(data, "elastic"), MORE,
    ),
    Check(
        TOOL, "Dice of labels mirrored, then brought back", "== 1",
        lambda data: restored(data, "flip"), MORE,
    ),
    Check(TOOL, "images that a replay writes again, byte for byte", "== 1", same_files, MORE),
]  # fmt: skip
