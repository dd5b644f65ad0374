"""Trained learners in one safetensors file: named arrays and plain data, never a pickle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import RunError
from neuroloom.core.files import write_atomic
from neuroloom.learn.model import find_model


@dataclass
class Ensemble:
    """Learners that vote, by group ("" or a subject), and what their votes mean.

    Attributes
    ----------
    model
        Name of the registered model.
    members
        Group -> learners; their scores are averaged.
    facts
        Plain data: classes, task, temperature by group, axes of the input.
    """

    model: str
    members: dict[str, list[Any]]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the model within its family."""
        return self.model.rpartition("/")[2]

    def scores(self, x: np.ndarray, group: str = "") -> np.ndarray:
        """Return the mean score of the group's learners, (n, class) or (n,)."""
        learners = self.members.get(group) or [
            learner for members in self.members.values() for learner in members
        ]
        return average_scores([learner.predict_scores(x) for learner in learners])


def average_scores(scores: list[np.ndarray]) -> np.ndarray:
    """Average log-probabilities (geometric mean, normalised) or numbers."""
    mean = np.mean(scores, axis=0)
    return mean if mean.ndim == 1 else mean - _log_sum(mean)


def _log_sum(scores: np.ndarray) -> np.ndarray:
    from scipy.special import logsumexp

    return logsumexp(scores, axis=1, keepdims=True)


def write_arrays(path: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> Path:
    """Write named arrays with plain data beside them, whole or not at all."""
    from safetensors.numpy import save

    whole = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    # Facts keep their order: of regions it says which output of a net is which.
    content = save(whole, metadata={"facts": json.dumps(facts)})
    # Written by ourselves: a full disk is an OSError like any other, and others may read the file.
    return write_atomic(path, lambda partial: partial.write_bytes(content))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_arrays` wrote.

    Raises
    ------
    RunError
        If the file is missing or cut.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as handle:
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
            return arrays, json.loads((handle.metadata() or {}).get("facts", "{}"))
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


class Ragged(Sequence[np.ndarray]):
    """Arrays of unlike shapes, one file each, read when asked for.

    Parameters
    ----------
    folder
        What `write_ragged` left.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = sorted(folder.glob("*.npy"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: Any) -> Any:
        return np.load(self.files[row], mmap_mode="r")


def write_ragged(folder: Path, arrays: Iterable[np.ndarray]) -> Ragged:
    """Write arrays as they come, as float16, in files of `folder`; those there are replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, array in enumerate(arrays):
        np.save(folder / f"{number:06d}.npy", np.asarray(array, dtype=np.float16))
    return Ragged(folder)


def require_room(folder: Path, needed: float, what: str, instead: str) -> None:
    """Refuse to begin what a disk would be too small for.

    Parameters
    ----------
    folder
        Where it will lie; what lies there already, of work that goes on, is a part of it.
    needed
        Bytes.
    what, instead
        What takes them, and what else can be done than making room.

    Raises
    ------
    RunError
        With both sizes.
    """
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    home = next(place for place in (folder, *folder.parents) if place.is_dir())
    free = shutil.disk_usage(home).free
    if needed > there + free:
        raise RunError(
            f"No space left for {what}: while the run lasts, {(needed - there) / 1e6:,.1f} MB more "
            f"are needed, and {home} has {free / 1e6:,.1f} MB. Make room and resume, or {instead}."
        )


def save_ensemble(path: Path, ensemble: Ensemble) -> Path:
    """Store an ensemble."""
    arrays: dict[str, np.ndarray] = {}
    specs: dict[str, Any] = {}
    for group, learners in ensemble.members.items():
        for k, learner in enumerate(learners):
            key = f"{group}#{k}"
            specs[key] = learner.spec
            arrays |= {f"{key}/{name}": array for name, array in learner.state().items()}
    facts = {"model": ensemble.model, "specs": specs, "facts": ensemble.facts}
    return write_arrays(path, arrays, facts)


def load_ensemble(path: Path) -> Ensemble:
    """Rebuild a stored ensemble, in this or a fresh process."""
    arrays, facts = read_arrays(path)
    rebuild = find_model(facts["model"]).rebuild
    members: dict[str, list[Any]] = {}
    for key in sorted(facts["specs"], key=_order):
        learner = rebuild(facts["specs"][key])
        prefix = f"{key}/"
        learner.load({n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)})
        members.setdefault(key.rpartition("#")[0], []).append(learner)
    return Ensemble(facts["model"], members, facts["facts"])


def _order(key: str) -> tuple[str, int]:
    group, _, number = key.rpartition("#")
    return group, int(number)
