"""DeepBehavior, its tracking side: two animals in a social test, told apart and put right."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from parity.harness import Check

TOOL = "DeepBehavior"
PAIR = "simulated: two mice of five keypoints, 5 x 1000 frames, 5 % misses, 5 % ghosts"
RUNS, FRAMES = 5, 1000


@cache
def pairs() -> dict[str, float]:
    """Return switches a thousand frames, and the worst error of the distance between the mice."""
    from neuroloom.pose.link.measures import score_identities
    from neuroloom.pose.link.track import arrange, fill_gaps, link
    from tests.pose.crossings import simulate

    switches, apart = 0, []
    for seed in range(RUNS):
        case = simulate(2, FRAMES, seed=2000 + seed, ghosts=0.05)
        linked = link(case.found)
        tracks = fill_gaps(arrange(case.found, linked.identity, linked.animals), 15)
        scores = score_identities(case.truth, tracks)
        switches += scores.switches
        if linked.animals == 2:
            true, found = (
                np.linalg.norm(np.diff(points[:, :, 3], axis=1)[:, 0], axis=-1)
                for points in (case.truth, tracks)
            )
            apart.append(float(np.nanmedian(np.abs(found - true))))
    return {
        "switches": 1000 * switches / (RUNS * FRAMES),
        "apart": max(apart, default=np.inf),
    }


def mended(_: Path) -> float:
    """Return the IDF1 of tracks whose names were exchanged once, after one call."""
    from neuroloom.pose.link.edit import swap_from
    from neuroloom.pose.link.measures import score_identities
    from neuroloom.pose.link.pairs import to_detections
    from tests.animals import as_recording
    from tests.pose.crossings import simulate

    truth = simulate(2, FRAMES, seed=9).truth
    wrong = truth.copy()
    wrong[400:] = wrong[400:, ::-1]
    tracks = swap_from(as_recording(wrong, ["resident", "guest"]), 400, "resident", "guest")
    return score_identities(truth, to_detections(tracks)[0]).idf1


CHECKS = [
    Check(TOOL, "switches of two animals' names in a thousand frames", "<= 1",
          lambda _: pairs()["switches"], PAIR),
    Check(TOOL, "median error of the distance between them, px", "<= 2",
          lambda _: pairs()["apart"], PAIR),
    Check(TOOL, "IDF1 once exchanged names are put right by one call", ">= 0.9999", mended),
]  # fmt: skip
