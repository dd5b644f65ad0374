"""Pipelines by name: what to do for a structure, as a start to be looked at and adjusted.

The classes of structure, and which filter serves which, follow the look-up table of the Allen Cell
and Structure Segmenter (Chen et al. 2018, bioRxiv 491035). The filters here are our own, so that
cutoffs differ; all were checked on phantoms of the structure. Lengths are in pixels; the table was
made for about 0.1 um a pixel in plane, 0.3 um between slices. `nuclei` alone knows no pixel size:
it takes it from the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuroloom.core.errors import ConfigError, nearest


@dataclass(frozen=True)
class Pipeline:
    """A named pipeline.

    `structure` is what it looks for; `kind` its class: spots, filaments, shells, bodies, nuclei.
    """

    structure: str
    kind: str
    steps: tuple[Mapping[str, Any], ...]


def _spots(
    scales: list[list[float]],
    *,
    below: float = 2.0,
    above: float = 20.0,
    least: int = 5,
    slices: bool = False,
) -> tuple[dict[str, Any], ...]:
    return (
        {"do": "normalise", "below": below, "above": above},
        {"do": "smooth", "sigma": 0.7, "slices": slices},
        {"do": "spots", "scales": scales, "slices": slices},
        {"do": "remove_small", "least": least},
    )


def _filaments(
    scales: list[list[float]],
    *,
    below: float = 2.0,
    above: float = 12.0,
    least: int = 20,
    slices: bool = False,
    edges: bool = True,
) -> tuple[dict[str, Any], ...]:
    calm = {"do": "smooth_edges", "steps": 10, "slices": slices}
    gauss = {"do": "smooth", "sigma": 0.7, "slices": slices}
    return (
        {"do": "normalise", "below": below, "above": above},
        calm if edges else gauss,
        {"do": "filaments", "scales": scales, "slices": slices, "tau": 0.6},
        {"do": "remove_small", "least": least},
    )


def _bodies(
    method: str, least: int, *, factor: float = 1.0, spots: list[list[float]] | None = None
) -> tuple[dict[str, Any], ...]:
    steps: list[dict[str, Any]] = [
        {"do": "normalise", "below": 1.0, "above": 20.0},
        {"do": "smooth", "sigma": 1.0, "as": "calm"},
        {"do": "masked_threshold", "method": method, "least": least, "factor": factor},
    ]
    if spots:
        steps += [
            {"do": "fill_holes", "slices": True, "as": "bodies"},
            {"do": "spots", "on": "calm", "scales": spots, "slices": True},
            {"do": "union", "with": "bodies"},
        ]
    return (*steps, {"do": "remove_small", "least": min(least, 20)})


def _shells(scales: list[list[float]], fill: bool) -> tuple[dict[str, Any], ...]:
    end: tuple[dict[str, Any], ...] = ({"do": "remove_small", "least": 50},)
    return (
        {"do": "normalise", "below": 1.0, "above": 12.0},
        {"do": "smooth", "sigma": 1.0},
        {"do": "filaments", "scales": scales, "slices": True, "tau": 0.6},
        *(({"do": "fill_holes", "slices": True},) if fill else ()),
        *end,
    )


PIPELINES: dict[str, Pipeline] = {
    "nuclei": Pipeline(
        "nuclei of any size, one label each",
        "nuclei",
        (
            {"do": "compress", "as": "log"},
            {"do": "local_foreground", "smooth": 0.15, "around": 3.0, "near": 1.5},
            {"do": "split", "with": "log", "weight": 0.7, "smooth": 0.3, "h": 0.05},
            {"do": "tighten", "with": "image", "share": 0.5, "least": 0.25},
        ),
    ),
    "nuclei-otsu": Pipeline(
        "nuclei, the plain way: Otsu's threshold and a cut at waists",
        "nuclei",
        (
            {"do": "smooth", "sigma": 1.0},
            {"do": "threshold", "method": "otsu"},
            {"do": "fill_holes"},
            {"do": "cut", "h": 0.1},
            {"do": "remove_small", "least": 20},
        ),
    ),
    "centrioles": Pipeline("centrioles (CETN2)", "spots", _spots([[1.0, 0.08]], least=4)),
    "peroxisomes": Pipeline("peroxisomes (SLC25A17)", "spots", _spots([[1.0, 0.08]], least=3)),
    "endosomes": Pipeline(
        "early endosomes (RAB5A)", "spots", _spots([[1.0, 0.08], [2.0, 0.16]], least=5)
    ),
    "desmosomes": Pipeline("desmosomes (DSP)", "spots", _spots([[1.0, 0.08]], least=4)),
    "gap-junctions": Pipeline("gap junctions (GJA1)", "spots", _spots([[1.0, 0.08]], least=5)),
    "cohesin": Pipeline("cohesin foci (SMC1A)", "spots", _spots([[1.0, 0.08]], slices=True)),
    "nuclear-pores": Pipeline("nuclear pores (NUP153)", "spots", _spots([[1.0, 0.08]], least=3)),
    "nuclear-speckles": Pipeline(
        "nuclear speckles (SON)", "spots", _spots([[1.5, 0.12], [2.5, 0.2]], slices=True)
    ),
    "adherens-junctions": Pipeline(
        "adherens junctions (CTNNB1)", "spots", _spots([[1.5, 0.12]], slices=True, least=10)
    ),
    "lysosomes": Pipeline(
        "lysosomes and other vesicles (LAMP1), hollow ones filled",
        "spots",
        (
            {"do": "normalise", "below": 2.0, "above": 19.0},
            {"do": "smooth", "sigma": 0.7, "as": "calm"},
            {"do": "spots", "scales": [[1.0, 0.08], [2.5, 0.2], [4.0, 0.25]], "slices": True},
            {"do": "fill_holes", "largest": 1600, "slices": True},
            {"do": "remove_small", "least": 15},
        ),
    ),
    "microtubules": Pipeline("microtubules (TUBA1B)", "filaments", _filaments([[1.0, 0.3]])),
    "actin": Pipeline("actin filaments (ACTB)", "filaments", _filaments([[1.0, 0.3], [2.0, 0.6]])),
    "actin-bundles": Pipeline(
        "actin bundles (ACTN1)", "filaments", _filaments([[1.0, 0.3], [2.0, 0.6]], least=5)
    ),
    "actomyosin": Pipeline(
        "actomyosin bundles (MYH10)", "filaments", _filaments([[1.0, 0.3], [2.0, 0.6]], least=16)
    ),
    "tight-junctions": Pipeline(
        "tight junctions (TJP1)", "filaments", _filaments([[1.5, 0.3]], edges=False, least=15)
    ),
    "mitochondria": Pipeline(
        "mitochondria (TOMM20)",
        "filaments",
        _filaments([[1.0, 0.5]], slices=True, least=10),
    ),
    "endoplasmic-reticulum": Pipeline(
        "endoplasmic reticulum (SEC61B)",
        "filaments",
        _filaments([[1.0, 0.3]], slices=True, least=15),
    ),
    "sarcomeres": Pipeline(
        "sarcomeric bundles of cardiomyocytes (TTN, ACTN2, MYL7, TNNI1)",
        "filaments",
        _filaments([[1.0, 0.3], [2.0, 0.6]], least=10),
    ),
    "lamin": Pipeline(
        "nuclear envelope (LMNB1), slice by slice", "shells", _shells([[1.5, 0.3]], fill=False)
    ),
    "lamin-filled": Pipeline(
        "nuclei by their filled envelope (LMNB1)", "filled", _shells([[1.5, 0.3]], fill=True)
    ),
    "plasma-membrane": Pipeline(
        "plasma membrane (CAAX)", "shells", _shells([[1.5, 0.4], [2.5, 0.7]], fill=False)
    ),
    "nucleoli": Pipeline(
        "nucleoli, dense fibrillar (FBL)", "bodies", _bodies("triangle", 60, spots=[[1.5, 0.08]])
    ),
    "nucleoli-granular": Pipeline(
        "nucleoli, granular component (NPM1)", "bodies", _bodies("average", 60, factor=0.9)
    ),
    "golgi": Pipeline("Golgi apparatus (ST6GAL1)", "bodies", _bodies("triangle", 100)),
    "histones": Pipeline("chromatin and mitotic nuclei (H2B)", "bodies", _bodies("average", 100)),
}


def steps_of(name: str) -> tuple[Mapping[str, Any], ...]:
    """Return the steps of a named pipeline.

    Raises
    ------
    ConfigError
        If none has that name; the message suggests the nearest.

    Examples
    --------
    >>> steps_of("nuclei")[0]["do"]
    'compress'
    """
    if name not in PIPELINES:
        raise ConfigError(
            f"No pipeline is called '{name}'.{nearest(name, PIPELINES)} Known: "
            f"{', '.join(PIPELINES)}."
        )
    return PIPELINES[name].steps
