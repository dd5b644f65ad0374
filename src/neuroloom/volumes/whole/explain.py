"""Where a trained model looks, image by image: maps on the images' own grids, and their check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.dataset import Dataset, named_apart
from neuroloom.core.errors import ConfigError
from neuroloom.core.run import check_out
from neuroloom.learn.apply import predicted_table
from neuroloom.learn.explain import Sanity, map_similarity, sanity_of
from neuroloom.learn.grids.cam import untaught, where_it_looked
from neuroloom.learn.grids.learner import GridLearner
from neuroloom.volumes.whole.frames import Frame, put_back

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.store import Ensemble
    from neuroloom.volumes.whole.study import WholeImage

SHOWN = 4
FOLDER = "where"


@dataclass(frozen=True, eq=False)
class Look:
    """Where nets looked in one image.

    Attributes
    ----------
    name, label, predicted
        Of the image; the label is None where nobody knows it.
    image, where
        (*axes) on the common grid: its first channel, and the map, 0 to 1.
    random
        The same map of nets with random weights.
    """

    name: str
    label: Any
    predicted: Any
    image: np.ndarray
    where: np.ndarray
    random: np.ndarray

    @property
    def alike(self) -> float:
        """Spearman correlation with the map of random weights; NaN where one of them is flat."""
        if min(np.ptp(self.where), np.ptp(self.random)) == 0:
            return float("nan")
        return map_similarity(self.where[None], self.random[None])

    @property
    def title(self) -> str:
        """What is written beside the picture."""
        said = [f"{one:.4g}" if isinstance(one, float) else str(one) for one in (
            self.label, self.predicted)]  # fmt: skip
        return f"told {said[1]}" if self.label is None else f"{said[0]}\ntold {said[1]}"


@dataclass(frozen=True, eq=False)
class Voters:
    """Nets that vote, and the same with random weights."""

    nets: Sequence[GridLearner]
    random: Sequence[GridLearner]

    @classmethod
    def of(cls, nets: Sequence[GridLearner]) -> Voters:
        """Return the nets and their doubles."""
        return cls(nets, [untaught(net) for net in nets])


def look_at(voters: Voters, dataset: Dataset, row: int, predicted: Any) -> Look:
    """Return where nets looked in one image for what was predicted of it, mean over them."""
    x = np.asarray(dataset.x[[row]])
    output = np.array([dataset.classes.index(str(predicted)) if dataset.classes else 0])
    where, random = (
        np.mean([where_it_looked(net, x, output)[0] for net in own], axis=0)
        for own in (voters.nets, voters.random)
    )
    label = dataset.table["label"].iloc[row]
    known = label if label is not None and label == label else None
    name = str(dataset.table["name"].iloc[row])
    return Look(name, known, predicted, x[0, 0], where / max(where.max(), 1e-12), random)


def looks(study: WholeImage, ensemble: Ensemble, dataset: Dataset) -> Iterator[Look]:
    """Yield where the nets of an ensemble looked, image after image."""
    table = predicted_table(dataset, study.outcome(ensemble, dataset))
    known: dict[str, Voters] = {}
    for row, (subject, told) in enumerate(zip(table["subject"], table["predicted"], strict=True)):
        group = "" if "" in ensemble.members else str(subject)
        if group not in known:
            known[group] = Voters.of(nets_of(ensemble, group))
        yield look_at(known[group], dataset, row, told)


def nets_of(ensemble: Ensemble, group: str = "") -> list[GridLearner]:
    """Return the nets of a group that vote, those of all groups where it is not known.

    Raises
    ------
    ConfigError
        If no member is a net.
    """
    own = ensemble.members.get(group) or chain.from_iterable(ensemble.members.values())
    nets = [learner for learner in own if isinstance(learner, GridLearner)]
    if not nets:
        raise ConfigError(f"model={ensemble.name} is no net: there is no map to show.")
    return nets


def sanity_of_looks(found: Sequence[float]) -> Sanity | None:
    """Judge maps by their likeness to those of random weights; None where all of them are flat."""
    known = [alike for alike in found if alike == alike]
    return sanity_of(float(np.mean(known))) if known else None


def explain_images(
    study: WholeImage, run: Run, inputs: Sequence[Path] = (), out: Path | None = None
) -> pd.DataFrame:
    """Map the images of the run, or new ones; see `WholeImage.explain`."""
    import pandas as pd

    ensemble = study.load_model(run)
    nets_of(ensemble)
    if out is not None:
        check_out(out)
    datasets = _datasets(study, ensemble, run, inputs)
    shelf = Shelf(run.folder / "artifacts" if out is None else out)
    total = sum(map(len, datasets))
    picked = set(np.linspace(0, total - 1, min(total, SHOWN)).astype(int).tolist())
    rows: list[dict[str, Any]] = []
    shown: list[Look] = []
    for dataset in datasets:
        for row, look in enumerate(looks(study, ensemble, dataset)):
            file = write_map(shelf.folder / FOLDER, look, dataset, row)
            shown += [look] if len(rows) in picked else []
            rows.append({"name": look.name, "label": look.label, "predicted": look.predicted,
                         "like_random": look.alike, "map": f"{FOLDER}/{file.name}"})  # fmt: skip
    table = pd.DataFrame(rows)
    _shelve(shelf, table, shown, datasets[0].facts["spacing"], new=bool(inputs))
    if out is None:
        _report(run, table)
    return table


def _datasets(
    study: WholeImage, ensemble: Ensemble, run: Run, inputs: Sequence[Path]
) -> list[Dataset]:
    """Read what is to be mapped; no two images have one name."""
    if not inputs:
        return [study.read_again(run)]
    datasets = [study.read_new(ensemble.facts, source) for source in inputs]
    files = [case.images[0] for dataset in datasets for case in dataset.extra["cases"]]
    return named_apart(datasets, files)


def write_map(folder: Path, look: Look, dataset: Dataset, row: int) -> Path:
    """Write a map on the grid of its image, NaN where the common grid had cut the image off."""
    from neuroloom.io.images import write_image

    case, frame = dataset.extra["cases"][row], Frame.of(dataset.facts)
    back = put_back(look.where[None], frame, case.shape, case.spacing)[0]
    suffix = ".tif" if len(frame.shape) == 2 else ".nii.gz"
    path = folder / f"{look.name.replace('/', '_')}{suffix}"
    return write_image(path, case.in_file_order(back), like=case.recording())


def _shelve(
    shelf: Shelf, table: pd.DataFrame, shown: list[Look], spacing: Any, *, new: bool
) -> None:
    from neuroloom.volumes.story.planes import planes

    whose = "new images" if new else "images of the run"
    shelf.add_figure(
        "explained",
        planes([one.image for one in shown], [one.title for one in shown],
               [one.where for one in shown], spacing=spacing),
        title="Where the final model looks",
        caption=f"Some of {len(table)} {whose}. Warm: places that speak for what was "
        "predicted (Grad-CAM, or the map that was summed), mean over the nets that vote. Volumes "
        "are cut through the strongest place. A map says where, not why.",
        section="where",
    )  # fmt: skip
    shelf.add_table(
        "explained-images",
        table,
        title="The map of each image",
        caption="`map` lies on the grid of the image; `like_random` is its rank correlation with "
        "the map of nets with random weights: near 1, it shows the image and not what was learnt.",
        section="where",
    )


def _report(run: Run, table: pd.DataFrame) -> None:
    """Say it in the report, in the place of what an earlier call said."""
    from neuroloom.core.files import read_json
    from neuroloom.core.report import Facts, write_facts, write_report

    facts = read_json(run.folder / "facts.json")
    head = "The final model: "
    sanity = sanity_of_looks(table["like_random"].tolist())
    verdict = "Nothing in any image speaks for what was predicted." if sanity is None else (
        sanity.verdict)  # fmt: skip
    said = [line for line in facts["where"] if not line.startswith(head)]
    said.append(f"{head}{len(table)} maps lie in artifacts/{FOLDER}. {verdict}")
    write_facts(run.folder, Facts(**(facts | {"where": said})))
    write_report(run.folder)
