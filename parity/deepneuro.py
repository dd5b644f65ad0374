"""DeepNeuro: from the raw contrasts of a patient to mask, volumes and a picture, in one command.

The heads are made here. A tumour is what is bright in FLAIR and in T1 with contrast medium; beside
it lies something that is bright in FLAIR alone, and a vessel that takes up contrast medium alone,
so that no contrast tells it by itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from parity.harness import Check
from parity.studies import scratch

TOOL = "DeepNeuro"
DATA = "made here: heads in T1, T1 with contrast medium, T2 and FLAIR; 16 to learn from, 4 new"
CONTRASTS = ("T1", "T1c", "T2", "FLAIR")
LEARNT, NEW, SHAPE = 16, 4, (24, 28, 26)
AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -40], [0, 0, 2.5, -20], [0, 0, 0, 1]])
# Brightness of brain, tumour, oedema-like and vessel-like in each contrast.
SEEN = {"T1": (90, 70, 80, 92), "T1c": (92, 150, 88, 155), "T2": (80, 130, 125, 70),
        "FLAIR": (85, 150, 145, 80)}  # fmt: skip


def head(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the contrasts of one head and the mask of its tumour, each (x, y, z)."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    brain = sum(axis**2 for axis in axes) < 0.85
    places = rng.permutation([(-0.4, -0.3), (0.4, -0.3), (0.0, 0.45)])
    kinds = []
    for place in places:
        centre = (*(place + rng.uniform(-0.08, 0.08, 2)), rng.uniform(-0.25, 0.25))
        far = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
        kinds.append((far < rng.uniform(0.22, 0.34) ** 2) & brain)
    contrasts = {}
    for name, shades in SEEN.items():
        image = np.where(brain, shades[0], 10.0)
        for mask, shade in zip(kinds, shades[1:], strict=True):
            image[mask] = shade
        field = 1 + 0.1 * rng.uniform(-1, 1) * axes[int(rng.integers(3))]
        contrasts[name] = (field * image + rng.normal(0, 8, SHAPE)).astype(np.float32)
    return contrasts, kinds[0]


@cache
def written() -> tuple[Path, Path, dict[str, np.ndarray]]:
    """Write the heads to learn from and the new ones; return both folders and the new masks."""
    import nibabel as nib

    known, new, truth = scratch() / "heads", scratch() / "patients", {}
    for place in (known / "imagesTr", known / "labelsTr", new):
        place.mkdir(parents=True)
    for seed in range(LEARNT + NEW):
        name, (contrasts, mask) = f"head_{seed:02d}", head(seed)
        place = known / "imagesTr" if seed < LEARNT else new
        for number, image in enumerate(contrasts.values()):
            nib.save(nib.Nifti1Image(image, AFFINE), place / f"{name}_{number:04d}.nii.gz")
        label = nib.Nifti1Image(mask.astype(np.uint8), AFFINE)
        if seed < LEARNT:
            nib.save(label, known / "labelsTr" / f"{name}.nii.gz")
        else:
            truth[name] = mask
    facts = {"channel_names": dict(enumerate(CONTRASTS)), "file_ending": ".nii.gz",
             "labels": {"background": 0, "tumour": 1}, "numTraining": LEARNT}  # fmt: skip
    (known / "dataset.json").write_text(json.dumps(facts))
    return known, new, truth


@cache
def predicted(steps: str = "250 steps") -> Path:
    """Learn once, then label the new heads by one command; return what it wrote."""
    known, new, _ = written()
    run, out = str(scratch() / "tumours"), scratch() / "labelled"
    plan = ("--plan.patch", "24,28,24", "--plan.features", "8", "--plan.batch", "4")
    _neuroloom("run", "volumes.segment", str(known), "--folds", "0", "--budget", steps, *plan,
               "--out", run)  # fmt: skip
    _neuroloom("predict", run, str(new), "--out", str(out))
    return out


def _neuroloom(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "neuroloom", *words], check=True, capture_output=True)


def worst_dice(data: Path, steps: str = "250 steps") -> float:
    """Return the lowest Dice of a new head's tumour."""
    import nibabel as nib

    out, scores = predicted(steps), []
    for name, truth in written()[2].items():
        found = nib.load(out / f"{name}.nii.gz")
        assert np.array_equal(found.affine, AFFINE), "a mask on another grid than its images"
        mask = np.asarray(found.dataobj) == 1  # type: ignore[attr-defined]
        scores.append(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    return float(min(scores))


def volumes_apart(data: Path, steps: str = "250 steps") -> float:
    """Return the largest relative difference of a volume in the table from the mask's, in mm3."""
    import nibabel as nib

    out = predicted(steps)
    table = pd.read_csv(out / "predictions.csv").set_index("name")["volume"]
    voxel, apart = abs(np.linalg.det(AFFINE[:3, :3])), []
    for name in written()[2]:
        counted = (np.asarray(nib.load(out / f"{name}.nii.gz").dataobj) == 1).sum()  # type: ignore[attr-defined]
        apart.append(abs(table[name] / (counted * voxel) - 1))
    return float(max(apart))


def pictures_that_show_it(data: Path, steps: str = "250 steps") -> float:
    """Return how many new heads have a picture with colour where tissue is grey."""
    from PIL import Image

    shown = 0
    for name in written()[2]:
        with Image.open(predicted(steps) / f"{name}_picture.png") as opened:
            pixels = np.asarray(opened.convert("RGB")).astype(int)
        shown += int((np.ptp(pixels, axis=-1) > 60).sum() > 50)
    return shown


CHECKS = [
    Check(TOOL, "lowest Dice of a tumour that no contrast shows by itself, new heads", ">= 0.85",
          worst_dice, DATA),
    Check(TOOL, "largest relative difference of a volume in the table from that of the mask",
          "<= 1e-06", volumes_apart, DATA),
    Check(TOOL, "new heads with a picture that shows the mask, of 4", "== 4",
          pictures_that_show_it, DATA),
]  # fmt: skip
