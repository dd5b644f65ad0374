"""A training set that lies on disk beside the same in memory: time of a step, and memory.

    python benchmarks/streaming.py [--cases 48] [--edge 224] [--turns 5] [--steps 8]

Volumes of noise with two blobs (2.7 GB as they come), one planned net, patches of 64 x 64 x 64,
batch 2. "memory" has all cases in tensors; "disk" has all mapped from files. Before every step of
"disk" the pages that it maps are thrown out of memory and out of the system's cache, so that each
step reads from the disk what it needs: what a set much larger than memory would do. The sides take
turns in one process.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402

PATCH = (64, 64, 64)
STRIDES = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))


def main() -> None:
    import torch

    arguments = parse()
    torch.set_num_threads(arguments.threads)
    plan = made_plan()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        disk = bank(plan, arguments, Path(folder), limit=1)
        alone = resident("RssAnon")
        memory = bank(plan, arguments, None, limit=1e15)
        both = resident("RssAnon")
        print(
            f"{disk.bytes / 1e9:.2f} GB of cases: {alone:.2f} GB of memory that is no cache with "
            f"them on disk, {both - alone:.2f} more with them in memory",
            file=sys.stderr,
        )
        times = take_turns(plan, {"memory": memory, "disk": disk}, arguments)
        disk.close()
    rows = []
    for key, kind in (("wall_s", "wall"), ("cpu_s", "CPU")):
        line = decode.row("", times["disk"], times["memory"], key)
        name = f"streaming: a step from disk beside one from memory, {kind} time"
        machine = str(line["machine"]).replace("2 threads", f"{arguments.threads} thread(s)")
        rows.append(line | {"benchmark": name, "peer": "all in memory", "machine": machine})
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)
    for line in rows:
        print(f"{line['benchmark']}: {line['ours_s']} / {line['peer_s']} = {line['ratio']}")
    if not arguments.dry:
        decode.write(rows)


def made_plan() -> Any:
    from neuroloom.learn.dense.planning.denseplan import DensePlan

    return DensePlan(
        "3d_fullres", "default", "dynunet", 3, (1.0,) * 3, (0, 1, 2), (200.0,) * 3, PATCH, 2,
        STRIDES, ((3, 3, 3),) * 4, (16, 32, 64, 128), (2,) * 4, (2,) * 3,
        normalisation=("nonorm",), classes={0: "background", 1: "a", 2: "b"},
    )  # fmt: skip


def bank(plan: Any, arguments: argparse.Namespace, folder: Path | None, limit: float) -> Any:
    from neuroloom.learn.dense.data.bank import Bank

    return Bank(volumes(arguments.cases, arguments.edge), plan, folder=folder, limit=limit)


def volumes(count: int, edge: int) -> Iterator[Any]:
    """Yield cases one by one; none is kept here."""
    from neuroloom.learn.dense.planning.resample import Grid, Preprocessed

    rng = np.random.default_rng(0)
    shape = (edge,) * 3
    for _ in range(count):
        label = np.zeros(shape, np.int8)
        for value in (1, 2):
            start = rng.integers(0, edge - 40, 3)
            label[tuple(slice(a, a + 40) for a in start)] = value
        x = rng.standard_normal((1, *shape), np.float32) + label
        grid = Grid(shape, (1.0,) * 3, (0, 1, 2), ((0, edge),) * 3, (1.0,) * 3, shape)
        yield Preprocessed(x, label, grid)


def take_turns(
    plan: Any, banks: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, list[dict[str, float]]]:
    """Return the median seconds of a step of each turn; the first turn of each warms up."""
    import torch

    modules = {name: module(plan, own) for name, own in banks.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in banks}
    generator = torch.Generator().manual_seed(0)
    for turn in range(arguments.turns + 1):
        order = torch.randint(len(banks["disk"]), (arguments.steps, 2), generator=generator)
        for name, (net, optimiser) in modules.items():
            seconds = [
                one_step(net, optimiser, cases, turn * 100 + k, cold=name == "disk")
                for k, cases in enumerate(order)
            ]
            if turn:
                wall, cpu = (median(part) for part in zip(*seconds, strict=True))
                found[name].append({"wall_s": wall, "cpu_s": cpu})
    return found


def module(plan: Any, own: Any) -> tuple[Any, Any]:
    import torch

    from neuroloom.learn.dense.training.learner import DenseLearner, Wishes

    torch.manual_seed(0)
    made = DenseLearner("dynunet", Wishes(plan.classes))._module(plan).train()
    made.bank = own
    return made, torch.optim.AdamW(made.parameters(), 1e-3, fused=True)


def one_step(net: Any, optimiser: Any, cases: Any, seed: int, *, cold: bool) -> tuple[float, float]:
    import torch

    if cold:
        forget(net.bank)
    wall, cpu = time.perf_counter(), time.process_time()
    optimiser.zero_grad()
    net.loss(cases, None, torch.Generator().manual_seed(seed)).backward()
    optimiser.step()
    return time.perf_counter() - wall, time.process_time() - cpu


def forget(own: Any) -> None:
    """Let go of the pages of a bank's files: those of this process, then those of the system."""
    advise = ctypes.CDLL(None).madvise
    for tensor in (*own.images, *own.labels):
        start = tensor.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
        size = tensor.data_ptr() + tensor.nbytes - start
        advise(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.MADV_DONTNEED)
    for path in own.folder.glob("*.npy"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident(kind: str) -> float:
    """Return this process's memory of a kind, GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) / 1e6
    return float("nan")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=48)
    parser.add_argument("--edge", type=int, default=224, help="voxels along an edge of a volume")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", help="where the files lie; default: the system's")
    parser.add_argument("--dry", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
