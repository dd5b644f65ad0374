"""The report of `eye.gaze`: eyeballs, traces of gaze, frames with pupils and gaze drawn on them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.eye.eyeball.tables import deepvog_table
from neuroloom.eye.story.pupil import RESAMPLES, block_of, entry, write_metrics, write_predictions
from neuroloom.eye.videos import ellipses_of
from neuroloom.learn.figures import canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.eye.eyeball.jobs import Jobs
    from neuroloom.eye.eyeball.model import Eyeball
    from neuroloom.eye.gaze import Gaze, Looked

SHOWN = 4
PICTURES = 12
ARROW = 1.6  # radii of the eyeball
MEANING = {
    "confident": "Share of all frames in which the pupil was found with enough confidence.",
    "consistent": "Share of those whose rim the eyeball explains.",
    "residual_px": "Median distance of the rim from what the eyeball says.",
}
_CITED = [
    "Yiu YH et al. (2019). J Neurosci Methods 324, 108307 (DeepVOG).",
    "Swirski L, Dodgson N (2013). ECEM (pupils on a sphere, from one camera).",
    "Dierkes K, Kassner M, Bulling A (2018). ETRA (refraction by the cornea).",
    "Safaee-Rad R et al. (1992). IEEE Trans Robot Autom 8, 624-640 (circles from ellipses).",
]


def report_gaze(recipe: Gaze, run: Run, prepared: Jobs, done: list[Looked]) -> None:
    """Write tables, metrics, eyeballs, figures, overlays and the page."""
    shelf = Shelf(run.folder / "artifacts")
    parts = [one.table.assign(name=one.job.name) for one in done if one.table is not None]
    table = pd.concat(parts, ignore_index=True) if parts else _nothing()
    write_predictions(run, table, "eyeball")
    write_metrics(run, summarise(table, recipe.sure, recipe.seed))
    shelf.add_table(
        "gaze", table, title="Each frame", section="data",
        caption="Angles to the right and down as the camera sees it, along the eye's own axis.",
    )  # fmt: skip
    fitted = {one.job.model: one for one in done if one.job.fit is not None}
    if fitted:
        rows = [_row(name, one.eyeball) for name, one in fitted.items() if one.eyeball]
        shelf.add_table("eyeballs", pd.DataFrame(rows), title="Eyeballs")
    for number, one in enumerate(fitted.values()):
        shelf.add_file(f"eyeball-{number}", "model", recipe.file_of(one.job), section="method",
                       title=f"Eyeball of {one.job.model}")  # fmt: skip
    for number, one in enumerate(one for one in done if one.table is not None):
        _add_job(shelf, recipe, one, number)
    write_facts(run.folder, Facts(**_facts(prepared, done)))
    run.log("reported", report=write_report(run.folder).name)


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({"name": [], "frame": [], "confidence": [], "diameter_px": []})


def summarise(table: pd.DataFrame, sure: float, seed: int) -> dict[str, dict[str, float | None]]:
    """Return the shares of confident and consistent frames and the residual, with intervals.

    The bootstrap draws blocks of neighbouring frames, twenty a video.
    """
    names = ("confident", "consistent", "residual_px")
    if table.empty or "consistent" not in table:
        return {name: entry(None, np.zeros(0)) for name in names}
    table = table[table["consistent"].notna()].reset_index(drop=True)
    own = [part for _, part in table.groupby([table["name"], block_of(table)])]
    good = np.array([[len(part), (part["confidence"] >= sure).sum(),
                      (part["consistent"].astype(bool)).sum()] for part in own], float)  # fmt: skip
    middle = np.array([part["residual_px"].median() for part in own])
    rows = np.random.default_rng(seed).integers(len(own), size=(RESAMPLES, len(own)))
    sums = good[rows].sum(axis=1)
    whole = good.sum(axis=0)
    with np.errstate(all="ignore"):
        known = middle[rows][np.isfinite(middle[rows]).any(axis=1)]
        draws = np.nanmedian(known, axis=1) if len(known) else np.zeros(0)
    found = whole[1] > 0
    return {
        "confident": entry(whole[1] / whole[0], sums[:, 1] / sums[:, 0]),
        "consistent": entry(whole[2] / whole[1] if found else None,
                            sums[:, 2] / np.maximum(sums[:, 1], 1)),
        "residual_px": entry(float(table["residual_px"].median()) if found else None, draws),
    }  # fmt: skip


def _row(name: str, eyeball: Eyeball) -> dict[str, Any]:
    x, y, z = eyeball.centre
    return {
        "name": name, "centre_x_mm": x, "centre_y_mm": y, "centre_z_mm": z,
        "radius_mm": eyeball.radius, "focal_px": eyeball.focal, "index": eyeball.index,
        "frames": eyeball.frames, "residual_px": eyeball.residual,
    }  # fmt: skip


def _add_job(shelf: Shelf, recipe: Gaze, one: Looked, number: int) -> None:
    from neuroloom.io.video import Video, write_video

    assert one.table is not None
    assert one.job.infer is not None
    plain = deepvog_table(one.table)
    write_atomic(shelf.folder / f"{one.job.name}_deepvog.csv", partial(plain.to_csv, index=False))
    if number < SHOWN and one.eyeball is not None:
        shelf.add_figure(
            f"trace-{number}", trace_figure(one.table), title=f"Gaze of {one.job.name}",
            caption="Grey: frames that the eyeball does not explain, or without a clear pupil.",
        )  # fmt: skip
    with Video(one.job.infer, patch=True) as video:
        if number < SHOWN:
            shelf.add_figure(
                f"frames-{number}", frames_figure(video, one.table, one.eyeball, recipe.sure),
                section="data",
                title=f"Frames of {one.job.name}", caption="Lines: along the gaze.",
            )  # fmt: skip
        if recipe.overlay:
            target = shelf.folder / f"{one.job.name}_overlay.mp4"
            pictures = drawn(video, one.table, one.eyeball, recipe.sure)
            write_video(target, pictures, video.rate, video.times)
            shelf.add_file(f"overlay-{number}", "movie", target.name, section="data",
                           title=f"{one.job.name} with its gaze")  # fmt: skip


def draw_gaze(
    frame: np.ndarray, row: pd.Series, eyeball: Eyeball | None, sure: float
) -> np.ndarray:
    """Return a frame (y, x, 3) with its pupil, and a line from the eyeball along the gaze.

    A pupil of less confidence than `sure` counts for nothing, and is not drawn.
    """
    from PIL import Image, ImageDraw

    from neuroloom.learn.overlay import draw_ellipses

    ellipse = ellipses_of(row.to_frame().T)
    if row["confidence"] < sure or (eyeball and not np.isfinite(row["gaze_x"])):
        ellipse[:] = np.nan
    picture = draw_ellipses(frame, ellipse)
    if eyeball is None or not np.isfinite(row["gaze_x"]):
        return picture
    start = np.array(eyeball.centre)
    way = row[["gaze_x", "gaze_y", "gaze_z"]].to_numpy(float)
    ends = np.stack([start, start + ARROW * eyeball.radius * way])
    ends[:, 2] = np.maximum(ends[:, 2], 0.2 * eyeball.radius)
    places = np.array(eyeball.origin) + eyeball.focal * ends[:, :2] / ends[:, 2:]
    canvas_ = Image.fromarray(picture)
    ink = (64, 200, 64) if bool(row["consistent"]) else (200, 200, 64)
    ImageDraw.Draw(canvas_).line([tuple(place) for place in places], fill=ink, width=2)
    return np.asarray(canvas_)


def drawn(
    video: Any, table: pd.DataFrame, eyeball: Eyeball | None, sure: float
) -> Iterator[np.ndarray]:
    """Yield the frames of a video with pupil and gaze drawn on them."""
    for first, frames in video.blocks(16):
        for number, frame in enumerate(frames, start=first):
            yield draw_gaze(frame, table.iloc[number], eyeball, sure)


@styled
def trace_figure(table: pd.DataFrame) -> Figure:
    """Draw gaze to the right and down, and the pupil's true diameter, over time."""
    figure, (top, below) = canvas(4.6, rows=2, sharex=True)
    good = table["consistent"].astype(bool)
    for number, (column, label) in enumerate((("gaze_x_deg", "right"), ("gaze_y_deg", "down"))):
        top.plot(table["time_s"], table[column], color="0.8", lw=0.6)
        top.plot(
            table["time_s"], table[column].where(good), color=colour(number), lw=1, label=label
        )
    below.plot(table["time_s"], table["pupil_mm"].where(good), color=colour(0), lw=1)
    top.set(ylabel="Gaze (degrees)")
    top.legend(loc="best")
    below.set(xlabel="Time (s)", ylabel="Pupil (mm)")
    return figure


@styled
def frames_figure(video: Any, table: pd.DataFrame, eyeball: Eyeball | None, sure: float) -> Figure:
    """Draw frames from all over a video with pupil and gaze."""
    numbers = np.unique(np.linspace(0, len(video) - 1, PICTURES).astype(int))
    columns = min(4, len(numbers))
    rows = -(-len(numbers) // columns)
    height = rows * (1.2 * video.shape[0] / video.shape[1] + 0.35)
    figure, grid = canvas(height, rows=rows, columns=columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, number, frame in zip(grid.ravel(), numbers, video.read(numbers), strict=False):
        row = table.iloc[number]
        axes.imshow(draw_gaze(frame, row, eyeball, sure))
        known = eyeball is not None and np.isfinite(row["gaze_x_deg"])
        where = f"{row['gaze_x_deg']:.0f}, {row['gaze_y_deg']:.0f} deg" if known else "no gaze"
        axes.set_title(f"{number}: {where}", fontsize=7)
    return figure


def _facts(prepared: Jobs, done: list[Looked]) -> dict[str, Any]:
    frames = sum(len(one.table) for one in done if one.table is not None)
    rows = {"Jobs": f"{len(done)} of {len(prepared.jobs)}", "Frames": str(frames)}
    for one in done[:SHOWN]:
        if one.eyeball is not None:
            x, y, z = one.eyeball.centre
            rows[one.job.model] = f"eyeball at {x:.1f}, {y:.1f}, {z:.1f} mm from the camera"
    warned = [found.detail for found in prepared.findings if found.severity != "note"]
    return {
        "title": "Gaze",
        "question": "Where does the eye look, as the camera sees it?",
        "primary": "consistent",
        "example": "frame",
        "unit": "video",
        "how_sure": "Intervals are bootstraps over blocks of neighbouring frames, twenty a video.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": warned[:6],
        "method": [
            "An eyeball was fitted to the pupils of frames from all directions: rays through the "
            "rim of each pupil are bent at the cornea and meet the plane of the pupil on a circle "
            "around the eye's axis. Its size was assumed, which sets millimetres but no angle. "
            "Gaze is the eye's axis; the line of sight is about five degrees from it in people."
        ],
        "citations": _CITED,
        "meanings": MEANING,
    }
