"""Small projects of labelled frames, made on the spot with known points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

NAMES = ("nose", "ear_l", "ear_r")


def points_of(frames: int = 4, animals: int = 1, seed: int = 0) -> np.ndarray:
    """Places inside a picture of 64 x 48, (frame, animal, point, 2), one of them missing."""
    generator = np.random.default_rng(seed)
    points = generator.uniform(2, 45, (frames, animals, len(NAMES), 2))
    points[1, 0, 2] = np.nan
    return points


def dlc_frame(points: np.ndarray, rows, names=NAMES, individuals=(), scorer="me") -> pd.DataFrame:
    """A table as pandas has it after DeepLabCut's own reading, built without our code."""
    levels = ["scorer", *(["individuals"] if individuals else []), "bodyparts", "coords"]
    columns = [
        (scorer, *((who,) if individuals else ()), name, coord)
        for who in (individuals or ("",))
        for name in names
        for coord in "xy"
    ]
    index = pd.MultiIndex.from_tuples(rows) if isinstance(rows[0], tuple) else pd.Index(rows)
    return pd.DataFrame(
        points.reshape(len(points), -1),
        index=index,
        columns=pd.MultiIndex.from_tuples(columns, names=levels),
    )


def pictures(folder: Path, count: int, size=(64, 48), start: int = 0) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"img{number:04d}.png" for number in range(start, start + count)]
    for number, name in enumerate(names):
        Image.new("L", size, number + 1).save(folder / name)
    return names


def dlc_project(root: Path, videos=("a",), cells: int = 3, files=(".csv", ".h5"), **more) -> Path:
    """A DeepLabCut project of one animal; `more` goes to `dlc_frame`."""
    for seed, video in enumerate(videos):
        folder = root / "labeled-data" / video
        names = pictures(folder, 4)
        rows = [("labeled-data", video, name) for name in names]
        rows = rows if cells == 3 else ["/".join(row) for row in rows]
        frame = dlc_frame(points_of(seed=seed), rows, **more)
        if ".csv" in files:
            frame.to_csv(folder / "CollectedData_me.csv")
        if ".h5" in files:
            frame.to_hdf(folder / "CollectedData_me.h5", key="df_with_missing", mode="w")
    names = more.get("names", NAMES)
    listed = "".join(f"- {name}\n" for name in names)
    config = "Task: test\nscorer: me\nmultianimalproject: false\nvideo_sets:\n  gone.mp4:\n"
    (root / "config.yaml").write_text(f"{config}    crop: 0, 64, 0, 48\nbodyparts:\n{listed}")
    return root
