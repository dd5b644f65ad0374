"""A CT of 512 x 512 x 600 through a finished run, in a process of its own whose memory is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuroloom.volumes.segment import Segment

LIMIT = 8e9
# The net is arithmetic that costs nothing: 10^9 voxels of tiles would take a real one an hour here.
# What a real net needs beside it is its weights and one batch of tiles.
CODE = """
import json, resource, sys, torch
from pathlib import Path
import neuroloom.learn.dense.apply.infer as infer
infer._sure = lambda net, plan: lambda x: torch.cat([0 * x, x, -x], 1).softmax(1)
from neuroloom.core.run import Run
torch.set_num_threads(1)
table = Run(Path(sys.argv[1])).predict(sys.argv[2], out=sys.argv[3])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"peak": peak, "volumes": table.set_index("class")["volume"].to_dict()}))
"""


def write(
    folder: Path, name: str, image: np.ndarray, label: np.ndarray | None, size: float
) -> None:
    affine = np.diag([size, size, size, 1.0])
    (folder / "images").mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(image.astype(np.int16), affine), folder / "images" / name)
    if label is not None:
        (folder / "labels").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(label.astype(np.uint8), affine), folder / "labels" / name)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Two steps on three volumes of three classes."""
    folder, rng = tmp_path_factory.mktemp("tiny"), np.random.default_rng(0)
    for k in range(3):
        label = np.zeros((40, 40, 40), int)
        label[8:20, 8:30, 10:30], label[22:32, 10:30, 10:30] = 1, 2
        write(folder, f"c{k}.nii", rng.normal(0, 30, label.shape) + 100 * label, label, 1.0)
    keys = {"patch": "64,64,64", "features": "2", "batch": "1"}
    recipe = Segment(
        model="dynunet", budget="2 steps", folds=0, configuration="3d_fullres", channels=["CT"],
        mirror=[], plan=keys,
    )  # fmt: skip
    return recipe.run(folder, tmp_path_factory.mktemp("run") / "r").folder


@pytest.mark.long
@pytest.mark.parametrize("size", [1.0, 0.5])
def test_a_large_ct_is_predicted_within_eight_gigabytes(run, size, tmp_path):
    """With voxels as large as the plan's, and half as large."""
    image = np.full((512, 512, 600), -500, np.int16)
    image += np.random.default_rng(0).integers(-60, 60, (512, 512, 1), np.int16)
    image[100:400, 100:400, 100:500] = 300
    write(tmp_path / "ct", "ct.nii", image, None, size)
    line = [run, tmp_path / "ct", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, line)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["peak"] < LIMIT
    label = nib.load(tmp_path / "out" / "ct.nii")
    assert label.shape == (512, 512, 600)
    # Class 1 where the image is bright, but for the edge that resampling blurs.
    first = next(iter(found["volumes"].values()))
    assert first == pytest.approx(300 * 300 * 400 * size**3, rel=0.03)
