"""Connectomes as a dataset: graphs or nodes as rows, with all that is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.connectivity.connectomes.collect import UNKNOWN, WHO, Connectomes
from neuroloom.connectivity.connectomes.confounds import PREFIX
from neuroloom.connectivity.connectomes.features import is_heavy
from neuroloom.connectivity.connectomes.nodes import Nodes
from neuroloom.core.audit import Finding, refuse_duplicates
from neuroloom.core.dataset import Dataset, require_classes
from neuroloom.core.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

SITES = ("site", "site_id", "scanner", "center", "centre")
GUESSED = ("label", "target", "diagnosis", "group", "class", "dx", "dx_group", "y")
MANY = 10


@dataclass(frozen=True)
class Wish:
    """What is learnt, what might tell it otherwise, and how weights are read."""

    target: str | None = None
    site: str | None = None
    covariates: tuple[str, ...] = ()
    weights: str = "auto"
    split: str | None = None


@dataclass(frozen=True)
class Deal:
    """How examples are dealt to folds; see `core.split.Split`."""

    by: str
    folds: int | None
    fixed: bool
    per: str | None
    seed: int


def make_examples(found: Connectomes, wish: Wish) -> Dataset:
    """Return the dataset: a row a connectome, or a row a node.

    Raises
    ------
    ConfigError
        If `target`, `site` or a covariate is no column.
    DataError
        If connectomes have unlike nodes, or two files are copies.
    """
    if found.level == "node":
        return _nodes(found, None)
    files = [file for file in found.files if file in found.hashes]
    refuse_duplicates({file: found.hashes[file] for file in files})
    return _graphs(found, wish)


def examples_like(facts: dict[str, Any], found: Connectomes) -> Dataset:
    """Return new connectomes as examples of a stored model."""
    axes = facts["axes"]
    if axes["level"] == "node":
        return _nodes(found, list(facts["classes"]))
    wish = Wish(axes["target"], axes["site"], tuple(axes["covariates"]), axes["weights"])
    return _graphs(found, wish, facts)


def _rows(found: Connectomes) -> pd.DataFrame:
    """Return name, path and who each connectome is of."""
    import pandas as pd

    known = found.table
    rows = pd.DataFrame({"name": found.names, "path": found.files})
    for key in ("subject", "session", "run"):
        default = found.names if key == "subject" else "1"
        rows[key] = known[key].astype(str).to_numpy() if key in known else default
    return rows.assign(onset=0.0, stop=1.0)


def _graphs(found: Connectomes, wish: Wish, facts: dict[str, Any] | None = None) -> Dataset:
    rows, x = _rows(found), _aligned(found, None if facts is None else facts["axes"]["nodes"])
    target = wish.target or (None if facts else _guess(found.table))
    labels, task = _labels(found.table, target, facts)
    rows["label"] = labels
    site = _site(found.table, wish, target, loose=facts is not None)
    covariates = _covariates(found.table, wish, target, loose=facts is not None)
    for name in dict.fromkeys([*([site] if site else []), *covariates]):
        column = found.table[name]
        rows[PREFIX + name] = [None if _missing(value) else value for value in column]
    rows["site"] = found.table[site].astype(str).to_numpy() if site in found.table else "1"
    logs = wish.weights == "log" or (wish.weights == "auto" and is_heavy(found.graphs))
    x = np.sign(x) * np.log1p(np.abs(x)) if logs else x
    classes: list[str] = []
    if task == "classification":
        classes = list(facts["classes"]) if facts else require_classes(rows, "The table")
    axes = {
        "level": "graph",
        "nodes": found.nodes[0] if facts is None else facts["axes"]["nodes"],
        "directed": bool(np.abs(x - x.transpose(0, 2, 1)).max() > 1e-6 * np.abs(x).max()),
        "weights": "log" if logs else "raw",
        "target": target,
        "site": site,
        "covariates": covariates,
        "layout": found.layout,
    }
    note = Finding(
        "note", "How the data were read", f"{found.layout[0].upper()}{found.layout[1:]}."
    )
    extra = {"hashes": found.hashes}
    return Dataset(rows, x, task, classes, axes, [note], extra)  # type: ignore[arg-type]


def _aligned(found: Connectomes, nodes: list[str] | None) -> np.ndarray:
    """Return all graphs on the same nodes in the same order."""
    wanted = list(nodes or found.nodes[0])
    if nodes is None and all(name.isdigit() for own in found.nodes for name in own):
        # Lists of edges: the last nodes of one may be without any.
        wanted = max(found.nodes, key=len)
        found.nodes[0] = wanted
    x = np.zeros((len(found.graphs), len(wanted), len(wanted)), np.float32)
    place = {name: k for k, name in enumerate(wanted)}
    for row, (own, weights) in enumerate(zip(found.nodes, found.graphs, strict=True)):
        strange = [name for name in own if name not in place]
        fewer = len(own) < len(wanted) and not all(name.isdigit() for name in own)
        if strange or fewer:
            raise DataError(
                f"{found.files[row]}: has {len(own)} nodes, {found.files[0]} has {len(wanted)}"
                + (f"; '{strange[0]}' is not among them" if strange else "")
                + ". Whole graphs are compared edge by edge and need the same regions."
            )
        at = np.array([place[name] for name in own])
        x[row][np.ix_(at, at)] = weights
    return x


def _missing(value: Any) -> bool:
    return value is None or value != value or str(value).strip().lower() in UNKNOWN


def _guess(table: pd.DataFrame) -> str:
    columns = [str(name) for name in table]
    usual = [name for name in columns if name.lower() in GUESSED]
    if usual:
        return usual[0]
    there = ", ".join(columns) or "no table beside the connectomes, and no types of nodes"
    raise ConfigError(f"What is to be learnt? Name `target`, a column; there is: {there}.")


def _labels(
    table: pd.DataFrame, target: str | None, facts: dict[str, Any] | None
) -> tuple[list[Any], str]:
    if target is None or target not in table:
        if facts is not None:
            return [None] * len(table), str(facts["task"])
        known = [str(name) for name in table]
        none = "none, for no table with a head lies beside the connectomes; the types of nodes in "
        none += "a column without a head are learnt without target"
        raise ConfigError(
            f"target: there is no column '{target}' to learn.{nearest(str(target), known)} "
            f"Known: {', '.join(known) or none}."
        )
    values = [None if _missing(value) else value for value in table[target]]
    try:
        numbers = [None if value is None else float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    several = len({value for value in numbers if value is not None}) > MANY
    task = str(facts["task"]) if facts else ("regression" if several else "classification")
    if task == "regression":
        return numbers or [None] * len(values), task
    return [None if value is None else _text(value) for value in values], task


def _text(value: Any) -> str:
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _site(table: pd.DataFrame, wish: Wish, target: str | None, loose: bool) -> str | None:
    usual = [str(name) for name in table if str(name).lower() in SITES and name != target]
    if wish.site is not None and wish.site not in table and not loose:
        known = [str(name) for name in table]
        raise ConfigError(f"site: there is no column '{wish.site}'.{nearest(wish.site, known)}")
    site = wish.site if wish.site in table else (usual[0] if usual else None)
    if wish.split == "site" and site is None:
        raise ConfigError("split=site needs a column with the site: name it with `site`.")
    return site


def _covariates(table: pd.DataFrame, wish: Wish, target: str | None, loose: bool) -> list[str]:
    """Return what might tell the label: asked for, or every column that is no key."""
    known = [str(name) for name in table]
    if wish.covariates:
        gone = [name for name in wish.covariates if name not in known]
        if gone and not loose:
            raise ConfigError(f"covariates: no column '{gone[0]}'.{nearest(gone[0], known)}")
        return [name for name in wish.covariates if name in known]
    keys = {*WHO, "subject", "session", "run", "path", target}
    several = [n for n in known if n.lower() not in keys and n != target]
    return [n for n in several if table[n].nunique() < len(table) or table[n].dtype.kind in "if"]


def _nodes(found: Connectomes, classes: list[str] | None) -> Dataset:
    """Return a row a node; a graph is a subject."""
    import pandas as pd

    parts = []
    people = _rows(found)
    for number, (names, labels) in enumerate(zip(found.nodes, found.labels, strict=True)):
        own = people.iloc[number]
        parts.append(
            pd.DataFrame({
                "name": [f"{own['name']}: {node}" for node in names],
                **{key: own[key] for key in ("path", "subject", "session", "run")},
                "onset": np.arange(len(names), dtype=float),
                "stop": np.arange(len(names), dtype=float) + 1,
                "label": [label or None for label in labels or [""] * len(names)],
                "graph": number,
                "node": np.arange(len(names)),
            })
        )  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    where = rows[["graph", "node"]].to_numpy()
    axes = {
        "level": "node",
        "directed": True,
        "target": "type",
        "layout": found.layout,
        "nodes": [],
    }
    note = Finding(
        "note", "How the data were read", f"{found.layout[0].upper()}{found.layout[1:]}."
    )
    return Dataset(
        rows.drop(columns=["graph", "node"]),
        Nodes(found.graphs, where),  # type: ignore[arg-type]
        "classification",
        require_classes(rows, "The nodes") if classes is None else classes,
        axes,
        [note],
        {"hashes": found.hashes},
    )
