"""neuroloom's side of `augment.py`: batches of patches."""

from __future__ import annotations

import json
import sys

import torch
from augment_timing import patches, time_each

from neuroloom.learn.dense.augment import Augmenter, Canvas
from neuroloom.learn.dense.augment.artefacts import Motion, Spike, Swap
from neuroloom.learn.dense.augment.axiswise import Blur, Ghosting, anisotropy
from neuroloom.learn.dense.augment.intensity import BiasField, Gamma, Noise
from neuroloom.learn.dense.augment.spatial import Affine, Elastic, Flip

PIPELINE = ("affine", "flip", "noise", "blur", "bias field", "gamma")
NINE = (*PIPELINE, "elastic", "spike", "anisotropy")


def chains() -> dict[str, tuple]:
    one = {
        "affine": Affine(10.0, (0.9, 1.1), each_axis=True),
        "flip": Flip(0.5),
        "noise": Noise(0.1),
        "blur": Blur(2.0, 0.5),
        "bias field": BiasField(0.5),
        "gamma": Gamma(0.3),
        "elastic": Elastic(7.5),
        "motion": Motion(10.0, 10.0),
        "ghosting": Ghosting(),
        "spike": Spike(),
        "swap": Swap(100, 15),
        "anisotropy": anisotropy(0.2),
    }
    return {name: (own,) for name, own in one.items()} | {
        "pipeline of six": tuple(one[name] for name in PIPELINE),
        "all nine that MONAI has": tuple(one[name] for name in NINE),
        "all twelve": tuple(one.values()),
    }


def main(job: dict) -> dict:
    torch.set_num_threads(job["threads"])
    x, y = (torch.from_numpy(part) for part in patches(job))
    generator = torch.Generator().manual_seed(1)
    calls = {}
    for name, transforms in chains().items():
        augmenter = Augmenter(transforms, Canvas.of(x))
        calls[name] = lambda augmenter=augmenter: augmenter(x, y, generator)
    return time_each(calls, job)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
