"""Steps of training a 3-D U-Net beside MONAI 1.6.1 the tutorial way: wall and CPU time of a step.

    python benchmarks/steps.py [--turns 5] [--steps 12] [--threads 1] [--cases 60] [--dry]

The same hippocampus cases, patch 40 x 56 x 40, batch 2, widths, strides, float32 and threads, and
nnU-Net's augmentations with their chances on both sides. MONAI: `CacheDataset` with all cases in
memory, a foreground crop, its dictionary transforms, a `DataLoader` without workers and with two,
`DynUNet` with deep supervision, `DiceCELoss`, AdamW. Ours: `DenseLearner` as a run trains it, with
clipping and a running mean of the weights, which the tutorials lack. The sides take turns in one
process; the time of a loader's workers counts as CPU time. MONAI's transforms keep track of
affines, as they do unless told otherwise. --dry leaves `results.csv` as it is.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402
from peers import ROOT  # noqa: E402

PATCH, BATCH, LR, DECAY = (40, 56, 40), 2, 3e-3, 1e-2
STRIDES = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
KERNELS = ((3, 3, 3),) * 4
WIDTHS = ((16, 64, 128, 256), (32, 64, 128, 256))
CLASSES = {0: "background", 1: "anterior", 2: "posterior"}
Turn = Callable[[], int]


def main() -> None:
    import torch

    arguments = parse()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")
    files = find(Path(arguments.data), arguments.cases)
    ours_cases, cache = our_cases(files), cached(files)
    rows = []
    for widths in WIDTHS[: 1 if arguments.quick else None]:
        sides = {"ours": ours(ours_cases, widths, arguments)}
        for workers in (0, 2):
            sides[str(workers)] = Peer(cache, widths, workers, arguments)
        times = take_turns(sides, arguments.turns)
        kinds = itertools.product(("0", "2"), ("wall_s", "cpu_s"))
        rows += [row(widths, *kind, times, arguments.threads) for kind in kinds]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)
    for line in rows:
        print(f"{line['benchmark']}: {line['ours_s']} / {line['peer_s']} = {line['ratio']}")
    if not arguments.dry:
        decode.write(rows)


def find(data: Path, count: int) -> list[dict[str, str]]:
    """Return image and label of the first cases."""
    images = sorted((data / "images").glob("*.nii*"))[:count]
    return [{"image": str(path), "label": str(data / "labels" / path.name)} for path in images]


def take_turns(sides: dict[str, Any], turns: int) -> dict[str, list[dict[str, float]]]:
    """Return the mean seconds of a step of each turn; the first turn of each warms up."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, side in sides.items():
            wall, cpu = time.perf_counter(), time.process_time() + workers_s(side)
            steps = side()
            wall, cpu = (
                time.perf_counter() - wall, time.process_time() + workers_s(side) - cpu
            )  # fmt: skip
            print(f"{name}: {wall / steps:.3f} s wall, {cpu / steps:.3f} s CPU", file=sys.stderr)
            if turn:
                found[name].append({"wall_s": wall / steps, "cpu_s": cpu / steps})
    return found


def workers_s(side: Any) -> float:
    """Return the CPU time of a loader's workers so far, s."""
    return float(side.workers_s()) if isinstance(side, Peer) else 0.0


def row(
    widths: tuple[int, ...], workers: str, key: str, times: dict[str, Any], threads: int
) -> dict[str, object]:
    made = decode.row("", times["ours"], times[workers], key)
    kind = {"wall_s": "wall", "cpu_s": "CPU"}[key]
    name = f"steps: DynUNet {'-'.join(map(str, widths))}, {workers} workers, {kind} time"
    machine = str(made["machine"]).replace("2 threads", f"{threads} thread(s)")
    return made | {"benchmark": name, "peer": f"monai {version('monai')}", "machine": machine}


class Spot:
    """A case as `DenseCases` wants it, read once."""

    def __init__(self, file: dict[str, str]) -> None:
        import nibabel as nib

        self.name = Path(file["image"]).name
        image: Any = nib.load(file["image"])
        self.spacing = tuple(float(s) for s in image.header.get_zooms()[:3][::-1])
        self._image = np.asarray(image.dataobj, np.float32).T[None]
        self._label = np.asarray(nib.load(file["label"]).dataobj, np.int16).T  # type: ignore[attr-defined]

    def image(self) -> np.ndarray:
        return self._image

    def truth(self) -> np.ndarray:
        return self._label


def our_cases(files: list[dict[str, str]]) -> Any:
    from neuroloom.learn.dense.data.cases import DenseCases

    return DenseCases([Spot(file) for file in files])


def ours(cases: Any, widths: tuple[int, ...], arguments: argparse.Namespace) -> Turn:
    """Return a turn of the learner's own fit, its setting up included."""
    from neuroloom.learn.dense.training.learner import DenseLearner, Wishes
    from neuroloom.learn.training.fit import FitJob, fit

    keys = {"patch": PATCH, "batch": BATCH, "strides": STRIDES, "kernels": KERNELS,
            "features": widths, "blocks": (2,) * 4, "decoder_blocks": (2,) * 3,
            "stages": ((1.0, 1.0, 1.0, 1),)}  # fmt: skip
    training = {"lr": LR, "weight_decay": DECAY, "precision": "32-true", "muon": 0.0}
    learner = DenseLearner("dynunet", Wishes(CLASSES, keys=keys, training=training))
    job = FitJob(steps=arguments.steps, threads=arguments.threads)
    module, bank = learner.begin(cases, job)
    assert (bank.plan.patch, bank.plan.features, bank.plan.batch) == (PATCH, widths, BATCH)
    numbers = np.tile(np.arange(len(bank), dtype=np.int64), 4)

    def turn() -> int:
        fit(module, numbers, np.zeros(len(numbers), np.float32), learner.training(bank.plan), job)
        return int(arguments.steps)

    return turn


def cached(files: list[dict[str, str]]) -> Any:
    """Return MONAI's cache of the cases, read and normalised."""
    from monai.data import CacheDataset
    from monai.transforms import (
        Compose,
        EnsureChannelFirstd,
        LoadImaged,
        NormalizeIntensityd,
        SpatialPadd,
    )

    both = ["image", "label"]
    steps = [
        LoadImaged(both), EnsureChannelFirstd(both), NormalizeIntensityd("image"),
        SpatialPadd(both, PATCH),
    ]  # fmt: skip
    return CacheDataset(files, Compose(steps), cache_rate=1.0, num_workers=None, progress=False)


def changes() -> Any:
    """Return nnU-Net's augmentations in MONAI's words, with the chances that ours have."""
    from monai import transforms as m

    both, turn = ["image", "label"], np.pi / 6
    return m.Compose(
        [
            m.RandCropByPosNegLabeld(
                both, "label", PATCH, pos=1, neg=1, num_samples=1, image_key="image"
            ),
            m.RandAffined(
                both, prob=0.36, rotate_range=(turn,) * 3, scale_range=((-0.3, 0.4),) * 3,
                mode=("bilinear", "nearest"), padding_mode="zeros",
            ),
            m.RandGaussianNoised("image", prob=0.1, std=0.1),
            m.RandGaussianSmoothd("image", (0.5, 1), (0.5, 1), (0.5, 1), prob=0.1),
            m.RandScaleIntensityd("image", factors=0.25, prob=0.15),
            m.RandAdjustContrastd("image", prob=0.15, gamma=(0.75, 1.25)),
            m.RandSimulateLowResolutiond("image", prob=0.125, zoom_range=(0.5, 1.0)),
            m.RandAdjustContrastd("image", prob=0.1, gamma=(0.7, 1.5), invert_image=True,
                                  retain_stats=True),
            m.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
            *[m.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)],
            m.EnsureTyped(both),
        ]
    )  # fmt: skip


class Peer:
    """MONAI's side: a turn is an epoch of as many steps."""

    def __init__(
        self, cache: Any, widths: tuple[int, ...], workers: int, arguments: argparse.Namespace
    ) -> None:
        import torch
        from monai.data import DataLoader, Dataset
        from monai.losses import DiceCELoss
        from monai.networks.nets import DynUNet
        from torch.utils.data import RandomSampler

        self.steps = arguments.steps
        data = Dataset(cache, changes())
        sampler = RandomSampler(data, num_samples=BATCH * self.steps, replacement=True)
        self.loader = DataLoader(
            data, batch_size=BATCH, sampler=sampler, num_workers=workers,
            persistent_workers=workers > 0,
        )  # fmt: skip
        self.net = DynUNet(
            3, 1, len(CLASSES), KERNELS, STRIDES, STRIDES[1:], filters=widths,
            norm_name=("INSTANCE", {"affine": True}), deep_supervision=True, deep_supr_num=1,
        )  # fmt: skip
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), LR, weight_decay=DECAY)

    def __call__(self) -> int:
        self.net.train()
        for batch in self.loader:
            self.optimiser.zero_grad()
            said = self.net(batch["image"]).unbind(1)
            weights = np.array([0.5**k for k in range(len(said))])
            weights = (weights / weights.sum()).tolist()
            loss = sum(w * self.loss(y, batch["label"]) for w, y in zip(weights, said, strict=True))
            loss.backward()
            self.optimiser.step()
            loss.item()
        return int(self.steps)

    def workers_s(self) -> float:
        """Return the CPU time of the workers so far, s."""
        workers = getattr(getattr(self.loader, "_iterator", None), "_workers", [])
        return sum(cpu_of(worker.pid) for worker in workers)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = ROOT.parent / "shared" / "data" / "volumes" / "msd_hippocampus"
    parser.add_argument("--data", default=default, help="folder with images and labels")
    parser.add_argument("--turns", type=int, default=5, help="turns of each side")
    parser.add_argument("--steps", type=int, default=12, help="steps in a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="the narrow net only")
    parser.add_argument("--dry", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
