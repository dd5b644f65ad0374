"""ATLASS: few images classed by hand, a net that learns from them and says what to class next."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from parity import hippocampus
from parity.doors import Door, door
from parity.harness import Check

TOOL = "ATLASS"
POOL, TEST, SLICES = 40, 24, 5  # cases to choose from, to judge on; slices of each
FIRST, MORE, SEEDS = 10, 10, 3
FIELDS = {"folds": 0, "width": 8, "budget": "40 epochs"}
DATA = (
    f"coronal slices of MSD hippocampus, {SLICES} a case: anterior, posterior or outside; a pool "
    f"of {POOL} cases, judged on {TEST} others, mean of {SEEDS} draws"
)


def voxels(file: Path) -> np.ndarray:
    """Return what a NIfTI file holds."""
    import nibabel

    image: Any = nibabel.load(file)
    return np.asarray(image.dataobj)


@cache
def slices(data: Path) -> tuple[Door, dict[str, dict[str, str]]]:
    """Put slices as PNG into the workspace; returns the studio and the class of each file."""
    from PIL import Image

    where = door(data)
    truth: dict[str, dict[str, str]] = {}
    halves = {"pool": hippocampus.fold(data, 1)[:POOL], "test": hippocampus.fold(data, 0)[:TEST]}
    for half, cases in halves.items():
        folder = where.folder / "slices" / half
        folder.mkdir(parents=True)
        truth[half] = {}
        for case in cases:
            image, label = (
                voxels(hippocampus.folder(data) / kind / f"{case}.nii.gz")
                for kind in ("images", "labels")
            )
            level = np.percentile(image, (1, 99))
            for y in np.linspace(1, image.shape[1] - 2, SLICES).astype(int):
                grey = np.clip((image[:, y] - level[0]) / max(np.ptp(level), 1e-9), 0, 1)
                name = f"{case}_{y:02d}.png"
                Image.fromarray((255 * grey.T[::-1]).astype(np.uint8)).resize((48, 48)).save(
                    folder / name
                )
                counts = [(label[:, y] == value).sum() for value in (1, 2)]
                kind = "outside" if max(counts) < 10 else ("anterior", "posterior")[int(
                    np.argmax(counts))]  # fmt: skip
                truth[half][name] = kind
    return where, truth


def learnt(where: Door, truth: dict[str, str], names: list[str], seed: int) -> str:
    """Class these images by hand, as one does on the page, and learn from them."""
    wanted = {"kind": "classes", "data": "slices/pool",
              "options": {"classes": "anterior, posterior, outside"}}  # fmt: skip
    id = where.ask("labels", wanted)["id"]
    known = where.ask(f"labels/{id}")["images"]
    edits = [{"image": known.index(name), "to": truth[name]} for name in names]
    where.ask(f"labels/{id}/edits", {"edits": edits})
    fields = FIELDS | {"seed": seed}
    run = where.ask(f"labels/{id}/train", {"fields": fields})["id"]
    where.wait(f"runs/{run}")
    return str(run)


def said(where: Door, run: str, half: str) -> pd.DataFrame:
    """Return what a model says of the pool or of the test images, a row a file name."""
    out = where.predict(run, f"slices/{half}")
    table = pd.read_parquet(out / "predictions.parquet")
    column = next(name for name in ("path", "name", "image", "example") if name in table)
    names = table[column].astype(str).str.rpartition("/")[2].str.removesuffix(".png") + ".png"
    return table.set_index(names)


def accuracy(where: Door, truth: dict[str, str], run: str) -> float:
    """Return the share of test images that are classed rightly."""
    table = said(where, run, "test")
    right = table["predicted"].astype(str) == pd.Series(truth).reindex(table.index)
    return float(right.mean())


@cache
def contest(data: Path) -> tuple[list[float], list[float]]:
    """Return accuracies with as many labels: chosen by the model's doubt, and drawn at random."""
    where, truth = slices(data)
    doubted: list[float] = []
    drawn: list[float] = []
    for seed in range(SEEDS):
        order = list(np.random.default_rng(seed).permutation(sorted(truth["pool"])))
        first = learnt(where, truth["pool"], order[:FIRST], seed)
        table = said(where, first, "pool").drop(index=order[:FIRST])
        sure = table[[name for name in table if name.startswith("p_")]].max(axis=1)
        most = list(sure.sort_values().index[:MORE])
        for more, into in ((most, doubted), (order[FIRST : FIRST + MORE], drawn)):
            run = learnt(where, truth["pool"], order[:FIRST] + more, seed)
            into.append(accuracy(where, truth["test"], run))
    return doubted, drawn


def accuracy_in_the_loop(data: Path) -> float:
    """Return the accuracy with the labels that the model asked for."""
    return float(np.mean(contest(data)[0]))


def gained_by_doubt(data: Path) -> float:
    """Return how much better that is than as many labels at random."""
    doubted, drawn = contest(data)
    return float(np.mean(doubted) - np.mean(drawn))


def rows_lost(data: Path) -> float:
    """Return how many classed images are not, or otherwise, in the table that is exported."""
    import io

    where, truth = slices(data)
    names = sorted(truth["pool"])[:60]
    wanted = {"kind": "classes", "data": "slices/pool",
              "options": {"classes": "anterior, posterior, outside"}}  # fmt: skip
    id = where.ask("labels", wanted)["id"]
    known = where.ask(f"labels/{id}")["images"]
    edits = [{"image": known.index(name), "to": truth["pool"][name]} for name in names]
    where.ask(f"labels/{id}/edits", {"edits": edits})
    table = pd.read_csv(io.BytesIO(where.get(f"labels/{id}/export")))
    kept = dict(zip(table["image"].str.rpartition("/")[2], table["class"], strict=True))
    return float(sum(kept.get(name) != truth["pool"][name] for name in names))


CHECKS = [
    Check(
        TOOL, f"accuracy of three classes with {FIRST + MORE} labels, half chosen by the model",
        ">= 0.75", accuracy_in_the_loop, DATA,
    ),
    Check(
        TOOL, f"gain in accuracy over {FIRST + MORE} labels drawn at random", ">= 0",
        gained_by_doubt, DATA,
    ),
    Check(
        TOOL, "classed images that the exported table lacks or has otherwise", "== 0", rows_lost,
        "60 slices classed over HTTP",
    ),
]  # fmt: skip
