"""The report of `pose.volumetric`: errors in space beside those of triangulating each camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.figures import SOFT, canvas, colour, styled
from neuroloom.pose.volume.evaluate import write_scores
from neuroloom.pose.volume.judge import summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.pose.volume.kept import Kept
    from neuroloom.pose.volume.project import Project
    from neuroloom.pose.volumetric import Volumetric

FEW = 0.9  # share of points whose animal was found, below which it is said on top


def report_volumes(
    recipe: Volumetric, run: Run, project: Project, kept: Kept, rows: pd.DataFrame
) -> None:
    """Write down what the moments held out say."""
    shelf = Shelf(run.folder / "artifacts")
    write_scores(run.folder, rows, summarise(rows, recipe.seed))
    columns = ["error", "error_centre_known", "two_step", "two_step_robust"]
    table = rows.groupby("keypoint", sort=False)[columns].mean()
    shelf.add_table("keypoints", table.reset_index(), title="Mean error by keypoint")
    if rows["error"].notna().any():
        unit = project.rig.unit
        shelf.add_figure("errors", errors(rows, unit), title="Distance from the labelled points")
        shelf.add_figure("expected", expected(rows, unit), title="Expected and real error")
    write_facts(run.folder, Facts(**_facts(recipe, project, rows, kept)))
    run.log("reported", report=write_report(run.folder).name)


@styled
def errors(rows: pd.DataFrame, unit: str) -> Figure:
    """Draw the share of points within a distance, of the net and of two steps."""
    figure, axes = canvas(3.2)
    names = {"error": "volume net", "two_step": "two steps", "two_step_robust": "two steps, robust",
             "error_centre_known": "volume net, centre known"}  # fmt: skip
    for number, (column, label) in enumerate(names.items()):
        values = np.sort(rows[column].dropna().to_numpy())
        style = "--" if column == "error_centre_known" else "-"
        axes.plot(values, np.linspace(0, 1, len(values)), style, color=colour(number), label=label)
    axes.set(xlabel=f"Distance ({unit})", ylabel="Share of points", ylim=(0, 1))
    axes.set_xlim(0, max(float(rows["error"].quantile(0.98)), 1e-6))
    axes.legend(loc="lower right")
    return figure


@styled
def expected(rows: pd.DataFrame, unit: str) -> Figure:
    """Draw the real error of points against what was expected of them."""
    figure, axes = canvas(3.2)
    known = rows.dropna(subset=["error", "expected_error"])
    top = max(float(known[["error", "expected_error"]].quantile(0.99).max()), 1e-6)
    axes.plot([0, top], [0, top], color=SOFT, linewidth=0.8)
    axes.scatter(known["expected_error"], known["error"], s=6, alpha=0.4, color=colour(0))
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.set(xlabel=f"Expected error ({unit})", ylabel=f"Error ({unit})")
    return figure


def _facts(recipe: Volumetric, project: Project, rows: pd.DataFrame, kept: Kept) -> dict[str, Any]:
    views, shape, held = project.views, kept.shape, rows["frame"].nunique()
    unit, found = project.rig.unit, float(rows["error"].notna()[rows["known"]].mean())
    facts = {
        "Cameras": ", ".join(views.rig.names),
        "Moments": f"{len(project.frames)}, {held} of them held out",
        "Points": str(views.points.shape[1]),
        "Images": f"{project.shrink} times smaller than the films; crops of {shape.crop} px",
        "Cube": f"{shape.cube:.0f} {unit}, {shape.grid} voxels along a side",
    }
    return {
        "title": "Points in space, by a volume net",
        "question": "Where in space are the animal's points, judged by all cameras at once?",
        "primary": "mean_error_mm",
        "example": "moment",
        "baseline": "each camera alone, then triangulation",
        "how_sure": "Intervals are bootstraps over the moments held out.",
        "data": [{"label": label, "value": value} for label, value in facts.items()],
        "split": [f"The last {held} moments, in their order, judge the net."],
        "notes": _notes(found),
        "method": [
            f"Learnt with neuroloom {__version__}. The animal's centre: a small U-Net on whole, "
            "shrunken frames of each camera, triangulated by the views that agree. Its points: a "
            "2-D U-Net gives each view's probability of every point, or that it is out of sight; "
            "sums of their logarithms over the views, unprojected into a cube, are corrected by a "
            "3-D net; round the best voxel the views are looked at more closely, and the point is "
            "the expected place there."
        ],
        "citations": ["Dunn TW et al. (2021). Nat Methods 18, 564-573 (DANNCE)."],
        "meanings": _meanings(unit, kept.reach),
    }


def _notes(found: float) -> list[str]:
    told = (
        "In every held-out moment the animal was looked for by its own net, as in new films; the "
        "two-step way gets the same crops. With 'centre known' the cube is laid round the mean of "
        "the labelled points instead."
    )
    few = (
        f"The animal was found for {found:.0%} of the labelled points only, and the others are in "
        "no mean: a larger budget, or more labelled moments, will find more."
    )
    return [told, few] if found < FEW else [told]


def _meanings(unit: str, reach: float) -> dict[str, str]:
    return {
        "mean_error_mm": f"Mean distance ({unit}) from the labelled points, the animal's centre "
                         "found by the net.",
        "median_error_mm": f"Their median distance ({unit}).",
        "mean_error_mm/centre_known": f"Mean distance ({unit}) where the cube is laid round the "
                                      "mean of the labelled points.",
        "com_error": f"Mean distance ({unit}) of the animal's centre, as found, from the mean of "
                     "its labelled points.",
        "found": "Share of the labelled points whose animal was found; the others have no place "
                 "and are in no mean.",
        "expectation_slope": "Real over expected error: 1 where expectations are true. Confidence "
                             f"is the probability of an error below {reach:.1f} {unit}.",
    }  # fmt: skip
