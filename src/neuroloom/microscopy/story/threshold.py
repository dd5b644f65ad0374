"""The report of `microscopy.threshold`: counts, scores where labels exist, outlines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.figures import canvas, styled
from neuroloom.learn.scoring.intervals import interval, resample, tail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.microscopy.threshold import Prepared, Threshold

RESAMPLES = 1000


def report_threshold(
    recipe: Threshold,
    run: Run,
    prepared: Prepared,
    rows: Sequence[dict[str, Any]],
    shown: Any,
) -> None:
    """Write predictions, metrics, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    table = pd.DataFrame(rows)
    write_atomic(run.folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
    values = score(table, "f1" if prepared.kind == "labels" else "dice", recipe.seed)
    write_json(run.folder / "metrics.json", values)
    columns = ["fold", "seed", "metric", "value", "low", "high", "baseline", "chance"]
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": k, **v} for k, v in values.items()],
        columns=columns,
    )
    write_atomic(run.folder / "metrics.parquet", lambda p: tidy.to_parquet(p, index=False))
    run.log("scored", examples=len(table))
    shelf.add_table("cases", table, title="Each image", section="result")
    name, image, labels = shown
    shelf.add_figure(
        "outlines", outlines(image, labels), title=f"What was found in {name}", section="result",
        caption="Outlines over the image; of a stack the slice with most in it.",
    )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, prepared, table)))
    run.log("reported", report=write_report(run.folder).name)


def score(table: pd.DataFrame, name: str, seed: int) -> dict[str, dict[str, float | None]]:
    """Return F1 (or Dice), precision and recall of counts pooled over cases.

    Parameters
    ----------
    table
        Columns tp, fp, fn, and the same with `baseline_`; none if nothing was labelled.
    name
        What 2 TP / (2 TP + FP + FN) is called.
    seed
        Of the bootstrap over cases; with one case there is no interval.

    Examples
    --------
    >>> table = pd.DataFrame({"tp": [3], "fp": [1], "fn": [1]})
    >>> score(table, "f1", 1)["f1"]["value"]
    0.75
    """
    if "tp" not in table:
        return {}
    rows = table[table["tp"].notna()]
    unit = np.arange(len(rows))
    parts = {name: (2, 1, 1), "precision": (1, 1, 0), "recall": (1, 0, 1)}
    out: dict[str, dict[str, float | None]] = {}
    for key, weights in parts.items():
        counts = rows[["tp", "fp", "fn"]].to_numpy(float)
        value = _share(counts.sum(axis=0), weights)
        entry: dict[str, float | None] = {"value": value, "low": None, "high": None,
                                          "baseline": None, "chance": None}  # fmt: skip
        if len(rows) > 1:
            rng = np.random.default_rng(seed)
            draws = np.concatenate(list(resample(unit, RESAMPLES, rng)))
            shares = [_share(total, weights) for total in draws @ counts]
            entry["low"], entry["high"] = interval(np.array(shares), value, tail(unit))
        if "baseline_tp" in rows:
            plain = rows[["baseline_tp", "baseline_fp", "baseline_fn"]].to_numpy(float)
            entry["baseline"] = _share(plain.sum(axis=0), weights)
        out[key] = entry
    return out


def _share(counts: ArrayLike, weights: tuple[int, int, int]) -> float:
    tp, fp, fn = np.asarray(counts, float)
    below = weights[0] * tp + weights[1] * fp + weights[2] * fn
    return float(weights[0] * tp / below) if below else float("nan")


@styled
def outlines(image: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw an image with the outlines of what was found."""
    figure, axes = canvas(5.0 * image.shape[-2] / image.shape[-1])
    axes.imshow(pictured(image, labels), interpolation="nearest")
    axes.set_axis_off()
    return figure


def pictured(
    image: np.ndarray,
    labels: np.ndarray,
    paint: tuple[float, float, float] = (0.9, 0.35, 0.0),
    *,
    shown: np.ndarray | None = None,
) -> np.ndarray:
    """Return an image in grey with outlines in a colour, (y, x, 3) from 0 to 1.

    Parameters
    ----------
    image, labels
        Shape (y, x), or (z, y, x), of which one slice is drawn.
    shown
        Labels that tell the slice, the one with most in it; default: `labels`.

    Examples
    --------
    >>> pictured(np.eye(4), np.eye(4)).shape
    (4, 4, 3)
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    if image.ndim == 3:
        best = int(((labels if shown is None else shown) > 0).sum(axis=(1, 2)).argmax())
        image, labels = image[best], labels[best]
    numbers = labels.astype(np.int32)
    rim = (maximum_filter(numbers, 3) != minimum_filter(numbers, 3)) & (numbers > 0)
    low, high = np.percentile(image, (1, 99.5))
    grey = np.clip((image - low) / ((high - low) or 1), 0, 1)
    return np.where(rim[..., None], np.array(paint), grey[..., None])


def _facts(recipe: Threshold, prepared: Prepared, table: pd.DataFrame) -> dict[str, Any]:
    scored = int(table["tp"].notna().sum()) if "tp" in table else 0
    objects = prepared.kind == "labels"
    steps = " → ".join(str(step["do"]) for step in prepared.steps)
    rows = {"Images": f"{len(table)}, of which {scored} have labels", "Steps": steps}
    return {
        "title": f"Segmentation by the pipeline {Path(recipe.pipeline).name}",
        "question": "What do classic steps find, without any training?",
        "primary": ("f1" if objects else "dice") if scored else "",
        "example": "image",
        "baseline": "Otsu's threshold and a cut at waists",
        "how_sure": "Intervals are bootstraps over images; of one image there is none.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "method": [f"Steps with their parameters: {list(map(dict, prepared.steps))}."],
        "citations": ["Chen et al. (2018), bioRxiv 491035 (Allen Cell and Structure Segmenter)"],
        "meanings": {
            "f1": f"Share of objects that are right, with an overlap of {recipe.iou:g} or more.",
            "dice": "Overlap of the found with the true mask, all images pooled.",
            "precision": "Share of what was found that is true.",
            "recall": "Share of what is true that was found.",
        },
    }
