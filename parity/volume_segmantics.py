"""Volume Segmantics: a stack labelled by 2-D nets from one, three and twelve sides."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.files import read_json
from neuroloom.core.recording import volume
from neuroloom.io.images import write_image
from neuroloom.microscopy.segment import Segment
from parity.crops import pixels
from parity.harness import Check, minutes, spent
from parity.studies import scratch

TOOL = "Volume Segmantics"
DATA = f"FIB-SEM of fly medulla, borders of neurons: z 0-31, then z 64-95; a net: {spent(2)}"
BUDGET = minutes(2)


def stack(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 96 slices and the borders between their neurons, (z, y, x)."""
    import gzip
    import io

    import h5py

    place = data / "microscopy" / "fib25"
    files = sorted((place / "grayscale").glob("iso.*.png"))
    grey = np.stack([pixels(file) for file in files])
    with h5py.File(io.BytesIO(gzip.decompress((place / "groundtruth.h5.gz").read_bytes()))) as file:
        pieces, pairs = file["stack"][: len(grey)], file["transforms"][:]
    bodies = dict(zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True))
    values, place_of = np.unique(pieces, return_inverse=True)
    named = np.array([bodies.get(int(value), int(value)) for value in values])
    body = named[place_of].reshape(pieces.shape)
    border = np.zeros(body.shape, np.uint8)
    for axis in range(3):
        step = np.diff(body, axis=axis) != 0
        for part in (slice(1, None), slice(None, -1)):
            where = [slice(None)] * 3
            where[axis] = part
            border[tuple(where)] |= step.astype(np.uint8)
    return grey, border


@cache
def dice(data: Path, views: str) -> float:
    """Return the Dice of the borders in slices 64-95 for a net that looks from some sides."""
    folder = scratch() / f"fib-{views}"
    grey, border = stack(data)
    for part, rows in (("train", slice(0, 32)), ("test", slice(64, 96))):
        for half, content in (("images", grey), ("labels", border)):
            (folder / part / half).mkdir(parents=True, exist_ok=True)
            made = volume(content[rows].T.copy(), np.diag([0.01, 0.01, 0.01, 1.0]))
            write_image(folder / part / half / "fib.nii.gz", made)
    fields: dict[str, Any] = {"views": views, "configuration": "2d", "detail": 1.0}
    recipe = Segment(folds=0, budget=BUDGET, **fields)
    run = recipe.run(folder / "train", folder / "run")
    run.evaluate(folder / "test", folder / "judged")
    return float(read_json(folder / "judged" / "metrics.json")["dice"]["value"])


CHECKS = [
    Check(TOOL, "Dice of neurons' borders, a 2-D net from twelve sides", ">= 0.75",
          lambda data: dice(data, "twelve"), DATA),
    Check(TOOL, "what twelve sides add to the Dice of one", ">= 0.0",
          lambda data: dice(data, "twelve") - dice(data, "one"), DATA),
]  # fmt: skip
