"""New images of noise: how many, of which class, of which noise; each made by one net alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.volumes.synthesize import Synthesize

FEW = 10


@dataclass(frozen=True)
class Wanted:
    """Which new images are wanted.

    Attributes
    ----------
    label, number
        Class index, and number from 0 within the class, of each (n,).
    seed
        Of the noise: class, number and seed fix an image.
    """

    label: np.ndarray
    number: np.ndarray
    seed: int = 0

    @classmethod
    def of(
        cls, groups: Sequence[str], count: int, class_: str | None = None, seed: int = 0
    ) -> Wanted:
        """Return `count` images of one class, or of all classes in turn.

        Raises
        ------
        ConfigError
            If the run has no such class.

        Examples
        --------
        >>> Wanted.of(["dark", "bright"], 3).label.tolist()
        [0, 1, 0]
        >>> Wanted.of(["dark", "bright"], 2, "bright").number.tolist()
        [0, 1]
        """
        place = np.arange(count)
        if class_ is None:
            return cls(place % len(groups), place // len(groups), seed)
        if class_ not in groups:
            raise ConfigError(
                f"class: the run knows no '{class_}'.{nearest(class_, groups)} It has "
                f"{', '.join(groups)}."
            )
        return cls(np.full(count, groups.index(class_)), place, seed)


def made_alone(learners: Sequence[Any], wanted: Wanted) -> np.ndarray:
    """Make images (n, channel, *axes), each by one learner; of every class they take turns.

    A mean over generators would be an image that none of them made.
    """
    turn = wanted.number % len(learners)
    made: dict[int, np.ndarray] = {}
    for k, learner in enumerate(learners):
        rows = np.flatnonzero(turn == k)
        if len(rows):
            drawn = learner.draw(wanted.label[rows], wanted.number[rows], wanted.seed)
            made |= dict(zip(rows.tolist(), drawn, strict=True))
    return np.stack([made[row] for row in range(len(turn))])


def in_turn(made: Sequence[np.ndarray], n_groups: int) -> np.ndarray:
    """Return of several learners' images (n, …), classes in turn, each from one, as `made_alone`.

    Examples
    --------
    >>> in_turn([np.zeros(5), np.ones(5)], 2).tolist()
    [0.0, 0.0, 1.0, 1.0, 0.0]
    """
    place = np.arange(len(made[0]))
    return np.stack(made)[place // n_groups % len(made), place]


def predict_new(
    study: Synthesize,
    run: Run,
    inputs: list[Path],
    out: Path | None,
    *,
    count: Any = None,
    class_: str | None = None,
    seed: Any = 0,
) -> pd.DataFrame:
    """Make new images of noise; see `Synthesize.predict`."""
    import pandas as pd

    from neuroloom.volumes.synthesis.deliver import write_table

    ensemble = study.load_model(run)
    learners = [one for members in ensemble.members.values() for one in members]
    if not hasattr(learners[0], "draw"):
        raise ConfigError(f"model={study.model} repeats what it learnt from; it makes no images.")
    facts = ensemble.facts["axes"]
    if count is None:
        count = sum(len(study.read_new(ensemble.facts, source)) for source in inputs) or FEW
    groups = facts["groups"]
    wanted = Wanted.of(groups, _whole(count, "count", 1), class_, _whole(seed, "seed", 0))
    made = made_alone(learners, wanted)
    classes = [groups[k] for k in wanted.label]
    names = [_name(one, k, groups) for one, k in zip(classes, wanted.number, strict=True)]
    nets = wanted.number % len(learners) + 1
    table = pd.DataFrame({"name": names, "class": classes, "seed": wanted.seed, "net": nets})
    if out is not None:
        for name, one in zip(names, made, strict=True):
            _write(out / name, one, facts)
        write_table(out, table, run)
    return table


def _whole(value: Any, name: str, least: int) -> int:
    """Return an option as a number; on the command line it is a word."""
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(f"{name}: expected a whole number, {least} or more, got '{value}'.")
    return number


def _name(class_: str, number: int, groups: Sequence[str]) -> str:
    word = f"{class_.replace('/', '_')}_" if len(groups) > 1 else ""
    return f"made_{word}{number + 1:03d}"


def _write(stem: Path, made: np.ndarray, facts: dict[str, Any]) -> None:
    """Write an image (channel, *axes) on the common grid, standardised."""
    from neuroloom.core.recording import image, volume
    from neuroloom.io.images import write_image

    shown = made.astype(np.float32)
    if facts["kind"] == "image":
        size = (float(facts["spacing"][0]), float(facts["spacing"][1]))
        write_image(f"{stem}.tif", image(shown, size, facts["unit"]))
        return
    affine = np.diag([*facts["spacing"][::-1], 1.0])
    write_image(f"{stem}.nii.gz", volume(shown.transpose(0, 3, 2, 1), affine, unit=facts["unit"]))
