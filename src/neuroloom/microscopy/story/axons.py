"""The report of `microscopy.measure`: distributions, g-ratio by diameter, and the outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.figures import canvas, colour, styled
from neuroloom.learn.scoring.intervals import bounds_of_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.microscopy.measure import Measure, Prepared, Section

MEANS = {
    "gratio": "gratio", "axon_diameter": "axon_diam (um)",
    "myelin_thickness": "myelin_thickness (um)",
}  # fmt: skip
MEANING = {
    "gratio": "Mean g-ratio of axons that the border does not cut.",
    "axon_diameter": "Their mean diameter, um.",
    "myelin_thickness": "The mean thickness of their myelin, um.",
}
SHOWN = 900


def report_axons(
    recipe: Measure, run: Run, prepared: Prepared, parts: list[dict[str, pd.DataFrame]]
) -> None:
    """Write predictions, metrics, figures and the page."""
    from neuroloom.microscopy.measures import calibre_table

    shelf = Shelf(run.folder / "artifacts")
    names = [section.name for section in prepared.sections]
    axons = pd.concat(
        [part["axons"].assign(case=name) for part, name in zip(parts, names, strict=True)],
        ignore_index=True,
    )
    write_atomic(run.folder / "predictions.parquet", lambda p: axons.to_parquet(p, index=False))
    values = summarise(axons, recipe.seed)
    write_json(run.folder / "metrics.json", values)
    tidy = pd.DataFrame([{"fold": "all", "seed": "all", "metric": k, **v}
                         for k, v in values.items()])  # fmt: skip
    write_atomic(run.folder / "metrics.parquet", lambda p: tidy.to_parquet(p, index=False))
    run.log("scored", examples=len(axons))
    densities = pd.concat(
        [part["densities"].assign(case=name) for part, name in zip(parts, names, strict=True)]
    )
    shelf.add_table("densities", densities, title="Each image", section="result")
    shelf.add_table(
        "calibres", calibre_table(axons[~axons["image_border_touching"]]), title="By calibre",
        section="result", caption="Axons that the border cuts are left out.",
    )  # fmt: skip
    shelf.add_figure(
        "sizes", sizes(axons), title="Axon diameters and g-ratios", section="result",
        caption="Axons that the border cuts are left out.",
        alt=f"Diameters of {len(axons)} axons, and their g-ratios.",
    )  # fmt: skip
    shelf.add_figure(
        "outlines", outlines(prepared.sections[0]), title=f"Axons and fibres of {names[0]}",
        caption="Each fibre, its myelin paler than its axon, in a colour of its own.",
        section="data",
    )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, prepared, axons)))
    run.log("reported", report=write_report(run.folder).name)


def summarise(axons: pd.DataFrame, seed: int) -> dict[str, dict[str, float | None]]:
    """Return the means with 95 % intervals, resampled over images and the axons inside.

    Parameters
    ----------
    axons
        Columns of a morphometry and `case`.
    seed
        Of the bootstrap.
    """
    whole = axons[~axons["image_border_touching"]]
    out = {}
    for key, column in MEANS.items():
        own = whole[whole[column].notna()]
        entry: dict[str, float | None] = dict.fromkeys(
            ("value", "low", "high", "baseline", "chance")
        )
        if len(own):
            values = own[column].to_numpy(float)
            low, high = bounds_of_mean(values, own["case"], seed)
            entry |= {"value": float(values.mean()), "low": low, "high": high}
        out[key] = entry
    return out


@styled
def sizes(axons: pd.DataFrame) -> Figure:
    """Draw the histogram of diameters, and the g-ratio of each axon over its diameter."""
    whole = axons[~axons["image_border_touching"]]
    figure, (top, below) = canvas(5.2, rows=2, sharex=True)
    top.hist(whole["axon_diam (um)"], bins=30, color=colour(0), alpha=0.8)
    top.set(ylabel="Axons")
    below.plot(whole["axon_diam (um)"], whole["gratio"], "o", ms=3, color=colour(1), alpha=0.5)
    below.set(xlabel="Axon diameter (um)", ylabel="g-ratio", ylim=(0, 1.03))
    return figure


@styled
def outlines(section: Section) -> Figure:
    """Draw the axons and fibres of an image, each fibre in a colour; large images are thinned."""
    from neuroloom.microscopy.measure import read_mask
    from neuroloom.microscopy.morphometry import as_mask, label_axons, label_fibres

    axon = as_mask(read_mask(section.axon))
    myelin = np.zeros_like(axon) if section.myelin is None else as_mask(read_mask(section.myelin))
    fibres = label_fibres(axon, myelin, label_axons(axon))
    step = max(1, max(axon.shape) // SHOWN)
    fibres, axon = fibres[::step, ::step], axon[::step, ::step]
    tints = np.random.default_rng(0).uniform(0.15, 0.85, (int(fibres.max()) + 1, 3))
    picture = np.where((fibres > 0)[..., None], tints[fibres], 1.0)
    picture = np.where((axon | (fibres == 0))[..., None], picture, 0.5 + 0.5 * picture)
    figure, axes = canvas(5.0 * axon.shape[0] / axon.shape[1])
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    return figure


def _facts(recipe: Measure, prepared: Prepared, axons: pd.DataFrame) -> dict[str, Any]:
    pixels = sorted({section.pixel_um for section in prepared.sections})
    cut = int(axons["image_border_touching"].sum())
    rows = {
        "Images": str(len(prepared.sections)),
        "Pixel": ", ".join(f"{pixel:g} um" for pixel in pixels),
        "Axons": f"{len(axons)}, of which the border cuts {cut}",
        "Diameter": {"circle": "of the circle of equal area", "ellipse": "minor axis"}[
            recipe.shape
        ],
    }
    return {
        "title": "Axons and myelin",
        "question": "How thick are the axons, and how thick is their myelin?",
        "primary": "gratio",
        "example": "axon",
        "how_sure": "Intervals are bootstraps over images and the axons in them.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "method": [
            "Fibres were parted by a watershed from the axons' centroids down the depth of the "
            "axon mask, within axon and myelin."
        ],
        "citations": [
            "Zaimi et al. (2018), Scientific Reports 8, 3816",
            "Stikov et al. (2015), NeuroImage 118, 397-405 (aggregate g-ratio)",
        ],
        "meanings": MEANING,
    }
