"""Sliding-window prediction beside MONAI's: a tiny net, and no net at all, in 2-D and 3-D.

    python benchmarks/tiles.py [--turns 12] [--threads 1]

The same image, patch, overlap of a half, Gaussian weights, batch, net and threads; the sides take
turns in one process, call by call. The smallest CPU time of each is compared: a busy machine only
adds to it. "No net" repeats the image as three classes: what is left is the cutting and adding of
tiles alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402

CASES = {
    "2-D, 1024 × 1000": ((1024, 1000), (256, 256), 4),
    "3-D, 160 × 192 × 150": ((160, 192, 150), (64, 64, 64), 4),
    "3-D, 40 × 56 × 40 (one tile)": ((36, 50, 35), (40, 56, 40), 4),
}


def main() -> None:
    import torch

    arguments = parse()
    torch.set_num_threads(arguments.threads)
    rows = []
    for name, (shape, patch, batch) in CASES.items():
        image = torch.randn(1, *shape)
        for net_name, net in nets(len(shape)).items():
            times = take_turns(image, patch, batch, net, arguments.turns)
            line = decode.row(name, *times, "cpu_s")
            line |= {
                "benchmark": f"tiles: {name}, {net_name}, CPU time",
                "peer": f"monai {version('monai')}",
            }
            machine = str(line["machine"])
            line["machine"] = machine.replace("2 threads", f"{arguments.threads} thread(s)")
            rows.append(line)
    decode.write(rows)


def nets(dims: int) -> dict[str, Callable[[Any], Any]]:
    from torch import nn

    conv = nn.Conv2d if dims == 2 else nn.Conv3d
    tiny = nn.Sequential(conv(1, 8, 3, padding=1), nn.LeakyReLU(), conv(8, 3, 1)).eval()
    return {"tiny net": tiny, "no net": lambda x: x.repeat(1, 3, *[1] * dims)}


def take_turns(
    image: Any, patch: tuple[int, ...], batch: int, net: Any, turns: int
) -> tuple[list[dict], list[dict]]:
    import torch
    from monai.inferers import sliding_window_inference

    from neuroloom.learn.dense.apply.tile import predict_tiles

    def ours() -> Any:
        return predict_tiles(net, image, patch, 0.5, "gaussian", batch)

    def theirs() -> Any:
        with torch.no_grad():
            return sliding_window_inference(
                image[None], patch, batch, net, overlap=0.5, mode="gaussian"
            )

    ours(), theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns):
        for side, work in zip(times, (ours, theirs), strict=True):
            start = time.process_time()
            work()
            side.append(time.process_time() - start)
    mine, other = (min(side) for side in times)
    return [{"cpu_s": mine}], [{"cpu_s": other}]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=12, help="calls of each side")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
