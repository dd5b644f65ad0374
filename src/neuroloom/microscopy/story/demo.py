"""Small painted micrographs to try the recipes of this folder on; what is in them is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (112, 144)
GRATIO, PIXEL = 0.6, 0.1  # axon over fibre; um
RINGS = ((26, 28, 17), (76, 34, 22), (40, 92, 24), (88, 96, 15), (84, 128, 12))
NUCLEI = ((20, 22), (34, 32), (80, 25), (60, 70), (25, 75), (90, 110), (40, 120))
Demo = tuple[Path, dict[str, Any], str]


def nerve(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a grey picture of ringed axons and its label: 128 is myelin, 255 axon.

    Examples
    --------
    >>> image, label = nerve(0)
    >>> bool(image[label == 128].mean() < image[label == 0].mean() < image[label == 255].mean())
    True
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    label = np.zeros(SHAPE, np.uint8)
    for row, column, radius in RINGS + rng.integers(-3, 4, (len(RINGS), 3)) * [1, 1, 0]:
        far = np.hypot(y - row, x - column)
        label[far < radius] = 128
        label[far < GRATIO * radius] = 255
    grey = np.array([150, 40, 200])[np.digitize(label, [64, 192])]
    return np.clip(grey + rng.normal(0, 10, SHAPE), 0, 255).astype(np.uint8), label


def nerves(folder: Path, fields: dict[str, Any], images: int = 4) -> Demo:
    """Write pictures of axons with the size of their pixels and one grey mask each."""
    place = Path(folder) / "nerve"
    for number in range(images):
        grey, label = nerve(number)
        _save(place / f"n{number}_image.png", grey)
        _save(place / f"n{number}_mask.png", label)
        (place / f"n{number}_pixel_size_um.txt").write_text(str(PIXEL))
    return place, fields, f"{images} painted nerves of axons in myelin, of g-ratio {GRATIO}."


def fibres(folder: Path, fields: dict[str, Any], images: int = 2) -> Demo:
    """Write masks of axon and myelin as AxonDeepSeg names them."""
    place = Path(folder) / "fibres"
    for number in range(images):
        _, label = nerve(number)
        _save(place / f"s{number}_seg-axon.png", 255 * (label == 255))
        _save(place / f"s{number}_seg-myelin.png", 255 * (label == 128))
    return place, fields, f"Painted masks of axons in myelin, of g-ratio {GRATIO}."


def nuclei(folder: Path, fields: dict[str, Any], images: int = 3) -> Demo:
    """Write images/ and labels/ of bright discs, two of which touch, on an uneven ground."""
    place = Path(folder) / "nuclei"
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for number in range(images):
        labels = np.zeros(SHAPE, np.uint8)
        for count, (row, column) in enumerate(NUCLEI, start=1):
            labels[np.hypot(y - row - number, x - column) < 8] = count
        noise = np.random.default_rng(number).normal(0, 4, SHAPE)
        image = np.clip(90 * (labels > 0) + 0.4 * x + 20 + noise, 0, 255)
        _save(place / "images" / f"n{number}.tif", image)
        _save(place / "labels" / f"n{number}.tif", labels)
    return place, fields, "Painted nuclei on an uneven ground, two of which touch, and their masks."


def candidates(folder: Path, fields: dict[str, Any], images: int = 3) -> Demo:
    """Write nuclei with two versions of masks, where the second is better, and marks."""
    from neuroloom.io.images import read_image, to_array

    place, _, _ = nuclei(Path(folder) / "candidates", {}, images)
    right = np.arange(SHAPE[1])[None] >= SHAPE[1] // 2 + np.zeros((SHAPE[0], 1))
    for number in range(images):
        mask = to_array(read_image(place / "labels" / f"n{number}.tif"))[0] > 0
        versions = {"first": mask & ~right, "second": mask, "regions": right}
        for name, version in versions.items():
            _save(place / name / f"n{number}.tif", 255 * version)
    (place / "marks.csv").write_text("name,mark\nn0,good\nn1,bad\nn2,good\n")
    return place, fields, "Painted nuclei, two masks of each, where the second is taken, and marks."


def sections(folder: Path, fields: dict[str, Any], count: int = 4) -> Demo:
    """Write raw_NN.tif of neighbouring sections with dark lines and bright spots, and masks."""
    place = Path(folder) / "sections"
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for number in range(count):
        across, down = (x + 2 * number) % 28, (y + number) % 24
        lines = (across < 4) | (down < 4)
        spots = (np.hypot(across - 16, down - 14) < 5) & ~lines
        noise = np.random.default_rng(number).normal(0, 12, SHAPE)
        _save(
            place / f"raw_{number:02d}.tif", np.clip(120 - 70 * lines + 60 * spots + noise, 0, 255)
        )
        _save(place / f"lines_{number:02d}.png", 255 * lines)
        _save(place / f"spots_{number:02d}.png", 255 * spots)
    return place, fields, "Painted sections of a stack: membranes, spots between them, and masks."


def _save(file: Path, pixels: np.ndarray) -> None:
    from neuroloom.core.recording import image
    from neuroloom.io.images import write_image

    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        write_image(file, image(pixels.astype(np.uint8)))
