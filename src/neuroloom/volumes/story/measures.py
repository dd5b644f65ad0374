"""The report of `volumes.measures`: summed up, spread by class, and the worst cases by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.dense.measures.overlap import EMPTY_RULES
from neuroloom.learn.figures import canvas, colour, styled
from neuroloom.volumes import measures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.volumes.measure import Measure, Prepared

WORST = 10
HOW_SURE = "The interval is a bootstrap over subjects where they are known, else cases."
_CITED = {
    "surface": "Nikolov S et al. (2021). J Med Internet Res 23(7):e26151 (surface distances).",
    "names": "Jungo A et al. (2021). Comput Methods Programs Biomed 198:105796 (pymia's names).",
    "formulas": "Taha AA, Hanbury A (2015). BMC Med Imaging 15:29 (measures).",
}


def report_measures(
    recipe: Measure, run: Run, prepared: Prepared, tables: dict[str, pd.DataFrame]
) -> None:
    """Write the summed-up table, the figures, the facts and the page."""
    shelf = Shelf(run.folder / "artifacts")
    table, rated = tables["measures"], tables["predictions"]
    extra = [c for c in table.columns if c not in (*recipe.chosen, *_HEAD) and _is_score(table, c)]
    summed = measures.aggregate(table, recipe.groups, [*recipe.chosen, *extra])
    shelf.add_table(
        "summary", summed, title="Over cases", section="result",
        caption="Undefined values are left out of the means and counted beside them.",
    )  # fmt: skip
    _add_figures(shelf, rated, list(prepared.classes), prepared.unit)
    shelf.add_table(
        "worst", worst_cases(rated), title="The worst cases", section="result",
        caption=f"The {WORST} lowest Dice of a case and class.",
    )  # fmt: skip
    shelf.add_file("measures", "table", "measures.parquet", title="Every case", section="result")
    if len(tables["lesions"]):
        shelf.add_table("lesions", tables["lesions"], title="Every lesion", section="result")
    write_facts(run.folder, Facts(**_facts(recipe, prepared, table)))
    run.log("reported", report=write_report(run.folder).name)


def report_images(
    recipe: Measure, run: Run, prepared: Prepared, tables: dict[str, pd.DataFrame]
) -> None:
    """Write the summed-up table, the figure, the facts and the page of pairs of images."""
    shelf = Shelf(run.folder / "artifacts")
    table, rated = tables["measures"], tables["predictions"]
    shelf.add_table(
        "summary", measures.aggregate(table, recipe.groups, recipe.chosen), title="Over cases",
        section="result", caption="Undefined values are left out of the means and counted.",
    )  # fmt: skip
    shelf.add_figure(
        "distributions",
        distributions(rated.assign(**{"class": "images"}), ["images"],
                      {"psnr": "PSNR (dB)", "ssim": "SSIM"}),
        title="Each case", caption="One dot is one case, mean over its channels.",
        alt=f"PSNR and SSIM by case; median PSNR {rated['psnr'].median():.1f} dB, "
        f"SSIM {rated['ssim'].median():.3f}.",
        section="result",
    )  # fmt: skip
    worst = rated.sort_values("psnr", kind="stable")[["case", "psnr", "ssim"]].head(WORST)
    shelf.add_table(
        "worst", worst.reset_index(drop=True), title="The worst cases", section="result",
        caption=f"The {WORST} lowest PSNR.",
    )  # fmt: skip
    shelf.add_file("measures", "table", "measures.parquet", title="Every case", section="result")
    write_facts(run.folder, Facts(**_facts_of_images(recipe, prepared, table)))
    run.log("reported", report=write_report(run.folder).name)


_HEAD = ("example", "case", "class", "undefined")


def _is_score(table: pd.DataFrame, name: str) -> bool:
    return bool(pd.api.types.is_float_dtype(table[name]))


def worst_cases(rated: pd.DataFrame, n: int = WORST) -> pd.DataFrame:
    """Return the rows of lowest Dice, with why a distance is undefined.

    Parameters
    ----------
    rated
        Prediction rows, one a case and class.
    """
    from neuroloom.learn.dense.measures import overlap

    counts = (rated[name].to_numpy() for name in ("tp", "fp", "fn", "tn"))
    table = rated.assign(dice=overlap.dice(*counts))
    columns = ["case", "class", "dice", "nsd", "hd95", "volume_true", "volume_pred", "undefined"]
    return table.sort_values("dice", kind="stable")[columns].head(n).reset_index(drop=True)


def _add_figures(shelf: Shelf, rated: pd.DataFrame, classes: Sequence[str], unit: str) -> None:
    from neuroloom.learn.dense.measures import overlap

    counts = (rated[name].to_numpy() for name in ("tp", "fp", "fn", "tn"))
    rated = rated.assign(dice=overlap.dice(*counts))
    shown = {"dice": "Dice", "nsd": "Surface Dice", "hd95": f"HD95 ({unit})"}
    told = [
        f"{name}: median Dice {rated.loc[rated['class'] == name, 'dice'].median():.3f}"
        for name in classes
    ]
    shelf.add_figure(
        "distributions", distributions(rated, classes, shown), title="Each class",
        caption="One dot is one case; the line is the median, the bar the middle half.",
        alt="Scores by class. " + "; ".join(told) + ".", section="result",
    )  # fmt: skip
    shelf.add_figure(
        "volumes", volume_plot(rated, classes, unit), title="True and predicted size",
        caption="On the dashed line both are the same.", section="result",
    )  # fmt: skip


@styled
def distributions(rated: pd.DataFrame, classes: Sequence[str], shown: dict[str, str]) -> Figure:
    """Draw the scores of all cases, a panel a score and a column a class.

    Parameters
    ----------
    rated
        Columns class and those of `shown`.
    shown
        Column -> label.
    """
    figure, panels = canvas(2.6, columns=len(shown), squeeze=False)
    rng = np.random.default_rng(0)
    for axes, (column, label) in zip(panels[0], shown.items(), strict=True):
        for place, name in enumerate(classes):
            values = rated.loc[rated["class"] == name, column].dropna().to_numpy(dtype=float)
            if not len(values):
                continue
            aside = place + rng.uniform(-0.16, 0.16, len(values))
            axes.plot(aside, values, "o", color=colour(place), markersize=4, alpha=0.55)
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
            axes.vlines(place, low, high, color=colour(place), lw=5, alpha=0.35)
            axes.hlines(middle, place - 0.25, place + 0.25, color=colour(place), lw=2)
        axes.set_xticks(range(len(classes)), classes, rotation=0 if len(classes) < 4 else 90)
        axes.set_xlim(-0.6, len(classes) - 0.4)
        axes.set_title(label, fontsize=10)
        if column in ("dice", "nsd", "ssim"):
            axes.set_ylim(top=1.02)
    return figure


@styled
def volume_plot(rated: pd.DataFrame, classes: Sequence[str], unit: str) -> Figure:
    """Draw predicted beside true sizes of all cases."""
    figure, axes = canvas(3.4)
    for place, name in enumerate(classes):
        own = rated[rated["class"] == name]
        axes.plot(
            own["volume_true"], own["volume_pred"], "o", color=colour(place), markersize=5,
            alpha=0.6, label=name,
        )  # fmt: skip
    top = float(rated[["volume_true", "volume_pred"]].to_numpy().max()) or 1.0
    axes.plot([0, top], [0, top], "--", color="#9a9a9a", lw=1)
    axes.set(xlabel=f"True size ({unit}, cubed or squared)", ylabel="Predicted size")
    axes.legend(loc="upper left")
    return figure


def _grid_of(prepared: Prepared) -> str:
    header = prepared.pairs[0].header
    shape, spacing = (" × ".join(f"{v:g}" for v in part) for part in (header.shape, header.spacing))
    return f"{shape}, voxels of {spacing} {header.unit}"


def _facts_of_images(recipe: Measure, prepared: Prepared, table: pd.DataFrame) -> dict[str, Any]:
    rows = {
        "Cases": str(len(prepared.pairs)),
        "Channels": ", ".join(table["channel"].unique()),
        "Grid of the first case": _grid_of(prepared),
        "Measures": ", ".join(recipe.chosen),
    }
    return {
        "title": "Images against their references",
        "question": "How near do the predicted images come to the reference images?",
        "primary": "psnr",
        "example": "case",
        "unit": "subject" if "subject" in table else "case",
        "how_sure": HOW_SURE,
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": [f"{found.title}: {found.detail}" for found in prepared.findings],
        "method": [
            f"Measured with neuroloom {__version__}. psnr and ssim above are per range of the "
            "reference, as in volumes.synthesize; PSNR and SSIM of the tables are per its largest "
            "value, as in pymia."
        ],
        "citations": [_CITED["names"]],
    }


def _facts(recipe: Measure, prepared: Prepared, table: pd.DataFrame) -> dict[str, Any]:
    header = prepared.pairs[0].header
    tolerance = recipe.tolerance_of(header.unit, header.spacing)
    empty = int((table["undefined"] != "").sum())
    rows = {
        "Cases": str(len(prepared.pairs)),
        "Classes": ", ".join(prepared.classes),
        "Grid of the first case": _grid_of(prepared),
        "Tolerance of surfaces": f"{tolerance:g} {header.unit}",
        "Measures": ", ".join(recipe.chosen),
    }
    notes = [f"{found.title}: {found.detail}" for found in prepared.findings]
    if empty:
        notes.append(f"In {empty} rows only truth or prediction is empty: distances are undefined.")
    return {
        "title": "Predictions against the truth",
        "question": "How well do the predicted labels agree with the true ones?",
        "primary": "dice",
        "example": "case",
        "unit": "subject" if "subject" in table else "case",
        "how_sure": HOW_SURE,
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": notes,
        "method": [
            f"Measured with neuroloom {__version__}. Surfaces run between voxels and are weighted "
            "by area (Nikolov et al. 2021). "
            + " ".join(f"{name.capitalize()}: {rule}" for name, rule in EMPTY_RULES.items())
        ],
        "citations": list(_CITED.values()),
    }
