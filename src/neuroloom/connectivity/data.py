"""Signals of a network: nodes over time, what drives them from outside, which edges may exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError, nearest

SUFFIXES = (".mat", ".csv", ".tsv", ".txt", ".nii.gz", ".nii")
_NOTHING = np.zeros(0, dtype=int)
# Beside recordings, and none themselves.
_ASIDE = (
    "ground_truth*", "participants*", "*_events.tsv", "*confounds*", "*_channels.tsv", "*readme*",
    "coordinates.*", "*_mask.nii*", "*_dseg.nii*", "*_boldref.nii*", "*_dseg.tsv", "*license*",
    "*_scans.tsv",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Signals:
    """One recording of a network.

    Attributes
    ----------
    values
        Shape (node, time), in the unit of the file.
    names
        Of the nodes.
    name
        Path of the file, relative to DATA.
    inputs
        Shape (input, time): known influences from outside; None if there are none.
    control
        Shape (node, node), True where the column may drive the row; None if all may.
    input_control
        Shape (node, input), True where the input may drive the node; None if all may.
    truth
        Shape (node, node), rows are targets; None if it is unknown.
    places
        Shape (node, 3), MNI coordinates in mm; None if they are unknown.
    keys
        Subject, session, run, and columns of participants.tsv.
    """

    values: np.ndarray
    names: tuple[str, ...]
    name: str = "signals"
    inputs: np.ndarray | None = None
    control: np.ndarray | None = None
    input_control: np.ndarray | None = None
    truth: np.ndarray | None = None
    places: np.ndarray | None = None
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.values)

    @property
    def family(self) -> tuple[str, tuple[str, ...]]:
        """Recordings of equal family (folder and nodes) are of one network."""
        folder = "" if "subject" in self.keys else Path(self.name).parent.as_posix()
        return folder, self.names

    def standardised(self) -> Signals:
        """Return the same with nodes and inputs of mean 0 and standard deviation 1."""
        inputs = None if self.inputs is None else _standardise(self.inputs)
        return replace(self, values=_standardise(self.values), inputs=inputs)

    def allowed(self) -> np.ndarray:
        """Return which edges may exist, (node, node), without the diagonal."""
        off = ~np.eye(self.nodes, dtype=bool)
        return off if self.control is None else off & self.control


def _standardise(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(1, keepdims=True)
    return centred / np.maximum(centred.std(1, keepdims=True), 1e-12)


def sigmoid(signals: Signals) -> Signals:
    """Squash every node into 0 to 1 by the logistic function of its z-score, as VARDNN can.

    Examples
    --------
    >>> sigmoid(Signals(np.array([[0.0, 1, 2]]), ("a",))).values.round(2).tolist()
    [[0.23, 0.5, 0.77]]
    """
    return replace(signals, values=1 / (1 + np.exp(-_standardise(signals.values))))


def check(signals: Signals, missing: str = "refuse") -> Signals:
    """Return the recording if it can serve, gaps filled where asked for.

    Parameters
    ----------
    signals
        As it was read.
    missing
        "refuse" or "interpolate" frames that are not finite.

    Raises
    ------
    DataError
        Naming the file, the node, the frame or the shape.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> check(Signals(rng.normal(size=(3, 50)), ("a", "b", "c"))).nodes
    3
    """
    if signals.nodes < 2:
        raise DataError(
            f"{signals.name}: it has {signals.nodes} node; a network needs two or more."
        )
    doubled = [n for k, n in enumerate(signals.names) if n in signals.names[:k]]
    if doubled:
        raise DataError(f"{signals.name}: two nodes are called '{doubled[0]}'; rename one.")
    signals = _finite(signals, missing)
    for what, array in (("node", signals.values), ("input", signals.inputs)):
        still = np.flatnonzero(np.ptp(array, axis=1) == 0) if array is not None else _NOTHING
        if len(still):
            label = signals.names[still[0]] if what == "node" else str(still[0] + 1)
            raise DataError(
                f"{signals.name}: {what} '{label}' is constant, so that it neither drives nor "
                "follows; leave it out with `drop`, or mend the file."
            )
    _check_shapes(signals)
    return signals


def _finite(signals: Signals, missing: str) -> Signals:
    bad = ~np.isfinite(signals.values)
    if signals.inputs is not None and not np.isfinite(signals.inputs).all():
        raise DataError(f"{signals.name}: the inputs have frames that are not finite; mend them.")
    if not bad.any():
        return signals
    node, frame = np.argwhere(bad)[0]
    if missing == "refuse" or bad.all(1).any():
        raise DataError(
            f"{signals.name}: node '{signals.names[node]}' is not finite in frame {frame} "
            f"({int(bad.any(0).sum())} of {bad.shape[1]} frames are affected). Mend the file, or "
            "say `missing: interpolate`."
        )
    time = np.arange(bad.shape[1])
    rows = [
        np.interp(time, time[~gap], row[~gap]) for row, gap in zip(signals.values, bad, strict=True)
    ]
    return replace(signals, values=np.array(rows))


def _check_shapes(signals: Signals) -> None:
    nodes, time = signals.values.shape
    inputs = 0 if signals.inputs is None else len(signals.inputs)
    if signals.inputs is not None and signals.inputs.shape[1] != time:
        raise DataError(
            f"{signals.name}: the inputs have {signals.inputs.shape[1]} frames, the nodes {time}; "
            "they must be equally long."
        )
    wanted = (
        ("node control matrix", signals.control, (nodes, nodes)),
        ("input control matrix", signals.input_control, (nodes, inputs)),
        ("true graph", signals.truth, (nodes, nodes)),
    )
    for what, matrix, shape in wanted:
        if matrix is not None and matrix.shape != shape:
            raise DataError(
                f"{signals.name}: the {what} is {matrix.shape[0]} x {matrix.shape[1]}; expected "
                f"{shape[0]} x {shape[1]} (rows are targets, columns are sources; 0 x 0 means "
                "that none is given)."
            )


def need_frames(signals: Signals, lags: int) -> None:
    """Refuse a recording with too few time points for so many lags.

    Raises
    ------
    DataError
        Naming the file, how many there are and how many are needed.
    """
    time, least = signals.values.shape[1], 4 * lags + 8
    if time < least:
        raise DataError(
            f"{signals.name}: {time} time points are too few for {lags} lags; at least {least} "
            "are needed. Record longer, or set fewer `lags`."
        )


def drop_nodes(signals: Signals, names: Sequence[str]) -> Signals:
    """Return the recording without the named nodes.

    Raises
    ------
    DataError
        If there is no such node; the message suggests the nearest.
    """
    if not names:
        return signals
    _check_shapes(signals)
    for name in names:
        if name not in signals.names:
            known = nearest(name, signals.names)
            raise DataError(f"drop: {signals.name} has no node '{name}'.{known}")
    kept = np.array([name not in names for name in signals.names])

    def square(matrix: np.ndarray | None) -> np.ndarray | None:
        return None if matrix is None or len(matrix) != len(kept) else matrix[kept][:, kept]

    def rows(matrix: np.ndarray | None) -> np.ndarray | None:
        return None if matrix is None or len(matrix) != len(kept) else matrix[kept]

    return replace(
        signals,
        values=signals.values[kept],
        names=tuple(np.array(signals.names)[kept].tolist()),
        control=square(signals.control),
        truth=square(signals.truth),
        input_control=rows(signals.input_control),
        places=rows(signals.places),
    )


def shared_nodes(recordings: Sequence[Signals]) -> list[str]:
    """Return the nodes that have the very same values in every one of several recordings.

    No brain can have made them: they are what was shown to all, and nothing recorded drives them.

    Examples
    --------
    >>> one, two = (Signals(np.array([[0.0, 1, 0], [k, 2, 1]]), ("I", "A")) for k in (1, 2))
    >>> shared_nodes([one, two])
    ['I']
    """
    first = recordings[0]
    alike = [r for r in recordings[1:] if r.values.shape == first.values.shape]
    if not alike or len(alike) + 1 < len(recordings):
        return []
    same = [
        bool(np.all([r.values[k] == first.values[k] for r in alike])) for k in range(first.nodes)
    ]
    return [] if all(same) else [n for n, s in zip(first.names, same, strict=True) if s]


def set_sources(signals: Signals, names: Sequence[str]) -> Signals:
    """Return the recording where nothing may drive the named nodes."""
    if not names:
        return signals
    control = signals.allowed() | np.eye(signals.nodes, dtype=bool)
    control[[signals.names.index(name) for name in names]] = False
    return replace(signals, control=control)


def group_networks(recordings: Sequence[Signals]) -> list[list[Signals]]:
    """Group recordings by network: those of one folder that have the same nodes.

    Examples
    --------
    >>> one = Signals(np.zeros((2, 9)), ("a", "b"), "x/1.csv")
    >>> len(group_networks([one, replace(one, name="x/2.csv"), replace(one, name="y/1.csv")]))
    2
    """
    found: dict[Any, list[Signals]] = {}
    for one in recordings:
        found.setdefault(one.family, []).append(one)
    return list(found.values())


def is_aside(path: Path) -> bool:
    """Tell files that lie beside recordings: truths, events, masks, tables of people."""
    return any(fnmatchcase(path.name.lower(), glob) for glob in _ASIDE)


def suffix_of(path: Path) -> str:
    """Return the suffix that says the format, lower case, or "" where it is none of `SUFFIXES`."""
    name = path.name.lower()
    return next((end for end in SUFFIXES if name.endswith(end)), "")
