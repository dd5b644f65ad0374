"""Small simulated networks and connectomes to try recipes on; what was planted is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CHAIN = 0.7 * np.eye(4, k=-1)  # N1 drives N2, which drives N3 …
Demo = tuple[Path, dict[str, Any], str]


def chain(folder: Path, fields: dict[str, Any], recordings: int = 3) -> Demo:
    """Write signals of a chain of four nodes as text, and its `ground_truth.txt`."""
    from neuroloom.connectivity.simulate import mixed_sources

    place, rng = Path(folder) / "chain", np.random.default_rng(0)
    place.mkdir(parents=True, exist_ok=True)
    for number in range(recordings):
        made = mixed_sources(CHAIN, rng, time=300, shape="skewed")
        head = "\t".join(made.names)
        np.savetxt(
            place / f"sim-{number}.txt", made.values.T, delimiter="\t", header=head, comments=""
        )
    edges = [f"{k}. N{k} --> N{k + 1}" for k in range(1, len(CHAIN))]
    text = ["Graph Nodes:", "N1,N2,N3,N4", "", "Graph Edges:", *edges]
    (place / "ground_truth.txt").write_text("\n".join(text) + "\n")
    return place, fields, "Simulated signals of four nodes in a chain: N1 drives N2, and so on."


def connectomes(folder: Path, fields: dict[str, Any], n: int = 40, nodes: int = 10) -> Demo:
    """Write a connectome a subject, in which patients have one module raised by 1.5 SD."""
    place, rng = Path(folder) / "connectomes", np.random.default_rng(0)
    place.mkdir(parents=True, exist_ok=True)
    rows = ["participant_id\tdiagnosis\tsite\tage"]
    base, shift = rng.normal(size=(nodes, nodes)) / 2, rng.normal(size=(2, nodes, nodes)) / 2
    for k in range(n):
        ill, site = k % 2, k // 2 % 2
        edges = base + shift[site] + rng.normal(size=(nodes, nodes))
        edges[:4, :4] += 1.5 * ill
        upper = np.triu(edges, 1)
        np.savetxt(place / f"sub-{k:03d}_conn.csv", upper + upper.T, delimiter=",", fmt="%.4f")
        rows.append(f"sub-{k:03d}\t{('control', 'patient')[ill]}\tS{site}\t{rng.normal(40, 9):.1f}")
    (place / "participants.tsv").write_text("\n".join(rows) + "\n")
    return place, fields, "Simulated connectomes of two sites: in patients one module is stronger."
