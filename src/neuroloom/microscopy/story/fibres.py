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


def add_sizes(study: Axon, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Add a table of every held-out image, and the sizes of the axons found in all of them."""
    from neuroloom.learn.dense.held_out import decode, held
    from neuroloom.microscopy.fibres import sum_up, table_of
    from neuroloom.microscopy.story.axons import sizes

    dataset, rows, found = prepared.dataset, [], []
    mine = [fit for fit in fits if fit.job.fold >= 0]
    first = min((fit.job.seed for fit in mine), default=0)
    for case in held(prepared, [fit for fit in mine if fit.job.seed == first]):
        label = decode(case.p, dataset.facts)
        table = table_of(label, dataset, case.row, study.shape)
        true = sum_up(table_of(dataset.x[case.row].truth(), dataset, case.row, study.shape))
        row: dict[str, Any] = {"image": str(dataset.table["name"].iloc[case.row])}
        for name, value in sum_up(table).items():
            row |= {name: value, f"{name} (true)": true[name]}
        rows.append(row)
        found.append(table)
    if not rows:
        return
    shelf = Shelf(run.folder / "artifacts")
    unit = "um" if dataset.facts["unit"] != "px" or study.pixel_size else "pixels"
    shelf.add_table(
        "axons",
        pd.DataFrame(rows).round(4),
        title="Axons found and true",
        caption=f"Of every held-out image. Diameters in {unit}; medians leave out axons that the "
        "border cuts.",
        section="result",
    )
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
