"""What the report of a pose study shows and says: frames with points, errors, expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.narrate import add_split_figure, study_facts

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.pose.estimate import Estimate
    from neuroloom.pose.nets.plan import PosePlan

ROWS = 400
SHOWN = 3  # frames each of the worst, the middle and the best
SIDE = 380  # px of a picture in the report
NOTHING_FOUND = (
    "No animal was found in any held-out frame: give it more time, or more labelled frames."
)


def illustrate(study: Estimate, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw frames, errors and expectations, and write `facts.json`."""
    from neuroloom.learn.figures import add_learning_curves

    shelf = Shelf(run.folder / "artifacts")
    rows = run.predictions
    mine = rows[rows["role"] == "model"] if len(rows) else rows
    table = frame_errors(mine) if len(mine) else mine
    if len(table):
        _add_frames(shelf, prepared, mine, table)
        _add_errors(shelf, mine, rows[rows["role"] == "baseline"])
        shelf.add_table(
            "frames",
            table.head(ROWS).round(3),
            title="Every frame, the worst first",
            caption="While it was held out; mean over its keypoints and seeds.",
            section="result",
        )
    add_split_figure(run, prepared)
    add_learning_curves(shelf, [fit.history for fit in fits])
    plan = next((getattr(fit.learner, "plan", None) for fit in fits), None)
    facts = study_facts(study, run, prepared, fits) | pose_facts(study, prepared, plan)
    if len(mine) and not len(table):
        facts["notes"] = [NOTHING_FOUND, *facts.get("notes", [])]
    write_facts(run.folder, Facts(**facts))


def frame_errors(mine: pd.DataFrame) -> pd.DataFrame:
    """Return a row a frame, the worst first: mean and largest error, and at which keypoint."""
    known = mine.dropna(subset=["error_px"])
    grouped = known.groupby("example", sort=False)["error_px"]
    table = grouped.agg(["mean", "max"]).rename(columns={"mean": "mean_px", "max": "largest_px"})
    worst = known.loc[grouped.idxmax(), ["example", "keypoint"]].set_index("example")["keypoint"]
    expected = known.groupby("example", sort=False)["expected_px"].mean()
    table = table.assign(at=worst, expected_px=expected)
    return (
        table.sort_values("mean_px", ascending=False)
        .reset_index()
        .rename(columns={"example": "frame"})
    )


def _add_frames(shelf: Shelf, prepared: Prepared, mine: pd.DataFrame, table: pd.DataFrame) -> None:
    from neuroloom.learn.overlay import sheet
    from neuroloom.pose.story.figures import picture

    n = len(table)
    middle = max(0, n // 2 - SHOWN // 2)
    places = [*range(min(SHOWN, n)), *range(middle, min(middle + SHOWN, n)), *range(n - SHOWN, n)]
    chosen = list(dict.fromkeys(place for place in places if 0 <= place < n))
    first = mine[mine["seed"] == mine["seed"].min()]
    drawn = [drawn_frame(prepared, first, str(table["frame"].iloc[place])) for place in chosen]
    shelf.add_figure(
        "overlays",
        picture(sheet(drawn, SHOWN)),
        title="The worst, the middle and the best frames",
        caption="Each while it was held out, cut to the animal. Rings: where people put the "
        "points; dots: where the net found them; a line joins the two.",
        section="result",
    )


def drawn_frame(prepared: Prepared, rows: pd.DataFrame, name: str) -> np.ndarray:
    """Return a frame cut to what was labelled and found, both drawn, (y, x, 3) uint8."""
    from neuroloom.learn.overlay import draw_points

    dataset = prepared.dataset
    at = int(np.flatnonzero(dataset.table["name"] == name)[0])
    own = rows[rows["example"] == name]
    names = dataset.facts["keypoints"]
    count = len(own) // len(names)
    true = own[["true_x", "true_y"]].to_numpy(float).reshape(count, len(names), 2)
    found = own[["x", "y"]].to_numpy(float).reshape(count, len(names), 2)
    frame = dataset.x[at]
    corner, side = _around(np.concatenate([true, found]).reshape(-1, 2), frame.shape)
    x, y = corner
    cut = frame[y : y + side, x : x + side]
    zoom = SIDE / max(cut.shape[:2])
    return draw_points(cut, found - corner, (), true - corner, zoom, radius=3.0)


def _around(points: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Return the corner (x, y) and the side of a square round points, inside the frame."""
    known = points[np.isfinite(points).all(1)]
    low, high = known.min(0), known.max(0)
    side = int(np.clip(1.3 * (high - low).max() + 20, 32, max(shape[:2])))
    corner = np.round((low + high) / 2 - side / 2).astype(int)
    limit = np.maximum(np.array([shape[1], shape[0]]) - side, 0)
    return np.clip(corner, 0, limit), side


def _add_errors(shelf: Shelf, mine: pd.DataFrame, theirs: pd.DataFrame) -> None:
    from neuroloom.pose.story.figures import expected_errors, keypoint_errors, share_within_reach

    shelf.add_figure(
        "keypoints",
        keypoint_errors(mine),
        title="Errors by keypoint",
        caption="A dot is one point of one held-out frame; bars are the middle half, the round "
        "mark is the median.",
        section="result",
    )
    shelf.add_figure(
        "reach",
        share_within_reach(mine, theirs),
        title="Share of points within a reach",
        caption="Of all labelled points of held-out frames; the dashed line is at 5 px.",
        section="result",
    )
    shelf.add_figure(
        "expected",
        expected_errors(mine),
        title="Expected and real errors",
        caption="Points on the dashed line: the expected error can be taken at its word. Groups "
        "of equally many points; bars are 95 % intervals of their mean. Expectations were "
        "calibrated on other held-out frames.",
        section="result",
    )


def pose_facts(study: Estimate, prepared: Prepared, plan: PosePlan | None) -> dict[str, Any]:
    """Return the fields of `core.report.Facts` that say what data and question are."""
    dataset = prepared.dataset
    names = dataset.facts["keypoints"]
    shapes = np.array(dataset.x.shapes())  # type: ignore[attr-defined]
    height, width = np.median(shapes, 0).astype(int)
    animals = dataset.facts["individuals"]
    rows = {
        "Frames": f"{len(dataset)} of {dataset.table['path'].nunique()} videos",
        "Size": f"{width} x {height} px",
        "Keypoints": ", ".join(names[:40]) + (", …" if len(names) > 40 else ""),
        "Animals": f"up to {len(animals)}" if len(animals) > 1 else "one",
        "Project": str(dataset.facts["source"]),
    }
    return {
        "title": f"{len(names)} keypoints in {len(dataset)} frames",
        "question": f"Where in a frame are {', '.join(names[:8])}{', …' * (len(names) > 8)}?",
        "example": "frame",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "method": [method_of(plan)] if plan is not None else [],
        "citations": [
            study.find(study.model).source,
            "Gower (1975), generalised Procrustes analysis, Psychometrika 40, 33-51",
            "Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks",
        ],
        "meanings": {
            "mean_error_px": "Mean distance from the labelled to the found point, in pixels of "
            "the frame: what DeepLabCut calls RMSE.",
        },
    }


def method_of(plan: PosePlan) -> str:
    """Say in sentences what the nets of a plan see and how they are trained."""
    fine = plan.fine
    said = f"{plan.reason} "
    if plan.coarse is not None:
        v, u = plan.coarse.size
        said += f"The coarse net sees {u} x {v} px. "
    v, u = fine.size
    several = f", the mean of those that {fine.nets} nets give" if fine.nets > 1 else ""
    said += (
        f"The fine net sees {u} x {v} px of {fine.scale:.2f} px of the frame each"
        f"{', turned so that every animal points the same way' if plan.turned else ''}. It gives "
        f"each keypoint a probability over places{several}; the point is the mean of it "
        "near its peak. "
        "Training views are shifted, turned, scaled, stretched"
        f"{', mirrored with left and right exchanged' if plan.mirrored else ''}, relit, blurred "
        "and partly covered."
    )
    return said
