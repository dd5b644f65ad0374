"""Microscopy of the test data as the recipes read it: what to learn from, what to judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core import registry
from neuroloom.core.files import read_json
from neuroloom.core.recording import image
from neuroloom.core.run import Run
from neuroloom.io.images import read_image, to_array, write_image
from parity.harness import minutes
from parity.studies import scratch, study

BUDGET = minutes(5)
GAP = 64  # columns between the halves of the sections

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def pixels(path: Path) -> np.ndarray:
    """Return the first channel of an image, (y, x)."""
    return to_array(read_image(path))[0]


def axon_demo(data: Path) -> tuple[Pairs, Pairs]:
    """Return the left two thirds and the right third of the demo image, greys 0, 128, 255."""
    place = data / "microscopy" / "axon"
    grey, mask = pixels(place / "demo_image.png"), pixels(place / "demo_mask.png")
    cut = grey.shape[1] * 2 // 3
    return {"demo": (grey[:, :cut], mask[:, :cut])}, {"demo": (grey[:, cut:], mask[:, cut:])}


def mitochondria(data: Path) -> tuple[Pairs, Pairs]:
    """Return two slices to learn from and two others, with masks of mitochondria."""
    place = data / "microscopy" / "mito_sbem"
    parts: list[Pairs] = []
    for names in (("", ("020", "024")), ("val_", ("050", "055"))):
        before, numbers = names
        files = {n: (place / f"{before}image_{n}.png", place / f"{before}label_{n}.png")
                 for n in numbers}  # fmt: skip
        parts.append({n: (pixels(a), 255 * (pixels(b) > 127)) for n, (a, b) in files.items()})
    return parts[0], parts[1]


def nerve_cord(data: Path) -> tuple[Pairs, Pairs]:
    """Return the left and the right half of five sections: membranes 1, mitochondria 2."""
    left: Pairs = {}
    right: Pairs = {}
    for number, (grey, label) in _sections(data).items():
        left[number] = grey[:, :512], label[:, :512]
        right[number] = grey[:, 512 + GAP :], label[:, 512 + GAP :]
    return left, right


def sections(data: Path) -> tuple[Pairs, Pairs]:
    """Return the five sections whole, of which each is left out in turn."""
    return _sections(data), {}


def _sections(data: Path) -> Pairs:
    place, found = data / "microscopy" / "vnc", {}
    for file in sorted(place.glob("raw_*.tif")):
        number = file.stem[-2:]
        label = (pixels(place / f"membranes_{number}.png") > 0).astype(np.uint8)
        label[pixels(place / f"mitochondria_{number}.png") > 0] = 2
        found[number] = pixels(file), label
    return found


def nuclei(data: Path) -> tuple[Pairs, Pairs]:
    """Return the image of 256 x 256 to learn from and that of 512 x 512, nuclei numbered."""
    place = data / "microscopy" / "nuclei"
    small = pixels(place / "img2d.tif"), pixels(place / "mask2d.tif")
    large = pixels(place / "dsb_img2d_large.tif"), pixels(place / "dsb_mask2d_large.tif")
    return {"small": small}, {"large": large}


def rats(data: Path) -> tuple[Pairs, Pairs]:
    """Return the pictures of one rat's cord to learn from and those of another, greys as above."""
    place = data / "volumes" / "ivadomed_testing" / "microscopy_png"
    parts: tuple[Pairs, Pairs] = {}, {}
    for part, animal in zip(parts, ("sub-rat3", "sub-rat2"), strict=True):
        for file in sorted((place / animal).rglob("*_SEM.png")):
            labels = place / "derivatives" / "labels" / file.relative_to(place).parent
            axon, myelin = (
                pixels(labels / f"{file.stem}_seg-{kind}-manual.png") > 0
                for kind in ("axon", "myelin")
            )
            mask = np.where(axon, 255, np.where(myelin, 128, 0)).astype(np.uint8)
            part[file.stem] = pixels(file), mask
    return parts


SETS: dict[str, Callable[[Path], tuple[Pairs, Pairs]]] = {
    "axon": axon_demo, "mitochondria": mitochondria, "cord": nerve_cord, "sections": sections,
    "nuclei": nuclei, "rats": rats,
}  # fmt: skip


@cache
def laid_out(data: Path, name: str) -> tuple[Path, Path]:
    """Write a set as images/ and labels/ of train and test, and return the two folders."""
    folders = scratch() / name / "train", scratch() / name / "test"
    for folder, pairs in zip(folders, SETS[name](data), strict=True):
        for key, (grey, label) in pairs.items():
            for half, content in (("images", grey), ("labels", label)):
                (folder / half).mkdir(parents=True, exist_ok=True)
                kind = np.uint16 if content.max() > 255 else np.uint8
                write_image(folder / half / f"{key}.tif", image(content.astype(kind)))
    return folders


_judged: dict[str, Mapping[str, Any]] = {}


def judged(data: Path, name: str, recipe: str, **fields: Any) -> Mapping[str, Any]:
    """Return the metrics of a set's test half after the recipe has learnt from its other half."""
    key = f"{name} {recipe} {fields}"
    if key not in _judged:
        train, test = laid_out(data, name)
        run = study(recipe, train, **({"folds": 0, "budget": BUDGET} | fields))
        _judged[key] = _evaluated(run, test, scratch() / f"judged-{len(_judged)}")
    return _judged[key]


def _evaluated(run: Run, test: Path, out: Path) -> Mapping[str, Any]:
    run.evaluate(test, out)
    found: Mapping[str, Any] = read_json(out / "metrics.json")
    return found


def score(name: str, recipe: str, metric: str, **fields: Any) -> Callable[[Path], float]:
    """Return a measure: one metric of a set's test half."""
    return lambda data: float(judged(data, name, recipe, **fields)[metric]["value"])


def pipeline_score(name: str, pipeline: str, metric: str) -> Callable[[Path], float]:
    """Return a measure: a metric of a named pipeline, which learns nothing, on the test half."""

    def measure(data: Path) -> float:
        made = registry.load("recipe", "microscopy.threshold")(pipeline=pipeline)
        run = made.run(laid_out(data, name)[1], scratch() / f"{name}-{pipeline}")
        return float(read_json(run.folder / "metrics.json")[metric]["value"])

    return measure
