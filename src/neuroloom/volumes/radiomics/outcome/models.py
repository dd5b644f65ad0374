"""The registered models of tables, described without importing what they are made of."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from neuroloom.learn.model import Model

VOLUMES = ("morph_volume", "morph_vol_approx", "volume")
ALL = ("classification", "regression", "survival")


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
        names = list(facts["features"])
        wanted = (facts.get("reference"), *VOLUMES)
        column = next((names.index(tag) for tag in wanted if tag in names), -1)
        return build({"task": task, "n_outputs": n_outputs, "column": column, **fixed, **options})

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
    summary="what the size of the region says alone",
    source="Welch et al. (2019), Radiother. Oncol. 130, 2-9",
    mixes=(0.0,),
)
