"""What the report of a segmentation says of the metrics that only microscopy has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroloom.core.files import read_json, write_json

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared

MEANINGS = {
    "f1@0.5": "Share of objects that are right: found ones that overlap a true one by half or more "
    "(intersection over union), all cases pooled.",
    "ap": "Right objects by all true and found ones, the mean over overlaps of 0.5 to 0.9 "
    "(Schmidt et al. 2018).",
    "count_error": "How far the number of axons found is from the true one, as a share of it.",
    "copied neighbour": "The score of the neighbouring section's true mask, taken as it is: what "
    "memory alone achieves. Only what lies above it was recognised.",
}


def add_meanings(run: Run, prepared: Prepared) -> None:
    """Explain the further metrics of a run in its `facts.json`."""
    metrics = read_json(run.folder / "metrics.json")
    facts = read_json(run.folder / "facts.json")
    own = {name: text for name, text in MEANINGS.items() if name in metrics}
    own |= {name: MEANINGS["copied neighbour"] for name in metrics if "copied" in name}
    facts["meanings"] = facts.get("meanings", {}) | own
    if prepared.dataset.facts["objects"]:
        facts["citations"] = [
            *facts.get("citations", []),
            "Caicedo et al. (2019), Cytometry A 95, 952-965 (interior and rim of nuclei)",
        ]
    write_json(run.folder / "facts.json", facts)
