"""The registered models of connectomes, described without importing what they are made of."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from neuroloom.core.errors import ConfigError
from neuroloom.learn.model import Model, find_model

HERE = "neuroloom.connectivity.connectomes"
PLAIN: dict[str, Any] = {"epochs": 40, "batch": 16, "lr": 2e-3, "weight_decay": 0.1, "warmup": 0.1}
NODES: dict[str, Any] = {"epochs": 200, "batch": 512, "lr": 5e-3, "weight_decay": 0.02}


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"{HERE}.{module}"), attribute)


def _level(facts: dict[str, Any]) -> str:
    return str(facts.get("level", "graph"))


def estimator(name: str, places: dict[str, str], *, summary: str, source: str) -> Model:
    """Describe a learner without epochs.

    Parameters
    ----------
    places
        Level ("graph", "node") -> "module:Class" in this package.
    """

    def build(spec: dict[str, Any]) -> Any:
        settings = {key: value for key, value in spec.items() if key != "name"}
        return _load(places[settings["level"]])(name, **settings)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        level = _require(name, facts, task, tuple(places))
        directed = bool(facts.get("directed"))
        spec = {"level": level, "task": task, "n_outputs": n_outputs, "directed": directed}
        return build(spec | options)

    tasks: tuple[str, ...] = ("classification",)
    if "graph" in places:
        tasks = ("classification", "regression")
    return Model(name, summary, source, is_net=False, make=make, rebuild=build, tasks=tasks)


def _require(name: str, facts: dict[str, Any], task: str, levels: tuple[str, ...]) -> str:
    level = _level(facts)
    if level not in levels:
        fit = "gcn, gat, gin, types, knn, forest" if level == "node" else "dual, gcn, ridge"
        what = "types of nodes" if level == "node" else "whole graphs"
        raise ConfigError(f"model={name} does not learn {what}; take one of {fit}.")
    if level == "node" and task != "classification":
        raise ConfigError("Of nodes, types are learnt; a number a node is not.")
    return level


def net(name: str, kind: str, *, nodes: bool = False, summary: str, source: str) -> Model:
    """Describe a net; torch is imported when a learner is made.

    Parameters
    ----------
    kind
        Class in `connectivity.nets.connectome`, or a kind of its `Messages`.
    nodes
        Whether it also learns types of nodes.
    """

    def build(n_nodes: int, n_times: int, n_outputs: int, rate: Any = None, **options: Any) -> Any:
        from neuroloom.connectivity.nets import connectome as nets

        own = {k: v for k, v in options.items() if k not in ("directed", "linear")}
        inner = (
            nets.Messages(n_nodes, n_outputs, kind=kind, **own)
            if kind in ("gcn", "gat", "gin")
            else getattr(nets, kind)(n_nodes, n_outputs, **own)
        )
        return nets.Blend(inner, n_nodes, n_outputs)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        level = _require(name, facts, task, ("graph", "node") if nodes else ("graph",))
        if level == "node":
            return _load("nodenet:NodeNet")(name, kind=kind, n_outputs=n_outputs)
        from neuroloom.learn.training.fit import Training

        training = {k: v for k, v in options.items() if k in Training.__dataclass_fields__}
        rest = {k: v for k, v in options.items() if k not in training}
        count = len(facts["nodes"])
        return _load("learner:GraphLearner")(
            name,
            build,
            n_channels=count,
            n_times=count,
            n_outputs=n_outputs,
            task=task,
            training=Training(**(PLAIN | training)),
            options={"directed": bool(facts.get("directed"))} | rest,
        )

    def rebuild(spec: dict[str, Any]) -> Any:
        if "kind" in spec:
            return _load("nodenet:NodeNet")(**spec)
        return _load("learner:GraphLearner").from_spec(spec, build)

    return Model(name, summary, source, is_net=True, make=make, rebuild=rebuild)


def _auto() -> Model:
    """Describe the choice by level: dual for graphs, types for nodes."""

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        chosen = "types" if _level(facts) == "node" else "dual"
        return find_model(chosen, "graph").make(facts, task, n_outputs, **options)

    def rebuild(spec: dict[str, Any]) -> Any:
        return find_model(spec["name"], "graph").rebuild(spec)

    return Model(
        "auto", "dual for whole graphs, types for nodes", "", is_net=True, make=make,
        rebuild=rebuild,
    )  # fmt: skip


auto = _auto()
ridge = estimator(
    "ridge",
    {"graph": "estimators:EdgeRidge", "node": "estimators:Discriminant"},
    summary="ridge on every edge (of nodes: a linear discriminant on profiles)",
    source="Hoerl & Kennard (1970), Technometrics 12(1), 55-67",
)
degree = estimator(
    "degree",
    {"graph": "estimators:DegreeRidge", "node": "estimators:NodeDegrees"},
    summary="a linear model of degrees and strengths alone",
    source="Hoerl & Kennard (1970), Technometrics 12(1), 55-67",
)
types = estimator(
    "types",
    {"node": "estimators:Types"},
    summary="types of nodes from those of the nodes they talk to, in rounds",
    source="Neville & Jensen (2000), AAAI workshop on statistical relational learning, 13-20",
)
knn = estimator(
    "knn",
    {"node": "estimators:Neighbours"},
    summary="the five nodes with the nearest profiles",
    source="Cover & Hart (1967), IEEE Trans. Inf. Theory 13(1), 21-27",
)
forest = estimator(
    "forest",
    {"node": "estimators:Forest"},
    summary="randomised trees on profiles of nodes",
    source="Geurts et al. (2006), Mach. Learn. 63, 3-42",
)
gcn = net(
    "gcn", "gcn", nodes=True,
    summary="graph convolution beside a linear path", source="Kipf & Welling (2017), ICLR",
)  # fmt: skip
gat = net(
    "gat", "gat", nodes=True,
    summary="graph attention beside a linear path", source="Velickovic et al. (2018), ICLR",
)  # fmt: skip
gin = net(
    "gin", "gin", nodes=True,
    summary="graph isomorphism net beside a linear path", source="Xu et al. (2019), ICLR",
)  # fmt: skip
brainnetcnn = net(
    "brainnetcnn", "BrainNetCNN",
    summary="edge-to-edge, edge-to-node and node-to-graph filters beside a linear path",
    source="Kawahara et al. (2017), NeuroImage 146, 1038-1049",
)  # fmt: skip
braingnn = net(
    "braingnn", "BrainGNN",
    summary="convolution by regions and pooling of regions beside a linear path",
    source="Li et al. (2021), Med. Image Anal. 74, 102233",
)  # fmt: skip
transformer = net(
    "transformer", "Transformer",
    summary="attention between regions, read out by clusters, beside a linear path",
    source="Kan et al. (2022), NeurIPS",
)  # fmt: skip
dual = net(
    "dual", "Dual",
    summary="attention and a linear map of the edges, trained as one",
    source="Han et al. (2025), arXiv:2501.17207",
)  # fmt: skip
