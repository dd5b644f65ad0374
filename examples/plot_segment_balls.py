"""
Segment volumes from a folder of images and labels
==================================================

One call plans a net from the data, trains it on some cases, judges it on others and keeps it. The
volumes here are made: a ball among rods of its own shade, brighter than the rest in some volumes
and darker in others. No brightness tells the ball, its shape does.
"""

import tempfile
from pathlib import Path

import numpy as np

from neuroloom.core.recording import volume
from neuroloom.io.images import read_image, to_array, write_image

folder = Path(tempfile.mkdtemp())
affine = np.diag([1.0, 1.0, 2.0, 1.0])  # slices twice as thick as pixels are wide


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its label, (x, y, z): a ball, and two rods of the same shade."""
    rng = np.random.default_rng(seed)
    x, y, z = np.mgrid[-12:12, -14:14, -7:7] * np.array([1, 1, 2])[:, None, None, None]
    at = rng.permutation([(-6, -7), (6, -7), (0, 7)]) + rng.uniform(-1.5, 1.5, (3, 2))
    across = [np.hypot(x - a, y - b) for a, b in at]
    ball = np.hypot(across[0], z - rng.uniform(-3, 3)) < rng.uniform(4, 5.5)
    rods = (across[1] < rng.uniform(3, 4)) | (across[2] < rng.uniform(3, 4))
    shade = rng.choice([-50.0, 50.0])  # darker than what is around it, or brighter
    image = 100 + shade * (ball | rods) + rng.normal(0, 10, x.shape)
    return image.astype(np.float32), ball.astype(np.uint8)


for place, seeds in (("known", range(16)), ("new", range(16, 18))):
    for seed in seeds:
        image, label = scene(seed)
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
    budget="200 steps",
    folds=1,
    classes=["ball"],
    plan={"features": "8", "patch": "16,32,24", "batch": "2"},
).run(folder / "known", out=folder / "run")
pooled = run.metrics.query("fold == 'all' and seed == 'all'")
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
axes.imshow(plt.imread(folder / "labels" / "case_16_picture.png"))
axes.set_axis_off()
plt.show()

# %%
# How near the truth is it? These cases were never learnt from.

from neuroloom.learn.dense.measures.overlap import counts_of, dice

truth, label = (
    to_array(read_image(folder / place / "case_16.nii.gz"))[0].astype(int)
    for place in ("new/labels", "labels")
)
dice(*counts_of(truth, label, {"ball": 1})).round(3)
