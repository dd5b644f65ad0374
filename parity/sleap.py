"""SLEAP: several animals found, named through crossings, and put right by hand.

What is scored here is made by `tests/pose/composite.py` and `tests/pose/crossings.py`; no recipe
sees how.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from parity.harness import Check, minutes
from parity.studies import scratch, study

TOOL = "LEAP, SLEAP"
MICE = "openfield frames 0-79 composited to 120 frames of 2 and 3 mice; test: mice of frames 80-99"
CROSSINGS = "simulated, 2 to 10 animals, 1000 frames each, 5 % misses, 1.5 px noise"
FLIES = "centered_pair_small.mp4, two flies, 1100 frames, no training"
BUDGET = minutes(10)
COUNTS = (2, 3, 4, 6, 8, 10)
FRAMES = 1000
VIDEOS = {seed: 2 + seed % 2 for seed in range(50, 70)}  # seed -> mice that cross


@cache
def crossings() -> dict[str, float]:
    """Return the worst IDF1, and switches a thousand frames of the tracker and the plain way."""
    from neuroloom.pose.link.measures import score_identities
    from neuroloom.pose.link.track import arrange, fill_gaps, link, link_nearest
    from tests.pose.crossings import simulate

    worst, ours, plain = 1.0, 0, 0
    for animals in COUNTS:
        case = simulate(animals, FRAMES, seed=1000 + animals)
        both = []
        for names in (link(case.found).identity, link_nearest(case.found, animals)):
            tracks = fill_gaps(arrange(case.found, names, animals), 15)
            both.append(score_identities(case.truth, tracks))
        worst, ours = min(worst, both[0].idf1), ours + both[0].switches
        plain += both[1].switches
    frames = len(COUNTS) * FRAMES
    return {"idf1": worst, "ours": 1000 * ours / frames, "plain": 1000 * plain / frames}


@cache
def herd(data: Path) -> Path:
    """Write composites to learn from, others to judge, and videos with their truth; the folder."""
    from neuroloom.io.video import write_video
    from tests.pose import composite

    folder = scratch() / "herd"
    source = data / "pose" / "dlc-openfield"
    frames, points = composite.read_openfield(source, slice(0, 80))
    background = composite.background_of(frames)
    seen = composite.cut_outs(frames, points, background)
    unseen = composite.cut_outs(*composite.read_openfield(source, slice(80, 100)), background)
    for name, mice, count, seed in (("train", seen, 60, 1), ("test", unseen, 20, 3)):
        three, truth = composite.draw_frames(mice, background, count, 3, seed)
        two, other = composite.draw_frames(mice, background, count, 2, seed + 1)
        none = np.full((count, 1, *other.shape[2:]), np.nan)
        whole = np.concatenate([truth, np.concatenate([other, none], 1)])
        composite.write_project(folder / name, np.concatenate([three, two]), whole)
    for seed, animals in VIDEOS.items():
        video, truth = composite.draw_video(unseen, background, 240, animals, seed=seed)
        write_video(folder / f"cross-{seed}.mp4", (frame[..., None] for frame in video), 30.0)
        np.save(folder / f"cross-{seed}.npy", truth)
    return folder


def oks_map(data: Path) -> float:
    """Return the OKS-mAP of a net of ten minutes on composites of mice that it never saw."""
    folder = herd(data)
    run = study("pose.estimate", folder / "train", budget=BUDGET, folds=0)
    out = scratch() / "herd-judged"
    run.evaluate(folder / "test", out)
    from neuroloom.core.files import read_json

    return float(read_json(out / "metrics.json")["oks_map"]["value"])


@cache
def composite_idf1(data: Path) -> np.ndarray:
    """Return the IDF1 of each video of mice that cross: net, then tracker."""
    from neuroloom.io.tracks import read_tracks
    from neuroloom.pose.link.measures import score_identities
    from neuroloom.pose.link.pairs import to_detections

    folder, scores = herd(data), []
    run = study("pose.estimate", folder / "train", budget=BUDGET, folds=0)
    for seed, animals in VIDEOS.items():
        out = scratch() / f"herd-video-{seed}"
        run.predict(folder / f"cross-{seed}.mp4", out=out)
        (tracks,) = out.glob("cross*.h5")
        named = study("pose.track", tracks, animals=animals)
        (written,) = (named.folder / "artifacts").glob("*.tracked.h5")
        found = to_detections(read_tracks(written))[0]
        scores.append(score_identities(np.load(folder / f"cross-{seed}.npy"), found).idf1)
    return np.array(scores)


def low_end(scores: np.ndarray) -> float:
    """Return the low end of the 95 % bootstrap interval of a mean over videos."""
    drawn = np.random.default_rng(0).choice(scores, (10_000, len(scores)))
    return float(np.quantile(drawn.mean(1), 0.025))


def fly_tracks(data: Path) -> float:
    """Return how many tracks of two flies cover 95 % of the video; without any training."""
    from neuroloom.io.video import Video
    from neuroloom.pose.blobs import detect_blobs
    from neuroloom.pose.link.pairs import to_detections
    from neuroloom.pose.link.track import arrange, fill_gaps, link

    with Video(data / "pose" / "sleap" / "centered_pair_small.mp4") as video:
        found = to_detections(detect_blobs(video, 2))[0]
    linked = link(found)
    tracks = fill_gaps(arrange(found, linked.identity, linked.animals), 15)
    return float((np.isfinite(tracks[:, :, 1, 0]).mean(0) >= 0.95).sum())


def package_error(data: Path) -> float:
    """Return the largest difference from SLEAP's own reader, px."""
    import sleap_io

    from neuroloom.io.labels import read_labels

    file = data / "pose" / "sleap" / "minimal_instance.pkg.slp"
    theirs = np.stack([one.numpy() for one in sleap_io.load_slp(str(file))[0].instances])
    return float(np.abs(read_labels(file).points[0] - theirs).max())


def undone(_: Path) -> float:
    """Return how many values differ after a swap that is made again, and one that is kept."""
    from neuroloom.pose.link.edit import swap_from
    from tests.animals import as_recording
    from tests.pose.crossings import simulate

    tracks = as_recording(simulate(3, 200, 1).truth, ["a", "b", "c"])
    before = tracks.values.copy()
    swapped = swap_from(tracks, 80, "a", "c")
    again = swap_from(swapped, 80, "a", "c")
    return float((again.values != before).sum() + (tracks.values != before).sum())


CHECKS = [
    Check(TOOL, "largest difference from SLEAP's reader of a package, px", "<= 1e-9",
          package_error, "minimal_instance.pkg.slp"),
    Check(TOOL, "OKS-mAP of 2 and 3 mice in unseen frames, ten minutes", ">= 0.9", oks_map, MICE),
    Check(TOOL, "IDF1 of two and three mice that cross, from pixels to names", ">= 0.98",
          lambda data: float(composite_idf1(data).mean()),
          f"{MICE}; the mean of {len(VIDEOS)} videos of 240 frames"),
    Check(TOOL, "the low end of its interval over videos", ">= 0.95",
          lambda data: low_end(composite_idf1(data)), MICE),
    Check(TOOL, "the worst IDF1 of the tracker alone", ">= 0.98",
          lambda _: crossings()["idf1"], CROSSINGS),
    Check(TOOL, "switches of names in a thousand frames", "<= 1",
          lambda _: crossings()["ours"], CROSSINGS),
    Check(TOOL, "the same, less those of nearest-neighbour assignment", "<= 0",
          lambda _: crossings()["ours"] - crossings()["plain"], CROSSINGS),
    Check(TOOL, "tracks of two flies that cover the video", "== 2", fly_tracks, FLIES),
    Check(TOOL, "values that differ once a swap of names is undone", "== 0", undone),
]  # fmt: skip
