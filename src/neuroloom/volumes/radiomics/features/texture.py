"""Texture: six families of matrices, each aggregated in the ways that exist for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from neuroloom.core.blocks import bounding_box
from neuroloom.volumes.radiomics.features import glcm, neighbours, runs, zones
from neuroloom.volumes.radiomics.features.levels import Levels, as_levels
from neuroloom.volumes.radiomics.features.tally import Tally, Values, averaged, emphases

MODES = ("2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb", "3D_avg", "3D_comb")
FAMILIES = ("cm", "rlm", "szm", "dzm", "ngt", "ngl")


def texture(
    levels: np.ndarray,
    mask: np.ndarray | None = None,
    families: Iterable[str] = FAMILIES,
    modes: Iterable[str] = MODES,
) -> dict[str, float]:
    """Return the texture features of a discretised region.

    Parameters
    ----------
    levels
        Grey levels from 1, shape (z, y, x), 0 outside the region.
    mask
        The morphological region, to whose border zones are measured; the levels' if None.
    families
        cm (co-occurrence), rlm (runs), szm (size zones), dzm (distance zones), ngt (tone
        difference), ngl (dependence).
    modes
        2D: a slice at a time, then the mean (avg: of directions too; comb: directions merged).
        2_5D: slices merged (avg: mean of directions). 3D: directions in space. Zones and
        neighbourhoods have no directions: 2D_*, 2_5D_*, 3D_* mean one feature each.

    Returns
    -------
    Tag, as the reference table of the IBSI names it -> value; NaN where nothing defines it.

    Examples
    --------
    >>> texture(np.array([[[1, 1, 2]]]), families=["szm"], modes=["3D_avg"])["szm_z_perc_3D"]
    0.6666666666666666
    """
    wanted, modes = set(families), tuple(modes)
    framed = as_levels(levels)
    found: dict[str, float] = {}
    if "cm" in wanted:
        features = partial(glcm.cooccurrence_features, n_levels=framed.count)
        found |= _directed(framed, modes, "cm", glcm.cooccurrences, features)
    if "rlm" in wanted:
        features = partial(emphases, names=runs.NAMES)
        found |= _directed(framed, modes, "rlm", runs.run_lengths, features)
    if wanted & {"szm", "dzm"}:
        found |= _zoned(framed, levels, mask, wanted, modes)
    if wanted & {"ngt", "ngl"}:
        found |= _surrounded(framed, wanted, modes)
    return found


def _directed(
    levels: Levels,
    modes: tuple[str, ...],
    prefix: str,
    count: Callable[[Levels, bool], Tally],
    features: Callable[[Tally], Values],
) -> dict[str, float]:
    """Return features of matrices that have a direction, aggregated."""
    found: dict[str, float] = {}
    for flat in (True, False):
        mine = [mode for mode in modes if mode.startswith("3D") != flat]
        if not mine:
            continue
        whole = count(levels, flat)
        which = np.arange(whole.size)
        ways = 4 if flat else 13
        groups = {
            "2D_comb": which // ways, "2_5D_avg": which % ways, "2_5D_comb": 0 * which,
            "3D_comb": 0 * which,
        }  # fmt: skip
        for mode in mine:
            merged = whole.merged(groups[mode]) if mode in groups else whole
            found |= averaged(features(merged), prefix, mode)
    return found


def _spaces(modes: tuple[str, ...]) -> list[str]:
    """Return the ways without a direction that the modes stand for: 2D, 2_5D, 3D."""
    return list(dict.fromkeys(mode.rsplit("_", 1)[0] for mode in modes))


def _zoned(
    levels: Levels,
    original: np.ndarray,
    mask: np.ndarray | None,
    wanted: set[str],
    modes: tuple[str, ...],
) -> dict[str, float]:
    region = original > 0 if mask is None else mask
    box = bounding_box(original > 0)
    found: dict[str, float] = {}
    for flat in (True, False):
        spaces = [space for space in _spaces(modes) if (space == "3D") != flat]
        if not spaces:
            continue
        distance = np.pad(zones.border_distance(region, flat)[box], 1).ravel()
        size, far = zones.zones(levels, distance.astype(np.int64), flat)
        for space in spaces:
            for prefix, t, names in (
                ("szm", size, zones.SIZE_NAMES),
                ("dzm", far, zones.DISTANCE_NAMES),
            ):
                if prefix in wanted:
                    merged = t.merged(np.zeros(t.size, np.int64)) if space == "2_5D" else t
                    found |= averaged(emphases(merged, names), prefix, space)
    return found


def _surrounded(levels: Levels, wanted: set[str], modes: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    seen: dict[bool, neighbours.Neighbourhood] = {}
    for space in _spaces(modes):
        flat, merged = space != "3D", space != "2D"
        if flat not in seen:
            seen[flat] = neighbours.look_around(levels, flat)
        if "ngt" in wanted:
            found |= averaged(neighbours.tone_differences(seen[flat], merged), "ngt", space)
        if "ngl" in wanted:
            t = neighbours.dependences(seen[flat])
            t = t.merged(np.zeros(t.size, np.int64)) if merged else t
            found |= averaged(neighbours.dependence_features(t), "ngl", space)
    return found
