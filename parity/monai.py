"""MONAI: its sliding window and Dice as references, its training as the pace to beat."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from parity.harness import ROOT, Check
from parity.hippocampus import fold, folder
from parity.pymia import spoilt

TOOL = "MONAI"
IMAGES = "MSD hippocampus: images of 3 cases, a U-Net of random weights, tiles that overlap"
LABELS = "MSD hippocampus: labels of 20 cases, spoilt in six ways"
SPEED = "MSD hippocampus, the same DynUNet, patch 40 x 56 x 40, batch 2, float32, 1 thread"
PATCH = (16, 24, 16)
LINE = re.compile(r"^steps: .* wall time: \S+ / \S+ = (\S+)$", re.MULTILINE)


def tiles_apart(data: Path) -> float:
    """Return the largest difference of logits from MONAI's sliding window, tile for tile."""
    import torch
    from monai.inferers import sliding_window_inference

    from neuroloom.io.images import read_image, to_array
    from neuroloom.learn.dense.apply.tile import predict_tiles

    net, apart = _net(), []
    for number, name in enumerate(fold(data, 0)[:3]):
        values = to_array(read_image(folder(data) / "images" / f"{name}.nii.gz"))
        image = torch.as_tensor((values - values.mean()) / values.std(), dtype=torch.float32)
        overlap = (0.25, 0.5, 0.75)[number]
        with torch.no_grad():
            theirs = sliding_window_inference(
                image[None], PATCH, 4, net, overlap=overlap, mode="gaussian"
            )
        ours = predict_tiles(net, image, PATCH, 1 - overlap, "gaussian", positions=_corners)
        apart.append(float((torch.as_tensor(ours) - theirs[0]).abs().max()))
    return max(apart)


def _net() -> object:
    """Return a small planned net with weights drawn from a fixed seed, in evaluation mode."""
    import torch

    from neuroloom.learn.dense.nets.build import build_net

    torch.manual_seed(0)
    made = build_net(
        "dynunet", dims=3, in_channels=1, out_channels=3, patch=PATCH, strides=(1, 2, 2),
        kernels=(3, 3, 3), features=(8, 16, 32),
    )  # fmt: skip
    return made.eval().requires_grad_(requires_grad=False)


def _corners(shape: Sequence[int], patch: Sequence[int], step: float) -> list[list[int]]:
    """Return where MONAI begins its tiles: equal steps, the last one moved back inside."""
    found = []
    for n, size in zip(shape, patch, strict=True):
        gap = int(size * step) if n != size else int(size)
        starts = range(0, max(n - size + gap, 1), max(gap, 1))
        found.append(sorted({min(start, n - size) for start in starts}))
    return found


def dice_apart(data: Path) -> float:
    """Return the largest difference of a class's Dice from MONAI's."""
    import torch
    from monai.metrics import compute_dice

    from neuroloom.io.images import read_image, to_array
    from neuroloom.learn.dense.measures.overlap import counts_of, dice

    apart = []
    for number, file in enumerate(sorted((folder(data) / "labels").glob("*.nii.gz"))[:20]):
        truth = to_array(read_image(file))[0].astype(np.uint8)
        found = spoilt(truth, number)
        ours = dice(*counts_of(truth, found, {"anterior": 1, "posterior": 2}))
        hot = [torch.as_tensor(np.stack([x == 1, x == 2])[None]).float() for x in (found, truth)]
        theirs = compute_dice(*hot)[0].numpy()
        apart.append(float(np.abs(ours - theirs).max()))
    return max(apart)


@cache
def _ratios(data: Path, *options: str) -> list[float]:
    """Return ours over MONAI's seconds of a step, without workers and with two."""
    script = str(ROOT / "benchmarks" / "steps.py")
    command = [sys.executable, script, "--data", str(folder(data)), "--quick", "--dry", *options]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(ratio) for ratio in LINE.findall(run.stdout)]


def times_as_fast(data: Path, *options: str) -> float:
    """Return MONAI's time of a training step over ours, with its better number of workers."""
    return 1 / max(_ratios(data, *options))


CHECKS = [
    Check(TOOL, "largest difference of logits from MONAI's sliding window", "<= 1e-05",
          tiles_apart, IMAGES),
    Check(TOOL, "largest difference of a class's Dice from MONAI's", "<= 1e-06", dice_apart,
          LABELS),
    Check(TOOL, "training steps in the time of one of MONAI with CacheDataset", ">= 1.3",
          times_as_fast, SPEED),
]  # fmt: skip
