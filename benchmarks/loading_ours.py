"""neuroloom's side of `loading.py`: what `signals.decode` does before it learns."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from neuroloom.signals.decode import Decode


def main(job: dict) -> dict:
    recipe = Decode(
        events={"T1": "fists", "T2": "feet"},
        start=job["start"],
        stop=job["stop"],
        band=tuple(job["band"]),
        rate=job["rate"],
    )
    cpu, wall = [], []
    for _ in range(job["times"]):
        # A folder of its own each time, so that no header is known from the time before.
        with tempfile.TemporaryDirectory() as folder:
            for file in map(Path, job["files"]):
                (Path(folder) / file.name).symlink_to(file)
            began, busy = time.perf_counter(), time.process_time()
            x = recipe.read(Path(folder)).x
            cpu.append(time.process_time() - busy)
            wall.append(time.perf_counter() - began)
    return {"cpu_s": min(cpu), "wall_s": min(wall), "shape": list(x.shape)}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
