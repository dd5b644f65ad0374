"""The report of `pose.suggest`: the frames themselves, why, and how they stand for all."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.figures import canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.io.labels import Labels
    from neuroloom.pose.suggest import Doubted, Prepared, Suggest

SHOWN = 12
COLUMNS = 4
WHY = {
    "diversity": "unlike the others",
    "unsure": "the net is unsure",
    "jump": "a keypoint jumps",
    "length": "a limb is too long or too short",
    "missing": "keypoints are missing",
    "spread": "nets disagree",
}


def report_suggestions(
    recipe: Suggest,
    run: Run,
    prepared: Prepared,
    table: pd.DataFrame,
    covers: list[tuple[float, float]],
) -> None:
    """Write the frames as pictures, metrics, table, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    ours, even = np.mean(covers, axis=0)
    entry = {"value": float(ours), "low": None, "high": None, "baseline": float(even)}
    metrics: dict[str, dict[str, float | None]] = {"coverage": entry | {"chance": 0.0}}
    write_json(run.folder / "metrics.json", metrics)
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": "coverage"} | metrics["coverage"]]
    )
    write_atomic(run.folder / "metrics.parquet", partial(tidy.to_parquet, index=False))
    run.log("scored", examples=len(table))
    chosen = table[table["chosen"]].drop(columns="chosen")
    chosen = chosen.assign(why=chosen["reason"].map(WHY))
    pictures = []
    for one in prepared.videos:
        own = chosen[chosen["name"] == one.name]
        pictures += write_frames(one, own, run.folder / "artifacts" / "frames")
    write_projects(recipe, prepared.videos, chosen, run.folder / "artifacts")
    shelf.add_table(
        "suggestions", chosen.sort_values("doubt", ascending=False),
        title="Frames to label next",
        caption="The most doubtful first; their pictures are in artifacts/frames, and what the "
        "program of labelling opens, with the points to correct, is in artifacts/to-label.",
    )  # fmt: skip
    shelf.add_figure(
        "frames", contact_sheet(pictures[:SHOWN]), title="The frames",
        caption="Dots are what the net found.", alt=f"{len(pictures)} frames of the videos",
    )  # fmt: skip
    for number, one in enumerate(prepared.videos[:COLUMNS]):
        own = table[table["name"] == one.name]
        shelf.add_figure(
            f"over-time-{number}", over_time(own), title=f"Doubt over time: {one.name}",
            caption="Lines are the chosen frames.", section="data",
        )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, prepared, chosen)))
    run.log("reported", report=write_report(run.folder).name)


def write_frames(one: Doubted, chosen: pd.DataFrame, folder: Path) -> list[tuple[np.ndarray, str]]:
    """Write the chosen frames as `<video>/img<number>.png`; return them with points drawn on.

    Parameters
    ----------
    one
        The video.
    chosen
        Columns frame, reason.
    folder
        Where to write.
    """
    from PIL import Image

    from neuroloom.io.video import Video
    from neuroloom.learn.overlay import draw_points

    place = folder / one.name
    place.mkdir(parents=True, exist_ok=True)
    row_of = {int(number): row for row, number in enumerate(one.numbers)}
    width = len(str(one.frames - 1))
    drawn = []
    with Video(one.video, patch=True) as video:
        for row in chosen.itertuples():
            number = int(row.frame)
            frame = video.read([number])[0]
            picture = Image.fromarray(frame if frame.shape[-1] == 3 else frame[..., 0])
            target = place / f"img{number:0{width}d}.png"
            write_atomic(target, partial(picture.save, format="PNG"))
            if one.points is not None:
                frame = draw_points(frame, one.points[row_of[number]])
            drawn.append((frame, f"{number}: {WHY[str(row.reason)]}"))
    return drawn


def write_projects(
    recipe: Suggest, videos: list[Doubted], chosen: pd.DataFrame, folder: Path
) -> list[Path]:
    """Write the chosen frames for the program of `labels`, points where the first net has them.

    Without `labels` it is a DeepLabCut project. Videos without tracks are left out where the format
    cannot list frames in which nothing is placed.

    Returns
    -------
    list of Path
        The files.
    """
    from neuroloom.io.labels import read_labels
    from neuroloom.io.labels.further import BARE, write_further

    model = read_labels(recipe.labels) if recipe.labels else None
    written = []
    for one in videos:
        if one.points is None and (model is None or model.source not in BARE):
            continue
        numbers = np.sort(chosen.loc[chosen["name"] == one.name, "frame"].to_numpy(int))
        place = folder / "to-label"
        place = place / one.name if len(videos) > 1 else place
        written += write_further(filled_in(one, numbers, model), model, place)
    return written


def filled_in(one: Doubted, numbers: np.ndarray, model: Labels | None = None) -> Labels:
    """Return frames of a video as labels, each point where the net has it.

    Without tracks nothing is placed, and the points are those of `model`.
    """
    from neuroloom.io.labels import Labels, Skeleton, guess_swaps

    images = [f"{one.video.name}::{number}" for number in numbers]
    frames = pd.DataFrame({"video": one.name, "frame": numbers, "image": images})
    place = one.video.absolute().parent
    if one.points is None:
        assert model is not None
        points = np.full((len(numbers), *model.points.shape[1:]), np.nan)
        return Labels(model.skeleton, frames, points, model.individuals, place, "neuroloom")
    row_of = {int(number): row for row, number in enumerate(one.numbers)}
    rows = [row_of[int(number)] for number in numbers]
    skeleton = Skeleton(one.keypoints, swaps=guess_swaps(one.keypoints))
    return Labels(skeleton, frames, one.points[rows], one.individuals, place, "neuroloom")


@styled
def contact_sheet(pictures: list[tuple[np.ndarray, str]]) -> Figure:
    """Draw frames in rows, each with its number and reason."""
    rows = -(-len(pictures) // COLUMNS)
    figure, panels = canvas(1.9 * rows, rows=rows, columns=COLUMNS, squeeze=False)
    for axes in panels.ravel():
        axes.axis("off")
    for axes, (frame, title) in zip(panels.ravel(), pictures, strict=False):
        grey = frame.shape[-1] == 1
        axes.imshow(frame[..., 0] if grey else frame, cmap="gray" if grey else None)
        axes.set_title(title, fontsize=7)
    return figure


@styled
def over_time(table: pd.DataFrame) -> Figure:
    """Draw the doubt of every frame looked at, and where frames were chosen."""
    figure, axes = canvas(2.2)
    axes.plot(table["frame"], table["doubt"], lw=0.8, color=colour(0))
    for row in table[table["chosen"]].itertuples():
        axes.axvline(int(row.frame), color=colour(1), lw=0.8, alpha=0.7)
    axes.set(xlabel="Frame", ylabel="Doubt", ylim=(0, 1.02))
    return figure


def _facts(recipe: Suggest, prepared: Prepared, chosen: pd.DataFrame) -> dict[str, Any]:
    counts = chosen["why"].value_counts()
    rows = {
        "Videos": ", ".join(one.name for one in prepared.videos[:9]),
        "Frames looked at": f"{sum(len(one.numbers) for one in prepared.videos):,}",
        "Chosen": str(len(chosen)),
        "Reasons": ", ".join(f"{why} ({count})" for why, count in counts.items()),
    }
    return {
        "title": "Frames to label next",
        "question": "Which frames teach a net most?",
        "primary": "coverage",
        "example": "frame",
        "baseline": "even steps",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": [f"{found.title}: {found.detail}" for found in prepared.findings],
        "method": [
            f"Chosen with neuroloom {__version__}. Each reason for doubt counts by its rank among "
            "the frames. Frames, as small grey pictures reduced to 30 principal components, are "
            f"put into {recipe.frames} clusters by k-means, weighted by doubt; the most doubtful "
            f"of each is taken, at least {recipe.apart} frames from any other."
        ],
        "citations": [
            "Pereira TD et al. (2019). Nat Methods 16, 117-125 (frames from clusters).",
            "Nath T et al. (2019). Nat Protoc 14, 2152-2176 (frames of doubt).",
        ],
        "meanings": {
            "coverage": "How near every frame is to a chosen one that looks like it: 1 is the "
            "same. The baseline takes frames in even steps; chance is the mean picture."
        },
    }
