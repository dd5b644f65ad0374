"""Made connectomes with a planted module, sites, and a confound if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Planted:
    """Connectomes (n, node, node_to), labels 0/1, sites, and the nodes of the planted module."""

    x: np.ndarray
    y: np.ndarray
    site: np.ndarray
    module: np.ndarray


def plant(
    n: int = 400,
    nodes: int = 200,
    module: int = 12,
    d: float = 0.5,
    sites: int = 4,
    site_sd: float = 0.5,
    confounded: float = 0.0,
    seed: int = 0,
) -> Planted:
    """Make symmetric connectomes with noise of SD 1 an edge; every edge of a module moves by d SD.

    Parameters
    ----------
    site_sd
        SD of the constant shift of every edge at each site.
    confounded
        Share of the subjects whose label is their site's (even or odd).
    """
    rng = np.random.default_rng(seed)
    site = rng.permutation(np.arange(n) % sites)
    y = np.empty(n, int)
    for k in range(sites):
        rows = np.flatnonzero(site == k)
        y[rows] = rng.permutation(np.arange(len(rows)) % 2)
    follow = rng.random(n) < confounded
    y[follow] = site[follow] % 2
    chosen = np.sort(rng.permutation(nodes)[:module])
    base = 0.5 * rng.normal(size=(nodes, nodes))
    shift = site_sd * rng.normal(size=(sites, nodes, nodes))
    x = np.empty((n, nodes, nodes), np.float32)
    for i in range(n):
        edges = base + shift[site[i]] + rng.normal(size=(nodes, nodes))
        edges[np.ix_(chosen, chosen)] += d * y[i]
        upper = np.triu(edges, 1)
        x[i] = upper + upper.T
    return Planted(x, y, site, chosen)


def write(folder: Path, planted: Planted, names: tuple[str, str] = ("control", "patient")) -> Path:
    """Write a CSV matrix a subject and participants.tsv with diagnosis, site and age."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["participant_id\tdiagnosis\tsite\tage"]
    rng = np.random.default_rng(9)
    for k, (x, y, site) in enumerate(zip(planted.x, planted.y, planted.site, strict=True)):
        np.savetxt(folder / f"sub-{k:03d}_conn.csv", x, delimiter=",", fmt="%.4f")
        rows.append(f"sub-{k:03d}\t{names[y]}\tS{site}\t{rng.normal(40, 9):.1f}")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    return folder


def write_connectomes(folder: Path, n: int = 24, nodes: int = 8) -> Path:
    """Write a small folder with a strong effect and two sites."""
    return write(folder, plant(n, nodes, module=4, d=2.0, sites=2))
