"""The report of `microscopy.curate`: contact sheets to judge by, and what became of each result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.figures import WIDTH, canvas, styled
from neuroloom.learn.scoring.intervals import bounds_of_mean
from neuroloom.microscopy.story.threshold import pictured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.io.cases import Case
    from neuroloom.microscopy.curate import Curate, Prepared

SHEETS, MOST = "sheets", 20
TITLE = 0.4  # inches, of a name and a mark
FIRST, SECOND = (0.9, 0.35, 0.0), (0.0, 0.45, 0.7)
SEPARATOR = 2
NEXT = {
    True: "Those called good are a data set in artifacts/training, for microscopy.segment; every "
    "change is in its curation.json.",
    False: "Nothing was marked yet, so nothing is kept: write good or bad into a copy of "
    "artifacts/marks.csv, or sort the pictures of artifacts/sheets into folders good/ and bad/, "
    "and run again with `marks`.",
}


def write_sheet(folder: Path, case: Case, labels: np.ndarray, second: np.ndarray | None) -> Path:
    """Write NAME.png: the outline of the outcome, and in blue that of the second version."""
    from neuroloom.core.recording import image
    from neuroloom.io.images import write_image

    picture = pictured(case.image()[0], labels, FIRST)
    if second is not None and second.shape == labels.shape:
        other = pictured(case.image()[0], second, SECOND, shown=labels)
        gap = np.ones((len(picture), SEPARATOR, 3))
        picture = np.concatenate([picture, gap, other], axis=1)
    place = folder / SHEETS / f"{case.name}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    whole = np.round(255 * picture).astype(np.uint8).transpose(2, 0, 1)
    return write_image(place, image(whole, channels=["red", "green", "blue"]))


def report_curation(
    recipe: Curate, run: Run, prepared: Prepared, rows: Sequence[dict[str, Any]]
) -> None:
    """Write predictions, the table to mark, metrics, contact sheets and the page."""
    shelf = Shelf(run.folder / "artifacts")
    table = pd.DataFrame(rows)
    write_atomic(run.folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
    values = summed(table, recipe.seed) if recipe.marks else {}
    write_json(run.folder / "metrics.json", values)
    columns = ["fold", "seed", "metric", "value", "low", "high", "baseline", "chance"]
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": k, **v} for k, v in values.items()],
        columns=columns,
    )
    write_atomic(run.folder / "metrics.parquet", lambda p: tidy.to_parquet(p, index=False))
    run.log("scored", examples=len(table))
    marks = table[["name", "mark"]].replace({"unjudged": ""})
    shelf.add_table("marks", marks, title="Marks", caption="To be filled in.", section="data")
    shelf.add_table(
        "cases", table, title="What became of each result", section="result",
        caption="Shares of all pixels: changed by curation, and labelled now.",
    )  # fmt: skip
    marked = list(zip(table["name"], table["mark"], strict=True))
    for number, start in enumerate(range(0, len(marked), MOST), start=1):
        part = marked[start : start + MOST]
        shelf.add_figure(
            f"sheet_{number}", contact_sheet(shelf.folder / SHEETS, part),
            title=f"Contact sheet {number}", section="result", caption="Orange: the outcome; blue, "
            "beside it: the second version. Of a stack the slice with most in it.",
            alt=", ".join(f"{name}: {mark}" for name, mark in part),
        )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, prepared, table)))
    run.log("reported", report=write_report(run.folder).name)


def summed(table: pd.DataFrame, seed: int) -> dict[str, dict[str, float | None]]:
    """Return which share of the results was kept, and which share of their pixels was changed.

    Examples
    --------
    >>> table = pd.DataFrame({"mark": ["good", "bad"], "changed": [0.25, 0.5], "name": ["a", "b"]})
    >>> {name: entry["value"] for name, entry in summed(table, 1).items()}
    {'kept': 0.5, 'changed': 0.25}
    """
    kept = table["mark"] == "good"
    out: dict[str, dict[str, float | None]] = {}
    for name, rows in {"kept": kept.astype(float), "changed": table["changed"][kept]}.items():
        low, high = bounds_of_mean(rows.to_numpy(float), table["name"][rows.index], seed)
        out[name] = {"value": float(rows.mean()), "low": low, "high": high}
        out[name] |= {"baseline": None, "chance": None}
    return out


@styled
def contact_sheet(folder: Path, marked: Sequence[tuple[str, str]]) -> Figure:
    """Draw the pictures of results in rows, each with its name and mark."""
    from neuroloom.io.images import read_image, to_array

    pictures = [
        to_array(read_image(folder / f"{name}.png")).transpose(1, 2, 0) for name, _ in marked
    ]
    tallest = max(len(picture) / picture.shape[1] for picture in pictures)
    columns = 4 if tallest > 0.6 else 2  # two versions side by side are wide
    rows = -(-len(marked) // columns)
    height = rows * (WIDTH / columns * tallest + TITLE)
    figure, axes = canvas(height, rows=rows, columns=columns, squeeze=False)
    for place in axes.flat:
        place.set_axis_off()
    for place, picture, (name, mark) in zip(axes.flat, pictures, marked, strict=False):
        place.imshow(picture)
        place.set_title(f"{name}: {mark}", fontsize=8)
    return figure


def _facts(recipe: Curate, prepared: Prepared, table: pd.DataFrame) -> dict[str, Any]:
    counts = {word: int((table["mark"] == word).sum()) for word in ("good", "bad", "unjudged")}
    files = prepared.files
    rows = {
        "Images": ", ".join(f"{count} {word}" for word, count in counts.items()),
        "Merged": f"{len(files['regions'])} with a region of the second version",
        "Left out": f"{len(files['exclude'])} with a region that is not learnt from",
    }
    return {
        "title": "Segmentations sorted and merged",
        "question": "Which results are good enough to learn from?",
        "primary": "kept" if recipe.marks else "",
        "example": "image",
        "how_sure": "Intervals are bootstraps over images.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "method": [NEXT[bool(recipe.marks)]],
        "citations": ["Chen et al. (2018), bioRxiv 491035 (Allen Cell and Structure Segmenter)"],
        "meanings": {
            "kept": "Share of the results that were called good.",
            "changed": "Share of the pixels of these that merging or leaving out changed.",
        },
    }
