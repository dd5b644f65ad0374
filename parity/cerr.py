"""CERR: radiomic features by the IBSI, and outcome models from them."""

from __future__ import annotations

import csv
import math
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from parity.harness import Check

TOOL = "CERR"
PHANTOM = "IBSI-1 digital phantom and its reference values"
MADE = "simulated regions: the outcome lies in the texture, the volume goes along a little"
PERMUTED = 8


def within_tolerance(data: Path) -> int:
    """Features of the digital phantom within the tolerance of the reference, to three digits."""
    import nibabel

    from neuroloom.volumes.radiomics import Chain, extract

    folder = data / "volumes" / "ibsi"
    own = folder / "ibsi_1_digital_phantom" / "nifti"
    image = nibabel.load(own / "image" / "phantom.nii.gz")
    mask = nibabel.load(own / "mask" / "mask.nii.gz")
    spacing = tuple(float(step) for step in image.header.get_zooms()[::-1])
    x, inside = np.asarray(image.dataobj).T.astype(float), np.asarray(mask.dataobj).T > 0
    found = extract(x, inside, spacing, Chain(method="none", ivh="definite")).values
    with (folder / "reference_values" / "ibsi_1_dig_phantom.csv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter=";") if row["reference value"]]
    return sum(
        _agrees(found[row["tag"]], float(row["reference value"]), float(row["tolerance"] or 0))
        for row in rows
    )


def _agrees(value: float, reference: float, tolerance: float) -> bool:
    digit = 10.0 ** (math.floor(math.log10(abs(reference))) - 2) if reference else 1e-3
    return abs(value - reference) <= tolerance + digit / 2 * (1 + 1e-9)


@cache
def outcome() -> dict[str, dict[str, float]]:
    """Metrics of a study of 60 simulated regions."""
    from neuroloom.core.files import read_json
    from neuroloom.volumes.radiomics.recipe import Radiomics
    from tests.regions import write_regions

    with tempfile.TemporaryDirectory() as folder:
        manifest = write_regions(Path(folder) / "data", n=60, seed=1)
        run = Radiomics(target="grade").run(manifest, Path(folder) / "run")
        return read_json(run.folder / "metrics.json")


def permuted_distance(data: Path) -> float:
    """Distance from 0.5 of the mean AUC over permutations of the labels."""
    from neuroloom.core.files import read_json
    from neuroloom.volumes.radiomics.recipe import Radiomics
    from tests.regions import write_regions

    values = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_regions(folder / "data", n=60, seed=1)
        features = Radiomics(modes=["3D_comb"]).run(folder / "data/cases.csv", folder / "features")
        table = folder / "features.csv"
        (features.folder / "artifacts" / "features.csv").rename(table)
        chosen = [tag for tag in _tags(table) if "_" in tag]
        for seed in range(PERMUTED):
            recipe = Radiomics(target="grade", columns=chosen, shuffle=True, seed=seed)
            run = recipe.run(table, folder / f"run{seed}")
            values.append(read_json(run.folder / "metrics.json")["auc"]["value"])
    return abs(float(np.mean(values)) - 0.5)


def _tags(table: Path) -> list[str]:
    families = ("morph_", "loc_", "stat_", "ih_", "ivh_", "cm_", "rlm_", "szm_", "dzm_", "ngt_")
    with table.open() as file:
        return [name for name in next(csv.reader(file)) if name.startswith((*families, "ngl_"))]


CHECKS = [
    Check(
        TOOL, "IBSI-1 features within tolerance of their reference (482 of 487 have one)",
        ">= 480", within_tolerance, PHANTOM,
    ),
    Check(
        TOOL, "outcome from features, AUC of unseen cases in nested folds", ">= 0.8",
        lambda data: outcome()["auc"]["value"], MADE,
    ),
    Check(
        TOOL, "gain in AUC over a model of the volume alone", ">= 0.1",
        lambda data: outcome()["auc"]["value"] - outcome()["auc"]["baseline"], MADE,
    ),
    Check(
        TOOL, f"labels permuted {PERMUTED} times: distance of the mean AUC from 0.5", "<= 0.05",
        permuted_distance, MADE,
    ),
]  # fmt: skip
