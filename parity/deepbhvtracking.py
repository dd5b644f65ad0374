"""DeepBhvTracking: the middle of an animal in a video, whatever light, cable and shadow do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from parity.harness import Check
from parity.studies import scratch

TOOL = "DeepBhvTracking"
ARENA = "simulated: a mouse with a cable and a shadow, light that falls by a third, 600 frames"
PAIR = "simulated: a dark and a grey mouse that cross, 400 frames"
SIZE = (240, 320)


def _ellipse(place: np.ndarray, heading: float, long: float, short: float) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    along = (x - place[0]) * np.cos(heading) + (y - place[1]) * np.sin(heading)
    beside = (y - place[1]) * np.cos(heading) - (x - place[0]) * np.sin(heading)
    return (along / long) ** 2 + (beside / short) ** 2 < 1


@cache
def arena(animals: int, frames: int) -> tuple[Path, np.ndarray]:
    """Write a video of mice; return it, and their middles (time, animal, 2)."""
    from neuroloom.io.video import write_video
    from tests.pose.crossings import wander

    rng = np.random.default_rng(animals)
    path = wander(animals, frames, rng, 190.0) + np.array([65.0, 25.0, 0.0])
    floor = 170 + 50 * np.linspace(0, 1, SIZE[1])[None] * np.ones((SIZE[0], 1))
    coats = np.linspace(35, 95, animals) if animals > 1 else np.array([35.0])
    ceiling = np.array([160.0, 0.0])

    def pictures() -> Iterator[np.ndarray]:
        for frame, mice in enumerate(path):
            image = floor.copy()
            for x, y, heading in mice:
                image[_ellipse(np.array([x + 7, y + 5]), heading, 17, 9)] *= 0.85
            if animals == 1:
                for share in np.linspace(0, 1, 600):
                    x, y = ceiling + share * (mice[0, :2] - ceiling)
                    image[int(y) % SIZE[0], int(x) % SIZE[1]] = 60
            for (x, y, heading), coat in zip(mice, coats, strict=True):
                image[_ellipse(np.array([x, y]), heading, 16, 8)] = coat
            image = image * (1 - frame / frames / 3) + rng.normal(0, 3, SIZE)
            yield np.clip(image, 0, 255).astype(np.uint8)[..., None]

    file = scratch() / f"arena-{animals}.mp4"
    write_video(file, pictures(), 30.0)
    return file, path[..., :2]


@cache
def followed() -> dict[str, float]:
    """Return the median error, the share of frames tracked and frames a second of one mouse."""
    from neuroloom.io.video import Video
    from neuroloom.pose.blobs import detect_blobs
    from neuroloom.pose.link.pairs import to_detections

    file, truth = arena(1, 600)
    began = time.perf_counter()
    with Video(file) as video:
        found = to_detections(detect_blobs(video, 1))[0][:, 0, 1]
    seconds = time.perf_counter() - began
    off = np.linalg.norm(found - truth[:, 0], axis=1)
    return {
        "error": float(np.nanmedian(off)),
        "tracked": float((off < 10).mean()),
        "rate": len(truth) / seconds,
    }


def plain_error(_: Path) -> float:
    """Return the median error of the middle of all that differs from the first frame."""
    from neuroloom.io.video import Video

    file, truth = arena(1, 600)
    with Video(file) as video:
        frames = video.read(np.arange(len(video)))[..., 0].astype(float)
    off = []
    for frame, place in zip(frames, truth[:, 0], strict=True):
        y, x = np.nonzero(np.abs(frame - frames[0]) > 25)
        middle = np.array([x.mean(), y.mean()]) if len(x) else np.full(2, np.inf)
        off.append(float(np.linalg.norm(middle - place)))
    return float(np.median(off))


def pair_idf1(_: Path) -> float:
    """Return the IDF1 of two mice of unlike coats, by place and colour."""
    from neuroloom.io.video import Video
    from neuroloom.pose.blobs import detect_blobs
    from neuroloom.pose.link.looks import body_colour
    from neuroloom.pose.link.measures import score_identities
    from neuroloom.pose.link.pairs import to_detections
    from neuroloom.pose.link.track import arrange, fill_gaps, link

    file, truth = arena(2, 400)
    with Video(file) as video:
        found = to_detections(detect_blobs(video, 2))[0]
        looks = body_colour(video, found)
    linked = link(found, animals=2, looks=looks)
    tracks = fill_gaps(arrange(found, linked.identity, 2), 15)[:, :, 1:2]
    return score_identities(truth[:, :, None], tracks, within=12.0).idf1


CHECKS = [
    Check(TOOL, "median error of the middle, px", "<= 2", lambda _: followed()["error"], ARENA),
    Check(TOOL, "share of frames within 10 px", ">= 0.99", lambda _: followed()["tracked"], ARENA),
    Check(TOOL, "median error of plain differences from the first frame, px", ">= 10",
          plain_error, ARENA),
    Check(TOOL, "frames a second, decoding included", ">= 60", lambda _: followed()["rate"], ARENA),
    Check(TOOL, "IDF1 of two animals of unlike colour", ">= 0.98", pair_idf1, PAIR),
]  # fmt: skip
