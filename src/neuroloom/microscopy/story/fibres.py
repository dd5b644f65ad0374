"""What the report of `microscopy.axon` shows of single axons: found beside true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from neuroloom.core.artifact import Shelf

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.microscopy.axon import Axon

DENSITIES = ("axon_density", "axon_area_fraction", "myelin_area_fraction", "aggregate_gratio")


def add_sizes(study: Axon, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Add tables of every held-out image, and the sizes of the axons found in all of them."""
    from neuroloom.learn.dense.held_out import decode, held
    from neuroloom.microscopy.fibres import sum_up, table_of
    from neuroloom.microscopy.story.axons import sizes

    dataset, rows, found = prepared.dataset, [], []
    known = dataset.facts["unit"] != "px" or study.pixel_size is not None
    mine = [fit for fit in fits if fit.job.fold >= 0]
    first = min((fit.job.seed for fit in mine), default=0)
    for case in held(prepared, [fit for fit in mine if fit.job.seed == first]):
        row: dict[str, Any] = {"image": str(dataset.table["name"].iloc[case.row])}
        labels = decode(case.p, dataset.facts), dataset.x[case.row].truth()
        tables = [table_of(label, dataset, case.row, study.shape) for label in labels]
        own, true = (
            sum_up(table, label, dataset, case.row, known=known)
            for table, label in zip(tables, labels, strict=True)
        )
        for name, value in own.items():
            row |= {name: value, f"{name} (true)": true[name]}
        rows.append(row)
        found.append(tables[0])
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


def _add_sums(shelf: Shelf, images: pd.DataFrame, unit: str) -> None:
    """Add what sums up every held-out image: axons and their sizes, and how densely they lie."""
    dense = [name for name in images if name.startswith(DENSITIES)]
    shelf.add_table(
        "axons",
        images.drop(columns=dense),
        title="Axons found and true",
        caption=f"Of every held-out image. Diameters in {unit}; medians leave out axons that the "
        "border cuts.",
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
