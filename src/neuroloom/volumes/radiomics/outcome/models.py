"""The registered models of tables, described without importing what they are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from neuroloom.learn.model import Model

# The IBSI's tags and PyRadiomics' names; of one region the first of them is taken.
VOLUMES = (
    "morph_volume", "morph_vol_approx", "volume",
    "shape_meshvolume", "shape_voxelvolume", "shape_volume",
)  # fmt: skip
_VOLUME = re.compile(rf"(.*:|.*_(?=shape_)|)({'|'.join(VOLUMES)})", re.IGNORECASE)
ALL = ("classification", "regression", "survival")


def is_volume(feature: str) -> bool:
    """Return whether a feature is the volume of a region, going by its name.

    Examples
    --------
    >>> [is_volume(name) for name in ("tumour:morph_volume", "original_shape_MeshVolume", "age")]
    [True, True, False]
    """
    return _VOLUME.fullmatch(feature) is not None


def volume_columns(features: Sequence[str]) -> list[int]:
    """Return the places of the volumes among features, one for each region.

    Examples
    --------
    >>> volume_columns(["a:morph_vol_approx", "a:morph_volume", "b:morph_volume", "a:stat_mean"])
    [1, 2]
    """
    found = [(match, k) for k, name in enumerate(features) if (match := _VOLUME.fullmatch(name))]
    found.sort(key=lambda one: VOLUMES.index(one[0][2].casefold()))
    first: dict[str, int] = {}
    for match, place in found:
        first.setdefault(match[1], place)
    return sorted(first.values())


def table_model(
    name: str, places: dict[str, str], *, summary: str, source: str, **fixed: Any
) -> Model:
    """Describe a model of tables.

    Parameters
    ----------
    places
        Task -> "module:Class" in this package.
    fixed
        Settings of the learner.
    """

    def build(spec: dict[str, Any]) -> Any:
        module, _, attribute = places[spec["task"]].partition(":")
        found = getattr(import_module(f"neuroloom.volumes.radiomics.outcome.{module}"), attribute)
        return found(name, **{key: value for key, value in spec.items() if key != "name"})

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        volumes = volume_columns(facts["features"])
        return build({"task": task, "n_outputs": n_outputs, "columns": volumes, **fixed, **options})

    return Model(name, summary, source, is_net=False, make=make, rebuild=build, tasks=tuple(places))


linear = table_model(
    "linear",
    {"classification": "estimators:Linear", "regression": "estimators:Linear",
     "survival": "estimators:Cox"},
    summary="elastic net for classes and numbers, Cox regression for survival",
    source="Zou & Hastie (2005), J. R. Stat. Soc. B 67(2), 301-320",
)  # fmt: skip
logistic = table_model(
    "logistic",
    {"classification": "estimators:Linear"},
    summary="logistic regression with an elastic net, its penalty chosen by inner folds",
    source="Zou & Hastie (2005), J. R. Stat. Soc. B 67(2), 301-320",
)
ridge = table_model(
    "ridge",
    {"regression": "estimators:Linear", "classification": "estimators:Linear"},
    summary="ridge regression (logistic for classes), its penalty chosen by inner folds",
    source="Hoerl & Kennard (1970), Technometrics 12(1), 55-67",
    mixes=(0.0,),
)
forest = table_model(
    "forest",
    {"classification": "forest:Forest", "regression": "forest:Forest"},
    summary="random forest of 300 trees",
    source="Breiman (2001), Mach. Learn. 45, 5-32",
)
cox = table_model(
    "cox",
    {"survival": "estimators:Cox"},
    summary="Cox regression on three features or one for every ten events, penalty by inner folds",
    source="Cox (1972), J. R. Stat. Soc. B 34(2), 187-220",
)
volume = table_model(
    "volume",
    dict.fromkeys(ALL, "estimators:Volume"),
    summary="what the size of the region, or of each, says alone",
    source="Welch et al. (2019), Radiother. Oncol. 130, 2-9",
    mixes=(0.0,),
)
