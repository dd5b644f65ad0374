"""Further frames of a project, written so that its own program opens them for labelling.

They go into a folder of their own: nothing of the project is touched. DeepLabCut's tables bear its
scorer; COCO's categories are its own, and ids begin after its; SLEAP gets frames as suggestions
with what a net found as predictions, so that only what a person places counts as labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from neuroloom.io.labels.door import write_labels
from neuroloom.io.labels.model import Labels
from neuroloom.io.labels.sleap import write_suggestions

BARE = ("coco", "slp")  # formats that can list frames in which nothing is placed yet


def write_further(labels: Labels, model: Labels | None, folder: Path) -> list[Path]:
    """Write frames that nobody labelled yet in the format of a project, as one of its own.

    Parameters
    ----------
    labels
        The frames, with points where a net has them.
    model
        The labels of the project; None, or of a format that cannot hold the frames of one video
        alone (Label3D's, which has all cameras in one): a DeepLabCut project is written.
    folder
        Where to write.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    DataError
        If the format cannot hold them.
    """
    if model is None or model.source == "label3d":
        return write_labels(labels, folder, "dlc")
    if model.skeleton.keypoints == labels.skeleton.keypoints:
        labels = replace(labels, skeleton=model.skeleton)
    if model.source == "slp":
        return write_suggestions(labels, folder / "to-label.slp")
    like = _LIKE.get(model.source)
    return write_labels(like(labels, model) if like else labels, folder, model.source)


def _like_dlc(labels: Labels, model: Labels) -> Labels:
    scorer, several = model.extra["scorer"], len(labels.individuals) > 1
    tables = [f"labeled-data/{name}/CollectedData_{scorer}" for name in labels.frames["video"]]
    extra = {"scorer": scorer, "unique": model.extra["unique"]}
    extra |= {"multi": several or model.extra["multi"]}
    return replace(labels, source="dlc", frames=labels.frames.assign(table=tables), extra=extra)


def _like_lightning(labels: Labels, model: Labels) -> Labels:
    table, scorers = "CollectedData.csv", model.extra["scorer"]
    extra = {"scorer": {table: scorers.get(table) or next(iter(scorers.values()))}}
    frames = labels.frames.assign(table=table)
    return replace(labels, source="lightning-pose", frames=frames, extra=extra)


def _like_coco(labels: Labels, model: Labels) -> Labels:
    columns = labels.frames[["image", "video", "frame"]].itertuples(index=False)
    names = {image: f"images/{video}/img{number:08d}.png" for image, video, number in columns}
    return replace(labels, source="coco", extra={**model.extra, "names": names})


_LIKE: dict[str, Callable[[Labels, Labels], Labels]] = {
    "dlc": _like_dlc, "lightning-pose": _like_lightning, "coco": _like_coco,
}  # fmt: skip
