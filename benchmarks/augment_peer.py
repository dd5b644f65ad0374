"""TorchIO's and MONAI's side of `augment.py`; runs in an environment of its own."""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import torch
from augment_timing import patches, time_each

warnings.filterwarnings("ignore")
PIPELINE = ("affine", "flip", "noise", "blur", "bias field", "gamma")


def torchio(x: torch.Tensor, y: torch.Tensor) -> dict:
    import torchio as tio

    one = {
        "affine": tio.RandomAffine(scales=0.1, degrees=10),
        "flip": tio.RandomFlip((0, 1, 2), flip_probability=0.5),
        "noise": tio.RandomNoise(std=(0, 0.1)),
        "blur": tio.RandomBlur((0.5, 2)),
        "bias field": tio.RandomBiasField(0.5),
        "gamma": tio.RandomGamma(0.3),
        "elastic": tio.RandomElasticDeformation(),
        "motion": tio.RandomMotion(),
        "ghosting": tio.RandomGhosting(),
        "spike": tio.RandomSpike(),
        "swap": tio.RandomSwap(),
        "anisotropy": tio.RandomAnisotropy(downsampling=(1.5, 5)),
    }
    named = list(one.values())
    one["pipeline of six"] = tio.Compose([one[name] for name in PIPELINE])
    one["all twelve"] = tio.Compose(named)
    subjects = [
        tio.Subject(image=tio.ScalarImage(tensor=a), label=tio.LabelMap(tensor=b[None]))
        for a, b in zip(x, y, strict=True)
    ]
    return {
        name: lambda change=change: [change(subject) for subject in subjects]
        for name, change in one.items()
    }


def monai(x: torch.Tensor, y: torch.Tensor) -> dict:
    from monai import transforms as mt
    from monai.data import set_track_meta

    set_track_meta(False)
    both, turn = ("image", "label"), (np.pi / 18,) * 3
    flips = [mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)]
    width = (0.5, 2.0)
    one = {
        "affine": mt.RandAffined(
            both, prob=1, rotate_range=turn, scale_range=(0.1,) * 3, mode=("bilinear", "nearest"),
            padding_mode="zeros",
        ),
        "flip": mt.Compose(flips),
        "noise": mt.RandGaussianNoised("image", prob=1, std=0.1),
        "blur": mt.RandGaussianSmoothd("image", width, width, width, prob=1),
        "bias field": mt.RandBiasFieldd("image", prob=1, coeff_range=(0, 0.5)),
        "gamma": mt.RandAdjustContrastd("image", prob=1, gamma=(0.7, 1.3)),
        "elastic": mt.Rand3DElasticd(
            both, (5, 7), (50, 150), prob=1, mode=("bilinear", "nearest"), padding_mode="zeros"
        ),
        "spike": mt.RandKSpaceSpikeNoised("image", prob=1),
        "anisotropy": mt.RandSimulateLowResolutiond("image", prob=1, zoom_range=(0.5, 1.0)),
    }  # fmt: skip
    named = list(one.values())
    one["pipeline of six"] = mt.Compose([one[name] for name in PIPELINE])
    one["all nine that MONAI has"] = mt.Compose(named)
    cases = [{"image": a, "label": b[None]} for a, b in zip(x, y, strict=True)]
    return {
        name: lambda change=change: [change(dict(case)) for case in cases]
        for name, change in one.items()
    }


def main(job: dict) -> dict:
    torch.set_num_threads(job["threads"])
    x, y = (torch.from_numpy(part) for part in patches(job))
    return time_each({"torchio": torchio, "monai": monai}[job["peer"]](x, y), job)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
