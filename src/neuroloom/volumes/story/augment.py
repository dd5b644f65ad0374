"""The report of changed copies: before and after, what was drawn, how labels came back."""

from __future__ import annotations

from glob import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json, write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.volumes.augment import summarise_dice
from neuroloom.volumes.story.planes import planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.volumes.augment import Augment, Found

SHOWN = 3


def report_copies(recipe: Augment, run: Run, prepared: Found, table: pd.DataFrame) -> None:
    """Write metrics, tables, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    metrics = summarise_dice(table, recipe.seed)
    write_json(run.folder / "metrics.json", metrics)
    tidy = pd.DataFrame(
        [
            {"fold": "all", "seed": "all", "metric": name, **entry}
            for name, entry in metrics.items()
        ],
        columns=["fold", "seed", "metric", "value", "low", "high", "baseline", "chance"],
    )
    write_atomic(run.folder / "metrics.parquet", lambda p: tidy.to_parquet(p, index=False))
    shelf.add_figure(
        "copies", before_and_after(recipe, run, prepared),
        title="Before and after",
        caption="Each case as it was, then its copies; the label is drawn over it.",
        section="data", alt="Planes through cases and their changed copies",
    )  # fmt: skip
    if not table.empty:
        shelf.add_table(
            "labels", table, title="How labels came back",
            caption="Dice of the label on the source's grid, after change and way back; unrestored "
            "is the changed label left where it is.",
        )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, run, prepared, table)))
    run.log("reported", report=write_report(run.folder).name)


def before_and_after(recipe: Augment, run: Run, prepared: Found) -> Figure:
    """Draw the first cases and a copy or two of each."""
    from neuroloom.io.images import read_image, to_array

    rows: list[tuple[np.ndarray, str, np.ndarray | None]] = []
    folder = run.folder / "artifacts"
    for case in list(prepared.cases.cases)[: 1 if recipe.copies >= SHOWN else 2]:
        source = recipe.source(case)
        rows.append((source.x[0], "as it was", source.y))
        for copy in range(1, min(recipe.copies, SHOWN) + 1):
            own = f"{escape(case.name)}_copy-{copy}.*"
            (image,) = (folder / "images").glob(own)
            labels = list((folder / "labels").glob(own))
            label = to_array(read_image(labels[0]))[0] if labels else None
            rows.append((to_array(read_image(image))[0], f"copy {copy}", label))
    overlays = [_overlay(image, label) for image, _, label in rows]
    return planes([image for image, _, _ in rows], [title for _, title, _ in rows], overlays)


def _overlay(image: np.ndarray, label: np.ndarray | None) -> np.ndarray:
    if label is None or not label.any():
        return np.zeros(image.shape)
    return np.asarray(label / label.max(), dtype=float)


def _facts(recipe: Augment, run: Run, prepared: Found, table: pd.DataFrame) -> dict[str, Any]:
    drawn = read_json(run.folder / "transforms.json")
    labelled = sum(case.label is not None for case in prepared.cases.cases)
    cases = table["name"].nunique()
    rows = {
        "Cases": f"{len(prepared.cases.cases)}, {labelled} with a label",
        "Copies": f"{len(drawn)}, in {run.folder.name}/artifacts/images and labels",
        "Transforms": ", ".join(prepared.names) or "none",
        "Layout": prepared.cases.layout,
    }
    return {
        "title": "Changed copies of images",
        "question": "Copies for training, or for a test of robustness; can what moved be undone?",
        "primary": "label_dice",
        "example": "label",
        "how_sure": f"The interval is a bootstrap over {cases} cases." if cases else "",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "method": [
            "Parameters are drawn for each copy from the seed, the name of the case and the number "
            "of the copy, and kept in transforms.json. Images are read linearly, labels from the "
            "nearest voxel. On the way back each voxel votes for the one it was read from."
        ],
        "citations": ["Pérez-García et al. (2021), Comput. Methods Programs Biomed. 208, 106236"],
        "meanings": {
            "label_dice": "Overlap of the label with itself after the change and the way back: 1 "
            "is exact. The baseline leaves the changed label where it is."
        },
    }
