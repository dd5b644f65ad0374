"""What the report of `microscopy.axon` shows of single axons: found beside true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf

if TYPE_CHECKING:
    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.microscopy.axon import Axon

DENSITIES = ("axon_density", "axon_area_fraction", "myelin_area_fraction", "aggregate_gratio")


def add_sizes(study: Axon, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Add tables of every held-out image, and the sizes of the axons found in all of them."""
    from neuroloom.learn.dense.held_out import judged
    from neuroloom.microscopy.story.axons import sizes

    dataset, rows, found = prepared.dataset, [], []
    known = dataset.facts["unit"] != "px" or study.pixel_size is not None
    mine = [fit for fit in fits if fit.job.fold >= 0]
    first = min((fit.job.seed for fit in mine), default=0)
    for case, label in judged(study, prepared, [fit for fit in mine if fit.job.seed == first]):
        row, table = _row_of(study, dataset, case.row, label, known=known)
        rows.append(row)
        found.append(table)
    if not rows:
        return
    shelf = Shelf(run.folder / "artifacts")
    unit = "um" if known else "pixels"
    _add_sums(shelf, pd.DataFrame(rows).round(4), unit)
    axons = pd.concat(found, ignore_index=True)
    if unit == "um" and (~axons["image_border_touching"].astype(bool)).any():
        shelf.add_figure(
            "sizes",
            sizes(axons.astype({"image_border_touching": bool})),
            title="Axon diameters and g-ratios",
            caption="Of the axons found in held-out images; those that the border cuts are out.",
            alt=f"Diameters of {len(axons)} axons, and their g-ratios.",
            section="result",
        )


def _row_of(
    study: Axon, dataset: Dataset, row: int, label: np.ndarray, *, known: bool
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the sums of an image, found and true, and the table of the axons found in it.

    Where the truth is left open, nothing counts.
    """
    from neuroloom.microscopy.fibres import sum_up, table_of, where_known

    truth, ignore = dataset.x[row].truth(), dataset.facts["ignore"]
    within = None if ignore is None else truth != ignore
    true, found = where_known(truth, label, dataset.facts)
    sums: dict[str, Any] = {"image": str(dataset.table["name"].iloc[row])}
    tables = [table_of(own, dataset, row, study.shape, within) for own in (found, true)]
    own, other = (
        sum_up(table, drawn, dataset, row, known=known, within=within)
        for table, drawn in zip(tables, (found, true), strict=True)
    )
    for name, value in own.items():
        sums |= {name: value, f"{name} (true)": other[name]}
    return sums, tables[0]


def _add_sums(shelf: Shelf, images: pd.DataFrame, unit: str) -> None:
    """Add what sums up every held-out image: axons and their sizes, and how densely they lie."""
    dense = [name for name in images if name.startswith(DENSITIES)]
    shelf.add_table(
        "axons",
        images.drop(columns=dense),
        title="Axons found and true",
        caption=f"Of every held-out image, where its label is not left open. Diameters in {unit}; "
        "medians leave out axons that the border cuts.",
        section="result",
    )
    shelf.add_table(
        "densities",
        images[["image", *dense]],
        title="Densities found and true",
        caption="Of every held-out image: axons per mm² (none where the size of a pixel is not "
        "known), the shares of its area that are axon (AVF) and myelin (MVF), and the aggregate "
        "g-ratio, sqrt(1 / (1 + MVF / AVF)) (Stikov et al. 2015).",
        section="result",
    )
