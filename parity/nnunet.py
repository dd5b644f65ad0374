"""nnU-Net: plans of the data, and what they reach on the hippocampus.

nnU-Net's own figures of every case stand in `nnunet_reference.json`; its plans are those that its
authors and users published.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.files import read_json
from neuroloom.core.run import Run
from parity.harness import Check
from parity.hippocampus import FOLD_0, beside_nnunet, fold, folder, segmented, some
from parity.studies import metric, scratch, study

TOOL = "nnU-Net"
BUDGET = "10min"
FEW, UNSEEN = 30, 20
# A short course of narrow nets: what is checked is what becomes of their mistakes.
SHORT: dict[str, Any] = {
    "folds": 3, "budget": "120 steps", "plan": {"features": "16", "batch": "2"},
}  # fmt: skip
FEW_DATA = f"MSD hippocampus: {FEW} cases of fold 1 in 3 folds, {UNSEEN} of fold 2 unseen"
PUBLISHED = "plans of MSD tasks 4 (3-D and 2-D) and 1, and of the CT of nnU-Net's issue 1898"


def plans_as_published(data: Path) -> float:
    """Return how many of four published plans are met in every number."""
    from neuroloom.learn.dense.planning.plan import plan_like_nnunet, plans_like_nnunet

    hippocampus = _facts((1, 1, 1), (36, 50, 35), 260, ("MRI",), 3)
    solid, flat = plan_like_nnunet(hippocampus), plan_like_nnunet(hippocampus, "2d")
    four = ("FLAIR", "T1w", "t1gd", "T2w")
    tumour = plan_like_nnunet(_facts((1, 1, 1), (138, 169, 138), 484, four, 4))
    ulna = plans_like_nnunet(_facts((0.6, 0.3467, 0.3467), (512, 512, 706), 50, ("CT",), 2))
    bone = ulna["3d_fullres"]
    met = (
        (solid.patch, solid.batch, solid.pools) == ((40, 56, 40), 9, (3, 3, 3))
        and (solid.features, solid.batch_dice) == ((32, 64, 128, 256), False)
        and solid.normalisation == ("zscore",)
        and "3d_lowres" not in plans_like_nnunet(hippocampus),
        (flat.patch, flat.batch, len(flat.strides)) == ((56, 40), 366, 4),
        (tumour.patch, tumour.batch, tumour.pools) == ((128, 128, 128), 2, (5, 5, 5)),
        (bone.patch, bone.batch, bone.pools) == ((128, 112, 160), 2, (5, 4, 5))
        and bone.strides[-1] == (2, 1, 2),
    )
    return sum(met)


def _facts(
    spacing: tuple[float, ...], shape: tuple[int, ...], n: int, channels: Any, classes: int
) -> Any:
    """Return the fingerprint of n cases that are all alike."""
    from neuroloom.learn.dense.planning.fingerprint import CaseFacts, Fingerprint

    made = Fingerprint(channels)
    values = np.ones((len(channels), 1), np.float32)
    for _ in range(n):
        made.update(CaseFacts(spacing, shape, shape, values, dict.fromkeys(range(classes), 1)))
    return made


def dice(data: Path, budget: str = BUDGET) -> float:
    """Return the foreground Dice of fold 0."""
    return metric(segmented(data, budget=budget), "dice")


def dice_beside_nnunet(data: Path) -> float:
    """Return the median of our Dice less nnU-Net's, case by case, in the same run."""
    return beside_nnunet(data, segmented(data, budget=BUDGET))


def few(data: Path, **fields: Any) -> Run:
    """Return a cross-validation of few cases: its nets err enough to leave stray pieces."""
    names = tuple(fold(data, 1)[:FEW])
    return study("volumes.segment", some(data, names), **SHORT | fields)


@cache
def seen_by_each_fold(run: Run) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return case -> true and predicted label, by the net of the fold that had not seen it."""
    recipe, data = run.study
    nets = recipe.load_model(run).members[""]  # type: ignore[attr-defined]
    dataset = recipe.read(data)  # type: ignore[attr-defined]
    rows = run.predictions.query("role == 'model'").drop_duplicates("example")
    folds = dict(zip(rows["example"], rows["fold"], strict=True))
    found = {}
    for row, name in enumerate(dataset.table["name"]):
        p = next(iter(nets[folds[name]].predict_scores(dataset.x[np.array([row])])))
        found[name] = (dataset.x[row].truth(), p.argmax(0))
    return found


def choice_out_of_fold(data: Path, **fields: Any) -> float:
    """Return the largest difference of a case's Dice from that of a choice made anew.

    Whether a class keeps its largest piece only is decided here for each fold on the other two.
    """
    run = few(data, **fields)
    rows = run.predictions.query("role == 'model'")
    seen = seen_by_each_fold(run)
    place = {name: label for label, name in enumerate(dict.fromkeys(rows["class"]), 1)}
    stored = 2 * rows["tp"] / (2 * rows["tp"] + rows["fp"] + rows["fn"])
    apart = []
    for row, value in zip(rows.itertuples(), stored, strict=True):
        others = rows.loc[rows["fold"] != row.fold, "example"].unique()
        label = place[rows.loc[row.Index, "class"]]
        gain = np.mean([_gain(*seen[name], label) for name in others])
        truth, found = (labels == label for labels in seen[row.example])
        apart.append(abs(value - _dice(truth, _largest(found) if gain > 0 else found)))
    return max(apart)


def _gain(truth: np.ndarray, found: np.ndarray, label: int) -> float:
    truth, found = truth == label, found == label
    return _dice(truth, _largest(found)) - _dice(truth, found)


def _dice(truth: np.ndarray, found: np.ndarray) -> float:
    return float(2 * (truth & found).sum() / max(1, truth.sum() + found.sum()))


def _largest(mask: np.ndarray) -> np.ndarray:
    from skimage.measure import label

    pieces = label(mask, connectivity=1)
    sizes = np.bincount(pieces[mask]) if mask.any() else np.zeros(2)
    return pieces == sizes.argmax() if mask.any() else mask


def ensemble_gain(data: Path, **fields: Any) -> float:
    """Return the Dice of the files that `predict` writes less the mean Dice of its single nets."""
    from neuroloom.io.images import read_image, to_array

    run = few(data, **fields)
    recipe = run.recipe
    names = tuple(fold(data, 2)[:UNSEEN])
    ensemble = recipe.load_model(run)  # type: ignore[attr-defined]
    dataset = recipe.read_like(ensemble.facts, some(data, names), [])  # type: ignore[attr-defined]
    out = scratch() / f"predicted-{run.folder.name}"
    if not out.exists():
        run.predict(some(data, names, labels=False), out=out)
    together, alone = [], []
    for row, name in enumerate(dataset.table["name"]):
        truth = dataset.x[row].truth()
        written = to_array(read_image(out / f"{name}.nii.gz"))[0]
        together.append(_foreground(truth, written))
        for net in ensemble.members[""]:
            p = next(iter(net.predict_scores(dataset.x[np.array([row])])))
            alone.append(_foreground(truth, p.argmax(0)))
    return float(np.mean(together) - np.mean(alone))


def _foreground(truth: np.ndarray, found: np.ndarray) -> float:
    return float(np.mean([_dice(truth == label, found == label) for label in (1, 2)]))


def out_of_place(data: Path) -> float:
    """Return how many cases of that run are not on the side that the official split gives."""
    run = segmented(data, budget=BUDGET)
    (only,) = read_json(run.folder / "dataset.json")["split"]["folds"]
    here = len(list((folder(data) / "labels").glob("*.nii.gz")))
    return float(len(set(only["test"]) ^ set(fold(data, 0))) + abs(here - len(only["test"])
                 - only["train"]))  # fmt: skip


CHECKS = [
    Check(TOOL, "published plans that ours equal in every number, of 4", "== 4",
          plans_as_published, PUBLISHED),
    Check(TOOL, "foreground Dice of official fold 0 after 10 minutes on two cores", ">= 0.887",
          dice, FOLD_0),
    Check(TOOL, "foreground Dice of official fold 0 after 30 minutes on two cores", ">= 0.891",
          lambda data: dice(data, "30min"), FOLD_0),
    Check(TOOL, "median over its cases of our Dice less nnU-Net's (two hours on an H100)",
          ">= -0.006", dice_beside_nnunet, FOLD_0),
    Check(TOOL, "cases that are not where the official split has them", "== 0", out_of_place,
          FOLD_0),
    Check(TOOL, "largest difference of a Dice when keep-largest is chosen anew on other folds",
          "<= 0.001", choice_out_of_fold, FEW_DATA),
    Check(TOOL, "Dice of the ensemble of 3 folds beyond its single nets, on unseen cases",
          ">= 0", ensemble_gain, FEW_DATA),
]  # fmt: skip
