"""pymia: evaluation of segmented and reconstructed images by 39 measures.

pymia itself stands in an environment of its own, `.venv-pymia`, made when it is missing; the same
arrays go to both.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from parity.harness import ROOT, Check

TOOL = "pymia"
PEER = ROOT / ".venv-pymia"
NEEDS = ("pymia==0.3.4", "scikit-image==0.26.0", "scipy==1.17.1")
CASES = 20
DATA = "MSD hippocampus: labels of 20 cases, spoilt in six ways, both classes, two voxel sizes"
IMAGES = "MSD hippocampus: images of 20 cases, blurred and with noise"

# Runs in pymia's environment: reads arrays, prints {place: {name: value}} and the seconds it took.
WORKER = """
import json, sys, time, warnings
import numpy as np
from pymia.evaluation.metric import base, categorical, metric
warnings.simplefilter("ignore")

def numbers(pair, chosen):
    out = {}
    one, other = pair["predicted"], pair["truth"]
    counts = distances = None
    for own in chosen:
        if isinstance(own, base.ConfusionMatrixMetric):
            counts = counts or base.ConfusionMatrix(one, other)
            own.confusion_matrix = counts
        elif isinstance(own, base.DistanceMetric):
            distances = distances or base.Distances(one, other, pair["spacing"])
            own.distances = distances
        else:
            own.prediction, own.reference = one, other
            if isinstance(own, base.SpacingMetric):
                own.spacing = pair["spacing"]
        out[own.metric] = float(own.calculate())
    return out

stored = np.load(sys.argv[1])
told, spent = {}, 0.0
for place in sorted({name.split("/")[0] for name in stored}):
    pair = {key: stored[place + "/" + key] for key in ("truth", "predicted")}
    pair["spacing"] = tuple(float(s) for s in stored[place + "/spacing"])
    if pair["truth"].dtype == np.uint8:
        chosen = metric.get_segmentation_metrics()
        chosen += [categorical.ReferenceArea(), categorical.PredictionArea()]
    else:
        chosen = metric.get_regression_metrics() + metric.get_reconstruction_metrics()
    start = time.perf_counter()
    told[place] = numbers(pair, chosen)
    spent += time.perf_counter() - start
print(json.dumps({"told": told, "seconds": spent}))
"""


def peer_python() -> Path:
    """Return the interpreter of pymia's environment, building it first if it is missing."""
    python = PEER / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (PEER / "complete").exists():
        venv.create(PEER, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *NEEDS], check=True)
        (PEER / "complete").touch()
    return python


def spoilt(label: np.ndarray, number: int) -> np.ndarray:
    """Return a label with mistakes of nets: shrunk, grown, moved, ragged, torn, with islands."""
    from scipy import ndimage

    rng = np.random.default_rng(number)
    grown = ndimage.grey_dilation(label, size=(2, 3, 2))
    rough = np.where(rng.random(label.shape) < 0.4, ndimage.grey_dilation(label, size=3), label)
    torn = label.copy()
    torn[:, : label.shape[1] // 3] = 0
    islands = label.copy()
    for place in rng.integers(2, np.array(label.shape) - 2, (4, 3)):
        islands[tuple(slice(p - 1, p + 1) for p in place)] = rng.integers(1, 3)
    shrunk = label * ndimage.binary_erosion(label > 0)
    moved = ndimage.shift(label, (1, -2, 1), order=0)
    return (shrunk, grown, moved, rough, torn, islands)[number % 6].astype(np.uint8)


@cache
def pairs(data: Path) -> dict[str, dict[str, Any]]:
    """Return the masks and images that both tools measure, by place."""
    from scipy import ndimage

    from neuroloom.io.images import read_image, to_array

    folder = data / "volumes" / "msd_hippocampus"
    out: dict[str, dict[str, Any]] = {}
    for number, file in enumerate(sorted((folder / "labels").glob("*.nii.gz"))[:CASES]):
        label = to_array(read_image(file))[0].astype(np.uint8)
        wrong = spoilt(label, number)
        spacing = (1.0, 1.0, 1.0) if number % 2 else (1.5, 0.8, 1.1)
        for name in (1, 2):
            masks = {"truth": np.uint8(label == name), "predicted": np.uint8(wrong == name)}
            out[f"{number:02d}-{name}"] = masks | {"spacing": spacing}
        image = to_array(read_image(folder / "images" / file.name))[0].astype(float)
        noise = np.random.default_rng(number).normal(0, 5, image.shape)
        blurred = ndimage.gaussian_filter(image, 0.7) + noise
        out[f"{number:02d}-image"] = {"truth": image, "predicted": blurred, "spacing": spacing}
    return out


@cache
def told(data: Path) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]], float]:
    """Return our values, pymia's values, and how many times as long pymia took."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.npz"
        flat = {f"{p}/{k}": v for p, pair in pairs(data).items() for k, v in pair.items()}
        np.savez(file, **flat)
        command = [peer_python(), "-I", "-c", WORKER, str(file)]
        run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    theirs = json.loads(run.stdout.splitlines()[-1])
    start = time.perf_counter()
    ours = {place: _measured(pair) for place, pair in pairs(data).items()}
    return ours, theirs["told"], theirs["seconds"] / (time.perf_counter() - start)


def _measured(pair: dict[str, Any]) -> dict[str, float]:
    from neuroloom.volumes import measures

    if pair["truth"].dtype != np.uint8:
        return measures.measure_image(pair["truth"], pair["predicted"])
    names = [name for name, own in measures.METRICS.items() if own.of == "mask"]
    one = pair["truth"], pair["predicted"], pair["spacing"]
    (row,) = measures.measure_case(*one, names, {"it": 1})
    return {name: float(row[name]) for name in names}


def apart(images: bool) -> Any:
    """Return a measure: the largest difference, relative where a value exceeds one."""

    def measure(data: Path) -> float:
        ours, theirs, _ = told(data)
        return max(
            abs(value - ours[place][name]) / max(1.0, abs(value))
            for place, known in theirs.items()
            if place.endswith("image") == images
            for name, value in known.items()
        )

    return measure


def names_shared(data: Path) -> float:
    """Return how many of pymia's names both give, with a finite value everywhere."""
    ours, theirs, _ = told(data)
    names = {name for known in theirs.values() for name in known}
    places = {name: [p for p in theirs if name in theirs[p]] for name in names}
    good = [n for n in names if all(np.isfinite(ours[p].get(n, np.nan)) for p in places[n])]
    return len(good)


def times_as_fast(data: Path) -> float:
    """Return pymia's time over ours for all measures of all pairs, reading not counted."""
    return told(data)[2]


def undefined_without_reason(data: Path) -> float:
    """Return how many values of empty masks are infinite, or undefined without a reason."""
    from neuroloom.volumes import measures

    names = [n for n, own in (measures.METRICS | measures.MORE).items() if own.of == "mask"]
    label = next(iter(pairs(data).values()))["truth"]
    bad = 0
    for truth, found in ((label, 0 * label), (0 * label, label), (0 * label, 0 * label)):
        (row,) = measures.measure_case(truth, found, (1, 1, 1), names, {"it": 1})
        values = np.array([row[name] for name in names])
        bad += int(np.isinf(values).sum())
        bad += int(np.isnan(values).sum()) if not measures.reason_of(row) else 0
    return bad


CHECKS = [
    Check(TOOL, "of pymia's 39 measures, those given by the same name", "== 39", names_shared,
          DATA),
    Check(TOOL, "largest difference of the 32 measures of masks from pymia 0.3.4", "<= 1e-06",
          apart(images=False), DATA),
    Check(TOOL, "largest difference of the 7 measures of images from pymia 0.3.4", "<= 1e-06",
          apart(images=True), IMAGES),
    Check(TOOL, "values of empty masks that are infinite or undefined without a reason", "== 0",
          undefined_without_reason, DATA),
    Check(TOOL, "times as fast as pymia, all measures of all pairs", ">= 1", times_as_fast, DATA),
]  # fmt: skip
