"""
Segment volumes from a folder of images and labels
==================================================

One call plans a net from the data, trains it on some cases, judges it on others and keeps it. The
volumes here are made: a bright ball, a dim one beside it, and noise, so that we know the truth.
"""

import tempfile
from pathlib import Path

import numpy as np

from neuroloom.core.recording import volume
from neuroloom.io.images import read_image, to_array, write_image

folder = Path(tempfile.mkdtemp())
affine = np.diag([1.0, 1.0, 2.0, 1.0])  # slices twice as thick as pixels are wide


def balls(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its label, (x, y, z)."""
    rng = np.random.default_rng(seed)
    x, y, z = np.mgrid[-12:12, -14:14, -7:7] * np.array([1, 1, 2])[:, None, None, None]
    label = np.zeros(x.shape, np.uint8)
    for value, side in ((1, -6), (2, 6)):
        centre = np.array([0, side, 0]) + rng.uniform(-2, 2, 3)
        far = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
        label[far < rng.uniform(4, 6)] = value
    shade = np.array([40.0, 90.0, 65.0])[label]
    return (shade + rng.normal(0, 10, x.shape)).astype(np.float32), label


for place, seeds in (("known", range(10)), ("new", range(10, 12))):
    for seed in seeds:
        image, label = balls(seed)
        for half, content in (("images", image), ("labels", label)):
            (folder / place / half).mkdir(parents=True, exist_ok=True)
            write_image(folder / place / half / f"case_{seed:02d}.nii.gz", volume(content, affine))

# %%
# Learn and judge
# ---------------
#
# With a budget such as ``10min`` the plan would also decide how long and how wide. Here it is kept
# tiny: a few steps of a narrow net, on one split. Beside the net stands a linear model of voxels.

from neuroloom.volumes import Segment

run = Segment(
    budget="120 steps",
    folds=1,
    classes=["bright", "dim"],
    plan={"features": "8", "patch": "16,32,24", "batch": "2"},
).run(folder / "known", out=folder / "run")
pooled = run.metrics.query("fold == 'all'")
pooled[["metric", "value", "low", "high", "baseline"]].round(3)

# %%
# The plan, and why
# -----------------

import pandas as pd

pd.read_csv(run.folder / "artifacts" / "plan.csv").head(6)

# %%
# Label new volumes
# -----------------
#
# Each label lies on the grid of its image. ``doubt`` is how unsure the net is near the border; a
# case that is out of the ordinary is flagged.

found = run.predict(folder / "new" / "images", out=folder / "labels")
found[["name", "class", "volume", "doubt", "flag"]].round(3)

# %%
# Beside each label lies a picture for whoever checks it: the planes that hold most of it.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
axes.imshow(plt.imread(folder / "labels" / "case_10_picture.png"))
axes.set_axis_off()
plt.show()

# %%
# How near the truth is it? These cases were never learnt from.

from neuroloom.learn.dense.overlap import counts_of, dice

truth, label = (
    to_array(read_image(folder / place / "case_10.nii.gz"))[0].astype(int)
    for place in ("new/labels", "labels")
)
dice(*counts_of(truth, label, {"bright": 1, "dim": 2})).round(3)
