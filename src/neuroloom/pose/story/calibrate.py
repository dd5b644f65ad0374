"""The report of `pose.calibrate`: the cameras, how well they fit, and what is wrong."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.core.artifact import Shelf
from neuroloom.core.audit import Finding
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.figures import canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.pose.calibrate import Calibrate, Calibrated, Prepared

RESAMPLES = 500
_CITED = [
    "Garrido-Jurado S et al. (2014). Pattern Recognit 47, 2280-2292 (markers).",
    "Zhang Z (2000). IEEE Trans Pattern Anal Mach Intell 22, 1330-1334.",
    "Triggs B et al. (2000). Vision Algorithms, LNCS 1883, 298-372 (bundle adjustment).",
]


def report_calibration(
    recipe: Calibrate, run: Run, prepared: Prepared, done: Calibrated, findings: list[Finding]
) -> None:
    """Write the calibration, tables, metrics, figures and the page."""
    from neuroloom.pose.rig.check import check_rig
    from neuroloom.pose.rig.files import write_rig

    shelf = Shelf(run.folder / "artifacts")
    rows = _rows(prepared, done)
    write_atomic(run.folder / "predictions.parquet", partial(rows.to_parquet, index=False))
    metrics = _summarise(rows, prepared, done, recipe.seed)
    write_json(run.folder / "metrics.json", metrics)
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": name} | row for name, row in metrics.items()]
    )
    write_atomic(run.folder / "metrics.parquet", partial(tidy.to_parquet, index=False))
    run.log("scored", examples=len(done.whole.frames))
    fit = metrics["median_px"]["value"]
    shelf.folder.mkdir(parents=True, exist_ok=True)
    write_rig(done.whole.rig, shelf.folder / "calibration.toml", error=fit)
    shelf.add_file("calibration", "text", "calibration.toml", title="Calibration", section="data")
    report = check_rig(done.whole.rig, prepared.seen)
    shelf.add_table("cameras", _cameras(rows, done, report.views), title="Each camera")
    shelf.add_table(
        "pairs", report.pairs, title="Each pair of cameras",
        caption="Error of corners that both see, and the length of a square that they tell.",
    )  # fmt: skip
    shelf.add_figure(
        "coverage", coverage(prepared), title="Where the board was seen", section="data",
        caption="Corners of the board in each camera's image.",
    )  # fmt: skip
    shelf.add_figure("errors", errors(rows), title="Distance of seen from projected corners")
    write_facts(run.folder, Facts(**_facts(recipe, prepared, done, findings)))
    run.log("reported", report=write_report(run.folder).name)


def _rows(prepared: Prepared, done: Calibrated) -> pd.DataFrame:
    """Return a row a camera, frame and corner that was seen; those held out come twice."""
    board = prepared.seen.board.corners
    whole = done.whole.errors(board)
    parts = [("fit", whole, done.whole.frames)]
    judged = done.judged
    if len(judged.held):
        frames = prepared.seen.frames[judged.held]
        parts += [("held_out", judged.lifted, frames), ("held_out_pose", judged.posed, frames)]
    out = []
    for part, error, frames in parts:
        camera, frame, corner = np.nonzero(np.isfinite(error))
        names = np.array(prepared.seen.names)
        out.append(pd.DataFrame({
            "camera": names[camera], "frame": frames[frame], "corner": corner, "part": part,
            "error_px": error[camera, frame, corner],
        }))  # fmt: skip
    return pd.concat(out, ignore_index=True)


def _summarise(
    rows: pd.DataFrame, prepared: Prepared, done: Calibrated, seed: int
) -> dict[str, dict[str, float | None]]:
    """Return errors with intervals over frames, and how far the starts lie apart."""
    from neuroloom.pose.calibrate import spread_of

    wanted = {
        "median_px": ("fit", np.median), "mean_px": ("fit", np.mean),
        "p95_px": ("fit", partial(np.quantile, q=0.95)),
        "held_out_px": ("held_out", np.median), "held_out_pose_px": ("held_out_pose", np.median),
    }  # fmt: skip
    out = {}
    for name, (part, of) in wanted.items():
        own = rows[rows["part"] == part]
        if len(own):
            out[name] = _entry(own, of, seed)
    spread = spread_of(done.starts, prepared.seen.board.corners)
    out["starts_apart_px"] = dict.fromkeys(("value", "low", "high", "baseline", "chance")) | {
        "value": spread
    }
    return out


def _entry(own: pd.DataFrame, of: Any, seed: int) -> dict[str, float | None]:
    parts = [part["error_px"].to_numpy() for _, part in own.groupby("frame")]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(parts), size=(RESAMPLES, len(parts)))
    draws = [of(np.concatenate([parts[i] for i in row])) for row in drawn]
    value = float(of(own["error_px"].to_numpy()))
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"value": value, "low": min(value, float(low)), "high": max(value, float(high)),
            "baseline": None, "chance": None}  # fmt: skip


def _cameras(rows: pd.DataFrame, done: Calibrated, views: pd.DataFrame) -> pd.DataFrame:
    fit = rows[rows["part"] == "fit"].groupby("camera")["error_px"]
    table = views.assign(
        focal_px=[camera.K[0, 0] for camera in done.whole.rig],
        median_px=fit.median().reindex(views["camera"]).to_numpy(),
        p95_px=fit.quantile(0.95).reindex(views["camera"]).to_numpy(),
    )
    names = ("k1", "k2", "p1", "p2", "k3", "k4")
    for number, name in enumerate(names):
        table[name] = [camera.distortion[number] for camera in done.whole.rig]
    return table


@styled
def coverage(prepared: Prepared) -> Figure:
    """Draw the corners that each camera saw, in its image."""
    seen = prepared.seen
    figure, axes = canvas(2.2 * len(seen.names), rows=len(seen.names))
    for number, (name, size, axis) in enumerate(
        zip(seen.names, seen.sizes, np.ravel(axes), strict=True)
    ):
        x, y = seen.corners[number].reshape(-1, 2).T
        axis.plot(x, y, ".", ms=1.5, color=colour(number))
        axis.set(xlim=(0, size[0]), ylim=(size[1], 0), aspect="equal", ylabel=name)
    return figure


@styled
def errors(rows: pd.DataFrame) -> Figure:
    """Draw the share of corners within a distance, by camera."""
    figure, axes = canvas(3.2)
    own = rows[rows["part"] == "fit"]
    for number, (name, part) in enumerate(own.groupby("camera", sort=False)):
        values = np.sort(part["error_px"].to_numpy())
        axes.plot(values, np.linspace(0, 1, len(values)), color=colour(number), label=str(name))
    axes.set(xlabel="Distance (px)", ylabel="Share of corners", ylim=(0, 1))
    axes.set_xlim(0, float(own["error_px"].quantile(0.99)))
    axes.legend(loc="lower right")
    return figure


def _facts(
    recipe: Calibrate, prepared: Prepared, done: Calibrated, findings: list[Finding]
) -> dict[str, Any]:
    seen, judged = prepared.seen, done.judged
    chosen = ", ".join(f"{name}: {score:.3f} px" for name, score in judged.scores.items())
    rows = {
        "Cameras": ", ".join(seen.names),
        "Board": f"{seen.board.columns} x {seen.board.rows} squares of {seen.board.square:g} mm",
        "Frames": f"{len(seen.frames)}, {len(judged.held)} of them held out to judge",
        "Fitted of each lens": " ".join(judged.lens),
    } | ({"Held-out error by lens": chosen} if chosen else {})
    left = ", ".join(f"{name} in frame {frame}" for name, frame in done.whole.left_out)
    notes = [f"{found.title}: {found.detail}" for found in findings if found.severity != "note"]
    notes += [f"Views left out, since they fit nowhere: {left}."] if left else []
    return {
        "title": "Calibration",
        "question": "Where do the cameras stand, and how do their lenses bend?",
        "primary": "median_px",
        "example": "frame",
        "how_sure": "Intervals are bootstraps over frames.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "split": [f"The last {len(judged.held)} frames were fitted to by no calibration that they "
                  "judge; the one that is written is fitted to all." if len(judged.held)
                  else "No frames were held out: none judges the calibration."],
        "notes": notes,
        "method": [
            f"Calibrated with neuroloom {__version__}: corners by OpenCV's ChArUco detector, each "
            "camera alone from a ladder of focal lengths, then all cameras and boards together by "
            f"Levenberg-Marquardt with a smooth L1 loss of 1 px, from {recipe.starts} starts."
        ],
        "citations": _CITED,
        "meanings": {
            "median_px": "Median distance of seen from projected corners.",
            "mean_px": "Their mean distance.",
            "p95_px": "The 95th percentile of the distance.",
            "held_out_px": "Median distance in frames not fitted, corners triangulated.",
            "held_out_pose_px": "The same where the board stays flat: only its pose is fitted.",
            "starts_apart_px": "How far the median distances of several starts lie apart.",
        },
    }  # fmt: skip
