"""Allen Cell and Structure Segmenter: classic pipelines, filters of a known size, curation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from parity.crops import score
from parity.harness import Check, spent

TOOL = "Allen Cell Structure Segmenter"
LARGE = "DSB 2018 nuclei, 512 x 512, 125 objects"
SMALL = "DSB 2018 nuclei, 256 x 256, 65 objects"
FILES = {LARGE: ("dsb_img2d_large.tif", "dsb_mask2d_large.tif"), SMALL: ("img2d.tif", "mask2d.tif")}
WIDTHS = (1.5, 2.5, 4.0)
FOUND = 0.7  # least Dice with the truth


@cache
def nuclei(data: Path, which: str, pipeline: str) -> float:
    """Return the F1 of nuclei at an overlap of 0.5."""
    from neuroloom.io.images import read_image, to_array
    from neuroloom.learn.dense.measures.instances import match_instances
    from neuroloom.microscopy.pipelines import run_pipeline

    image, truth = (to_array(read_image(data / "microscopy" / "nuclei" / f))[0]
                    for f in FILES[which])  # fmt: skip
    return match_instances(truth, run_pipeline(pipeline, image)).scores()["f1"]


net_of_nuclei = score("nuclei", "microscopy.segment", "f1@0.5")


def worst_width(data: Path) -> float:
    """Return the largest relative error of the width of Gaussian spots and tubes."""
    from neuroloom.microscopy.pipelines.filters import measure_width

    errors = []
    for width in WIDTHS:
        for shape in ((61, 61), (41, 41, 41)):
            axes = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
            far = np.sum(np.square(axes), axis=0)
            along = 0.6 * axes[-1] + 0.8 * axes[-2]
            centre = [n // 2 for n in shape]
            for kind, off in (("spot", far), ("filament", far - along**2)):
                scales = np.geomspace(width / 2, 2 * width, 9)
                image = np.exp(-off / (2 * width**2))
                found = measure_width(image, centre, kind, scales)  # type: ignore[arg-type]
                errors.append(abs(found / width - 1))
    return max(errors)


def voxels_astray(data: Path) -> float:
    """Return how many voxels curation changed outside, or left unchanged inside, what was drawn."""
    from neuroloom.microscopy.curation import draw_region, edit, exclude, merge

    rng = np.random.default_rng(0)
    base = rng.integers(0, 100, (4, 50, 50)).astype(np.uint8)
    other = base + 100
    region = draw_region(base.shape, [[5, 5], [5, 30], [40, 20]], slice(1, 3))
    made = [merge(base, other, region), exclude(base, region), edit(base, region, 200)]
    return float(sum(((new != base) != region).sum() for new in made))


def named(data: Path) -> float:
    """Return how many named pipelines find their structure in a rendered volume of it."""
    from neuroloom.microscopy.pipelines import PIPELINES, run_pipeline
    from tests.structures import phantom

    found = 0
    for name, pipeline in PIPELINES.items():
        image, truth = phantom(pipeline.kind, seed=11)
        mask = run_pipeline(name, image) > 0
        same = mask.shape == truth.shape and mask.any() and not mask.all()
        found += bool(same and 2 * (mask & truth).sum() >= FOUND * (mask.sum() + truth.sum()))
    return float(found)


CHECKS = [
    Check(TOOL, "F1 of nuclei at overlap 0.5, no training", ">= 0.82",
          lambda data: nuclei(data, LARGE, "nuclei"), LARGE),
    Check(TOOL, "F1 of nuclei at overlap 0.5 on an image with nuclei 2.3 times smaller", ">= 0.8",
          lambda data: nuclei(data, SMALL, "nuclei"), SMALL),
    Check(TOOL, "F1 of nuclei beyond Otsu's threshold and watershed", ">= 0.05",
          lambda data: nuclei(data, LARGE, "nuclei") - nuclei(data, LARGE, "nuclei-otsu"), LARGE),
    Check(TOOL, "F1 of nuclei by a net that learnt the smaller image, beyond that of the pipeline",
          ">= 0.005", lambda data: net_of_nuclei(data) - nuclei(data, LARGE, "nuclei"),
          f"{SMALL}, then {LARGE}; {spent(5)}"),
    Check(TOOL, "relative error of the width of Gaussian spots and tubes, 2-D and 3-D, worst",
          "<= 0.05", worst_width),
    Check(TOOL, "voxels that merging, excluding or editing changed amiss", "== 0", voxels_astray),
    Check(TOOL, f"named pipelines that find their structure in a rendered volume, Dice {FOUND}",
          ">= 20", named),
]  # fmt: skip
